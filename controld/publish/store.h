/*
 * store: the snapshot folder of a prefix.  Owns file names, generations,
 * `current` and the history's length.  Used by the daemon and by the command
 * line (the first segment of `kong start`); one writer at a time, guarded by
 * a lock file that is held as long as the store is open.
 *
 * Modes follow the folder: 0700 gives files of 0600; a folder that its group
 * may enter (0750, made so by `kong start` when nginx's workers run as
 * another user) gives files of 0640 with the folder's group.
 *
 * After store_open() one thread may write files and stage `current`, another
 * set it and trim, and a third call store_next().
 */

#ifndef KONG_STORE_H
#define KONG_STORE_H

#include "../compile/compile.h"


#define STORE_HISTORY  10


typedef struct store_s  store_t;

/* NULL with *err a sentence (static or errno's text) */
store_t *store_open(const char *prefix, const char **err);
void store_close(store_t *s);

/* a generation that no file of the kind has used yet */
uint32_t store_next(store_t *s, kong_segment_kind_t kind);
/* what store_next() will say */
uint32_t store_peek(const store_t *s, kong_segment_kind_t kind);
/* temporary name, rename: whole or not at all.  The bytes are on disk for good
 * once store_set_current() has named them */
int store_write(store_t *s, kong_segment_kind_t kind, uint32_t generation,
    const segment_buf_t *buf, const char **err);
/* the segment in malloc'ed memory, not verified; of pages, with what lies
 * beneath them */
int store_read(store_t *s, kong_segment_kind_t kind, uint32_t generation,
    segment_buf_t *out, const char **err);
int store_remove(store_t *s, kong_segment_kind_t kind, uint32_t generation);

/* the configuration's text beside its segment: <generation>.source, on disk
 * when the call returns */
int store_write_source(store_t *s, uint32_t generation, const char *text,
    size_t len, const char **err);
int store_has_source(store_t *s, uint32_t generation);
/* NUL-terminated malloc'ed text, or NULL when there is none */
char *store_read_source(store_t *s, uint32_t generation, size_t *len);

/* 0 / 0 when there is none */
void store_current(store_t *s, uint32_t *config, uint32_t *endpoints);
/* writes the bytes of a next `current`, so that a full disk shows before the
 * module was told */
int store_stage_current(store_t *s, uint32_t config, uint32_t endpoints,
    const char **err);
void store_unstage_current(store_t *s, uint32_t config, uint32_t endpoints);
/* brings the pair's files to the disk, then names them */
int store_set_current(store_t *s, uint32_t config, uint32_t endpoints,
    const char **err);
/* removes all but the newest `keep` of each kind; never the current ones, nor
 * what lies beneath those that stay */
void store_trim(store_t *s, unsigned keep);

#endif
