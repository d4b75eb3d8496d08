/*
 * Names against a small DNS server of our own: order of types, SRV rules,
 * CNAMEs, TTLs, stale answers, failures, the hosts file.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "controld/dns/dns.h"
#include "controld/log.h"


/* what the server knows; `text` of an SRV record: "prio weight port target" */
typedef struct {
    const char  *name;
    unsigned     type;
    unsigned     ttl;
    const char  *text;
} record_t;

static struct event_base  *base;
static struct event       *server_event;
static int                 server;
static char                servers[64];
static const record_t     *zone;
static int                 server_rcode;     /* answered to everything */
static unsigned            silent;           /* type that gets no answer */
static unsigned            asked[64];        /* by type */
static unsigned            changes;
static unsigned            readies;
static dns_t              *dns;


static uint8_t *
put_name(uint8_t *p, const char *name)
{
    size_t  n;

    while (*name != '\0') {
        n = strcspn(name, ".");
        *p++ = (uint8_t) n;
        memcpy(p, name, n);
        p += n;
        name += n + (name[n] == '.');
    }

    *p++ = 0;

    return p;
}


static uint8_t *
put_record(uint8_t *p, const record_t *z)
{
    uint8_t   *len, *start;
    unsigned   prio, weight, port;
    char       target[128];

    p = put_name(p, z->name);
    *p++ = 0;
    *p++ = (uint8_t) z->type;
    *p++ = 0;
    *p++ = 1;
    *p++ = 0;
    *p++ = 0;
    *p++ = (uint8_t) (z->ttl >> 8);
    *p++ = (uint8_t) z->ttl;
    len = p;
    p += 2;
    start = p;

    if (z->type == RESOLVER_A) {
        assert_int_equal(inet_pton(AF_INET, z->text, p), 1);
        p += 4;

    } else if (z->type == RESOLVER_AAAA) {
        assert_int_equal(inet_pton(AF_INET6, z->text, p), 1);
        p += 16;

    } else if (z->type == RESOLVER_CNAME) {
        p = put_name(p, z->text);

    } else {
        assert_int_equal(sscanf(z->text, "%u %u %u %127s", &prio, &weight,
                                &port, target), 4);
        *p++ = prio >> 8;
        *p++ = prio;
        *p++ = weight >> 8;
        *p++ = weight;
        *p++ = port >> 8;
        *p++ = port;
        p = put_name(p, target);
    }

    len[0] = (p - start) >> 8;
    len[1] = (p - start);

    return p;
}


static void
serve(evutil_socket_t fd, short what, void *data)
{
    char                 name[256], *n;
    ssize_t              got;
    uint8_t              in[512], out[4096], *p, *q;
    unsigned             type, found, exists;
    socklen_t            len;
    const record_t      *z;
    struct sockaddr_in   from;

    (void) what;
    (void) data;

    len = sizeof(from);
    got = recvfrom(fd, in, sizeof(in), 0, (struct sockaddr *) &from, &len);
    if (got < 17) {
        return;
    }

    for (p = in + 12, n = name; *p != 0; p += *p + 1) {
        memcpy(n, p + 1, *p);
        n += *p;
        *n++ = '.';
    }

    n[n > name ? -1 : 0] = '\0';
    type = p[1] << 8 | p[2];
    asked[type & 63]++;

    if (silent != 0 && type == silent) {
        return;
    }

    q = p + 5;
    memcpy(out, in, q - in);
    p = out + (q - in);

    out[2] = 0x81;
    out[3] = 0x80;
    memset(out + 6, 0, 6);

    found = 0;
    exists = 0;

    for (z = zone; server_rcode == 0 && z != NULL && z->name != NULL; z++) {
        if (strcasecmp(z->name, name) != 0) {
            continue;
        }

        exists = 1;

        if (z->type == type || z->type == RESOLVER_CNAME) {
            p = put_record(p, z);
            found++;
        }
    }

    out[7] = found;
    out[3] |= (server_rcode != 0) ? server_rcode : exists ? 0 : 3;

    (void) sendto(fd, out, p - out, 0, (struct sockaddr *) &from, len);
}


static void
changed(void *data)
{
    (void) data;

    changes++;
}


static void
ready(void *data)
{
    (void) data;

    readies++;
    (void) event_base_loopbreak(base);
}


static void
stop(evutil_socket_t fd, short what, void *data)
{
    (void) fd;
    (void) what;
    (void) data;

    (void) event_base_loopbreak(base);
}


