/*
 * crud_special: what single entities do beyond the generic handler: the SNIs
 * of certificates, who still needs a CA certificate, targets within their
 * upstream, groups within their consumer, the protocols of plugins.
 */

#include <stdlib.h>
#include <string.h>

#include "../model/uuid.h"
#include "crud.h"


static int certificates_find(admin_request_t *r, dao_t *d,
    const admin_str_t *key, const value_t *parent, value_t **row);
static int certificates_name(crud_t *c, const admin_str_t *key);
static int certificates_check(crud_t *c);
static int certificates_stored(crud_t *c, value_t *row);
static int certificates_sni_add(crud_t *c, const value_t *row,
    const value_t *name);
static int certificates_sni_drop(crud_t *c, const value_t *row,
    const value_t *names);
static int certificates_removing(admin_request_t *r, dao_t *d,
    const value_t *row);
static int certificates_show(admin_request_t *r, dao_t *d, value_t *rows);
static int ca_certificates_removing(admin_request_t *r, dao_t *d,
    const value_t *row);
static int ca_certificates_used(dao_t *d, const schema_t *s,
    const char *where, const char *id);
static int targets_find(admin_request_t *r, dao_t *d, const admin_str_t *key,
    const value_t *parent, value_t **row);
static int acls_find(admin_request_t *r, dao_t *d, const admin_str_t *key,
    const value_t *parent, value_t **row);
static int acls_name(crud_t *c, const admin_str_t *key);
static int plugins_check(crud_t *c);
static int special_find_under(dao_t *d, const char *entity,
    const char *field, const value_t *key, const char *foreign,
    const value_t *parent, value_t **row);
static unsigned special_holds(const value_t *list, const char *text,
    size_t len);


static const crud_special_t  specials[] = {
    { .entity = "certificates", .long_missing = 1,
      .find = certificates_find, .name = certificates_name,
      .check = certificates_check, .stored = certificates_stored,
      .removing = certificates_removing, .show = certificates_show },
    { .entity = "ca_certificates", .removing = ca_certificates_removing },
    { .entity = "targets", .put_updates = 1, .find = targets_find },
    { .entity = "acls", .find = acls_find, .name = acls_name },
    { .entity = "plugins", .check = plugins_check },
    { .entity = NULL }
};


const crud_special_t *
crud_special(const schema_t *s)
{
    const crud_special_t  *p;

    for (p = specials; p->entity != NULL; p++) {
        if (strcmp(p->entity, s->name) == 0) {
            break;
        }
    }

    return p;
}


/* a certificate goes by the names of its SNIs, too */
static int
certificates_find(admin_request_t *r, dao_t *d, const admin_str_t *key,
    const value_t *parent, value_t **row)
{
    value_t        v, *sni;
    dao_where_t    where;

    (void) parent;

    value_set_string(&v, key->data, key->len);
    where.field = "name";
    where.value = &v;

    if (dao_find(d, schema_find("snis"), &where, 1, &sni) == DAO_FAILED) {
        return DAO_FAILED;
    }

    if (sni == NULL) {
        return (r->method == ADMIN_PUT && r->route->kind == ROUTER_ONE)
               ? DAO_NONE
               : dao_fail(d, 404, 0, NULL, "SNI not found", NULL);
    }

    where.field = "id";
    where.value = value_get(value_get(sni, "certificate"), "id");

    return dao_find(d, schema_find("certificates"), &where, 1, row);
}


/* PUT of a name makes it one of the certificate's */
static int
certificates_name(crud_t *c, const admin_str_t *key)
{
    value_t  *list;

    list = value_get(c->entity, "snis");

    if (value_is_null(list)) {
        list = value_put(c->r->arena, c->entity, "snis");
        value_set_array(list);
    }

    if (list->kind == VALUE_ARRAY
        && !special_holds(list, key->data, key->len))
    {
        value_copy_string(c->r->arena, value_append(c->r->arena, list),
                          key->data, key->len);
    }

    return DAO_OK;
}


static int
certificates_check(crud_t *c)
{
    size_t        i;
    value_t      *list, *name, *sni, *id, before;
    dao_where_t   where;

    list = value_get(c->entity, "snis");

    if (c->op == CRUD_UPDATE && value_get(c->body, "snis") == NULL) {
        return DAO_OK;
    }

    for (i = 0; list != NULL && (name = value_at(list, i)) != NULL; i++) {
        before = *list;
        before.len = (uint32_t) i;

        if (special_holds(&before, name->u.string, name->len)) {
            return dao_violation_of(c->d, "snis",
                                    arena_printf(c->r->arena,
                                                 "%s is duplicated",
                                                 name->u.string));
        }

        where.field = "name";
        where.value = name;

        if (dao_find(c->d, schema_find("snis"), &where, 1, &sni)
            == DAO_FAILED)
        {
            return DAO_FAILED;
        }

        id = value_get(value_get(sni, "certificate"), "id");

        if (id != NULL && !value_equal(id, value_get(c->entity, "id"))) {
            return dao_violation_of(c->d, "snis",
                arena_printf(c->r->arena, "%s already associated with "
                             "existing certificate '%s'", name->u.string,
                             value_cstr(id)));
        }
    }

    return DAO_OK;
}


