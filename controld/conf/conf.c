/*
 * conf: assembles the settings: defaults, file, environment, command line,
 * then other names, references, types, and the checks.  A loaded conf never
 * changes; all of it is in the caller's arena.
 */

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf_private.h"


extern char **environ;

static conf_t *conf_build(arena_t *a, value_t *file, int use_env,
    const conf_overrides_t *overrides, value_t *errors);
static void conf_take(conf_t *c, const char *name, const char *text,
    conf_from_t from);
static void conf_take_file(conf_t *c, const value_t *file);
static void conf_take_env(conf_t *c);
static int conf_is_dynamic(const char *name);
static void conf_take_aliases(conf_t *c);
static void conf_type(conf_t *c, const char *name, const char *text,
    value_t *errors);
static void conf_type_number(conf_t *c, const conf_setting_t *s,
    const char *text, value_t *v, value_t *errors);
static int conf_type_boolean(conf_t *c, const char *name, const char *text);
static void conf_type_array(conf_t *c, const conf_setting_t *s,
    const char *name, const char *text, value_t *v, value_t *errors);
static void conf_type_string(conf_t *c, const conf_setting_t *s,
    const char *text, value_t *v, value_t *errors);
static const char *conf_deref(conf_t *c, const char *name, const char *text,
    value_t *errors);
static char *conf_trim(arena_t *a, const char *s, size_t len);
static void conf_set_prefix(conf_t *c);
static value_t *conf_known(const conf_t *c, const char *name,
    value_kind_t kind);


static const char *const  conf_default_files[] = {
    "/etc/kong/kong.conf", "/etc/kong.conf", NULL
};


conf_t *
conf_load(arena_t *a, const char *path, const conf_overrides_t *overrides,
    value_t **errors)
{
    conf_t             *c;
    value_t            *file, *errs;
    const char         *err;
    const char *const  *p;

    errs = value_new(a);
    value_set_array(errs);
    *errors = errs;

    file = value_new(a);
    value_set_object(file);

    for (p = conf_default_files; path == NULL && *p != NULL; p++) {
        if (access(*p, F_OK) == 0) {
            path = *p;
        }
    }

    if (path != NULL && conf_file_read(a, path, file, &err) == -1) {
        conf_error(a, errs, "%s", err);
        return NULL;
    }

    c = conf_build(a, file, 1, overrides, errs);

    return (errs->len != 0) ? NULL : c;
}


conf_t *
conf_load_env(arena_t *a, const char *prefix, value_t **errors)
{
    conf_t                 *c;
    value_t                *file, *errs;
    const char             *err, *path, *names[3];
    const conf_overrides_t  overrides = { names };

    errs = value_new(a);
    value_set_array(errs);
    *errors = errs;

    file = value_new(a);
    value_set_object(file);

    prefix = conf_absolute(a, prefix);
    path = arena_printf(a, "%s/.kong_env", prefix);

    if (conf_file_read(a, path, file, &err) == -1) {
        conf_error(a, errs, "%s", err);
        return NULL;
    }

    /* a prefix that was moved is where it is now */
    names[0] = "prefix";
    names[1] = prefix;
    names[2] = NULL;

    c = conf_build(a, file, 0, &overrides, errs);

    return (errs->len != 0) ? NULL : c;
}


static conf_t *
conf_build(arena_t *a, value_t *file, int use_env,
    const conf_overrides_t *overrides, value_t *errors)
{
    size_t              i;
    conf_t             *c;
    member_t            m;
    const char *const  *p;

    c = arena_zalloc(a, sizeof(conf_t));
    c->arena = a;
    value_set_object(&c->raw);
    value_set_object(&c->from);
    value_set_object(&c->values);
    value_set_object(&c->nginx);
    value_set_array(&c->warnings);

    for (i = 0; i < conf_n_settings; i++) {
        conf_take(c, conf_settings[i].name, conf_settings[i].def,
                  CONF_FROM_DEFAULT);
    }

    conf_take_file(c, file);

    if (use_env) {
        conf_take_env(c);
    }

    p = overrides ? overrides->names : NULL;

    for ( /* void */ ; p != NULL && p[0] != NULL; p += 2) {
        conf_take(c, p[0], p[1], CONF_FROM_ARGUMENT);
    }

    conf_take_aliases(c);

    /* references may need it, so it is the first to get its type */
    conf_type(c, "vault_env_prefix",
              value_cstr(value_get(&c->raw, "vault_env_prefix")), errors);

    for (i = 0; i < c->raw.len; i++) {
        m = value_member(&c->raw, i);

        if (strcmp(m.key, "vault_env_prefix") != 0) {
            conf_type(c, m.key, m.value->u.string, errors);
        }
    }

    conf_set_prefix(c);
    conf_check(c, errors);
    conf_nginx_collect(c);

    return c;
}


