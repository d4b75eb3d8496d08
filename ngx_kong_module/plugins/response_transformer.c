/*
 * response-transformer: headers of the answer, and members of its body when
 * that is a JSON object.  What is present is judged by the headers as they
 * came, before any operation.  Only a body that is to be changed is held
 * back, up to a limit; compressed and partial ones are left alone.
 */

#include "ngx_kong_fields.h"


/* operations, in their order */
#define RESPONSE_REMOVE   0
#define RESPONSE_RENAME   1
#define RESPONSE_REPLACE  2
#define RESPONSE_ADD      3
#define RESPONSE_APPEND   4
#define RESPONSE_OPS      5

typedef struct {
    ngx_str_t                  name;
    ngx_str_t                  value;    /* data NULL: none */
    ngx_str_t                  json;     /* of a member; data NULL: none */
} response_item_t;

typedef struct {
    response_item_t           *items;
    ngx_uint_t                 n;
} response_list_t;

typedef struct {
    response_list_t            headers[RESPONSE_OPS];
    response_list_t            json[RESPONSE_OPS];
    ngx_uint_t                 n_headers;
    ngx_uint_t                 n_json;
} response_conf_t;

typedef struct {
    ngx_chain_t               *held;     /* own copies */
    ngx_chain_t              **last;
    size_t                     size;
    unsigned                   done:1;   /* the rest passes */
} response_state_t;


static void *response_transformer_prepare(ngx_kong_instance_t *in,
    ngx_pool_t *pool);
static ngx_int_t response_prepare_list(ngx_kong_instance_t *in,
    ngx_pool_t *pool, const char *name, response_list_t *list);
static ngx_int_t response_prepare_json(ngx_kong_instance_t *in,
    ngx_pool_t *pool, const char *name, response_list_t *list);
static ngx_int_t response_json_text(ngx_pool_t *pool, ngx_str_t *value,
    ngx_str_t *text);
static ngx_int_t response_json_typed(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *type, ngx_str_t *json);
static ngx_int_t response_transformer_header_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t response_headers(ngx_http_request_t *r,
    response_conf_t *conf);
static ngx_int_t response_rename(ngx_http_request_t *r,
    response_item_t *item, ngx_array_t *values);
static ngx_int_t response_values(ngx_http_request_t *r, ngx_str_t *name,
    ngx_array_t *values);
static ngx_uint_t response_has(ngx_http_request_t *r, ngx_str_t *name);
static ngx_int_t response_set(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value, ngx_uint_t add);
static ngx_uint_t response_is(ngx_str_t *name, const char *lower);
static ngx_uint_t response_is_json(ngx_str_t *type);
static ngx_uint_t response_media_type(u_char *p, u_char *last);
static ngx_int_t response_transformer_body_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run, ngx_chain_t **in);
static ngx_int_t response_hold(ngx_http_request_t *r,
    response_state_t *state, ngx_buf_t *b);
static ngx_int_t response_body(ngx_http_request_t *r, response_conf_t *conf,
    response_state_t *state);
static ngx_int_t response_json(ngx_http_request_t *r, response_conf_t *conf,
    ngx_str_t *body, ngx_str_t *text);
static ngx_int_t response_json_item(ngx_http_request_t *r,
    ngx_array_t *members, ngx_uint_t op, response_item_t *item);
static ngx_chain_t *response_chain(ngx_http_request_t *r, u_char *p,
    size_t len);


const ngx_kong_plugin_t  ngx_kong_response_transformer = {
    .name = ngx_string("response-transformer"),
    .prepare = response_transformer_prepare,
    .header_filter = response_transformer_header_filter,
    .body_filter = response_transformer_body_filter
};

static const char  *response_header_names[RESPONSE_OPS] = {
    "remove.headers", "rename.headers", "replace.headers", "add.headers",
    "append.headers"
};

static const char  *response_json_names[RESPONSE_OPS] = {
    "remove.json", "rename.json", "replace.json", "add.json", "append.json"
};

static const char  *response_type_names[RESPONSE_OPS] = {
    NULL, NULL, "replace.json_types", "add.json_types", "append.json_types"
};


