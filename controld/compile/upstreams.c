/*
 * upstreams: see upstreams.h.  Targets come in Kong's order (of name, then
 * port), addresses of a name in that of their text: the ring depends on it.
 * A name's addresses get the target's port and its full weight each; SRV
 * records bring their own.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "entities.h"
#include "ids.h"
#include "upstream_checks.h"
#include "upstreams.h"
#include "../model/types.h"
#include "../../ngx_kong_module/snapshot/kong_balancer.h"


#define UPSTREAM_SLOTS  10000

struct upstream_target_s {
    host_t                     host;
    uint16_t                   weight;
    uint32_t                   upstream;
    const compile_endpoint_t  *answer;   /* NULL: an address, or unknown */
};

/* while they are put in order */
struct upstream_address_s {
    kong_address_t   address;
    char             ip[INET6_ADDRSTRLEN + 2];
    const char      *text;           /* "ip:port" */
    const char      *name;           /* the SRV record's target, or NULL */
};

typedef struct {
    const char  *name;
    uint8_t      value;
} upstream_word_t;

typedef struct {
    const compile_endpoint_t  **list;
    size_t                      n;
} upstream_names_t;


static void upstreams_names(arena_t *a, upstream_names_t *names,
    const compile_endpoint_t *list, size_t n);
static upstream_target_t *upstreams_targets(arena_t *a, const config_t *c,
    const ids_t *ids, const upstream_names_t *names, size_t *n);
static const compile_endpoint_t *upstreams_answer(
    const upstream_names_t *names, const char *host);
static void upstreams_addresses(arena_t *a, upstream_t *u);
static void upstreams_target(arena_t *a, upstream_t *u,
    const upstream_target_t *t);
static size_t upstreams_literal(upstream_address_t *out,
    const upstream_target_t *t);
static void upstreams_from_name(arena_t *a, upstream_address_t *out,
    const upstream_target_t *t);
static const char *upstreams_host(arena_t *a, const upstream_t *u,
    const upstream_target_t *t, const upstream_address_t *from,
    kong_address_t *address);
static unsigned upstreams_is_name(const char *name);
static const char *upstreams_named(arena_t *a, const upstream_target_t *t);
static void upstreams_write_lost(const upstream_t *u, size_t n, writer_t *w);
static void upstreams_balancer(const upstream_t *u, writer_t *w,
    bytes_t *tables, kong_balancer_t *b);
static void upstreams_hash(const upstream_t *u, writer_t *w,
    kong_balancer_t *b);
static uint32_t upstreams_hash_name(const value_t *v, writer_t *w,
    const char *prefix, unsigned kind);
static uint64_t upstreams_row_sum(const value_t *row, uint64_t seed);
static unsigned upstreams_is_true(const value_t *v, const char *field);
static unsigned upstreams_word(const upstream_word_t *words,
    const value_t *v);
static double upstreams_number(const value_t *v, const char *path,
    double def);
static int upstreams_by_name(const void *one, const void *two);
static int upstreams_by_target(const void *one, const void *two);
static int upstreams_by_text(const void *one, const void *two);


static const upstream_word_t  upstreams_algorithms[] = {
    { "round-robin", KONG_ROUND_ROBIN },
    { "consistent-hashing", KONG_CONSISTENT_HASHING },
    { "least-connections", KONG_LEAST_CONNECTIONS },
    { "latency", KONG_LATENCY },
    { NULL, KONG_ROUND_ROBIN }
};

static const upstream_word_t  upstreams_hash_kinds[] = {
    { "none", KONG_HASH_NONE },
    { "consumer", KONG_HASH_CONSUMER },
    { "ip", KONG_HASH_IP },
    { "header", KONG_HASH_HEADER },
    { "cookie", KONG_HASH_COOKIE },
    { "path", KONG_HASH_PATH },
    { "query_arg", KONG_HASH_QUERY_ARG },
    { "uri_capture", KONG_HASH_URI_CAPTURE },
    { NULL, KONG_HASH_NONE }
};


