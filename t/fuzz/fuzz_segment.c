/*
 * fuzz_segment: bytes -> kong_segment_open(), then every reader on what
 * opens.  The checksum is put right first, since it is no defence against
 * bytes made on purpose and would stop the fuzzer at the door.
 *
 * KONG_FUZZ_SEED=DIR makes the target write one sound segment there, to
 * begin with.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controld/compile/route_section.h"
#include "ngx_kong_module/snapshot/kong_balancer.h"
#include "ngx_kong_module/snapshot/kong_certificate.h"
#include "ngx_kong_module/snapshot/kong_match.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);


#define STR(s)  { s, sizeof(s) - 1 }

static const kong_str_t  hosts[] = {
    STR("a.com"), STR("*.b.com:80"), STR("c.*")
};
static const kong_str_t  paths[] = {
    STR("/a"), STR("/a/b"), STR("~/a/\\d+"), STR("/b")
};
static const kong_str_t  methods[] = { STR("GET"), STR("BREW") };
static const kong_str_t  values[] = { STR("v1"), STR("~*^v[2-9]$") };
static const route_header_t  headers[] = { { STR("x-version"), values, 2 } };

#define MANY   16

static route_rule_t    rules[3 + MANY] = {
    { .route = 0, .hosts = hosts, .n_hosts = 3, .has_hosts = 1,
      .paths = paths, .n_paths = 4 },
    { .route = 1, .paths = paths, .n_paths = 4, .methods = methods,
      .n_methods = 2, .headers = headers, .n_headers = 1 },
    { .route = 2, .snis = hosts, .n_snis = 1, .paths = paths, .n_paths = 1 }
};


/* what is in it is nobody's matter here */
static void
fuzz_seed_certificates(writer_t *w)
{
    uint32_t             i;
    kong_sni_t          *s;
    kong_trust_t        *t;
    kong_certificate_t  *c;

    static const kong_str_t  snis[] = { STR("a.com"), STR(".b.com") };

    c = writer_records(w, KONG_SECTION_CERTIFICATES, 2, sizeof(*c));
    s = writer_records(w, KONG_SECTION_SNIS, 4, sizeof(*s));
    t = writer_records(w, KONG_SECTION_TRUST, 1, sizeof(*t));

    if (c == NULL || s == NULL || t == NULL) {
        abort();
    }

    t->certs = writer_string(w, "der", 3);

    for (i = 0; i < 2; i++) {
        c[i].id[0] = (uint8_t) i;
        c[i].cert = t->certs;
        c[i].key = t->certs;
    }

    for (i = 0; i < 2; i++) {
        s = (kong_sni_t *) (void *) w->sections[w->n_sections - 2].bytes.data;

        for (s += kong_sni_hash(i, snis[i].data, snis[i].len) & 3;
             s->name != 0; s++)
        {
            /* void */
        }

        s->name = writer_string(w, snis[i].data, snis[i].len);
        s->kind = i;
        s->certificate = i;
    }
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char                    path[4096];
    FILE                   *f;
    size_t                  bad;
    writer_t                w;
    const char             *dir, *err;
    kong_str_t              many[MANY];
    route_header_t          by[MANY];
    kong_route_t           *r;
    segment_buf_t           buf;
    kong_segment_header_t   head;

    (void) argc;
    (void) argv;

    dir = getenv("KONG_FUZZ_SEED");

    if (dir == NULL) {
        return 0;
    }

    memset(&head, 0, sizeof(head));
    head.n_routes = 3 + MANY;

    /* told apart by a header: they make a switch */

    for (bad = 0; bad < MANY; bad++) {
        many[bad].data = &"abcdefghijklmnopq"[bad];
        many[bad].len = 1;
        by[bad].name.data = "x-many";
        by[bad].name.len = 6;
        by[bad].values = &many[bad];
        by[bad].n_values = 1;
        rules[3 + bad].headers = &by[bad];
        rules[3 + bad].n_headers = 1;
        rules[3 + bad].route = (uint32_t) (3 + bad);
    }

    writer_init(&w, KONG_SEGMENT_CONFIG);
    r = writer_records(&w, KONG_SECTION_ROUTES, 3 + MANY, sizeof(*r));

    if (r != NULL) {
        r[0].name = writer_string(&w, "r0", 2);

        for (bad = 0; bad < 3 + MANY; bad++) {
            r[bad].service = KONG_NONE;
        }
    }

    fuzz_seed_certificates(&w);

    if (r == NULL
        || route_section_write(&w, rules, 3 + MANY, NULL, &bad, &err) != 0
        || writer_finish(&w, &head, &buf) != 0)
    {
        abort();
    }

    snprintf(path, sizeof(path), "%s/segment", dir);
    f = fopen(path, "w");

    if (f != NULL) {
        (void) fwrite(buf.data, 1, buf.size, f);
        fclose(f);
    }

    writer_release(&w);
    segment_buf_release(&buf);

    return 0;
}


