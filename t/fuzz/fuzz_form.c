/*
 * The decoders of HTTP bodies: urlencoded and multipart forms, names such as
 * "a.b[1][c]", percent-encoding, as the Admin API's clients send them.  The
 * first byte says which decoder, and of which entity the form is.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controld/admin/entities.h"
#include "controld/model/json.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                n;
    value_t              *v;
    arena_t              *a;
    schema_ctx_t          ctx;
    value_t               errors;
    admin_route_t         route;
    admin_request_t       r;

    if (size == 0) {
        return 0;
    }

    for (n = 0; schema_entities[n] != NULL; n++) { /* void */ }

    a = arena_new();
    memset(&r, 0, sizeof(r));
    memset(&route, 0, sizeof(route));
    memset(&ctx, 0, sizeof(ctx));

    route.schema = schema_entities[(data[0] >> 1) % n];
    r.route = &route;
    r.arena = a;
    r.content_type = (data[0] & 1) ? "multipart/form-data; boundary=b"
                                   : "application/x-www-form-urlencoded";
    r.body = arena_strndup(a, (const char *) data + 1, size - 1);
    r.body_len = size - 1;

    v = entities_form(&r);

    if (v != NULL) {
        ctx.arena = a;
        ctx.now = 1;
        value_set_object(&errors);
        (void) schema_validate(&ctx, route.schema, v, &errors);
        (void) json_print(a, v, NULL);
        (void) json_print(a, &errors, NULL);
        (void) schema_error_message(a, &errors);
    }

    arena_free(a);

    return 0;
}