/* a text of "" is kept: it unsets a default */
static void
conf_take(conf_t *c, const char *name, const char *text, conf_from_t from)
{
    name = arena_strndup(c->arena, name, strlen(name));

    value_copy_string(c->arena, value_put(c->arena, &c->raw, name), text,
                      strlen(text));
    value_set_number(value_put(c->arena, &c->from, name), from);
}


static void
conf_take_file(conf_t *c, const value_t *file)
{
    size_t  i;

    for (i = 0; i < file->len; i++) {
        conf_take(c, value_member(file, i).key,
                  value_nth(file, i)->u.string, CONF_FROM_FILE);
    }
}


/*
 * Known names, names that the file mentions, other names of a setting, and
 * the open namespaces are taken; KONG_* variables that mean nothing are not.
 */
static void
conf_take_env(conf_t *c)
{
    char                 *name, *eq, *p;
    size_t                i;
    const conf_alias_t   *alias;

    for (i = 0; environ != NULL && environ[i] != NULL; i++) {

        eq = strchr(environ[i], '=');
        if (eq == NULL || strncmp(environ[i], "KONG_", 5) != 0) {
            continue;
        }

        name = arena_strndup(c->arena, environ[i] + 5,
                             (size_t) (eq - environ[i]) - 5);

        for (p = name; *p != '\0'; p++) {
            *p = (char) tolower((unsigned char) *p);
        }

        for (alias = conf_aliases; alias->name != NULL; alias++) {
            if (strcmp(alias->name, name) == 0) {
                break;
            }
        }

        if (alias->name != NULL || value_get(&c->raw, name) != NULL
            || conf_is_dynamic(name))
        {
            conf_take(c, name, eq + 1, CONF_FROM_ENV);
        }
    }
}


static int
conf_is_dynamic(const char *name)
{
    static const char *const  prefixes[] = {
        "nginx_", "vault_", "pluginserver_", NULL
    };

    size_t  i;

    for (i = 0; prefixes[i] != NULL; i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            return name[strlen(prefixes[i])] != '\0';
        }
    }

    return 0;
}


static void
conf_take_aliases(conf_t *c)
{
    value_t             *v;
    const conf_alias_t  *alias;

    for (alias = conf_aliases; alias->name != NULL; alias++) {

        v = value_get(&c->raw, alias->name);
        if (v == NULL) {
            continue;
        }

        if (alias->deprecated) {
            value_printf(c->arena, value_append(c->arena, &c->warnings),
                         "the configuration property '%s' is deprecated, use "
                         "'%s' instead", alias->name, alias->target);
        }

        if (conf_from(c, alias->name) > conf_from(c, alias->target)) {
            conf_take(c, alias->target, v->u.string,
                      conf_from(c, alias->name));
        }

        value_remove(c->arena, &c->raw, alias->name);
        value_remove(c->arena, &c->from, alias->name);
    }
}


static void
conf_type(conf_t *c, const char *name, const char *text, value_t *errors)
{
    value_t               *v;
    conf_type_t            type;
    const conf_setting_t  *s;

    s = conf_setting(name);
    type = s ? s->type : CONF_STRING;

    v = value_put(c->arena, &c->values, name);
    value_set_null(v);

    if (type == CONF_ARRAY) {
        conf_type_array(c, s, name, text, v, errors);
        return;
    }

    text = conf_trim(c->arena, text, strlen(text));
    text = conf_deref(c, name, text, errors);

    /* the contents stay valid while other values are put */
    v = value_get(&c->values, name);

    if (*text == '\0') {
        if (s != NULL && s->values != NULL) {
            text = "nil";

        } else {
            return;
        }
    }

    switch (type) {

    case CONF_NUMBER:
        conf_type_number(c, s, text, v, errors);
        break;

    case CONF_BOOLEAN:
        value_set_bool(v, conf_type_boolean(c, name, text));
        break;

    case CONF_NGX_BOOLEAN:
        text = conf_type_boolean(c, name, text) ? "on" : "off";
        value_set_string(v, text, strlen(text));
        break;

    default:
        conf_type_string(c, s, text, v, errors);
    }
}


