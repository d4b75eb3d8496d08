/*
 * Publishing against a small HTTP server in nginx's place: one that serves,
 * refuses, is absent, hangs, comes back; pairs that arrive meanwhile.
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <event2/http.h>
#include <event2/buffer.h>
#include <event2/listener.h>

#include "controld/log.h"
#include "controld/publish/publisher.h"


static struct event_base  *base;
static struct evhttp      *nginx;
static offload_t          *disk, *keep;
static control_t          *control;
static store_t            *store;
static publisher_t        *publisher;
static char                prefix[64], path[128];
static int                 status;            /* of POST /publish */
static unsigned            published, beats, served_c, served_e;
static unsigned            calls, waits;
static publish_rc_t        last;
static char                last_err[256];


static void
handle(struct evhttp_request *req, void *data)
{
    unsigned          c, e;
    const char       *uri;
    struct evbuffer  *out;

    (void) data;

    uri = evhttp_request_get_uri(req);
    out = evbuffer_new();

    if (strncmp(uri, "/publish?", 9) == 0) {
        published++;
        assert_int_equal(sscanf(uri, "/publish?config=%u&endpoints=%u", &c,
                                &e), 2);

        if (status == 200) {
            served_c = c;
            served_e = e;

        } else {
            evbuffer_add_printf(out, "{\"message\":\"segment %u: its checksum "
                                "is wrong\"}", c);
        }

        evhttp_send_reply(req, status, NULL, out);

    } else if (strcmp(uri, "/state") == 0) {
        evbuffer_add_printf(out, "{\"config\":%u,\"endpoints\":%u,"
                            "\"workers\":1}", served_c, served_e);
        evhttp_send_reply(req, 200, NULL, out);

    } else {
        assert_non_null(strstr(uri, "/state?pid="));
        assert_non_null(strstr(uri, "message=a%20%26%20b"));
        beats++;
        evhttp_send_reply(req, 204, NULL, NULL);
    }

    evbuffer_free(out);
}


static void
nginx_start(void)
{
    struct sockaddr_un      sun;
    struct evconnlistener  *l;

    memset(&sun, 0, sizeof(sun));
    sun.sun_family = AF_UNIX;
    strcpy(sun.sun_path, path);
    (void) unlink(path);

    nginx = evhttp_new(base);
    evhttp_set_gencb(nginx, handle, NULL);
    l = evconnlistener_new_bind(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE, 8,
                                (struct sockaddr *) &sun, sizeof(sun));
    assert_non_null(l);
    assert_non_null(evhttp_bind_listener(nginx, l));
}


static void
nginx_stop(void)
{
    if (nginx != NULL) {
        evhttp_free(nginx);
        nginx = NULL;
    }

    (void) unlink(path);
}


static int
setup(void **state)
{
    const char           *err;
    publisher_threads_t   threads;

    (void) state;

    (void) log_open("/dev/null", LOG_DEBUG);
    (void) signal(SIGPIPE, SIG_IGN);
    (void) signal(SIGXFSZ, SIG_IGN);

    strcpy(prefix, "/tmp/kong-publish-XXXXXX");
    assert_non_null(mkdtemp(prefix));
    (void) snprintf(path, sizeof(path), "%s/control.sock", prefix);

    base = event_base_new();
    store = store_open(prefix, &err);
    disk = offload_new(base);
    keep = offload_new(base);
    threads.disk = disk;
    threads.keep = keep;
    control = control_new(base, path);
    publisher = publisher_new(base, store, &threads, control);
    assert_non_null(publisher);

    status = 200;
    published = beats = served_c = served_e = calls = waits = 0;
    last = 99;

    return 0;
}


static int
teardown(void **state)
{
    char  cmd[128];

    (void) state;

    publisher_stop(publisher);
    offload_free(disk);
    offload_free(keep);
    control_free(control);
    publisher_free(publisher);
    store_close(store);
    nginx_stop();
    event_base_free(base);

    (void) snprintf(cmd, sizeof(cmd), "rm -rf %s", prefix);

    return system(cmd);
}


static void
done(void *data, publish_rc_t rc, const char *err)
{
    (void) data;

    calls++;
    last = rc;
    (void) snprintf(last_err, sizeof(last_err), "%s", err != NULL ? err : "");

    if (calls == waits) {
        (void) event_base_loopbreak(base);
    }
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
    struct event    *ev;
    struct timeval   tv;

    tv.tv_sec = ms / 1000;
    tv.tv_usec = ms % 1000 * 1000;

    ev = evtimer_new(base, stop, NULL);
    (void) evtimer_add(ev, &tv);
    (void) event_base_dispatch(base);
    event_free(ev);
}


static void
submit(uint32_t config, uint32_t endpoints)
{
    segment_buf_t  c, e;

    memset(&c, 0, sizeof(c));
    memset(&e, 0, sizeof(e));
    c.data = (config != 0) ? calloc(1, 1000) : NULL;
    c.size = 1000;
    e.data = (endpoints != 0) ? calloc(1, 1000) : NULL;
    e.size = 1000;

    waits++;
    assert_int_equal(publisher_submit(publisher, config,
                                      config != 0 ? &c : NULL, endpoints,
                                      endpoints != 0 ? &e : NULL, done, NULL),
                     0);
    assert_null(c.data);
    assert_null(e.data);
}


