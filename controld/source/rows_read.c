/*
 * rows_read: the binary rows of libpq into value trees, by the schema tables
 * alone.  A column without a field is not read; a field without a column, and
 * a required one that is NULL, get their defaults later.
 *
 * What an answer holds is the server's, not ours: every length is checked.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <xxhash.h>

#include "../model/json.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"
#include "rows.h"


/* the catalog's fixed object ids */
#define OID_BOOL          16
#define OID_INT8          20
#define OID_INT2          21
#define OID_INT4          23
#define OID_TEXT          25
#define OID_JSON         114
#define OID_FLOAT4       700
#define OID_FLOAT8       701
#define OID_TEXT_ARRAY  1009
#define OID_VARCHAR     1043
#define OID_TIMESTAMP   1114
#define OID_TIMESTAMPTZ 1184
#define OID_UUID        2950
#define OID_UUID_ARRAY  2951
#define OID_JSONB       3802
#define OID_JSONB_ARRAY 3807

/* seconds from 1970 to PostgreSQL's year 2000 */
#define ROWS_EPOCH      946684800.0

#define ROWS_ARRAY_MAX  65536


typedef struct {
    const uint8_t  *p;
    size_t          len;
} rows_bytes_t;


static int rows_value(arena_t *a, const field_t *f, Oid type, rows_bytes_t b,
    value_t *v);
static int rows_integer(rows_bytes_t b, int64_t *n);
static int rows_time(const field_t *f, rows_bytes_t b, value_t *v);
static int rows_float(rows_bytes_t b, value_t *v);
static int rows_json(arena_t *a, Oid type, rows_bytes_t b, value_t *v);
static int rows_uuid(arena_t *a, const field_t *f, rows_bytes_t b,
    value_t *v);
static int rows_array(arena_t *a, Oid type, rows_bytes_t b, value_t *v);
static void rows_text(arena_t *a, const field_t *f, rows_bytes_t b,
    value_t *v);
static uint32_t rows_be32(const uint8_t *p);
static uint64_t rows_be64(const uint8_t *p);
static void rows_clean_value(schema_ctx_t *ctx, const field_t *f,
    value_t *v);
static void rows_clean_record(schema_ctx_t *ctx, const field_t *fields,
    const shorthand_t *shorthands, value_t *record);
static unsigned rows_is_shorthand(const shorthand_t *shorthands,
    const char *name);


void
rows_sum(const rows_kind_t *k, const PGresult *res, int row, uint64_t sum[2])
{
    int            at;
    unsigned       i;
    XXH128_hash_t  h;

    at = 1;                              /* the first is the id */
    sum[0] = XXH3_64bits(k->table, strlen(k->table));
    sum[1] = 0;

    for (i = 0; i < k->n; i++) {

        if (k->columns[i].type == 0) {
            continue;
        }

        if (!PQgetisnull(res, row, at)) {
            h = XXH3_128bits_withSeed(PQgetvalue(res, row, at),
                                      (size_t) PQgetlength(res, row, at),
                                      sum[0] + k->columns[i].seed);
            sum[0] ^= h.low64;
            sum[1] += h.high64;
        }

        at++;
    }
}


const char *
rows_read(arena_t *a, const rows_kind_t *k, const PGresult *res, int row,
    value_t *entity)
{
    int                   at;
    unsigned              i;
    value_t              *v, value;
    rows_bytes_t          b;
    const field_t        *f;
    const rows_column_t  *c;

    value_set_object(entity);
    value_reserve(a, entity, k->n);

    at = 1;

    for (i = 0; i < k->n; i++) {
        c = &k->columns[i];
        f = c->field;

        if (c->type == 0) {
            continue;
        }

        value_set_null(&value);

        if (PQgetisnull(res, row, at)) {
            at++;

            if (f->flags & F_REQUIRED) {
                continue;
            }

        } else {
            b.p = (const uint8_t *) PQgetvalue(res, row, at);
            b.len = (size_t) PQgetlength(res, row, at);
            at++;

            if (rows_value(a, f, c->type, b, &value) == -1) {
                return arena_printf(a, "column of field '%s' cannot be read",
                                    f->name);
            }
        }

        v = value_add(a, entity, f->name, c->len, c->hash);
        *v = value;
    }

    return NULL;
}


