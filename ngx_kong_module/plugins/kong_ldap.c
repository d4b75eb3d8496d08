/*
 * kong_ldap: see kong_ldap.h.
 */

#include <string.h>

#include "kong_ldap.h"


#define LDAP_INTEGER       0x02
#define LDAP_OCTETS        0x04
#define LDAP_ENUMERATED    0x0a
#define LDAP_SEQUENCE      0x30
#define LDAP_BIND          0x60      /* [APPLICATION 0], constructed */
#define LDAP_UNBIND        0x42      /* [APPLICATION 2], primitive */
#define LDAP_EXTENDED      0x77      /* [APPLICATION 23], constructed */
#define LDAP_CONTEXT_0     0x80      /* simple; requestName */
#define LDAP_VERSION       3

typedef struct {
    const uint8_t  *pos;
    const uint8_t  *last;
} ldap_reader_t;


static size_t ldap_message(uint8_t *out, uint32_t id, uint8_t op,
    size_t body);
static uint8_t *ldap_head(uint8_t *p, uint8_t tag, size_t len);
static size_t ldap_head_size(size_t len);
static uint8_t *ldap_string(uint8_t *p, uint8_t tag, kong_str_t s);
static size_t ldap_id_size(uint32_t id);
static int ldap_read(ldap_reader_t *from, uint8_t *tag, ldap_reader_t *value);
static int ldap_read_length(ldap_reader_t *from, size_t *len);
static int ldap_read_number(ldap_reader_t *from, uint8_t tag, uint32_t *n);
static int ldap_read_result(ldap_reader_t *from, kong_ldap_answer_t *answer);
static int ldap_escape(const kong_str_t *user, size_t i);


size_t
kong_ldap_bind(uint8_t *out, uint32_t id, kong_str_t dn, kong_str_t password)
{
    size_t    head;
    uint8_t  *p;

    head = ldap_message(out, id, LDAP_BIND,
                        3 + ldap_head_size(dn.len) + dn.len
                        + ldap_head_size(password.len) + password.len);

    p = ldap_head(out + head, LDAP_INTEGER, 1);
    *p++ = LDAP_VERSION;

    p = ldap_string(p, LDAP_OCTETS, dn);
    p = ldap_string(p, LDAP_CONTEXT_0, password);

    return (size_t) (p - out);
}


size_t
kong_ldap_start_tls(uint8_t *out, uint32_t id)
{
    size_t             head;
    uint8_t           *p;
    static const char  oid[] = "1.3.6.1.4.1.1466.20037";
    const kong_str_t   name = { oid, sizeof(oid) - 1 };

    head = ldap_message(out, id, LDAP_EXTENDED,
                        ldap_head_size(name.len) + name.len);
    p = ldap_string(out + head, LDAP_CONTEXT_0, name);

    return (size_t) (p - out);
}


size_t
kong_ldap_unbind(uint8_t *out, uint32_t id)
{
    return ldap_message(out, id, LDAP_UNBIND, 0);
}


/* up to the operation's body, which has `body` bytes */
static size_t
ldap_message(uint8_t *out, uint32_t id, uint8_t op, size_t body)
{
    size_t    n, i;
    uint8_t  *p;

    n = ldap_id_size(id);

    p = ldap_head(out, LDAP_SEQUENCE,
                  2 + n + ldap_head_size(body) + body);
    p = ldap_head(p, LDAP_INTEGER, n);

    for (i = n; i > 0; i--) {
        *p++ = (uint8_t) (id >> (8 * (i - 1)));
    }

    p = ldap_head(p, op, body);

    return (size_t) (p - out);
}


static uint8_t *
ldap_head(uint8_t *p, uint8_t tag, size_t len)
{
    size_t  n;

    *p++ = tag;

    if (len < 0x80) {
        *p++ = (uint8_t) len;
        return p;
    }

    n = ldap_head_size(len) - 2;
    *p++ = (uint8_t) (0x80 | n);

    for ( /* void */ ; n > 0; n--) {
        *p++ = (uint8_t) (len >> (8 * (n - 1)));
    }

    return p;
}


static size_t
ldap_head_size(size_t len)
{
    size_t  n;

    n = 2;

    if (len >= 0x80) {
        for ( /* void */ ; len != 0; len >>= 8) {
            n++;
        }
    }

    return n;
}


static uint8_t *
ldap_string(uint8_t *p, uint8_t tag, kong_str_t s)
{
    p = ldap_head(p, tag, s.len);

    if (s.len != 0) {
        memcpy(p, s.data, s.len);
    }

    return p + s.len;
}


/* with a bit for the sign */
static size_t
ldap_id_size(uint32_t id)
{
    size_t  n;

    for (n = 1; id >= 0x80; n++) {
        id >>= 8;
    }

    return n;
}


