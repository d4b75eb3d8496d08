/*
 * external.h: what the files that read a plugin's schema from a document
 * share.  Everything they make is in one arena that lives as long as the
 * process; a fault is one sentence that begins with its line and path.
 */

#ifndef KONG_PLUGINS_EXTERNAL_H
#define KONG_PLUGINS_EXTERNAL_H

#include "common.h"


#define EXTERNAL_DEPTH   32      /* of records in records */
#define EXTERNAL_FIELDS  256     /* in one record */

typedef struct {
    arena_t     *arena;
    const char  *err;            /* NULL: none yet */
    unsigned     depth;
} external_t;


/* -1, with the sentence unless there is one already */
int external_fail(external_t *x, const value_t *v, const char *path,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* [ {name: {...}}, ... ]: a table of fields; NULL with x->err */
const field_t *external_fields(external_t *x, const value_t *list,
    const char *path);
/* one field's attributes; `rule`: what a conditional check asks, no type */
int external_field(external_t *x, const value_t *v, const char *path,
    unsigned rule, field_t *f);
/* the same without its type, and without what only the whole can tell */
int external_attributes(external_t *x, const value_t *v, const char *path,
    unsigned rule, field_t *f);
/* {name: attributes}: the name, and *value; NULL with x->err */
const char *external_member(external_t *x, const value_t *v,
    const char *path, const value_t **value);
/* entity_checks; paths in them begin at these fields */
const schema_check_t *external_checks(external_t *x, const value_t *list,
    const char *path, const field_t *fields);
/* the field of a dotted path; NULL when there is none */
const field_t *external_path(const field_t *fields, const char *path);
/* a copy of a string; NULL with x->err when it is none or holds a NUL */
const char *external_text(external_t *x, const value_t *v, const char *path);

#endif
