/*
 * The snapshot folder: whole files or none, whatever happens: a full disk,
 * a killed writer, two writers, a foreign `current`.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "controld/publish/store.h"


#define SIZE  (256 * 1024)

static char  prefix[64];


static int
setup(void **state)
{
    (void) state;

    strcpy(prefix, "/tmp/kong-store-XXXXXX");

    return mkdtemp(prefix) == NULL;
}


static int
teardown(void **state)
{
    char  cmd[128];

    (void) state;

    (void) snprintf(cmd, sizeof(cmd), "rm -rf %s", prefix);

    return system(cmd);
}


/* every byte tells the generation, so that a mixture shows */
static void
fill(segment_buf_t *buf, uint32_t generation, size_t size)
{
    buf->data = malloc(size);
    assert_non_null(buf->data);
    memset(buf->data, (int) (generation % 251) + 1, size);
    buf->size = size;
    buf->refs = NULL;
}


static int
put(store_t *s, kong_segment_kind_t kind, uint32_t generation)
{
    int             rc;
    const char     *err;
    segment_buf_t   buf;

    fill(&buf, generation, SIZE);
    rc = store_write(s, kind, generation, &buf, &err);
    free(buf.data);

    return rc;
}


/* 1 when the file is there, whole and unmixed */
static int
whole(store_t *s, kong_segment_kind_t kind, uint32_t generation)
{
    int             rc;
    size_t          i;
    const char     *err;
    segment_buf_t   buf;

    if (store_read(s, kind, generation, &buf, &err) == -1) {
        return 0;
    }

    rc = (buf.size == SIZE);

    for (i = 0; rc && i < buf.size; i++) {
        rc = (buf.data[i] == (int) (generation % 251) + 1);
    }

    free(buf.data);

    return rc;
}


static unsigned
count(const char *suffix)
{
    DIR            *dir;
    char            path[128], *dot;
    unsigned        n;
    struct dirent  *e;

    (void) snprintf(path, sizeof(path), "%s/snapshots", prefix);
    dir = opendir(path);
    assert_non_null(dir);

    for (n = 0; (e = readdir(dir)) != NULL; ) {
        dot = strrchr(e->d_name, '.');
        n += (suffix[0] == '.') ? (dot != NULL && strcmp(dot, suffix) == 0)
                                : strncmp(e->d_name, "..", 2) != 0
                                  && strcmp(e->d_name, ".") != 0
                                  && strncmp(e->d_name, ".tmp", 4) == 0;
    }

    (void) closedir(dir);

    return n;
}


static void
test_round(void **state)
{
    char          path[128];
    char         *text;
    size_t        len;
    store_t      *s;
    uint32_t      c, e;
    struct stat   st;
    const char   *err;

    (void) state;

    s = store_open(prefix, &err);
    assert_non_null(s);

    store_current(s, &c, &e);
    assert_int_equal(c, 0);
    assert_int_equal(e, 0);

    assert_int_equal(store_next(s, KONG_SEGMENT_CONFIG), 1);
    assert_int_equal(store_next(s, KONG_SEGMENT_CONFIG), 2);
    assert_int_equal(store_next(s, KONG_SEGMENT_ENDPOINTS), 1);

    assert_int_equal(put(s, KONG_SEGMENT_CONFIG, 2), 0);
    assert_int_equal(put(s, KONG_SEGMENT_ENDPOINTS, 1), 0);
    assert_int_equal(store_write_source(s, 2, "a: b\n", 5, &err), 0);
    assert_int_equal(store_stage_current(s, 2, 1, &err), 0);
    assert_int_equal(store_set_current(s, 2, 1, &err), 0);
    store_close(s);

    (void) snprintf(path, sizeof(path), "%s/snapshots", prefix);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    (void) snprintf(path, sizeof(path), "%s/snapshots/2.config", prefix);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    s = store_open(prefix, &err);
    assert_non_null(s);
    store_current(s, &c, &e);
    assert_int_equal(c, 2);
    assert_int_equal(e, 1);
    assert_true(whole(s, KONG_SEGMENT_CONFIG, 2));
    assert_int_equal(store_next(s, KONG_SEGMENT_CONFIG), 3);

    text = store_read_source(s, 2, &len);
    assert_non_null(text);
    assert_string_equal(text, "a: b\n");
    free(text);

    assert_int_equal(store_remove(s, KONG_SEGMENT_CONFIG, 2), 0);
    assert_null(store_read_source(s, 2, &len));
    store_close(s);
}


static void
test_group(void **state)
{
    char          path[128];
    store_t      *s;
    struct stat   st;
    const char   *err;

    (void) state;

    (void) snprintf(path, sizeof(path), "%s/snapshots", prefix);
    assert_int_equal(mkdir(path, 0750), 0);
    assert_int_equal(chmod(path, 0750), 0);

    s = store_open(prefix, &err);
    assert_non_null(s);
    assert_int_equal(put(s, KONG_SEGMENT_CONFIG, 1), 0);
    assert_int_equal(store_write_source(s, 1, "x", 1, &err), 0);
    store_close(s);

    (void) snprintf(path, sizeof(path), "%s/snapshots/1.config", prefix);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    (void) snprintf(path, sizeof(path), "%s/snapshots/1.source", prefix);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}


