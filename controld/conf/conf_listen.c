/*
 * conf_listen: the *_listen settings: "<ip>:<port> [flag ...], ..." or "off".
 * What comes out has been checked character by character, so that it can be
 * written into nginx.conf as it is.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "conf_private.h"


#define LISTEN_FLAGS  12

typedef struct {
    const char  *usage;                /* as Kong shows it */
    const char  *prefix;               /* what comes before the value */
    enum { LISTEN_PLAIN = 0, LISTEN_DIGITS, LISTEN_KEEPALIVE } value;
} listen_flag_t;


static int conf_listen_one(conf_t *c, conf_listener_t *l, const char *text);
static int conf_listen_flag(const char *token, size_t len);
static int conf_listen_flag_value(const listen_flag_t *f, const char *s,
    size_t len);
static int conf_listen_address(conf_t *c, conf_listen_t *ls, const char *s,
    size_t len);
static int conf_listen_host(const char *host);
static int conf_listen_port(const char *s, unsigned *port);
static const char *conf_listen_usage(conf_t *c);
static void conf_listen_show(conf_t *c, conf_listener_t *l,
    const conf_listen_t *ls, const char *const *found);


static const listen_flag_t  listen_flags[LISTEN_FLAGS] = {
    { "ssl", "ssl", LISTEN_PLAIN },
    { "http2", "http2", LISTEN_PLAIN },
    { "proxy_protocol", "proxy_protocol", LISTEN_PLAIN },
    { "deferred", "deferred", LISTEN_PLAIN },
    { "bind", "bind", LISTEN_PLAIN },
    { "reuseport", "reuseport", LISTEN_PLAIN },
    { "backlog=%d+", "backlog=", LISTEN_DIGITS },
    { "ipv6only=on", "ipv6only=on", LISTEN_PLAIN },
    { "ipv6only=off", "ipv6only=off", LISTEN_PLAIN },
    { "so_keepalive=on", "so_keepalive=on", LISTEN_PLAIN },
    { "so_keepalive=off", "so_keepalive=off", LISTEN_PLAIN },
    { "so_keepalive=%w*:%w*:%d*", "so_keepalive=", LISTEN_KEEPALIVE }
};

#define LISTEN_SSL    0
#define LISTEN_HTTP2  1


void
conf_listen_parse(conf_t *c, value_t *errors)
{
    size_t            i, k;
    value_t          *list;
    conf_listener_t  *l;

    static const char *const  names[CONF_LISTENERS][2] = {
        { "proxy_listen", "proxy_listeners" },
        { "admin_listen", "admin_listeners" },
        { "status_listen", "status_listeners" },
        { "admin_gui_listen", "admin_gui_listeners" }
    };

    for (i = 0; i < CONF_LISTENERS; i++) {

        l = &c->listeners[i];
        l->name = names[i][0];
        l->plural = names[i][1];
        l->shown = value_new(c->arena);
        value_set_array(l->shown);

        list = conf_value(c, l->name);

        if (list->len == 0) {
            conf_error(c->arena, errors, "%s %s", l->name,
                       conf_listen_usage(c));
            continue;
        }

        if (conf_is_off(c, l->name)) {
            continue;
        }

        l->listens = arena_zalloc(c->arena,
                                  list->len * sizeof(conf_listen_t));

        for (k = 0; k < list->len; k++) {
            if (conf_listen_one(c, l, list->u.items[k].u.string) == -1) {
                conf_error(c->arena, errors, "%s %s", l->name,
                           conf_listen_usage(c));
                break;
            }
        }
    }
}


size_t
conf_listens(const conf_t *c, const char *name, const conf_listen_t **out)
{
    size_t  i;

    for (i = 0; i < CONF_LISTENERS; i++) {
        if (strcmp(c->listeners[i].name, name) == 0) {
            *out = c->listeners[i].listens;
            return c->listeners[i].n;
        }
    }

    *out = NULL;

    return 0;
}


/* flags may stand in any order, before the address as well */
static int
conf_listen_one(conf_t *c, conf_listener_t *l, const char *text)
{
    int             f;
    size_t          i, len;
    const char     *found[LISTEN_FLAGS];
    conf_listen_t  *ls;

    ls = &l->listens[l->n];
    memset(found, 0, sizeof(found));

    for ( ;; ) {
        text += strspn(text, " \t");
        len = strcspn(text, " \t");

        if (len == 0) {
            break;
        }

        f = conf_listen_flag(text, len);

        if (f >= 0) {
            found[f] = arena_strndup(c->arena, text, len);

        } else if (ls->address != NULL
                   || conf_listen_address(c, ls, text, len) == -1)
        {
            return -1;
        }

        text += len;
    }

    if (ls->address == NULL) {
        return -1;
    }

    ls->ssl = found[LISTEN_SSL] != NULL;
    ls->http2 = found[LISTEN_HTTP2] != NULL;
    ls->text = (ls->port == 0) ? ls->address
               : arena_printf(c->arena, "%s:%u", ls->address, ls->port);

    for (i = 0; i < LISTEN_FLAGS; i++) {
        if (found[i] != NULL) {
            ls->text = arena_printf(c->arena, "%s %s", ls->text, found[i]);
        }
    }

    conf_listen_show(c, l, ls, found);
    l->n++;

    return 0;
}


