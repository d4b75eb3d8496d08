/*
 * /status and /status/ready: Kong's JSON plus our own members, answered in
 * the worker from the zone, so that probes work with controld dead.  Facts:
 * Kong's Admin API and Status API; see docs/compatibility.md for ours.
 */

#include "../ngx_http_kong.h"


typedef struct {
    u_char       name;
    const char  *suffix;
    double       bytes;
} ngx_http_kong_unit_t;

typedef struct {
    const ngx_http_kong_unit_t  *unit;
    ngx_uint_t                   scale;
} ngx_http_kong_size_t;


static ngx_int_t ngx_http_kong_status_get(ngx_http_request_t *r);
static u_char *ngx_http_kong_status_database(u_char *p, u_char *last,
    ngx_http_kong_main_conf_t *mcf);
static ngx_int_t ngx_http_kong_status_size_args(ngx_http_request_t *r,
    ngx_http_kong_size_t *size, const char **err);
static u_char *ngx_http_kong_status_size(u_char *p, u_char *last,
    const ngx_http_kong_size_t *size, size_t bytes);
static u_char *ngx_http_kong_status_memory(ngx_http_request_t *r, u_char *p,
    u_char *last, const ngx_http_kong_size_t *size);
static u_char *ngx_http_kong_status_server(u_char *p, u_char *last);
static u_char *ngx_http_kong_status_node(ngx_http_request_t *r, u_char *p,
    u_char *last);
static ngx_int_t ngx_http_kong_ready_get(ngx_http_request_t *r);
static void ngx_http_kong_ready_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_kong_ready_drain(ngx_http_request_t *r);
static ngx_int_t ngx_http_kong_status_message(ngx_http_request_t *r,
    ngx_uint_t status, const char *text);
static ngx_int_t ngx_http_kong_status_send(ngx_http_request_t *r,
    ngx_uint_t status, ngx_buf_t *b);


static const ngx_http_kong_unit_t  ngx_http_kong_units[] = {
    { 'b', NULL, 1 },
    { 'k', "KiB", 1024.0 },
    { 'm', "MiB", 1024.0 * 1024 },
    { 'g', "GiB", 1024.0 * 1024 * 1024 },
    { 0, NULL, 0 }
};


ngx_int_t
ngx_http_kong_status_handler(ngx_http_request_t *r)
{
    ngx_int_t   rc;
    ngx_uint_t  ready;

    ready = (r->uri.len >= sizeof("/status/ready") - 1
             && ngx_strncmp(r->uri.data, "/status/ready",
                            sizeof("/status/ready") - 1)
                == 0);

    if (ready && r->method == NGX_HTTP_POST) {
        rc = ngx_http_read_client_request_body(r, ngx_http_kong_ready_body);

        return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
    }

    rc = ngx_http_kong_status_method(r, ready ? "GET, HEAD, OPTIONS, POST"
                                              : "GET, HEAD, OPTIONS");
    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ready ? ngx_http_kong_ready_get(r) : ngx_http_kong_status_get(r);
}


