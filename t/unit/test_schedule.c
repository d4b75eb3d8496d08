/*
 * Who is probed when: intervals of what is up and down, places in a group and
 * in all, changes of state and of settings, what goes away meanwhile.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "controld/health/schedule.h"


#define MANY  1000


static void
group(schedule_group_t *g, int64_t up, int64_t down, unsigned concurrency)
{
    memset(g, 0, sizeof(schedule_group_t));
    g->up = up;
    g->down = down;
    g->concurrency = concurrency;
}


static void
add(schedule_t *s, schedule_item_t *item, schedule_group_t *g, int64_t now)
{
    memset(item, 0, sizeof(schedule_item_t));
    item->group = g;
    assert_int_equal(schedule_add(s, item, now), 0);
}


/* runs it at the time it is due, which is returned */
static int64_t
run(schedule_t *s, schedule_item_t *item, int64_t now)
{
    now += schedule_wait(s, now);
    assert_ptr_equal(schedule_next(s, now), item);

    return now;
}


static void
test_intervals(void **state)
{
    int              i, early, late;
    int64_t          now, was;
    schedule_t      *s;
    schedule_item_t  item;
    schedule_group_t g;

    (void) state;

    early = 0;
    late = 0;
    s = schedule_new(8, 1);
    group(&g, 10000, 400, 2);

    /* the first one comes within a second, however long the interval is */
    add(s, &item, &g, 5000);
    assert_in_range(schedule_wait(s, 5000), 0, 1000);
    was = run(s, &item, 5000);
    assert_int_equal(schedule_wait(s, was), SCHEDULE_NEVER);
    assert_null(schedule_next(s, was + 100000));
    schedule_done(s, &item, was + 50);

    for (i = 0; i < 200; i++) {
        now = run(s, &item, was + 50);
        assert_in_range(now - was, 9500, 10500);
        schedule_done(s, &item, now + 50);
        early += (now - was < 9800);
        late += (now - was > 10200);
        was = now;
    }

    /* neither all at once nor ever later */
    assert_in_range(early, 20, 100);
    assert_in_range(late, 20, 100);

    /* down: the other interval, from now on */
    schedule_turn(s, &item, 1, was + 1000);
    now = run(s, &item, was + 1000);
    assert_in_range(now - was, 1380, 1420);

    /* one that took longer than the interval is followed at once */
    schedule_done(s, &item, now + 1000);
    assert_int_equal(schedule_wait(s, now + 1000), 0);
    was = run(s, &item, now + 1000);

    /* up while it runs */
    schedule_turn(s, &item, 0, was + 1);
    schedule_done(s, &item, was + 2);
    assert_in_range(schedule_wait(s, was), 9500, 10500);

    /* nothing was learned: soon again */
    now = run(s, &item, was);
    schedule_again(s, &item, now);
    assert_in_range(schedule_wait(s, now), 0, 1000);

    schedule_remove(s, &item);
    assert_int_equal(schedule_wait(s, now), SCHEDULE_NEVER);
    schedule_free(s);
}


static void
test_off(void **state)
{
    int64_t           now;
    schedule_t       *s;
    schedule_item_t   item;
    schedule_group_t  g;

    (void) state;

    s = schedule_new(8, 2);
    group(&g, 0, 300, 2);
    add(s, &item, &g, 0);

    /* what is healthy is not probed */
    assert_int_equal(schedule_wait(s, 0), SCHEDULE_NEVER);
    assert_null(schedule_next(s, 1000000));

    schedule_turn(s, &item, 1, 1000);
    assert_in_range(schedule_wait(s, 1000), 285, 315);
    now = run(s, &item, 1000);

    /* back up while it was probed: no more */
    schedule_turn(s, &item, 0, now);
    schedule_done(s, &item, now);
    assert_int_equal(schedule_wait(s, now), SCHEDULE_NEVER);

    /* switched on, changed, switched off */
    g.up = 60000;
    schedule_revise(s, &item, now);
    assert_in_range(schedule_wait(s, now), 0, 1000);
    now = run(s, &item, now);
    schedule_done(s, &item, now);
    assert_in_range(schedule_wait(s, now), 57000, 63000);

    g.up = 1000;
    schedule_revise(s, &item, now);
    assert_in_range(schedule_wait(s, now), 950, 1050);

    /* a longer one does not put off what is due */
    g.up = 60000;
    schedule_revise(s, &item, now);
    assert_in_range(schedule_wait(s, now), 950, 1050);

    g.up = 0;
    schedule_revise(s, &item, now);
    assert_int_equal(schedule_wait(s, now), SCHEDULE_NEVER);

    schedule_again(s, &item, now);
    assert_int_equal(schedule_wait(s, now), SCHEDULE_NEVER);

    schedule_remove(s, &item);
    schedule_free(s);
}


