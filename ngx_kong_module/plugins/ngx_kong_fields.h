/*
 * Names and values of a query string or a form as a list that is changed and
 * written again: what the transformer plugins work on.
 */

#ifndef NGX_KONG_FIELDS_H
#define NGX_KONG_FIELDS_H

#include "ngx_kong_plugin.h"


typedef struct {
    ngx_str_t   name;                    /* unescaped */
    ngx_str_t   value;
    unsigned    bare:1;                  /* had no "=" */
    unsigned    gone:1;
    unsigned    added:1;
} ngx_kong_field_t;


/* NULL when out of memory; fields without a name are left out */
ngx_array_t *ngx_kong_fields(ngx_pool_t *pool, ngx_str_t *text);
/* a copy whose changes leave the other as it is */
ngx_array_t *ngx_kong_fields_copy(ngx_pool_t *pool, ngx_array_t *fields);

static ngx_inline ngx_uint_t
ngx_kong_field_is(ngx_kong_field_t *f, ngx_str_t *name)
{
    return f->name.len == name->len && !f->gone
           && ngx_memcmp(f->name.data, name->data, name->len) == 0;
}

ngx_uint_t ngx_kong_fields_has(ngx_array_t *fields, ngx_str_t *name);
void ngx_kong_fields_remove(ngx_array_t *fields, ngx_str_t *name);
/* all of that name get the other; what had it is removed.  1 when done */
ngx_uint_t ngx_kong_fields_rename(ngx_array_t *fields, ngx_str_t *name,
    ngx_str_t *to);
/* the first of that name; the others are removed */
void ngx_kong_fields_replace(ngx_array_t *fields, ngx_str_t *name,
    ngx_str_t *value);
ngx_int_t ngx_kong_fields_add(ngx_array_t *fields, ngx_str_t *name,
    ngx_str_t *value, ngx_uint_t bare);

/*
 * Names with several values stay together; sorted by the written text, or in
 * the order of their first values.  There, what was added comes behind the
 * first field: Kong's order is that of a Lua table, any, and this is where a
 * recorded Kong had it.
 */
ngx_int_t ngx_kong_fields_write(ngx_pool_t *pool, ngx_array_t *fields,
    ngx_uint_t sorted, ngx_str_t *text);


/* a JSON object; values keep the text they came with */

typedef struct {
    ngx_str_t   name;                    /* unescaped */
    ngx_str_t   raw;                     /* as written, with quotes */
    ngx_str_t   value;                   /* JSON */
    unsigned    gone:1;
} ngx_kong_member_t;

/* NGX_OK, NGX_DECLINED when it is no JSON object, NGX_ERROR */
ngx_int_t ngx_kong_json_members(ngx_pool_t *pool, ngx_str_t *text,
    ngx_array_t **members);
/* the last of that name, or NULL */
ngx_kong_member_t *ngx_kong_json_member(ngx_array_t *members,
    ngx_str_t *name);
void ngx_kong_json_remove(ngx_array_t *members, ngx_str_t *name);
/* 1 when there was one */
ngx_uint_t ngx_kong_json_rename(ngx_array_t *members, ngx_str_t *name,
    ngx_str_t *to);
/* sets, or adds at the end; value is JSON */
ngx_int_t ngx_kong_json_set(ngx_array_t *members, ngx_str_t *name,
    ngx_str_t *value);
/* a string becomes an array of both, an array gets one more, anything else is
 * replaced by an array of it */
ngx_int_t ngx_kong_json_append(ngx_pool_t *pool, ngx_array_t *members,
    ngx_str_t *name, ngx_str_t *value);
/* the text as a JSON string */
ngx_int_t ngx_kong_json_string(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *json);
/* without spaces between the tokens */
ngx_int_t ngx_kong_json_write(ngx_pool_t *pool, ngx_array_t *members,
    ngx_str_t *text);

#endif
