/*
 * uuid: see uuid.h.  Random bytes come from the kernel, in batches: a load of
 * 100,000 unnamed entities would spend its time in system calls otherwise.
 */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "uuid.h"


#define UUID_BYTES  16
#define UUID_BATCH  4096


static void uuid_bytes(uint8_t *out, size_t n);
static void uuid_read(uint8_t *out, size_t n);
static void uuid_format(const uint8_t *b, char *out);
static int uuid_parse(const char *s, uint8_t *out);
static int uuid_hex(char c);


void
uuid_v4(char out[UUID_SIZE])
{
    uint8_t  b[UUID_BYTES];

    uuid_bytes(b, sizeof(b));

    b[6] = (uint8_t) ((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t) ((b[8] & 0x3f) | 0x80);

    uuid_format(b, out);
}


int
uuid_v5(const char *ns, const char *name, size_t len, char out[UUID_SIZE])
{
    uint8_t      space[UUID_BYTES], digest[EVP_MAX_MD_SIZE];
    unsigned     n;
    EVP_MD_CTX  *md;

    if (!uuid_is_valid(ns, strlen(ns)) || uuid_parse(ns, space) != 0) {
        return -1;
    }

    md = EVP_MD_CTX_new();
    if (md == NULL) {
        return -1;
    }

    if (EVP_DigestInit_ex(md, EVP_sha1(), NULL) != 1
        || EVP_DigestUpdate(md, space, sizeof(space)) != 1
        || EVP_DigestUpdate(md, name, len) != 1
        || EVP_DigestFinal_ex(md, digest, &n) != 1)
    {
        EVP_MD_CTX_free(md);
        return -1;
    }

    EVP_MD_CTX_free(md);

    digest[6] = (uint8_t) ((digest[6] & 0x0f) | 0x50);
    digest[8] = (uint8_t) ((digest[8] & 0x3f) | 0x80);

    uuid_format(digest, out);

    return 0;
}


bool
uuid_is_valid(const char *s, size_t len)
{
    size_t  i;

    if (len != UUID_LEN) {
        return false;
    }

    for (i = 0; i < UUID_LEN; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (s[i] != '-') {
                return false;
            }

        } else if (uuid_hex(s[i]) < 0) {
            return false;
        }
    }

    return true;
}


void
uuid_random_string(char out[UUID_RANDOM_LEN + 1])
{
    size_t   i;
    uint8_t  b;

    static const char  letters[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (i = 0; i < UUID_RANDOM_LEN; /* void */ ) {
        uuid_bytes(&b, 1);
        b &= 63;

        if (b < 62) {
            out[i++] = letters[b];
        }
    }

    out[UUID_RANDOM_LEN] = '\0';
}


static void
uuid_bytes(uint8_t *out, size_t n)
{
    static _Thread_local uint8_t  pool[UUID_BATCH];
    static _Thread_local size_t   left;
    static _Thread_local pid_t    owner;

    /* a forked child must not repeat its parent's bytes */

    if (left < n || owner != getpid()) {
        uuid_read(pool, sizeof(pool));
        left = sizeof(pool);
        owner = getpid();
    }

    left -= n;
    memcpy(out, pool + left, n);
    memset(pool + left, 0, n);
}


static void
uuid_read(uint8_t *out, size_t n)
{
    size_t   done;
    ssize_t  rc;

    for (done = 0; done < n; done += (size_t) rc) {
        rc = getrandom(out + done, n - done, 0);

        if (rc < 0) {
            if (errno == EINTR) {
                rc = 0;
                continue;
            }

            /* no ids and no secrets without randomness */

            fprintf(stderr, "controld: getrandom() failed: %s\n",
                    strerror(errno));
            abort();
        }
    }
}


static void
uuid_format(const uint8_t *b, char *out)
{
    size_t  i;

    static const char  hex[] = "0123456789abcdef";

    for (i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *out++ = '-';
        }

        *out++ = hex[b[i] >> 4];
        *out++ = hex[b[i] & 15];
    }

    *out = '\0';
}


static int
uuid_parse(const char *s, uint8_t *out)
{
    int     high, low;
    size_t  i;

    for (i = 0; i < UUID_BYTES; i++) {
        if (*s == '-') {
            s++;
        }

        high = uuid_hex(s[0]);
        low = uuid_hex(s[1]);

        if (high < 0 || low < 0) {
            return -1;
        }

        out[i] = (uint8_t) (high << 4 | low);
        s += 2;
    }

    return 0;
}


static int
uuid_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
