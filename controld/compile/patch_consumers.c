/*
 * patch_consumers: consumers, their groups and their credentials that
 * changed.  A table of credentials stays as dense as a new one: what goes
 * makes room for the last.
 */

#include <string.h>

#include "consumers.h"
#include "entities.h"
#include "patch.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


/* a table of credentials under way */
typedef struct {
    patch_t            *patch;
    kong_credential_kind_t  kind;
    uint32_t           *slots;
    uint32_t            mask;
    kong_credential_t  *records;
    uint32_t            n;
} patch_table_t;


static int patch_consumer_ids(patch_t *p);
static int patch_wanted(patch_t *p, const diff_t *d, const char *field);
static int patch_consumer(patch_t *p, diff_row_t *row);
static int patch_groups(patch_t *p);
static int patch_table(patch_t *p, kong_credential_kind_t kind,
    bytes_t *out);
static int patch_credentials(patch_t *p);
static int patch_table_remove(patch_table_t *t, const value_t *row);
static int patch_table_add(patch_table_t *t, const value_t *row);
static uint32_t patch_table_home(const patch_table_t *t,
    const kong_credential_t *c);
static kong_str_t patch_string(const patch_t *p, uint32_t ref);
static int patch_nobodys(patch_t *p, const uint8_t *credentials);


int
patch_consumers(patch_t *p)
{
    size_t       i;
    diff_t      *d;
    diff_row_t  *gone;

    d = &p->consumers;

    if (patch_consumer_ids(p) != 0) {
        return -1;
    }

    for (i = 0; i < d->n_gone; i++) {
        gone = &d->gone[i];
        gone->record = diff_ids_get(&p->consumer_ids, gone->id)->record;

        if (gone->record == KONG_NONE) {
            return -1;
        }

        if (gone->other == KONG_NONE) {
            patch_bury(p, KONG_SECTION_CONSUMERS,
                       gone->record * sizeof(kong_consumer_t));
            p->head.n_consumers--;
        }
    }

    for (i = 0; i < d->n_come; i++) {
        if (patch_consumer(p, &d->come[i]) != 0) {
            return -1;
        }
    }

    return (patch_groups(p) != 0) ? -1 : patch_credentials(p);
}


/* the records of all consumers that the change has to do with */
static int
patch_consumer_ids(patch_t *p)
{
    size_t   i, n;
    diff_t  *d;

    d = &p->consumers;
    n = d->n_gone + d->n_come + p->acls.n_gone + p->acls.n_come
        + p->plugins.n_come;

    for (i = 0; i < PATCH_CREDENTIALS; i++) {
        n += p->credentials[i].n_come;
    }

    diff_ids_init(&p->consumer_ids, p->arena, n + 1);

    for (i = 0; i < d->n_gone; i++) {
        (void) diff_ids_add(&p->consumer_ids, d->gone[i].id);
    }

    for (i = 0; i < d->n_come; i++) {
        (void) diff_ids_add(&p->consumer_ids, d->come[i].id);
    }

    if (patch_wanted(p, &p->acls, "consumer") != 0
        || patch_wanted(p, &p->plugins, "consumer") != 0)
    {
        return -1;
    }

    for (i = 0; i < PATCH_CREDENTIALS; i++) {
        if (patch_wanted(p, &p->credentials[i], "consumer") != 0) {
            return -1;
        }
    }

    if (n != 0) {
        diff_ids_find(&p->consumer_ids,
                      kong_segment_section(p->old, KONG_SECTION_CONSUMERS),
                      p->old->sections[KONG_SECTION_CONSUMERS].n,
                      sizeof(kong_consumer_t));
    }

    return 0;
}


