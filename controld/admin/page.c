/*
 * page: rows in ascending order of their ids.  An offset is the id of the
 * last row shown, as base64url of its JSON list, so that a page goes on at
 * the right place after the configuration has changed.
 */

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../model/json.h"
#include "../model/uuid.h"
#include "entities.h"
#include "page.h"


#define PAGE_SIZE  100
#define PAGE_MAX   1000


static int page_size(admin_request_t *r, page_t *p);
static int page_offset(admin_request_t *r, page_t *p);
static int page_tags(admin_request_t *r, page_t *p);
static size_t page_start(const page_t *p, value_t *const *rows, size_t n);
static unsigned page_shows(const page_t *p, const value_t *row);
static unsigned page_tagged(const page_t *p, const value_t *row);
static int page_offset_count(admin_request_t *r, page_t *p, const char *s);
static int page_offset_token(admin_request_t *r, page_t *p, const char *s);
static int page_by_custom_id(admin_request_t *r, page_t *p);
static int page_newest_first(const void *one, const void *two);
static char *page_encode(arena_t *a, const char *text, size_t len);
static char *page_decode(arena_t *a, const char *text, size_t *len);
static char *page_escape(arena_t *a, const char *text);


static const char  page_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";


int
page_init(admin_request_t *r, page_t *p)
{
    p->size = PAGE_SIZE;
    p->after = NULL;
    p->skip = 0;
    p->n_tags = 0;

    if (page_size(r, p) == -1 || page_offset(r, p) == -1
        || page_tags(r, p) == -1)
    {
        return -1;
    }

    return 0;
}


static int
page_size(admin_request_t *r, page_t *p)
{
    char        *end;
    double       n;
    const char  *s;

    s = admin_arg(r, "size");
    if (s == NULL) {
        return 0;
    }

    n = strtod(s, &end);

    if (end == s || *end != '\0') {
        entities_page_error(r, 9, "invalid size", "size must be a number");
        return -1;
    }

    if (!(n >= 1 && n <= PAGE_MAX) || n != floor(n)) {
        entities_page_error(r, 9, "invalid size",
                            "size must be an integer between 1 and 1000");
        return -1;
    }

    p->size = (size_t) n;

    return 0;
}


static int
page_offset(admin_request_t *r, page_t *p)
{
    const char  *s;

    s = admin_arg(r, "offset");

    if (s == NULL) {
        return 0;
    }

    return p->counted ? page_offset_count(r, p, s)
                      : page_offset_token(r, p, s);
}


static int
page_offset_count(admin_request_t *r, page_t *p, const char *s)
{
    if (*s != '\0' && strlen(s) < 10 && strspn(s, "0123456789") == strlen(s))
    {
        p->skip = strtoul(s, NULL, 10);
        return 0;
    }

    entities_page_error(r, 7, "invalid offset",
                        arena_printf(r->arena, "'%s' is not a valid offset: "
                                     "must be a number", s));
    return -1;
}


static int
page_offset_token(admin_request_t *r, page_t *p, const char *s)
{
    char        *text;
    size_t       len;
    value_t      v, *n;
    const char  *err, *fault;

    text = page_decode(r->arena, s, &len);
    fault = "bad base64 encoding";

    if (text != NULL) {
        fault = "bad json encoding";

        if (json_parse(r->arena, text, len, &v, &err) == 0
            && value_cstr(value_at(&v, 0)) != NULL
            && uuid_is_valid(value_at(&v, 0)->u.string, value_at(&v, 0)->len))
        {
            p->after = value_cstr(value_at(&v, 0));
            n = value_at(&v, 1);

            if (n != NULL && n->kind == VALUE_NUMBER && n->u.number >= 0
                && n->u.number < 1e9)
            {
                p->skip = (size_t) n->u.number;
            }
        }
    }

    if (p->after == NULL) {
        entities_page_error(r, 7, "invalid offset",
                            arena_printf(r->arena, "'%s' is not a valid "
                                         "offset: %s", s, fault));
        return -1;
    }

    return 0;
}


