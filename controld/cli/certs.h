/*
 * certs: the certificate files of the prefix: generated default pairs, files
 * for PEM texts given in settings, DH parameters.  Keys are 0600.
 */

#ifndef KONG_CERTS_H
#define KONG_CERTS_H

#include "../conf/conf.h"


/*
 * The pairs of a listener: `setting` ("ssl_cert", its keys are in
 * "<setting>_key") when given, else the generated pairs ssl/<name>.crt and
 * ssl/<name>-ecdsa.crt, made when they are not there.  NULL-ended pairs, or
 * NULL with *err.
 */
const char *const *certs_pairs(arena_t *a, const conf_t *c,
    const char *setting, const char *name, const char **err);

/* the file that `value` names, or ssl/<name> written with its PEM text */
const char *certs_file(arena_t *a, const conf_t *c, const char *value,
    const char *name, const char **err);

/* `value`: a predefined group, a file or PEM text */
const char *certs_dhparam(arena_t *a, const conf_t *c, const char *value,
    const char **err);

#endif
