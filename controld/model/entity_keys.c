/*
 * entity_keys: key sets and keys, as JWK or PEM.
 */

#include <openssl/err.h>

#include "entities.h"
#include "json.h"
#include "jwk.h"
#include "types_tls.h"


static void keys_check(schema_ctx_t *ctx, value_t *record, value_t *errors);
static void keys_check_pem(schema_ctx_t *ctx, value_t *record,
    value_t *errors);


static const char *const  keys_cache_key[] = { "kid", "set", NULL };
static const char *const  keys_forms[] = { "jwk", "pem", NULL };
static const char *const  keys_jwk_fields[] = { "jwk", "kid", NULL };
static const char *const  keys_pem_fields[] = {
    "private_key", "public_key", NULL
};

static const field_t  key_sets_fields[] = {
    ENTITY_ID,
    { .name = "name", .type = FIELD_STRING, .flags = F_UNIQUE,
      .check = check_name },
    ENTITY_TAGS,
    ENTITY_CREATED_AT,
    ENTITY_UPDATED_AT,
    ENTITY_END
};

const schema_t  entity_key_sets = {
    .name = "key_sets",
    .singular = "key_set",
    .endpoint_key = "name",
    .admin_path = "key-sets",
    .fields = key_sets_fields
};

static const field_t  keys_pem[] = {
    { .name = "private_key", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE|F_ENCRYPTED },
    { .name = "public_key", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE },
    ENTITY_END
};

static const schema_check_t  keys_pem_checks[] = {
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = keys_pem_fields },
    { .kind = CHECK_CUSTOM, .fields = keys_pem_fields,
      .custom = keys_check_pem },
    { .kind = 0 }
};

static const field_t  keys_fields[] = {
    ENTITY_ID,
    { .name = "set", .type = FIELD_FOREIGN, .flags = F_CASCADE,
      .foreign = "key_sets" },
    { .name = "name", .type = FIELD_STRING, .flags = F_UNIQUE,
      .check = check_name },
    { .name = "kid", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "jwk", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE|F_ENCRYPTED },
    { .name = "pem", .type = FIELD_RECORD, .fields = keys_pem,
      .checks = keys_pem_checks },
    ENTITY_TAGS,
    ENTITY_CREATED_AT,
    ENTITY_UPDATED_AT,
    ENTITY_END
};

static const schema_check_t  keys_checks[] = {
    { .kind = CHECK_MUTUALLY_EXCLUSIVE, .fields = keys_forms },
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = keys_forms },
    { .kind = CHECK_CUSTOM, .fields = keys_jwk_fields,
      .custom = keys_check },
    { .kind = 0 }
};

const schema_t  entity_keys = {
    .name = "keys",
    .singular = "key",
    .endpoint_key = "name",
    .cache_key = keys_cache_key,
    .admin_path = "keys",
    .nested_name = "keys",
    .fields = keys_fields,
    .checks = keys_checks
};


static void
keys_check(schema_ctx_t *ctx, value_t *record, value_t *errors)
{
    value_t      jwk, *text, *kid;
    const char  *err;

    text = value_get(record, "jwk");
    kid = value_get(record, "kid");

    if (text == NULL || text->kind != VALUE_STRING) {
        return;
    }

    if (json_parse(ctx->arena, text->u.string, text->len, &jwk, &err) != 0) {
        schema_error(ctx, errors, "@entity",
                     "could not json decode jwk string");
        return;
    }

    if (!value_equal(value_get(&jwk, "kid"), kid)) {
        schema_error(ctx, errors, "@entity",
                     "kid in jwk.kid must be equal to keys.kid");
        return;
    }

    if (!jwk_is_loadable(ctx->arena, &jwk)) {
        schema_error(ctx, errors, "@entity",
                     "could not load JWK, likely not a valid key");
    }
}


static void
keys_check_pem(schema_ctx_t *ctx, value_t *record, value_t *errors)
{
    EVP_PKEY       *public, *private;
    const char     *err;
    const value_t  *public_text, *private_text;

    public_text = value_get(record, "public_key");
    private_text = value_get(record, "private_key");

    public = NULL;
    private = NULL;

    if (!value_is_null(public_text)) {
        public = types_load_public_key(ctx->arena, public_text, &err);

        if (public == NULL) {
            schema_error(ctx, errors, "@entity",
                         "could not load public key");
            goto done;
        }
    }

    if (!value_is_null(private_text)) {
        private = types_load_private_key(ctx->arena, private_text, &err);

        if (private == NULL) {
            schema_error(ctx, errors, "@entity",
                         "could not load private key%s", err);
            goto done;
        }
    }

    if (public != NULL && private != NULL && EVP_PKEY_eq(public, private) != 1)
    {
        schema_error(ctx, errors, "@entity",
                     "public key does not match private key");
    }

done:

    ERR_clear_error();
    EVP_PKEY_free(public);
    EVP_PKEY_free(private);
}
