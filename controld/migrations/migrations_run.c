/*
 * migrations_run: the commands.  A new subsystem is made as it is after all
 * of its migrations, and recorded as if they had run one by one; a subsystem
 * that an older Kong left halfway is Kong's to upgrade, and refused.
 */

#include <string.h>

#include "../model/uuid.h"
#include "migrations.h"


typedef int (*migrations_body_pt)(migrations_t *m, const char **err);


static int migrations_forward(migrations_t *m, migrations_body_pt body,
    const char **err);
static int migrations_locked(migrations_t *m, migrations_body_pt body,
    const char **err);
static int migrations_bootstrap_locked(migrations_t *m, const char **err);
static int migrations_up_locked(migrations_t *m, const char **err);
static int migrations_finish_locked(migrations_t *m, const char **err);
static int migrations_apply(migrations_t *m, const migrations_state_t *s,
    const char **err);
static int migrations_install(migrations_t *m, const migrations_state_t *s,
    const char **err);
static int migrations_subsystem(migrations_t *m,
    const migrations_subsystem_t *sub, const char **err);
static int migrations_first_rows(migrations_t *m, const char **err);
static int migrations_record(migrations_t *m,
    const migrations_subsystem_t *sub, const char **err);
static int migrations_additions(migrations_t *m, const migrations_state_t *s,
    const char **err);
static const value_t *migrations_find(const value_t *set, const char *name);
static size_t migrations_report(migrations_t *m, const char *subsystem,
    const value_t *set);
static int migrations_do(migrations_t *m, const char *sql, const char **err);


/* made by whoever may, and not asked for when it is there */
static const char  migrations_schema_sql[] =
    "DO $$ BEGIN"
    " IF to_regnamespace(quote_ident(current_setting('controld.schema')))"
    " IS NULL THEN"
    " EXECUTE format('CREATE SCHEMA %I', current_setting('controld.schema'));"
    " END IF; END $$";

/* functions keep this path: nothing of a session's pg_temp comes before */
static const char  migrations_begin_sql[] =
    "BEGIN; SELECT set_config('search_path', "
    "quote_ident(current_setting('controld.schema')) || ', pg_temp', true)";

/*
 * The schema, as Kong does it; where that is not ours to drop, all that is
 * ours in it.
 */
static const char  migrations_reset_sql[] =
    "DO $$ DECLARE"
    " schema text := current_setting('controld.schema');"
    " command text;"
    " BEGIN"
    " BEGIN"
    "  EXECUTE format('DROP SCHEMA %I CASCADE', schema);"
    "  EXECUTE format('CREATE SCHEMA %I', schema);"
    "  RETURN;"
    " EXCEPTION WHEN insufficient_privilege THEN NULL;"
    " END;"
    " FOR command IN"
    "  SELECT format('DROP %s IF EXISTS %I.%I CASCADE', CASE c.relkind"
    "    WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'"
    "    WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, schema, c.relname)"
    "   FROM pg_class c WHERE c.relnamespace ="
    "    to_regnamespace(quote_ident(schema))"
    "    AND c.relkind IN ('r', 'p', 'v', 'm', 'S')"
    "    AND pg_has_role(c.relowner, 'USAGE')"
    "  UNION ALL SELECT format('DROP FUNCTION IF EXISTS %s CASCADE',"
    "    p.oid::regprocedure) FROM pg_proc p WHERE p.pronamespace ="
    "    to_regnamespace(quote_ident(schema))"
    "    AND pg_has_role(p.proowner, 'USAGE')"
    "    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid"
    "     AND d.deptype = 'e')"
    " LOOP EXECUTE command; END LOOP;"
    " END $$";


int
migrations_bootstrap(migrations_t *m, const char **err)
{
    migrations_state_t  s;

    if (migrations_state(m, &s, err) == -1) {
        return -1;
    }

    if (!s.needs_bootstrap) {
        m->print("Database already bootstrapped");
        return 0;
    }

    m->print("Bootstrapping database...");

    if (migrations_do(m, migrations_schema_sql, err) == -1) {
        return -1;
    }

    return migrations_locked(m, migrations_bootstrap_locked, err);
}


int
migrations_up(migrations_t *m, const char **err)
{
    return migrations_forward(m, migrations_up_locked, err);
}


int
migrations_finish(migrations_t *m, const char **err)
{
    return migrations_forward(m, migrations_finish_locked, err);
}


