/*
 * conf: the settings of a node: defaults, kong.conf, KONG_* environment and
 * command line overrides, in Kong's order (conf-cli.md 1).  One alphabetical
 * table of settings drives parsing, types, defaults, checks, masking in
 * GET / and the `.kong_env` file.
 */

#ifndef KONG_CONF_H
#define KONG_CONF_H

#include "../model/schema.h"


typedef struct conf_s  conf_t;

typedef struct {
    const char *const  *names;     /* NULL-ended: name, value, name ... */
} conf_overrides_t;


/*
 * Loads the settings.  `path` NULL: /etc/kong/kong.conf, /etc/kong.conf, or
 * none.  Returns NULL with *errors an array of sentences (from `a`) when
 * something is wrong; all problems are listed.
 */
conf_t *conf_load(arena_t *a, const char *path,
    const conf_overrides_t *overrides, value_t **errors);
/* what `kong start` wrote: <prefix>/.kong_env */
conf_t *conf_load_env(arena_t *a, const char *prefix, value_t **errors);
int conf_save_env(const conf_t *c, const char **err);

/* getters by Kong's property name; unknown names are a programming error */
const char *conf_str(const conf_t *c, const char *name);  /* NULL = none */
int conf_bool(const conf_t *c, const char *name);
int conf_is_set(const conf_t *c, const char *name);       /* has a value */
double conf_num(const conf_t *c, const char *name);       /* NAN = none */
const value_t *conf_list(const conf_t *c, const char *name); /* array */
const char *conf_prefix(const conf_t *c);      /* absolute, no final slash */
/* "<prefix>/<rest>" in arena memory of the conf */
const char *conf_path(const conf_t *c, const char *rest);
/* any path, without a final slash; links are not resolved */
const char *conf_absolute(arena_t *a, const char *path);

/* listeners, parsed: proxy_listen, admin_listen, status_listen */
typedef struct {
    const char  *address;          /* "127.0.0.1", "[::]", or "unix:/path" */
    unsigned     port;             /* 0 for unix */
    unsigned     ssl:1;
    unsigned     http2:1;
    const char  *text;             /* the nginx listen parameters, rendered */
} conf_listen_t;

size_t conf_listens(const conf_t *c, const char *name,
    const conf_listen_t **out);

/*
 * nginx_<block>_<directive> injections of one block: object name -> value,
 * sorted by name; never NULL
 */
const value_t *conf_nginx(const conf_t *c, const char *block);

/* the "configuration" object of GET /, secrets masked */
value_t *conf_show(arena_t *a, const conf_t *c);

/* what is odd but no error: array of sentences, for the command line */
const value_t *conf_warnings(const conf_t *c);

/*
 * Names of the enabled plugins for declarative_opts_t, NULL-ended; NULL when
 * the setting is just "bundled".  The names are those of the schemas.
 */
const char *const *conf_plugins(conf_t *c);
int conf_plugin_enabled(const conf_t *c, const plugin_schema_t *p);

/* NULL, or why this program cannot run a node with these settings */
const char *conf_unsupported(const conf_t *c);

/*
 * "{vault://env/NAME}" -> its value, or NULL with *err a sentence.
 * `env_prefix` (NULL: none) is put before the variable's name.
 */
int conf_is_reference(const char *text);
const char *conf_vault_get(arena_t *a, const char *reference,
    const char *env_prefix, const char **err);

/*
 * The predefined TLS parameters behind ssl_cipher_suite; NULL for custom or
 * an unknown name.  `ciphers` and `dhparam` may be NULL.
 */
typedef struct {
    const char  *name;
    const char  *protocols;
    const char  *ciphers;
    const char  *dhparam;
    const char  *prefer_server_ciphers;
} conf_suite_t;

const conf_suite_t *conf_suite(const char *name);

#endif