static int
file(const char *name)
{
    char  text[160];

    (void) snprintf(text, sizeof(text), "%s/snapshots/%s", prefix, name);

    return access(text, F_OK) == 0;
}


static void
current(uint32_t config, uint32_t endpoints)
{
    uint32_t  c, e;

    store_current(store, &c, &e);
    assert_int_equal(c, config);
    assert_int_equal(e, endpoints);

    publisher_current(publisher, &c, &e);
    assert_int_equal(c, config);
    assert_int_equal(e, endpoints);
}


static void
test_served(void **state)
{
    (void) state;

    nginx_start();
    submit(1, 1);
    run(3000);
    assert_int_equal(calls, 1);
    assert_int_equal(last, PUBLISH_SERVED);
    assert_int_equal(served_c, 1);
    current(1, 1);

    /* endpoints alone keep the configuration */
    submit(0, 2);
    run(3000);
    assert_int_equal(served_c, 1);
    assert_int_equal(served_e, 2);
    current(1, 2);
    assert_true(publisher_served(publisher));
}


static void
test_merged(void **state)
{
    (void) state;

    nginx_start();
    submit(1, 1);
    submit(2, 0);
    submit(3, 2);
    submit(0, 3);
    run(3000);

    assert_int_equal(calls, 4);
    assert_int_equal(last, PUBLISH_SERVED);
    assert_int_equal(served_c, 3);
    assert_int_equal(served_e, 3);
    assert_true(published <= 2);
    assert_false(file("2.config"));
    current(3, 3);
}


/* who shares a segment keeps it, whether it is published or overtaken */

static void
test_shared(void **state)
{
    unsigned       i;
    segment_buf_t  c, kept[2];

    (void) state;

    nginx_start();

    for (i = 0; i < 2; i++) {
        memset(&c, 0, sizeof(c));
        c.data = calloc(1, 1000);
        c.size = 1000;
        assert_int_equal(segment_buf_share(&c, &kept[i]), 0);

        waits++;
        assert_int_equal(publisher_submit(publisher, i + 1, &c, 0, NULL,
                                          done, NULL), 0);
    }

    submit(0, 1);
    run(3000);
    assert_int_equal(served_c, 2);

    for (i = 0; i < 2; i++) {
        assert_int_equal(*kept[i].refs, 1);
        assert_int_equal(kept[i].data[999], 0);
        segment_buf_release(&kept[i]);
    }
}


static void
test_refused(void **state)
{
    (void) state;

    nginx_start();
    submit(1, 1);
    run(3000);

    status = 422;
    submit(2, 0);
    run(3000);
    assert_int_equal(last, PUBLISH_REFUSED);
    assert_string_equal(last_err, "nginx refused it: segment 2: its checksum "
                        "is wrong");
    assert_false(file("2.config"));
    current(1, 1);
}


static void
test_absent(void **state)
{
    publisher_state_t  s = {
        .source = "file", .ok = 1, .message = "a & b", .hash = "0", .since = 1
    };

    (void) state;

    submit(1, 1);
    run(3000);
    assert_int_equal(last, PUBLISH_STORED);
    current(1, 1);
    assert_false(publisher_served(publisher));

    /* an nginx that serves something else is told by the next heartbeat */
    publisher_state(publisher, &s);
    nginx_start();
    run(2500);
    assert_true(beats >= 1);
    assert_int_equal(served_c, 1);
    assert_true(publisher_served(publisher));

    /* and after it was away once more */
    nginx_stop();
    run(1500);
    served_c = 0;
    nginx_start();
    run(2500);
    assert_int_equal(served_c, 1);
}


static void
test_hanging(void **state)
{
    (void) state;

    nginx_start();
    status = 500;
    submit(1, 1);
    run(400);
    assert_int_equal(calls, 0);
    assert_true(published >= 2);

    /* what comes meanwhile takes the place of what was not taken */
    submit(2, 0);
    run(200);
    assert_int_equal(calls, 0);

    status = 200;
    run(3000);
    assert_int_equal(calls, 2);
    assert_int_equal(served_c, 2);
    assert_int_equal(served_e, 1);
    current(2, 1);
}


static void
test_full(void **state)
{
    struct rlimit  old, small;

    (void) state;

    nginx_start();
    submit(1, 1);
    run(3000);

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    submit(2, 2);
    run(3000);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);

    assert_int_equal(last, PUBLISH_FAILED);
    assert_int_equal(published, 1);
    assert_false(file("2.config"));
    assert_false(file("2.endpoints"));
    current(1, 1);

    submit(3, 0);
    run(3000);
    assert_int_equal(last, PUBLISH_SERVED);
    current(3, 1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_served, setup, teardown),
        cmocka_unit_test_setup_teardown(test_merged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_absent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hanging, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown)
    };

    return cmocka_run_group_tests_name("publisher", tests, NULL, NULL);
}