upstream_t *
upstreams_resolve(arena_t *a, const config_t *c,
    const compile_endpoint_t *names, size_t n_names, size_t *n)
{
    ids_t               ids;
    size_t              i, k, n_targets;
    upstream_t         *u;
    const value_t      *name;
    config_table_t     *t;
    upstream_names_t    sorted;
    upstream_target_t  *targets;

    t = (c != NULL) ? config_table(c, "upstreams") : NULL;
    *n = 0;

    if (t == NULL || t->n == 0) {
        return NULL;
    }

    u = arena_zalloc(a, t->n * sizeof(upstream_t));

    for (i = 0; i < t->n; i++) {
        name = value_get(t->rows[i], "name");

        if (name == NULL || name->kind != VALUE_STRING
            || entity_id(t->rows[i], u[*n].id) != 0)
        {
            continue;
        }

        u[*n].entity = t->rows[i];
        u[*n].name = name->u.string;
        u[*n].len = name->len;
        u[*n].key = kong_upstream_key(name->u.string, name->len);
        *n += 1;
    }

    ids_build(&ids, a, u, *n, sizeof(upstream_t));
    upstreams_names(a, &sorted, names, n_names);
    targets = upstreams_targets(a, c, &ids, &sorted, &n_targets);

    for (i = 0; i < n_targets; i = k) {

        for (k = i; k < n_targets
                    && targets[k].upstream == targets[i].upstream; k++)
        {
            /* void */
        }

        u[targets[i].upstream].targets = &targets[i];
        u[targets[i].upstream].n_targets = k - i;
        upstreams_addresses(a, &u[targets[i].upstream]);
    }

    return u;
}


static void
upstreams_names(arena_t *a, upstream_names_t *names,
    const compile_endpoint_t *list, size_t n)
{
    size_t  i;

    names->list = arena_alloc(a, (n + 1) * sizeof(*names->list));
    names->n = n;

    for (i = 0; i < n; i++) {
        names->list[i] = &list[i];
    }

    qsort(names->list, n, sizeof(*names->list), upstreams_by_name);
}


/* of all upstreams, in order */
static upstream_target_t *
upstreams_targets(arena_t *a, const config_t *c, const ids_t *ids,
    const upstream_names_t *names, size_t *n)
{
    size_t              i;
    double              weight;
    unsigned            dangling;
    const value_t      *text;
    config_table_t     *t;
    upstream_target_t  *list, *to;

    t = config_table(c, "targets");
    *n = 0;

    if (t == NULL || t->n == 0) {
        return NULL;
    }

    list = arena_alloc(a, t->n * sizeof(upstream_target_t));

    for (i = 0; i < t->n; i++) {
        to = &list[*n];
        text = value_get(t->rows[i], "target");
        dangling = 0;
        to->upstream = ids_foreign(ids, t->rows[i], "upstream", &dangling);

        if (to->upstream == KONG_NONE || text == NULL
            || text->kind != VALUE_STRING
            || host_parse(text->u.string, text->len, &to->host) != HOST_OK)
        {
            continue;
        }

        weight = upstreams_number(t->rows[i], "weight", 100);
        to->weight = (uint16_t) ((weight < 0) ? 0 : (weight > UINT16_MAX)
                                                    ? UINT16_MAX : weight);
        to->answer = (to->host.kind == HOST_NAME)
                     ? upstreams_answer(names, to->host.host) : NULL;

        if (to->host.port <= 0) {
            to->host.port = 8000;
        }

        *n += 1;
    }

    qsort(list, *n, sizeof(upstream_target_t), upstreams_by_target);

    return list;
}


/* names are asked for in lower case */
static const compile_endpoint_t *
upstreams_answer(const upstream_names_t *names, const char *host)
{
    char                        lower[256];
    size_t                      i;
    compile_endpoint_t          key;
    const compile_endpoint_t   *k, *const *found;

    for (i = 0; i < sizeof(lower) - 1 && host[i] != '\0'; i++) {
        lower[i] = (char) tolower((unsigned char) host[i]);
    }

    lower[i] = '\0';

    memset(&key, 0, sizeof(key));
    key.name = lower;
    key.len = i;
    k = &key;

    found = bsearch(&k, names->list, names->n, sizeof(*names->list),
                    upstreams_by_name);

    return (found != NULL) ? *found : NULL;
}


