/*
 * daemon: life cycle and event loop.  daemon_run() reads as a story; what
 * happens to a configuration is told in daemon_apply.c.
 */

#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <curl/curl.h>
#include <ares.h>

#include "log.h"
#include "daemon_private.h"
#include "source/plugin_schemas.h"


/* blocks above this come from the kernel and go back to it at once, so that
 * one large generation after the other leaves no holes behind; below it pages
 * stay for the next change, whose cost would be page faults to a third */
#define DAEMON_MMAP_THRESHOLD  (1024 * 1024)
#define DAEMON_TRIM_THRESHOLD  (8 * 1024 * 1024)


typedef struct {
    int     number;
    void  (*handler)(evutil_socket_t number, short what, void *data);
} daemon_signal_t;


static void daemon_memory(void);
static int daemon_open(daemon_t *d, const char **err);
static int daemon_open_loop(daemon_t *d, const char **err);
static int daemon_open_publisher(daemon_t *d, const char **err);
static void daemon_adopted(void *data);
static int daemon_open_admin(daemon_t *d, const char **err);
static int daemon_open_signals(daemon_t *d, const char **err);
static void daemon_close(daemon_t *d);
static int daemon_watch(daemon_t *d);
static void daemon_file_changed(void *data);
static void daemon_stop(evutil_socket_t number, short what, void *data);
static void daemon_hup(evutil_socket_t number, short what, void *data);
static void daemon_usr1(evutil_socket_t number, short what, void *data);
static void daemon_schemas(arena_t *a, const conf_t *c);
static unsigned daemon_reads_alike(const conf_t *one, const conf_t *two);
static const conf_t *daemon_conf(void *data);
static generation_t *daemon_active(void *data);
static void daemon_served(void *data, int64_t *version, uint32_t *number);
static uint32_t daemon_holds(void *data, int64_t version);


static const daemon_signal_t  daemon_signals[DAEMON_SIGNALS] = {
    { SIGTERM, daemon_stop },
    { SIGINT, daemon_stop },
    { SIGQUIT, daemon_stop },
    { SIGHUP, daemon_hup },
    { SIGUSR1, daemon_usr1 }
};


int
daemon_run(conf_t *conf)
{
    int          rc;
    daemon_t     d;
    uint32_t     config, endpoints;
    const char  *err;

    memset(&d, 0, sizeof(daemon_t));
    d.conf = conf;
    d.first_conf = conf;
    d.plugins = conf_plugins(conf);
    d.ok = 1;

    daemon_memory();

    if (daemon_open(&d, &err) == -1) {
        log_write(LOG_EMERG, "controld cannot start: %s", err);
        daemon_close(&d);
        return 1;
    }

    log_write(LOG_NOTICE, "controld started, prefix '%s'",
              conf_prefix(conf));

    /* a database that answers gives it again */
    if (d.source == NULL) {
        daemon_restore(&d);
    }

    store_current(d.store, &config, &endpoints);

    /* without a source what is served stays, even if its text is lost */
    if (daemon_has_source(conf) || config == 0) {
        daemon_want(&d, 0);
    }

    daemon_report(&d, 1, "");

    rc = (event_base_dispatch(d.base) == -1);

    log_write(LOG_NOTICE, "controld is stopping");

    daemon_close(&d);

    return rc;
}


static void
daemon_memory(void)
{
    (void) mallopt(M_ARENA_MAX, 1);
    (void) mallopt(M_MMAP_THRESHOLD, DAEMON_MMAP_THRESHOLD);
    (void) mallopt(M_TRIM_THRESHOLD, DAEMON_TRIM_THRESHOLD);
}


static int
daemon_open(daemon_t *d, const char **err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK
        || ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
    {
        *err = "out of memory";
        return -1;
    }

    d->store = store_open(conf_prefix(d->conf), err);

    if (d->store == NULL
        || daemon_open_loop(d, err) == -1
        || daemon_open_publisher(d, err) == -1
        || daemon_open_admin(d, err) == -1
        || daemon_open_signals(d, err) == -1)
    {
        return -1;
    }

    if (daemon_watch(d) == -1) {
        *err = strerror(errno);
        return -1;
    }

    return daemon_source_open(d, err);
}


