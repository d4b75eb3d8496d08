/*
 * patch: see patch.h.
 */

#include <stdlib.h>
#include <string.h>

#include "aside.h"
#include "entities.h"
#include "patch.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


/* rows whose going leaves something behind; then all is compiled whole */
#define PATCH_CHANGED  4096

/* of the section table */
#define PATCH_TABLE(h)  ((const kong_section_t *) ((h) + 1))

/* behind each section, for what comes later */
#define PATCH_ROOM(size)  ((size) / 16 + KONG_SEGMENT_PAGE)

typedef struct {
    uint32_t     id;
    size_t       at;
    const void  *data;
    size_t       n;
} patch_edit_t;


static int patch_begin(patch_t *p, const compile_opts_t *opts);
static size_t patch_rows(const config_t *c);
static int patch_tables(patch_t *p);
static int patch_steps(patch_t *p);
static int patch_finish(patch_t *p, segment_buf_t *out);
static unsigned patch_has_room(const patch_t *p);
static int patch_in_place(patch_t *p, segment_buf_t *out);
static void patch_put(patch_t *p, image_t *im, const kong_section_t *s);
static int patch_anew(patch_t *p, segment_buf_t *out);
static void patch_copy(patch_t *p, uint8_t *base);
static int patch_state(patch_t *p, const compile_opts_t *opts);


/* tables that have a way of their own, or nothing in the segment */
static const struct {
    const char  *entity;
    size_t       diff;                  /* offset in patch_t; 0: none */
} patch_kinds[] = {
    { "services", offsetof(patch_t, services) },
    { "routes", offsetof(patch_t, routes) },
    { "plugins", offsetof(patch_t, plugins) },
    { "consumers", offsetof(patch_t, consumers) },
    { "acls", offsetof(patch_t, acls) },
    { "upstreams", offsetof(patch_t, upstreams) },
    { "keyauth_credentials",
      offsetof(patch_t, credentials[KONG_CREDENTIAL_KEY_AUTH]) },
    { "basicauth_credentials",
      offsetof(patch_t, credentials[KONG_CREDENTIAL_BASIC_AUTH]) },
    { "hmacauth_credentials",
      offsetof(patch_t, credentials[KONG_CREDENTIAL_HMAC_AUTH]) },
    { "jwt_secrets", offsetof(patch_t, credentials[KONG_CREDENTIAL_JWT]) },
    { "targets", 0 }
};

#define PATCH_KINDS  (sizeof(patch_kinds) / sizeof(patch_kinds[0]))


int
compile_patch(arena_t *a, const config_t *c, const compile_opts_t *opts,
    segment_buf_t *out)
{
    int       rc;
    size_t    i;
    patch_t   p;

    memset(&p, 0, sizeof(p));
    p.arena = a;
    p.config = c;
    p.before = opts->before;
    p.state = opts->before_state;
    p.old = &p.state->seg;

    writer_init(&p.w, KONG_SEGMENT_CONFIG);
    values_init(&p.values, a, &p.w, c);
    certificates_of(&p.certificates, a, c, p.old);

    rc = patch_begin(&p, opts);

    if (rc == 0) {
        rc = patch_tables(&p);
    }

    if (rc == 0) {
        rc = patch_steps(&p);
    }

    if (rc == 0) {
        rc = patch_finish(&p, out);
    }

    if (rc == 0) {
        rc = patch_state(&p, opts);
    }

    if (rc != 0 && p.used) {
        memset(&p.state->seg, 0, sizeof(kong_segment_t));
    }

    for (i = 0; i < KONG_SECTION_MAX; i++) {
        bytes_release(&p.sections[i].bytes);
    }

    bytes_release(&p.edits);
    bytes_release(&p.dirty);
    values_release(&p.values);
    writer_release(&p.w);
    image_free(p.image);

    return rc;
}


