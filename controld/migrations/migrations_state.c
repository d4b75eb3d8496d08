/*
 * migrations_state: what a database has of Kong's migrations and of ours,
 * compared with the lists of 3.9, and what that means for a start.
 */

#include <string.h>

#include "../model/json.h"
#include "migrations.h"


static int migrations_exists(migrations_t *m, const char *table, int *exists,
    const char **err);
static value_t *migrations_rows(migrations_t *m, const char **err);
static int migrations_array(arena_t *a, const char *text, value_t *out,
    const char **err);
static void migrations_compare(migrations_t *m,
    const migrations_subsystem_t *sub, const value_t *row,
    migrations_state_t *out);
static void migrations_unknown(migrations_t *m, const value_t *rows,
    migrations_state_t *out);
static int migrations_own_state(migrations_t *m, migrations_state_t *out,
    const char **err);
static int migrations_enabled(const migrations_t *m, const char *name);
static int migrations_has(const value_t *array, const char *name);
static void migrations_add(arena_t *a, const value_t **set,
    const char *subsystem, const char *name);


const char  migrations_needs_bootstrap[] =
    "Database needs bootstrapping or is older than Kong 1.0.\n\n"
    "To start a new installation from scratch, run 'kong migrations "
    "bootstrap'.";


int
migrations_state(migrations_t *m, migrations_state_t *out, const char **err)
{
    int                            exists;
    value_t                       *rows;
    const migrations_subsystem_t  *sub;

    memset(out, 0, sizeof(*out));

    if (migrations_exists(m, "schema_meta", &exists, err) == -1) {
        return -1;
    }

    rows = NULL;

    if (exists) {
        rows = migrations_rows(m, err);
        if (rows == NULL) {
            return -1;
        }
    }

    /* a table without core's row is one that a dead bootstrap left */

    out->needs_bootstrap = (value_get(rows, "core") == NULL);

    for (sub = migrations_kong; sub->name != NULL; sub++) {
        if (migrations_enabled(m, sub->name) || value_get(rows, sub->name)) {
            migrations_compare(m, sub, value_get(rows, sub->name), out);
        }
    }

    migrations_unknown(m, rows, out);

    return migrations_own_state(m, out, err);
}


static int
migrations_exists(migrations_t *m, const char *table, int *exists,
    const char **err)
{
    pg_arg_t   arg;
    PGresult  *res;

    arg.type = PG_TYPE_TEXT;
    arg.text = table;

    res = pg_query(m->pg, "SELECT 1 FROM pg_class c JOIN pg_namespace n "
                   "ON n.oid = c.relnamespace WHERE c.relname = $1 "
                   "AND n.nspname = current_setting('controld.schema')",
                   &arg, 1);

    if (res == NULL) {
        *err = pg_error(m->pg);
        return -1;
    }

    *exists = (PQntuples(res) > 0);
    PQclear(res);

    return 0;
}


/* an object: subsystem -> [last_executed, [executed], [pending]] */
static value_t *
migrations_rows(migrations_t *m, const char **err)
{
    int        i;
    char      *name;
    value_t   *rows, *row;
    PGresult  *res;

    res = pg_query(m->pg, "SELECT subsystem, coalesce(last_executed, ''), "
                   "coalesce(array_to_json(executed)::text, '[]'), "
                   "coalesce(array_to_json(pending)::text, '[]') "
                   "FROM schema_meta WHERE key = 'schema_meta'", NULL, 0);

    if (res == NULL) {
        *err = pg_error(m->pg);
        return NULL;
    }

    rows = value_new(m->arena);
    value_set_object(rows);

    for (i = 0; i < PQntuples(res); i++) {
        name = arena_printf(m->arena, "%s", PQgetvalue(res, i, 0));
        row = value_put(m->arena, rows, name);
        value_set_array(row);
        (void) value_ensure(m->arena, row, 2);

        value_copy_string(m->arena, value_at(row, 0), PQgetvalue(res, i, 1),
                          (size_t) PQgetlength(res, i, 1));

        if (migrations_array(m->arena, PQgetvalue(res, i, 2),
                             value_at(row, 1), err) == -1
            || migrations_array(m->arena, PQgetvalue(res, i, 3),
                                value_at(row, 2), err) == -1)
        {
            PQclear(res);
            return NULL;
        }
    }

    PQclear(res);

    return rows;
}


