/*
 * entities: what the parts of the entity handler share.
 */

#ifndef KONG_ADMIN_ENTITIES_H
#define KONG_ADMIN_ENTITIES_H

#include "router.h"


value_t *entities_show(admin_request_t *r, const schema_t *s, value_t *row);
/* show.c */
value_t *show_entity(arena_t *a, const schema_t *s, value_t *row);
/* answers whether the body is a good entity of the route's schema */
void entities_validate_only(admin_request_t *r);
value_t *entities_scan(admin_request_t *r, const schema_t *s,
    const char *field, const admin_str_t *key);
/* the fields of a form, typed by the schema; NULL when it was answered */
value_t *entities_form(admin_request_t *r);
/* an object, or NULL when it was answered */
value_t *entities_body(admin_request_t *r);
/* -1: the key cannot be one, and that was answered */
int entities_check_key(admin_request_t *r, const schema_t *s,
    const admin_str_t *key);
int entities_is_id(const admin_str_t *key);
/* as PATCH does: records are merged, everything else is replaced */
void entities_merge(schema_ctx_t *ctx, const schema_t *s, value_t *into,
    const value_t *from);
void entities_error(admin_request_t *r, int status, unsigned code,
    const char *name, const char *message, const value_t *fields);
void entities_page_error(admin_request_t *r, unsigned code, const char *name,
    const char *message);
/* qsort: values that are strings */
int entities_by_text(const void *one, const void *two);

#endif
