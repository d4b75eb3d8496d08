/*
 * kong_metrics: see kong_metrics.h.  Memory is cut from the front of the
 * region in cache lines; what is freed goes to the list of its kind.  Every
 * step leaves the lists sound: a worker that is killed amid one loses a block
 * or a count.
 */

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "kong_metrics.h"


#define METRICS_LINE     64
#define METRICS_PAGE     64          /* series in a page of them */
#define METRICS_STEPS    4096        /* in a list that is read without the
                                        lock */
#define METRICS_SWEEP    60          /* s */
#define METRICS_TAKEN    0x80000000u /* in kong_code_t.code */

typedef enum {
    METRICS_SERIES = 0,              /* a page of them */
    METRICS_TRAFFIC,
    METRICS_LATENCY,
    METRICS_TEXT,                    /* six sizes, each twice the one before */
    METRICS_KINDS = METRICS_TEXT + 6
} metrics_kind_t;

typedef struct metrics_free_s {
    struct metrics_free_s  *next;
} metrics_free_t;

/* one cache line; `next` is of the bucket, or of the free ones */
struct kong_series_s {
    kong_series_t       *next;
    kong_metrics_key_t   key;
    kong_cells_t        *cells[2];   /* by kong_cells_kind_t */
    char                *text;       /* three strings; NULL: free */
    uint32_t             text_kind;
    uint32_t             reserved[3];
};

struct kong_metrics_s {
    uint8_t             *start;
    size_t               size;
    size_t               used;
    uint64_t             stamp;
    uint64_t             refused;
    uint32_t             n_buckets;  /* a power of two */
    uint32_t             n_pages;
    uint32_t             n_series;   /* in use */
    uint32_t             swept;
    uint32_t             has_swept;
    kong_series_t      **buckets;
    kong_series_t      **pages;
    kong_series_t       *free_series;
    metrics_free_t      *free[METRICS_KINDS];
};


static kong_series_t *metrics_series(kong_metrics_t *m,
    const kong_metrics_key_t *key);
static kong_series_t *metrics_series_create(kong_metrics_t *m,
    const kong_metrics_key_t *key, const kong_metrics_labels_t *labels);
static kong_series_t *metrics_series_slot(kong_metrics_t *m);
static int metrics_text(kong_metrics_t *m, kong_series_t *s,
    const kong_metrics_labels_t *labels);
static size_t metrics_escape(char *out, const kong_str_t *s);
static size_t metrics_utf8(const uint8_t *p, size_t len);
static kong_cells_t *metrics_cells(kong_metrics_t *m, kong_series_t *s,
    kong_cells_kind_t kind, uint32_t owner, kong_metrics_alive_pt alive);
static void *metrics_alloc(kong_metrics_t *m, unsigned kind);
static void metrics_free(kong_metrics_t *m, unsigned kind, void *p);
static void metrics_sweep(kong_metrics_t *m, uint32_t now);
static uint32_t metrics_idle(const kong_series_t *s, uint32_t now);
static void metrics_empty(kong_metrics_t *m, kong_series_t *s);
static void metrics_drop(kong_metrics_t *m, kong_series_t *s);
static void metrics_add_traffic(const kong_traffic_t *t,
    kong_metrics_sum_t *sum);
static void metrics_add_code(const kong_code_t *code,
    kong_metrics_sum_t *sum);


static const size_t  metrics_sizes[METRICS_KINDS] = {
    METRICS_PAGE * sizeof(kong_series_t), 128, 448, 64, 128, 256, 512, 1024,
    KONG_METRICS_TEXT
};

_Static_assert(sizeof(kong_series_t) == METRICS_LINE, "a series is a line");
_Static_assert(sizeof(kong_traffic_t) == 128, "traffic is two lines");
_Static_assert(sizeof(kong_latency_t) <= 448, "latencies are seven lines");


static const uint32_t  metrics_kong_bounds[] = {
    1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000
};

static const uint32_t  metrics_upstream_bounds[] = {
    25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000
};

#define metrics_n(a)  (sizeof(a) / sizeof((a)[0]))

const kong_histogram_t  kong_histograms[KONG_LATENCIES] = {
    { metrics_kong_bounds, metrics_n(metrics_kong_bounds), 0 },
    { metrics_upstream_bounds, metrics_n(metrics_upstream_bounds), 18 },
    { metrics_upstream_bounds, metrics_n(metrics_upstream_bounds), 32 }
};


