/*
 * schedule: a heap of what is due, earliest first.  An item that is due while
 * its group is full waits in the group and comes back into the heap, with the
 * time that it was due, when a place is free.  Intervals vary by a twentieth,
 * so that what began together does not stay together.
 */

#include <stdlib.h>

#include "schedule.h"


#define SCHEDULE_SOON    1000      /* ms */
#define SCHEDULE_JITTER  20        /* the part of an interval */

struct schedule_s {
    schedule_item_t  **heap;       /* from 1 on */
    size_t             n;
    size_t             items;      /* there is room for all in the heap */
    size_t             size;
    unsigned           limit;
    unsigned           running;
    uint64_t           random;
};


static int64_t schedule_interval(const schedule_item_t *item);
static int64_t schedule_vary(schedule_t *s, int64_t ms);
static int64_t schedule_soon(schedule_t *s, const schedule_item_t *item,
    int64_t now);
static uint64_t schedule_random(schedule_t *s, uint64_t below);
static void schedule_end(schedule_t *s, schedule_item_t *item);
static void schedule_put(schedule_t *s, schedule_item_t *item, int64_t due);
static void schedule_take(schedule_t *s, schedule_item_t *item);
static void schedule_park(schedule_item_t *item);
static void schedule_unpark(schedule_t *s, schedule_group_t *g);
static void schedule_up(schedule_t *s, size_t i);
static void schedule_down(schedule_t *s, size_t i);
static void schedule_set(schedule_t *s, size_t i, schedule_item_t *item);


schedule_t *
schedule_new(unsigned limit, uint64_t seed)
{
    schedule_t  *s;

    s = calloc(1, sizeof(schedule_t));
    if (s == NULL) {
        return NULL;
    }

    s->limit = limit;
    s->random = seed | 1;

    return s;
}


void
schedule_free(schedule_t *s)
{
    if (s != NULL) {
        free(s->heap);
        free(s);
    }
}


int
schedule_add(schedule_t *s, schedule_item_t *item, int64_t now)
{
    size_t             size;
    schedule_item_t  **heap;

    if (s->items + 2 > s->size) {
        size = (s->size == 0) ? 64 : s->size * 2;
        heap = realloc(s->heap, size * sizeof(schedule_item_t *));
        if (heap == NULL) {
            return -1;
        }

        s->heap = heap;
        s->size = size;
    }

    s->items++;
    schedule_put(s, item, schedule_soon(s, item, now));

    return 0;
}


void
schedule_remove(schedule_t *s, schedule_item_t *item)
{
    s->items--;
    schedule_take(s, item);

    if (item->running) {
        schedule_end(s, item);
    }
}


schedule_item_t *
schedule_next(schedule_t *s, int64_t now)
{
    schedule_item_t  *item;

    while (s->running < s->limit && s->n != 0 && s->heap[1]->due <= now) {

        item = s->heap[1];
        schedule_take(s, item);

        if (item->group->running >= item->group->concurrency) {
            schedule_park(item);
            continue;
        }

        item->running = 1;
        item->started = now;
        item->group->running++;
        s->running++;

        return item;
    }

    return NULL;
}


int64_t
schedule_wait(const schedule_t *s, int64_t now)
{
    if (s->n == 0 || s->running >= s->limit) {
        return SCHEDULE_NEVER;
    }

    return (s->heap[1]->due > now) ? s->heap[1]->due - now : 0;
}


void
schedule_done(schedule_t *s, schedule_item_t *item, int64_t now)
{
    int64_t  due;

    schedule_end(s, item);

    due = item->started + schedule_vary(s, schedule_interval(item));
    schedule_put(s, item, (due > now) ? due : now);
}


void
schedule_again(schedule_t *s, schedule_item_t *item, int64_t now)
{
    int64_t  soon;

    soon = schedule_soon(s, item, now);

    if (item->running) {
        schedule_end(s, item);
    }

    if (item->place == 0 || item->due > soon) {
        schedule_take(s, item);
        schedule_put(s, item, soon);
    }
}


