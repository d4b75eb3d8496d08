/*
 * types_host: hosts, addresses and URLs as Kong reads them.  What is made of
 * digits and dots is judged as an IPv4 address, more than one colon means
 * IPv6, everything else is a name.
 */

#include <stdio.h>
#include <string.h>

#include "types.h"


#define HOST_GROUPS  8


static host_kind_t host_kind(const char *s, size_t len);
static host_result_t host_parse_ipv4(const char *s, size_t len, host_t *out);
static host_result_t host_parse_ipv6(const char *s, size_t len, host_t *out);
static int host_ipv6_groups(const char *s, size_t len, unsigned *groups);
static int host_ipv6_part(const char *s, size_t len, unsigned *groups,
    int max);
static host_result_t host_parse_name(const char *s, size_t len,
    host_t *out);
static host_result_t host_port(const char *s, size_t len, int *port);
static bool host_is_digit(char c);
static bool host_is_name_char(char c);
static int host_hex(char c);
static bool url_is_scheme_char(char c, bool first);
static void url_authority(url_t *u, const char *s, size_t len);


host_result_t
host_parse(const char *s, size_t len, host_t *out)
{
    out->port = -1;
    out->kind = host_kind(s, len);

    switch (out->kind) {

    case HOST_IPV4:
        return host_parse_ipv4(s, len, out);

    case HOST_IPV6:
        return host_parse_ipv6(s, len, out);

    default:
        return host_parse_name(s, len, out);
    }
}


const char *
host_error(arena_t *a, host_result_t rc, const char *s, size_t len)
{
    if (rc == HOST_BAD_PORT) {
        return "invalid port number";
    }

    switch (host_kind(s, len)) {

    case HOST_IPV4:
        return arena_printf(a, "invalid ipv4 address: %s", s);

    case HOST_IPV6:
        return arena_printf(a, "invalid ipv6 address: %s", s);

    default:
        return arena_printf(a, "invalid hostname: %s", s);
    }
}


static host_kind_t
host_kind(const char *s, size_t len)
{
    bool    digits;
    size_t  i, colons, others;

    colons = 0;
    others = 0;
    digits = true;

    for (i = 0; i < len; i++) {
        if (s[i] == ':') {
            colons++;
            continue;
        }

        others++;

        if (s[i] != '.' && !host_is_digit(s[i])) {
            digits = false;
        }
    }

    if (colons > 1) {
        return HOST_IPV6;
    }

    return digits && others != 0 ? HOST_IPV4 : HOST_NAME;
}


static host_result_t
host_parse_ipv4(const char *s, size_t len, host_t *out)
{
    int          i;
    size_t       digits;
    unsigned     part[4];
    const char  *end;

    end = s + len;

    for (i = 0; i < 4; i++) {
        part[i] = 0;

        for (digits = 0; s < end && host_is_digit(*s) && digits < 4; s++) {
            part[i] = part[i] * 10 + (unsigned) (*s - '0');
            digits++;
        }

        if (digits == 0 || digits > 3 || part[i] > 255) {
            return HOST_INVALID;
        }

        if (i < 3 && (s == end || *s++ != '.')) {
            return HOST_INVALID;
        }
    }

    snprintf(out->host, sizeof(out->host), "%u.%u.%u.%u", part[0], part[1],
             part[2], part[3]);

    if (s == end) {
        return HOST_OK;
    }

    if (*s != ':') {
        return HOST_INVALID;
    }

    return host_port(s + 1, (size_t) (end - s) - 1, &out->port);
}


/* address, [address] or [address]:port */

static host_result_t
host_parse_ipv6(const char *s, size_t len, host_t *out)
{
    unsigned       group[HOST_GROUPS];
    const char    *close;
    host_result_t  rc;

    if (len != 0 && *s == '[') {
        close = memchr(s, ']', len);
        if (close == NULL) {
            return HOST_INVALID;
        }

        if (close + 1 < s + len) {
            if (close[1] != ':') {
                return HOST_INVALID;
            }

            rc = host_port(close + 2, (size_t) (s + len - close) - 2,
                           &out->port);
            if (rc != HOST_OK) {
                return rc;
            }
        }

        s++;
        len = (size_t) (close - s);
    }

    if (host_ipv6_groups(s, len, group) != 0) {
        return HOST_INVALID;
    }

    snprintf(out->host, sizeof(out->host),
             "%04x:%04x:%04x:%04x:%04x:%04x:%04x:%04x", group[0], group[1],
             group[2], group[3], group[4], group[5], group[6], group[7]);

    return HOST_OK;
}