static int
page_tags(admin_request_t *r, page_t *p)
{
    size_t       n;
    value_t      body, *v;
    const char  *s, *fault;

    s = admin_arg(r, "tags");
    if (s == NULL) {
        return 0;
    }

    fault = NULL;
    p->any = (strchr(s, '/') != NULL);

    if (*s == '\0') {
        fault = "cannot be null";

    } else if (p->any && strchr(s, ',') != NULL) {
        fault = "invalid filter syntax";
    }

    for ( ; fault == NULL && *s != '\0'; s += n + (s[n] != '\0')) {

        n = strcspn(s, ",/");

        if (n == 0) {
            fault = "invalid filter syntax";

        } else if (p->n_tags == PAGE_TAGS_MAX) {
            fault = "cannot query more than 5 tags";

        } else {
            p->tags[p->n_tags].data = s;
            p->tags[p->n_tags++].len = n;
        }
    }

    if (fault == NULL) {
        return 0;
    }

    value_set_object(&body);
    value_set_number(value_put(r->arena, &body, "code"), 11);
    value_set_string(value_put(r->arena, &body, "name"), "invalid options",
                     15);
    value_printf(r->arena, value_put(r->arena, &body, "message"),
                 "invalid option (tags: %s)", fault);

    v = value_put(r->arena, &body, "options");
    value_set_object(v);
    value_set_string(value_put(r->arena, v, "tags"), fault, strlen(fault));

    admin_json(r, 400, &body);

    return -1;
}


void
page_entities(admin_request_t *r, page_t *p)
{
    size_t           i, n;
    value_t          body, *data, *last, **rows;
    config_table_t  *t;

    if (strcmp(p->schema->name, "consumers") == 0 && p->parent == NULL
        && page_by_custom_id(r, p))
    {
        return;
    }

    t = config_table(r->generation->config, p->schema->name);
    n = (t != NULL) ? t->n : 0;
    rows = (n != 0)
           ? r->generation->sorted[t - r->generation->config->tables] : NULL;

    value_set_object(&body);
    data = value_put(r->arena, &body, "data");
    value_set_array(data);
    value_set_null(value_put(r->arena, &body, "next"));

    last = NULL;

    for (i = page_start(p, rows, n); i < n; i++) {

        if (!page_shows(p, rows[i])) {
            continue;
        }

        data = value_get(&body, "data");

        if (data->len == p->size) {
            page_next(r, p, &body, value_cstr(value_get(last, "id")));
            break;
        }

        last = rows[i];
        *value_append(r->arena, data) = *entities_show(r, p->schema, last);
    }

    data = value_get(&body, "data");

    if (strcmp(p->schema->name, "targets") == 0 && data->len != 0) {
        qsort(data->u.items, data->len, sizeof(value_t), page_newest_first);
    }

    admin_json(r, 200, &body);
}


