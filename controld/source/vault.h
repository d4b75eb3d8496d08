/*
 * vault: references "{vault://name/resource[/key][?option=value][#version]}".
 * They stay as they are in the configuration; whoever hands values to the
 * data path resolves them here, and settings theirs (conf/conf_vault.c).  The
 * only kind of vault is "env": environment variables of this process.
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
bool vault_is_text(const char *s, size_t len);

/* 0, or -1 with *err (a sentence, static) */
int vault_parse(arena_t *a, const char *s, size_t len,
    vault_reference_t *out, const char **err);

/*
 * What the environment has for a reference, `prefix` (NULL: none) before the
 * variable's name unless the reference says its own; a string of a member as
 * it is, anything else in JSON.  NULL with *err (a sentence, static).
 */
const char *vault_env(arena_t *a, const vault_reference_t *ref,
    const char *prefix, const char **err);

/*
 * The value that a reference stands for, or NULL with *err (arena memory;
 * names the reference, never a value).  `c` may be NULL: then only "env"
 * itself is known.
 */
const char *vault_resolve(arena_t *a, const config_t *c, const char *s,
    size_t len, const char **err);

#endif