static int
patch_begin(patch_t *p, const compile_opts_t *opts)
{
    uint32_t               i;
    const kong_section_t  *s;

    if (opts->n_broken != 0 || opts->state == NULL || p->old->base == NULL) {
        return -1;
    }

    s = &p->old->sections[KONG_SECTION_STRINGS];

    if (s->id == 0 || s->offset != WRITER_STRINGS || p->old->index == NULL) {
        return -1;
    }

    p->w.first = s->size;
    p->values.first = p->old->sections[KONG_SECTION_VALUES].n;

    for (i = 0; i < KONG_SECTION_MAX; i++) {
        p->sections[i].n = p->old->sections[i].n;
    }

    p->head = *p->old->header;
    p->head.generation = opts->generation;
    p->head.created = opts->created;
    p->head.flags = entities_flags(p->config);
    memcpy(p->head.source_hash, p->config->hash,
           sizeof(p->head.source_hash));

    return 0;
}


static size_t
patch_rows(const config_t *c)
{
    size_t  i, n;

    for (i = 0, n = 0; i < c->n_tables; i++) {
        n += c->tables[i].n;
    }

    return n;
}


static int
patch_tables(patch_t *p)
{
    size_t           i, k, come, max;
    diff_t           d, *to;
    config_table_t  *before, *after;

    come = 0;
    max = 2 * PATCH_CHANGED + patch_rows(p->config) / 2;
    p->changed = p->state->changed;

    for (i = 0; i < p->config->n_tables; i++) {
        before = &p->before->tables[i];
        after = &p->config->tables[i];

        if (before->rows == after->rows && before->n == after->n) {
            continue;
        }

        for (k = 0; k < PATCH_KINDS; k++) {
            if (strcmp(patch_kinds[k].entity, after->schema->name) == 0) {
                break;
            }
        }

        if (k < PATCH_KINDS && patch_kinds[k].diff == 0) {
            continue;
        }

        to = (k < PATCH_KINDS)
             ? (diff_t *) (void *) ((char *) p + patch_kinds[k].diff) : &d;

        if (diff_table(p->arena, before, after, max, to) != 0
            || (to == &d && d.n_gone + d.n_come != 0))
        {
            return -1;
        }

        /* the groups of a consumer have an order */

        if (to == &p->acls && !diff_in_order(before, after, to)) {
            return -1;
        }

        p->changed += to->n_gone;
        come += to->n_come;
    }

    /* what is gone is to be let go some time, and much at once is no change
     * any more */

    return (p->changed + come > PATCH_CHANGED
            && p->changed + come > patch_rows(p->config) / 4) ? -1 : 0;
}


static int
patch_steps(patch_t *p)
{
    size_t            i;
    patch_section_t  *s;

    static int (*const  steps[])(patch_t *) = {
        patch_services,
        patch_consumers,
        patch_routes,
        patch_plugins,
        patch_chains,
        patch_texts
    };

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i](p) != 0) {
            return -1;
        }
    }

    if (p->values.bytes.size != 0) {
        s = patch_section(p, KONG_SECTION_VALUES);
        s->n += (uint32_t) (p->values.bytes.size / sizeof(kong_value_t));
        s->bytes = p->values.bytes;
        memset(&p->values.bytes, 0, sizeof(bytes_t));
    }

    return p->values.failed ? -1 : 0;
}


patch_section_t *
patch_section(patch_t *p, kong_section_id_t id)
{
    p->sections[id].changed = 1;

    return &p->sections[id];
}


void
patch_edit(patch_t *p, kong_section_id_t id, size_t at, const void *data,
    size_t n)
{
    patch_edit_t  e;

    e.id = id;
    e.at = at;
    e.data = data;
    e.n = n;

    bytes_put(&p->edits, &e, sizeof(e));
}


void
patch_bury(patch_t *p, kong_section_id_t id, size_t at)
{
    static const uint8_t  none[16];

    patch_edit(p, id, at, none, sizeof(none));
}


const void *
patch_record(const patch_t *p, kong_section_id_t id, uint32_t number,
    size_t size)
{
    uint32_t  n;

    n = p->old->sections[id].n;

    return (number < n)
           ? (const uint8_t *) kong_segment_section(p->old, id)
             + number * size
           : p->sections[id].bytes.data + (number - n) * size;
}


static uint64_t
patch_align(uint64_t pos)
{
    return (pos + KONG_SEGMENT_ALIGN - 1) / KONG_SEGMENT_ALIGN
           * KONG_SEGMENT_ALIGN;
}