static void *
response_transformer_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    ngx_uint_t        op;
    response_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(response_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    for (op = 0; op < RESPONSE_OPS; op++) {
        if (response_prepare_list(in, pool, response_header_names[op],
                                  &conf->headers[op])
            != NGX_OK
            || response_prepare_list(in, pool, response_json_names[op],
                                     &conf->json[op])
               != NGX_OK
            || (response_type_names[op] != NULL
                && response_prepare_json(in, pool, response_type_names[op],
                                         &conf->json[op])
                   != NGX_OK))
        {
            return NULL;
        }

        conf->n_headers += conf->headers[op].n;
        conf->n_json += conf->json[op].n;
    }

    return conf;
}


static ngx_int_t
response_prepare_list(ngx_kong_instance_t *in, ngx_pool_t *pool,
    const char *name, response_list_t *list)
{
    u_char      *p, *last;
    ngx_str_t   *texts;
    ngx_uint_t   i;

    texts = ngx_kong_conf_strs(in, name, pool, &list->n);

    if (list->n == 0) {
        return NGX_OK;
    }

    list->items = ngx_pcalloc(pool, list->n * sizeof(response_item_t));
    if (list->items == NULL || texts == NULL) {
        return NGX_ERROR;
    }

    /* "name:value", several colons count as one */

    for (i = 0; i < list->n; i++) {
        last = texts[i].data + texts[i].len;
        p = ngx_strlchr(texts[i].data, last, ':');
        p = p ? p : last;

        list->items[i].name.data = texts[i].data;
        list->items[i].name.len = p - texts[i].data;

        while (p < last && *p == ':') {
            p++;
        }

        if (p < last) {
            list->items[i].value.data = p;
            list->items[i].value.len = last - p;
        }
    }

    return NGX_OK;
}


