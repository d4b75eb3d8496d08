/*
 * cli_database: `kong config db_import` and `db_export`.  An import is one
 * transaction: a statement a table, which gets its rows as one JSON document
 * that the server takes apart by the types of its columns, so that no value
 * is ever part of a statement's text.
 */

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../daemon.h"
#include "../model/json.h"
#include "../pg/pg.h"
#include "../source/declarative.h"
#include "../source/rows.h"
#include "cli.h"


#define DB_TIMEOUT     60.0              /* seconds, of a statement */
#define DB_FILE        "kong.yml"
#define DB_CACHE_KEY   5                 /* parts before the workspace */


typedef struct {
    arena_t         *arena;
    pg_t            *pg;
    const config_t  *config;
    value_t          columns;            /* table -> column -> true */
    const char      *workspace;
} db_import_t;


static conf_t *db_conf(cli_t *cli, const char *command, const char *hint);
static int db_import(db_import_t *im, const char **err);
static int db_catalog(db_import_t *im);
static int db_table(db_import_t *im, const config_table_t *t,
    const char *table);
static void db_row(db_import_t *im, const value_t *columns,
    const schema_t *s, const value_t *row, value_t *out);
static void db_field(db_import_t *im, const value_t *columns,
    const field_t *f, const value_t *v, value_t *out);
static const char *db_time(arena_t *a, double t);
static const char *db_cache_key(db_import_t *im, const schema_t *s,
    const value_t *row);
static void db_arrays(value_t *v);
static const char *db_statement(db_import_t *im, const value_t *columns,
    const char *table);


int
cli_db_import(cli_t *cli)
{
    int             rc;
    conf_t         *c;
    config_t       *config;
    const char     *err;
    db_import_t     im;
    pg_settings_t   settings;

    c = db_conf(cli, "db_import", "\nWhen using database=off, reload your "
                "declarative configuration\nusing the /config endpoint.");
    if (c == NULL) {
        return 1;
    }

    if (cli->n_args < 2) {
        return cli_error("expected a declarative configuration file; see "
                         "`kong config --help`");
    }

    config = cli_declarative(cli, c, 1);
    if (config == NULL) {
        return 1;
    }

    cli_print("parse successful, beginning import");

    memset(&im, 0, sizeof(im));
    im.arena = cli->arena;
    im.config = config;
    rc = -1;

    if (pg_settings(cli->arena, c, 0, &settings, &err) == 0) {
        settings.timeout = cli->db_timeout > 0 ? cli->db_timeout : DB_TIMEOUT;
        im.pg = pg_open(cli->arena, &settings, PG_WRITABLE, &err);
    }

    if (im.pg != NULL) {
        rc = db_import(&im, &err);
        pg_close(im.pg);
    }

    config_free(config);

    if (rc == -1) {
        return cli_error("Failed importing:\n%s", err);
    }

    cli_print("import successful");

    return 0;
}


int
cli_db_export(cli_t *cli)
{
    int          fd, failed;
    char        *text;
    size_t       len;
    conf_t      *c;
    const char  *path, *err;

    c = db_conf(cli, "db_export", "");
    if (c == NULL) {
        return 1;
    }

    path = (cli->n_args > 1) ? cli->args[1] : DB_FILE;

    if (access(path, F_OK) == 0) {
        return cli_error("%s already exists.\nWill not overwrite it.", path);
    }

    if (daemon_export(cli->arena, c, &text, &len, &err) == -1) {
        return cli_error("%s", err);
    }

    /* it holds credentials and private keys */
    fd = open(path, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600);

    if (fd == -1) {
        return cli_error("could not write %s: %s", path, strerror(errno));
    }

    errno = ENOSPC;
    failed = (write(fd, text, len) != (ssize_t) len);

    if (close(fd) == -1 || failed) {
        failed = errno;
        (void) unlink(path);
        return cli_error("could not write %s: %s", path, strerror(failed));
    }

    return 0;
}