static void
upstreams_addresses(arena_t *a, upstream_t *u)
{
    size_t  i, n;

    for (i = 0, n = 0; i < u->n_targets; i++) {
        n += (u->targets[i].answer != NULL) ? u->targets[i].answer->n : 1;
    }

    u->addresses = arena_alloc(a, (n + 1) * sizeof(kong_address_t));
    u->hosts = arena_alloc(a, (n + 1) * sizeof(char *));
    u->names = arena_alloc(a, (n + 1) * sizeof(char *));
    u->texts = arena_alloc(a, (n + 1) * sizeof(ring_address_t));
    u->lost = arena_alloc(a, u->n_targets * sizeof(char *));

    for (i = 0; i < u->n_targets; i++) {
        upstreams_target(a, u, &u->targets[i]);
    }
}


static void
upstreams_target(arena_t *a, upstream_t *u, const upstream_target_t *t)
{
    size_t               i, n;
    upstream_address_t  *list, literal;

    if (t->answer == NULL) {
        list = &literal;
        n = upstreams_literal(list, t);

    } else {
        n = t->answer->n;
        list = arena_alloc(a, (n + 1) * sizeof(upstream_address_t));
        upstreams_from_name(a, list, t);
    }

    if (n == 0) {
        u->lost[u->n_lost++] = upstreams_named(a, t);
    }

    for (i = 0; i < n && u->n < RING_ADDRESSES; i++) {

        list[i].address.id = upstreams_address_id(u->key, t->host.host,
                                                  &list[i].address);

        u->addresses[u->n] = list[i].address;
        u->hosts[u->n] = upstreams_host(a, u, t, &list[i],
                                        &u->addresses[u->n]);
        u->names[u->n] = upstreams_named(a, t);
        u->texts[u->n].ip = arena_strndup(a, list[i].ip, strlen(list[i].ip));
        u->texts[u->n].port = list[i].address.port;
        u->texts[u->n].weight = list[i].address.weight;
        u->n++;
    }
}


/* 0: a name that nobody has resolved */
static size_t
upstreams_literal(upstream_address_t *out, const upstream_target_t *t)
{
    memset(out, 0, sizeof(upstream_address_t));

    out->address.ipv6 = (t->host.kind == HOST_IPV6);
    out->address.port = (uint16_t) t->host.port;
    out->address.weight = t->weight;

    if (t->host.kind == HOST_NAME
        || inet_pton(out->address.ipv6 ? AF_INET6 : AF_INET, t->host.host,
                     out->address.addr)
           != 1)
    {
        return 0;
    }

    (void) snprintf(out->ip, sizeof(out->ip),
                    out->address.ipv6 ? "[%s]" : "%s", t->host.host);

    return 1;
}


static void
upstreams_from_name(arena_t *a, upstream_address_t *out,
    const upstream_target_t *t)
{
    char                   ip[INET6_ADDRSTRLEN];
    size_t                 i;
    const kong_address_t  *from;

    for (i = 0; i < t->answer->n; i++) {
        from = &t->answer->addresses[i];
        memset(&out[i], 0, sizeof(upstream_address_t));

        out[i].address.ipv6 = from->ipv6;
        out[i].address.port = (uint16_t) t->host.port;
        out[i].address.weight = t->weight;
        memcpy(out[i].address.addr, from->addr, from->ipv6 ? 16 : 4);

        if (from->flags & KONG_ADDRESS_SRV) {
            out[i].address.weight = (t->weight != 0) ? from->weight : 0;

            if (from->port != 0) {
                out[i].address.port = from->port;
            }

            if (from->host != 0 && t->answer->names != NULL) {
                out[i].name = t->answer->names + from->host;
            }
        }

        (void) inet_ntop(from->ipv6 ? AF_INET6 : AF_INET, from->addr, ip,
                         sizeof(ip));
        (void) snprintf(out[i].ip, sizeof(out[i].ip),
                        from->ipv6 ? "[%s]" : "%s", ip);
        out[i].text = arena_printf(a, "%s:%u", out[i].ip,
                                   out[i].address.port);
    }

    qsort(out, t->answer->n, sizeof(upstream_address_t), upstreams_by_text);
}


