/*
 * bench_load: what a change of a declarative file costs, step by step: text
 * to configuration, configuration to segment, verification.
 *
 *     build/bench_load FILE [rounds]
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "../controld/compile/compile.h"
#include "../controld/source/declarative.h"


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}


static int
round_once(const char *path, double ms[3], size_t *size, size_t *arena)
{
    double                 t;
    arena_t               *a;
    config_t              *c;
    const char            *err;
    segment_buf_t          buf;
    kong_segment_t         seg;
    compile_opts_t         copts;
    declarative_opts_t     opts;
    declarative_errors_t   errors;

    memset(&opts, 0, sizeof(opts));
    opts.router_flavor = "traditional_compatible";
    memset(&copts, 0, sizeof(copts));
    copts.generation = 1;
    copts.router_flavor = opts.router_flavor;

    a = arena_new();

    t = now();
    c = declarative_load_file(a, path, &opts, &errors);
    ms[0] = now() - t;

    if (c == NULL) {
        fprintf(stderr, "%s\n", declarative_errors_text(a, &errors, 1));
        return 1;
    }

    t = now();
    if (compile_config(a, c, &copts, &buf, &err) != 0) {
        fprintf(stderr, "%s\n", err);
        return 1;
    }
    ms[1] = now() - t;

    t = now();
    if (kong_segment_open(&seg, buf.data, buf.size, KONG_SEGMENT_CONFIG,
                          KONG_SEGMENT_VERIFY)
        != KONG_SEGMENT_OK)
    {
        fprintf(stderr, "the segment does not verify\n");
        return 1;
    }
    ms[2] = now() - t;

    *size = buf.size;
    *arena = c->arena->used + a->used;

    segment_buf_release(&buf);
    config_free(c);
    arena_free(a);

    return 0;
}


int
main(int argc, char **argv)
{
    int            i, rounds;
    double         ms[3];
    size_t         size, arena;
    struct rusage  ru;

    if (argc < 2) {
        fprintf(stderr, "usage: bench_load FILE [rounds]\n");
        return 1;
    }

    rounds = (argc > 2) ? atoi(argv[2]) : 3;

    for (i = 0; i < rounds; i++) {
        if (round_once(argv[1], ms, &size, &arena) != 0) {
            return 1;
        }

        printf("load %.1f ms, compile %.1f ms, verify %.1f ms; segment "
               "%.2f MB, arena %.1f MB\n", ms[0], ms[1], ms[2], size / 1e6,
               arena / 1e6);
    }

    getrusage(RUSAGE_SELF, &ru);
    printf("peak resident %.1f MB\n", ru.ru_maxrss / 1e3);

    return 0;
}
