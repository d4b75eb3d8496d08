/*
 * entities: see entities.h.  Everything read here has passed the schema
 * walker; a missing field is read as its default all the same.
 */

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH  8
#include <pcre2.h>

#include "entities.h"


typedef struct {
    const char  *name;
    uint8_t      bit;
    uint16_t     port;               /* left out of the Host header */
} entity_proto_t;


static uint32_t entity_text(writer_t *w, const value_t *v, const char *key);
static void entity_address(kong_service_t *s, const char *host, size_t len);
static uint32_t entity_host_header(arena_t *a, writer_t *w,
    const value_t *host, const kong_service_t *s);
static const kong_str_t *entity_list(arena_t *a, const value_t *v,
    uint32_t *n);
static int entity_headers(arena_t *a, const value_t *route,
    route_rule_t *rule, const char **err);
static const char *entity_regex_error(arena_t *a, const kong_str_t *value);


static const entity_proto_t  entity_protos[] = {
    { "http", KONG_PROTO_HTTP, 80 },
    { "https", KONG_PROTO_HTTPS, 443 },
    { "grpc", KONG_PROTO_GRPC, 80 },
    { "grpcs", KONG_PROTO_GRPCS, 443 },
    { "tcp", KONG_PROTO_TCP, 0 },
    { "tls", KONG_PROTO_TLS, 0 },
    { "tls_passthrough", KONG_PROTO_TLS_PASSTHROUGH, 0 },
    { "udp", KONG_PROTO_UDP, 0 },
    { NULL, 0, 0 }
};


const char *
entity_name(arena_t *a, const char *kind, const value_t *v)
{
    const char  *name, *id;

    name = value_cstr(value_get(v, "name"));
    id = value_cstr(value_get(v, "id"));

    if (name != NULL) {
        return arena_printf(a, "%s '%s'", kind, name);
    }

    return arena_printf(a, "%s (id %s)", kind, id ? id : "unknown");
}


int
entity_id(const value_t *v, uint8_t id[16])
{
    const value_t  *text;

    text = value_get(v, "id");

    if (text == NULL || text->kind != VALUE_STRING) {
        return -1;
    }

    return kong_uuid_parse(text->u.string, text->len, id);
}


unsigned
entity_is_plain(const value_t *v)
{
    char            c;
    size_t          i;
    unsigned        seen;
    const value_t  *text;

    text = value_get(v, "id");

    if (text == NULL || text->kind != VALUE_STRING) {
        return 1;
    }

    for (i = 0, seen = 0; i < text->len; i++) {
        c = text->u.string[i];

        if (c >= 'A' && c <= 'F') {
            return 0;
        }

        seen |= (c != '0' && c != '-');
    }

    return seen;
}


unsigned
entity_flag(const value_t *v, const char *key, unsigned def)
{
    const value_t  *flag;

    flag = value_get(v, key);

    return (flag != NULL && flag->kind == VALUE_BOOL) ? flag->u.boolean : def;
}


unsigned
entity_is_served(const kong_route_t *r, const kong_service_t *s)
{
    return (r->protocols & ENTITY_HTTP)
           && (s == NULL || (s->protocol & ENTITY_HTTP));
}


uint32_t
entities_flags(const config_t *c)
{
    size_t  i;

    for (i = 0; i < c->n_tables; i++) {
        if (c->tables[i].n != 0) {
            return 0;
        }
    }

    return KONG_SEGMENT_F_EMPTY;
}


static double
entity_number(const value_t *v, const char *key, double min, double max,
    double def)
{
    const value_t  *n;

    n = value_get(v, key);

    if (n == NULL || n->kind != VALUE_NUMBER) {
        return def;
    }

    return (n->u.number < min) ? min : (n->u.number > max) ? max
                                                           : n->u.number;
}


static const entity_proto_t *
entity_proto(const value_t *v)
{
    const entity_proto_t  *p;

    for (p = entity_protos; p->name != NULL; p++) {
        if (value_str_eq(v, p->name)) {
            return p;
        }
    }

    return NULL;
}


