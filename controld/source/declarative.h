/*
 * declarative: kong.yml (YAML or JSON, formats 1.1, 2.1, 3.0) -> config_t.
 * Rules, order of validation and error shapes: Kong 3.9 "declarative".
 */

#ifndef KONG_DECLARATIVE_H
#define KONG_DECLARATIVE_H

#include "../model/config.h"


typedef enum {
    DECLARATIVE_YAML = 1,     /* by file name */
    DECLARATIVE_JSON,
    DECLARATIVE_ANY           /* JSON first, then YAML: /config, strings */
} declarative_syntax_t;

/*
 * What went wrong, in arena memory of the caller.  `fields` is Kong's nested
 * error object; `doc` the parsed document (entities as given), NULL when the
 * text could not be parsed.
 */
typedef struct {
    value_t     *fields;
    value_t     *flattened;   /* array, Kong's flattened_errors */
    value_t     *unflattened; /* what could not be attributed to an entity */
    value_t     *doc;
    unsigned     count;
} declarative_errors_t;

typedef struct {
    unsigned     database;
    const char  *router_flavor;
    const char *const *plugins;  /* enabled names, NULL-ended; NULL = all */
    unsigned     flatten;        /* fill errors->flattened */
} declarative_opts_t;


/* the new configuration, or NULL with *errors filled (from `a`) */
config_t *declarative_load(arena_t *a, const char *text, size_t len,
    declarative_syntax_t syntax, const declarative_opts_t *opts,
    declarative_errors_t *errors);

/*
 * The same for a text of which small changes are to come: a configuration
 * that can be the `before` of the next one has an `origin`, and then owns the
 * arena `origin`, in which the text is; else that stays the caller's.  With
 * `before`, what has not changed since is shared with it, and keeps its
 * random ids and its times.  The hash is left to the caller.
 */
config_t *declarative_load_kept(arena_t *a, arena_t *origin,
    const char *text, size_t len, declarative_syntax_t syntax,
    const config_t *before, const declarative_opts_t *opts,
    declarative_errors_t *errors);
/* whether two texts that are the same would give the same */
int declarative_alike(const config_t *before, const declarative_opts_t *opts,
    const char *text, size_t len, declarative_syntax_t syntax);

/* whether its text would give the same ids again; needs an origin */
int declarative_repeats(const config_t *c);
/* whether it was made of another one by a small change */
int declarative_changed(const config_t *c);
/* hex digits as the hash, unless there is nothing to be hashed */
void declarative_hash(config_t *c, const char *hex);

/* the same from a document that is parsed already (POST /config with a JSON
 * body); `hash` as 32 hex digits or NULL for the hash of its JSON encoding */
config_t *declarative_load_value(arena_t *a, value_t *doc, const char *hash,
    const declarative_opts_t *opts, declarative_errors_t *errors);

/*
 * Reads a file by its name: .json, .yml, .yaml, else the error "unknown file
 * type".  An OS error is reported in errors->fields["error"] too.
 */
config_t *declarative_load_file(arena_t *a, const char *path,
    const declarative_opts_t *opts, declarative_errors_t *errors);

/* Kong's indented text form; every line that has a place in the source ends
 * with " (line N)" when `lines` is set */
char *declarative_errors_text(arena_t *a, const declarative_errors_t *e,
    unsigned lines);
/* {"code":14,"name":...,"message":...,"fields":...[,"flattened_errors"]} */
value_t *declarative_errors_body(arena_t *a, const declarative_errors_t *e,
    unsigned flatten);

/* the flat YAML of GET /config and db_export */
char *declarative_export(arena_t *a, const config_t *c, size_t *len);

/* the body of POST /config 201: entity -> id -> entity */
value_t *declarative_entities(arena_t *a, const config_t *c);

#endif
