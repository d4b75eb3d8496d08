/*
 * bench_router: what one route match costs, how large the index is, and how
 * long it takes to build ("make bench-router", or bench_router MAX_ROUTES
 * KIND, one of bench_names).
 *
 * A single match is shorter than what it takes to read a clock.  So the mean
 * comes from batches: 256 requests are copied to where they are in the cache
 * (as a request that has just been parsed is), then matched in one go; given
 * is the median of all batches, which leaves out those that were preempted.
 * The percentiles come from the processor's time stamp counter around each
 * match, fenced on both sides; the median cost of an empty pair of readings
 * is subtracted.  Build and verification are in CPU time.
 *
 * The segment is a file, mapped as the workers map it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "controld/compile/route_section.h"
#include "ngx_kong_module/snapshot/kong_match.h"


#define REQUESTS  204800
#define BATCH     256

typedef enum {
    BENCH_PREFIX,        /* one path of about 20 bytes, no host */
    BENCH_HOST,          /* the same path under a host of its own */
    BENCH_WILDCARD,      /* under a wildcard host of its own */
    BENCH_REGEX,         /* every tenth path is a regex */
    BENCH_METHOD,        /* two routes a path, told apart by the method */
    BENCH_HEADER,        /* no path: all told apart by one header's value */
    BENCH_KINDS
} bench_kind_t;

typedef struct {
    char            path[40];
    char            host[40];
    kong_str_t      path_str;
    kong_str_t      host_str;
    kong_str_t      method;
    route_header_t  header;
} bench_route_t;

typedef struct {
    kong_match_req_t  req;
    char              path[40];
    char              host[40];
} bench_req_t;

static const char *const  bench_names[] = {
    "prefix", "host", "wildcard", "regex", "method", "header"
};

static uint64_t  bench_state = 88172645463325252u;
static double    bench_tick = 1;       /* ns a tick of the counter */
static uint64_t  bench_empty;


static uint64_t
bench_random(void)
{
    bench_state ^= bench_state << 13;
    bench_state ^= bench_state >> 7;
    bench_state ^= bench_state << 17;

    return bench_state >> 8;
}


static double
bench_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec * 1e9 + (double) ts.tv_nsec;
}


static double
bench_cpu(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

    return (double) ts.tv_sec * 1e9 + (double) ts.tv_nsec;
}


static inline uint64_t
bench_count(void)
{
#if defined(__x86_64__)
    uint64_t  t;

    _mm_lfence();
    t = __rdtsc();
    _mm_lfence();

    return t;
#else
    return (uint64_t) bench_now();
#endif
}


static int
bench_cmp(const void *one, const void *two)
{
    uint64_t  a, b;

    a = *(const uint64_t *) one;
    b = *(const uint64_t *) two;

    return (a > b) - (a < b);
}


/* how long a tick is, and what two readings cost */
static void
bench_calibrate(void)
{
    double           start;
    uint64_t         from;
    unsigned         i;
    static uint64_t  empty[1001];

    start = bench_now();
    from = bench_count();

    while (bench_now() - start < 2e7) {
        /* void */
    }

    bench_tick = (bench_now() - start) / (double) (bench_count() - from);

    for (i = 0; i < 1001; i++) {
        from = bench_count();
        empty[i] = bench_count() - from;
    }

    qsort(empty, 1001, sizeof(uint64_t), bench_cmp);
    bench_empty = empty[500];
}


static int
bench_header(void *data, const kong_str_t *name, unsigned nth,
    kong_str_t *value)
{
    const bench_req_t  *q = data;

    (void) name;

    if (nth != 0) {
        return 0;
    }

    value->data = q->host;
    value->len = q->req.host.len;

    return 1;
}


/* stands for the regex engine, whose cost is not the router's: the pattern
 * is "/<16 hex digits>/\d+", of which "\d+" is left to it */
static int
bench_regex(void *data, uint32_t index, const char *subject, size_t len,
    size_t from)
{
    (void) data;
    (void) index;

    return (len > from && subject[from] >= '0' && subject[from] <= '9')
           ? (int) len : -1;
}


