/*
 * daemon_prepare: the first pair of segments of a prefix, made before nginx
 * and the daemon start, with the daemon's own pieces run one after the
 * other.
 */

#include <stdlib.h>
#include <string.h>
#include <ares.h>

#include "log.h"
#include "daemon_private.h"


typedef struct {
    arena_t             *arena;
    conf_t              *conf;
    store_t             *store;
    struct event_base   *base;
    dns_t               *dns;
    dns_set_t           *set;
    load_t              *load;
} prepare_t;


static int prepare_load(prepare_t *p, const char **err);
static int prepare_database(prepare_t *p, uint32_t config, const char **err);
static int prepare_loop(prepare_t *p, const char **err);
static int prepare_resolve(prepare_t *p, const char **err);
static void prepare_changed(void *data);
static void prepare_resolved(void *data);
static int prepare_write(prepare_t *p, const char **err);
static void prepare_release(prepare_t *p);


int
daemon_prepare(arena_t *a, conf_t *conf, const char **err)
{
    int          rc;
    uint32_t     config, endpoints;
    prepare_t    p;

    memset(&p, 0, sizeof(prepare_t));
    p.arena = a;
    p.conf = conf;
    rc = -1;

    (void) ares_library_init(ARES_LIB_INIT_ALL);

    p.store = store_open(conf_prefix(conf), err);
    if (p.store == NULL) {
        goto done;
    }

    store_current(p.store, &config, &endpoints);

    if (!daemon_has_source(conf) && config != 0) {
        rc = 0;
        goto done;
    }

    if (prepare_loop(&p, err) == -1) {
        goto done;
    }

    if (daemon_is_database(conf)) {
        rc = prepare_database(&p, config, err);

        if (rc != 0) {
            rc = (rc == 1) ? 0 : -1;
            goto done;
        }

        rc = -1;

    } else if (prepare_load(&p, err) == -1) {
        goto done;
    }

    if (prepare_resolve(&p, err) == 0) {
        rc = prepare_write(&p, err);
    }

done:

    if (rc == -1) {
        *err = arena_strndup(a, *err, strlen(*err));
    }

    prepare_release(&p);
    ares_library_cleanup();

    return rc;
}


static int
prepare_load(prepare_t *p, const char **err)
{
    const char  *path;

    p->load = load_new();
    if (p->load == NULL) {
        *err = "out of memory";
        return -1;
    }

    daemon_load_opts(p->load, p->conf, conf_plugins(p->conf));
    daemon_load_source(p->conf, p->load);
    p->load->number = store_next(p->store, KONG_SEGMENT_CONFIG);

    load_run(p->load);

    if (p->load->rc == LOAD_OK) {
        return 0;
    }

    path = conf_str(p->conf, "declarative_config");

    *err = (path != NULL)
           ? arena_printf(p->arena,
                          "error parsing declarative config file %s:\n%s",
                          path, p->load->report)
           : arena_printf(p->arena,
                          "error parsing declarative config string:\n%s",
                          p->load->report);

    return -1;
}


/* 1: the snapshot that is there is to be kept */
static int
prepare_database(prepare_t *p, uint32_t config, const char **err)
{
    daemon_first_t  f;

    p->load = load_new();
    if (p->load == NULL) {
        *err = "out of memory";
        return -1;
    }

    if (config != 0
        && daemon_segment_hash(p->store, config, p->load->known) == -1)
    {
        config = 0;
    }

    f.base = p->base;
    f.dns = p->dns;
    f.dir = conf_path(p->conf, "snapshots");
    daemon_load_opts(p->load, p->conf, conf_plugins(p->conf));
    p->load->number = store_next(p->store, KONG_SEGMENT_CONFIG);

    if (daemon_database_load(p->arena, p->conf, &f, p->load, err) == 0) {
        return (p->load->rc == LOAD_UNCHANGED);
    }

    if (config == 0) {
        return -1;
    }

    log_write(LOG_WARN, "the last configuration is served, the database "
              "gives none: %s", *err);

    return 1;
}


static int
prepare_loop(prepare_t *p, const char **err)
{
    dns_conf_t  dc;

    p->base = event_base_new();
    if (p->base == NULL) {
        *err = "out of memory";
        return -1;
    }

    daemon_dns_conf(p->arena, p->conf, &dc);
    p->dns = dns_new(p->base, &dc, prepare_changed, p, err);

    return (p->dns == NULL) ? -1 : 0;
}


static int
prepare_resolve(prepare_t *p, const char **err)
{
    size_t    n;
    uint32_t  config, endpoints;

    p->set = daemon_set(p->arena, p->dns, p->load->generation, &n);

    if (p->set == NULL) {
        *err = "out of memory";
        return -1;
    }

    /* a name server that is down must not take known addresses away */
    store_current(p->store, &config, &endpoints);
    daemon_seed(p->dns, p->store, endpoints);

    if (n == 0) {
        return 0;
    }

    if (dns_set_resolve(p->set, DAEMON_RESOLVE, prepare_resolved, p) == -1
        || event_base_dispatch(p->base) == -1)
    {
        *err = "out of memory";
        return -1;
    }

    return 0;
}


static void
prepare_changed(void *data)
{
    (void) data;
}


static void
prepare_resolved(void *data)
{
    prepare_t  *p = data;

    (void) event_base_loopbreak(p->base);
}


static int
prepare_write(prepare_t *p, const char **err)
{
    int             rc;
    char           *text;
    size_t          len;
    uint32_t        config, endpoints;
    segment_buf_t   buf;

    config = p->load->number;
    endpoints = store_next(p->store, KONG_SEGMENT_ENDPOINTS);

    if (daemon_endpoints(p->arena, p->set, endpoints, &buf, err) == -1) {
        return -1;
    }

    text = NULL;

    /* a database has it as well: the daemon writes it when it has time */

    if (!daemon_is_database(p->conf)) {
        text = declarative_export(p->load->arena,
                                  p->load->generation->config, &len);
    }

    rc = store_write(p->store, KONG_SEGMENT_CONFIG, config,
                     &p->load->segment, err);

    if (rc == 0) {
        rc = store_write(p->store, KONG_SEGMENT_ENDPOINTS, endpoints, &buf,
                         err);
    }

    if (rc == 0 && text != NULL) {
        rc = store_write_source(p->store, config, text, len, err);
    }

    if (rc == 0) {
        rc = store_set_current(p->store, config, endpoints, err);
    }

    if (rc == 0) {
        store_trim(p->store, STORE_HISTORY);

    } else {
        (void) store_remove(p->store, KONG_SEGMENT_CONFIG, config);
        (void) store_remove(p->store, KONG_SEGMENT_ENDPOINTS, endpoints);
    }

    segment_buf_release(&buf);

    return rc;
}


static void
prepare_release(prepare_t *p)
{
    dns_set_free(p->set);
    dns_free(p->dns);

    if (p->base != NULL) {
        event_base_free(p->base);
    }

    load_free(p->load);
    store_close(p->store);
}
