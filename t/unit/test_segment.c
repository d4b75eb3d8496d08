/*
 * test_segment: opening segments, sound and damaged.
 *
 * Damage is done to a small segment that has everything the format knows:
 * every byte flipped, every length cut.  With its checksum left alone all of
 * it must be refused; with the checksum made right again it must be refused
 * or be harmless, which the sanitizers see when every request is matched.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controld/compile/route_section.h"
#include "ngx_kong_module/snapshot/kong_match.h"


#define STR(s)  { s, sizeof(s) - 1 }

static const kong_str_t  hosts_a[] = { STR("a.com"), STR("*.b.com:80") };
static const kong_str_t  hosts_b[] = { STR("c.*"), STR("A.com:8000") };
static const kong_str_t  paths_a[] = { STR("/a"), STR("~/a/\\d+") };
static const kong_str_t  paths_b[] = { STR("/a/b"), STR("/") };
static const kong_str_t  methods[] = { STR("GET"), STR("BREW") };
static const kong_str_t  snis[] = { STR("a.com"), STR("*.b.com") };
static const kong_str_t  values[] = { STR("v1"), STR("~*^v[2-9]$") };

static const route_header_t  headers[] = {
    { STR("X-Version"), values, 2 }
};

static const route_rule_t  rules[] = {
    { .id = { 1 }, .route = 0, .hosts = hosts_a, .n_hosts = 2,
      .has_hosts = 1, .paths = paths_a, .n_paths = 2 },
    { .id = { 2 }, .route = 1, .hosts = hosts_b, .n_hosts = 2,
      .has_hosts = 1, .methods = methods, .n_methods = 2 },
    { .id = { 3 }, .route = 2, .paths = paths_b, .n_paths = 2,
      .headers = headers, .n_headers = 1 },
    { .id = { 4 }, .route = 3, .paths = paths_b, .n_paths = 2,
      .snis = snis, .n_snis = 2 },
    { .id = { 5 }, .route = 4, .paths = paths_b, .n_paths = 2 }
};

#define RULES  (sizeof(rules) / sizeof(rules[0]))
#define WIDE   40

/* XXH3-64 of the segment that test_golden() builds */
#define GOLDEN_CHECKSUM  0xbb3099f386de9ee0ull


static kong_str_t      values_many[WIDE];
static route_header_t  headers_many[WIDE];


/* nodes with many children, and with many candidates */
static void
add_wide(kong_route_t *routes, route_rule_t *all, kong_str_t *paths)
{
    size_t       i;
    static char  text[64][4];

    for (i = 0; i < WIDE; i++) {
        text[i][0] = '/';
        text[i][1] = (char) ('0' + i);
        paths[i].data = text[i];
        paths[i].len = 2;

        memset(&all[RULES + i], 0, sizeof(route_rule_t));
        all[RULES + i].route = (uint32_t) (RULES + i);
        all[RULES + i].paths = &paths[i];
        all[RULES + i].n_paths = 1;
        routes[RULES + i].service = KONG_NONE;

        /* every other one at the root, told apart by a header */

        if (i % 2 == 0) {
            values_many[i].data = text[i] + 1;
            values_many[i].len = 1;
            headers_many[i].name.data = "X-Many";
            headers_many[i].name.len = 6;
            headers_many[i].values = &values_many[i];
            headers_many[i].n_values = 1;
            all[RULES + i].headers = &headers_many[i];
            all[RULES + i].n_headers = 1;
            all[RULES + i].n_paths = 0;
        }
    }
}


static void
build(segment_buf_t *buf)
{
    size_t                 i, bad;
    writer_t               w;
    const char            *err;
    kong_str_t             paths[WIDE];
    kong_route_t          *r;
    route_rule_t           all[RULES + WIDE];
    kong_service_t        *s;
    kong_address_t        *to;
    kong_endpoint_t       *e;
    kong_segment_header_t  head;

    memset(&head, 0, sizeof(head));
    writer_init(&w, KONG_SEGMENT_CONFIG);

    s = writer_records(&w, KONG_SECTION_SERVICES, 1, sizeof(*s));
    s->name = writer_string(&w, "s", 1);
    s->host = writer_string(&w, "127.0.0.1", 9);
    s->host_header = writer_string(&w, "127.0.0.1:8", 11);
    s->client_certificate = KONG_NONE;

    r = writer_records(&w, KONG_SECTION_ROUTES, RULES + WIDE, sizeof(*r));
    memcpy(all, rules, sizeof(rules));
    add_wide(r, all, paths);

    for (i = 0; i < RULES; i++) {
        memcpy(r[i].id, rules[i].id, 16);
        r[i].name = writer_new_string(&w, "r", 1);
    }

    e = writer_records(&w, KONG_SECTION_ENDPOINTS, 2, sizeof(*e));
    to = writer_records(&w, KONG_SECTION_ADDRESSES, 2, sizeof(*to));
    e[0].key = 1;
    e[0].n = 2;
    e[0].name = s->name;
    e[1].key = 2;
    e[0].balancer = KONG_NONE;
    e[1].balancer = KONG_NONE;
    e[1].error = KONG_ENDPOINT_UNKNOWN;
    to[0].port = 80;

    assert_int_equal(route_section_write(&w, all, RULES + WIDE, NULL, &bad,
                                         &err),
                     0);

    head.n_routes = RULES + WIDE;
    head.n_services = 1;
    head.generation = 7;
    assert_int_equal(writer_finish(&w, &head, buf), 0);
    writer_release(&w);
}