/* the list replaces what there was */
static int
certificates_stored(crud_t *c, value_t *row)
{
    size_t    i;
    value_t  *list, empty;

    if (c->op == CRUD_UPDATE && value_get(c->body, "snis") == NULL) {
        return DAO_OK;
    }

    list = value_get(c->entity, "snis");

    if (value_is_null(list)) {
        value_set_array(&empty);
        list = &empty;
    }

    if (c->op != CRUD_INSERT
        && certificates_sni_drop(c, row, list) == DAO_FAILED)
    {
        return DAO_FAILED;
    }

    for (i = 0; i < list->len; i++) {
        if (certificates_sni_add(c, row, value_at(list, i)) == DAO_FAILED) {
            return DAO_FAILED;
        }
    }

    return DAO_OK;
}


static int
certificates_sni_add(crud_t *c, const value_t *row, const value_t *name)
{
    value_t          entity, *found, *v;
    dao_where_t      where;
    const schema_t  *s;

    s = schema_find("snis");
    where.field = "name";
    where.value = name;

    if (dao_find(c->d, s, &where, 1, &found) == DAO_FAILED) {
        return DAO_FAILED;
    }

    if (found != NULL) {
        return DAO_OK;
    }

    value_set_object(&entity);
    *value_put(c->r->arena, &entity, "name") = *name;
    v = value_put(c->r->arena, &entity, "certificate");
    value_set_object(v);
    *value_put(c->r->arena, v, "id") = *value_get(row, "id");

    if (crud_check(c->d, s, &entity, 0) == DAO_FAILED) {
        return DAO_FAILED;
    }

    return dao_insert(c->d, s, &entity, &found);
}


static int
certificates_sni_drop(crud_t *c, const value_t *row, const value_t *names)
{
    pg_arg_t   args[2];
    PGresult  *res;

    args[0].type = PG_TYPE_UUID;
    args[0].text = value_cstr(value_get(row, "id"));
    args[1].type = PG_TYPE_TEXTS;
    args[1].text = dao_array(c->r->arena, names, 0);

    res = dao_query(c->d, NULL, "DELETE FROM snis WHERE certificate_id = $1 "
                    "AND name <> ALL ($2)", args, 2);

    if (res == NULL) {
        return DAO_FAILED;
    }

    PQclear(res);

    return DAO_OK;
}


static int
certificates_removing(admin_request_t *r, dao_t *d, const value_t *row)
{
    pg_arg_t   arg;
    PGresult  *res;

    (void) r;

    arg.type = PG_TYPE_UUID;
    arg.text = value_cstr(value_get(row, "id"));
    res = dao_query(d, NULL, "DELETE FROM snis WHERE certificate_id = $1",
                    &arg, 1);

    if (res == NULL) {
        return DAO_FAILED;
    }

    PQclear(res);

    return DAO_OK;
}


static int
certificates_show(admin_request_t *r, dao_t *d, value_t *rows)
{
    int        k;
    size_t     i;
    value_t    ids, *list, *id;
    pg_arg_t   arg;
    PGresult  *res;

    value_set_array(&ids);

    for (i = 0; i < rows->len; i++) {
        *value_append(r->arena, &ids) = *value_get(value_at(rows, i), "id");
    }

    arg.type = PG_TYPE_UUIDS;
    arg.text = dao_array(r->arena, &ids, 0);
    res = dao_query(d, NULL, "SELECT certificate_id::text, name FROM snis "
                    "WHERE certificate_id = ANY ($1) "
                    "ORDER BY name COLLATE \"C\"", &arg, 1);

    if (res == NULL) {
        return DAO_FAILED;
    }

    for (i = 0; i < rows->len; i++) {
        id = value_get(value_at(rows, i), "id");
        list = value_put(r->arena, value_at(rows, i), "snis");
        value_set_array(list);

        for (k = 0; k < PQntuples(res); k++) {
            if (strcmp(PQgetvalue(res, k, 0), value_cstr(id)) == 0) {
                value_copy_string(r->arena, value_append(r->arena, list),
                                  PQgetvalue(res, k, 1),
                                  (size_t) PQgetlength(res, k, 1));
            }
        }
    }

    PQclear(res);

    return DAO_OK;
}


/* whatever holds them in a list, which no foreign key guards */
static int
ca_certificates_removing(admin_request_t *r, dao_t *d, const value_t *row)
{
    int          i, rc;
    const char  *id;

    (void) r;

    id = value_cstr(value_get(row, "id"));

    for (i = 0; schema_entities[i] != NULL; i++) {
        if (schema_field(schema_entities[i], "ca_certificates") == NULL) {
            continue;
        }

        rc = ca_certificates_used(d, schema_entities[i],
                                  "ca_certificates @> ARRAY[$1::uuid]", id);
        if (rc != DAO_OK) {
            return rc;
        }
    }

    return ca_certificates_used(d, schema_find("plugins"),
                                "config->'ca_certificates' @> "
                                "to_jsonb($1::text)", id);
}


