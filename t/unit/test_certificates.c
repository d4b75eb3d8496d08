/*
 * test_certificates: certificates, SNIs and sets of authorities from the
 * configuration to the readers of the segment: which one a name gets, what
 * services show and trust, small changes beside them, and damaged sections.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controld/compile/compile.h"
#include "controld/model/json.h"
#include "ngx_kong_module/snapshot/kong_certificate.h"
#include "entity_pem.h"


#define ID(n)  "00000000-0000-4000-8000-00000000000" n
#define CERTS(cert, snis)                                                    \
    "'certificates':[{'id':'" ID("3") "','cert':'" cert "','key':'K1'},"     \
    "{'id':'" ID("1") "','cert':'C2','key':'K2'}],"                          \
    "'snis':[" snis "],"                                                     \
    "'ca_certificates':[{'id':'" ID("7") "','cert':'C1'},"                   \
    "{'id':'" ID("8") "','cert':'C2'}]"
#define SNI(n, name, cert)                                                   \
    "{'id':'" ID(n) "','name':'" name "','certificate':{'id':'" ID(cert) "'}}"
#define SERVICE(n, more)                                                     \
    "{'id':'" ID(n) "','name':'s" n "','host':'10.0.0.1'," more              \
    "'protocol':'https'}"
#define CLIENT(n)  "'client_certificate':{'id':'" ID(n) "'},"

#define ALL(cert)                                                            \
    "{" CERTS(cert, SNI("1", "a.test", "3"))                                 \
    ",'upstreams':[{'id':'" ID("9") "','name':'up'," CLIENT("3")             \
    "'slots':100}],'services':[" SERVICE("5", "'ca_certificates':['" ID("7") \
    "'],") ",%s]}"

typedef struct {
    config_t         *config;
    arena_t          *arena;
    segment_buf_t     buf;
    kong_segment_t    seg;
    compile_state_t  *state;
    compile_aside_t  *aside;
    size_t            n_aside;
    const char       *err;
    int               rc;
} test_t;


static const char *const  texts[][2] = {
    { "C1", EC_CERT }, { "C2", EC_LEAF }, { "CC", EC_CERT EC_LEAF },
    { "CB", EC_CERT "-----BEGIN CERTIFICATE-----\nAAAA\n"
            "-----END CERTIFICATE-----\n" },
    { "K1", EC_KEY }, { "K2", EC_OTHER_KEY }
};


static void
fill(value_t *row, const char *name)
{
    size_t    i;
    value_t  *v;

    v = value_get(row, name);

    for (i = 0; v != NULL && i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (value_str_eq(v, texts[i][0])) {
            value_set_string(v, texts[i][1], strlen(texts[i][1]));
            return;
        }
    }
}


static config_t *
parse(const char *text)
{
    char        *json;
    size_t       i, j;
    value_t      doc, *row;
    config_t    *c;
    const char  *err;

    c = config_new();
    json = arena_strndup(c->arena, text, strlen(text));

    for (i = 0; json[i] != '\0'; i++) {
        json[i] = (json[i] == '\'') ? '"' : json[i];
    }

    if (json_parse(c->arena, json, i, &doc, &err) != 0) {
        fail_msg("%s", err);
    }

    for (i = 0; i < doc.len; i++) {
        for (j = 0; j < value_nth(&doc, i)->len; j++) {
            row = value_at(value_nth(&doc, i), j);
            fill(row, "cert");
            fill(row, "key");
            fill(row, "cert_alt");
            fill(row, "key_alt");
            assert_int_equal(config_add(c, value_member(&doc, i).key, row), 0);
        }
    }

    memset(c->hash, 'a', 32);

    return c;
}


/* `before`: what it is a change of; or NULL */
static void
compile(test_t *t, const char *text, const test_t *before, unsigned aside)
{
    compile_opts_t  opts = {
        .generation = 5,
        .created = 1000,
        .router_flavor = "traditional_compatible",
        .set_aside = aside
    };

    memset(t, 0, sizeof(*t));
    t->arena = arena_new();
    t->config = parse(text);
    opts.state = &t->state;
    opts.aside = &t->aside;
    opts.n_aside = &t->n_aside;

    if (before != NULL) {
        assert_non_null(before->state);
        opts.before = before->config;
        opts.before_state = before->state;
    }

    t->rc = compile_config(t->arena, t->config, &opts, &t->buf, &t->err);

    if (t->rc == 0) {
        assert_int_equal(kong_segment_open(&t->seg, t->buf.data,
                                           t->buf.size, KONG_SEGMENT_CONFIG,
                                           KONG_SEGMENT_VERIFY), 0);
    }
}


