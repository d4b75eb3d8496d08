/*
 * schema_private: what the files of the walker share: the prepared form of a
 * table of fields, and the error slots.
 */

#ifndef KONG_SCHEMA_PRIVATE_H
#define KONG_SCHEMA_PRIVATE_H

#include "schema.h"


typedef struct {
    const field_t  *field;
    uint32_t        hash;
    uint32_t        len;            /* of the name */
    uint8_t         deep;           /* holds a record somewhere */
    uint8_t         shorthand;      /* holds a record with shorthands */
    uint8_t         unchecked;      /* ttl and updated_at of an entity */
    const value_t  *def;            /* the default, parsed: the shape's */
} schema_slot_t;

/*
 * A table of fields (with those that a sub-schema puts in their place),
 * hashed, its defaults parsed.  Made once a process and table, never freed.
 */
typedef struct schema_info_s  schema_info_t;

struct schema_info_s {
    schema_info_t   *next;
    const field_t   *fields;        /* the key: both tables */
    const field_t   *over;
    schema_slot_t   *slots;
    uint16_t        *index;         /* open addressing, slot number + 1 */
    uint32_t         mask;
    uint32_t         n;
    value_shape_t   *shape;         /* of a complete record */
    uint8_t          deep;          /* any slot is */
    uint8_t          shorthand;
};


/* `entity`: the table is an entity's own, not a nested record's */
const schema_info_t *schema_info(const field_t *fields, const field_t *over,
    unsigned entity);
const schema_slot_t *schema_info_slot(const schema_info_t *info,
    const char *name, size_t len, uint32_t hash);

const schema_t *schema_sub(schema_ctx_t *ctx, const schema_t *s,
    const value_t *entity, const char **err_field, const char **err);

/*
 * Error slots: a null value that becomes a string, an array or an object the
 * first time something is wrong.  schema_fail() returns -1 for its callers.
 */
int schema_fail(schema_ctx_t *ctx, value_t *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int schema_fail_text(value_t *err, const char *text);
int schema_fail_eq(schema_ctx_t *ctx, const field_t *f, value_t *err);
value_t *schema_error_slot(schema_ctx_t *ctx, value_t *errors,
    const char *key, size_t len);
void schema_error_entity(schema_ctx_t *ctx, value_t *errors,
    const char *text);

/* one value against one field: null and required, type, constraints */
int schema_check_field(schema_ctx_t *ctx, const field_t *f, const value_t *v,
    value_t *err);
int schema_check_constraints(schema_ctx_t *ctx, const field_t *f,
    const value_t *v, value_t *err);
int schema_check_record(schema_ctx_t *ctx, const schema_info_t *info,
    value_t *record, value_t *errors);
void schema_run_checks(schema_ctx_t *ctx, const schema_info_t *info,
    const schema_check_t *checks, value_t *record, value_t *errors);

bool schema_is_reference(const value_t *v);

#endif
