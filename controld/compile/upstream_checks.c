/*
 * upstream_checks: see upstream_checks.h.
 */

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "upstream_checks.h"


static void checks_read(const value_t *v, kong_checks_t *out);
static uint8_t checks_count(const value_t *v, const char *path);
static void checks_statuses(const value_t *list, kong_statuses_t *out);
static double checks_number(const value_t *v, const char *path);


void
checks_init(checks_t *c, arena_t *a, size_t n)
{
    for (c->size = 16; c->size < n * 2; c->size *= 2) { /* void */ }

    c->n = 0;
    c->records = arena_alloc(a, (n + 1) * sizeof(kong_health_t));
    c->table = arena_zalloc(a, c->size * sizeof(uint32_t));
}


uint32_t
checks_add(checks_t *c, const value_t *v)
{
    size_t          i;
    kong_health_t  *h;

    if (!checks_on(v)) {
        return KONG_NONE;
    }

    h = &c->records[c->n];
    memset(h, 0, sizeof(kong_health_t));

    checks_read(value_get(v, "passive"), &h->passive);
    checks_read(value_get(v, "active"), &h->active);

    i = XXH3_64bits(h, sizeof(kong_health_t)) & (c->size - 1);

    while (c->table[i] != 0) {
        if (memcmp(&c->records[c->table[i] - 1], h, sizeof(kong_health_t))
            == 0)
        {
            return c->table[i] - 1;
        }

        i = (i + 1) & (c->size - 1);
    }

    c->table[i] = (uint32_t) ++c->n;

    return c->table[i] - 1;
}


unsigned
checks_on(const value_t *v)
{
    size_t  i;

    static const char *const  paths[] = {
        "active.healthy.interval",
        "active.unhealthy.interval",
        "passive.unhealthy.tcp_failures",
        "passive.unhealthy.timeouts",
        "passive.unhealthy.http_failures"
    };

    for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (checks_number(v, paths[i]) > 0) {
            return 1;
        }
    }

    return 0;
}


static void
checks_read(const value_t *v, kong_checks_t *out)
{
    checks_statuses(value_path(v, "healthy.http_statuses"), &out->healthy);
    checks_statuses(value_path(v, "unhealthy.http_statuses"),
                    &out->unhealthy);

    out->successes = checks_count(v, "healthy.successes");
    out->tcp_failures = checks_count(v, "unhealthy.tcp_failures");
    out->timeouts = checks_count(v, "unhealthy.timeouts");
    out->http_failures = checks_count(v, "unhealthy.http_failures");
}


static uint8_t
checks_count(const value_t *v, const char *path)
{
    double  n;

    n = checks_number(v, path);

    return (uint8_t) ((n < 0) ? 0 : (n > UINT8_MAX) ? UINT8_MAX : n);
}


static void
checks_statuses(const value_t *list, kong_statuses_t *out)
{
    size_t          i;
    unsigned        status;
    const value_t  *v;

    for (i = 0; (v = value_at(list, i)) != NULL; i++) {

        if (v->kind != VALUE_NUMBER || v->u.number < KONG_STATUS_MIN
            || v->u.number > KONG_STATUS_MAX)
        {
            continue;
        }

        status = (unsigned) v->u.number - KONG_STATUS_MIN;
        out->bits[status / 32] |= 1u << (status % 32);
    }
}


static double
checks_number(const value_t *v, const char *path)
{
    v = value_path(v, path);

    return (v != NULL && v->kind == VALUE_NUMBER) ? v->u.number : 0;
}


void
checks_write(checks_t *c, writer_t *w)
{
    void  *to;

    to = writer_records(w, KONG_SECTION_HEALTH, c->n, sizeof(kong_health_t));

    if (to != NULL) {
        memcpy(to, c->records, c->n * sizeof(kong_health_t));
    }
}
