/*
 * probe: see probe.h.  libcurl's own time-outs are not used: they span the
 * whole transfer.  Handles and timers are kept for the next probe.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "probe.h"
#include "../transfers.h"


#define PROBE_LATE      500        /* ms; the loop was elsewhere */
#define PROBE_BUFFER    1024L      /* the least that libcurl takes */

struct probe_s {
    probes_t                *probes;
    CURL                    *easy;
    struct event            *timer;
    const probe_settings_t  *settings;
    void                    *owner;
    int64_t                  deadline;
    unsigned                 status;
    unsigned                 sent:1;     /* connected */
    unsigned                 ours:1;     /* the trouble is */
    probe_t                 *next;
    probe_t                **prev;
};

struct probes_s {
    struct event_base       *base;
    transfers_t             *transfers;
    probe_tls_t             *tls;
    probe_done_pt            done;
    probe_t                 *running;
    probe_t                 *idle;
};


static probe_t *probe_get(probes_t *p);
static void probe_put(probe_t *p);
static void probe_link(probe_t *p, probe_t **list);
static void probe_unlink(probe_t *p);
static void probe_release(probe_t *p);
static int probe_setup(probe_t *p, probe_target_t *target);
static int probe_setup_http(probe_t *p, probe_target_t *target);
static int probe_setup_tls(probe_t *p);
static CURLcode probe_trust(CURL *easy, void *ctx, void *data);
static int probe_blob(CURL *easy, CURLoption option, const char *text);
static int probe_wait(probe_t *p);
static curl_socket_t probe_socket(void *data, curlsocktype purpose,
    struct curl_sockaddr *address);
static int probe_connected(void *data, char *remote, char *local,
    int remote_port, int local_port);
static size_t probe_header(char *line, size_t size, size_t n, void *data);
static size_t probe_body(char *text, size_t size, size_t n, void *data);
static void probe_timeout(evutil_socket_t fd, short what, void *data);
static void probe_finished(void *owner, CURLcode rc);
static probe_result_t probe_result(const probe_t *p, CURLcode rc);
static void probe_end(probe_t *p, probe_result_t result);
static int64_t probe_now(void);


probes_t *
probes_new(struct event_base *base, probe_done_pt done)
{
    probes_t  *p;

    p = calloc(1, sizeof(probes_t));
    if (p == NULL) {
        return NULL;
    }

    p->base = base;
    p->done = done;
    p->transfers = transfers_new(base, 1, probe_finished);

    if (p->transfers == NULL) {
        free(p);
        return NULL;
    }

    return p;
}


void
probes_free(probes_t *p)
{
    if (p == NULL) {
        return;
    }

    while (p->running != NULL) {
        probe_cancel(p->running);
    }

    while (p->idle != NULL) {
        probe_release(p->idle);
    }

    transfers_free(p->transfers);
    probe_tls_free(p->tls);
    free(p);
}


void
probes_set_tls(probes_t *p, probe_tls_t *tls)
{
    probe_tls_free(p->tls);
    p->tls = tls;
}


probe_t *
probe_start(probes_t *probes, const probe_settings_t *settings,
    probe_target_t *target, void *owner)
{
    probe_t  *p;

    p = probe_get(probes);
    if (p == NULL) {
        return NULL;
    }

    p->settings = settings;
    p->owner = owner;
    p->status = 0;
    p->sent = 0;
    p->ours = 0;

    if (probe_setup(p, target) == -1
        || probe_wait(p) == -1
        || transfers_add(probes->transfers, p->easy) == -1)
    {
        probe_put(p);
        return NULL;
    }

    return p;
}


void
probe_cancel(probe_t *p)
{
    transfers_remove(p->probes->transfers, p->easy);
    probe_put(p);
}


static probe_t *
probe_get(probes_t *probes)
{
    probe_t  *p;

    p = probes->idle;

    if (p != NULL) {
        probe_unlink(p);
        probe_link(p, &probes->running);
        return p;
    }

    p = calloc(1, sizeof(probe_t));
    if (p == NULL) {
        return NULL;
    }

    p->probes = probes;
    probe_link(p, &probes->running);

    p->easy = curl_easy_init();
    p->timer = evtimer_new(probes->base, probe_timeout, p);

    if (p->easy == NULL || p->timer == NULL) {
        probe_release(p);
        return NULL;
    }

    return p;
}


