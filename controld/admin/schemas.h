/*
 * schemas: what the files that show schemas share.
 */

#ifndef KONG_ADMIN_SCHEMAS_H
#define KONG_ADMIN_SCHEMAS_H

#include "../model/schema.h"


typedef void (*schemas_shown_pt)(void *data, const char *schema,
    const char *path, const char *members);


/* a schema as GET /schemas/... shows it; `plugin`: as its plugins' are */
void schemas_print(arena_t *a, const schema_t *s, unsigned plugin,
    value_t *out);
/* adds what Kong says of the field, or of the checks, besides */
void schemas_shown(arena_t *a, const char *schema, const char *path,
    value_t *out);
/* every row of that table, for its test; their number */
unsigned schemas_shown_each(void *data, schemas_shown_pt each);

#endif