static int
rows_value(arena_t *a, const field_t *f, Oid type, rows_bytes_t b,
    value_t *v)
{
    int64_t  n;

    switch (type) {

    case OID_BOOL:
        if (b.len != 1) {
            return -1;
        }

        value_set_bool(v, b.p[0] != 0);
        return 0;

    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
        if (rows_integer(b, &n) == -1) {
            return -1;
        }

        value_set_number(v, (double) n);
        return 0;

    case OID_FLOAT4:
    case OID_FLOAT8:
        return rows_float(b, v);

    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        return rows_time(f, b, v);

    case OID_JSON:
    case OID_JSONB:
        return rows_json(a, type, b, v);

    case OID_UUID:
        return rows_uuid(a, f, b, v);

    case OID_TEXT_ARRAY:
    case OID_UUID_ARRAY:
    case OID_JSONB_ARRAY:
        return rows_array(a, type, b, v);

    default:
        rows_text(a, f, b, v);
        return 0;
    }
}


static int
rows_integer(rows_bytes_t b, int64_t *n)
{
    switch (b.len) {

    case 2:
        *n = (int16_t) ((b.p[0] << 8) | b.p[1]);
        return 0;

    case 4:
        *n = (int32_t) rows_be32(b.p);
        return 0;

    case 8:
        *n = (int64_t) rows_be64(b.p);
        return 0;

    default:
        return -1;
    }
}


/* seconds; only fields that are no integers keep the milliseconds.  A ttl is
 * the moment of expiry */
static int
rows_time(const field_t *f, rows_bytes_t b, value_t *v)
{
    double   t;
    int64_t  n;

    if (b.len != 8 || rows_integer(b, &n) == -1) {
        return -1;
    }

    if (n == INT64_MAX || n == INT64_MIN) {
        value_set_null(v);               /* infinity */
        return 0;
    }

    t = (double) n / 1e6 + ROWS_EPOCH;

    if (f->type == FIELD_INTEGER) {
        t = floor(t);

    } else {
        t = floor(t * 1000 + 0.5) / 1000;
    }

    value_set_number(v, t);

    return 0;
}


static int
rows_float(rows_bytes_t b, value_t *v)
{
    float     f;
    double    d;
    uint32_t  u32;
    uint64_t  u64;

    if (b.len == 4) {
        u32 = rows_be32(b.p);
        memcpy(&f, &u32, sizeof(f));
        d = f;

    } else if (b.len == 8) {
        u64 = rows_be64(b.p);
        memcpy(&d, &u64, sizeof(d));

    } else {
        return -1;
    }

    value_set_number(v, d);

    return 0;
}


static int
rows_json(arena_t *a, Oid type, rows_bytes_t b, value_t *v)
{
    const char  *err;

    /* jsonb comes with the version of its format, which is text */

    if (type != OID_JSON) {
        if (b.len == 0 || b.p[0] != 1) {
            return -1;
        }

        b.p++;
        b.len--;
    }

    return json_parse(a, (const char *) b.p, b.len, v, &err);
}


static int
rows_uuid(arena_t *a, const field_t *f, rows_bytes_t b, value_t *v)
{
    char  *text;

    if (b.len != 16) {
        return -1;
    }

    text = arena_alloc(a, 37);
    kong_uuid_text(b.p, text);

    if (f != NULL && f->type == FIELD_FOREIGN) {
        value_set_reference(a, v, text, 36);

    } else {
        value_set_string(v, text, 36);
    }

    return 0;
}


/* one dimension; NULLs in it are left out */
static int
rows_array(arena_t *a, Oid type, rows_bytes_t b, value_t *v)
{
    int            rc;
    uint32_t       i, n, len;
    value_t       *item;
    rows_bytes_t   e;

    value_set_array(v);

    if (b.len < 12 || rows_be32(b.p) > 1) {
        return -1;
    }

    if (rows_be32(b.p) == 0) {
        return 0;
    }

    if (b.len < 20) {
        return -1;
    }

    n = rows_be32(b.p + 12);
    b.p += 20;
    b.len -= 20;

    if (n > ROWS_ARRAY_MAX) {
        return -1;
    }

    for (i = 0; i < n; i++) {
        if (b.len < 4) {
            return -1;
        }

        len = rows_be32(b.p);
        b.p += 4;
        b.len -= 4;

        if (len == 0xffffffff) {
            continue;
        }

        if (len > b.len) {
            return -1;
        }

        e.p = b.p;
        e.len = len;
        b.p += len;
        b.len -= len;

        item = value_append(a, v);
        rc = 0;

        if (type == OID_UUID_ARRAY) {
            rc = rows_uuid(a, NULL, e, item);

        } else if (type == OID_JSONB_ARRAY) {
            rc = rows_json(a, OID_JSONB, e, item);

        } else {
            value_copy_string(a, item, (const char *) e.p, e.len);
        }

        if (rc == -1) {
            return -1;
        }
    }

    return 0;
}


/* an empty string is an unset one where a string may not be empty.  A type
 * that is not known here came as text; so may a number */