kong_metrics_t *
kong_metrics_create(void *base, size_t size)
{
    size_t           head, tables, n_pages, n_buckets;
    kong_metrics_t  *m;

    m = base;
    head = (sizeof(kong_metrics_t) + METRICS_LINE - 1) / METRICS_LINE
           * METRICS_LINE;

    /* a bucket for each kilobyte: a series with the cells of some workers */
    for (n_buckets = 64; n_buckets * 1024 < size; n_buckets *= 2) {
        /* void */
    }

    n_pages = size / metrics_sizes[METRICS_SERIES] + 1;
    tables = (n_buckets + n_pages) * sizeof(kong_series_t *);
    tables = (tables + METRICS_LINE - 1) / METRICS_LINE * METRICS_LINE;

    if (size < head + tables + 2 * metrics_sizes[METRICS_SERIES]) {
        return NULL;
    }

    m->buckets = (kong_series_t **) (void *) ((uint8_t *) base + head);
    m->pages = m->buckets + n_buckets;
    m->n_buckets = (uint32_t) n_buckets;
    m->start = base;
    m->size = size;
    m->used = head + tables;

    return m;
}


kong_metrics_key_t
kong_metrics_key(const kong_metrics_labels_t *labels)
{
    XXH128_hash_t       hash;
    kong_metrics_key_t  key;

    hash = XXH3_128bits(labels->service.data, labels->service.len);
    hash = XXH3_128bits_withSeed(labels->route.data, labels->route.len,
                                 hash.low64 ^ labels->service.len);
    key.high = hash.high64;

    hash = XXH3_128bits_withSeed(labels->consumer.data, labels->consumer.len,
                                 hash.low64 ^ labels->route.len);
    key.low = hash.low64;
    key.high ^= hash.high64;

    return key;
}


/*
 * A list may change under a reader without the lock: what it then finds is a
 * series of another bucket, or a free one, so it finds nothing.
 */

static kong_series_t *
metrics_series(kong_metrics_t *m, const kong_metrics_key_t *key)
{
    unsigned        n;
    kong_series_t  *s;

    s = __atomic_load_n(&m->buckets[key->low & (m->n_buckets - 1)],
                        __ATOMIC_ACQUIRE);

    for (n = 0; s != NULL && n < METRICS_STEPS; n++) {
        if (s->key.low == key->low && s->key.high == key->high
            && s->text != NULL)
        {
            return s;
        }

        s = __atomic_load_n(&s->next, __ATOMIC_ACQUIRE);
    }

    return NULL;
}


kong_cells_t *
kong_metrics_find(kong_metrics_t *m, const kong_metrics_key_t *key,
    kong_cells_kind_t kind, uint32_t owner)
{
    unsigned        n;
    kong_cells_t   *c;
    kong_series_t  *s;

    s = metrics_series(m, key);
    if (s == NULL) {
        return NULL;
    }

    c = __atomic_load_n(&s->cells[kind], __ATOMIC_ACQUIRE);

    for (n = 0; c != NULL && n < METRICS_STEPS; n++) {
        if (c->owner == owner && c->stamp != 0) {
            return c;
        }

        c = __atomic_load_n(&c->next, __ATOMIC_ACQUIRE);
    }

    return NULL;
}


kong_cells_t *
kong_metrics_take(kong_metrics_t *m, const kong_metrics_labels_t *labels,
    kong_cells_kind_t kind, uint32_t owner, uint32_t now,
    kong_metrics_alive_pt alive)
{
    unsigned             again;
    kong_cells_t        *c;
    kong_series_t       *s;
    kong_metrics_key_t   key;

    key = kong_metrics_key(labels);

    for (again = 0; /* void */ ; again++) {

        c = NULL;
        s = metrics_series(m, &key);

        if (s == NULL) {
            s = metrics_series_create(m, &key, labels);
        }

        if (s != NULL) {
            c = metrics_cells(m, s, kind, owner, alive);
        }

        if (c != NULL) {
            c->seen = now;
            return c;
        }

        if (s != NULL) {
            metrics_empty(m, s);
        }

        if (again || (m->has_swept && now - m->swept < METRICS_SWEEP)) {
            return NULL;
        }

        metrics_sweep(m, now);
    }
}


