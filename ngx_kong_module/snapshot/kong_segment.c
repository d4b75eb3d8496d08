/*
 * kong_segment: opening a segment, and the small readers.
 *
 * Called by the module when a generation is published or found on disk, and
 * by the daemon on what it has just written.  A verified segment can be read
 * without any further check; the time to verify is linear in its size.
 */

#include <time.h>

#include "kong_balancer.h"
#include "kong_certificate.h"
#include "kong_index.h"
#include "kong_plugin.h"
#include "kong_texts.h"


/* how much is verified in one go, by someone patient */
#define KONG_SEGMENT_STEPS       8192
#define KONG_SEGMENT_PAGE_STEPS  20


/* records of one size in a section; their refs and indexes are verified by
 * the function */
typedef struct {
    kong_section_id_t    id;
    size_t               size;
    kong_segment_rc_t  (*verify)(const kong_segment_t *seg);
} kong_section_def_t;


static uint64_t kong_segment_sum(const kong_segment_t *seg);
static kong_segment_rc_t kong_segment_head(kong_segment_t *seg,
    kong_segment_kind_t kind);
static kong_segment_rc_t kong_segment_table(kong_segment_t *seg);
static kong_segment_rc_t kong_segment_verify(const kong_segment_t *seg);
static kong_segment_rc_t kong_segment_routes(const kong_segment_t *seg);
static kong_segment_rc_t kong_segment_services(const kong_segment_t *seg);
static kong_segment_rc_t kong_segment_regexes(const kong_segment_t *seg);
static kong_segment_rc_t kong_segment_endpoints(const kong_segment_t *seg);
static kong_segment_rc_t kong_segment_addresses(const kong_segment_t *seg);


static const kong_section_def_t  kong_section_defs[] = {
    { KONG_SECTION_ROUTES, sizeof(kong_route_t), kong_segment_routes },
    { KONG_SECTION_SERVICES, sizeof(kong_service_t), kong_segment_services },
    { KONG_SECTION_REGEXES, sizeof(kong_regex_t), kong_segment_regexes },
    { KONG_SECTION_ENDPOINTS, sizeof(kong_endpoint_t),
      kong_segment_endpoints },
    { KONG_SECTION_ADDRESSES, sizeof(kong_address_t),
      kong_segment_addresses },
    { KONG_SECTION_BALANCERS, sizeof(kong_balancer_t), NULL },
    { KONG_SECTION_BALANCER_TABLES, sizeof(uint32_t), NULL },
    { KONG_SECTION_HEALTH, sizeof(kong_health_t), NULL },
    { KONG_SECTION_VALUES, sizeof(kong_value_t), NULL },
    { KONG_SECTION_PLUGIN_TYPES, sizeof(kong_plugin_type_t), NULL },
    { KONG_SECTION_PLUGINS, sizeof(kong_plugin_t), NULL },
    { KONG_SECTION_CONSUMER_PLUGINS, sizeof(kong_consumer_plugin_t), NULL },
    { KONG_SECTION_CONSUMERS, sizeof(kong_consumer_t), NULL },
    { KONG_SECTION_CERTIFICATES, sizeof(kong_certificate_t),
      kong_certificate_verify },
    { KONG_SECTION_SNIS, sizeof(kong_sni_t), NULL },
    { KONG_SECTION_TRUST, sizeof(kong_trust_t), NULL },
    { KONG_SECTION_TEXTS, sizeof(kong_texts_t), kong_texts_verify },
    { KONG_SECTION_UNRESOLVED, sizeof(kong_unresolved_t),
      kong_unresolved_verify }
};

#define KONG_SECTION_DEFS                                                   \
    (sizeof(kong_section_defs) / sizeof(kong_section_defs[0]))


kong_segment_rc_t
kong_segment_open(kong_segment_t *seg, const void *base, size_t size,
    kong_segment_kind_t kind, unsigned flags)
{
    kong_segment_rc_t  rc;

    memset(seg, 0, sizeof(kong_segment_t));

    seg->base = base;
    seg->size = size;
    seg->header = base;
    seg->patient = (flags & KONG_SEGMENT_PATIENT) != 0;

    rc = kong_segment_head(seg, kind);

    if (rc == KONG_SEGMENT_OK && (flags & KONG_SEGMENT_VERIFY)
        && kong_segment_sum(seg) != seg->header->checksum)
    {
        rc = KONG_SEGMENT_CHECKSUM;
    }

    if (rc == KONG_SEGMENT_OK) {
        rc = kong_segment_table(seg);
    }

    if (rc == KONG_SEGMENT_OK && (flags & KONG_SEGMENT_VERIFY)) {
        rc = kong_segment_verify(seg);
    }

    seg->patient = 0;

    if (rc != KONG_SEGMENT_OK) {
        memset(seg, 0, sizeof(kong_segment_t));
    }

    return rc;
}


