/*
 * config: /config of the DB-less mode.  The body is understood, validated and
 * compiled in the loader's thread; the answer waits for the publish, so that
 * a 201 means that every worker serves the new configuration.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../log.h"
#include "../model/json.h"
#include "multipart.h"
#include "router.h"


#define CONFIG_TIMEOUT  60       /* s for a load and its publish */


typedef enum {
    CONFIG_NONE = 0,
    CONFIG_JSON,
    CONFIG_YAML,
    CONFIG_FORM,
    CONFIG_MULTIPART
} config_type_t;

/* one POST; dies when both the load and the request are done with it */
typedef struct {
    admin_request_t  *r;         /* NULL: was answered, the load goes on */
    struct event     *timer;
    config_type_t     type;
    const char       *content_type;      /* these three in the load's arena */
    const char       *body;
    size_t            len;
    unsigned          flatten;
} config_post_t;


static void config_get(admin_request_t *r);
static void config_post(admin_request_t *r);
static config_type_t config_type(const admin_request_t *r);
static int config_prepare(load_t *l);
static int config_prepare_json(load_t *l, const config_post_t *p);
static int config_prepare_form(load_t *l, const config_post_t *p);
static int config_take(load_t *l, value_t *doc, const config_post_t *p);
static int config_refuse(load_t *l, const char *sentence);
static void config_posted(void *data, posted_t rc, load_t *load,
    const char *err);
static void config_answer(admin_request_t *r, posted_t rc, load_t *load,
    const config_post_t *p);
static void config_timeout(evutil_socket_t fd, short what, void *data);


void
config_handle(admin_request_t *r)
{
    if (r->settings->used) {
        admin_message(r, 400, "this endpoint is only available when Kong is "
                      "configured to not use a database");
        return;
    }

    if (r->method == ADMIN_POST) {
        config_post(r);
        return;
    }

    /* a large configuration takes its time to print */
    admin_offload(r, config_get);
}


static void
config_get(admin_request_t *r)
{
    char     *text;
    size_t    len;
    value_t   body;

    if (r->generation == NULL) {
        admin_message(r, 503, "no configuration available");
        return;
    }

    text = declarative_export(r->arena, r->generation->config, &len);

    value_set_object(&body);
    value_set_string(value_put(r->arena, &body, "config"), text, len);

    admin_json(r, 200, &body);
}


static void
config_post(admin_request_t *r)
{
    load_t              *l;
    config_post_t       *p;
    struct timeval       tv;
    const admin_host_t  *h;

    l = load_new();
    p = calloc(1, sizeof(config_post_t));

    if (p == NULL || l == NULL) {
        goto failed;
    }

    p->r = r;
    p->type = config_type(r);
    p->flatten = admin_arg_true(r, "flatten_errors");
    p->len = r->body_len;
    p->body = arena_strndup(l->arena, r->body, r->body_len);
    p->content_type = (r->content_type == NULL) ? ""
                      : arena_strndup(l->arena, r->content_type,
                                      strlen(r->content_type));

    l->syntax = DECLARATIVE_ANY;
    l->opts.flatten = p->flatten;
    l->entities = 1;
    l->prepare = config_prepare;
    l->data = p;

    if (admin_arg_true(r, "check_hash") && r->generation != NULL) {
        memcpy(l->known, r->generation->config->hash, sizeof(l->known));
    }

    tv.tv_sec = CONFIG_TIMEOUT;
    tv.tv_usec = 0;

    p->timer = evtimer_new(admin_base(r->admin), config_timeout, p);
    if (p->timer == NULL || evtimer_add(p->timer, &tv) == -1) {
        goto failed;
    }

    h = admin_host(r->admin);
    r->suspended = 1;

    if (h->post(h->data, l, config_posted, p) == 0) {
        return;
    }

    r->suspended = 0;
    r->retry_after = 1;
    admin_message(r, 429, "Currently loading previous configuration");
    event_free(p->timer);
    free(p);
    load_free(l);
    return;

failed:

    if (p != NULL && p->timer != NULL) {
        event_free(p->timer);
    }

    free(p);
    load_free(l);
    admin_message(r, 500, "An unexpected error occurred");
}


