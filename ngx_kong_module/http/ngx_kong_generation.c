/*
 * Generations: adopting the pair that the zone's epoch names, storing an
 * epoch, and nginx's start.  Each worker maps what it serves; a request holds
 * a reference to the pair that it began with.
 */

#include "ngx_kong_map.h"
#include "../upstream/ngx_http_kong_upstream.h"
#include "../zone/ngx_kong_targets.h"


#define NGX_KONG_IDLE_CHECK  1000          /* ms */

#define ngx_kong_epoch(config, endpoints)                                     \
    ((uint64_t) (config) << 32 | (endpoints))


static ngx_kong_generation_t *ngx_kong_generation_adopt(
    ngx_http_kong_main_conf_t *mcf, uint64_t epoch, ngx_log_t *log);
static ngx_int_t ngx_kong_generation_read_current(
    ngx_http_kong_main_conf_t *mcf, uint32_t *config, uint32_t *endpoints,
    ngx_log_t *log);
static uint32_t ngx_kong_generation_newest(ngx_http_kong_main_conf_t *mcf,
    kong_segment_kind_t kind, uint32_t below, ngx_log_t *log);
static ngx_kong_map_t *ngx_kong_generation_start_kind(
    ngx_http_kong_main_conf_t *mcf, kong_segment_kind_t kind,
    uint32_t generation, ngx_log_t *log);
static void ngx_kong_generation_idle(ngx_event_t *ev);


static ngx_kong_generation_t  *ngx_kong_current;
static uint64_t                ngx_kong_failed_epoch;
static ngx_event_t             ngx_kong_idle_event;
static ngx_connection_t        ngx_kong_idle_connection;


ngx_kong_generation_t *
ngx_kong_generation_get(ngx_http_kong_main_conf_t *mcf, ngx_log_t *log)
{
    uint64_t                epoch;
    ngx_kong_control_t     *control;
    ngx_kong_generation_t  *gen;

    control = ngx_kong_zone_control(mcf->zone);
    epoch = __atomic_load_n(&control->epoch, __ATOMIC_ACQUIRE);
    gen = ngx_kong_current;

    if (gen == NULL || gen->epoch != epoch) {
        gen = ngx_kong_generation_adopt(mcf, epoch, log);
        if (gen == NULL) {
            return NULL;
        }
    }

    gen->refs++;

    return gen;
}


void
ngx_kong_generation_put(ngx_kong_generation_t *gen)
{
    if (--gen->refs != 0) {
        return;
    }

    ngx_kong_map_put(gen->config);

    if (gen->endpoints != NULL) {
        ngx_kong_map_put(gen->endpoints);
    }

    ngx_free(gen);
}


static ngx_kong_generation_t *
ngx_kong_generation_adopt(ngx_http_kong_main_conf_t *mcf, uint64_t epoch,
    ngx_log_t *log)
{
    ngx_str_t               err;
    ngx_kong_map_t         *config, *endpoints;
    ngx_kong_control_t     *control;
    ngx_kong_generation_t  *gen;

    if (epoch == 0 || epoch == ngx_kong_failed_epoch) {
        return ngx_kong_current;
    }

    endpoints = NULL;
    gen = NULL;

    config = ngx_kong_map_get(mcf, KONG_SEGMENT_CONFIG, epoch >> 32, 0, &err,
                              log);
    if (config == NULL) {
        goto failed;
    }

    if ((uint32_t) epoch != 0) {
        endpoints = ngx_kong_map_get(mcf, KONG_SEGMENT_ENDPOINTS,
                                     (uint32_t) epoch, 0, &err, log);
        if (endpoints == NULL) {
            goto failed;
        }
    }

    gen = ngx_alloc(sizeof(ngx_kong_generation_t), log);
    if (gen == NULL) {
        ngx_str_set(&err, "out of memory");
        goto failed;
    }

    gen->epoch = epoch;
    gen->refs = 1;
    gen->config = config;
    gen->endpoints = endpoints;

    if (ngx_kong_current != NULL) {
        ngx_kong_generation_put(ngx_kong_current);
    }

    ngx_kong_current = gen;

#if (NGX_HTTP_SSL)
    ngx_kong_certificates_adopt(&config->seg);
    ngx_http_kong_tls_adopt(&config->seg);
#endif

    control = ngx_kong_zone_control(mcf->zone);
    control->workers[ngx_process_slot % NGX_KONG_MAX_WORKERS].epoch = epoch;

    return gen;

failed:

    if (config != NULL) {
        ngx_kong_map_put(config);
    }

    if (endpoints != NULL) {
        ngx_kong_map_put(endpoints);
    }

    /* once an epoch; the idle timer tries again */
    ngx_kong_failed_epoch = epoch;

    ngx_log_error(NGX_LOG_ALERT, log, 0,
                  "generation %uD.%uD could not be adopted, %s: %V",
                  (uint32_t) (epoch >> 32), (uint32_t) epoch,
                  ngx_kong_current ? "serving the one before"
                                   : "there is none to serve",
                  &err);

    return ngx_kong_current;
}


