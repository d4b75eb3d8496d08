/*
 * test_entities: the tables of the core entities: refusals as Kong words
 * them, defaults, shorthands, stored forms, certificates and keys, ids, the
 * configuration's indexes, and what validating a large document costs.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../../controld/model/config.h"
#include "../../controld/model/json.h"
#include "../../controld/model/types.h"
#include "../../controld/model/uuid.h"
#include "entity_cases.h"
#include "entity_pem.h"


#define SOME_ID   "00000000-0000-4000-8000-000000000001"
#define CONSUMER  "\"consumer\":{\"id\":\"" SOME_ID "\"}"
#define MANY      100000


typedef struct {
    arena_t       *arena;
    schema_ctx_t   ctx;
    value_t        errors;
} fixture_t;


static void fixture_init(fixture_t *fx);
static int validate(fixture_t *fx, const char *entity, const char *in,
    value_t *v);
static const char *stored(fixture_t *fx, const char *entity, const char *in,
    const char *path);
static const char *refused(fixture_t *fx, const char *entity,
    const char *in);
static value_t *pem_entity(fixture_t *fx, const char *const *pairs);
static const char *pem_refused(fixture_t *fx, const char *entity,
    const char *const *pairs);


static void
test_cases(void **state)
{
    size_t                i;
    value_t               v, want;
    fixture_t             fx;
    const char           *err;
    const entity_case_t  *c;

    (void) state;

    for (i = 0; i < sizeof(entity_cases) / sizeof(entity_cases[0]); i++) {
        c = &entity_cases[i];
        fixture_init(&fx);

        assert_int_equal(validate(&fx, c->entity, c->in, &v), -1);
        assert_int_equal(json_parse(fx.arena, c->fields, strlen(c->fields),
                                    &want, &err), 0);

        if (!value_equal(&want, &fx.errors)) {
            assert_string_equal(json_print(fx.arena, &fx.errors, NULL),
                                json_print(fx.arena, &want, NULL));
        }

        if (c->message != NULL) {
            assert_string_equal(schema_error_message(fx.arena, &fx.errors),
                                c->message);
        }

        arena_free(fx.arena);
    }
}


static void
test_url(void **state)
{
    size_t     i;
    fixture_t  fx;

    static const struct {
        const char  *url;
        const char  *want;
    } urls[] = {
        { "http://h", "http h 80 null" },
        { "https://h/", "https h 443 \"\\/\"" },
        { "https://h:8443/a/b?x=1#f", "https h 8443 \"\\/a\\/b\"" },
        { "//h.com:443", "https h.com 443 null" },
        { "//h.com", "http h.com 80 null" },
        { "http://u:p@h:81/x", "http h 81 \"\\/x\"" },
        { "http://[::1]:82/x", "http ::1 82 \"\\/x\"" }
    };

    (void) state;

    for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        value_t  v;
        char    *in, *got;

        fixture_init(&fx);
        in = arena_printf(fx.arena, "{\"url\":\"%s\",\"host\":\"no\","
                          "\"port\":1,\"protocol\":\"tcp\",\"path\":\"/y\"}",
                          urls[i].url);
        assert_int_equal(validate(&fx, "services", in, &v), 0);
        assert_null(value_get(&v, "url"));
        got = arena_printf(fx.arena, "%s %s %.0f %s",
                           value_cstr(value_get(&v, "protocol")),
                           value_cstr(value_get(&v, "host")),
                           value_get(&v, "port")->u.number,
                           json_print(fx.arena, value_get(&v, "path"),
                                      NULL));
        assert_string_equal(got, urls[i].want);
        arena_free(fx.arena);
    }
}


static void
test_defaults(void **state)
{
    value_t    v;
    fixture_t  fx;

    (void) state;

    fixture_init(&fx);

    assert_int_equal(validate(&fx, "services", "{\"host\":\"h\",\"id\":\""
                              SOME_ID "\"}", &v), 0);
    assert_string_equal(json_print(fx.arena, &v, NULL),
        "{\"id\":\"" SOME_ID "\",\"created_at\":1700000000,"
        "\"updated_at\":1700000000,\"name\":null,\"retries\":5,"
        "\"protocol\":\"http\",\"host\":\"h\",\"port\":80,\"path\":null,"
        "\"connect_timeout\":60000,\"write_timeout\":60000,"
        "\"read_timeout\":60000,\"tags\":null,\"client_certificate\":null,"
        "\"tls_verify\":null,\"tls_verify_depth\":null,"
        "\"ca_certificates\":null,\"enabled\":true}");

    /* the family of the protocols decides about the default */

    assert_string_equal(stored(&fx, "routes", "{\"paths\":[\"/\"]}",
                               "strip_path"), "true");
    assert_string_equal(stored(&fx, "routes", "{\"protocols\":[\"grpc\"],"
                               "\"paths\":[\"/\"]}", "strip_path"), "false");

    assert_string_equal(stored(&fx, "upstreams", "{\"name\":\"u\"}",
                               "healthchecks.passive"),
        "{\"type\":\"http\",\"healthy\":{\"http_statuses\":[200,201,202,203,"
        "204,205,206,207,208,226,300,301,302,303,304,305,306,307,308],"
        "\"successes\":0},\"unhealthy\":{\"http_statuses\":[429,500,503],"
        "\"tcp_failures\":0,\"timeouts\":0,\"http_failures\":0}}");
    assert_string_equal(stored(&fx, "upstreams", "{\"name\":\"u\","
                               "\"healthchecks\":{\"active\":{\"healthy\":"
                               "{\"interval\":5}}}}",
                               "healthchecks.active.healthy"),
        "{\"interval\":5,\"http_statuses\":[200,302],\"successes\":0}");

    assert_string_equal(stored(&fx, "plugins", "{\"name\":\"key-auth\"}",
                               "config.key_names"), "[\"apikey\"]");
    assert_string_equal(stored(&fx, "plugins", "{\"name\":\"key-auth\"}",
                               "protocols"),
                        "[\"grpc\",\"grpcs\",\"http\",\"https\"]");
    assert_string_equal(stored(&fx, "plugins", "{\"name\":\"rate-limiting\","
                               "\"config\":{\"second\":1,\"policy\":"
                               "\"redis\",\"redis_host\":\"r\"}}",
                               "config.redis.host"), "\"r\"");
    assert_string_equal(stored(&fx, "vaults", "{\"name\":\"env\",\"prefix\":"
                               "\"my-env\"}", "config"),
                        "{\"prefix\":null}");

    arena_free(fx.arena);
}