static int
header_cb(void *data, const kong_str_t *name, unsigned nth,
    kong_str_t *value)
{
    static const kong_str_t  seen[] = { STR("v3"), STR("V1"), STR("6") };

    (void) data;

    if (name->len == 0 || nth >= 3) {
        return 0;
    }

    *value = seen[nth];

    return 1;
}


static int
regex_cb(void *data, uint32_t index, const char *subject, size_t len,
    size_t from)
{
    kong_str_t             p;
    const kong_segment_t  *seg = data;

    (void) subject;
    (void) from;

    p = kong_segment_str(seg, seg->regexes[index].pattern);

    return (p.len != 0 && (p.data[p.len - 1] & 1)) ? (int) len : -1;
}


/* every reader, over everything */
static unsigned
exercise(const kong_segment_t *seg)
{
    uint32_t          i, j, k, hits;
    kong_str_t        s;
    kong_match_t      m;
    kong_match_req_t  req;

    static const kong_str_t  req_hosts[] = {
        STR("a.com"), STR("x.b.com"), STR("c.org"), STR("z"), STR("")
    };
    static const kong_str_t  req_paths[] = {
        STR("/a"), STR("/a/12"), STR("/a/b/c"), STR("/"), STR("/7/x"),
        STR("/C"), STR("")
    };

    hits = 0;

    for (i = 0; i < 5 * 7 * 4; i++) {
        memset(&req, 0, sizeof(req));
        req.host = req_hosts[i % 5];
        req.path = req_paths[i / 5 % 7];
        req.port = (i & 1) ? 80 : 8000;
        req.https = i & 1;
        req.sni = req_hosts[i % 5];
        req.method = methods[i & 1];
        req.header = header_cb;
        req.regex = regex_cb;
        req.data = (void *) seg;

        if (kong_match(seg, &req, &m)) {
            hits++;
            s = kong_segment_str(seg, seg->routes[m.route].name);
            hits += (s.len != 0 && s.data[s.len] != '\0');
            j = seg->routes[m.route].service;

            if (j != KONG_NONE) {
                s = kong_segment_str(seg, seg->services[j].host_header);
                hits += (s.data[s.len] != '\0');
            }
        }
    }

    for (i = 0; i < 4; i++) {
        const kong_endpoint_t  *e = kong_segment_endpoint(seg, i);

        for (k = 0; e != NULL && k < e->n; k++) {
            hits += seg->addresses[e->first + k].port == 1;
        }
    }

    return hits;
}


static void
fix_checksum(uint8_t *data, size_t size)
{
    kong_segment_header_t  *h = (void *) data;

    if (size >= sizeof(*h)) {
        h->checksum = kong_segment_checksum(data, size);
    }
}


/* a copy of exactly this size, so that one byte too far is seen */
static kong_segment_rc_t
open_copy(const uint8_t *data, size_t size, int fix)
{
    uint8_t            *copy;
    kong_segment_t      seg;
    kong_segment_rc_t   rc;

    copy = malloc(size ? size : 1);
    memcpy(copy, data, size);

    if (fix) {
        fix_checksum(copy, size);
    }

    rc = kong_segment_open(&seg, copy, size, 0, KONG_SEGMENT_VERIFY);

    if (rc == KONG_SEGMENT_OK) {
        (void) exercise(&seg);

    } else {
        assert_null(seg.base);
    }

    free(copy);

    return rc;
}


static void
test_open(void **state)
{
    segment_buf_t   buf;
    kong_segment_t  seg;

    (void) state;

    build(&buf);

    assert_int_equal(kong_segment_open(&seg, buf.data, buf.size,
                                       KONG_SEGMENT_CONFIG,
                                       KONG_SEGMENT_VERIFY), 0);
    assert_int_equal(seg.header->generation, 7);
    assert_true(exercise(&seg) > 60);

    assert_int_equal(kong_segment_open(&seg, buf.data, buf.size, 0, 0), 0);
    assert_true(exercise(&seg) > 60);

    assert_int_equal(kong_segment_open(&seg, buf.data, buf.size,
                                       KONG_SEGMENT_ENDPOINTS, 0),
                     KONG_SEGMENT_WRONG_KIND);

    segment_buf_release(&buf);
}