static void
run(unsigned ms)
{
    struct timeval  tv;

    tv.tv_sec = ms / 1000;
    tv.tv_usec = ms % 1000 * 1000;

    assert_int_equal(event_base_once(base, -1, EV_TIMEOUT, stop, NULL, &tv),
                     0);
    (void) event_base_dispatch(base);
}


static void
start(const char *order, const char *hosts)
{
    char         text[64], *p, *last;
    size_t       n;
    dns_conf_t   conf;
    const char  *words[8], *err;

    memset(&conf, 0, sizeof(conf));
    conf.servers = servers;
    conf.hostsfile = hosts;
    conf.valid_ttl = -1;
    conf.stale_ttl = 3600;
    conf.not_found_ttl = 1;
    conf.error_ttl = 0.1;
    conf.timeout = 300;

    strcpy(text, order);
    n = 0;

    for (p = strtok_r(text, ",", &last); p != NULL;
         p = strtok_r(NULL, ",", &last))
    {
        words[n++] = p;
    }

    dns_conf_order(&conf, words, n);
    dns = dns_new(base, &conf, changed, NULL, &err);
    assert_non_null(dns);
}


static int
setup(void **state)
{
    socklen_t           len;
    struct sockaddr_in  sin;

    (void) state;

    (void) log_open("/dev/null", LOG_DEBUG);

    base = event_base_new();
    server = socket(AF_INET, SOCK_DGRAM|SOCK_NONBLOCK, 0);

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    len = sizeof(sin);
    if (bind(server, (struct sockaddr *) &sin, sizeof(sin)) == -1
        || getsockname(server, (struct sockaddr *) &sin, &len) == -1)
    {
        return -1;
    }

    (void) snprintf(servers, sizeof(servers), "127.0.0.1:%u",
                    ntohs(sin.sin_port));

    server_event = event_new(base, server, EV_READ|EV_PERSIST, serve, NULL);
    (void) event_add(server_event, NULL);

    zone = NULL;
    server_rcode = 0;
    silent = 0;
    changes = 0;
    readies = 0;
    memset(asked, 0, sizeof(asked));

    return 0;
}


static int
teardown(void **state)
{
    (void) state;

    dns_free(dns);
    dns = NULL;
    event_free(server_event);
    (void) close(server);
    event_base_free(base);

    return 0;
}


/* "1.2.3.4:port*weight ..." or "error N" of the first name */
static const char *
addresses(dns_set_t *set)
{
    char                  ip[64];
    size_t                i, n, at;
    arena_t              *a;
    compile_endpoint_t   *e;

    static char  text[1024];

    a = arena_new();
    e = dns_set_endpoints(a, set, &n);
    assert_true(n >= 1);

    at = 0;
    text[0] = '\0';

    if (e->n == 0) {
        (void) snprintf(text, sizeof(text), "error %u", e->error);
    }

    for (i = 0; i < e->n; i++) {
        (void) inet_ntop(e->addresses[i].ipv6 ? AF_INET6 : AF_INET,
                         e->addresses[i].addr, ip, sizeof(ip));
        at += snprintf(text + at, sizeof(text) - at, "%s%s:%u*%u",
                       i == 0 ? "" : " ", ip, e->addresses[i].port,
                       e->addresses[i].weight);

        if (e->addresses[i].host != 0) {
            at += snprintf(text + at, sizeof(text) - at, "@%s",
                           e->names + e->addresses[i].host);
        }
    }

    arena_free(a);

    return text;
}


static dns_set_t *
resolve(const char *name)
{
    dns_set_t  *set;

    set = dns_set_new(dns, &name, 1);
    assert_non_null(set);
    assert_int_equal(dns_set_resolve(set, 2000, ready, NULL), 0);
    (void) event_base_dispatch(base);
    assert_int_equal(readies, 1);

    return set;
}


static void
test_a(void **state)
{
    static const record_t  records[] = {
        { "a.test", RESOLVER_A, 60, "10.0.0.2" },
        { "a.test", RESOLVER_A, 60, "10.0.0.1" },
        { "a.test", RESOLVER_AAAA, 60, "::1" },
        { NULL, 0, 0, NULL }
    };

    (void) state;

    zone = records;
    start("LAST,SRV,A,CNAME", NULL);
    assert_string_equal(addresses(resolve("a.test")),
                        "10.0.0.1:0*1 10.0.0.2:0*1");
    assert_int_equal(changes, 1);
    assert_int_equal(asked[RESOLVER_AAAA], 0);
}


