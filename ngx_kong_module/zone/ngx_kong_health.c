/*
 * A target's health: one word of state and counters, changed as a whole.
 * The rules are those of Kong's health checks: a success forgives failures,
 * a failure only successes; what says again what is firm is not counted.
 */

#include "ngx_kong_targets.h"


#define ngx_kong_health_byte(word, n)  (((word) >> (8 * (n))) & 0xff)

#define NGX_KONG_HEALTH_FAILURES  0xffffff0000ULL
#define NGX_KONG_HEALTH_SUCCESS   0x000000ff00ULL


static ngx_uint_t ngx_kong_health_next(uint64_t *word,
    ngx_kong_health_count_t kind, ngx_uint_t limit);


void
ngx_kong_target_report(ngx_kong_target_t *t, ngx_kong_health_count_t kind,
    ngx_uint_t limit, ngx_kong_health_report_t *report)
{
    uint64_t    old, word;
    ngx_uint_t  firm;

    ngx_memzero(report, sizeof(ngx_kong_health_report_t));

    if (t == NULL || limit == 0) {
        return;
    }

    firm = (kind == NGX_KONG_COUNT_SUCCESS) ? NGX_KONG_HEALTHY
                                            : NGX_KONG_UNHEALTHY;

    do {
        old = t->health;

        if (ngx_kong_health_byte(old, 0) == firm) {
            return;
        }

        word = old;
        report->count = ngx_kong_health_next(&word, kind, limit);

    } while (!ngx_atomic_cmp_set(&t->health, old, word));

    if (word != old) {
        ngx_kong_targets_changed();
    }

    report->state = ngx_kong_health_byte(word, 0);
    report->changed = (report->state <= NGX_KONG_MOSTLY_HEALTHY)
                  != (ngx_kong_health_byte(old, 0) <= NGX_KONG_MOSTLY_HEALTHY);
}


static ngx_uint_t
ngx_kong_health_next(uint64_t *word, ngx_kong_health_count_t kind,
    ngx_uint_t limit)
{
    uint64_t    state, next;
    ngx_uint_t  count;

    next = *word;
    state = next & 0xff;
    count = ngx_kong_health_byte(next, kind);
    count += (count < 0xff);

    next &= ~((uint64_t) 0xff << (8 * kind));
    next |= (uint64_t) count << (8 * kind);
    next &= (kind == NGX_KONG_COUNT_SUCCESS) ? ~NGX_KONG_HEALTH_FAILURES
                                             : ~NGX_KONG_HEALTH_SUCCESS;

    if (count >= limit) {
        state = (kind == NGX_KONG_COUNT_SUCCESS) ? NGX_KONG_HEALTHY
                                                 : NGX_KONG_UNHEALTHY;

    } else if (state == NGX_KONG_HEALTHY
               && (next & NGX_KONG_HEALTH_FAILURES) != 0)
    {
        state = NGX_KONG_MOSTLY_HEALTHY;

    } else if (state == NGX_KONG_UNHEALTHY
               && (next & NGX_KONG_HEALTH_SUCCESS) != 0)
    {
        state = NGX_KONG_MOSTLY_UNHEALTHY;
    }

    *word = (next & ~0xffULL) | state;

    return count;
}


ngx_uint_t
ngx_kong_target_set_health(ngx_kong_target_t *t,
    ngx_kong_health_state_t state)
{
    uint64_t  old;

    do {
        old = t->health;
    } while (!ngx_atomic_cmp_set(&t->health, old, state));

    if (old != (uint64_t) state) {
        ngx_kong_targets_changed();
    }

    return (state <= NGX_KONG_MOSTLY_HEALTHY)
           != ((old & 0xff) <= NGX_KONG_MOSTLY_HEALTHY);
}
