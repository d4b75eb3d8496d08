/*
 * What the Lua of custom_fields_by_lua sees: the functions of Kong's sandbox,
 * and of `kong` and `ngx` those that read a request.  All tables but its own
 * are read-only, so that nothing one record sets is in the next.
 */

#include "ngx_kong_log_lua.h"
#include "ngx_kong_log_record.h"
#include "../snapshot/kong_texts.h"


#define ngx_kong_log_env_ctx(r)                                               \
    ((ngx_http_kong_ctx_t *) ngx_http_get_module_ctx(r, ngx_http_kong_module))

typedef struct {
    const char        *name;             /* "kong.request"; NULL: of the
                                            environment itself */
    lua_CFunction      open;             /* a library to take them from */
    const char *const *names;            /* NULL-ended */
    const luaL_Reg    *functions;
} ngx_kong_log_lib_t;


static void ngx_kong_log_env_lib(lua_State *L, const ngx_kong_log_lib_t *lib);
static void ngx_kong_log_env_dynamic(lua_State *L, lua_CFunction f);
static void ngx_kong_log_env_guard(lua_State *L);
static int ngx_kong_log_env_refuse(lua_State *L);
static void ngx_kong_log_env_text(lua_State *L, ngx_str_t *text);
static const char *ngx_kong_log_env_value(lua_State *L, const char *p);
static const char *ngx_kong_log_env_string(lua_State *L, const char *p);
static void ngx_kong_log_env_utf8(luaL_Buffer *b, unsigned c);


/* kong.request */

static int
ngx_kong_log_env_scheme(lua_State *L)
{
#if (NGX_HTTP_SSL)
    lua_pushstring(L, ngx_kong_log_lua_request()->connection->ssl ? "https"
                                                                   : "http");
#else
    lua_pushliteral(L, "http");
#endif
    return 1;
}


static int
ngx_kong_log_env_host(lua_State *L)
{
    ngx_kong_log_env_text(L,
                          ngx_http_kong_server_name(
                              ngx_kong_log_lua_request()));
    return 1;
}


static int
ngx_kong_log_env_port(lua_State *L)
{
    lua_pushinteger(L, ngx_kong_log_env_ctx(ngx_kong_log_lua_request())->port);
    return 1;
}


static int
ngx_kong_log_env_version(lua_State *L)
{
    ngx_uint_t  version;

    version = ngx_kong_log_lua_request()->http_version;
    lua_pushnumber(L, (version / 1000) + (version % 1000) / 10.0);
    return 1;
}


static int
ngx_kong_log_env_method(lua_State *L)
{
    ngx_http_request_t   *r;
    ngx_http_kong_ctx_t  *ctx;

    r = ngx_kong_log_lua_request();
    ctx = ngx_kong_log_env_ctx(r);
    ngx_kong_log_env_text(L, ctx->method.len ? &ctx->method
                                             : &r->method_name);
    return 1;
}


static int
ngx_kong_log_env_path(lua_State *L)
{
    ngx_kong_log_env_text(L, &ngx_kong_log_env_ctx(
                                 ngx_kong_log_lua_request())->path);
    return 1;
}


static int
ngx_kong_log_env_raw_path(lua_State *L)
{
    ngx_str_t  raw;

    ngx_http_kong_raw_path(ngx_kong_log_lua_request(), &raw);
    ngx_kong_log_env_text(L, &raw);
    return 1;
}


static int
ngx_kong_log_env_uri(lua_State *L)
{
    ngx_kong_log_env_text(L, &ngx_kong_log_lua_request()->unparsed_uri);
    return 1;
}


static ngx_str_t *
ngx_kong_log_env_args(void)
{
    ngx_http_request_t   *r;
    ngx_http_kong_ctx_t  *ctx;

    r = ngx_kong_log_lua_request();
    ctx = ngx_kong_log_env_ctx(r);

    return ctx->has_args ? &ctx->args : &r->args;
}


static int
ngx_kong_log_env_raw_query(lua_State *L)
{
    ngx_kong_log_env_text(L, ngx_kong_log_env_args());
    return 1;
}


/* a JSON object that one of the record's writers has made, as a table */
static int
ngx_kong_log_env_object(lua_State *L,
    void (*write)(ngx_http_request_t *r, ngx_kong_log_json_t *json))
{
    static ngx_kong_log_json_t  json;

    ngx_kong_log_json_clear(&json);
    ngx_kong_log_json_put(&json, "{");
    write(ngx_kong_log_lua_request(), &json);
    ngx_kong_log_json_close(&json, '}');

    if (json.failed) {
        return luaL_error(L, "not enough memory");
    }

    ngx_kong_log_env_json(L, (char *) json.data, json.len);

    return 1;
}


