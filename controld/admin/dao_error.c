/*
 * dao_error: what the database refused, in Kong's words: SQLSTATE says what
 * kind it is, the constraint's name which fields.
 */

#include <stdio.h>
#include <string.h>

#include "../log.h"
#include "../model/json.h"
#include "dao.h"


static int dao_unique(dao_t *d, const schema_t *s, const value_t *entity);
static int dao_unique_of(dao_t *d, const value_t *fields);
static int dao_foreign(dao_t *d, const schema_t *s, const value_t *entity);
static int dao_not_null(dao_t *d, const schema_t *s, const value_t *entity);
static const char *dao_constraint(dao_t *d, const schema_t *s);
static unsigned dao_names(const char *constraint, const char *field);


int
dao_fail(dao_t *d, int status, unsigned code, const char *name,
    const char *message, const value_t *fields)
{
    dao_error_t  *e;

    e = &d->error;
    memset(e, 0, sizeof(dao_error_t));
    e->status = status;
    e->code = code;
    e->name = name;
    e->message = message;

    if (fields != NULL) {
        e->fields = *fields;
    }

    return DAO_FAILED;
}


int
dao_failed(dao_t *d, const schema_t *s, const value_t *entity)
{
    size_t       i;
    pg_t        *pg;
    const char  *state;

    /* a moment's trouble, and what never is this client's */
    static const struct {
        const char  *state;
        unsigned     again;
    } busy[] = {
        { "40001", 1 }, { "40P01", 1 }, { "57014", 0 }, { "55P03", 0 },
        { "25006", 0 }, { "53", 0 }, { "57P", 0 }, { "08", 0 },
        { NULL, 0 }
    };

    pg = d->link->pg;
    state = pg_sqlstate(pg);

    if (strcmp(state, "23505") == 0) {
        return dao_unique(d, s, entity);
    }

    if (strcmp(state, "23503") == 0) {
        return dao_foreign(d, s, entity);
    }

    if (strcmp(state, "23502") == 0 && entity != NULL) {
        return dao_not_null(d, s, entity);
    }

    for (i = 0; state[0] != '\0' && busy[i].state != NULL; i++) {
        if (strncmp(state, busy[i].state, strlen(busy[i].state)) == 0) {
            log_write(LOG_ERR, "admin: the database: %s", pg_error(pg));
            (void) dao_fail(d, 503, 0, NULL,
                            "the database could not do it in time", NULL);
            d->error.again = busy[i].again;

            /* a primary that became a replica: the next one looks anew */

            if (strcmp(state, "25006") == 0) {
                pg_close(pg);
            }

            return DAO_FAILED;
        }
    }

    /* a value that fits its schema and no column: too large, out of range */

    if (strncmp(state, "22", 2) == 0 || strncmp(state, "54", 2) == 0) {
        return dao_fail(d, 400, 2, "schema violation",
                        arena_printf(d->arena, "schema violation (%s)",
                                     pg_error(pg)), NULL);
    }

    log_write(LOG_ERR, "admin: the database: %s", pg_error(pg));

    if (pg_error_stale(pg)) {
        (void) dao_fail(d, 503, 0, NULL, "the database has changed", NULL);
        d->error.again = 1;
        return DAO_FAILED;
    }

    if (state[0] == '\0') {
        return dao_fail(d, 503, 0, NULL, "the database is not reachable",
                        NULL);
    }

    return dao_fail(d, 500, 0, NULL, "An unexpected error occurred", NULL);
}


/* a column that must have what its field need not */
static int
dao_not_null(dao_t *d, const schema_t *s, const value_t *entity)
{
    const field_t  *f;

    for (f = s->fields; f->name != NULL; f++) {
        if (value_is_null(value_get(entity, f->name))
            && strstr(pg_error(d->link->pg),
                      arena_printf(d->arena, "column \"%s\"", f->name))
               != NULL)
        {
            return dao_violation_of(d, f->name, "required field missing");
        }
    }

    return dao_fail(d, 400, 2, "schema violation",
                    "schema violation (required field missing)", NULL);
}


/* the constraint's name behind "<table>_" */
static const char *
dao_constraint(dao_t *d, const schema_t *s)
{
    size_t       len;
    const char  *name, *table;

    name = pg_constraint(d->link->pg);
    table = dao_table(s);
    len = strlen(table);

    return (strncmp(name, table, len) == 0 && name[len] == '_')
           ? name + len + 1 : name;
}