/* the members' values as JSON, by the list of types beside them */
static ngx_int_t
response_prepare_json(ngx_kong_instance_t *in, ngx_pool_t *pool,
    const char *name, response_list_t *list)
{
    ngx_str_t    text, *types;
    ngx_uint_t   i, n;

    types = ngx_kong_conf_strs(in, name, pool, &n);

    for (i = 0; i < list->n; i++) {
        if (response_json_text(pool, &list->items[i].value, &text) != NGX_OK
            || response_json_typed(pool, &text, i < n ? &types[i] : NULL,
                                   &list->items[i].json)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * Kong takes the value for the text of a JSON string, whose quotes and
 * slashes need no backslash: another backslash stands for itself, twice.
 * No value at all is the text "null".
 */
static ngx_int_t
response_json_text(ngx_pool_t *pool, ngx_str_t *value, ngx_str_t *text)
{
    u_char  *p, ch;
    size_t   i;

    if (value->data == NULL) {
        ngx_str_set(text, "null");
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, 6 * value->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    for (i = 0; i < value->len; i++) {
        ch = value->data[i];

        if (ch == '\\') {
            *p++ = '\\';
            *p++ = '\\';

        } else if (ch == LF) {
            p = ngx_cpymem(p, "\\n", 2);

        } else if (ch == CR) {
            p = ngx_cpymem(p, "\\r", 2);

        } else if (ch == '\t') {
            p = ngx_cpymem(p, "\\t", 2);

        } else if (ch < 0x20 || ch == 0x7f) {
            p = ngx_sprintf(p, "\\u%04xi", (ngx_int_t) ch);

        } else {
            *p++ = ch;
        }
    }

    text->len = p - text->data;

    return NGX_OK;
}


static ngx_int_t
response_json_typed(ngx_pool_t *pool, ngx_str_t *text, ngx_str_t *type,
    ngx_str_t *json)
{
    char    *end;
    double   n;
    u_char  *p;

    if (type == NULL || type->len == sizeof("string") - 1) {
        /* "number" is as long */
        if (type == NULL || type->data[0] == 's') {
            return ngx_kong_json_string(pool, text, json);
        }

        p = ngx_pnalloc(pool, text->len + 1 + NGX_INT64_LEN + 16);
        if (p == NULL) {
            return NGX_ERROR;
        }

        *ngx_cpymem(p, text->data, text->len) = '\0';

        n = strtod((char *) p, &end);

        while (*end == ' ' || *end == '\t') {
            end++;
        }

        /* what is no number changes nothing */

        if (end == (char *) p || *end != '\0' || n != n || n - n != 0) {
            ngx_str_null(json);
            return NGX_OK;
        }

        json->data = p;
        json->len = snprintf((char *) p, NGX_INT64_LEN + 16, "%.14g", n);

        return NGX_OK;
    }

    if (text->len == 4 && ngx_memcmp(text->data, "true", 4) == 0) {
        ngx_str_set(json, "true");

    } else {
        ngx_str_set(json, "false");
    }

    return NGX_OK;
}


static ngx_int_t
response_transformer_header_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run)
{
    ngx_uint_t         json;
    ngx_table_elt_t   *h;
    response_conf_t   *conf;
    response_state_t  *state;

    conf = run->instance->conf;

    json = conf->n_json && response_is_json(&r->headers_out.content_type);

    if (conf->n_headers && response_headers(r, conf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!json || !response_is_json(&r->headers_out.content_type)
        || r->headers_out.status == NGX_HTTP_PARTIAL_CONTENT)
    {
        return NGX_OK;
    }

    h = ngx_kong_header_out(r, "content-encoding", 16);

    if (h != NULL && !(h->value.len == 8
                       && ngx_strncasecmp(h->value.data,
                                          (u_char *) "identity", 8)
                          == 0))
    {
        return NGX_OK;
    }

    ngx_kong_header_out_clear(r, "content-length", 14);
    ngx_http_clear_accept_ranges(r);
    r->allow_ranges = 0;

    state = ngx_pcalloc(r->pool, sizeof(response_state_t));
    if (state == NULL) {
        return NGX_ERROR;
    }

    state->last = &state->held;
    run->state = state;

    return NGX_OK;
}


static ngx_int_t
response_headers(ngx_http_request_t *r, response_conf_t *conf)
{
    u_char           *has;
    ngx_uint_t        i, op;
    ngx_array_t      *values;
    response_item_t  *item;
    response_list_t  *lists;

    lists = conf->headers;

    /* what the answer had: values to rename, presence of the others */

    values = ngx_pcalloc(r->pool, (lists[RESPONSE_RENAME].n + 1)
                                  * sizeof(ngx_array_t));
    has = ngx_pcalloc(r->pool, lists[RESPONSE_REPLACE].n
                               + lists[RESPONSE_ADD].n + 1);
    if (values == NULL || has == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < lists[RESPONSE_RENAME].n; i++) {
        if (response_values(r, &lists[RESPONSE_RENAME].items[i].name,
                            &values[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (op = RESPONSE_REPLACE; op <= RESPONSE_ADD; op++) {
        for (i = 0; i < lists[op].n; i++) {
            *has++ = response_has(r, &lists[op].items[i].name);
        }
    }

    has -= lists[RESPONSE_REPLACE].n + lists[RESPONSE_ADD].n;

    for (i = 0; i < lists[RESPONSE_REMOVE].n; i++) {
        item = &lists[RESPONSE_REMOVE].items[i];
        ngx_kong_header_out_clear(r, (char *) item->name.data,
                                  item->name.len);
    }

    for (i = 0; i < lists[RESPONSE_RENAME].n; i++) {
        if (response_rename(r, &lists[RESPONSE_RENAME].items[i], &values[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (op = RESPONSE_REPLACE; op <= RESPONSE_ADD; op++) {
        for (i = 0; i < lists[op].n; i++) {
            if (*has++ == (op == RESPONSE_REPLACE)
                && response_set(r, &lists[op].items[i].name,
                                &lists[op].items[i].value, 0)
                   != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    for (i = 0; i < lists[RESPONSE_APPEND].n; i++) {
        item = &lists[RESPONSE_APPEND].items[i];

        if (response_set(r, &item->name, &item->value, 1) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
response_rename(ngx_http_request_t *r, response_item_t *item,
    ngx_array_t *values)
{
    ngx_str_t   *v;
    ngx_uint_t   i;

    if (values->nelts == 0 || item->value.data == NULL) {
        return NGX_OK;
    }

    ngx_kong_header_out_clear(r, (char *) item->name.data, item->name.len);

    v = values->elts;

    for (i = 0; i < values->nelts; i++) {
        if (response_set(r, &item->value, &v[i], i != 0) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
response_values(ngx_http_request_t *r, ngx_str_t *name, ngx_array_t *values)
{
    ngx_str_t        *v;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (ngx_array_init(values, r->pool, 2, sizeof(ngx_str_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    if (response_is(name, "content-type")
        && r->headers_out.content_type.len != 0)
    {
        v = ngx_array_push(values);
        if (v == NULL) {
            return NGX_ERROR;
        }

        *v = r->headers_out.content_type;
    }

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash == 0 || h[i].key.len != name->len
                || ngx_strncasecmp(h[i].key.data, name->data, name->len) != 0)
            {
                continue;
            }

            v = ngx_array_push(values);
            if (v == NULL) {
                return NGX_ERROR;
            }

            *v = h[i].value;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
response_has(ngx_http_request_t *r, ngx_str_t *name)
{
    if (response_is(name, "content-type")) {
        return r->headers_out.content_type.len != 0;
    }

    if (response_is(name, "content-length")) {
        return r->headers_out.content_length_n >= 0;
    }

    return ngx_kong_header_out(r, (char *) name->data, name->len) != NULL;
}


/* the message's framing is not a plugin's to say */
static ngx_int_t
response_set(ngx_http_request_t *r, ngx_str_t *name, ngx_str_t *value,
    ngx_uint_t add)
{
    size_t  i;

    if (value->data == NULL || name->len == 0
        || response_is(name, "transfer-encoding")
        || response_is(name, "connection")
        || response_is(name, "content-length"))
    {
        return NGX_OK;
    }

    for (i = 0; i < name->len; i++) {
        if (name->data[i] <= 0x20 || name->data[i] >= 0x7f) {
            return NGX_OK;
        }
    }

    for (i = 0; i < value->len; i++) {
        if (value->data[i] == CR || value->data[i] == LF
            || value->data[i] == '\0')
        {
            return NGX_OK;
        }
    }

    return add ? ngx_kong_header_out_add(r, name, value)
               : ngx_kong_header_out_set(r, name, value);
}


static ngx_uint_t
response_is(ngx_str_t *name, const char *lower)
{
    return name->len == ngx_strlen(lower)
           && ngx_strncasecmp(name->data, (u_char *) lower, name->len) == 0;
}


/* application/json among the types, parameters or not */
static ngx_uint_t
response_is_json(ngx_str_t *type)
{
    u_char  *p, *last, *end;

    last = type->data + type->len;

    for (p = type->data; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, ',');
        end = end ? end : last;

        if (response_media_type(p, end)) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
response_media_type(u_char *p, u_char *last)
{
    u_char  *end;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    end = ngx_strlchr(p, last, ';');
    end = end ? end : last;

    while (end > p && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }

    return end - p == sizeof("application/json") - 1
           && ngx_strncasecmp(p, (u_char *) "application/json",
                              sizeof("application/json") - 1)
              == 0;
}


static ngx_int_t
response_transformer_body_filter(ngx_http_request_t *r, ngx_kong_run_t *run,
    ngx_chain_t **in)
{
    ngx_int_t          rc;
    ngx_uint_t         last;
    ngx_chain_t       *cl;
    response_state_t  *state;

    state = run->state;

    if (state == NULL || state->done) {
        return NGX_OK;
    }

    last = 0;

    for (cl = *in; cl != NULL; cl = cl->next) {

        if (state->size + ngx_buf_size(cl->buf) > NGX_KONG_BODY_MAX) {
            ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                          "response-transformer: the body is too large to "
                          "be changed");

            /* what is held, then the rest */

            state->done = 1;
            *state->last = cl;
            *in = state->held;

            return NGX_OK;
        }

        rc = response_hold(r, state, cl->buf);

        if (rc != NGX_OK) {
            return rc;
        }

        if (cl->buf->last_buf) {
            last = 1;
        }
    }

    *in = NULL;

    if (!last) {
        return NGX_OK;
    }

    state->done = 1;

    if (response_body(r, run->instance->conf, state) != NGX_OK) {
        return NGX_ERROR;
    }

    *in = state->held;

    return NGX_OK;
}


/* a copy: the buffers go back to whoever fills them */
static ngx_int_t
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


/* state->held becomes the chain to send */
static ngx_int_t
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