static void
ngx_kong_log_env_write_query(ngx_http_request_t *r, ngx_kong_log_json_t *json)
{
    ngx_kong_log_query(r, ngx_kong_log_env_args(), json);
}


static int
ngx_kong_log_env_query(lua_State *L)
{
    return ngx_kong_log_env_object(L, ngx_kong_log_env_write_query);
}


static int
ngx_kong_log_env_query_arg(lua_State *L)
{
    luaL_checkstring(L, 1);
    (void) ngx_kong_log_env_object(L, ngx_kong_log_env_write_query);
    lua_pushvalue(L, 1);
    lua_rawget(L, -2);

    if (lua_istable(L, -1)) {
        lua_rawgeti(L, -1, 1);
    }

    return 1;
}


static int
ngx_kong_log_env_headers(lua_State *L)
{
    return ngx_kong_log_env_object(L, ngx_kong_log_headers_in);
}


static int
ngx_kong_log_env_resp_headers(lua_State *L)
{
    return ngx_kong_log_env_object(L, ngx_kong_log_headers_out);
}


/* the name in lower case, "_" as "-", into out */
static size_t
ngx_kong_log_env_name(lua_State *L, u_char *out, size_t size)
{
    size_t       i, len;
    const char  *name;

    name = luaL_checklstring(L, 1, &len);
    len = ngx_min(len, size);

    for (i = 0; i < len; i++) {
        out[i] = (name[i] == '_') ? '-' : ngx_tolower(name[i]);
    }

    return len;
}


static int
ngx_kong_log_env_header(lua_State *L)
{
    size_t            len;
    u_char            name[256];
    ngx_table_elt_t  *h;

    len = ngx_kong_log_env_name(L, name, sizeof(name));
    h = ngx_kong_header_in(ngx_kong_log_lua_request(), (char *) name, len);

    if (h == NULL) {
        return 0;
    }

    ngx_kong_log_env_text(L, &h->value);

    return 1;
}


/* through the list: what nginx has beside it is in there, too */
static int
ngx_kong_log_env_resp_header(lua_State *L)
{
    size_t  len;
    u_char  name[256];

    len = ngx_kong_log_env_name(L, name, sizeof(name));
    (void) ngx_kong_log_env_object(L, ngx_kong_log_headers_out);
    lua_pushlstring(L, (char *) name, len);
    lua_rawget(L, -2);

    if (lua_istable(L, -1)) {
        lua_rawgeti(L, -1, 1);
    }

    return 1;
}


static int
ngx_kong_log_env_start(lua_State *L)
{
    ngx_http_request_t  *r;

    r = ngx_kong_log_lua_request();
    lua_pushnumber(L, (lua_Number) r->start_sec * 1000 + r->start_msec);

    return 1;
}


static int
ngx_kong_log_env_start_time(lua_State *L)
{
    (void) ngx_kong_log_env_start(L);
    lua_pushnumber(L, lua_tonumber(L, -1) / 1000);

    return 1;
}


static int
ngx_kong_log_env_id(lua_State *L)
{
    ngx_http_request_t   *r;
    ngx_http_kong_ctx_t  *ctx;

    r = ngx_kong_log_lua_request();
    ctx = ngx_kong_log_env_ctx(r);
    ngx_http_kong_request_id(r, ctx);
    lua_pushlstring(L, (char *) ctx->request_id, sizeof(ctx->request_id));

    return 1;
}


/* kong.response, kong.service.response */

static int
ngx_kong_log_env_status(lua_State *L)
{
    lua_pushinteger(L,
                    (int) ngx_http_kong_status(ngx_kong_log_lua_request()));
    return 1;
}


static int
ngx_kong_log_env_source(lua_State *L)
{
    ngx_http_request_t   *r;
    ngx_http_kong_ctx_t  *ctx;

    r = ngx_kong_log_lua_request();
    ctx = ngx_kong_log_env_ctx(r);

    if (ngx_http_kong_from_service(r, ctx)) {
        lua_pushliteral(L, "service");

    } else if (ctx->answered) {
        lua_pushliteral(L, "exit");

    } else {
        lua_pushliteral(L, "error");
    }

    return 1;
}