static void
test_places(void **state)
{
    size_t             i, n;
    schedule_t        *s;
    schedule_item_t    a[6], b[6];
    schedule_group_t   one, two;

    (void) state;

    s = schedule_new(5, 3);
    group(&one, 100, 100, 2);
    group(&two, 100, 100, 4);

    for (i = 0; i < 6; i++) {
        add(s, &a[i], &one, 0);
        add(s, &b[i], &two, 0);
    }

    /* five in all, no more than two of them from the first */
    for (n = 0; schedule_next(s, 1000) != NULL; n++) { /* void */ }

    assert_int_equal(n, 5);
    assert_in_range(one.running, 1, 2);
    assert_int_equal(one.running + two.running, 5);
    assert_int_equal(schedule_wait(s, 1000), SCHEDULE_NEVER);

    /* what goes away, running or waiting or neither, leaves a place */
    for (i = 0; i < 6; i++) {
        schedule_remove(s, &b[i]);
    }

    assert_int_equal(two.running, 0);

    while (schedule_next(s, 1000) != NULL) { /* void */ }
    assert_int_equal(one.running, 2);
    assert_non_null(one.first);

    /* each has its turn, in the order they were due */
    for (i = 0; i < 6; i++) {
        if (a[i].waiting) {
            schedule_remove(s, &a[i]);
            break;
        }
    }

    assert_true(i < 6);
    n = i;

    for (i = 0; i < 6; i++) {
        if (a[i].running) {
            schedule_done(s, &a[i], 1001);
            assert_non_null(schedule_next(s, 1001));
            assert_int_equal(one.running, 2);
        }
    }

    for (i = 0; i < 6; i++) {
        if (i != n) {
            schedule_remove(s, &a[i]);
        }
    }

    assert_int_equal(one.running, 0);
    assert_null(one.first);
    assert_null(schedule_next(s, 100000));
    assert_int_equal(schedule_wait(s, 0), SCHEDULE_NEVER);
    schedule_free(s);
}


/* a state that changes while the item waits for a place, and revisions then */
static void
test_waiting(void **state)
{
    schedule_t       *s;
    schedule_item_t   item[3];
    schedule_group_t  g;

    (void) state;

    s = schedule_new(8, 4);
    group(&g, 100, 5000, 1);
    add(s, &item[0], &g, 0);
    assert_ptr_equal(schedule_next(s, 1000), &item[0]);
    add(s, &item[1], &g, 0);
    add(s, &item[2], &g, 0);
    assert_null(schedule_next(s, 1000));
    assert_int_equal(item[1].waiting + item[2].waiting, 2);

    schedule_turn(s, &item[1], 1, 1000);
    assert_int_equal(item[1].waiting, 0);
    assert_in_range(schedule_wait(s, 1000), 4750, 5250);

    g.concurrency = 2;
    schedule_revise(s, &item[2], 1000);
    assert_ptr_equal(schedule_next(s, 1000), &item[2]);

    schedule_remove(s, &item[0]);
    schedule_remove(s, &item[1]);
    schedule_remove(s, &item[2]);
    assert_int_equal(g.running, 0);
    schedule_free(s);
}


/* a thousand items, ten minutes: each as often as its interval wants, never
 * more under way than there are places, and after a while not in step */
static void
test_many(void **state)
{
    size_t             i, running, most;
    int64_t            now;
    schedule_t        *s;
    schedule_item_t   *item;
    schedule_group_t   g[10];

    static int              counts[MANY];
    static int64_t          ends[MANY];
    static schedule_item_t  items[MANY];

    (void) state;

    s = schedule_new(64, 5);

    for (i = 0; i < 10; i++) {
        group(&g[i], 30000, 1000, 10);
    }

    for (i = 0; i < MANY; i++) {
        add(s, &items[i], &g[i % 10], 0);
        schedule_turn(s, &items[i], i % 50 == 0, 0);
    }

    for (now = 0, running = 0, most = 0; now < 600000; now += 5) {

        for (i = 0; i < MANY; i++) {
            if (items[i].running && ends[i] <= now) {
                schedule_done(s, &items[i], now);
                running--;
            }
        }

        while ((item = schedule_next(s, now)) != NULL) {
            i = (size_t) (item - items);
            counts[i]++;
            ends[i] = now + 10;
            running++;
        }

        if (now > 300000 && running > most) {
            most = running;
        }

        for (i = 0; i < 10; i++) {
            assert_in_range(g[i].running, 0, 10);
        }

        assert_in_range(running, 0, 64);
    }

    for (i = 0; i < MANY; i++) {
        assert_in_range(counts[i], i % 50 == 0 ? 580 : 18,
                        i % 50 == 0 ? 630 : 23);
        schedule_remove(s, &items[i]);
    }

    /* a thousand in thirty seconds, ten milliseconds each */
    assert_in_range(most, 1, 20);
    schedule_free(s);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_many)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
