/*
 * See ngx_kong_log_datagram.h.  A socket is connected, so that errors of the
 * other side are heard of; it follows the name's address.
 */

#include "ngx_kong_log_datagram.h"


#define NGX_KONG_LOG_DATAGRAMS  100      /* a batch */
#define NGX_KONG_LOG_DELAY      1000     /* ms between two tries at most */


static ngx_int_t ngx_kong_log_datagram_limits(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in);
static const char *ngx_kong_log_datagram_ready(ngx_kong_log_datagram_t *d);
static ngx_int_t ngx_kong_log_datagram_address(ngx_kong_log_datagram_t *d,
    kong_address_t *address);
static ngx_int_t ngx_kong_log_datagram_connect(ngx_kong_log_datagram_t *d,
    const kong_address_t *address);
static void ngx_kong_log_datagram_shut(ngx_kong_log_datagram_t *d);
static const char *ngx_kong_log_datagram_one(ngx_kong_log_batch_t *batch,
    ngx_kong_log_entry_t *e, ngx_err_t *err);


ngx_int_t
ngx_kong_log_datagram_udp(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in)
{
    ngx_str_t                 host;
    ngx_kong_log_datagram_t  *d;

    d = queue->conf;
    host = ngx_kong_conf_str(in, "host");
    d->port = (in_port_t) ngx_kong_conf_num(in, "port", 0);

    if (ngx_kong_log_queue_str(queue, host, &queue->to) != NGX_OK
        || ngx_kong_peer_host(&d->host, queue->pool, host) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_kong_log_datagram_limits(queue, in);
}


ngx_int_t
ngx_kong_log_datagram_unix(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in, ngx_str_t *path)
{
    ngx_kong_log_datagram_t  *d;

    d = queue->conf;

    if (ngx_kong_log_queue_str(queue, *path, &d->path) != NGX_OK) {
        return NGX_ERROR;
    }

    queue->to = d->path;

    return ngx_kong_log_datagram_limits(queue, in);
}


static ngx_int_t
ngx_kong_log_datagram_limits(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in)
{
    ngx_kong_log_datagram_t  *d;

    d = queue->conf;
    d->fd = (ngx_socket_t) -1;

    ngx_kong_log_queue_limits(queue, in);
    queue->max_batch = NGX_KONG_LOG_DATAGRAMS;
    queue->coalescing = 0;
    queue->max_delay = NGX_KONG_LOG_DELAY;

    return NGX_OK;
}


void
ngx_kong_log_datagram_send(ngx_kong_log_batch_t *batch)
{
    ngx_err_t                err;
    ngx_queue_t             *q;
    const char              *why;
    ngx_kong_log_datagram_t *d;

    d = batch->queue->conf;

    ngx_set_errno(0);
    why = ngx_kong_log_datagram_ready(d);
    err = ngx_errno;

    while (why == NULL && batch->n != 0) {
        q = ngx_queue_head(&batch->entries);
        why = ngx_kong_log_datagram_one(batch,
                              ngx_queue_data(q, ngx_kong_log_entry_t, queue),
                              &err);

        if (why == NULL) {
            ngx_kong_log_batch_pop(batch);
        }
    }

    ngx_kong_log_batch_end(batch, why ? NGX_ERROR : NGX_OK, why ? err : 0,
                           why);
}


/* NULL: it is sent, or never can be */
static const char *
ngx_kong_log_datagram_one(ngx_kong_log_batch_t *batch,
    ngx_kong_log_entry_t *e, ngx_err_t *err)
{
    ngx_uint_t               i;
    ngx_kong_log_datagram_t *d;

    d = batch->queue->conf;

    for (i = 0; i < 2; i++) {

        if (send(d->fd, e->data, e->len, MSG_NOSIGNAL) != -1) {
            return NULL;
        }

        *err = ngx_socket_errno;

        if (*err == NGX_EAGAIN || *err == ENOBUFS) {
            return "the socket is full";
        }

        if (*err == EMSGSIZE) {
            ngx_kong_log_lost(&batch->queue->lost, 1,
                              batch->queue->sender->name, &batch->queue->to,
                              *err, "an entry is too long for a datagram");
            return NULL;
        }

        if (d->path.len != 0) {
            break;
        }

        /* that is the fate of the one before */
    }

    ngx_kong_log_datagram_shut(d);

    return "it cannot be reached";
}


/* NULL, or why there is no socket */
static const char *
ngx_kong_log_datagram_ready(ngx_kong_log_datagram_t *d)
{
    kong_address_t  address;

    ngx_memzero(&address, sizeof(address));

    if (d->path.len == 0
        && ngx_kong_log_datagram_address(d, &address) != NGX_OK)
    {
        return "its name could not be resolved";
    }

    if (d->fd != (ngx_socket_t) -1
        && (d->path.len != 0
            || (d->address.ipv6 == address.ipv6
                && d->address.port == address.port
                && ngx_memcmp(d->address.addr, address.addr, 16) == 0)))
    {
        return NULL;
    }

    ngx_kong_log_datagram_shut(d);

    return ngx_kong_log_datagram_connect(d, &address) == NGX_OK
           ? NULL : "it cannot be reached";
}


static ngx_int_t
ngx_kong_log_datagram_address(ngx_kong_log_datagram_t *d,
    kong_address_t *address)
{
    ngx_uint_t                  i, n;
    kong_address_t              addresses[NGX_KONG_PEER_TRIES];
    ngx_kong_generation_t      *gen;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_kong_module);
    gen = ngx_kong_generation_get(mcf, ngx_cycle->log);

    /* one address as long as the name has it */

    d->host.turn = 0;
    n = ngx_kong_peer_addresses(&d->host, gen ? gen->endpoints : NULL,
                                addresses);
    if (gen != NULL) {
        ngx_kong_generation_put(gen);
    }

    if (n == 0) {
        return NGX_DECLINED;
    }

    *address = addresses[0];

    for (i = 0; i < n && d->fd != (ngx_socket_t) -1; i++) {
        if (ngx_memcmp(addresses[i].addr, d->address.addr, 16) == 0
            && addresses[i].ipv6 == d->address.ipv6)
        {
            *address = addresses[i];
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_kong_log_datagram_connect(ngx_kong_log_datagram_t *d,
    const kong_address_t *address)
{
    in_port_t            port;
    socklen_t            len;
    ngx_sockaddr_t       sa;
    struct sockaddr_un  *sun;

    ngx_memzero(&sa, sizeof(sa));
    d->address = *address;
    port = address->port != 0 ? address->port : d->port;

    if (d->path.len != 0) {
        sun = &sa.sockaddr_un;

        if (d->path.len >= sizeof(sun->sun_path)) {
            ngx_set_socket_errno(ENAMETOOLONG);
            return NGX_ERROR;
        }

        sun->sun_family = AF_UNIX;
        ngx_memcpy(sun->sun_path, d->path.data, d->path.len);
        len = sizeof(struct sockaddr_un);

    } else if (address->ipv6) {
#if (NGX_HAVE_INET6)
        sa.sockaddr_in6.sin6_family = AF_INET6;
        sa.sockaddr_in6.sin6_port = htons(port);
        ngx_memcpy(&sa.sockaddr_in6.sin6_addr, address->addr, 16);
        len = sizeof(struct sockaddr_in6);
#else
        return NGX_ERROR;
#endif
    } else {
        sa.sockaddr_in.sin_family = AF_INET;
        sa.sockaddr_in.sin_port = htons(port);
        ngx_memcpy(&sa.sockaddr_in.sin_addr, address->addr, 4);
        len = sizeof(struct sockaddr_in);
    }

    d->fd = socket(sa.sockaddr.sa_family,
                   SOCK_DGRAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (d->fd == (ngx_socket_t) -1
        || connect(d->fd, &sa.sockaddr, len) == -1)
    {
        ngx_kong_log_datagram_shut(d);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* leaves errno as it is */
static void
ngx_kong_log_datagram_shut(ngx_kong_log_datagram_t *d)
{
    ngx_err_t  err;

    err = ngx_socket_errno;

    if (d->fd != (ngx_socket_t) -1) {
        (void) ngx_close_socket(d->fd);
    }

    d->fd = (ngx_socket_t) -1;
    ngx_set_socket_errno(err);
}


void
ngx_kong_log_datagram_close(ngx_kong_log_queue_t *queue)
{
    ngx_kong_log_datagram_shut(queue->conf);
}