static void
test_upstream_coupling(void **state)
{
    size_t     i;
    fixture_t  fx;

    static const struct {
        const char  *in;
        const char  *algorithm;
        const char  *hash_on;
    } rows[] = {
        { "", "\"round-robin\"", "\"none\"" },
        { ",\"hash_on\":\"ip\"", "\"consistent-hashing\"", "\"ip\"" },
        { ",\"hash_on\":null", "\"round-robin\"", "\"none\"" },
        { ",\"hash_on\":\"ip\",\"algorithm\":\"latency\"", "\"latency\"",
          "\"none\"" },
        { ",\"hash_on\":\"none\",\"algorithm\":\"consistent-hashing\"",
          "\"round-robin\"", "\"none\"" },
        { ",\"algorithm\":\"consistent-hashing\"", "\"round-robin\"",
          "\"none\"" },
        { ",\"algorithm\":\"least-connections\"", "\"least-connections\"",
          "\"none\"" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char  *in;

        fixture_init(&fx);
        in = arena_printf(fx.arena, "{\"name\":\"u\"%s}", rows[i].in);
        assert_string_equal(stored(&fx, "upstreams", in, "algorithm"),
                            rows[i].algorithm);
        assert_string_equal(stored(&fx, "upstreams", in, "hash_on"),
                            rows[i].hash_on);
        arena_free(fx.arena);
    }
}


static void
test_targets(void **state)
{
    size_t     i;
    fixture_t  fx;

    static const char *const  targets[][2] = {
        { "h", "\"h:8000\"" },
        { "h.example.:81", "\"h.example.:81\"" },
        { "010.0.0.01", "\"10.0.0.1:8000\"" },
        { "10.0.0.1:80", "\"10.0.0.1:80\"" },
        { "::1", "\"[0000:0000:0000:0000:0000:0000:0000:0001]:8000\"" },
        { "[fe80::A:1]:99",
          "\"[fe80:0000:0000:0000:0000:0000:000a:0001]:99\"" },
        { "[1::]", "\"[0001:0000:0000:0000:0000:0000:0000:0000]:8000\"" },
        { "256.0.0.1", NULL },
        { "1.2.3", NULL },
        { "h:", NULL },
        { "h:65536", NULL },
        { "[::1", NULL },
        { "::1::2", NULL },
        { "1:2:3:4:5:6:7:8:9", NULL },
        { "1:2:3:4:5:6:7:8::", NULL },
        { "-h-", NULL },
        { "a b", NULL },
        { ".h", NULL }
    };

    (void) state;

    for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        char  *in;

        fixture_init(&fx);
        in = arena_printf(fx.arena, "{\"target\":\"%s\",\"upstream\":"
                          "{\"id\":\"" SOME_ID "\"}}", targets[i][0]);

        if (targets[i][1] != NULL) {
            assert_string_equal(stored(&fx, "targets", in, "target"),
                                targets[i][1]);

        } else {
            assert_string_equal(refused(&fx, "targets", in),
                "{\"target\":\"Invalid target; not a valid hostname or ip "
                "address\"}");
        }

        arena_free(fx.arena);
    }
}


