/*
 * test_match: the index and the matcher against a naive matcher that is
 * written from the rules alone: every route is tested in the order of the
 * default router flavor, with nothing but string comparisons and PCRE2.
 *
 * The seed of the random part is printed; SEED=n repeats a run.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/evp.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "controld/compile/route_section.h"
#include "ngx_kong_module/snapshot/kong_match.h"


#define MAX_ROUTES   40
#define MAX_LIST     4
#define MANY         70000
#define SWITCHED     18
#define CONFIGS      1000
#define REQUESTS     100

typedef struct {
    kong_str_t       hosts[MAX_LIST];
    kong_str_t       paths[MAX_LIST];
    kong_str_t       methods[MAX_LIST];
    kong_str_t       snis[MAX_LIST];
    route_header_t   headers[MAX_LIST];
    kong_str_t       values[MAX_LIST][MAX_LIST];
} rule_store_t;

typedef struct {
    const char      *name;
    const char      *value;
} header_t;

typedef struct {
    kong_match_req_t       req;
    const kong_segment_t  *seg;
    header_t               headers[4];
    unsigned               n_headers;
} request_t;

/* what the naive matcher sorts: a route with the paths of one length */
typedef struct {
    const route_rule_t    *rule;
    uint8_t                id[16];
    unsigned               top, plain, regex, low, length;
    kong_str_t             paths[MAX_LIST];
    unsigned               n_paths;
} naive_t;

static uint64_t      rnd_state;
static rule_store_t  store[MAX_ROUTES];
static route_rule_t  rules[MAX_ROUTES];
static naive_t       naive[MAX_ROUTES * MAX_LIST];
static unsigned      n_naive;


static uint32_t
rnd(uint32_t n)
{
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;

    return (uint32_t) ((rnd_state >> 20) % n);
}


static kong_str_t
str(const char *s)
{
    kong_str_t  k = { s, strlen(s) };

    return k;
}


static int
run_regex(kong_str_t pattern, int anchored, int caseless,
    kong_str_t subject, size_t from)
{
    int                rc, code;
    PCRE2_SIZE         at, end;
    pcre2_code        *re;
    pcre2_match_data  *md;

    re = pcre2_compile((PCRE2_SPTR) pattern.data, pattern.len,
                       (anchored ? PCRE2_ANCHORED : 0)
                       | (caseless ? PCRE2_CASELESS : 0), &code, &at, NULL);
    assert_non_null(re);

    md = pcre2_match_data_create_from_pattern(re, NULL);
    rc = pcre2_match(re, (PCRE2_SPTR) subject.data, subject.len, from, 0, md,
                     NULL);
    end = (rc >= 0) ? pcre2_get_ovector_pointer(md)[1] : 0;

    pcre2_match_data_free(md);
    pcre2_code_free(re);

    return (rc >= 0) ? (int) end : -1;
}


static int
header_cb(void *data, const kong_str_t *name, unsigned nth,
    kong_str_t *value)
{
    unsigned          i;
    const request_t  *r = data;

    for (i = 0; i < r->n_headers; i++) {
        if (strlen(r->headers[i].name) == name->len
            && memcmp(r->headers[i].name, name->data, name->len) == 0
            && nth-- == 0)
        {
            *value = str(r->headers[i].value);
            return 1;
        }
    }

    return 0;
}


static int
regex_cb(void *data, uint32_t index, const char *subject, size_t len,
    size_t from)
{
    kong_str_t           s = { subject, len };
    const request_t     *r = data;
    const kong_regex_t  *re;

    re = &r->seg->regexes[index];

    return run_regex(kong_segment_str(r->seg, re->pattern),
                     re->flags & KONG_REGEX_ANCHORED,
                     re->flags & KONG_REGEX_CASELESS, s, from);
}


static void
build(segment_buf_t *buf, kong_segment_t *seg, const route_rule_t *all,
    size_t n)
{
    size_t                 i, bad;
    writer_t               w;
    const char            *err;
    kong_route_t          *routes;
    kong_segment_header_t  head;

    memset(&head, 0, sizeof(head));
    writer_init(&w, KONG_SEGMENT_CONFIG);
    routes = writer_records(&w, KONG_SECTION_ROUTES, n, sizeof(*routes));

    for (i = 0; i < n; i++) {
        memcpy(routes[i].id, all[i].id, 16);
        routes[i].service = KONG_NONE;
    }

    err = "";

    if (route_section_write(&w, all, n, NULL, &bad, &err) != 0) {
        fail_msg("rule %u: %s", (unsigned) bad, err);
    }

    head.n_routes = (uint32_t) n;
    assert_int_equal(writer_finish(&w, &head, buf), 0);
    writer_release(&w);

    assert_int_equal(kong_segment_open(seg, buf->data, buf->size,
                                       KONG_SEGMENT_CONFIG,
                                       KONG_SEGMENT_VERIFY),
                     KONG_SEGMENT_OK);
}