static kong_series_t *
metrics_series_create(kong_metrics_t *m, const kong_metrics_key_t *key,
    const kong_metrics_labels_t *labels)
{
    kong_series_t  *s, **bucket;

    s = metrics_series_slot(m);
    if (s == NULL || metrics_text(m, s, labels) != 0) {
        return NULL;
    }

    m->free_series = s->next;
    bucket = &m->buckets[key->low & (m->n_buckets - 1)];

    s->cells[0] = NULL;
    s->cells[1] = NULL;
    s->key = *key;
    s->next = *bucket;
    __atomic_store_n(bucket, s, __ATOMIC_RELEASE);

    m->n_series++;

    return s;
}


/* the first of the free ones, which it stays */
static kong_series_t *
metrics_series_slot(kong_metrics_t *m)
{
    unsigned        i;
    kong_series_t  *page;

    if (m->free_series != NULL) {
        return m->free_series;
    }

    page = metrics_alloc(m, METRICS_SERIES);
    if (page == NULL) {
        return NULL;
    }

    m->pages[m->n_pages] = page;
    __atomic_store_n(&m->n_pages, m->n_pages + 1, __ATOMIC_RELEASE);

    for (i = METRICS_PAGE; i > 0; i--) {
        page[i - 1].next = m->free_series;
        m->free_series = &page[i - 1];
    }

    return m->free_series;
}


static int
metrics_text(kong_metrics_t *m, kong_series_t *s,
    const kong_metrics_labels_t *labels)
{
    char      *p, text[KONG_METRICS_TEXT];
    size_t     len;
    unsigned   kind;

    if (labels->service.len + labels->route.len + labels->consumer.len
        > (KONG_METRICS_TEXT - 3) / 2)
    {
        return -1;
    }

    len = metrics_escape(text, &labels->service);
    len += metrics_escape(text + len, &labels->route);
    len += metrics_escape(text + len, &labels->consumer);

    for (kind = METRICS_TEXT; metrics_sizes[kind] < len; kind++) {
        /* void */
    }

    p = metrics_alloc(m, kind);
    if (p == NULL) {
        return -1;
    }

    memcpy(p, text, len);
    s->text_kind = kind;
    s->text = p;

    return 0;
}


/* as between the quotes of a label, with a NUL; what is no UTF-8 would make a
 * scraper refuse everything */
static size_t
metrics_escape(char *out, const kong_str_t *s)
{
    char        *p;
    size_t       i, n;
    const char  *c;

    p = out;

    for (i = 0; i < s->len; i += n) {
        c = s->data + i;
        n = metrics_utf8((const uint8_t *) c, s->len - i);

        if (n == 0 || *c == '\0') {
            n = 1;
            *p++ = '?';

        } else if (*c == '\n') {
            *p++ = '\\';
            *p++ = 'n';

        } else {
            if (*c == '"' || *c == '\\') {
                *p++ = '\\';
            }

            memcpy(p, c, n);
            p += n;
        }
    }

    *p++ = '\0';

    return (size_t) (p - out);
}


/* the length of the character; 0: it is none */
static size_t
metrics_utf8(const uint8_t *p, size_t len)
{
    size_t    i, n;
    uint32_t  c;

    static const uint32_t  least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    if (p[0] < 0x80) {
        return 1;
    }

    n = (p[0] >= 0xf0) ? 4 : (p[0] >= 0xe0) ? 3 : 2;

    if (p[0] < 0xc0 || p[0] > 0xf7 || n > len) {
        return 0;
    }

    c = p[0] & (0x7fu >> n);

    for (i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }

        c = c << 6 | (p[i] & 0x3f);
    }

    return (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
           ? 0 : n;
}


/* the owner's, those of one that is gone, or new ones */
static kong_cells_t *
metrics_cells(kong_metrics_t *m, kong_series_t *s, kong_cells_kind_t kind,
    uint32_t owner, kong_metrics_alive_pt alive)
{
    kong_cells_t  *c;

    for (c = s->cells[kind]; c != NULL; c = c->next) {
        if (c->owner == owner) {
            return c;
        }
    }

    for (c = s->cells[kind]; c != NULL; c = c->next) {
        if (!alive(c->owner)) {
            c->owner = owner;
            __atomic_store_n(&c->stamp, ++m->stamp, __ATOMIC_RELEASE);
            return c;
        }
    }

    c = metrics_alloc(m, kind == KONG_CELLS_TRAFFIC ? METRICS_TRAFFIC
                                                    : METRICS_LATENCY);
    if (c == NULL) {
        return NULL;
    }

    c->owner = owner;
    c->stamp = ++m->stamp;
    c->next = s->cells[kind];
    __atomic_store_n(&s->cells[kind], c, __ATOMIC_RELEASE);

    return c;
}