/* in a database that has Kong's tables */
static int
migrations_forward(migrations_t *m, migrations_body_pt body, const char **err)
{
    migrations_state_t  s;

    if (migrations_state(m, &s, err) == -1) {
        return -1;
    }

    if (s.needs_bootstrap) {
        *err = arena_printf(m->arena, "Cannot run migrations: %s",
                            migrations_needs_bootstrap);
        return -1;
    }

    return migrations_locked(m, body, err);
}


int
migrations_reset(migrations_t *m, const char **err)
{
    int                 rc;
    const char         *owner;
    migrations_state_t  s;

    if (migrations_state(m, &s, err) == -1) {
        return -1;
    }

    if (s.needs_bootstrap) {
        m->print("Database not bootstrapped, nothing to reset");
        return -1;
    }

    rc = migrations_lock(m, &owner, err);
    if (rc != 0) {
        return rc;
    }

    m->print("Resetting database...");

    if (migrations_do(m, migrations_reset_sql, err) == -1) {
        (void) migrations_unlock(m, owner, &owner);
        return -1;
    }

    m->print("Database successfully reset");

    return 0;
}


static int
migrations_locked(migrations_t *m, migrations_body_pt body, const char **err)
{
    int          rc;
    const char  *owner, *ignored;

    rc = migrations_lock(m, &owner, err);
    if (rc != 0) {
        return rc;
    }

    rc = body(m, err);

    if (migrations_unlock(m, owner, rc == 0 ? err : &ignored) == -1
        && rc == 0)
    {
        return -1;
    }

    return rc;
}


static int
migrations_bootstrap_locked(migrations_t *m, const char **err)
{
    migrations_state_t  s;

    /* another run may have been faster */

    if (migrations_state(m, &s, err) == -1) {
        return -1;
    }

    if (s.needs_bootstrap && migrations_apply(m, &s, err) == -1) {
        return -1;
    }

    m->print("Database is up-to-date");

    return 0;
}


static int
migrations_up_locked(migrations_t *m, const char **err)
{
    migrations_state_t  s;

    if (migrations_state(m, &s, err) == -1) {
        return -1;
    }

    if (s.upgrade) {
        *err = arena_printf(m->arena, "Cannot run migrations: %s",
                            migrations_refusal(m->arena, &s));
        return -1;
    }

    if (s.pending != NULL && !m->force) {
        *err = "Database has pending migrations; run 'kong migrations "
               "finish'";
        return -1;
    }

    if (s.new_ == NULL && s.own_new == NULL && s.armed && !m->force) {
        m->print("Database is already up-to-date");
        return 0;
    }

    return migrations_apply(m, &s, err);
}


static int
migrations_finish_locked(migrations_t *m, const char **err)
{
    migrations_state_t  s;

    if (migrations_state(m, &s, err) == -1) {
        return -1;
    }

    if (s.pending != NULL) {
        *err = arena_printf(m->arena, "Pending migrations were begun by an "
                            "upgrade of Kong's, and only Kong can finish "
                            "them: run 'kong migrations finish' with it; "
                            "pending:\n%s",
                            migrations_text(m->arena, s.pending));
        return -1;
    }

    if (s.new_ != NULL) {
        m->print("\nNew migrations available; run 'kong migrations up' to "
                 "proceed");
        return 0;
    }

    m->print("No pending migrations to finish");

    return 0;
}


/* everything that is new, in one transaction */
static int
migrations_apply(migrations_t *m, const migrations_state_t *s,
    const char **err)
{
    size_t                         n;
    const char                    *ignored;
    const migrations_subsystem_t  *sub;

    if (migrations_install(m, s, err) == -1) {
        (void) migrations_do(m, "ROLLBACK", &ignored);
        return -1;
    }

    n = 0;

    for (sub = migrations_kong; sub->name != NULL; sub++) {
        n += migrations_report(m, sub->name, s->new_);
    }

    n += migrations_report(m, MIGRATIONS_OWN,
                           pg_version(m->pg) >= MIGRATIONS_OWN_MIN
                           ? s->own_new : NULL);

    if (n == 0) {
        m->print("triggers installed again");
        return 0;
    }

    m->print("%zu migration%s processed", n, n == 1 ? "" : "s");
    m->print("%zu executed", n);

    return 0;
}


