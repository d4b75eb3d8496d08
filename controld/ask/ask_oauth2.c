/*
 * ask_oauth2: tokens and authorization codes, in Kong's tables.  What may be
 * used once (a code, a refresh token) is deleted by the statement that makes
 * what it is exchanged for: of two at the same time one finds it.
 *
 * The server's clock alone counts: `left` is how many seconds a token is
 * good for, -1 for ever.
 */

#include <stdio.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "../model/uuid.h"
#include "../../ngx_kong_module/plugins/kong_base64.h"
#include "ask_private.h"


#define ASK_SECRET_MAX      1024         /* bytes of a salt, a hash */
#define ASK_ITERATIONS_MAX  1000000


static void ask_token_find(ask_work_t *w);
static void ask_refresh_find(ask_work_t *w);
static void ask_code_find(ask_work_t *w);
static void ask_code_new(ask_work_t *w);
static void ask_token_new(ask_work_t *w);
static void ask_token_renew(ask_work_t *w);
static void ask_secret(ask_work_t *w);
static int ask_secret_is(const char *secret, const char *hash);
static const char *ask_secret_part(const char *p, size_t *len);
static const char *ask_random(ask_work_t *w);
static const char *ask_uuid(ask_work_t *w);


const ask_route_t  ask_oauth2_routes[] = {
    { "/oauth2/token/find", ask_token_find, 0 },
    { "/oauth2/token/new", ask_token_new, 0 },
    { "/oauth2/token/renew", ask_token_renew, 0 },
    { "/oauth2/refresh/find", ask_refresh_find, 0 },
    { "/oauth2/code/find", ask_code_find, 0 },
    { "/oauth2/code/new", ask_code_new, 0 },
    { "/oauth2/secret", ask_secret, 1 },
    { NULL, NULL, 0 }
};

static const char *const  ask_issued[] = {
    "access_token", "refresh_token", "#expires_in", NULL
};


static void
ask_token_find(ask_work_t *w)
{
    pg_arg_t  args[2];

    static const char *const  names[] = {
        "client_id", "service", "scope", "userid", "#left", NULL
    };

    args[0] = ask_arg(PG_TYPE_UUID, w->link->ws_id);
    args[1] = ask_arg(PG_TYPE_TEXT, ask_text(w, "access_token"));

    (void) ask_row(w,
                   "SELECT c.client_id, t.service_id, t.scope, "
                   "t.authenticated_userid, CASE WHEN t.expires_in <= 0 "
                   "THEN -1 ELSE greatest(0, extract(epoch FROM t.created_at "
                   "- CURRENT_TIMESTAMP) + t.expires_in) END "
                   "FROM oauth2_tokens t "
                   "JOIN oauth2_credentials c ON c.id = t.credential_id "
                   "WHERE t.ws_id = $1 AND t.access_token = $2 AND "
                   ASK_ALIVE, args, 2, names);
}


static void
ask_refresh_find(ask_work_t *w)
{
    pg_arg_t  args[2];

    static const char *const  names[] = {
        "id", "credential", "service", "scope", "userid", NULL
    };

    args[0] = ask_arg(PG_TYPE_UUID, w->link->ws_id);
    args[1] = ask_arg(PG_TYPE_TEXT, ask_text(w, "refresh_token"));

    (void) ask_row(w,
                   "SELECT t.id, t.credential_id, t.service_id, t.scope, "
                   "t.authenticated_userid FROM oauth2_tokens t "
                   "WHERE t.ws_id = $1 AND t.refresh_token = $2 AND "
                   ASK_ALIVE, args, 2, names);
}


static void
ask_code_find(ask_work_t *w)
{
    pg_arg_t  args[2];

    static const char *const  names[] = {
        "id", "credential", "service", "plugin", "scope", "userid",
        "challenge", "challenge_method", NULL
    };

    args[0] = ask_arg(PG_TYPE_UUID, w->link->ws_id);
    args[1] = ask_arg(PG_TYPE_TEXT, ask_text(w, "code"));

    (void) ask_row(w,
                   "SELECT t.id, t.credential_id, t.service_id, t.plugin_id, "
                   "t.scope, t.authenticated_userid, t.challenge, "
                   "t.challenge_method FROM oauth2_authorization_codes t "
                   "WHERE t.ws_id = $1 AND t.code = $2 AND " ASK_ALIVE,
                   args, 2, names);
}


