/*
 * kong_plugin: plugins, consumers and credentials in a config segment.
 *
 * Every (route, service) has a chain: the plugins that may run, in Kong's
 * order, each with the instance that applies when no consumer is known.
 * What depends on the consumer is found by one probe of a hash table once a
 * plugin has authenticated one.  A plugin's configuration is a tree of
 * values, shared by all instances that hold the same.
 *
 * Readers trust what kong_segment_open() has verified; nothing allocates.
 */

#ifndef KONG_PLUGIN_H
#define KONG_PLUGIN_H

#include "kong_segment.h"


/* section VALUES: an array of these; offsets are indexes into it */
typedef enum {
    KONG_VALUE_NULL = 0,
    KONG_VALUE_BOOL,                 /* n is 0 or 1 */
    KONG_VALUE_NUMBER,
    KONG_VALUE_STRING,               /* u.ref */
    KONG_VALUE_ARRAY,                /* n items from u.first on */
    KONG_VALUE_OBJECT                /* n pairs (a string, a value) from
                                        u.first on */
} kong_value_kind_t;

typedef struct {
    uint32_t      kind;
    uint32_t      n;
    union {
        double    number;
        uint32_t  ref;
        uint32_t  first;
    } u;
} kong_value_t;

/* section PLUGIN_TYPES: one a plugin name that the configuration uses */
typedef struct {
    uint32_t  name;                  /* ref */
    uint32_t  flags;                 /* KONG_TYPE_* */
} kong_plugin_type_t;

#define KONG_TYPE_CONSUMER  0x1      /* has an instance for a consumer */

/* how specific an instance is: 1 is the most */
#define KONG_LEVEL_ROUTE_SERVICE_CONSUMER  1
#define KONG_LEVEL_ROUTE_CONSUMER          2
#define KONG_LEVEL_SERVICE_CONSUMER        3
#define KONG_LEVEL_ROUTE_SERVICE           4
#define KONG_LEVEL_CONSUMER                5
#define KONG_LEVEL_ROUTE                   6
#define KONG_LEVEL_SERVICE                 7
#define KONG_LEVEL_GLOBAL                  8
#define KONG_LEVEL_NONE                    9

/* section PLUGINS: enabled instances */
typedef struct {
    uint8_t   id[16];
    uint8_t   route_id[16];          /* of its own scope; zeros = unset */
    uint8_t   service_id[16];
    uint32_t  type;                  /* index of a plugin type */
    uint32_t  config;                /* index of an object value */
    uint32_t  consumer;              /* index, or KONG_NONE */
    uint32_t  anonymous;             /* consumer that config.anonymous names;
                                        KONG_NONE: not set, KONG_MISSING: no
                                        such consumer */
    uint64_t  hash;                  /* of the type's name and the config */
} kong_plugin_t;

#define KONG_MISSING  0xfffffffeu

/* section CHAINS: u32 offset of the chain for requests without a route, then
 * chains; offsets are relative to the section */
typedef struct {
    uint32_t  n;
    /* kong_slot_t[n] */
} kong_chain_t;

typedef struct {
    uint32_t  type;
    uint32_t  plugin;                /* the instance, or KONG_NONE */
    uint32_t  level;                 /* KONG_LEVEL_* of the instance */
} kong_slot_t;

/* section CONSUMER_PLUGINS: open addressing, n is a power of two */
typedef struct {
    uint32_t  type;
    uint32_t  consumer;
    uint32_t  route;                 /* index or KONG_NONE */
    uint32_t  service;
    uint32_t  plugin;                /* KONG_NONE: the slot is empty */
} kong_consumer_plugin_t;

/* section CONSUMERS */
typedef struct {
    uint8_t   id[16];
    uint32_t  username;              /* ref */
    uint32_t  custom_id;             /* ref */
    uint32_t  groups;                /* index of an array value of strings;
                                        KONG_NONE: in no group */
    uint32_t  reserved;
} kong_consumer_t;

typedef enum {
    KONG_CREDENTIAL_KEY_AUTH = 0,    /* key */
    KONG_CREDENTIAL_BASIC_AUTH,      /* username, password hash */
    KONG_CREDENTIAL_HMAC_AUTH,       /* username, secret */
    KONG_CREDENTIAL_JWT,             /* key; extra: the whole entity */
    KONG_CREDENTIAL_OAUTH2,          /* client_id; extra */
    KONG_CREDENTIAL_OAUTH2_TOKEN,    /* access_token, client_id; extra */
    KONG_CREDENTIAL_KINDS
} kong_credential_kind_t;

/* section CREDENTIALS: kong_credential_table_t[KONG_CREDENTIAL_KINDS] in one
 * run, then the tables' slots and records; offsets relative to the section */
typedef struct {
    uint32_t  slots;                 /* offset of u32[n_slots]: index + 1 */
    uint32_t  n_slots;               /* a power of two; 0 = no credential */
    uint32_t  records;               /* offset of kong_credential_t[n] */
    uint32_t  n;
} kong_credential_table_t;

typedef struct kong_credential_s {
    uint8_t   id[16];
    uint64_t  expires;               /* epoch s; 0 = never */
    uint32_t  consumer;              /* index, KONG_NONE for none */
    uint32_t  key;                   /* ref: what it is found by */
    uint32_t  secret;                /* ref */
    uint32_t  extra;                 /* index of an object value, KONG_NONE */
} kong_credential_t;


/* NULL when the object has no such member or it is null */
const kong_value_t *kong_value_get(const kong_segment_t *seg,
    const kong_value_t *object, const char *key);
/* "redis.host" */
const kong_value_t *kong_value_path(const kong_segment_t *seg,
    const kong_value_t *object, const char *path);

static inline const kong_value_t *
kong_value_items(const kong_segment_t *seg, const kong_value_t *v)
{
    return (const kong_value_t *) (const void *)
           (seg->base + seg->sections[KONG_SECTION_VALUES].offset)
           + v->u.first;
}

static inline kong_str_t
kong_value_str(const kong_segment_t *seg, const kong_value_t *v)
{
    return kong_segment_str(seg, v->u.ref);
}

/* the chain of this offset (kong_route_t.plugins); 0 gives NULL.  KONG_NONE
 * gives the chain of requests that no route matched */
const kong_chain_t *kong_chain(const kong_segment_t *seg, uint32_t offset);

/*
 * The instance of a slot for this request, or KONG_NONE.  route, service and
 * consumer are indexes, KONG_NONE when there is none.
 */
uint32_t kong_slot_plugin(const kong_segment_t *seg, const kong_slot_t *slot,
    uint32_t route, uint32_t service, uint32_t consumer);

const kong_plugin_t *kong_plugin(const kong_segment_t *seg, uint32_t i);
const kong_plugin_type_t *kong_plugin_type(const kong_segment_t *seg,
    uint32_t i);
const kong_value_t *kong_value(const kong_segment_t *seg, uint32_t i);
const kong_consumer_t *kong_consumer(const kong_segment_t *seg, uint32_t i);

/* by its key, without regard to expiry; NULL when there is none */
const kong_credential_t *kong_credential(const kong_segment_t *seg,
    kong_credential_kind_t kind, const char *key, size_t len);

/* hashes that the writer must use */
uint64_t kong_credential_hash(kong_credential_kind_t kind, const char *key,
    size_t len);
uint32_t kong_consumer_plugin_hash(uint32_t type, uint32_t consumer,
    uint32_t route, uint32_t service);

/* called by kong_segment_open() */
kong_segment_rc_t kong_plugin_verify(const kong_segment_t *seg);

#endif