static void
release(test_t *t)
{
    compile_state_free(t->state);
    segment_buf_release(&t->buf);
    config_free(t->config);
    arena_free(t->arena);
}


/* the last digit of the certificate's id, '-' without one */
static char
digit(const kong_certificate_t *c)
{
    char  id[37];

    if (c == NULL) {
        return '-';
    }

    kong_uuid_text(c->id, id);

    return id[35];
}


static char
shown(const test_t *t, const char *name)
{
    return digit(kong_certificate_by_sni(&t->seg, name, strlen(name)));
}


static const kong_service_t *
service(const test_t *t, const char *name)
{
    uint32_t  i;

    for (i = 0; i < t->seg.sections[KONG_SECTION_SERVICES].n; i++) {
        if (strcmp(kong_segment_str(&t->seg, t->seg.services[i].name).data,
                   name) == 0)
        {
            return &t->seg.services[i];
        }
    }

    fail_msg("no service %s", name);

    return NULL;
}


static char
client(const test_t *t, const char *name)
{
    uint32_t  i;

    i = service(t, name)->client_certificate;

    return i == KONG_NONE ? '-' : digit(kong_certificate(&t->seg, i));
}


/* bytes of the authorities that it trusts; -1: the default ones */
static int
trusted(const test_t *t, const char *name)
{
    uint32_t  i;

    i = service(t, name)->ca_certificates;

    return i == 0 ? -1
           : (int) kong_segment_str(&t->seg,
                                    kong_trust(&t->seg, i - 1)->certs).len;
}


static void
test_names(void **state)
{
    size_t                     i;
    test_t                     t;
    char                       longest[KONG_SNI_MAX + 2];
    const kong_certificate_t  *c;

    static const struct {
        const char  *name;
        char         id;
    } cases[] = {
        { "a.test", '3' }, { "A.Test", '3' }, { "a.test.", '3' },
        { "upper.test", '3' }, { "b.a.test", '1' }, { "c.b.a.test", '-' },
        { ".a.test", '1' }, { "w.x", '3' }, { "w.x.y", '-' },
        { "test", '-' }, { "", '-' }, { ".", '-' }, { "..", '-' },
        { "*.a.test", '1' }, { "x.solo", '-' }
    };

    (void) state;

    compile(&t, "{" CERTS("CC", SNI("1", "a.test", "3") ","
            SNI("2", "*.a.test", "1") "," SNI("3", "w.*", "3") ","
            SNI("4", "Upper.TEST", "3") "," SNI("5", "upper.test", "1") ","
            SNI("6", "*.solo", "1")) "}", NULL, 0);
    assert_int_equal(t.rc, 0);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (shown(&t, cases[i].name) != cases[i].id) {
            fail_msg("\"%s\": %c", cases[i].name, shown(&t, cases[i].name));
        }
    }

    memset(longest, 'a', sizeof(longest));
    assert_null(kong_certificate_by_sni(&t.seg, longest, KONG_SNI_MAX));
    assert_null(kong_certificate_by_sni(&t.seg, longest, KONG_SNI_MAX + 1));

    /* two in a row: the chain */

    c = kong_certificate_by_sni(&t.seg, "a.test", 6);
    assert_true(kong_segment_str(&t.seg, c->cert).len
                > kong_segment_str(&t.seg, c[-1].cert).len);
    assert_int_equal(c->cert_alt, 0);
    release(&t);

    compile(&t, "{" CERTS("C1", SNI("1", "*", "1") ","
                          SNI("2", "a.test", "3")) "}", NULL, 0);
    assert_int_equal(shown(&t, "a.test"), '3');
    assert_int_equal(shown(&t, "x"), '1');
    assert_int_equal(shown(&t, ""), '-');
    release(&t);

    compile(&t, "{}", NULL, 0);
    assert_int_equal(shown(&t, "a.test"), '-');
    release(&t);
}


