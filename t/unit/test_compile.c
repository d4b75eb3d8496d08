/*
 * test_compile: configurations to segments: which entities get in, what
 * their records hold, and what is refused with which sentence.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controld/compile/compile.h"
#include "controld/model/json.h"
#include "ngx_kong_module/snapshot/kong_match.h"


#define ID(n)  "00000000-0000-4000-8000-00000000000" n

typedef struct {
    config_t        *config;
    arena_t         *arena;
    segment_buf_t    buf;
    kong_segment_t   seg;
    const char      *err;
    int              rc;
} test_t;


/* entities as {"services":[...],"routes":[...]}, quotes as ' */
static void
compile(test_t *t, const char *text)
{
    char            *json;
    size_t           i, j;
    value_t          doc;
    compile_opts_t   opts = {
        .generation = 5,
        .created = 1000,
        .router_flavor = "traditional_compatible"
    };

    memset(t, 0, sizeof(*t));
    t->arena = arena_new();
    t->config = config_new();

    json = arena_strndup(t->config->arena, text, strlen(text));

    for (i = 0; json[i] != '\0'; i++) {
        json[i] = (json[i] == '\'') ? '"' : json[i];
    }

    if (json_parse(t->config->arena, json, i, &doc, &t->err) != 0) {
        fail_msg("%s", t->err);
    }

    for (i = 0; i < doc.len; i++) {
        for (j = 0; j < value_nth(&doc, i)->len; j++) {
            assert_int_equal(config_add(t->config, value_member(&doc, i).key,
                             value_at(value_nth(&doc, i), j)), 0);
        }
    }

    memset(t->config->hash, 'a', 32);
    t->rc = compile_config(t->arena, t->config, &opts, &t->buf, &t->err);

    if (t->rc == 0) {
        assert_int_equal(kong_segment_open(&t->seg, t->buf.data,
                                           t->buf.size, KONG_SEGMENT_CONFIG,
                                           KONG_SEGMENT_VERIFY), 0);
    }
}


static void
release(test_t *t)
{
    segment_buf_release(&t->buf);
    config_free(t->config);
    arena_free(t->arena);
}


static int
no_header(void *data, const kong_str_t *name, unsigned nth,
    kong_str_t *value)
{
    (void) data;
    (void) name;
    (void) nth;
    (void) value;

    return 0;
}


static int
no_regex(void *data, uint32_t index, const char *subject, size_t len,
    size_t from)
{
    (void) data;
    (void) index;
    (void) subject;
    (void) len;
    (void) from;

    return -1;
}


/* the name of the route that a GET is sent to, or "" */
static const char *
route(const test_t *t, const char *host, const char *path)
{
    kong_match_t      m;
    kong_match_req_t  req;

    memset(&req, 0, sizeof(req));
    req.host.data = host;
    req.host.len = strlen(host);
    req.path.data = path;
    req.path.len = strlen(path);
    req.method.data = "GET";
    req.method.len = 3;
    req.port = 80;
    req.header = no_header;
    req.regex = no_regex;

    if (!kong_match(&t->seg, &req, &m)) {
        return "";
    }

    return kong_segment_str(&t->seg, t->seg.routes[m.route].name).data;
}


static void
test_records(void **state)
{
    test_t                 t;
    const kong_route_t    *r;
    const kong_service_t  *s;

    (void) state;

    compile(&t,
        "{'services':[{'id':'" ID("1") "','name':'s1','host':'Up.Example',"
        "'port':8080,'protocol':'https','path':'/x','retries':7,"
        "'connect_timeout':1,'write_timeout':2,'read_timeout':3,"
        "'tls_verify':true,'tls_verify_depth':2,'enabled':true},"
        "{'id':'" ID("2") "','host':'::1','port':443,'protocol':'https',"
        "'tls_verify':false}],"
        "'routes':[{'id':'" ID("3") "','name':'r1','paths':['/a'],"
        "'protocols':['https'],'https_redirect_status_code':301,"
        "'strip_path':false,'preserve_host':true,'request_buffering':false,"
        "'response_buffering':true,'service':{'id':'" ID("1") "'}},"
        "{'id':'" ID("4") "','paths':['/b'],'service':null}]}");

    assert_int_equal(t.rc, 0);
    assert_int_equal(t.seg.header->generation, 5);
    assert_int_equal(t.seg.header->created, 1000);
    assert_int_equal(t.seg.header->n_routes, 2);
    assert_int_equal(t.seg.header->flags, 0);
    assert_memory_equal(t.seg.header->source_hash, t.config->hash, 32);

    s = &t.seg.services[0];
    assert_string_equal(kong_segment_str(&t.seg, s->name).data, "s1");
    assert_string_equal(kong_segment_str(&t.seg, s->host).data,
                        "Up.Example");
    assert_string_equal(kong_segment_str(&t.seg, s->path).data, "/x");
    assert_int_equal(s->retries, 7);
    assert_int_equal(s->connect_timeout, 1);
    assert_int_equal(s->send_timeout, 2);
    assert_int_equal(s->read_timeout, 3);
    assert_int_equal(s->flags, KONG_SERVICE_TLS_VERIFY);
    assert_int_equal(s->tls_verify_depth, 2);
    assert_int_equal(s->protocol, KONG_PROTO_HTTPS);
    assert_true(s->endpoint == kong_endpoint_key("up.example", 10));

    s = &t.seg.services[1];
    assert_int_equal(s->name, 0);
    assert_int_equal(s->path, 0);
    assert_int_equal(s->flags, KONG_SERVICE_ADDRESS | KONG_SERVICE_IPV6
                               | KONG_SERVICE_TLS_NOVERIFY);
    assert_int_equal(s->addr[15], 1);
    assert_int_equal(s->tls_verify_depth, 0xff);
    assert_int_equal(s->connect_timeout, 60000);
    assert_int_equal(s->retries, 5);

    r = &t.seg.routes[0];
    assert_int_equal(r->id[15], 3);
    assert_int_equal(r->service, 0);
    assert_int_equal(r->redirect, 301);
    assert_int_equal(r->protocols, KONG_PROTO_HTTPS);
    assert_int_equal(r->flags, KONG_ROUTE_PRESERVE_HOST
                               | KONG_ROUTE_RESPONSE_BUFFERING);
    assert_int_equal(t.seg.routes[1].service, KONG_NONE);

    release(&t);
}


