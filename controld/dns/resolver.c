/*
 * resolver: c-ares names its sockets, libevent watches them.  Answers are
 * taken apart with the C library's ns_* functions, which bound-check foreign
 * bytes and, unlike c-ares' own parsers of this version, give every TTL.
 */

#include <ares.h>
#include <arpa/nameser.h>
#include <ctype.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

#include "resolver.h"


#define RESOLVER_RECORDS_MAX  1024


typedef struct socket_s  socket_t;

struct socket_s {
    ares_socket_t   fd;
    struct event   *event;
    socket_t       *next;
};

struct resolver_s {
    struct event_base  *base;
    struct event       *timer;
    ares_channel        channel;
    unsigned            ready;         /* the channel exists */
    socket_t           *sockets;
};

typedef struct {
    resolver_t         *resolver;
    resolver_done_pt    done;
    void               *data;
} question_t;


static void resolver_socket(void *data, ares_socket_t fd, int readable,
    int writable);
static void resolver_event(evutil_socket_t fd, short what, void *data);
static void resolver_timeout(evutil_socket_t fd, short what, void *data);
static void resolver_schedule(resolver_t *r);
static void resolver_answer(void *arg, int status, int timeouts,
    unsigned char *buf, int len);
static resolver_rc_t resolver_rc(int status);
static size_t resolver_parse(const unsigned char *buf, int len,
    resolver_record_t *records, size_t max);
static int resolver_record(ns_msg *msg, ns_rr *rr, resolver_record_t *out);
static int resolver_name(ns_msg *msg, const unsigned char *p, char *out,
    size_t size);
static void resolver_lower(char *s);


resolver_t *
resolver_new(struct event_base *base, const char *servers, unsigned timeout,
    unsigned tries, const char **err)
{
    int                  rc;
    resolver_t          *r;
    struct ares_options  opts;

    r = calloc(1, sizeof(resolver_t));
    if (r == NULL) {
        *err = "out of memory";
        return NULL;
    }

    r->base = base;

    memset(&opts, 0, sizeof(opts));
    opts.timeout = timeout;
    opts.tries = tries;
    opts.sock_state_cb = resolver_socket;
    opts.sock_state_cb_data = r;

    rc = ares_init_options(&r->channel, &opts, ARES_OPT_TIMEOUTMS
                           |ARES_OPT_TRIES|ARES_OPT_SOCK_STATE_CB);

    if (rc != ARES_SUCCESS) {
        goto failed;
    }

    r->ready = 1;

    if (servers != NULL) {
        rc = ares_set_servers_ports_csv(r->channel, servers);
        if (rc != ARES_SUCCESS) {
            goto failed;
        }
    }

    r->timer = evtimer_new(base, resolver_timeout, r);
    if (r->timer != NULL) {
        return r;
    }

    rc = ARES_ENOMEM;

failed:

    *err = ares_strerror(rc);
    resolver_free(r);

    return NULL;
}


void
resolver_free(resolver_t *r)
{
    socket_t  *s;

    if (r == NULL) {
        return;
    }

    if (r->ready) {
        ares_destroy(r->channel);
    }

    while ((s = r->sockets) != NULL) {
        r->sockets = s->next;
        event_free(s->event);
        free(s);
    }

    if (r->timer != NULL) {
        event_free(r->timer);
    }

    free(r);
}


void
resolver_ask(resolver_t *r, const char *name, unsigned type, unsigned search,
    resolver_done_pt done, void *data)
{
    question_t  *q;

    q = malloc(sizeof(question_t));
    if (q == NULL) {
        done(data, RESOLVER_FAILED, NULL, 0);
        return;
    }

    q->resolver = r;
    q->done = done;
    q->data = data;

    if (search) {
        ares_search(r->channel, name, ns_c_in, type, resolver_answer, q);
    } else {
        ares_query(r->channel, name, ns_c_in, type, resolver_answer, q);
    }

    resolver_schedule(r);
}


static void
resolver_socket(void *data, ares_socket_t fd, int readable, int writable)
{
    short        events;
    socket_t    *s, **prev;
    resolver_t  *r = data;

    for (prev = &r->sockets; (s = *prev) != NULL; prev = &s->next) {
        if (s->fd == fd) {
            *prev = s->next;
            event_free(s->event);
            free(s);
            break;
        }
    }

    if (!readable && !writable) {
        return;
    }

    events = EV_PERSIST | (readable ? EV_READ : 0)
             | (writable ? EV_WRITE : 0);

    /* without the event the question times out */
    s = calloc(1, sizeof(socket_t));
    if (s == NULL) {
        return;
    }

    s->fd = fd;
    s->event = event_new(r->base, fd, events, resolver_event, r);

    if (s->event == NULL || event_add(s->event, NULL) == -1) {
        if (s->event != NULL) {
            event_free(s->event);
        }
        free(s);
        return;
    }

    s->next = r->sockets;
    r->sockets = s;
}