static void
probe_put(probe_t *p)
{
    (void) evtimer_del(p->timer);
    curl_easy_reset(p->easy);

    probe_unlink(p);
    probe_link(p, &p->probes->idle);
}


static void
probe_link(probe_t *p, probe_t **list)
{
    p->next = *list;
    p->prev = list;

    if (p->next != NULL) {
        p->next->prev = &p->next;
    }

    *list = p;
}


static void
probe_unlink(probe_t *p)
{
    *p->prev = p->next;

    if (p->next != NULL) {
        p->next->prev = p->prev;
    }
}


static void
probe_release(probe_t *p)
{
    probe_unlink(p);

    if (p->easy != NULL) {
        curl_easy_cleanup(p->easy);
    }

    if (p->timer != NULL) {
        event_free(p->timer);
    }

    free(p);
}


static int
probe_setup(probe_t *p, probe_target_t *target)
{
    CURL      *e;
    unsigned   failed;

    e = p->easy;
    target->connect.next = NULL;

    failed = curl_easy_setopt(e, CURLOPT_URL, target->url) != CURLE_OK
        || curl_easy_setopt(e, CURLOPT_CONNECT_TO, &target->connect)
           != CURLE_OK
        || curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https")
           != CURLE_OK;

    curl_easy_setopt(e, CURLOPT_PRIVATE, p);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, PROBE_BUFFER);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, probe_socket);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, p);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, p->settings->timeout * 4);

    if (!p->settings->http) {
        curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);

    } else {
        failed |= (probe_setup_http(p, target) == -1);
    }

    return failed ? -1 : 0;
}


static int
probe_setup_http(probe_t *p, probe_target_t *target)
{
    CURL                    *e;
    unsigned                 failed;
    const probe_settings_t  *s;

    e = p->easy;
    s = p->settings;
    target->host.next = s->headers;

    failed = curl_easy_setopt(e, CURLOPT_REQUEST_TARGET, s->path) != CURLE_OK;

    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_0);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER,
                     s->host ? s->headers : &target->host);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, probe_connected);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, p);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, probe_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, p);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, probe_body);

    if (s->tls) {
        failed |= (probe_setup_tls(p) == -1);
    }

    return failed ? -1 : 0;
}


static int
probe_setup_tls(probe_t *p)
{
    CURL                    *e;
    const char              *cert, *key;
    const probe_settings_t  *s;

    e = p->easy;
    s = p->settings;
    cert = s->cert;
    key = s->key;

    if (cert == NULL) {
        probe_tls_pair(p->probes->tls, &cert, &key);
    }

    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, s->verify ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, s->verify ? 2L : 0L);
    curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(e, CURLOPT_SSL_ENABLE_ALPN, 0L);

    /* what is trusted is read once, not for each connection; libcurl's cache
     * would go on with what was trusted before */

    curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(e, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, p);

    if (s->verify
        && curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, probe_trust)
           != CURLE_OK)
    {
        return -1;
    }

    if (cert == NULL) {
        return 0;
    }

    return (probe_blob(e, CURLOPT_SSLCERT_BLOB, cert) == -1
            || probe_blob(e, CURLOPT_SSLKEY_BLOB, key) == -1) ? -1 : 0;
}


static CURLcode
probe_trust(CURL *easy, void *ctx, void *data)
{
    probe_t  *p = data;

    (void) easy;

    if (probe_tls_trust(p->probes->tls, ctx) == -1) {
        p->ours = 1;
        return CURLE_ABORTED_BY_CALLBACK;
    }

    return CURLE_OK;
}


/* copied: other settings may come before the handshake */
static int
probe_blob(CURL *easy, CURLoption option, const char *text)
{
    struct curl_blob  blob;

    blob.data = (void *) text;
    blob.len = strlen(text);
    blob.flags = CURL_BLOB_COPY;

    return (curl_easy_setopt(easy, option, &blob) == CURLE_OK) ? 0 : -1;
}


