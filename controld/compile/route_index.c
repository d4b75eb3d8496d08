/*
 * route_index: the assembly of a whole index: a trie a host, then the table
 * of hosts.
 */

#include <stdlib.h>
#include <string.h>

#include "route_items.h"
#include "route_rank.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


static int index_write(route_items_t *it, bytes_t *out);
static int index_write_tries(route_items_t *it, bytes_t *out);
static void index_write_slots(const route_items_t *it, bytes_t *out);
static void index_slot_put(kong_index_t *head, const route_host_t *h);


int
route_index_build(const route_rule_t *rules, size_t n, route_index_t *out,
    size_t *bad, const char **err)
{
    int            rc;
    bytes_t        index, predicates;
    route_items_t  it;

    memset(&index, 0, sizeof(index));
    memset(&predicates, 0, sizeof(predicates));
    memset(out, 0, sizeof(route_index_t));

    rc = route_items_make(&it, rules, n,
                          route_ranks(rules, n, &out->order), NULL);

    if (rc == 0) {
        rc = index_write(&it, &index);
        rules_finish(&it.rb, &predicates);
    }

    if (rc == 0 && (index.failed || predicates.failed)) {
        it.err = "the route index is larger than a segment can be";
        rc = -1;
    }

    if (rc == 0) {
        out->index = index.data;
        out->index_size = index.size;
        out->predicates = predicates.data;
        out->predicates_size = predicates.size;
        out->n_rules = (uint32_t) (it.rb.starts.size / sizeof(uint32_t) - 1);
        route_index_take(out, &it);

    } else {
        bytes_release(&index);
        bytes_release(&predicates);
        route_index_release(out);
        *bad = it.bad;
        *err = it.err;
    }

    route_items_release(&it);

    return rc;
}


void
route_index_take(route_index_t *out, route_items_t *it)
{
    out->regexes = it->rb.regexes;
    out->n_regexes = it->rb.n_regexes;
    out->text = it->rb.text;

    it->rb.regexes = NULL;
    it->rb.text = NULL;
}


void
route_index_release(route_index_t *ri)
{
    free(ri->index);
    free(ri->edits);
    free(ri->predicates);
    free(ri->regexes);
    free(ri->text);
    route_ranking_release(&ri->order);
    memset(ri, 0, sizeof(route_index_t));
}


static int
index_write(route_items_t *it, bytes_t *out)
{
    size_t         n, n_slots;
    kong_index_t  *head;

    n = it->n_hosts - 1;
    n_slots = (n == 0) ? 0 : n + n * 2 / 5 + 2;

    (void) bytes_zadd(out, sizeof(kong_index_t));
    (void) bytes_zadd(out, n_slots * sizeof(kong_index_slot_t));

    if (out->failed) {
        return 0;
    }

    head = (void *) out->data;
    head->n_slots = (uint32_t) n_slots;
    head->n_hosts = (uint32_t) n;
    head->buckets = (uint32_t) out->size;

    if (index_write_tries(it, out) != 0) {
        return -1;
    }

    if (!out->failed) {
        index_write_slots(it, out);
    }

    return 0;
}


static int
index_write_tries(route_items_t *it, bytes_t *out)
{
    int             rc;
    size_t          i, end;
    route_host_t   *h;
    trie_builder_t  tb;

    rc = trie_init(&tb, out, it->max, &it->rb);

    for (i = 0; i < it->n_hosts && rc == 0; i++) {
        h = &it->hosts[i];
        end = (i + 1 < it->n_hosts) ? it->hosts[i + 1].n : it->n_items;

        if (end == h->n) {
            continue;
        }

        h->offset = (uint32_t) out->size;

        if (i != 0) {
            route_bucket_put(out, h);
        }

        rc = trie_build(&tb, it->items + h->n, end - h->n);
    }

    if (rc != 0 && tb.bad != NULL) {
        it->err = "there are too many paths inside one another";
    }

    trie_release(&tb);

    return rc;
}


/* what stands before a trie that is not that of all hosts */
void
route_bucket_put(bytes_t *out, const route_host_t *h)
{
    kong_bucket_t  b;

    b.len = (uint16_t) h->host.len;
    b.kind = (uint16_t) h->kind;
    bytes_put(out, &b, sizeof(b));
    bytes_put(out, h->host.data, h->host.len);
    bytes_pad(out, 4);
}


static void
index_write_slots(const route_items_t *it, bytes_t *out)
{
    size_t               i;
    kong_index_t        *head;
    const route_host_t  *h;

    head = (kong_index_t *) (void *) out->data;
    head->root = it->hosts[0].offset;

    for (i = 1; i < it->n_hosts; i++) {
        h = &it->hosts[i];
        index_slot_put(head, h);
    }
}


/* the table has a free slot */
static void
index_slot_put(kong_index_t *head, const route_host_t *h)
{
    size_t              slot;
    kong_index_slot_t  *slots;

    slots = (kong_index_slot_t *) (head + 1);
    slot = kong_host_slot(h->hash, head->n_slots);

    while (slots[slot].bucket != 0) {
        if (++slot == head->n_slots) {
            slot = 0;
        }
    }

    slots[slot].hash = (uint32_t) h->hash;
    slots[slot].bucket = h->offset;
    route_host_length(head, h);
}


/* wildcards are only looked for by lengths that there are */
void
route_host_length(kong_index_t *head, const route_host_t *h)
{
    if (h->kind == KONG_HOST_SUFFIX) {
        head->suffix_lens |= kong_host_len_bit(h->host.len);

    } else if (h->kind == KONG_HOST_PREFIX) {
        head->prefix_lens |= kong_host_len_bit(h->host.len);
    }
}