static conf_t *
db_conf(cli_t *cli, const char *command, const char *hint)
{
    conf_t  *c;

    c = cli_conf(cli);

    if (c != NULL && strcmp(conf_str(c, "database"), "off") == 0) {
        (void) cli_error("'kong config %s' only works with a database.%s",
                         command, hint);
        return NULL;
    }

    return c;
}


static int
db_import(db_import_t *im, const char **err)
{
    int              rc;
    size_t           i;
    const char      *table;
    config_table_t  *t;

    rc = db_catalog(im);

    if (rc == 0) {
        rc = pg_script(im->pg, "BEGIN");
    }

    /* parents before children; workspaces are the database's */

    for (i = 0; i < im->config->n_tables && rc == 0; i++) {
        t = &im->config->tables[i];
        table = t->schema->name;

        if (t->n == 0 || strcmp(table, "workspaces") == 0) {
            continue;
        }

        if (strcmp(table, "vaults") == 0) {
            table = "sm_vaults";
        }

        rc = db_table(im, t, table);
    }

    if (rc == 0) {
        rc = pg_script(im->pg, "COMMIT");
    }

    if (rc == -1) {
        *err = pg_error(im->pg);
        return -1;
    }

    return 0;
}


static int
db_catalog(db_import_t *im)
{
    int        i;
    value_t   *v;
    PGresult  *res;

    value_set_object(&im->columns);

    res = pg_query(im->pg, rows_catalog_sql, NULL, 0);
    if (res == NULL) {
        return -1;
    }

    for (i = 0; i < PQntuples(res); i++) {
        v = value_put(im->arena, &im->columns,
                      arena_printf(im->arena, "%s", PQgetvalue(res, i, 0)));

        if (v->kind != VALUE_OBJECT) {
            value_set_object(v);
        }

        v = value_put(im->arena, v,
                      arena_printf(im->arena, "%s", PQgetvalue(res, i, 1)));
        value_set_bool(v, true);
    }

    PQclear(res);

    res = pg_query(im->pg, "SELECT id::text FROM workspaces "
                   "WHERE name = 'default'", NULL, 0);

    if (res == NULL) {
        return -1;
    }

    im->workspace = (PQntuples(res) == 1)
                    ? arena_printf(im->arena, "%s", PQgetvalue(res, 0, 0))
                    : NULL;
    PQclear(res);

    return 0;
}


static int
db_table(db_import_t *im, const config_table_t *t, const char *table)
{
    long       n;
    size_t     i;
    value_t    list, *row;
    pg_arg_t   arg;
    value_t   *columns;

    columns = value_get(&im->columns, table);

    if (columns == NULL) {
        return pg_script(im->pg, arena_printf(im->arena, "TABLE \"%s\"",
                                              table));
    }

    value_set_array(&list);

    for (i = 0; i < t->n; i++) {
        row = value_append(im->arena, &list);
        value_set_object(row);
        db_row(im, columns, t->schema, t->rows[i], row);
    }

    arg.type = PG_TYPE_TEXT;
    arg.text = json_print(im->arena, &list, NULL);

    n = pg_run(im->pg, db_statement(im, columns, table), &arg, 1);

    return (n == -1) ? -1 : 0;
}


static void
db_row(db_import_t *im, const value_t *columns, const schema_t *s,
    const value_t *row, value_t *out)
{
    const char     *key;
    const field_t  *f;

    for (f = s->fields; f->name != NULL; f++) {
        db_field(im, columns, f, value_get(row, f->name), out);
    }

    if (value_get(columns, "ws_id") != NULL && im->workspace != NULL) {
        value_set_string(value_put(im->arena, out, "ws_id"), im->workspace,
                         strlen(im->workspace));
    }

    if (value_get(columns, "cache_key") != NULL) {
        key = db_cache_key(im, s, row);
        value_set_string(value_put(im->arena, out, "cache_key"), key,
                         strlen(key));
    }
}