static void
ask_code_new(ask_work_t *w)
{
    pg_arg_t  args[11];

    static const char *const  names[] = { "code", NULL };

    args[0] = ask_arg(PG_TYPE_UUID, ask_uuid(w));
    args[1] = ask_arg_uuid(w, "credential");
    args[2] = ask_arg_uuid(w, "service");
    args[3] = ask_arg(PG_TYPE_TEXT, ask_random(w));
    args[4] = ask_arg(PG_TYPE_TEXT, ask_text(w, "userid"));
    args[5] = ask_arg(PG_TYPE_TEXT, ask_text(w, "scope"));
    args[6] = ask_arg(PG_TYPE_TEXT, ask_text(w, "challenge"));
    args[7] = ask_arg(PG_TYPE_TEXT, ask_text(w, "challenge_method"));
    args[8] = ask_arg_uuid(w, "plugin");
    args[9] = ask_arg_number(w, ask_number(w, "ttl"));
    args[10] = ask_arg(PG_TYPE_UUID, w->link->ws_id);
    w->bad |= (args[1].text == NULL);

    (void) ask_row(w,
                   "INSERT INTO oauth2_authorization_codes (id, created_at, "
                   "credential_id, service_id, code, authenticated_userid, "
                   "scope, challenge, challenge_method, plugin_id, ttl, "
                   "ws_id) VALUES ($1, CURRENT_TIMESTAMP(0), $2, $3, $4, $5, "
                   "$6, $7, $8, $9, " ASK_IN("$10") ", $11) RETURNING code",
                   args, 11, names);
}


/* in exchange for the code or the token of these ids, where one is given:
 * ASK_NONE when it is not there (any more) */
static void
ask_token_new(ask_work_t *w)
{
    pg_arg_t     args[12];
    const char  *sql;

    static const char  insert[] =
        "INSERT INTO oauth2_tokens (id, created_at, credential_id, "
        "service_id, access_token, refresh_token, token_type, expires_in, "
        "authenticated_userid, scope, ttl, ws_id) SELECT $1::uuid, "
        "CURRENT_TIMESTAMP(0), $2::uuid, $3::uuid, $4::text, $5::text, "
        "'bearer', coalesce($6::bigint, 0), $7::text, $8::text, "
        ASK_IN("$9::bigint") ", $10::uuid";
    static const char  issued[] =
        "RETURNING access_token, refresh_token, expires_in";

    args[0] = ask_arg(PG_TYPE_UUID, ask_uuid(w));
    args[1] = ask_arg_uuid(w, "credential");
    args[2] = ask_arg_uuid(w, "service");
    args[3] = ask_arg(PG_TYPE_TEXT, ask_random(w));
    args[4] = ask_arg(PG_TYPE_TEXT, ask_flag(w, "refresh") ? ask_random(w)
                                                           : NULL);
    args[5] = ask_arg_number(w, ask_number(w, "expires_in"));
    args[6] = ask_arg(PG_TYPE_TEXT, ask_text(w, "userid"));
    args[7] = ask_arg(PG_TYPE_TEXT, ask_text(w, "scope"));
    args[8] = ask_arg_number(w, ask_number(w, "ttl"));
    args[9] = ask_arg(PG_TYPE_UUID, w->link->ws_id);
    args[10] = ask_arg_uuid(w, "code");
    args[11] = ask_arg_uuid(w, "token");
    w->bad |= (args[1].text == NULL);

    if (args[10].text == NULL && args[11].text == NULL) {
        sql = arena_printf(w->arena, "%s %s", insert, issued);

    } else {
        if (args[10].text == NULL) {
            args[10] = args[11];
        }

        sql = arena_printf(w->arena, "WITH used AS (DELETE FROM %s t "
                           "WHERE t.id = $11 AND " ASK_ALIVE " RETURNING 1) "
                           "%s FROM used %s",
                           args[11].text == NULL
                           ? "oauth2_authorization_codes" : "oauth2_tokens",
                           insert, issued);
    }

    (void) ask_row(w, sql, args, args[10].text == NULL ? 10 : 11, ask_issued);
}


