/*
 * arena: memory that is dropped whole (a configuration generation, a request
 * body, a validation run).  Nothing taken from an arena is freed on its own.
 * It has one owner, or several that only read it any more.
 *
 * Out of memory: when arena->oom is set (setjmp at the entry point of a load)
 * the allocator longjmps there, so that a reload is abandoned and the running
 * generation stays; without it the process ends with a message, which is what
 * a start wants.  Allocation functions therefore never return NULL.
 */

#ifndef KONG_ARENA_H
#define KONG_ARENA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>


typedef struct arena_s  arena_t;

struct arena_s {
    struct arena_block_s  *blocks;
    char                  *pos;
    char                  *end;
    size_t                 used;       /* bytes taken from the system */
    jmp_buf               *oom;        /* NULL: it ends the process */
    unsigned               refs;       /* owners; counted by any thread */
};


arena_t *arena_new(void);
void arena_free(arena_t *a);           /* one owner less; NULL is fine */
arena_t *arena_ref(arena_t *a);        /* one owner more */
void *arena_alloc(arena_t *a, size_t size);        /* 8-aligned, not zeroed */
void *arena_zalloc(arena_t *a, size_t size);       /* 8-aligned, zeroed */
/* for what grows and grows: `p` is NULL or from this; it may move, and leaves
 * nothing behind */
void *arena_realloc(arena_t *a, void *p, size_t size);
char *arena_strndup(arena_t *a, const char *s, size_t len);   /* adds a NUL */
char *arena_printf(arena_t *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
char *arena_vprintf(arena_t *a, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

/* malloc() for what is large and filled at once, without an arena: in huge
 * pages where the system has them, since page faults cost more than the bytes
 * that are copied there.  free() it; NULL: out of memory */
void *arena_large(size_t size);

#endif