static void
bench_make(bench_kind_t kind, size_t n, bench_route_t *routes,
    route_rule_t *rules)
{
    size_t          i;
    bench_route_t  *b;
    route_rule_t   *r;

    static const char *const  methods[] = { "GET", "POST" };

    for (i = 0; i < n; i++) {
        b = &routes[i];
        r = &rules[i];
        memset(r, 0, sizeof(*r));

        ((uint64_t *) r->id)[0] = bench_random() << 8 ^ bench_random();
        ((uint64_t *) r->id)[1] = bench_random() << 8 ^ bench_random();

        snprintf(b->path, sizeof(b->path), "/%016llx/%zu",
                 (unsigned long long) bench_random(), i % 100);

        if (kind == BENCH_REGEX && i % 10 == 0) {
            snprintf(b->path, sizeof(b->path), "~/%016llx/\\d+",
                     (unsigned long long) bench_random());
        }

        if (kind == BENCH_METHOD && (i & 1)) {
            memcpy(b->path, routes[i - 1].path, sizeof(b->path));
        }

        if (kind == BENCH_HOST) {
            snprintf(b->host, sizeof(b->host), "t%zu.example.com", i);

        } else if (kind == BENCH_HEADER) {
            snprintf(b->host, sizeof(b->host), "tenant-%zu", i);

        } else if (kind == BENCH_WILDCARD) {
            snprintf(b->host, sizeof(b->host), "*.t%zu.example.com", i);
        }

        b->path_str.data = b->path;
        b->path_str.len = strlen(b->path);
        b->host_str.data = b->host;
        b->host_str.len = strlen(b->host);
        b->method.data = methods[i & 1];
        b->method.len = strlen(b->method.data);

        r->route = (uint32_t) i;
        r->paths = &b->path_str;
        r->n_paths = (kind != BENCH_HEADER);
        r->hosts = &b->host_str;
        r->n_hosts = (kind == BENCH_HOST || kind == BENCH_WILDCARD);
        r->has_hosts = r->n_hosts;
        r->methods = &b->method;
        r->n_methods = (kind == BENCH_METHOD);

        b->header.name.data = "x-tenant";
        b->header.name.len = 8;
        b->header.values = &b->host_str;
        b->header.n_values = 1;
        r->headers = &b->header;
        r->n_headers = (kind == BENCH_HEADER);
    }
}


/* requests for routes that are there; a miss leaves the path at its last
 * bytes, or comes with an unknown host */
static void
bench_requests(bench_kind_t kind, size_t n, const bench_route_t *routes,
    bench_req_t *reqs, unsigned miss)
{
    size_t                i, len;
    bench_req_t          *q;
    const bench_route_t  *b;

    for (i = 0; i < REQUESTS; i++) {
        q = &reqs[i];
        b = &routes[bench_random() % n];
        memset(q, 0, sizeof(*q));

        if (b->path[0] == '~') {
            snprintf(q->path, sizeof(q->path), "%.18s%s", b->path + 1,
                     miss ? "x" : "12");
        } else {
            memcpy(q->path, b->path, sizeof(q->path));
        }

        len = strlen(q->path);

        if (miss && b->path[0] != '~') {
            q->path[len - 3 - bench_random() % 12] = 'z';
        }

        if (kind == BENCH_WILDCARD) {
            snprintf(q->host, sizeof(q->host), "www%s", b->host + 1);

        } else {
            snprintf(q->host, sizeof(q->host), "%s",
                     *b->host ? b->host : "www.example.com");
        }

        if (miss && *b->host != 0 && (i & 1)) {
            q->host[4] = 'z';
        }

        q->req.path.data = q->path;
        q->req.path.len = len;
        q->req.host.data = q->host;
        q->req.host.len = strlen(q->host);
        q->req.method = b->method;
        q->req.port = 80;
        q->req.header = bench_header;
        q->req.regex = bench_regex;
    }
}


static void
bench_copy(bench_req_t *to, const bench_req_t *from)
{
    *to = *from;
    to->req.path.data = to->path;
    to->req.host.data = to->host;
    to->req.data = to;
}


static void
bench_run(const kong_segment_t *seg, const bench_req_t *reqs,
    const char *what)
{
    size_t           i, j, hits;
    uint64_t         from;
    bench_req_t      batch[BATCH];
    kong_match_t     out;
    static uint64_t  ticks[REQUESTS], batches[REQUESTS / BATCH];

    for (i = 0, hits = 0; i < REQUESTS; i++) {
        bench_copy(&batch[0], &reqs[i]);
        from = bench_count();
        hits += (size_t) kong_match(seg, &batch[0].req, &out);
        ticks[i] = bench_count() - from;
        ticks[i] -= (ticks[i] > bench_empty) ? bench_empty : ticks[i];
    }

    for (i = 0; i < REQUESTS / BATCH; i++) {
        for (j = 0; j < BATCH; j++) {
            bench_copy(&batch[j], &reqs[i * BATCH + j]);
        }

        from = bench_count();

        for (j = 0; j < BATCH; j++) {
            (void) kong_match(seg, &batch[j].req, &out);
        }

        batches[i] = bench_count() - from;
    }

    qsort(ticks, REQUESTS, sizeof(uint64_t), bench_cmp);
    qsort(batches, REQUESTS / BATCH, sizeof(uint64_t), bench_cmp);

    printf("%s %3.0f%% found: mean %4.0f p50 %4.0f p99 %4.0f p99.9 %4.0f",
           what, 100.0 * (double) hits / REQUESTS,
           bench_tick * (double) batches[REQUESTS / BATCH / 2] / BATCH,
           bench_tick * (double) ticks[REQUESTS / 2],
           bench_tick * (double) ticks[REQUESTS / 100 * 99],
           bench_tick * (double) ticks[REQUESTS / 1000 * 999]);
}


