/*
 * crud: what the files of the database mode share: the generic handler
 * (crud.c) and what single entities add to it (crud_special.c).
 */

#ifndef KONG_ADMIN_CRUD_H
#define KONG_ADMIN_CRUD_H

#include "entities.h"


typedef enum {
    CRUD_INSERT = 0,
    CRUD_UPDATE,                     /* PATCH */
    CRUD_UPSERT                      /* PUT */
} crud_op_t;

/* one write of one entity */
typedef struct {
    admin_request_t  *r;
    dao_t            *d;
    const schema_t   *schema;
    crud_op_t         op;
    value_t          *body;          /* as it was sent */
    value_t          *row;           /* as it was, or NULL */
    value_t          *entity;        /* as it is to be */
    const char       *key;           /* upsert by this field; NULL: by id */
} crud_t;

/*
 * What an entity does differently.  Functions return DAO_OK or DAO_FAILED;
 * `stored` and `removed` run in the write's transaction.
 */
typedef struct {
    const char  *entity;
    unsigned     put_updates:1;      /* PUT is PATCH */
    unsigned     long_missing:1;     /* GET of none has the code 6 */

    /* keys that are no ids; *row NULL: there is none */
    int        (*find)(admin_request_t *r, dao_t *d, const admin_str_t *key,
                       const value_t *parent, value_t **row);
    /* PUT of a key that is not there */
    int        (*name)(crud_t *c, const admin_str_t *key);
    int        (*check)(crud_t *c);              /* beyond the schema */
    int        (*stored)(crud_t *c, value_t *row);
    int        (*removing)(admin_request_t *r, dao_t *d,
                           const value_t *row);
    /* completes rows before they are shown */
    int        (*show)(admin_request_t *r, dao_t *d, value_t *rows);
} crud_special_t;


/* never NULL */
const crud_special_t *crud_special(const schema_t *s);
/* validates `entity` against its schema, foreign keys by name resolved */
int crud_check(dao_t *d, const schema_t *s, value_t *entity,
    unsigned update);
/* shows what d->error says */
void crud_fail(admin_request_t *r, dao_t *d);
/* one row, completed */
void crud_show(admin_request_t *r, dao_t *d, int status,
    const value_t *row);
void crud_missing(admin_request_t *r, dao_t *d,
    const admin_str_t *key);

/* crud_write.c: `row` is what is there, or NULL; `parent` that of a nested
 * path, or NULL */
void crud_create(admin_request_t *r, dao_t *d, const value_t *parent);
void crud_delete(admin_request_t *r, dao_t *d, value_t *row);
void crud_patch(admin_request_t *r, dao_t *d, const admin_str_t *key,
    value_t *row, const value_t *parent);
void crud_put(admin_request_t *r, dao_t *d, const admin_str_t *key,
    value_t *row, const value_t *parent);
void crud_parent_put(admin_request_t *r, dao_t *d,
    const admin_str_t *key, value_t *row, value_t *child);

#endif
