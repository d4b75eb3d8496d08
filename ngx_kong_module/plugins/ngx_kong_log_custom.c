/*
 * See ngx_kong_log_custom.h.  A field whose Lua fails is left as it is, and
 * the error log says why.
 */

#include "ngx_kong_fields.h"
#include "ngx_kong_log_lua.h"
#include "ngx_kong_log_record.h"


typedef struct {
    ngx_str_t                *names;     /* the path's */
    ngx_uint_t                n_names;
    ngx_kong_log_chunk_t     *chunk;
} ngx_kong_log_rule_t;

struct ngx_kong_log_custom_s {
    ngx_kong_log_rule_t      *rules;
    ngx_uint_t                n;
};

/* what a rule has set in one request; in its pool */
typedef struct ngx_kong_log_field_s  ngx_kong_log_field_t;

struct ngx_kong_log_field_s {
    ngx_kong_log_field_t     *next;
    ngx_kong_log_rule_t      *rule;
    ngx_str_t                 value;     /* JSON; empty: remove it */
};


static ngx_int_t ngx_kong_log_rule(ngx_pool_t *pool, ngx_str_t path,
    ngx_kong_log_rule_t *rule);
static ngx_int_t ngx_kong_log_edit(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *names, ngx_uint_t n, ngx_str_t *value);


ngx_int_t
ngx_kong_log_custom(ngx_kong_instance_t *in, ngx_pool_t *pool,
    ngx_kong_log_custom_t **custom)
{
    uint32_t                i;
    ngx_str_t               lua;
    const kong_value_t     *v, *item;
    ngx_kong_log_custom_t  *c;

    *custom = NULL;

    v = ngx_kong_conf_get(in, "custom_fields_by_lua");

    if (v == NULL || v->kind != KONG_VALUE_OBJECT || v->n == 0) {
        return NGX_OK;
    }

    c = ngx_palloc(pool, sizeof(ngx_kong_log_custom_t));
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->n = v->n;
    c->rules = ngx_pcalloc(pool, v->n * sizeof(ngx_kong_log_rule_t));
    if (c->rules == NULL) {
        return NGX_ERROR;
    }

    item = kong_value_items(&in->map->seg, v);

    for (i = 0; i < v->n; i++) {
        lua = ngx_kong_value_text(in, &item[2 * i + 1]);

        if (ngx_kong_log_rule(pool, ngx_kong_value_text(in, &item[2 * i]),
                              &c->rules[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        /* one that is no Lua costs its field, not the requests */

        c->rules[i].chunk = ngx_kong_log_chunk(pool, &lua);
    }

    *custom = c;

    return NGX_OK;
}


/* a name is what is between two dots */
static ngx_int_t
ngx_kong_log_rule(ngx_pool_t *pool, ngx_str_t path, ngx_kong_log_rule_t *rule)
{
    u_char      *p, *last, *start;
    ngx_uint_t   n;

    last = path.data + path.len;

    for (p = path.data, n = 1; p < last; p++) {
        n += (*p == '.');
    }

    rule->names = ngx_palloc(pool, n * sizeof(ngx_str_t));
    if (rule->names == NULL) {
        return NGX_ERROR;
    }

    rule->n_names = n;
    start = path.data;

    for (p = path.data, n = 0; p <= last; p++) {
        if (p == last || *p == '.') {
            rule->names[n].data = start;
            rule->names[n++].len = p - start;
            start = p + 1;
        }
    }

    return NGX_OK;
}


void
ngx_kong_log_custom_run(ngx_http_request_t *r, ngx_kong_log_custom_t *custom)
{
    ngx_uint_t              i;
    ngx_http_kong_ctx_t    *ctx;
    ngx_kong_log_field_t   *field, **last;

    if (custom == NULL) {
        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    for (last = &ctx->log_fields; *last != NULL; last = &(*last)->next) {
        /* void */
    }

    for (i = 0; i < custom->n; i++) {

        if (custom->rules[i].chunk == NULL) {
            continue;
        }

        field = ngx_pcalloc(r->pool, sizeof(ngx_kong_log_field_t));
        if (field == NULL) {
            return;
        }

        field->rule = &custom->rules[i];

        if (ngx_kong_log_chunk_run(r, custom->rules[i].chunk, &field->value)
            == NGX_OK)
        {
            *last = field;
            last = &field->next;
        }
    }

    ngx_kong_log_record_changed();
}


ngx_int_t
ngx_kong_log_custom_apply(ngx_http_request_t *r, ngx_str_t *record)
{
    ngx_http_kong_ctx_t   *ctx;
    ngx_kong_log_field_t  *field;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    for (field = ctx->log_fields; field != NULL; field = field->next) {
        if (ngx_kong_log_edit(r->pool, record, field->rule->names,
                              field->rule->n_names, &field->value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* what is no object is replaced by one where a path leads through it */
static ngx_int_t
ngx_kong_log_edit(ngx_pool_t *pool, ngx_str_t *text, ngx_str_t *names,
    ngx_uint_t n, ngx_str_t *value)
{
    ngx_str_t           inner;
    ngx_array_t        *members;
    ngx_kong_member_t  *m;

    if (ngx_kong_json_members(pool, text, &members) != NGX_OK) {
        return NGX_ERROR;
    }

    m = ngx_kong_json_member(members, &names[0]);

    if (value->len == 0 && m == NULL) {
        return NGX_OK;
    }

    if (n > 1) {
        ngx_str_set(&inner, "{}");

        if (m != NULL && m->value.len != 0 && m->value.data[0] == '{') {
            inner = m->value;

        } else if (value->len == 0) {
            return NGX_OK;
        }

        if (ngx_kong_log_edit(pool, &inner, names + 1, n - 1, value)
            != NGX_OK
            || ngx_kong_json_set(members, &names[0], &inner) != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else if (value->len == 0) {
        ngx_kong_json_remove(members, &names[0]);

    } else if (ngx_kong_json_set(members, &names[0], value) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_kong_json_write(pool, members, text);
}