static int
daemon_open_loop(daemon_t *d, const char **err)
{
    d->base = event_base_new();

    if (d->base == NULL
        || (d->settle = evtimer_new(d->base, daemon_settled, d)) == NULL
        || (d->loader = offload_new(d->base)) == NULL
        || (d->quiet = evtimer_new(d->base, daemon_keep_quiet, d)) == NULL
        || (d->disk = offload_new(d->base)) == NULL
        || (d->keep = offload_new(d->base)) == NULL
        || (d->web = offload_new(d->base)) == NULL)
    {
        *err = strerror(errno);
        return -1;
    }

    return 0;
}


static int
daemon_open_publisher(daemon_t *d, const char **err)
{
    arena_t              *a;
    dns_conf_t            dc;
    publisher_threads_t   threads;

    threads.disk = d->disk;
    threads.keep = d->keep;

    d->control = control_new(d->base,
                             conf_path(d->conf, "sockets/control.sock"));

    if (d->control == NULL
        || (d->counters = counters_new(d->base, d->control, d->conf)) == NULL
        || (d->checker = checker_new(d->base, d->control, d->conf)) == NULL
        || (d->publisher = publisher_new(d->base, d->store, &threads,
                                         d->control))
           == NULL)
    {
        *err = "out of memory";
        return -1;
    }

    publisher_on_adopt(d->publisher, daemon_adopted, d);

    a = arena_new();
    daemon_dns_conf(a, d->conf, &dc);
    d->dns = dns_new(d->base, &dc, daemon_addresses, d, err);
    arena_free(a);

    return (d->dns == NULL) ? -1 : 0;
}


/* what the source held when it was read may be older than what nginx serves,
 * and may be what it holds again */
static void
daemon_adopted(void *data)
{
    daemon_t  *d = data;

    if (d->source != NULL) {
        d->forced = 1;
        daemon_source_reload(d, 1);

    } else {
        daemon_want(d, 1);
    }
}


static int
daemon_open_admin(daemon_t *d, const char **err)
{
    admin_host_t  host;

    host.conf = daemon_conf;
    host.active = daemon_active;
    host.post = daemon_post;
    host.served = daemon_served;
    host.holds = daemon_holds;
    host.control = d->control;
    host.data = d;

    d->admin = admin_new(d->base, conf_path(d->conf, "sockets/admin.sock"),
                         d->web, &host, err);
    if (d->admin == NULL) {
        return -1;
    }

    d->ask = ask_new(d->base, d->conf, err);

    return (d->ask == NULL) ? -1 : 0;
}


static int
daemon_open_signals(daemon_t *d, const char **err)
{
    int               i;
    struct sigaction  sa;

    /* a full disk or a closed peer is an error code, not a death */
    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = SIG_IGN;
    (void) sigaction(SIGPIPE, &sa, NULL);
    (void) sigaction(SIGXFSZ, &sa, NULL);

    for (i = 0; i < DAEMON_SIGNALS; i++) {
        d->signals[i] = evsignal_new(d->base, daemon_signals[i].number,
                                     daemon_signals[i].handler, d);

        if (d->signals[i] == NULL || event_add(d->signals[i], NULL) == -1) {
            *err = "signals cannot be handled";
            return -1;
        }
    }

    return 0;
}


static void
daemon_close(daemon_t *d)
{
    int  i;

    d->stopping = 1;

    admin_free(d->admin);
    ask_free(d->ask);
    file_free(d->file);

    if (d->publisher != NULL) {
        publisher_stop(d->publisher);
    }

    if (d->quiet != NULL && evtimer_pending(d->quiet, NULL)) {
        (void) daemon_keep(d, NULL);
    }

    /* threads finish what they are at: a file is whole or not there */
    offload_free(d->web);
    offload_free(d->loader);
    offload_free(d->disk);
    offload_free(d->keep);

    daemon_source_close(d);
    counters_free(d->counters);
    checker_free(d->checker);
    control_free(d->control);
    publisher_free(d->publisher);

    daemon_apply_free(d->apply);
    daemon_apply_free(d->post);
    dns_set_free(d->set);
    dns_free(d->dns);
    generation_put(d->active);

    for (i = 0; i < DAEMON_SIGNALS; i++) {
        if (d->signals[i] != NULL) {
            event_free(d->signals[i]);
        }
    }

    if (d->settle != NULL) {
        event_free(d->settle);
    }

    if (d->quiet != NULL) {
        event_free(d->quiet);
    }

    if (d->base != NULL) {
        event_base_free(d->base);
    }

    store_close(d->store);

    free(d->message);
    arena_free(d->conf_arena);

    ares_library_cleanup();
    curl_global_cleanup();
}


