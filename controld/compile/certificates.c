/*
 * certificates: see certificates.h.  The schema has checked that certificate
 * and key are good and match, but for what a vault holds: that is resolved
 * and checked here.  A chain is read here for the first time.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "certificates.h"
#include "entities.h"
#include "route_rules.h"
#include "../model/types_tls.h"
#include "../source/vault.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


#define CERTIFICATES_PARTS  4

typedef struct {
    uint8_t         id[16];
    const value_t  *row;
} certificates_row_t;

typedef struct {
    certificates_t  *set;
    writer_t        *writer;
    aside_t         *aside;
    const char      *err;
} certificates_writer_t;


static int certificates_rows(certificates_writer_t *cw);
static int certificates_record(certificates_writer_t *cw, const value_t *row,
    kong_certificate_t *c);
static int certificates_digest(const bytes_t *bytes, uint8_t hash[32]);
static int certificates_texts(certificates_writer_t *cw, const value_t *row,
    value_t texts[CERTIFICATES_PARTS]);
static int certificates_check(certificates_writer_t *cw, const value_t *row,
    const value_t texts[CERTIFICATES_PARTS]);
static int certificates_chain(const value_t *text, bytes_t *out);
static int certificates_key(const value_t *text, bytes_t *out);
static int certificates_pem(BIO *bio, const char *kind, bytes_t *out);
static size_t certificates_len(const bytes_t *bytes, size_t at);
static int certificates_good(const bytes_t *bytes, size_t at);
static int certificates_snis(certificates_writer_t *cw);
static int certificates_sni(certificates_writer_t *cw, const value_t *row,
    kong_sni_t *slots, uint32_t mask);
static int certificates_trust(certificates_writer_t *cw);
static int certificates_set(const certificates_t *cs, const value_t *list,
    uint8_t hash[32], bytes_t *certs);


static const char *const  certificates_parts[CERTIFICATES_PARTS] = {
    "cert", "key", "cert_alt", "key_alt"
};


int
certificates_compile(certificates_t *cs, arena_t *a, const config_t *c,
    writer_t *w, aside_t *as, const char **err)
{
    certificates_writer_t  cw;

    memset(cs, 0, sizeof(certificates_t));
    cs->arena = a;
    cs->config = c;

    cw.set = cs;
    cw.writer = w;
    cw.aside = as;
    cw.err = *err;

    if (certificates_rows(&cw) != 0 || certificates_snis(&cw) != 0
        || certificates_trust(&cw) != 0)
    {
        *err = cw.err;
        return -1;
    }

    return 0;
}


void
certificates_of(certificates_t *cs, arena_t *a, const config_t *c,
    const kong_segment_t *seg)
{
    cs->arena = a;
    cs->config = c;
    cs->records = kong_certificate(seg, 0);
    cs->n = seg->sections[KONG_SECTION_CERTIFICATES].n;
    cs->trust = kong_trust(seg, 0);
    cs->n_trust = seg->sections[KONG_SECTION_TRUST].n;
}


static int
certificates_by_id(const void *one, const void *two)
{
    return memcmp(one, two, 16);
}


static int
certificates_rows(certificates_writer_t *cw)
{
    size_t               i, n;
    config_table_t      *t;
    kong_certificate_t  *records;
    certificates_row_t  *rows;

    t = config_table(cw->set->config, "certificates");

    if (t == NULL || t->n == 0) {
        return 0;
    }

    rows = arena_alloc(cw->set->arena, t->n * sizeof(certificates_row_t));
    records = writer_records(cw->writer, KONG_SECTION_CERTIFICATES, t->n,
                             sizeof(kong_certificate_t));

    if (records == NULL) {
        return -1;
    }

    for (i = 0; i < t->n; i++) {
        rows[i].row = t->rows[i];

        if (entity_id(t->rows[i], rows[i].id) != 0) {
            cw->err = "a certificate has no id";
            return -1;
        }
    }

    qsort(rows, t->n, sizeof(certificates_row_t), certificates_by_id);

    for (i = 0, n = 0; i < t->n; i++) {
        memset(&records[n], 0, sizeof(kong_certificate_t));
        memcpy(records[n].id, rows[i].id, sizeof(records[n].id));

        if (certificates_record(cw, rows[i].row, &records[n]) == 0) {
            n++;

        } else if (!aside_add(cw->aside, "certificates", rows[i].row,
                              cw->err))
        {
            return -1;
        }
    }

    cw->set->records = records;
    cw->set->n = n;

    return writer_shrink(cw->writer, KONG_SECTION_CERTIFICATES, n,
                         sizeof(kong_certificate_t));
}


static int
certificates_record(certificates_writer_t *cw, const value_t *row,
    kong_certificate_t *c)
{
    int        rc;
    size_t     i, at;
    bytes_t    der;
    value_t    texts[CERTIFICATES_PARTS];
    uint32_t  *refs[CERTIFICATES_PARTS] = {
        &c->cert, &c->key, &c->cert_alt, &c->key_alt
    };

    if (certificates_texts(cw, row, texts) != 0) {
        return -1;
    }

    rc = 0;
    memset(&der, 0, sizeof(bytes_t));

    for (i = 0; i < CERTIFICATES_PARTS && rc == 0; i++) {
        if (texts[i].kind != VALUE_STRING) {
            continue;
        }

        at = der.size;
        rc = (i % 2 == 0) ? certificates_chain(&texts[i], &der)
                          : certificates_key(&texts[i], &der);

        if (rc == 0) {
            *refs[i] = writer_new_string(cw->writer, (char *) der.data + at,
                                         der.size - at);
            continue;
        }

        cw->err = arena_printf(cw->set->arena, "%s: its %s cannot be read",
                               entity_name(cw->set->arena, "certificate",
                                           row), certificates_parts[i]);
    }

    if (rc == 0) {
        rc = certificates_digest(&der, c->hash);
    }

    OPENSSL_cleanse(der.data, der.size);
    bytes_release(&der);

    return rc;
}


static int
certificates_digest(const bytes_t *bytes, uint8_t hash[32])
{
    return (!bytes->failed
            && EVP_Digest(bytes->data, bytes->size, hash, NULL, EVP_sha256(),
                          NULL) == 1) ? 0 : -1;
}


/* the four texts, references resolved; null where there is none */
static int
certificates_texts(certificates_writer_t *cw, const value_t *row,
    value_t texts[CERTIFICATES_PARTS])
{
    size_t          i;
    unsigned        resolved;
    const char     *text, *err;
    const value_t  *v;

    resolved = 0;

    for (i = 0; i < CERTIFICATES_PARTS; i++) {
        memset(&texts[i], 0, sizeof(value_t));
        v = value_get(row, certificates_parts[i]);

        if (value_is_null(v)) {
            continue;
        }

        texts[i] = *v;

        if (!vault_is_reference(v)) {
            continue;
        }

        text = vault_resolve(cw->set->arena, cw->set->config, v->u.string,
                             v->len, &err);

        if (text == NULL) {
            cw->err = arena_printf(cw->set->arena, "%s: %s",
                                   entity_name(cw->set->arena,
                                               "certificate", row), err);
            return -1;
        }

        value_set_string(&texts[i], text, strlen(text));
        resolved = 1;
    }

    return resolved ? certificates_check(cw, row, texts) : 0;
}


