/*
 * yaml: what is written once and used again: anchors, aliases, merge keys.
 * A complete node is never changed again while the text is read, so an anchor
 * shares its members; what aliases make of it are copies, and counted.
 */

#include <string.h>

#include "yaml_reader.h"


/* value_t.pad of an anchor whose node is not complete yet */
#define YAML_OPEN      VALUE_RECORD    /* of a null: it is not complete */


static int yaml_merge_one(yaml_reader_t *yr, value_t *v, value_t *from);
static size_t yaml_count(const value_t *v, size_t limit);


const char *
yaml_anchor_open(yaml_reader_t *yr)
{
    value_t     *node;
    const char  *name;

    switch (yr->event.type) {

    case YAML_SCALAR_EVENT:
        name = (const char *) yr->event.data.scalar.anchor;
        break;

    case YAML_SEQUENCE_START_EVENT:
        name = (const char *) yr->event.data.sequence_start.anchor;
        break;

    default:
        name = (const char *) yr->event.data.mapping_start.anchor;
        break;
    }

    if (name == NULL) {
        return NULL;
    }

    if (yr->spans != NULL) {
        yr->spans->bad = 1;
    }

    name = arena_strndup(yr->arena, name, strlen(name));

    node = value_put(yr->arena, &yr->anchors, name);
    value_set_null(node);
    node->flags = YAML_OPEN;

    return name;
}


void
yaml_anchor_close(yaml_reader_t *yr, const char *name, const value_t *v)
{
    if (name != NULL) {
        *value_put(yr->arena, &yr->anchors, name) = *v;
    }
}


int
yaml_alias(yaml_reader_t *yr, value_t *v)
{
    size_t       n;
    value_t     *node;
    uint32_t     line;
    const char  *name;

    name = (const char *) yr->event.data.alias.anchor;
    node = value_get(&yr->anchors, name);

    if (yr->spans != NULL) {
        yr->spans->bad = 1;
    }

    if (node == NULL) {
        return yaml_fail(yr, "invalid reference: %.200s", name);
    }

    if (node->flags == YAML_OPEN) {
        return yaml_fail(yr, "anchor contains itself: %.200s", name);
    }

    n = yaml_count(node, YAML_READ_COPIES);
    yr->copies += n;

    if (yr->copies > YAML_READ_COPIES) {
        return yaml_fail(yr, "aliases make more than %d nodes",
                         YAML_READ_COPIES);
    }

    line = v->line;
    *v = *value_clone(yr->arena, node);

    if (v->kind != VALUE_ARRAY && v->kind != VALUE_OBJECT) {
        v->line = line;
    }

    return 0;
}


/* nodes of a tree, counted no further than the limit */

static size_t
yaml_count(const value_t *v, size_t limit)
{
    size_t    n;
    uint32_t  i;

    n = 1;

    for (i = 0; n <= limit && i < v->len; i++) {
        if (v->kind == VALUE_ARRAY) {
            n += yaml_count(&v->u.items[i], limit - n);

        } else if (v->kind == VALUE_OBJECT) {
            n += yaml_count(value_nth(v, i), limit - n);

        } else {
            break;
        }
    }

    return n;
}


int
yaml_merge(yaml_reader_t *yr, value_t *v)
{
    uint32_t   i;
    value_t   *from;

    from = value_new(yr->arena);

    if (yaml_node(yr, from) == -1) {
        return -1;
    }

    if (from->kind == VALUE_OBJECT) {
        return yaml_merge_one(yr, v, from);
    }

    if (from->kind != VALUE_ARRAY) {
        return yaml_fail(yr, "invalid '<<' merge event: %s",
                         from->kind == VALUE_STRING ? from->u.string
                                                    : "no map");
    }

    for (i = 0; i < from->len; i++) {
        if (from->u.items[i].kind != VALUE_OBJECT) {
            return yaml_fail(yr, "invalid '<<' sequence element %u",
                             (unsigned) i + 1);
        }

        if (yaml_merge_one(yr, v, &from->u.items[i]) == -1) {
            return -1;
        }
    }

    return 0;
}


static int
yaml_merge_one(yaml_reader_t *yr, value_t *v, value_t *from)
{
    uint32_t   i;
    member_t   m;

    for (i = 0; i < from->len; i++) {
        m = value_member(from, i);

        if (value_getn(v, m.key, m.key_len) == NULL) {
            *value_putn(yr->arena, v, m.key, m.key_len) = *m.value;
        }
    }

    return 0;
}
