/*
 * kong_certificate: reading certificates and server names, and verifying
 * their sections.
 */

#include "kong_certificate.h"
#include "kong_index.h"


static const kong_sni_t *kong_sni_find(const kong_segment_t *seg,
    uint32_t kind, const char *name, size_t len);
static kong_segment_rc_t kong_certificates_verify(const kong_segment_t *seg);
static kong_segment_rc_t kong_trust_verify(const kong_segment_t *seg);
static kong_segment_rc_t kong_snis_verify(const kong_segment_t *seg);


const kong_certificate_t *
kong_certificate(const kong_segment_t *seg, uint32_t i)
{
    const kong_certificate_t  *first;

    first = kong_segment_section(seg, KONG_SECTION_CERTIFICATES);

    return (i == 0) ? first : first + i;
}


const kong_trust_t *
kong_trust(const kong_segment_t *seg, uint32_t i)
{
    const kong_trust_t  *first;

    first = kong_segment_section(seg, KONG_SECTION_TRUST);

    return (i == 0) ? first : first + i;
}


uint32_t
kong_sorted_find(const void *records, size_t n, size_t stride,
    const uint8_t *key, size_t size)
{
    int             rc;
    size_t          low, high, middle;
    const uint8_t  *p;

    p = records;
    low = 0;
    high = n;

    while (low < high) {
        middle = low + (high - low) / 2;
        rc = memcmp(p + middle * stride, key, size);

        if (rc == 0) {
            return (uint32_t) middle;
        }

        if (rc < 0) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return KONG_NONE;
}


const kong_certificate_t *
kong_certificate_by_id(const kong_segment_t *seg, const uint8_t id[16])
{
    uint32_t  i;

    i = kong_sorted_find(kong_certificate(seg, 0),
                         seg->sections[KONG_SECTION_CERTIFICATES].n,
                         sizeof(kong_certificate_t), id, 16);

    return (i == KONG_NONE) ? NULL : kong_certificate(seg, i);
}


uint32_t
kong_sni_hash(uint32_t kind, const char *name, size_t len)
{
    return (uint32_t) XXH3_64bits_withSeed(name, len, kind);
}


static const kong_sni_t *
kong_sni_find(const kong_segment_t *seg, uint32_t kind, const char *name,
    size_t len)
{
    uint32_t           i, mask;
    kong_str_t         s;
    const kong_sni_t  *slots;

    slots = kong_segment_section(seg, KONG_SECTION_SNIS);

    if (slots == NULL) {
        return NULL;
    }

    mask = seg->sections[KONG_SECTION_SNIS].n - 1;
    i = kong_sni_hash(kind, name, len) & mask;

    while (slots[i].name != 0) {
        s = kong_segment_str(seg, slots[i].name);

        if (slots[i].kind == kind && s.len == len
            && memcmp(s.data, name, len) == 0)
        {
            return &slots[i];
        }

        i = (i + 1) & mask;
    }

    return NULL;
}


/* wildcards stand for one label and have two others at least beside them */
const kong_certificate_t *
kong_certificate_by_sni(const kong_segment_t *seg, const char *name,
    size_t len)
{
    char               lower[KONG_SNI_MAX];
    size_t             i, n, first, last;
    const kong_sni_t  *sni;

    if (len != 0 && name[len - 1] == '.') {
        len--;
    }

    if (len == 0 || len > KONG_SNI_MAX
        || seg->sections[KONG_SECTION_SNIS].n == 0)
    {
        return NULL;
    }

    for (i = 0, n = 0, first = 0, last = 0; i < len; i++) {
        lower[i] = name[i];

        if (lower[i] >= 'A' && lower[i] <= 'Z') {
            lower[i] |= 0x20;

        } else if (lower[i] == '.') {
            first = (n++ == 0) ? i : first;
            last = i;
        }
    }

    sni = kong_sni_find(seg, KONG_HOST_PLAIN, lower, len);

    if (sni == NULL && n > 1) {
        sni = kong_sni_find(seg, KONG_HOST_SUFFIX, lower + first,
                            len - first);
    }

    if (sni == NULL && n > 0) {
        sni = kong_sni_find(seg, KONG_HOST_PREFIX, lower, last + 1);
    }

    if (sni == NULL) {
        sni = kong_sni_find(seg, KONG_HOST_SUFFIX, "", 0);
    }

    return (sni == NULL) ? NULL : kong_certificate(seg, sni->certificate);
}


kong_segment_rc_t
kong_certificate_verify(const kong_segment_t *seg)
{
    kong_segment_rc_t  rc;

    rc = kong_certificates_verify(seg);

    if (rc == KONG_SEGMENT_OK) {
        rc = kong_trust_verify(seg);
    }

    if (rc == KONG_SEGMENT_OK) {
        rc = kong_snis_verify(seg);
    }

    return rc;
}


static kong_segment_rc_t
kong_certificates_verify(const kong_segment_t *seg)
{
    uint32_t                   i;
    const kong_certificate_t  *c;

    for (i = 0; i < seg->sections[KONG_SECTION_CERTIFICATES].n; i++) {
        c = kong_certificate(seg, i);

        if ((i != 0 && memcmp(c[-1].id, c->id, sizeof(c->id)) >= 0)
            || c->cert == 0 || !kong_segment_ref_ok(seg, c->cert)
            || c->key == 0 || !kong_segment_ref_ok(seg, c->key)
            || (c->cert_alt == 0) != (c->key_alt == 0)
            || !kong_segment_ref_ok(seg, c->cert_alt)
            || !kong_segment_ref_ok(seg, c->key_alt))
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_trust_verify(const kong_segment_t *seg)
{
    uint32_t             i;
    const kong_trust_t  *t;

    for (i = 0; i < seg->sections[KONG_SECTION_TRUST].n; i++) {
        t = kong_trust(seg, i);

        if ((i != 0 && memcmp(t[-1].hash, t->hash, sizeof(t->hash)) >= 0)
            || !kong_segment_ref_ok(seg, t->certs))
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}


/* an empty slot ends every search, and every name is where it is looked for */
static kong_segment_rc_t
kong_snis_verify(const kong_segment_t *seg)
{
    uint32_t           i, n, used;
    kong_str_t         s;
    const kong_sni_t  *slots;

    slots = kong_segment_section(seg, KONG_SECTION_SNIS);
    n = seg->sections[KONG_SECTION_SNIS].n;

    if (slots == NULL) {
        return KONG_SEGMENT_OK;
    }

    if ((n & (n - 1)) != 0 || n == 0) {
        return KONG_SEGMENT_LAYOUT;
    }

    for (i = 0, used = 0; i < n; i++) {
        if (slots[i].name == 0) {
            continue;
        }

        used++;

        if (!kong_segment_ref_ok(seg, slots[i].name)
            || slots[i].certificate
               >= seg->sections[KONG_SECTION_CERTIFICATES].n)
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    if (used == n) {
        return KONG_SEGMENT_LAYOUT;
    }

    for (i = 0; i < n; i++) {
        s = kong_segment_str(seg, slots[i].name);

        if (slots[i].name != 0
            && kong_sni_find(seg, slots[i].kind, s.data, s.len) != &slots[i])
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}