/* what the schema had to leave out, in its words */
static int
certificates_check(certificates_writer_t *cw, const value_t *row,
    const value_t texts[CERTIFICATES_PARTS])
{
    size_t        i;
    arena_t      *a;
    value_t      *record, *errors;
    schema_ctx_t  ctx;

    a = cw->set->arena;
    memset(&ctx, 0, sizeof(ctx));
    ctx.arena = a;
    ctx.partial = 1;

    record = value_new(a);
    value_set_object(record);
    errors = value_new(a);
    value_set_object(errors);

    for (i = 0; i < CERTIFICATES_PARTS; i++) {
        if (texts[i].kind == VALUE_STRING) {
            *value_put(a, record, certificates_parts[i]) = texts[i];
        }
    }

    if (schema_check(&ctx, schema_find("certificates"), record, errors)
        == 0)
    {
        return 0;
    }

    cw->err = arena_printf(a, "%s: %s", entity_name(a, "certificate", row),
                           schema_error_message(a, errors));

    return -1;
}


/* the end of the text, and nothing else, ends the list */
static int
certificates_chain(const value_t *text, bytes_t *out)
{
    int             rc;
    BIO            *bio;
    size_t          at;
    unsigned long   why;

    bio = types_bio(text);

    if (bio == NULL) {
        return -1;
    }

    at = out->size;

    while (certificates_pem(bio, PEM_STRING_X509, out) == 0) {
        /* void */
    }

    why = ERR_peek_last_error();
    ERR_clear_error();
    (void) BIO_free(bio);

    rc = (out->size != at && !out->failed
          && ERR_GET_LIB(why) == ERR_LIB_PEM
          && ERR_GET_REASON(why) == PEM_R_NO_START_LINE) ? 0 : -1;

    /* the schema has looked at the first one */

    for (at += certificates_len(out, at); rc == 0 && at < out->size;
         at += certificates_len(out, at))
    {
        rc = certificates_good(out, at);
    }

    return rc;
}


