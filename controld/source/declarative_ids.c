/*
 * declarative_ids: ids of entities that were written without one.  Where the
 * document has something that names the entity, the id is a version 5 uuid of
 * it and thus the same on every node and at every load; elsewhere it is
 * random.
 *
 * The name is made of the values as they are written (a parent's name if it
 * is referenced by name, its id if the entity is nested in it), which is why
 * ids are made before defaults are filled in and references resolved.
 */

#include <string.h>

#include "../model/uuid.h"
#include "declarative_walk.h"


static const char *decl_id_text(const value_t *entity);
static int decl_id_key(decl_t *d, decl_kind_t *kind, const value_t *entity,
    const field_t *up, const char *parent);
static int decl_id_cache_key(decl_t *d, decl_kind_t *kind,
    const value_t *entity, const field_t *up, const char *parent);
static void decl_id_part(decl_t *d, const char *s, size_t len);
static void decl_id_begin(decl_t *d, decl_kind_t *kind);
static void decl_id_finish(decl_t *d, value_t *id);
static void decl_id_print(char *out, const unsigned char *uuid);
static void decl_ids_in_list(decl_t *d, decl_kind_t *kind, value_t *list,
    const field_t *up, const char *parent);


/* fd02801f-0957-4a15-a55a-c8d9606f30b5 */

static const unsigned char  decl_namespace[16] = {
    0xfd, 0x02, 0x80, 0x1f, 0x09, 0x57, 0x4a, 0x15,
    0xa5, 0x5a, 0xc8, 0xd9, 0x60, 0x6f, 0x30, 0xb5
};


void
decl_make_ids(decl_t *d)
{
    char        *text;
    size_t       i;
    value_t     *id;
    const char  *parent;
    decl_row_t  *row;

    for (i = 0; i < d->n_rows; i++) {
        row = d->rows[i];

        if (row->dead || !row->kind->uuid) {
            continue;
        }

        id = value_get(row->entity, "id");
        if (!value_is_null(id)) {
            continue;
        }

        parent = NULL;

        if (row->parent != NULL && !row->parent->random) {
            parent = decl_id_text(row->parent->entity);
        }

        id = value_put(d->arena, row->entity, "id");

        if (decl_id_key(d, row->kind, row->entity, row->up, parent) == 0) {
            decl_id_finish(d, id);

        } else {
            text = arena_alloc(d->arena, UUID_SIZE);
            uuid_v4(text);
            value_set_string(id, text, UUID_LEN);
            row->random = 1;
        }
    }
}


void
decl_ids_in_document(decl_t *d, value_t *doc)
{
    size_t  i;

    for (i = 0; i < d->n_kinds; i++) {
        if (d->kinds[i].known) {
            decl_ids_in_list(d, &d->kinds[i],
                             value_get(doc, d->kinds[i].schema->name), NULL,
                             NULL);
        }
    }
}


static void
decl_ids_in_list(decl_t *d, decl_kind_t *kind, value_t *list,
    const field_t *up, const char *parent)
{
    size_t            i, k;
    value_t          *entity;
    const char       *id;
    decl_relation_t  *child;

    if (list == NULL || list->kind != VALUE_ARRAY) {
        return;
    }

    for (i = 0; i < list->len; i++) {
        entity = &list->u.items[i];

        if (entity->kind != VALUE_OBJECT) {
            continue;
        }

        if (kind->uuid && value_is_null(value_get(entity, "id"))
            && decl_id_key(d, kind, entity, up, parent) == 0)
        {
            decl_id_finish(d, value_put(d->arena, entity, "id"));
        }

        id = decl_id_text(entity);

        for (k = 0; k < kind->n_children; k++) {
            child = &kind->children[k];
            decl_ids_in_list(d, child->kind,
                             value_get(entity, child->kind->schema->name),
                             child->field, id);
        }
    }
}


static const char *
decl_id_text(const value_t *entity)
{
    return value_cstr(value_get(entity, "id"));
}


