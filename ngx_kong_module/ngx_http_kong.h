/*
 * The module's own types, shared by its files.  Nothing outside this folder
 * includes it.  A file's public functions carry its stem.
 */

#ifndef NGX_HTTP_KONG_H
#define NGX_HTTP_KONG_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "snapshot/kong_segment.h"
#include "snapshot/kong_match.h"
#include "snapshot/kong_path.h"
#include "zone/ngx_kong_zone.h"


#define NGX_KONG_VERSION      "3.9.1"          /* Kong's, spoken to clients */
#define NGX_KONG_SERVER       "kong/" NGX_KONG_VERSION

/* ngx_table_elt_t.hash of a request header that a plugin has set */
#define NGX_KONG_HEADER_OURS  1

/* kong_headers, kong_headers_upstream: which headers are added */
#define NGX_KONG_H_SERVER            0x01
#define NGX_KONG_H_VIA               0x02
#define NGX_KONG_H_PROXY_LATENCY     0x04
#define NGX_KONG_H_RESPONSE_LATENCY  0x08
#define NGX_KONG_H_UPSTREAM_LATENCY  0x10
#define NGX_KONG_H_ADMIN_LATENCY     0x20
#define NGX_KONG_H_REQUEST_ID        0x40
#define NGX_KONG_H_UPSTREAM_STATUS   0x80

typedef struct ngx_kong_map_s         ngx_kong_map_t;
typedef struct ngx_kong_generation_s  ngx_kong_generation_t;
typedef struct ngx_kong_run_s         ngx_kong_run_t;
typedef struct ngx_http_kong_group_s  ngx_http_kong_group_t;
typedef struct ngx_kong_tls_conf_s    ngx_kong_tls_conf_t;

/*
 * One segment mapped by this worker.  `pool` owns what the worker prepares
 * for it (per-service upstream configurations, SSL contexts) and goes with
 * the mapping.
 */
struct ngx_kong_map_s {
    ngx_queue_t             queue;
    uint32_t                generation;
    kong_segment_kind_t     kind;
    kong_segment_rc_t       rc;          /* of reading it */
    ngx_uint_t              refs;
    void                   *base;
    size_t                  size;
    ngx_uint_t              runs;        /* mappings over a base */
    kong_segment_t          seg;
    ngx_pool_t             *pool;
    struct ngx_http_kong_confs_s  *confs;     /* config: upstream settings,
                                                 made lazily */
    struct ngx_kong_instance_s  **instances;  /* config: plugins, lazily */
    ngx_http_kong_group_t  **groups;     /* endpoints: by index, lazily */
    ngx_array_t            *plugins;     /* config: of other modules, or
                                            NULL */
};

/* a pair of segments; a request holds one reference from match to its end */
struct ngx_kong_generation_s {
    ngx_queue_t             queue;
    uint64_t                epoch;
    ngx_uint_t              refs;
    ngx_kong_map_t         *config;
    ngx_kong_map_t         *endpoints;   /* NULL: none yet */
};

typedef struct {
    ngx_shm_zone_t         *zone;
    ngx_shm_zone_t         *cache;       /* NULL: no kong_cache_zone */
    ngx_shm_zone_t         *metrics;     /* NULL: no kong_metrics_zone */
    ngx_str_t               node_id;     /* or empty */
    ngx_str_t               snapshots;   /* folder, absolute, NUL-ended */
    ngx_str_t               ask;         /* socket, the same; or empty */
    ngx_str_t               syslog;      /* socket of the plugin syslog */
    ngx_array_t            *trusted;     /* ngx_cidr_t */
    ngx_array_t            *port_map;    /* ngx_http_kong_port_map_t */
    ngx_array_t            *sockets;     /* u_char *: paths of control
                                            sockets; NULL: none */
    ngx_str_t               templates[4];   /* by NGX_KONG_TYPE_*; own text of
                                               error_template_*, or empty */
    ngx_uint_t              error_default_type;
    ngx_flag_t              debug_header;
    ngx_msec_t              start_time;
    ngx_array_t            *plugins;     /* of other modules: pointers to
                                            ngx_kong_plugin_t; or NULL */
    struct ngx_http_kong_srv_conf_s  *balancer;  /* of kong_balancer's
                                                     block */
    ngx_kong_tls_conf_t    *tls;         /* NULL: the defaults */
} ngx_http_kong_main_conf_t;

typedef struct {
    in_port_t               public;
    in_port_t               internal;
} ngx_http_kong_port_map_t;