static void
resolver_event(evutil_socket_t fd, short what, void *data)
{
    resolver_t  *r = data;

    ares_process_fd(r->channel,
                    (what & EV_READ) ? fd : ARES_SOCKET_BAD,
                    (what & EV_WRITE) ? fd : ARES_SOCKET_BAD);
    resolver_schedule(r);
}


static void
resolver_timeout(evutil_socket_t fd, short what, void *data)
{
    resolver_t  *r = data;

    (void) fd;
    (void) what;

    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    resolver_schedule(r);
}


static void
resolver_schedule(resolver_t *r)
{
    struct timeval  tv;

    if (ares_timeout(r->channel, NULL, &tv) == NULL) {
        (void) evtimer_del(r->timer);
        return;
    }

    (void) evtimer_add(r->timer, &tv);
}


static void
resolver_answer(void *arg, int status, int timeouts, unsigned char *buf,
    int len)
{
    size_t              n;
    question_t         *q = arg;
    resolver_record_t  *records;

    (void) timeouts;

    n = 0;
    records = NULL;

    if (status == ARES_SUCCESS) {
        records = malloc(RESOLVER_RECORDS_MAX * sizeof(resolver_record_t));

        if (records == NULL) {
            status = ARES_ENOMEM;
        } else {
            n = resolver_parse(buf, len, records, RESOLVER_RECORDS_MAX);
        }
    }

    q->done(q->data, resolver_rc(status), records, n);

    free(records);
    free(q);
}


static resolver_rc_t
resolver_rc(int status)
{
    switch (status) {

    case ARES_SUCCESS:
        return RESOLVER_OK;

    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
        return RESOLVER_NOT_FOUND;

    default:
        return RESOLVER_FAILED;
    }
}


static size_t
resolver_parse(const unsigned char *buf, int len, resolver_record_t *records,
    size_t max)
{
    int             i, k;
    ns_rr           rr;
    ns_msg          msg;
    size_t          n;

    static const ns_sect  sections[] = { ns_s_an, ns_s_ar };

    if (ns_initparse(buf, len, &msg) == -1) {
        return 0;
    }

    n = 0;

    for (k = 0; k < 2; k++) {
        for (i = 0; i < ns_msg_count(msg, sections[k]); i++) {

            if (n == max || ns_parserr(&msg, sections[k], i, &rr) == -1) {
                return n;
            }

            if (resolver_record(&msg, &rr, &records[n]) == 0) {
                n++;
            }
        }
    }

    return n;
}


static int
resolver_record(ns_msg *msg, ns_rr *rr, resolver_record_t *out)
{
    const unsigned char  *p;

    if (ns_rr_class(*rr) != ns_c_in
        || strlen(ns_rr_name(*rr)) >= sizeof(out->name))
    {
        return -1;
    }

    memset(out, 0, sizeof(resolver_record_t));
    strcpy(out->name, ns_rr_name(*rr));
    resolver_lower(out->name);

    out->type = ns_rr_type(*rr);
    out->ttl = ns_rr_ttl(*rr);
    p = ns_rr_rdata(*rr);

    switch (out->type) {

    case RESOLVER_A:
    case RESOLVER_AAAA:
        if (ns_rr_rdlen(*rr) != (out->type == RESOLVER_A ? 4 : 16)) {
            return -1;
        }
        memcpy(out->addr, p, ns_rr_rdlen(*rr));
        return 0;

    case RESOLVER_CNAME:
        return resolver_name(msg, p, out->target, sizeof(out->target));

    case RESOLVER_SRV:
        if (ns_rr_rdlen(*rr) < 7) {
            return -1;
        }
        out->priority = p[0] << 8 | p[1];
        out->weight = p[2] << 8 | p[3];
        out->port = p[4] << 8 | p[5];
        return resolver_name(msg, p + 6, out->target, sizeof(out->target));

    default:
        return -1;
    }
}


static int
resolver_name(ns_msg *msg, const unsigned char *p, char *out, size_t size)
{
    if (dn_expand(ns_msg_base(*msg), ns_msg_end(*msg), p, out, size) == -1) {
        return -1;
    }

    resolver_lower(out);

    return 0;
}


static void
resolver_lower(char *s)
{
    for ( ; *s != '\0'; s++) {
        *s = tolower((unsigned char) *s);
    }
}