/* hashes what names the entity; -1 when nothing does */

static int
decl_id_key(decl_t *d, decl_kind_t *kind, const value_t *entity,
    const field_t *up, const char *parent)
{
    value_t  *v;

    if (kind->schema->cache_key != NULL) {
        return decl_id_cache_key(d, kind, entity, up, parent);
    }

    if (kind->endpoint == NULL) {
        return -1;
    }

    v = value_get(entity, kind->endpoint->name);
    if (v == NULL || v->kind != VALUE_STRING) {
        return -1;
    }

    decl_id_begin(d, kind);
    decl_id_part(d, v->u.string, v->len);

    return 0;
}


static int
decl_id_cache_key(decl_t *d, decl_kind_t *kind, const value_t *entity,
    const field_t *up, const char *parent)
{
    value_t            *v;
    const char         *name;
    const field_t      *f;
    const char *const  *key;

    if (kind->random) {
        return -1;
    }

    decl_id_begin(d, kind);
    name = kind->schema->name;
    decl_id_part(d, name, strlen(name));
    decl_id_part(d, ":*", 2);

    for (key = kind->schema->cache_key; *key != NULL; key++) {
        v = value_get(entity, *key);

        if (v != NULL) {
            /* references as {"id": ...} and nulls leave no trace */

            if (v->kind == VALUE_STRING) {
                decl_id_part(d, ":", 1);
                decl_id_part(d, v->u.string, v->len);
            }

            continue;
        }

        decl_id_part(d, ":", 1);

        if (up != NULL && strcmp(*key, up->name) == 0) {
            if (parent == NULL) {
                return -1;
            }

            decl_id_part(d, parent, strlen(parent));
            continue;
        }

        f = schema_field(kind->schema, *key);

        if (f == NULL || (f->flags & F_REQUIRED)) {
            return -1;
        }
    }

    return 0;
}


static void
decl_id_begin(decl_t *d, decl_kind_t *kind)
{
    unsigned       n;
    const char    *name;
    unsigned char  digest[EVP_MAX_MD_SIZE];

    if (d->md == NULL) {
        d->md = EVP_MD_CTX_new();
    }

    if (kind->namespace == NULL) {
        name = kind->schema->name;
        kind->namespace = EVP_MD_CTX_new();

        EVP_DigestInit_ex(d->md, EVP_sha1(), NULL);
        EVP_DigestUpdate(d->md, decl_namespace, sizeof(decl_namespace));
        EVP_DigestUpdate(d->md, name, strlen(name));
        EVP_DigestFinal_ex(d->md, digest, &n);

        digest[6] = (digest[6] & 0x0f) | 0x50;
        digest[8] = (digest[8] & 0x3f) | 0x80;

        EVP_DigestInit_ex(kind->namespace, EVP_sha1(), NULL);
        EVP_DigestUpdate(kind->namespace, digest, 16);
    }

    EVP_MD_CTX_copy_ex(d->md, kind->namespace);
}


static void
decl_id_part(decl_t *d, const char *s, size_t len)
{
    EVP_DigestUpdate(d->md, s, len);
}


static void
decl_id_finish(decl_t *d, value_t *id)
{
    char           *text;
    unsigned        n;
    unsigned char   digest[EVP_MAX_MD_SIZE];

    EVP_DigestFinal_ex(d->md, digest, &n);

    digest[6] = (digest[6] & 0x0f) | 0x50;
    digest[8] = (digest[8] & 0x3f) | 0x80;

    text = arena_alloc(d->arena, UUID_SIZE);
    decl_id_print(text, digest);
    value_set_string(id, text, UUID_LEN);
}


static void
decl_id_print(char *out, const unsigned char *uuid)
{
    int  i;

    static const char  hex[] = "0123456789abcdef";

    for (i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *out++ = '-';
        }

        *out++ = hex[uuid[i] >> 4];
        *out++ = hex[uuid[i] & 0x0f];
    }

    *out = '\0';
}
