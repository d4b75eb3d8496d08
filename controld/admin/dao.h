/*
 * dao: entities in the database, generated from the schema tables.  A dao is
 * one request's use of a connection, in the connection's thread.  Values go
 * to the server as typed parameters; names in statements are those of the
 * tables.
 *
 * Calls return DAO_OK, DAO_NONE (there is no such row), or DAO_FAILED with
 * `error` filled: Kong's answer to it.
 */

#ifndef KONG_ADMIN_DAO_H
#define KONG_ADMIN_DAO_H

#include "database.h"


#define DAO_OK       0
#define DAO_NONE     1
#define DAO_FAILED  (-1)

typedef struct {
    int           status;
    unsigned      code;                  /* 0: `message` alone */
    const char   *name;
    const char   *message;
    value_t       fields;                /* null: none */
    unsigned      again:1;               /* a deadlock: try it all again */
} dao_error_t;

typedef struct {
    arena_t                    *arena;
    database_link_t            *link;
    const database_settings_t  *settings;
    schema_ctx_t                ctx;
    unsigned                    open:1;      /* in a transaction */
    unsigned                    wrote:1;
    dao_error_t                 error;
} dao_t;

/* a field that must have this value */
typedef struct {
    const char     *field;
    const value_t  *value;
} dao_where_t;

typedef struct {
    dao_where_t     where;               /* field NULL: all rows */
    const char     *after;               /* id of the last one shown */
    size_t          size;
    const value_t  *tags;                /* NULL: any */
    unsigned        any;                 /* one of them is enough */
    unsigned        newest;              /* first; `skip` instead of `after` */
    size_t          skip;
} dao_page_t;


/* connects when that is needed */
int dao_init(dao_t *d, arena_t *a, database_link_t *l,
    const database_settings_t *s);
/* rolls back what is open */
void dao_release(dao_t *d);

int dao_begin(dao_t *d);
int dao_commit(dao_t *d);
void dao_rollback(dao_t *d);

/* the first row for which all of `where` hold */
int dao_find(dao_t *d, const schema_t *s, const dao_where_t *where, size_t n,
    value_t **row);
/* the same, locked until the transaction ends */
int dao_lock(dao_t *d, const schema_t *s, const char *id, value_t **row);
/* one row more than `size` when there are more pages */
int dao_page(dao_t *d, const schema_t *s, const dao_page_t *p,
    value_t *rows);
int dao_insert(dao_t *d, const schema_t *s, const value_t *entity,
    value_t **row);
/* every column but those that `entity` has no member for */
int dao_update(dao_t *d, const schema_t *s, const value_t *entity,
    value_t **row);
/* `key` NULL: by id; else the row with that field's value keeps its id */
int dao_upsert(dao_t *d, const schema_t *s, const value_t *entity,
    const char *key, value_t **row);
int dao_delete(dao_t *d, const schema_t *s, const char *id);
/* any statement; NULL with the error filled */
PGresult *dao_query(dao_t *d, const schema_t *s, const char *sql,
    const pg_arg_t *args, size_t n);
/* the change counter as it is now; -1: there is none */
int64_t dao_version(dao_t *d);

/* dao_value.c: the table of a schema, and what is special about it */
const char *dao_table(const schema_t *s);
unsigned dao_has_workspace(const schema_t *s);
/* unique in all workspaces */
unsigned dao_is_global(const schema_t *s, const char *field);
unsigned dao_has_cache_key(const schema_t *s);
const char *dao_cache_key(dao_t *d, const schema_t *s,
    const value_t *entity);
unsigned dao_is_stored(const field_t *f);
/* a value as the parameter of its field's column */
pg_arg_t dao_arg(arena_t *a, const field_t *f, const value_t *v);
const char *dao_array(arena_t *a, const value_t *v, unsigned json);
/* NULL, or the field of a text that no database would take; *at counts
 * bytes from 1 */
const field_t *dao_bad_text(const schema_t *s, const value_t *entity,
    size_t *at);
unsigned dao_text_good(const char *s, size_t len, size_t *at);
/* every row of a result; the entities as they are shown */
int dao_rows(dao_t *d, const schema_t *s, const PGresult *res, value_t *out);
const rows_kind_t *dao_kind(dao_t *d, const schema_t *s);

/* dao_error.c */
int dao_fail(dao_t *d, int status, unsigned code, const char *name,
    const char *message, const value_t *fields);
/* what the database said: `entity` is what was written, or NULL */
int dao_failed(dao_t *d, const schema_t *s, const value_t *entity);
/* code 2 from an error object of the schema's */
int dao_violation(dao_t *d, const value_t *errors);
/* code 2 of one field */
int dao_violation_of(dao_t *d, const char *field, const char *text);
int dao_missing(dao_t *d, const char *field, const value_t *key);

#endif
