/*
 * kong_session: a session as it stands in a cookie: sealed with AES-256-GCM
 * under a key made of the configured secret, for one cookie name and audience
 * (the additional data).  Plain C for the module, the unit tests and the
 * fuzzers.
 */

#ifndef KONG_SESSION_H
#define KONG_SESSION_H

#include "kong_base64.h"
#include "../snapshot/kong_segment.h"


#define KONG_SESSION_KEY    32
#define KONG_SESSION_ID     32
#define KONG_SESSION_PLAIN  96       /* bytes of a session */
#define KONG_SESSION_BYTES  (1 + 12 + KONG_SESSION_PLAIN + 16)
#define KONG_SESSION_TEXT   kong_base64url_length(KONG_SESSION_BYTES)

typedef struct {
    uint8_t   id[KONG_SESSION_ID];   /* random */
    uint64_t  created;               /* epoch s */
    uint64_t  renewed;
    uint64_t  touched;
    uint8_t   consumer[16];
    uint8_t   credential[16];        /* zeros: none */
    uint32_t  index;                 /* of the consumer, when it was sealed: a
                                        hint */
    uint32_t  reserved;
} kong_session_t;


/* 0, or -1 when the library fails */
int kong_session_key(kong_str_t secret, uint8_t *key);
/* KONG_SESSION_TEXT characters into out; 0, or -1 */
int kong_session_seal(const uint8_t *key, kong_str_t additional,
    const kong_session_t *session, char *out);
/* 1, or 0 when the text is not one of ours */
int kong_session_open(const uint8_t *key, kong_str_t additional,
    const char *text, size_t len, kong_session_t *session);

#endif
