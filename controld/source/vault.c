/*
 * vault: parsing and resolving of references.  A path of several parts names
 * a member of the JSON object in the variable, unless it ends with a slash.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../model/json.h"
#include "vault.h"


#define VAULT_BEGIN      "{vault://"
#define VAULT_BEGIN_LEN  (sizeof(VAULT_BEGIN) - 1)


static char *vault_decode(arena_t *a, const char *s, size_t len);
static int vault_path(arena_t *a, const char *s, size_t len,
    vault_reference_t *out, const char **err);
static void vault_options(arena_t *a, const char *s, size_t len,
    vault_reference_t *out);
static const char *vault_prefix(const config_t *c,
    const vault_reference_t *ref, unsigned *known);
static char *vault_variable(arena_t *a, const char *prefix,
    const char *resource);
static const char *vault_member(arena_t *a, const char *text,
    const char *key);


bool
vault_is_reference(const value_t *v)
{
    return v != NULL && v->kind == VALUE_STRING
           && vault_is_text(v->u.string, v->len);
}


bool
vault_is_text(const char *s, size_t len)
{
    return len > VAULT_BEGIN_LEN
           && memcmp(s, VAULT_BEGIN, VAULT_BEGIN_LEN) == 0
           && s[len - 1] == '}';
}


int
vault_parse(arena_t *a, const char *s, size_t len, vault_reference_t *out,
    const char **err)
{
    size_t       n;
    const char  *end, *p;

    memset(out, 0, sizeof(vault_reference_t));
    value_set_object(&out->options);

    if (!vault_is_text(s, len) || memchr(s, '\0', len) != NULL) {
        *err = "not a reference";
        return -1;
    }

    end = s + len - 1;
    s += VAULT_BEGIN_LEN;

    p = memchr(s, '#', end - s);
    if (p != NULL) {
        out->version = vault_decode(a, p + 1, end - p - 1);
        end = p;
    }

    p = memchr(s, '?', end - s);
    if (p != NULL) {
        vault_options(a, p + 1, end - p - 1, out);
        end = p;
    }

    p = memchr(s, '/', end - s);
    n = p != NULL ? (size_t) (p - s) : (size_t) (end - s);

    if (n == 0) {
        *err = "reference is missing the vault";
        return -1;
    }

    out->name = vault_decode(a, s, n);

    if (p == NULL || p + 1 == end) {
        *err = "reference is missing the path";
        return -1;
    }

    return vault_path(a, p + 1, end - p - 1, out, err);
}


static int
vault_path(arena_t *a, const char *s, size_t len, vault_reference_t *out,
    const char **err)
{
    size_t  i;

    while (len != 0 && s[0] == '/') {
        s++;
        len--;
    }

    if (len == 0) {
        *err = "reference is missing the resource";
        return -1;
    }

    if (s[len - 1] != '/') {
        for (i = len; i-- > 0; /* void */ ) {
            if (s[i] == '/') {
                out->key = vault_decode(a, s + i + 1, len - i - 1);
                len = i;
                break;
            }
        }
    }

    while (len != 0 && s[len - 1] == '/') {
        len--;
    }

    if (len == 0) {
        *err = "reference is missing the resource";
        return -1;
    }

    out->resource = vault_decode(a, s, len);

    return 0;
}


static void
vault_options(arena_t *a, const char *s, size_t len, vault_reference_t *out)
{
    char        *name, *value;
    const char  *end, *equal, *last;

    last = s + len;

    while (s < last) {
        end = memchr(s, '&', last - s);
        if (end == NULL) {
            end = last;
        }

        equal = memchr(s, '=', end - s);
        if (equal != NULL && equal > s) {
            name = vault_decode(a, s, equal - s);
            value = vault_decode(a, equal + 1, end - equal - 1);
            value_set_string(value_put(a, &out->options, name), value,
                             strlen(value));
        }

        s = end + 1;
    }
}


static char *
vault_decode(arena_t *a, const char *s, size_t len)
{
    char    *out, hex[3];
    size_t   i, n;

    out = arena_alloc(a, len + 1);

    for (i = 0, n = 0; i < len; i++) {
        if (s[i] == '%' && len - i >= 3 && isxdigit((unsigned char) s[i + 1])
            && isxdigit((unsigned char) s[i + 2]))
        {
            hex[0] = s[i + 1];
            hex[1] = s[i + 2];
            hex[2] = '\0';
            out[n++] = (char) strtoul(hex, NULL, 16);
            i += 2;

        } else {
            out[n++] = s[i];
        }
    }

    out[n] = '\0';

    return out;
}


const char *
vault_resolve(arena_t *a, const config_t *c, const char *s, size_t len,
    const char **err)
{
    unsigned            known;
    const char         *prefix, *why, *text;
    vault_reference_t   ref;

    why = NULL;
    text = NULL;

    if (vault_parse(a, s, len, &ref, &why) == 0) {
        prefix = vault_prefix(c, &ref, &known);

        if (known) {
            text = vault_env(a, &ref, prefix, &why);

        } else {
            why = "no such vault";
        }
    }

    if (text == NULL) {
        *err = arena_printf(a, "unable to resolve reference %.*s (%s)",
                            (int) len, s, why);
        return NULL;
    }

    return arena_strndup(a, text, strlen(text));
}


static const char *
vault_prefix(const config_t *c, const vault_reference_t *ref, unsigned *known)
{
    value_t  *vault;

    *known = 1;

    if (strcmp(ref->name, "env") == 0) {
        return NULL;
    }

    vault = c == NULL ? NULL
            : config_by_key(c, "vaults", ref->name, strlen(ref->name));

    if (vault == NULL || !value_str_eq(value_get(vault, "name"), "env")) {
        *known = 0;
        return NULL;
    }

    return value_cstr(value_path(vault, "config.prefix"));
}


const char *
vault_env(arena_t *a, const vault_reference_t *ref, const char *prefix,
    const char **err)
{
    value_t     *own;
    const char  *text;

    own = value_get(&ref->options, "prefix");

    text = getenv(vault_variable(a, own != NULL ? value_cstr(own) : prefix,
                                 ref->resource));

    if (text == NULL) {
        *err = "the environment variable is not set";
        return NULL;
    }

    if (ref->key != NULL) {
        text = vault_member(a, text, ref->key);
        *err = "the variable holds no such member";
    }

    return text;
}


static char *
vault_variable(arena_t *a, const char *prefix, const char *resource)
{
    char  *name, *p;

    name = arena_printf(a, "%s%s", prefix != NULL ? prefix : "", resource);

    for (p = name; *p != '\0'; p++) {
        *p = *p == '-' ? '_' : (char) toupper((unsigned char) *p);
    }

    return name;
}


/* a string as it is, anything else in JSON */

static const char *
vault_member(arena_t *a, const char *text, const char *key)
{
    value_t     *v, doc;
    const char  *err;

    memset(&doc, 0, sizeof(value_t));

    if (json_parse(a, text, strlen(text), &doc, &err) == -1) {
        return NULL;
    }

    v = value_get(&doc, key);

    if (value_is_null(v)) {
        return NULL;
    }

    return v->kind == VALUE_STRING ? v->u.string : json_print(a, v, NULL);
}
