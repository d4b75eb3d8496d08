/*
 * plugins_doc: prints docs/plugins.md from the schema tables.  `make docs`
 * writes the file, a test holds it against the tables.
 */

#include <stdio.h>
#include <string.h>

#include "../controld/model/schema.h"


static void doc_plugin(const plugin_schema_t *p);
static void doc_fields(const field_t *fields, const char *prefix);
static void doc_type(const field_t *f);
static void doc_rules(const field_t *f);
static void doc_list(const char *label, const char *const *list);


static const char *const  doc_types[] = {
    [FIELD_STRING] = "string",
    [FIELD_INTEGER] = "integer",
    [FIELD_NUMBER] = "number",
    [FIELD_BOOLEAN] = "boolean",
    [FIELD_ARRAY] = "array",
    [FIELD_SET] = "set",
    [FIELD_MAP] = "map",
    [FIELD_RECORD] = "record",
    [FIELD_FOREIGN] = "reference",
    [FIELD_ANY] = "anything"
};


int
main(void)
{
    const plugin_schema_t *const  *p;

    printf("# Plugins\n\nMade from the schema tables by `make docs`: what is "
           "here is what is checked.\n\n"
           "A plugin that only observes (logs, metrics, traces) and is \"not "
           "yet\" here is left\nout with a warning in the log and in "
           "`/status`; requests are served without it.\nAny other that does "
           "not run is refused, or in a database closes its scope.\n\n"
           "| plugin | priority | runs |\n|---|---|---|\n");

    for (p = schema_plugins; *p != NULL; p++) {
        printf("| [%s](#%s) | %d | %s |\n", (*p)->schema.name,
               (*p)->schema.name, (*p)->priority,
               (*p)->implemented ? "yes"
                                 : (*p)->refused ? "never" : "not yet");
    }

    for (p = schema_plugins; *p != NULL; p++) {
        doc_plugin(*p);
    }

    return 0;
}


static void
doc_plugin(const plugin_schema_t *p)
{
    const char     *sep;
    const field_t  *f, *config;

    printf("\n## %s\n\n", p->schema.name);

    if (p->refused != NULL) {
        printf("Validates, is refused when enabled: %s.\n\n", p->refused);

    } else if (!p->implemented) {
        printf("Validates; there is no code for it in this version.\n\n");
    }

    printf("Forbidden scopes:");
    sep = " ";
    config = NULL;

    for (f = p->schema.fields; f->name != NULL; f++) {
        if (f->flags & F_EQ_NULL) {
            printf("%s%s", sep, f->name);
            sep = ", ";
        }

        if (strcmp(f->name, "config") == 0) {
            config = f;
        }
    }

    printf("%s.\n", (*sep == ' ') ? " none" : "");

    if (config == NULL || config->fields == NULL
        || config->fields->name == NULL)
    {
        printf("\nNo settings.\n");
        return;
    }

    printf("\n| setting | type | required | default | rules |\n"
           "|---|---|---|---|---|\n");
    doc_fields(config->fields, "");
}


static void
doc_fields(const field_t *fields, const char *prefix)
{
    char            path[256];
    const field_t  *f, *inner;

    for (f = fields; f->name != NULL; f++) {
        snprintf(path, sizeof(path), "%s%s", prefix, f->name);

        printf("| %s | ", path);
        doc_type(f);
        printf(" | %s | ", (f->flags & F_REQUIRED) ? "yes" : "");

        /* a secret's default is made anew by every process */
        if (f->def != NULL) {
            printf((f->flags & F_ENCRYPTED) ? "random" : "`%s`", f->def);
        }

        printf(" | ");
        doc_rules(f);
        printf(" |\n");

        inner = f->fields;

        if (inner == NULL && f->elements != NULL) {
            inner = f->elements->fields;
            strncat(path, (f->type == FIELD_MAP) ? ".*" : "[]",
                    sizeof(path) - strlen(path) - 1);
        }

        if (inner != NULL) {
            strncat(path, ".", sizeof(path) - strlen(path) - 1);
            doc_fields(inner, path);
        }
    }
}


static void
doc_type(const field_t *f)
{
    printf("%s", doc_types[f->type]);

    if (f->elements != NULL) {
        printf(" of %s", doc_types[f->elements->type]);
    }
}


static void
doc_rules(const field_t *f)
{
    if (f->flags & F_BETWEEN) {
        printf("from %g to %g. ", f->min, f->max);
    }

    if (f->flags & F_GT) {
        printf("greater than %g. ", f->min);
    }

    if (f->starts_with != NULL) {
        printf("starts with `%s`. ", f->starts_with);
    }

    doc_list("one of", f->one_of);
    doc_list("without a database one of", f->one_of_off);
    doc_list("none of", f->not_one_of);

    if (f->elements != NULL) {
        doc_list("each one of", f->elements->one_of);

        if (f->elements->flags & F_REGEX) {
            printf("each a regex. ");
        }
    }

    if (f->flags & F_REFERENCEABLE) {
        printf("may be a vault reference. ");
    }

    if (f->flags & F_DEPRECATED) {
        printf("deprecated. ");
    }
}


static void
doc_list(const char *label, const char *const *list)
{
    size_t  i;

    if (list == NULL) {
        return;
    }

    printf("%s", label);

    for (i = 0; list[i] != NULL; i++) {
        printf("%s `%s`", i ? "," : "", list[i]);
    }

    printf(". ");
}
