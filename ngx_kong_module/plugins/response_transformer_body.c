/*
 * response-transformer: the body, held back as copies and changed when its
 * end has come.
 */

#include "response_transformer.h"


static ngx_int_t response_json(ngx_http_request_t *r, response_conf_t *conf,
    ngx_str_t *body, ngx_str_t *text);
static ngx_int_t response_json_item(ngx_http_request_t *r,
    ngx_array_t *members, ngx_uint_t op, response_item_t *item);
static ngx_chain_t *response_chain(ngx_http_request_t *r, u_char *p,
    size_t len);


/* a copy: the buffers go back to whoever fills them */
ngx_int_t
response_hold(ngx_http_request_t *r, response_state_t *state, ngx_buf_t *b)
{
    off_t         size;
    u_char       *p;
    ssize_t       n;
    ngx_chain_t  *cl;

    size = ngx_buf_size(b);

    if (size == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, (size_t) size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (ngx_buf_in_memory(b)) {
        ngx_memcpy(p, b->pos, (size_t) size);
        b->pos = b->last;

    } else {
        n = ngx_read_file(b->file, p, (size_t) size, b->file_pos);

        if (n != (ssize_t) size) {
            return NGX_ERROR;
        }
    }

    if (b->in_file) {
        b->file_pos = b->file_last;
    }

    cl = response_chain(r, p, (size_t) size);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    *state->last = cl;
    state->last = &cl->next;
    state->size += (size_t) size;

    return NGX_OK;
}


ngx_int_t
response_body(ngx_http_request_t *r, response_conf_t *conf,
    response_state_t *state)
{
    u_char       *p;
    ngx_int_t     rc;
    ngx_str_t     body, text;
    ngx_chain_t  *cl;

    body.len = state->size;
    body.data = (u_char *) "";

    if (state->held != NULL && state->held->next == NULL) {
        body.data = state->held->buf->pos;

    } else if (state->held != NULL) {
        p = ngx_pnalloc(r->pool, state->size);
        if (p == NULL) {
            return NGX_ERROR;
        }

        body.data = p;

        for (cl = state->held; cl != NULL; cl = cl->next) {
            p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
        }
    }

    rc = response_json(r, conf, &body, &text);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        text = body;

        if (body.len != 0) {
            ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                          "response-transformer: the body is no JSON object");
        }
    }

    cl = response_chain(r, text.data, text.len);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf->last_buf = 1;
    cl->buf->last_in_chain = 1;
    state->held = cl;

    return NGX_OK;
}


static ngx_int_t
response_json(ngx_http_request_t *r, response_conf_t *conf, ngx_str_t *body,
    ngx_str_t *text)
{
    ngx_int_t     rc;
    ngx_uint_t    i, op;
    ngx_array_t  *members;

    rc = ngx_kong_json_members(r->pool, body, &members);

    if (rc != NGX_OK) {
        return rc;
    }

    for (op = 0; op < RESPONSE_OPS; op++) {
        for (i = 0; i < conf->json[op].n; i++) {
            if (response_json_item(r, members, op, &conf->json[op].items[i])
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return ngx_kong_json_write(r->pool, members, text);
}


/* replace and add take a member that is false for absent, as in Lua */
static ngx_int_t
response_json_item(ngx_http_request_t *r, ngx_array_t *members, ngx_uint_t op,
    response_item_t *item)
{
    ngx_uint_t          there;
    ngx_kong_member_t  *m;

    m = ngx_kong_json_member(members, &item->name);
    there = (m != NULL && m->value.data[0] != 'f');

    switch (op) {

    case RESPONSE_REMOVE:
        ngx_kong_json_remove(members, &item->name);
        return NGX_OK;

    case RESPONSE_RENAME:
        if (item->value.data != NULL) {
            (void) ngx_kong_json_rename(members, &item->name, &item->value);
        }

        return NGX_OK;
    }

    if (item->json.data == NULL || (op == RESPONSE_REPLACE && !there)
        || (op == RESPONSE_ADD && there))
    {
        return NGX_OK;
    }

    return op == RESPONSE_APPEND
           ? ngx_kong_json_append(r->pool, members, &item->name, &item->json)
           : ngx_kong_json_set(members, &item->name, &item->json);
}


static ngx_chain_t *
response_chain(ngx_http_request_t *r, u_char *p, size_t len)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NULL;
    }

    if (len != 0) {
        b->pos = p;
        b->last = p + len;
        b->start = p;
        b->end = b->last;
        b->memory = 1;
    }

    cl->buf = b;
    cl->next = NULL;

    return cl;
}