static const char *
upstreams_named(arena_t *a, const upstream_target_t *t)
{
    return arena_printf(a, t->host.kind == HOST_IPV6 ? "[%s]:%d" : "%s:%d",
                        t->host.host, t->host.port);
}


/* with the port behind it; host_len says where that begins */
static const char *
upstreams_host(arena_t *a, const upstream_t *u, const upstream_target_t *t,
    const upstream_address_t *from, kong_address_t *address)
{
    char           *text;
    host_t          host;
    const value_t  *header;

    header = value_get(u->entity, "host_header");

    if (header != NULL && header->kind == VALUE_STRING && header->len != 0) {

        address->host_len = (uint16_t) header->len;

        if (host_parse(header->u.string, header->len, &host) == HOST_OK
            && host.port >= 0)
        {
            return header->u.string;
        }

        return arena_printf(a, "%s:%u", header->u.string, address->port);
    }

    if (upstreams_is_true(u->entity, "use_srv_name")
        && upstreams_is_name(from->name))
    {
        text = arena_printf(a, "%s", from->name);

    } else {
        text = arena_printf(a, t->host.kind == HOST_IPV6 ? "[%s]" : "%s",
                            t->host.host);
    }

    address->host_len = (uint16_t) strlen(text);

    return arena_printf(a, "%s:%u", text, address->port);
}


/* what a name server says goes into a header only if it is one */
static unsigned
upstreams_is_name(const char *name)
{
    host_t  host;

    return name != NULL && host_parse(name, strlen(name), &host) == HOST_OK
           && host.kind != HOST_IPV6 && host.port < 0;
}


static unsigned
upstreams_is_true(const value_t *v, const char *field)
{
    v = value_get(v, field);

    return v != NULL && v->kind == VALUE_BOOL && v->u.boolean;
}


uint64_t
upstreams_address_id(uint64_t key, const char *host,
    const kong_address_t *address)
{
    uint8_t   text[16 + 2 + 1];
    uint64_t  seed;

    seed = XXH3_64bits_withSeed(host, strlen(host), key);

    memcpy(text, address->addr, 16);
    memcpy(text + 16, &address->port, 2);
    text[18] = address->ipv6;

    return XXH3_64bits_withSeed(text, sizeof(text), seed);
}


void
upstreams_write(upstream_t *u, size_t n, arena_t *a, writer_t *w,
    kong_endpoint_t **e, kong_address_t *to, uint32_t first)
{
    size_t             i, k;
    bytes_t            tables;
    checks_t           checks;
    kong_balancer_t   *b;

    b = writer_records(w, KONG_SECTION_BALANCERS, n, sizeof(*b));
    if (b == NULL) {
        return;
    }

    memset(&tables, 0, sizeof(bytes_t));
    checks_init(&checks, a, n);

    for (i = 0; i < n; i++) {

        e[i]->key = u[i].key;
        e[i]->first = first;
        e[i]->n = (uint32_t) u[i].n;
        e[i]->error = (u[i].n == 0) ? KONG_ENDPOINT_UNKNOWN
                                    : KONG_ENDPOINT_OK;
        e[i]->name = writer_string(w, u[i].name, u[i].len);
        e[i]->balancer = (uint32_t) i;

        upstreams_balancer(&u[i], w, &tables, &b[i]);
        b[i].health = checks_add(&checks, value_get(u[i].entity,
                                                    "healthchecks"));

        for (k = 0; k < u[i].n; k++) {
            to[first] = u[i].addresses[k];
            to[first].host = writer_string(w, u[i].hosts[k],
                                           strlen(u[i].hosts[k]));
            to[first].target = writer_string(w, u[i].names[k],
                                             strlen(u[i].names[k]));
            first++;
        }
    }

    if (tables.failed) {
        w->failed = 1;
    }

    writer_take(w, KONG_SECTION_BALANCER_TABLES, tables.size / 4, tables.data,
                tables.size);
    checks_write(&checks, w);
    upstreams_write_lost(u, n, w);
}


