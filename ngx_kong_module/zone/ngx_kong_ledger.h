/*
 * The ledger: counters of rate limits whose sums are kept elsewhere, in a
 * database or in Redis, and which several nodes share.  An entry holds the
 * sum as it was last told, what this node has counted since, and what is on
 * its way.  A request is decided by their sum and never waits; what was
 * counted is collected at short intervals, and the new sum comes back.
 *
 * All entries of an identity lie in one bucket under one short lock, as with
 * ngx_kong_counters.h, so that a node is exact by what it knows.  A full
 * bucket gives up what has expired, then the oldest that owes nothing.
 */

#ifndef NGX_KONG_LEDGER_H
#define NGX_KONG_LEDGER_H

#include "ngx_kong_counters.h"


/* bytes of identifier and name of an entry: both are cut to it */
#define NGX_KONG_LEDGER_TEXT   208

/* entries that are collected at a time, at most */
#define NGX_KONG_LEDGER_BATCH  100

/* where the sums are: the database, or a digest of a Redis */
#define NGX_KONG_LEDGER_DATABASE  1

typedef struct ngx_kong_ledger_s  ngx_kong_ledger_t;

/* whom an entry counts, as those who keep the sums name it */
typedef struct {
    uint64_t                 store;
    ngx_kong_counter_key_t   key;        /* of the identity in that store */
    const uint8_t           *route;      /* 16 bytes each */
    const uint8_t           *service;
    ngx_str_t                identifier;
    ngx_str_t                name;       /* of a limit, when named */
    ngx_uint_t               named;
} ngx_kong_ledger_id_t;

typedef struct {
    ngx_kong_counter_key_t   key;        /* with the period mixed in */
    uint64_t                 store;
    int64_t                  total;      /* as it was last told */
    int64_t                  delta;      /* counted since */
    int64_t                  flying;     /* collected, not yet in total */
    uint32_t                 start;      /* of the window, epoch s */
    uint32_t                 end;        /* 0: the slot is free */
    uint32_t                 touched;
    uint32_t                 flown;      /* when it was collected */
    uint32_t                 flight;     /* which collection that was */
    uint8_t                  period;
    uint8_t                  named;
    uint8_t                  identifier_len;
    uint8_t                  name_len;
    uint8_t                  route[16];
    uint8_t                  service[16];
    u_char                   text[NGX_KONG_LEDGER_TEXT];
} ngx_kong_ledger_entry_t;

/* a collected entry */
typedef struct {
    uint32_t                 place;
    ngx_kong_ledger_entry_t  entry;      /* a copy: `flying` is to be added */
} ngx_kong_ledger_row_t;


/* in a zone that is being made; NULL: it is too small, which is logged */
ngx_kong_ledger_t *ngx_kong_ledger_create(ngx_slab_pool_t *shpool,
    ngx_log_t *log);

/* as ngx_kong_counters_take(), _read() and _add() */
ngx_int_t ngx_kong_ledger_take(ngx_kong_ledger_t *ledger,
    const ngx_kong_ledger_id_t *id, ngx_kong_count_t *counts, ngx_uint_t n);
void ngx_kong_ledger_read(ngx_kong_ledger_t *ledger,
    const ngx_kong_ledger_id_t *id, ngx_kong_count_t *counts, ngx_uint_t n);
void ngx_kong_ledger_add(ngx_kong_ledger_t *ledger,
    const ngx_kong_ledger_id_t *id, ngx_kong_count_t *counts, ngx_uint_t n,
    int64_t amount);

/* what a store has not been told of; each is told to ngx_kong_ledger_settle()
 * or ngx_kong_ledger_return() later, or is collected again after a while */
ngx_uint_t ngx_kong_ledger_collect(ngx_kong_ledger_t *ledger, uint64_t store,
    ngx_kong_ledger_row_t *rows, ngx_uint_t max);
/* the store's sum, with what was collected */
void ngx_kong_ledger_settle(ngx_kong_ledger_t *ledger, uint32_t place,
    uint32_t flight, int64_t sum);
/* the store has not got it */
void ngx_kong_ledger_return(ngx_kong_ledger_t *ledger, uint32_t place,
    uint32_t flight);

/* all that is on its way will not come: its carrier is a new one */
void ngx_kong_ledger_recall(ngx_kong_ledger_t *ledger, uint64_t store);

/* whether the database counts, as the daemon says it */
void ngx_kong_ledger_report(ngx_kong_ledger_t *ledger, ngx_uint_t counts);
ngx_uint_t ngx_kong_ledger_is_kept(ngx_kong_ledger_t *ledger);

#endif