static config_type_t
config_type(const admin_request_t *r)
{
    if (admin_type_is(r, "application/json")) {
        return CONFIG_JSON;
    }

    if (admin_type_is(r, "application/x-www-form-urlencoded")) {
        return CONFIG_FORM;
    }

    if (admin_type_is(r, "multipart/form-data")) {
        return CONFIG_MULTIPART;
    }

    return (r->content_type == NULL) ? CONFIG_NONE : CONFIG_YAML;
}


/* in the loader's thread: finds the configuration in the body */
static int
config_prepare(load_t *l)
{
    const config_post_t  *p = l->data;

    switch (p->type) {

    case CONFIG_JSON:
        return config_prepare_json(l, p);

    case CONFIG_FORM:
    case CONFIG_MULTIPART:
        return config_prepare_form(l, p);

    default:
        break;
    }

    if (p->len == 0) {
        return config_refuse(l, "expected a declarative configuration");
    }

    l->text = p->body;
    l->len = p->len;

    return 0;
}


static int
config_prepare_json(load_t *l, const config_post_t *p)
{
    value_t     *doc;
    const char  *err;

    doc = value_new(l->arena);

    if (json_parse(l->arena, p->body, p->len, doc, &err) == -1) {
        return config_refuse(l, "Cannot parse JSON body");
    }

    return config_take(l, doc, p);
}


static int
config_prepare_form(load_t *l, const config_post_t *p)
{
    int       rc;
    value_t  *doc;

    doc = value_new(l->arena);

    if (p->type == CONFIG_MULTIPART) {
        rc = multipart_parse(l->arena, p->content_type, p->body, p->len, doc);
        if (rc == -1) {
            value_set_object(doc);
        }

    } else if (admin_parse_args(l->arena, p->body, p->len, doc) == -1) {
        return config_refuse(l, "Too many arguments");
    }

    return config_take(l, doc, p);
}


/* the document itself, a text in its field `config`, or the raw body */
static int
config_take(load_t *l, value_t *doc, const config_post_t *p)
{
    value_t  *text;

    if (value_get(doc, "_format_version") != NULL) {
        l->doc = doc;
        return 0;
    }

    text = value_get(doc, "config");

    if (text != NULL && text->kind == VALUE_STRING) {
        l->text = text->u.string;
        l->len = text->len;

    } else {
        l->text = p->body;
        l->len = p->len;
    }

    if (l->len == 0) {
        return config_refuse(l, "expected a declarative configuration");
    }

    return 0;
}


static int
config_refuse(load_t *l, const char *sentence)
{
    value_t  body;

    value_set_object(&body);
    value_set_string(value_put(l->arena, &body, "message"), sentence,
                     strlen(sentence));

    l->status = 400;
    l->body = json_print(l->arena, &body, &l->body_len);
    l->first = sentence;

    return -1;
}


static void
config_posted(void *data, posted_t rc, load_t *load, const char *err)
{
    config_post_t  *p = data;

    if (rc == POSTED_REFUSED || rc == POSTED_FAILED) {
        log_write(LOG_ERR, "POST /config: %s", err);
    }

    if (p->r != NULL) {
        config_answer(p->r, rc, load, p);
        admin_reply(p->r);
    }

    event_free(p->timer);
    free(p);
}


static void
config_answer(admin_request_t *r, posted_t rc, load_t *load,
    const config_post_t *p)
{
    switch (rc) {

    case POSTED_OK:
        admin_text(r, 201, "application/json; charset=utf-8", load->body,
                   load->body_len);
        return;

    case POSTED_UNCHANGED:
        admin_empty(r, 304);
        return;

    case POSTED_INVALID:
        if (load->status != 0) {
            admin_text(r, load->status, "application/json; charset=utf-8",
                       load->body, load->body_len);
            return;
        }

        admin_json(r, 400, declarative_errors_body(r->arena, &load->errors,
                                                   p->flatten));
        return;

    default:
        admin_message(r, 500, "An unexpected error occurred");
        return;
    }
}


/* nginx hangs: the configuration stays on its way */
static void
config_timeout(evutil_socket_t fd, short what, void *data)
{
    config_post_t    *p = data;
    admin_request_t  *r;

    (void) fd;
    (void) what;

    r = p->r;
    p->r = NULL;

    if (r != NULL) {
        admin_message(r, 504, "Timed out while loading configuration");
        admin_reply(r);
    }
}