static int
fuzz_header(void *data, const kong_str_t *name, unsigned nth,
    kong_str_t *value)
{
    (void) data;

    static const kong_str_t  seen[] = { STR("v1"), STR("C") };

    if (name->len == 0 || nth >= 2) {
        return 0;
    }

    *value = seen[nth];

    return 1;
}


static int
fuzz_regex(void *data, uint32_t index, const char *subject, size_t len,
    size_t from)
{
    kong_str_t             s;
    const kong_segment_t  *seg = data;

    (void) subject;
    (void) from;

    s = kong_segment_str(seg, seg->regexes[index].pattern);

    return (s.len != 0 && (s.data[s.len - 1] & 1)) ? (int) len : -1;
}


static void fuzz_certificates(const kong_segment_t *seg);
static void fuzz_endpoints(const kong_segment_t *seg);


static void
fuzz_match(const kong_segment_t *seg)
{
    unsigned          i;
    kong_match_t      m;
    volatile size_t   sink;
    kong_match_req_t  req;

    static const kong_str_t  req_hosts[] = {
        STR("a.com"), STR("x.b.com"), STR("c.d"), STR("")
    };
    static const kong_str_t  req_paths[] = {
        STR("/a"), STR("/a/b/c"), STR("/a/12"), STR("/b"), STR("")
    };

    for (i = 0; i < 4 * 5 * 2; i++) {
        memset(&req, 0, sizeof(req));
        req.host = req_hosts[i % 4];
        req.path = req_paths[i / 4 % 5];
        req.method = methods[i / 20];
        req.port = 80;
        req.https = 1;
        req.sni = req.host;
        req.header = fuzz_header;
        req.regex = fuzz_regex;
        req.data = (void *) seg;

        if (kong_match(seg, &req, &m)) {
            sink = kong_segment_str(seg, seg->routes[m.route].name).len;
            (void) sink;
        }
    }

    fuzz_certificates(seg);
    fuzz_endpoints(seg);
}


/* what a worker reads in a handshake */
static void
fuzz_certificates(const kong_segment_t *seg)
{
    size_t                     i;
    uint32_t                   k;
    volatile size_t            sink;
    const kong_certificate_t  *c;

    static const kong_str_t  names[] = {
        STR("a.com"), STR("x.b.com"), STR("c.d"), STR("")
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        c = kong_certificate_by_sni(seg, names[i].data, names[i].len);

        if (c != NULL) {
            sink = kong_segment_str(seg, c->cert).len
                   + kong_segment_str(seg, c->key).len
                   + kong_segment_str(seg, c->cert_alt).len
                   + kong_segment_str(seg, c->key_alt).len;
            (void) sink;
            (void) kong_certificate_by_id(seg, c->id);
        }
    }

    for (k = 0; k < seg->sections[KONG_SECTION_SERVICES].n; k++) {
        if (seg->services[k].ca_certificates != 0) {
            sink = kong_segment_str(seg, kong_trust(seg,
                         seg->services[k].ca_certificates - 1)->certs).len;
            (void) sink;
        }
    }
}


/* what a worker reads of an upstream */
static void
fuzz_endpoints(const kong_segment_t *seg)
{
    uint32_t                i, k;
    volatile size_t         sink;
    const kong_health_t    *h;
    const kong_endpoint_t  *e;
    const kong_balancer_t  *b;

    (void) kong_segment_endpoint(seg, 0);

    for (i = 0; i < seg->sections[KONG_SECTION_ENDPOINTS].n; i++) {
        e = &seg->endpoints[i];
        b = kong_balancer(seg, e);
        sink = kong_segment_str(seg, e->name).len;

        for (k = 0; k < e->n; k++) {
            sink = kong_segment_str(seg, seg->addresses[e->first + k].host)
                   .len;
        }

        if (b == NULL) {
            continue;
        }

        sink = kong_segment_str(seg, b->hash_name).len
               + kong_segment_str(seg, b->cookie_path).len;
        h = kong_balancer_health(seg, b);

        if (h != NULL) {
            sink = (size_t) kong_status_in(&h->passive.unhealthy, 999);
        }

        for (k = 0; k < b->n_sequence; k++) {
            sink = seg->addresses[e->first + kong_balancer_table(seg,
                                             b->sequence)[k]].port;
        }

        for (k = 0; b->n_ring != 0 && k < 64; k++) {
            sink = seg->addresses[e->first
                                  + (kong_balancer_table(seg, b->ring)
                                     [kong_ring_find(seg, b, k * 0x04000001)]
                                     & 0xffff)].port;
        }
    }

    (void) sink;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t                *copy;
    kong_segment_t          seg;
    kong_segment_header_t  *h;

    copy = malloc(size ? size : 1);

    if (copy == NULL) {
        return 0;
    }

    memcpy(copy, data, size);

    if (size >= sizeof(kong_segment_header_t)) {
        h = (kong_segment_header_t *) (void *) copy;
        h->checksum = kong_segment_checksum(copy, size);
    }

    if (kong_segment_open(&seg, copy, size, 0, KONG_SEGMENT_VERIFY)
        == KONG_SEGMENT_OK)
    {
        fuzz_match(&seg);
    }

    free(copy);

    return 0;
}
