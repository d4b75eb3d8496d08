/*
 * entity_oauth2: applications, tokens and authorization codes.
 */

#include <string.h>
#include <sys/random.h>

#include <openssl/evp.h>

#include "entities.h"


#define OAUTH2_SALT        16
#define OAUTH2_HASH        32
#define OAUTH2_ITERATIONS  10000
#define OAUTH2_BASE64(n)   (((n) + 2) / 3 * 4 + 1)

#define OAUTH2_CREDENTIAL                                                    \
    { .name = "credential", .type = FIELD_FOREIGN,                           \
      .flags = F_REQUIRED|F_CASCADE, .foreign = "oauth2_credentials" }

#define OAUTH2_SERVICE                                                       \
    { .name = "service", .type = FIELD_FOREIGN, .flags = F_CASCADE,          \
      .foreign = "services" }


static const char *oauth2_check_uri(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);
static void oauth2_transform(schema_ctx_t *ctx, value_t *entity);
static void oauth2_base64(const unsigned char *in, int n, char *out);


static const char *const  oauth2_credentials_key[] = { "client_id", NULL };
static const char *const  oauth2_tokens_key[] = { "access_token", NULL };
static const char *const  oauth2_client_types[] = {
    "confidential", "public", NULL
};
static const char *const  oauth2_token_types[] = { "bearer", NULL };
static const char *const  oauth2_challenges[] = { "S256", NULL };

static const field_t  oauth2_uri = {
    .type = FIELD_STRING, .check = oauth2_check_uri
};

static const field_t  oauth2_credentials_fields[] = {
    ENTITY_ID,
    ENTITY_CREATED_AT,
    { .name = "consumer", .type = FIELD_FOREIGN,
      .flags = F_REQUIRED|F_CASCADE, .foreign = "consumers" },
    { .name = "name", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "client_id", .type = FIELD_STRING, .flags = F_UNIQUE|F_AUTO },
    { .name = "client_secret", .type = FIELD_STRING,
      .flags = F_AUTO|F_ENCRYPTED },
    { .name = "hash_secret", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "redirect_uris", .type = FIELD_ARRAY,
      .elements = &oauth2_uri },
    ENTITY_TAGS,
    { .name = "client_type", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"confidential\"", .one_of = oauth2_client_types },
    ENTITY_END
};

const schema_t  entity_oauth2_credentials = {
    .name = "oauth2_credentials",
    .singular = "oauth2_credential",
    .endpoint_key = "client_id",
    .cache_key = oauth2_credentials_key,
    .admin_path = "oauth2",
    .nested_name = "oauth2",
    .fields = oauth2_credentials_fields,
    .transform = oauth2_transform
};

static const field_t  oauth2_codes_fields[] = {
    ENTITY_ID,
    ENTITY_CREATED_AT,
    OAUTH2_SERVICE,
    OAUTH2_CREDENTIAL,
    { .name = "code", .type = FIELD_STRING, .flags = F_UNIQUE|F_AUTO },
    { .name = "authenticated_userid", .type = FIELD_STRING },
    { .name = "scope", .type = FIELD_STRING },
    { .name = "challenge", .type = FIELD_STRING },
    { .name = "challenge_method", .type = FIELD_STRING,
      .one_of = oauth2_challenges },
    { .name = "plugin", .type = FIELD_FOREIGN, .flags = F_CASCADE,
      .foreign = "plugins" },
    ENTITY_TTL,
    ENTITY_END
};

const schema_t  entity_oauth2_authorization_codes = {
    .name = "oauth2_authorization_codes",
    .singular = "oauth2_authorization_code",
    .fields = oauth2_codes_fields
};

static const field_t  oauth2_tokens_fields[] = {
    ENTITY_ID,
    ENTITY_CREATED_AT,
    OAUTH2_SERVICE,
    OAUTH2_CREDENTIAL,
    { .name = "token_type", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"bearer\"", .one_of = oauth2_token_types },
    { .name = "expires_in", .type = FIELD_INTEGER, .flags = F_REQUIRED },
    { .name = "access_token", .type = FIELD_STRING,
      .flags = F_UNIQUE|F_AUTO },
    { .name = "refresh_token", .type = FIELD_STRING, .flags = F_UNIQUE },
    { .name = "authenticated_userid", .type = FIELD_STRING },
    { .name = "scope", .type = FIELD_STRING },
    ENTITY_TTL,
    ENTITY_END
};

const schema_t  entity_oauth2_tokens = {
    .name = "oauth2_tokens",
    .singular = "oauth2_token",
    .endpoint_key = "access_token",
    .cache_key = oauth2_tokens_key,
    .admin_path = "oauth2_tokens",
    .nested_name = "oauth2_tokens",
    .fields = oauth2_tokens_fields
};


static const char *
oauth2_check_uri(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    url_t  url;

    (void) f;

    url_parse(v->u.string, v->len, &url);

    if (url.scheme == NULL || url.host == NULL) {
        return arena_printf(ctx->arena, "cannot parse '%s'", v->u.string);
    }

    if (url.fragment) {
        return arena_printf(ctx->arena, "fragment not allowed in '%s'",
                            v->u.string);
    }

    return NULL;
}


static void
oauth2_transform(schema_ctx_t *ctx, value_t *entity)
{
    char            salt64[OAUTH2_BASE64(OAUTH2_SALT)];
    char            hash64[OAUTH2_BASE64(OAUTH2_HASH)];
    value_t        *hashed, *secret;
    unsigned char   salt[OAUTH2_SALT], hash[OAUTH2_HASH];

    hashed = value_get(entity, "hash_secret");
    secret = value_get(entity, "client_secret");

    if (!ctx->transform || hashed == NULL || hashed->kind != VALUE_BOOL
        || !hashed->u.boolean || secret == NULL
        || secret->kind != VALUE_STRING)
    {
        return;
    }

    if (getrandom(salt, sizeof(salt), 0) != sizeof(salt)
        || PKCS5_PBKDF2_HMAC(secret->u.string, (int) secret->len, salt,
                             sizeof(salt), OAUTH2_ITERATIONS, EVP_sha512(),
                             sizeof(hash), hash)
           != 1)
    {
        /* better no secret than a clear one */

        value_set_null(secret);
        return;
    }

    oauth2_base64(salt, sizeof(salt), salt64);
    oauth2_base64(hash, sizeof(hash), hash64);

    value_printf(ctx->arena, secret, "$pbkdf2-sha512$i=%d,l=%d$%s$%s",
                 OAUTH2_ITERATIONS, OAUTH2_HASH, salt64, hash64);
}


static void
oauth2_base64(const unsigned char *in, int n, char *out)
{
    int  len;

    len = EVP_EncodeBlock((unsigned char *) out, in, n);

    while (len > 0 && out[len - 1] == '=') {
        out[--len] = '\0';
    }
}
