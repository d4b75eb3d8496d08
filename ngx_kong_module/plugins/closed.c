/*
 * closed: stands in for a plugin that cannot run here and that guards: the
 * compiler puts it into the chains of its scope.  Requests are answered with
 * 503 that names it; nothing behind it is reached.
 */

#include "ngx_kong_plugin.h"


static void *closed_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t closed_access(ngx_http_request_t *r, ngx_kong_run_t *run);


const ngx_kong_plugin_t  ngx_kong_closed = {
    .name = ngx_string("closed"),
    .prepare = closed_prepare,
    .access = closed_access
};


/* the text, NUL-ended */
static void *
closed_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    u_char      *text, *p, *last, *end;
    ngx_str_t    name;

    static ngx_str_t  begin = ngx_string("the plugin '");
    static u_char     rest[] = "' cannot run on this node";

    name = ngx_kong_conf_str(in, "name");

    text = ngx_pnalloc(pool, begin.len + name.len + sizeof(rest));
    if (text == NULL) {
        return NULL;
    }

    p = ngx_cpymem(text, begin.data, begin.len);
    last = name.data + name.len;

    /* it came from a database: nothing in it may end the JSON string */

    for (end = name.data; end < last; end++) {
        *p++ = (*end < 0x20 || *end > 0x7e
                || ngx_strchr("\"\\<>&", *end) != NULL) ? '?' : *end;
    }

    ngx_memcpy(p, rest, sizeof(rest));

    return text;
}


static ngx_int_t
closed_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    return ngx_kong_exit_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                               (char *) run->instance->conf);
}
