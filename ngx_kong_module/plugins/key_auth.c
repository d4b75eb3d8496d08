/*
 * key-auth: a key in a header, the query or the body names a consumer.
 */

#include "ngx_kong_plugin.h"


typedef struct {
    ngx_str_t    name;
    ngx_str_t    lower;
} key_auth_name_t;

typedef struct {
    key_auth_name_t  *names;
    ngx_uint_t        n_names;
    ngx_str_t         challenge;         /* WWW-Authenticate */
    unsigned          in_header:1;
    unsigned          in_query:1;
    unsigned          in_body:1;
    unsigned          hide:1;
    unsigned          run_on_preflight:1;
} key_auth_conf_t;


static void *key_auth_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t key_auth_access(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t key_auth_check(ngx_http_request_t *r, ngx_kong_run_t *run,
    const char **message);
static ngx_int_t key_auth_find(ngx_http_request_t *r, key_auth_conf_t *conf,
    ngx_str_t *key, ngx_uint_t *name);
static ngx_int_t key_auth_find_in(ngx_http_request_t *r,
    key_auth_conf_t *conf, key_auth_name_t *name, ngx_str_t *body,
    ngx_str_t *key);
static ngx_int_t key_auth_hide(ngx_http_request_t *r, key_auth_conf_t *conf,
    key_auth_name_t *name);


const ngx_kong_plugin_t  ngx_kong_key_auth = {
    .name = ngx_string("key-auth"),
    .prepare = key_auth_prepare,
    .access = key_auth_access
};


static void *
key_auth_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    ngx_str_t        *names;
    ngx_uint_t        i;
    key_auth_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(key_auth_conf_t));
    names = ngx_kong_conf_strs(in, "key_names", pool, &i);

    if (conf == NULL || names == NULL) {
        return NULL;
    }

    conf->n_names = i;
    conf->names = ngx_palloc(pool, i * sizeof(key_auth_name_t));
    if (conf->names == NULL) {
        return NULL;
    }

    for (i = 0; i < conf->n_names; i++) {
        conf->names[i].name = names[i];
        conf->names[i].lower.len = names[i].len;
        conf->names[i].lower.data = ngx_pnalloc(pool, names[i].len);
        if (conf->names[i].lower.data == NULL) {
            return NULL;
        }

        ngx_strlow(conf->names[i].lower.data, names[i].data, names[i].len);
    }

    conf->in_header = ngx_kong_conf_flag(in, "key_in_header");
    conf->in_query = ngx_kong_conf_flag(in, "key_in_query");
    conf->in_body = ngx_kong_conf_flag(in, "key_in_body");
    conf->hide = ngx_kong_conf_flag(in, "hide_credentials");
    conf->run_on_preflight = ngx_kong_conf_flag(in, "run_on_preflight");

    return ngx_kong_challenge(in, pool, "Key", &conf->challenge) == NGX_OK
           ? conf : NULL;
}


static ngx_int_t
key_auth_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_int_t         rc;
    const char       *message;
    key_auth_conf_t  *conf;

    conf = run->instance->conf;

    if ((!conf->run_on_preflight && r->method == NGX_HTTP_OPTIONS)
        || ngx_kong_authenticated(r, run))
    {
        return NGX_OK;
    }

    message = NULL;
    rc = key_auth_check(r, run, &message);

    return rc != NGX_DECLINED
           ? rc : ngx_kong_unauthorized(r, run, &conf->challenge, message);
}


/* NGX_DECLINED with a message when the request does not authenticate */
static ngx_int_t
key_auth_check(ngx_http_request_t *r, ngx_kong_run_t *run,
    const char **message)
{
    ngx_int_t                 rc;
    ngx_str_t                 key;
    ngx_uint_t                i;
    key_auth_conf_t          *conf;
    const kong_credential_t  *credential;

    conf = run->instance->conf;

    rc = key_auth_find(r, conf, &key, &i);

    if (rc == NGX_DECLINED) {
        *message = "No API key found in request";
        return NGX_DECLINED;
    }

    if (rc == NGX_BUSY) {
        *message = "Duplicate API key found";
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (conf->hide && key_auth_hide(r, conf, &conf->names[i]) != NGX_OK) {
        return NGX_ERROR;
    }

    credential = ngx_kong_credential(r, KONG_CREDENTIAL_KEY_AUTH, &key);

    if (credential == NULL || credential->consumer == KONG_NONE) {
        *message = "Unauthorized";
        return NGX_DECLINED;
    }

    return ngx_kong_authenticate(r, credential->consumer, credential, NULL);
}


/* NGX_OK, NGX_DECLINED: none, NGX_BUSY: several, or what a body read says */
static ngx_int_t
key_auth_find(ngx_http_request_t *r, key_auth_conf_t *conf, ngx_str_t *key,
    ngx_uint_t *name)
{
    ngx_int_t   rc;
    ngx_str_t   body;
    ngx_uint_t  i;

    ngx_str_null(&body);

    if (conf->in_body) {
        rc = ngx_kong_body(r, NGX_KONG_BODY_MAX, &body);

        if (rc != NGX_OK && rc != NGX_DECLINED) {
            return rc;
        }
    }

    for (i = 0; i < conf->n_names; i++) {
        rc = key_auth_find_in(r, conf, &conf->names[i], &body, key);

        if (rc == NGX_DECLINED) {
            continue;
        }

        *name = i;

        return (rc == NGX_OK && key->len == 0) ? NGX_DECLINED : rc;
    }

    return NGX_DECLINED;
}


static ngx_int_t
key_auth_find_in(ngx_http_request_t *r, key_auth_conf_t *conf,
    key_auth_name_t *name, ngx_str_t *body, ngx_str_t *key)
{
    ngx_int_t         rc;
    ngx_str_t         second;
    ngx_uint_t        n;
    ngx_table_elt_t  *h;

    if (conf->in_header) {
        n = ngx_kong_header_in_count(r, (char *) name->lower.data,
                                     name->lower.len);
        if (n > 1) {
            return NGX_BUSY;
        }

        if (n == 1) {
            h = ngx_kong_header_in(r, (char *) name->lower.data,
                                   name->lower.len);
            *key = h->value;
            return NGX_OK;
        }
    }

    if (conf->in_query) {
        rc = ngx_kong_arg(r, &name->name, 0, key);

        if (rc == NGX_OK) {
            return ngx_kong_arg(r, &name->name, 1, &second) == NGX_OK
                   ? NGX_BUSY : NGX_OK;
        }

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    if (conf->in_body && body->len != 0) {
        return ngx_kong_body_arg(r, body, &name->name, key);
    }

    return NGX_DECLINED;
}


/* out of the header, the query and the body, wherever it was */
static ngx_int_t
key_auth_hide(ngx_http_request_t *r, key_auth_conf_t *conf,
    key_auth_name_t *name)
{
    ngx_kong_header_in_clear(r, (char *) name->lower.data, name->lower.len);

    if (ngx_kong_arg_clear(r, &name->name) != NGX_OK) {
        return NGX_ERROR;
    }

    return conf->in_body ? ngx_kong_body_arg_clear(r, &name->name) : NGX_OK;
}
