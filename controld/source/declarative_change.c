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

#include "../model/json.h"
#include "../model/uuid.h"
#include "declarative_origin.h"
#include "yaml.h"


#define CHANGE_BLOCK  4096
#define CHANGE_SPARE  (1024 * 1024)


/* the items [first, last) of a part, and where they are in the new text */
typedef struct {
    const decl_part_t    *part;
    uint32_t              first;
    uint32_t              last;
    size_t                start;
    size_t                end;
} change_slice_t;

typedef struct {
    const config_t       *before;
    const decl_origin_t  *old;
    const decl_origin_t  *head;
    arena_t              *origin;     /* of the new text */
    arena_t              *rows;
    arena_t              *scratch;
    config_t             *config;
    decl_share_t         *share;
    change_slice_t        slice;
    decl_t                d;
    spans_t               spans;
    size_t                prefix;     /* before the slice in what is parsed */
    size_t               *at;         /* of the new rows, by table */
    size_t               *n_old;
    size_t               *n_new;
} change_t;


static void change_release(change_t *ch);
static int change_run(change_t *ch, const declarative_opts_t *opts);
static int change_find(change_t *ch);
static size_t change_prefix(const char *one, const char *two, size_t len);
static size_t change_suffix(const char *one, const char *two, size_t len);
static uint32_t change_after(const decl_part_t *part, size_t at);
static value_t *change_parse(change_t *ch);
static char *change_text(change_t *ch, const char *name, size_t *len);
static int change_column(change_t *ch);
static int change_rows(change_t *ch, value_t *doc,
    const declarative_opts_t *opts);
static int change_tables(change_t *ch);
static void change_places(change_t *ch);
static int change_table(change_t *ch, size_t i);
static arena_t *change_keep(change_t *ch, arena_t *a);
static int change_gone(change_t *ch);
static int change_referenced(change_t *ch, size_t kind, value_t *gone);
static int change_unique(change_t *ch);
static int change_unique_field(change_t *ch, size_t kind, const char *field);
static const char *change_text_of(const value_t *row, const char *field,
    size_t *len);
static int change_origin(change_t *ch);
static void change_part(change_t *ch, decl_origin_t *o, size_t number,
    uint32_t chunk);
static void change_counts(change_t *ch, decl_part_t *to);


