/*
 * /proxy-cache of the Admin API: what the plugin keeps on this node.  Answered
 * here, not by the daemon: only the workers know.
 *
 *   DELETE /proxy-cache                          all
 *   GET, DELETE /proxy-cache/<key>               one
 *   GET, DELETE /proxy-cache/<plugin>/caches/<key>
 */

#include "../ngx_http_kong.h"
#include "../plugins/ngx_kong_plugin.h"
#include "../zone/ngx_kong_cache.h"

#include <cjson/cJSON.h>


#define NGX_HTTP_KONG_CACHE_HEX  (2 * NGX_KONG_CACHE_KEY)


static ngx_int_t ngx_http_kong_cache_key(ngx_str_t *hex, u_char *key);
static ngx_int_t ngx_http_kong_cache_path(ngx_http_request_t *r,
    ngx_str_t *key);
static ngx_int_t ngx_http_kong_cache_get(ngx_http_request_t *r,
    ngx_shm_zone_t *zone, u_char *key);
static cJSON *ngx_http_kong_cache_headers(ngx_http_request_t *r,
    ngx_str_t *head);
static cJSON *ngx_http_kong_cache_text(ngx_http_request_t *r, u_char *p,
    size_t len);
static ngx_int_t ngx_http_kong_cache_send(ngx_http_request_t *r,
    ngx_uint_t status, char *text);


ngx_int_t
ngx_http_kong_cache_handler(ngx_http_request_t *r)
{
    u_char                      key[NGX_KONG_CACHE_KEY];
    ngx_int_t                   rc;
    ngx_str_t                   hex;
    ngx_http_kong_main_conf_t  *mcf;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);

    if (mcf->cache == NULL || ngx_http_kong_cache_path(r, &hex) != NGX_OK) {
        return ngx_http_kong_cache_send(r, NGX_HTTP_NOT_FOUND,
                                        "{\"message\":\"Not found\"}");
    }

    if (!(r->method & (NGX_HTTP_DELETE|NGX_HTTP_GET|NGX_HTTP_HEAD))
        || (hex.len == 0 && r->method != NGX_HTTP_DELETE))
    {
        return ngx_http_kong_cache_send(r, NGX_HTTP_NOT_ALLOWED,
                                      "{\"message\":\"Method not allowed\"}");
    }

    if (hex.len == 0) {
        (void) ngx_kong_cache_purge(mcf->cache, NULL);
        return ngx_http_kong_cache_send(r, NGX_HTTP_NO_CONTENT, NULL);
    }

    if (ngx_http_kong_cache_key(&hex, key) != NGX_OK) {
        return ngx_http_kong_cache_send(r, NGX_HTTP_NOT_FOUND, NULL);
    }

    if (r->method != NGX_HTTP_DELETE) {
        return ngx_http_kong_cache_get(r, mcf->cache, key);
    }

    return ngx_http_kong_cache_send(r,
                                    ngx_kong_cache_purge(mcf->cache, key)
                                    ? NGX_HTTP_NO_CONTENT
                                    : NGX_HTTP_NOT_FOUND, NULL);
}


/* POST /purge?key=<key>, or all */
ngx_int_t
ngx_http_kong_cache_control(ngx_http_request_t *r)
{
    u_char                      key[NGX_KONG_CACHE_KEY];
    ngx_str_t                   hex;
    ngx_uint_t                  all;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);

    if (ngx_http_arg(r, (u_char *) "key", 3, &hex) != NGX_OK) {
        return ngx_http_kong_cache_send(r, NGX_HTTP_BAD_REQUEST,
                                        "{\"message\":\"key is missing\"}");
    }

    all = (hex.len == 3 && ngx_memcmp(hex.data, "all", 3) == 0);

    if (!all && ngx_http_kong_cache_key(&hex, key) != NGX_OK) {
        return ngx_http_kong_cache_send(r, NGX_HTTP_BAD_REQUEST,
                                        "{\"message\":\"that is no key\"}");
    }

    if (mcf->cache != NULL) {
        (void) ngx_kong_cache_purge(mcf->cache, all ? NULL : key);
    }

    return ngx_http_kong_cache_send(r, NGX_HTTP_NO_CONTENT, NULL);
}


static ngx_int_t
ngx_http_kong_cache_key(ngx_str_t *hex, u_char *key)
{
    ngx_int_t   ch;
    ngx_uint_t  i;

    if (hex->len != NGX_HTTP_KONG_CACHE_HEX) {
        return NGX_DECLINED;
    }

    for (i = 0; i < NGX_KONG_CACHE_KEY; i++) {
        ch = ngx_hextoi(hex->data + 2 * i, 2);

        if (ch == NGX_ERROR) {
            return NGX_DECLINED;
        }

        key[i] = (u_char) ch;
    }

    return NGX_OK;
}