typedef struct {
    ngx_flag_t              proxy;       /* kong_proxy on */
    ngx_uint_t              headers;     /* NGX_KONG_H_* to the client */
    ngx_uint_t              headers_upstream;
    ngx_uint_t              proxy_method; /* reserved */
} ngx_http_kong_loc_conf_t;

/* of an upstream block: upstream/ngx_http_kong_balancer_conf.c */
typedef struct ngx_http_kong_srv_conf_s {
    ngx_uint_t              size;        /* a pool; 0 = off */
    ngx_uint_t              requests;
    ngx_msec_t              timeout;
    ngx_flag_t              balancer;
    ngx_uint_t              panic;       /* %, 0: off */
    ngx_uint_t              retry_share; /* % of the requests under way */
    ngx_uint_t              retry_min;
    ngx_flag_t              control;     /* a server with kong_control */
    ngx_flag_t              certificates;    /* a server whose clients are
                                                shown those of snis */
} ngx_http_kong_srv_conf_t;

/* an answer that a plugin has set (plugins/ngx_kong_plugin.h) */
typedef struct {
    ngx_uint_t              status;
    ngx_str_t               type;
    ngx_str_t               body;
    const char             *error;       /* not NULL: Kong's error body */
    off_t                   length;      /* when `head` */
    unsigned                head:1;      /* the body is not sent, only its
                                            length (-1: unknown) */
} ngx_kong_exit_t;

/* what a plugin allows of a body whose length is not known */
typedef struct {
    off_t                   size;
    off_t                   seen;
    ngx_uint_t              status;
    const char             *text;        /* NULL: no limit */
} ngx_kong_body_limit_t;

typedef struct {
    ngx_kong_generation_t  *generation;
    const kong_route_t     *route;       /* NULL: none matched (yet) */
    const kong_service_t   *service;     /* NULL: route without one */
    kong_match_t            match;

    ngx_str_t               path;        /* normalised, without query */
    in_port_t               port;        /* listening port, mapped */
    u_char                  request_id[32];

    ngx_str_t               host;        /* Host header sent upstream */
    ngx_str_t               target_host; /* of the address chosen, when it has
                                            a length */
    ngx_http_kong_group_t  *group;       /* counts this request */
    ngx_msec_t              proxy_start; /* ngx_current_msec when the request
                                            was handed to the upstream */
    ngx_msec_t              header_start; /* the same, when the answer's
                                             headers came by; 0: never */
    /* plugins: the chain's slots, once their turn has come */
    ngx_kong_run_t         *runs;
    ngx_uint_t              n_runs;
    ngx_uint_t              next_run;
    ngx_kong_exit_t        *exit;
    ngx_kong_body_limit_t   body_limit;
    uint32_t                consumer;    /* index, KONG_NONE: nobody */
    const struct kong_credential_s  *credential;
    ngx_str_t               identifier;  /* of the credential */
    ngx_str_t               args;        /* query sent, when has_args */
    ngx_str_t               uri;         /* path sent, when it has a length */
    ngx_str_t               method;      /* the same */
    ngx_str_t               upstream_host; /* Host that a plugin has set, when
                                              it has a length */
    ngx_str_t               correlation_id; /* of the plugin, for the logs */
    struct ngx_kong_log_field_s  *log_fields; /* that plugins have set in the
                                                 log record */

    unsigned                has_args:1;
    unsigned                has_header_filter:1;
    unsigned                has_body_filter:1;
    unsigned                has_log:1;
    unsigned                matched:1;   /* the match is done */
    unsigned                body_read:1;
    unsigned                authenticated:1;
    unsigned                anonymous:1; /* the consumer is an anonymous one */
    unsigned                https:1;     /* scheme of the connection */
    unsigned                trusted:1;   /* direct peer is in trusted_ips */
    unsigned                proxied:1;   /* handed to the upstream */
    unsigned                answered:1;  /* we made the answer ourselves */
    unsigned                has_id:1;
    unsigned                retrying:1;  /* counted among the retries */
    unsigned                recorded:1;  /* its log record is written */
} ngx_http_kong_ctx_t;


extern ngx_module_t  ngx_http_kong_module;


/* decimal digits; cheaper than ngx_sprintf(), for what every request writes */
static ngx_inline u_char *
ngx_http_kong_number(u_char *p, uint64_t n)
{
    u_char  *d, digits[NGX_INT64_LEN];

    d = digits + sizeof(digits);

    do {
        *--d = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n != 0);

    return ngx_cpymem(p, d, digits + sizeof(digits) - d);
}


/* ngx_http_kong_module.c */

