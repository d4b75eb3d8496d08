/*
 * yaml: the composer.  One recursion over libyaml's events; a node is built
 * in the slot that its parent gave it, strings go straight into the arena.
 * Keys repeat a lot in a configuration and are shared through a small cache.
 *
 * Every limit is checked while nodes are made, so that hostile input costs at
 * most what the limits say.  An out-of-memory jump of the arena is caught
 * here once, because libyaml's own memory must be given back.
 */

#include <stdio.h>
#include <string.h>

#include "../model/json.h"
#include "yaml_reader.h"


#define YAML_HINT     32         /* members reserved on a guess, at most */
#define YAML_KEY_TEXT 4096       /* of a key that is a list or a map */
#define YAML_TAG      "tag:yaml.org,2002:"
#define YAML_TAG_LEN  (sizeof(YAML_TAG) - 1)


static int yaml_run(yaml_reader_t *yr, const char *text, size_t len,
    value_t *out);
static void yaml_spans_finish(yaml_reader_t *yr, const char *text,
    size_t len);
static int yaml_stream(yaml_reader_t *yr, value_t *out);
static int yaml_next(yaml_reader_t *yr);
static int yaml_collection(yaml_reader_t *yr, value_t *v);
static int yaml_sequence(yaml_reader_t *yr, value_t *v);
static int yaml_mapping(yaml_reader_t *yr, value_t *v);
static int yaml_member(yaml_reader_t *yr, value_t *v);
static void yaml_list(yaml_reader_t *yr, const yaml_key_t *key, size_t line);
static int yaml_key(yaml_reader_t *yr, yaml_key_t *key, unsigned *merge);
static int yaml_key_text(yaml_reader_t *yr, value_t *v, yaml_key_t *key);
static int yaml_scalar(yaml_reader_t *yr, value_t *v);
static int yaml_tagged(yaml_reader_t *yr, value_t *v, const char *tag,
    const char *s, size_t len);


int
yaml_read(arena_t *a, const char *text, size_t len, value_t *out,
    unsigned *n_documents, yaml_fault_t *fault)
{
    return yaml_read_spans(a, text, len, out, n_documents, NULL, fault);
}


int
yaml_read_spans(arena_t *a, const char *text, size_t len, value_t *out,
    unsigned *n_documents, spans_t *spans, yaml_fault_t *fault)
{
    int             rc;
    yaml_reader_t  *yr;

    memset(fault, 0, sizeof(yaml_fault_t));

    yr = arena_zalloc(a, sizeof(yaml_reader_t));
    yr->arena = a;
    yr->fault = fault;
    yr->spans = spans;

    rc = yaml_run(yr, text, len, out);

    if (n_documents != NULL) {
        *n_documents = yr->documents;
    }

    if (rc == 0 && spans != NULL) {
        yaml_spans_finish(yr, text, len);
    }

    return rc;
}


static int
yaml_run(yaml_reader_t *given, const char *text, size_t len, value_t *out)
{
    int                      rc;
    arena_t                 *a;
    jmp_buf                  oom;
    jmp_buf *volatile        outer;
    yaml_reader_t *volatile  yr;

    yr = given;
    a = yr->arena;
    outer = a->oom;
    value_set_null(out);

    if (!yaml_parser_initialize(&yr->parser)) {
        yr->fault->text = "0:0: out of memory";
        return -1;
    }

    if (outer != NULL) {
        if (setjmp(oom) != 0) {
            if (yr->have_event) {
                yaml_event_delete(&yr->event);
            }

            yaml_parser_delete(&yr->parser);
            a->oom = outer;
            longjmp(*outer, 1);
        }

        a->oom = &oom;
    }

    yaml_parser_set_input_string(&yr->parser, (const unsigned char *) text,
                                 len);

    rc = yaml_stream(yr, out);

    if (yr->have_event) {
        yaml_event_delete(&yr->event);
    }

    yaml_parser_delete(&yr->parser);
    a->oom = outer;

    return rc;
}


/* libyaml counts characters and lines: bytes are found through the lines,
 * where those end in no other way than "\n" */

static void
yaml_spans_finish(yaml_reader_t *yr, const char *text, size_t len)
{
    static const char *const  breaks[] = {
        "\r", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"
    };

    size_t    i;
    spans_t  *spans;

    spans = yr->spans;

    for (i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
        if (memmem(text, len, breaks[i], strlen(breaks[i])) != NULL) {
            spans->bad = 1;
        }
    }

    if (yr->documents != 1 || len >= UINT32_MAX
        || memmem(text, len, "\xef\xbb\xbf", 3) != NULL)
    {
        spans->bad = 1;
    }

    if (yr->list != NULL) {
        spans_close(spans, yr->list, UINT32_MAX);
    }

    if (!spans->bad) {
        spans_of_lines(spans, text, len);
    }
}