static int
daemon_watch(daemon_t *d)
{
    const char  *path;

    path = daemon_is_database(d->conf)
           ? NULL : conf_str(d->conf, "declarative_config");

    if (d->file != NULL && path != NULL
        && strcmp(file_path(d->file), path) == 0)
    {
        return 0;
    }

    file_free(d->file);
    d->file = NULL;

    if (path == NULL) {
        return 0;
    }

    d->file = file_new(d->base, path, daemon_file_changed, d);

    return (d->file == NULL) ? -1 : 0;
}


static void
daemon_file_changed(void *data)
{
    daemon_want(data, 0);
}


static void
daemon_stop(evutil_socket_t number, short what, void *data)
{
    daemon_t  *d = data;

    (void) number;
    (void) what;

    (void) event_base_loopbreak(d->base);
}


/* settings first: a `kong reload` has just written them.  Bad ones leave
 * everything as it is */
static void
daemon_hup(evutil_socket_t number, short what, void *data)
{
    value_t     *errors;
    arena_t     *arena;
    conf_t      *conf;
    unsigned     forced;
    daemon_t    *d = data;
    const char  *err, *level;
    dns_conf_t   dc;

    (void) number;
    (void) what;

    arena = arena_new();
    errors = NULL;
    conf = conf_load_env(arena, conf_prefix(d->first_conf), &errors);

    if (conf == NULL) {
        log_write(LOG_ERR, "settings are not read again: %s",
                  errors != NULL && errors->len != 0
                  && value_cstr(value_at(errors, 0)) != NULL
                  ? value_cstr(value_at(errors, 0)) : "no .kong_env");
        arena_free(arena);
        forced = 0;

    } else {
        daemon_schemas(arena, conf);
        forced = !daemon_reads_alike(d->conf, conf);

        d->conf = conf;
        d->plugins = conf_plugins(conf);
        arena_free(d->conf_arena);
        d->conf_arena = arena;
        admin_reload(d->admin);
        ask_reload(d->ask, conf);
        counters_reload(d->counters, conf);
        checker_reload(d->checker, conf);
    }

    level = conf_str(d->conf, "log_level");
    if (level != NULL && log_level_parse(level) != -1) {
        log_set_level(log_level_parse(level));
    }

    arena = arena_new();
    daemon_dns_conf(arena, d->conf, &dc);

    if (dns_reload(d->dns, &dc, &err) == -1) {
        log_write(LOG_ERR, "the resolver is not set up again: %s", err);
    }

    arena_free(arena);

    if (daemon_watch(d) == -1) {
        log_write(LOG_ERR, "the declarative file is not watched: %s",
                  strerror(errno));
    }

    if ((d->source != NULL) != (daemon_is_database(d->conf) != 0)) {
        log_write(LOG_ERR, "the setting 'database' takes effect with a "
                  "restart");

    } else if (d->source != NULL) {
        d->forced |= (forced != 0);
        daemon_source_reload(d, forced);

    } else if (daemon_has_source(d->conf)) {
        daemon_want(d, forced);
    }
}


static void
daemon_usr1(evutil_socket_t number, short what, void *data)
{
    (void) number;
    (void) what;
    (void) data;

    log_reopen();
}


/* schemas that are new; a fault leaves the others as they were */
static void
daemon_schemas(arena_t *a, const conf_t *c)
{
    size_t   i;
    value_t  errors;

    value_set_array(&errors);
    plugin_schemas_load(a, conf_str(c, "plugin_schemas"),
                        conf_list(c, "plugins"), &errors);

    for (i = 0; i < errors.len; i++) {
        log_write(LOG_ERR, "%s", errors.u.items[i].u.string);
    }
}


/* whether the same text gives the same configuration under both settings */
static unsigned
daemon_reads_alike(const conf_t *one, const conf_t *two)
{
    const char  *a, *b;

    a = conf_str(one, "router_flavor");
    b = conf_str(two, "router_flavor");

    return a != NULL && b != NULL && strcmp(a, b) == 0
           && value_equal(conf_list(one, "plugins"),
                          conf_list(two, "plugins"));
}


static const conf_t *
daemon_conf(void *data)
{
    daemon_t  *d = data;

    return d->conf;
}


static generation_t *
daemon_active(void *data)
{
    daemon_t  *d = data;

    return d->active;
}


static void
daemon_served(void *data, int64_t *version, uint32_t *number)
{
    daemon_t        *d = data;
    source_state_t   state;

    if (d->source != NULL) {
        d->ops->state(d->source, &state);
        *version = state.version;
    }

    *number = (d->active != NULL) ? d->active->number : 0;
}


