/*
 * hosts: the addresses that /etc/hosts (dns_hostsfile) gives to names.
 */

#ifndef KONG_HOSTS_H
#define KONG_HOSTS_H

#include <stddef.h>
#include <stdint.h>


typedef struct hosts_s  hosts_t;

typedef struct {
    uint8_t   addr[16];
    unsigned  ipv6;
} hosts_address_t;

/* a file that cannot be read is an empty one; `localhost` is always there.
 * NULL: out of memory */
hosts_t *hosts_load(const char *path);
void hosts_free(hosts_t *h);
/* the i-th address of the name in the file's order, NULL past the last */
const hosts_address_t *hosts_get(const hosts_t *h, const char *name,
    size_t i);

#endif