static void
upstreams_write_lost(const upstream_t *u, size_t n, writer_t *w)
{
    size_t              i, k, total;
    kong_unresolved_t  *to;

    for (i = 0, total = 0; i < n; i++) {
        total += u[i].n_lost;
    }

    if (total == 0) {
        return;
    }

    to = writer_records(w, KONG_SECTION_UNRESOLVED, total, sizeof(*to));

    for (i = 0; to != NULL && i < n; i++) {
        for (k = 0; k < u[i].n_lost; k++, to++) {
            to->upstream = writer_string(w, u[i].name, u[i].len);
            to->target = writer_string(w, u[i].lost[k], strlen(u[i].lost[k]));
        }
    }
}


static void
upstreams_balancer(const upstream_t *u, writer_t *w, bytes_t *tables,
    kong_balancer_t *b)
{
    size_t  i;

    b->id = u->key;
    b->algorithm = (uint8_t) upstreams_word(upstreams_algorithms,
                                        value_get(u->entity, "algorithm"));
    b->threshold = (uint32_t) (upstreams_number(u->entity,
                                      "healthchecks.threshold", 0) * 1000);
    upstreams_hash(u, w, b);

    for (i = 0; i < u->n; i++) {
        b->weight += u->texts[i].weight;
    }

    if (b->algorithm == KONG_ROUND_ROBIN) {
        b->sequence = (uint32_t) (tables->size / 4);
        b->n_sequence = (uint32_t) ring_sequence(u->texts, u->n, tables);
    }

    if (b->algorithm == KONG_CONSISTENT_HASHING) {
        b->slots = (uint32_t) upstreams_number(u->entity, "slots",
                                               UPSTREAM_SLOTS);
        b->slots = (b->slots < RING_SLOTS_MIN) ? RING_SLOTS_MIN
                   : (b->slots > RING_SLOTS_MAX) ? RING_SLOTS_MAX : b->slots;
        b->ring = (uint32_t) (tables->size / 4);
        b->n_ring = (uint32_t) ring_build(u->texts, u->n, u->n_targets,
                                          b->slots, tables);
    }
}


static void
upstreams_hash(const upstream_t *u, writer_t *w, kong_balancer_t *b)
{
    const value_t  *v;

    v = u->entity;

    b->hash_on = (uint8_t) upstreams_word(upstreams_hash_kinds,
                                          value_get(v, "hash_on"));
    b->hash_fallback = (uint8_t) upstreams_word(upstreams_hash_kinds,
                                          value_get(v, "hash_fallback"));
    b->hash_name = upstreams_hash_name(v, w, "hash_on", b->hash_on);
    b->fallback_name = upstreams_hash_name(v, w, "hash_fallback",
                                           b->hash_fallback);

    v = value_get(v, "hash_on_cookie_path");
    b->cookie_path = (value_cstr(v) != NULL)
                     ? writer_string(w, v->u.string, v->len)
                     : writer_string(w, "/", 1);
}


static uint32_t
upstreams_hash_name(const value_t *v, writer_t *w, const char *prefix,
    unsigned kind)
{
    char            field[64], text[256];
    size_t          i;
    const char     *suffix;
    const value_t  *name;

    switch (kind) {

    case KONG_HASH_HEADER:
        suffix = "header";
        break;

    case KONG_HASH_QUERY_ARG:
        suffix = "query_arg";
        break;

    case KONG_HASH_URI_CAPTURE:
        suffix = "uri_capture";
        break;

    case KONG_HASH_COOKIE:
        /* there is no other cookie for the fallback */
        prefix = "hash_on";
        suffix = "cookie";
        break;

    default:
        return 0;
    }

    (void) snprintf(field, sizeof(field), "%s_%s", prefix, suffix);
    name = value_get(v, field);

    if (name == NULL || name->kind != VALUE_STRING) {
        return 0;
    }

    if (kind != KONG_HASH_HEADER || name->len > sizeof(text)) {
        return writer_string(w, name->u.string, name->len);
    }

    for (i = 0; i < name->len; i++) {
        text[i] = (char) tolower((unsigned char) name->u.string[i]);
    }

    return writer_string(w, text, name->len);
}