/* the request's ctx, made on first use; NULL when out of memory */
ngx_http_kong_ctx_t *ngx_http_kong_get_ctx(ngx_http_request_t *r);
/* 32 hex digits in ctx->request_id, made on first use */
void ngx_http_kong_request_id(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);


/* http/ngx_kong_generation.c */

/* the current pair, with a reference; NULL when this node has none */
ngx_kong_generation_t *ngx_kong_generation_get(ngx_http_kong_main_conf_t *mcf,
    ngx_log_t *log);
void ngx_kong_generation_put(ngx_kong_generation_t *gen);
/*
 * Publishes are ordered by their tickets, which they draw when they begin,
 * whichever worker takes them: a pair is not stored (NGX_DECLINED) when one
 * that was asked for later has been already.
 */
uint64_t ngx_kong_generation_ticket(ngx_http_kong_main_conf_t *mcf);
ngx_int_t ngx_kong_generation_store(ngx_http_kong_main_conf_t *mcf,
    uint64_t ticket, ngx_kong_map_t *config, ngx_kong_map_t *endpoints);
/* nginx's master at start: the pair of `current` into the zone */
void ngx_kong_generation_start(ngx_http_kong_main_conf_t *mcf,
    ngx_log_t *log);
ngx_int_t ngx_kong_generation_init_worker(ngx_http_kong_main_conf_t *mcf,
    ngx_cycle_t *cycle);

/* http/ngx_kong_regex.c: compiled regexes of this worker, by content hash */

/* the end of the match that begins at `from`, or -1 */
int ngx_kong_regex_exec(const kong_segment_t *seg, uint32_t index,
    ngx_str_t *subject, size_t from, ngx_log_t *log);

/* a group of the path regex that matched; data NULL: it took no part */
typedef struct {
    ngx_str_t               name;        /* empty: it has only a number */
    ngx_str_t               value;
} ngx_kong_capture_t;

/* of the request's route by number, 0 is the whole match; *n is 0 when the
 * path matched no regex or the regex has no groups.  Runs the regex again */
ngx_int_t ngx_kong_captures(ngx_http_request_t *r,
    ngx_kong_capture_t **captures, ngx_uint_t *n);

/* a regex of a plugin's configuration, for its prepare(): NULL when it cannot
 * be compiled (the log says why), freed with the pool.  `whole`: it must
 * match all of the subject */
void *ngx_kong_pattern(ngx_pool_t *pool, ngx_str_t *text, ngx_uint_t whole);
/* bounded as all matching is: what runs into a limit does not match */
ngx_uint_t ngx_kong_pattern_match(void *pattern, ngx_str_t *subject,
    ngx_log_t *log);


/* http/ngx_http_kong_access.c: match and what follows from it */

ngx_int_t ngx_http_kong_access_handler(ngx_http_request_t *r);
/* the path of the request target as it came: up to its first "?" after the
 * first character */
void ngx_http_kong_raw_path(ngx_http_request_t *r, ngx_str_t *raw);
/* the host that was asked for, else the name of nginx's server */
ngx_str_t *ngx_http_kong_server_name(ngx_http_request_t *r);
/* the direct peer's address as text (realip_remote_addr after realip) */
ngx_int_t ngx_http_kong_peer_text(ngx_http_request_t *r, ngx_str_t *peer);


/* http/ngx_http_kong_error.c */

/*
 * Answers with Kong's error body of the type that the Accept header asks for
 * (routing.md 6.1: gRPC requests get their trailers-only form).  `text` is
 * the message; NULL sends an empty body.  Headers that the caller pushed are
 * kept.  The return code is
 * the handler's.
 */
ngx_int_t ngx_http_kong_error_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *text);
/* content handler of `kong_error`: the page of an error nginx made */
ngx_int_t ngx_http_kong_error_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_kong_error_load_template(ngx_conf_t *cf,
    ngx_http_kong_main_conf_t *mcf, ngx_str_t *type, ngx_str_t *file);

/* http/ngx_http_kong_media.c */

/* all Accept headers as one; empty when there is none */
ngx_int_t ngx_http_kong_media_accept(ngx_http_request_t *r,
    ngx_str_t *accept);
/* NGX_KONG_TYPE_* of the first type with the highest quality */
ngx_uint_t ngx_http_kong_media_type(ngx_str_t *accept);

#define NGX_KONG_TYPE_JSON   0
#define NGX_KONG_TYPE_HTML   1
#define NGX_KONG_TYPE_XML    2
#define NGX_KONG_TYPE_PLAIN  3


/* http/ngx_http_kong_body.c: ends the reading of a body at ctx->body_limit */

