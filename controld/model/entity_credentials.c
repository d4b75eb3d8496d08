/*
 * entity_credentials: what consumers prove themselves with: keys, passwords,
 * HMAC secrets, JWT secrets, and the groups of acl.
 */

#include <string.h>

#include <openssl/evp.h>

#include "entities.h"
#include "types_tls.h"


#define CREDENTIAL_CONSUMER                                                  \
    { .name = "consumer", .type = FIELD_FOREIGN,                             \
      .flags = F_REQUIRED|F_CASCADE, .foreign = "consumers" }

#define JWT_NEEDS_KEY(name)                                                  \
    { .kind = CHECK_CONDITIONAL, .if_field = "algorithm",                    \
      .if_match = &name, .then_field = "rsa_public_key",                     \
      .then_match = &jwt_public_key }

#define JWT_ALGORITHM(id, text)                                              \
    static const field_t  id = {                                             \
        .type = FIELD_STRING, .match = "^" text "$"                          \
    }


static void basicauth_transform(schema_ctx_t *ctx, value_t *entity);
static const char *jwt_check_public_key(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);


static const char *const  credentials_key[] = { "key", NULL };
static const char *const  credentials_username[] = { "username", NULL };
static const char *const  acls_cache_key[] = { "consumer", "group", NULL };

static const field_t  keyauth_fields[] = {
    ENTITY_ID,
    ENTITY_CREATED_AT,
    CREDENTIAL_CONSUMER,
    { .name = "key", .type = FIELD_STRING,
      .flags = F_UNIQUE|F_AUTO|F_ENCRYPTED },
    ENTITY_TAGS,
    ENTITY_TTL,
    ENTITY_END
};

const schema_t  entity_keyauth_credentials = {
    .name = "keyauth_credentials",
    .singular = "keyauth_credential",
    .endpoint_key = "key",
    .cache_key = credentials_key,
    .admin_path = "key-auths",
    .nested_name = "key-auth",
    .fields = keyauth_fields
};

static const field_t  basicauth_fields[] = {
    ENTITY_ID,
    ENTITY_CREATED_AT,
    CREDENTIAL_CONSUMER,
    { .name = "username", .type = FIELD_STRING,
      .flags = F_REQUIRED|F_UNIQUE },
    { .name = "password", .type = FIELD_STRING,
      .flags = F_REQUIRED|F_ENCRYPTED },
    ENTITY_TAGS,
    ENTITY_END
};

const schema_t  entity_basicauth_credentials = {
    .name = "basicauth_credentials",
    .singular = "basicauth_credential",
    .endpoint_key = "username",
    .cache_key = credentials_username,
    .admin_path = "basic-auths",
    .nested_name = "basic-auth",
    .fields = basicauth_fields,
    .transform = basicauth_transform
};

static const field_t  hmacauth_fields[] = {
    ENTITY_ID,
    ENTITY_CREATED_AT,
    CREDENTIAL_CONSUMER,
    { .name = "username", .type = FIELD_STRING,
      .flags = F_REQUIRED|F_UNIQUE },
    { .name = "secret", .type = FIELD_STRING, .flags = F_AUTO|F_ENCRYPTED },
    ENTITY_TAGS,
    ENTITY_END
};

const schema_t  entity_hmacauth_credentials = {
    .name = "hmacauth_credentials",
    .singular = "hmacauth_credential",
    .endpoint_key = "username",
    .cache_key = credentials_username,
    .admin_path = "hmac-auths",
    .nested_name = "hmac-auth",
    .fields = hmacauth_fields
};

static const char *const  jwt_algorithms[] = {
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384",
    "ES512", "PS256", "PS384", "PS512", "EdDSA", NULL
};

static const field_t  jwt_fields[] = {
    ENTITY_ID,
    ENTITY_CREATED_AT,
    CREDENTIAL_CONSUMER,
    { .name = "key", .type = FIELD_STRING, .flags = F_UNIQUE|F_AUTO },
    { .name = "secret", .type = FIELD_STRING, .flags = F_AUTO|F_ENCRYPTED },
    { .name = "rsa_public_key", .type = FIELD_STRING },
    { .name = "algorithm", .type = FIELD_STRING, .def = "\"HS256\"",
      .one_of = jwt_algorithms },
    ENTITY_TAGS,
    ENTITY_END
};