static void
test_order(void **state)
{
    static const record_t  records[] = {
        { "a.test", RESOLVER_A, 60, "10.0.0.2" },
        { "a.test", RESOLVER_AAAA, 60, "2001:db8::1" },
        { NULL, 0, 0, NULL }
    };

    (void) state;

    zone = records;
    start("LAST,AAAA,A", NULL);
    assert_string_equal(addresses(resolve("a.test")), "2001:db8::1:0*1");
    assert_int_equal(asked[RESOLVER_SRV], 0);
}


/* lowest priority only, weight 0 counts as 1, the record's port */
static void
test_srv(void **state)
{
    static const record_t  records[] = {
        { "s.test", RESOLVER_SRV, 60, "5 0 8001 t1.test" },
        { "s.test", RESOLVER_SRV, 60, "5 30 8002 t2.test" },
        { "s.test", RESOLVER_SRV, 60, "9 10 8003 t3.test" },
        { "s.test", RESOLVER_A, 60, "10.9.9.9" },
        { "t1.test", RESOLVER_A, 60, "10.0.0.1" },
        { "t2.test", RESOLVER_A, 60, "10.0.0.2" },
        { "t3.test", RESOLVER_A, 60, "10.0.0.3" },
        { NULL, 0, 0, NULL }
    };

    (void) state;

    zone = records;
    start("LAST,SRV,A,CNAME", NULL);
    assert_string_equal(addresses(resolve("s.test")),
                        "10.0.0.1:8001*1@t1.test 10.0.0.2:8002*30@t2.test");
}


/* of two records for one address the first in order, whatever comes first */
static void
test_srv_names(void **state)
{
    static const record_t  records[] = {
        { "s.test", RESOLVER_SRV, 60, "5 1 80 t2.test" },
        { "s.test", RESOLVER_SRV, 60, "5 1 80 t1.test" },
        { "s.test", RESOLVER_SRV, 60, "5 1 80 t3.test" },
        { "t1.test", RESOLVER_A, 60, "10.0.0.1" },
        { "t2.test", RESOLVER_A, 60, "10.0.0.1" },
        { "t3.test", RESOLVER_A, 60, "10.0.0.1" },
        { NULL, 0, 0, NULL }
    };

    (void) state;

    zone = records;
    start("LAST,SRV,A,CNAME", NULL);
    assert_string_equal(addresses(resolve("s.test")), "10.0.0.1:80*1@t1.test");
}


/* a server that drops SRV questions holds A up for a moment only */
static void
test_silent_srv(void **state)
{
    struct timespec  before, after;

    static const record_t  records[] = {
        { "a.test", RESOLVER_A, 60, "10.0.0.1" },
        { NULL, 0, 0, NULL }
    };

    (void) state;

    zone = records;
    silent = RESOLVER_SRV;
    start("LAST,SRV,A,CNAME", NULL);

    (void) clock_gettime(CLOCK_MONOTONIC, &before);
    assert_string_equal(addresses(resolve("a.test")), "10.0.0.1:0*1");
    (void) clock_gettime(CLOCK_MONOTONIC, &after);

    assert_true((after.tv_sec - before.tv_sec) * 1000
                + (after.tv_nsec - before.tv_nsec) / 1000000 < 800);
}


static void
test_cname(void **state)
{
    static const record_t  records[] = {
        { "c.test", RESOLVER_CNAME, 60, "d.test" },
        { "d.test", RESOLVER_CNAME, 60, "e.test" },
        { "e.test", RESOLVER_A, 60, "10.0.0.7" },
        { "loop.test", RESOLVER_CNAME, 60, "loop.test" },
        { NULL, 0, 0, NULL }
    };

    (void) state;

    zone = records;
    start("LAST,SRV,A,CNAME", NULL);
    assert_string_equal(addresses(resolve("c.test")), "10.0.0.7:0*1");

    readies = 0;
    assert_string_equal(addresses(resolve("loop.test")), "error 1");
}


static void
test_errors(void **state)
{
    dns_set_t  *set;

    static const record_t  records[] = {
        { "late.test", RESOLVER_A, 60, "10.0.0.8" },
        { NULL, 0, 0, NULL }
    };

    (void) state;

    start("LAST,SRV,A,CNAME", NULL);
    assert_string_equal(addresses(resolve("none.test")), "error 1");

    readies = 0;
    server_rcode = 2;
    set = resolve("late.test");
    assert_string_equal(addresses(set), "error 2");

    /* and it comes back by itself */
    server_rcode = 0;
    zone = records;
    run(1500);
    assert_string_equal(addresses(set), "10.0.0.8:0*1");
}