config_t *
decl_change(const config_t *before, arena_t *arena, const decl_origin_t *head,
    const declarative_opts_t *opts, jmp_buf *outer)
{
    int                  rc;
    change_t             one;
    jmp_buf              oom;
    change_t *volatile   ch;

    ch = &one;
    memset(ch, 0, sizeof(change_t));
    ch->before = before;
    ch->old = before->origin;
    ch->head = head;
    ch->origin = arena;

    if (ch->old == NULL || ch->old->syntax != head->syntax
        || ch->old->opts != head->opts || change_find(ch) != 0)
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
change_release(change_t *ch)
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
change_run(change_t *ch, const declarative_opts_t *opts)
{
    size_t    i;
    value_t  *doc;

    ch->share = decl_share_new(ch->config, ch->old->n_chunks + 1);
    ch->share->chunks[ch->old->n_chunks] = ch->rows;

    doc = change_parse(ch);

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

    for (i = 0; ch->d.transform && i < ch->d.n_order; i++) {
        schema_transform(&ch->d.ctx, ch->d.order[i]->kind->schema,
                         ch->d.order[i]->entity);
    }

    ch->config->loaded_at = ch->d.ctx.now;

    return change_origin(ch);
}


/* whole items around what differs, all of one list */

static int
change_find(change_t *ch)
{
    size_t               i, before, after, rest, shortest;
    const decl_part_t   *part;
    const decl_origin_t *old, *new;

    old = ch->old;
    new = ch->head;

    shortest = (old->len < new->len) ? old->len : new->len;
    before = change_prefix(old->text, new->text, shortest);
    after = change_suffix(old->text + old->len, new->text + new->len,
                          shortest - before);
    rest = old->len - after;

    for (i = 0; i < old->n_parts; i++) {
        part = &old->parts[i];

        if (part->n != 0 && part->starts[0] <= before && rest <= part->end) {
            break;
        }
    }

    if (i == old->n_parts) {
        return -1;
    }

    /* a change at an item's edge may concern its neighbour */

    ch->slice.part = part;
    ch->slice.first = change_after(part, before);
    ch->slice.first -= (ch->slice.first != 0);
    ch->slice.last = change_after(part, rest + 1);
    ch->slice.start = part->starts[ch->slice.first];
    ch->slice.end = (ch->slice.last < part->n)
                    ? part->starts[ch->slice.last] : part->end;
    ch->slice.end = ch->slice.end + new->len - old->len;

    return 0;
}


static size_t
change_prefix(const char *one, const char *two, size_t len)
{
    size_t  n;

    for (n = 0; len - n >= CHANGE_BLOCK; n += CHANGE_BLOCK) {
        if (memcmp(one + n, two + n, CHANGE_BLOCK) != 0) {
            break;
        }
    }

    while (n < len && one[n] == two[n]) {
        n++;
    }

    return n;
}


/* both end where they are pointed at */

static size_t
change_suffix(const char *one, const char *two, size_t len)
{
    size_t  n;

    for (n = 0; len - n >= CHANGE_BLOCK; n += CHANGE_BLOCK) {
        if (memcmp(one - n - CHANGE_BLOCK, two - n - CHANGE_BLOCK,
                   CHANGE_BLOCK)
            != 0)
        {
            break;
        }
    }

    while (n < len && one[-(ptrdiff_t) n - 1] == two[-(ptrdiff_t) n - 1]) {
        n++;
    }

    return n;
}


/* the first item that begins at `at` or behind it */

static uint32_t
change_after(const decl_part_t *part, size_t at)
{
    uint32_t  low, high, mid;

    low = 0;
    high = part->n;

    while (low < high) {
        mid = low + (high - low) / 2;

        if (part->starts[mid] < at) {
            low = mid + 1;

        } else {
            high = mid;
        }
    }

    return low;
}


/* the slice as a document with one list */

static value_t *
change_parse(change_t *ch)
{
    int            rc;
    char          *text;
    size_t         len;
    value_t       *doc, *v;
    const char    *name, *err;
    yaml_fault_t   fault;

    name = schema_entities[ch->slice.part->kind]->name;
    text = change_text(ch, name, &len);

    if (text == NULL) {
        return NULL;
    }

    doc = value_new(ch->rows);
    spans_init(&ch->spans, ch->scratch);

    rc = (ch->head->syntax == DECLARATIVE_JSON)
         ? json_parse_spans(ch->rows, text, len, doc, &ch->spans, &err)
         : yaml_read_spans(ch->rows, text, len, doc, NULL, &ch->spans,
                           &fault);

    if (rc != 0 || ch->spans.bad || ch->spans.n != 1
        || doc->kind != VALUE_OBJECT || doc->len != 1)
    {
        return NULL;
    }

    v = value_get(doc, name);

    if (v == NULL || v->kind != VALUE_ARRAY || v->len == 0
        || v->len != ch->spans.lists[0].n)
    {
        return NULL;
    }

    v = value_put(ch->rows, doc, "_format_version");
    value_set_string(v, "3.0", 3);

    v = value_put(ch->rows, doc, "_transform");
    value_set_bool(v, ch->old->transform);

    return doc;
}


static char *
change_text(change_t *ch, const char *name, size_t *len)
{
    char        *text, *p;
    size_t       n, size;
    unsigned     json;
    const char  *from, *end;

    json = (ch->head->syntax == DECLARATIVE_JSON);
    from = ch->head->text + ch->slice.start;
    end = ch->head->text + ch->slice.end;

    if (json && ch->slice.last < ch->slice.part->n) {

        /* what parts it from the next item stays where it is */

        while (end > from && strchr(" \t\r\n", end[-1]) != NULL) {
            end--;
        }

        if (end == from || *--end != ',') {
            return NULL;
        }
    }

    if (!json && (change_column(ch) != 0
                  || (ch->slice.end != ch->head->len
                      && (end == from || end[-1] != '\n'))))
    {
        return NULL;
    }

    size = (size_t) (end - from);
    n = strlen(name);
    text = arena_alloc(ch->scratch, size + n + sizeof("{\"\":[]}"));
    p = text;

    if (json) {
        *p++ = '{';
        *p++ = '"';
    }

    memcpy(p, name, n);
    p += n;

    memcpy(p, json ? "\":[" : ":\n", json ? 3 : 2);
    p += json ? 3 : 2;
    ch->prefix = (size_t) (p - text);

    memcpy(p, from, size);
    p += size;

    if (json) {
        *p++ = ']';
        *p++ = '}';
    }

    *len = (size_t) (p - text);

    return text;
}


/* items begin with "-" in one column, in the slice as around it */

static int
change_column(change_t *ch)
{
    size_t       i;
    const char  *old, *new;

    old = ch->old->text + ch->slice.start;
    new = ch->head->text + ch->slice.start;

    for (i = 0; ch->slice.start + i < ch->head->len; i++) {
        if (old[i] != new[i]) {
            return -1;
        }

        if (old[i] == '-') {
            return 0;
        }
    }

    return -1;
}


static int
change_rows(change_t *ch, value_t *doc, const declarative_opts_t *opts)
{
    size_t       i, len;
    const char  *key;
    decl_row_t  *row;

    decl_init(&ch->d, ch->rows, ch->scratch, opts);
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
change_tables(change_t *ch)
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
change_places(change_t *ch)
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
change_table(change_t *ch, size_t i)
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
            sp.rows[n++] = ch->d.order[k]->entity;
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
change_keep(change_t *ch, arena_t *a)
{
    return arena_ref(a != NULL ? a : ch->before->arena);
}


/*
 * Rows that are not looked at may refer to an entity of the slice.  That is
 * fine as long as it is still there under the same id and the same name.
 */

static int
change_gone(change_t *ch)
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
change_referenced(change_t *ch, size_t kind, value_t *gone)
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
change_unique(change_t *ch)
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
change_unique_field(change_t *ch, size_t kind, const char *field)
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


/*
 * What the next change is held against.  A chunk is let go with its last
 * item.  When the rows of the past take more than those of the present, all
 * is read whole again.
 */

static int
change_origin(change_t *ch)
{
    size_t                i, size;
    uint32_t              chunk;
    decl_row_t           *row;
    decl_share_t         *from;
    decl_origin_t        *o;
    const decl_origin_t  *old;

    old = ch->old;
    from = ch->before->owner;
    chunk = (uint32_t) old->n_chunks;

    o = arena_zalloc(ch->origin, sizeof(decl_origin_t));
    *o = *ch->head;
    o->transform = old->transform;
    o->random = old->random;
    o->change = 1;
    o->size = old->size;
    o->n_chunks = old->n_chunks + 1;
    o->n_parts = old->n_parts;
    o->live = arena_zalloc(ch->origin, o->n_chunks * sizeof(uint32_t));
    o->parts = arena_zalloc(ch->origin, o->n_parts * sizeof(decl_part_t));
    memcpy(o->live, old->live, old->n_chunks * sizeof(uint32_t));

    /* the place of one that is gone serves again */

    for (i = 0; i < old->n_chunks; i++) {
        if (old->live[i] == 0) {
            ch->share->chunks[i] = ch->rows;
            ch->share->chunks[chunk] = NULL;
            chunk = (uint32_t) i;
            o->n_chunks--;
            break;
        }
    }

    for (i = 0; i < ch->d.n_order; i++) {
        row = ch->d.order[i];
        o->random |= row->random | row->kind->secret;
    }

    for (i = 0; i < o->n_parts; i++) {
        change_part(ch, o, i, chunk);
    }

    ch->share->n_chunks = o->n_chunks;
    size = 0;

    for (i = 0; i < o->n_chunks; i++) {
        if (i != chunk && o->live[i] != 0) {
            ch->share->chunks[i] = arena_ref(from->chunks[i]);
        }

        size += (o->live[i] != 0) ? ch->share->chunks[i]->used : 0;
    }

    ch->config->origin = o;

    return (size > 2 * o->size + CHANGE_SPARE) ? -1 : 0;
}


/* the items from the slice on are further on, or back, in the text */

static void
change_part(change_t *ch, decl_origin_t *o, size_t number, uint32_t chunk)
{
    size_t              shift;
    uint32_t            i, k, n;
    decl_part_t        *to;
    const decl_part_t  *from;
    change_slice_t     *sl;

    sl = &ch->slice;
    to = &o->parts[number];
    from = &ch->old->parts[number];
    *to = *from;

    /* modulo its size this is a subtraction, too */
    shift = ch->head->len - ch->old->len;

    to->tables = arena_alloc(ch->origin, ch->d.n_kinds);
    memcpy(to->tables, from->tables, from->n_tables);
    to->totals = arena_alloc(ch->origin, ch->d.n_kinds * sizeof(uint32_t));
    memcpy(to->totals, from->totals, ch->d.n_kinds * sizeof(uint32_t));

    if (from->n == 0) {
        return;
    }

    n = (from == sl->part) ? ch->spans.lists[0].n : 0;
    to->n = from->n + n - ((n != 0) ? sl->last - sl->first : 0);
    to->starts = arena_alloc(ch->origin, to->n * sizeof(uint32_t));
    to->chunks = arena_alloc(ch->origin, to->n * sizeof(uint32_t));
    to->end = from->end + (uint32_t) ((from->end > sl->start) ? shift : 0);

    for (i = 0, k = 0; i < from->n; i++) {

        if (n != 0 && i == sl->first) {
            for ( ; k < sl->first + n; k++) {
                to->starts[k] = (uint32_t) (sl->start - ch->prefix)
                                + ch->spans.lists[0].starts[k - sl->first];
                to->chunks[k] = chunk;
                o->live[chunk]++;
            }
        }

        if (n != 0 && i >= sl->first && i < sl->last) {
            o->live[from->chunks[i]]--;
            continue;
        }

        to->starts[k] = from->starts[i];
        to->starts[k] += (uint32_t) ((from->starts[i] > sl->start) ? shift
                                                                   : 0);
        to->chunks[k++] = from->chunks[i];
    }

    if (n != 0) {
        change_counts(ch, to);

    } else {
        to->counts = arena_alloc(ch->origin, (size_t) to->n * to->n_tables
                                             * sizeof(uint32_t));
        memcpy(to->counts, from->counts, (size_t) to->n * to->n_tables
                                         * sizeof(uint32_t));
    }
}


/* rows by item and table; the new items may have rows in more tables */

static void
change_counts(change_t *ch, decl_part_t *to)
{
    size_t              i, k, tail;
    uint32_t           *p;
    uint64_t            known;
    decl_row_t         *row, *root;
    const decl_part_t  *from;
    uint8_t             column[64];

    from = ch->slice.part;
    known = 0;

    for (k = 0; k < from->n_tables; k++) {
        known |= (uint64_t) 1 << from->tables[k];
        column[from->tables[k]] = (uint8_t) k;
    }

    for (i = 0; i < ch->d.n_kinds; i++) {
        to->totals[i] = to->totals[i] - (uint32_t) ch->n_old[i]
                        + (uint32_t) ch->n_new[i];

        if (ch->n_new[i] != 0 && !(known >> i & 1)) {
            column[i] = (uint8_t) to->n_tables;
            to->tables[to->n_tables++] = (uint8_t) i;
        }
    }

    tail = from->n - ch->slice.last;
    to->counts = arena_zalloc(ch->origin, (size_t) to->n * to->n_tables
                                          * sizeof(uint32_t));

    for (i = 0; i < (size_t) from->n; i++) {

        if (i >= ch->slice.first && i < ch->slice.last) {
            continue;
        }

        p = to->counts + to->n_tables * ((i < ch->slice.first)
                                         ? i : i - ch->slice.last
                                               + to->n - tail);
        memcpy(p, from->counts + i * from->n_tables,
               from->n_tables * sizeof(uint32_t));
    }

    for (i = 0; i < ch->d.n_order; i++) {
        row = ch->d.order[i];

        for (root = row; root->parent != NULL; root = root->parent) {
            /* void */
        }

        k = (size_t) (row->kind - ch->d.kinds);
        p = to->counts + to->n_tables * (ch->slice.first + root->index);
        p[column[k]]++;
    }

}
