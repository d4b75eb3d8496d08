/*
 * declarative_slice: where two texts of a configuration differ: the items of
 * one list around that, and these as a document of their own.
 */

#include <string.h>

#include "../model/json.h"
#include "declarative_change.h"
#include "yaml.h"


#define SLICE_BLOCK  4096


static size_t slice_prefix(const char *one, const char *two, size_t len);
static size_t slice_suffix(const char *one, const char *two, size_t len);
static uint32_t slice_after(const decl_part_t *part, size_t at);
static char *slice_text(decl_change_t *ch, const char *name, size_t *len);
static int slice_column(decl_change_t *ch);


int
decl_slice_find(decl_change_t *ch)
{
    size_t               i, before, after, rest, shortest;
    const decl_part_t   *part;
    const decl_origin_t *old, *new;

    old = ch->old;
    new = ch->head;

    shortest = (old->len < new->len) ? old->len : new->len;
    before = slice_prefix(old->text, new->text, shortest);
    after = slice_suffix(old->text + old->len, new->text + new->len,
                          shortest - before);
    rest = old->len - after;

    for (i = 0; i < old->n_parts; i++) {
        part = &old->parts[i];

        if (part->n != 0 && part->starts[0] <= before && rest <= part->end) {
            break;
        }
    }

    if (i == old->n_parts) {
        return -1;
    }

    /* a change at an item's edge may concern its neighbour */

    ch->slice.part = part;
    ch->slice.first = slice_after(part, before);
    ch->slice.first -= (ch->slice.first != 0);
    ch->slice.last = slice_after(part, rest + 1);
    ch->slice.start = part->starts[ch->slice.first];
    ch->slice.end = (ch->slice.last < part->n)
                    ? part->starts[ch->slice.last] : part->end;
    ch->slice.end = ch->slice.end + new->len - old->len;

    return 0;
}


static size_t
slice_prefix(const char *one, const char *two, size_t len)
{
    size_t  n;

    for (n = 0; len - n >= SLICE_BLOCK; n += SLICE_BLOCK) {
        if (memcmp(one + n, two + n, SLICE_BLOCK) != 0) {
            break;
        }
    }

    while (n < len && one[n] == two[n]) {
        n++;
    }

    return n;
}


/* both end where they are pointed at */

static size_t
slice_suffix(const char *one, const char *two, size_t len)
{
    size_t  n;

    for (n = 0; len - n >= SLICE_BLOCK; n += SLICE_BLOCK) {
        if (memcmp(one - n - SLICE_BLOCK, two - n - SLICE_BLOCK,
                   SLICE_BLOCK)
            != 0)
        {
            break;
        }
    }

    while (n < len && one[-(ptrdiff_t) n - 1] == two[-(ptrdiff_t) n - 1]) {
        n++;
    }

    return n;
}


/* the first item that begins at `at` or behind it */

static uint32_t
slice_after(const decl_part_t *part, size_t at)
{
    uint32_t  low, high, mid;

    low = 0;
    high = part->n;

    while (low < high) {
        mid = low + (high - low) / 2;

        if (part->starts[mid] < at) {
            low = mid + 1;

        } else {
            high = mid;
        }
    }

    return low;
}


value_t *
decl_slice_parse(decl_change_t *ch)
{
    int            rc;
    char          *text;
    size_t         len;
    value_t       *doc, *v;
    const char    *name, *err;
    yaml_fault_t   fault;

    name = schema_entities[ch->slice.part->kind]->name;
    text = slice_text(ch, name, &len);

    if (text == NULL) {
        return NULL;
    }

    doc = value_new(ch->scratch);
    spans_init(&ch->spans, ch->scratch);

    rc = (ch->head->syntax == DECLARATIVE_JSON)
         ? json_parse_spans(ch->scratch, text, len, doc, &ch->spans, &err)
         : yaml_read_spans(ch->scratch, text, len, doc, NULL, &ch->spans,
                           &fault);

    if (rc != 0 || ch->spans.bad || ch->spans.n != 1
        || doc->kind != VALUE_OBJECT || doc->len != 1)
    {
        return NULL;
    }

    v = value_get(doc, name);

    if (v == NULL || v->kind != VALUE_ARRAY || v->len == 0
        || v->len != ch->spans.lists[0].n)
    {
        return NULL;
    }

    v = value_put(ch->scratch, doc, "_format_version");
    value_set_string(v, "3.0", 3);

    v = value_put(ch->scratch, doc, "_transform");
    value_set_bool(v, ch->old->transform);

    return doc;
}


static char *
slice_text(decl_change_t *ch, const char *name, size_t *len)
{
    char        *text, *p;
    size_t       n, size;
    unsigned     json;
    const char  *from, *end;

    json = (ch->head->syntax == DECLARATIVE_JSON);
    from = ch->head->text + ch->slice.start;
    end = ch->head->text + ch->slice.end;

    if (json && ch->slice.last < ch->slice.part->n) {

        /* what parts it from the next item stays where it is */

        while (end > from && strchr(" \t\r\n", end[-1]) != NULL) {
            end--;
        }

        if (end == from || *--end != ',') {
            return NULL;
        }
    }

    if (!json && (slice_column(ch) != 0
                  || (ch->slice.end != ch->head->len
                      && (end == from || end[-1] != '\n'))))
    {
        return NULL;
    }

    size = (size_t) (end - from);
    n = strlen(name);
    text = arena_alloc(ch->scratch, size + n + sizeof("{\"\":[]}"));
    p = text;

    if (json) {
        *p++ = '{';
        *p++ = '"';
    }

    memcpy(p, name, n);
    p += n;

    memcpy(p, json ? "\":[" : ":\n", json ? 3 : 2);
    p += json ? 3 : 2;
    ch->prefix = (size_t) (p - text);

    memcpy(p, from, size);
    p += size;

    if (json) {
        *p++ = ']';
        *p++ = '}';
    }

    *len = (size_t) (p - text);

    return text;
}


/* items begin with "-" in one column, in the slice as around it */

static int
slice_column(decl_change_t *ch)
{
    size_t       i;
    const char  *old, *new;

    old = ch->old->text + ch->slice.start;
    new = ch->head->text + ch->slice.start;

    for (i = 0; ch->slice.start + i < ch->head->len; i++) {
        if (old[i] != new[i]) {
            return -1;
        }

        if (old[i] == '-') {
            return 0;
        }
    }

    return -1;
}
