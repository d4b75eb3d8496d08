/*
 * The Admin API's server over its unix socket: transport rules, reads,
 * refused writes, /config, slow and vanishing clients.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "controld/admin/auth.h"
#include "controld/log.h"


#define ANSWER_MAX  (1024 * 1024)

static const char  source[] =
    "_format_version: '3.0'\n"
    "services:\n"
    "- name: s\n"
    "  url: http://h.test/p\n"
    "  tags: [t, u]\n"
    "  routes:\n"
    "  - name: r\n"
    "    paths: [/a]\n"
    "- name: s2\n"
    "  url: http://h.test/q\n"
    "  tags: [t]\n"
    "consumers:\n"
    "- username: bob\n"
    "  custom_id: b\n"
    "  acls:\n"
    "  - group: g\n"
    "upstreams:\n"
    "- name: u.test\n"
    "  targets:\n"
    "  - target: 10.0.0.1:80\n";

static struct event_base  *base;
static offload_t          *web;
static admin_t            *admin;
static arena_t            *arena;
static conf_t             *conf;
static generation_t       *active;
static char                prefix[64], path[128];
static char                answer[ANSWER_MAX];
static size_t              answer_len;
static load_t             *waiting;
static admin_posted_pt     waiting_posted;
static void               *waiting_user;
static posted_t            verdict;
static unsigned            busy, hold;


static const conf_t *
host_conf(void *data)
{
    (void) data;

    return conf;
}


static generation_t *
host_active(void *data)
{
    (void) data;

    return active;
}


static void
finish(evutil_socket_t fd, short what, void *data)
{
    load_t  *l;

    (void) fd;
    (void) what;
    (void) data;

    l = waiting;
    waiting = NULL;
    load_run(l);

    waiting_posted(waiting_user,
                   l->rc == LOAD_OK ? verdict
                   : l->rc == LOAD_UNCHANGED ? POSTED_UNCHANGED
                                             : POSTED_INVALID,
                   l, "a reason");
    load_free(l);
}


static int
host_post(void *data, load_t *load, admin_posted_pt posted, void *user)
{
    struct timeval  tv = { 0, 1000 };

    (void) data;

    if (busy) {
        return -1;
    }

    load->opts.router_flavor = "traditional_compatible";
    load->compile = 0;
    waiting = load;
    waiting_posted = posted;
    waiting_user = user;

    if (!hold) {
        (void) event_base_once(base, -1, EV_TIMEOUT, finish, NULL, &tv);
    }

    return 0;
}


static int
setup(void **state)
{
    load_t        *l;
    value_t       *errors;
    const char    *err;
    admin_host_t   host = { .conf = host_conf, .active = host_active,
                            .post = host_post };

    const char *const       names[] = { "prefix", prefix, "database", "off",
                                        NULL };
    const conf_overrides_t  over = { names };

    (void) state;

    (void) log_open("/dev/null", LOG_DEBUG);

    strcpy(prefix, "/tmp/kong-admin-XXXXXX");
    assert_non_null(mkdtemp(prefix));
    (void) snprintf(path, sizeof(path), "%s/admin.sock", prefix);

    arena = arena_new();
    conf = conf_load(arena, "/dev/null", &over, &errors);
    assert_non_null(conf);

    l = load_new();
    l->text = source;
    l->len = sizeof(source) - 1;
    l->syntax = DECLARATIVE_YAML;
    l->opts.router_flavor = "traditional_compatible";
    l->compile = 0;
    load_run(l);
    assert_int_equal(l->rc, LOAD_OK);
    active = l->generation;
    generation_get(active);
    load_free(l);

    base = event_base_new();
    web = offload_new(base);
    admin = admin_new(base, path, web, &host, &err);
    assert_non_null(admin);

    busy = 0;
    hold = 0;
    verdict = POSTED_OK;

    return 0;
}


static int
teardown(void **state)
{
    char  cmd[128];

    (void) state;

    admin_free(admin);
    offload_free(web);
    event_base_free(base);
    generation_put(active);
    arena_free(arena);

    (void) snprintf(cmd, sizeof(cmd), "rm -rf %s", prefix);

    return system(cmd);
}


static int
dial(void)
{
    int                 fd;
    struct sockaddr_un  sun;

    memset(&sun, 0, sizeof(sun));
    sun.sun_family = AF_UNIX;
    strcpy(sun.sun_path, path);

    fd = socket(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &sun, sizeof(sun)), 0);

    return fd;
}


/* the answer is over when the connection is */
static void
got(evutil_socket_t fd, short what, void *data)
{
    ssize_t  n;

    (void) what;
    (void) data;

    n = recv(fd, answer + answer_len, ANSWER_MAX - answer_len - 1, 0);

    if (n <= 0) {
        (void) event_base_loopbreak(base);
        return;
    }

    answer_len += n;
    answer[answer_len] = '\0';
}