static int
ca_certificates_used(dao_t *d, const schema_t *s, const char *where,
    const char *id)
{
    pg_arg_t     arg;
    PGresult    *res;
    const char  *text;

    arg.type = PG_TYPE_TEXT;
    arg.text = id;
    res = dao_query(d, NULL, arena_printf(d->arena, "SELECT id::text FROM "
                                          "\"%s\" WHERE %s LIMIT 1",
                                          dao_table(s), where), &arg, 1);

    if (res == NULL) {
        return DAO_FAILED;
    }

    text = (PQntuples(res) == 0) ? NULL
           : arena_printf(d->arena, "ca certificate %s is still referenced "
                          "by %s (id = %s)", id, s->name,
                          PQgetvalue(res, 0, 0));
    PQclear(res);

    return (text == NULL) ? DAO_OK
           : dao_fail(d, 400, 19, "referenced by others", text, NULL);
}


/* "host" is the same as its normal form, "host:8000" */
static int
targets_find(admin_request_t *r, dao_t *d, const admin_str_t *key,
    const value_t *parent, value_t **row)
{
    value_t  entity;

    value_set_object(&entity);
    value_copy_string(r->arena, value_put(r->arena, &entity, "target"),
                      key->data, key->len);
    schema_transform(&d->ctx, schema_find("targets"), &entity);

    return special_find_under(d, "targets", "target",
                              value_get(&entity, "target"), "upstream",
                              parent, row);
}


static int
acls_find(admin_request_t *r, dao_t *d, const admin_str_t *key,
    const value_t *parent, value_t **row)
{
    value_t  v, fields;

    value_set_string(&v, key->data, key->len);

    if (parent != NULL) {
        return special_find_under(d, "acls", "group", &v, "consumer", parent,
                                  row);
    }

    value_set_object(&fields);
    value_set_string(value_put(r->arena, &fields, "id"),
                     "expected a valid UUID", 21);

    return dao_fail(d, 400, 1, "invalid primary key", "invalid primary key: "
                    "'{id=\"expected a valid UUID\"}'", &fields);
}


static int
acls_name(crud_t *c, const admin_str_t *key)
{
    value_set_string(value_put(c->r->arena, c->entity, "group"), key->data,
                     key->len);

    return DAO_OK;
}


static int
special_find_under(dao_t *d, const char *entity, const char *field,
    const value_t *key, const char *foreign, const value_t *parent,
    value_t **row)
{
    dao_where_t  where[2];

    where[0].field = field;
    where[0].value = key;
    where[1].field = foreign;
    where[1].value = parent;

    return dao_find(d, schema_find(entity), where, 2, row);
}


/* protocols that were asked for must be some of the route's or service's */
static int
plugins_check(crud_t *c)
{
    size_t       i;
    value_t     *id;
    unsigned     good;
    pg_arg_t     args[2];
    PGresult    *res;

    static const struct {
        const char  *field;
        const char  *sql;
        const char  *text;
    } kinds[] = {
        { "route",
          "SELECT protocols && $2 FROM routes WHERE id = $1",
          "must match the associated route's protocols" },
        { "service",
          "SELECT bool_or(protocols && $2) FROM routes "
          "WHERE service_id = $1",
          "must match the protocols of at least one route pointing to this "
          "Plugin's service" }
    };

    if (value_is_null(value_get(c->body, "protocols"))) {
        return DAO_OK;
    }

    for (i = 0; i < 2; i++) {
        id = value_get(value_get(c->entity, kinds[i].field), "id");

        if (value_is_null(id)) {
            continue;
        }

        args[0].type = PG_TYPE_UUID;
        args[0].text = value_cstr(id);
        args[1].type = PG_TYPE_TEXTS;
        args[1].text = dao_array(c->r->arena,
                                 value_get(c->entity, "protocols"), 0);
        res = dao_query(c->d, NULL, kinds[i].sql, args, 2);

        if (res == NULL) {
            return DAO_FAILED;
        }

        good = (PQntuples(res) == 0 || PQgetisnull(res, 0, 0)
                || PQgetvalue(res, 0, 0)[0] != 0);
        PQclear(res);

        return good ? DAO_OK
                    : dao_violation_of(c->d, "protocols", kinds[i].text);
    }

    return DAO_OK;
}


static unsigned
special_holds(const value_t *list, const char *text, size_t len)
{
    size_t          i;
    const value_t  *v;

    for (i = 0; (v = value_at(list, i)) != NULL; i++) {
        if (v->kind == VALUE_STRING && v->len == len
            && memcmp(v->u.string, text, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
