/*
 * load: the way of a text into a verified segment.  Out of memory abandons
 * the load and leaves everything that runs as it is.
 */

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/evp.h>

#include "../log.h"
#include "../model/json.h"
#include "../model/types.h"
#include "load.h"


#define LOAD_TEXT_MAX    ((off_t) 2 * 1024 * 1024 * 1024 - 1)
#define LOAD_HASH_APART  (256 * 1024)


static void load_config(load_t *l);
static int load_read(load_t *l);
static config_t *load_kept(load_t *l);
static config_t *load_parse(load_t *l);
static config_t *load_text(load_t *l);
static void load_hash_begin(load_t *l);
static void load_seal(load_t *l);
static void load_hash_end(load_t *l);
static void *load_hash_run(void *data);
static int load_compile(load_t *l);
static int load_segment(load_t *l, const compile_opts_t *opts,
    kong_segment_rc_t *rc);
static void load_fail(load_t *l, const char *sentence);
static void load_report(load_t *l);
static const char *load_first(arena_t *a, const char *text);
static declarative_syntax_t load_syntax(const char *path);


load_t *
load_new(void)
{
    load_t  *l;

    l = calloc(1, sizeof(load_t));
    if (l == NULL) {
        return NULL;
    }

    l->arena = arena_new();
    l->compile = 1;

    return l;
}


void
load_free(load_t *l)
{
    unsigned  small;

    if (l == NULL) {
        return;
    }

    small = (l->before != NULL && l->generation != NULL
             && declarative_changed(l->generation->config));

    generation_put(l->generation);
    segment_buf_release(&l->segment);
    arena_free(l->origin);
    arena_free(l->arena);
    free(l);

    /* what a generation took is given back at once, not kept for later; what
     * a small change took serves the next one */

    if (!small) {
        (void) malloc_trim(0);
    }
}


void
load_run(load_t *l)
{
    jmp_buf  oom;

    l->rc = LOAD_INVALID;

    if (setjmp(oom) != 0) {
        /* what was asked for lies in the arena too and is not needed now */
        load_hash_end(l);
        arena_free(l->arena);
        arena_free(l->origin);
        l->arena = arena_new();
        l->origin = NULL;
        l->text = NULL;
        l->doc = NULL;
        l->rc = LOAD_INVALID;
        load_fail(l, "out of memory");
        return;
    }

    l->arena->oom = &oom;
    load_config(l);
    l->arena->oom = NULL;
}


unsigned
load_is_change(const load_t *l)
{
    return l->generation != NULL && l->generation->compiled != NULL
           && compile_changed(l->generation->compiled);
}


void
load_run_whole(load_t *l)
{
    jmp_buf  oom;

    l->rc = LOAD_INVALID;
    l->before = NULL;
    compile_state_free(l->generation->compiled);
    l->generation->compiled = NULL;

    if (setjmp(oom) != 0) {
        l->first = "out of memory";
        l->report = l->first;
        return;
    }

    l->arena->oom = &oom;

    if (load_compile(l) == 0) {
        l->rc = LOAD_OK;
    }

    l->arena->oom = NULL;
}


static void
load_config(load_t *l)
{
    value_t   *entities;
    config_t  *c;

    if (l->prepare != NULL && l->prepare(l) == -1) {
        return;
    }

    if (l->make != NULL) {
        c = l->make(l, l->source);

        if (c == NULL && l->rc != LOAD_UNCHANGED) {
            load_fail(l, l->first);
        }

        if (c == NULL) {
            return;
        }

    } else if (l->path != NULL && !l->kept && load_read(l) == -1) {
        c = declarative_load_file(l->arena, l->path, &l->opts, &l->errors);

    } else {
        c = (l->kept && l->path != NULL) ? load_kept(l) : NULL;

        if (c == NULL) {
            c = load_parse(l);
        }

        if (l->rc == LOAD_UNCHANGED) {
            return;
        }
    }

    if (c == NULL) {
        load_report(l);
        return;
    }

    if (l->as_hash != NULL) {
        (void) snprintf(c->hash, sizeof(c->hash), "%s", l->as_hash);
    }

    l->generation = generation_new(c, l->number);

    if (l->compile && load_compile(l) == -1) {
        return;
    }

    if (l->hash.busy) {
        load_seal(l);
    }

    generation_sort(l->generation);

    if (l->entities) {
        entities = declarative_entities(l->arena, c);
        l->body = json_print(l->arena, entities, &l->body_len);
    }

    l->rc = LOAD_OK;
}