/* a new access token for a refresh token that stays */
static void
ask_token_renew(ask_work_t *w)
{
    pg_arg_t  args[4];

    args[0] = ask_arg_uuid(w, "token");
    args[1] = ask_arg(PG_TYPE_TEXT, ask_random(w));
    args[2] = ask_arg_number(w, ask_number(w, "expires_in"));
    args[3] = ask_arg_number(w, ask_number(w, "ttl"));

    (void) ask_row(w,
                   "UPDATE oauth2_tokens t SET access_token = $2, "
                   "expires_in = coalesce($3, 0), "
                   "created_at = CURRENT_TIMESTAMP(0), "
                   "ttl = coalesce(" ASK_IN("$4") ", t.ttl) "
                   "WHERE t.id = $1 AND " ASK_ALIVE
                   " RETURNING access_token, refresh_token, expires_in",
                   args, 4, ask_issued);
}


/* here and not in a worker: it is slow on purpose */
static void
ask_secret(ask_work_t *w)
{
    const char  *secret, *hash;

    secret = ask_text(w, "secret");
    hash = ask_text(w, "hash");

    if (secret == NULL || hash == NULL || !ask_secret_is(secret, hash)) {
        w->status = ASK_NONE;
    }
}


/* "$pbkdf2-sha512$i=10000,l=32$<salt>$<hash>" */
static int
ask_secret_is(const char *secret, const char *hash)
{
    char           digest[32];
    size_t         i, n, len[4];
    ssize_t        salt, size;
    unsigned       iterations, length;
    const char    *part[4];
    uint8_t        salted[ASK_SECRET_MAX], wanted[ASK_SECRET_MAX];
    uint8_t        found[ASK_SECRET_MAX];
    const EVP_MD  *md;

    for (i = 0; i < 4; i++) {
        if (*hash++ != '$') {
            return 0;
        }

        part[i] = ask_secret_part(hash, &len[i]);
        hash += len[i];
    }

    n = sizeof("pbkdf2-") - 1;

    if (*hash != '\0' || len[0] <= n || len[0] - n >= sizeof(digest)
        || strncmp(part[0], "pbkdf2-", n) != 0
        || sscanf(part[1], "i=%7u,l=%4u", &iterations, &length) != 2
        || iterations == 0 || iterations > ASK_ITERATIONS_MAX
        || length == 0 || length > sizeof(found)
        || kong_base64_size(len[2]) > sizeof(salted)
        || kong_base64_size(len[3]) > sizeof(wanted))
    {
        return 0;
    }

    memcpy(digest, part[0] + n, len[0] - n);
    digest[len[0] - n] = '\0';

    md = EVP_get_digestbyname(digest);
    salt = kong_base64_decode(part[2], len[2], KONG_BASE64_STD, salted);
    size = kong_base64_decode(part[3], len[3], KONG_BASE64_STD, wanted);

    return md != NULL && salt >= 0 && size == (ssize_t) length
           && PKCS5_PBKDF2_HMAC(secret, (int) strlen(secret), salted,
                                (int) salt, (int) iterations, md,
                                (int) length, found)
              == 1
           && CRYPTO_memcmp(found, wanted, length) == 0;
}


static const char *
ask_secret_part(const char *p, size_t *len)
{
    *len = strcspn(p, "$");

    return p;
}


static const char *
ask_random(ask_work_t *w)
{
    char  text[UUID_RANDOM_LEN + 1];

    uuid_random_string(text);

    return arena_strndup(w->arena, text, UUID_RANDOM_LEN);
}


static const char *
ask_uuid(ask_work_t *w)
{
    char  text[UUID_SIZE];

    uuid_v4(text);

    return arena_strndup(w->arena, text, UUID_LEN);
}