static void
test_flips(void **state)
{
    int             opened;
    size_t          i;
    unsigned        bit;
    segment_buf_t   buf;

    (void) state;

    build(&buf);
    opened = 0;

    for (i = 0; i < buf.size; i++) {
        for (bit = 0; bit < 8; bit++) {
            buf.data[i] ^= (uint8_t) (1u << bit);
            assert_int_not_equal(open_copy(buf.data, buf.size, 0), 0);

            opened += open_copy(buf.data, buf.size, 1) == KONG_SEGMENT_OK;
            buf.data[i] ^= (uint8_t) (1u << bit);
        }

        buf.data[i] = (uint8_t) ~buf.data[i];
        opened += open_copy(buf.data, buf.size, 1) == KONG_SEGMENT_OK;
        buf.data[i] = (uint8_t) ~buf.data[i];
    }

    /* ids, ports and the like may change; the rest may not */

    assert_true(opened > 0);
    assert_true(opened < (int) buf.size * 9);

    segment_buf_release(&buf);
}


static void
test_truncated(void **state)
{
    size_t                  i;
    kong_segment_rc_t       rc;
    segment_buf_t           buf;
    kong_segment_header_t  *h;

    (void) state;

    build(&buf);
    h = (void *) buf.data;

    for (i = 0; i < buf.size; i++) {
        rc = open_copy(buf.data, i, 0);
        assert_int_equal(rc, KONG_SEGMENT_TRUNCATED);
        assert_int_not_equal(open_copy(buf.data, i, 1), KONG_SEGMENT_OK);
    }

    /* a header that agrees with the cut */

    for (i = sizeof(*h); i < buf.size; i++) {
        h->size = i;
        rc = open_copy(buf.data, i, 1);

        if (rc == KONG_SEGMENT_OK) {

            /* only the padding at the end may go */

            assert_true(i > buf.size - KONG_SEGMENT_ALIGN);
        }
    }

    segment_buf_release(&buf);
}


static void
test_refused(void **state)
{
    size_t                  i;
    segment_buf_t           buf;
    kong_segment_header_t  *h;
    static const uint8_t    text[256] = "# not a segment";

    (void) state;

    build(&buf);
    h = (void *) buf.data;

    assert_int_equal(open_copy(text, sizeof(text), 0), KONG_SEGMENT_FOREIGN);

    h->version++;
    assert_int_equal(open_copy(buf.data, buf.size, 1),
                     KONG_SEGMENT_WRONG_VERSION);
    h->version--;

    h->kind = 3;
    assert_int_equal(open_copy(buf.data, buf.size, 1),
                     KONG_SEGMENT_WRONG_KIND);
    h->kind = KONG_SEGMENT_CONFIG;

    h->n_sections = 0xffffffff;
    assert_int_equal(open_copy(buf.data, buf.size, 1), KONG_SEGMENT_LAYOUT);
    h->n_sections = 1;
    assert_int_equal(open_copy(buf.data, buf.size, 1), KONG_SEGMENT_LAYOUT);

    buf.data[buf.size - 1] ^= 1;
    assert_int_equal(open_copy(buf.data, buf.size, 0),
                     KONG_SEGMENT_CHECKSUM);

    segment_buf_release(&buf);

    for (i = 0; i <= 8; i++) {
        assert_true(strlen(kong_segment_strerror(-(int) i)) > 5);
    }
}


