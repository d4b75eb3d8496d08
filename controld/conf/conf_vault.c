/*
 * conf_vault: "{vault://env/NAME[/key][?prefix=P][#version]}" in settings and
 * on the command line, with Kong's words for what is wrong.  No vault but the
 * environment is known before there is a configuration.
 */

#include <string.h>

#include "../source/vault.h"
#include "conf.h"


int
conf_is_reference(const char *text)
{
    return vault_is_text(text, strlen(text));
}


const char *
conf_vault_get(arena_t *a, const char *reference, const char *env_prefix,
    const char **err)
{
    const char         *why, *value;
    vault_reference_t   ref;

    if (vault_parse(a, reference, strlen(reference), &ref, &why) == -1) {
        *err = arena_printf(a, "reference url has no %s [%s]",
                            ref.name == NULL ? "host" : "path", reference);
        return NULL;
    }

    if (strcmp(ref.name, "env") != 0) {
        *err = arena_printf(a, "vault not found (%s) [%s]", ref.name,
                            reference);
        return NULL;
    }

    value = vault_env(a, &ref, env_prefix, &why);

    if (value == NULL) {
        *err = "could not get value from external vault (no value found)";
    }

    return value;
}
