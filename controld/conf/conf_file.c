/*
 * conf_file: the syntax of kong.conf: "name = value" lines.  A line that
 * starts with # or ; is a comment, so is what follows a # that is not written
 * as \#; a value may stand in quotes; a backslash at the end of a line joins
 * the next one.  `.kong_env` is written in the same syntax; only there \\, \n
 * and \r are escapes, so that a value of several lines survives.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_private.h"


#define CONF_FILE_MAX  (16 * 1024 * 1024)


static char *conf_file_slurp(arena_t *a, const char *path, size_t *len,
    const char **err);
static int conf_file_line(arena_t *a, char *line, int env, value_t *out);
static char *conf_file_value(arena_t *a, char *s, int env);
static char *conf_file_trim(char *s);


int
conf_file_read(arena_t *a, const char *path, value_t *out, const char **err)
{
    int          env;
    char        *text, *p, *end, *line, *to;
    size_t       len;
    unsigned     n, first;
    const char  *base;

    text = conf_file_slurp(a, path, &len, err);
    if (text == NULL) {
        return -1;
    }

    base = strrchr(path, '/');
    env = strcmp(base ? base + 1 : path, ".kong_env") == 0;

    n = 0;
    p = text;
    end = text + len;

    while (p < end) {
        line = p;
        to = p;
        first = n + 1;

        for ( ;; ) {
            n++;

            while (p < end && *p != '\n') {
                *to++ = *p++;
            }

            p++;

            while (to > line && (to[-1] == '\r')) {
                to--;
            }

            if (to == line || to[-1] != '\\' || p >= end) {
                break;
            }

            to--;
        }

        *to = '\0';

        if (strlen(line) != (size_t) (to - line)
            || conf_file_line(a, line, env, out) == -1)
        {
            *err = arena_printf(a, "%s:%u: expected \"name = value\"", path,
                                first);
            return -1;
        }
    }

    return 0;
}


static char *
conf_file_slurp(arena_t *a, const char *path, size_t *len, const char **err)
{
    char    *text;
    long     size;
    FILE    *f;
    size_t   n;

    f = fopen(path, "re");
    if (f == NULL) {
        if (errno == ENOENT) {
            *err = arena_printf(a, "no file at: %s", path);

        } else {
            *err = arena_printf(a, "could not read '%s': %s", path,
                                strerror(errno));
        }

        return NULL;
    }

    text = NULL;

    if (fseek(f, 0, SEEK_END) == -1 || (size = ftell(f)) < 0
        || size > CONF_FILE_MAX || fseek(f, 0, SEEK_SET) == -1)
    {
        *err = arena_printf(a, "'%s' is not a settings file", path);
        goto done;
    }

    text = arena_alloc(a, (size_t) size + 1);
    n = fread(text, 1, (size_t) size, f);

    if (ferror(f)) {
        *err = arena_printf(a, "could not read '%s': %s", path,
                            strerror(errno));
        text = NULL;
        goto done;
    }

    text[n] = '\0';
    *len = n;

done:

    (void) fclose(f);

    return text;
}


static int
conf_file_line(arena_t *a, char *line, int env, value_t *out)
{
    char    *eq, *name, *value;
    size_t   len;

    line = conf_file_trim(line);

    if (*line == '\0' || *line == '#' || *line == ';') {
        return 0;
    }

    eq = strchr(line, '=');
    if (eq == NULL) {
        return -1;
    }

    *eq = '\0';
    name = conf_file_trim(line);
    len = strlen(name);

    if (len == 0 || strcspn(name, " \t#\"'") != len) {
        return -1;
    }

    value = conf_file_value(a, eq + 1, env);
    value_set_string(value_put(a, out, arena_strndup(a, name, len)), value,
                     strlen(value));

    return 0;
}


/* cuts an inline comment, unescapes \#, takes surrounding quotes away */
static char *
conf_file_value(arena_t *a, char *s, int env)
{
    char    *p, *to;
    size_t   len;

    s = arena_strndup(a, s, strlen(s));

    for (p = s, to = s; *p != '\0' && *p != '#'; p++) {
        if (*p == '\\' && p[1] == '#') {
            p++;

        } else if (env && *p == '\\' && strchr("\\nr", p[1]) && p[1]) {
            p++;
            *to++ = (*p == 'n') ? '\n' : (*p == 'r') ? '\r' : *p;
            continue;
        }

        *to++ = *p;
    }

    *to = '\0';

    s = conf_file_trim(s);
    len = strlen(s);

    if (len >= 2 && (s[0] == '"' || s[0] == '\'') && s[len - 1] == s[0]) {
        s[len - 1] = '\0';
        s++;
    }

    return s;
}


static char *
conf_file_trim(char *s)
{
    size_t  len;

    s += strspn(s, " \t\r\n\v\f");

    for (len = strlen(s); len > 0; len--) {
        if (strchr(" \t\r\n\v\f", s[len - 1]) == NULL) {
            break;
        }
    }

    s[len] = '\0';

    return s;
}