ssize_t
kong_ldap_answer(const uint8_t *in, size_t len, kong_ldap_answer_t *answer)
{
    int            rc;
    size_t         n;
    uint8_t        tag;
    ldap_reader_t  all, message, op;

    memset(answer, 0, sizeof(*answer));

    if (len == 0) {
        return 0;
    }

    if (in[0] != LDAP_SEQUENCE) {
        return -1;
    }

    all.pos = in + 1;
    all.last = in + len;

    rc = ldap_read_length(&all, &n);
    if (rc <= 0) {
        return rc;
    }

    if (n > KONG_LDAP_ANSWER_MAX - (size_t) (all.pos - in)) {
        return -1;
    }

    if (n > (size_t) (all.last - all.pos)) {
        return 0;
    }

    message.pos = all.pos;
    message.last = all.pos + n;

    if (!ldap_read_number(&message, LDAP_INTEGER, &answer->id)
        || !ldap_read(&message, &tag, &op))
    {
        return -1;
    }

    answer->op = tag;

    if ((tag == KONG_LDAP_BIND_RESPONSE || tag == KONG_LDAP_EXTENDED_RESPONSE)
        && !ldap_read_result(&op, answer))
    {
        return -1;
    }

    return message.last - in;
}


static int
ldap_read_result(ldap_reader_t *from, kong_ldap_answer_t *answer)
{
    uint8_t        tag;
    ldap_reader_t  value;

    if (!ldap_read_number(from, LDAP_ENUMERATED, &answer->code)
        || !ldap_read(from, &tag, &value) || tag != LDAP_OCTETS
        || !ldap_read(from, &tag, &value) || tag != LDAP_OCTETS)
    {
        return 0;
    }

    answer->text.data = (const char *) value.pos;
    answer->text.len = (size_t) (value.last - value.pos);

    return 1;
}


static int
ldap_read(ldap_reader_t *from, uint8_t *tag, ldap_reader_t *value)
{
    size_t  len;

    if (from->pos == from->last) {
        return 0;
    }

    *tag = *from->pos++;

    if (ldap_read_length(from, &len) != 1
        || len > (size_t) (from->last - from->pos))
    {
        return 0;
    }

    value->pos = from->pos;
    value->last = from->pos + len;
    from->pos = value->last;

    return 1;
}


/*
 * 1, 0 when it is not all there, -1 when it is of no kind that LDAP allows.
 * Some servers always write four bytes, with zeros in front.
 */
static int
ldap_read_length(ldap_reader_t *from, size_t *len)
{
    size_t  n;

    if (from->pos == from->last) {
        return 0;
    }

    n = *from->pos++;

    if (n < 0x80) {
        *len = n;
        return 1;
    }

    n &= 0x7f;

    if (n == 0 || n > 4) {
        return -1;
    }

    if (n > (size_t) (from->last - from->pos)) {
        return 0;
    }

    for (*len = 0; n > 0; n--) {
        *len = *len << 8 | *from->pos++;
    }

    return 1;
}


/* from 0 to 2^31 - 1 */
static int
ldap_read_number(ldap_reader_t *from, uint8_t tag, uint32_t *n)
{
    uint8_t        is;
    ldap_reader_t  value;

    if (!ldap_read(from, &is, &value) || is != tag
        || value.pos == value.last || value.last - value.pos > 4
        || (*value.pos & 0x80))
    {
        return 0;
    }

    for (*n = 0; value.pos < value.last; value.pos++) {
        *n = *n << 8 | *value.pos;
    }

    return 1;
}


size_t
kong_ldap_dn(char *out, kong_str_t attribute, kong_str_t user,
    kong_str_t base)
{
    char               *p;
    size_t              i;
    unsigned char       c;
    static const char   hex[] = "0123456789ABCDEF";

    memcpy(out, attribute.data, attribute.len);
    p = out + attribute.len;
    *p++ = '=';

    for (i = 0; i < user.len; i++) {
        c = (unsigned char) user.data[i];

        if (c < 0x20 || c == 0x7f) {
            *p++ = '\\';
            *p++ = hex[c >> 4];
            *p++ = hex[c & 0x0f];
            continue;
        }

        if (ldap_escape(&user, i)) {
            *p++ = '\\';
        }

        *p++ = (char) c;
    }

    *p++ = ',';
    memcpy(p, base.data, base.len);

    return (size_t) (p - out) + base.len;
}


static int
ldap_escape(const kong_str_t *user, size_t i)
{
    char  c;

    c = user->data[i];

    if (c == ' ') {
        return i == 0 || i == user->len - 1;
    }

    if (c == '#') {
        return i == 0;
    }

    return strchr("\"+,;<=>\\", c) != NULL;
}