static const field_t  jwt_public_key = {
    .type = FIELD_STRING, .flags = F_REQUIRED, .check = jwt_check_public_key
};

JWT_ALGORITHM(jwt_rs256, "RS256");
JWT_ALGORITHM(jwt_rs384, "RS384");
JWT_ALGORITHM(jwt_rs512, "RS512");
JWT_ALGORITHM(jwt_ps256, "PS256");
JWT_ALGORITHM(jwt_ps384, "PS384");
JWT_ALGORITHM(jwt_ps512, "PS512");
JWT_ALGORITHM(jwt_eddsa, "EdDSA");

static const schema_check_t  jwt_checks[] = {
    JWT_NEEDS_KEY(jwt_rs256),
    JWT_NEEDS_KEY(jwt_rs384),
    JWT_NEEDS_KEY(jwt_rs512),
    JWT_NEEDS_KEY(jwt_ps256),
    JWT_NEEDS_KEY(jwt_ps384),
    JWT_NEEDS_KEY(jwt_ps512),
    JWT_NEEDS_KEY(jwt_eddsa),
    { .kind = 0 }
};

const schema_t  entity_jwt_secrets = {
    .name = "jwt_secrets",
    .singular = "jwt_secret",
    .endpoint_key = "key",
    .cache_key = credentials_key,
    .admin_path = "jwts",
    .nested_name = "jwt",
    .fields = jwt_fields,
    .checks = jwt_checks
};

static const field_t  acls_fields[] = {
    ENTITY_ID,
    ENTITY_CREATED_AT,
    CREDENTIAL_CONSUMER,
    { .name = "group", .type = FIELD_STRING, .flags = F_REQUIRED },
    ENTITY_TAGS,
    ENTITY_END
};

const schema_t  entity_acls = {
    .name = "acls",
    .singular = "acl",
    .cache_key = acls_cache_key,
    .admin_path = "acls",
    .nested_name = "acls",
    .fields = acls_fields
};


/* SHA-1 of the password with the consumer's id behind it, in hex */

static void
basicauth_transform(schema_ctx_t *ctx, value_t *entity)
{
    char           *text;
    value_t        *password, *id;
    unsigned        i, n;
    EVP_MD_CTX     *md;
    unsigned char   digest[EVP_MAX_MD_SIZE];

    static const char  hex[] = "0123456789abcdef";

    password = value_get(entity, "password");
    id = value_path(entity, "consumer.id");

    if (!ctx->transform || password == NULL || id == NULL
        || password->kind != VALUE_STRING || id->kind != VALUE_STRING)
    {
        return;
    }

    n = 0;
    md = EVP_MD_CTX_new();

    /* better no password than a clear one: an empty digest matches nothing */

    if (md == NULL || EVP_DigestInit_ex(md, EVP_sha1(), NULL) != 1
        || EVP_DigestUpdate(md, password->u.string, password->len) != 1
        || EVP_DigestUpdate(md, id->u.string, id->len) != 1
        || EVP_DigestFinal_ex(md, digest, &n) != 1)
    {
        n = 0;
    }

    EVP_MD_CTX_free(md);

    text = arena_alloc(ctx->arena, 2 * n + 1);

    for (i = 0; i < n; i++) {
        text[2 * i] = hex[digest[i] >> 4];
        text[2 * i + 1] = hex[digest[i] & 15];
    }

    text[2 * n] = '\0';
    value_set_string(password, text, 2 * n);
}


static const char *
jwt_check_public_key(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    EVP_PKEY    *key;
    const char  *err;

    (void) f;

    key = types_load_public_key(ctx->arena, v, &err);

    if (key == NULL) {
        key = types_load_private_key(ctx->arena, v, &err);
    }

    if (key == NULL) {
        return "invalid key";
    }

    EVP_PKEY_free(key);

    return NULL;
}