/* whom rows that come refer to, and groups that go */
static int
patch_wanted(patch_t *p, const diff_t *d, const char *field)
{
    size_t          i;
    uint8_t         id[16];
    const value_t  *v;

    for (i = 0; i < d->n_come + d->n_gone; i++) {

        if (i >= d->n_come && d != &p->acls) {
            break;
        }

        v = value_get((i < d->n_come) ? d->come[i].row
                                      : d->gone[i - d->n_come].row, field);

        if (value_is_null(v)) {
            continue;
        }

        if (entity_id(v, id) != 0) {
            return -1;
        }

        (void) diff_ids_add(&p->consumer_ids, id);
    }

    return 0;
}


static int
patch_consumer(patch_t *p, diff_row_t *row)
{
    diff_id_t        *slot;
    kong_consumer_t  *c;
    patch_section_t  *s;

    slot = diff_ids_get(&p->consumer_ids, row->id);

    if ((slot->record == KONG_NONE) != (row->other == KONG_NONE)) {
        return -1;
    }

    c = arena_zalloc(p->arena, sizeof(kong_consumer_t));
    memcpy(c->id, row->id, sizeof(c->id));
    c->username = consumers_string(&p->w, row->row, "username");
    c->custom_id = consumers_string(&p->w, row->row, "custom_id");
    c->groups = KONG_NONE;

    if (slot->record == KONG_NONE) {
        s = patch_section(p, KONG_SECTION_CONSUMERS);
        slot->record = s->n++;
        (void) bytes_zadd(&s->bytes, sizeof(kong_consumer_t));
        p->head.n_consumers++;

    } else {
        c->groups = kong_consumer(p->old, slot->record)->groups;
    }

    row->record = slot->record;
    patch_edit(p, KONG_SECTION_CONSUMERS,
               slot->record * sizeof(kong_consumer_t), c,
               sizeof(kong_consumer_t));

    return 0;
}


/* of consumers to which a group comes or goes, all of them */
static int
patch_groups(patch_t *p)
{
    size_t           i;
    uint32_t        *groups;
    uint8_t          id[16];
    value_t        **lists, *slot;
    diff_id_t       *who;
    const value_t   *consumer;
    config_table_t  *t;

    if (p->acls.n_gone + p->acls.n_come == 0) {
        return 0;
    }

    t = config_table(p->config, "acls");
    lists = arena_zalloc(p->arena, (p->consumer_ids.mask + 1)
                                   * sizeof(value_t *));

    for (i = 0; i < p->acls.n_gone + p->acls.n_come; i++) {
        consumer = value_get((i < p->acls.n_gone)
                             ? p->acls.gone[i].row
                             : p->acls.come[i - p->acls.n_gone].row,
                             "consumer");

        if (entity_id(consumer, id) == 0) {
            who = diff_ids_get(&p->consumer_ids, id);
            lists[who - p->consumer_ids.slots] = value_new(p->arena);
            value_set_array(lists[who - p->consumer_ids.slots]);
        }
    }

    for (i = 0; i < t->n; i++) {
        if (entity_id(value_get(t->rows[i], "consumer"), id) != 0) {
            continue;
        }

        who = diff_ids_get(&p->consumer_ids, id);

        if (who != NULL && lists[who - p->consumer_ids.slots] != NULL) {
            slot = value_append(p->arena,
                                lists[who - p->consumer_ids.slots]);
            *slot = *value_get(t->rows[i], "group");
        }
    }

    for (i = 0; i <= p->consumer_ids.mask; i++) {
        who = &p->consumer_ids.slots[i];

        if (lists[i] == NULL || who->record == KONG_NONE) {
            continue;
        }

        groups = arena_alloc(p->arena, sizeof(uint32_t));
        *groups = (lists[i]->len != 0) ? values_add(&p->values, lists[i])
                                       : KONG_NONE;
        patch_edit(p, KONG_SECTION_CONSUMERS,
                   who->record * sizeof(kong_consumer_t)
                   + offsetof(kong_consumer_t, groups), groups,
                   sizeof(uint32_t));
    }

    return 0;
}