static int
ngx_kong_log_env_service_status(lua_State *L)
{
    ngx_http_request_t         *r;
    ngx_http_upstream_state_t  *state;

    r = ngx_kong_log_lua_request();

    if (r->upstream_states == NULL || r->upstream_states->nelts == 0) {
        return 0;
    }

    state = r->upstream_states->elts;
    state += r->upstream_states->nelts - 1;
    lua_pushinteger(L, (int) state->status);

    return 1;
}


static int
ngx_kong_log_env_service_header(lua_State *L)
{
    size_t                len;
    u_char                name[256];
    ngx_uint_t            i;
    ngx_list_part_t      *part;
    ngx_table_elt_t      *h;
    ngx_http_upstream_t  *u;

    len = ngx_kong_log_env_name(L, name, sizeof(name));
    u = ngx_kong_log_lua_request()->upstream;

    if (u == NULL || u->headers_in.headers.part.elts == NULL) {
        return 0;
    }

    for (part = &u->headers_in.headers.part; part != NULL; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, name, len) == 0)
            {
                ngx_kong_log_env_text(L, &h[i].value);
                return 1;
            }
        }
    }

    return 0;
}


/* kong.client, kong.router */

static int
ngx_kong_log_env_ip(lua_State *L)
{
    ngx_str_t  peer;

    if (ngx_http_kong_peer_text(ngx_kong_log_lua_request(), &peer)
        != NGX_OK)
    {
        return 0;
    }

    ngx_kong_log_env_text(L, &peer);

    return 1;
}


static int
ngx_kong_log_env_forwarded_ip(lua_State *L)
{
    ngx_kong_log_env_text(L,
                          &ngx_kong_log_lua_request()->connection->addr_text);
    return 1;
}


static int
ngx_kong_log_env_client_port(lua_State *L)
{
    lua_pushinteger(L, ngx_inet_get_port(
                           ngx_kong_log_lua_request()->connection->sockaddr));
    return 1;
}


static int
ngx_kong_log_env_entity(lua_State *L, kong_str_t text)
{
    if (text.len == 0) {
        return 0;
    }

    ngx_kong_log_env_json(L, text.data, text.len);

    return 1;
}


static int
ngx_kong_log_env_consumer(lua_State *L)
{
    ngx_http_kong_ctx_t   *ctx;
    const kong_segment_t  *seg;

    ctx = ngx_kong_log_env_ctx(ngx_kong_log_lua_request());

    if (ctx->generation == NULL || ctx->consumer == KONG_NONE) {
        return 0;
    }

    seg = &ctx->generation->config->seg;

    return ngx_kong_log_env_entity(L, kong_segment_str(seg,
                                   kong_texts(seg, ctx->consumer).consumer));
}


static int
ngx_kong_log_env_credential(lua_State *L)
{
    char                  id[37];
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_kong_log_env_ctx(ngx_kong_log_lua_request());

    if (ctx->credential == NULL) {
        return 0;
    }

    kong_uuid_text(ctx->credential->id, id);
    lua_newtable(L);
    lua_pushstring(L, id);
    lua_setfield(L, -2, "id");

    return 1;
}


static int
ngx_kong_log_env_route(lua_State *L)
{
    ngx_http_kong_ctx_t   *ctx;
    const kong_segment_t  *seg;

    ctx = ngx_kong_log_env_ctx(ngx_kong_log_lua_request());

    if (ctx->route == NULL) {
        return 0;
    }

    seg = &ctx->generation->config->seg;

    return ngx_kong_log_env_entity(L, kong_segment_str(seg,
                                   kong_texts(seg, ctx->route - seg->routes)
                                   .route));
}


static int
ngx_kong_log_env_service(lua_State *L)
{
    ngx_http_kong_ctx_t   *ctx;
    const kong_segment_t  *seg;

    ctx = ngx_kong_log_env_ctx(ngx_kong_log_lua_request());

    if (ctx->service == NULL) {
        return 0;
    }

    seg = &ctx->generation->config->seg;

    return ngx_kong_log_env_entity(L, kong_segment_str(seg,
                                   kong_texts(seg,
                                              ctx->service - seg->services)
                                   .service));
}


/* ngx */

static int
ngx_kong_log_env_now(lua_State *L)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();
    lua_pushnumber(L, tp->sec + tp->msec / 1000.0);

    return 1;
}


