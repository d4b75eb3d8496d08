/*
 * load: the way of a text into a verified segment.  Out of memory abandons
 * the load and leaves everything that runs as it is.
 */

#include <ctype.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <openssl/evp.h>

#include "../model/json.h"
#include "load.h"


static void load_config(load_t *l);
static int load_read(load_t *l);
static config_t *load_parse(load_t *l);
static int load_compile(load_t *l);
static void load_fail(load_t *l, const char *sentence);
static void load_report(load_t *l);
static const char *load_first(arena_t *a, const char *text);
static declarative_syntax_t load_syntax(const char *path);
static void load_hash(const char *text, size_t len, char *hex);
static generation_t *generation_new(config_t *c, uint32_t number);
static void generation_sort(generation_t *g);
static int generation_by_id(const void *one, const void *two);
static int generation_by_name(const void *one, const void *two);
static int generation_is_address(const char *host);


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
    if (l == NULL) {
        return;
    }

    generation_put(l->generation);
    segment_buf_release(&l->segment);
    arena_free(l->arena);
    free(l);

    /* what a generation took is given back at once, not kept for later */
    (void) malloc_trim(0);
}


void
load_run(load_t *l)
{
    jmp_buf  oom;

    l->rc = LOAD_INVALID;

    if (setjmp(oom) != 0) {
        /* what was asked for lies in the arena too and is not needed now */
        arena_free(l->arena);
        l->arena = arena_new();
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

    } else if (l->path != NULL && load_read(l) == -1) {
        c = declarative_load_file(l->arena, l->path, &l->opts, &l->errors);

    } else {
        c = load_parse(l);
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
    FILE    *f;
    char    *text, *p;
    size_t   len, cap, n;

    l->syntax = load_syntax(l->path);
    if (l->syntax == 0) {
        return -1;
    }

    f = fopen(l->path, "re");
    if (f == NULL) {
        return -1;
    }

    text = NULL;
    len = 0;
    cap = 0;

    for ( ;; ) {
        if (len == cap) {
            cap = cap * 2 + 65536;
            p = realloc(text, cap);
            if (p == NULL) {
                break;
            }
            text = p;
        }

        n = fread(text + len, 1, cap - len, f);
        if (n == 0) {
            break;
        }
        len += n;
    }

    if (ferror(f) || len == cap) {
        (void) fclose(f);
        free(text);
        return -1;
    }

    (void) fclose(f);

    l->text = arena_strndup(l->arena, text, len);
    l->len = len;
    free(text);

    return 0;
}


static config_t *
load_parse(load_t *l)
{
    char       hash[33];
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

    if (l->known[0] != '\0') {
        load_hash(l->text, l->len, hash);

        if (strcmp(hash, l->known) == 0) {
            l->rc = LOAD_UNCHANGED;
            return NULL;
        }
    }

    return declarative_load(l->arena, l->text, l->len, l->syntax, &l->opts,
                            &l->errors);
}


static int
load_compile(load_t *l)
{
    const char         *err;
    kong_segment_t      seg;
    compile_opts_t      opts;
    struct timespec     now;
    kong_segment_rc_t   rc;

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

    if (compile_config(l->arena, l->generation->config, &opts, &l->segment,
                       &err)
        == -1)
    {
        load_fail(l, err);
        return -1;
    }

    /* nothing that nginx would refuse leaves this process */
    rc = kong_segment_open(&seg, l->segment.data, l->segment.size,
                           KONG_SEGMENT_CONFIG, KONG_SEGMENT_VERIFY);

    if (rc != KONG_SEGMENT_OK) {
        load_fail(l, arena_printf(l->arena, "the compiled segment is bad: %s",
                                  kong_segment_strerror(rc)));
        return -1;
    }

    return 0;
}


/* a fault without a place in the document */
static void
load_fail(load_t *l, const char *sentence)
{
    value_t  *v;

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


static void
load_hash(const char *text, size_t len, char *hex)
{
    unsigned       i, n;
    unsigned char  md[EVP_MAX_MD_SIZE];

    hex[0] = '\0';

    if (EVP_Digest(text, len, md, &n, EVP_md5(), NULL) != 1) {
        return;
    }

    for (i = 0; i < n && i < 16; i++) {
        (void) snprintf(hex + i * 2, 3, "%02x", md[i]);
    }
}


static generation_t *
generation_new(config_t *c, uint32_t number)
{
    generation_t  *g;

    g = arena_zalloc(c->arena, sizeof(generation_t));
    g->config = c;
    g->number = number;
    g->refs = 1;

    return g;
}


void
generation_get(generation_t *g)
{
    g->refs++;
}


void
generation_put(generation_t *g)
{
    if (g != NULL && --g->refs == 0) {
        /* g lies in the arena of its configuration */
        config_free(g->config);
    }
}


static void
generation_sort(generation_t *g)
{
    size_t           i;
    config_t        *c;
    config_table_t  *t;

    c = g->config;
    g->sorted = arena_zalloc(c->arena, c->n_tables * sizeof(value_t **));

    for (i = 0; i < c->n_tables; i++) {
        t = &c->tables[i];
        if (t->n == 0) {
            continue;
        }

        if (c->sorted) {
            g->sorted[i] = t->rows;
            continue;
        }

        g->sorted[i] = arena_alloc(c->arena, t->n * sizeof(value_t *));
        memcpy(g->sorted[i], t->rows, t->n * sizeof(value_t *));
        qsort(g->sorted[i], t->n, sizeof(value_t *), generation_by_id);
    }
}


static int
generation_by_id(const void *one, const void *two)
{
    const value_t  *a, *b;

    a = value_get(*(value_t *const *) one, "id");
    b = value_get(*(value_t *const *) two, "id");

    return strcmp(a != NULL ? value_cstr(a) : "",
                  b != NULL ? value_cstr(b) : "");
}


const char *const *
generation_hosts(arena_t *a, const generation_t *g, size_t *n)
{
    char            *p;
    size_t           i, k;
    const char      *host, **names;
    config_table_t  *t;

    *n = 0;

    t = config_table(g->config, "services");
    if (t == NULL || t->n == 0) {
        return NULL;
    }

    names = arena_alloc(a, (t->n + 1) * sizeof(char *));

    for (i = 0; i < t->n; i++) {
        host = value_cstr(value_get(t->rows[i], "host"));
        if (host == NULL || generation_is_address(host)) {
            continue;
        }

        p = arena_strndup(a, host, strlen(host));
        names[(*n)++] = p;

        for ( ; *p != '\0'; p++) {
            *p = tolower((unsigned char) *p);
        }
    }

    if (*n != 0) {
        qsort(names, *n, sizeof(char *), generation_by_name);
    }

    for (i = 0, k = 0; i < *n; i++) {
        if (k == 0 || strcmp(names[k - 1], names[i]) != 0) {
            names[k++] = names[i];
        }
    }

    names[k] = NULL;
    *n = k;

    return names;
}


static int
generation_by_name(const void *one, const void *two)
{
    return strcmp(*(const char *const *) one, *(const char *const *) two);
}


static int
generation_is_address(const char *host)
{
    char             text[64];
    size_t           len;
    struct in6_addr  addr;

    if (inet_pton(AF_INET, host, &addr) == 1
        || inet_pton(AF_INET6, host, &addr) == 1)
    {
        return 1;
    }

    len = strlen(host);

    if (len < 4 || len > sizeof(text) || host[0] != '['
        || host[len - 1] != ']')
    {
        return 0;
    }

    memcpy(text, host + 1, len - 2);
    text[len - 2] = '\0';

    return inet_pton(AF_INET6, text, &addr) == 1;
}
