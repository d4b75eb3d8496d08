/*
 * Cells of metrics: what is counted is found again, by other workers too;
 * what is full refuses, what is old makes room, and sums stay sums.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ngx_kong_module/zone/kong_metrics.h"


#define REGION  (1024 * 1024)


static uint32_t         dead;            /* the one process that is gone */
static void            *region;
static kong_metrics_t  *m;


static int
alive(uint32_t pid)
{
    return pid != dead;
}


static int
begin(void **state)
{
    (void) state;

    dead = 0;
    region = aligned_alloc(64, REGION);
    memset(region, 0, REGION);
    m = kong_metrics_create(region, REGION);

    return m != NULL ? 0 : -1;
}


static int
end(void **state)
{
    (void) state;

    free(region);

    return 0;
}


static kong_str_t
str(const char *text)
{
    kong_str_t  s = { text, strlen(text) };

    return s;
}


static kong_metrics_labels_t
labels(const char *service, const char *route, const char *consumer)
{
    kong_metrics_labels_t  l = { str(service), str(route), str(consumer) };

    return l;
}


static kong_traffic_t *
traffic(const char *route, uint32_t owner, uint32_t now)
{
    kong_metrics_labels_t  l = labels("svc", route, "");

    return (kong_traffic_t *) (void *)
           kong_metrics_take(m, &l, KONG_CELLS_TRAFFIC, owner, now, alive);
}


/* the only series, or the one of the route */
static int
sum_of(const char *route, kong_metrics_sum_t *sum)
{
    uint32_t  i;

    for (i = 0; i < kong_metrics_series(m); i++) {
        if (kong_metrics_sum(m, i, sum) == 0
            && strcmp(sum->route, route) == 0)
        {
            return 0;
        }
    }

    return -1;
}


static uint32_t
used(void)
{
    size_t    bytes, size;
    uint32_t  n;

    kong_metrics_usage(m, &n, &bytes, &size);
    assert_true(bytes <= size);

    return n;
}


static void
test_sums(void **state)
{
    unsigned             i, k;
    kong_latency_t      *l;
    kong_traffic_t      *t;
    kong_metrics_key_t   key;
    kong_metrics_sum_t   sum;
    kong_metrics_labels_t  names = labels("svc", "r", "");

    (void) state;

    key = kong_metrics_key(&names);
    assert_null(kong_metrics_find(m, &key, KONG_CELLS_TRAFFIC, 1));

    for (i = 1; i <= 4; i++) {
        t = traffic("r", i, 10);
        assert_non_null(t);
        assert_ptr_equal(traffic("r", i, 10), t);
        assert_ptr_equal(kong_metrics_find(m, &key, KONG_CELLS_TRAFFIC, i),
                         t);

        for (k = 0; k < i; k++) {
            assert_int_equal(kong_traffic_count(t, 200
                                                | KONG_METRICS_SERVICE), 0);
            assert_int_equal(kong_traffic_count(t, 200), 0);
        }

        assert_int_equal(kong_traffic_count(t, 0), 0);

        t->ingress += 1000 * i;
        t->egress += 7;

        l = (kong_latency_t *) (void *)
            kong_metrics_take(m, &names, KONG_CELLS_LATENCY, i, 10, alive);
        assert_non_null(l);
        kong_latency_observe(l, KONG_LATENCY_UPSTREAM, 25);
        kong_latency_observe(l, KONG_LATENCY_UPSTREAM, 26);
        kong_latency_observe(l, KONG_LATENCY_UPSTREAM, 60001);
        kong_latency_observe(l, KONG_LATENCY_KONG, 0);
        kong_latency_observe(l, KONG_LATENCY_REQUEST, 60000);
    }

    assert_int_equal(used(), 1);
    assert_int_equal(sum_of("r", &sum), 0);
    assert_string_equal(sum.service, "svc");
    assert_string_equal(sum.consumer, "");
    assert_int_equal(sum.ingress, 10000);
    assert_int_equal(sum.egress, 28);

    /* by code, our own first */
    assert_int_equal(sum.n_codes, 3);
    assert_int_equal(sum.codes[0].code, 0);
    assert_int_equal(sum.codes[0].n, 4);
    assert_int_equal(sum.codes[1].code, 200);
    assert_int_equal(sum.codes[1].n, 10);
    assert_int_equal(sum.codes[2].code, 200 | KONG_METRICS_SERVICE);
    assert_int_equal(sum.codes[2].n, 10);

    i = kong_histograms[KONG_LATENCY_UPSTREAM].first;
    assert_int_equal(sum.buckets[i], 4);
    assert_int_equal(sum.buckets[i + 1], 4);
    assert_int_equal(sum.buckets[i + 13], 4);
    assert_int_equal(sum.sums[KONG_LATENCY_UPSTREAM],
                     4 * (25 + 26 + 60001));
    assert_int_equal(sum.buckets[0], 4);
    assert_int_equal(
        sum.buckets[kong_histograms[KONG_LATENCY_REQUEST].first + 12], 4);
}


