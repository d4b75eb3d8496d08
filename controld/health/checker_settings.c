/*
 * checker_settings: from an upstream's healthchecks.active, and the
 * certificate that it shows, to how its addresses are probed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../compile/upstream_checks.h"
#include "../compile/upstreams.h"
#include "../source/vault.h"
#include "checker_private.h"


#define CHECKER_INTERVAL  100          /* ms, at least */
#define CHECKER_FOREVER   60000        /* ms of a timeout of 0 */


static double checker_number(const value_t *active, const char *path);
static int64_t checker_interval(const value_t *active, const char *path);
static unsigned checker_concurrency(const value_t *active);
static int checker_probe(arena_t *a, probe_settings_t *s,
    const value_t *active);
static const value_t *checker_certificate(const config_t *config,
    const value_t *row);
static int checker_shown(arena_t *a, probe_settings_t *s,
    const config_t *config, const value_t *certificate);
static const char *checker_pem(arena_t *a, const config_t *config,
    const value_t *v);
static int checker_headers(arena_t *a, probe_settings_t *s,
    const value_t *headers);
static int checker_header(arena_t *a, probe_settings_t *s, const char *name,
    const value_t *value);
static int checker_copy(char **to, const char *text);


unsigned
checker_wanted(const value_t *row)
{
    const value_t  *active;

    active = value_path(row, "healthchecks.active");

    return checker_number(active, "healthy.interval") > 0
           || checker_number(active, "unhealthy.interval") > 0;
}


uint64_t
checker_settings_sum(const config_t *config, const value_t *row)
{
    uint64_t        sum;
    const value_t  *certificate;

    certificate = checker_certificate(config, row);
    sum = upstreams_value_sum(value_path(row, "healthchecks.active"), 0);

    return (certificate != NULL) ? upstreams_value_sum(certificate, sum)
                                 : sum;
}


checked_settings_t *
checker_settings_new(arena_t *a, const config_t *config, const value_t *row,
    uint64_t sum)
{
    checks_t             checks;
    const value_t       *active;
    checked_settings_t  *s;

    s = calloc(1, sizeof(checked_settings_t));
    if (s == NULL) {
        return NULL;
    }

    active = value_path(row, "healthchecks.active");

    s->sum = sum;
    s->up = checker_interval(active, "healthy.interval");
    s->down = checker_interval(active, "unhealthy.interval");
    s->concurrency = checker_concurrency(active);

    checks_init(&checks, a, 1);
    (void) checks_add(&checks, value_get(row, "healthchecks"));
    s->checks = checks.records[0].active;

    if (checker_copy(&s->sni, value_cstr(value_get(active, "https_sni"))) == -1
        || checker_probe(a, &s->probe, active) == -1
        || checker_shown(a, &s->probe, config,
                         checker_certificate(config, row))
           == -1)
    {
        checker_settings_free(s);
        return NULL;
    }

    return s;
}


void
checker_settings_free(checked_settings_t *s)
{
    if (s == NULL) {
        return;
    }

    curl_slist_free_all(s->probe.headers);
    free(s->probe.path);
    free(s->probe.cert);
    free(s->probe.key);
    free(s->sni);
    free(s);
}


static double
checker_number(const value_t *active, const char *path)
{
    const value_t  *v;

    v = value_path(active, path);

    return (v != NULL && v->kind == VALUE_NUMBER) ? v->u.number : 0;
}


static int64_t
checker_interval(const value_t *active, const char *path)
{
    double   seconds;
    int64_t  ms;

    seconds = checker_number(active, path);
    ms = (int64_t) (seconds * 1000);

    return (seconds <= 0) ? 0 : (ms < CHECKER_INTERVAL) ? CHECKER_INTERVAL
                                                        : ms;
}


/* one upstream cannot keep all probes for itself */
static unsigned
checker_concurrency(const value_t *active)
{
    double  n;

    n = checker_number(active, "concurrency");

    return (n < 1) ? 1 : (n > CHECKER_PROBES / CHECKER_SHARE)
                         ? CHECKER_PROBES / CHECKER_SHARE : (unsigned) n;
}