static void
rows_text(arena_t *a, const field_t *f, rows_bytes_t b, value_t *v)
{
    char    *end, *text;
    double   n;

    if (f->type == FIELD_INTEGER || f->type == FIELD_NUMBER) {
        text = arena_strndup(a, (const char *) b.p, b.len);
        n = strtod(text, &end);

        if (b.len != 0 && *end == '\0') {
            value_set_number(v, f->type == FIELD_INTEGER ? floor(n) : n);
            return;
        }
    }

    if (b.len == 0 && f->type == FIELD_STRING
        && (!(f->flags & F_LEN_MIN) || f->len_min > 0))
    {
        value_set_null(v);
        return;
    }

    value_copy_string(a, v, (const char *) b.p, b.len);
}


static uint32_t
rows_be32(const uint8_t *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16
           | (uint32_t) p[2] << 8 | p[3];
}


static uint64_t
rows_be64(const uint8_t *p)
{
    return (uint64_t) rows_be32(p) << 32 | rows_be32(p + 4);
}


int
rows_id(const PGresult *res, int row, uint8_t id[16])
{
    if (PQgetisnull(res, row, 0) || PQgetlength(res, row, 0) != 16) {
        return -1;
    }

    memcpy(id, PQgetvalue(res, row, 0), 16);

    return 0;
}


void
rows_clean(schema_ctx_t *ctx, const schema_t *s, value_t *entity)
{
    uint32_t         i;
    value_t         *v;
    const char      *err_field, *err;
    const field_t   *f, *over;
    const schema_t  *sub;

    err = NULL;
    sub = (s->subschema != NULL) ? s->subschema(ctx, entity, &err_field, &err)
                                 : NULL;

    for (i = 0; i < entity->len; i++) {
        v = value_nth(entity, i);

        if (v->kind != VALUE_OBJECT && v->kind != VALUE_ARRAY) {
            continue;
        }

        f = schema_field(s, value_member(entity, i).key);
        over = (sub != NULL) ? schema_field(sub, value_member(entity, i).key)
                             : NULL;

        if (over != NULL) {
            f = over;
        }

        if (f != NULL && f->type != FIELD_FOREIGN) {
            rows_clean_value(ctx, f, v);
        }
    }
}


static void
rows_clean_value(schema_ctx_t *ctx, const field_t *f, value_t *v)
{
    uint32_t  i;

    switch (f->type) {

    case FIELD_RECORD:
        if (v->kind == VALUE_OBJECT && f->fields != NULL) {
            rows_clean_record(ctx, f->fields, f->shorthands, v);
        }

        break;

    case FIELD_ARRAY:
    case FIELD_SET:
        if (f->elements == NULL || f->elements->type < FIELD_ARRAY) {
            break;
        }

        for (i = 0; v->kind == VALUE_ARRAY && i < v->len; i++) {
            rows_clean_value(ctx, f->elements, &v->u.items[i]);
        }

        break;

    case FIELD_MAP:
        if (f->elements == NULL || f->elements->type < FIELD_ARRAY) {
            break;
        }

        for (i = 0; v->kind == VALUE_OBJECT && i < v->len; i++) {
            rows_clean_value(ctx, f->elements, value_nth(v, i));
        }

        break;

    default:
        break;
    }
}


static void
rows_clean_record(schema_ctx_t *ctx, const field_t *fields,
    const shorthand_t *shorthands, value_t *record)
{
    uint32_t        i;
    value_t        *v, out;
    member_t        m;
    const field_t  *f;

    memset(&out, 0, sizeof(value_t));
    value_set_object(&out);
    out.line = record->line;
    out.flags = record->flags & VALUE_LUA_TABLE;
    value_reserve(ctx->arena, &out, record->len);

    for (i = 0; i < record->len; i++) {
        m = value_member(record, i);
        v = m.value;

        for (f = fields; f->name != NULL; f++) {
            if (strcmp(f->name, m.key) == 0) {
                break;
            }
        }

        if (f->name == NULL) {

            /* an older name may still be the only one that is set */

            if (value_is_null(v) || !rows_is_shorthand(shorthands, m.key)) {
                continue;
            }

        } else {
            if (f->type == FIELD_STRING && v->kind == VALUE_STRING
                && v->len == 0 && (!(f->flags & F_LEN_MIN) || f->len_min > 0))
            {
                value_set_null(v);
            }

            if (value_is_null(v) && (f->flags & F_REQUIRED)) {
                continue;
            }

            rows_clean_value(ctx, f, v);
        }

        *value_add(ctx->arena, &out, m.key, m.key_len, m.hash) = *v;
    }

    *record = out;
}


static unsigned
rows_is_shorthand(const shorthand_t *shorthands, const char *name)
{
    for ( /* void */ ; shorthands != NULL && shorthands->name != NULL;
         shorthands++)
    {
        if (strcmp(shorthands->name, name) == 0) {
            return 1;
        }
    }

    return 0;
}
