/*
 * rows_plan: what is read of each table, from the schema tables and the
 * catalog, and the batch that holds what a transaction gave.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "../../ngx_kong_module/snapshot/kong_segment.h"
#include "rows.h"


static void rows_plan_column(rows_plan_t *p, const char *table,
    const char *column, Oid type);
static void rows_plan_sql(rows_plan_t *p, rows_kind_t *k);
static unsigned rows_is_binary(Oid type);
static int rows_id_cmp(const void *one, const void *two);


/* in the order of the schemas: parents before children */
static const struct {
    const char  *table;
    const char  *entity;
} rows_kinds[ROWS_KINDS] = {
    { "workspaces", "workspaces" },
    { "consumers", "consumers" },
    { "certificates", "certificates" },
    { "services", "services" },
    { "routes", "routes" },
    { "snis", "snis" },
    { "upstreams", "upstreams" },
    { "targets", "targets" },
    { "plugins", "plugins" },
    { "ca_certificates", "ca_certificates" },
    { "sm_vaults", "vaults" },
    { "key_sets", "key_sets" },
    { "keys", "keys" },
    { "filter_chains", "filter_chains" },
    { "acls", "acls" },
    { "basicauth_credentials", "basicauth_credentials" },
    { "hmacauth_credentials", "hmacauth_credentials" },
    { "jwt_secrets", "jwt_secrets" },
    { "keyauth_credentials", "keyauth_credentials" },
    { "oauth2_credentials", "oauth2_credentials" }
};

const char  rows_catalog_sql[] =
    "SELECT c.relname::text, a.attname::text, a.atttypid "
    "FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "AND n.nspname = current_schema() "
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
    "AND a.attnum > 0 AND NOT a.attisdropped "
    "WHERE c.relkind IN ('r', 'p') "
    "ORDER BY c.relname, a.attnum";


const char *
rows_entity(int kind)
{
    return rows_kinds[kind].entity;
}


int
rows_kind(const char *table)
{
    int  i;

    for (i = 0; i < ROWS_KINDS; i++) {
        if (strcmp(rows_kinds[i].table, table) == 0) {
            return i;
        }
    }

    return -1;
}


rows_plan_t *
rows_plan(const PGresult *catalog)
{
    int             i, n;
    Oid             type;
    arena_t        *a;
    const field_t  *f;
    XXH64_hash_t    sum;
    rows_kind_t    *k;
    rows_plan_t    *p;

    a = arena_new();
    p = arena_zalloc(a, sizeof(rows_plan_t));
    p->arena = a;

    for (i = 0; i < ROWS_KINDS; i++) {
        k = &p->kinds[i];
        k->schema = schema_find(rows_kinds[i].entity);
        k->table = rows_kinds[i].table;

        for (f = k->schema->fields; f->name != NULL; f++) {
            k->n++;
        }

        k->columns = arena_zalloc(a, k->n * sizeof(rows_column_t));

        for (n = 0; n < (int) k->n; n++) {
            f = &k->schema->fields[n];
            k->columns[n].field = f;
            k->columns[n].len = (uint32_t) strlen(f->name);
            k->columns[n].hash = value_hash(f->name, k->columns[n].len);
            k->columns[n].seed = XXH3_64bits(f->name, k->columns[n].len);
        }
    }

    sum = 0;

    for (i = 0; i < PQntuples(catalog); i++) {
        type = (Oid) strtoul(PQgetvalue(catalog, i, 2), NULL, 10);
        rows_plan_column(p, PQgetvalue(catalog, i, 0),
                         PQgetvalue(catalog, i, 1), type);

        for (n = 0; n < 3; n++) {
            sum = XXH3_64bits_withSeed(PQgetvalue(catalog, i, n),
                                       (size_t) PQgetlength(catalog, i, n),
                                       sum);
        }
    }

    (void) snprintf(p->print, sizeof(p->print), "%016llx",
                    (unsigned long long) sum);

    for (i = 0; i < ROWS_KINDS; i++) {
        if (p->kinds[i].present) {
            rows_plan_sql(p, &p->kinds[i]);
        }
    }

    return p;
}


