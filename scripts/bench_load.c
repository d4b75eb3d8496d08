/*
 * bench_load: what a change of a declarative file costs, step by step, in
 * CPU time of this process: text to configuration, configuration to segment,
 * verification.  First the whole text, then texts in which a letter of some
 * path has changed.
 *
 *     build/bench_load FILE [rounds [changes]]
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "../controld/compile/compile.h"
#include "../controld/source/declarative.h"


enum { STEP_LOAD, STEP_SORT, STEP_COMPILE, STEP_VERIFY, STEP_FREE, STEPS };

static const char *const  step_names[STEPS] = {
    "load", "sort", "compile", "verify", "free"
};

static declarative_opts_t    opts;
static declarative_syntax_t  syntax;
static size_t                segment;
static compile_state_t      *state;         /* of the configuration before */


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}


static void
die(const char *what)
{
    fprintf(stderr, "bench_load: %s\n", what);
    exit(1);
}


static char *
slurp(const char *path, size_t *len)
{
    char  *text;
    FILE  *f;

    f = fopen(path, "rb");

    if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
        die("the file cannot be read");
    }

    *len = (size_t) ftell(f);
    rewind(f);
    text = malloc(*len + 1);

    if (text == NULL || fread(text, 1, *len, f) != *len) {
        die("the file cannot be read");
    }

    text[*len] = '\0';
    (void) fclose(f);

    return text;
}


/* the configuration of the text, in place of the one before it */
static config_t *
step(const char *text, size_t len, config_t *before, double ms[STEPS])
{
    char                  *copy;
    double                 t[STEPS + 1];
    arena_t               *a, *origin;
    config_t              *c;
    const char            *err;
    segment_buf_t          buf;
    kong_segment_t         seg;
    compile_opts_t         copts;
    compile_state_t       *next;
    declarative_errors_t   errors;

    memset(&copts, 0, sizeof(copts));
    copts.before = before;
    copts.before_state = (before != NULL) ? state : NULL;
    copts.state = &next;
    copts.generation = 1;
    copts.router_flavor = opts.router_flavor;

    a = arena_new();
    origin = arena_new();
    copy = arena_strndup(origin, text, len);

    t[STEP_LOAD] = now();
    c = declarative_load_kept(a, origin, copy, len, syntax, before, &opts,
                              &errors);

    if (c == NULL) {
        die(declarative_errors_text(a, &errors, 1));
    }

    if (c->origin == NULL) {
        arena_free(origin);
    }

    t[STEP_SORT] = now();
    config_sort(c);

    t[STEP_COMPILE] = now();

    if (compile_config(a, c, &copts, &buf, &err) != 0) {
        die(err);
    }

    t[STEP_VERIFY] = now();

    if (kong_segment_open(&seg, buf.data, buf.size, KONG_SEGMENT_CONFIG,
                          KONG_SEGMENT_VERIFY)
        != KONG_SEGMENT_OK)
    {
        die("the segment does not verify");
    }

    t[STEP_FREE] = now();
    segment = buf.size;
    segment_buf_release(&buf);
    compile_state_free(state);
    state = next;
    config_free(before);
    arena_free(a);
    t[STEPS] = now();

    for (int i = 0; i < STEPS; i++) {
        ms[i] = t[i + 1] - t[i];
    }

    return c;
}


static void
show(const char *what, double ms[STEPS])
{
    int     i;
    double  sum;

    for (i = 0, sum = 0; i < STEPS; i++) {
        sum += ms[i];
    }

    printf("%-8s %8.2f ms:", what, sum);

    for (i = 0; i < STEPS; i++) {
        printf(" %s %.2f", step_names[i], ms[i]);
    }

    printf("\n");
}


static double
resident(void)
{
    long   size, pages;
    FILE  *f;

    f = fopen("/proc/self/statm", "r");

    if (f == NULL || fscanf(f, "%ld %ld", &size, &pages) != 2) {
        die("/proc/self/statm cannot be read");
    }

    (void) fclose(f);

    return pages * 4096 / 1e6;
}


static int
compare(const void *one, const void *two)
{
    double  a, b;

    a = *(const double *) one;
    b = *(const double *) two;

    return (a > b) - (a < b);
}


/* medians of the steps of many small changes */
static config_t *
changes(char *text, size_t len, config_t *c, int n)
{
    int      i, k;
    char    *p;
    double   ms[STEPS], *all[STEPS];

    for (k = 0; k < STEPS; k++) {
        all[k] = calloc((size_t) n, sizeof(double));
    }

    for (i = 0; i < n; i++) {
        do {
            p = text + (size_t) rand() % (len - 2);
            p = strchr(p, '/');
        } while (p == NULL || p[1] < 'a' || p[1] > 'z');

        p[1] = (char) ('a' + (p[1] - 'a' + 1) % 26);
        c = step(text, len, c, ms);

        for (k = 0; k < STEPS; k++) {
            all[k][i] = ms[k];
        }
    }

    for (k = 0; k < STEPS && n > 0; k++) {
        qsort(all[k], (size_t) n, sizeof(double), compare);
        ms[k] = all[k][n / 2];
        free(all[k]);
    }

    if (n > 0) {
        show("change", ms);
    }

    return c;
}


int
main(int argc, char **argv)
{
    int            i;
    char          *text;
    size_t         len;
    double         ms[STEPS];
    config_t      *c;
    struct rusage  ru;

    if (argc < 2) {
        die("usage: bench_load FILE [rounds [changes]]");
    }

    opts.router_flavor = "traditional_compatible";
    syntax = (strstr(argv[1], ".json") != NULL) ? DECLARATIVE_JSON
                                                : DECLARATIVE_YAML;
    text = slurp(argv[1], &len);
    c = NULL;

    for (i = 0; i < (argc > 2 ? atoi(argv[2]) : 3); i++) {
        config_free(c);
        c = step(text, len, NULL, ms);
        show("whole", ms);
    }

    printf("segment %.2f MB, resident %.1f MB\n", segment / 1e6, resident());
    c = changes(text, len, c, argc > 3 ? atoi(argv[3]) : 20);
    (void) getrusage(RUSAGE_SELF, &ru);
    printf("resident %.1f MB, at its peak %.1f MB\n", resident(),
           ru.ru_maxrss / 1e3);

    config_free(c);
    free(text);

    return 0;
}
