/*
 * hosts: one hash entry a (name, addresses), read once and whole.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "hosts.h"


#define HOSTS_BLANK  " \t\r\n"


typedef struct {
    char             *name;
    hosts_address_t  *addresses;
    size_t            n;
    UT_hash_handle    hh;
} hosts_entry_t;

struct hosts_s {
    hosts_entry_t  *entries;
};


static int hosts_line(hosts_t *h, char *line);
static int hosts_add(hosts_t *h, const char *name,
    const hosts_address_t *address);
static hosts_entry_t *hosts_find(const hosts_t *h, const char *name);


hosts_t *
hosts_load(const char *path)
{
    int              rc;
    FILE            *f;
    char            *line;
    size_t           size;
    hosts_t         *h;
    hosts_address_t  local;

    h = calloc(1, sizeof(hosts_t));
    if (h == NULL) {
        return NULL;
    }

    rc = 0;
    f = (path != NULL) ? fopen(path, "re") : NULL;

    if (f != NULL) {
        line = NULL;
        size = 0;

        while (rc == 0 && getline(&line, &size, f) != -1) {
            rc = hosts_line(h, line);
        }

        free(line);
        (void) fclose(f);
    }

    if (rc == 0 && hosts_find(h, "localhost") == NULL) {
        memset(&local, 0, sizeof(local));
        (void) inet_pton(AF_INET, "127.0.0.1", local.addr);
        rc = hosts_add(h, "localhost", &local);
    }

    if (rc == -1) {
        hosts_free(h);
        return NULL;
    }

    return h;
}


void
hosts_free(hosts_t *h)
{
    hosts_entry_t  *e, *tmp;

    if (h == NULL) {
        return;
    }

    HASH_ITER(hh, h->entries, e, tmp) {
        HASH_DEL(h->entries, e);
        free(e->name);
        free(e->addresses);
        free(e);
    }

    free(h);
}


const hosts_address_t *
hosts_get(const hosts_t *h, const char *name, size_t i)
{
    hosts_entry_t  *e;

    e = hosts_find(h, name);

    return (e != NULL && i < e->n) ? &e->addresses[i] : NULL;
}


static int
hosts_line(hosts_t *h, char *line)
{
    char             *word, *last, *p;
    hosts_address_t   address;

    line[strcspn(line, "#")] = '\0';

    word = strtok_r(line, HOSTS_BLANK, &last);
    if (word == NULL) {
        return 0;
    }

    memset(&address, 0, sizeof(address));

    if (inet_pton(AF_INET, word, address.addr) != 1) {
        if (inet_pton(AF_INET6, word, address.addr) != 1) {
            return 0;
        }
        address.ipv6 = 1;
    }

    while ((word = strtok_r(NULL, HOSTS_BLANK, &last)) != NULL) {

        for (p = word; *p != '\0'; p++) {
            *p = tolower((unsigned char) *p);
        }

        if (hosts_add(h, word, &address) == -1) {
            return -1;
        }
    }

    return 0;
}


static int
hosts_add(hosts_t *h, const char *name, const hosts_address_t *address)
{
    void           *p;
    hosts_entry_t  *e;

    e = hosts_find(h, name);

    if (e == NULL) {
        e = calloc(1, sizeof(hosts_entry_t));
        if (e == NULL) {
            return -1;
        }

        e->name = strdup(name);
        if (e->name == NULL) {
            free(e);
            return -1;
        }

        HASH_ADD_KEYPTR(hh, h->entries, e->name, strlen(e->name), e);
    }

    p = realloc(e->addresses, (e->n + 1) * sizeof(hosts_address_t));
    if (p == NULL) {
        return -1;
    }

    e->addresses = p;
    e->addresses[e->n++] = *address;

    return 0;
}


static hosts_entry_t *
hosts_find(const hosts_t *h, const char *name)
{
    hosts_entry_t  *e;

    HASH_FIND_STR(h->entries, name, e);

    return e;
}