static void
rows_plan_column(rows_plan_t *p, const char *table, const char *column,
    Oid type)
{
    int             i;
    size_t          len;
    unsigned        n;
    const field_t  *f;

    i = rows_kind(table);
    if (i == -1) {
        return;
    }

    if (strcmp(column, "id") == 0) {
        p->kinds[i].present = (type == 2950);
    }

    for (n = 0; n < p->kinds[i].n; n++) {
        f = p->kinds[i].columns[n].field;
        len = p->kinds[i].columns[n].len;

        if (strncmp(column, f->name, len) == 0
            && strcmp(column + len, f->type == FIELD_FOREIGN ? "_id" : "")
               == 0)
        {
            p->kinds[i].columns[n].type = type;
        }
    }
}


/* names are those of the schema tables: no text of others gets in here */
static void
rows_plan_sql(rows_plan_t *p, rows_kind_t *k)
{
    unsigned        i;
    const char     *list;
    rows_column_t  *c;

    list = "\"id\"";

    for (i = 0; i < k->n; i++) {
        c = &k->columns[i];

        if (c->type != 0) {
            list = arena_printf(p->arena, "%s, \"%s%s\"%s", list,
                                c->field->name,
                                c->field->type == FIELD_FOREIGN ? "_id" : "",
                                rows_is_binary(c->type) ? "" : "::text");
        }
    }

    k->sql = arena_printf(p->arena, "SELECT %s FROM \"%s\"", list, k->table);
    k->sql_ids = arena_printf(p->arena, "%s WHERE \"id\" = ANY ($1)", k->sql);
}


static unsigned
rows_is_binary(Oid type)
{
    size_t  i;

    static const Oid  known[] = {
        16, 20, 21, 23, 25, 114, 700, 701, 1009, 1043, 1114, 1184, 2950,
        2951, 3802, 3807
    };

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i] == type) {
            return 1;
        }
    }

    return 0;
}


int
rows_batch_id(rows_batch_t *b, int kind, const char *id, size_t len)
{
    void          *p;
    uint8_t        bytes[16];
    rows_given_t  *g;

    g = &b->given[kind];

    if (kong_uuid_parse(id, len, bytes) != 0) {
        g->whole = 1;
        return 0;
    }

    if ((g->n_ids & (g->n_ids + 1)) == 0 || g->ids == NULL) {
        p = realloc(g->ids, (g->n_ids + 1) * 2 * sizeof(bytes));
        if (p == NULL) {
            return -1;
        }

        g->ids = p;
    }

    memcpy(g->ids[g->n_ids++], bytes, sizeof(bytes));

    return 0;
}


void
rows_batch_sort(rows_batch_t *b)
{
    int            i;
    size_t         j, kept;
    rows_given_t  *g;

    for (i = 0; i < ROWS_KINDS; i++) {
        g = &b->given[i];

        if (g->n_ids < 2) {
            continue;
        }

        qsort(g->ids, g->n_ids, 16, rows_id_cmp);

        for (j = 1, kept = 1; j < g->n_ids; j++) {
            if (memcmp(g->ids[kept - 1], g->ids[j], 16) != 0) {
                memcpy(g->ids[kept++], g->ids[j], 16);
            }
        }

        g->n_ids = kept;
    }
}


void
rows_batch_clear(rows_batch_t *b)
{
    int  i;

    for (i = 0; i < ROWS_KINDS; i++) {
        PQclear(b->given[i].result);
        free(b->given[i].ids);
    }

    memset(b->given, 0, sizeof(b->given));
}


static int
rows_id_cmp(const void *one, const void *two)
{
    return memcmp(one, two, 16);
}
