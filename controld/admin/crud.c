/*
 * crud: every entity's requests in the database mode, by one handler: the
 * route says what is asked for, the schema of what.  Runs in a connection's
 * thread.
 */

#include <stdlib.h>
#include <string.h>

#include "../model/json.h"
#include "crud.h"
#include "page.h"


static void crud_list(admin_request_t *r, dao_t *d, const value_t *parent);
static void crud_page(admin_request_t *r, dao_t *d, const value_t *parent);
static void crud_page_show(admin_request_t *r, dao_t *d, const page_t *p,
    value_t *rows);
static int crud_by_custom_id(admin_request_t *r, dao_t *d);
static void crud_one(admin_request_t *r, dao_t *d, const admin_str_t *key,
    const value_t *parent);
static void crud_get(admin_request_t *r, dao_t *d, const admin_str_t *key,
    value_t *row);
static void crud_parent(admin_request_t *r, dao_t *d, value_t *child);
static int crud_find(admin_request_t *r, dao_t *d, const schema_t *s,
    const admin_str_t *key, const value_t *parent, value_t **row);
static int crud_find_id(dao_t *d, const schema_t *s, const value_t *id,
    value_t **row);
static unsigned crud_belongs(admin_request_t *r, const value_t *row,
    const value_t *parent);


void
crud_handle(admin_request_t *r, dao_t *d)
{
    value_t              *parent;
    const admin_route_t  *route;

    route = r->route;

    if (route->kind == ROUTER_LIST) {
        crud_list(r, d, NULL);
        return;
    }

    if (route->kind == ROUTER_ONE) {
        crud_one(r, d, &r->segments[1], NULL);
        return;
    }

    switch (crud_find(r, d, route->parent, &r->segments[1], NULL, &parent)) {

    case DAO_FAILED:
        crud_fail(r, d);
        return;

    case DAO_NONE:
        admin_message(r, 404, "Not found");
        return;

    default:
        break;
    }

    r->parent = parent;

    switch (route->kind) {

    case ROUTER_CHILDREN:
        crud_list(r, d, parent);
        return;

    case ROUTER_PARENT:
        crud_parent(r, d, parent);
        return;

    default:
        crud_one(r, d, &r->segments[3], parent);
        return;
    }
}


static void
crud_list(admin_request_t *r, dao_t *d, const value_t *parent)
{
    if (r->method == ADMIN_POST) {
        crud_create(r, d, parent);
        return;
    }

    if (strcmp(r->route->schema->name, "consumers") == 0 && parent == NULL
        && admin_arg(r, "custom_id") != NULL)
    {
        if (crud_by_custom_id(r, d) == DAO_FAILED) {
            crud_fail(r, d);
        }
        return;
    }

    crud_page(r, d, parent);
}


static void
crud_page(admin_request_t *r, dao_t *d, const value_t *parent)
{
    size_t           i;
    page_t           p;
    value_t          rows, tags;
    dao_page_t       page;
    const schema_t  *s;

    s = r->route->schema;
    memset(&p, 0, sizeof(p));
    memset(&page, 0, sizeof(page));

    /* the targets of an upstream come with the newest first */

    p.counted = (strcmp(s->name, "targets") == 0 && r->n_segments == 3);

    if (page_init(r, &p) == -1) {
        return;
    }

    p.schema = s;
    p.parent = parent;
    page.size = p.size;
    page.after = p.after;
    page.newest = p.counted;
    page.skip = p.skip;
    page.any = p.any;

    if (parent != NULL) {
        page.where.field = r->route->foreign->name;
        page.where.value = parent;

    } else if (p.n_tags != 0) {
        value_set_array(&tags);

        for (i = 0; i < p.n_tags; i++) {
            value_copy_string(r->arena, value_append(r->arena, &tags),
                              p.tags[i].data, p.tags[i].len);
        }

        page.tags = &tags;
    }

    if (dao_page(d, s, &page, &rows) == DAO_FAILED) {
        crud_fail(r, d);
        return;
    }

    crud_page_show(r, d, &p, &rows);
}


static void
crud_page_show(admin_request_t *r, dao_t *d, const page_t *p, value_t *rows)
{
    size_t                i;
    value_t               body;
    unsigned              more;
    const crud_special_t  *special;

    more = (rows->len > p->size);

    if (more) {
        rows->len = (uint32_t) p->size;
    }

    special = crud_special(p->schema);

    if (special->show != NULL && special->show(r, d, rows) == DAO_FAILED) {
        crud_fail(r, d);
        return;
    }

    for (i = 0; i < rows->len; i++) {
        *value_at(rows, i) = *show_entity(r->arena, p->schema,
                                          value_at(rows, i));
    }

    value_set_object(&body);
    *value_put(r->arena, &body, "data") = *rows;
    value_set_null(value_put(r->arena, &body, "next"));

    if (more) {
        page_next(r, p, &body,
                  value_cstr(value_get(value_at(rows, p->size - 1), "id")));
    }

    admin_json(r, 200, &body);
}