uint64_t
ngx_kong_generation_ticket(ngx_http_kong_main_conf_t *mcf)
{
    uint64_t             ticket;
    ngx_kong_control_t  *control;

    control = ngx_kong_zone_control(mcf->zone);

    ngx_kong_zone_lock(mcf->zone);
    ticket = ++control->asked;
    ngx_kong_zone_unlock(mcf->zone);

    return ticket;
}


ngx_int_t
ngx_kong_generation_store(ngx_http_kong_main_conf_t *mcf, uint64_t ticket,
    ngx_kong_map_t *config, ngx_kong_map_t *endpoints)
{
    uint64_t                      epoch;
    ngx_int_t                     rc;
    ngx_kong_control_t           *control;
    const kong_segment_header_t  *header;

    control = ngx_kong_zone_control(mcf->zone);
    header = config->seg.header;
    epoch = ngx_kong_epoch(config->generation,
                           endpoints ? endpoints->generation : 0);
    rc = NGX_DECLINED;

    ngx_kong_zone_lock(mcf->zone);

    if (ticket >= control->stored) {
        control->stored = ticket;
        ngx_memcpy(control->hash, header->source_hash, 32);
        control->n_routes = header->n_routes;
        control->n_services = header->n_services;
        control->empty = (header->flags & KONG_SEGMENT_F_EMPTY) ? 1 : 0;
        control->published = ngx_time();
        __atomic_store_n(&control->epoch, epoch, __ATOMIC_RELEASE);
        rc = NGX_OK;
    }

    ngx_kong_zone_unlock(mcf->zone);

    return rc;
}


/*
 * What `current` names goes into the zone, unless the zone (of the cycle
 * before) knows already.  A file that is damaged is refused with one line,
 * and the newest older one that verifies is taken instead.
 */
void
ngx_kong_generation_start(ngx_http_kong_main_conf_t *mcf, ngx_log_t *log)
{
    uint32_t             config, endpoints;
    ngx_kong_map_t      *cmap, *emap;
    ngx_kong_control_t  *control;

    control = ngx_kong_zone_control(mcf->zone);

    if (control->epoch != 0) {
        return;
    }

    ngx_kong_map_init();

    if (ngx_kong_generation_read_current(mcf, &config, &endpoints, log)
        != NGX_OK)
    {
        config = ngx_kong_generation_newest(mcf, KONG_SEGMENT_CONFIG, 0, log);
        endpoints = ngx_kong_generation_newest(mcf, KONG_SEGMENT_ENDPOINTS, 0,
                                               log);
    }

    cmap = ngx_kong_generation_start_kind(mcf, KONG_SEGMENT_CONFIG, config,
                                          log);
    if (cmap == NULL) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "no configuration in \"%V\" yet, every request is "
                      "answered with 404", &mcf->snapshots);
        return;
    }

    emap = ngx_kong_generation_start_kind(mcf, KONG_SEGMENT_ENDPOINTS,
                                          endpoints, log);

    (void) ngx_kong_generation_store(mcf, 0, cmap, emap);

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "starting on generation %uD.%uD: %uD routes, %uD services",
                  cmap->generation, emap ? emap->generation : 0,
                  cmap->seg.header->n_routes, cmap->seg.header->n_services);

    ngx_kong_map_put(cmap);

    if (emap != NULL) {
        ngx_kong_map_put(emap);
    }
}


static ngx_kong_map_t *
ngx_kong_generation_start_kind(ngx_http_kong_main_conf_t *mcf,
    kong_segment_kind_t kind, uint32_t generation, ngx_log_t *log)
{
    u_char           path[NGX_MAX_PATH];
    ngx_str_t        err;
    ngx_kong_map_t  *map;

    while (generation != 0) {

        map = ngx_kong_map_get(mcf, kind, generation, KONG_SEGMENT_VERIFY,
                               &err, log);
        if (map != NULL) {
            return map;
        }

        (void) ngx_kong_map_path(mcf, kind, generation, path);
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "segment \"%s\" is refused, trying an older one: %V",
                      path, &err);

        generation = ngx_kong_generation_newest(mcf, kind, generation, log);
    }

    return NULL;
}