static void
test_refresh(void **state)
{
    dns_set_t  *set;

    static const record_t  one[] = {
        { "a.test", RESOLVER_A, 1, "10.0.0.1" },
        { "a.test", RESOLVER_A, 1, "10.0.0.2" },
        { NULL, 0, 0, NULL }
    };

    static const record_t  turned[] = {
        { "a.test", RESOLVER_A, 1, "10.0.0.2" },
        { "a.test", RESOLVER_A, 1, "10.0.0.1" },
        { NULL, 0, 0, NULL }
    };

    static const record_t  two[] = {
        { "a.test", RESOLVER_A, 1, "10.0.0.3" },
        { NULL, 0, 0, NULL }
    };

    (void) state;

    zone = one;
    start("LAST,SRV,A,CNAME", NULL);
    set = resolve("a.test");
    assert_int_equal(changes, 1);

    /* another order is no change; LAST asks for what was found */
    zone = turned;
    run(1300);
    assert_int_equal(changes, 1);
    assert_int_equal(asked[RESOLVER_SRV], 1);
    assert_true(asked[RESOLVER_A] >= 2);

    zone = two;
    run(1300);
    assert_int_equal(changes, 2);
    assert_string_equal(addresses(set), "10.0.0.3:0*1");

    /* a failing server takes nothing away, a server that says "no" does */
    server_rcode = 2;
    run(1500);
    assert_string_equal(addresses(set), "10.0.0.3:0*1");
    assert_int_equal(changes, 2);

    server_rcode = 0;
    zone = NULL;
    run(1500);
    assert_string_equal(addresses(set), "error 1");
    assert_int_equal(changes, 3);
}


static void
test_hosts(void **state)
{
    FILE  *f;

    (void) state;

    f = fopen("/tmp/kong-test-hosts", "w");
    assert_non_null(f);
    fputs("# a comment\n10.1.1.1\tOne.test one # two.test\n::1 one.test\n"
          "bad line\n", f);
    (void) fclose(f);

    start("LAST,SRV,A,CNAME", "/tmp/kong-test-hosts");
    (void) unlink("/tmp/kong-test-hosts");

    assert_string_equal(addresses(resolve("one.test")), "10.1.1.1:0*1");
    readies = 0;
    assert_string_equal(addresses(resolve("localhost")), "127.0.0.1:0*1");
    readies = 0;
    assert_string_equal(addresses(resolve("two.test")), "error 1");
    assert_true(asked[RESOLVER_A] == 1);
}


/* the time is over before an answer comes */
static void
test_deadline(void **state)
{
    dns_set_t   *set;
    const char  *name = "slow.test";

    (void) state;

    silent = RESOLVER_A;
    start("A", NULL);

    set = dns_set_new(dns, &name, 1);
    assert_int_equal(dns_set_resolve(set, 100, ready, NULL), 0);
    (void) event_base_dispatch(base);
    assert_int_equal(readies, 1);
    assert_string_equal(addresses(set), "error 2");
}


static void
test_seed(void **state)
{
    dns_set_t       *set;
    const char      *name = "a.test";
    kong_address_t   a;

    (void) state;

    server_rcode = 2;
    start("LAST,SRV,A,CNAME", NULL);

    memset(&a, 0, sizeof(a));
    (void) inet_pton(AF_INET, "10.0.0.5", a.addr);
    a.weight = 1;
    a.id = 77;

    set = dns_set_new(dns, &name, 1);
    dns_seed(dns, "a.test", &a, 1);
    assert_int_equal(dns_set_resolve(set, 2000, ready, NULL), 0);
    (void) event_base_dispatch(base);
    run(500);
    assert_string_equal(addresses(set), "10.0.0.5:0*1");
}


/* more names than questions under way; names that no server can be asked */
static void
test_many(void **state)
{
    char         *names[600];
    size_t        i, n;
    arena_t      *a;
    dns_set_t    *set;

    (void) state;

    a = arena_new();
    start("LAST,SRV,A,CNAME", NULL);

    for (i = 0; i < 600; i++) {
        names[i] = (i % 2)
                   ? arena_printf(a, "n%zu.test", i)
                   : arena_printf(a, "%0100zu.%zu.test", i, i);
    }

    set = dns_set_new(dns, (const char *const *) names, 600);
    assert_int_equal(dns_set_resolve(set, 5000, ready, NULL), 0);
    (void) event_base_dispatch(base);
    assert_int_equal(readies, 1);

    (void) dns_set_endpoints(a, set, &n);
    assert_int_equal(n, 600);
    assert_string_equal(addresses(set), "error 1");

    arena_free(a);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_a, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_srv, setup, teardown),
        cmocka_unit_test_setup_teardown(test_srv_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_srv, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cname, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refresh, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hosts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_seed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown)
    };

    return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