static int
patch_credentials(patch_t *p)
{
    size_t            i, n;
    bytes_t           out;
    patch_section_t  *s;

    for (i = 0, n = 0; i < PATCH_CREDENTIALS; i++) {
        n += p->credentials[i].n_gone + p->credentials[i].n_come;
    }

    if (n == 0) {
        return patch_nobodys(p, kong_segment_section(p->old,
                                                 KONG_SECTION_CREDENTIALS));
    }

    memset(&out, 0, sizeof(out));
    bytes_zadd(&out, KONG_CREDENTIAL_KINDS
                     * sizeof(kong_credential_table_t));

    for (i = 0; i < KONG_CREDENTIAL_KINDS; i++) {
        if (patch_table(p, i, &out) != 0) {
            bytes_release(&out);
            return -1;
        }
    }

    bytes_pad(&out, 8);

    s = patch_section(p, KONG_SECTION_CREDENTIALS);
    s->whole = 1;
    s->bytes = out;

    return out.failed ? -1 : patch_nobodys(p, out.data);
}


/* a table of the section, as it was or changed */
static int
patch_table(patch_t *p, kong_credential_kind_t kind, bytes_t *out)
{
    size_t                    i, room;
    diff_t                   *d, none;
    patch_table_t             t;
    const uint8_t            *base;
    kong_credential_table_t   table;

    const kong_credential_table_t  *old;

    memset(&none, 0, sizeof(none));
    base = kong_segment_section(p->old, KONG_SECTION_CREDENTIALS);
    old = (const kong_credential_table_t *) (const void *) base + kind;
    d = (kind < PATCH_CREDENTIALS) ? &p->credentials[kind] : &none;
    room = old->n + d->n_come;

    if (room == 0) {
        return 0;
    }

    for (table.n_slots = old->n_slots ? old->n_slots : 2;
         table.n_slots < 2 * room; table.n_slots *= 2)
    {
        /* void */
    }

    bytes_pad(out, 8);
    table.slots = (uint32_t) out->size;
    bytes_zadd(out, table.n_slots * sizeof(uint32_t));
    bytes_pad(out, 8);
    table.records = (uint32_t) out->size;
    bytes_zadd(out, room * sizeof(kong_credential_t));

    if (out->failed) {
        return -1;
    }

    t.patch = p;
    t.kind = kind;
    t.slots = (uint32_t *) (void *) (out->data + table.slots);
    t.mask = table.n_slots - 1;
    t.records = (kong_credential_t *) (void *) (out->data + table.records);
    t.n = old->n;

    memcpy(t.records, base + old->records, old->n * sizeof(t.records[0]));

    if (table.n_slots == old->n_slots) {
        memcpy(t.slots, base + old->slots,
               table.n_slots * sizeof(uint32_t));

    } else {
        for (i = 0; i < t.n; i++) {
            t.slots[patch_table_home(&t, &t.records[i])] = (uint32_t) i + 1;
        }
    }

    for (i = 0; i < d->n_gone; i++) {
        if (patch_table_remove(&t, d->gone[i].row) != 0) {
            return -1;
        }
    }

    for (i = 0; i < d->n_come; i++) {
        if (patch_table_add(&t, d->come[i].row) != 0) {
            return -1;
        }
    }

    out->size = table.records + t.n * sizeof(kong_credential_t);
    table.n = t.n;
    memcpy(out->data + kind * sizeof(table), &table, sizeof(table));

    return 0;
}


static uint32_t
patch_table_hash(const patch_table_t *t, const kong_credential_t *c)
{
    kong_str_t  key;

    key = patch_string(t->patch, c->key);

    return (uint32_t) kong_credential_hash(t->kind, key.data, key.len)
           & t->mask;
}


/* the slot of a record that has none yet */
static uint32_t
patch_table_home(const patch_table_t *t, const kong_credential_t *c)
{
    uint32_t  i;

    i = patch_table_hash(t, c);

    while (t->slots[i] != 0) {
        i = (i + 1) & t->mask;
    }

    return i;
}


