/*
 * Bytes that cannot stand where a plugin puts them, as %XX: nothing that a
 * configuration, a template or a name of a consumer holds may end a header.
 */

#include "ngx_kong_plugin.h"


/* control characters but the tab */
const uint32_t  ngx_kong_unsafe_value[] = {
    0xfffffdff, 0x00000000, 0x00000000, 0x80000000,
    0x00000000, 0x00000000, 0x00000000, 0x00000000
};

/* all but letters, digits and ! # $ % & ' * + - . ^ _ ` | ~ */
const uint32_t  ngx_kong_unsafe_name[] = {
    0xffffffff, 0xfc009305, 0x38000001, 0xa8000000,
    0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff
};


ngx_int_t
ngx_kong_escape(ngx_pool_t *pool, ngx_str_t *text, const uint32_t *map,
    ngx_str_t *escaped)
{
    static u_char  hex[] = "0123456789ABCDEF";

    u_char     *p, ch;
    size_t      i, n;
    ngx_str_t   src;

#define ngx_kong_is_unsafe(ch)  (map[(ch) >> 5] & (1U << ((ch) & 0x1f)))

    for (i = 0, n = 0; i < text->len; i++) {
        n += (ngx_kong_is_unsafe(text->data[i]) != 0);
    }

    if (n == 0) {
        *escaped = *text;
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, text->len + 2 * n);
    if (p == NULL) {
        return NGX_ERROR;
    }

    src = *text;
    escaped->data = p;

    for (i = 0; i < src.len; i++) {
        ch = src.data[i];

        if (ngx_kong_is_unsafe(ch)) {
            *p++ = '%';
            *p++ = hex[ch >> 4];
            *p++ = hex[ch & 0xf];

        } else {
            *p++ = ch;
        }
    }

    escaped->len = p - escaped->data;

    return NGX_OK;
}