static int
migrations_array(arena_t *a, const char *text, value_t *out, const char **err)
{
    /* the result's memory ends before the values do */

    text = arena_printf(a, "%s", text);

    return json_parse(a, text, strlen(text), out, err);
}


/* names that come after the last executed one are new, earlier ones missing */
static void
migrations_compare(migrations_t *m, const migrations_subsystem_t *sub,
    const value_t *row, migrations_state_t *out)
{
    int             passed;
    size_t          i;
    const char     *name;
    const value_t  *last, *executed, *pending;

    last = row ? value_at(row, 0) : NULL;
    executed = row ? value_at(row, 1) : NULL;
    pending = row ? value_at(row, 2) : NULL;
    passed = (last == NULL || last->len == 0);

    for (i = 0; sub->migrations[i] != NULL; i++) {
        name = sub->migrations[i];

        if (migrations_has(executed, name)) {
            migrations_add(m->arena, &out->executed, sub->name, name);

        } else if (migrations_has(pending, name)) {
            migrations_add(m->arena, &out->pending, sub->name, name);

        } else if (passed) {
            migrations_add(m->arena, &out->new_, sub->name, name);
            out->upgrade |= (row != NULL);

        } else {
            migrations_add(m->arena, &out->missing, sub->name, name);
        }

        if (value_str_eq(last, name)) {
            passed = 1;
        }
    }
}


/* a later Kong's, or those of plugins that are not Kong's */
static void
migrations_unknown(migrations_t *m, const value_t *rows,
    migrations_state_t *out)
{
    int                            known;
    size_t                         i, k, n, list;
    const char                    *name;
    const value_t                 *names;
    const migrations_subsystem_t  *sub;

    for (i = 0; rows != NULL && i < rows->len; i++) {

        for (sub = migrations_kong; sub->name != NULL; sub++) {
            if (strcmp(sub->name, value_member(rows, i).key) == 0) {
                break;
            }
        }

        for (list = 1; list <= 2; list++) {
            names = value_at(value_nth(rows, i), list);

            for (k = 0; names->kind == VALUE_ARRAY && k < names->len; k++) {
                name = value_cstr(value_at(names, k));
                known = (name == NULL);

                for (n = 0; !known && sub->name && sub->migrations[n]; n++) {
                    known = (strcmp(sub->migrations[n], name) == 0);
                }

                if (!known) {
                    migrations_add(m->arena, &out->unknown,
                                   value_member(rows, i).key, name);
                }
            }
        }
    }
}


static int
migrations_own_state(migrations_t *m, migrations_state_t *out,
    const char **err)
{
    int        exists;
    size_t     i;
    long       n;
    pg_arg_t   arg;
    PGresult  *res;

    if (migrations_exists(m, "controld_migrations", &exists, err) == -1) {
        return -1;
    }

    for (i = 0; migrations_own[i].name != NULL; i++) {
        arg.type = PG_TYPE_TEXT;
        arg.text = migrations_own[i].name;

        n = exists ? pg_run(m->pg, "SELECT FROM controld_migrations "
                            "WHERE name = $1", &arg, 1) : 0;

        if (n == -1) {
            *err = pg_error(m->pg);
            return -1;
        }

        if (n == 0) {
            migrations_add(m->arena, &out->own_new, MIGRATIONS_OWN,
                           migrations_own[i].name);
        }
    }

    if (out->own_new != NULL) {
        return 0;
    }

    res = pg_query(m->pg, "SELECT armed FROM controld_guard()", NULL, 0);

    if (res == NULL) {
        *err = pg_error(m->pg);
        return -1;
    }

    out->armed = (PQntuples(res) == 1 && PQgetvalue(res, 0, 0)[0] == 't');
    PQclear(res);

    return 0;
}