uint64_t
compile_upstreams_sum(const config_t *c)
{
    size_t           i, k;
    uint64_t         sum, h;
    config_table_t  *t;

    static const char *const  tables[] = { "upstreams", "targets" };

    /* the order of rows means nothing */
    for (k = 0, sum = 0; k < 2; k++) {
        t = (c != NULL) ? config_table(c, tables[k]) : NULL;

        for (i = 0; t != NULL && i < t->n; i++) {
            h = upstreams_row_sum(t->rows[i], k);
            sum += XXH3_64bits(&h, sizeof(h));
        }
    }

    return sum;
}


/* but for its dates and tags */
static uint64_t
upstreams_row_sum(const value_t *row, uint64_t seed)
{
    uint32_t         i;
    member_t         m;

    for (i = 0; i < row->len; i++) {
        m = value_member(row, i);

        if (strcmp(m.key, "created_at") != 0
            && strcmp(m.key, "updated_at") != 0
            && strcmp(m.key, "tags") != 0)
        {
            seed = XXH3_64bits_withSeed(m.key, m.key_len, seed);
            seed = upstreams_value_sum(m.value, seed);
        }
    }

    return seed;
}


uint64_t
upstreams_value_sum(const value_t *v, uint64_t seed)
{
    uint8_t    kind;
    uint32_t   i;
    member_t   m;

    kind = v->kind;
    seed = XXH3_64bits_withSeed(&kind, sizeof(kind), seed);

    switch (v->kind) {

    case VALUE_BOOL:
        return XXH3_64bits_withSeed(&v->u.boolean, sizeof(bool), seed);

    case VALUE_NUMBER:
        return XXH3_64bits_withSeed(&v->u.number, sizeof(double), seed);

    case VALUE_STRING:
        return XXH3_64bits_withSeed(v->u.string, v->len, seed);

    case VALUE_ARRAY:
        for (i = 0; i < v->len; i++) {
            seed = upstreams_value_sum(&v->u.items[i], seed);
        }

        return seed;

    case VALUE_OBJECT:
        for (i = 0; i < v->len; i++) {
            m = value_member(v, i);
            seed = XXH3_64bits_withSeed(m.key, m.key_len, seed);
            seed = upstreams_value_sum(m.value, seed);
        }

        return seed;

    default:
        return seed;
    }
}


static unsigned
upstreams_word(const upstream_word_t *words, const value_t *v)
{
    while (words->name != NULL && !value_str_eq(v, words->name)) {
        words++;
    }

    return words->value;
}


static double
upstreams_number(const value_t *v, const char *path, double def)
{
    v = value_path(v, path);

    return (v != NULL && v->kind == VALUE_NUMBER) ? v->u.number : def;
}


static int
upstreams_by_name(const void *one, const void *two)
{
    int                        rc;
    size_t                     len;
    const compile_endpoint_t  *a, *b;

    a = *(const compile_endpoint_t *const *) one;
    b = *(const compile_endpoint_t *const *) two;

    len = (a->len < b->len) ? a->len : b->len;
    rc = memcmp(a->name, b->name, len);

    return (rc != 0) ? rc : (a->len > b->len) - (a->len < b->len);
}


static int
upstreams_by_target(const void *one, const void *two)
{
    int                       rc;
    const upstream_target_t  *a, *b;

    a = one;
    b = two;

    if (a->upstream != b->upstream) {
        return (a->upstream > b->upstream) ? 1 : -1;
    }

    /* Kong compares IPv6 addresses with their brackets */
    rc = (a->host.kind == b->host.kind) ? 0
         : (a->host.kind == HOST_IPV6) ? '[' - b->host.host[0]
         : (b->host.kind == HOST_IPV6) ? a->host.host[0] - '[' : 0;
    rc = (rc != 0) ? rc : strcmp(a->host.host, b->host.host);

    return (rc != 0) ? rc : (a->host.port > b->host.port)
                            - (a->host.port < b->host.port);
}


static int
upstreams_by_text(const void *one, const void *two)
{
    const upstream_address_t  *a, *b;

    a = one;
    b = two;

    return strcmp(a->text, b->text);
}
