/*
 * The ring of consistent hashing against values that an implementation of
 * its own (XXH32, the placing of points and the walk) has computed; the
 * sequence of round-robin; the verifier on tables that are bad.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controld/compile/ring.h"
#include "controld/compile/upstreams.h"
#include "ngx_kong_module/snapshot/kong_balancer.h"


#define MANY    40
#define VALUES  16

typedef struct {
    ring_address_t  addresses[3];
    size_t          n;
    size_t          targets;
    uint32_t        slots;
    size_t          used;
    uint32_t        sum;
    unsigned        found[VALUES];   /* of "value 0", "value 1" ... */
    unsigned        empty;           /* of "" */
} case_t;


static const case_t  cases[] = {
    { { { "127.0.0.1", 8000, 100 }, { "127.0.0.1", 8001, 100 },
        { "10.0.0.1", 80, 50 } },
      3, 3, 10000, 480, 526110247,
      { 0, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1, 2, 2 }, 0 },

    { { { "127.0.0.1", 8000, 100 }, { "127.0.0.1", 8001, 100 },
        { "10.0.0.1", 80, 50 } },
      3, 3, 10, 480, 3395158988u,
      { 2, 2, 0, 0, 1, 0, 2, 0, 1, 1, 2, 2, 1, 2, 1, 1 }, 0 },

    { { { "[0000:0000:0000:0000:0000:0000:0000:0001]", 8080, 65535 },
        { "192.168.1.1", 1, 1 } },
      2, 2, 65536, 320, 166860442,
      { 0 }, 0 },

    { { { "10.0.0.1", 80, 0 }, { "10.0.0.2", 80, 5 } },
      2, 2, 1000, 320, 2860866027u,
      { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, 1 }
};

/* a segment of nothing but one upstream's tables */
typedef struct {
    segment_buf_t     buf;
    kong_segment_t    seg;
    kong_balancer_t  *b;
    uint32_t         *table;
} made_t;


static uint32_t
ring_sum(const bytes_t *b)
{
    size_t    i;
    uint32_t  e, sum;

    for (i = 0, sum = 0; i < b->size; i += 4) {
        memcpy(&e, b->data + i, 4);
        sum = sum * 31 + ((e >> 16) + 1) * 7 + (e & 0xffff);
    }

    return sum;
}


static void
make(made_t *m, const ring_address_t *addresses, size_t n, size_t targets,
    uint32_t slots)
{
    size_t                  used;
    bytes_t                 tables;
    writer_t                w;
    kong_endpoint_t        *e;
    kong_balancer_t        *b;
    kong_segment_header_t   head;

    memset(&tables, 0, sizeof(tables));
    memset(&head, 0, sizeof(head));
    used = ring_build(addresses, n, targets, slots, &tables);

    writer_init(&w, KONG_SEGMENT_ENDPOINTS);
    e = writer_records(&w, KONG_SECTION_ENDPOINTS, 1, sizeof(*e));
    (void) writer_records(&w, KONG_SECTION_ADDRESSES, n,
                          sizeof(kong_address_t));
    b = writer_records(&w, KONG_SECTION_BALANCERS, 1, sizeof(*b));
    e->n = (uint32_t) n;
    b->n_ring = (uint32_t) used;
    b->slots = slots < RING_SLOTS_MIN ? RING_SLOTS_MIN : slots;
    b->health = KONG_NONE;
    b->algorithm = KONG_CONSISTENT_HASHING;
    writer_take(&w, KONG_SECTION_BALANCER_TABLES, tables.size / 4,
                tables.data, tables.size);

    assert_int_equal(writer_finish(&w, &head, &m->buf), 0);
    writer_release(&w);

    assert_int_equal(kong_segment_open(&m->seg, m->buf.data, m->buf.size,
                                       KONG_SEGMENT_ENDPOINTS,
                                       KONG_SEGMENT_VERIFY),
                     KONG_SEGMENT_OK);

    m->b = (void *) (m->buf.data
                     + m->seg.sections[KONG_SECTION_BALANCERS].offset);
    m->table = (void *) (m->buf.data
                     + m->seg.sections[KONG_SECTION_BALANCER_TABLES].offset);
}


static unsigned
find(made_t *m, const char *value)
{
    uint32_t  hash;

    hash = kong_ring_hash(value, strlen(value));

    return m->table[kong_ring_find(&m->seg, m->b, hash)] & 0xffff;
}


/* every position against a walk down, one by one */
static void
walk(made_t *m)
{
    uint32_t   i, at, last;
    uint32_t  *owner;

    owner = calloc(m->b->slots, sizeof(uint32_t));
    assert_non_null(owner);

    for (i = 0; i < m->b->n_ring; i++) {
        owner[m->table[i] >> 16] = i + 1;
    }

    for (i = 0; i < m->b->slots; i++) {
        for (at = i, last = 0; last < m->b->slots && owner[at] == 0; last++) {
            at = (at == 0) ? m->b->slots - 1 : at - 1;
        }

        assert_int_equal(kong_ring_find(&m->seg, m->b, i), owner[at] - 1);
    }

    free(owner);
}


static void
test_ring(void **state)
{
    char           text[32];
    size_t         i, k;
    made_t         m;
    bytes_t        b;
    const case_t  *c;

    (void) state;

    assert_int_equal(kong_ring_hash("", 0), 0x02cc5d05);
    assert_int_equal(kong_ring_hash("abc", 3), 0x32d153ff);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        c = &cases[i];
        memset(&b, 0, sizeof(b));

        assert_int_equal(ring_build(c->addresses, c->n, c->targets, c->slots,
                                    &b), c->used);
        assert_int_equal(ring_sum(&b), c->sum);
        bytes_release(&b);

        make(&m, c->addresses, c->n, c->targets, c->slots);

        for (k = 0; k < VALUES; k++) {
            (void) snprintf(text, sizeof(text), "value %zu", k);
            assert_int_equal(find(&m, text), c->found[k]);
        }

        assert_int_equal(find(&m, ""), c->empty);
        walk(&m);
        segment_buf_release(&m.buf);
    }
}


