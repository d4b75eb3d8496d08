/*
 * uuid: entity ids: random ones (version 4), those computed from names
 * (version 5, SHA-1), and the random strings of "auto" credentials.
 */

#ifndef KONG_UUID_H
#define KONG_UUID_H

#include <stdbool.h>
#include <stddef.h>


#define UUID_LEN         36
#define UUID_SIZE        (UUID_LEN + 1)
#define UUID_RANDOM_LEN  32


void uuid_v4(char out[UUID_SIZE]);
/* `ns` is a uuid in text form; -1 when it is none or SHA-1 is missing */
int uuid_v5(const char *ns, const char *name, size_t len,
    char out[UUID_SIZE]);
bool uuid_is_valid(const char *s, size_t len);
/* 32 letters and digits */
void uuid_random_string(char out[UUID_RANDOM_LEN + 1]);

#endif
