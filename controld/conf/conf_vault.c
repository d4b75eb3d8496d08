/*
 * conf_vault: "{vault://env/NAME[/key][?prefix=P][#version]}" in settings and
 * on the command line.  The only vault is the environment; a key selects a
 * member of the JSON object in the variable.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../model/json.h"
#include "conf.h"


#define VAULT_OPEN  "{vault://"


static char *conf_vault_decode(arena_t *a, const char *s, size_t len);
static int conf_vault_hex(int ch);
static char *conf_vault_option(arena_t *a, const char *query,
    const char *name);
static char *conf_vault_variable(arena_t *a, const char *prefix,
    const char *resource);
static const char *conf_vault_member(arena_t *a, const char *text,
    const char *key);


int
conf_is_reference(const char *text)
{
    size_t  len;

    len = strlen(text);

    return len > sizeof(VAULT_OPEN)
           && strncmp(text, VAULT_OPEN, sizeof(VAULT_OPEN) - 1) == 0
           && text[len - 1] == '}';
}


const char *
conf_vault_get(arena_t *a, const char *reference, const char *env_prefix,
    const char **err)
{
    char        *body, *path, *query, *slash, *key, *resource, *option;
    size_t       n;
    const char  *value;

    n = sizeof(VAULT_OPEN) - 1;
    body = arena_strndup(a, reference + n, strlen(reference) - n - 1);
    body[strcspn(body, "#")] = '\0';

    query = strchr(body, '?');
    if (query != NULL) {
        *query++ = '\0';
    }

    path = strchr(body, '/');
    if (path == NULL || path[1] == '\0') {
        *err = arena_printf(a, "reference url has no path [%s]", reference);
        return NULL;
    }

    *path++ = '\0';

    if (strcmp(body, "env") != 0) {
        *err = arena_printf(a, "vault not found (%s) [%s]", body, reference);
        return NULL;
    }

    key = NULL;
    slash = strrchr(path, '/');

    if (slash != NULL) {
        *slash = '\0';
        key = (slash[1] != '\0')
              ? conf_vault_decode(a, slash + 1, strlen(slash + 1)) : NULL;
    }

    resource = conf_vault_decode(a, path, strlen(path));
    option = query ? conf_vault_option(a, query, "prefix") : NULL;

    value = getenv(conf_vault_variable(a, option ? option : env_prefix,
                                       resource));

    if (value != NULL && key != NULL) {
        value = conf_vault_member(a, value, key);
    }

    if (value == NULL) {
        *err = "could not get value from external vault (no value found)";
        return NULL;
    }

    return value;
}


static char *
conf_vault_decode(arena_t *a, const char *s, size_t len)
{
    char    *out, *p;
    size_t   i;

    out = arena_alloc(a, len + 1);
    p = out;

    for (i = 0; i < len; i++) {

        if (s[i] == '%' && i + 2 < len && conf_vault_hex(s[i + 1]) >= 0
            && conf_vault_hex(s[i + 2]) >= 0)
        {
            *p++ = (char) (conf_vault_hex(s[i + 1]) * 16
                           + conf_vault_hex(s[i + 2]));
            i += 2;

        } else {
            *p++ = s[i];
        }
    }

    *p = '\0';

    return out;
}


static int
conf_vault_hex(int ch)
{
    ch = tolower(ch);

    if (ch >= '0' && ch <= '9') {
        return ch - '0';
    }

    return (ch >= 'a' && ch <= 'f') ? ch - 'a' + 10 : -1;
}


static char *
conf_vault_option(arena_t *a, const char *query, const char *name)
{
    size_t  len, n;

    len = strlen(name);

    for ( ;; ) {
        n = strcspn(query, "&");

        if (n > len && query[len] == '=' && memcmp(query, name, len) == 0) {
            return conf_vault_decode(a, query + len + 1, n - len - 1);
        }

        if (query[n] == '\0') {
            return NULL;
        }

        query += n + 1;
    }
}


static char *
conf_vault_variable(arena_t *a, const char *prefix, const char *resource)
{
    char  *name, *p;

    name = arena_printf(a, "%s%s", prefix ? prefix : "", resource);

    for (p = name; *p != '\0'; p++) {
        *p = (*p == '-') ? '_' : (char) toupper((unsigned char) *p);
    }

    return name;
}


static const char *
conf_vault_member(arena_t *a, const char *text, const char *key)
{
    value_t      doc, *v;
    const char  *err;

    memset(&doc, 0, sizeof(doc));

    if (json_parse(a, text, strlen(text), &doc, &err) != 0) {
        return NULL;
    }

    v = value_get(&doc, key);

    if (v == NULL || v->kind == VALUE_NULL) {
        return NULL;
    }

    return (v->kind == VALUE_STRING) ? v->u.string : json_print(a, v, NULL);
}
