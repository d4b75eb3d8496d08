/*
 * consumers: see consumers.h.  One table of credentials a kind, keyed by what
 * a request presents.  Groups are gathered in the order of the file.
 */

#include <stdlib.h>
#include <string.h>

#include "consumers.h"
#include "entities.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


typedef struct {
    arena_t         *arena;
    const config_t  *config;
    writer_t        *writer;
    values_t        *values;
    ids_t           *ids;
    bytes_t          bytes;
    const char     **err;
} consumers_t;


static int consumers_records(consumers_t *cs);
static int consumers_groups(consumers_t *cs, kong_consumer_t *records,
    size_t n);
static int consumers_credentials(consumers_t *cs,
    kong_credential_kind_t kind);
static int consumers_credential(consumers_t *cs,
    const credential_kind_t *kind, const value_t *v, kong_credential_t *c);
static uint32_t consumers_client(consumers_t *cs, const value_t *token);


/* by kong_credential_kind_t */
const credential_kind_t  consumers_kinds[KONG_CREDENTIAL_KINDS] = {
    [KONG_CREDENTIAL_KEY_AUTH] = { "keyauth_credentials", "key", NULL, 0 },
    [KONG_CREDENTIAL_BASIC_AUTH] = { "basicauth_credentials", "username",
                                     "password", 0 },
    [KONG_CREDENTIAL_HMAC_AUTH] = { "hmacauth_credentials", "username",
                                    "secret", 0 },
    [KONG_CREDENTIAL_JWT] = { "jwt_secrets", "key", "secret", 1 },
    [KONG_CREDENTIAL_OAUTH2] = { "oauth2_credentials", "client_id",
                                 "client_secret", 1 },
    [KONG_CREDENTIAL_OAUTH2_TOKEN] = { "oauth2_tokens", "access_token", NULL,
                                       1 }
};


int
consumers_compile(arena_t *a, const config_t *c, writer_t *w,
    values_t *values, ids_t *ids, const char **err)
{
    int          rc;
    unsigned     kind;
    consumers_t  cs;

    memset(&cs, 0, sizeof(cs));

    cs.arena = a;
    cs.config = c;
    cs.writer = w;
    cs.values = values;
    cs.ids = ids;
    cs.err = err;

    rc = consumers_records(&cs);

    bytes_zadd(&cs.bytes, KONG_CREDENTIAL_KINDS
                          * sizeof(kong_credential_table_t));

    for (kind = 0; kind < KONG_CREDENTIAL_KINDS && rc == 0; kind++) {
        rc = consumers_credentials(&cs, kind);
    }

    if (rc == 0 && !cs.bytes.failed) {
        bytes_pad(&cs.bytes, 8);
        writer_take(w, KONG_SECTION_CREDENTIALS, 0, cs.bytes.data,
                    cs.bytes.size);
        return 0;
    }

    bytes_release(&cs.bytes);

    return -1;
}


static int
consumers_records(consumers_t *cs)
{
    size_t            i;
    config_table_t   *t;
    kong_consumer_t  *records;

    t = config_table(cs->config, "consumers");
    records = writer_records(cs->writer, KONG_SECTION_CONSUMERS, t->n,
                             sizeof(*records));
    if (records == NULL) {
        return -1;
    }

    for (i = 0; i < t->n; i++) {
        if (entity_id(t->rows[i], records[i].id) != 0) {
            *cs->err = "a consumer has no id";
            return -1;
        }

        records[i].username = consumers_string(cs->writer, t->rows[i],
                                               "username");
        records[i].custom_id = consumers_string(cs->writer, t->rows[i],
                                                "custom_id");
        records[i].groups = KONG_NONE;
    }

    ids_build(cs->ids, cs->arena, records, t->n, sizeof(*records));

    return consumers_groups(cs, records, t->n);
}


static int
consumers_groups(consumers_t *cs, kong_consumer_t *records, size_t n)
{
    size_t           i;
    value_t        **groups, *slot;
    uint32_t         consumer;
    unsigned         dangling;
    config_table_t  *t;

    t = config_table(cs->config, "acls");

    if (t->n == 0) {
        return 0;
    }

    groups = arena_zalloc(cs->arena, n * sizeof(value_t *));

    for (i = 0; i < t->n; i++) {
        consumer = ids_foreign(cs->ids, t->rows[i], "consumer", &dangling);

        if (consumer == KONG_NONE) {
            continue;
        }

        if (groups[consumer] == NULL) {
            groups[consumer] = value_new(cs->arena);
            value_set_array(groups[consumer]);
        }

        slot = value_append(cs->arena, groups[consumer]);
        *slot = *value_get(t->rows[i], "group");
    }

    for (i = 0; i < n; i++) {
        if (groups[i] != NULL) {
            records[i].groups = values_add(cs->values, groups[i]);
        }
    }

    return 0;
}