static int
yaml_stream(yaml_reader_t *yr, value_t *out)
{
    value_t  rest;

    if (yaml_next(yr) == -1) {
        return -1;
    }

    for ( ;; ) {
        if (yaml_next(yr) == -1) {
            return -1;
        }

        if (yr->event.type == YAML_STREAM_END_EVENT) {
            return 0;
        }

        if (yr->spans != NULL
            && (yr->event.data.document_start.version_directive != NULL
                || yr->event.data.document_start.tag_directives.start
                   != yr->event.data.document_start.tag_directives.end))
        {
            yr->spans->bad = 1;
        }

        /* the document's start; anchors do not outlive a document */

        value_set_object(&yr->anchors);
        memset(&rest, 0, sizeof(value_t));

        if (yaml_next(yr) == -1
            || yaml_node(yr, yr->documents == 0 ? out : &rest) == -1
            || yaml_next(yr) == -1)
        {
            return -1;
        }

        if (yr->spans != NULL && !yr->event.data.document_end.implicit) {
            yr->spans->bad = 1;
        }

        yr->documents++;
    }
}


static int
yaml_next(yaml_reader_t *yr)
{
    const char  *problem;

    if (yr->have_event) {
        yaml_event_delete(&yr->event);
        yr->have_event = 0;
    }

    if (!yaml_parser_parse(&yr->parser, &yr->event)) {
        problem = yr->parser.problem;
        yr->fault->line = (unsigned) yr->parser.problem_mark.line + 1;
        yr->fault->column = (unsigned) yr->parser.problem_mark.column + 1;

        return yaml_fail(yr, "%s", problem != NULL ? problem : "A problem");
    }

    yr->have_event = 1;
    yr->started = 1;
    yr->line = yr->event.start_mark.line;
    yr->column = yr->event.start_mark.column;

    return 0;
}


int
yaml_fail(yaml_reader_t *yr, const char *fmt, ...)
{
    char     problem[512];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(problem, sizeof(problem), fmt, args);
    va_end(args);

    yr->fault->text = arena_printf(yr->arena, "%zu:%zu: %s",
                                   yr->line + yr->started,
                                   yr->column + yr->started, problem);

    if (yr->fault->line == 0) {
        yr->fault->line = (unsigned) yr->line + 1;
        yr->fault->column = (unsigned) yr->column + 1;
    }

    return -1;
}


int
yaml_node(yaml_reader_t *yr, value_t *v)
{
    v->line = (uint32_t) yr->line + 1;

    if (++yr->nodes > YAML_READ_NODES) {
        return yaml_fail(yr, "more than %d nodes", YAML_READ_NODES);
    }

    switch (yr->event.type) {

    case YAML_SCALAR_EVENT:
        return yaml_scalar(yr, v);

    case YAML_ALIAS_EVENT:
        return yaml_alias(yr, v);

    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return yaml_collection(yr, v);

    default:
        return yaml_fail(yr, "unexpected event");
    }
}


static int
yaml_collection(yaml_reader_t *yr, value_t *v)
{
    int          rc;
    const char  *anchor;

    if (++yr->depth > YAML_READ_DEPTH) {
        return yaml_fail(yr, "nested more than %d levels deep",
                         YAML_READ_DEPTH);
    }

    anchor = yaml_anchor_open(yr);

    if (yr->event.type == YAML_SEQUENCE_START_EVENT) {
        value_set_array(v);
        rc = yaml_sequence(yr, v);

    } else {
        value_set_object(v);
        rc = yaml_mapping(yr, v);
    }

    if (rc == -1) {
        return -1;
    }

    yaml_anchor_close(yr, anchor, v);
    yr->depth--;

    return 0;
}


static int
yaml_sequence(yaml_reader_t *yr, value_t *v)
{
    spans_list_t  *list;

    list = (yr->depth == 2 && yr->event.data.sequence_start.style
                              == YAML_BLOCK_SEQUENCE_STYLE)
           ? yr->list : NULL;

    for ( ;; ) {
        if (yaml_next(yr) == -1) {
            return -1;
        }

        if (yr->event.type == YAML_SEQUENCE_END_EVENT) {
            return 0;
        }

        if (list != NULL) {
            spans_item(yr->spans, list, yr->line);
        }

        if (yaml_node(yr, value_append(yr->arena, v)) == -1) {
            return -1;
        }
    }
}


/*
 * Neighbours are alike: the last map says how many members to expect; one
 * more for the id that an entity may get.
 */

static int
yaml_mapping(yaml_reader_t *yr, value_t *v)
{
    uint8_t  *hint;

    hint = &yr->members[yr->depth];

    for ( ;; ) {
        if (yaml_next(yr) == -1) {
            return -1;
        }

        if (yr->event.type == YAML_MAPPING_END_EVENT) {
            *hint = (uint8_t) (v->len < YAML_HINT ? v->len : YAML_HINT);
            return 0;
        }

        if (v->len == 0 && *hint != 0) {
            value_reserve(yr->arena, v, (size_t) *hint + 1);
        }

        if (yaml_member(yr, v) == -1) {
            return -1;
        }
    }
}