static int
probe_wait(probe_t *p)
{
    long            ms;
    struct timeval  tv;

    ms = p->settings->timeout;
    p->deadline = probe_now() + ms;

    tv.tv_sec = ms / 1000;
    tv.tv_usec = ms % 1000 * 1000;

    return evtimer_add(p->timer, &tv);
}


static curl_socket_t
probe_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    int       fd;
    probe_t  *p = data;

    (void) purpose;

    fd = socket(address->family, address->socktype|SOCK_CLOEXEC,
                address->protocol);
    if (fd == -1) {
        p->ours = 1;
        return CURL_SOCKET_BAD;
    }

    return fd;
}


/* the request is sent now: its answer has the same time again */
static int
probe_connected(void *data, char *remote, char *local, int remote_port,
    int local_port)
{
    probe_t  *p = data;

    (void) remote;
    (void) local;
    (void) remote_port;
    (void) local_port;

    p->sent = 1;

    return (probe_wait(p) == -1) ? CURL_PREREQFUNC_ABORT
                                 : CURL_PREREQFUNC_OK;
}


/* the first line is all that is wanted: the transfer ends here */
static size_t
probe_header(char *line, size_t size, size_t n, void *data)
{
    size_t    i;
    probe_t  *p = data;

    n *= size;

    for (i = 0; i < n && line[i] != ' '; i++) { /* void */ }
    for ( ; i < n && line[i] == ' '; i++) { /* void */ }

    for ( ; i < n && line[i] >= '0' && line[i] <= '9' && p->status < 1000;
         i++)
    {
        p->status = p->status * 10 + (unsigned) (line[i] - '0');
    }

    return 0;
}


static size_t
probe_body(char *text, size_t size, size_t n, void *data)
{
    (void) text;
    (void) size;
    (void) n;
    (void) data;

    return 0;
}


static void
probe_timeout(evutil_socket_t fd, short what, void *data)
{
    probe_t  *p = data;

    (void) fd;
    (void) what;

    transfers_remove(p->probes->transfers, p->easy);

    /* a process that was stopped cannot say who was slow */

    probe_end(p, probe_now() - p->deadline > PROBE_LATE ? PROBE_NOTHING
                                                        : PROBE_TIMEOUT);
}


static void
probe_finished(void *owner, CURLcode rc)
{
    probe_t  *p = owner;

    probe_end(p, probe_result(p, rc));
}


static probe_result_t
probe_result(const probe_t *p, CURLcode rc)
{
    long  err;

    if (p->status != 0) {
        return PROBE_STATUS;
    }

    if (p->ours) {
        return PROBE_NOTHING;
    }

    if (rc == CURLE_OPERATION_TIMEDOUT) {
        return PROBE_TIMEOUT;
    }

    if (p->sent) {
        return (rc == CURLE_GOT_NOTHING || rc == CURLE_SEND_ERROR
                || rc == CURLE_RECV_ERROR || rc == CURLE_PARTIAL_FILE)
               ? PROBE_TCP : PROBE_HTTP;
    }

    err = 0;
    (void) curl_easy_getinfo(p->easy, CURLINFO_OS_ERRNO, &err);

    switch (rc) {

    case CURLE_OK:
        return p->settings->http ? PROBE_HTTP : PROBE_SUCCESS;

    case CURLE_COULDNT_CONNECT:
        return (err == EADDRNOTAVAIL || err == ENOBUFS || err == ENOMEM
                || err == EAGAIN)
               ? PROBE_NOTHING : PROBE_TCP;

    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ENGINE_INITFAILED:
        return PROBE_NOTHING;

    default:
        return PROBE_TCP;
    }
}


static void
probe_end(probe_t *p, probe_result_t result)
{
    void      *owner;
    unsigned   status;
    probes_t  *probes;

    owner = p->owner;
    status = p->status;
    probes = p->probes;

    probe_put(p);
    probes->done(owner, result, status);
}


static int64_t
probe_now(void)
{
    struct timespec  t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t);

    return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