/* from what every version has in common to what this one knows */
static kong_segment_rc_t
kong_segment_head(kong_segment_t *seg, kong_segment_kind_t kind)
{
    const kong_segment_header_t  *h;

    h = seg->header;

    if (seg->size < sizeof(h->magic)) {
        return KONG_SEGMENT_TRUNCATED;
    }

    if (((uintptr_t) seg->base & 7) != 0
        || memcmp(h->magic, KONG_SEGMENT_MAGIC, sizeof(h->magic)) != 0)
    {
        return KONG_SEGMENT_FOREIGN;
    }

    if (seg->size < sizeof(kong_segment_header_t)) {
        return KONG_SEGMENT_TRUNCATED;
    }

    if (h->version != KONG_SEGMENT_VERSION) {
        return KONG_SEGMENT_WRONG_VERSION;
    }

    if (h->size > seg->size) {
        return KONG_SEGMENT_TRUNCATED;
    }

    if (h->size != seg->size || h->size > KONG_SEGMENT_SIZE_MAX) {
        return KONG_SEGMENT_LAYOUT;
    }

    if ((h->kind != KONG_SEGMENT_CONFIG && h->kind != KONG_SEGMENT_ENDPOINTS)
        || (kind != 0 && h->kind != (uint32_t) kind))
    {
        return KONG_SEGMENT_WRONG_KIND;
    }

    return KONG_SEGMENT_OK;
}


uint64_t
kong_segment_checksum(const void *base, size_t size)
{
    kong_segment_t  seg;

    seg.base = base;
    seg.size = size;
    seg.patient = 0;

    return kong_segment_sum(&seg);
}


static uint64_t
kong_segment_sum(const kong_segment_t *seg)
{
    size_t    i, n;
    uint64_t  sum;

    n = (seg->size + KONG_SEGMENT_PAGE - 1) / KONG_SEGMENT_PAGE;
    sum = 0;

    for (i = 0; i < n; i++) {
        sum += kong_segment_page_hash(seg->base, seg->size, i);
        kong_segment_rest(seg, KONG_SEGMENT_PAGE_STEPS);
    }

    return sum;
}


/* a sleep, however short, lets those in who wait for the CPU, and who comes
 * next finds it free; a priority alone only divides it */
void
kong_segment_rest(const kong_segment_t *seg, unsigned n)
{
    struct timespec  ts;

    static _Thread_local unsigned  steps;

    if (!seg->patient) {
        return;
    }

    steps += n;

    if (steps >= KONG_SEGMENT_STEPS) {
        steps = 0;
        ts.tv_sec = 0;
        ts.tv_nsec = 1000;
        (void) nanosleep(&ts, NULL);
    }
}


uint64_t
kong_segment_page_hash(const void *base, size_t size, size_t page)
{
    size_t          at, len;
    XXH3_state_t    state;
    const uint8_t  *p;

    static const uint8_t  zero[sizeof(uint64_t)];

    p = (const uint8_t *) base + page * KONG_SEGMENT_PAGE;
    len = size - page * KONG_SEGMENT_PAGE;

    if (len > KONG_SEGMENT_PAGE) {
        len = KONG_SEGMENT_PAGE;
    }

    if (page != 0) {
        return XXH3_64bits_withSeed(p, len, page);
    }

    at = offsetof(kong_segment_header_t, checksum);

    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, p, at);
    XXH3_64bits_update(&state, zero, sizeof(zero));
    XXH3_64bits_update(&state, p + at + sizeof(zero),
                       len - at - sizeof(zero));

    return XXH3_64bits_digest(&state);
}


/* sections lie behind the table, aligned, in the order of the table, each
 * known id once */
static kong_segment_rc_t
kong_segment_table(kong_segment_t *seg)
{
    uint32_t               i;
    uint64_t               end;
    const kong_section_t  *s;

    end = sizeof(kong_segment_header_t);

    if (seg->header->n_sections
        > (seg->size - end) / sizeof(kong_section_t))
    {
        return KONG_SEGMENT_LAYOUT;
    }

    s = (const kong_section_t *) (seg->header + 1);
    end += seg->header->n_sections * sizeof(kong_section_t);

    for (i = 0; i < seg->header->n_sections; i++) {

        if (s[i].offset % KONG_SEGMENT_ALIGN != 0 || s[i].offset < end
            || s[i].offset > seg->size
            || s[i].size > seg->size - s[i].offset
            || s[i].size % 4 != 0)
        {
            return KONG_SEGMENT_LAYOUT;
        }

        end = s[i].offset + s[i].size;

        if (s[i].id >= KONG_SECTION_MAX) {
            continue;
        }

        if (s[i].id == 0 || seg->sections[s[i].id].id != 0) {
            return KONG_SEGMENT_LAYOUT;
        }

        seg->sections[s[i].id] = s[i];
    }

    seg->routes = kong_segment_section(seg, KONG_SECTION_ROUTES);
    seg->services = kong_segment_section(seg, KONG_SECTION_SERVICES);
    seg->regexes = kong_segment_section(seg, KONG_SECTION_REGEXES);
    seg->endpoints = kong_segment_section(seg, KONG_SECTION_ENDPOINTS);
    seg->addresses = kong_segment_section(seg, KONG_SECTION_ADDRESSES);
    seg->predicates = kong_segment_section(seg, KONG_SECTION_PREDICATES);
    seg->index = kong_segment_section(seg, KONG_SECTION_INDEX);

    return KONG_SEGMENT_OK;
}


