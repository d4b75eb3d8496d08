/*
 * postgres_fence: a configuration that was served is never taken back by a
 * server that knows less: a replica that lags, or a primary that was left
 * behind by a fail-over.  The fence is where the last published configuration
 * was read: cluster, timeline, position in the log, version.  It lies beside
 * the snapshots, so that a restart keeps it.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../log.h"
#include "postgres_private.h"


#define FENCE_FILE  "database.fence"
#define FENCE_TEMP  ".tmp.database.fence"


static const char *postgres_fence_path(char *buf, size_t size,
    const source_t *s, const char *name);


/*
 * A primary on the known timeline or a later one is the authority, whatever
 * its version: a restore may have gone back on purpose.  A replica must have
 * replayed what was read before, or hold the same version.
 */
pg_fence_rc_t
postgres_fence_check(const pg_fence_t *f, const pg_identity_t *id)
{
    if (f->system[0] == '\0' || id->system[0] == '\0') {
        return PG_FENCE_GOOD;
    }

    if (strcmp(f->system, id->system) != 0) {
        return PG_FENCE_OTHER;
    }

    if (id->timeline != 0 && id->timeline < f->timeline) {
        return PG_FENCE_OLD;
    }

    if (!id->recovery || id->timeline > f->timeline || id->lsn >= f->lsn) {
        return PG_FENCE_GOOD;
    }

    if (f->version >= 0
        && (id->version > f->version
            || (id->version == f->version && id->stamp == f->stamp)))
    {
        return PG_FENCE_GOOD;
    }

    return PG_FENCE_BEHIND;
}


void
postgres_fence_load(source_t *s)
{
    int          n;
    FILE        *f;
    char         path[4096];
    pg_fence_t   fence;

    if (s->host.dir[0] == '\0') {
        return;
    }

    memset(&fence, 0, sizeof(fence));

    f = fopen(postgres_fence_path(path, sizeof(path), s, FENCE_FILE), "re");
    if (f == NULL) {
        return;
    }

    n = fscanf(f, "%23s %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64,
               fence.system, &fence.timeline, &fence.lsn, &fence.version,
               &fence.stamp);
    (void) fclose(f);

    if (n == 5 && strcmp(fence.system, "-") != 0) {
        s->fence = fence;

    } else if (n != 5) {
        log_write(LOG_WARN, "'%s' cannot be read and is not used", path);
    }
}


/* not waited for on the disk: an older fence only admits more */
void
postgres_fence_save(source_t *s)
{
    int          fd, len;
    char         path[4096], temp[4096], text[160];
    unsigned     failed;

    if (s->host.dir[0] == '\0') {
        return;
    }

    len = snprintf(text, sizeof(text), "%s %" PRIu64 " %" PRIu64 " %" PRId64
                   " %" PRId64 "\n",
                   s->fence.system[0] != '\0' ? s->fence.system : "-",
                   s->fence.timeline, s->fence.lsn, s->fence.version,
                   s->fence.stamp);

    (void) postgres_fence_path(path, sizeof(path), s, FENCE_FILE);
    (void) postgres_fence_path(temp, sizeof(temp), s, FENCE_TEMP);

    (void) unlink(temp);
    fd = open(temp, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600);
    if (fd == -1) {
        log_write(LOG_ERR, "'%s' cannot be written: %s", temp,
                  strerror(errno));
        return;
    }

    failed = (write(fd, text, (size_t) len) != len);
    failed |= (close(fd) == -1);

    if (failed || rename(temp, path) == -1) {
        log_write(LOG_ERR, "'%s' cannot be written: %s", path,
                  strerror(errno));
    }
}


static const char *
postgres_fence_path(char *buf, size_t size, const source_t *s,
    const char *name)
{
    (void) snprintf(buf, size, "%s/%s", s->host.dir, name);

    return buf;
}