static int
checker_probe(arena_t *a, probe_settings_t *s, const value_t *active)
{
    const char     *path;
    const value_t  *type, *verify;

    type = value_get(active, "type");
    s->http = !value_str_eq(type, "tcp");
    s->tls = value_str_eq(type, "https") || value_str_eq(type, "grpcs");

    verify = value_get(active, "https_verify_certificate");
    s->verify = !(verify != NULL && verify->kind == VALUE_BOOL
                  && !verify->u.boolean);

    s->timeout = (long) (checker_number(active, "timeout") * 1000);
    s->timeout = (s->timeout > 0) ? s->timeout : CHECKER_FOREVER;
    path = value_cstr(value_get(active, "http_path"));

    return (checker_copy(&s->path, path != NULL ? path : "/") == -1
            || checker_headers(a, s, value_get(active, "headers")) == -1)
           ? -1 : 0;
}


/* NULL: the upstream has none of its own */
static const value_t *
checker_certificate(const config_t *config, const value_t *row)
{
    const value_t  *id;

    id = value_path(row, "client_certificate.id");

    return (id != NULL && id->kind == VALUE_STRING)
           ? config_by_id(config, "certificates", id->u.string, id->len)
           : NULL;
}


static int
checker_shown(arena_t *a, probe_settings_t *s, const config_t *config,
    const value_t *certificate)
{
    const char  *cert, *key;

    cert = checker_pem(a, config, value_get(certificate, "cert"));
    key = checker_pem(a, config, value_get(certificate, "key"));

    if (cert == NULL || key == NULL) {
        return 0;
    }

    return (checker_copy(&s->cert, cert) == -1
            || checker_copy(&s->key, key) == -1) ? -1 : 0;
}


static const char *
checker_pem(arena_t *a, const config_t *config, const value_t *v)
{
    const char  *err;

    if (v == NULL || !vault_is_reference(v)) {
        return value_cstr(v);
    }

    return vault_resolve(a, config, v->u.string, v->len, &err);
}


static int
checker_headers(arena_t *a, probe_settings_t *s, const value_t *headers)
{
    size_t          i, k;
    member_t        m;
    const value_t  *value;

    /* without a value it removes libcurl's own, which Kong does not send */

    if (checker_header(a, s, "Accept", NULL) == -1) {
        return -1;
    }

    for (i = 0; headers != NULL && headers->kind == VALUE_OBJECT
                && i < headers->len; i++)
    {
        m = value_member(headers, i);

        for (k = 0; (value = value_at(m.value, k)) != NULL; k++) {

            if (value->kind == VALUE_STRING
                && checker_header(a, s, m.key, value) == -1)
            {
                return -1;
            }
        }

        if (strcasecmp(m.key, "host") == 0) {
            s->host = 1;
        }
    }

    return 0;
}


/* behind the others; what could end its line is escaped */
static int
checker_header(arena_t *a, probe_settings_t *s, const char *name,
    const value_t *value)
{
    char               *text, *p;
    size_t              i, len;
    unsigned char       ch;
    struct curl_slist  *list;

    len = strlen(name) + sizeof(": ") + (value != NULL ? value->len * 3 : 0);
    text = arena_alloc(a, len);
    p = text + snprintf(text, len, "%s:%s", name, value == NULL ? "" : " ");

    for (i = 0; value != NULL && i < value->len; i++) {
        ch = (unsigned char) value->u.string[i];

        if (ch < 0x20 || ch == 0x7f) {
            p += sprintf(p, "%%%02X", ch);
        } else {
            *p++ = (char) ch;
        }
    }

    *p = '\0';

    list = curl_slist_append(s->headers, text);
    if (list == NULL) {
        return -1;
    }

    s->headers = list;

    return 0;
}


static int
checker_copy(char **to, const char *text)
{
    if (text == NULL) {
        return 0;
    }

    *to = strdup(text);

    return (*to != NULL) ? 0 : -1;
}
