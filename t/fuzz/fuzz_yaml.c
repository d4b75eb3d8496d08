/*
 * Hostile documents: YAML (and JSON) text through the reader and the whole
 * declarative loader.  What loads must export to text that loads again; what
 * does not must explain itself.
 */

#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controld/source/declarative.h"
#include "controld/source/vault.h"
#include "controld/source/yaml.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
fuzz_good(arena_t *a, const config_t *c)
{
    char                  *text;
    size_t                 len;
    config_t              *again;
    declarative_errors_t   errors;

    text = declarative_export(a, c, &len);
    again = declarative_load(a, text, len, DECLARATIVE_YAML, NULL, &errors);

    if (again == NULL) {
        __builtin_trap();
    }

    config_free(again);
}


static void
fuzz_bad(arena_t *a, const declarative_errors_t *errors)
{
    if (errors->count == 0
        || declarative_errors_text(a, errors, 1)[0] == '\0'
        || declarative_errors_body(a, errors, 1) == NULL)
    {
        __builtin_trap();
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena_t               *a;
    value_t                v;
    config_t              *c;
    const char            *text, *err;
    yaml_fault_t           fault;
    vault_reference_t      ref;
    declarative_opts_t     opts;
    declarative_errors_t   errors;

    a = arena_new();
    text = (const char *) data;

    memset(&v, 0, sizeof(value_t));
    memset(&opts, 0, sizeof(declarative_opts_t));
    opts.flatten = 1;

    (void) yaml_read(a, text, size, &v, NULL, &fault);
    (void) vault_parse(a, text, size, &ref, &err);

    c = declarative_load(a, text, size, DECLARATIVE_ANY, &opts, &errors);

    if (c != NULL) {
        fuzz_good(a, c);

    } else {
        fuzz_bad(a, &errors);
    }

    config_free(c);
    arena_free(a);

    return 0;
}