static int
patch_table_remove(patch_table_t *t, const value_t *row)
{
    uint8_t         id[16];
    uint32_t        i, j, home, last, record;
    const value_t  *key;

    key = value_get(row, consumers_kinds[t->kind].key);

    if (key == NULL || key->kind != VALUE_STRING || entity_id(row, id) != 0) {
        return -1;
    }

    i = (uint32_t) kong_credential_hash(t->kind, key->u.string, key->len)
        & t->mask;

    while (t->slots[i] != 0
           && memcmp(t->records[t->slots[i] - 1].id, id, sizeof(id)) != 0)
    {
        i = (i + 1) & t->mask;
    }

    if (t->slots[i] == 0) {
        return -1;
    }

    record = t->slots[i] - 1;

    /* no probe may end at the gap: what it would have passed moves up */

    for (j = (i + 1) & t->mask; t->slots[j] != 0; j = (j + 1) & t->mask) {
        home = patch_table_hash(t, &t->records[t->slots[j] - 1]);

        if (((j - home) & t->mask) >= ((j - i) & t->mask)) {
            t->slots[i] = t->slots[j];
            i = j;
        }
    }

    t->slots[i] = 0;
    last = --t->n;

    if (record != last) {
        for (i = patch_table_hash(t, &t->records[last]);
             t->slots[i] != last + 1; i = (i + 1) & t->mask)
        {
            /* void */
        }

        t->slots[i] = record + 1;
        t->records[record] = t->records[last];
    }

    memset(&t->records[last], 0, sizeof(kong_credential_t));

    return 0;
}


static int
patch_table_add(patch_table_t *t, const value_t *row)
{
    uint8_t             id[16];
    patch_t            *p;
    kong_credential_t  *c;
    const value_t      *consumer;

    p = t->patch;
    c = &t->records[t->n];

    if (consumers_record(&p->w, &p->values, &consumers_kinds[t->kind], row,
                         c)
        != 0 || p->w.failed)
    {
        return -1;
    }

    consumer = value_get(row, "consumer");

    if (!value_is_null(consumer)) {
        if (entity_id(consumer, id) != 0) {
            return -1;
        }

        c->consumer = diff_ids_get(&p->consumer_ids, id)->record;

        if (c->consumer == KONG_NONE) {
            return -1;
        }
    }

    t->slots[patch_table_home(t, c)] = ++t->n;

    return 0;
}


/* an old string, or one that has come */
static kong_str_t
patch_string(const patch_t *p, uint32_t ref)
{
    kong_str_t  s;

    if (ref < WRITER_STRINGS + p->w.first) {
        return kong_segment_str(p->old, ref);
    }

    s.data = (const char *) p->w.strings.data
             + (ref - WRITER_STRINGS - p->w.first);
    s.len = kong_u32((const uint8_t *) s.data);
    s.data += sizeof(uint32_t);

    return s;
}


/* credentials of a consumer that is gone: the rest of the way is not short */
static int
patch_nobodys(patch_t *p, const uint8_t *credentials)
{
    size_t    i, k;
    uint8_t  *gone;
    unsigned  any;

    const kong_credential_t        *c;
    const kong_credential_table_t  *t;

    gone = arena_zalloc(p->arena,
                        p->old->sections[KONG_SECTION_CONSUMERS].n
                        + p->consumers.n_come + 1);

    for (i = 0, any = 0; i < p->consumers.n_gone; i++) {
        if (p->consumers.gone[i].other == KONG_NONE) {
            gone[p->consumers.gone[i].record] = 1;
            any = 1;
        }
    }

    for (k = 0; any && k < KONG_CREDENTIAL_KINDS; k++) {
        t = (const kong_credential_table_t *) (const void *) credentials + k;
        c = (const kong_credential_t *) (const void *)
            (credentials + t->records);

        for (i = 0; i < t->n; i++) {
            if (c[i].consumer != KONG_NONE && gone[c[i].consumer]) {
                return -1;
            }
        }
    }

    return 0;
}
