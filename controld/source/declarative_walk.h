/*
 * declarative_walk: what the files declarative*.c share.  A document is
 * collected once into rows (an entity each, with its parent and position);
 * checking, ids, references and errors then work on rows.
 */

#ifndef KONG_DECLARATIVE_WALK_H
#define KONG_DECLARATIVE_WALK_H

#include <openssl/evp.h>

#include "../model/value_pack.h"
#include "declarative.h"


typedef struct decl_row_s   decl_row_t;
typedef struct decl_kind_s  decl_kind_t;

/* child entity and its field that points at the parent */
typedef struct {
    decl_kind_t    *kind;
    const field_t  *field;
    unsigned        at;              /* the field's position in its table */
} decl_relation_t;

/* a member that is more than a field: of the format, a child list, ... */
typedef struct {
    const char     *name;
    uint32_t        hash;
} decl_special_t;

/* an entity's schema, prepared for walking */
struct decl_kind_s {
    const schema_t    *schema;
    unsigned           known;        /* may appear in this document */
    unsigned           n_fields;
    const field_t     *endpoint;     /* the endpoint key's field, if unique */
    const field_t     *ttl;
    unsigned           random;       /* ids are never deterministic */
    unsigned           secret;       /* has secrets that are made up */
    unsigned           uuid;         /* the primary key is a uuid named id */

    decl_relation_t   *children;
    size_t             n_children;
    decl_relation_t   *foreign;      /* own foreign fields and their targets */
    size_t             n_foreign;
    const field_t    **unique;       /* unique fields but the endpoint key */
    size_t             n_unique;
    decl_special_t    *special;
    size_t             n_special;
    uint64_t           special_bits; /* of their hashes: most members miss */
    unsigned           id_at;
    unsigned           endpoint_at;
    unsigned           needs_parent; /* a foreign field is required */
    size_t             n_rows;

    EVP_MD_CTX        *namespace;    /* hashed as far as the namespace */
    value_t            by_id;        /* id -> row's number */
    value_t            by_key;       /* endpoint key -> row's number */
    value_t            by_field;     /* other unique fields' values */
};

struct decl_row_s {
    value_t           *entity;
    decl_row_t        *parent;
    decl_kind_t       *kind;
    const field_t     *up;           /* own field that points at the parent */
    value_t           *given;        /* foreign values of the document */
    value_t            reference;    /* {"id": own id}, shared by children */
    value_t            ttl;
    uint32_t           index;        /* in its list */
    uint32_t           line;
    uint8_t            dead;         /* neither it nor its children count */
    uint8_t            random;       /* the id is not deterministic */
};

typedef struct {
    arena_t                   *arena;    /* entities as they are made, and
                                            errors */
    arena_t                   *scratch;  /* rows and indexes */
    arena_t                   *keep;     /* entities that are done */
    value_packer_t            *packer;   /* into it */
    const declarative_opts_t  *opts;
    schema_ctx_t               ctx;

    decl_kind_t               *kinds;
    size_t                     n_kinds;

    decl_row_t               **rows;     /* parents before children */
    size_t                     n_rows;
    size_t                     cap_rows;
    decl_row_t               **order;    /* children before parents */
    size_t                     n_order;

    value_t                   *doc;
    value_t                   *errors;
    value_t                    placeholder;
    unsigned                   transform;
    const config_t            *whole;    /* references are found here, if
                                            the rows are but a part of it */

    EVP_MD_CTX                *md;
} decl_t;


/* declarative_walk.c; all but `keep` may be dropped after decl_release() */
void decl_init(decl_t *d, arena_t *a, arena_t *scratch, arena_t *keep,
    const declarative_opts_t *opts);
void decl_release(decl_t *d);
/* document -> rows; errors of shape go to d->errors */
void decl_collect(decl_t *d, value_t *doc);
decl_kind_t *decl_kind(const decl_t *d, const char *name, size_t len);
/* a member that stands at its field's position once defaults are filled in */
value_t *decl_member(const value_t *entity, unsigned at, const char *name);
/* nothing of the entity changes any more: it becomes what is kept */
void decl_done(decl_t *d, decl_row_t *row);

/* declarative_paths.c: old formats' route paths to those of 3.0, in place */
void decl_migrate(arena_t *a, value_t *doc);

/* declarative_ids.c */
/* gives every row of the document an id (v5 where Kong's is, else v4) */
void decl_make_ids(decl_t *d);
/* the deterministic ids alone, in a document as given (flattened errors) */
void decl_ids_in_document(decl_t *d, value_t *doc);

/* declarative_check.c */
/* as in Kong's first pass: references are strings, nested rows have none */
void decl_check(decl_t *d);
/* second pass: references resolved among the rows */
void decl_check_resolved(decl_t *d);

/* declarative_link.c: uniqueness, references; fills the tables */
void decl_link(decl_t *d, config_t *c);
/* the references of rows that are in the tables already.  -1: one of them is
 * to what is not there */
int decl_link_rows(decl_t *d, const config_t *whole);

/* declarative_errors.c */
/* the error slot of a row under d->errors, made when absent */
value_t *decl_error_slot(decl_t *d, const decl_row_t *row);
/* slots of a list of errors, by position and by the entity's name */
value_t *decl_error_item(decl_t *d, value_t *list, size_t i);
value_t *decl_error_named(decl_t *d, value_t *list, const char *name,
    size_t len);
void decl_error_set(arena_t *a, value_t *slot, uint32_t line,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* puts the lines of the entity's values on the errors about them */
void decl_error_lines(value_t *errors, const value_t *v, uint32_t line);
/* second pass's errors plus the "value must be null" of the first */
void decl_error_merge(arena_t *a, value_t *errors, const value_t *first);
unsigned decl_error_count(const value_t *errors);
/* fills errors->flattened and errors->unflattened from fields and doc */
void decl_error_flatten(arena_t *a, decl_t *d, declarative_errors_t *errors);

#endif