static int
conf_listen_flag(const char *token, size_t len)
{
    int                   i;
    size_t                n;
    const listen_flag_t  *f;

    for (i = 0; i < LISTEN_FLAGS; i++) {
        f = &listen_flags[i];
        n = strlen(f->prefix);

        if (len >= n && memcmp(token, f->prefix, n) == 0
            && conf_listen_flag_value(f, token + n, len - n))
        {
            return i;
        }
    }

    return -1;
}


static int
conf_listen_flag_value(const listen_flag_t *f, const char *s, size_t len)
{
    size_t    i;
    unsigned  colons;

    if (f->value == LISTEN_PLAIN) {
        return len == 0;
    }

    colons = 0;

    for (i = 0; i < len; i++) {

        if (s[i] == ':' && f->value == LISTEN_KEEPALIVE) {
            colons++;

        } else if (!(f->value == LISTEN_KEEPALIVE && colons < 2
                     ? isalnum((unsigned char) s[i])
                     : isdigit((unsigned char) s[i])))
        {
            return 0;
        }
    }

    return (f->value == LISTEN_DIGITS) ? len > 0 && len < 10 : colons == 2;
}


static int
conf_listen_address(conf_t *c, conf_listen_t *ls, const char *s, size_t len)
{
    char  *host, *colon;

    host = arena_strndup(c->arena, s, len);

    if (strncmp(host, "unix:", 5) == 0) {
        if (len > 5 + 107 || host[5] != '/'
            || strpbrk(host, "\"'\\$;{}#") != NULL)
        {
            return -1;
        }

        ls->address = host;
        return 0;
    }

    colon = strrchr(host, ':');

    if (colon == NULL || conf_listen_port(colon + 1, &ls->port) == -1) {
        return -1;
    }

    *colon = '\0';

    if (conf_listen_host(host) == -1) {
        return -1;
    }

    ls->address = host;

    return 0;
}


/* an IPv4 address, an IPv6 address in brackets, a name, or * */
static int
conf_listen_host(const char *host)
{
    char             copy[INET6_ADDRSTRLEN];
    size_t           len;
    struct in6_addr  in6;

    len = strlen(host);

    if (host[0] == '[') {
        if (host[len - 1] != ']' || len - 2 >= sizeof(copy)) {
            return -1;
        }

        memcpy(copy, host + 1, len - 2);
        copy[len - 2] = '\0';

        return inet_pton(AF_INET6, copy, &in6) == 1 ? 0 : -1;
    }

    if (len == 0 || len > 255) {
        return -1;
    }

    for ( /* void */ ; *host != '\0'; host++) {
        if (!isalnum((unsigned char) *host)
            && strchr(".-_*", *host) == NULL)
        {
            return -1;
        }
    }

    return 0;
}


static int
conf_listen_port(const char *s, unsigned *port)
{
    size_t  len;

    len = strlen(s);

    if (len == 0 || len > 5 || strspn(s, "0123456789") != len) {
        return -1;
    }

    *port = (unsigned) atoi(s);

    return (*port == 0 || *port > 65535) ? -1 : 0;
}


static const char *
conf_listen_usage(conf_t *c)
{
    char    *s;
    size_t   i;

    s = arena_printf(c->arena, "must be of form: [off] | <ip>:<port>");

    for (i = 0; i < LISTEN_FLAGS; i++) {
        s = arena_printf(c->arena, "%s [%s]", s, listen_flags[i].usage);
    }

    return arena_printf(c->arena, "%s, [... next entry ...]", s);
}


/* an entry of "proxy_listeners" in the Admin API's GET / */
static void
conf_listen_show(conf_t *c, conf_listener_t *l, const conf_listen_t *ls,
    const char *const *found)
{
    size_t       i;
    value_t     *o;
    const char  *key;

    o = value_append(c->arena, l->shown);
    value_set_object(o);

    value_set_string(value_put(c->arena, o, "ip"), ls->address,
                     strlen(ls->address));
    value_set_number(value_put(c->arena, o, "port"), ls->port);
    value_set_string(value_put(c->arena, o, "listener"), ls->text,
                     strlen(ls->text));

    for (i = 0; i < LISTEN_FLAGS; i++) {
        key = found[i] ? found[i] : listen_flags[i].usage;
        value_set_bool(value_put(c->arena, o, key), found[i] != NULL);
    }
}
