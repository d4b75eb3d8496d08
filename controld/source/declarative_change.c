/*
 * declarative_change: a configuration from the one before it and a text that
 * differs in a few items of one list.  Those items are read, checked and given
 * ids as a document of their own; all others keep their rows, with the ids and
 * times that these had.  What concerns more than one entity (names that are
 * taken, references) is checked over all of them.
 *
 * Nothing is reported from here: whatever is not plainly good is read whole,
 * which finds the same error with its line, or that there is none.
 */

#include <string.h>

#include "../model/uuid.h"
#include "declarative_change.h"


static void change_release(decl_change_t *ch);
static int change_run(decl_change_t *ch, const declarative_opts_t *opts);
static int change_rows(decl_change_t *ch, value_t *doc,
    const declarative_opts_t *opts);
static int change_tables(decl_change_t *ch);
static void change_places(decl_change_t *ch);
static int change_table(decl_change_t *ch, size_t i);
static arena_t *change_keep(decl_change_t *ch, arena_t *a);
static int change_gone(decl_change_t *ch);
static int change_referenced(decl_change_t *ch, size_t kind, value_t *gone);
static int change_unique(decl_change_t *ch);
static int change_unique_field(decl_change_t *ch, size_t kind,
    const char *field);
static const char *change_text_of(const value_t *row, const char *field,
    size_t *len);


config_t *
decl_change(const config_t *before, arena_t *arena, const decl_origin_t *head,
    const declarative_opts_t *opts, jmp_buf *outer)
{
    int                       rc;
    decl_change_t             one;
    jmp_buf                   oom;
    decl_change_t *volatile   ch;

    ch = &one;
    memset(ch, 0, sizeof(decl_change_t));
    ch->before = before;
    ch->old = before->origin;
    ch->head = head;
    ch->origin = arena;

    if (ch->old == NULL || ch->old->syntax != head->syntax
        || ch->old->opts != head->opts || decl_slice_find(ch) != 0)
    {
        return NULL;
    }

    ch->rows = arena_new();
    ch->scratch = arena_new();
    ch->config = config_new();

    if (outer != NULL) {
        if (setjmp(oom) != 0) {
            change_release(ch);
            longjmp(*outer, 1);
        }

        ch->rows->oom = &oom;
        ch->scratch->oom = &oom;
        ch->config->arena->oom = &oom;
        arena->oom = &oom;
    }

    rc = change_run(ch, opts);

    if (rc != 0) {
        change_release(ch);
        return NULL;
    }

    decl_release(&ch->d);
    arena_free(ch->scratch);
    arena->oom = NULL;
    ch->rows->oom = NULL;
    ch->config->arena->oom = NULL;
    ch->share->origin = arena;

    return ch->config;
}


static void
change_release(decl_change_t *ch)
{
    decl_release(&ch->d);
    ch->origin->oom = NULL;

    /* rows are the configuration's once it has a share */
    if (ch->share == NULL) {
        arena_free(ch->rows);
    }

    arena_free(ch->scratch);
    config_free(ch->config);
}


static int
change_run(decl_change_t *ch, const declarative_opts_t *opts)
{
    size_t    i;
    value_t  *doc;

    ch->share = decl_share_new(ch->config, ch->old->n_chunks + 1);
    ch->share->chunks[ch->old->n_chunks] = ch->rows;

    doc = decl_slice_parse(ch);

    if (doc == NULL || change_rows(ch, doc, opts) != 0
        || change_tables(ch) != 0)
    {
        return -1;
    }

    if (decl_link_rows(&ch->d, ch->config) != 0 || change_gone(ch) != 0
        || change_unique(ch) != 0)
    {
        return -1;
    }

    for (i = 0; i < ch->d.n_order; i++) {
        decl_done(&ch->d, ch->d.order[i]);
    }

    ch->config->loaded_at = ch->d.ctx.now;

    return decl_change_origin(ch);
}