static void
push(int fd, const char *text, size_t len)
{
    ssize_t  n;

    while (len != 0) {
        n = send(fd, text, len, MSG_NOSIGNAL);

        if (n == -1) {
            (void) event_base_loop(base, EVLOOP_NONBLOCK);
            continue;
        }

        text += n;
        len -= n;
    }
}


/* the status; `answer` holds all of it */
static int
call(const char *method, const char *target, const char *headers,
    const char *body)
{
    int            fd;
    char          *head;
    struct event  *ev;

    answer_len = 0;
    answer[0] = '\0';
    fd = dial();

    head = arena_printf(arena, "%s %s HTTP/1.1\r\nHost: x\r\n%s"
                        "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                        method, target, headers != NULL ? headers : "",
                        body != NULL ? strlen(body) : 0);
    push(fd, head, strlen(head));
    if (body != NULL) {
        push(fd, body, strlen(body));
    }

    ev = event_new(base, fd, EV_READ|EV_PERSIST, got, NULL);
    (void) event_add(ev, NULL);
    (void) event_base_dispatch(base);
    event_free(ev);
    (void) close(fd);

    assert_true(strncmp(answer, "HTTP/1.1 ", 9) == 0);

    return atoi(answer + 9);
}


static const char *
body(void)
{
    return strstr(answer, "\r\n\r\n") + 4;
}


static int
json(const char *method, const char *target, const char *text)
{
    return call(method, target, "Content-Type: application/json\r\n", text);
}


#define has(text)  assert_non_null(strstr(answer, text))


static void
test_transport(void **state)
{
    (void) state;

    assert_int_equal(call("GET", "/nothing", NULL, NULL), 404);
    assert_string_equal(body(), "{\"message\":\"Not found\"}");
    has("Server: kong/3.9.1\r\n");
    has("X-Kong-Admin-Latency: ");
    has("Access-Control-Allow-Origin: *\r\n");
    has("Access-Control-Allow-Credentials: true\r\n");
    has("Content-Type: application/json; charset=utf-8\r\n");

    assert_int_equal(call("DELETE", "/services", NULL, NULL), 405);
    assert_string_equal(body(), "{\"message\":\"Method not allowed\"}");
    assert_int_equal(call("TRACE", "/services", NULL, NULL), 405);

    assert_int_equal(call("GET", "/services/", "Origin: http://ui\r\n",
                          NULL), 200);
    has("Access-Control-Allow-Origin: http://ui\r\n");
    assert_int_equal(call("GET", "/services//", NULL, NULL), 404);
    assert_int_equal(call("GET", "//services", NULL, NULL), 404);
    assert_int_equal(call("GET", "/a/b/c/d/e/f/g/h/i/j/k", NULL, NULL), 404);

    assert_int_equal(call("HEAD", "/services", NULL, NULL), 200);
    assert_string_equal(body(), "");
    assert_null(strstr(answer, "Content-Length: 0\r\n"));

    assert_int_equal(call("OPTIONS", "/services", NULL, NULL), 204);
    has("Allow: GET, HEAD, OPTIONS, POST\r\n");
    has("Access-Control-Allow-Methods: GET, HEAD, OPTIONS, POST\r\n");
    has("Access-Control-Allow-Headers: Content-Type\r\n");
    assert_int_equal(call("OPTIONS", "/services/x/plugins",
                          "Access-Control-Request-Headers: X-A\r\n", NULL),
                     204);
    has("Access-Control-Allow-Headers: X-A\r\n");

    assert_int_equal(call("POST", "/services",
                          "Content-Type: application/xml\r\n", "<x/>"), 415);
    has("<center><h1>415 Unsupported Media Type</h1></center>");
    assert_int_equal(call("POST", "/services", NULL, "x"), 415);
    assert_int_equal(json("POST", "/services", "{"), 400);
    has("Cannot parse JSON body");
    assert_int_equal(json("POST", "/services", ""), 400);
    assert_int_equal(call("GET", "/robots.txt", NULL, NULL), 200);
}