static void
conf_type_number(conf_t *c, const conf_setting_t *s, const char *text,
    value_t *v, value_t *errors)
{
    char    *end;
    double   n;

    n = strtod(text, &end);

    if (*end != '\0' || !isfinite(n)) {
        conf_error(c->arena, errors, "%s is not a number: '%s'", s->name,
                   text);
        return;
    }

    value_set_number(v, n);

    if (((s->flags & CONF_MIN) && n < s->min)
        || ((s->flags & CONF_MAX) && n > s->max))
    {
        conf_error(c->arena, errors, "%s must be %s", s->name, s->range);

    } else if ((s->flags & CONF_INTEGER) && n != floor(n)) {
        conf_error(c->arena, errors, "%s must be %s%s", s->name,
                   strncmp(s->range, "an integer", 10) == 0
                   ? "" : "an integer ", s->range);
    }
}


/* Kong takes whatever is not "on" for off; here it is at least said */
static int
conf_type_boolean(conf_t *c, const char *name, const char *text)
{
    size_t  i;

    static const char *const  words[] = {
        "on", "off", "true", "false", "yes", "no", NULL
    };

    for (i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            return i % 2 == 0;
        }
    }

    value_printf(c->arena, value_append(c->arena, &c->warnings),
                 "%s is not a boolean: '%s', it is taken as off", name, text);

    return 0;
}


static void
conf_type_array(conf_t *c, const conf_setting_t *s, const char *name,
    const char *text, value_t *v, value_t *errors)
{
    size_t       n;
    value_t      array;
    const char  *item;

    value_set_null(v);
    memset(&array, 0, sizeof(array));
    value_set_array(&array);

    for ( ;; ) {
        n = strcspn(text, ",");
        item = conf_trim(c->arena, text, n);

        if (*item != '\0') {
            item = conf_deref(c, name, item, errors);
        }

        if (*item != '\0') {
            conf_type_string(c, s, item, value_append(c->arena, &array),
                             errors);
        }

        if (text[n] == '\0') {
            break;
        }

        text += n + 1;
    }

    *value_get(&c->values, name) = array;
}


static void
conf_type_string(conf_t *c, const conf_setting_t *s, const char *text,
    value_t *v, value_t *errors)
{
    size_t              i;
    value_t             list;
    const char         *abs;
    const char *const  *p;

    value_copy_string(c->arena, v, text, strlen(text));

    if (s == NULL) {
        return;
    }

    if (s->flags & CONF_PATH) {
        abs = conf_absolute(c->arena, text);

        if (access(abs, F_OK) == 0
            || strcmp(s->name, "declarative_config") == 0)
        {
            value_set_string(v, abs, strlen(abs));
            text = abs;
        }
    }

    for (i = 0; !(s->flags & CONF_TEXT) && text[i] != '\0'; i++) {
        if ((unsigned char) text[i] < ' ' || text[i] == 0x7f) {
            conf_error(c->arena, errors, "%s contains a control character",
                       s->name);
            return;
        }
    }

    if (s->values == NULL) {
        return;
    }

    memset(&list, 0, sizeof(list));
    value_set_string(&list, "", 0);

    for (p = s->values; *p != NULL; p++) {
        if (strcmp(*p, text) == 0) {
            return;
        }

        value_printf(c->arena, &list, "%s%s%s", list.u.string,
                     (p == s->values) ? "" : ", ", *p);
    }

    conf_error(c->arena, errors, "%s has an invalid value: '%s' (%s)",
               s->name, text, list.u.string);
}


static const char *
conf_deref(conf_t *c, const char *name, const char *text, value_t *errors)
{
    const char  *value, *err;

    if (!conf_is_reference(text)) {
        return text;
    }

    value = conf_vault_get(c->arena, text,
                           value_cstr(value_get(&c->values,
                                                "vault_env_prefix")),
                           &err);
    if (value == NULL) {
        conf_error(c->arena, errors,
                   "failed to dereference '%s': %s for config option '%s'",
                   text, err, name);
        return "";
    }

    return value;
}


static char *
conf_trim(arena_t *a, const char *s, size_t len)
{
    while (len > 0 && isspace((unsigned char) *s)) {
        s++;
        len--;
    }

    while (len > 0 && isspace((unsigned char) s[len - 1])) {
        len--;
    }

    return arena_strndup(a, s, len);
}


