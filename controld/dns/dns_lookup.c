/*
 * dns_lookup: the questions of one lookup and what their answers add up to.
 * A type's answers gather in its slot; CNAMEs and the targets of SRV records
 * lead to further questions of the same slot.
 */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "dns_private.h"


static void dns_answer(void *data, resolver_rc_t rc,
    const resolver_record_t *records, size_t n);
static void dns_answer_address(dns_question_t *q,
    const resolver_record_t *records, size_t n);
static void dns_answer_srv(dns_question_t *q,
    const resolver_record_t *records, size_t n);
static void dns_srv_target(dns_question_t *q, const resolver_record_t *srv,
    const resolver_record_t *records, size_t n);
static uint32_t dns_add_name(dns_addresses_t *to, const char *name);
static void dns_ttl(dns_slot_t *slot, double ttl);


void
dns_ask(dns_lookup_t *l, dns_slot_t *slot, const char *name,
    const dns_question_t *from, unsigned type)
{
    dns_question_t  *q;

    q = calloc(1, sizeof(dns_question_t));
    if (q == NULL) {
        slot->rc = RESOLVER_FAILED;
        return;
    }

    if (from != NULL) {
        *q = *from;
        q->depth++;
    }

    q->lookup = l;
    q->slot = slot;
    q->type = type;

    l->refs++;
    slot->pending++;

    /* what an answer names is a full name */
    resolver_ask(l->entry->dns->resolver, name, type, from == NULL,
                 dns_answer, q);
}


static void
dns_answer(void *data, resolver_rc_t rc, const resolver_record_t *records,
    size_t n)
{
    dns_question_t  *q = data;
    dns_lookup_t    *l;

    l = q->lookup;
    q->slot->pending--;

    if (l->entry != NULL) {

        if (rc == RESOLVER_OK) {
            if (q->type == RESOLVER_SRV) {
                dns_answer_srv(q, records, n);
            } else {
                dns_answer_address(q, records, n);
            }

        } else if (rc == RESOLVER_FAILED) {
            q->slot->rc = RESOLVER_FAILED;
        }

        dns_evaluate(l);
    }

    dns_lookup_put(l);
    free(q);
}


static void
dns_answer_address(dns_question_t *q, const resolver_record_t *records,
    size_t n)
{
    size_t                    i, found;
    const resolver_record_t  *alias;

    found = 0;
    alias = NULL;

    for (i = 0; i < n; i++) {

        if (records[i].type == q->type) {
            dns_add(q->slot, records[i].addr, q->type == RESOLVER_AAAA,
                    q->by_srv ? &q->srv : NULL);
            dns_ttl(q->slot, records[i].ttl);
            found++;

        } else if (records[i].type == RESOLVER_CNAME) {
            /* the last of the chain is where to go on */
            alias = &records[i];
            dns_ttl(q->slot, records[i].ttl);
        }
    }

    if (found == 0 && alias != NULL && q->depth < DNS_DEPTH) {
        dns_ask(q->lookup, q->slot, alias->target, q, q->type);
    }
}


static void
dns_answer_srv(dns_question_t *q, const resolver_record_t *records, size_t n)
{
    size_t    i;
    unsigned  top;

    top = 65536;

    for (i = 0; i < n; i++) {
        if (records[i].type == RESOLVER_SRV && records[i].priority < top) {
            top = records[i].priority;
        }
    }

    for (i = 0; i < n; i++) {
        if (records[i].type == RESOLVER_SRV && records[i].priority == top
            && q->lookup->entry != NULL)
        {
            dns_ttl(q->slot, records[i].ttl);
            dns_srv_target(q, &records[i], records, n);
        }
    }
}