static int
ngx_kong_log_env_time(lua_State *L)
{
    lua_pushnumber(L, (lua_Number) ngx_time());
    return 1;
}


/* members of `ngx` that are no functions */
static int
ngx_kong_log_env_ngx(lua_State *L)
{
    if (lua_type(L, 2) == LUA_TSTRING
        && ngx_strcmp(lua_tostring(L, 2), "status") == 0)
    {
        return ngx_kong_log_env_status(L);
    }

    return 0;
}


/* ngx.var: nginx's variables */
static int
ngx_kong_log_env_var(lua_State *L)
{
    size_t                      i, len;
    u_char                      lower[256];
    ngx_str_t                   name;
    const char                 *text;
    ngx_http_variable_value_t  *vv;

    if (lua_type(L, 2) != LUA_TSTRING) {
        return 0;
    }

    text = lua_tolstring(L, 2, &len);

    if (len > sizeof(lower)) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        lower[i] = ngx_tolower(text[i]);
    }

    name.data = lower;
    name.len = len;

    vv = ngx_http_get_variable(ngx_kong_log_lua_request(), &name,
                               ngx_hash_key(lower, len));

    if (vv == NULL || vv->not_found || !vv->valid) {
        return 0;
    }

    lua_pushlstring(L, (char *) vv->data, vv->len);

    return 1;
}


static const char *const  ngx_kong_log_env_base[] = {
    "assert", "error", "ipairs", "next", "pairs", "pcall", "select",
    "tonumber", "tostring", "type", "unpack", NULL
};

static const char *const  ngx_kong_log_env_math[] = {
    "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "deg",
    "exp", "floor", "fmod", "frexp", "huge", "ldexp", "log", "log10", "max",
    "min", "modf", "pi", "pow", "rad", "random", "sin", "sinh", "sqrt", "tan",
    "tanh", NULL
};

static const char *const  ngx_kong_log_env_tables[] = {
    "insert", "maxn", "remove", "sort", "concat", NULL
};

static const char *const  ngx_kong_log_env_os[] = {
    "clock", "date", "difftime", "time", NULL
};

static const luaL_Reg  ngx_kong_log_env_request[] = {
    { "get_forwarded_host", ngx_kong_log_env_host },
    { "get_forwarded_port", ngx_kong_log_env_port },
    { "get_forwarded_scheme", ngx_kong_log_env_scheme },
    { "get_header", ngx_kong_log_env_header },
    { "get_headers", ngx_kong_log_env_headers },
    { "get_host", ngx_kong_log_env_host },
    { "get_http_version", ngx_kong_log_env_version },
    { "get_id", ngx_kong_log_env_id },
    { "get_method", ngx_kong_log_env_method },
    { "get_path", ngx_kong_log_env_path },
    { "get_path_with_query", ngx_kong_log_env_uri },
    { "get_port", ngx_kong_log_env_port },
    { "get_query", ngx_kong_log_env_query },
    { "get_query_arg", ngx_kong_log_env_query_arg },
    { "get_raw_path", ngx_kong_log_env_raw_path },
    { "get_raw_query", ngx_kong_log_env_raw_query },
    { "get_scheme", ngx_kong_log_env_scheme },
    { "get_start_time", ngx_kong_log_env_start },
    { NULL, NULL }
};

static const luaL_Reg  ngx_kong_log_env_response[] = {
    { "get_header", ngx_kong_log_env_resp_header },
    { "get_headers", ngx_kong_log_env_resp_headers },
    { "get_source", ngx_kong_log_env_source },
    { "get_status", ngx_kong_log_env_status },
    { NULL, NULL }
};

static const luaL_Reg  ngx_kong_log_env_service_response[] = {
    { "get_header", ngx_kong_log_env_service_header },
    { "get_status", ngx_kong_log_env_service_status },
    { NULL, NULL }
};

static const luaL_Reg  ngx_kong_log_env_client[] = {
    { "get_consumer", ngx_kong_log_env_consumer },
    { "get_credential", ngx_kong_log_env_credential },
    { "get_forwarded_ip", ngx_kong_log_env_forwarded_ip },
    { "get_ip", ngx_kong_log_env_ip },
    { "get_port", ngx_kong_log_env_client_port },
    { NULL, NULL }
};

static const luaL_Reg  ngx_kong_log_env_router[] = {
    { "get_route", ngx_kong_log_env_route },
    { "get_service", ngx_kong_log_env_service },
    { NULL, NULL }
};