static void
test_credentials(void **state)
{
    value_t      v;
    fixture_t    fx;
    const char  *text;

    (void) state;

    fixture_init(&fx);

    /* sha1("secret" SOME_ID) */

    text = "{\"username\":\"u\",\"password\":\"secret\"," CONSUMER "}";
    assert_string_equal(stored(&fx, "basicauth_credentials", text,
                               "password"),
                        "\"3b9edfd38c391cb30f37903ed9b4a5a164ccf9e0\"");

    fx.ctx.transform = 0;
    assert_string_equal(stored(&fx, "basicauth_credentials", text,
                               "password"), "\"secret\"");
    fx.ctx.transform = 1;

    assert_int_equal(validate(&fx, "keyauth_credentials",
                              "{" CONSUMER "}", &v), 0);
    assert_int_equal(value_get(&v, "key")->len, 32);
    assert_non_null(value_get(&v, "ttl"));
    assert_null(value_get(&v, "updated_at"));

    assert_int_equal(validate(&fx, "oauth2_credentials", "{\"name\":\"a\","
                              "\"client_secret\":\"s\","
                              "\"hash_secret\":true," CONSUMER "}", &v), 0);
    text = value_cstr(value_get(&v, "client_secret"));
    assert_memory_equal(text, "$pbkdf2-sha512$i=10000,l=32$", 28);
    assert_int_equal(strlen(text), 28 + 22 + 1 + 43);

    text = stored(&fx, "oauth2_credentials", "{\"name\":\"a\","
                  "\"client_secret\":\"s\"," CONSUMER "}",
                  "client_secret");
    assert_string_equal(text, "\"s\"");

    assert_string_equal(stored(&fx, "jwt_secrets", "{\"key\":\"k\","
                               "\"secret\":\"s\"," CONSUMER "}",
                               "algorithm"), "\"HS256\"");

    arena_free(fx.arena);
}


static void
test_certificates(void **state)
{
    value_t    *v;
    fixture_t   fx;

    static const char *const  good[] = {
        "cert", EC_CERT, "key", EC_KEY, NULL
    };
    static const char *const  mixed[] = {
        "cert", EC_CERT, "key", EC_OTHER_KEY, NULL
    };
    static const char *const  half[] = {
        "cert", EC_CERT, "key", EC_KEY, "key_alt", EC_KEY, NULL
    };
    static const char *const  same[] = {
        "cert", EC_CERT, "key", EC_KEY, "cert_alt", EC_LEAF, "key_alt",
        EC_OTHER_KEY, NULL
    };
    static const char *const  reference[] = {
        "cert", "{vault://env/cert}", "key", EC_OTHER_KEY, NULL
    };
    static const char *const  ca[] = { "cert", EC_CERT, NULL };
    static const char *const  leaf[] = { "cert", EC_LEAF, NULL };
    static const char *const  old[] = { "cert", EC_OLD, NULL };
    static const char *const  two[] = { "cert", EC_CERT EC_CERT, NULL };

    (void) state;

    fixture_init(&fx);

    assert_null(pem_refused(&fx, "certificates", good));
    assert_null(pem_refused(&fx, "certificates", reference));
    assert_string_equal(pem_refused(&fx, "certificates", mixed),
        "{\"@entity\":[\"certificate does not match key\"]}");
    assert_string_equal(pem_refused(&fx, "certificates", half),
        "{\"@entity\":[\"all or none of these fields must be set: "
        "'cert_alt', 'key_alt'\"]}");
    assert_string_equal(pem_refused(&fx, "certificates", same),
        "{\"@entity\":[\"alternative certificate does not match key\","
        "\"certificate and alternative certificate need to have different "
        "type (e.g. RSA and ECDSA), the provided certificates were both of "
        "the same type\"]}");

    assert_memory_equal(refused(&fx, "certificates",
                                "{\"cert\":\"x\",\"key\":\"y\"}"),
                        "{\"cert\":\"invalid certificate: ", 30);

    assert_null(pem_refused(&fx, "ca_certificates", ca));
    assert_string_equal(pem_refused(&fx, "ca_certificates", leaf),
        "{\"@entity\":[\"certificate does not appear to be a CA because it "
        "is missing the \\\"CA\\\" basic constraint\"]}");
    assert_string_equal(pem_refused(&fx, "ca_certificates", old),
        "{\"@entity\":[\"certificate expired, \\\"Not After\\\" time is in "
        "the past\"]}");
    assert_string_equal(pem_refused(&fx, "ca_certificates", two),
        "{\"@entity\":[\"please submit only one certificate at a time\"]}");

    v = pem_entity(&fx, ca);
    assert_int_equal(schema_validate(&fx.ctx, schema_find("ca_certificates"),
                                     v, &fx.errors), 0);
    assert_int_equal(value_get(v, "cert_digest")->len, 64);

    arena_free(fx.arena);
}