static int
ends_with(kong_str_t s, const char *end, size_t len)
{
    return s.len >= len && memcmp(s.data + s.len - len, end, len) == 0;
}


static int
starts_with(kong_str_t s, const char *start, size_t len)
{
    return s.len >= len && memcmp(s.data, start, len) == 0;
}


static int
naive_name(kong_str_t rule, kong_str_t name)
{
    if (rule.data[0] == '*') {
        return ends_with(name, rule.data + 1, rule.len - 1);
    }

    if (rule.data[rule.len - 1] == '*') {
        return starts_with(name, rule.data, rule.len - 1);
    }

    return rule.len == name.len && memcmp(rule.data, name.data, rule.len) == 0;
}


static int
naive_host(const route_rule_t *r, const kong_match_req_t *req)
{
    char         lower[64];
    size_t       i;
    uint32_t     n;
    const char  *colon;
    kong_str_t   rule;

    for (n = 0; n < r->n_hosts; n++) {
        rule = r->hosts[n];

        for (i = 0; i < rule.len; i++) {
            lower[i] = rule.data[i];
            lower[i] += (lower[i] >= 'A' && lower[i] <= 'Z') ? 32 : 0;
        }

        rule.data = lower;
        colon = memchr(lower, ':', rule.len);

        if (colon != NULL) {
            lower[rule.len] = '\0';
            rule.len = colon - lower;

            if (atoi(colon + 1) != req->port) {
                continue;
            }
        }

        if (req->host.len != 0 && naive_name(rule, req->host)) {
            return 1;
        }
    }

    return r->n_hosts == 0;
}


static int
naive_lists(const route_rule_t *r, const kong_match_req_t *req)
{
    int       ok;
    uint32_t  i;

    ok = (r->n_methods == 0);

    for (i = 0; i < r->n_methods; i++) {
        ok |= (r->methods[i].len == req->method.len
               && memcmp(r->methods[i].data, req->method.data,
                         req->method.len) == 0);
    }

    if (!ok) {
        return 0;
    }

    ok = (r->n_snis == 0 || !req->https);

    for (i = 0; i < r->n_snis; i++) {
        ok |= (req->sni.len != 0 && naive_name(r->snis[i], req->sni));
    }

    return ok;
}


static void
lower_copy(char *out, kong_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        out[i] = s.data[i];
        out[i] += (out[i] >= 'A' && out[i] <= 'Z') ? 32 : 0;
    }

    out[i] = '\0';
}


static int
naive_headers(const route_rule_t *r, const request_t *rq)
{
    int       ok;
    char      name[64], rule[64], value[64];
    unsigned  i, j, k;

    for (i = 0; i < r->n_headers; i++) {
        lower_copy(name, r->headers[i].name);
        ok = 0;

        for (j = 0; j < rq->n_headers; j++) {
            if (strcmp(rq->headers[j].name, name) != 0) {
                continue;
            }

            lower_copy(value, str(rq->headers[j].value));

            for (k = 0; k < r->headers[i].n_values; k++) {
                lower_copy(rule, r->headers[i].values[k]);

                if (strncmp(rule, "~*", 2) == 0) {
                    ok |= run_regex(str(rule + 2), 0, 0, str(value), 0) >= 0;
                } else {
                    ok |= (strcmp(rule, value) == 0);
                }
            }
        }

        if (!ok) {
            return 0;
        }
    }

    return 1;
}


static int
naive_path(const naive_t *nv, kong_str_t path, kong_match_t *out)
{
    int         end;
    unsigned    i;
    kong_str_t  p;

    for (i = 0; i < nv->n_paths; i++) {
        p = nv->paths[i];

        if (nv->regex) {
            p.data++;
            p.len--;
            end = run_regex(p, 1, 0, path, 0);

        } else {
            end = starts_with(path, p.data, p.len) ? (int) p.len : -1;
        }

        if (end >= 0) {
            out->path_len = (uint32_t) end;
            out->has_path = 1;
            return 1;
        }
    }

    out->path_len = 0;
    out->has_path = 0;

    return nv->n_paths == 0;
}