/* the size that a section will have */
static uint64_t
patch_size(const patch_t *p, uint32_t id)
{
    const bytes_t  *more;

    more = (id == KONG_SECTION_STRINGS) ? &p->w.strings
                                        : &p->sections[id].bytes;

    return (p->sections[id].whole ? 0 : p->old->sections[id].size)
           + more->size;
}


/* and what it takes */
static uint64_t
patch_space(const patch_t *p, uint32_t id)
{
    return patch_align(patch_size(p, id) + PATCH_ROOM(patch_size(p, id)));
}


static int
patch_finish(patch_t *p, segment_buf_t *out)
{
    uint32_t               i, failed;
    uint64_t               used;
    const kong_section_t  *s;

    s = PATCH_TABLE(p->old->header);
    failed = p->w.failed | p->w.strings.failed | p->edits.failed
             | p->dirty.failed;
    used = s[0].offset;

    for (i = 0; i < p->head.n_sections; i++) {

        if (s[i].id >= KONG_SECTION_MAX) {
            return -1;
        }

        used += patch_align(patch_size(p, s[i].id));
        failed |= p->sections[s[i].id].bytes.failed;
    }

    for (i = 0; i < KONG_SECTION_MAX; i++) {
        failed |= (p->sections[i].changed && p->old->sections[i].id == 0);
    }

    if (failed
        || used > p->state->fresh + p->state->fresh / 4 + PATCH_CHANGED * 64)
    {
        return -1;
    }

    return patch_has_room(p) ? patch_in_place(p, out) : patch_anew(p, out);
}


/* is there an image in which every section ends before the next one? */
static unsigned
patch_has_room(const patch_t *p)
{
    uint32_t               i;
    uint64_t               end;
    const kong_section_t  *s;

    s = PATCH_TABLE(p->old->header);

    for (i = 0; i < p->head.n_sections; i++) {
        end = (i + 1 < p->head.n_sections) ? s[i + 1].offset : p->old->size;

        if (s[i].offset + patch_size(p, s[i].id) > end) {
            return 0;
        }
    }

    return p->state->image != NULL;
}


/* what the steps have read becomes something else: when anything goes wrong
 * from here on, there is no image any more */
static int
patch_in_place(patch_t *p, segment_buf_t *out)
{
    void          *data;
    size_t         i;
    image_t       *im;
    patch_edit_t  *e, *end;
    kong_section_t table[KONG_SECTION_MAX];

    im = p->state->image;
    p->image = im;
    p->state->image = NULL;
    p->used = 1;

    e = (patch_edit_t *) (void *) p->edits.data;
    end = e + p->edits.size / sizeof(patch_edit_t);

    for ( /* void */ ; e < end; e++) {
        if ((uintptr_t) e->data - (uintptr_t) im->base < im->size) {
            data = arena_alloc(p->arena, e->n);
            memcpy(data, e->data, e->n);
            e->data = data;
        }
    }

    memcpy(table, PATCH_TABLE(p->old->header),
           p->head.n_sections * sizeof(kong_section_t));

    for (i = 0; i < p->head.n_sections; i++) {
        patch_put(p, im, &table[i]);
        table[i].n = p->sections[table[i].id].n;
        table[i].size = patch_size(p, table[i].id);
    }

    for (e = (patch_edit_t *) (void *) p->edits.data; e < end; e++) {
        image_write(im, p->old->sections[e->id].offset + e->at, e->data,
                    e->n);
    }

    image_write(im, sizeof(kong_segment_header_t), table,
                p->head.n_sections * sizeof(kong_section_t));
    image_write(im, 0, &p->head, sizeof(kong_segment_header_t));

    return image_seal(im, out);
}


/* what comes to a section, or all of it */
static void
patch_put(patch_t *p, image_t *im, const kong_section_t *s)
{
    size_t          old, now;
    const bytes_t  *more;

    more = (s->id == KONG_SECTION_STRINGS) ? &p->w.strings
                                           : &p->sections[s->id].bytes;
    old = s->size;
    now = patch_size(p, s->id);

    if (more->size != 0) {
        image_write(im, s->offset + now - more->size, more->data,
                    more->size);
    }

    if (now < old) {
        image_write(im, s->offset + now, arena_zalloc(p->arena, old - now),
                    old - now);
    }
}


