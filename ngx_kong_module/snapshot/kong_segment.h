/*
 * The segment: an immutable, position-independent file that all workers map
 * read-only.  The byte layout is specified in docs/segment-format.md; this
 * header is the layout's C view plus its reader.  The writer is the daemon's
 * (controld/compile).
 *
 * A segment comes from disk and is foreign input.  kong_segment_open() with
 * KONG_SEGMENT_VERIFY proves header, checksum and every offset, index and
 * string once; after that no reader checks anything.  Nothing here allocates,
 * locks or logs.
 *
 * All integers are little-endian and naturally aligned; a "ref" is a byte
 * offset from the start of the segment to a length-prefixed string
 * (u32 length, bytes, NUL), 0 meaning null; a "no index" is KONG_NONE.
 */

#ifndef KONG_SEGMENT_H
#define KONG_SEGMENT_H

#include <stddef.h>
#include <stdint.h>


#define KONG_SEGMENT_MAGIC    "KONGSEG"         /* 8 bytes with its NUL */
#define KONG_SEGMENT_VERSION  3
#define KONG_SEGMENT_PAGE     4096              /* of the checksum, and of
                                                   files of pages */
#define KONG_SEGMENT_ALIGN    64                /* of every section */
#define KONG_SEGMENT_SIZE_MAX 0xffffffc0u       /* refs are 32 bits wide */
#define KONG_NONE             0xffffffffu

typedef enum {
    KONG_SEGMENT_CONFIG = 1,
    KONG_SEGMENT_ENDPOINTS = 2
} kong_segment_kind_t;

/* errors: kong_segment_strerror() gives a sentence without a full stop */
typedef enum {
    KONG_SEGMENT_OK = 0,
    KONG_SEGMENT_TRUNCATED = -1,     /* shorter than its header says */
    KONG_SEGMENT_FOREIGN = -2,       /* no segment at all */
    KONG_SEGMENT_WRONG_VERSION = -3,
    KONG_SEGMENT_WRONG_KIND = -4,
    KONG_SEGMENT_CHECKSUM = -5,
    KONG_SEGMENT_LAYOUT = -6,        /* a section outside the file ... */
    KONG_SEGMENT_OFFSET = -7,        /* an offset, index or string is bad */
    KONG_SEGMENT_BASE = -8           /* of a file of pages: not the one */
} kong_segment_rc_t;

typedef struct {
    const char  *data;               /* NUL-terminated when from a ref */
    size_t       len;
} kong_str_t;

typedef struct {
    char      magic[8];
    uint32_t  version;
    uint32_t  kind;
    uint64_t  size;                  /* of the whole file */
    uint64_t  checksum;              /* kong_segment_checksum() */
    uint32_t  generation;
    uint32_t  n_sections;
    uint64_t  created;               /* ms since the epoch */
    char      source_hash[32];       /* MD5 hex of the source, as Kong's
                                        configuration_hash */
    uint32_t  n_routes;              /* in use: a section may have records */
    uint32_t  n_services;            /* that nothing leads to any more */
    uint32_t  n_consumers;
    uint32_t  n_plugins;
    uint32_t  flags;                 /* KONG_SEGMENT_F_* */
    uint32_t  reserved;
    /* section table follows */
} kong_segment_header_t;

#define KONG_SEGMENT_F_EMPTY  0x1    /* a configuration without entities */

/* protocols, as bits */
#define KONG_PROTO_HTTP             0x01
#define KONG_PROTO_HTTPS            0x02
#define KONG_PROTO_GRPC             0x04
#define KONG_PROTO_GRPCS            0x08
#define KONG_PROTO_TCP              0x10
#define KONG_PROTO_TLS              0x20
#define KONG_PROTO_TLS_PASSTHROUGH  0x40
#define KONG_PROTO_UDP              0x80

#define KONG_ROUTE_STRIP_PATH          0x01
#define KONG_ROUTE_PRESERVE_HOST       0x02
#define KONG_ROUTE_REQUEST_BUFFERING   0x04
#define KONG_ROUTE_RESPONSE_BUFFERING  0x08

typedef struct {
    uint8_t   id[16];                /* uuid, binary */
    uint32_t  name;                  /* ref */
    uint32_t  service;               /* index, KONG_NONE: route without one */
    uint32_t  plugins;               /* offset of the plugin chain; 0 = none */
    uint16_t  redirect;              /* https_redirect_status_code */
    uint8_t   protocols;             /* KONG_PROTO_* */
    uint8_t   flags;                 /* KONG_ROUTE_* */
} kong_route_t;