static void
test_host_header(void **state)
{
    char    text[256];
    size_t  i;
    test_t  t;

    static const struct {
        const char  *protocol, *host, *out;
        int          port;
    } cases[] = {
        { "http", "a.com", "a.com", 80 },
        { "http", "a.com", "a.com:443", 443 },
        { "https", "a.com", "a.com", 443 },
        { "https", "a.com", "a.com:80", 80 },
        { "grpc", "a.com", "a.com", 80 },
        { "grpcs", "a.com", "a.com", 443 },
        { "grpc", "1.2.3.4", "1.2.3.4:9000", 9000 },
        { "http", "::1", "[::1]:81", 81 },
        { "http", "[::1]", "[::1]", 80 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "{'services':[{'id':'" ID("1") "',"
                 "'host':'%s','port':%d,'protocol':'%s'}]}", cases[i].host,
                 cases[i].port, cases[i].protocol);
        compile(&t, text);

        assert_int_equal(t.rc, 0);
        assert_string_equal(kong_segment_str(&t.seg,
                            t.seg.services[0].host_header).data,
                            cases[i].out);
        release(&t);
    }
}


static void
test_left_out(void **state)
{
    test_t  t;

    (void) state;

    compile(&t,
        "{'services':[{'id':'" ID("1") "','host':'a','enabled':false},"
        "{'id':'" ID("2") "','host':'a','protocol':'tcp'},"
        "{'id':'" ID("3") "','host':'a'}],"
        "'routes':[{'id':'" ID("4") "','name':'off','paths':['/off'],"
        "'service':{'id':'" ID("1") "'}},"
        "{'id':'" ID("5") "','name':'tcp','protocols':['tcp'],"
        "'snis':['x'],'service':{'id':'" ID("2") "'}},"
        "{'id':'" ID("6") "','name':'mixed','paths':['/mixed'],"
        "'service':{'id':'" ID("2") "'}},"
        "{'id':'" ID("7") "','name':'on','hosts':['ON.com'],"
        "'paths':['/on','/longer/one'],'service':{'id':'" ID("3") "'}},"
        "{'id':'" ID("8") "','name':'alone','protocols':['grpc'],"
        "'paths':['/alone']}]}");

    assert_int_equal(t.rc, 0);
    assert_int_equal(t.seg.header->n_routes, 4);
    assert_int_equal(t.seg.header->n_services, 3);

    assert_string_equal(route(&t, "on.com", "/off"), "");
    assert_string_equal(route(&t, "on.com", "/mixed"), "");
    assert_string_equal(route(&t, "on.com", "/on"), "on");
    assert_string_equal(route(&t, "on.com", "/longer/one/x"), "on");
    assert_string_equal(route(&t, "off.com", "/on"), "");
    assert_string_equal(route(&t, "off.com", "/alone"), "alone");

    release(&t);

    compile(&t, "{}");
    assert_int_equal(t.rc, 0);
    assert_int_equal(t.seg.header->flags, KONG_SEGMENT_F_EMPTY);
    assert_string_equal(route(&t, "a", "/"), "");
    release(&t);
}