static void
test_keys(void **state)
{
    value_t    *v;
    fixture_t   fx;

    static const char *const  pair[] = {
        "private_key", EC_KEY, "public_key", EC_PUBLIC, NULL
    };
    static const char *const  mixed[] = {
        "private_key", EC_OTHER_KEY, "public_key", EC_PUBLIC, NULL
    };

    (void) state;

    fixture_init(&fx);

    v = value_new(fx.arena);
    value_set_object(v);
    value_set_string(value_put(fx.arena, v, "kid"), "k", 1);
    *value_put(fx.arena, v, "pem") = *pem_entity(&fx, pair);
    assert_int_equal(schema_validate(&fx.ctx, schema_find("keys"), v,
                                     &fx.errors), 0);

    *value_put(fx.arena, v, "pem") = *pem_entity(&fx, mixed);
    assert_int_equal(schema_validate(&fx.ctx, schema_find("keys"), v,
                                     &fx.errors), -1);
    assert_string_equal(json_print(fx.arena, &fx.errors, NULL),
        "{\"pem\":{\"@entity\":[\"public key does not match private "
        "key\"]}}");

    /* RFC 7517's first key, RFC 8037's */

    assert_string_equal(stored(&fx, "keys", "{\"kid\":\"1\",\"jwk\":\""
        "{\\\"kty\\\":\\\"EC\\\",\\\"crv\\\":\\\"P-256\\\",\\\"x\\\":"
        "\\\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\\\",\\\"y\\\":"
        "\\\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\\\","
        "\\\"kid\\\":\\\"1\\\"}\"}", "kid"), "\"1\"");
    assert_string_equal(stored(&fx, "keys", "{\"kid\":\"1\",\"jwk\":\""
        "{\\\"kty\\\":\\\"OKP\\\",\\\"crv\\\":\\\"Ed25519\\\",\\\"x\\\":"
        "\\\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\\\","
        "\\\"kid\\\":\\\"1\\\"}\"}", "kid"), "\"1\"");

    /* not on the curve */

    assert_string_equal(refused(&fx, "keys", "{\"kid\":\"1\",\"jwk\":\""
        "{\\\"kty\\\":\\\"EC\\\",\\\"crv\\\":\\\"P-256\\\",\\\"x\\\":"
        "\\\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\\\",\\\"y\\\":"
        "\\\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\\\","
        "\\\"kid\\\":\\\"1\\\"}\"}"),
        "{\"@entity\":[\"could not load JWK, likely not a valid key\"]}");

    arena_free(fx.arena);
}