/* the key as it is written, without what is around it */
static int
certificates_key(const value_t *text, bytes_t *out)
{
    int   rc;
    BIO  *bio;

    bio = types_bio(text);

    if (bio == NULL) {
        return -1;
    }

    rc = certificates_pem(bio, PEM_STRING_EVP_PKEY, out);

    ERR_clear_error();
    (void) BIO_free(bio);

    return (rc == 0 && !out->failed) ? 0 : -1;
}


/* the next block of the kind, up to its own end: what follows the object (a
 * certificate's own trust, or nothing of meaning) is left out */
static int
certificates_pem(BIO *bio, const char *kind, bytes_t *out)
{
    int             tag, class;
    char           *name;
    long            len, n;
    unsigned char  *data;
    const uint8_t  *p;

    name = NULL;
    data = NULL;

    if (PEM_bytes_read_bio(&data, &len, &name, kind, bio, types_no_password,
                           NULL)
        != 1)
    {
        return -1;
    }

    p = data;

    if (ASN1_get_object(&p, &n, &tag, &class, len) & 0x80) {
        out->failed = 1;

    } else {
        bytes_put(out, data, (size_t) (p - data) + (size_t) n);
    }

    OPENSSL_clear_free(data, (size_t) len);
    OPENSSL_free(name);

    return out->failed ? -1 : 0;
}


/* of the object there */
static size_t
certificates_len(const bytes_t *bytes, size_t at)
{
    int             tag, class;
    long            n;
    const uint8_t  *p;

    p = bytes->data + at;

    if (at >= bytes->size
        || ASN1_get_object(&p, &n, &tag, &class, (long) (bytes->size - at))
           & 0x80)
    {
        return bytes->size - at;
    }

    return (size_t) (p - bytes->data) + (size_t) n - at;
}


static int
certificates_good(const bytes_t *bytes, size_t at)
{
    X509           *cert;
    const uint8_t  *p;

    p = bytes->data + at;
    cert = d2i_X509(NULL, &p, (long) (bytes->size - at));

    X509_free(cert);
    ERR_clear_error();

    return (cert != NULL) ? 0 : -1;
}


static int
certificates_snis(certificates_writer_t *cw)
{
    size_t           i, n;
    kong_sni_t      *slots;
    config_table_t  *t;

    t = config_table(cw->set->config, "snis");

    if (t == NULL || t->n == 0) {
        return 0;
    }

    for (n = 4; n < 2 * t->n; n *= 2) {
        /* void */
    }

    slots = writer_records(cw->writer, KONG_SECTION_SNIS, n,
                           sizeof(kong_sni_t));

    if (slots == NULL) {
        return -1;
    }

    for (i = 0; i < t->n; i++) {
        if (certificates_sni(cw, t->rows[i], slots, (uint32_t) n - 1) != 0
            && !aside_add(cw->aside, "snis", t->rows[i], cw->err))
        {
            return -1;
        }
    }

    return 0;
}


/* names that differ in case only are one: the first one is it */
static int
certificates_sni(certificates_writer_t *cw, const value_t *row,
    kong_sni_t *slots, uint32_t mask)
{
    int             kind;
    char           *text;
    size_t          i;
    uint8_t         id[16];
    uint32_t        ref, certificate;
    kong_str_t      name;
    const value_t  *v;

    v = value_get(row, "name");

    if (v == NULL || v->kind != VALUE_STRING
        || entity_id(value_get(row, "certificate"), id) != 0)
    {
        cw->err = "an SNI has no name or no certificate";
        return -1;
    }

    certificate = kong_sorted_find(cw->set->records, cw->set->n,
                                   sizeof(kong_certificate_t), id, 16);

    if (certificate == KONG_NONE) {
        cw->err = arena_printf(cw->set->arena, "%s: its certificate is not "
                               "there", entity_name(cw->set->arena, "SNI",
                                                    row));
        return -1;
    }

    text = arena_strndup(cw->set->arena, v->u.string, v->len);

    for (i = 0; i < v->len; i++) {
        text[i] = (char) tolower((unsigned char) text[i]);
    }

    name.data = text;
    name.len = v->len;

    if (name.len == 1 && text[0] == '*') {
        kind = KONG_HOST_SUFFIX;
        name.len = 0;

    } else {
        kind = rules_wildcard(&name);
    }

    /* a wildcard for a part of a label is no client's name */

    if (kind == -1) {
        return 0;
    }

    ref = writer_string(cw->writer, name.data, name.len);
    i = kong_sni_hash((uint32_t) kind, name.data, name.len) & mask;

    while (slots[i].name != 0) {
        if (slots[i].name == ref && slots[i].kind == (uint32_t) kind) {
            return 0;
        }

        i = (i + 1) & mask;
    }

    slots[i].name = ref;
    slots[i].kind = (uint32_t) kind;
    slots[i].certificate = certificate;

    return 0;
}


static int
certificates_by_hash(const void *one, const void *two)
{
    return memcmp(one, two, 32);
}