static void
test_refused(void **state)
{
    size_t  i;
    test_t  t;

    static const char *const  cases[][2] = {
        { "{'routes':[{'id':'" ID("1") "','name':'r','paths':['/'],"
          "'service':{'id':'" ID("2") "'}}]}",
          "route 'r' refers to a service that does not exist" },
        { "{'routes':[{'id':'" ID("1") "','hosts':['a*b.com']}]}",
          "route (id " ID("1") "): a wildcard host must begin with '*.' or "
          "end with '.*'" },
        { "{'routes':[{'id':'" ID("1") "','name':'r','headers':{'x-a':"
          "['~*(']}}]}",
          "route 'r': header 'x-a': invalid regex '(': missing closing "
          "parenthesis at 1" },
        { "{'services':[{'id':'" ID("1") "','name':'s','host':'a',"
          "'client_certificate':{'id':'" ID("2") "'}}]}",
          "service 's': its client_certificate is not there" },
        { "{'plugins':[{'id':'" ID("1") "','name':'no-such-plugin',"
          "'enabled':true}]}",
          "plugin 'no-such-plugin' (id " ID("1") ") has no implementation "
          "in this version: it is enabled globally" },
        { "{'services':[{'id':'" ID("1") "','name':'s','host':'a'}],"
          "'routes':[{'id':'" ID("2") "','name':'r','paths':['/']}],"
          "'plugins':[{'id':'" ID("3") "','name':'no-such-plugin',"
          "'route':{'id':'" ID("2") "'},'service':{'id':'" ID("1") "'}}]}",
          "plugin 'no-such-plugin' (id " ID("3") ") has no implementation "
          "in this version: it is enabled on route 'r' and service 's'" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        compile(&t, cases[i][0]);
        assert_int_equal(t.rc, -1);
        assert_null(t.buf.data);
        assert_string_equal(t.err, cases[i][1]);
        release(&t);
    }

    compile(&t, "{'plugins':[{'id':'" ID("1") "','name':'no-such-plugin',"
                "'enabled':false}]}");
    assert_int_equal(t.rc, 0);
    release(&t);

    /* one that only observes is missed by the operator, not by clients */

    compile(&t, "{'plugins':[{'id':'" ID("1") "','name':'zipkin',"
                "'enabled':true,'config':{'path':'/a'}}]}");
    assert_int_equal(t.rc, 0);
    release(&t);
}


static void
test_endpoints(void **state)
{
    arena_t                *a;
    const char             *err;
    segment_buf_t           buf;
    kong_segment_t          seg;
    compile_opts_t          opts = { .generation = 9, .created = 1 };
    const kong_endpoint_t  *e;

    static const kong_address_t  addresses[] = {
        { .addr = { 127, 0, 0, 1, 99 }, .port = 0, .weight = 1 },
        { .addr = { [15] = 1 }, .port = 81, .weight = 2, .ipv6 = 1 },
        { .addr = { 10, 0, 0, 1 }, .id = 77 }
    };
    static const compile_endpoint_t  endpoints[] = {
        { "b.example", 9, 0, addresses, 2, NULL },
        { "gone.example", 12, KONG_ENDPOINT_UNKNOWN, NULL, 0, NULL },
        { "a.example", 9, 0, addresses + 2, 1, NULL },
        { "B.example", 9, KONG_ENDPOINT_DNS_ERROR, NULL, 0, NULL }
    };

    (void) state;

    a = arena_new();
    assert_int_equal(compile_endpoints(a, NULL, endpoints, 4, &opts, &buf,
                                       &err),
                     0);
    assert_int_equal(kong_segment_open(&seg, buf.data, buf.size,
                                       KONG_SEGMENT_ENDPOINTS,
                                       KONG_SEGMENT_VERIFY), 0);
    assert_int_equal(seg.sections[KONG_SECTION_ENDPOINTS].n, 3);

    e = kong_segment_endpoint(&seg, kong_endpoint_key("B.EXAMPLE", 9));
    assert_non_null(e);
    assert_int_equal(e->n, 2);
    assert_string_equal(kong_segment_str(&seg, e->name).data, "b.example");
    assert_int_equal(seg.addresses[e->first].addr[4], 0);
    assert_int_not_equal(seg.addresses[e->first].id, 0);
    assert_int_not_equal(seg.addresses[e->first].id,
                         seg.addresses[e->first + 1].id);

    e = kong_segment_endpoint(&seg, kong_endpoint_key("gone.example", 12));
    assert_int_equal(e->n, 0);
    assert_int_equal(e->error, KONG_ENDPOINT_UNKNOWN);

    e = kong_segment_endpoint(&seg, kong_endpoint_key("a.example", 9));
    assert_int_equal(seg.addresses[e->first].id, 77);
    assert_null(kong_segment_endpoint(&seg, kong_endpoint_key("c", 1)));

    segment_buf_release(&buf);

    assert_int_equal(compile_endpoints(a, NULL, NULL, 0, &opts, &buf, &err),
                     0);
    segment_buf_release(&buf);
    arena_free(a);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_host_header),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_endpoints)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
