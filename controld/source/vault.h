/*
 * vault: references "{vault://name/resource[/key][?option=value]}".  They
 * stay as they are in the configuration; whoever hands values to the data
 * path resolves them here.  The only kind of vault is "env": environment
 * variables of this process.
 */

#ifndef KONG_VAULT_H
#define KONG_VAULT_H

#include "../model/config.h"


typedef struct {
    const char  *name;        /* "env", or the prefix of a vaults entity */
    const char  *resource;
    const char  *key;         /* member of a JSON object, NULL = whole */
    value_t      options;     /* object of strings */
    const char  *version;     /* after "#", NULL when absent */
} vault_reference_t;


bool vault_is_reference(const value_t *v);

/* 0, or -1 with *err (a sentence, static) */
int vault_parse(arena_t *a, const char *s, size_t len,
    vault_reference_t *out, const char **err);

/*
 * The value that a reference stands for, or NULL with *err (arena memory;
 * names the reference, never a value).  `c` may be NULL: then only "env"
 * itself is known.
 */
const char *vault_resolve(arena_t *a, const config_t *c, const char *s,
    size_t len, const char **err);

#endif
