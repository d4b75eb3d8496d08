/*
 * yaml: YAML text -> value tree with line numbers, through libyaml's event
 * parser.  Types, merge keys and error positions are those of Kong's loader
 * (YAML 1.1 as its users know it: yes, no, on and off are booleans, 0777 is
 * octal, 12:30 is 750, dates stay strings).
 *
 * Where the two differ:
 *
 * - a key that is no string (8080, true, ~) becomes its text in plain form,
 *   one that is a list or a map ({{ NAME }} of a template that nobody filled
 *   in) its JSON;
 * - an alias is a copy, never shared, and all copies together are bounded, as
 *   are the depth and the number of nodes of a document;
 * - an anchor that contains its own alias is an error.
 */

#ifndef KONG_YAML_H
#define KONG_YAML_H

#include "../model/spans.h"
#include "../model/value.h"


#define YAML_READ_DEPTH   256
#define YAML_READ_NODES   50000000
#define YAML_READ_COPIES  1000000     /* nodes made by aliases */

typedef struct {
    const char  *text;      /* "<line>:<column>: <problem>", arena memory */
    unsigned     line;      /* where the problem itself is, 0 = unknown */
    unsigned     column;
} yaml_fault_t;


/*
 * Reads the first document of the stream (the others must parse, too).  An
 * empty stream and a null document set *out to null; *n_documents (may be
 * NULL) tells them apart.  0, or -1 with *fault filled.
 */
int yaml_read(arena_t *a, const char *text, size_t len, value_t *out,
    unsigned *n_documents, yaml_fault_t *fault);

/* the same, and where the items of the document's block lists are */
int yaml_read_spans(arena_t *a, const char *text, size_t len, value_t *out,
    unsigned *n_documents, spans_t *spans, yaml_fault_t *fault);

/* what a plain scalar stands for: null, boolean, number or the string s */
void yaml_plain_value(value_t *v, const char *s, size_t len);

#endif