static void
test_node(void **state)
{
    (void) state;

    assert_int_equal(call("GET", "/", NULL, NULL), 200);
    has("\"version\":\"3.9.1\"");
    has("\"configuration\":{");
    has("\"available_on_server\":{");
    has("\"key-auth\":{\"version\":\"3.9.1\",\"priority\":1250}");

    assert_int_equal(call("GET", "/endpoints", NULL, NULL), 200);
    has("\"\\/services\\/{services}\\/routes\\/{routes}\"");
    assert_int_equal(call("GET", "/plugins/enabled", NULL, NULL), 200);
    has("\"key-auth\"");
}


static void
test_reads(void **state)
{
    (void) state;

    assert_int_equal(call("GET", "/services/s", NULL, NULL), 200);
    has("\"host\":\"h.test\"");
    assert_int_equal(call("GET", "/services/%73", NULL, NULL), 200);
    assert_int_equal(call("GET", "/services/"
                          "2254ba65-245b-5b72-a0b8-7341d45f5e77", NULL,
                          NULL), 404);
    assert_int_equal(call("GET", "/services/none", NULL, NULL), 404);
    assert_string_equal(body(), "{\"message\":\"Not found\"}");
    assert_int_equal(call("GET", "/services/a%20b", NULL, NULL), 400);
    has("\"code\":10");
    has("\"name\":\"invalid unique name\"");
    assert_int_equal(call("GET", "/acls/x", NULL, NULL), 400);
    has("invalid primary key: '{id=\\\"expected a valid UUID\\\"}'");

    assert_int_equal(call("GET", "/services/s/routes", NULL, NULL), 200);
    has("\"name\":\"r\"");
    assert_int_equal(call("GET", "/services/s2/routes", NULL, NULL), 200);
    assert_null(strstr(answer, "\"name\":\"r\""));
    assert_int_equal(call("GET", "/services/s/routes/r", NULL, NULL), 200);
    assert_int_equal(call("GET", "/services/s2/routes/r", NULL, NULL), 404);
    assert_int_equal(call("GET", "/services/none/routes", NULL, NULL), 404);
    assert_int_equal(call("GET", "/routes/r/service", NULL, NULL), 200);
    has("\"name\":\"s\"");
    assert_int_equal(call("GET", "/consumers/bob/acls/g", NULL, NULL), 200);
    assert_int_equal(call("GET", "/upstreams/u.test/targets/10.0.0.1:80",
                          NULL, NULL), 200);
    assert_int_equal(call("GET", "/targets", NULL, NULL), 404);
    assert_int_equal(call("GET", "/consumers?custom_id=b", NULL, NULL), 200);
    has("\"username\":\"bob\"");
    assert_int_equal(call("GET", "/consumers?custom_id=", NULL, NULL), 400);
    assert_int_equal(call("GET", "/certificates/none.test", NULL, NULL), 404);
    has("SNI not found");
}


static void
test_pages(void **state)
{
    char   *next, *end;
    char    target[256];

    (void) state;

    assert_int_equal(call("GET", "/services?size=1", NULL, NULL), 200);
    has("\"next\":\"\\/services?offset=");
    has("&size=1\"");
    next = strstr(answer, "\"offset\":\"") + 10;
    end = strchr(next, '"');
    *end = '\0';
    (void) snprintf(target, sizeof(target), "/services?size=1&offset=%s",
                    next);
    assert_int_equal(call("GET", target, NULL, NULL), 200);
    has("\"next\":null");

    assert_int_equal(call("GET", "/services?size=0", NULL, NULL), 400);
    has("size must be an integer between 1 and 1000");
    assert_int_equal(call("GET", "/services?size=x", NULL, NULL), 400);
    has("size must be a number");
    assert_int_equal(call("GET", "/services?offset=zzz", NULL, NULL), 400);
    has("'zzz' is not a valid offset: bad json encoding");
    assert_int_equal(call("GET", "/services?offset=%21", NULL, NULL), 400);
    has("bad base64 encoding");

    assert_int_equal(call("GET", "/services?tags=t,u", NULL, NULL), 200);
    has("\"name\":\"s\"");
    assert_null(strstr(answer, "\"name\":\"s2\""));
    assert_int_equal(call("GET", "/services?tags=t/u", NULL, NULL), 200);
    has("\"name\":\"s2\"");
    assert_int_equal(call("GET", "/services?tags=a,b/c", NULL, NULL), 400);
    has("invalid option (tags: invalid filter syntax)");
    assert_int_equal(call("GET", "/services?tags=a,b,c,d,e,f", NULL, NULL),
                     400);
    assert_int_equal(call("GET", "/tags/u", NULL, NULL), 200);
    has("\"entity_name\":\"services\"");
}