void
schedule_turn(schedule_t *s, schedule_item_t *item, unsigned is_down,
    int64_t now)
{
    if (item->is_down == (is_down != 0)) {
        return;
    }

    item->is_down = (is_down != 0);

    if (!item->running) {
        schedule_take(s, item);
        schedule_put(s, item,
                     now + schedule_vary(s, schedule_interval(item)));
    }
}


void
schedule_revise(schedule_t *s, schedule_item_t *item, int64_t now)
{
    int64_t   latest;
    unsigned  was;

    if (item->running) {
        return;
    }

    was = (item->place != 0 || item->waiting);
    latest = was ? now + schedule_vary(s, schedule_interval(item))
                 : schedule_soon(s, item, now);

    schedule_take(s, item);
    schedule_put(s, item, (was && item->due < latest) ? item->due : latest);
}


static int64_t
schedule_interval(const schedule_item_t *item)
{
    return item->is_down ? item->group->down : item->group->up;
}


static int64_t
schedule_vary(schedule_t *s, int64_t ms)
{
    int64_t  part;

    part = ms / SCHEDULE_JITTER;

    return ms - part + (int64_t) schedule_random(s, (uint64_t) part * 2 + 1);
}


static int64_t
schedule_soon(schedule_t *s, const schedule_item_t *item, int64_t now)
{
    int64_t  ms;

    ms = schedule_interval(item);
    ms = (ms > SCHEDULE_SOON) ? SCHEDULE_SOON : ms;

    return now + (int64_t) schedule_random(s, (uint64_t) ms + 1);
}


static uint64_t
schedule_random(schedule_t *s, uint64_t below)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;

    return (s->random >> 11) % below;
}


static void
schedule_end(schedule_t *s, schedule_item_t *item)
{
    item->running = 0;
    item->group->running--;
    s->running--;

    schedule_unpark(s, item->group);
}


/* nowhere, if such items are not probed */
static void
schedule_put(schedule_t *s, schedule_item_t *item, int64_t due)
{
    if (schedule_interval(item) == 0) {
        return;
    }

    item->due = due;
    schedule_set(s, ++s->n, item);
    schedule_up(s, s->n);
}


static void
schedule_take(schedule_t *s, schedule_item_t *item)
{
    size_t             i;
    schedule_item_t  **p;

    if (item->waiting) {
        for (p = &item->group->first; *p != item; p = &(*p)->next) {
            /* void */
        }

        *p = item->next;

        if (*p == NULL) {
            item->group->last = p;
        }

        item->waiting = 0;
        return;
    }

    i = item->place;

    if (i == 0) {
        return;
    }

    item->place = 0;

    if (i == s->n--) {
        return;
    }

    item = s->heap[s->n + 1];
    schedule_set(s, i, item);
    schedule_up(s, i);
    schedule_down(s, item->place);
}


static void
schedule_park(schedule_item_t *item)
{
    schedule_group_t  *g;

    g = item->group;

    if (g->first == NULL) {
        g->last = &g->first;
    }

    item->waiting = 1;
    item->next = NULL;
    *g->last = item;
    g->last = &item->next;
}


static void
schedule_unpark(schedule_t *s, schedule_group_t *g)
{
    schedule_item_t  *item;

    item = g->first;

    if (item != NULL) {
        schedule_take(s, item);
        schedule_put(s, item, item->due);
    }
}


static void
schedule_up(schedule_t *s, size_t i)
{
    schedule_item_t  *item;

    for (item = s->heap[i]; i > 1 && s->heap[i / 2]->due > item->due; i /= 2)
    {
        schedule_set(s, i, s->heap[i / 2]);
    }

    schedule_set(s, i, item);
}


static void
schedule_down(schedule_t *s, size_t i)
{
    size_t            k;
    schedule_item_t  *item;

    item = s->heap[i];

    while ((k = i * 2) <= s->n) {

        if (k < s->n && s->heap[k + 1]->due < s->heap[k]->due) {
            k++;
        }

        if (s->heap[k]->due >= item->due) {
            break;
        }

        schedule_set(s, i, s->heap[k]);
        i = k;
    }

    schedule_set(s, i, item);
}


static void
schedule_set(schedule_t *s, size_t i, schedule_item_t *item)
{
    s->heap[i] = item;
    item->place = i;
}
