/*
 * Names and values of query strings and forms.  Writing puts the values of a
 * name together; grouping sorts, so that its cost stays small whatever a
 * client sends.
 */

#include "ngx_kong_fields.h"


typedef struct {
    ngx_kong_field_t  *field;
    ngx_uint_t         place;
    ngx_uint_t         group;            /* of its name's first */
    ngx_str_t          text;             /* of the whole group */
} ngx_kong_field_order_t;


static ngx_int_t ngx_kong_field_read(ngx_pool_t *pool, u_char *p,
    u_char *last, ngx_str_t *text);
static u_char *ngx_kong_field_write(u_char *p, ngx_kong_field_t *f);
static size_t ngx_kong_field_escape(u_char *p, ngx_str_t *s);
static int ngx_kong_field_by_name(const void *one, const void *two);
static int ngx_kong_field_by_group(const void *one, const void *two);
static int ngx_kong_field_by_text(const void *one, const void *two);
static int ngx_kong_field_compare(ngx_str_t *a, ngx_str_t *b);


/* escaped: all but letters, digits and - . _ ~ ! ' ( ) * */
static uint32_t  ngx_kong_field_unsafe[] = {
    0xffffffff, 0xfc00987d, 0x78000001, 0xb8000001,
    0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff
};


ngx_array_t *
ngx_kong_fields(ngx_pool_t *pool, ngx_str_t *text)
{
    u_char            *p, *last, *end, *eq;
    ngx_array_t       *fields;
    ngx_kong_field_t  *f;

    fields = ngx_array_create(pool, 8, sizeof(ngx_kong_field_t));
    if (fields == NULL) {
        return NULL;
    }

    last = text->data + text->len;

    for (p = text->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        end = end ? end : last;

        eq = ngx_strlchr(p, end, '=');

        if (end == p || eq == p) {
            continue;
        }

        f = ngx_array_push(fields);
        if (f == NULL) {
            return NULL;
        }

        ngx_memzero(f, sizeof(ngx_kong_field_t));
        f->bare = (eq == NULL);

        if (ngx_kong_field_read(pool, p, eq ? eq : end, &f->name) != NGX_OK
            || (eq != NULL
                && ngx_kong_field_read(pool, eq + 1, end, &f->value)
                   != NGX_OK))
        {
            return NULL;
        }
    }

    return fields;
}


ngx_array_t *
ngx_kong_fields_copy(ngx_pool_t *pool, ngx_array_t *fields)
{
    void         *elts;
    ngx_array_t  *copy;

    copy = ngx_array_create(pool, fields->nelts + 4,
                            sizeof(ngx_kong_field_t));
    if (copy == NULL) {
        return NULL;
    }

    if (fields->nelts != 0) {
        elts = ngx_array_push_n(copy, fields->nelts);
        if (elts == NULL) {
            return NULL;
        }

        ngx_memcpy(elts, fields->elts,
                   fields->nelts * sizeof(ngx_kong_field_t));
    }

    return copy;
}