static int
migrations_enabled(const migrations_t *m, const char *name)
{
    size_t  i;

    if (m->plugins == NULL || strcmp(name, "core") == 0) {
        return 1;
    }

    for (i = 0; m->plugins[i] != NULL; i++) {
        if (strcmp(m->plugins[i], name) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
migrations_has(const value_t *array, const char *name)
{
    size_t  i;

    if (array == NULL || array->kind != VALUE_ARRAY) {
        return 0;
    }

    for (i = 0; i < array->len; i++) {
        if (value_str_eq(value_at(array, i), name)) {
            return 1;
        }
    }

    return 0;
}


/* sets are filled a subsystem after the other */
static void
migrations_add(arena_t *a, const value_t **set, const char *subsystem,
    const char *name)
{
    value_t  *array, *entry;

    array = (value_t *) *set;

    if (array == NULL) {
        array = value_new(a);
        value_set_array(array);
        *set = array;
    }

    entry = array->len ? value_at(array, array->len - 1) : NULL;

    if (!value_str_eq(value_get(entry, "subsystem"), subsystem)) {
        entry = value_append(a, array);
        value_set_object(entry);
        value_set_string(value_put(a, entry, "subsystem"), subsystem,
                         strlen(subsystem));
        value_set_array(value_put(a, entry, "migrations"));
    }

    value_set_string(value_append(a, value_get(entry, "migrations")), name,
                     strlen(name));
}


const char *
migrations_refusal(arena_t *a, const migrations_state_t *s)
{
    if (s->needs_bootstrap) {
        return migrations_needs_bootstrap;
    }

    if (s->new_ != NULL && s->upgrade) {
        return arena_printf(a, "New migrations available; this database is "
                            "of a Kong older than 3.9 and must be upgraded "
                            "with Kong 3.9's own 'kong migrations up' and "
                            "'kong migrations finish' first; missing:\n%s",
                            migrations_text(a, s->new_));
    }

    if (s->new_ != NULL) {
        return "New migrations available; run 'kong migrations up' to "
               "proceed";
    }

    return NULL;
}


const char *
migrations_warning(arena_t *a, const migrations_state_t *s)
{
    if (s->missing != NULL) {
        return arena_printf(a, "database is missing some migrations:\n%s",
                            migrations_text(a, s->missing));
    }

    if (s->pending != NULL) {
        return arena_printf(a, "database has pending migrations of Kong's; "
                            "run its 'kong migrations finish':\n%s",
                            migrations_text(a, s->pending));
    }

    if (s->own_new != NULL) {
        return "database does not tell about changes: it is polled; run "
               "'kong migrations up' to install what is needed";
    }

    if (!s->armed) {
        return "database does not tell about the changes of all tables: it "
               "is polled; run 'kong migrations up' to repair that";
    }

    return NULL;
}


const char *
migrations_text(arena_t *a, const value_t *set)
{
    size_t          i, k;
    const char     *text;
    const value_t  *entry, *names;

    text = "";

    for (i = 0; set != NULL && i < set->len; i++) {
        entry = value_at(set, i);
        names = value_get(entry, "migrations");
        text = arena_printf(a, "%s%s   %s:", text, i ? "\n" : "",
                            value_cstr(value_get(entry, "subsystem")));

        for (k = 0; k < names->len; k++) {
            text = arena_printf(a, "%s%s %s", text, k ? "," : "",
                                value_cstr(value_at(names, k)));
        }
    }

    return text;
}


value_t *
migrations_json(arena_t *a, const migrations_state_t *s)
{
    size_t    i;
    value_t  *out;

    const struct {
        const char     *name;
        const value_t  *set;
    } sets[] = {
        { "executed_migrations", s->executed },
        { "pending_migrations", s->pending },
        { "new_migrations", s->new_ },
        { "missing_migrations", s->missing },
        { "unknown_migrations", s->unknown },
        { "new_additions", s->own_new },
    };

    out = value_new(a);
    value_set_object(out);
    value_set_bool(value_put(a, out, "needs_bootstrap"), s->needs_bootstrap);
    value_set_bool(value_put(a, out, "notifies"), s->armed);

    for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        if (sets[i].set != NULL) {
            *value_put(a, out, sets[i].name) = *sets[i].set;
        }
    }

    return out;
}
