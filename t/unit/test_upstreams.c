/*
 * Upstreams and targets as the endpoints segment has them: names, SRV
 * records, weights, Host headers, ids, health checks that are shared.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "controld/compile/compile.h"
#include "controld/source/declarative.h"
#include "ngx_kong_module/snapshot/kong_balancer.h"


typedef struct {
    arena_t         *arena;
    config_t        *config;
    segment_buf_t    buf;
    kong_segment_t   seg;
} made_t;

static const char  text[] =
    "_format_version: '3.0'\n"
    "upstreams:\n"
    "- name: plain\n"
    "  targets:\n"
    "  - {target: 'two.test:81', weight: 30}\n"
    "  - {target: '10.0.0.9:80', weight: 10}\n"
    "  - {target: '[::1]:80', weight: 5}\n"
    "  - {target: 'gone.test:1', weight: 100}\n"
    "  - {target: 'TWO.test:82', weight: 0}\n"
    "- name: srv\n"
    "  host_header: example.com\n"
    "  healthchecks: {passive: {unhealthy: {http_failures: 3}}}\n"
    "  targets: [{target: 'srv.test:9', weight: 7}]\n"
    "- name: Srv\n"
    "  host_header: example.com:1\n"
    "  algorithm: least-connections\n"
    "  healthchecks: {passive: {unhealthy: {http_failures: 3}}}\n"
    "  targets: [{target: 'srv.test:9', weight: 0}]\n"
    "- name: by-srv\n"
    "  use_srv_name: true\n"
    "  targets: [{target: 'srv.test:9'}, {target: 'two.test:7'}]\n"
    "- name: hashed\n"
    "  hash_on: header\n"
    "  hash_on_header: X-Key\n"
    "  hash_fallback: cookie\n"
    "  hash_on_cookie: c\n"
    "  slots: 10\n"
    "  healthchecks:\n"
    "    threshold: 12.5\n"
    "    active: {unhealthy: {interval: 1}}\n"
    "  targets: [{target: 'two.test:81'}]\n"
    "- name: empty\n";


static kong_address_t
address(const char *ip, uint16_t port, uint16_t weight, uint8_t flags)
{
    kong_address_t  a;

    memset(&a, 0, sizeof(a));
    assert_int_equal(inet_pton(AF_INET, ip, a.addr), 1);
    a.port = port;
    a.weight = weight;
    a.flags = flags;

    return a;
}


static void
make(made_t *m, uint32_t generation)
{
    const char            *err;
    compile_opts_t         opts;
    kong_address_t         two[2], srv[2];
    declarative_opts_t     o;
    declarative_errors_t   errors;

    memset(m, 0, sizeof(made_t));
    memset(&o, 0, sizeof(o));
    memset(&opts, 0, sizeof(opts));
    memset(&errors, 0, sizeof(errors));
    opts.generation = generation;

    two[0] = address("10.0.0.20", 0, 1, 0);
    two[1] = address("10.0.0.3", 0, 1, 0);
    srv[0] = address("10.0.0.4", 4000, 40, KONG_ADDRESS_SRV);
    srv[1] = address("10.0.0.5", 0, 2, KONG_ADDRESS_SRV);
    srv[0].host = 1;
    srv[1].host = 9;

    const compile_endpoint_t  names[] = {
        { "two.test", 8, 0, two, 2, NULL },
        { "gone.test", 9, KONG_ENDPOINT_UNKNOWN, NULL, 0, NULL },
        { "srv.test", 8, 0, srv, 2, "\0t1.test\0t2\r\nx: y" }
    };

    m->arena = arena_new();
    m->config = declarative_load(m->arena, text, sizeof(text) - 1,
                                 DECLARATIVE_YAML, &o, &errors);
    assert_non_null(m->config);

    assert_int_equal(compile_endpoints(m->arena, m->config, names, 3, &opts,
                                       &m->buf, &err), 0);
    assert_int_equal(kong_segment_open(&m->seg, m->buf.data, m->buf.size,
                                       KONG_SEGMENT_ENDPOINTS,
                                       KONG_SEGMENT_VERIFY),
                     KONG_SEGMENT_OK);
}


static void
drop(made_t *m)
{
    segment_buf_release(&m->buf);
    config_free(m->config);
    arena_free(m->arena);
}


static const kong_endpoint_t *
find(made_t *m, const char *name)
{
    const kong_endpoint_t  *e;

    e = kong_segment_endpoint(&m->seg, kong_upstream_key(name, strlen(name)));
    assert_non_null(e);

    return e;
}


static void
check(made_t *m, const kong_address_t *a, const char *ip, const char *host)
{
    char        got[INET6_ADDRSTRLEN];
    kong_str_t  s;

    assert_non_null(inet_ntop(a->ipv6 ? AF_INET6 : AF_INET, a->addr, got,
                              sizeof(got)));
    assert_string_equal(got, ip);
    s = kong_segment_str(&m->seg, a->host);
    assert_string_equal(s.data, host);
}


static void
test_targets(void **state)
{
    made_t                  m;
    const kong_address_t   *a;
    const kong_balancer_t  *b;
    const kong_endpoint_t  *e;

    (void) state;

    make(&m, 1);
    e = find(&m, "plain");
    a = m.seg.addresses + e->first;
    b = kong_balancer(&m.seg, e);

    /* of name, then port; of a name's addresses, their text */
    assert_int_equal(e->n, 6);
    check(&m, &a[0], "10.0.0.9", "10.0.0.9:80");
    assert_int_equal(a[0].weight, 10);
    assert_int_equal(a[0].host_len, 8);

    /* the name is kept as it was given; each address has the full weight */
    check(&m, &a[1], "10.0.0.20", "TWO.test:82");
    check(&m, &a[2], "10.0.0.3", "TWO.test:82");
    assert_int_equal(a[1].weight + a[2].weight, 0);
    check(&m, &a[3], "::1",
          "[0000:0000:0000:0000:0000:0000:0000:0001]:80");
    check(&m, &a[4], "10.0.0.20", "two.test:81");
    check(&m, &a[5], "10.0.0.3", "two.test:81");
    assert_int_equal(a[4].weight, 30);
    assert_int_equal(a[5].weight, 30);
    assert_int_equal(a[5].port, 81);

    assert_int_equal(b->weight, 75);
    assert_int_equal(b->algorithm, KONG_ROUND_ROBIN);
    assert_int_equal(b->n_sequence, 15);
    assert_int_equal(b->health, KONG_NONE);

    drop(&m);
}