static int
yaml_member(yaml_reader_t *yr, value_t *v)
{
    value_t     *slot;
    unsigned     merge;
    size_t       line;
    yaml_key_t   key;

    merge = 0;
    line = yr->line;
    memset(&key, 0, sizeof(yaml_key_t));

    if (yaml_key(yr, &key, &merge) == -1 || yaml_next(yr) == -1) {
        return -1;
    }

    if (merge) {
        if (yr->spans != NULL && yr->depth == 1) {
            yr->spans->bad = 1;
        }

        return yaml_merge(yr, v);
    }

    slot = value_putn(yr->arena, v, key.s, key.len);

    if (yr->spans != NULL && yr->depth == 1) {
        yaml_list(yr, &key, line);
    }

    return yaml_node(yr, slot);
}


/* a member of the document; the current event begins its value */

static void
yaml_list(yaml_reader_t *yr, const yaml_key_t *key, size_t line)
{
    if (yr->list != NULL) {
        spans_close(yr->spans, yr->list, line);
    }

    yr->list = spans_open(yr->spans, key->s, key->len);
}


static int
yaml_key(yaml_reader_t *yr, yaml_key_t *key, unsigned *merge)
{
    value_t      v;
    const char  *tag;

    tag = NULL;
    memset(&v, 0, sizeof(value_t));

    if (yr->event.type == YAML_SCALAR_EVENT) {
        tag = (const char *) yr->event.data.scalar.tag;

        /* what nearly every key is: untagged, no anchor, not a number */

        if (tag == NULL && yr->event.data.scalar.anchor == NULL
            && yr->event.data.scalar.length != 0)
        {
            yaml_plain_value(&v, (char *) yr->event.data.scalar.value,
                             yr->event.data.scalar.length);

            if (v.kind == VALUE_STRING) {
                key->len = v.len;
                key->s = keys_share(&yr->keys, yr->arena, v.u.string, v.len);
                *merge = key->len == 2 && memcmp(key->s, "<<", 2) == 0;
                return 0;
            }

            memset(&v, 0, sizeof(value_t));
        }
    }

    *merge = tag != NULL && strcmp(tag, YAML_TAG "merge") == 0;

    if (yaml_node(yr, &v) == -1) {
        return -1;
    }

    return yaml_key_text(yr, &v, key);
}


static int
yaml_key_text(yaml_reader_t *yr, value_t *v, yaml_key_t *key)
{
    switch (v->kind) {

    case VALUE_STRING:
        key->s = v->u.string;
        key->len = v->len;
        return 0;

    case VALUE_NULL:
        key->s = "null";
        break;

    case VALUE_BOOL:
        key->s = v->u.boolean ? "true" : "false";
        break;

    case VALUE_NUMBER:
        key->s = arena_printf(yr->arena, "%.14g", v->u.number);
        break;

    default:
        key->s = json_print(yr->arena, v, NULL);

        /* each map around it doubles its backslashes */

        if (strlen(key->s) > YAML_KEY_TEXT) {
            return yaml_fail(yr, "a list or a map is too large for a key");
        }

        break;
    }

    key->len = strlen(key->s);

    return 0;
}


static int
yaml_scalar(yaml_reader_t *yr, value_t *v)
{
    size_t       len;
    const char  *s, *tag, *anchor;

    anchor = yaml_anchor_open(yr);

    s = (const char *) yr->event.data.scalar.value;
    len = yr->event.data.scalar.length;
    tag = (const char *) yr->event.data.scalar.tag;

    if (tag != NULL && strncmp(tag, YAML_TAG, YAML_TAG_LEN) == 0) {
        if (yaml_tagged(yr, v, tag + YAML_TAG_LEN, s, len) == -1) {
            return -1;
        }

    } else if (yr->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        yaml_plain_value(v, s, len);

    } else {
        value_set_string(v, s, len);
    }

    if (v->kind == VALUE_STRING) {
        v->u.string = arena_strndup(yr->arena, s, len);
    }

    yaml_anchor_close(yr, anchor, v);

    return 0;
}


static int
yaml_tagged(yaml_reader_t *yr, value_t *v, const char *tag, const char *s,
    size_t len)
{
    int  bad;

    if (strcmp(tag, "str") == 0) {
        value_set_string(v, s, len);
        return 0;
    }

    if (strcmp(tag, "null") == 0) {
        value_set_null(v);
        return 0;
    }

    if (yr->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE
        && strcmp(tag, "bool") != 0 && strcmp(tag, "int") != 0
        && strcmp(tag, "float") != 0)
    {
        value_set_string(v, s, len);
        return 0;
    }

    yaml_plain_value(v, s, len);
    bad = 0;

    if (strcmp(tag, "bool") == 0) {
        if (len == 1 && strchr("yYnN", s[0]) != NULL) {
            value_set_bool(v, s[0] == 'y' || s[0] == 'Y');
        }

        bad = v->kind != VALUE_BOOL;

    } else if (strcmp(tag, "int") == 0) {
        bad = !value_is_integer(v);

    } else if (strcmp(tag, "float") == 0) {
        bad = v->kind != VALUE_NUMBER;
    }

    if (bad) {
        return yaml_fail(yr, "invalid '" YAML_TAG "%s' value: '%.200s'", tag,
                         s);
    }

    return 0;
}