const void *
kong_segment_section(const kong_segment_t *seg, kong_section_id_t id)
{
    const kong_section_t  *s;

    s = &seg->sections[id];

    return (s->id == 0) ? NULL : seg->base + s->offset;
}


static kong_segment_rc_t
kong_segment_verify(const kong_segment_t *seg)
{
    size_t                     i;
    kong_segment_rc_t          rc;
    const kong_section_t      *s;
    const kong_section_def_t  *def;

    for (i = 0; i < KONG_SECTION_DEFS; i++) {
        def = &kong_section_defs[i];
        s = &seg->sections[def->id];

        if (s->size != (uint64_t) s->n * def->size) {
            return KONG_SEGMENT_LAYOUT;
        }
    }

    if (seg->header->n_routes > seg->sections[KONG_SECTION_ROUTES].n
        || seg->header->n_services > seg->sections[KONG_SECTION_SERVICES].n)
    {
        return KONG_SEGMENT_LAYOUT;
    }

    for (i = 0; i < KONG_SECTION_DEFS; i++) {
        def = &kong_section_defs[i];

        if (def->verify == NULL) {
            continue;
        }

        rc = def->verify(seg);

        if (rc != KONG_SEGMENT_OK) {
            return rc;
        }
    }

    rc = kong_plugin_verify(seg);

    if (rc != KONG_SEGMENT_OK) {
        return rc;
    }

    return kong_index_verify(seg);
}


int
kong_segment_ref_ok(const kong_segment_t *seg, uint32_t ref)
{
    uint64_t               pos, len;
    const kong_section_t  *s;

    if (ref == 0) {
        return 1;
    }

    kong_segment_rest(seg, 1);
    s = &seg->sections[KONG_SECTION_STRINGS];

    if (ref % 4 != 0 || ref < s->offset) {
        return 0;
    }

    pos = ref - s->offset;

    if (pos >= s->size || s->size - pos < sizeof(uint32_t) + 1) {
        return 0;
    }

    len = kong_u32(seg->base + ref);

    return len < s->size - pos - sizeof(uint32_t)
           && seg->base[ref + sizeof(uint32_t) + len] == '\0';
}


