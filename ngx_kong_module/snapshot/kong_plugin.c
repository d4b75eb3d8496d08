/*
 * kong_plugin: reading plugins, consumers and credentials, and verifying
 * their sections.  A tree of values may share branches, but each index is
 * smaller than the one that refers to it, so that walking one always ends.
 */

#include "kong_index.h"
#include "kong_plugin.h"


static kong_segment_rc_t kong_values_verify(const kong_segment_t *seg);
static kong_segment_rc_t kong_plugins_verify(const kong_segment_t *seg);
static kong_segment_rc_t kong_chains_verify(const kong_segment_t *seg);
static int kong_chain_ok(const kong_segment_t *seg, uint32_t offset);
static kong_segment_rc_t kong_consumer_plugins_verify(
    const kong_segment_t *seg);
static kong_segment_rc_t kong_consumers_verify(const kong_segment_t *seg);
static kong_segment_rc_t kong_credentials_verify(const kong_segment_t *seg);
static kong_segment_rc_t kong_credential_table_verify(
    const kong_segment_t *seg, const kong_credential_table_t *t);


static inline uint32_t
kong_count(const kong_segment_t *seg, kong_section_id_t id)
{
    return seg->sections[id].n;
}


const kong_value_t *
kong_value_get(const kong_segment_t *seg, const kong_value_t *object,
    const char *key)
{
    size_t               len;
    uint32_t             i;
    kong_str_t           s;
    const kong_value_t  *v;

    if (object == NULL || object->kind != KONG_VALUE_OBJECT) {
        return NULL;
    }

    len = strlen(key);
    v = kong_value_items(seg, object);

    for (i = 0; i < object->n; i++, v += 2) {
        s = kong_value_str(seg, v);

        if (s.len == len && memcmp(s.data, key, len) == 0) {
            return (v[1].kind == KONG_VALUE_NULL) ? NULL : &v[1];
        }
    }

    return NULL;
}


const kong_value_t *
kong_value_path(const kong_segment_t *seg, const kong_value_t *object,
    const char *path)
{
    char         key[64];
    size_t       len;
    const char  *dot;

    for ( ;; ) {
        dot = strchr(path, '.');

        if (dot == NULL) {
            return kong_value_get(seg, object, path);
        }

        len = dot - path;

        if (len >= sizeof(key)) {
            return NULL;
        }

        memcpy(key, path, len);
        key[len] = '\0';

        object = kong_value_get(seg, object, key);
        path = dot + 1;
    }
}


const kong_value_t *
kong_value(const kong_segment_t *seg, uint32_t i)
{
    const kong_value_t  *first;

    first = kong_segment_section(seg, KONG_SECTION_VALUES);

    return (i == 0) ? first : first + i;
}


const kong_plugin_t *
kong_plugin(const kong_segment_t *seg, uint32_t i)
{
    const kong_plugin_t  *first;

    first = kong_segment_section(seg, KONG_SECTION_PLUGINS);

    return (i == 0) ? first : first + i;
}


const kong_plugin_type_t *
kong_plugin_type(const kong_segment_t *seg, uint32_t i)
{
    const kong_plugin_type_t  *first;

    first = kong_segment_section(seg, KONG_SECTION_PLUGIN_TYPES);

    return (i == 0) ? first : first + i;
}


const kong_consumer_t *
kong_consumer(const kong_segment_t *seg, uint32_t i)
{
    const kong_consumer_t  *first;

    first = kong_segment_section(seg, KONG_SECTION_CONSUMERS);

    return (i == 0) ? first : first + i;
}


const kong_chain_t *
kong_chain(const kong_segment_t *seg, uint32_t offset)
{
    const uint8_t  *chains;

    chains = kong_segment_section(seg, KONG_SECTION_CHAINS);

    if (chains == NULL) {
        return NULL;
    }

    if (offset == KONG_NONE) {
        offset = kong_u32(chains);
    }

    return (offset == 0) ? NULL : (const void *) (chains + offset);
}


uint32_t
kong_consumer_plugin_hash(uint32_t type, uint32_t consumer, uint32_t route,
    uint32_t service)
{
    uint32_t  key[4] = { type, consumer, route, service };

    return (uint32_t) XXH3_64bits(key, sizeof(key));
}


