/*
 * dao: the statements.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../log.h"
#include "dao.h"


#define DAO_ARGS_MAX   64
#define DAO_TTL_VALID                                                        \
    "(\"ttl\" IS NULL OR \"ttl\" >= CURRENT_TIMESTAMP)"


/* a statement that grows */
typedef struct {
    arena_t        *arena;
    const char     *text;
    pg_arg_t        args[DAO_ARGS_MAX];
    size_t          n;
} dao_sql_t;


static void sql_add(dao_sql_t *q, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static const char *sql_arg(dao_sql_t *q, pg_arg_t arg);
static const char *sql_text(dao_sql_t *q, Oid type, const char *text);
static const char *sql_field(dao_sql_t *q, const field_t *f,
    const value_t *v);
static void sql_where(dao_sql_t *q, dao_t *d, const schema_t *s,
    const dao_where_t *where, size_t n);
static const char *dao_column(dao_sql_t *q, const field_t *f);
static unsigned dao_where_good(const dao_where_t *where, size_t n);
static unsigned dao_tag_good(const value_t *tag);
static void dao_insert_sql(dao_sql_t *q, dao_t *d, const schema_t *s,
    const value_t *entity);
static value_t *dao_expiry(dao_t *d, const value_t *entity,
    const char *since);
static int dao_write(dao_t *d, const schema_t *s, const value_t *entity,
    dao_sql_t *q, value_t **row);
static int dao_read(dao_t *d, const schema_t *s, dao_sql_t *q,
    value_t *rows);
static int dao_text_check(dao_t *d, const schema_t *s,
    const value_t *entity);


int
dao_init(dao_t *d, arena_t *a, database_link_t *l,
    const database_settings_t *s)
{
    const char       *err;
    struct timespec   now;

    memset(d, 0, sizeof(dao_t));
    d->arena = a;
    d->link = l;
    d->settings = s;

    (void) clock_gettime(CLOCK_REALTIME, &now);

    d->ctx.arena = a;
    d->ctx.database = 1;
    d->ctx.router_flavor = s->router_flavor;
    d->ctx.plugins = s->plugins;
    d->ctx.now = (double) now.tv_sec
                 + (double) (now.tv_nsec / 1000000) / 1000;

    if (database_link(l, s, &err) == -1) {
        log_write(LOG_ERR, "admin: %s", err);
        return dao_fail(d, 503, 0, NULL, "the database is not reachable",
                        NULL);
    }

    return DAO_OK;
}


void
dao_release(dao_t *d)
{
    dao_rollback(d);
}


int
dao_begin(dao_t *d)
{
    PGresult  *res;

    res = dao_query(d, NULL, "BEGIN", NULL, 0);

    if (res == NULL) {
        return DAO_FAILED;
    }

    PQclear(res);
    d->open = 1;

    return DAO_OK;
}


int
dao_commit(dao_t *d)
{
    PGresult  *res;

    d->open = 0;
    res = dao_query(d, NULL, "COMMIT", NULL, 0);

    if (res == NULL) {
        return DAO_FAILED;
    }

    PQclear(res);

    return DAO_OK;
}


void
dao_rollback(dao_t *d)
{
    if (d->open) {
        d->open = 0;
        PQclear(pg_query(d->link->pg, "ROLLBACK", NULL, 0));
    }
}


PGresult *
dao_query(dao_t *d, const schema_t *s, const char *sql, const pg_arg_t *args,
    size_t n)
{
    PGresult  *res;

    res = pg_query_plan(d->link->pg, sql, args, n, 1);

    if (res == NULL) {
        (void) dao_failed(d, s, NULL);
    }

    return res;
}


int64_t
dao_version(dao_t *d)
{
    int64_t    version;
    PGresult  *res;

    if (!d->link->version) {
        return -1;
    }

    res = pg_query_plan(d->link->pg, "SELECT version FROM controld_commits "
                        "ORDER BY version DESC LIMIT 1", NULL, 0, 0);

    if (res == NULL) {
        d->link->version = 0;            /* until the next connection */
        return -1;
    }

    version = (PQntuples(res) == 1) ? atoll(PQgetvalue(res, 0, 0)) : -1;
    PQclear(res);

    return version;
}


int
dao_find(dao_t *d, const schema_t *s, const dao_where_t *where, size_t n,
    value_t **row)
{
    value_t    rows;
    dao_sql_t  q;

    *row = NULL;

    if (!dao_where_good(where, n)) {
        return DAO_NONE;
    }

    memset(&q, 0, sizeof(q));
    q.arena = d->arena;
    sql_add(&q, "SELECT %s FROM \"%s\"", dao_kind(d, s)->sql, dao_table(s));
    sql_where(&q, d, s, where, n);
    sql_add(&q, " ORDER BY \"id\" LIMIT 1");

    if (dao_read(d, s, &q, &rows) == DAO_FAILED) {
        return DAO_FAILED;
    }

    *row = value_at(&rows, 0);

    return (*row != NULL) ? DAO_OK : DAO_NONE;
}


int
dao_lock(dao_t *d, const schema_t *s, const char *id, value_t **row)
{
    value_t      rows, v;
    dao_sql_t    q;
    dao_where_t  where;

    *row = NULL;
    value_set_string(&v, id, strlen(id));
    where.field = "id";
    where.value = &v;

    memset(&q, 0, sizeof(q));
    q.arena = d->arena;
    sql_add(&q, "SELECT %s FROM \"%s\"", dao_kind(d, s)->sql, dao_table(s));
    sql_where(&q, d, s, &where, 1);
    sql_add(&q, " FOR NO KEY UPDATE");

    if (dao_read(d, s, &q, &rows) == DAO_FAILED) {
        return DAO_FAILED;
    }

    *row = value_at(&rows, 0);

    return (*row != NULL) ? DAO_OK : DAO_NONE;
}


int
dao_page(dao_t *d, const schema_t *s, const dao_page_t *p, value_t *rows)
{
    size_t     i;
    dao_sql_t  q;

    value_set_array(rows);

    if (!dao_where_good(&p->where, p->where.field != NULL)) {
        return DAO_OK;
    }

    for (i = 0; p->tags != NULL && i < p->tags->len; i++) {
        if (!dao_tag_good(value_at(p->tags, i))) {
            return DAO_OK;
        }
    }

    memset(&q, 0, sizeof(q));
    q.arena = d->arena;
    sql_add(&q, "SELECT %s FROM \"%s\"", dao_kind(d, s)->sql, dao_table(s));
    sql_where(&q, d, s, &p->where, p->where.field != NULL);

    if (p->after != NULL) {
        sql_add(&q, " AND \"id\" > %s",
                sql_text(&q, PG_TYPE_UUID, p->after));
    }

    if (p->tags != NULL && schema_field(s, "tags") != NULL) {
        sql_add(&q, " AND \"tags\" %s %s", p->any ? "&&" : "@>",
                sql_text(&q, PG_TYPE_TEXTS, dao_array(d->arena, p->tags, 0)));
    }

    sql_add(&q, " ORDER BY %s LIMIT %s",
            p->newest ? "\"created_at\" DESC, \"id\"" : "\"id\"",
            sql_text(&q, PG_TYPE_INT8,
                     arena_printf(d->arena, "%zu", p->size + 1)));

    if (p->newest) {
        sql_add(&q, " OFFSET %s",
                sql_text(&q, PG_TYPE_INT8,
                         arena_printf(d->arena, "%zu", p->skip)));
    }

    return dao_read(d, s, &q, rows);
}


int
dao_insert(dao_t *d, const schema_t *s, const value_t *entity,
    value_t **row)
{
    dao_sql_t  q;

    memset(&q, 0, sizeof(q));
    q.arena = d->arena;
    dao_insert_sql(&q, d, s, entity);

    return dao_write(d, s, entity, &q, row);
}


int
dao_upsert(dao_t *d, const schema_t *s, const value_t *entity,
    const char *key, value_t **row)
{
    dao_sql_t       q;
    const char     *column, *comma;
    const field_t  *f;

    memset(&q, 0, sizeof(q));
    q.arena = d->arena;
    dao_insert_sql(&q, d, s, entity);

    if (key == NULL) {
        sql_add(&q, " ON CONFLICT (\"id\") DO UPDATE SET ");

    } else if (dao_is_global(s, key)) {
        sql_add(&q, " ON CONFLICT (\"%s\") DO UPDATE SET ", key);

    } else {
        sql_add(&q, " ON CONFLICT (\"ws_id\", \"%s\") DO UPDATE SET ", key);
    }

    comma = "";

    for (f = s->fields; f->name != NULL; f++) {

        if (!dao_is_stored(f) || strcmp(f->name, "id") == 0) {
            continue;
        }

        column = dao_column(&q, f);
        sql_add(&q, "%s%s = EXCLUDED.%s", comma, column, column);
        comma = ", ";
    }

    if (dao_has_cache_key(s)) {
        sql_add(&q, ", \"cache_key\" = EXCLUDED.\"cache_key\"");
    }

    return dao_write(d, s, entity, &q, row);
}


int
dao_update(dao_t *d, const schema_t *s, const value_t *entity,
    value_t **row)
{
    value_t        *v;
    dao_sql_t       q;
    dao_where_t     where;
    const char     *comma;
    const field_t  *f;

    memset(&q, 0, sizeof(q));
    q.arena = d->arena;
    sql_add(&q, "UPDATE \"%s\" SET ", dao_table(s));
    comma = "";

    for (f = s->fields; f->name != NULL; f++) {
        v = value_get(entity, f->name);

        if (v == NULL || !dao_is_stored(f) || strcmp(f->name, "id") == 0) {
            continue;
        }

        if (strcmp(f->name, "ttl") == 0) {
            v = dao_expiry(d, entity, "updated_at");
        }

        sql_add(&q, "%s%s = %s", comma, dao_column(&q, f),
                sql_field(&q, f, v));
        comma = ", ";
    }

    if (dao_has_cache_key(s)) {
        sql_add(&q, ", \"cache_key\" = %s",
                sql_text(&q, PG_TYPE_TEXT, dao_cache_key(d, s, entity)));
    }

    where.field = "id";
    where.value = value_get(entity, "id");
    sql_where(&q, d, s, &where, 1);

    return dao_write(d, s, entity, &q, row);
}


int
dao_delete(dao_t *d, const schema_t *s, const char *id)
{
    int           rc;
    value_t       v;
    PGresult     *res;
    dao_sql_t     q;
    dao_where_t   where;

    value_set_string(&v, id, strlen(id));
    where.field = "id";
    where.value = &v;

    memset(&q, 0, sizeof(q));
    q.arena = d->arena;
    sql_add(&q, "DELETE FROM \"%s\"", dao_table(s));
    sql_where(&q, d, s, &where, 1);

    res = dao_query(d, s, q.text, q.args, q.n);

    if (res == NULL) {
        return DAO_FAILED;
    }

    rc = (atol(PQcmdTuples(res)) != 0) ? DAO_OK : DAO_NONE;
    PQclear(res);
    d->wrote |= (rc == DAO_OK);

    return rc;
}


static void
dao_insert_sql(dao_sql_t *q, dao_t *d, const schema_t *s,
    const value_t *entity)
{
    value_t        *v;
    const char     *values;
    const field_t  *f;

    values = "";
    sql_add(q, "INSERT INTO \"%s\" (", dao_table(s));

    for (f = s->fields; f->name != NULL; f++) {

        if (!dao_is_stored(f)) {
            continue;
        }

        v = (strcmp(f->name, "ttl") == 0)
            ? dao_expiry(d, entity, "created_at") : value_get(entity, f->name);

        sql_add(q, "%s%s", *values == '\0' ? "" : ", ", dao_column(q, f));
        values = arena_printf(d->arena, "%s%s%s", values,
                              *values == '\0' ? "" : ", ",
                              sql_field(q, f, v));
    }

    if (dao_has_cache_key(s)) {
        sql_add(q, ", \"cache_key\"");
        values = arena_printf(d->arena, "%s, %s", values,
                              sql_text(q, PG_TYPE_TEXT,
                                       dao_cache_key(d, s, entity)));
    }

    if (dao_has_workspace(s)) {
        sql_add(q, ", \"ws_id\"");
        values = arena_printf(d->arena, "%s, %s", values,
                              sql_text(q, PG_TYPE_UUID, d->link->ws_id));
    }

    sql_add(q, ") VALUES (%s)", values);
}


/* the moment of expiry; NULL: never */
static value_t *
dao_expiry(dao_t *d, const value_t *entity, const char *since)
{
    value_t  *v, *from, *out;

    v = value_get(entity, "ttl");

    if (v == NULL || v->kind != VALUE_NUMBER || v->u.number == 0) {
        return NULL;
    }

    from = value_get(entity, since);
    out = value_new(d->arena);
    value_set_number(out, v->u.number
                     + (from != NULL && from->kind == VALUE_NUMBER
                        ? from->u.number : d->ctx.now));

    return out;
}


/* what was written is what is shown */
static int
dao_write(dao_t *d, const schema_t *s, const value_t *entity, dao_sql_t *q,
    value_t **row)
{
    int        rc;
    value_t   *rows;
    PGresult  *res;

    if (dao_text_check(d, s, entity) == DAO_FAILED) {
        return DAO_FAILED;
    }

    sql_add(q, " RETURNING %s", dao_kind(d, s)->sql);
    res = pg_query_plan(d->link->pg, q->text, q->args, q->n, 1);

    if (res == NULL) {
        return dao_failed(d, s, entity);
    }

    rows = value_new(d->arena);
    value_set_array(rows);
    rc = dao_rows(d, s, res, rows);
    PQclear(res);

    if (rc == DAO_FAILED) {
        return rc;
    }

    *row = value_at(rows, 0);
    d->wrote |= (*row != NULL);

    return (*row != NULL) ? DAO_OK : DAO_NONE;
}


static int
dao_read(dao_t *d, const schema_t *s, dao_sql_t *q, value_t *rows)
{
    int        rc;
    PGresult  *res;

    value_set_array(rows);
    res = dao_query(d, s, q->text, q->args, q->n);

    if (res == NULL) {
        return DAO_FAILED;
    }

    rc = dao_rows(d, s, res, rows);
    PQclear(res);

    return rc;
}


static int
dao_text_check(dao_t *d, const schema_t *s, const value_t *entity)
{
    size_t          at;
    const field_t  *f;

    f = dao_bad_text(s, entity, &at);

    if (f == NULL) {
        return DAO_OK;
    }

    return dao_violation_of(d, f->name,
                            arena_printf(d->arena, "invalid utf-8 character "
                                         "sequence detected at position %zu",
                                         at));
}


/* no row has what cannot be stored */
static unsigned
dao_where_good(const dao_where_t *where, size_t n)
{
    size_t  i, at;

    for (i = 0; i < n; i++) {
        if (where[i].value->kind == VALUE_STRING
            && !dao_text_good(where[i].value->u.string, where[i].value->len,
                              &at))
        {
            return 0;
        }
    }

    return 1;
}


static unsigned
dao_tag_good(const value_t *tag)
{
    size_t  at;

    return dao_text_good(tag->u.string, tag->len, &at);
}


static void
sql_where(dao_sql_t *q, dao_t *d, const schema_t *s,
    const dao_where_t *where, size_t n)
{
    size_t          i;
    const field_t  *f;

    if (dao_has_workspace(s)) {
        sql_add(q, " WHERE \"ws_id\" = %s",
                sql_text(q, PG_TYPE_UUID, d->link->ws_id));
    } else {
        sql_add(q, " WHERE true");
    }

    if (schema_field(s, "ttl") != NULL) {
        sql_add(q, " AND " DAO_TTL_VALID);
    }

    for (i = 0; i < n; i++) {
        f = schema_field(s, where[i].field);
        sql_add(q, " AND %s = %s", dao_column(q, f),
                sql_field(q, f, where[i].value));
    }
}


static const char *
dao_column(dao_sql_t *q, const field_t *f)
{
    return arena_printf(q->arena, "\"%s%s\"", f->name,
                        f->type == FIELD_FOREIGN ? "_id" : "");
}


static const char *
sql_field(dao_sql_t *q, const field_t *f, const value_t *v)
{
    pg_arg_t  arg;

    arg = dao_arg(q->arena, f, v);

    if ((f->flags & F_TIMESTAMP) || strcmp(f->name, "ttl") == 0) {
        return arena_printf(q->arena, "to_timestamp(%s)", sql_arg(q, arg));
    }

    return sql_arg(q, arg);
}


static const char *
sql_text(dao_sql_t *q, Oid type, const char *text)
{
    pg_arg_t  arg;

    arg.type = type;
    arg.text = text;

    return sql_arg(q, arg);
}


/* the tables have fewer columns than there is room for */
static const char *
sql_arg(dao_sql_t *q, pg_arg_t arg)
{
    if (q->n == DAO_ARGS_MAX) {
        return "NULL";
    }

    q->args[q->n++] = arg;

    return arena_printf(q->arena, "$%zu", q->n);
}


static void
sql_add(dao_sql_t *q, const char *fmt, ...)
{
    va_list      args;
    const char  *text;

    va_start(args, fmt);
    text = arena_vprintf(q->arena, fmt, args);
    va_end(args);

    q->text = (q->text == NULL) ? text
              : arena_printf(q->arena, "%s%s", q->text, text);
}