static void
test_services(void **state)
{
    test_t  t;

    (void) state;

    compile(&t, "{" CERTS("C1", "") ",'upstreams':[{'id':'" ID("9") "',"
            "'name':'up'," CLIENT("3") "'slots':100}],"
            "'services':[" SERVICE("1", CLIENT("3")) ","
            SERVICE("2", CLIENT("1") "'ca_certificates':['" ID("7") "'],") ","
            SERVICE("3", "'ca_certificates':['" ID("7") "','" ID("8") "'],")
            "," SERVICE("4", "'ca_certificates':['" ID("7") "'],") ","
            SERVICE("5", "'ca_certificates':['" ID("6") "'],") ","
            "{'id':'" ID("6") "','name':'s6','host':'up'},"
            "{'id':'" ID("7") "','name':'s7','host':'up'," CLIENT("1")
            "'protocol':'https'}]}", NULL, 0);
    assert_int_equal(t.rc, 0);

    assert_int_equal(client(&t, "s1"), '3');
    assert_int_equal(client(&t, "s2"), '1');
    assert_int_equal(client(&t, "s3"), '-');
    assert_int_equal(client(&t, "s6"), '3');
    assert_int_equal(client(&t, "s7"), '1');

    assert_int_equal(trusted(&t, "s1"), -1);
    assert_true(trusted(&t, "s2") > 0);
    assert_true(trusted(&t, "s3") > trusted(&t, "s2"));
    assert_int_equal(trusted(&t, "s5"), 0);
    assert_int_equal(service(&t, "s2")->ca_certificates,
                     service(&t, "s4")->ca_certificates);
    assert_int_equal(t.seg.sections[KONG_SECTION_TRUST].n, 3);
    release(&t);
}


static void
test_refused(void **state)
{
    size_t  i;
    test_t  t;

    static const char *const  cases[][2] = {
        { "{" CERTS("CB", "") "}",
          "certificate (id " ID("3") "): its cert cannot be read" },
        { "{" CERTS("K1", "") "}",
          "certificate (id " ID("3") "): its cert cannot be read" },
        { "{" CERTS("{vault://env/kong-test-none}", "") "}", NULL },
        { "{'certificates':[{'id':'" ID("3") "','key':'K2',"
          "'cert':'{vault://env/kong-test-cert}'}]}",
          "certificate (id " ID("3") "): schema violation (certificate does "
          "not match key)" },
        { "{" CERTS("C1", "") ",'services':[" SERVICE("1", CLIENT("5"))
          "]}", "service 's1': its client_certificate is not there" }
    };

    (void) state;

    setenv("KONG_TEST_CERT", EC_CERT, 1);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        compile(&t, cases[i][0], NULL, 0);
        assert_int_equal(t.rc, -1);

        if (cases[i][1] != NULL) {
            assert_string_equal(t.err, cases[i][1]);
        }

        release(&t);
    }

    compile(&t, "{" CERTS("{vault://env/kong-test-cert}",
                          SNI("1", "a.test", "3")) "}", NULL, 0);
    assert_int_equal(t.rc, 0);
    assert_int_equal(shown(&t, "a.test"), '3');
    release(&t);
    unsetenv("KONG_TEST_CERT");
}


/* what is no good takes along what needs it, and nothing else */
static void
test_aside(void **state)
{
    test_t  t;

    (void) state;

    compile(&t, "{" CERTS("CB", SNI("1", "a.test", "3") ","
                          SNI("2", "b.test", "1"))
            ",'services':[" SERVICE("1", CLIENT("3")) ","
            SERVICE("2", CLIENT("1")) "]}", NULL, 1);
    assert_int_equal(t.rc, 0);
    assert_int_equal(t.n_aside, 3);
    assert_string_equal(t.aside[0].entity, "certificates");
    assert_string_equal(t.aside[1].entity, "snis");
    assert_string_equal(t.aside[2].entity, "services");
    assert_int_equal(shown(&t, "a.test"), '-');
    assert_int_equal(shown(&t, "b.test"), '1');
    assert_int_equal(t.seg.header->n_services, 1);
    assert_int_equal(client(&t, "s2"), '1');
    release(&t);
}


