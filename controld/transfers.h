/*
 * transfers: libcurl's multi interface on the daemon's loop.  libcurl tells
 * which sockets to watch and when to call again; the loop does both.  What a
 * transfer is, its owner knows.
 */

#ifndef KONG_TRANSFERS_H
#define KONG_TRANSFERS_H

#include <curl/curl.h>
#include <event2/event.h>


typedef struct transfers_s  transfers_t;

/* the handle has been removed; `owner` is its CURLOPT_PRIVATE */
typedef void (*transfers_done_pt)(void *owner, CURLcode rc);


/* keeps up to `idle` connections; NULL: out of memory */
transfers_t *transfers_new(struct event_base *base, long idle,
    transfers_done_pt done);
/* no handle may be added still; NULL is fine */
void transfers_free(transfers_t *t);

/* 0, and done() is called later, unless the handle is removed before; -1: out
 * of memory */
int transfers_add(transfers_t *t, CURL *easy);
void transfers_remove(transfers_t *t, CURL *easy);

#endif
