/*
 * auth: tokens from the settings and from a file.  Only their digests are
 * kept, and compared in constant time.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "../log.h"
#include "auth.h"


#define AUTH_TOKENS    256
#define AUTH_DIGEST    32
#define AUTH_LINE      1024
#define AUTH_TOKEN_MIN 16


typedef enum {
    AUTH_ADMIN = 0,
    AUTH_READ_ONLY,
    AUTH_METRICS,
    AUTH_NONE
} auth_role_t;

typedef struct {
    unsigned char   digest[AUTH_DIGEST];
    auth_role_t     role;
    char            name[64];
} auth_token_t;

struct auth_s {
    size_t          n;
    auth_token_t    tokens[AUTH_TOKENS];
};


static int auth_settings(auth_t *auth, arena_t *a, const conf_t *c,
    const char **err);
static int auth_file(auth_t *auth, arena_t *a, const char *path,
    const char **err);
static int auth_add(auth_t *auth, const char *role, const char *token,
    const char *name);
static const char *auth_given(const admin_request_t *r);
static const auth_token_t *auth_find(const auth_t *auth, const char *token);
static int auth_digest(const char *token, size_t len,
    unsigned char out[AUTH_DIGEST]);
static unsigned auth_may(auth_role_t role, const admin_request_t *r);
static const char *auth_subject(admin_request_t *r);
static unsigned auth_is_local(const char *address);


static const char *const  auth_roles[] = {
    "admin", "read-only", "metrics", NULL
};


auth_t *
auth_new(arena_t *a, const conf_t *c, const char **err)
{
    auth_t      *auth;
    const char  *path;

    *err = "out of memory";

    auth = calloc(1, sizeof(auth_t));
    if (auth == NULL) {
        return NULL;
    }

    path = conf_str(c, "admin_tokens_file");

    if (auth_settings(auth, a, c, err) == -1
        || (path != NULL && auth_file(auth, a, path, err) == -1))
    {
        auth_free(auth);
        return NULL;
    }

    return auth;
}


void
auth_free(auth_t *auth)
{
    if (auth != NULL) {
        OPENSSL_cleanse(auth, sizeof(auth_t));
        free(auth);
    }
}


/* "role:token" */
static int
auth_settings(auth_t *auth, arena_t *a, const conf_t *c, const char **err)
{
    size_t          i;
    const char     *text, *colon;
    const value_t  *list;

    list = conf_list(c, "admin_tokens");

    for (i = 0; list != NULL && i < list->len; i++) {
        text = value_cstr(value_at(list, i));
        colon = (text != NULL) ? strchr(text, ':') : NULL;

        if (colon == NULL
            || auth_add(auth, arena_strndup(a, text, colon - text), colon + 1,
                        arena_printf(a, "token %zu", i + 1)) == -1)
        {
            *err = arena_printf(a, "admin_tokens: the token number %zu is "
                                "not \"role:token\" with the role admin, "
                                "read-only or metrics and a token of %d "
                                "characters or more", i + 1, AUTH_TOKEN_MIN);
            return -1;
        }
    }

    return 0;
}


/* lines of "role token [name]", and comments */
static int
auth_file(auth_t *auth, arena_t *a, const char *path, const char **err)
{
    int           n, rc;
    FILE         *f;
    char          line[AUTH_LINE], role[32], token[512], name[64], *p;
    struct stat   st;

    f = fopen(path, "re");

    if (f == NULL || fstat(fileno(f), &st) == -1) {
        *err = arena_printf(a, "admin_tokens_file: '%s': %s", path,
                            strerror(errno));
        if (f != NULL) {
            (void) fclose(f);
        }
        return -1;
    }

    if (st.st_mode & (S_IRWXO|S_IWGRP)) {
        log_write(LOG_WARN, "admin_tokens_file '%s' can be read by others",
                  path);
    }

    rc = 0;

    for (n = 1; rc == 0 && fgets(line, sizeof(line), f) != NULL; n++) {

        p = line + strspn(line, " \t");

        if (*p == '#' || *p == '\n' || *p == '\0') {
            continue;
        }

        name[0] = '\0';
        rc = (sscanf(p, "%31s %511s %63s", role, token, name) >= 2) ? 0 : -1;

        if (rc == 0) {
            rc = auth_add(auth, role, token, name[0] != '\0' ? name
                          : arena_printf(a, "line %d", n));
        }
    }

    OPENSSL_cleanse(line, sizeof(line));
    OPENSSL_cleanse(token, sizeof(token));
    (void) fclose(f);

    if (rc == -1) {
        *err = arena_printf(a, "admin_tokens_file: '%s', line %d: expected "
                            "\"role token [name]\" with the role admin, "
                            "read-only or metrics and a token of %d "
                            "characters or more", path, n - 1,
                            AUTH_TOKEN_MIN);
    }

    return rc;
}


static int
auth_add(auth_t *auth, const char *role, const char *token, const char *name)
{
    size_t         i;
    auth_token_t  *t;

    for (i = 0; auth_roles[i] != NULL; i++) {
        if (strcmp(auth_roles[i], role) == 0) {
            break;
        }
    }

    if (auth_roles[i] == NULL || strlen(token) < AUTH_TOKEN_MIN
        || auth->n == AUTH_TOKENS)
    {
        return -1;
    }

    t = &auth->tokens[auth->n++];
    t->role = (auth_role_t) i;
    (void) snprintf(t->name, sizeof(t->name), "%s", name);

    return auth_digest(token, strlen(token), t->digest);
}