/* all of the sections, with room behind them */
static int
patch_anew(patch_t *p, segment_buf_t *out)
{
    uint32_t               i;
    uint64_t               size;
    uint8_t               *base;
    const kong_section_t  *s;

    s = PATCH_TABLE(p->old->header);
    size = s[0].offset;

    for (i = 0; i < p->head.n_sections; i++) {
        size += patch_space(p, s[i].id);
    }

    if (size > KONG_SEGMENT_SIZE_MAX) {
        return -1;
    }

    base = arena_large(size);

    if (base == NULL) {
        return -1;
    }

    p->head.size = size;
    *(kong_segment_header_t *) (void *) base = p->head;
    patch_copy(p, base);
    p->image = image_new(base, size, out);

    return (p->image == NULL) ? -1 : 0;
}


static void
patch_copy(patch_t *p, uint8_t *base)
{
    size_t                 n, i, at;
    uint32_t               k;
    uint64_t               pos, size;
    uint64_t               places[KONG_SECTION_MAX];
    const bytes_t         *more;
    kong_section_t        *t;
    const patch_edit_t    *e;
    const kong_section_t  *s;

    s = PATCH_TABLE(p->old->header);
    t = (kong_section_t *) (void *) (base + sizeof(kong_segment_header_t));
    pos = s[0].offset;
    at = sizeof(kong_segment_header_t)
         + p->head.n_sections * sizeof(kong_section_t);
    memset(base + at, 0, pos - at);

    for (k = 0; k < p->head.n_sections; k++, s++, t++) {
        more = (s->id == KONG_SECTION_STRINGS) ? &p->w.strings
                                               : &p->sections[s->id].bytes;
        size = patch_size(p, s->id);
        n = size - more->size;

        t->id = s->id;
        t->n = p->sections[s->id].n;
        t->offset = pos;
        t->size = size;
        places[s->id] = pos;

        memcpy(base + pos, p->old->base + s->offset, n);

        if (more->size != 0) {
            memcpy(base + pos + n, more->data, more->size);
        }

        memset(base + pos + size, 0, patch_space(p, s->id) - size);
        pos += patch_space(p, s->id);
    }

    e = (const patch_edit_t *) (const void *) p->edits.data;

    for (i = 0; i < p->edits.size / sizeof(patch_edit_t); i++) {
        memcpy(base + places[e[i].id] + e[i].at, e[i].data, e[i].n);
    }
}


/* what the state before had is the new one's: it is used up */
static int
patch_state(patch_t *p, const compile_opts_t *opts)
{
    size_t            n;
    compile_state_t  *s;
    compile_aside_t  *idle;

    n = 0;
    idle = NULL;

    if (p->idle || p->state->idle) {
        n = aside_list_idle(p->arena, p->config, &idle);
    }

    if (opts->aside != NULL) {
        *opts->aside = idle;
        *opts->n_aside = n;
    }

    s = compile_state_new(NULL, p->image, &p->state->order);

    if (s != NULL) {
        p->image = NULL;
        s->patched = 1;
        s->idle = (n != 0);
        s->fresh = p->state->fresh;
        s->changed = p->changed;
    }

    memset(&p->state->seg, 0, sizeof(kong_segment_t));
    *opts->state = s;

    return 0;
}


compile_state_t *
compile_state_new(segment_buf_t *segment, image_t *image,
    route_ranking_t *order)
{
    compile_state_t  *s;

    s = calloc(1, sizeof(compile_state_t));

    if (s == NULL
        || (image == NULL && segment_buf_share(segment, &s->segment) != 0))
    {
        free(s);
        return NULL;
    }

    if (kong_segment_open(&s->seg,
                          image != NULL ? image->base : segment->data,
                          image != NULL ? image->size : segment->size,
                          KONG_SEGMENT_CONFIG, 0)
        != KONG_SEGMENT_OK)
    {
        compile_state_free(s);
        return NULL;
    }

    s->image = image;
    s->order = *order;
    memset(order, 0, sizeof(route_ranking_t));
    s->fresh = s->seg.size;

    return s;
}


void
compile_state_free(compile_state_t *s)
{
    if (s != NULL) {
        segment_buf_release(&s->segment);
        image_free(s->image);
        route_ranking_release(&s->order);
        free(s);
    }
}


unsigned
compile_changed(const compile_state_t *s)
{
    return s->patched;
}