/* bounds ascend, tables do not overlap */
static void
test_histograms(void **state)
{
    unsigned                 i, k, n;
    const kong_histogram_t  *h;

    (void) state;

    for (i = 0, n = 0; i < KONG_LATENCIES; i++) {
        h = &kong_histograms[i];
        assert_int_equal(h->first, n);
        n += h->n + 1;

        for (k = 1; k < h->n; k++) {
            assert_true(h->bounds[k] > h->bounds[k - 1]);
        }
    }

    assert_int_equal(n, KONG_LATENCY_BUCKETS);
}


static void
test_keys(void **state)
{
    size_t               i, k;
    kong_metrics_key_t   one, two;
    kong_metrics_labels_t  list[] = {
        labels("a", "b", "c"), labels("ab", "", "c"), labels("", "ab", "c"),
        labels("a", "bc", ""), labels("abc", "", ""), labels("", "", "abc"),
        labels("", "abc", ""), labels("", "", ""), labels("b", "a", "c")
    };

    (void) state;

    for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        for (k = 0; k < sizeof(list) / sizeof(list[0]); k++) {
            one = kong_metrics_key(&list[i]);
            two = kong_metrics_key(&list[k]);
            assert_true((one.low == two.low && one.high == two.high)
                        == (i == k));
        }
    }
}


static void
test_escape(void **state)
{
    size_t              i;
    char                name[1100];
    kong_metrics_sum_t  sum;

    static const char *const  texts[][2] = {
        { "plain", "plain" },
        { "a\"b", "a\\\"b" },
        { "a\\b", "a\\\\b" },
        { "a\nb", "a\\nb" },
        { "caf\xc3\xa9", "caf\xc3\xa9" },
        { "\xf0\x9f\x90\xb5", "\xf0\x9f\x90\xb5" },
        { "\xff\xfe", "??" },
        { "\xc3", "?" },
        { "\xc3x", "?x" },
        { "\xc0\xaf", "??" },
        { "\xed\xa0\x80", "???" },
        { "\xf4\x90\x80\x80", "????" },
        { "\xe0\x80\xaf", "???" },
        { NULL, NULL }
    };

    (void) state;

    for (i = 0; texts[i][0] != NULL; i++) {
        assert_non_null(traffic(texts[i][0], 1, 1));
        assert_int_equal(sum_of(texts[i][1], &sum), 0);
    }

    /* the longest that there is room for, and one more */
    memset(name, '"', sizeof(name));
    name[1019] = '\0';
    assert_non_null(traffic(name, 1, 1));
    name[1019] = '"';
    name[1020] = '\0';
    assert_null(traffic(name, 1, 1));
}


static void
test_codes(void **state)
{
    uint32_t             i, n;
    kong_traffic_t      *t;
    kong_metrics_sum_t   sum;

    (void) state;

    t = traffic("r", 1, 1);
    n = 0;

    for (i = 999; i >= 100; i--) {
        if (kong_traffic_count(t, i) != 0
            && (kong_metrics_more(m, t) != 0
                || kong_traffic_count(t, i) != 0))
        {
            n++;
        }
    }

    assert_true(n > 0);
    assert_int_equal(sum_of("r", &sum), 0);
    assert_int_equal(sum.n_codes + n, 900);
    assert_true(sum.n_codes <= KONG_METRICS_CODES);
    assert_int_equal(sum.codes[sum.n_codes - 1].code, 999);

    for (i = 1; i < sum.n_codes; i++) {
        assert_true(sum.codes[i].code > sum.codes[i - 1].code);
    }
}


/* the counts of a worker that is gone go on with the next */
static void
test_dead(void **state)
{
    uint64_t             stamp;
    kong_traffic_t      *one, *two;
    kong_metrics_sum_t   sum;

    (void) state;

    one = traffic("r", 1, 1);
    stamp = one->head.stamp;
    one->ingress = 5;
    assert_int_equal(kong_traffic_count(one, 200), 0);

    two = traffic("r", 2, 1);
    assert_ptr_not_equal(one, two);
    two->ingress = 7;

    dead = 1;
    assert_ptr_equal(traffic("r", 3, 1), one);
    assert_true(one->head.stamp != stamp);
    assert_int_equal(one->head.owner, 3);
    one->ingress += 1;

    stamp = one->head.stamp;
    dead = 3;
    assert_ptr_equal(traffic("r", 4, 1), one);
    assert_true(one->head.stamp != stamp);

    assert_int_equal(sum_of("r", &sum), 0);
    assert_int_equal(sum.ingress, 13);
    assert_int_equal(sum.codes[0].n, 1);
}