int
auth_check(const auth_t *auth, admin_request_t *r)
{
    const char          *text;
    struct evkeyvalq    *out;
    const auth_token_t  *t;

    r->actor = auth_subject(r);

    /* a browser asks without credentials what it may ask */

    if (auth->n == 0 || r->method == ADMIN_OPTIONS) {
        return 0;
    }

    text = auth_given(r);
    t = (text != NULL) ? auth_find(auth, text) : NULL;

    if (t == NULL) {
        out = evhttp_request_get_output_headers(r->req);
        (void) evhttp_add_header(out, "WWW-Authenticate",
                                 "Bearer realm=\"kong\"");
        admin_message(r, 401, "Unauthorized");
        return -1;
    }

    if (!auth_may(t->role, r)) {
        admin_message(r, 403, "Forbidden");
        return -1;
    }

    r->actor = arena_strndup(r->arena, t->name, strlen(t->name));

    return 0;
}


/* of a client certificate that nginx has verified, for the log; NULL: none */
static const char *
auth_subject(admin_request_t *r)
{
    char              *text, *p;
    const char        *verify, *subject;
    struct evkeyvalq  *in;

    in = evhttp_request_get_input_headers(r->req);
    verify = evhttp_find_header(in, "X-Client-Verify");
    subject = evhttp_find_header(in, "X-Client-Subject");

    if (verify == NULL || strcmp(verify, "SUCCESS") != 0 || subject == NULL) {
        return NULL;
    }

    text = arena_strndup(r->arena, subject, strlen(subject));

    for (p = text; *p != '\0'; p++) {
        if ((unsigned char) *p <= ' ' || *p == 0x7f) {
            *p = '_';
        }
    }

    return text;
}


/* the bearer token, or that of the header which Kong's tools send */
static const char *
auth_given(const admin_request_t *r)
{
    const char        *text;
    struct evkeyvalq  *in;

    in = evhttp_request_get_input_headers(r->req);
    text = evhttp_find_header(in, "Authorization");

    if (text != NULL && strncasecmp(text, "Bearer ", 7) == 0) {
        text += 7;
        return text + strspn(text, " ");
    }

    return evhttp_find_header(in, "Kong-Admin-Token");
}


/* all of them, so that time tells nothing */
static const auth_token_t *
auth_find(const auth_t *auth, const char *token)
{
    size_t               i;
    unsigned char        digest[AUTH_DIGEST];
    const auth_token_t  *found;

    if (auth_digest(token, strlen(token), digest) == -1) {
        return NULL;
    }

    found = NULL;

    for (i = 0; i < auth->n; i++) {
        if (CRYPTO_memcmp(auth->tokens[i].digest, digest, AUTH_DIGEST) == 0) {
            found = &auth->tokens[i];
        }
    }

    return found;
}


static int
auth_digest(const char *token, size_t len, unsigned char out[AUTH_DIGEST])
{
    return (EVP_Digest(token, len, out, NULL, EVP_sha256(), NULL) == 1) ? 0
                                                                        : -1;
}


static unsigned
auth_may(auth_role_t role, const admin_request_t *r)
{
    size_t  i;

    static const char *const  public[] = {
        "/", "/generation", "/metrics", "/status", NULL
    };

    if (role == AUTH_ADMIN) {
        return 1;
    }

    if (r->method != ADMIN_GET) {
        return 0;
    }

    if (role == AUTH_READ_ONLY) {
        return 1;
    }

    for (i = 0; public[i] != NULL; i++) {
        if (strcmp(public[i], r->path) == 0) {
            return 1;
        }
    }

    return 0;
}


void
auth_warn(const auth_t *auth, const conf_t *c)
{
    size_t                i, n;
    const char           *verify;
    const conf_listen_t  *listens;

    if (auth->n != 0) {
        return;
    }

    /* client certificates guard listeners with TLS */

    verify = value_cstr(value_get(conf_nginx(c, "admin"),
                                  "ssl_verify_client"));
    n = conf_listens(c, "admin_listen", &listens);

    for (i = 0; i < n; i++) {

        if (auth_is_local(listens[i].address)
            || (listens[i].ssl && verify != NULL
                && strcmp(verify, "on") == 0))
        {
            continue;
        }

        log_write(LOG_WARN, "THE ADMIN API IS OPEN TO OTHERS: admin_listen "
                  "%s:%u is reachable without authentication; whoever "
                  "reaches it rules this gateway.  Set admin_tokens or "
                  "admin_tokens_file, ask for client certificates, or "
                  "listen on 127.0.0.1", listens[i].address,
                  listens[i].port);
    }
}


static unsigned
auth_is_local(const char *address)
{
    return strncmp(address, "127.", 4) == 0
           || strcmp(address, "localhost") == 0
           || strcmp(address, "[::1]") == 0
           || strncmp(address, "unix:", 5) == 0;
}