static int
dao_unique(dao_t *d, const schema_t *s, const value_t *entity)
{
    value_t              fields, *v;
    const char          *name;
    const field_t       *f;
    const char *const   *key;

    name = dao_constraint(d, s);
    value_set_object(&fields);

    if (strcmp(name, "pkey") == 0) {
        *value_put(d->arena, &fields, "id") = *value_get(entity, "id");

        return dao_fail(d, 400, 3, "primary key violation",
                        arena_printf(d->arena, "primary key violation on key "
                                     "'%s'", json_print_lua(d->arena, &fields,
                                                            NULL)),
                        &fields);
    }

    if (strncmp(name, "cache_key", 9) == 0) {
        for (key = s->cache_key; key != NULL && *key != NULL; key++) {
            v = value_get(entity, *key);

            if (v != NULL) {
                *value_put(d->arena, &fields, *key) = *v;
            } else {
                (void) value_put(d->arena, &fields, *key);
            }
        }

        return dao_unique_of(d, &fields);
    }

    for (f = s->fields; f->name != NULL; f++) {
        v = value_get(entity, f->name);

        if (v != NULL && dao_names(name, f->name)) {
            *value_put(d->arena, &fields, f->name) = *v;
        }
    }

    return dao_unique_of(d, &fields);
}


static int
dao_unique_of(dao_t *d, const value_t *fields)
{
    return dao_fail(d, 409, 5, "unique constraint violation",
                    arena_printf(d->arena, "UNIQUE violation detected on "
                                 "'%s'",
                                 json_print_lua(d->arena, fields, NULL)),
                    fields);
}


/* "name_key", "ws_id_name_unique", "name_idx", "name_ws_id_key" */
static unsigned
dao_names(const char *constraint, const char *field)
{
    size_t       i, len;
    const char  *p;

    static const char *const  ends[] = {
        "_key", "_unique", "_idx", "_ws_id_key", "_ws_id_unique", NULL
    };

    p = constraint;
    len = strlen(field);

    if (strncmp(p, "ws_id_", 6) == 0) {
        p += 6;
    }

    if (strncmp(p, field, len) != 0) {
        return 0;
    }

    for (i = 0; ends[i] != NULL; i++) {
        if (strcmp(p + len, ends[i]) == 0) {
            return 1;
        }
    }

    return 0;
}


/* `entity` NULL: a row is to go that another one needs */
static int
dao_foreign(dao_t *d, const schema_t *s, const value_t *entity)
{
    value_t         fields, *v;
    const char     *name, *other;
    const field_t  *f;

    name = dao_constraint(d, s);
    value_set_object(&fields);

    if (entity == NULL) {
        other = arena_printf(d->arena, "%s", pg_table(d->link->pg));
        value_set_string(value_put(d->arena, &fields, "@referenced_by"),
                         other, strlen(other));

        return dao_fail(d, 400, 4, "foreign key violation",
                        arena_printf(d->arena, "an existing '%s' entity "
                                     "references this '%s' entity", other,
                                     s->name), &fields);
    }

    if (strcmp(name, "ws_id_fkey") == 0) {
        name = arena_printf(d->arena, "invalid workspace '%s'",
                            d->link->ws_id);
        log_write(LOG_ERR, "admin: %s", name);
        pg_close(d->link->pg);           /* the next one learns its id */

        return dao_fail(d, 500, 17, "invalid workspace", name, NULL);
    }

    for (f = s->fields; f->name != NULL; f++) {
        v = value_get(entity, f->name);

        if (f->type != FIELD_FOREIGN || value_is_null(v)
            || strcmp(name, arena_printf(d->arena, "%s_id_fkey", f->name))
               != 0)
        {
            continue;
        }

        *value_put(d->arena, &fields, f->name) = *v;

        return dao_fail(d, 400, 4, "foreign key violation",
                        arena_printf(d->arena, "the foreign key '%s' does "
                                     "not reference an existing '%s' "
                                     "entity.",
                                     json_print_lua(d->arena, v, NULL),
                                     f->foreign), &fields);
    }

    return dao_fail(d, 400, 4, "foreign key violation",
                    "foreign key violation", NULL);
}


int
dao_violation(dao_t *d, const value_t *errors)
{
    return dao_fail(d, 400, 2, "schema violation",
                    schema_error_message(d->arena, errors), errors);
}


int
dao_violation_of(dao_t *d, const char *field, const char *text)
{
    value_t  errors;

    value_set_object(&errors);
    schema_error(&d->ctx, &errors, field, "%s", text);

    return dao_violation(d, &errors);
}


int
dao_missing(dao_t *d, const char *field, const value_t *key)
{
    value_t  fields;

    value_set_object(&fields);
    *value_put(d->arena, &fields, field) = *key;

    return dao_fail(d, 404, 6, "not found",
                    arena_printf(d->arena, "could not find the entity with "
                                 "%s'%s'",
                                 strcmp(field, "id") == 0 ? "primary key "
                                                          : "",
                                 json_print_lua(d->arena, &fields, NULL)),
                    &fields);
}
