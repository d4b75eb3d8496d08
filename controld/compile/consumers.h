/*
 * consumers: consumers, their groups and their credentials -> the sections
 * CONSUMERS and CREDENTIALS.
 */

#ifndef KONG_COMPILE_CONSUMERS_H
#define KONG_COMPILE_CONSUMERS_H

#include "ids.h"
#include "values.h"


/* where a kind of credentials is, and what it is found by */
typedef struct {
    const char  *entity;
    const char  *key;
    const char  *secret;             /* NULL: none */
    unsigned     extra;              /* plugins need the whole entity */
} credential_kind_t;


extern const credential_kind_t  consumers_kinds[KONG_CREDENTIAL_KINDS];


/* the record of a row, but for its consumer.  -1: it has no id or no key */
int consumers_record(writer_t *w, values_t *values,
    const credential_kind_t *kind, const value_t *v, kong_credential_t *c);
/* a new string, or 0 when the field is not set */
uint32_t consumers_string(writer_t *w, const value_t *v, const char *field);
/* fills *ids with the consumers' positions.  0, or -1 with *err */
int consumers_compile(arena_t *a, const config_t *c, writer_t *w,
    values_t *values, ids_t *ids, const char **err);

#endif