static void
test_srv(void **state)
{
    made_t                  m;
    const kong_address_t   *a;
    const kong_health_t    *h;
    const kong_balancer_t  *b, *other;
    const kong_endpoint_t  *e;

    (void) state;

    make(&m, 1);
    e = find(&m, "srv");
    a = m.seg.addresses + e->first;

    assert_int_equal(e->n, 2);
    check(&m, &a[0], "10.0.0.4", "example.com:4000");
    check(&m, &a[1], "10.0.0.5", "example.com:9");
    assert_int_equal(a[0].weight, 40);
    assert_int_equal(a[1].weight, 2);
    assert_int_equal(a[1].port, 9);

    b = kong_balancer(&m.seg, e);
    h = kong_balancer_health(&m.seg, b);
    assert_int_equal(h->passive.http_failures, 3);
    assert_true(kong_status_in(&h->passive.unhealthy, 429));
    assert_false(kong_status_in(&h->passive.unhealthy, 404));
    assert_true(kong_status_in(&h->active.unhealthy, 404));
    assert_true(kong_status_in(&h->passive.healthy, 308));
    assert_false(kong_status_in(&h->passive.healthy, 99));
    assert_false(kong_status_in(&h->passive.healthy, 1000));

    /* the record's target, if it is a name that a header may have */
    e = find(&m, "by-srv");
    a = m.seg.addresses + e->first;
    check(&m, &a[0], "10.0.0.4", "t1.test:4000");
    assert_int_equal(a[0].host_len, 7);
    check(&m, &a[1], "10.0.0.5", "srv.test:9");
    check(&m, &a[2], "10.0.0.20", "two.test:7");

    /* another upstream, though its name differs in case only */
    e = find(&m, "Srv");
    a = m.seg.addresses + e->first;
    other = kong_balancer(&m.seg, e);
    check(&m, &a[0], "10.0.0.4", "example.com:1");
    assert_int_equal(a[0].host_len, 13);
    assert_int_equal(a[0].weight, 0);
    assert_int_equal(other->weight, 0);
    assert_int_equal(other->algorithm, KONG_LEAST_CONNECTIONS);
    assert_int_equal(other->health, b->health);
    assert_true(other->id != b->id);

    drop(&m);
}


static void
test_hash(void **state)
{
    made_t                  m;
    const kong_balancer_t  *b;

    (void) state;

    make(&m, 1);
    b = kong_balancer(&m.seg, find(&m, "hashed"));

    assert_int_equal(b->algorithm, KONG_CONSISTENT_HASHING);
    assert_int_equal(b->hash_on, KONG_HASH_HEADER);
    assert_int_equal(b->hash_fallback, KONG_HASH_COOKIE);
    assert_string_equal(kong_segment_str(&m.seg, b->hash_name).data, "x-key");
    assert_string_equal(kong_segment_str(&m.seg, b->fallback_name).data, "c");
    assert_string_equal(kong_segment_str(&m.seg, b->cookie_path).data, "/");
    assert_int_equal(b->slots, 1000);
    assert_int_equal(b->threshold, 12500);
    assert_int_not_equal(b->health, KONG_NONE);
    assert_int_equal(b->n_ring, 160);

    b = kong_balancer(&m.seg, find(&m, "empty"));
    assert_int_equal(find(&m, "empty")->n, 0);
    assert_int_equal(b->weight, 0);
    assert_int_equal(b->n_sequence, 0);

    drop(&m);
}


static void
test_stable(void **state)
{
    made_t                  one, two;
    uint32_t                i;
    const kong_endpoint_t  *a, *b;

    (void) state;

    make(&one, 1);
    make(&two, 2);

    a = find(&one, "plain");
    b = find(&two, "plain");

    for (i = 0; i < a->n; i++) {
        assert_true(one.seg.addresses[a->first + i].id
                    == two.seg.addresses[b->first + i].id);
        assert_true(i == 0 || one.seg.addresses[a->first + i].id
                              != one.seg.addresses[a->first + i - 1].id);
    }

    /* the same address of another upstream has a health of its own */
    b = find(&two, "hashed");
    assert_true(one.seg.addresses[a->first + 4].id
                != two.seg.addresses[b->first].id);

    assert_true(compile_upstreams_sum(one.config)
                == compile_upstreams_sum(two.config));
    assert_true(compile_upstreams_sum(one.config) != 0);
    assert_true(compile_upstreams_sum(NULL) == 0);

    drop(&one);
    drop(&two);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_srv),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_stable)
    };

    return cmocka_run_group_tests_name("upstreams", tests, NULL, NULL);
}