static uint32_t
kong_consumer_plugin(const kong_segment_t *seg, uint32_t type,
    uint32_t consumer, uint32_t route, uint32_t service)
{
    uint32_t                       i, mask;
    const kong_consumer_plugin_t  *slots;

    slots = kong_segment_section(seg, KONG_SECTION_CONSUMER_PLUGINS);

    if (slots == NULL) {
        return KONG_NONE;
    }

    mask = kong_count(seg, KONG_SECTION_CONSUMER_PLUGINS) - 1;
    i = kong_consumer_plugin_hash(type, consumer, route, service) & mask;

    while (slots[i].plugin != KONG_NONE) {
        if (slots[i].type == type && slots[i].consumer == consumer
            && slots[i].route == route && slots[i].service == service)
        {
            return slots[i].plugin;
        }

        i = (i + 1) & mask;
    }

    return KONG_NONE;
}


uint32_t
kong_slot_plugin(const kong_segment_t *seg, const kong_slot_t *slot,
    uint32_t route, uint32_t service, uint32_t consumer)
{
    uint32_t  plugin;

    if (consumer == KONG_NONE
        || !(kong_plugin_type(seg, slot->type)->flags & KONG_TYPE_CONSUMER))
    {
        return slot->plugin;
    }

    if (route != KONG_NONE && service != KONG_NONE) {
        plugin = kong_consumer_plugin(seg, slot->type, consumer, route,
                                      service);
        if (plugin != KONG_NONE) {
            return plugin;
        }
    }

    if (route != KONG_NONE) {
        plugin = kong_consumer_plugin(seg, slot->type, consumer, route,
                                      KONG_NONE);
        if (plugin != KONG_NONE) {
            return plugin;
        }
    }

    if (service != KONG_NONE) {
        plugin = kong_consumer_plugin(seg, slot->type, consumer, KONG_NONE,
                                      service);
        if (plugin != KONG_NONE) {
            return plugin;
        }
    }

    if (slot->level > KONG_LEVEL_CONSUMER) {
        plugin = kong_consumer_plugin(seg, slot->type, consumer, KONG_NONE,
                                      KONG_NONE);
        if (plugin != KONG_NONE) {
            return plugin;
        }
    }

    return slot->plugin;
}


uint64_t
kong_credential_hash(kong_credential_kind_t kind, const char *key, size_t len)
{
    return XXH3_64bits_withSeed(key, len, kind);
}


const kong_credential_t *
kong_credential(const kong_segment_t *seg, kong_credential_kind_t kind,
    const char *key, size_t len)
{
    uint32_t                        i, mask;
    kong_str_t                      s;
    const uint8_t                  *base;
    const uint32_t                 *slots;
    const kong_credential_t        *records, *c;
    const kong_credential_table_t  *t;

    base = kong_segment_section(seg, KONG_SECTION_CREDENTIALS);

    if (base == NULL) {
        return NULL;
    }

    t = (const kong_credential_table_t *) (const void *) base + kind;

    if (t->n_slots == 0) {
        return NULL;
    }

    slots = (const uint32_t *) (const void *) (base + t->slots);
    records = (const kong_credential_t *) (const void *) (base + t->records);
    mask = t->n_slots - 1;
    i = (uint32_t) kong_credential_hash(kind, key, len) & mask;

    while (slots[i] != 0) {
        c = &records[slots[i] - 1];
        s = kong_segment_str(seg, c->key);

        if (s.len == len && memcmp(s.data, key, len) == 0) {
            return c;
        }

        i = (i + 1) & mask;
    }

    return NULL;
}