static void
test_trim(void **state)
{
    store_t      *s;
    uint32_t      i;
    const char   *err;

    (void) state;

    s = store_open(prefix, &err);
    assert_non_null(s);

    for (i = 1; i <= 15; i++) {
        assert_int_equal(put(s, KONG_SEGMENT_CONFIG, i), 0);
        assert_int_equal(put(s, KONG_SEGMENT_ENDPOINTS, i), 0);
        assert_int_equal(store_write_source(s, i, "x", 1, &err), 0);
    }

    assert_int_equal(store_set_current(s, 2, 15, &err), 0);
    store_trim(s, 10);

    assert_int_equal(count(".config"), 11);
    assert_int_equal(count(".source"), 11);
    assert_int_equal(count(".endpoints"), 10);
    assert_true(whole(s, KONG_SEGMENT_CONFIG, 2));
    assert_false(whole(s, KONG_SEGMENT_CONFIG, 5));
    assert_true(whole(s, KONG_SEGMENT_CONFIG, 6));
    store_close(s);
}


static void
test_lock(void **state)
{
    int           status;
    pid_t         pid;
    store_t      *s;
    const char   *err;

    (void) state;

    s = store_open(prefix, &err);
    assert_non_null(s);

    pid = fork();
    assert_int_not_equal(pid, -1);

    if (pid == 0) {
        _exit(store_open(prefix, &err) == NULL ? 7 : 0);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 7);
    store_close(s);

    s = store_open(prefix, &err);
    assert_non_null(s);
    store_close(s);
}


static void
test_bad_current(void **state)
{
    int           fd;
    char          path[128];
    size_t        i;
    store_t      *s;
    uint32_t      c, e;
    const char   *err;

    static const char *const  texts[] = {
        "", "1", "1 ", "1 x\n", "-1 1\n", "0 1\n", "1 0\n", "1 1",
        "99999999999 1\n", "4294967295 1\n", "1 1\nmore", "\n", "a b\n"
    };

    (void) state;

    s = store_open(prefix, &err);
    assert_non_null(s);
    store_close(s);

    (void) snprintf(path, sizeof(path), "%s/snapshots/current", prefix);

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        fd = open(path, O_WRONLY|O_CREAT|O_TRUNC, 0600);
        assert_int_equal(write(fd, texts[i], strlen(texts[i])),
                         strlen(texts[i]));
        (void) close(fd);

        s = store_open(prefix, &err);
        assert_non_null(s);
        store_current(s, &c, &e);
        assert_int_equal(c, 0);
        assert_int_equal(e, 0);
        store_close(s);
    }
}


/* a limit of file sizes fails a write in its middle, as a full disk does */
static void
test_full(void **state)
{
    store_t        *s;
    uint32_t        c, e;
    const char     *err;
    struct rlimit   old, small;

    (void) state;

    (void) signal(SIGXFSZ, SIG_IGN);

    s = store_open(prefix, &err);
    assert_non_null(s);
    assert_int_equal(put(s, KONG_SEGMENT_CONFIG, 1), 0);
    assert_int_equal(put(s, KONG_SEGMENT_ENDPOINTS, 1), 0);
    assert_int_equal(store_set_current(s, 1, 1, &err), 0);

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = SIZE / 2;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(put(s, KONG_SEGMENT_CONFIG, 2), -1);

    small.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(store_stage_current(s, 2, 1, &err), -1);
    assert_int_equal(store_set_current(s, 2, 1, &err), -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);

    assert_int_equal(count(".config"), 1);
    assert_int_equal(count("tmp"), 0);
    store_current(s, &c, &e);
    assert_int_equal(c, 1);

    assert_int_equal(put(s, KONG_SEGMENT_CONFIG, 2), 0);
    store_close(s);
}


/* the child writes pair after pair until it is killed */
static void
writer(void)
{
    store_t     *s;
    uint32_t     c, e;
    const char  *err;

    s = store_open(prefix, &err);
    if (s == NULL) {
        _exit(1);
    }

    for ( ;; ) {
        c = store_next(s, KONG_SEGMENT_CONFIG);
        e = store_next(s, KONG_SEGMENT_ENDPOINTS);

        if (put(s, KONG_SEGMENT_CONFIG, c) == -1
            || put(s, KONG_SEGMENT_ENDPOINTS, e) == -1
            || store_stage_current(s, c, e, &err) == -1
            || store_set_current(s, c, e, &err) == -1)
        {
            _exit(1);
        }

        store_trim(s, 3);
    }
}


static void
test_killed(void **state)
{
    int               round, status;
    pid_t             pid;
    store_t          *s;
    uint32_t          c, e, last;
    const char       *err;
    struct timespec   t;

    (void) state;

    srand(4711);
    last = 0;

    for (round = 0; round < 40; round++) {
        pid = fork();
        assert_int_not_equal(pid, -1);

        if (pid == 0) {
            writer();
        }

        t.tv_sec = 0;
        t.tv_nsec = (5 + rand() % 40) * 1000000L + rand() % 1000000;
        (void) nanosleep(&t, NULL);

        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));

        s = store_open(prefix, &err);
        assert_non_null(s);
        assert_int_equal(count("tmp"), 0);

        store_current(s, &c, &e);
        assert_true(c >= last);
        last = c;

        if (c != 0) {
            assert_true(whole(s, KONG_SEGMENT_CONFIG, c));
            assert_true(whole(s, KONG_SEGMENT_ENDPOINTS, e));
        }

        assert_true(store_next(s, KONG_SEGMENT_CONFIG) > c);
        store_close(s);
    }

    assert_true(last > 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_round, setup, teardown),
        cmocka_unit_test_setup_teardown(test_group, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trim, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_current, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed, setup, teardown)
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