static int
naive_cmp(const void *one, const void *two)
{
    const naive_t  *a = one, *b = two;

#define BY(field)                                                           \
    if (a->field != b->field) {                                             \
        return (a->field > b->field) ? -1 : 1;                              \
    }

    /* four kinds of rules (or a negative regex_priority) come first; then
     * plain hosts, then regexes, whatever else the routes have */

    BY(top)

    if (!a->top) {
        BY(plain)
        BY(regex)
    }

    BY(low)
    BY(length)

    return -memcmp(a->id, b->id, 16);
}


/* uuid version 5 of "<id>#<n>" in the router's name space */
static void
naive_derive(naive_t *nv, unsigned n)
{
    char           text[64];
    unsigned       len;
    EVP_MD_CTX    *ctx;
    unsigned char  digest[EVP_MAX_MD_SIZE], space[16];

    assert_int_equal(kong_uuid_parse("7f145bf9-0dce-4f91-98eb-debbce4b9f6b",
                                     36, space), 0);
    kong_uuid_text(nv->rule->id, text);
    snprintf(text + 36, sizeof(text) - 36, "#%u", n);

    ctx = EVP_MD_CTX_new();
    EVP_DigestInit_ex(ctx, EVP_sha1(), NULL);
    EVP_DigestUpdate(ctx, space, 16);
    EVP_DigestUpdate(ctx, text, strlen(text));
    EVP_DigestFinal_ex(ctx, digest, &len);
    EVP_MD_CTX_free(ctx);

    memcpy(nv->id, digest, 16);
    nv->id[6] = (unsigned char) (0x50 | (nv->id[6] & 15));
    nv->id[8] = (unsigned char) (0x80 | (nv->id[8] & 63));
}


/* regexes together, prefixes by length; a route of one group keeps its id */
static void
naive_split(const route_rule_t *r)
{
    unsigned    i, j, first, regex;
    naive_t    *nv;

    first = n_naive;

    for (i = 0; i < r->n_paths || i == 0; i++) {
        regex = r->n_paths && r->paths[i].data[0] == '~';

        for (j = first; j < n_naive; j++) {
            if (naive[j].regex == regex
                && (regex || naive[j].length == r->paths[i].len))
            {
                break;
            }
        }

        nv = &naive[j];

        if (j == n_naive) {
            n_naive++;
            memset(nv, 0, sizeof(*nv));
            nv->rule = r;
            nv->regex = regex;
            nv->length = (regex || !r->n_paths) ? 0
                                                : (unsigned) r->paths[i].len;
            memcpy(nv->id, r->id, 16);

            /* in units of 2^19: kinds of rules, headers, and the priority
             * of a regex, which share bits */

            nv->low = (!!r->n_hosts + !!r->n_paths + !!r->n_methods
                       + !!r->n_snis + !!r->n_headers) << 10
                      | r->n_headers << 1;

            if (regex) {
                nv->low |= (unsigned) r->regex_priority & 0x1fff;
            }

            nv->top = nv->low >> 12;
            nv->plain = !!r->n_hosts;

            for (j = 0; j < r->n_hosts; j++) {
                nv->plain &= (memchr(r->hosts[j].data, '*',
                                     r->hosts[j].len) == NULL);
            }
        }

        if (r->n_paths) {
            nv->paths[nv->n_paths++] = r->paths[i];
        }
    }

    for (j = first; j < n_naive && n_naive - first > 1; j++) {
        naive_derive(&naive[j], j - first + 1);
    }
}


static int
naive_match(const request_t *rq, kong_match_t *out)
{
    unsigned        i;
    const naive_t  *nv;

    for (i = 0; i < n_naive; i++) {
        nv = &naive[i];

        if (naive_host(nv->rule, &rq->req) && naive_lists(nv->rule, &rq->req)
            && naive_headers(nv->rule, rq)
            && naive_path(nv, rq->req.path, out))
        {
            out->route = nv->rule->route;
            return 1;
        }
    }

    return 0;
}