static int
migrations_install(migrations_t *m, const migrations_state_t *s,
    const char **err)
{
    const migrations_subsystem_t  *sub;

    if (migrations_do(m, migrations_begin_sql, err) == -1) {
        return -1;
    }

    for (sub = migrations_kong; sub->name != NULL; sub++) {
        if (migrations_find(s->new_, sub->name) != NULL
            && migrations_subsystem(m, sub, err) == -1)
        {
            *err = arena_printf(m->arena, "failed to run migrations of "
                                "'%s': %s", sub->name, *err);
            return -1;
        }
    }

    if (s->needs_bootstrap && migrations_first_rows(m, err) == -1) {
        return -1;
    }

    if (pg_version(m->pg) < MIGRATIONS_OWN_MIN) {
        m->print("PostgreSQL is older than 10: changes are polled for");

    } else if (migrations_additions(m, s, err) == -1) {
        *err = arena_printf(m->arena, "failed to run migrations of '"
                            MIGRATIONS_OWN "': %s", *err);
        return -1;
    }

    return migrations_do(m, "COMMIT", err);
}


static int
migrations_subsystem(migrations_t *m, const migrations_subsystem_t *sub,
    const char **err)
{
    if (sub->sql != NULL && migrations_do(m, sub->sql, err) == -1) {
        return -1;
    }

    return migrations_record(m, sub, err);
}


/* the workspace and the identity of a new cluster */
static int
migrations_first_rows(migrations_t *m, const char **err)
{
    char      id[UUID_SIZE];
    pg_arg_t  arg;

    arg.type = PG_TYPE_UUID;
    arg.text = id;

    uuid_v4(id);

    if (pg_run(m->pg, "INSERT INTO workspaces (id, name) "
               "VALUES ($1, 'default')", &arg, 1) == -1)
    {
        *err = pg_error(m->pg);
        return -1;
    }

    arg.type = PG_TYPE_TEXT;
    uuid_v4(id);

    if (pg_run(m->pg, "INSERT INTO parameters (key, value) "
               "VALUES ('cluster_id', $1)", &arg, 1) == -1)
    {
        *err = pg_error(m->pg);
        return -1;
    }

    return 0;
}


static int
migrations_record(migrations_t *m, const migrations_subsystem_t *sub,
    const char **err)
{
    size_t       i;
    pg_arg_t     args[3];
    const char  *list, *last;

    list = "";
    last = "";

    for (i = 0; sub->migrations[i] != NULL; i++) {
        last = sub->migrations[i];
        list = arena_printf(m->arena, "%s%s%s", list, i ? "," : "", last);
    }

    args[0].type = PG_TYPE_TEXT;
    args[0].text = sub->name;
    args[1].type = PG_TYPE_TEXT;
    args[1].text = last;
    args[2].type = PG_TYPE_TEXTS;
    args[2].text = arena_printf(m->arena, "{%s}", list);

    if (pg_run(m->pg, "INSERT INTO schema_meta (key, subsystem, "
               "last_executed, executed, pending) "
               "VALUES ('schema_meta', $1, $2, $3, '{}')", args, 3) == -1)
    {
        *err = pg_error(m->pg);
        return -1;
    }

    return 0;
}


static int
migrations_additions(migrations_t *m, const migrations_state_t *s,
    const char **err)
{
    size_t    i;
    pg_arg_t  arg;

    for (i = 0; migrations_own[i].name != NULL; i++) {

        if (s->own_new == NULL && !m->force) {
            continue;
        }

        arg.type = PG_TYPE_TEXT;
        arg.text = migrations_own[i].name;

        if (pg_script(m->pg, migrations_own[i].sql) == -1
            || pg_run(m->pg, "INSERT INTO controld_migrations (name) "
                      "VALUES ($1) ON CONFLICT DO NOTHING", &arg, 1) == -1)
        {
            *err = pg_error(m->pg);
            return -1;
        }
    }

    if (pg_run(m->pg, "SELECT controld_arm()", NULL, 0) == -1) {
        *err = pg_error(m->pg);
        return -1;
    }

    return 0;
}


static const value_t *
migrations_find(const value_t *set, const char *name)
{
    size_t  i;

    for (i = 0; set != NULL && i < set->len; i++) {
        if (value_str_eq(value_get(value_at(set, i), "subsystem"), name)) {
            return value_get(value_at(set, i), "migrations");
        }
    }

    return NULL;
}


/* how many it had */
static size_t
migrations_report(migrations_t *m, const char *subsystem, const value_t *set)
{
    size_t          i;
    const value_t  *names;

    names = migrations_find(set, subsystem);

    if (names == NULL) {
        return 0;
    }

    m->print("migrating %s on database '%s'...", subsystem,
             pg_database(m->pg));

    for (i = 0; i < names->len; i++) {
        m->print("%s migrated up to: %s (executed)", subsystem,
                 value_cstr(value_at(names, i)));
    }

    return names->len;
}


static int
migrations_do(migrations_t *m, const char *sql, const char **err)
{
    if (pg_script(m->pg, sql) == -1) {
        *err = pg_error(m->pg);
        return -1;
    }

    return 0;
}