static int
crud_by_custom_id(admin_request_t *r, dao_t *d)
{
    int           rc;
    value_t       body, id, *data, *row;
    const char   *text;
    dao_where_t   where;

    text = admin_arg(r, "custom_id");

    if (*text == '\0') {
        admin_message(r, 400, "custom_id must be an unempty string");
        return DAO_OK;
    }

    value_set_string(&id, text, strlen(text));
    where.field = "custom_id";
    where.value = &id;
    rc = dao_find(d, r->route->schema, &where, 1, &row);

    if (rc == DAO_FAILED) {
        return rc;
    }

    value_set_object(&body);
    data = value_put(r->arena, &body, "data");
    value_set_array(data);

    if (row != NULL) {
        *value_append(r->arena, data) = *row;
    }

    value_set_null(value_put(r->arena, &body, "next"));
    admin_json(r, 200, &body);

    return DAO_OK;
}


/* /E/K and /P/K/E/K2 */
static void
crud_one(admin_request_t *r, dao_t *d, const admin_str_t *key,
    const value_t *parent)
{
    value_t  *row;

    if (crud_find(r, d, r->route->schema, key, parent, &row) == DAO_FAILED) {
        crud_fail(r, d);
        return;
    }

    if (parent != NULL && r->method != ADMIN_PUT
        && !crud_belongs(r, row, parent))
    {
        admin_message(r, 404, "Not found");
        return;
    }

    switch (r->method) {

    case ADMIN_GET:
        crud_get(r, d, key, row);
        return;

    case ADMIN_DELETE:
        crud_delete(r, d, row);
        return;

    case ADMIN_PUT:
        if (!crud_special(r->route->schema)->put_updates) {
            crud_put(r, d, key, row, parent);
            return;
        }

        if (!crud_belongs(r, row, parent)) {
            admin_message(r, 404, "Not found");
            return;
        }

        crud_patch(r, d, key, row, parent);
        return;

    default:
        crud_patch(r, d, key, row, parent);
        return;
    }
}


static void
crud_get(admin_request_t *r, dao_t *d, const admin_str_t *key, value_t *row)
{
    if (row != NULL) {
        crud_show(r, d, 200, row);

    } else if (crud_special(r->route->schema)->long_missing) {
        crud_missing(r, d, key);

    } else {
        admin_message(r, 404, "Not found");
    }
}


/* /E/K/<foreign field> */
static void
crud_parent(admin_request_t *r, dao_t *d, value_t *child)
{
    value_t      *id, *row;
    admin_str_t   key;

    id = value_get(value_get(child, r->route->foreign->name), "id");
    row = NULL;

    if (value_is_null(id) && r->method != ADMIN_PUT) {
        admin_message(r, 404, "Not found");
        return;
    }

    if (r->method == ADMIN_DELETE) {
        admin_message(r, 405, "Method not allowed");
        return;
    }

    key.data = NULL;
    key.len = 0;

    if (!value_is_null(id)) {
        key.data = id->u.string;
        key.len = id->len;

        if (crud_find_id(d, r->route->schema, id, &row) == DAO_FAILED) {
            crud_fail(r, d);
            return;
        }
    }

    switch (r->method) {

    case ADMIN_GET:
        crud_get(r, d, &key, row);
        return;

    case ADMIN_PUT:
        crud_parent_put(r, d, &key, row, child);
        return;

    default:
        crud_patch(r, d, &key, row, NULL);
        return;
    }
}


/* DAO_NONE: *row is NULL */
static int
crud_find(admin_request_t *r, dao_t *d, const schema_t *s,
    const admin_str_t *key, const value_t *parent, value_t **row)
{
    value_t                v, fields;
    dao_where_t            where;
    const crud_special_t  *special;

    *row = NULL;
    value_set_string(&v, key->data, key->len);

    if (entities_is_id(key)) {
        return crud_find_id(d, s, &v, row);
    }

    special = crud_special(s);

    if (special->find != NULL
        && (parent != NULL || s->endpoint_key == NULL))
    {
        return special->find(r, d, key, parent, row);
    }

    if (s->endpoint_key == NULL) {
        value_set_object(&fields);
        value_set_string(value_put(r->arena, &fields, "id"),
                         "expected a valid UUID", 21);

        return dao_fail(d, 400, 1, "invalid primary key", "invalid primary "
                        "key: '{id=\"expected a valid UUID\"}'", &fields);
    }

    if (entities_check_key(r, s, key) == -1) {
        return dao_fail(d, 0, 0, NULL, NULL, NULL);
    }

    where.field = s->endpoint_key;
    where.value = &v;

    return dao_find(d, s, &where, 1, row);
}


