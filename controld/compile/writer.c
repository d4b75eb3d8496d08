/*
 * writer: see writer.h.  Used by config.c and by tests that need a segment.
 */

#include <stdlib.h>
#include <string.h>

#include "writer.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


static int writer_rehash(writer_t *w);
static size_t writer_slot(writer_t *w, const char *s, size_t len);
static void writer_copy(writer_t *w, uint8_t *base, kong_section_t *s,
    uint64_t *pos);


void
writer_init(writer_t *w, kong_segment_kind_t kind)
{
    memset(w, 0, sizeof(writer_t));
    w->kind = kind;
}


void
writer_release(writer_t *w)
{
    unsigned  i;

    for (i = 0; i < w->n_sections; i++) {
        bytes_release(&w->sections[i].bytes);
    }

    bytes_release(&w->strings);
    free(w->table);
    memset(w, 0, sizeof(writer_t));
}


uint32_t
writer_new_string(writer_t *w, const char *s, size_t len)
{
    size_t    ref;
    uint8_t  *p;

    ref = WRITER_STRINGS + w->first + w->strings.size;

    if (len >= KONG_SEGMENT_SIZE_MAX - ref - 2 * sizeof(uint32_t)) {
        w->failed = 1;
        return 0;
    }

    p = bytes_add(&w->strings, sizeof(uint32_t) + kong_pad4(len + 1));

    if (p == NULL) {
        w->failed = 1;
        return 0;
    }

    *(uint32_t *) (void *) p = (uint32_t) len;
    p += sizeof(uint32_t);

    /* the NUL and the padding first: they are the last word */

    memset(p + kong_pad4(len + 1) - sizeof(uint32_t), 0, sizeof(uint32_t));

    if (len != 0) {
        memcpy(p, s, len);
    }

    return (uint32_t) ref;
}


uint32_t
writer_string(writer_t *w, const char *s, size_t len)
{
    size_t    i;
    uint32_t  ref;

    if (w->n_shared >= w->n_table / 2 && writer_rehash(w) != 0) {
        w->failed = 1;
        return 0;
    }

    i = writer_slot(w, s, len);

    if (w->table[i] != 0) {
        return w->table[i];
    }

    ref = writer_new_string(w, s, len);

    if (ref != 0) {
        w->table[i] = ref;
        w->n_shared++;
    }

    return ref;
}


static kong_str_t
writer_at(const writer_t *w, uint32_t ref)
{
    kong_str_t  s;

    s.data = (const char *) w->strings.data
             + (ref - WRITER_STRINGS - w->first);
    s.len = kong_u32((const uint8_t *) s.data);
    s.data += sizeof(uint32_t);

    return s;
}


/* where the string is, or would be */
static size_t
writer_slot(writer_t *w, const char *s, size_t len)
{
    size_t      i;
    kong_str_t  other;

    i = XXH3_64bits(s, len) % w->n_table;

    while (w->table[i] != 0) {
        other = writer_at(w, w->table[i]);

        if (other.len == len && memcmp(other.data, s, len) == 0) {
            break;
        }

        i = (i + 1 == w->n_table) ? 0 : i + 1;
    }

    return i;
}


static int
writer_rehash(writer_t *w)
{
    size_t      i, n;
    uint32_t   *old;
    kong_str_t  s;

    old = w->table;
    n = w->n_table;

    w->n_table = n ? 2 * n : 256;
    w->table = calloc(w->n_table, sizeof(uint32_t));

    if (w->table == NULL) {
        w->table = old;
        w->n_table = n;
        return -1;
    }

    for (i = 0; i < n; i++) {
        if (old[i] != 0) {
            s = writer_at(w, old[i]);
            w->table[writer_slot(w, s.data, s.len)] = old[i];
        }
    }

    free(old);

    return 0;
}


void *
writer_records(writer_t *w, kong_section_id_t id, size_t n, size_t size)
{
    unsigned  i;
    uint8_t  *p;

    if (w->n_sections == WRITER_SECTIONS || n > UINT32_MAX) {
        w->failed = 1;
        return NULL;
    }

    i = w->n_sections++;
    w->sections[i].id = id;
    w->sections[i].n = (uint32_t) n;

    /* never NULL for an empty section */

    p = bytes_zadd(&w->sections[i].bytes, n * size + KONG_SEGMENT_ALIGN);

    if (p == NULL) {
        w->failed = 1;
        return NULL;
    }

    w->sections[i].bytes.size = n * size;

    return p;
}


int
writer_shrink(writer_t *w, kong_section_id_t id, size_t n, size_t size)
{
    unsigned  i;

    for (i = 0; i < w->n_sections; i++) {
        if (w->sections[i].id == (uint32_t) id) {
            w->sections[i].n = (uint32_t) n;
            w->sections[i].bytes.size = n * size;
        }
    }

    return w->failed ? -1 : 0;
}


void
writer_take(writer_t *w, kong_section_id_t id, size_t n, uint8_t *data,
    size_t size)
{
    unsigned  i;

    if (w->n_sections == WRITER_SECTIONS) {
        free(data);
        w->failed = 1;
        return;
    }

    i = w->n_sections++;
    w->sections[i].id = id;
    w->sections[i].n = (uint32_t) n;
    w->sections[i].bytes.data = data;
    w->sections[i].bytes.size = size;
    w->sections[i].bytes.cap = size;
}


static uint64_t
writer_align(uint64_t pos)
{
    return (pos + KONG_SEGMENT_ALIGN - 1) / KONG_SEGMENT_ALIGN
           * KONG_SEGMENT_ALIGN;
}


int
writer_finish(writer_t *w, const kong_segment_header_t *head,
    segment_buf_t *out)
{
    uint64_t                size;
    unsigned                i;
    kong_section_t         *s;
    kong_segment_header_t  *h;

    size = WRITER_STRINGS + writer_align(w->strings.size);
    w->failed |= w->strings.failed;

    for (i = 0; i < w->n_sections; i++) {
        size += writer_align(w->sections[i].bytes.size);
        w->failed |= w->sections[i].bytes.failed;
    }

    if (w->failed || size > KONG_SEGMENT_SIZE_MAX) {
        return -1;
    }

    h = calloc(1, size);

    if (h == NULL) {
        return -1;
    }

    *h = *head;
    memcpy(h->magic, KONG_SEGMENT_MAGIC, sizeof(h->magic));
    h->version = KONG_SEGMENT_VERSION;
    h->kind = w->kind;
    h->size = size;
    h->n_sections = w->n_sections + 1;
    h->reserved = 0;

    s = (kong_section_t *) (h + 1);
    s->id = KONG_SECTION_STRINGS;
    s->offset = WRITER_STRINGS;
    s->size = w->strings.size;

    if (s->size != 0) {
        memcpy((uint8_t *) h + s->offset, w->strings.data, s->size);
    }

    size = s->offset + writer_align(s->size);
    writer_copy(w, (uint8_t *) h, s + 1, &size);

    h->checksum = kong_segment_checksum(h, h->size);

    out->data = (uint8_t *) h;
    out->size = h->size;
    out->refs = NULL;

    return 0;
}


static void
writer_copy(writer_t *w, uint8_t *base, kong_section_t *s, uint64_t *pos)
{
    unsigned        i;
    const bytes_t  *b;

    for (i = 0; i < w->n_sections; i++, s++) {
        b = &w->sections[i].bytes;

        s->id = w->sections[i].id;
        s->n = w->sections[i].n;
        s->offset = *pos;
        s->size = b->size;

        if (b->size != 0) {
            memcpy(base + s->offset, b->data, b->size);
        }

        *pos += writer_align(b->size);
    }
}