static const char *const  hosts[] = {
    "a.com", "b.com", "x.a.com", "y.x.a.com", "A.com", "a.com:8000",
    "b.com:80", "*.a.com", "*.x.a.com", "*.com", "a.*", "x.a.*", "b.*",
    "*.a.com:8000", "a.*:80", "x.a.com:443"
};
static const char *const  paths[] = {
    "/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "/abc", "/b", "/a/bc",
    "/a/b/c", "/x.y", "/v1/users", "/v1/users/1", "/v2", "/\xc3\xa9",
    "/a b", "~/a/\\d+", "~/a/b$", "~/v\\d+/users", "~/.*\\.json$",
    "~/(?i)ABC", "~/a\\.?b", "~/a/b|/b", "~/ab?c*", "~/v[12]/(x|users)",
    "~/a/(?<id>[^/]+)/c", "~/\xc3\xa9?", "~/x\\.y", "~/a{1,2}/", "~/a+b?",
    "~^/a/b", "~^/?a", "~/a/b(?<=/b)/", "~/a\\b/b", "~/a\\G/b", "~/ab*",
    "~/a(?:/b|(?R))", "~/a/\\Kb", "~/v1/\\w+", "~/v2?/\\w+", "~/b/\\w+",
    "~/a/[bc]+$", "~/a/b/[bc]+$"
};
static const char *const  methods[] = {
    "GET", "POST", "PUT", "DELETE", "BREW", "PROPFIND"
};
static const char *const  snis[] = {
    "a.com", "x.a.com", "*.a.com", "a.*", "b.com"
};
static const char *const  names[] = { "x-a", "X-B", "x-c" };
static const char *const  values[] = {
    "v1", "V2", "prod", "~*^V[0-9]+$", "~*blue|green", "~*"
};
static const char *const  req_hosts[] = {
    "a.com", "b.com", "x.a.com", "y.x.a.com", "z.com", ".a.com", "a.", "a",
    "com", ".com", "x.a.org", "a.org", "b.net", "", ".", "z.y.x.a.com"
};
static const char *const  req_paths[] = {
    "/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/a/1", "/a/12/x", "/ab",
    "/abc", "/abcc", "/ABC/x", "/b", "/bb", "/x.y", "/xzy", "/v1/users/1",
    "/v2/x", "/v1/users", "/a/data.json", "/\xc3\xa9/1", "/a b/c", "/a/q/c",
    "/aa/", "/aab", "*", "/a.b", ""
};
static const char *const  req_values[] = {
    "v1", "V1", "v2", "PROD", "prod", "green", "dark Blue", ""
};
static const char *const  req_names[] = { "x-a", "x-b", "x-c", "x-d" };

#define PICK(list)  (list)[rnd(sizeof(list) / sizeof((list)[0]))]


static void
random_rule(unsigned i, unsigned crowd)
{
    unsigned       j, k;
    route_rule_t  *r;
    rule_store_t  *s;

    r = &rules[i];
    s = &store[i];
    memset(r, 0, sizeof(*r));

    for (j = 0; j < 16; j++) {
        r->id[j] = (uint8_t) rnd(256);
    }

    /* ids that agree in their first half, too */

    if (rnd(3) == 0) {
        memset(r->id, 7, 12);
    }

    r->route = i;
    r->regex_priority = (int32_t) rnd(3) - 1;
    r->hosts = s->hosts;
    r->paths = s->paths;
    r->methods = s->methods;
    r->snis = s->snis;
    r->headers = s->headers;

    r->n_hosts = rnd(2) ? rnd(MAX_LIST) : 0;
    r->has_hosts = (r->n_hosts != 0);
    r->n_paths = rnd(4) ? 1 + rnd(MAX_LIST) : 0;
    r->n_methods = rnd(3) ? 0 : 1 + rnd(MAX_LIST - 1);
    r->n_snis = rnd(6) ? 0 : 1 + rnd(2);
    r->n_headers = rnd(4) ? 0 : 1 + rnd(3);

    if (crowd) {

        /* many at one node, told apart by headers */

        r->n_hosts = rnd(4) ? 0 : rnd(MAX_LIST);
        r->has_hosts = (r->n_hosts != 0);
        r->n_paths = rnd(2);
        r->n_headers = rnd(8) ? 1 + rnd(2) : 0;
    }

    for (j = 0; j < MAX_LIST; j++) {
        s->hosts[j] = str(PICK(hosts));
        s->paths[j] = str(PICK(paths));
        s->methods[j] = str(PICK(methods));
        s->snis[j] = str(PICK(snis));
        s->headers[j].name = str(names[(j + (crowd ? rnd(2) : 0)) % 3]);
        s->headers[j].values = s->values[j];
        s->headers[j].n_values = 1 + rnd(3);

        for (k = 0; k < MAX_LIST; k++) {
            s->values[j][k] = (crowd && rnd(16)) ? str(values[rnd(3)])
                                                 : str(PICK(values));
        }
    }
}