ngx_int_t
ngx_http_kong_status_method(ngx_http_request_t *r, const char *allow)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        if (ngx_http_kong_headers_add(r, "Allow", 5, (u_char *) allow,
                                      ngx_strlen(allow))
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_kong_status_send(r, NGX_HTTP_NO_CONTENT, NULL);
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_kong_status_message(r, NGX_HTTP_NOT_ALLOWED,
                                            "Method not allowed");
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_kong_status_get(ngx_http_request_t *r)
{
    size_t                      len;
    u_char                     *p, *last;
    ngx_buf_t                  *b;
    const char                 *err;
    ngx_http_kong_size_t        size;
    ngx_http_kong_main_conf_t  *mcf;

    if (ngx_http_kong_status_size_args(r, &size, &err) != NGX_OK) {
        return ngx_http_kong_status_message(r, NGX_HTTP_BAD_REQUEST, err);
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);

    len = 4096 + NGX_KONG_MAX_WORKERS * 128;

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = b->last;
    last = b->end;

    p = ngx_http_kong_status_database(p, last, mcf);
    p = ngx_http_kong_status_memory(r, p, last, &size);
    p = ngx_http_kong_status_server(p, last);
    p = ngx_http_kong_status_node(r, p, last);
    p = ngx_slprintf(p, last, "}");

    b->last = p;

    return ngx_http_kong_status_send(r, NGX_HTTP_OK, b);
}


/* Kong's `reachable`; which server is read, since when that is so, and what
 * the configuration was read from */
static u_char *
ngx_http_kong_status_database(u_char *p, u_char *last,
    ngx_http_kong_main_conf_t *mcf)
{
    u_char                    host[sizeof(((ngx_kong_daemon_state_t *)
                                           NULL)->host)];
    u_char                    role[sizeof(((ngx_kong_daemon_state_t *)
                                           NULL)->role)];
    u_char                    escaped[sizeof(host) * 6], *end;
    ngx_kong_daemon_state_t  *daemon;

    daemon = &ngx_kong_zone_control(mcf->zone)->daemon;

    /* without a database there is nothing that could be out of reach */

    if (!daemon->database) {
        return ngx_slprintf(p, last, "{\"database\":{\"reachable\":true},");
    }

    ngx_kong_zone_lock(mcf->zone);
    ngx_memcpy(host, daemon->host, sizeof(host));
    ngx_memcpy(role, daemon->role, sizeof(role));
    ngx_kong_zone_unlock(mcf->zone);

    p = ngx_slprintf(p, last, "{\"database\":{\"reachable\":%s,"
                     "\"since\":%uA,",
                     daemon->reachable ? "true" : "false", daemon->changed);

    if (host[0] == '\0') {
        p = ngx_slprintf(p, last, "\"host\":null,\"role\":null,");

    } else {
        end = (u_char *) ngx_escape_json(escaped, host, ngx_strlen(host));
        p = ngx_slprintf(p, last, "\"host\":\"%*s\",\"role\":\"%s\",",
                         (size_t) (end - escaped), escaped, role);
    }

    return ngx_slprintf(p, last, "\"timeline\":%uA,\"version\":%uA,"
                        "\"set_aside\":%uA},", daemon->timeline,
                        daemon->version, daemon->aside);
}


static ngx_int_t
ngx_http_kong_status_size_args(ngx_http_request_t *r,
    ngx_http_kong_size_t *size, const char **err)
{
    ngx_int_t                    scale;
    ngx_str_t                    arg;
    const ngx_http_kong_unit_t  *unit;

    size->unit = &ngx_http_kong_units[2];
    size->scale = 2;

    if (ngx_http_arg(r, (u_char *) "unit", 4, &arg) == NGX_OK) {

        for (unit = ngx_http_kong_units; unit->name; unit++) {
            if (arg.len == 1 && ngx_tolower(arg.data[0]) == unit->name) {
                break;
            }
        }

        if (unit->name == 0) {
            *err = "invalid unit (expected 'b/B', 'k/K', 'm/M', or 'g/G')";
            return NGX_ERROR;
        }

        size->unit = unit;
    }

    if (ngx_http_arg(r, (u_char *) "scale", 5, &arg) == NGX_OK) {

        scale = ngx_atoi(arg.data, arg.len);

        if (scale < 0 || scale > 9) {
            *err = "scale must be equal or greater than 0";
            return NGX_ERROR;
        }

        size->scale = scale;
    }

    return NGX_OK;
}


static u_char *
ngx_http_kong_status_size(u_char *p, u_char *last,
    const ngx_http_kong_size_t *size, size_t bytes)
{
    u_char  fmt[sizeof("\"%.9f KiB\"%Z")];

    if (size->unit->suffix == NULL) {
        return ngx_slprintf(p, last, "%uz", bytes);
    }

    ngx_sprintf(fmt, "\"%%.%uif %s\"%Z", size->scale, size->unit->suffix);

    return ngx_slprintf(p, last, (char *) fmt, bytes / size->unit->bytes);
}


/* Kong's names; what stands there is the zone and the workers' memory */
static u_char *
ngx_http_kong_status_memory(ngx_http_request_t *r, u_char *p, u_char *last,
    const ngx_http_kong_size_t *size)
{
    size_t                      rss, used;
    ngx_uint_t                  i, n;
    ngx_slab_pool_t            *shpool;
    ngx_kong_control_t         *control;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
    control = ngx_kong_zone_control(mcf->zone);
    shpool = (ngx_slab_pool_t *) mcf->zone->shm.addr;

    used = mcf->zone->shm.size - shpool->pfree * ngx_pagesize;

    p = ngx_slprintf(p, last, "\"memory\":{\"lua_shared_dicts\":"
                              "{\"kong_zone\":{\"allocated_slabs\":");
    p = ngx_http_kong_status_size(p, last, size, used);
    p = ngx_slprintf(p, last, ",\"capacity\":");
    p = ngx_http_kong_status_size(p, last, size, mcf->zone->shm.size);
    p = ngx_slprintf(p, last, "}},\"workers_lua_vms\":[");

    for (i = 0, n = 0; i < NGX_KONG_MAX_WORKERS; i++) {

        if (control->workers[i].pid == 0) {
            continue;
        }

        rss = ngx_http_kong_status_memory_of(
                                     (ngx_pid_t) control->workers[i].pid);
        if (rss == 0) {
            continue;
        }

        p = ngx_slprintf(p, last, "%s{\"http_allocated_gc\":",
                         n++ ? "," : "");
        p = ngx_http_kong_status_size(p, last, size, rss);
        p = ngx_slprintf(p, last, ",\"pid\":%uA}", control->workers[i].pid);
    }

    return ngx_slprintf(p, last, "]},");
}


/* private resident bytes of a worker: resident less shared pages */
size_t
ngx_http_kong_status_memory_of(ngx_pid_t pid)
{
    long       total, resident, shared;
    char       buf[128];
    u_char     path[64];
    ssize_t    n;
    ngx_fd_t   fd;

    ngx_sprintf(path, "/proc/%P/statm%Z", pid);

    fd = ngx_open_file(path, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        return 0;
    }

    n = read(fd, buf, sizeof(buf) - 1);
    ngx_close_file(fd);

    if (n <= 0) {
        return 0;
    }

    buf[n] = '\0';

    if (sscanf(buf, "%ld %ld %ld", &total, &resident, &shared) != 3
        || resident < shared)
    {
        return 0;
    }

    return (size_t) (resident - shared) * ngx_pagesize;
}


static u_char *
ngx_http_kong_status_server(u_char *p, u_char *last)
{
    ngx_atomic_int_t  accepted, handled, active, requests, reading, writing,
                      waiting;

#if (NGX_STAT_STUB)
    accepted = *ngx_stat_accepted;
    handled = *ngx_stat_handled;
    active = *ngx_stat_active;
    requests = *ngx_stat_requests;
    reading = *ngx_stat_reading;
    writing = *ngx_stat_writing;
    waiting = *ngx_stat_waiting;
#else
    accepted = handled = active = requests = reading = writing = waiting = 0;
#endif

    return ngx_slprintf(p, last,
                        "\"server\":{\"connections_accepted\":%uA,"
                        "\"connections_active\":%uA,"
                        "\"connections_handled\":%uA,"
                        "\"connections_reading\":%uA,"
                        "\"connections_waiting\":%uA,"
                        "\"connections_writing\":%uA,"
                        "\"total_requests\":%uA},",
                        accepted, active, handled, reading, waiting, writing,
                        requests);
}


/* what Kong does not have: generations, the source's state, the heartbeat */
static u_char *
ngx_http_kong_status_node(ngx_http_request_t *r, u_char *p, u_char *last)
{
    time_t                      now;
    uint64_t                    epoch;
    u_char                      source[sizeof(((ngx_kong_daemon_state_t *)
                                               NULL)->source)];
    u_char                      message[NGX_KONG_ZONE_TEXT];
    u_char                      escaped[NGX_KONG_ZONE_TEXT * 6], *end;
    u_char                      hash[33];
    ngx_kong_control_t         *control;
    ngx_kong_daemon_state_t    *daemon;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
    control = ngx_kong_zone_control(mcf->zone);
    daemon = &control->daemon;
    now = ngx_time();

    ngx_kong_zone_lock(mcf->zone);

    epoch = control->epoch;
    ngx_memcpy(hash, control->hash, sizeof(hash));
    ngx_memcpy(source, daemon->source, sizeof(source));
    ngx_memcpy(message, daemon->message, sizeof(message));

    ngx_kong_zone_unlock(mcf->zone);

    end = (u_char *) ngx_escape_json(escaped, message, ngx_strlen(message));

    if (epoch == 0) {
        ngx_memset(hash, '0', 32);
        hash[32] = '\0';
    }

    if (!daemon->database) {
        p = ngx_slprintf(p, last, "\"configuration_hash\":\"%s\",", hash);
    }

    p = ngx_slprintf(p, last,
                     "\"configuration\":{\"generation\":%uD,"
                     "\"endpoints_generation\":%uD,\"hash\":\"%s\","
                     "\"published_at\":%uA,\"age\":%T,"
                     "\"routes\":%uA,\"services\":%uA},",
                     (uint32_t) (epoch >> 32), (uint32_t) epoch, hash,
                     control->published,
                     control->published ? now - (time_t) control->published
                                        : 0,
                     control->n_routes, control->n_services);

    if (daemon->beat == 0) {
        return ngx_slprintf(p, last,
                            "\"source\":null,\"controld\":{\"running\":false,"
                            "\"pid\":null,\"heartbeat_age\":null}");
    }

    p = ngx_slprintf(p, last, "\"source\":{\"kind\":\"%s\",\"ok\":%s,"
                     "\"since\":%uA,\"message\":",
                     source, daemon->ok ? "true" : "false", daemon->since);

    if (message[0] == '\0') {
        p = ngx_slprintf(p, last, "null},");

    } else {
        p = ngx_slprintf(p, last, "\"%*s\"},", (size_t) (end - escaped),
                         escaped);
    }

    return ngx_slprintf(p, last,
                        "\"controld\":{\"running\":%s,\"pid\":%uA,"
                        "\"heartbeat_age\":%T}",
                        now - (time_t) daemon->beat <= 5 ? "true" : "false",
                        daemon->pid, now - (time_t) daemon->beat);
}


static ngx_int_t
ngx_http_kong_ready_get(ngx_http_request_t *r)
{
    ngx_kong_control_t         *control;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
    control = ngx_kong_zone_control(mcf->zone);

    if (control->draining || ngx_exiting || ngx_terminate) {
        return ngx_http_kong_status_message(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                            "draining");
    }

    if (control->epoch == 0) {
        return ngx_http_kong_status_message(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                 "no configuration available "
                                 "(configuration hash is not initialized)");
    }

    if (control->empty && !control->daemon.database) {
        return ngx_http_kong_status_message(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                 "no configuration available "
                                 "(empty configuration present)");
    }

    return ngx_http_kong_status_message(r, NGX_HTTP_OK, "ready");
}


static void
ngx_http_kong_ready_body(ngx_http_request_t *r)
{
    ngx_http_finalize_request(r, ngx_http_kong_ready_drain(r));
}


/* status=draining in the query, a form or JSON: anything else is refused */
static ngx_int_t
ngx_http_kong_ready_drain(ngx_http_request_t *r)
{
    ngx_buf_t                  *b;
    ngx_str_t                   arg;
    ngx_uint_t                  drain;
    ngx_http_kong_main_conf_t  *mcf;

    drain = ngx_http_arg(r, (u_char *) "status", 6, &arg) == NGX_OK
            && arg.len == 8 && ngx_strncmp(arg.data, "draining", 8) == 0;

    if (!drain && r->request_body != NULL && r->request_body->bufs != NULL) {
        b = r->request_body->bufs->buf;

        if (ngx_buf_in_memory(b)) {
            arg.data = ngx_strlcasestrn(b->pos, b->last,
                                        (u_char *) "draining", 7);
            drain = arg.data != NULL
                    && ngx_strlcasestrn(b->pos, arg.data, (u_char *) "status",
                                        5)
                       != NULL;
        }
    }

    if (!drain) {
        return ngx_http_kong_status_send(r, NGX_HTTP_BAD_REQUEST, NULL);
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
    ngx_kong_zone_control(mcf->zone)->draining = 1;

    return ngx_http_kong_status_send(r, NGX_HTTP_NO_CONTENT, NULL);
}


static ngx_int_t
ngx_http_kong_status_message(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    ngx_buf_t  *b;

    b = ngx_create_temp_buf(r->pool, sizeof("{\"message\":\"\"}")
                                     + ngx_strlen(text));
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_sprintf(b->last, "{\"message\":\"%s\"}", text);

    return ngx_http_kong_status_send(r, status, b);
}


/* b NULL: no body */
static ngx_int_t
ngx_http_kong_status_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_buf_t *b)
{
    if (ngx_http_kong_status_headers(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_kong_endpoint_send(r, status,
                                       b ? "application/json; charset=utf-8"
                                         : NULL, b);
}


ngx_int_t
ngx_http_kong_status_headers(ngx_http_request_t *r)
{
    u_char                    *p;
    ngx_msec_int_t             ms;
    ngx_time_t                *tp;
    ngx_table_elt_t           *h;
    ngx_http_kong_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kong_module);

    if (ngx_http_kong_headers_add(r, "Access-Control-Allow-Origin", 27,
                                  (u_char *) "*", 1)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (klcf->headers & NGX_KONG_H_SERVER) {
        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        h->hash = 1;
#if (nginx_version >= 1023000)
        h->next = NULL;
#endif
        ngx_str_set(&h->key, "Server");
        ngx_str_set(&h->value, NGX_KONG_SERVER);
        r->headers_out.server = h;
    }

    if (!(klcf->headers & NGX_KONG_H_ADMIN_LATENCY)) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    tp = ngx_timeofday();
    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + ((ngx_msec_int_t) tp->msec
                              - (ngx_msec_int_t) r->start_msec));

    return ngx_http_kong_headers_add(r, "X-Kong-Admin-Latency", 20, p,
                                     ngx_sprintf(p, "%M", ngx_max(ms, 0))
                                     - p);
}
