/*
 * The composer's state, shared by yaml.c and yaml_anchor.c.  Functions that
 * return int give 0, or -1 with the fault set.
 */

#ifndef KONG_YAML_READER_H
#define KONG_YAML_READER_H

#include <yaml.h>

#include "../model/keys.h"
#include "yaml.h"


typedef struct {
    const char  *s;
    size_t       len;
} yaml_key_t;

typedef struct {
    arena_t        *arena;
    yaml_parser_t   parser;
    yaml_event_t    event;
    unsigned        have_event;
    yaml_fault_t   *fault;

    size_t          line;            /* of the last event, 0-based */
    size_t          column;
    unsigned        started;
    unsigned        documents;
    unsigned        depth;
    size_t          nodes;
    size_t          copies;
    value_t         anchors;         /* name -> node, of this document */
    keys_t          keys;
    uint8_t         members[YAML_READ_DEPTH + 1];   /* of the last map that
                                                       deep */
    spans_t        *spans;           /* NULL: nobody asks */
    spans_list_t   *list;            /* the list of spans that is open */
} yaml_reader_t;


/* sets the fault; the position in its text is that of the last good event,
 * as Kong's.  Returns -1 */
int yaml_fail(yaml_reader_t *yr, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* the current event begins the node; afterwards it is the node's last one */
int yaml_node(yaml_reader_t *yr, value_t *v);

/* the name of the current event's anchor, in the arena; NULL when it has none.
 * Until it is closed no alias may name it */
const char *yaml_anchor_open(yaml_reader_t *yr);
/* the node is complete; a NULL name is none */
void yaml_anchor_close(yaml_reader_t *yr, const char *name, const value_t *v);
/* the current event is an alias: a copy of what it names */
int yaml_alias(yaml_reader_t *yr, value_t *v);
/*
 * The current event begins the value of "<<": members that are not there yet.
 * A member given after the merge key replaces a merged one, one given before
 * stays.
 */
int yaml_merge(yaml_reader_t *yr, value_t *v);

#endif
