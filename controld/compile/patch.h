/*
 * patch: a segment from the one before it and the rows that changed.  What
 * has not changed keeps its number and its place: records keep theirs for
 * good, new ones come behind them, strings too.  Behind each section there is
 * room for more, so that a change is made in the image of the segment before
 * it, in place; when there is none left the sections are laid out anew.  What
 * is not worth a way of its own, or not plainly good, is left to a whole
 * compilation, which also says what is wrong with it.
 *
 * patch.c finds what changed and puts the sections together; patch_*.c are
 * one kind of rows each.  All of their functions return 0, or -1: compile
 * whole.
 */

#ifndef KONG_COMPILE_PATCH_H
#define KONG_COMPILE_PATCH_H

#include "certificates.h"
#include "diff.h"
#include "image.h"
#include "route_index.h"
#include "values.h"
#include "writer.h"


/* used by one compilation, which takes image and order away */
struct compile_state_s {
    segment_buf_t           segment; /* compiled whole, and no image yet */
    image_t                *image;
    kong_segment_t          seg;     /* of either; no base: used up */
    route_ranking_t         order;
    size_t                  fresh;   /* bytes, when it was compiled whole */
    size_t                  changed; /* rows since then */
    unsigned                patched; /* it was not compiled whole */
    unsigned                idle;    /* it has plugins that only observe and
                                        are left out */
};

typedef struct {
    bytes_t                 bytes;
    uint32_t                n;       /* records of the section */
    unsigned                changed:1;
    unsigned                whole:1; /* the bytes are all of it; else they
                                        come behind the old ones */
} patch_section_t;

#define PATCH_CREDENTIALS  (KONG_CREDENTIAL_JWT + 1)

typedef struct {
    arena_t                *arena;
    const config_t         *before;
    const config_t         *config;
    compile_state_t        *state;
    const kong_segment_t   *old;
    writer_t                w;       /* of the strings that come */
    patch_section_t         sections[KONG_SECTION_MAX];
    bytes_t                 edits;   /* of old records */
    values_t                values;  /* that come */
    certificates_t          certificates;   /* the old ones */
    unsigned                idle;    /* as in the state, of what comes */
    size_t                  changed; /* rows that went since all was whole */

    diff_t                  services;
    diff_t                  routes;
    diff_t                  plugins;
    diff_t                  consumers;
    diff_t                  acls;
    diff_t                  upstreams;
    diff_t                  credentials[PATCH_CREDENTIALS];

    diff_ids_t              service_ids;
    diff_ids_t              consumer_ids;
    diff_ids_t              scopes;  /* whose plugins come or go */
    unsigned                consumer_plugins;
    uint8_t                *plugins_gone;   /* a byte a record */
    bytes_t                 dirty;   /* kong_route_t *: their chains are to
                                        be made */
    kong_segment_header_t   head;
    image_t                *image;   /* the segment that becomes of it */
    unsigned                used;    /* the state is another one already */
} patch_t;


/* 0: `out` and *state are made; -1: compile whole */
int compile_patch(arena_t *a, const config_t *c, const compile_opts_t *opts,
    segment_buf_t *out);

/* of one of the two: shares the segment, takes over the image, and the order.
 * NULL: out of memory, then it takes nothing */
compile_state_t *compile_state_new(segment_buf_t *segment, image_t *image,
    route_ranking_t *order);

/* the section with its new records behind the old ones */
patch_section_t *patch_section(patch_t *p, kong_section_id_t id);
/* n bytes of a section are to be others; from an arena or the segment */
void patch_edit(patch_t *p, kong_section_id_t id, size_t at,
    const void *data, size_t n);
/* the record of a row that is gone is nobody's */
void patch_bury(patch_t *p, kong_section_id_t id, size_t at);
/* the new record of a number, or the old one */
const void *patch_record(const patch_t *p, kong_section_id_t id,
    uint32_t number, size_t size);

int patch_services(patch_t *p);
int patch_consumers(patch_t *p);
int patch_routes(patch_t *p);
int patch_plugins(patch_t *p);
int patch_chains(patch_t *p);
int patch_texts(patch_t *p);

#endif
