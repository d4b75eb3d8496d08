/*
 * kong_ldap: the few messages of LDAP (RFC 4511) that a simple bind takes, as
 * bytes.  Plain C for the module, the unit tests and the fuzzers; nothing
 * allocates.  What a server sends is foreign: every length is proved before
 * it is used.
 */

#ifndef KONG_LDAP_H
#define KONG_LDAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../snapshot/kong_segment.h"


/* the largest answer that is read: more is an error */
#define KONG_LDAP_ANSWER_MAX  8192

/* bytes of a message beside its strings */
#define KONG_LDAP_OVERHEAD    64

typedef enum {
    KONG_LDAP_BIND_RESPONSE = 0x61,
    KONG_LDAP_EXTENDED_RESPONSE = 0x78
} kong_ldap_op_t;

/* result codes that mean that the credentials are no good */
#define KONG_LDAP_SUCCESS              0
#define KONG_LDAP_NO_SUCH_OBJECT       32
#define KONG_LDAP_INVALID_DN           34
#define KONG_LDAP_INVALID_CREDENTIALS  49

typedef struct {
    uint32_t     id;                 /* 0: the server says so by itself */
    uint8_t      op;                 /* kong_ldap_op_t, or another tag */
    uint32_t     code;               /* of those two: the result */
    kong_str_t   text;               /* of those two: the diagnostics */
} kong_ldap_answer_t;


/* each writes a message and returns its length */

/* `out` has dn.len + password.len + KONG_LDAP_OVERHEAD bytes; the strings
 * are shorter than 2^24 bytes together, id is from 1 to 2^31 - 1 */
size_t kong_ldap_bind(uint8_t *out, uint32_t id, kong_str_t dn,
    kong_str_t password);
/* KONG_LDAP_OVERHEAD bytes are enough */
size_t kong_ldap_start_tls(uint8_t *out, uint32_t id);
size_t kong_ldap_unbind(uint8_t *out, uint32_t id);

/*
 * The message at `in`: its length, 0 when there is not all of it yet, or -1
 * when it is none or too long.
 */
ssize_t kong_ldap_answer(const uint8_t *in, size_t len,
    kong_ldap_answer_t *answer);

/* bytes that kong_ldap_dn() may write */
#define kong_ldap_dn_size(attribute, user, base)                              \
    ((attribute).len + 3 * (user).len + (base).len + 2)

/* "<attribute>=<user>,<base>", the user escaped as RFC 4514 has it: it is one
 * value, whatever it holds */
size_t kong_ldap_dn(char *out, kong_str_t attribute, kong_str_t user,
    kong_str_t base);

#endif