/* one number a configuration that the source gives, in their order */
static uint32_t
daemon_holds(void *data, int64_t version)
{
    daemon_t        *d = data;
    source_state_t   state;

    if (d->source == NULL) {
        return 0;
    }

    d->ops->state(d->source, &state);

    if (version <= state.version) {
        return (d->active != NULL) ? d->active->number : 0;
    }

    switch (d->ops->holds(d->source, version)) {

    case SOURCE_TAKEN:
        return (d->apply != NULL) ? d->apply->load->number : 0;

    case SOURCE_NEXT:
        return store_peek(d->store, KONG_SEGMENT_CONFIG);

    default:
        return 0;
    }
}


int
daemon_has_source(const conf_t *c)
{
    return daemon_is_database(c)
           || conf_str(c, "declarative_config") != NULL
           || conf_str(c, "declarative_config_string") != NULL;
}


const char *
daemon_source(const conf_t *c)
{
    const char  *path;

    path = conf_str(c, "declarative_config");

    return (path != NULL) ? path : "declarative_config_string";
}


/* of the declarative file, for the load to keep; NULL without one */
const char *
daemon_path(load_t *l, const conf_t *c)
{
    const char  *path;

    path = conf_str(c, "declarative_config");

    return (path == NULL) ? NULL
                          : arena_strndup(l->arena, path, strlen(path));
}


void
daemon_load_source(const conf_t *c, load_t *l)
{
    l->path = daemon_path(l, c);

    if (l->path != NULL) {
        return;
    }

    l->text = conf_str(c, "declarative_config_string");

    if (l->text != NULL) {
        l->len = strlen(l->text);
        l->text = arena_strndup(l->arena, l->text, l->len);
        l->syntax = DECLARATIVE_ANY;
    }
}


/* copied: the settings may be read again while a thread uses the load */
void
daemon_load_opts(load_t *l, const conf_t *c, const char *const *plugins)
{
    size_t        n, i;
    const char   *flavor, **names;

    flavor = conf_str(c, "router_flavor");

    l->opts.router_flavor = arena_strndup(l->arena, flavor, strlen(flavor));
    l->opts.database = (unsigned) daemon_is_database(c);

    if (plugins == NULL) {
        return;
    }

    for (n = 0; plugins[n] != NULL; n++) { /* void */ }

    names = arena_zalloc(l->arena, (n + 1) * sizeof(char *));

    for (i = 0; i < n; i++) {
        names[i] = arena_strndup(l->arena, plugins[i], strlen(plugins[i]));
    }

    l->opts.plugins = names;
}


void
daemon_dns_conf(arena_t *a, const conf_t *c, dns_conf_t *out)
{
    char           *p;
    size_t          i;
    double          ttl;
    const char     *words[8];
    const value_t  *list;

    memset(out, 0, sizeof(dns_conf_t));

    p = NULL;
    list = conf_list(c, "dns_resolver");

    for (i = 0; list != NULL && i < list->len; i++) {
        p = (p == NULL)
            ? arena_printf(a, "%s", value_cstr(value_at(list, i)))
            : arena_printf(a, "%s,%s", p, value_cstr(value_at(list, i)));
    }

    out->servers = p;
    out->hostsfile = conf_str(c, "dns_hostsfile");
    out->timeout = 2000;

    ttl = conf_num(c, "dns_valid_ttl");
    out->valid_ttl = isnan(ttl) ? -1 : ttl;
    out->stale_ttl = conf_num(c, "dns_stale_ttl");
    out->not_found_ttl = conf_num(c, "dns_not_found_ttl");
    out->error_ttl = conf_num(c, "dns_error_ttl");

    list = conf_list(c, "dns_order");

    for (i = 0; list != NULL && i < list->len && i < 8; i++) {
        words[i] = value_cstr(value_at(list, i));
    }

    dns_conf_order(out, words, i);
}


void
daemon_log_errors(const char *what, const char *report)
{
    size_t  len;

    log_write(LOG_ERR, "declarative config '%s' is invalid, the "
              "configuration stays as it is:", what);

    for ( ; *report != '\0'; report += len) {
        report += (*report == '\n');
        len = strcspn(report, "\n");

        if (len != 0) {
            log_write(LOG_ERR, "  %.*s", (int) len, report);
        }
    }
}


double
daemon_time(void)
{
    struct timespec  t;

    (void) clock_gettime(CLOCK_REALTIME, &t);

    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}