int
kong_metrics_more(kong_metrics_t *m, kong_traffic_t *t)
{
    unsigned         n;
    kong_traffic_t  *more;

    for (n = KONG_TRAFFIC_CODES; t->more != NULL; t = t->more) {
        n += KONG_TRAFFIC_CODES;
    }

    if (n + KONG_TRAFFIC_CODES > KONG_METRICS_CODES) {
        return -1;
    }

    more = metrics_alloc(m, METRICS_TRAFFIC);
    if (more == NULL) {
        return -1;
    }

    __atomic_store_n(&t->more, more, __ATOMIC_RELEASE);

    return 0;
}


int
kong_traffic_count(kong_traffic_t *t, uint32_t code)
{
    unsigned      i;
    kong_code_t  *c;

    code |= METRICS_TAKEN;

    for ( /* void */ ; t != NULL; t = t->more) {

        for (i = 0; i < KONG_TRAFFIC_CODES; i++) {
            c = &t->codes[i];

            if (c->code == code) {
                c->n++;
                return 0;
            }

            if (c->code == 0) {
                c->n = 1;
                __atomic_store_n(&c->code, code, __ATOMIC_RELEASE);
                return 0;
            }
        }
    }

    return -1;
}


void
kong_latency_observe(kong_latency_t *l, kong_latency_kind_t kind, uint64_t ms)
{
    uint32_t                 i;
    const kong_histogram_t  *h;

    h = &kong_histograms[kind];

    for (i = 0; i < h->n && ms > h->bounds[i]; i++) {
        /* void */
    }

    l->buckets[h->first + i]++;
    l->sums[kind] += ms;
}


/* zeros */
static void *
metrics_alloc(kong_metrics_t *m, unsigned kind)
{
    size_t           size;
    metrics_free_t  *p;

    size = metrics_sizes[kind];
    p = m->free[kind];

    if (p != NULL) {
        m->free[kind] = p->next;

    } else {
        if (m->size - m->used < size) {
            return NULL;
        }

        p = (metrics_free_t *) (void *) (m->start + m->used);
        m->used += size;
    }

    memset(p, 0, size);

    return p;
}


static void
metrics_free(kong_metrics_t *m, unsigned kind, void *p)
{
    metrics_free_t  *f;

    f = p;
    f->next = m->free[kind];
    m->free[kind] = f;
}


static void
metrics_sweep(kong_metrics_t *m, uint32_t now)
{
    uint32_t        i;
    kong_series_t  *s, **p;

    m->swept = now;
    m->has_swept = 1;

    for (i = 0; i < m->n_buckets; i++) {

        for (p = &m->buckets[i]; (s = *p) != NULL; /* void */ ) {

            if (!metrics_idle(s, now)) {
                p = &s->next;
                continue;
            }

            __atomic_store_n(p, s->next, __ATOMIC_RELEASE);
            metrics_drop(m, s);
        }
    }
}


static uint32_t
metrics_idle(const kong_series_t *s, uint32_t now)
{
    unsigned             kind;
    const kong_cells_t  *c;

    for (kind = 0; kind < 2; kind++) {
        for (c = s->cells[kind]; c != NULL; c = c->next) {
            if ((int32_t) (now - c->seen) < KONG_METRICS_KEEP) {
                return 0;
            }
        }
    }

    return 1;
}


/* a series for whose first cells there was no room */
static void
metrics_empty(kong_metrics_t *m, kong_series_t *s)
{
    kong_series_t  **p;

    if (s->cells[0] != NULL || s->cells[1] != NULL) {
        return;
    }

    for (p = &m->buckets[s->key.low & (m->n_buckets - 1)]; *p != NULL;
         p = &(*p)->next)
    {
        if (*p == s) {
            __atomic_store_n(p, s->next, __ATOMIC_RELEASE);
            metrics_drop(m, s);
            return;
        }
    }
}


static void
metrics_drop(kong_metrics_t *m, kong_series_t *s)
{
    char            *text;
    unsigned         kind;
    kong_cells_t    *c, *next;
    kong_traffic_t  *t, *more;

    text = s->text;
    s->text = NULL;
    metrics_free(m, s->text_kind, text);

    for (kind = 0; kind < 2; kind++) {
        for (c = s->cells[kind]; c != NULL; c = next) {
            next = c->next;
            t = NULL;

            if (kind == KONG_CELLS_TRAFFIC) {
                t = ((kong_traffic_t *) (void *) c)->more;
            }

            __atomic_store_n(&c->stamp, 0, __ATOMIC_RELEASE);
            metrics_free(m, kind == KONG_CELLS_TRAFFIC ? METRICS_TRAFFIC
                                                       : METRICS_LATENCY, c);

            for ( /* void */ ; t != NULL; t = more) {
                more = t->more;
                metrics_free(m, METRICS_TRAFFIC, t);
            }
        }

        s->cells[kind] = NULL;
    }

    s->next = m->free_series;
    m->free_series = s;
    m->n_series--;
}