kong_segment_rc_t
kong_plugin_verify(const kong_segment_t *seg)
{
    size_t             i;
    kong_segment_rc_t  rc;

    static kong_segment_rc_t (*const  steps[])(const kong_segment_t *) = {
        kong_values_verify,
        kong_consumers_verify,
        kong_plugins_verify,
        kong_chains_verify,
        kong_consumer_plugins_verify,
        kong_credentials_verify
    };

    if (seg->header->n_plugins > kong_count(seg, KONG_SECTION_PLUGINS)
        || seg->header->n_consumers > kong_count(seg, KONG_SECTION_CONSUMERS))
    {
        return KONG_SEGMENT_LAYOUT;
    }

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        rc = steps[i](seg);

        if (rc != KONG_SEGMENT_OK) {
            return rc;
        }
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_values_verify(const kong_segment_t *seg)
{
    uint32_t             i, j, n;
    const kong_value_t  *v;

    n = kong_count(seg, KONG_SECTION_VALUES);
    v = kong_value(seg, 0);

    for (i = 0; i < n; i++) {

        switch (v[i].kind) {

        case KONG_VALUE_NULL:
        case KONG_VALUE_NUMBER:
            break;

        case KONG_VALUE_BOOL:
            if (v[i].n > 1) {
                return KONG_SEGMENT_OFFSET;
            }

            break;

        case KONG_VALUE_STRING:
            if (v[i].u.ref == 0 || !kong_segment_ref_ok(seg, v[i].u.ref)) {
                return KONG_SEGMENT_OFFSET;
            }

            break;

        case KONG_VALUE_ARRAY:
            if (v[i].u.first > i || v[i].n > i - v[i].u.first) {
                return KONG_SEGMENT_OFFSET;
            }

            break;

        case KONG_VALUE_OBJECT:
            if (v[i].u.first > i || v[i].n > (i - v[i].u.first) / 2) {
                return KONG_SEGMENT_OFFSET;
            }

            for (j = 0; j < v[i].n; j++) {
                if (v[v[i].u.first + 2 * j].kind != KONG_VALUE_STRING) {
                    return KONG_SEGMENT_OFFSET;
                }
            }

            break;

        default:
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_consumers_verify(const kong_segment_t *seg)
{
    uint32_t                i, j;
    const kong_value_t     *v, *item;
    const kong_consumer_t  *c;

    c = kong_consumer(seg, 0);

    for (i = 0; i < kong_count(seg, KONG_SECTION_CONSUMERS); i++, c++) {

        if (!kong_segment_ref_ok(seg, c->username)
            || !kong_segment_ref_ok(seg, c->custom_id))
        {
            return KONG_SEGMENT_OFFSET;
        }

        if (c->groups == KONG_NONE) {
            continue;
        }

        if (c->groups >= kong_count(seg, KONG_SECTION_VALUES)) {
            return KONG_SEGMENT_OFFSET;
        }

        v = kong_value(seg, c->groups);

        if (v->kind != KONG_VALUE_ARRAY) {
            return KONG_SEGMENT_OFFSET;
        }

        for (item = kong_value_items(seg, v), j = 0; j < v->n; j++) {
            if (item[j].kind != KONG_VALUE_STRING) {
                return KONG_SEGMENT_OFFSET;
            }
        }
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_plugins_verify(const kong_segment_t *seg)
{
    uint32_t                   i;
    const kong_plugin_t       *p;
    const kong_plugin_type_t  *t;

    t = kong_plugin_type(seg, 0);

    for (i = 0; i < kong_count(seg, KONG_SECTION_PLUGIN_TYPES); i++) {
        if (t[i].name == 0 || !kong_segment_ref_ok(seg, t[i].name)) {
            return KONG_SEGMENT_OFFSET;
        }
    }

    p = kong_plugin(seg, 0);

    for (i = 0; i < kong_count(seg, KONG_SECTION_PLUGINS); i++, p++) {

        if (p->type >= kong_count(seg, KONG_SECTION_PLUGIN_TYPES)
            || p->config >= kong_count(seg, KONG_SECTION_VALUES)
            || kong_value(seg, p->config)->kind != KONG_VALUE_OBJECT
            || (p->consumer != KONG_NONE
                && p->consumer >= kong_count(seg, KONG_SECTION_CONSUMERS))
            || (p->anonymous < KONG_MISSING
                && p->anonymous >= kong_count(seg, KONG_SECTION_CONSUMERS)))
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_chains_verify(const kong_segment_t *seg)
{
    uint32_t               i;
    const kong_section_t  *s;

    s = &seg->sections[KONG_SECTION_CHAINS];

    if (s->id != 0) {

        if (s->size < sizeof(uint32_t)
            || !kong_chain_ok(seg, kong_u32(seg->base + s->offset)))
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    for (i = 0; i < kong_count(seg, KONG_SECTION_ROUTES); i++) {
        if (!kong_chain_ok(seg, seg->routes[i].plugins)) {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}


/* routes share chains: each is checked as often as it is named, which stays
 * cheap because the number of plugin types bounds a chain */
static int
kong_chain_ok(const kong_segment_t *seg, uint32_t offset)
{
    uint32_t               i;
    const kong_slot_t     *slot;
    const kong_chain_t    *chain;
    const kong_section_t  *s;

    if (offset == 0) {
        return 1;
    }

    s = &seg->sections[KONG_SECTION_CHAINS];

    if (offset % 4 != 0 || offset >= s->size
        || s->size - offset < sizeof(kong_chain_t))
    {
        return 0;
    }

    chain = (const void *) (seg->base + s->offset + offset);

    if (chain->n > kong_count(seg, KONG_SECTION_PLUGIN_TYPES)
        || chain->n > (s->size - offset - sizeof(kong_chain_t))
                      / sizeof(kong_slot_t))
    {
        return 0;
    }

    slot = (const kong_slot_t *) (chain + 1);

    for (i = 0; i < chain->n; i++, slot++) {

        if (slot->type >= kong_count(seg, KONG_SECTION_PLUGIN_TYPES)
            || slot->level > KONG_LEVEL_NONE
            || (slot->plugin != KONG_NONE
                && (slot->plugin >= kong_count(seg, KONG_SECTION_PLUGINS)
                    || kong_plugin(seg, slot->plugin)->type != slot->type)))
        {
            return 0;
        }
    }

    return 1;
}


static kong_segment_rc_t
kong_consumer_plugins_verify(const kong_segment_t *seg)
{
    uint32_t                       i, n, empty;
    const kong_consumer_plugin_t  *slot;

    n = kong_count(seg, KONG_SECTION_CONSUMER_PLUGINS);

    if (n == 0) {
        return seg->sections[KONG_SECTION_CONSUMER_PLUGINS].id == 0
               ? KONG_SEGMENT_OK : KONG_SEGMENT_LAYOUT;
    }

    if ((n & (n - 1)) != 0) {
        return KONG_SEGMENT_LAYOUT;
    }

    slot = kong_segment_section(seg, KONG_SECTION_CONSUMER_PLUGINS);
    empty = 0;

    for (i = 0; i < n; i++, slot++) {

        if (slot->plugin == KONG_NONE) {
            empty++;
            continue;
        }

        if (slot->plugin >= kong_count(seg, KONG_SECTION_PLUGINS)
            || kong_plugin(seg, slot->plugin)->type != slot->type)
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    /* a probe ends at an empty slot */
    return (empty != 0) ? KONG_SEGMENT_OK : KONG_SEGMENT_LAYOUT;
}


static kong_segment_rc_t
kong_credentials_verify(const kong_segment_t *seg)
{
    uint32_t                        i;
    kong_segment_rc_t               rc;
    const kong_section_t           *s;
    const kong_credential_table_t  *t;

    s = &seg->sections[KONG_SECTION_CREDENTIALS];

    if (s->id == 0) {
        return KONG_SEGMENT_OK;
    }

    if (s->size < sizeof(kong_credential_table_t) * KONG_CREDENTIAL_KINDS) {
        return KONG_SEGMENT_LAYOUT;
    }

    t = kong_segment_section(seg, KONG_SECTION_CREDENTIALS);

    for (i = 0; i < KONG_CREDENTIAL_KINDS; i++) {
        rc = kong_credential_table_verify(seg, &t[i]);

        if (rc != KONG_SEGMENT_OK) {
            return rc;
        }
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_credential_table_verify(const kong_segment_t *seg,
    const kong_credential_table_t *t)
{
    uint32_t                  i, empty;
    const uint8_t            *base;
    const uint32_t           *slots;
    const kong_section_t     *s;
    const kong_credential_t  *c;

    if (t->n_slots == 0) {
        return (t->n == 0) ? KONG_SEGMENT_OK : KONG_SEGMENT_LAYOUT;
    }

    s = &seg->sections[KONG_SECTION_CREDENTIALS];
    base = seg->base + s->offset;

    if ((t->n_slots & (t->n_slots - 1)) != 0
        || t->slots % 4 != 0 || t->slots > s->size
        || t->n_slots > (s->size - t->slots) / sizeof(uint32_t)
        || t->records % 8 != 0 || t->records > s->size
        || t->n > (s->size - t->records) / sizeof(kong_credential_t))
    {
        return KONG_SEGMENT_LAYOUT;
    }

    slots = (const void *) (base + t->slots);

    for (i = 0, empty = 0; i < t->n_slots; i++) {
        if (slots[i] > t->n) {
            return KONG_SEGMENT_OFFSET;
        }

        empty += (slots[i] == 0);
    }

    if (empty == 0) {
        return KONG_SEGMENT_LAYOUT;
    }

    c = (const void *) (base + t->records);

    for (i = 0; i < t->n; i++, c++) {

        if (c->key == 0 || !kong_segment_ref_ok(seg, c->key)
            || !kong_segment_ref_ok(seg, c->secret)
            || (c->consumer != KONG_NONE
                && c->consumer >= kong_count(seg, KONG_SECTION_CONSUMERS))
            || (c->extra != KONG_NONE
                && (c->extra >= kong_count(seg, KONG_SECTION_VALUES)
                    || kong_value(seg, c->extra)->kind != KONG_VALUE_OBJECT)))
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}