static const luaL_Reg  ngx_kong_log_env_req[] = {
    { "get_headers", ngx_kong_log_env_headers },
    { "get_method", ngx_kong_log_env_method },
    { "get_uri_args", ngx_kong_log_env_query },
    { "http_version", ngx_kong_log_env_version },
    { "start_time", ngx_kong_log_env_start_time },
    { NULL, NULL }
};

static const luaL_Reg  ngx_kong_log_env_resp[] = {
    { "get_headers", ngx_kong_log_env_resp_headers },
    { NULL, NULL }
};

static const luaL_Reg  ngx_kong_log_env_times[] = {
    { "now", ngx_kong_log_env_now },
    { "time", ngx_kong_log_env_time },
    { NULL, NULL }
};

/* what is inside of another comes first */
static const ngx_kong_log_lib_t  ngx_kong_log_libs[] = {
    { NULL, luaopen_base, ngx_kong_log_env_base, NULL },
    { "math", luaopen_math, ngx_kong_log_env_math, NULL },
    { "table", luaopen_table, ngx_kong_log_env_tables, NULL },
    { "os", luaopen_os, ngx_kong_log_env_os, NULL },
    { "kong.request", NULL, NULL, ngx_kong_log_env_request },
    { "kong.response", NULL, NULL, ngx_kong_log_env_response },
    { "kong.service.response", NULL, NULL,
      ngx_kong_log_env_service_response },
    { "kong.client", NULL, NULL, ngx_kong_log_env_client },
    { "kong.router", NULL, NULL, ngx_kong_log_env_router },
    { "ngx.req", NULL, NULL, ngx_kong_log_env_req },
    { "ngx.resp", NULL, NULL, ngx_kong_log_env_resp },
    { "ngx", NULL, NULL, ngx_kong_log_env_times }
};


void
ngx_kong_log_env(lua_State *L)
{
    int     env;
    size_t  i;

    lua_newtable(L);
    env = lua_gettop(L);

    for (i = 0; i < sizeof(ngx_kong_log_libs) / sizeof(ngx_kong_log_lib_t);
         i++)
    {
        lua_pushvalue(L, env);
        ngx_kong_log_env_lib(L, &ngx_kong_log_libs[i]);
        lua_pop(L, 1);
    }

    ngx_kong_lua_string(L);
    lua_setfield(L, env, "string");

    lua_getfield(L, env, "ngx");
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    ngx_kong_log_env_dynamic(L, ngx_kong_log_env_ngx);
    lua_newtable(L);
    ngx_kong_log_env_dynamic(L, ngx_kong_log_env_var);
    lua_setfield(L, -2, "var");
    lua_pop(L, 1);

    lua_pushvalue(L, env);
    ngx_kong_log_env_guard(L);

    /* the globals that the libraries have made are nobody's */

    lua_newtable(L);
    lua_replace(L, LUA_GLOBALSINDEX);

    lua_newtable(L);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}


/* what the table on the top has not, the function makes */
static void
ngx_kong_log_env_dynamic(lua_State *L, lua_CFunction f)
{
    lua_newtable(L);
    lua_pushcfunction(L, f);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}


/* into the table on the top */
static void
ngx_kong_log_env_lib(lua_State *L, const ngx_kong_log_lib_t *lib)
{
    int                 at;
    const char         *p, *dot;
    const luaL_Reg     *f;
    const char *const  *name;

    at = lua_gettop(L);
    lua_pushvalue(L, at);

    for (p = lib->name; p != NULL; p = (*dot == '.') ? dot + 1 : NULL) {
        dot = p + strcspn(p, ".");

        lua_pushlstring(L, p, dot - p);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);

        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            lua_newtable(L);
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_rawset(L, -5);
        }

        lua_replace(L, at + 1);
        lua_settop(L, at + 1);
    }

    if (lib->open != NULL) {
        lua_pushcfunction(L, lib->open);
        lua_pushstring(L, lib->name ? lib->name : "");
        lua_call(L, 1, 0);

        if (lib->name != NULL) {
            lua_getglobal(L, lib->name);

        } else {
            lua_pushvalue(L, LUA_GLOBALSINDEX);
        }

        for (name = lib->names; *name != NULL; name++) {
            lua_getfield(L, -1, *name);
            lua_setfield(L, at + 1, *name);
        }
    }

    for (f = lib->functions; f != NULL && f->name != NULL; f++) {
        lua_pushcfunction(L, f->func);
        lua_setfield(L, at + 1, f->name);
    }

    lua_settop(L, at);
}