#define KONG_SERVICE_ADDRESS       0x01  /* host is an IP: addr is set */
#define KONG_SERVICE_IPV6          0x02
#define KONG_SERVICE_TLS_VERIFY    0x04  /* tls_verify true */
#define KONG_SERVICE_TLS_NOVERIFY  0x08  /* tls_verify false (neither: null) */
#define KONG_SERVICE_UPSTREAM      0x10  /* host is the name of an upstream */

typedef struct {
    uint8_t   id[16];
    uint32_t  name;                  /* ref */
    uint32_t  host;                  /* ref, as configured */
    uint32_t  host_header;           /* ref: host[:port], port left out when
                                        it is the scheme's default */
    uint32_t  path;                  /* ref; null = "/" */
    uint16_t  port;
    uint8_t   protocol;              /* one KONG_PROTO_* bit */
    uint8_t   flags;
    uint32_t  connect_timeout;       /* ms */
    uint32_t  send_timeout;          /* Kong's write_timeout */
    uint32_t  read_timeout;
    uint16_t  retries;               /* tries after the first */
    uint8_t   tls_verify_depth;      /* 0xff = null */
    uint8_t   reserved;
    uint32_t  client_certificate;    /* index of a certificate; KONG_NONE */
    uint32_t  ca_certificates;       /* number of the set in TRUST + 1; 0 =
                                        the default authorities */
    uint8_t   addr[16];              /* IPv4 in the first four bytes */
    uint64_t  endpoint;              /* key into the endpoints segment, when
                                        host is a name */
} kong_service_t;

typedef struct {
    uint32_t  pattern;               /* ref; without Kong's leading "~" */
    uint32_t  flags;                 /* KONG_REGEX_* */
    uint64_t  hash;                  /* XXH3-64 of flags and pattern: the
                                        key of the workers' compiled cache */
} kong_regex_t;

#define KONG_REGEX_ANCHORED  0x1     /* at the start of the subject (paths) */
#define KONG_REGEX_CASELESS  0x2     /* header values */

/* endpoints segment: one entry a name or upstream, sorted by key */
typedef struct {
    uint64_t  key;
    uint32_t  first;                 /* index of the first address */
    uint32_t  n;                     /* 0: the name did not resolve */
    uint32_t  error;                 /* KONG_ENDPOINT_*, when n is 0 */
    uint32_t  name;                  /* ref */
    uint32_t  balancer;              /* index; KONG_NONE: a name */
    uint32_t  reserved;
} kong_endpoint_t;

#define KONG_ENDPOINT_OK         0
#define KONG_ENDPOINT_UNKNOWN    1   /* NXDOMAIN, empty: 503 */
#define KONG_ENDPOINT_DNS_ERROR  2   /* another DNS failure: 500 */

#define KONG_ADDRESS_SRV  0x01       /* port and weight are an SRV record's */

typedef struct {
    uint8_t   addr[16];
    uint16_t  port;                  /* host order; 0 = the service's port */
    uint16_t  weight;
    uint8_t   ipv6;
    uint8_t   flags;                 /* KONG_ADDRESS_* */
    uint16_t  host_len;              /* of `host` without ":port" */
    uint64_t  id;                    /* stable: hash of endpoint, address */
    uint32_t  host;                  /* ref: Host header with the port; null:
                                        the service's */
    uint32_t  target;                /* ref: the target's "name:port"; null:
                                        of a name */
} kong_address_t;

/* endpoints segment: a target without an address, for /metrics */
typedef struct {
    uint32_t  upstream;              /* ref: its name */
    uint32_t  target;                /* ref: "name:port" */
} kong_unresolved_t;

/* certificates, consumers, credentials and plugins add their sections here
 * with their own records; unknown sections are skipped by older readers */
