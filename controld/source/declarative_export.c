/*
 * declarative_export: a configuration as the flat document that loads again
 * to the same entities, and as the answer to POST /config.
 *
 * Every entity has its id, references are ids, members come in the order of
 * the schema.  Unset fields are left out, except where leaving out would
 * bring a default back.  Values are in stored form, hence _transform: false.
 */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "declarative_walk.h"
#include "yaml.h"


typedef struct {
    arena_t  *arena;
    char     *data;
    size_t    len;
    size_t    cap;
} export_t;


static void export_row(export_t *e, const schema_t *s, const value_t *row);
static unsigned export_skipped(const char *entity);
static void export_member(export_t *e, const char *key, const value_t *v,
    unsigned indent);
static void export_value(export_t *e, const value_t *v, unsigned indent);
static void export_key(export_t *e, const char *key);
static void export_scalar(export_t *e, const value_t *v);
static void export_string(export_t *e, const char *s, size_t len);
static unsigned export_plain(const char *s, size_t len);
static void export_quoted(export_t *e, const char *s, size_t len);
static size_t export_utf8(const unsigned char *s, size_t len, uint32_t *c);
static void export_add(export_t *e, const char *s, size_t len);
static void export_text(export_t *e, const char *s);
static void export_indent(export_t *e, unsigned indent);


/* not configuration, but what a node writes down while it runs */
static const char *const  export_skip[] = {
    "workspaces", "tags", "clustering_data_planes", "sessions",
    "oauth2_authorization_codes", "ratelimiting_metrics", NULL
};


char *
declarative_export(arena_t *a, const config_t *c, size_t *len)
{
    size_t                 i, k;
    export_t               e;
    const config_table_t  *t;

    memset(&e, 0, sizeof(export_t));
    e.arena = a;

    export_text(&e, "_format_version: '3.0'\n_transform: false\n");

    for (i = 0; i < c->n_tables; i++) {
        t = &c->tables[i];

        if (t->n == 0 || export_skipped(t->schema->name)) {
            continue;
        }

        export_text(&e, t->schema->name);
        export_text(&e, ":\n");

        for (k = 0; k < t->n; k++) {
            export_row(&e, t->schema, t->rows[k]);
        }
    }

    export_add(&e, "", 1);

    if (len != NULL) {
        *len = e.len - 1;
    }

    return e.data;
}


value_t *
declarative_entities(arena_t *a, const config_t *c)
{
    size_t                 i, k;
    value_t               *out, *rows, *id;
    const config_table_t  *t;

    out = value_new(a);
    value_set_object(out);

    for (i = 0; i < c->n_tables; i++) {
        t = &c->tables[i];

        if (t->n == 0 || strcmp(t->schema->name, "workspaces") == 0) {
            continue;
        }

        rows = value_put(a, out, t->schema->name);
        value_set_object(rows);
        value_reserve(a, rows, t->n);

        for (k = 0; k < t->n; k++) {
            id = value_get(t->rows[k], "id");

            if (id != NULL && id->kind == VALUE_STRING) {
                *value_putn(a, rows, id->u.string, id->len) = *t->rows[k];
            }
        }
    }

    return out;
}


static unsigned
export_skipped(const char *entity)
{
    const char *const  *p;

    for (p = export_skip; *p != NULL; p++) {
        if (strcmp(*p, entity) == 0) {
            return 1;
        }
    }

    return 0;
}


static void
export_row(export_t *e, const schema_t *s, const value_t *row)
{
    size_t          i, first;
    value_t        *id;
    const field_t  *f;
    member_t        m;

    first = 1;

    for (i = 0; i < row->len; i++) {
        m = value_member(row, i);
        f = schema_field(s, m.key);

        if (f != NULL && (f->flags & F_ABSTRACT)) {
            continue;
        }

        if (value_is_null(m.value) && (f == NULL || f->def == NULL)) {
            continue;
        }

        export_text(e, first ? "- " : "  ");
        first = 0;

        id = f != NULL && f->type == FIELD_FOREIGN
             ? value_get(m.value, "id") : NULL;

        export_member(e, m.key, id != NULL ? id : m.value, 2);
    }
}


/* the cursor stands where the key begins */

static void
export_member(export_t *e, const char *key, const value_t *v, unsigned indent)
{
    export_key(e, key);
    export_text(e, ":");
    export_value(e, v, indent);
}


static void
export_value(export_t *e, const value_t *v, unsigned indent)
{
    size_t           i;
    member_t         m;

    if ((v->kind != VALUE_ARRAY && v->kind != VALUE_OBJECT) || v->len == 0) {
        export_text(e, " ");
        export_scalar(e, v);
        export_text(e, "\n");
        return;
    }

    export_text(e, "\n");

    for (i = 0; v->kind == VALUE_ARRAY && i < v->len; i++) {
        export_indent(e, indent);
        export_text(e, "-");
        export_value(e, &v->u.items[i], indent + 2);
    }

    for (i = 0; v->kind == VALUE_OBJECT && i < v->len; i++) {
        m = value_member(v, i);
        export_indent(e, indent + 2);
        export_member(e, m.key, m.value, indent + 2);
    }
}