/* replaces the table on the top, and those in it, by what can be read only */
static void
ngx_kong_log_env_guard(lua_State *L)
{
    int  from;

    from = lua_gettop(L);

    for (lua_pushnil(L); lua_next(L, from) != 0; lua_pop(L, 1)) {
        if (lua_istable(L, -1)) {
            ngx_kong_log_env_guard(L);
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_rawset(L, from);
        }
    }

    lua_newtable(L);
    lua_newtable(L);
    lua_pushvalue(L, from);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, ngx_kong_log_env_refuse);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_replace(L, from);
}


static int
ngx_kong_log_env_refuse(lua_State *L)
{
    return luaL_error(L, "this table is read-only");
}


static void
ngx_kong_log_env_text(lua_State *L, ngx_str_t *text)
{
    lua_pushlstring(L, text->len ? (char *) text->data : "", text->len);
}


/* of what this module has written itself: it is well-formed, and NUL-ended
 * or followed by something that ends a value */
void
ngx_kong_log_env_json(lua_State *L, const char *text, size_t len)
{
    char  *copy;

    /* a copy with its end, which Lua collects */

    copy = lua_newuserdata(L, len + 1);
    ngx_memcpy(copy, text, len);
    copy[len] = '\0';

    (void) ngx_kong_log_env_value(L, copy);
    lua_remove(L, -2);
}


static const char *
ngx_kong_log_env_value(lua_State *L, const char *p)
{
    int          i;
    char        *end;
    lua_Number   n;

    luaL_checkstack(L, 4, "too many levels");

    switch (*p) {

    case '"':
        return ngx_kong_log_env_string(L, p);

    case '{':
        lua_newtable(L);

        for (p++; *p != '}' && *p != '\0'; p += (*p == ',')) {
            p = ngx_kong_log_env_string(L, p);
            p = ngx_kong_log_env_value(L, p + 1);
            lua_rawset(L, -3);
        }

        return p + (*p != '\0');

    case '[':
        lua_newtable(L);

        for (p++, i = 1; *p != ']' && *p != '\0'; p += (*p == ','), i++) {
            p = ngx_kong_log_env_value(L, p);
            lua_rawseti(L, -2, i);
        }

        return p + (*p != '\0');

    case 't':
        lua_pushboolean(L, 1);
        return p + 4;

    case 'f':
        lua_pushboolean(L, 0);
        return p + 5;

    case 'n':
        lua_pushnil(L);
        return p + 4;
    }

    n = strtod(p, &end);

    if (end == p) {
        luaL_error(L, "no JSON");
    }

    lua_pushnumber(L, n);

    return end;
}


static const char *
ngx_kong_log_env_string(lua_State *L, const char *p)
{
    char         hex[5];
    const char  *at;
    luaL_Buffer  b;

    static const char  names[] = "\"\\/bfnrt";
    static const char  chars[] = "\"\\/\b\f\n\r\t";

    luaL_buffinit(L, &b);

    for (p++; *p != '"' && *p != '\0'; p++) {

        if (*p != '\\') {
            luaL_addchar(&b, *p);
            continue;
        }

        p++;

        if (*p == 'u' && strlen(p) > 4) {
            ngx_memcpy(hex, p + 1, 4);
            hex[4] = '\0';
            ngx_kong_log_env_utf8(&b, (unsigned) strtoul(hex, NULL, 16));
            p += 4;
            continue;
        }

        at = (*p != '\0') ? strchr(names, *p) : NULL;

        if (at == NULL) {
            luaL_error(L, "no JSON");
            return p;
        }

        luaL_addchar(&b, chars[at - names]);
    }

    luaL_pushresult(&b);

    return p + (*p != '\0');
}


static void
ngx_kong_log_env_utf8(luaL_Buffer *b, unsigned c)
{
    if (c < 0x80) {
        luaL_addchar(b, (char) c);
        return;
    }

    if (c < 0x800) {
        luaL_addchar(b, (char) (0xc0 | c >> 6));

    } else {
        luaL_addchar(b, (char) (0xe0 | c >> 12));
        luaL_addchar(b, (char) (0x80 | ((c >> 6) & 0x3f)));
    }

    luaL_addchar(b, (char) (0x80 | (c & 0x3f)));
}