typedef enum {
    KONG_SECTION_STRINGS = 1,        /* string pool */
    KONG_SECTION_ROUTES,             /* kong_route_t[] */
    KONG_SECTION_SERVICES,           /* kong_service_t[] */
    KONG_SECTION_REGEXES,            /* kong_regex_t[] */
    KONG_SECTION_PREDICATES,         /* kong_match.c */
    KONG_SECTION_INDEX,              /* kong_match.c: host buckets, tries */
    KONG_SECTION_ENDPOINTS,          /* kong_endpoint_t[] */
    KONG_SECTION_ADDRESSES,          /* kong_address_t[] */
    KONG_SECTION_CERTIFICATES,       /* kong_certificate.h */
    KONG_SECTION_SNIS,
    KONG_SECTION_VALUES,             /* kong_plugin.h, as are the following */
    KONG_SECTION_PLUGIN_TYPES,
    KONG_SECTION_PLUGINS,
    KONG_SECTION_CHAINS,
    KONG_SECTION_CONSUMER_PLUGINS,
    KONG_SECTION_CONSUMERS,
    KONG_SECTION_CREDENTIALS,
    KONG_SECTION_BALANCERS,          /* kong_balancer.h */
    KONG_SECTION_BALANCER_TABLES,
    KONG_SECTION_HEALTH,
    KONG_SECTION_TRUST,              /* kong_certificate.h */
    KONG_SECTION_TEXTS,              /* kong_texts.h */
    KONG_SECTION_UNRESOLVED,         /* kong_unresolved_t[] */
    KONG_SECTION_MAX = 32
} kong_section_id_t;

typedef struct {
    uint32_t  id;                    /* kong_section_id_t */
    uint32_t  n;                     /* records, where it has records */
    uint64_t  offset;                /* 64-aligned */
    uint64_t  size;
} kong_section_t;

/* an opened segment: pointers into the mapping, owned by whoever mapped it.
 * Valid as long as the mapping; copies are fine */
typedef struct {
    const uint8_t                *base;
    size_t                        size;
    const kong_segment_header_t  *header;
    const kong_route_t           *routes;
    const kong_service_t         *services;
    const kong_regex_t           *regexes;
    const kong_endpoint_t        *endpoints;
    const kong_address_t         *addresses;
    const uint8_t                *predicates;
    const uint8_t                *index;
    kong_section_t                sections[KONG_SECTION_MAX]; /* by id */
    unsigned                      patient;
} kong_segment_t;

#define KONG_SEGMENT_VERIFY   1
#define KONG_SEGMENT_PATIENT  2      /* while it verifies, the thread rests
                                        every few hundred microseconds: for
                                        one beside a thread that serves */


/* kind 0 accepts any.  Without KONG_SEGMENT_VERIFY only the header is read
 * (for a worker whose node has verified the same file already) */
kong_segment_rc_t kong_segment_open(kong_segment_t *seg, const void *base,
    size_t size, kong_segment_kind_t kind, unsigned flags);
const char *kong_segment_strerror(kong_segment_rc_t rc);

/* the sum, mod 2^64, of the pages' hashes: what changes in a few pages is
 * summed up without the others */
uint64_t kong_segment_checksum(const void *base, size_t size);
/* XXH3-64 of a page, its number as the seed; the last one may be shorter, and
 * in the first one the header's checksum counts as zero */
uint64_t kong_segment_page_hash(const void *base, size_t size, size_t page);

static inline kong_str_t
kong_segment_str(const kong_segment_t *seg, uint32_t ref)
{
    kong_str_t  s = { NULL, 0 };

    if (ref != 0) {
        s.len = *(const uint32_t *) (seg->base + ref);
        s.data = (const char *) seg->base + ref + sizeof(uint32_t);
    }

    return s;
}

/* the bytes of a section, or NULL; its size is seg->sections[id].size */
const void *kong_segment_section(const kong_segment_t *seg,
    kong_section_id_t id);
/* for verifiers of further sections: a null or a sound string */
int kong_segment_ref_ok(const kong_segment_t *seg, uint32_t ref);
/* n steps of some ten nanoseconds each were done */
void kong_segment_rest(const kong_segment_t *seg, unsigned n);

/* NULL when the key is not there */
const kong_endpoint_t *kong_segment_endpoint(const kong_segment_t *seg,
    uint64_t key);
/* the key of a DNS name (without regard to case) */
uint64_t kong_endpoint_key(const char *name, size_t len);
/* of an upstream's name (exact) */
uint64_t kong_upstream_key(const char *name, size_t len);
/* out: 36 characters and a NUL */
void kong_uuid_text(const uint8_t id[16], char out[37]);
/* 0, or -1 when the text is no uuid */
int kong_uuid_parse(const char *text, size_t len, uint8_t out[16]);

#endif