/* a set for each that services have; services with equal ones share it */
static int
certificates_trust(certificates_writer_t *cw)
{
    size_t           i, n, k;
    bytes_t          certs;
    kong_trust_t    *sets, *all;
    config_table_t  *t;
    const value_t   *list;

    t = config_table(cw->set->config, "services");
    n = 0;
    all = NULL;

    for (i = 0; t != NULL && i < t->n; i++) {
        list = value_get(t->rows[i], "ca_certificates");

        if (value_is_null(list)) {
            continue;
        }

        if (all == NULL) {
            all = arena_zalloc(cw->set->arena, t->n * sizeof(kong_trust_t));
        }

        /* the row, until the sets are known */

        all[n].certs = (uint32_t) i;
        if (certificates_set(cw->set, list, all[n++].hash, NULL) != 0) {
            return -1;
        }
    }

    if (n == 0) {
        return 0;
    }

    qsort(all, n, sizeof(kong_trust_t), certificates_by_hash);

    for (i = 1, k = 1; i < n; i++) {
        if (memcmp(all[i].hash, all[k - 1].hash, 32) != 0) {
            all[k++] = all[i];
        }
    }

    sets = writer_records(cw->writer, KONG_SECTION_TRUST, k,
                          sizeof(kong_trust_t));

    if (sets == NULL) {
        return -1;
    }

    for (i = 0; i < k; i++) {
        memset(&certs, 0, sizeof(bytes_t));
        list = value_get(t->rows[all[i].certs], "ca_certificates");

        if (certificates_set(cw->set, list, sets[i].hash, &certs) != 0) {
            bytes_release(&certs);
            return -1;
        }

        if (certs.size != 0) {
            sets[i].certs = writer_new_string(cw->writer,
                                              (char *) certs.data,
                                              certs.size);
        }

        bytes_release(&certs);
    }

    cw->set->trust = sets;
    cw->set->n_trust = k;

    return 0;
}


/*
 * The hash of the authorities that a list of ids names, and, unless `certs`
 * is NULL, their certificates.  An id that nobody has adds nothing: where all
 * are unknown, nobody is trusted.
 */
static int
certificates_set(const certificates_t *cs, const value_t *list,
    uint8_t hash[32], bytes_t *certs)
{
    int             rc;
    size_t          i;
    bytes_t         texts;
    const value_t  *id, *text;

    rc = 0;
    memset(&texts, 0, sizeof(bytes_t));

    for (i = 0; value_at(list, i) != NULL && rc == 0; i++) {
        id = value_at(list, i);

        text = (id->kind == VALUE_STRING)
               ? value_get(config_by_id(cs->config, "ca_certificates",
                                        id->u.string, id->len), "cert")
               : NULL;

        if (text == NULL || text->kind != VALUE_STRING) {
            continue;
        }

        bytes_put(&texts, text->u.string, text->len + 1);

        if (certs != NULL) {
            rc = certificates_chain(text, certs);
        }
    }

    if (rc == 0) {
        rc = certificates_digest(&texts, hash);
    }

    bytes_release(&texts);

    return rc;
}


int
certificates_service(const certificates_t *cs, const value_t *v,
    kong_service_t *s, const char **err)
{
    uint8_t         id[16], hash[32];
    uint32_t        set;
    const value_t  *ref, *list, *host;

    s->client_certificate = KONG_NONE;
    s->ca_certificates = 0;

    ref = value_get(v, "client_certificate");

    if (value_is_null(ref) && (s->flags & KONG_SERVICE_UPSTREAM)) {
        host = value_get(v, "host");
        ref = value_get(config_by_key(cs->config, "upstreams",
                                      host->u.string, host->len),
                        "client_certificate");
    }

    if (!value_is_null(ref)) {

        if (entity_id(ref, id) == 0) {
            s->client_certificate = kong_sorted_find(cs->records, cs->n,
                                        sizeof(kong_certificate_t), id, 16);
        }

        if (s->client_certificate == KONG_NONE) {
            *err = arena_printf(cs->arena, "%s: its client_certificate is "
                                "not there", entity_name(cs->arena,
                                                         "service", v));
            return -1;
        }
    }

    list = value_get(v, "ca_certificates");

    if (value_is_null(list)) {
        return 0;
    }

    set = KONG_NONE;

    if (certificates_set(cs, list, hash, NULL) == 0) {
        set = kong_sorted_find(cs->trust, cs->n_trust, sizeof(kong_trust_t),
                               hash, sizeof(hash));
    }

    if (set == KONG_NONE) {
        *err = arena_printf(cs->arena, "%s: its ca_certificates cannot be "
                            "found", entity_name(cs->arena, "service", v));
        return -1;
    }

    s->ca_certificates = set + 1;

    return 0;
}