static int
host_ipv6_groups(const char *s, size_t len, unsigned *groups)
{
    int       head, tail;
    size_t    i;
    unsigned  rest[HOST_GROUPS];

    for (i = 0; i + 1 < len; i++) {
        if (s[i] == ':' && s[i + 1] == ':') {
            break;
        }
    }

    if (i + 1 >= len) {
        return host_ipv6_part(s, len, groups, HOST_GROUPS) == HOST_GROUPS
               ? 0 : -1;
    }

    memset(groups, 0, HOST_GROUPS * sizeof(unsigned));

    head = host_ipv6_part(s, i, groups, HOST_GROUPS);
    tail = host_ipv6_part(s + i + 2, len - i - 2, rest, HOST_GROUPS);

    if (head < 0 || tail < 0 || head + tail >= HOST_GROUPS) {
        return -1;
    }

    memcpy(groups + HOST_GROUPS - tail, rest,
           (size_t) tail * sizeof(unsigned));

    return 0;
}


/* the number of groups between colons, -1 when one is bad */

static int
host_ipv6_part(const char *s, size_t len, unsigned *groups, int max)
{
    int     n, hex, digits;
    size_t  i;

    if (len == 0) {
        return 0;
    }

    n = 0;
    digits = 0;
    groups[0] = 0;

    for (i = 0; i < len; i++) {
        if (s[i] == ':') {
            if (digits == 0 || ++n == max) {
                return -1;
            }

            digits = 0;
            groups[n] = 0;
            continue;
        }

        hex = host_hex(s[i]);

        if (hex < 0 || ++digits > 4) {
            return -1;
        }

        groups[n] = groups[n] * 16 + (unsigned) hex;
    }

    return digits == 0 ? -1 : n + 1;
}


static host_result_t
host_parse_name(const char *s, size_t len, host_t *out)
{
    size_t         i, start, name;
    host_result_t  rc;

    name = len;

    while (name > 0 && host_is_digit(s[name - 1])) {
        name--;
    }

    if (name < len && name > 0 && s[name - 1] == ':') {
        rc = host_port(s + name, len - name, &out->port);
        if (rc != HOST_OK) {
            return rc;
        }

        len = name - 1;
    }

    if (len == 0 || len >= sizeof(out->host)) {
        return HOST_INVALID;
    }

    for (i = 0, start = 0; i <= len; i++) {
        if (i < len && s[i] != '.') {
            if (!host_is_name_char(s[i])) {
                return HOST_INVALID;
            }

            continue;
        }

        /* a label ends here; only the one behind a final dot is empty */

        if (i == start) {
            if (i < len || i == 0) {
                return HOST_INVALID;
            }

        } else if (s[i - 1] == '-') {
            return HOST_INVALID;
        }

        start = i + 1;
    }

    memcpy(out->host, s, len);
    out->host[len] = '\0';

    return HOST_OK;
}


static host_result_t
host_port(const char *s, size_t len, int *port)
{
    size_t  i;
    int     n;

    n = 0;

    for (i = 0; i < len; i++) {
        if (!host_is_digit(s[i])) {
            return HOST_INVALID;
        }

        n = n > 65535 ? n : n * 10 + (s[i] - '0');
    }

    if (len == 0) {
        return HOST_INVALID;
    }

    if (n > 65535) {
        return HOST_BAD_PORT;
    }

    *port = n;

    return HOST_OK;
}


static bool
host_is_digit(char c)
{
    return c >= '0' && c <= '9';
}


static bool
host_is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || host_is_digit(c) || c == '-' || c == '_';
}


static int
host_hex(char c)
{
    if (host_is_digit(c)) {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


void
url_parse(const char *s, size_t len, url_t *out)
{
    size_t       i;
    const char  *p, *end;

    memset(out, 0, sizeof(url_t));

    end = memchr(s, '#', len);

    if (end != NULL) {
        out->fragment = true;

    } else {
        end = s + len;
    }

    for (i = 0; s + i < end && url_is_scheme_char(s[i], i == 0); i++) {
        /* void */
    }

    if (i != 0 && s + i < end && s[i] == ':') {
        out->scheme = s;
        out->scheme_len = i;
        s += i + 1;
    }

    if (end - s >= 2 && s[0] == '/' && s[1] == '/') {
        s += 2;

        for (p = s; p < end && *p != '/' && *p != '?'; p++) { /* void */ }

        url_authority(out, s, (size_t) (p - s));
        s = p;
    }

    for (p = s; p < end && *p != '?'; p++) { /* void */ }

    if (p != s) {
        out->path = s;
        out->path_len = (size_t) (p - s);
    }
}


static void
url_authority(url_t *u, const char *s, size_t len)
{
    size_t       i;
    const char  *at;

    at = memchr(s, '@', len);

    if (at != NULL) {
        len -= (size_t) (at + 1 - s);
        s = at + 1;
    }

    for (i = len; i > 0 && s[i - 1] != ':' && s[i - 1] != ']'; i--) {
        /* void */
    }

    if (i > 0 && s[i - 1] == ':') {
        u->port = s + i;
        u->port_len = len - i;
        len = i - 1;
    }

    if (len > 2 && s[0] == '[' && s[len - 1] == ']') {
        s++;
        len -= 2;
    }

    if (len != 0) {
        u->host = s;
        u->host_len = len;
    }
}


static bool
url_is_scheme_char(char c, bool first)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || host_is_digit(c))
    {
        return true;
    }

    return !first && (c == '+' || c == '-' || c == '.');
}