/* the format is a promise: these bytes may only change with its version */
static void
test_golden(void **state)
{
    size_t                  i;
    writer_t                w;
    const char             *err;
    kong_str_t              path = STR("/a");
    kong_route_t           *r;
    route_rule_t            rule;
    segment_buf_t           buf;
    const uint32_t         *index;
    kong_segment_header_t   head, *h;
    const kong_section_t   *s;

    static const struct {
        uint32_t  id, n;
        uint64_t  offset, size;
    } sections[] = {
        { KONG_SECTION_STRINGS, 0, 512, 8 },
        { KONG_SECTION_ROUTES, 1, 576, 32 },
        { KONG_SECTION_REGEXES, 0, 640, 0 },
        { KONG_SECTION_PREDICATES, 0, 640, 20 },
        { KONG_SECTION_INDEX, 0, 704, 48 }
    };

    /* no hosts; the root at 32: label "/a", no child, one candidate */

    static const uint32_t  words[] = {
        0, 0, 32, 32, 0, 0, 0, 0,
        2 | 1 << 18, '/' | 'a' << 8, 0x7fffffff, 0
    };

    (void) state;

    memset(&head, 0, sizeof(head));
    memset(&rule, 0, sizeof(rule));
    rule.paths = &path;
    rule.n_paths = 1;

    writer_init(&w, KONG_SEGMENT_CONFIG);
    r = writer_records(&w, KONG_SECTION_ROUTES, 1, sizeof(*r));
    r->name = writer_new_string(&w, "abc", 3);
    r->service = KONG_NONE;
    assert_int_equal(route_section_write(&w, &rule, 1, NULL, &i, &err),
                     0);
    head.n_routes = 1;
    head.generation = 1;
    head.created = 2;
    assert_int_equal(writer_finish(&w, &head, &buf), 0);
    writer_release(&w);

    h = (void *) buf.data;
    assert_int_equal(buf.size, 768);
    assert_memory_equal(buf.data, "KONGSEG\0\3\0\0\0\1\0\0\0\0\3", 18);
    assert_int_equal(sizeof(*h), 104);
    assert_int_equal(sizeof(kong_route_t), 32);
    assert_int_equal(sizeof(kong_service_t), 88);
    assert_int_equal(sizeof(kong_endpoint_t), 32);
    assert_int_equal(sizeof(kong_address_t), 40);

    s = (const kong_section_t *) (h + 1);
    assert_int_equal(h->n_sections, 5);

    for (i = 0; i < 5; i++) {
        assert_int_equal(s[i].id, sections[i].id);
        assert_int_equal(s[i].n, sections[i].n);
        assert_int_equal(s[i].offset, sections[i].offset);
        assert_int_equal(s[i].size, sections[i].size);
    }

    assert_memory_equal(buf.data + 512, "\3\0\0\0abc\0", 8);

    index = (const uint32_t *) (void *) (buf.data + 704);

    for (i = 0; i < 12; i++) {
        assert_int_equal(index[i], words[i]);
    }

    printf("# checksum of the golden segment: %016llx\n",
           (unsigned long long) h->checksum);
    assert_true(h->checksum == GOLDEN_CHECKSUM);

    /* one page: the hash of all bytes with zeros in this place */

    h->checksum = 0;
    assert_true(XXH3_64bits(buf.data, buf.size) == GOLDEN_CHECKSUM);

    segment_buf_release(&buf);
}


static void
test_endpoints(void **state)
{
    uint64_t          key;
    uint32_t          i, n;
    writer_t          w;
    segment_buf_t     buf;
    kong_segment_t    seg;
    kong_endpoint_t  *e;

    kong_segment_header_t  head;

    (void) state;

    for (n = 0; n < 70; n++) {
        memset(&head, 0, sizeof(head));
        writer_init(&w, KONG_SEGMENT_ENDPOINTS);
        e = writer_records(&w, KONG_SECTION_ENDPOINTS, n, sizeof(*e));

        for (i = 0; i < n; i++) {
            e[i].key = 3 * (uint64_t) i + 3;
            e[i].balancer = KONG_NONE;
        }

        assert_int_equal(writer_finish(&w, &head, &buf), 0);
        writer_release(&w);
        assert_int_equal(kong_segment_open(&seg, buf.data, buf.size,
                                           KONG_SEGMENT_ENDPOINTS,
                                           KONG_SEGMENT_VERIFY), 0);

        for (key = 0; key < 3 * n + 6; key++) {
            if (key % 3 == 0 && key != 0 && key <= 3 * n) {
                assert_int_equal(kong_segment_endpoint(&seg, key)->key, key);

            } else {
                assert_null(kong_segment_endpoint(&seg, key));
            }
        }

        segment_buf_release(&buf);
    }

    assert_true(kong_endpoint_key("Example.COM", 11)
                == kong_endpoint_key("example.com", 11));
    assert_true(kong_endpoint_key("example.com", 11)
                != kong_endpoint_key("example.con", 11));
}


static void
test_uuid(void **state)
{
    char         text[37];
    size_t       i;
    uint8_t      id[16];
    const char  *good = "6c8aa5e2-2B6f-4d53-9e0f-0123456789ab";

    static const char *const  bad[] = {
        "", "6c8aa5e2-2b6f-4d53-9e0f-0123456789a",
        "6c8aa5e2-2b6f-4d53-9e0f-0123456789abc",
        "6c8aa5e2x2b6f-4d53-9e0f-0123456789ab",
        "6c8aa5e2-2b6f-4d53-9e0f-0123456789ag",
        "6c8aa5e-22b6f-4d53-9e0f-0123456789ab",
        "6c8aa5e2-2b6f-4d53-9e0f-012345678@ab"
    };

    (void) state;

    assert_int_equal(kong_uuid_parse(good, 36, id), 0);
    kong_uuid_text(id, text);
    assert_string_equal(text, "6c8aa5e2-2b6f-4d53-9e0f-0123456789ab");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(kong_uuid_parse(bad[i], strlen(bad[i]), id), -1);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_uuid)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
