/*
 * http_private: the server, for the files that serve it: http.c (a request's
 * way in), http_database.c (in a connection's thread), http_answer.c (its way
 * out).
 */

#ifndef KONG_ADMIN_HTTP_PRIVATE_H
#define KONG_ADMIN_HTTP_PRIVATE_H

#include "auth.h"
#include "debug.h"
#include "generation.h"


#define ADMIN_JSON  "application/json; charset=utf-8"


struct admin_s {
    struct event_base      *base;
    struct evhttp          *http;
    offload_t              *offload;
    admin_host_t            host;
    router_t               *router;
    char                   *path;
    database_t             *database;
    database_settings_t    *settings;
    waits_t                *waits;
    debug_t                *debug;
    auth_t                 *auth;
    const char             *origins;       /* admin_gui_url, or NULL */
    unsigned                queries;       /* at a time; 0: as many as fit */
    unsigned                server:1;      /* tokens of `headers` */
    unsigned                latency:1;
    unsigned                stopping:1;
};

#endif
