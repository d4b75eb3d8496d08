/*
 * kong_certificate: certificates, the server names that they are shown for,
 * and sets of trusted authorities in a config segment.
 *
 * Certificates and keys are DER, several certificates one behind the other:
 * whether they are any good is the compiler's matter, and a worker's that
 * reads them.  Readers trust what kong_segment_open() has verified; nothing
 * allocates.
 */

#ifndef KONG_CERTIFICATE_H
#define KONG_CERTIFICATE_H

#include "kong_segment.h"


#define KONG_SNI_MAX  255            /* longer names are nobody's */

/* section CERTIFICATES, by ascending id */
typedef struct {
    uint8_t   id[16];
    uint8_t   hash[32];              /* SHA-256 of all that follows: the key
                                        under which workers keep it */
    uint32_t  cert;                  /* ref: the certificate and its chain */
    uint32_t  key;                   /* ref */
    uint32_t  cert_alt;              /* refs: the same for another type of
                                        key; both null: there is none */
    uint32_t  key_alt;
} kong_certificate_t;

/* section SNIS: open addressing, n is a power of two */
typedef struct {
    uint32_t  name;                  /* ref: lower case, without its "*"; 0:
                                        the slot is empty */
    uint32_t  kind;                  /* kong_host_kind_t; "*" is the suffix
                                        "" */
    uint32_t  certificate;           /* index */
    uint32_t  reserved;
} kong_sni_t;

/* section TRUST, by ascending hash */
typedef struct {
    uint8_t   hash[32];              /* of the set */
    uint32_t  certs;                 /* ref; null: nobody is trusted */
    uint32_t  reserved;
} kong_trust_t;


const kong_certificate_t *kong_certificate(const kong_segment_t *seg,
    uint32_t i);
const kong_trust_t *kong_trust(const kong_segment_t *seg, uint32_t i);

/*
 * The certificate for the name that a client asks for, in any case: that of
 * the name itself, else of "*.rest", else of "first.*", else of "*".  NULL:
 * there is none, the default one is to be shown.
 */
const kong_certificate_t *kong_certificate_by_sni(const kong_segment_t *seg,
    const char *name, size_t len);

/* records that begin with a key of `size` bytes and ascend by it: the number
 * of the one with this key, or KONG_NONE */
uint32_t kong_sorted_find(const void *records, size_t n, size_t stride,
    const uint8_t *key, size_t size);
const kong_certificate_t *kong_certificate_by_id(const kong_segment_t *seg,
    const uint8_t id[16]);

/* the hash that the writer must use */
uint32_t kong_sni_hash(uint32_t kind, const char *name, size_t len);

/* called by kong_segment_open() */
kong_segment_rc_t kong_certificate_verify(const kong_segment_t *seg);

#endif
