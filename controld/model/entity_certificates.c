/*
 * entity_certificates: certificates, their SNIs, and CA certificates.
 */

#include <string.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "entities.h"
#include "types_tls.h"


#define CERTIFICATE_BEGIN  "-----BEGIN CERTIFICATE-----"


static void certificates_check_pair(schema_ctx_t *ctx, value_t *record,
    value_t *errors);
static void certificates_check_alt_pair(schema_ctx_t *ctx, value_t *record,
    value_t *errors);
static void certificates_check_types(schema_ctx_t *ctx, value_t *record,
    value_t *errors);
static const char *certificates_check_cert(schema_ctx_t *ctx,
    const field_t *f, const value_t *v);
static const char *certificates_check_key(schema_ctx_t *ctx,
    const field_t *f, const value_t *v);
static void certificates_match(schema_ctx_t *ctx, const value_t *record,
    const char *const *names, const char *text, value_t *errors);
static void ca_check_cert(schema_ctx_t *ctx, value_t *record,
    value_t *errors);
static const char *ca_certificate_error(X509 *cert);
static void ca_transform(schema_ctx_t *ctx, value_t *entity);


static const char *const  certificates_pair[] = { "cert", "key", NULL };
static const char *const  certificates_cert[] = { "cert", NULL };
static const char *const  certificates_alt[] = {
    "cert_alt", "key_alt", NULL
};
static const char *const  certificates_both[] = { "cert", "cert_alt", NULL };

static const field_t  certificates_sni = {
    .type = FIELD_STRING, .check = check_wildcard_host
};

static const field_t  certificates_fields[] = {
    ENTITY_ID,
    ENTITY_CREATED_AT,
    ENTITY_UPDATED_AT,
    { .name = "cert", .type = FIELD_STRING,
      .flags = F_REQUIRED|F_REFERENCEABLE, .check = certificates_check_cert },
    { .name = "key", .type = FIELD_STRING,
      .flags = F_REQUIRED|F_REFERENCEABLE|F_ENCRYPTED,
      .check = certificates_check_key },
    { .name = "cert_alt", .type = FIELD_STRING, .flags = F_REFERENCEABLE,
      .check = certificates_check_cert },
    { .name = "key_alt", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE|F_ENCRYPTED,
      .check = certificates_check_key },
    ENTITY_TAGS,
    { .name = "snis", .type = FIELD_ARRAY, .flags = F_ABSTRACT,
      .elements = &certificates_sni },
    ENTITY_END
};

static const schema_check_t  certificates_checks[] = {
    { .kind = CHECK_MUTUALLY_REQUIRED, .fields = certificates_alt },
    { .kind = CHECK_CUSTOM, .fields = certificates_pair,
      .custom = certificates_check_pair },
    { .kind = CHECK_CUSTOM, .fields = certificates_alt,
      .custom = certificates_check_alt_pair },
    { .kind = CHECK_CUSTOM, .fields = certificates_both,
      .custom = certificates_check_types },
    { .kind = 0 }
};

const schema_t  entity_certificates = {
    .name = "certificates",
    .singular = "certificate",
    .admin_path = "certificates",
    .fields = certificates_fields,
    .checks = certificates_checks
};

static const field_t  snis_fields[] = {
    ENTITY_ID,
    { .name = "name", .type = FIELD_STRING, .flags = F_REQUIRED|F_UNIQUE,
      .check = check_wildcard_host },
    ENTITY_CREATED_AT,
    ENTITY_UPDATED_AT,
    ENTITY_TAGS,
    { .name = "certificate", .type = FIELD_FOREIGN, .flags = F_REQUIRED,
      .foreign = "certificates" },
    ENTITY_END
};

const schema_t  entity_snis = {
    .name = "snis",
    .singular = "sni",
    .endpoint_key = "name",
    .admin_path = "snis",
    .nested_name = "snis",
    .fields = snis_fields
};

static const field_t  ca_fields[] = {
    ENTITY_ID,
    ENTITY_CREATED_AT,
    ENTITY_UPDATED_AT,
    { .name = "cert", .type = FIELD_STRING, .flags = F_REQUIRED,
      .check = check_certificate },
    { .name = "cert_digest", .type = FIELD_STRING, .flags = F_UNIQUE },
    ENTITY_TAGS,
    ENTITY_END
};

static const schema_check_t  ca_checks[] = {
    { .kind = CHECK_CUSTOM, .fields = certificates_cert,
      .custom = ca_check_cert },
    { .kind = 0 }
};

const schema_t  entity_ca_certificates = {
    .name = "ca_certificates",
    .singular = "ca_certificate",
    .admin_path = "ca_certificates",
    .fields = ca_fields,
    .checks = ca_checks,
    .transform = ca_transform
};


/*
 * OpenSSL takes half a millisecond to read a key.  So it is read once, where
 * it is compared: what comes before only looks for it in the text.
 */

static const char *
certificates_check_cert(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    const char  *err;

    (void) f;

    err = types_check_pem(ctx->arena, v, PEM_STRING_X509);

    return err == NULL ? NULL
           : arena_printf(ctx->arena, "invalid certificate: x509.new: %s",
                          err);
}


static const char *
certificates_check_key(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    const char  *err;

    (void) f;

    err = types_check_pem(ctx->arena, v, PEM_STRING_EVP_PKEY);

    return err == NULL ? NULL
           : arena_printf(ctx->arena, "invalid key: pkey.new: %s", err);
}


