/*
 * pg_settings: from pg_* and pg_ro_* of the settings to what libpq is told.
 * A host list is split here, because every host has a deadline of its own;
 * libpq would wait for the first that does not answer.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pg.h"


#define PG_HOSTS_MAX    64
#define PG_PARAMS_MAX   24
#define PG_PEER_DEAD    "3000"           /* ms without an acknowledgement */


static const char *pg_setting(const conf_t *c, int replica, const char *name,
    char *buf, size_t size);
static const char *pg_setting_str(const conf_t *c, int replica,
    const char *name);
static int pg_setting_bool(const conf_t *c, int replica, const char *name);
static double pg_setting_num(const conf_t *c, int replica, const char *name);
static int pg_tls(const conf_t *c, int replica, pg_settings_t *out,
    const char **err);
static const char *pg_system_roots(void);
static int pg_host_parse(arena_t *a, char *text, const char *port,
    pg_host_t *out);
static int pg_port_valid(const char *port);


/* where distributions keep the system's certificates */
static const char *const  pg_roots[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
    NULL
};


int
pg_settings(arena_t *a, const conf_t *c, int replica, pg_settings_t *out,
    const char **err)
{
    double       port, timeout;
    const char  *hosts;

    memset(out, 0, sizeof(*out));
    out->replica = (replica != 0);

    hosts = pg_setting_str(c, replica, "host");
    port = pg_setting_num(c, replica, "port");
    timeout = pg_setting_num(c, replica, "timeout");

    out->user = pg_setting_str(c, replica, "user");
    out->password = pg_setting_str(c, replica, "password");
    out->database = pg_setting_str(c, replica, "database");
    out->schema = pg_setting_str(c, replica, "schema");
    out->timeout = isnan(timeout) ? 5.0 : timeout / 1000;

    if (hosts == NULL) {
        *err = "pg_host names no host";
        return -1;
    }

    if (pg_hosts(a, hosts, isnan(port) ? PG_PORT
                           : arena_printf(a, "%.0f", port), out, err) == -1)
    {
        return -1;
    }

    return pg_tls(c, replica, out, err);
}


/* pg_ro_X when it is set, else pg_X, whose name is left in `buf` */
static const char *
pg_setting(const conf_t *c, int replica, const char *name, char *buf,
    size_t size)
{
    const char  *prefix;

    prefix = replica ? "pg_ro_" : "pg_";

    if (strlen(prefix) + strlen(name) >= size) {
        abort();                         /* names are ours, and short */
    }

    strcpy(buf, prefix);
    strcat(buf, name);

    if (replica && !conf_is_set(c, buf)) {
        return pg_setting(c, 0, name, buf, size);
    }

    return buf;
}


static const char *
pg_setting_str(const conf_t *c, int replica, const char *name)
{
    char  buf[32];

    return conf_str(c, pg_setting(c, replica, name, buf, sizeof(buf)));
}


static int
pg_setting_bool(const conf_t *c, int replica, const char *name)
{
    char  buf[32];

    return conf_bool(c, pg_setting(c, replica, name, buf, sizeof(buf)));
}


static double
pg_setting_num(const conf_t *c, int replica, const char *name)
{
    char  buf[32];

    return conf_num(c, pg_setting(c, replica, name, buf, sizeof(buf)));
}


static int
pg_tls(const conf_t *c, int replica, pg_settings_t *out, const char **err)
{
    const char     *name;
    const value_t  *roots;

    if (!pg_setting_bool(c, replica, "ssl")) {
        out->sslmode = "disable";
        return 0;
    }

    if (!pg_setting_bool(c, replica, "ssl_verify")) {
        out->sslmode = "require";
        return 0;
    }

    roots = conf_list(c, "lua_ssl_trusted_certificate");
    name = (roots != NULL && roots->len > 0) ? value_cstr(value_at(roots, 0))
                                             : "system";

    if (roots != NULL && roots->len > 1) {
        *err = "pg_ssl_verify takes one file of certificates: name one in "
               "lua_ssl_trusted_certificate";
        return -1;
    }

    if (name != NULL && strcmp(name, "system") != 0) {
        out->sslmode = "verify-ca";
        out->sslrootcert = name;
        return 0;
    }

    out->sslmode = "verify-full";
    out->sslrootcert = pg_system_roots();

    if (out->sslrootcert == NULL) {
        *err = "pg_ssl_verify: the system's certificates were not found; "
               "name a file in lua_ssl_trusted_certificate";
        return -1;
    }

    return 0;
}