/* the first row after the offset */
static size_t
page_start(const page_t *p, value_t *const *rows, size_t n)
{
    size_t  low, high, mid;

    if (p->after == NULL) {
        return 0;
    }

    low = 0;
    high = n;

    while (low < high) {
        mid = low + (high - low) / 2;

        if (strcmp(value_cstr(value_get(rows[mid], "id")), p->after) <= 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    return low;
}


static unsigned
page_shows(const page_t *p, const value_t *row)
{
    const value_t  *id;

    if (p->parent != NULL) {
        id = value_get(value_get(row, p->foreign), "id");
        if (id == NULL || !value_equal(id, p->parent)) {
            return 0;
        }
    }

    return p->n_tags == 0 || page_tagged(p, row);
}


static unsigned
page_tagged(const page_t *p, const value_t *row)
{
    size_t          i, k, found;
    const value_t  *tags, *v;

    tags = value_get(row, "tags");
    found = 0;

    for (i = 0; i < p->n_tags; i++) {
        for (k = 0; tags != NULL && (v = value_at(tags, k)) != NULL; k++) {
            if (v->kind == VALUE_STRING && v->len == p->tags[i].len
                && memcmp(v->u.string, p->tags[i].data, v->len) == 0)
            {
                found++;
                break;
            }
        }
    }

    return p->any ? found != 0 : found == p->n_tags;
}


void
page_next(admin_request_t *r, const page_t *p, value_t *body, const char *id)
{
    char        *text, *token, *next;
    const char  *tags, *size;

    text = p->paired ? arena_printf(r->arena, "[\"%s\",%zu]", id, p->skip)
                     : arena_printf(r->arena, "[\"%s\"]", id);
    token = p->counted ? arena_printf(r->arena, "%zu", p->skip + p->size)
                       : page_encode(r->arena, text, strlen(text));

    next = arena_printf(r->arena, "%s?offset=%s", r->path, token);

    /* children's links carry the offset alone, as Kong's do */
    if (p->parent == NULL) {
        tags = admin_arg(r, "tags");
        size = admin_arg(r, "size");

        if (tags != NULL) {
            next = arena_printf(r->arena, "%s&tags=%s", next,
                                page_escape(r->arena, tags));
        }

        if (size != NULL) {
            next = arena_printf(r->arena, "%s&size=%s", next,
                                page_escape(r->arena, size));
        }
    }

    value_set_string(value_put(r->arena, body, "next"), next, strlen(next));
    value_set_string(value_put(r->arena, body, "offset"), token,
                     strlen(token));
}


/* 1 when it was answered */
static int
page_by_custom_id(admin_request_t *r, page_t *p)
{
    value_t      body, *data, *row;
    const char  *id;
    admin_str_t  key;

    id = admin_arg(r, "custom_id");
    if (id == NULL) {
        return 0;
    }

    if (*id == '\0') {
        admin_message(r, 400, "custom_id must be an unempty string");
        return 1;
    }

    key.data = id;
    key.len = strlen(id);

    value_set_object(&body);
    data = value_put(r->arena, &body, "data");
    value_set_array(data);

    row = entities_scan(r, p->schema, "custom_id", &key);
    if (row != NULL) {
        *value_append(r->arena, data) = *row;
    }

    value_set_null(value_put(r->arena, &body, "next"));
    admin_json(r, 200, &body);

    return 1;
}


static int
page_newest_first(const void *one, const void *two)
{
    const value_t  *a, *b;

    a = value_get(one, "created_at");
    b = value_get(two, "created_at");

    if (a == NULL || b == NULL || a->u.number == b->u.number) {
        return 0;
    }

    return (a->u.number < b->u.number) ? 1 : -1;
}


/* GET /tags and /tags/{tag}: every use of a tag, in the order of the schemas
 * and the ids, in one page */
void
entities_tags(admin_request_t *r)
{
    size_t           i, k, n;
    value_t          body, *data, *tags, *v, *out;
    const char      *entity;
    config_table_t  *t;

    value_set_object(&body);
    data = value_put(r->arena, &body, "data");
    value_set_array(data);
    value_set_null(value_put(r->arena, &body, "next"));
    data = value_get(&body, "data");

    for (i = 0; r->generation != NULL
                && i < r->generation->config->n_tables; i++)
    {
        t = &r->generation->config->tables[i];
        entity = t->schema->name;

        for (k = 0; k < t->n; k++) {
            tags = value_get(r->generation->sorted[i][k], "tags");

            for (n = 0; tags != NULL && (v = value_at(tags, n)) != NULL; n++)
            {
                if (r->n_segments == 2
                    && (v->len != r->segments[1].len
                        || memcmp(v->u.string, r->segments[1].data, v->len)
                           != 0))
                {
                    continue;
                }

                out = value_append(r->arena, data);
                value_set_object(out);
                *value_put(r->arena, out, "tag") = *v;
                value_set_string(value_put(r->arena, out, "entity_name"),
                                 entity, strlen(entity));
                *value_put(r->arena, out, "entity_id") =
                    *value_get(r->generation->sorted[i][k], "id");
            }
        }
    }

    admin_json(r, 200, &body);
}


static char *
page_encode(arena_t *a, const char *text, size_t len)
{
    char      *out, *p;
    size_t     i;
    uint32_t   bits;
    unsigned   n;

    out = arena_alloc(a, len * 4 / 3 + 4);
    p = out;
    bits = 0;
    n = 0;

    for (i = 0; i < len; i++) {
        bits = bits << 8 | (unsigned char) text[i];
        n += 8;

        while (n >= 6) {
            n -= 6;
            *p++ = page_alphabet[bits >> n & 63];
        }
    }

    if (n != 0) {
        *p++ = page_alphabet[bits << (6 - n) & 63];
    }

    *p = '\0';

    return out;
}


/* NULL when it is no base64; both alphabets, padding is optional */
static char *
page_decode(arena_t *a, const char *text, size_t *len)
{
    char        *out, *p;
    unsigned     n;
    uint32_t     bits;
    const char  *at;

    out = arena_alloc(a, strlen(text) + 1);
    p = out;
    bits = 0;
    n = 0;

    for ( ; *text != '\0' && *text != '='; text++) {

        at = strchr(page_alphabet, (*text == '+') ? '-'
                                   : (*text == '/') ? '_' : *text);
        if (at == NULL) {
            return NULL;
        }

        bits = bits << 6 | (uint32_t) (at - page_alphabet);
        n += 6;

        if (n >= 8) {
            n -= 8;
            *p++ = (char) (bits >> n & 255);
        }
    }

    *p = '\0';
    *len = p - out;

    return out;
}


static char *
page_escape(arena_t *a, const char *text)
{
    char  *out, *p;

    static const char  hex[] = "0123456789ABCDEF";
    static const char  plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

    out = arena_alloc(a, strlen(text) * 3 + 1);

    for (p = out; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL) {
            *p++ = *text;
            continue;
        }

        *p++ = '%';
        *p++ = hex[*text >> 4 & 15];
        *p++ = hex[*text & 15];
    }

    *p = '\0';

    return out;
}
