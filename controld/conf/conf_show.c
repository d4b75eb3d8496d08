/*
 * conf_show: the settings as others see them: the "configuration" object of
 * GET /, where secrets are masked, and the file .kong_env, which holds them
 * and therefore is readable by its owner and group alone.  A value that came
 * from a reference is written as the reference.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf_private.h"


#define CONF_MASK  "******"


static int conf_is_secret(const char *name);
static int conf_by_name(const void *one, const void *two);
static value_t *conf_names(arena_t *a, const value_t *o);
static void conf_env_line(conf_t *c, FILE *f, const char *name);
static const char *conf_env_text(conf_t *c, const char *name);


value_t *
conf_show(arena_t *a, const conf_t *c)
{
    size_t               i;
    value_t             *o, *names, *v, *raw;
    const char          *name;
    const conf_alias_t  *alias;

    o = value_new(a);
    value_set_object(o);
    names = conf_names(a, &c->values);

    for (i = 0; i < names->len; i++) {
        name = names->u.items[i].u.string;
        v = value_get(&c->values, name);
        raw = value_get(&c->raw, name);

        if (v->kind == VALUE_NULL) {
            continue;
        }

        if (conf_is_secret(name)) {
            value_set_string(value_put(a, o, name), CONF_MASK,
                             sizeof(CONF_MASK) - 1);

        } else if (raw != NULL && conf_is_reference(raw->u.string)) {
            value_copy_string(a, value_put(a, o, name), raw->u.string,
                              raw->len);

        } else {
            v = value_clone(a, v);
            *value_put(a, o, name) = *v;
        }
    }

    for (alias = conf_aliases; alias->name != NULL; alias++) {
        v = value_get(o, alias->target);

        if (v != NULL && !alias->deprecated) {
            v = value_clone(a, v);
            *value_put(a, o, alias->name) = *v;
        }
    }

    for (i = 0; i < CONF_LISTENERS; i++) {
        if (c->listeners[i].shown != NULL) {
            v = value_clone(a, c->listeners[i].shown);
            *value_put(a, o, c->listeners[i].plural) = *v;
        }
    }

    return o;
}


/* names that the table does not know are judged by their sound */
static int
conf_is_secret(const char *name)
{
    size_t                 i;
    const conf_setting_t  *s;

    static const char *const  words[] = {
        "password", "secret", "token", "_key", NULL
    };

    s = conf_setting(name);
    if (s != NULL) {
        return (s->flags & CONF_SECRET) != 0;
    }

    for (i = 0; strncmp(name, "nginx_", 6) != 0 && words[i] != NULL; i++) {
        if (strcasestr(name, words[i]) != NULL) {
            return 1;
        }
    }

    return 0;
}


static value_t *
conf_names(arena_t *a, const value_t *o)
{
    size_t    i;
    value_t  *names;

    names = value_new(a);
    value_set_array(names);

    for (i = 0; i < o->len; i++) {
        value_set_string(value_append(a, names), value_member(o, i).key,
                         value_member(o, i).key_len);
    }

    if (names->len != 0) {
        qsort(names->u.items, names->len, sizeof(value_t), conf_by_name);
    }

    return names;
}


static int
conf_by_name(const void *one, const void *two)
{
    return strcmp(((const value_t *) one)->u.string,
                  ((const value_t *) two)->u.string);
}


int
conf_save_env(const conf_t *conf, const char **err)
{
    int          fd;
    FILE        *f;
    conf_t       c;
    size_t       i;
    value_t     *names;
    const char  *path, *temp;

    c = *conf;                         /* only its arena is written to */
    path = conf_path(&c, ".kong_env");
    temp = conf_path(&c, ".kong_env.new");

    (void) unlink(temp);

    fd = open(temp, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0640);
    if (fd == -1) {
        *err = arena_printf(c.arena, "could not write %s: %s", temp,
                            strerror(errno));
        return -1;
    }

    (void) fchmod(fd, 0640);

    f = fdopen(fd, "w");
    if (f == NULL) {
        (void) close(fd);
        goto failed;
    }

    fputs("# The settings of this node, written by the kong command.\n"
          "# Changes made here are lost at the next start or reload.\n\n", f);

    names = conf_names(c.arena, &c.raw);

    for (i = 0; i < names->len; i++) {
        conf_env_line(&c, f, names->u.items[i].u.string);
    }

    i = (fflush(f) != 0 || ferror(f) || fsync(fd) == -1);

    if (fclose(f) != 0 || i) {
        goto failed;
    }

    if (rename(temp, path) == -1) {
        goto failed;
    }

    return 0;

failed:

    *err = arena_printf(c.arena, "could not write %s: %s", path,
                        strerror(errno));
    (void) unlink(temp);

    return -1;
}


static void
conf_env_line(conf_t *c, FILE *f, const char *name)
{
    const char  *s;

    if (conf_from(c, name) == CONF_FROM_DEFAULT
        && value_cstr(value_get(&c->raw, name))[0] == '\0')
    {
        return;
    }

    fprintf(f, "%s = \"", name);

    for (s = conf_env_text(c, name); *s != '\0'; s++) {
        switch (*s) {

        case '\n':
            fputs("\\n", f);
            break;

        case '\r':
            fputs("\\r", f);
            break;

        case '\\':
        case '#':
            fputc('\\', f);
            fputc(*s, f);
            break;

        default:
            fputc(*s, f);
        }
    }

    fputs("\"\n", f);
}


/* paths are written as absolute ones: the reader stands elsewhere */
static const char *
conf_env_text(conf_t *c, const char *name)
{
    char                  *s;
    size_t                 i;
    value_t               *v;
    const char            *raw;
    const conf_setting_t  *setting;

    if (strcmp(name, "prefix") == 0) {
        return c->prefix;
    }

    raw = value_cstr(value_get(&c->raw, name));
    v = value_get(&c->values, name);
    setting = conf_setting(name);

    if (setting == NULL || !(setting->flags & CONF_PATH)
        || strstr(raw, "{vault://") != NULL || value_is_null(v))
    {
        return raw;
    }

    if (v->kind == VALUE_STRING) {
        return v->u.string;
    }

    s = arena_printf(c->arena, "%s", "");

    for (i = 0; i < v->len; i++) {
        s = arena_printf(c->arena, "%s%s%s", s, i ? "," : "",
                         v->u.items[i].u.string);
    }

    return s;
}


const char *const *
conf_plugins(conf_t *c)
{
    size_t                         i, n;
    const char                   **names;
    const value_t                 *list;
    const plugin_schema_t *const  *all;

    list = conf_list(c, "plugins");

    if (list->len == 1 && value_str_eq(value_at(list, 0), "bundled")) {
        return NULL;
    }

    all = schema_plugins;

    for (n = 0; all[n] != NULL; n++) { /* void */ }

    names = arena_zalloc(c->arena, (n + 1) * sizeof(char *));

    for (i = 0, n = 0; all[i] != NULL; i++) {
        if (conf_plugin_enabled(c, all[i])) {
            names[n++] = all[i]->schema.name;
        }
    }

    return names;
}


int
conf_plugin_enabled(const conf_t *c, const plugin_schema_t *p)
{
    size_t          i;
    const value_t  *list;

    list = conf_list(c, "plugins");

    for (i = 0; i < list->len && !conf_is_off(c, "plugins"); i++) {
        if ((value_str_eq(value_at(list, i), "bundled") && !p->external)
            || value_str_eq(value_at(list, i), p->schema.name))
        {
            return 1;
        }
    }

    return 0;
}