ngx_int_t ngx_http_kong_body_init(ngx_conf_t *cf);


/* http/ngx_http_kong_headers.c: what the client's answer gets */

ngx_int_t ngx_http_kong_headers_init(ngx_conf_t *cf);   /* header filter */
/* pushes a response header; name and value are not copied */
ngx_int_t ngx_http_kong_headers_add(ngx_http_request_t *r, const char *name,
    size_t name_len, u_char *value, size_t value_len);


/* http/ngx_http_kong_latency.c: what the log phase asks */

/* ms, as Kong has them */
typedef struct {
    ngx_msec_int_t          request;     /* all of it */
    ngx_msec_int_t          kong;        /* until it was handed on, or
                                            answered */
    ngx_msec_int_t          upstream;    /* until its headers came; -1: it was
                                            not asked */
} ngx_http_kong_latency_t;

void ngx_http_kong_latency(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_http_kong_latency_t *l);
/* the answer is the upstream's, not ours */
ngx_uint_t ngx_http_kong_from_service(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
/* the status that the client got */
ngx_uint_t ngx_http_kong_status(ngx_http_request_t *r);


/* upstream/ngx_http_kong_request.c: request line and headers sent upstream */

/* replaces u->request_bufs' head by our own; called by the balancer's init
 * and again before a retry when the Host header changes */
ngx_int_t ngx_http_kong_request_create(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);


/* upstream/ngx_http_kong_balancer_conf.c */

char *ngx_http_kong_balancer(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_kong_keepalive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_kong_percent(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void *ngx_http_kong_create_srv_conf(ngx_conf_t *cf);
/* after all init_main_conf handlers: newer nginx puts its own keepalive in
 * front of every upstream block's balancer, this takes ours back */
ngx_int_t ngx_http_kong_balancer_init(ngx_conf_t *cf);


/* upstream/ngx_http_kong_balancer.c */

/* NGX_OK when the service has an address; else NGX_DECLINED with the answer
 * that the client gets.  For the access phase, before proxying */
ngx_int_t ngx_http_kong_balancer_check(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, ngx_uint_t *status, const char **text);

/* upstream/ngx_http_kong_group.c */

/* the request no longer counts; for the end of ctx */
void ngx_http_kong_group_leave(ngx_http_kong_ctx_t *ctx);
/* each second: what this worker's segments use is kept in the zone */
void ngx_http_kong_group_tick(ngx_kong_map_t *map, ngx_shm_zone_t *zone,
    ngx_log_t *log);


/* endpoints/ */

ngx_int_t ngx_http_kong_status_handler(ngx_http_request_t *r);
/* NGX_DECLINED for GET and HEAD, else the answer has been sent: returns as a
 * handler.  `allow` lists the methods */
ngx_int_t ngx_http_kong_status_method(ngx_http_request_t *r,
    const char *allow);
/* headers of all that is answered here */
ngx_int_t ngx_http_kong_status_headers(ngx_http_request_t *r);
/* private bytes of a worker; 0: it is gone */
size_t ngx_http_kong_status_memory_of(ngx_pid_t pid);
ngx_int_t ngx_http_kong_metrics_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_kong_control_handler(ngx_http_request_t *r);
/* the control socket's /health */
ngx_int_t ngx_http_kong_health_get(ngx_http_request_t *r);
ngx_int_t ngx_http_kong_health_post(ngx_http_request_t *r);
/* what the endpoints answer with: a whole body, or none (NULL).  `type` is not
 * copied */
ngx_int_t ngx_http_kong_endpoint_send(ngx_http_request_t *r,
    ngx_uint_t status, const char *type, ngx_buf_t *b);
/* a word up to `stop` or the end, and what comes behind both */
u_char *ngx_http_kong_endpoint_word(u_char *p, u_char *last, u_char stop,
    ngx_str_t *word);
/* the control socket's /counters */
ngx_int_t ngx_http_kong_ledger_handler(ngx_http_request_t *r);
/* the Admin API of proxy-cache: this node's cache */
ngx_int_t ngx_http_kong_cache_handler(ngx_http_request_t *r);
/* the control socket's /purge: what another node was asked to */
ngx_int_t ngx_http_kong_cache_control(ngx_http_request_t *r);
/* removes unix sockets that a killed nginx left behind; remembers those of
 * servers with kong_control */
ngx_int_t ngx_http_kong_control_init(ngx_conf_t *cf);
/* once they are open: they are their owner's alone */
void ngx_http_kong_control_close(ngx_http_kong_main_conf_t *mcf,
    ngx_cycle_t *cycle);

#endif