static void
export_key(export_t *e, const char *key)
{
    export_string(e, key, strlen(key));
}


static void
export_scalar(export_t *e, const value_t *v)
{
    char  buf[64];

    switch (v->kind) {

    case VALUE_NULL:
        export_text(e, "~");
        break;

    case VALUE_BOOL:
        export_text(e, v->u.boolean ? "true" : "false");
        break;

    case VALUE_NUMBER:
        if (isnan(v->u.number)) {
            snprintf(buf, sizeof(buf), ".nan");

        } else if (isinf(v->u.number)) {
            snprintf(buf, sizeof(buf), v->u.number > 0 ? ".inf" : "-.inf");

        } else if (value_is_integer(v) && fabs(v->u.number) < 1e15) {
            snprintf(buf, sizeof(buf), "%.0f", v->u.number);

        } else {
            /* the shortest text that reads back as the same number */
            snprintf(buf, sizeof(buf), "%.15g", v->u.number);

            if (strtod(buf, NULL) != v->u.number) {
                snprintf(buf, sizeof(buf), "%.17g", v->u.number);
            }
        }

        export_text(e, buf);
        break;

    case VALUE_STRING:
        export_string(e, v->u.string, v->len);
        break;

    default:
        export_text(e, v->kind == VALUE_ARRAY ? "[]" : "{}");
        break;
    }
}


static void
export_string(export_t *e, const char *s, size_t len)
{
    size_t  i, from;

    if (export_plain(s, len)) {
        export_add(e, s, len);
        return;
    }

    for (i = 0; i < len; i++) {
        if ((unsigned char) s[i] < 0x20 || (unsigned char) s[i] >= 0x7f) {
            export_quoted(e, s, len);
            return;
        }
    }

    export_text(e, "'");

    for (i = 0, from = 0; i < len; i++) {
        if (s[i] == '\'') {
            export_add(e, s + from, i + 1 - from);
            export_text(e, "'");
            from = i + 1;
        }
    }

    export_add(e, s + from, len - from);
    export_text(e, "'");
}


/* letters, digits and what means nothing to YAML between them */

static unsigned
export_plain(const char *s, size_t len)
{
    size_t    i;
    value_t   v;

    if (len == 0 || strchr("-.~=<", s[0]) != NULL) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (s[i] == '\0'
            || strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                      "0123456789/._-+$~", s[i]) == NULL)
        {
            return 0;
        }
    }

    memset(&v, 0, sizeof(value_t));
    yaml_plain_value(&v, s, len);

    return v.kind == VALUE_STRING;
}


/* what YAML does not allow, or folds, is escaped; so are stray bytes */

static void
export_quoted(export_t *e, const char *s, size_t len)
{
    char      buf[16];
    size_t    i, n;
    uint32_t  c;

    export_text(e, "\"");

    for (i = 0; i < len; i += n) {
        n = export_utf8((const unsigned char *) s + i, len - i, &c);

        if (c == '"' || c == '\\') {
            snprintf(buf, sizeof(buf), "\\%c", (int) c);
            export_text(e, buf);

        } else if (c == '\n') {
            export_text(e, "\\n");

        } else if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            snprintf(buf, sizeof(buf), "\\x%02x", (unsigned) c);
            export_text(e, buf);

        } else if (n == 1 && c >= 0x80) {
            snprintf(buf, sizeof(buf), "\\x%02x", (unsigned) c);
            export_text(e, buf);

        } else if (c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe
                   || c == 0xffff)
        {
            snprintf(buf, sizeof(buf), "\\u%04x", (unsigned) c);
            export_text(e, buf);

        } else {
            export_add(e, s + i, n);
        }
    }

    export_text(e, "\"");
}


/* the code point and its length; a byte that begins none counts as itself */

static size_t
export_utf8(const unsigned char *s, size_t len, uint32_t *c)
{
    size_t  i, n;

    static const uint32_t  least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2
        : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    *c = s[0];

    if (n < 2 || n > len) {
        return 1;
    }

    *c = s[0] & (0x7f >> n);

    for (i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            *c = s[0];
            return 1;
        }

        *c = *c << 6 | (s[i] & 0x3f);
    }

    if (*c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000)) {
        *c = s[0];
        return 1;
    }

    return n;
}


static void
export_indent(export_t *e, unsigned indent)
{
    while (indent-- > 0) {
        export_add(e, " ", 1);
    }
}


static void
export_text(export_t *e, const char *s)
{
    export_add(e, s, strlen(s));
}


static void
export_add(export_t *e, const char *s, size_t len)
{
    if (e->len + len > e->cap) {
        e->cap = e->cap * 2 + len + 4096;
        e->data = arena_realloc(e->arena, e->data, e->cap);
    }

    memcpy(e->data + e->len, s, len);
    e->len += len;
}