static int
crud_find_id(dao_t *d, const schema_t *s, const value_t *id, value_t **row)
{
    dao_where_t  where;

    where.field = "id";
    where.value = id;

    return dao_find(d, s, &where, 1, row);
}


static unsigned
crud_belongs(admin_request_t *r, const value_t *row, const value_t *parent)
{
    const value_t  *id;

    id = value_get(value_get(row, r->route->foreign->name), "id");

    return id != NULL && value_equal(id, value_get(parent, "id"));
}


void
crud_show(admin_request_t *r, dao_t *d, int status, const value_t *row)
{
    value_t                rows;
    const crud_special_t  *special;

    special = crud_special(r->route->schema);
    value_set_array(&rows);
    *value_append(r->arena, &rows) = *row;

    if (special->show != NULL && special->show(r, d, &rows) == DAO_FAILED) {
        crud_fail(r, d);
        return;
    }

    admin_json(r, status, show_entity(r->arena, r->route->schema,
                                      value_at(&rows, 0)));
}


void
crud_missing(admin_request_t *r, dao_t *d, const admin_str_t *key)
{
    value_t          v;
    const schema_t  *s;

    s = r->route->schema;
    value_set_string(&v, key->data, key->len);

    (void) dao_missing(d, (entities_is_id(key) || s->endpoint_key == NULL)
                          ? "id" : s->endpoint_key, &v);
    crud_fail(r, d);
}


/* status 0: it was answered already */
void
crud_fail(admin_request_t *r, dao_t *d)
{
    dao_error_t  *e;

    e = &d->error;

    if (e->status == 0) {
        return;
    }

    if (e->code == 0) {
        admin_message(r, e->status, e->message);
        return;
    }

    entities_error(r, e->status, e->code, e->name, e->message,
                   value_is_null(&e->fields) ? NULL : &e->fields);
}


/* uses of tags, as the triggers of the database note them */
void
crud_tags(admin_request_t *r, dao_t *d)
{
    int          i, n;
    size_t       args_n;
    page_t       p;
    value_t      body, *data, *out, tag;
    pg_arg_t     args[4];
    PGresult    *res;

    static const char  sql[] =
        "SELECT entity_id::text, entity_name, t.tag, t.at::text "
        "FROM tags, unnest(tags) WITH ORDINALITY AS t (tag, at) "
        "WHERE ($1::uuid IS NULL OR entity_id > $1 "
        "OR (entity_id = $1 AND t.at > $2)) "
        "AND ($4::text IS NULL OR (tags @> ARRAY[$4] AND t.tag = $4)) "
        "ORDER BY entity_id, t.at LIMIT $3";

    memset(&p, 0, sizeof(p));
    p.paired = 1;

    if (page_init(r, &p) == -1) {
        return;
    }

    args[0].type = PG_TYPE_UUID;
    args[0].text = p.after;
    args[1].type = PG_TYPE_INT8;
    args[1].text = arena_printf(r->arena, "%zu", p.skip);
    args[2].type = PG_TYPE_INT8;
    args[2].text = arena_printf(r->arena, "%zu", p.size + 1);
    args[3].type = PG_TYPE_TEXT;
    args[3].text = NULL;

    if (r->n_segments == 2) {
        value_set_string(&tag, r->segments[1].data, r->segments[1].len);
        args[3].text = tag.u.string;

        if (!dao_text_good(tag.u.string, tag.len, &args_n)) {
            args[3].text = "";
        }
    }

    res = dao_query(d, NULL, sql, args, 4);

    if (res == NULL) {
        crud_fail(r, d);
        return;
    }

    value_set_object(&body);
    data = value_put(r->arena, &body, "data");
    value_set_array(data);
    n = PQntuples(res);

    for (i = 0; i < n && i < (int) p.size; i++) {
        out = value_append(r->arena, data);
        value_set_object(out);
        value_copy_string(r->arena, value_put(r->arena, out, "tag"),
                          PQgetvalue(res, i, 2),
                          (size_t) PQgetlength(res, i, 2));
        value_copy_string(r->arena, value_put(r->arena, out, "entity_name"),
                          PQgetvalue(res, i, 1),
                          (size_t) PQgetlength(res, i, 1));
        value_copy_string(r->arena, value_put(r->arena, out, "entity_id"),
                          PQgetvalue(res, i, 0),
                          (size_t) PQgetlength(res, i, 0));
    }

    value_set_null(value_put(r->arena, &body, "next"));

    if (n > (int) p.size) {
        p.skip = strtoul(PQgetvalue(res, i - 1, 3), NULL, 10);
        page_next(r, &p, &body, arena_printf(r->arena, "%s",
                                             PQgetvalue(res, i - 1, 0)));
    }

    PQclear(res);
    admin_json(r, 200, &body);
}