int
entity_service(arena_t *a, writer_t *w, const value_t *v, kong_service_t *s,
    const char **err)
{
    const value_t         *host, *verify;
    const entity_proto_t  *proto;

    host = value_get(v, "host");
    proto = entity_proto(value_get(v, "protocol"));

    if (entity_id(v, s->id) != 0 || host == NULL
        || host->kind != VALUE_STRING)
    {
        *err = arena_printf(a, "%s has no id or no host",
                            entity_name(a, "service", v));
        return -1;
    }

    s->name = entity_text(w, v, "name");
    s->path = entity_text(w, v, "path");
    s->host = writer_string(w, host->u.string, host->len);
    s->protocol = proto ? proto->bit : KONG_PROTO_HTTP;
    s->port = (uint16_t) entity_number(v, "port", 0, UINT16_MAX, 80);
    s->retries = (uint16_t) entity_number(v, "retries", 0, 32767, 5);

    s->connect_timeout = (uint32_t) entity_number(v, "connect_timeout", 1,
                                                  INT32_MAX, 60000);
    s->send_timeout = (uint32_t) entity_number(v, "write_timeout", 1,
                                               INT32_MAX, 60000);
    s->read_timeout = (uint32_t) entity_number(v, "read_timeout", 1,
                                               INT32_MAX, 60000);

    verify = value_get(v, "tls_verify");

    if (verify != NULL && verify->kind == VALUE_BOOL) {
        s->flags |= verify->u.boolean ? KONG_SERVICE_TLS_VERIFY
                                      : KONG_SERVICE_TLS_NOVERIFY;
    }

    s->tls_verify_depth = (uint8_t) entity_number(v, "tls_verify_depth", 0,
                                                  64, UINT8_MAX);
    s->client_certificate = KONG_NONE;

    entity_address(s, host->u.string, host->len);
    s->host_header = entity_host_header(a, w, host, s);

    if (!(s->flags & KONG_SERVICE_ADDRESS)) {
        s->endpoint = kong_endpoint_key(host->u.string, host->len);
    }

    return 0;
}


static uint32_t
entity_text(writer_t *w, const value_t *v, const char *key)
{
    const value_t  *text;

    text = value_get(v, key);

    if (text == NULL || text->kind != VALUE_STRING) {
        return 0;
    }

    return writer_string(w, text->u.string, text->len);
}


/* "[::1]" and "::1" are the same address */
static void
entity_address(kong_service_t *s, const char *host, size_t len)
{
    char  text[INET6_ADDRSTRLEN];

    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }

    if (len >= sizeof(text)) {
        return;
    }

    memcpy(text, host, len);
    text[len] = '\0';

    if (inet_pton(AF_INET, text, s->addr) == 1) {
        s->flags |= KONG_SERVICE_ADDRESS;

    } else if (inet_pton(AF_INET6, text, s->addr) == 1) {
        s->flags |= KONG_SERVICE_ADDRESS | KONG_SERVICE_IPV6;
    }
}


static uint32_t
entity_host_header(arena_t *a, writer_t *w, const value_t *host,
    const kong_service_t *s)
{
    char                  *text;
    const entity_proto_t  *p;

    for (p = entity_protos; p->bit != s->protocol; p++) {
        /* void */
    }

    if ((s->flags & KONG_SERVICE_IPV6) && host->u.string[0] != '[') {
        text = arena_printf(a, "[%s]", host->u.string);

    } else {
        text = arena_strndup(a, host->u.string, host->len);
    }

    if (s->port != p->port) {
        text = arena_printf(a, "%s:%u", text, s->port);
    }

    return writer_string(w, text, strlen(text));
}


int
entity_route(arena_t *a, writer_t *w, const value_t *v, uint32_t service,
    kong_route_t *r, const char **err)
{
    size_t                 i;
    const value_t         *list, *name;
    const entity_proto_t  *proto;

    if (entity_id(v, r->id) != 0) {
        *err = arena_printf(a, "%s has no id", entity_name(a, "route", v));
        return -1;
    }

    /* names are unique: nothing to be shared */

    name = value_get(v, "name");

    if (name != NULL && name->kind == VALUE_STRING) {
        r->name = writer_new_string(w, name->u.string, name->len);
    }

    r->service = service;
    r->redirect = (uint16_t) entity_number(v, "https_redirect_status_code",
                                           100, 599, 426);
    list = value_get(v, "protocols");

    for (i = 0; value_at(list, i) != NULL; i++) {
        proto = entity_proto(value_at(list, i));
        r->protocols |= proto ? proto->bit : 0;
    }

    if (i == 0) {
        r->protocols = KONG_PROTO_HTTP | KONG_PROTO_HTTPS;
    }

    r->flags = (uint8_t) (
        (entity_flag(v, "strip_path", 1) ? KONG_ROUTE_STRIP_PATH : 0)
        | (entity_flag(v, "preserve_host", 0) ? KONG_ROUTE_PRESERVE_HOST : 0)
        | (entity_flag(v, "request_buffering", 1)
           ? KONG_ROUTE_REQUEST_BUFFERING : 0)
        | (entity_flag(v, "response_buffering", 1)
           ? KONG_ROUTE_RESPONSE_BUFFERING : 0));

    return 0;
}