static void
certificates_check_pair(schema_ctx_t *ctx, value_t *record, value_t *errors)
{
    certificates_match(ctx, record, certificates_pair,
                       "certificate does not match key", errors);
}


static void
certificates_check_alt_pair(schema_ctx_t *ctx, value_t *record,
    value_t *errors)
{
    certificates_match(ctx, record, certificates_alt,
                       "alternative certificate does not match key", errors);
}


static void
certificates_match(schema_ctx_t *ctx, const value_t *record,
    const char *const *names, const char *text, value_t *errors)
{
    X509           *x509;
    EVP_PKEY       *pkey;
    const char     *err;
    const value_t  *cert, *key;

    x509 = NULL;
    pkey = NULL;
    cert = value_get(record, names[0]);
    key = value_get(record, names[1]);

    if (!value_is_null(cert)) {
        x509 = types_load_certificate(ctx->arena, cert, &err);

        if (x509 == NULL) {
            schema_error(ctx, errors, names[0], "invalid certificate: %s",
                         err);
        }
    }

    if (!value_is_null(key)) {
        pkey = types_load_private_key(ctx->arena, key, &err);

        if (pkey == NULL) {
            schema_error(ctx, errors, names[1], "invalid key: %s", err);
        }
    }

    if (x509 != NULL && pkey != NULL
        && X509_check_private_key(x509, pkey) != 1)
    {
        schema_error(ctx, errors, "@entity", "%s", text);
    }

    ERR_clear_error();
    X509_free(x509);
    EVP_PKEY_free(pkey);
}


/* two certificates make sense for two kinds of clients only */

static void
certificates_check_types(schema_ctx_t *ctx, value_t *record, value_t *errors)
{
    X509        *one, *two;
    const char  *err;

    if (value_is_null(value_get(record, "cert"))
        || value_is_null(value_get(record, "cert_alt")))
    {
        return;
    }

    one = types_load_certificate(ctx->arena, value_get(record, "cert"), &err);
    two = types_load_certificate(ctx->arena, value_get(record, "cert_alt"),
                                 &err);

    if (one != NULL && two != NULL
        && EVP_PKEY_get_base_id(X509_get0_pubkey(one))
           == EVP_PKEY_get_base_id(X509_get0_pubkey(two)))
    {
        schema_error(ctx, errors, "@entity", "certificate and alternative "
                     "certificate need to have different type (e.g. RSA and "
                     "ECDSA), the provided certificates were both of the "
                     "same type");
    }

    ERR_clear_error();
    X509_free(one);
    X509_free(two);
}


static void
ca_check_cert(schema_ctx_t *ctx, value_t *record, value_t *errors)
{
    X509        *cert;
    value_t     *v;
    const char  *p, *err;

    v = value_get(record, "cert");

    if (v == NULL || v->kind != VALUE_STRING) {
        return;
    }

    p = strstr(v->u.string, CERTIFICATE_BEGIN);

    if (p != NULL
        && strstr(p + sizeof(CERTIFICATE_BEGIN) - 1, CERTIFICATE_BEGIN))
    {
        schema_error(ctx, errors, "@entity",
                     "please submit only one certificate at a time");
        return;
    }

    cert = types_load_certificate(ctx->arena, v, &err);
    if (cert == NULL) {
        return;
    }

    err = ca_certificate_error(cert);

    if (err != NULL) {
        schema_error(ctx, errors, "@entity", "%s", err);
    }

    ERR_clear_error();
    X509_free(cert);
}


static const char *
ca_certificate_error(X509 *cert)
{
    bool                ca;
    BASIC_CONSTRAINTS  *constraints;

    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0) {
        return "certificate expired, \"Not After\" time is in the past";
    }

    constraints = X509_get_ext_d2i(cert, NID_basic_constraints, NULL, NULL);
    ca = constraints != NULL && constraints->ca;
    BASIC_CONSTRAINTS_free(constraints);

    if (!ca) {
        return "certificate does not appear to be a CA because it is missing "
               "the \"CA\" basic constraint";
    }

    return NULL;
}


/* the digest is ours to compute; an export brings it along */

static void
ca_transform(schema_ctx_t *ctx, value_t *entity)
{
    X509           *cert;
    char           *text;
    value_t        *v;
    unsigned        i, n;
    const char     *err;
    unsigned char   digest[EVP_MAX_MD_SIZE];

    static const char  hex[] = "0123456789abcdef";

    if (!ctx->transform) {
        return;
    }

    v = value_get(entity, "cert");

    cert = v == NULL || v->kind != VALUE_STRING
           ? NULL : types_load_certificate(ctx->arena, v, &err);
    if (cert == NULL) {
        return;
    }

    if (X509_digest(cert, EVP_sha256(), digest, &n) == 1) {
        text = arena_alloc(ctx->arena, 2 * n + 1);

        for (i = 0; i < n; i++) {
            text[2 * i] = hex[digest[i] >> 4];
            text[2 * i + 1] = hex[digest[i] & 15];
        }

        text[2 * n] = '\0';
        value_set_string(value_put(ctx->arena, entity, "cert_digest"), text,
                         2 * n);
    }

    X509_free(cert);
}