static void
random_request(request_t *rq, const kong_segment_t *seg)
{
    unsigned  i;

    memset(rq, 0, sizeof(*rq));
    rq->seg = seg;
    rq->req.data = rq;
    rq->req.header = header_cb;
    rq->req.regex = regex_cb;
    rq->req.host = str(PICK(req_hosts));
    rq->req.path = str(PICK(req_paths));
    rq->req.method = str(PICK(methods));
    rq->req.port = (uint16_t) (rnd(2) ? 80 : rnd(2) ? 8000 : 443);
    rq->req.https = rnd(2);

    if (rq->req.https && rnd(4)) {
        rq->req.sni = str(PICK(req_hosts));
    }

    rq->n_headers = rnd(5);

    for (i = 0; i < rq->n_headers; i++) {
        rq->headers[i].name = PICK(req_names);
        rq->headers[i].value = PICK(req_values);
    }
}


static void
test_random(void **state)
{
    int             got, want;
    char           *seed;
    unsigned        i, j, n;
    request_t       rq;
    kong_match_t    a, b;
    segment_buf_t   buf;
    kong_segment_t  seg;

    (void) state;

    seed = getenv("SEED");
    rnd_state = seed ? strtoull(seed, NULL, 10)
                     : (uint64_t) time(NULL) * 2654435761u + 1;
    print_message("# SEED=%llu\n", (unsigned long long) rnd_state);

    for (i = 0; i < CONFIGS; i++) {
        n = rnd(MAX_ROUTES + 1);

        for (j = 0, n_naive = 0; j < n; j++) {
            random_rule(j, i % 3 == 0);
            naive_split(&rules[j]);
        }

        qsort(naive, n_naive, sizeof(naive_t), naive_cmp);
        build(&buf, &seg, rules, n);

        for (j = 0; j < REQUESTS; j++) {
            random_request(&rq, &seg);

            memset(&a, 0, sizeof(a));
            memset(&b, 0, sizeof(b));
            got = kong_match(&seg, &rq.req, &a);
            want = naive_match(&rq, &b);

            if (got != want || (got && (a.route != b.route
                                        || a.path_len != b.path_len
                                        || a.has_path != b.has_path)))
            {
                fail_msg("config %u request %u: %.*s '%s' port %u path '%s':"
                         " got %d route %u len %u, want %d route %u len %u",
                         i, j, (int) rq.req.method.len, rq.req.method.data,
                         rq.req.host.data, rq.req.port, rq.req.path.data,
                         got, a.route, a.path_len, want, b.route,
                         b.path_len);
            }
        }

        segment_buf_release(&buf);
    }
}


/* the route with this value of the header x-group, or -1 */
static int
by_group(const kong_segment_t *seg, const char *method, const char *value)
{
    request_t     rq;
    kong_match_t  out;

    memset(&rq, 0, sizeof(rq));
    rq.req.path = str("/");
    rq.req.method = str(method);
    rq.req.header = header_cb;
    rq.req.data = &rq;
    rq.headers[0].name = "x-group";
    rq.headers[0].value = value;
    rq.n_headers = (value != NULL);

    return kong_match(seg, &rq.req, &out) ? (int) out.route : -1;
}


/* lists by value: more candidates than 16 bits count, values as long as they
 * may be and longer, a value in several routes and twice in one */
