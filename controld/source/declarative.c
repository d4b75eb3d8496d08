/*
 * declarative: the entry points: text or file or parsed document in, a
 * configuration or all errors out.
 *
 * The document is parsed into the arena of the configuration and completed in
 * place, so that a good one costs no copy.  Everything that only an error
 * needs (the document as it was given, for the second pass and for the
 * answer) is made again from the text, or from a copy where there is none.
 */

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../model/json.h"
#include "declarative_origin.h"
#include "declarative_walk.h"
#include "yaml.h"


#define DECL_FILE_MAX    ((size_t) 2 * 1024 * 1024 * 1024 - 1)
#define DECL_EMPTY_HASH  "00000000000000000000000000000000"


/* where a document comes from, to get it again untouched */
typedef struct {
    const char            *text;
    size_t                 len;
    declarative_syntax_t   syntax;
    const value_t         *copy;
    const char            *hash;
    arena_t               *origin;     /* to be kept with the text, or NULL */
    spans_t               *spans;
} decl_source_t;


static config_t *decl_load(arena_t *a, const decl_source_t *src,
    const declarative_opts_t *opts, declarative_errors_t *errors);
static void decl_head(decl_origin_t *head, const char *text, size_t len,
    declarative_syntax_t syntax, const declarative_opts_t *opts);
static int decl_run(arena_t *a, config_t *c, arena_t *scratch,
    const decl_source_t *src, const declarative_opts_t *opts,
    declarative_errors_t *errors);
static void decl_second_pass(decl_t *d, arena_t *scratch,
    const decl_source_t *src);
static value_t *decl_document(arena_t *a, const decl_source_t *src,
    declarative_errors_t *errors);
static int decl_parse(arena_t *a, const decl_source_t *src, value_t *doc,
    declarative_errors_t *errors);
static int decl_parse_yaml(arena_t *a, const decl_source_t *src,
    value_t *doc, declarative_errors_t *errors);