int
entity_rule(arena_t *a, const value_t *v, const kong_route_t *r,
    uint32_t number, route_rule_t *rule, const char **err)
{
    const value_t  *hosts;

    memset(rule, 0, sizeof(route_rule_t));
    memcpy(rule->id, r->id, sizeof(rule->id));

    hosts = value_get(v, "hosts");

    rule->route = number;
    rule->regex_priority = (int32_t) (uint32_t) (int64_t)
                           entity_number(v, "regex_priority", -0x1p51,
                                         0x1p51, 0);
    rule->has_hosts = (hosts != NULL && hosts->kind == VALUE_ARRAY);
    rule->hosts = entity_list(a, hosts, &rule->n_hosts);
    rule->paths = entity_list(a, value_get(v, "paths"), &rule->n_paths);
    rule->methods = entity_list(a, value_get(v, "methods"),
                                &rule->n_methods);
    rule->snis = entity_list(a, value_get(v, "snis"), &rule->n_snis);

    return entity_headers(a, v, rule, err);
}


/* the strings of an array; they are not copied */
static const kong_str_t *
entity_list(arena_t *a, const value_t *v, uint32_t *n)
{
    size_t          i;
    kong_str_t     *list;
    const value_t  *item;

    *n = 0;

    if (v == NULL || v->kind != VALUE_ARRAY || v->len == 0) {
        return NULL;
    }

    list = arena_alloc(a, v->len * sizeof(kong_str_t));

    for (i = 0; i < v->len; i++) {
        item = value_at(v, i);

        if (item->kind == VALUE_STRING) {
            list[*n].data = item->u.string;
            list[*n].len = item->len;
            *n += 1;
        }
    }

    return list;
}


static int
entity_headers(arena_t *a, const value_t *route, route_rule_t *rule,
    const char **err)
{
    uint32_t         i, j;
    const char      *problem;
    const value_t   *v;
    route_header_t  *h;
    member_t         m;

    v = value_get(route, "headers");

    if (v == NULL || v->kind != VALUE_OBJECT || v->len == 0) {
        return 0;
    }

    h = arena_zalloc(a, v->len * sizeof(route_header_t));
    rule->headers = h;
    rule->n_headers = v->len;

    for (i = 0; i < v->len; i++) {
        m = value_member(v, i);
        h[i].name.data = m.key;
        h[i].name.len = m.key_len;
        h[i].values = entity_list(a, m.value, &h[i].n_values);

        for (j = 0; j < h[i].n_values; j++) {
            problem = entity_regex_error(a, &h[i].values[j]);

            if (problem != NULL) {
                *err = arena_printf(a, "%s: header '%s': invalid regex "
                                    "'%s': %s",
                                    entity_name(a, "route", route), m.key,
                                    h[i].values[j].data + 2, problem);
                return -1;
            }
        }
    }

    return 0;
}


/* the schema checks the regexes of paths, but not these */
static const char *
entity_regex_error(arena_t *a, const kong_str_t *value)
{
    int          code;
    char        *text;
    size_t       i, len;
    PCRE2_SIZE   at;
    PCRE2_UCHAR  message[128];
    pcre2_code  *re;

    if (value->len < 2 || memcmp(value->data, "~*", 2) != 0) {
        return NULL;
    }

    len = value->len - 2;
    text = arena_strndup(a, value->data + 2, len);

    for (i = 0; i < len; i++) {
        if (text[i] >= 'A' && text[i] <= 'Z') {
            text[i] |= 0x20;
        }
    }

    re = pcre2_compile((PCRE2_SPTR) text, len, PCRE2_CASELESS, &code, &at,
                       NULL);
    if (re != NULL) {
        pcre2_code_free(re);
        return NULL;
    }

    pcre2_get_error_message(code, message, sizeof(message));

    return arena_printf(a, "%s at %lu", message, (unsigned long) at);
}
