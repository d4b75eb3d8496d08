/*
 * values: value trees -> the segment's section VALUES.  Equal objects that
 * come through values_object() share one tree.  Vault references are resolved
 * on the way, since the data path cannot.
 */

#ifndef KONG_COMPILE_VALUES_H
#define KONG_COMPILE_VALUES_H

#include "writer.h"
#include "../model/config.h"
#include "../../ngx_kong_module/snapshot/kong_plugin.h"


typedef struct {
    arena_t         *arena;
    writer_t        *writer;
    const config_t  *config;        /* for vault references */
    size_t           first;         /* values before these */
    bytes_t          bytes;         /* kong_value_t[] */
    struct {
        uint64_t     hash;
        uint32_t     index;         /* + 1; 0 = free */
    }               *table;
    size_t           n_table;
    size_t           n_shared;
    unsigned         failed;        /* sticky */
} values_t;


void values_init(values_t *vs, arena_t *a, writer_t *w, const config_t *c);
/* moves the section into the writer */
void values_finish(values_t *vs);
void values_release(values_t *vs);

/* the index of the value; any kind */
uint32_t values_add(values_t *vs, const value_t *v);
/* the same, shared with equal ones; *hash identifies the content */
uint32_t values_object(values_t *vs, const value_t *v, uint64_t *hash);

#endif
