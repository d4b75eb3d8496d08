/*
 * JSON bodies: the parser, the printer, and a body of any entity through its
 * whole validation, as a write of the Admin API does it.  What is printed is
 * parsed again: it must be the same value, and the same text.  The first byte
 * says of which entity.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controld/model/json.h"
#include "controld/model/schema.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
static void fuzz_again(arena_t *a, const value_t *v);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t        n;
    value_t       v, errors;
    arena_t      *a;
    const char   *text, *err;
    schema_ctx_t  ctx;

    if (size == 0) {
        return 0;
    }

    for (n = 0; schema_entities[n] != NULL; n++) { /* void */ }

    a = arena_new();
    text = arena_strndup(a, (const char *) data + 1, size - 1);

    if (json_parse(a, text, size - 1, &v, &err) != 0) {
        arena_free(a);
        return 0;
    }

    fuzz_again(a, &v);

    if (v.kind == VALUE_OBJECT) {
        memset(&ctx, 0, sizeof(ctx));
        ctx.arena = a;
        ctx.database = 1;
        ctx.now = 1;
        value_set_object(&errors);

        (void) schema_validate(&ctx, schema_entities[data[0] % n], &v,
                               &errors);
        (void) json_print(a, &v, NULL);
        (void) json_print(a, &errors, NULL);
        (void) schema_error_message(a, &errors);
    }

    arena_free(a);

    return 0;
}


static void
fuzz_again(arena_t *a, const value_t *v)
{
    char        *text, *other;
    size_t       len, other_len;
    value_t      again;
    const char  *err;

    text = json_print(a, v, &len);

    if (json_parse(a, text, len, &again, &err) != 0) {
        abort();
    }

    other = json_print(a, &again, &other_len);

    if (len != other_len || memcmp(text, other, len) != 0) {
        abort();
    }
}
