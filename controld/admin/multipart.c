/*
 * multipart: parts between boundaries, each with headers of which only the
 * name in Content-Disposition counts.
 */

#include <string.h>
#include <strings.h>

#include "multipart.h"


typedef struct {
    const char  *data;
    size_t       len;
} multipart_str_t;


static int multipart_boundary(arena_t *a, const char *type,
    multipart_str_t *out);
static void multipart_part(arena_t *a, const char *p, const char *last,
    value_t *out);
static int multipart_name(const char *p, const char *last,
    multipart_str_t *out);
static const char *multipart_find(const char *p, const char *last,
    const char *what, size_t len);


int
multipart_parse(arena_t *a, const char *type, const char *body, size_t len,
    value_t *out)
{
    const char       *p, *last, *next;
    multipart_str_t   mark;

    value_set_object(out);

    if (multipart_boundary(a, type, &mark) == -1) {
        return -1;
    }

    last = body + len;

    /* mark is "\r\n--boundary"; the first one may lack the line before */
    p = multipart_find(body, last, mark.data + 2, mark.len - 2);
    if (p == NULL) {
        return 0;
    }

    for (p += mark.len - 2; p != NULL; p = next + mark.len) {

        next = multipart_find(p, last, mark.data, mark.len);
        if (next == NULL) {
            return 0;
        }

        multipart_part(a, p, next, out);
    }

    return 0;
}


static int
multipart_boundary(arena_t *a, const char *type, multipart_str_t *out)
{
    char        *mark;
    size_t       len;
    const char  *p;

    for (p = strchr(type, ';'); p != NULL; p = strchr(p, ';')) {

        p += strspn(p, "; \t");

        if (strncasecmp(p, "boundary=", 9) != 0) {
            continue;
        }

        p += 9;

        if (*p == '"') {
            p++;
            len = strcspn(p, "\"");
        } else {
            len = strcspn(p, "; \t");
        }

        if (len == 0) {
            return -1;
        }

        mark = arena_alloc(a, len + 5);
        memcpy(mark, "\r\n--", 4);
        memcpy(mark + 4, p, len);
        mark[len + 4] = '\0';

        out->data = mark;
        out->len = len + 4;

        return 0;
    }

    return -1;
}


static void
multipart_part(arena_t *a, const char *p, const char *last, value_t *out)
{
    value_t          *v;
    const char       *end;
    multipart_str_t   name;

    end = multipart_find(p, last, "\r\n\r\n", 4);

    if (end == NULL || multipart_name(p, end, &name) == -1) {
        return;
    }

    end += 4;

    v = value_putn(a, out, arena_strndup(a, name.data, name.len), name.len);
    value_copy_string(a, v, end, last - end);
}


static int
multipart_name(const char *p, const char *last, multipart_str_t *out)
{
    const char  *end, *q;

    static const char  header[] = "content-disposition:";

    for ( ; p < last; p = end + 2) {

        end = multipart_find(p, last, "\r\n", 2);
        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) < sizeof(header) - 1
            || strncasecmp(p, header, sizeof(header) - 1) != 0)
        {
            continue;
        }

        /* "filename" ends in the same letters: a blank or ";" comes before */
        for (q = p + sizeof(header) - 1; q < end; q++) {

            q = multipart_find(q, end, "name=\"", 6);
            if (q == NULL) {
                return -1;
            }

            if (q[-1] == ' ' || q[-1] == ';' || q[-1] == '\t') {
                out->data = q + 6;
                q = memchr(out->data, '"', end - out->data);
                if (q == NULL) {
                    return -1;
                }

                out->len = q - out->data;
                return 0;
            }
        }

        return -1;
    }

    return -1;
}


static const char *
multipart_find(const char *p, const char *last, const char *what, size_t len)
{
    return memmem(p, last - p, what, len);
}