void
kong_metrics_refuse(kong_metrics_t *m)
{
    (void) __atomic_add_fetch(&m->refused, 1, __ATOMIC_RELAXED);
}


uint64_t
kong_metrics_refused(const kong_metrics_t *m)
{
    return __atomic_load_n(&m->refused, __ATOMIC_RELAXED);
}


uint32_t
kong_metrics_series(const kong_metrics_t *m)
{
    return __atomic_load_n(&m->n_pages, __ATOMIC_ACQUIRE) * METRICS_PAGE;
}


void
kong_metrics_usage(const kong_metrics_t *m, uint32_t *n, size_t *used,
    size_t *size)
{
    *n = m->n_series;
    *used = m->used;
    *size = m->size;
}


int
kong_metrics_sum(kong_metrics_t *m, uint32_t number, kong_metrics_sum_t *sum)
{
    size_t                  i, len;
    const char             *text;
    const kong_cells_t     *c;
    const kong_series_t    *s;
    const kong_latency_t   *l;

    s = &m->pages[number / METRICS_PAGE][number % METRICS_PAGE];

    if (s->text == NULL) {
        return -1;
    }

    text = s->text;
    len = strlen(text) + 1;
    memcpy(sum->service, text, len);
    text += len;
    len = strlen(text) + 1;
    memcpy(sum->route, text, len);
    text += len;
    len = strlen(text) + 1;
    memcpy(sum->consumer, text, len);

    sum->ingress = 0;
    sum->egress = 0;
    sum->n_codes = 0;
    memset(sum->sums, 0, sizeof(sum->sums));
    memset(sum->buckets, 0, sizeof(sum->buckets));

    for (c = s->cells[KONG_CELLS_TRAFFIC]; c != NULL; c = c->next) {
        metrics_add_traffic((const kong_traffic_t *) (const void *) c, sum);
    }

    for (c = s->cells[KONG_CELLS_LATENCY]; c != NULL; c = c->next) {
        l = (const kong_latency_t *) (const void *) c;

        for (i = 0; i < KONG_LATENCIES; i++) {
            sum->sums[i] += __atomic_load_n(&l->sums[i], __ATOMIC_RELAXED);
        }

        for (i = 0; i < KONG_LATENCY_BUCKETS; i++) {
            sum->buckets[i] += __atomic_load_n(&l->buckets[i],
                                               __ATOMIC_RELAXED);
        }
    }

    return 0;
}


static void
metrics_add_traffic(const kong_traffic_t *t, kong_metrics_sum_t *sum)
{
    unsigned  i;

    sum->ingress += __atomic_load_n(&t->ingress, __ATOMIC_RELAXED);
    sum->egress += __atomic_load_n(&t->egress, __ATOMIC_RELAXED);

    for ( /* void */ ; t != NULL; t = t->more) {
        for (i = 0; i < KONG_TRAFFIC_CODES && t->codes[i].code != 0; i++) {
            metrics_add_code(&t->codes[i], sum);
        }
    }
}


/* sorted by code and source, as Kong's lines are */
static void
metrics_add_code(const kong_code_t *code, kong_metrics_sum_t *sum)
{
    uint32_t  i, k, order;

    order = (code->code & 0xffff) << 1 | (code->code >> 16 & 1);

    for (i = 0; i < sum->n_codes; i++) {
        k = (sum->codes[i].code & 0xffff) << 1
            | (sum->codes[i].code >> 16 & 1);

        if (k == order) {
            sum->codes[i].n += __atomic_load_n(&code->n, __ATOMIC_RELAXED);
            return;
        }

        if (k > order) {
            break;
        }
    }

    if (sum->n_codes == KONG_METRICS_CODES) {
        return;
    }

    memmove(&sum->codes[i + 1], &sum->codes[i],
            (sum->n_codes - i) * sizeof(kong_code_t));
    sum->codes[i].code = code->code & ~METRICS_TAKEN;
    sum->codes[i].n = __atomic_load_n(&code->n, __ATOMIC_RELAXED);
    sum->n_codes++;
}