/* forty weights, and a target without addresses that counts all the same */
static void
test_ring_many(void **state)
{
    char            text[MANY][16], value[16];
    size_t          i;
    made_t          m;
    bytes_t         b;
    ring_address_t  a[MANY];

    static const unsigned  found[VALUES] = {
        37, 33, 21, 10, 26, 11, 31, 11, 33, 23, 34, 24, 35, 37, 32, 17
    };

    (void) state;

    for (i = 0; i < MANY; i++) {
        (void) snprintf(text[i], sizeof(text[i]), "10.0.0.%zu", i + 1);
        a[i].ip = text[i];
        a[i].port = 80;
        a[i].weight = (uint16_t) (1 + (i + 1) * 7);
    }

    memset(&b, 0, sizeof(b));
    assert_int_equal(ring_build(a, MANY, MANY + 1, 8192, &b), 6540);
    assert_int_equal(ring_sum(&b), 229888885);
    bytes_release(&b);

    make(&m, a, MANY, MANY + 1, 8192);

    for (i = 0; i < VALUES; i++) {
        (void) snprintf(value, sizeof(value), "value %zu", i);
        assert_int_equal(find(&m, value), found[i]);
    }

    segment_buf_release(&m.buf);
}


/* where Kong's points do not fit, everybody still gets some */
static void
test_ring_full(void **state)
{
    char             text[1500][16];
    size_t           i, used;
    bytes_t          b;
    uint32_t         e;
    static uint8_t   seen[1500];
    ring_address_t   a[1500];

    (void) state;

    for (i = 0; i < 1500; i++) {
        (void) snprintf(text[i], sizeof(text[i]), "10.0.%zu.%zu", i / 250,
                        i % 250);
        a[i].ip = text[i];
        a[i].port = 80;
        a[i].weight = 100;
    }

    memset(&b, 0, sizeof(b));
    used = ring_build(a, 70, 70, 10000, &b);
    assert_true(used >= 70 * 80 && used <= 10000);

    for (i = 0; i < b.size; i += 4) {
        memcpy(&e, b.data + i, 4);
        assert_true((e & 0xffff) < 70);
        seen[e & 0xffff] = 1;
    }

    for (i = 0; i < 70; i++) {
        assert_int_equal(seen[i], 1);
    }

    bytes_release(&b);

    /* more addresses than places */
    memset(&b, 0, sizeof(b));
    used = ring_build(a, 1500, 1500, 1000, &b);
    assert_true(used > 900 && used <= 1000);
    bytes_release(&b);

    memset(&b, 0, sizeof(b));
    assert_int_equal(ring_build(a, 0, 0, 1000, &b), 0);
    bytes_release(&b);
}