/* `current` is one line of two decimal numbers */
static ngx_int_t
ngx_kong_generation_read_current(ngx_http_kong_main_conf_t *mcf,
    uint32_t *config, uint32_t *endpoints, ngx_log_t *log)
{
    u_char     path[NGX_MAX_PATH], buf[64], *p, *space, *last;
    ssize_t    n;
    ngx_fd_t   fd;
    ngx_int_t  c, e;

    ngx_snprintf(path, sizeof(path), "%V/current%Z", &mcf->snapshots);

    fd = ngx_open_file(path, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        return NGX_DECLINED;
    }

    n = read(fd, buf, sizeof(buf));
    ngx_close_file(fd);

    if (n <= 0) {
        goto invalid;
    }

    last = buf + n;
    p = ngx_strlchr(buf, last, '\n');
    if (p != NULL) {
        last = p;
    }

    space = ngx_strlchr(buf, last, ' ');
    if (space == NULL) {
        goto invalid;
    }

    c = ngx_atoi(buf, space - buf);
    e = ngx_atoi(space + 1, last - space - 1);

    if (c <= 0 || c > 0xffffffff || e < 0 || e > 0xffffffff) {
        goto invalid;
    }

    *config = (uint32_t) c;
    *endpoints = (uint32_t) e;

    return NGX_OK;

invalid:

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "\"%s\" does not hold two generations, taking the newest "
                  "segments instead", path);

    return NGX_ERROR;
}


/* the highest generation on disk, below `below` unless that is 0; 0 = none */
static uint32_t
ngx_kong_generation_newest(ngx_http_kong_main_conf_t *mcf,
    kong_segment_kind_t kind, uint32_t below, ngx_log_t *log)
{
    u_char      *name, *dot;
    uint32_t     newest;
    ngx_dir_t    dir;
    ngx_int_t    n;
    const char  *suffix;

    if (ngx_open_dir(&mcf->snapshots, &dir) == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      "folder \"%V\" cannot be read", &mcf->snapshots);
        return 0;
    }

    suffix = kind == KONG_SEGMENT_CONFIG ? ".config" : ".endpoints";
    newest = 0;

    while (ngx_read_dir(&dir) == NGX_OK) {

        name = ngx_de_name(&dir);
        dot = (u_char *) ngx_strchr(name, '.');

        if (dot == NULL || ngx_strcmp(dot, suffix) != 0) {
            continue;
        }

        n = ngx_atoi(name, dot - name);

        if (n > (ngx_int_t) newest && n <= 0xffffffff
            && (below == 0 || n < (ngx_int_t) below))
        {
            newest = (uint32_t) n;
        }
    }

    ngx_close_dir(&dir);

    return newest;
}


ngx_int_t
ngx_kong_generation_init_worker(ngx_http_kong_main_conf_t *mcf,
    ngx_cycle_t *cycle)
{
    ngx_kong_worker_t  *worker;

    ngx_kong_map_init();

    worker = &ngx_kong_zone_control(mcf->zone)
                  ->workers[ngx_process_slot % NGX_KONG_MAX_WORKERS];
    worker->pid = ngx_pid;
    worker->epoch = 0;

    ngx_kong_idle_connection.fd = (ngx_socket_t) -1;

    ngx_kong_idle_event.handler = ngx_kong_generation_idle;
    ngx_kong_idle_event.log = cycle->log;
    ngx_kong_idle_event.data = &ngx_kong_idle_connection;
    ngx_kong_idle_event.cancelable = 1;

    ngx_kong_idle_connection.data = mcf;

    ngx_kong_targets_init_worker(mcf->zone, cycle->log);

    ngx_kong_generation_idle(&ngx_kong_idle_event);

    return NGX_OK;
}


/* a worker without traffic follows too, and lets go of the old pair */
static void
ngx_kong_generation_idle(ngx_event_t *ev)
{
    ngx_connection_t           *c;
    ngx_kong_generation_t      *gen;
    ngx_http_kong_main_conf_t  *mcf;

    c = ev->data;
    mcf = c->data;

    ngx_kong_failed_epoch = 0;

    gen = ngx_kong_generation_get(mcf, ev->log);
    if (gen != NULL) {
        ngx_kong_generation_put(gen);
    }

    ngx_kong_targets_tick(mcf->zone, ev->log);

    ngx_kong_map_tick(mcf, ev->log);

    ngx_add_timer(ev, NGX_KONG_IDLE_CHECK);
}
