/*
 * spans: see spans.h.
 */

#include <string.h>

#include "spans.h"


typedef struct {
    const char   *text;
    size_t        len;
    size_t        line;
    size_t        at;            /* where it begins */
} spans_lines_t;


static int spans_line(spans_lines_t *l, size_t line);
static int spans_column(const char *text, size_t len, size_t at,
    size_t *column);


void
spans_init(spans_t *s, arena_t *a)
{
    memset(s, 0, sizeof(spans_t));
    s->arena = a;
}


spans_list_t *
spans_open(spans_t *s, const char *name, size_t len)
{
    unsigned       i;
    spans_list_t  *list;

    for (i = 0; i < s->n; i++) {
        if (strlen(s->lists[i].name) == len
            && memcmp(s->lists[i].name, name, len) == 0)
        {
            s->bad = 1;
        }
    }

    if (s->n == SPANS_LISTS) {
        s->bad = 1;
    }

    if (s->bad) {
        return NULL;
    }

    list = &s->lists[s->n++];
    list->name = arena_strndup(s->arena, name, len);

    return list;
}


void
spans_item(spans_t *s, spans_list_t *list, size_t at)
{
    uint32_t  cap, *starts;

    if (list->n == list->cap) {
        cap = (list->cap == 0) ? 64 : list->cap * 2;
        starts = arena_alloc(s->arena, cap * sizeof(uint32_t));

        if (list->n != 0) {
            memcpy(starts, list->starts, list->n * sizeof(uint32_t));
        }

        list->starts = starts;
        list->cap = cap;
    }

    list->starts[list->n++] = (uint32_t) at;
}


void
spans_close(spans_t *s, spans_list_t *list, size_t at)
{
    (void) s;

    list->end = (uint32_t) at;
}


void
spans_of_lines(spans_t *s, const char *text, size_t len)
{
    unsigned        i;
    size_t          column, first;
    uint32_t        k;
    spans_list_t   *list;
    spans_lines_t   l;

    memset(&l, 0, sizeof(spans_lines_t));
    l.text = text;
    l.len = len;

    for (i = 0; i < s->n && !s->bad; i++) {
        list = &s->lists[i];
        first = 0;

        for (k = 0; k < list->n; k++) {
            if (spans_line(&l, list->starts[k]) == -1
                || spans_column(text, len, l.at, &column) == -1
                || (k != 0 && column != first))
            {
                s->bad = 1;
                return;
            }

            first = column;
            list->starts[k] = (uint32_t) l.at;
        }

        if (list->end == UINT32_MAX) {
            list->end = (uint32_t) len;

        } else if (spans_line(&l, list->end) == -1) {
            s->bad = 1;

        } else {
            list->end = (uint32_t) l.at;
        }
    }
}


/* lines are asked for in ascending order */
static int
spans_line(spans_lines_t *l, size_t line)
{
    const char  *p;

    if (line < l->line) {
        return -1;
    }

    while (l->line < line) {
        p = memchr(l->text + l->at, '\n', l->len - l->at);
        if (p == NULL) {
            return -1;
        }

        l->at = (size_t) (p - l->text) + 1;
        l->line++;
    }

    return 0;
}


static int
spans_column(const char *text, size_t len, size_t at, size_t *column)
{
    size_t  i;

    for (i = at; i < len && text[i] == ' '; i++) { /* void */ }

    if (i == len || text[i] != '-'
        || (i + 1 < len && text[i + 1] != ' ' && text[i + 1] != '\n'))
    {
        return -1;
    }

    *column = i - at;

    return 0;
}