/* points into the source where nothing is escaped */
static ngx_int_t
ngx_kong_field_read(ngx_pool_t *pool, u_char *p, u_char *last,
    ngx_str_t *text)
{
    u_char     *dst;
    ngx_int_t   ch;

    text->data = p;
    text->len = last - p;

    while (p < last && *p != '%' && *p != '+') {
        p++;
    }

    if (p == last) {
        return NGX_OK;
    }

    dst = ngx_pnalloc(pool, text->len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    p = text->data;
    text->data = dst;

    while (p < last) {

        if (*p == '%' && last - p >= 3) {
            ch = ngx_hextoi(p + 1, 2);

            if (ch != NGX_ERROR) {
                *dst++ = (u_char) ch;
                p += 3;
                continue;
            }
        }

        *dst++ = (*p == '+') ? ' ' : *p;
        p++;
    }

    text->len = dst - text->data;

    return NGX_OK;
}


ngx_uint_t
ngx_kong_fields_has(ngx_array_t *fields, ngx_str_t *name)
{
    ngx_uint_t         i;
    ngx_kong_field_t  *f;

    f = fields->elts;

    for (i = 0; i < fields->nelts; i++) {
        if (ngx_kong_field_is(&f[i], name)) {
            return 1;
        }
    }

    return 0;
}


void
ngx_kong_fields_remove(ngx_array_t *fields, ngx_str_t *name)
{
    ngx_uint_t         i;
    ngx_kong_field_t  *f;

    f = fields->elts;

    for (i = 0; i < fields->nelts; i++) {
        if (ngx_kong_field_is(&f[i], name)) {
            f[i].gone = 1;
        }
    }
}


ngx_uint_t
ngx_kong_fields_rename(ngx_array_t *fields, ngx_str_t *name, ngx_str_t *to)
{
    ngx_uint_t         i;
    ngx_kong_field_t  *f;

    if (!ngx_kong_fields_has(fields, name)
        || (name->len == to->len
            && ngx_memcmp(name->data, to->data, to->len) == 0))
    {
        return 0;
    }

    ngx_kong_fields_remove(fields, to);

    f = fields->elts;

    for (i = 0; i < fields->nelts; i++) {
        if (ngx_kong_field_is(&f[i], name)) {
            f[i].name = *to;
        }
    }

    return 1;
}


void
ngx_kong_fields_replace(ngx_array_t *fields, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_uint_t         i, found;
    ngx_kong_field_t  *f;

    f = fields->elts;

    for (i = 0, found = 0; i < fields->nelts; i++) {
        if (ngx_kong_field_is(&f[i], name)) {
            f[i].value = *value;
            f[i].bare = 0;
            f[i].gone = found;
            found = 1;
        }
    }
}


ngx_int_t
ngx_kong_fields_add(ngx_array_t *fields, ngx_str_t *name, ngx_str_t *value,
    ngx_uint_t bare)
{
    ngx_kong_field_t  *f;

    f = ngx_array_push(fields);
    if (f == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(f, sizeof(ngx_kong_field_t));
    f->name = *name;
    f->value = *value;
    f->bare = bare;
    f->added = 1;

    return NGX_OK;
}


ngx_int_t
ngx_kong_fields_write(ngx_pool_t *pool, ngx_array_t *fields,
    ngx_uint_t sorted, ngx_str_t *text)
{
    u_char                  *p;
    size_t                   len;
    ngx_uint_t               i, n;
    ngx_kong_field_t        *f;
    ngx_kong_field_order_t  *o;

    f = fields->elts;

    o = ngx_palloc(pool, (fields->nelts + 1)
                         * sizeof(ngx_kong_field_order_t));
    if (o == NULL) {
        return NGX_ERROR;
    }

    for (i = 0, n = 0, len = 0; i < fields->nelts; i++) {
        if (!f[i].gone) {
            o[n].field = &f[i];
            o[n].place = i;
            o[n].group = i + (n == 0 || f[i].added ? 0 : fields->nelts);
            n++;
            len += 3 * (f[i].name.len + f[i].value.len) + 2;
        }
    }

    p = ngx_pnalloc(pool, 2 * len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    qsort(o, n, sizeof(*o), ngx_kong_field_by_name);

    for (i = 1; i < n; i++) {
        if (ngx_kong_field_compare(&o[i].field->name, &o[i - 1].field->name)
            == 0)
        {
            o[i].group = o[i - 1].group;
        }
    }

    /* the text of each group, kept by its first */

    for (i = 0; i < n; i++) {
        if (i == 0 || o[i].group != o[i - 1].group) {
            o[i].text.data = p;
            o[i].text.len = 0;

        } else {
            o[i].text = o[i - 1].text;
            *p++ = '&';
        }

        p = ngx_kong_field_write(p, o[i].field);
        o[i].text.len = p - o[i].text.data;
    }

    /* only the last of a group has all of it */

    for (i = 0, len = 0; i < n; i++) {
        if (i + 1 == n || o[i].group != o[i + 1].group) {
            o[len++] = o[i];
        }
    }

    n = len;

    qsort(o, n, sizeof(*o), sorted ? ngx_kong_field_by_text
                                   : ngx_kong_field_by_group);

    text->data = p;

    for (i = 0; i < n; i++) {
        if (i != 0) {
            *p++ = '&';
        }

        p = ngx_cpymem(p, o[i].text.data, o[i].text.len);
    }

    text->len = p - text->data;

    return NGX_OK;
}


static u_char *
ngx_kong_field_write(u_char *p, ngx_kong_field_t *f)
{
    p += ngx_kong_field_escape(p, &f->name);

    if (!f->bare) {
        *p++ = '=';
        p += ngx_kong_field_escape(p, &f->value);
    }

    return p;
}


static size_t
ngx_kong_field_escape(u_char *p, ngx_str_t *s)
{
    static u_char  hex[] = "0123456789ABCDEF";

    size_t   i;
    u_char  *start, ch;

    start = p;

    for (i = 0; i < s->len; i++) {
        ch = s->data[i];

        if (ngx_kong_field_unsafe[ch >> 5] & (1U << (ch & 0x1f))) {
            *p++ = '%';
            *p++ = hex[ch >> 4];
            *p++ = hex[ch & 0xf];

        } else {
            *p++ = ch;
        }
    }

    return p - start;
}


static int
ngx_kong_field_by_name(const void *one, const void *two)
{
    int                            rc;
    const ngx_kong_field_order_t  *a = one, *b = two;

    rc = ngx_kong_field_compare(&a->field->name, &b->field->name);

    return rc ? rc : (a->place > b->place) - (a->place < b->place);
}


static int
ngx_kong_field_by_group(const void *one, const void *two)
{
    const ngx_kong_field_order_t  *a = one, *b = two;

    return (a->group > b->group) - (a->group < b->group);
}


static int
ngx_kong_field_by_text(const void *one, const void *two)
{
    ngx_kong_field_order_t  a = *(const ngx_kong_field_order_t *) one;
    ngx_kong_field_order_t  b = *(const ngx_kong_field_order_t *) two;

    return ngx_kong_field_compare(&a.text, &b.text);
}


static int
ngx_kong_field_compare(ngx_str_t *a, ngx_str_t *b)
{
    int  rc;

    rc = ngx_memcmp(a->data, b->data, ngx_min(a->len, b->len));

    return rc ? rc : (a->len > b->len) - (a->len < b->len);
}