/* the segment as a worker has it: a mapped file */
static void *
bench_map(const segment_buf_t *buf)
{
    FILE   *f;
    void   *p;

    f = tmpfile();

    if (f == NULL || fwrite(buf->data, 1, buf->size, f) != buf->size
        || fflush(f) != 0)
    {
        return NULL;
    }

    p = mmap(NULL, buf->size, PROT_READ, MAP_SHARED, fileno(f), 0);
    fclose(f);

    return (p == MAP_FAILED) ? NULL : p;
}


static int
bench_case(bench_kind_t kind, size_t n, bench_req_t *reqs)
{
    char                   name[24];
    void                  *map;
    size_t                 i, bad;
    double                 start, took, verify;
    writer_t               w;
    const char            *err;
    kong_route_t          *r;
    route_rule_t          *rules;
    route_index_t          ri;
    segment_buf_t          buf;
    bench_route_t         *routes;
    kong_segment_t         seg;
    kong_segment_rc_t      rc;
    kong_segment_header_t  head;

    routes = calloc(n, sizeof(bench_route_t));
    rules = calloc(n, sizeof(route_rule_t));

    if (routes == NULL || rules == NULL) {
        return -1;
    }

    bench_make(kind, n, routes, rules);

    start = bench_cpu();

    if (route_index_build(rules, n, &ri, &bad, &err) != 0) {
        return -1;
    }

    took = bench_cpu() - start;
    route_index_release(&ri);

    memset(&head, 0, sizeof(head));
    head.n_routes = (uint32_t) n;
    writer_init(&w, KONG_SEGMENT_CONFIG);
    r = writer_records(&w, KONG_SECTION_ROUTES, n, sizeof(kong_route_t));

    for (i = 0; i < n && r != NULL; i++) {
        memcpy(r[i].id, rules[i].id, sizeof(r[i].id));
        r[i].service = KONG_NONE;
        snprintf(name, sizeof(name), "r%07zu", i);
        r[i].name = writer_new_string(&w, name, strlen(name));
    }

    if (r == NULL
        || route_section_write(&w, rules, n, NULL, &bad, &err) != 0
        || writer_finish(&w, &head, &buf) != 0)
    {
        return -1;
    }

    writer_release(&w);
    map = bench_map(&buf);

    if (map == NULL) {
        return -1;
    }

    start = bench_cpu();
    rc = kong_segment_open(&seg, map, buf.size, KONG_SEGMENT_CONFIG,
                           KONG_SEGMENT_VERIFY);
    verify = bench_cpu() - start;

    if (rc != KONG_SEGMENT_OK) {
        fprintf(stderr, "%s\n", kong_segment_strerror(rc));
        return -1;
    }

    printf("%-8s %7zu", bench_names[kind], n);
    bench_requests(kind, n, routes, reqs, 0);
    bench_run(&seg, reqs, " ");
    bench_requests(kind, n, routes, reqs, 1);
    bench_run(&seg, reqs, "|");
    printf("  | %5.1f bytes a route, compile %6.1f ms, verify %5.1f ms\n",
           (double) (buf.size - 512) / (double) n, took / 1e6,
           verify / 1e6);
    fflush(stdout);

    munmap(map, buf.size);
    segment_buf_release(&buf);
    free(routes);
    free(rules);

    return 0;
}


int
main(int argc, char **argv)
{
    size_t        n, max;
    bench_kind_t  kind;
    bench_req_t  *reqs;

    max = (argc > 1) ? strtoul(argv[1], NULL, 10) : 1000000;
    reqs = malloc(REQUESTS * sizeof(bench_req_t));

    if (reqs == NULL || max == 0) {
        return 1;
    }

    bench_calibrate();
    printf("ns a match; %.0f ns for reading the clock are subtracted from "
           "percentiles\n", bench_tick * (double) bench_empty);

    for (kind = 0; kind < BENCH_KINDS; kind++) {
        if (argc > 2 && strcmp(argv[2], bench_names[kind]) != 0) {
            continue;
        }

        for (n = 10; n <= max; n *= (n < 10000) ? 10 : 100) {
            if (bench_case(kind, n, reqs) != 0) {
                fprintf(stderr, "cannot build or map the segment\n");
                return 1;
            }
        }
    }

    free(reqs);

    return 0;
}