static void
db_field(db_import_t *im, const value_t *columns, const field_t *f,
    const value_t *v, value_t *out)
{
    value_t     *to;
    const char  *name, *text;

    name = f->name;

    if (f->type == FIELD_FOREIGN) {
        name = arena_printf(im->arena, "%s_id", f->name);
        v = value_get(v, "id");
    }

    if (value_get(columns, name) == NULL || (f->flags & F_ABSTRACT)) {
        return;
    }

    to = value_put(im->arena, out, name);

    if (value_is_null(v)) {
        return;
    }

    if (v->kind == VALUE_NUMBER
        && ((f->flags & F_TIMESTAMP) || strcmp(name, "ttl") == 0))
    {
        text = db_time(im->arena, v->u.number);
        value_set_string(to, text, strlen(text));
        return;
    }

    *to = *value_clone(im->arena, v);
    db_arrays(to);
}


static const char *
db_time(arena_t *a, double t)
{
    char       text[64];
    time_t     seconds;
    struct tm  tm;

    seconds = (time_t) floor(t);

    if (gmtime_r(&seconds, &tm) == NULL) {
        return "now";
    }

    (void) strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);

    return arena_printf(a, "%s.%03dZ", text,
                        (int) ((t - (double) seconds) * 1000 + 0.5) % 1000);
}


/* "plugins:<name>:<route>:<service>:<consumer>::<workspace>" */
static const char *
db_cache_key(db_import_t *im, const schema_t *s, const value_t *row)
{
    unsigned            n;
    unsigned            bare;
    const char         *key, *text;
    const value_t      *v;
    const char *const  *name;

    key = s->name;
    bare = (strcmp(s->name, "keys") == 0);

    for (name = s->cache_key, n = 1; name != NULL && *name != NULL; name++) {
        v = value_get(row, *name);

        if (v != NULL && v->kind == VALUE_OBJECT) {
            v = value_get(v, "id");
        }

        text = value_cstr(v);
        key = arena_printf(im->arena, "%s:%s", key, text ? text : "");
        n++;
    }

    for ( /* void */ ; !bare && n <= DB_CACHE_KEY; n++) {
        key = arena_printf(im->arena, "%s:", key);
    }

    return bare ? key : arena_printf(im->arena, "%s:%s", key,
                                     im->workspace ? im->workspace : "");
}


/* an empty array is one in the database, whatever the Admin API shows */
static void
db_arrays(value_t *v)
{
    uint32_t  i;

    if (v->kind == VALUE_ARRAY) {
        v->flags = 0;

        for (i = 0; i < v->len; i++) {
            db_arrays(&v->u.items[i]);
        }

    } else if (v->kind == VALUE_OBJECT) {
        for (i = 0; i < v->len; i++) {
            db_arrays(value_nth(v, i));
        }
    }
}


/* columns are those of the catalog that the rows have; names are quoted */
static const char *
db_statement(db_import_t *im, const value_t *columns, const char *table)
{
    uint32_t         i, n;
    const char      *list, *set, *name;
    const field_t   *f;
    const schema_t  *s;
    const char      *names[160];

    s = schema_find(strcmp(table, "sm_vaults") == 0 ? "vaults" : table);
    n = 0;

    for (f = s->fields; f->name != NULL && n < 150; f++) {
        name = (f->type == FIELD_FOREIGN)
               ? arena_printf(im->arena, "%s_id", f->name) : f->name;

        if (value_get(columns, name) != NULL && !(f->flags & F_ABSTRACT)) {
            names[n++] = name;
        }
    }

    if (value_get(columns, "ws_id") != NULL) {
        names[n++] = "ws_id";
    }

    if (value_get(columns, "cache_key") != NULL) {
        names[n++] = "cache_key";
    }

    list = "";
    set = "";

    for (i = 0; i < n; i++) {
        list = arena_printf(im->arena, "%s%s\"%s\"", list, i ? ", " : "",
                            names[i]);

        if (strcmp(names[i], "id") != 0) {
            set = arena_printf(im->arena, "%s%s\"%s\" = EXCLUDED.\"%s\"",
                               set, *set ? ", " : "", names[i], names[i]);
        }
    }

    return arena_printf(im->arena, "INSERT INTO \"%s\" (%s) SELECT %s FROM "
                        "json_populate_recordset(NULL::\"%s\", $1::json) "
                        "ON CONFLICT (id) DO UPDATE SET %s",
                        table, list, list, table, set);
}