static int
consumers_credentials(consumers_t *cs, kong_credential_kind_t kind)
{
    size_t                     i, n, n_slots, at;
    uint32_t                   slot, *slots;
    config_table_t            *t;
    const value_t             *key;
    kong_credential_t         *c;
    kong_credential_table_t    table;
    const credential_kind_t   *def;

    def = &consumers_kinds[kind];
    t = config_table(cs->config, def->entity);
    n = t->n;

    if (n == 0) {
        return 0;
    }

    for (n_slots = 2; n_slots < 2 * n; n_slots *= 2) {
        /* void */
    }

    table.n = (uint32_t) n;
    table.n_slots = (uint32_t) n_slots;

    bytes_pad(&cs->bytes, 8);
    table.slots = (uint32_t) cs->bytes.size;
    bytes_zadd(&cs->bytes, n_slots * sizeof(uint32_t));
    bytes_pad(&cs->bytes, 8);
    table.records = (uint32_t) cs->bytes.size;
    bytes_zadd(&cs->bytes, n * sizeof(kong_credential_t));

    if (cs->bytes.failed) {
        return -1;
    }

    slots = (uint32_t *) (void *) (cs->bytes.data + table.slots);
    c = (kong_credential_t *) (void *) (cs->bytes.data + table.records);

    for (i = 0; i < n; i++) {
        if (consumers_credential(cs, def, t->rows[i], &c[i]) != 0) {
            return -1;
        }

        key = value_get(t->rows[i], def->key);
        slot = (uint32_t) kong_credential_hash(kind, key->u.string, key->len);

        while (slots[slot & (n_slots - 1)] != 0) {
            slot++;
        }

        slots[slot & (n_slots - 1)] = (uint32_t) i + 1;
    }

    at = kind * sizeof(table);
    memcpy(cs->bytes.data + at, &table, sizeof(table));

    return 0;
}


static int
consumers_credential(consumers_t *cs, const credential_kind_t *kind,
    const value_t *v, kong_credential_t *c)
{
    unsigned  dangling;

    if (consumers_record(cs->writer, cs->values, kind, v, c) != 0) {
        *cs->err = arena_printf(cs->arena, "an entity of '%s' has no id or "
                                "no '%s'", kind->entity, kind->key);
        return -1;
    }

    c->consumer = ids_foreign(cs->ids, v, "consumer", &dangling);

    if (kind == &consumers_kinds[KONG_CREDENTIAL_OAUTH2_TOKEN]) {
        c->secret = consumers_client(cs, v);
    }

    return 0;
}


int
consumers_record(writer_t *w, values_t *values,
    const credential_kind_t *kind, const value_t *v, kong_credential_t *c)
{
    const value_t  *ttl, *key;

    key = value_get(v, kind->key);

    if (entity_id(v, c->id) != 0 || key == NULL
        || key->kind != VALUE_STRING)
    {
        return -1;
    }

    c->key = writer_new_string(w, key->u.string, key->len);
    c->secret = kind->secret ? consumers_string(w, v, kind->secret) : 0;
    c->consumer = KONG_NONE;
    c->extra = KONG_NONE;

    /* the sources hand over the moment of expiry */
    ttl = value_get(v, "ttl");

    if (ttl != NULL && ttl->kind == VALUE_NUMBER && ttl->u.number > 0) {
        c->expires = (uint64_t) ttl->u.number;
    }

    if (kind->extra) {
        c->extra = values_add(values, v);
    }

    return 0;
}


/* what a token's credential is found by */
static uint32_t
consumers_client(consumers_t *cs, const value_t *token)
{
    const value_t  *id, *credential;

    id = value_path(token, "credential.id");

    if (id == NULL || id->kind != VALUE_STRING) {
        return 0;
    }

    credential = config_by_id(cs->config, "oauth2_credentials", id->u.string,
                              id->len);

    return credential ? consumers_string(cs->writer, credential, "client_id")
                      : 0;
}


uint32_t
consumers_string(writer_t *w, const value_t *v, const char *field)
{
    const value_t  *text;

    text = value_get(v, field);

    if (text == NULL || text->kind != VALUE_STRING) {
        return 0;
    }

    return writer_new_string(w, text->u.string, text->len);
}