static int
change_rows(decl_change_t *ch, value_t *doc, const declarative_opts_t *opts)
{
    size_t       i, len;
    const char  *key;
    decl_row_t  *row;

    decl_init(&ch->d, ch->scratch, ch->scratch, ch->rows, opts);
    decl_collect(&ch->d, doc);
    decl_make_ids(&ch->d);
    decl_check(&ch->d);

    if (ch->d.errors->len != 0) {
        return -1;
    }

    for (i = 0; i < ch->d.n_order; i++) {
        row = ch->d.order[i];

        if (row->dead || !row->kind->uuid || !value_is_null(&row->ttl)) {
            return -1;
        }

        if (row->kind->endpoint == NULL) {
            continue;
        }

        /* names win over ids: one that looks like an id may be meant by
         * rows that are not looked at here */

        key = change_text_of(row->entity, row->kind->endpoint->name, &len);

        if (key != NULL && uuid_is_valid(key, len)) {
            return -1;
        }
    }

    return 0;
}


static int
change_tables(decl_change_t *ch)
{
    size_t  i, n;

    n = ch->d.n_kinds;
    ch->at = arena_zalloc(ch->scratch, n * sizeof(size_t));
    ch->n_old = arena_zalloc(ch->scratch, n * sizeof(size_t));
    ch->n_new = arena_zalloc(ch->scratch, n * sizeof(size_t));

    change_places(ch);

    for (i = 0; i < n; i++) {
        if (change_table(ch, i) != 0) {
            return -1;
        }
    }

    return 0;
}


/* where the slice's rows are among those of their tables */

static void
change_places(decl_change_t *ch)
{
    size_t              i, k, row;
    uint32_t            item;
    const decl_part_t  *p, *part;

    part = ch->slice.part;

    for (p = ch->old->parts; p != part; p++) {
        for (i = 0; i < ch->d.n_kinds; i++) {
            ch->at[i] += p->totals[i];
        }
    }

    for (item = 0; item < ch->slice.last; item++) {
        for (k = 0; k < part->n_tables; k++) {
            row = part->counts[(size_t) item * part->n_tables + k];

            if (item < ch->slice.first) {
                ch->at[part->tables[k]] += row;

            } else {
                ch->n_old[part->tables[k]] += row;
            }
        }
    }

    for (i = 0; i < ch->d.n_order; i++) {
        ch->n_new[ch->d.order[i]->kind - ch->d.kinds]++;
    }
}


static int
change_table(decl_change_t *ch, size_t i)
{
    size_t            k, n;
    arena_t          *a;
    config_table_t   *t;
    decl_share_t     *from;
    config_splice_t   sp;

    t = &ch->config->tables[i];
    from = ch->before->owner;

    memset(&sp, 0, sizeof(config_splice_t));
    sp.from = &ch->before->tables[i];

    if (sp.from->n == 0 && ch->n_new[i] == 0) {
        return 0;
    }

    if (ch->n_old[i] == 0 && ch->n_new[i] == 0) {
        *t = *sp.from;
        ch->share->tables[i] = change_keep(ch, from->tables[i]);
        ch->share->indexes[i] = change_keep(ch, from->indexes[i]);
        return 0;
    }

    sp.at = ch->at[i];
    sp.n = ch->n_old[i];
    sp.n_rows = ch->n_new[i];
    sp.rows = arena_alloc(ch->scratch, (sp.n_rows + 1) * sizeof(value_t *));

    for (k = 0, n = 0; k < ch->d.n_order; k++) {
        if (ch->d.order[k]->kind == &ch->d.kinds[i]) {
            sp.rows[n] = value_new(ch->rows);
            *sp.rows[n] = *ch->d.order[k]->entity;
            ch->d.order[k]->entity = sp.rows[n++];
        }
    }

    a = arena_new();
    ch->share->tables[i] = a;
    a->oom = ch->scratch->oom;

    if (config_splice(t, a, &sp) != 0) {
        return -1;
    }

    a->oom = NULL;
    ch->share->indexes[i] = sp.same_keys
                            ? change_keep(ch, from->indexes[i])
                            : arena_ref(a);

    return 0;
}


/* what a table has no arena for lives in its configuration's */

static arena_t *
change_keep(decl_change_t *ch, arena_t *a)
{
    return arena_ref(a != NULL ? a : ch->before->arena);
}


