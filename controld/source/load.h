/*
 * load: one run from a text to a configuration and its segment: read, hash,
 * parse, validate, compile, verify.  load_run() touches nothing but its load
 * and may therefore run in a thread.
 */

#ifndef KONG_LOAD_H
#define KONG_LOAD_H

#include <pthread.h>

#include "declarative.h"
#include "generation.h"


typedef enum {
    LOAD_OK = 0,
    LOAD_UNCHANGED,                /* the text has the known hash */
    LOAD_INVALID                   /* errors is filled */
} load_rc_t;

typedef struct load_s  load_t;

/* an MD5 that is made beside the parsing; touched by load.c alone */
typedef struct {
    pthread_t              thread;
    unsigned               busy;
    const char            *text;
    size_t                 len;
    char                   hex[33];
} load_hash_t;

/*
 * What to load: `path`, else `doc`, else `text`, else nothing, which gives
 * the empty configuration.  `prepare`, when set, runs
 * first, in the thread, and may choose between them (the body of a request);
 * it returns -1 when there is nothing to load, with status and body set.
 */
struct load_s {
    arena_t               *arena;
    const char            *path;
    const char            *text;
    size_t                 len;
    value_t               *doc;
    declarative_syntax_t   syntax;
    declarative_opts_t     opts;
    uint32_t               number;
    char                   known[33];    /* "" = load in any case */
    unsigned               resume:1;     /* what is known is wanted as a
                                            generation, too (make() only) */
    unsigned               resumed:1;    /* it is that */
    const generation_t    *before;       /* a small change is held against it;
                                            NULL: there is none */
    unsigned               compile:1;    /* make the segment */
    unsigned               entities:1;   /* make `body` of a good load */
    const char            *as_hash;      /* the hash to bear; NULL = own */
    unsigned               kept:1;       /* `text` was kept of the source of
                                            as_hash; what `path` has serves as
                                            well if it would give the same */
    int                  (*prepare)(load_t *l);
    void                  *data;

    /* a source that has entities, no text: the configuration, in the thread;
     * NULL: it is the known one (rc is LOAD_UNCHANGED), or `first` says why */
    config_t            *(*make)(load_t *l, void *source);
    void                  *source;
    const compile_aside_t *broken;       /* what make() has set aside */
    size_t                 n_broken;

    load_hash_t            hash;         /* of the text, under way */
    arena_t               *origin;       /* where the text of `path` is */

    /* the outcome */
    load_rc_t              rc;
    generation_t          *generation;
    segment_buf_t          segment;
    declarative_errors_t   errors;
    const char            *report;       /* all errors, a line each */
    const char            *first;        /* the first as one sentence */
    compile_aside_t       *aside;        /* left out of a good load */
    size_t                 n_aside;
    int                    status;       /* of prepare() */
    const char            *body;         /* JSON text */
    size_t                 body_len;
};


load_t *load_new(void);
void load_free(load_t *l);
void load_run(load_t *l);
/* whether the segment of a good load was made of the one before it */
unsigned load_is_change(const load_t *l);
/* a good load, whose segment is gone, makes another of all that it has */
void load_run_whole(load_t *l);

#endif
