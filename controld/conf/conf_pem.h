/*
 * conf_pem: certificates, keys and DH parameters given as text in settings:
 * PEM, or PEM in base64.
 */

#ifndef KONG_CONF_PEM_H
#define KONG_CONF_PEM_H

#include "../model/arena.h"


typedef enum {
    CONF_PEM_CERT = 0,
    CONF_PEM_KEY,
    CONF_PEM_DH
} conf_pem_t;

/* the PEM text behind base64, or the text itself */
const char *conf_pem_text(arena_t *a, const char *s);
int conf_pem_valid(const char *text, conf_pem_t kind);

/* a name of predefined DH parameters: ffdhe2048 ... */
int conf_pem_group(const char *name);

#endif
