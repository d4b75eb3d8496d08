/*
 * file: notices that a declarative file may have changed: edited in place,
 * renamed over, a ConfigMap's link swapped, its folder deleted and made
 * again.  Says so once things are quiet; reading it is the caller's.
 */

#ifndef KONG_FILE_H
#define KONG_FILE_H

#include <event2/event.h>


typedef struct file_s  file_t;

typedef void (*file_changed_pt)(void *data);


/* NULL: errno is set.  A file that is not there (yet) is fine */
file_t *file_new(struct event_base *base, const char *path,
    file_changed_pt changed, void *data);
void file_free(file_t *f);
const char *file_path(const file_t *f);

#endif
