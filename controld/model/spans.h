/*
 * spans: where the items of a document's lists are in its text, recorded while
 * it is parsed.  A list is an array that is a member of the document itself;
 * an item reaches to the next one, the last to the list's end.
 *
 * `bad` says that a part of the text cannot be read on its own (anchors,
 * directives, a list that is given twice, ...): the spans are then of no use.
 */

#ifndef KONG_SPANS_H
#define KONG_SPANS_H

#include "arena.h"

#include <stdint.h>


#define SPANS_LISTS  64


typedef struct {
    const char   *name;          /* the member's key, arena memory */
    uint32_t     *starts;        /* of the items, ascending */
    uint32_t      n;
    uint32_t      cap;
    uint32_t      end;
} spans_list_t;

typedef struct {
    arena_t      *arena;
    spans_list_t  lists[SPANS_LISTS];        /* in the order of the text */
    unsigned      n;
    unsigned      bad;
} spans_t;


void spans_init(spans_t *s, arena_t *a);
/* NULL when the spans are bad */
spans_list_t *spans_open(spans_t *s, const char *name, size_t len);
void spans_item(spans_t *s, spans_list_t *list, size_t at);
void spans_close(spans_t *s, spans_list_t *list, size_t at);

/* starts and ends are lines, from 0: makes them offsets of lines that begin
 * with "-" in the column of their list's first item */
void spans_of_lines(spans_t *s, const char *text, size_t len);

#endif
