/*
 * declarative_change: what the files that make a configuration from the one
 * before it share: the change itself (declarative_change.c), which items of
 * the text it concerns (declarative_slice.c), and what the next change is held
 * against (declarative_change_origin.c).
 */

#ifndef KONG_DECLARATIVE_CHANGE_H
#define KONG_DECLARATIVE_CHANGE_H

#include "declarative_origin.h"


/* the items [first, last) of a part, and where they are in the new text */
typedef struct {
    const decl_part_t    *part;
    uint32_t              first;
    uint32_t              last;
    size_t                start;
    size_t                end;
} decl_slice_t;

typedef struct {
    const config_t       *before;
    const decl_origin_t  *old;
    const decl_origin_t  *head;
    arena_t              *origin;     /* of the new text */
    arena_t              *rows;
    arena_t              *scratch;
    config_t             *config;
    decl_share_t         *share;
    decl_slice_t          slice;
    decl_t                d;
    spans_t               spans;
    size_t                prefix;     /* before the slice in what is parsed */
    size_t               *at;         /* of the new rows, by table */
    size_t               *n_old;
    size_t               *n_new;
} decl_change_t;


/* whole items around what differs, all of one list: ch->slice.  -1: there are
 * none */
int decl_slice_find(decl_change_t *ch);
/* the slice as a document with one list, in ch->rows; NULL when it is none */
value_t *decl_slice_parse(decl_change_t *ch);

/* the origin of the new configuration; -1 when all should be read whole */
int decl_change_origin(decl_change_t *ch);

#endif
