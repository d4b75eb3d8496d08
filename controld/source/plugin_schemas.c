/*
 * plugin_schemas: see plugin_schemas.h.  Files are taken in the order of
 * their names; two that describe the same plugin are an error, a folder that
 * cannot be read is one, too.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../model/schema.h"
#include "plugin_schemas.h"
#include "yaml.h"


#define SCHEMAS_FILE_MAX  (1024 * 1024)


static int schemas_wanted(const struct dirent *entry);
static void schemas_file(arena_t *a, const char *path, value_t *seen,
    value_t *errors);
static char *schemas_read(arena_t *a, const char *path, size_t *len,
    const char **err);
static void schemas_names(arena_t *a, const value_t *plugins,
    value_t *errors);


void
plugin_schemas_load(arena_t *a, const char *folder, const value_t *plugins,
    value_t *errors)
{
    int              i, n;
    value_t          seen;
    struct dirent  **list;

    if (folder != NULL) {
        value_set_object(&seen);
        n = scandir(folder, &list, schemas_wanted, alphasort);

        if (n == -1) {
            value_printf(a, value_append(a, errors), "plugin_schemas: %s: %s",
                         folder, strerror(errno));
            return;
        }

        for (i = 0; i < n; i++) {
            schemas_file(a, arena_printf(a, "%s/%s", folder, list[i]->d_name),
                         &seen, errors);
            free(list[i]);
        }

        free(list);
    }

    if (errors->len == 0) {
        schemas_names(a, plugins, errors);
    }
}


static int
schemas_wanted(const struct dirent *entry)
{
    size_t       i;
    const char  *dot;

    static const char *const  suffixes[] = { ".json", ".yaml", ".yml" };

    dot = strrchr(entry->d_name, '.');

    for (i = 0; dot != NULL && dot != entry->d_name && i < 3; i++) {
        if (strcmp(dot, suffixes[i]) == 0) {
            return entry->d_name[0] != '.';
        }
    }

    return 0;
}


static void
schemas_file(arena_t *a, const char *path, value_t *seen, value_t *errors)
{
    char           *text;
    size_t          len;
    value_t         doc, *first;
    unsigned        documents;
    const char     *err;
    yaml_fault_t    fault;
    const value_t  *name;

    text = schemas_read(a, path, &len, &err);

    if (text == NULL) {
        value_printf(a, value_append(a, errors), "%s: %s", path, err);
        return;
    }

    /* JSON is YAML */

    if (yaml_read(a, text, len, &doc, &documents, &fault) != 0) {
        value_printf(a, value_append(a, errors), "%s:%s", path, fault.text);
        return;
    }

    if (documents != 1) {
        value_printf(a, value_append(a, errors), "%s:1: must hold one "
                     "document", path);
        return;
    }

    name = value_get(&doc, "name");

    if (name != NULL && name->kind == VALUE_STRING) {
        first = value_putn(a, seen, name->u.string, name->len);

        if (!value_is_null(first)) {
            value_printf(a, value_append(a, errors), "%s:%u: name: \"%s\" is "
                         "described by %s, too", path, name->line,
                         name->u.string, first->u.string);
            return;
        }

        value_set_string(first, path, strlen(path));
    }

    if (schema_plugin_define(a, &doc, XXH3_64bits(text, len), &err) != 0) {
        value_printf(a, value_append(a, errors), "%s:%s", path, err);
    }
}


/* a file may be written to while it is read: what was read counts */
static char *
schemas_read(arena_t *a, const char *path, size_t *len, const char **err)
{
    int          fd;
    char        *text;
    ssize_t      n;
    struct stat  st;

    *len = 0;
    text = NULL;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd == -1 || fstat(fd, &st) == -1) {
        *err = arena_printf(a, "%s", strerror(errno));

    } else if (!S_ISREG(st.st_mode)) {
        *err = "is no regular file";

    } else if (st.st_size > SCHEMAS_FILE_MAX) {
        *err = "is larger than 1 MB";

    } else {
        text = arena_alloc(a, (size_t) st.st_size + 1);

        do {
            n = read(fd, text + *len, (size_t) st.st_size - *len);
            *len += (n > 0) ? (size_t) n : 0;
        } while (n > 0 || (n == -1 && errno == EINTR));

        text[*len] = '\0';

        if (n == -1) {
            *err = arena_printf(a, "%s", strerror(errno));
            text = NULL;
        }
    }

    if (fd != -1) {
        (void) close(fd);
    }

    return text;
}


static void
schemas_names(arena_t *a, const value_t *plugins, value_t *errors)
{
    size_t          i;
    const value_t  *name;

    for (i = 0; i < plugins->len; i++) {
        name = &plugins->u.items[i];

        if (!value_str_eq(name, "bundled") && !value_str_eq(name, "off")
            && name->len != 0
            && schema_plugin(name->u.string, name->len) == NULL)
        {
            value_printf(a, value_append(a, errors), "plugins: %s plugin is "
                         "enabled but not installed: it is not bundled, and "
                         "plugin_schemas has no schema for it",
                         name->u.string);
        }
    }
}