/* -1: let declarative_load_file() say what is wrong with it */
static int
load_read(load_t *l)
{
    int          fd;
    char        *text;
    ssize_t      n;
    struct stat  st;

    l->syntax = load_syntax(l->path);
    if (l->syntax == 0) {
        return -1;
    }

    fd = open(l->path, O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        return -1;
    }

    if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)
        || st.st_size > LOAD_TEXT_MAX)
    {
        (void) close(fd);
        return -1;
    }

    l->origin = arena_new();
    l->origin->oom = l->arena->oom;
    text = arena_alloc(l->origin, (size_t) st.st_size + 1);
    l->origin->oom = NULL;
    n = 0;

    for (l->len = 0; l->len < (size_t) st.st_size; l->len += (size_t) n) {
        n = read(fd, text + l->len, (size_t) st.st_size - l->len);

        if (n == -1 && errno == EINTR) {
            n = 0;
            continue;
        }

        if (n <= 0) {
            break;
        }
    }

    (void) close(fd);
    text[l->len] = '\0';
    l->text = text;

    return (n == -1) ? -1 : 0;
}


/*
 * The ids of a configuration that is served must stay those that it has.
 * Where none of them is random, the source itself gives them again, and is
 * what changes are held against later.  NULL: the text that was kept it is.
 */
static config_t *
load_kept(load_t *l)
{
    size_t                 len;
    config_t              *c;
    const char            *text;
    declarative_syntax_t   syntax;

    c = NULL;
    text = l->text;
    len = l->len;
    syntax = l->syntax;

    if (load_read(l) == 0) {
        load_hash_begin(l);
        load_hash_end(l);

        if (strcmp(l->hash.hex, l->as_hash) == 0) {
            c = load_text(l);
        }
    }

    if (c != NULL && !declarative_repeats(c)) {
        config_free(c);
        c = NULL;
    }

    if (c == NULL) {
        arena_free(l->origin);
        l->origin = NULL;
        l->text = text;
        l->len = len;
        l->syntax = syntax;
    }

    return c;
}


static config_t *
load_parse(load_t *l)
{
    unsigned   held;
    config_t  *c;

    if (l->doc != NULL) {
        return declarative_load_value(l->arena, l->doc, NULL, &l->opts,
                                      &l->errors);
    }

    if (l->text == NULL) {
        c = config_new();
        (void) snprintf(c->hash, sizeof(c->hash), "%032d", 0);
        return c;
    }

    if (l->origin == NULL && l->known[0] == '\0') {
        return declarative_load(l->arena, l->text, l->len, l->syntax,
                                &l->opts, &l->errors);
    }

    held = (l->before != NULL && l->before->config->origin != NULL);

    if (held && declarative_alike(l->before->config, &l->opts, l->text,
                                  l->len, l->syntax))
    {
        l->rc = LOAD_UNCHANGED;
        return NULL;
    }

    load_hash_begin(l);

    if (!held && l->known[0] != '\0') {
        load_hash_end(l);

        if (strcmp(l->hash.hex, l->known) == 0) {
            l->rc = LOAD_UNCHANGED;
            return NULL;
        }
    }

    c = load_text(l);

    if (c == NULL) {
        load_hash_end(l);

    } else if (!l->hash.busy) {
        declarative_hash(c, l->hash.hex);
    }

    return c;
}


static config_t *
load_text(load_t *l)
{
    config_t        *c;
    const config_t  *before;

    if (l->origin == NULL) {
        return declarative_load(l->arena, l->text, l->len, l->syntax,
                                &l->opts, &l->errors);
    }

    before = (l->before != NULL) ? l->before->config : NULL;

    c = declarative_load_kept(l->arena, l->origin, l->text, l->len,
                              l->syntax, before, &l->opts, &l->errors);

    if (c != NULL && c->origin != NULL) {
        l->origin = NULL;
    }

    return c;
}


/* in a thread where that is worth it: it takes longer than a small change */
static void
load_hash_begin(load_t *l)
{
    load_hash_t  *h;

    h = &l->hash;
    h->text = l->text;
    h->len = l->len;

    if (l->len < LOAD_HASH_APART
        || pthread_create(&h->thread, NULL, load_hash_run, h) != 0)
    {
        (void) load_hash_run(h);
        return;
    }

    h->busy = 1;
}


/* a hash that takes longer than all the rest comes into the segment last */
static void
load_seal(load_t *l)
{
    config_t  *c;

    c = l->generation->config;

    load_hash_end(l);
    declarative_hash(c, l->hash.hex);

    if (l->segment.data != NULL) {
        segment_buf_hash(&l->segment, l->generation->compiled, c->hash);
    }
}


static void
load_hash_end(load_t *l)
{
    if (l->hash.busy) {
        (void) pthread_join(l->hash.thread, NULL);
        l->hash.busy = 0;
    }
}


static void *
load_hash_run(void *data)
{
    unsigned       i, n;
    load_hash_t   *h = data;
    unsigned char  md[EVP_MAX_MD_SIZE];

    h->hex[0] = '\0';

    if (EVP_Digest(h->text, h->len, md, &n, EVP_md5(), NULL) != 1) {
        return NULL;
    }

    for (i = 0; i < n && i < 16; i++) {
        (void) snprintf(h->hex + i * 2, 3, "%02x", md[i]);
    }

    return NULL;
}