static void
count(const bytes_t *b, unsigned *n)
{
    size_t    i;
    uint32_t  e;

    for (i = 0; i < b->size; i += 4) {
        memcpy(&e, b->data + i, 4);
        n[e]++;
    }
}


static void
test_sequence(void **state)
{
    bytes_t         b;
    uint32_t        e[3];
    unsigned        n[4];
    ring_address_t  a[] = {
        { "a", 1, 700 }, { "b", 1, 200 }, { "c", 1, 100 }, { "d", 1, 0 }
    };

    static const uint32_t  mixed[] = { 0, 0, 1, 0, 0, 2, 0, 1, 0, 0 };

    (void) state;

    memset(n, 0, sizeof(n));
    memset(&b, 0, sizeof(b));
    assert_int_equal(ring_sequence(a, 4, &b), 10);
    count(&b, n);
    assert_int_equal(n[0], 7);
    assert_int_equal(n[1], 2);
    assert_int_equal(n[2], 1);
    assert_int_equal(n[3], 0);

    /* evenly mixed */
    assert_memory_equal(b.data, mixed, sizeof(mixed));
    bytes_release(&b);

    /* equal weights take turns */
    a[0].weight = a[1].weight = a[2].weight = 65535;
    memset(&b, 0, sizeof(b));
    assert_int_equal(ring_sequence(a, 3, &b), 3);
    memcpy(e, b.data, sizeof(e));
    assert_int_equal(e[0], 0);
    assert_int_equal(e[1], 1);
    assert_int_equal(e[2], 2);
    bytes_release(&b);

    /* a round that is too long is made shorter, in proportion */
    a[0].weight = 65535;
    a[1].weight = 65534;
    a[2].weight = 1;
    memset(n, 0, sizeof(n));
    memset(&b, 0, sizeof(b));
    assert_true(ring_sequence(a, 3, &b) <= RING_SEQUENCE_MAX + 3);
    count(&b, n);
    assert_true(n[0] >= n[1] && n[0] - n[1] <= 1);
    assert_int_equal(n[2], 1);
    bytes_release(&b);

    a[0].weight = a[1].weight = a[2].weight = 0;
    memset(&b, 0, sizeof(b));
    assert_int_equal(ring_sequence(a, 4, &b), 0);
    bytes_release(&b);
}


static void
refused(made_t *m, uint32_t *field, uint32_t value)
{
    uint32_t                old;
    kong_segment_t          seg;
    kong_segment_header_t  *head;

    old = *field;
    *field = value;
    head = (void *) m->buf.data;

    /* without a look at the checksum: the verifier itself is asked */
    assert_int_equal(kong_segment_open(&seg, m->buf.data, m->buf.size,
                                       KONG_SEGMENT_ENDPOINTS, 0),
                     KONG_SEGMENT_OK);
    assert_int_equal(kong_balancer_verify(&seg, seg.endpoints),
                     KONG_SEGMENT_OFFSET);
    assert_int_equal(head->n_sections, 5);

    *field = old;
    assert_int_equal(kong_balancer_verify(&seg, seg.endpoints),
                     KONG_SEGMENT_OK);
}


static void
test_verify(void **state)
{
    made_t            m;
    kong_endpoint_t  *e;

    (void) state;

    make(&m, cases[0].addresses, 3, 3, 10000);
    e = (void *) (m.buf.data + m.seg.sections[KONG_SECTION_ENDPOINTS].offset);

    refused(&m, &e->balancer, 1);
    refused(&m, &e->n, 2);
    refused(&m, &m.b->ring, 1);
    refused(&m, &m.b->ring, 0xffffffff);
    refused(&m, &m.b->n_ring, 481);
    refused(&m, &m.b->n_ring, 0xffffffff);
    refused(&m, &m.b->sequence, 481);
    refused(&m, &m.b->n_sequence, 481);
    refused(&m, &m.b->n_sequence, 1);
    refused(&m, &m.b->slots, 0);
    refused(&m, &m.b->slots, 9999 / 2);
    refused(&m, &m.b->health, 0);
    refused(&m, &m.b->hash_name, 3);
    refused(&m, &m.b->cookie_path, 0xfffffffc);
    refused(&m, &m.table[0], 3);
    refused(&m, &m.table[1], m.table[0]);
    refused(&m, &m.table[479], 0xffff0000);

    segment_buf_release(&m.buf);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_ring_many),
        cmocka_unit_test(test_ring_full),
        cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_verify)
    };

    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