static void decl_parse_error(arena_t *a, declarative_errors_t *errors,
    uint32_t line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void decl_fail(arena_t *a, decl_t *d, const decl_source_t *src,
    const declarative_opts_t *opts, unsigned linked,
    declarative_errors_t *errors);
static void decl_hash(config_t *c, const decl_source_t *src);
static char *decl_read(arena_t *a, const char *path, size_t *len,
    const char **err);
static int decl_ends_with(const char *s, const char *end);


config_t *
declarative_load(arena_t *a, const char *text, size_t len,
    declarative_syntax_t syntax, const declarative_opts_t *opts,
    declarative_errors_t *errors)
{
    decl_source_t  src;

    memset(&src, 0, sizeof(decl_source_t));
    src.text = text;
    src.len = len;
    src.syntax = syntax;

    return decl_load(a, &src, opts, errors);
}


config_t *
declarative_load_kept(arena_t *a, arena_t *origin, const char *text,
    size_t len, declarative_syntax_t syntax, const config_t *before,
    const declarative_opts_t *opts, declarative_errors_t *errors)
{
    spans_t         spans;
    config_t       *c;
    decl_source_t   src;
    decl_origin_t   head;

    if (before != NULL && before->origin != NULL) {
        memset(&head, 0, sizeof(decl_origin_t));
        decl_head(&head, text, len, syntax, opts);
        c = decl_change(before, origin, &head, opts, a->oom);

        if (c != NULL) {
            return c;
        }
    }

    memset(&src, 0, sizeof(decl_source_t));
    src.text = text;
    src.len = len;
    src.syntax = syntax;
    src.hash = DECL_EMPTY_HASH;
    src.origin = origin;
    src.spans = &spans;

    return decl_load(a, &src, opts, errors);
}


int
declarative_alike(const config_t *before, const declarative_opts_t *opts,
    const char *text, size_t len, declarative_syntax_t syntax)
{
    const decl_origin_t  *o;

    o = before->origin;

    return o != NULL && o->syntax == syntax && o->len == len
           && o->opts == decl_origin_opts(opts)
           && memcmp(o->text, text, len) == 0;
}


int
declarative_repeats(const config_t *c)
{
    return c->origin != NULL && !c->origin->random;
}


int
declarative_changed(const config_t *c)
{
    return c->origin != NULL && c->origin->change;
}


void
declarative_hash(config_t *c, const char *hex)
{
    size_t  i, n;

    for (i = 0, n = 0; i < c->n_tables; i++) {
        if (strcmp(c->tables[i].schema->name, "workspaces") != 0) {
            n += c->tables[i].n;
        }
    }

    (void) snprintf(c->hash, sizeof(c->hash), "%s",
                    (n == 0) ? DECL_EMPTY_HASH : hex);
}


static void
decl_head(decl_origin_t *head, const char *text, size_t len,
    declarative_syntax_t syntax, const declarative_opts_t *opts)
{
    head->text = text;
    head->len = len;
    head->syntax = syntax;
    head->opts = decl_origin_opts(opts);
}


config_t *
declarative_load_value(arena_t *a, value_t *doc, const char *hash,
    const declarative_opts_t *opts, declarative_errors_t *errors)
{
    decl_source_t  src;

    memset(&src, 0, sizeof(decl_source_t));
    src.copy = doc;
    src.hash = hash;

    return decl_load(a, &src, opts, errors);
}


config_t *
declarative_load_file(arena_t *a, const char *path,
    const declarative_opts_t *opts, declarative_errors_t *errors)
{
    char                  *text;
    size_t                 len;
    const char            *err;
    declarative_syntax_t   syntax;

    memset(errors, 0, sizeof(declarative_errors_t));

    err = NULL;
    text = decl_read(a, path, &len, &err);

    if (text == NULL) {
        decl_parse_error(a, errors, 0, "%s: %s", path, err);
        return NULL;
    }

    if (decl_ends_with(path, "json")) {
        syntax = DECLARATIVE_JSON;

    } else if (decl_ends_with(path, "yml") || decl_ends_with(path, "yaml")) {
        syntax = DECLARATIVE_YAML;

    } else {
        decl_parse_error(a, errors, 0, "unknown file type: %s. (Accepted "
                         "types: json, yaml)", path);
        return NULL;
    }

    return declarative_load(a, text, len, syntax, opts, errors);
}


/* memory that runs out on the way is given back before the caller hears */

static config_t *
decl_load(arena_t *a, const decl_source_t *src,
    const declarative_opts_t *opts, declarative_errors_t *errors)
{
    int                 rc;
    jmp_buf             oom;
    arena_t            *scratch;
    config_t           *c;
    jmp_buf *volatile   outer;

    memset(errors, 0, sizeof(declarative_errors_t));

    outer = a->oom;
    c = config_new();
    scratch = arena_new();

    if (outer != NULL) {
        if (setjmp(oom) != 0) {
            a->oom = outer;
            arena_free(scratch);
            config_free(c);
            longjmp(*outer, 1);
        }

        a->oom = &oom;
        c->arena->oom = &oom;
        scratch->oom = &oom;
    }

    rc = decl_run(a, c, scratch, src, opts, errors);

    a->oom = outer;
    c->arena->oom = NULL;
    arena_free(scratch);

    if (rc == -1) {
        config_free(c);
        return NULL;
    }

    return c;
}


static int
decl_run(arena_t *a, config_t *c, arena_t *scratch, const decl_source_t *src,
    const declarative_opts_t *opts, declarative_errors_t *errors)
{
    decl_t          d;
    arena_t        *rows;
    value_t        *doc;
    unsigned        linked;
    decl_origin_t   head;

    rows = c->arena;

    if (src->origin != NULL) {
        rows = arena_new();
        rows->oom = c->arena->oom;
        decl_share_new(c, 1)->chunks[0] = rows;
        spans_init(src->spans, scratch);
    }

    doc = decl_document(scratch, src, errors);

    if (doc == NULL) {
        errors->fields = value_clone(a, errors->fields);
        return -1;
    }

    decl_init(&d, scratch, scratch, rows, opts);
    decl_collect(&d, doc);
    decl_make_ids(&d);
    decl_check(&d);

    if (d.errors->len != 0) {
        decl_second_pass(&d, scratch, src);
    }

    linked = 0;

    if (d.errors->len == 0) {
        linked = 1;
        decl_link(&d, c);
    }

    if (d.errors->len != 0) {
        decl_fail(a, &d, src, opts, linked, errors);
        decl_release(&d);
        return -1;
    }

    if (src->origin != NULL) {
        memset(&head, 0, sizeof(decl_origin_t));
        decl_head(&head, src->text, src->len, src->syntax, opts);

        if (decl_origin_make(&d, c, src->origin, src->spans, &head) == 0) {
            ((decl_share_t *) c->owner)->origin = src->origin;
        }

        rows->oom = NULL;
    }

    decl_release(&d);
    c->loaded_at = d.ctx.now;
    decl_hash(c, src);

    return 0;
}


/* leaves what Kong answers in d->errors */

static void
decl_second_pass(decl_t *d, arena_t *scratch, const decl_source_t *src)
{
    decl_t                second;
    value_t              *doc, *first;
    declarative_errors_t  unused;

    first = d->errors;
    memset(&unused, 0, sizeof(declarative_errors_t));

    doc = decl_document(scratch, src, &unused);
    if (doc == NULL) {
        return;
    }

    decl_init(&second, scratch, scratch, scratch, d->opts);
    decl_collect(&second, doc);
    decl_make_ids(&second);
    decl_check_resolved(&second);
    decl_release(&second);

    if (second.errors->len != 0) {
        decl_error_merge(scratch, second.errors, first);
    }

    d->errors = second.errors;
}


static value_t *
decl_document(arena_t *a, const decl_source_t *src,
    declarative_errors_t *errors)
{
    size_t    i;
    value_t  *doc, list;

    if (src->copy != NULL) {
        doc = value_clone(a, src->copy);

    } else {
        doc = value_new(a);

        if (decl_parse(a, src, doc, errors) == -1) {
            return NULL;
        }
    }

    /* a list is a table whose keys are positions; no key is known */

    if (doc->kind == VALUE_ARRAY) {
        list = *doc;
        value_set_object(doc);

        for (i = 0; i < list.len; i++) {
            *value_put(a, doc, arena_printf(a, "%zu", i + 1))
                = list.u.items[i];
        }
    }

    if (doc->kind != VALUE_OBJECT) {
        decl_parse_error(a, errors, 0, "failed parsing declarative "
                         "configuration: expected an object");
        return NULL;
    }

    decl_migrate(a, doc);

    return doc;
}


static int
decl_parse(arena_t *a, const decl_source_t *src, value_t *doc,
    declarative_errors_t *errors)
{
    const char  *err;

    if (src->syntax != DECLARATIVE_YAML) {
        err = NULL;

        if (json_parse_spans(a, src->text, src->len, doc, src->spans, &err)
            == 0
            && (doc->kind == VALUE_OBJECT || doc->kind == VALUE_ARRAY))
        {
            return 0;
        }

        if (src->syntax == DECLARATIVE_JSON) {
            decl_parse_error(a, errors, 0, "failed parsing declarative "
                             "configuration%s%s", err != NULL ? ": " : "",
                             err != NULL ? err : "");
            return -1;
        }

        memset(doc, 0, sizeof(value_t));
    }

    return decl_parse_yaml(a, src, doc, errors);
}


static int
decl_parse_yaml(arena_t *a, const decl_source_t *src, value_t *doc,
    declarative_errors_t *errors)
{
    unsigned      n;
    yaml_fault_t  fault;

    if (yaml_read_spans(a, src->text, src->len, doc, &n, src->spans, &fault)
        == -1) {
        decl_parse_error(a, errors, fault.line, "failed parsing declarative "
                         "configuration: %s", fault.text);
        return -1;
    }

    /* a null document counts as an empty one, no document as a mistake */

    if (n != 0 && doc->kind == VALUE_NULL) {
        value_set_object(doc);
    }

    return 0;
}


static void
decl_parse_error(arena_t *a, declarative_errors_t *errors, uint32_t line,
    const char *fmt, ...)
{
    char     *text;
    value_t  *v;
    va_list   args;

    va_start(args, fmt);
    text = arena_vprintf(a, fmt, args);
    va_end(args);

    errors->count = 1;
    errors->doc = NULL;
    errors->fields = value_new(a);
    value_set_object(errors->fields);

    v = value_put(a, errors->fields, "error");
    value_set_string(v, text, strlen(text));
    v->line = line;
}


static void
decl_fail(arena_t *a, decl_t *d, const decl_source_t *src,
    const declarative_opts_t *opts, unsigned linked,
    declarative_errors_t *errors)
{
    declarative_errors_t  unused;

    errors->fields = value_clone(a, d->errors);
    errors->count = decl_error_count(errors->fields);

    memset(&unused, 0, sizeof(declarative_errors_t));
    errors->doc = decl_document(a, src, &unused);

    if (opts == NULL || !opts->flatten) {
        return;
    }

    /* ids are there once the entities themselves were found good */

    if (linked && errors->doc != NULL) {
        decl_ids_in_document(d, errors->doc);
    }

    decl_error_flatten(a, d, errors);
}


/* MD5 of the text, else of the entities; all zeros without any */

static void
decl_hash(config_t *c, const decl_source_t *src)
{
    char           *text;
    size_t          i, n;
    unsigned        size;
    const char     *from;
    arena_t        *a;
    unsigned char   digest[EVP_MAX_MD_SIZE];

    declarative_hash(c, src->hash != NULL ? src->hash : "");

    if (c->hash[0] != '\0') {
        return;
    }

    a = NULL;
    from = src->text;
    n = src->len;

    if (from == NULL) {
        a = arena_new();
        text = json_print(a, declarative_entities(a, c), &n);
        from = text;
    }

    if (EVP_Digest(from, n, digest, &size, EVP_md5(), NULL) != 1) {
        memset(digest, 0, sizeof(digest));
    }

    arena_free(a);

    for (i = 0; i < 16; i++) {
        snprintf(c->hash + i * 2, 3, "%02x", digest[i]);
    }
}


static char *
decl_read(arena_t *a, const char *path, size_t *len, const char **err)
{
    int          fd;
    char        *text;
    ssize_t      n;
    struct stat  st;

    fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd == -1 || fstat(fd, &st) == -1) {
        *err = strerror(errno);
        goto failed;
    }

    if (!S_ISREG(st.st_mode)) {
        *err = "Not a regular file";
        goto failed;
    }

    if ((size_t) st.st_size > DECL_FILE_MAX) {
        *err = strerror(EFBIG);
        goto failed;
    }

    text = arena_alloc(a, (size_t) st.st_size + 1);

    for (*len = 0; *len < (size_t) st.st_size; *len += (size_t) n) {
        n = read(fd, text + *len, (size_t) st.st_size - *len);

        if (n == -1 && errno == EINTR) {
            n = 0;
            continue;
        }

        if (n == -1) {
            *err = strerror(errno);
            goto failed;
        }

        if (n == 0) {
            break;
        }
    }

    close(fd);
    text[*len] = '\0';

    return text;

failed:

    if (fd != -1) {
        close(fd);
    }

    return NULL;
}


static int
decl_ends_with(const char *s, const char *end)
{
    size_t  len, n;

    len = strlen(s);
    n = strlen(end);

    return len >= n && memcmp(s + len - n, end, n) == 0;
}