static const char *
pg_system_roots(void)
{
    size_t  i;

    for (i = 0; pg_roots[i] != NULL; i++) {
        if (access(pg_roots[i], R_OK) == 0) {
            return pg_roots[i];
        }
    }

    return NULL;
}


int
pg_hosts(arena_t *a, const char *text, const char *port, pg_settings_t *out,
    const char **err)
{
    char  *copy, *item, *save;

    copy = arena_strndup(a, text, strlen(text));
    out->hosts = arena_zalloc(a, PG_HOSTS_MAX * sizeof(pg_host_t));
    out->n_hosts = 0;

    for (item = strtok_r(copy, ", \t", &save);
         item != NULL;
         item = strtok_r(NULL, ", \t", &save))
    {
        if (out->n_hosts == PG_HOSTS_MAX) {
            *err = arena_printf(a, "pg_host names more than %d hosts",
                                PG_HOSTS_MAX);
            return -1;
        }

        if (pg_host_parse(a, item, port, &out->hosts[out->n_hosts]) == -1) {
            *err = arena_printf(a, "pg_host has an invalid host: '%s'", item);
            return -1;
        }

        out->n_hosts++;
    }

    if (out->n_hosts == 0) {
        *err = "pg_host names no host";
        return -1;
    }

    return 0;
}


/* an IPv6 address may stand without brackets when it has no port */
static int
pg_host_parse(arena_t *a, char *text, const char *port, pg_host_t *out)
{
    char  *colon, *end;

    out->name = text;
    out->port = port;

    if (*text == '/') {
        return 0;
    }

    if (*text == '[') {
        end = strchr(text, ']');

        if (end == NULL || end == text + 1) {
            return -1;
        }

        out->name = arena_strndup(a, text + 1, (size_t) (end - text - 1));
        colon = end + 1;

        if (*colon == '\0') {
            return 0;
        }

        out->port = colon + 1;

        return (*colon == ':' && pg_port_valid(out->port)) ? 0 : -1;
    }

    colon = strchr(text, ':');

    if (colon == NULL || strchr(colon + 1, ':') != NULL) {
        return 0;
    }

    out->name = arena_strndup(a, text, (size_t) (colon - text));
    out->port = colon + 1;

    return (colon != text && pg_port_valid(out->port)) ? 0 : -1;
}


static int
pg_port_valid(const char *port)
{
    size_t  len;

    len = strspn(port, "0123456789");

    return len > 0 && len <= 5 && port[len] == '\0' && atoi(port) > 0
           && atoi(port) <= 65535;
}


PGconn *
pg_start(const pg_settings_t *s, size_t host, const char *hostaddr)
{
    size_t       i, n;
    const char  *keys[PG_PARAMS_MAX], *values[PG_PARAMS_MAX];

    const struct {
        const char  *key;
        const char  *value;
    } params[] = {
        { "host", s->hosts[host].name },
        { "hostaddr", hostaddr },
        { "port", s->hosts[host].port },
        { "user", s->user },
        { "password", s->password },
        { "dbname", s->database },
        { "application_name", "kong" },
        { "client_encoding", "UTF8" },
        { "sslmode", s->hosts[host].name[0] == '/' ? "disable" : s->sslmode },
        { "sslrootcert", s->sslrootcert },
        { "gssencmode", "disable" },
        { "keepalives", "1" },
        { "keepalives_idle", "2" },
        { "keepalives_interval", "1" },
        { "keepalives_count", "2" },
        { "tcp_user_timeout", PG_PEER_DEAD },
    };

    n = 0;

    for (i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
        if (params[i].value != NULL) {
            keys[n] = params[i].key;
            values[n] = params[i].value;
            n++;
        }
    }

    keys[n] = NULL;
    values[n] = NULL;

    /* dbname is a name: no connection string hides in it */

    return PQconnectStartParams(keys, values, 0);
}