static int
load_compile(load_t *l)
{
    compile_opts_t     opts;
    struct timespec    now;
    kong_segment_rc_t  rc;

    (void) clock_gettime(CLOCK_REALTIME, &now);

    memset(&opts, 0, sizeof(opts));
    opts.set_aside = l->opts.database;
    opts.broken = l->broken;
    opts.n_broken = l->n_broken;
    opts.aside = &l->aside;
    opts.n_aside = &l->n_aside;
    opts.generation = l->number;
    opts.created = now.tv_sec * 1000ull + now.tv_nsec / 1000000;
    opts.router_flavor = l->opts.router_flavor;
    opts.state = &l->generation->compiled;

    if (l->before != NULL && l->before->compiled != NULL) {
        opts.before = l->before->config;
        opts.before_state = l->before->compiled;
    }

    if (load_segment(l, &opts, &rc) == -1) {
        return -1;
    }

    if (rc != KONG_SEGMENT_OK && opts.before_state != NULL) {
        log_write(LOG_ERR, "the segment of a change is bad: %s; all is "
                  "compiled", kong_segment_strerror(rc));

        segment_buf_release(&l->segment);
        compile_state_free(l->generation->compiled);
        l->generation->compiled = NULL;
        opts.before_state = NULL;

        if (load_segment(l, &opts, &rc) == -1) {
            return -1;
        }
    }

    if (rc != KONG_SEGMENT_OK) {
        load_fail(l, arena_printf(l->arena, "the compiled segment is bad: %s",
                                  kong_segment_strerror(rc)));
        return -1;
    }

    return 0;
}


/* nothing that nginx would refuse leaves this process; of a change nginx says
 * so itself, and then all is compiled */
static int
load_segment(load_t *l, const compile_opts_t *opts, kong_segment_rc_t *rc)
{
    const char      *err;
    kong_segment_t   seg;

    if (compile_config(l->arena, l->generation->config, opts, &l->segment,
                       &err)
        == -1)
    {
        load_fail(l, err);
        return -1;
    }

    if (segment_buf_is_pages(&l->segment)) {
        *rc = KONG_SEGMENT_OK;
        return 0;
    }

    *rc = kong_segment_open(&seg, l->segment.data, l->segment.size,
                            KONG_SEGMENT_CONFIG, KONG_SEGMENT_VERIFY);

    return 0;
}


/* a fault without a place in the document */
static void
load_fail(load_t *l, const char *sentence)
{
    value_t  *v;

    /* what is hashed goes with the configuration */
    load_hash_end(l);

    memset(&l->errors, 0, sizeof(declarative_errors_t));

    l->errors.fields = value_new(l->arena);
    value_set_object(l->errors.fields);

    v = value_put(l->arena, l->errors.fields, "error");
    value_copy_string(l->arena, v, sentence, strlen(sentence));

    l->errors.flattened = value_new(l->arena);
    value_set_array(l->errors.flattened);
    l->errors.flattened->flags = VALUE_LUA_TABLE;

    l->errors.unflattened = l->errors.fields;
    l->errors.count = 1;

    generation_put(l->generation);
    l->generation = NULL;

    l->report = arena_strndup(l->arena, sentence, strlen(sentence));
    l->first = l->report;
}


static void
load_report(load_t *l)
{
    const value_t  *v;

    l->report = declarative_errors_text(l->arena, &l->errors, 1);
    l->first = load_first(l->arena, l->report);

    v = value_get(l->errors.fields, "error");
    if (v != NULL && value_cstr(v) != NULL) {
        l->first = value_cstr(v);
    }
}


/*
 * The text lists errors depth first, so that all lines above the first
 * message (the first line that ends in no colon) are where it is.
 */
static const char *
load_first(arena_t *a, const char *text)
{
    char        *out, *p;
    size_t       len;
    const char  *line;

    out = arena_alloc(a, strlen(text) + 1);
    p = out;

    for (line = text; *line != '\0'; ) {

        line += strspn(line, " -\n");
        len = strcspn(line, "\n");

        if (p != out) {
            *p++ = ' ';
        }

        memcpy(p, line, len);
        p += len;
        line += len;

        if (len != 0 && p[-1] != ':') {
            break;
        }
    }

    *p = '\0';

    return out;
}


static declarative_syntax_t
load_syntax(const char *path)
{
    const char  *dot;

    dot = strrchr(path, '.');
    if (dot == NULL) {
        return 0;
    }

    if (strcmp(dot, ".json") == 0) {
        return DECLARATIVE_JSON;
    }

    if (strcmp(dot, ".yml") == 0 || strcmp(dot, ".yaml") == 0) {
        return DECLARATIVE_YAML;
    }

    return 0;
}
