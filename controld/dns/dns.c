/*
 * dns: the settings, and the life of the whole.  See dns_private.h for the
 * other files.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dns_private.h"


static int dns_configure(dns_t *d, const dns_conf_t *conf, const char **err);


void
dns_conf_order(dns_conf_t *conf, const char *const *words, size_t n)
{
    size_t  i, k, t;

    static const struct {
        const char  *name;
        unsigned     type;
    } types[] = {
        { "SRV", RESOLVER_SRV }, { "A", RESOLVER_A },
        { "AAAA", RESOLVER_AAAA }, { "CNAME", RESOLVER_CNAME }
    };

    memset(conf->order, 0, sizeof(conf->order));
    conf->last = 0;

    for (i = 0, k = 0; i < n; i++) {

        if (strcasecmp(words[i], "LAST") == 0) {
            conf->last = 1;
            continue;
        }

        for (t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
            if (strcasecmp(words[i], types[t].name) == 0 && k < DNS_TYPES_MAX)
            {
                conf->order[k++] = types[t].type;
            }
        }
    }
}


dns_t *
dns_new(struct event_base *base, const dns_conf_t *conf,
    dns_changed_pt changed, void *data, const char **err)
{
    dns_t  *d;

    d = calloc(1, sizeof(dns_t));
    if (d == NULL) {
        *err = "out of memory";
        return NULL;
    }

    d->base = base;
    d->changed = changed;
    d->data = data;
    d->last = &d->first;

    if (dns_configure(d, conf, err) == -1) {
        free(d);
        return NULL;
    }

    return d;
}


void
dns_free(dns_t *d)
{
    if (d == NULL) {
        return;
    }

    d->closing = 1;

    while (d->sets != NULL) {
        dns_set_free(d->sets);
    }

    resolver_free(d->resolver);
    hosts_free(d->hosts);
    free(d);
}


int
dns_reload(dns_t *d, const dns_conf_t *conf, const char **err)
{
    dns_entry_t  *e, *tmp;

    if (dns_configure(d, conf, err) == -1) {
        return -1;
    }

    HASH_ITER(hh, d->entries, e, tmp) {
        dns_start(e);
    }

    return 0;
}


static int
dns_configure(dns_t *d, const dns_conf_t *conf, const char **err)
{
    hosts_t     *hosts;
    resolver_t  *resolver;

    resolver = resolver_new(d->base, conf->servers, conf->timeout, DNS_TRIES,
                            err);
    if (resolver == NULL) {
        return -1;
    }

    hosts = hosts_load(conf->hostsfile);
    if (hosts == NULL) {
        *err = "out of memory";
        resolver_free(resolver);
        return -1;
    }

    /* what is under way fails quietly, and is asked again by the caller */
    d->closing = 1;
    resolver_free(d->resolver);
    d->closing = 0;
    hosts_free(d->hosts);

    d->conf = *conf;
    d->conf.servers = NULL;
    d->conf.hostsfile = NULL;
    d->resolver = resolver;
    d->hosts = hosts;

    return 0;
}