static void
test_lists(void **state)
{
    char            text[2][300];
    size_t          i;
    kong_str_t      verbs[2], texts[6];
    route_rule_t   *all, *r;
    segment_buf_t   buf;
    route_header_t  headers[5];
    kong_segment_t  seg;

    (void) state;

    for (i = 0; i < 2; i++) {
        memset(text[i], 'v', sizeof(text[i]));
        text[i][255 + i] = '\0';
    }

    verbs[0] = str("PUT");
    verbs[1] = str("GET");
    texts[0] = str("Crowd");
    texts[1] = str("one");
    texts[2] = str("ONE");
    texts[3] = str(text[0]);
    texts[4] = str(text[1]);
    texts[5] = str("two");

    memset(headers, 0, sizeof(headers));

    for (i = 0; i < 5; i++) {
        headers[i].name = str((i % 2) ? "x-group" : "X-Group");
        headers[i].values = &texts[(i == 0) ? 0 : i + (i > 1)];
        headers[i].n_values = 1;
    }

    headers[1].n_values = 2;

    all = calloc(MANY + 4, sizeof(route_rule_t));
    assert_non_null(all);

    for (i = 0; i < MANY + 4; i++) {
        r = &all[i];
        r->id[0] = (uint8_t) ((MANY - i) >> 16);
        r->id[1] = (uint8_t) ((MANY - i) >> 8);
        r->id[2] = (uint8_t) (MANY - i);
        r->id[3] = (uint8_t) i;
        r->route = (uint32_t) i;
        r->headers = &headers[(i < MANY) ? 0 : i - MANY + 1];
        r->n_headers = 1;
        r->methods = &verbs[i == MANY - 1];
        r->n_methods = (i < MANY);
    }

    build(&buf, &seg, all, MANY + 4);

    assert_int_equal(by_group(&seg, "PUT", "crowd"), 0);
    assert_int_equal(by_group(&seg, "GET", "cROWD"), MANY - 1);
    assert_int_equal(by_group(&seg, "HEAD", "crowd"), -1);
    assert_int_equal(by_group(&seg, "HEAD", "one"), MANY);
    assert_int_equal(by_group(&seg, "HEAD", text[0]), MANY + 1);
    assert_int_equal(by_group(&seg, "HEAD", text[1]), MANY + 2);
    assert_int_equal(by_group(&seg, "HEAD", "two"), MANY + 3);
    assert_int_equal(by_group(&seg, "GET", "crow"), -1);
    assert_int_equal(by_group(&seg, "GET", NULL), -1);

    segment_buf_release(&buf);
    free(all);
}


/* by host and the values of x-a and x-b ("": not sent) */
static int
by_both(const kong_segment_t *seg, const char *host, const char *a,
    const char *b)
{
    request_t     rq;
    kong_match_t  out;

    memset(&rq, 0, sizeof(rq));
    rq.req.path = str("/");
    rq.req.host = str(host);
    rq.req.method = str("GET");
    rq.req.header = header_cb;
    rq.req.data = &rq;

    if (*a != '\0') {
        rq.headers[rq.n_headers].name = "x-a";
        rq.headers[rq.n_headers++].value = a;
    }

    if (*b != '\0') {
        rq.headers[rq.n_headers].name = "x-b";
        rq.headers[rq.n_headers++].value = b;
    }

    return kong_match(seg, &rq.req, &out) ? (int) out.route : -1;
}


/* the last route is found by one header under one host, by the other under
 * the other, and tested one by one under a third */
static void
test_two_ways(void **state)
{
    size_t          i;
    kong_str_t      by[3], texts[SWITCHED];
    route_rule_t    all[2 * SWITCHED + 1], *r;
    segment_buf_t   buf;
    route_header_t  headers[2 * SWITCHED];
    kong_segment_t  seg;
    static char     words[SWITCHED][2];

    (void) state;

    by[0] = str("a.com");
    by[1] = str("b.com");
    by[2] = str("c.com");
    memset(headers, 0, sizeof(headers));
    memset(all, 0, sizeof(all));

    for (i = 0; i < 2 * SWITCHED; i++) {
        words[i / 2][0] = (char) ('a' + i / 2);
        texts[i / 2] = str(words[i / 2]);
        headers[i].name = str((i % 2) ? "x-b" : "x-a");
        headers[i].values = &texts[i / 2];
        headers[i].n_values = 1;

        r = &all[i];
        r->id[0] = (uint8_t) i;
        r->route = (uint32_t) i;
        r->headers = &headers[i];
        r->n_headers = 1;
        r->hosts = &by[i % 2];
        r->n_hosts = r->has_hosts = 1;
    }

    r = &all[i];
    r->route = (uint32_t) i;
    r->headers = headers;
    r->n_headers = 2;
    r->hosts = by;
    r->n_hosts = 3;
    r->has_hosts = 1;
    all[0].n_hosts = all[0].has_hosts = 0;
    all[1].n_hosts = all[1].has_hosts = 0;

    build(&buf, &seg, all, 2 * SWITCHED + 1);

    for (i = 0; i < 3; i++) {
        assert_int_equal(by_both(&seg, by[i].data, "A", "a"), 2 * SWITCHED);
        assert_int_equal(by_both(&seg, by[i].data, "a", ""), 0);
        assert_int_equal(by_both(&seg, by[i].data, "", "a"), 1);
        assert_int_equal(by_both(&seg, by[i].data, "", ""), -1);
    }

    assert_int_equal(by_both(&seg, "a.com", "b", "b"), 2);
    assert_int_equal(by_both(&seg, "b.com", "b", "b"), 3);
    assert_int_equal(by_both(&seg, "c.com", "b", "b"), -1);

    segment_buf_release(&buf);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_two_ways)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