static kong_segment_rc_t
kong_segment_routes(const kong_segment_t *seg)
{
    uint32_t             i;
    const kong_route_t  *r;

    for (i = 0; i < seg->sections[KONG_SECTION_ROUTES].n; i++) {
        r = &seg->routes[i];

        if (!kong_segment_ref_ok(seg, r->name)
            || (r->service != KONG_NONE
                && r->service >= seg->sections[KONG_SECTION_SERVICES].n))
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_segment_services(const kong_segment_t *seg)
{
    uint32_t               i;
    const kong_service_t  *s;

    for (i = 0; i < seg->sections[KONG_SECTION_SERVICES].n; i++) {
        s = &seg->services[i];

        if (s->name != 0 && !kong_segment_ref_ok(seg, s->name)) {
            return KONG_SEGMENT_OFFSET;
        }

        if (s->host == 0 || !kong_segment_ref_ok(seg, s->host)
            || s->host_header == 0
            || !kong_segment_ref_ok(seg, s->host_header)
            || !kong_segment_ref_ok(seg, s->path))
        {
            return KONG_SEGMENT_OFFSET;
        }

        if (s->client_certificate != KONG_NONE
            && s->client_certificate
               >= seg->sections[KONG_SECTION_CERTIFICATES].n)
        {
            return KONG_SEGMENT_OFFSET;
        }

        if (s->ca_certificates > seg->sections[KONG_SECTION_TRUST].n) {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_segment_regexes(const kong_segment_t *seg)
{
    uint32_t             i;
    kong_str_t           s;
    const kong_regex_t  *re;

    for (i = 0; i < seg->sections[KONG_SECTION_REGEXES].n; i++) {
        re = &seg->regexes[i];

        if (re->pattern == 0 || !kong_segment_ref_ok(seg, re->pattern)) {
            return KONG_SEGMENT_OFFSET;
        }

        s = kong_segment_str(seg, re->pattern);

        if (re->hash != kong_regex_hash(re->flags, s.data, s.len)) {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_segment_endpoints(const kong_segment_t *seg)
{
    uint32_t                i, n;
    const kong_endpoint_t  *e;

    n = seg->sections[KONG_SECTION_ADDRESSES].n;

    for (i = 0; i < seg->sections[KONG_SECTION_ENDPOINTS].n; i++) {
        e = &seg->endpoints[i];

        if ((i != 0 && e->key <= seg->endpoints[i - 1].key)
            || e->first > n || e->n > n - e->first
            || !kong_segment_ref_ok(seg, e->name)
            || kong_balancer_verify(seg, e) != KONG_SEGMENT_OK)
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_segment_addresses(const kong_segment_t *seg)
{
    uint32_t               i;
    kong_str_t             host;
    const kong_address_t  *a;

    for (i = 0; i < seg->sections[KONG_SECTION_ADDRESSES].n; i++) {
        a = &seg->addresses[i];

        if (!kong_segment_ref_ok(seg, a->host)
            || !kong_segment_ref_ok(seg, a->target))
        {
            return KONG_SEGMENT_OFFSET;
        }

        host = kong_segment_str(seg, a->host);

        if (a->host_len > host.len) {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}


const char *
kong_segment_strerror(kong_segment_rc_t rc)
{
    switch (rc) {
    case KONG_SEGMENT_OK:
        return "no error";
    case KONG_SEGMENT_TRUNCATED:
        return "the segment is truncated";
    case KONG_SEGMENT_FOREIGN:
        return "the file is not a segment";
    case KONG_SEGMENT_WRONG_VERSION:
        return "the segment has another format version";
    case KONG_SEGMENT_WRONG_KIND:
        return "the segment is of another kind";
    case KONG_SEGMENT_CHECKSUM:
        return "the segment is damaged: its checksum does not match";
    case KONG_SEGMENT_LAYOUT:
        return "the segment is damaged: its sections do not fit the file";
    case KONG_SEGMENT_BASE:
        return "the whole segment beneath the file of pages is another one";
    case KONG_SEGMENT_OFFSET:
        return "the segment is damaged: it holds a bad offset";
    }

    return "unknown segment error";
}


const kong_endpoint_t *
kong_segment_endpoint(const kong_segment_t *seg, uint64_t key)
{
    uint32_t                half, n;
    const kong_endpoint_t  *e;

    e = seg->endpoints;
    n = seg->sections[KONG_SECTION_ENDPOINTS].n;

    if (n == 0) {
        return NULL;
    }

    while (n > 1) {
        half = n / 2;
        e = (e[half].key <= key) ? e + half : e;
        n -= half;
    }

    return (e->key == key) ? e : NULL;
}


uint64_t
kong_endpoint_key(const char *name, size_t len)
{
    char          buf[256];
    size_t        i, n;
    XXH3_state_t  state;

    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);

    while (len != 0) {
        n = (len < sizeof(buf)) ? len : sizeof(buf);

        for (i = 0; i < n; i++) {
            buf[i] = name[i];

            if (buf[i] >= 'A' && buf[i] <= 'Z') {
                buf[i] |= 0x20;
            }
        }

        XXH3_64bits_update(&state, buf, n);
        name += n;
        len -= n;
    }

    return XXH3_64bits_digest(&state);
}


uint64_t
kong_upstream_key(const char *name, size_t len)
{
    /* another seed than that of names: both may be there */
    return XXH3_64bits_withSeed(name, len, 1);
}


void
kong_uuid_text(const uint8_t id[16], char out[37])
{
    unsigned  i;

    static const char  hex[] = "0123456789abcdef";

    for (i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *out++ = '-';
        }

        *out++ = hex[id[i] >> 4];
        *out++ = hex[id[i] & 15];
    }

    *out = '\0';
}


int
kong_uuid_parse(const char *text, size_t len, uint8_t out[16])
{
    size_t          i, at;
    unsigned        high, low, bad;
    const uint8_t  *p;

    /* a digit's value plus one; 0: it is none */

    static const uint8_t  digits[256] = {
        ['0'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
        ['A'] = 11, 12, 13, 14, 15, 16,
        ['a'] = 11, 12, 13, 14, 15, 16
    };

    static const uint8_t  places[16] = {
        0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34
    };

    if (len != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-'
        || text[23] != '-')
    {
        return -1;
    }

    p = (const uint8_t *) text;
    bad = 0;

    for (i = 0; i < 16; i++) {
        at = places[i];
        high = digits[p[at]];
        low = digits[p[at + 1]];
        bad |= (high == 0) | (low == 0);
        out[i] = (uint8_t) ((high - 1) << 4 | ((low - 1) & 15));
    }

    return bad ? -1 : 0;
}