/* the key behind the last slash; empty for the collection */
static ngx_int_t
ngx_http_kong_cache_path(ngx_http_request_t *r, ngx_str_t *key)
{
    u_char     *p, *last;
    ngx_str_t   rest;

    rest.data = r->uri.data + sizeof("/proxy-cache") - 1;
    rest.len = r->uri.len - (sizeof("/proxy-cache") - 1);

    ngx_str_null(key);

    if (rest.len != 0 && rest.data[rest.len - 1] == '/') {
        rest.len--;
    }

    if (rest.len == 0) {
        return NGX_OK;
    }

    if (rest.data[0] != '/') {
        return NGX_DECLINED;
    }

    last = rest.data + rest.len;
    p = ngx_strlchr(rest.data + 1, last, '/');

    if (p == NULL) {
        p = rest.data;

    } else if ((size_t) (last - p) > sizeof("/caches/") - 1
               && ngx_memcmp(p, "/caches/", sizeof("/caches/") - 1) == 0)
    {
        p += sizeof("/caches") - 1;

    } else {
        return NGX_DECLINED;
    }

    key->data = p + 1;
    key->len = last - key->data;

    return ngx_strlchr(key->data, last, '/') ? NGX_DECLINED : NGX_OK;
}


static ngx_int_t
ngx_http_kong_cache_get(ngx_http_request_t *r, ngx_shm_zone_t *zone,
    u_char *key)
{
    char                    *text, *copy;
    cJSON                   *json;
    ngx_kong_cache_entry_t   entry;

    ngx_memzero(&entry, sizeof(ngx_kong_cache_entry_t));
    ngx_memcpy(entry.key, key, NGX_KONG_CACHE_KEY);

    if (ngx_kong_cache_fetch(zone, r->pool, &entry, NULL, NULL) != NGX_OK) {
        return ngx_http_kong_cache_send(r, NGX_HTTP_NOT_FOUND, NULL);
    }

    json = cJSON_CreateObject();

    cJSON_AddNumberToObject(json, "status", entry.status);
    cJSON_AddItemToObject(json, "headers",
                          ngx_http_kong_cache_headers(r, &entry.head));
    cJSON_AddItemToObject(json, "body",
                          ngx_http_kong_cache_text(r, entry.body.data,
                                                   entry.body.len));
    cJSON_AddNumberToObject(json, "body_len", entry.body.len);
    cJSON_AddNumberToObject(json, "timestamp", entry.stored);
    cJSON_AddNumberToObject(json, "ttl", entry.ttl);
    cJSON_AddNumberToObject(json, "version", 1);

    text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);

    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    copy = ngx_pnalloc(r->pool, ngx_strlen(text) + 1);

    if (copy != NULL) {
        ngx_memcpy(copy, text, ngx_strlen(text) + 1);
    }

    cJSON_free(text);

    return copy ? ngx_http_kong_cache_send(r, NGX_HTTP_OK, copy)
                : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* the form of plugins/proxy_cache.c */
static cJSON *
ngx_http_kong_cache_headers(ngx_http_request_t *r, ngx_str_t *head)
{
    u_char    *p, *last;
    cJSON     *json, *name, *value;
    uint32_t   len[2];

    json = cJSON_CreateObject();
    last = head->data + head->len;

    for (p = head->data + sizeof(off_t); p < last; p += len[0] + len[1]) {
        ngx_memcpy(len, p, sizeof(len));
        p += sizeof(len);

        name = ngx_http_kong_cache_text(r, p, len[0]);
        value = ngx_http_kong_cache_text(r, p + len[0], len[1]);

        if (name != NULL && value != NULL) {
            cJSON_AddItemToObject(json, cJSON_GetStringValue(name), value);
        }

        cJSON_Delete(name);
    }

    return json;
}


static cJSON *
ngx_http_kong_cache_text(ngx_http_request_t *r, u_char *p, size_t len)
{
    u_char  *copy;

    copy = ngx_pnalloc(r->pool, len + 1);
    if (copy == NULL) {
        return NULL;
    }

    ngx_memcpy(copy, p, len);
    copy[len] = '\0';

    return cJSON_CreateString((char *) copy);
}


/* the text is not copied; NULL sends no body */
static ngx_int_t
ngx_http_kong_cache_send(ngx_http_request_t *r, ngx_uint_t status, char *text)
{
    ngx_buf_t  *b;

    if (text == NULL) {
        return ngx_http_kong_endpoint_send(r, status, NULL, NULL);
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = (u_char *) text;
    b->last = b->pos + ngx_strlen(text);
    b->memory = 1;

    return ngx_http_kong_endpoint_send(r, status,
                                       "application/json; charset=utf-8", b);
}
