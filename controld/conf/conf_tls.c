/*
 * conf_tls: the settings that name certificates, keys and cipher suites.  A
 * certificate or key is a file, or PEM text, or that in base64; the texts are
 * written into files of the prefix when nginx.conf is rendered.
 */

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf_private.h"
#include "conf_pem.h"


static void conf_check_pair(conf_t *c, value_t *errors, const char *cert,
    const char *key);
static void conf_check_pem(conf_t *c, value_t *errors, const char *name,
    value_t *v, conf_pem_t kind);


static const struct {
    const char  *listen;
    const char  *cert;
    const char  *key;
} conf_pairs[] = {
    { "proxy_listen", "ssl_cert", "ssl_cert_key" },
    { "admin_listen", "admin_ssl_cert", "admin_ssl_cert_key" },
    { "admin_gui_listen", "admin_gui_ssl_cert", "admin_gui_ssl_cert_key" },
    { "status_listen", "status_ssl_cert", "status_ssl_cert_key" },
    { NULL, NULL, NULL }
};


void
conf_check_tls(conf_t *c, value_t *errors)
{
    size_t       i;
    const char  *cert, *key, *s;

    for (i = 0; conf_pairs[i].listen != NULL; i++) {
        conf_check_pair(c, errors, conf_pairs[i].cert, conf_pairs[i].key);
    }

    if (conf_bool(c, "client_ssl")) {
        cert = conf_str(c, "client_ssl_cert");
        key = conf_str(c, "client_ssl_cert_key");

        if (cert != NULL && key == NULL) {
            conf_error(c->arena, errors,
                       "client_ssl_cert_key must be specified");

        } else if (key != NULL && cert == NULL) {
            conf_error(c->arena, errors, "client_ssl_cert must be specified");
        }

        conf_check_pem(c, errors, "client_ssl_cert",
                       conf_value(c, "client_ssl_cert"), CONF_PEM_CERT);
        conf_check_pem(c, errors, "client_ssl_cert_key",
                       conf_value(c, "client_ssl_cert_key"), CONF_PEM_KEY);
    }

    s = conf_str(c, "ssl_cipher_suite");

    if (s == NULL || (strcmp(s, "custom") != 0 && conf_suite(s) == NULL)) {
        conf_error(c->arena, errors, "Undefined cipher suite %s",
                   s ? s : "nil");
    }

    s = conf_str(c, "ssl_ciphers");

    if (s != NULL && strpbrk(s, "\"'\\$;{}# ") != NULL) {
        conf_error(c->arena, errors, "ssl_ciphers is no list of ciphers: "
                   "'%s'", s);
    }

    s = conf_str(c, "ssl_dhparam");

    if (s != NULL && !conf_pem_group(s)) {
        conf_check_pem(c, errors, "ssl_dhparam", conf_value(c, "ssl_dhparam"),
                       CONF_PEM_DH);
    }
}


static void
conf_check_pair(conf_t *c, value_t *errors, const char *cert, const char *key)
{
    size_t    i;
    value_t  *certs, *keys;

    certs = conf_value(c, cert);
    keys = conf_value(c, key);

    if (certs->len != 0 && keys->len == 0) {
        conf_error(c->arena, errors, "%s must be specified", key);

    } else if (keys->len != 0 && certs->len == 0) {
        conf_error(c->arena, errors, "%s must be specified", cert);

    } else if (certs->len != keys->len) {
        conf_error(c->arena, errors,
                   "%s was specified %u times while %s was specified %u "
                   "times", cert, certs->len, key, keys->len);
    }

    for (i = 0; i < certs->len; i++) {
        conf_check_pem(c, errors, cert, value_at(certs, i), CONF_PEM_CERT);
    }

    for (i = 0; i < keys->len; i++) {
        conf_check_pem(c, errors, key, value_at(keys, i), CONF_PEM_KEY);
    }
}


/* texts are replaced by their decoded form */
static void
conf_check_pem(conf_t *c, value_t *errors, const char *name, value_t *v,
    conf_pem_t kind)
{
    size_t       len;
    const char  *text;

    static const char *const  words[] = { "certificate", "key",
                                          "certificate" };

    if (value_is_null(v)) {
        return;
    }

    /* what only root may look at is nginx's master's to open */
    if (v->u.string[0] == '/'
        && (access(v->u.string, F_OK) == 0 || errno == EACCES))
    {
        if (strpbrk(v->u.string, "\"'\\$;{}#") != NULL) {
            conf_error(c->arena, errors, "%s must not contain any of "
                       "\" ' \\ $ ; { } #, got '%s'", name, v->u.string);
        }

        return;
    }

    text = conf_pem_text(c->arena, v->u.string);

    if (!conf_pem_valid(text, kind)) {
        /* never the text: it may be a key */
        len = strcspn(v->u.string, "\r\n");

        if (kind == CONF_PEM_KEY || v->u.string[len] != '\0' || len > 200) {
            conf_error(c->arena, errors, "%s: failed loading %s from %s",
                       name, words[kind], strncmp(v->u.string, "/", 1) == 0
                       && v->u.string[len] == '\0' ? v->u.string
                       : "the given text");
            return;
        }

        conf_error(c->arena, errors, "%s: failed loading %s from %s", name,
                   words[kind], v->u.string);
        return;
    }

    value_copy_string(c->arena, v, text, strlen(text));
}