static void
dns_srv_target(dns_question_t *q, const resolver_record_t *srv,
    const resolver_record_t *records, size_t n)
{
    size_t          i, found;
    uint8_t         addr[16];
    dns_srv_t       said;
    dns_question_t  from;

    said.port = srv->port;
    said.weight = (srv->weight != 0) ? srv->weight : 1;
    memcpy(said.target, srv->target, sizeof(said.target));
    memset(addr, 0, sizeof(addr));

    /* "." says that the service is not there */
    if (srv->target[0] == '\0') {
        return;
    }

    if (inet_pton(AF_INET, srv->target, addr) == 1) {
        dns_add(q->slot, addr, 0, &said);
        return;
    }

    for (i = 0, found = 0; i < n; i++) {
        if (records[i].type == RESOLVER_A
            && strcmp(records[i].name, srv->target) == 0)
        {
            dns_add(q->slot, records[i].addr, 0, &said);
            dns_ttl(q->slot, records[i].ttl);
            found++;
        }
    }

    if (found == 0 && q->depth < DNS_DEPTH) {
        from = *q;
        from.by_srv = 1;
        from.srv = said;

        dns_ask(q->lookup, q->slot, srv->target, &from, RESOLVER_A);
    }
}


void
dns_add(dns_slot_t *slot, const uint8_t *addr, unsigned ipv6,
    const dns_srv_t *srv)
{
    size_t           i;
    uint16_t         port;
    kong_address_t  *a;

    if (slot->addresses.n == DNS_ADDRESSES) {
        return;
    }

    port = (srv != NULL) ? srv->port : 0;

    for (i = 0; i < slot->addresses.n; i++) {
        a = &slot->addresses.items[i];

        if (a->ipv6 == ipv6 && a->port == port
            && memcmp(a->addr, addr, ipv6 ? 16 : 4) == 0)
        {
            /* of two records the one whose target comes first in order, so
             * that answers may come in any */

            if (srv != NULL && a->host != 0
                && strcmp(srv->target, slot->addresses.names + a->host) < 0)
            {
                a->host = dns_add_name(&slot->addresses, srv->target);
            }

            return;
        }
    }

    a = realloc(slot->addresses.items,
                (slot->addresses.n + 1) * sizeof(kong_address_t));
    if (a == NULL) {
        return;
    }

    slot->addresses.items = a;
    a += slot->addresses.n++;

    memset(a, 0, sizeof(kong_address_t));
    memcpy(a->addr, addr, ipv6 ? 16 : 4);
    a->ipv6 = ipv6;
    a->port = port;
    a->weight = (srv != NULL) ? srv->weight : 1;
    a->flags = (srv != NULL) ? KONG_ADDRESS_SRV : 0;
    a->host = (srv != NULL) ? dns_add_name(&slot->addresses, srv->target) : 0;
}


/* its offset; 0: out of memory */
static uint32_t
dns_add_name(dns_addresses_t *to, const char *name)
{
    char      *p;
    size_t     len;
    uint32_t   at;

    len = strlen(name) + 1;
    at = (to->names_len != 0) ? to->names_len : 1;

    p = realloc(to->names, at + len);
    if (p == NULL) {
        return 0;
    }

    memcpy(p + at, name, len);
    to->names = p;
    to->names_len = at + (uint32_t) len;

    return at;
}


void
dns_ttl(dns_slot_t *slot, double ttl)
{
    if (slot->ttl < 0 || ttl < slot->ttl) {
        slot->ttl = ttl;
    }
}


/* the first type of the order that has addresses wins; a type before it that
 * is still open holds it up for a moment */
void
dns_evaluate(dns_lookup_t *l)
{
    size_t       i;
    unsigned     open;
    dns_slot_t  *best;

    if (l->entry == NULL) {
        return;
    }

    open = 0;
    best = NULL;

    for (i = 0; i < l->n && best == NULL; i++) {
        if (l->slots[i].pending != 0) {
            open = 1;

        } else if (l->slots[i].addresses.n != 0) {
            best = &l->slots[i];
        }
    }

    if (!open) {
        dns_finish(l, best);
        return;
    }

    if (best != NULL && !evtimer_pending(l->entry->timer, NULL)) {
        dns_entry_schedule(l->entry, DNS_GRACE / 1000.0);
    }
}


void
dns_lookup_put(dns_lookup_t *l)
{
    size_t  i;

    if (--l->refs != 0) {
        return;
    }

    for (i = 0; i < l->n; i++) {
        dns_addresses_release(&l->slots[i].addresses);
    }

    free(l);
}