static void
test_utf8(void **state)
{
    value_t    v;
    fixture_t  fx;

    (void) state;

    fixture_init(&fx);

    assert_int_equal(validate(&fx, "services", "{\"host\":\"h\",\"name\":"
                              "\"\303\251\346\227\245\360\237\230\200\","
                              "\"tags\":[\"a b\",\"\303\251\"]}", &v), 0);
    assert_string_equal(refused(&fx, "services",
                                "{\"host\":\"h\",\"name\":\"ab\300\200\"}"),
        "{\"name\":\"invalid utf-8 character sequence detected at position "
        "3\"}");
    assert_string_equal(refused(&fx, "services",
                                "{\"host\":\"h\",\"tags\":[\"\355\240\200\"]"
                                "}"),
        "{\"tags\":[\"invalid utf-8 character sequence detected at position "
        "1\"]}");

    assert_int_equal(utf8_check("\364\220\200\200", 4), 1);
    assert_int_equal(utf8_check("\364\217\277\277", 4), 0);
    assert_int_equal(utf8_check("a\303", 2), 2);
    assert_int_equal(utf8_check("\200", 1), 1);
    assert_int_equal(utf8_check("\340\237\277", 3), 1);

    arena_free(fx.arena);
}


static void
test_ids(void **state)
{
    char  ns[UUID_SIZE], id[UUID_SIZE], other[UUID_SIZE];
    char  random[UUID_RANDOM_LEN + 1];

    static const char  root[] = "fd02801f-0957-4a15-a55a-c8d9606f30b5";

    (void) state;

    assert_int_equal(uuid_v5(root, "services", 8, ns), 0);
    assert_int_equal(uuid_v5(ns, "svc1", 4, id), 0);
    assert_string_equal(id, "2254ba65-245b-5b72-a0b8-7341d45f5e77");

    assert_int_equal(uuid_v5(root, "plugins", 7, ns), 0);
    assert_int_equal(uuid_v5(ns, "plugins:*:cors:::", 17, id), 0);
    assert_string_equal(id, "48ee727e-8b90-5faa-bda1-a3c6bc3c9daa");
    assert_int_equal(uuid_v5("x", "a", 1, id), -1);

    uuid_v4(id);
    uuid_v4(other);
    assert_true(uuid_is_valid(id, 36));
    assert_int_equal(id[14], '4');
    assert_true(strchr("89ab", id[19]) != NULL);
    assert_string_not_equal(id, other);

    assert_true(uuid_is_valid("4726A05A-d550-537e-9fc3-a07c7a1188c7", 36));
    assert_false(uuid_is_valid("4726A05Ad-550-537e-9fc3-a07c7a1188c7", 36));
    assert_false(uuid_is_valid("4726A05A-d550-537e-9fc3-a07c7a1188c", 35));
    assert_false(uuid_is_valid("4726A05A-d550-537e-9fc3-a07c7a1188cg", 36));

    uuid_random_string(random);
    assert_int_equal(strspn(random, "0123456789abcdefghijklmnopqrstuvwxyz"
                                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 32);
}


static void
test_registry(void **state)
{
    size_t           i, j;
    const field_t   *f;
    const schema_t  *s;

    (void) state;

    for (i = 0; schema_entities[i] != NULL; i++) {
        s = schema_entities[i];
        assert_ptr_equal(schema_find(s->name), s);
        assert_non_null(s->singular);

        if (s->endpoint_key != NULL) {
            assert_non_null(schema_field(s, s->endpoint_key));
        }

        for (j = 0; s->cache_key != NULL && s->cache_key[j] != NULL; j++) {
            assert_non_null(schema_field(s, s->cache_key[j]));
        }

        /* parents come first */

        for (f = s->fields; f->name != NULL; f++) {
            if (f->type != FIELD_FOREIGN) {
                continue;
            }

            for (j = 0; schema_entities[j] != schema_find(f->foreign); j++) {
                assert_non_null(schema_entities[j]);
            }

            assert_true(j < i);
        }
    }

    assert_int_equal(i, 27);
    assert_null(schema_find("tags"));
}


static void
test_config(void **state)
{
    int        i;
    char      *text;
    value_t   *row;
    config_t  *c;

    (void) state;

    c = config_new();
    assert_string_equal(c->hash, "00000000000000000000000000000000");

    for (i = 0; i < 5000; i++) {
        row = value_new(c->arena);
        value_set_object(row);
        text = arena_printf(c->arena, "id-%d", i);
        value_set_string(value_put(c->arena, row, "id"), text,
                         strlen(text));
        text = arena_printf(c->arena, "name-%d", i);
        value_set_string(value_put(c->arena, row, "name"), text,
                         strlen(text));
        assert_int_equal(config_add(c, "services", row), 0);
        assert_int_equal(config_add(c, "services", row), -1);
    }

    assert_int_equal(config_table(c, "services")->n, 5000);
    row = config_by_key(c, "services", "name-4321", 9);
    assert_string_equal(value_cstr(value_get(row, "id")), "id-4321");
    assert_ptr_equal(config_by_id(c, "services", "id-4321", 7), row);
    assert_null(config_by_id(c, "services", "id-5000", 7));
    assert_null(config_by_key(c, "certificates", "x", 1));
    assert_null(config_table(c, "nope"));
    assert_int_equal(config_add(c, "nope", row), -1);

    row = value_new(c->arena);
    value_set_object(row);
    assert_int_equal(config_add(c, "services", row), -1);
    assert_int_equal(config_add(c, "parameters", row), 0);

    config_free(c);
    config_free(NULL);
}


/* generous: a loaded machine under a sanitizer must pass as well */

static void
test_speed(void **state)
{
    int        i;
    char      *text;
    double     took;
    value_t   *rows, *list, *v;
    clock_t    start;
    fixture_t  fx;

    (void) state;

    fixture_init(&fx);
    rows = arena_zalloc(fx.arena, MANY * sizeof(value_t));

    for (i = 0; i < MANY; i++) {
        v = &rows[i];
        value_set_object(v);
        text = arena_printf(fx.arena, "route-%d", i);
        value_set_string(value_put(fx.arena, v, "name"), text,
                         strlen(text));
        list = value_put(fx.arena, v, "paths");
        value_set_array(list);
        text = arena_printf(fx.arena, "/api/%d/things", i);
        value_set_string(value_append(fx.arena, list), text, strlen(text));
        list = value_put(fx.arena, v, "service");
        value_set_object(list);
        value_set_string(value_put(fx.arena, list, "id"), SOME_ID, 36);
    }

    start = clock();

    for (i = 0; i < MANY; i++) {
        assert_int_equal(schema_validate(&fx.ctx, schema_find("routes"),
                                         &rows[i], &fx.errors), 0);
    }

    took = (double) (clock() - start) / CLOCKS_PER_SEC;
    print_message("%d routes validated in %.3f s\n", MANY, took);
    assert_true(took < 10);

    arena_free(fx.arena);
}


static void
fixture_init(fixture_t *fx)
{
    memset(fx, 0, sizeof(fixture_t));
    fx->arena = arena_new();
    fx->ctx.arena = fx->arena;
    fx->ctx.now = 1700000000.125;
    fx->ctx.database = 1;
    fx->ctx.transform = 1;
    fx->ctx.router_flavor = "traditional_compatible";
}


static int
validate(fixture_t *fx, const char *entity, const char *in, value_t *v)
{
    const char  *err;

    memset(&fx->errors, 0, sizeof(value_t));
    assert_int_equal(json_parse(fx->arena, in, strlen(in), v, &err), 0);

    return schema_validate(&fx->ctx, schema_find(entity), v, &fx->errors);
}


static const char *
stored(fixture_t *fx, const char *entity, const char *in, const char *path)
{
    value_t  v;

    if (validate(fx, entity, in, &v) != 0) {
        return json_print(fx->arena, &fx->errors, NULL);
    }

    return json_print(fx->arena, value_path(&v, path), NULL);
}


static const char *
refused(fixture_t *fx, const char *entity, const char *in)
{
    value_t  v;

    assert_int_equal(validate(fx, entity, in, &v), -1);

    return json_print(fx->arena, &fx->errors, NULL);
}


static value_t *
pem_entity(fixture_t *fx, const char *const *pairs)
{
    value_t  *v;

    v = value_new(fx->arena);
    value_set_object(v);

    for ( /* void */ ; pairs[0] != NULL; pairs += 2) {
        value_set_string(value_put(fx->arena, v, pairs[0]), pairs[1],
                         strlen(pairs[1]));
    }

    return v;
}


static const char *
pem_refused(fixture_t *fx, const char *entity, const char *const *pairs)
{
    memset(&fx->errors, 0, sizeof(value_t));

    if (schema_validate(&fx->ctx, schema_find(entity),
                        pem_entity(fx, pairs), &fx->errors)
        == 0)
    {
        return NULL;
    }

    return json_print(fx->arena, &fx->errors, NULL);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_url),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_upstream_coupling),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_registry),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_speed)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