static void
test_writes(void **state)
{
    (void) state;

    assert_int_equal(json("POST", "/services", "{\"host\":\"h\"}"), 405);
    has("cannot create 'services' entities when not using a database");
    has("\"code\":12");
    assert_int_equal(json("POST", "/services", "{\"port\":\"80\"}"), 400);
    has("\"code\":2");
    assert_int_equal(call("POST", "/services", "Content-Type: "
                          "application/x-www-form-urlencoded\r\n",
                          "host=h&port=80&tags[]=a&tags[]=b"), 405);
    assert_int_equal(call("POST", "/services", "Content-Type: "
                          "application/x-www-form-urlencoded\r\n",
                          "host=h&port=no"), 400);
    has("expected an integer");
    assert_int_equal(json("PATCH", "/services/s", "{\"host\":\"h\"}"), 405);
    has("cannot update 'services' entities by 'name' when");
    assert_int_equal(json("PATCH", "/services/none", "{}"), 404);
    has("could not find the entity with '{name=\\\"none\\\"}'");
    assert_int_equal(json("PUT", "/services/s", "{\"host\":\"h\"}"), 405);
    has("cannot create or update 'services' entities by 'name' when");
    assert_int_equal(call("DELETE", "/services/s", NULL, NULL), 405);
    has("cannot remove 'services' entities by 'name' when");
    assert_int_equal(call("DELETE", "/services/none", NULL, NULL), 204);
    assert_int_equal(json("POST", "/services/s/routes",
                          "{\"paths\":[\"/\"]}"), 405);
    has("cannot create 'routes' entities");
    assert_int_equal(json("POST", "/services/none/routes", "{}"), 404);
    assert_int_equal(call("DELETE", "/routes/r/service", NULL, NULL), 405);
    has("Method not allowed");
}


static void
test_config(void **state)
{
    char  *form;

    static const char  good[] = "_format_version: '3.0'\n"
                                "services: [{name: n, host: h}]\n";

    (void) state;

    assert_int_equal(call("GET", "/config", NULL, NULL), 200);
    has("{\"config\":\"_format_version: ");

    assert_int_equal(json("POST", "/config", "{\"_format_version\":\"3.0\","
                          "\"services\":[{\"name\":\"n\",\"host\":\"h\"}]}"),
                     201);
    has("\"services\":{\"");
    assert_int_equal(call("POST", "/config", "Content-Type: text/yaml\r\n",
                          good), 201);
    assert_int_equal(json("POST", "/config", "{\"config\":"
                          "\"_format_version: '3.0'\"}"), 201);
    assert_int_equal(call("POST", "/config", "Content-Type: "
                          "application/x-www-form-urlencoded\r\n",
                          "config=_format_version%3A+%273.0%27"), 201);

    form = arena_printf(arena, "--b\r\nContent-Disposition: form-data; "
                        "name=\"config\"; filename=\"kong.yml\"\r\n"
                        "Content-Type: text/yaml\r\n\r\n%s\r\n--b--\r\n",
                        good);
    assert_int_equal(call("POST", "/config", "Content-Type: "
                          "multipart/form-data; boundary=b\r\n", form), 201);

    assert_int_equal(json("POST", "/config", "{\"_format_version\":\"3.0\","
                          "\"services\":[{\"name\":\"n\"}]}"), 400);
    has("\"code\":14");
    has("\"fields\":{\"services\":[{\"host\":\"required field missing\"}]}");
    assert_int_equal(json("POST", "/config?flatten_errors=1",
                          "{\"_format_version\":\"3.0\","
                          "\"services\":[{\"name\":\"n\"}]}"), 400);
    has("\"flattened_errors\":[");

    assert_int_equal(call("POST", "/config", NULL, NULL), 400);
    has("expected a declarative configuration");
    assert_int_equal(json("POST", "/config", "nonsense"), 400);
    has("Cannot parse JSON body");

    assert_int_equal(call("POST", "/config?check_hash=1",
                          "Content-Type: text/yaml\r\n", source), 304);

    verdict = POSTED_REFUSED;
    assert_int_equal(call("POST", "/config", "Content-Type: text/yaml\r\n",
                          good), 500);
    busy = 1;
    assert_int_equal(call("POST", "/config", "Content-Type: text/yaml\r\n",
                          good), 429);
    has("Retry-After: 1\r\n");
    has("Currently loading previous configuration");
}