/*
 * Rows that are not looked at may refer to an entity of the slice.  That is
 * fine as long as it is still there under the same id and the same name.
 */

static int
change_gone(decl_change_t *ch)
{
    size_t           i, k, len, key_len;
    value_t         *row, *now, gone;
    const char      *id, *key, *field, *same;
    config_table_t  *t;

    for (i = 0; i < ch->d.n_kinds; i++) {
        t = &ch->before->tables[i];
        field = t->schema->endpoint_key;

        memset(&gone, 0, sizeof(value_t));
        value_set_object(&gone);

        for (k = 0; k < ch->n_old[i]; k++) {
            row = t->rows[ch->at[i] + k];
            id = change_text_of(row, "id", &len);
            now = config_by_id(ch->config, t->schema->name, id, len);

            if (now != NULL && field != NULL) {
                key = change_text_of(row, field, &key_len);
                same = change_text_of(now, field, &key_len);

                if ((key == NULL) != (same == NULL)
                    || (key != NULL && strcmp(key, same) != 0))
                {
                    now = NULL;
                }
            }

            if (now == NULL) {
                (void) value_putn(ch->scratch, &gone, id, len);
            }
        }

        if (gone.len != 0 && change_referenced(ch, i, &gone)) {
            return -1;
        }
    }

    return 0;
}


/* by a row that is not new */

static int
change_referenced(decl_change_t *ch, size_t kind, value_t *gone)
{
    size_t            i, j, k, len;
    const char       *id;
    config_table_t   *t;
    decl_kind_t      *from;

    for (i = 0; i < ch->d.n_kinds; i++) {
        from = &ch->d.kinds[i];
        t = &ch->config->tables[i];

        for (j = 0; j < from->n_foreign; j++) {

            if (from->foreign[j].kind != &ch->d.kinds[kind]) {
                continue;
            }

            for (k = 0; k < t->n; k++) {

                if (k == ch->at[i] && ch->n_new[i] != 0) {
                    k += ch->n_new[i] - 1;
                    continue;
                }

                id = change_text_of(value_get(t->rows[k],
                                              from->foreign[j].field->name),
                                    "id", &len);

                if (id != NULL && value_getn(gone, id, len) != NULL) {
                    return 1;
                }
            }
        }
    }

    return 0;
}


static int
change_unique(decl_change_t *ch)
{
    size_t        i, k;
    decl_kind_t  *kind;

    for (i = 0; i < ch->d.n_kinds; i++) {
        kind = &ch->d.kinds[i];

        for (k = 0; ch->n_new[i] != 0 && k < kind->n_unique; k++) {
            if (change_unique_field(ch, i, kind->unique[k]->name) != 0) {
                return -1;
            }
        }
    }

    return 0;
}


static int
change_unique_field(decl_change_t *ch, size_t kind, const char *field)
{
    size_t           k, len, first, last;
    value_t          values, *slot;
    const char      *s;
    config_table_t  *t;

    t = &ch->config->tables[kind];
    first = ch->at[kind];
    last = first + ch->n_new[kind];

    memset(&values, 0, sizeof(value_t));
    value_set_object(&values);

    for (k = first; k < last; k++) {
        s = change_text_of(t->rows[k], field, &len);

        if (s == NULL) {
            continue;
        }

        slot = value_putn(ch->scratch, &values, s, len);

        if (slot->kind != VALUE_NULL) {
            return -1;
        }

        value_set_bool(slot, true);
    }

    for (k = 0; values.len != 0 && k < t->n; k++) {

        if (k >= first && k < last) {
            continue;
        }

        s = change_text_of(t->rows[k], field, &len);

        if (s != NULL && value_getn(&values, s, len) != NULL) {
            return -1;
        }
    }

    return 0;
}


/* a string, or the id of a reference; else NULL */

static const char *
change_text_of(const value_t *row, const char *field, size_t *len)
{
    const value_t  *v;

    v = value_get(row, field);

    if (v != NULL && v->kind == VALUE_OBJECT) {
        v = value_get(v, "id");
    }

    if (v == NULL || v->kind != VALUE_STRING) {
        return NULL;
    }

    *len = v->len;

    return v->u.string;
}
