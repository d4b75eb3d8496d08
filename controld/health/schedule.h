/*
 * schedule: which target is to be probed when.  Knows nothing of clocks,
 * connections or nginx: the caller says what time it is (ms of any clock that
 * only grows), runs what schedule_next() gives, and says when it has.
 *
 * Groups (upstreams) and items (addresses) are the caller's, zeroed before
 * they are added and embedded in what they stand for.
 */

#ifndef KONG_HEALTH_SCHEDULE_H
#define KONG_HEALTH_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>


#define SCHEDULE_NEVER  (-1)

typedef struct schedule_s        schedule_t;
typedef struct schedule_group_s  schedule_group_t;
typedef struct schedule_item_s   schedule_item_t;

struct schedule_group_s {
    int64_t            up;           /* ms between probes of what is well; */
    int64_t            down;         /* of what is not; 0: none */
    unsigned           concurrency;  /* at least 1 */

    unsigned           running;
    schedule_item_t   *first;        /* due, but the group has no place */
    schedule_item_t  **last;
};

struct schedule_item_s {
    schedule_group_t  *group;
    int64_t            due;
    int64_t            started;      /* the probe under way, or the last */
    size_t             place;        /* in the heap, from 1; 0: not there */
    schedule_item_t   *next;         /* of its group, waiting */
    unsigned           is_down:1;
    unsigned           running:1;
    unsigned           waiting:1;
};


/* `limit` is that of all groups; NULL: out of memory */
schedule_t *schedule_new(unsigned limit, uint64_t seed);
/* the items are the caller's; NULL is fine */
void schedule_free(schedule_t *s);

/* the item's group is set.  It is due within a second, or its interval if
 * that is shorter.  0, or -1: out of memory */
int schedule_add(schedule_t *s, schedule_item_t *item, int64_t now);
/* a probe of it that is under way is the caller's to end */
void schedule_remove(schedule_t *s, schedule_item_t *item);

/* what is due and may run, and runs from now on; NULL: nothing */
schedule_item_t *schedule_next(schedule_t *s, int64_t now);
/* ms until schedule_next() may have something; SCHEDULE_NEVER: until
 * something else has happened */
int64_t schedule_wait(const schedule_t *s, int64_t now);

/* the probe has ended; the next one comes an interval after its start */
void schedule_done(schedule_t *s, schedule_item_t *item, int64_t now);
/* it has not told anything: another one follows soon */
void schedule_again(schedule_t *s, schedule_item_t *item, int64_t now);

/* the item went up or down: the interval of its new state begins */
void schedule_turn(schedule_t *s, schedule_item_t *item, unsigned is_down,
    int64_t now);
/* the intervals of its group have been changed */
void schedule_revise(schedule_t *s, schedule_item_t *item, int64_t now);

#endif