/* a large body is validated in the thread */
static void
test_large(void **state)
{
    char    *text;
    size_t   len;

    (void) state;

    len = 300 * 1024;
    text = arena_alloc(arena, len + 64);
    memset(text, ' ', len);
    strcpy(text + len, "{\"host\":\"h\"}");

    assert_int_equal(json("POST", "/services", text), 405);
    has("\"code\":12");
}


/* clients that say half a request, or go away before the answer */
static void
test_rude(void **state)
{
    int     slow, gone;
    load_t *l;

    static const char  half[] = "POST /services HTTP/1.1\r\nContent-Le";
    static const char  post[] = "POST /config HTTP/1.1\r\nHost: x\r\n"
                                "Content-Type: text/yaml\r\n"
                                "Content-Length: 23\r\n\r\n"
                                "_format_version: '3.0'\n";

    (void) state;

    slow = dial();
    push(slow, half, sizeof(half) - 1);

    hold = 1;
    gone = dial();
    push(gone, post, sizeof(post) - 1);

    while (waiting == NULL) {
        (void) event_base_loop(base, EVLOOP_ONCE);
    }

    (void) close(gone);
    assert_int_equal(call("GET", "/services/s", NULL, NULL), 200);

    l = waiting;
    waiting = NULL;
    load_run(l);
    waiting_posted(waiting_user, POSTED_OK, l, NULL);
    load_free(l);

    assert_int_equal(call("GET", "/services/s", NULL, NULL), 200);
    (void) close(slow);
}


/* listeners that are open, and those that are guarded or local */
static void
test_warning(void **state)
{
    size_t       i, n;
    FILE        *f;
    char         file[128], log[4096];
    auth_t      *auth;
    conf_t      *c;
    value_t     *errors;
    const char  *err;

    static const struct {
        const char  *listen;
        const char  *tokens;
        const char  *verify;
        unsigned     loud;
    } cases[] = {
        { "0.0.0.0:8001", "", "off", 1 },
        { "[::]:8001", "", "off", 1 },
        { "10.0.0.1:8444 ssl", "", "off", 1 },
        { "127.0.0.1:8001, 10.0.0.1:8001", "", "on", 1 },
        { "127.0.0.1:8001, [::1]:8001, 127.0.0.2:8444 ssl", "", "off", 0 },
        { "0.0.0.0:8444 ssl", "", "on", 0 },
        { "0.0.0.0:8001", "admin:a-long-enough-token", "off", 0 }
    };

    (void) state;
    (void) snprintf(file, sizeof(file), "%s/log", prefix);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const       names[] = {
            "prefix", prefix, "database", "off",
            "admin_listen", cases[i].listen, "admin_tokens", cases[i].tokens,
            "nginx_admin_ssl_verify_client", cases[i].verify, NULL
        };
        const conf_overrides_t  over = { names };

        c = conf_load(arena, "/dev/null", &over, &errors);
        assert_non_null(c);
        auth = auth_new(arena, c, &err);
        assert_non_null(auth);

        (void) unlink(file);
        assert_int_equal(log_open(file, LOG_DEBUG), 0);
        auth_warn(auth, c);
        (void) log_open("/dev/null", LOG_DEBUG);
        auth_free(auth);

        f = fopen(file, "r");
        assert_non_null(f);
        n = fread(log, 1, sizeof(log) - 1, f);
        log[n] = '\0';
        (void) fclose(f);

        assert_int_equal(strstr(log, "OPEN TO OTHERS") != NULL,
                         cases[i].loud);
    }
}


/* what is no token stops the start */
static void
test_tokens(void **state)
{
    size_t       i;
    conf_t      *c;
    value_t     *errors;
    const char  *err;

    static const char *const  bad[] = {
        "admin", "admin:short", "root:a-long-enough-token", ":", "admin:",
        "admin:a-long-enough-token,x"
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *const       names[] = {
            "prefix", prefix, "database", "off", "admin_tokens", bad[i], NULL
        };
        const conf_overrides_t  over = { names };

        c = conf_load(arena, "/dev/null", &over, &errors);
        assert_non_null(c);
        assert_null(auth_new(arena, c, &err));
        assert_non_null(strstr(err, "admin_tokens"));
        assert_null(strstr(err, "long-enough"));
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_transport, setup, teardown),
        cmocka_unit_test_setup_teardown(test_node, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_config, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rude, setup, teardown),
        cmocka_unit_test_setup_teardown(test_warning, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tokens, setup, teardown)
    };

    /* as the daemon does */
    (void) signal(SIGPIPE, SIG_IGN);

    return cmocka_run_group_tests_name("admin", tests, NULL, NULL);
}
