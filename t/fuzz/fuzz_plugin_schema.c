/*
 * fuzz_plugin_schema: bytes -> YAML -> the tables of a plugin's schema; then
 * the same document, as a configuration, is checked against them.
 */

#include <stdlib.h>
#include <string.h>

#include "controld/model/plugins/external.h"
#include "controld/model/schema_private.h"
#include "controld/source/yaml.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char           *text;
    value_t         doc, errors, *v;
    external_t      x;
    yaml_fault_t    fault;
    schema_ctx_t    ctx;
    const field_t  *fields;

    text = malloc(size ? size : 1);
    if (text == NULL) {
        return 0;
    }

    memcpy(text, data, size);
    memset(&x, 0, sizeof(x));
    x.arena = arena_new();

    if (yaml_read(x.arena, text, size, &doc, NULL, &fault) == 0
        && (v = value_get(&doc, "fields")) != NULL)
    {
        fields = external_fields(&x, v, "fields");

        if ((fields == NULL) != (x.err != NULL)) {
            abort();
        }

        v = value_get(&doc, "entity_checks");

        if (fields != NULL && v != NULL
            && (external_checks(&x, v, "entity_checks", fields) == NULL)
               != (x.err != NULL))
        {
            abort();
        }

        v = value_get(&doc, "value");

        /* one field alone: a table is remembered for good by the walker */

        if (fields != NULL && fields->name != NULL && v != NULL
            && fields->type != FIELD_RECORD && fields->elements == NULL)
        {
            memset(&ctx, 0, sizeof(ctx));
            ctx.arena = x.arena;
            value_set_null(&errors);
            (void) schema_check_field(&ctx, fields, v, &errors);
        }
    }

    arena_free(x.arena);
    free(text);

    return 0;
}
