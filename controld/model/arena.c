/*
 * arena: blocks of memory handed out by moving a pointer and given back all
 * at once.  Blocks double in size up to a bound, so that a large configuration
 * costs few calls and a small request body little memory.  A request that
 * would waste most of a block gets a block of its own.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arena.h"


#define ARENA_FIRST   4096
#define ARENA_LARGEST (4 * 1024 * 1024)
#define ARENA_ALIGN   8
#define ARENA_HUGE    (2 * 1024 * 1024)

/* from this size on, page faults cost more than a few unused pages */
#define ARENA_LARGE   (32 * 1024 * 1024)


struct arena_block_s {
    struct arena_block_s  *next;
    size_t                 size;
};


static void *arena_block(arena_t *a, size_t size);
static void *arena_grow(arena_t *a, size_t size);
static void *arena_system(arena_t *a, size_t size);
static void arena_no_memory(arena_t *a, size_t size)
    __attribute__((noreturn));


arena_t *
arena_new(void)
{
    arena_t  *a;

    a = calloc(1, sizeof(arena_t));
    if (a == NULL) {
        arena_no_memory(NULL, sizeof(arena_t));
    }

    a->refs = 1;

    return a;
}


void
arena_free(arena_t *a)
{
    struct arena_block_s  *b, *next;

    if (a == NULL
        || __atomic_sub_fetch(&a->refs, 1, __ATOMIC_ACQ_REL) != 0)
    {
        return;
    }

    for (b = a->blocks; b != NULL; b = next) {
        next = b->next;
        free(b);
    }

    free(a);
}


arena_t *
arena_ref(arena_t *a)
{
    (void) __atomic_add_fetch(&a->refs, 1, __ATOMIC_RELAXED);

    return a;
}


void *
arena_alloc(arena_t *a, size_t size)
{
    char  *p;

    if (size > SIZE_MAX / 2) {
        arena_no_memory(a, size);
    }

    size = (size + ARENA_ALIGN - 1) & ~(size_t) (ARENA_ALIGN - 1);

    if (size <= (size_t) (a->end - a->pos)) {
        p = a->pos;
        a->pos += size;
        return p;
    }

    return arena_grow(a, size);
}


void *
arena_zalloc(arena_t *a, size_t size)
{
    void  *p;

    p = arena_alloc(a, size);

    if (size != 0) {
        memset(p, 0, size);
    }

    return p;
}


void *
arena_realloc(arena_t *a, void *p, size_t size)
{
    size_t                  old;
    struct arena_block_s   *b, *to, **link;

    b = (p != NULL) ? (struct arena_block_s *) p - 1 : NULL;
    link = &a->blocks;

    while (b != NULL && *link != b) {
        link = &(*link)->next;
    }

    old = (b != NULL) ? sizeof(struct arena_block_s) + b->size : 0;

    to = (size > SIZE_MAX / 2)
         ? NULL : realloc(b, sizeof(struct arena_block_s) + size);

    if (to == NULL) {
        arena_no_memory(a, size);
    }

    if (b == NULL) {
        to->next = a->blocks;
    }

    *link = to;
    to->size = size;
    a->used += sizeof(struct arena_block_s) + size - old;

    return to + 1;
}


char *
arena_strndup(arena_t *a, const char *s, size_t len)
{
    char  *p;

    p = arena_alloc(a, len + 1);

    if (len != 0) {
        memcpy(p, s, len);
    }

    p[len] = '\0';

    return p;
}


char *
arena_printf(arena_t *a, const char *fmt, ...)
{
    char    *p;
    va_list  args;

    va_start(args, fmt);
    p = arena_vprintf(a, fmt, args);
    va_end(args);

    return p;
}


char *
arena_vprintf(arena_t *a, const char *fmt, va_list args)
{
    int      n;
    char    *p;
    char     buf[256];
    va_list  again;

    va_copy(again, args);
    n = vsnprintf(buf, sizeof(buf), fmt, args);

    if (n < 0) {
        p = arena_strndup(a, "", 0);

    } else if ((size_t) n < sizeof(buf)) {
        p = arena_strndup(a, buf, (size_t) n);

    } else {
        p = arena_alloc(a, (size_t) n + 1);
        vsnprintf(p, (size_t) n + 1, fmt, again);
    }

    va_end(again);

    return p;
}


static void *
arena_grow(arena_t *a, size_t size)
{
    char    *p;
    size_t   block;

    block = a->used;

    if (block < ARENA_FIRST) {
        block = ARENA_FIRST;
    }

    if (block > ARENA_LARGEST) {
        block = ARENA_LARGEST;
    }

    if (size > block / 4) {
        return arena_block(a, size);
    }

    block -= sizeof(struct arena_block_s);
    p = arena_block(a, block);
    a->pos = p + size;
    a->end = p + block;

    return p;
}


static void *
arena_block(arena_t *a, size_t size)
{
    struct arena_block_s  *b;

    b = arena_system(a, sizeof(struct arena_block_s) + size);
    if (b == NULL) {
        arena_no_memory(a, size);
    }

    b->next = a->blocks;
    b->size = size;
    a->blocks = b;
    a->used += sizeof(struct arena_block_s) + size;

    return b + 1;
}


static void *
arena_system(arena_t *a, size_t size)
{
    /* one of many that are filled bit by bit */
    if (size == ARENA_LARGEST && a->used < ARENA_LARGE) {
        return malloc(size);
    }

    return arena_large(size);
}


void *
arena_large(size_t size)
{
    void  *p;

    if (size < ARENA_LARGEST) {
        return malloc(size);
    }

    if (posix_memalign(&p, ARENA_HUGE, size) != 0) {
        return NULL;
    }

    /* what is left over behind the last whole one has small pages */
    (void) madvise(p, size, MADV_HUGEPAGE);

    return p;
}


static void
arena_no_memory(arena_t *a, size_t size)
{
    if (a != NULL && a->oom != NULL) {
        longjmp(*a->oom, 1);
    }

    fprintf(stderr, "controld: out of memory, %zu bytes asked for\n", size);
    exit(1);
}