/* what the changes are changes of; a state is good for one */
static void
first(test_t *t)
{
    char  text[8192];

    snprintf(text, sizeof(text), ALL("C1"), SERVICE("1", "") ","
             SERVICE("2", ""));
    compile(t, text, NULL, 0);
    assert_int_equal(t->rc, 0);
}


/* services may change beside certificates; those are changed as a whole */
static void
test_changes(void **state)
{
    char    text[8192];
    size_t  i;
    test_t  t, next;

    static const struct {
        const char  *services;
        const char  *clients;
        unsigned     patched;
    } cases[] = {
        { SERVICE("1", CLIENT("1")) "," SERVICE("2", ""), "1-", 1 },
        { SERVICE("1", "") "," SERVICE("2", CLIENT("3")), "-3", 1 },
        { SERVICE("1", CLIENT("3") "'ca_certificates':['" ID("7") "'],") ","
          SERVICE("2", ""), "3-", 1 },
        { SERVICE("1", CLIENT("3") "'ca_certificates':['" ID("8") "'],") ","
          SERVICE("2", ""), "3-", 0 },
        { SERVICE("1", CLIENT("3")) "," SERVICE("2", "") ","
          "{'id':'" ID("3") "','name':'s3','host':'up'}", "3-3", 1 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        first(&t);
        snprintf(text, sizeof(text), ALL("C1"), cases[i].services);
        compile(&next, text, &t, 0);
        assert_int_equal(next.rc, 0);
        assert_int_equal(compile_changed(next.state), cases[i].patched);
        assert_int_equal(client(&next, "s1"), cases[i].clients[0]);
        assert_int_equal(client(&next, "s2"), cases[i].clients[1]);
        assert_int_equal(trusted(&next, "s5"), trusted(&t, "s5"));
        assert_int_equal(shown(&next, "a.test"), '3');

        if (cases[i].clients[2] != '\0') {
            assert_int_equal(client(&next, "s3"), cases[i].clients[2]);
        }

        release(&next);
        release(&t);
    }

    first(&t);
    snprintf(text, sizeof(text), ALL("CC"), SERVICE("1", "") ","
             SERVICE("2", ""));
    compile(&next, text, &t, 0);
    assert_int_equal(next.rc, 0);
    assert_int_equal(compile_changed(next.state), 0);
    assert_memory_not_equal(kong_certificate(&next.seg, 1)->hash,
                            kong_certificate(&t.seg, 1)->hash, 32);

    release(&next);
    release(&t);
}


/* what opens can be read, whatever was done to it */
static void
test_damaged(void **state)
{
    size_t                  i, opened;
    test_t                  t;
    uint8_t                *copy;
    unsigned                bit;
    kong_segment_t          seg;
    const kong_section_t   *s;
    kong_segment_header_t  *h;

    static const kong_section_id_t  ids[] = {
        KONG_SECTION_CERTIFICATES, KONG_SECTION_SNIS, KONG_SECTION_TRUST
    };

    (void) state;

    compile(&t, "{" CERTS("C1", SNI("1", "a.test", "3") ","
                          SNI("2", "*", "1"))
            ",'services':[" SERVICE("1", "'ca_certificates':['" ID("7") "'],")
            "]}", NULL, 0);
    assert_int_equal(t.rc, 0);

    opened = 0;

    for (i = 0; i < 3 * 4096; i++) {
        s = &t.seg.sections[ids[i / 4096]];

        if (i % 4096 >= s->size) {
            continue;
        }

        for (bit = 0; bit < 8; bit++) {
            copy = malloc(t.buf.size);
            memcpy(copy, t.buf.data, t.buf.size);
            copy[s->offset + i % 4096] ^= (uint8_t) (1u << bit);
            h = (kong_segment_header_t *) (void *) copy;
            h->checksum = 0;
            h->checksum = XXH3_64bits(copy, t.buf.size);

            if (kong_segment_open(&seg, copy, t.buf.size,
                                  KONG_SEGMENT_CONFIG, KONG_SEGMENT_VERIFY)
                == KONG_SEGMENT_OK)
            {
                opened++;
                (void) kong_certificate_by_sni(&seg, "a.test", 6);
                (void) kong_certificate_by_sni(&seg, "x.y.z", 5);
            }

            free(copy);
        }
    }

    assert_true(opened > 0);
    release(&t);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_aside),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_damaged)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
