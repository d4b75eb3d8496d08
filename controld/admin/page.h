/*
 * page: size, offset and tags of a collection, and the page that they give.
 */

#ifndef KONG_ADMIN_PAGE_H
#define KONG_ADMIN_PAGE_H

#include "router.h"


#define PAGE_TAGS_MAX  5

typedef struct {
    size_t           size;
    const char      *after;          /* id of the last row shown, or NULL */
    size_t           skip;           /* the offset: of targets, of tags */
    unsigned         counted:1;      /* in: it is a plain number */
    unsigned         paired:1;       /* in: an id and a number */
    admin_str_t      tags[PAGE_TAGS_MAX];
    size_t           n_tags;
    unsigned         any;            /* one tag is enough */

    const schema_t  *schema;
    const char      *foreign;        /* children of `parent` only */
    const value_t   *parent;         /* its id */
} page_t;


/* 0, or -1 when the arguments were answered with an error; all but the flags
 * is filled in */
int page_init(admin_request_t *r, page_t *p);
/* `next` and `offset` of a page that another one follows */
void page_next(admin_request_t *r, const page_t *p, value_t *body,
    const char *id);
void page_entities(admin_request_t *r, page_t *p);

#endif