static void
test_full(void **state)
{
    char                 name[32];
    uint32_t             i, n, k;
    uint64_t             stamp;
    kong_traffic_t      *t, *last;
    kong_metrics_key_t   key;
    kong_metrics_sum_t   sum;
    kong_metrics_labels_t  names = labels("svc", "r0", "");

    (void) state;

    last = NULL;

    for (n = 0; /* void */ ; n++) {
        (void) snprintf(name, sizeof(name), "r%u", n);
        t = traffic(name, 1, 100);

        if (t == NULL) {
            break;
        }

        t->ingress = n + 1;
        last = t;
    }

    assert_true(n > 1000);
    assert_int_equal(used(), n);

    /* all of them are in use: none is given up */
    assert_null(traffic("more", 1, 100 + KONG_METRICS_KEEP - 1));
    assert_int_equal(used(), n);

    kong_metrics_refuse(m);
    assert_int_equal(kong_metrics_refused(m), 1);

    /* those that are idle for long enough make room, at most once a minute */
    last->head.seen = 100 + KONG_METRICS_KEEP;
    key = kong_metrics_key(&names);
    t = (kong_traffic_t *) (void *)
        kong_metrics_find(m, &key, KONG_CELLS_TRAFFIC, 1);
    stamp = t->head.stamp;

    assert_null(traffic("more", 1, 100 + KONG_METRICS_KEEP));
    assert_non_null(traffic("more", 1, 100 + KONG_METRICS_KEEP + 60));
    assert_int_equal(used(), 2);
    assert_true(t->head.stamp != stamp);
    assert_null(kong_metrics_find(m, &key, KONG_CELLS_TRAFFIC, 1));

    (void) snprintf(name, sizeof(name), "r%u", n - 1);
    assert_int_equal(sum_of(name, &sum), 0);
    assert_int_equal(sum.ingress, n);
    assert_int_equal(sum_of("r0", &sum), -1);

    /* as many fit again, from zero */
    for (i = 0, k = 2; i < n - 1; i++) {
        (void) snprintf(name, sizeof(name), "s%u", i);
        t = traffic(name, 1, 100 + KONG_METRICS_KEEP + 61);

        if (t != NULL) {
            assert_int_equal(t->ingress, 0);
            t->ingress = i + 1;
            k++;
        }
    }

    for (i = 0; i < n - 2; i += 97) {
        (void) snprintf(name, sizeof(name), "s%u", i);
        assert_int_equal(sum_of(name, &sum), 0);
        assert_int_equal(sum.ingress, i + 1);
    }

    assert_in_range(k, n, n + 1);
    assert_int_equal(used(), k);
}


/* nothing is lost or mixed up, whatever comes in whatever order */
static void
test_random(void **state)
{
    char                 name[16];
    unsigned             i, k, n;
    uint64_t             expected[50];
    kong_traffic_t      *t;
    kong_metrics_sum_t   sum;

    (void) state;

    memset(expected, 0, sizeof(expected));
    srandom(7);

    for (i = 0; i < 20000; i++) {
        n = (unsigned) random() % 50;
        (void) snprintf(name, sizeof(name), "r%u", n);

        /* now and then a worker goes; another number comes */
        k = 1 + (unsigned) random() % 8 + i / 5000;
        dead = (k > 1) ? k - 1 : 0;
        t = traffic(name, k, i);
        assert_non_null(t);

        t->egress += i;
        expected[n] += i;
    }

    for (n = 0; n < 50; n++) {
        (void) snprintf(name, sizeof(name), "r%u", n);
        assert_int_equal(sum_of(name, &sum), 0);
        assert_int_equal(sum.egress, expected[n]);
    }

    assert_int_equal(used(), 50);
}


static void
test_small(void **state)
{
    (void) state;

    assert_null(kong_metrics_create(region, 4096));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_sums, begin, end),
        cmocka_unit_test(test_histograms),
        cmocka_unit_test(test_keys),
        cmocka_unit_test_setup_teardown(test_escape, begin, end),
        cmocka_unit_test_setup_teardown(test_codes, begin, end),
        cmocka_unit_test_setup_teardown(test_dead, begin, end),
        cmocka_unit_test_setup_teardown(test_full, begin, end),
        cmocka_unit_test_setup_teardown(test_random, begin, end),
        cmocka_unit_test_setup_teardown(test_small, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