/* no symbolic link is resolved: what the user named is what is shown */
const char *
conf_absolute(arena_t *a, const char *path)
{
    char        *cwd, *s, *p, *to;
    size_t       len;
    const char  *home;

    home = getenv("HOME");

    if (path[0] == '~' && (path[1] == '/' || path[1] == '\0') && home) {
        s = arena_printf(a, "%s%s", home, path + 1);

    } else if (path[0] != '/') {
        cwd = getcwd(NULL, 0);
        s = arena_printf(a, "%s/%s", cwd ? cwd : "", path);
        free(cwd);

    } else {
        s = arena_strndup(a, path, strlen(path));
    }

    /* no empty part, no "." */
    for (p = s, to = s; *p != '\0'; p += len) {
        p += strspn(p, "/");
        len = strcspn(p, "/");

        if (len == 0 || (len == 1 && *p == '.')) {
            continue;
        }

        *to++ = '/';
        memmove(to, p, len);
        to += len;
    }

    if (to == s) {
        *to++ = '/';
    }

    *to = '\0';

    return s;
}


static void
conf_set_prefix(conf_t *c)
{
    const char  *prefix;

    prefix = value_cstr(value_get(&c->values, "prefix"));

    if (prefix == NULL) {
        prefix = conf_setting("prefix")->def;
    }

    c->prefix = conf_absolute(c->arena, prefix);
    conf_put_string(c, "prefix", c->prefix);
}


void
conf_error(arena_t *a, value_t *errors, const char *fmt, ...)
{
    int      n;
    char    *s;
    va_list  args;

    va_start(args, fmt);
    n = vasprintf(&s, fmt, args);
    va_end(args);

    if (n < 0) {
        value_set_string(value_append(a, errors), "out of memory", 13);
        return;
    }

    value_copy_string(a, value_append(a, errors), s, (size_t) n);
    free(s);
}


value_t *
conf_value(const conf_t *c, const char *name)
{
    const conf_alias_t  *alias;

    for (alias = conf_aliases; alias->name != NULL; alias++) {
        if (strcmp(alias->name, name) == 0) {
            name = alias->target;
            break;
        }
    }

    return value_get(&c->values, name);
}


void
conf_put_string(conf_t *c, const char *name, const char *s)
{
    value_t  *v;

    v = value_put(c->arena, &c->values, name);

    if (s == NULL) {
        value_set_null(v);
        return;
    }

    value_copy_string(c->arena, v, s, strlen(s));
}


conf_from_t
conf_from(const conf_t *c, const char *name)
{
    value_t  *v;

    v = value_get(&c->from, name);

    return v ? (conf_from_t) v->u.number : CONF_FROM_DEFAULT;
}


int
conf_is_off(const conf_t *c, const char *name)
{
    value_t  *v;

    v = value_at(conf_value(c, name), 0);

    return v == NULL || value_str_eq(v, "off");
}


/* a name that does not exist, or of another type, is a mistake in the code */
static value_t *
conf_known(const conf_t *c, const char *name, value_kind_t kind)
{
    value_t  *v;

    v = conf_value(c, name);

    if (v == NULL || (v->kind != kind && v->kind != VALUE_NULL)) {
        fprintf(stderr, "kong: \"%s\" is no setting of this type\n", name);
        abort();
    }

    return v;
}


const char *
conf_str(const conf_t *c, const char *name)
{
    return value_cstr(conf_known(c, name, VALUE_STRING));
}


int
conf_bool(const conf_t *c, const char *name)
{
    value_t  *v;

    v = conf_value(c, name);
    if (v != NULL && v->kind == VALUE_STRING) {         /* nginx's booleans */
        return value_str_eq(v, "on");
    }

    v = conf_known(c, name, VALUE_BOOL);

    return v->kind == VALUE_BOOL && v->u.boolean;
}


int
conf_is_set(const conf_t *c, const char *name)
{
    return !value_is_null(conf_value(c, name));
}


/* none is NAN, so that nobody takes it for 0 */
double
conf_num(const conf_t *c, const char *name)
{
    value_t  *v;

    v = conf_known(c, name, VALUE_NUMBER);

    return (v->kind == VALUE_NUMBER) ? v->u.number : NAN;
}


const value_t *
conf_list(const conf_t *c, const char *name)
{
    return conf_known(c, name, VALUE_ARRAY);
}


const char *
conf_prefix(const conf_t *c)
{
    return c->prefix;
}


const char *
conf_path(const conf_t *c, const char *rest)
{
    return arena_printf(c->arena, "%s/%s", c->prefix, rest);
}


const value_t *
conf_warnings(const conf_t *c)
{
    return &c->warnings;
}
