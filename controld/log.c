/*
 * log: one open file and a level.  A line is one write(2), so that lines of
 * several processes never mix; a file that cannot be written is given up
 * silently, because there is nowhere left to say so.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "log.h"


#define LOG_LINE  4096


static char *log_scrub(char *p, char *last);


static const char *const  log_levels[] = {
    "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", NULL
};

static int            log_fd = STDERR_FILENO;
static char          *log_path;
static log_level_t    log_level = LOG_NOTICE;
static log_opener_pt  log_opener;


int
log_open(const char *path, log_level_t level)
{
    int    fd;
    char  *copy;

    copy = strdup(path);
    if (copy == NULL) {
        return -1;
    }

    fd = open(path, LOG_OPEN, LOG_MODE);
    if (fd == -1) {
        free(copy);
        return -1;
    }

    if (log_fd != STDERR_FILENO) {
        (void) close(log_fd);
    }

    free(log_path);

    log_fd = fd;
    log_path = copy;
    log_level = level;

    return 0;
}


void
log_reopen(void)
{
    int  fd;

    if (log_path == NULL) {
        return;
    }

    fd = log_opener ? log_opener() : open(log_path, LOG_OPEN, LOG_MODE);
    if (fd == -1) {
        log_write(LOG_ERR, "log file \"%s\" cannot be reopened: %s",
                  log_path, strerror(errno));
        return;
    }

    (void) close(log_fd);
    log_fd = fd;
}


void
log_set_opener(log_opener_pt opener)
{
    log_opener = opener;
}


void
log_set_level(log_level_t level)
{
    log_level = level;
}


int
log_level_parse(const char *name)
{
    int  i;

    for (i = 0; log_levels[i] != NULL; i++) {
        if (strcmp(log_levels[i], name) == 0) {
            return i;
        }
    }

    return -1;
}


void
log_write(log_level_t level, const char *fmt, ...)
{
    int         n, err;
    char        line[LOG_LINE], *p, *last;
    time_t      now;
    va_list     args;
    struct tm   tm;

    if (level > log_level) {
        return;
    }

    err = errno;
    now = time(NULL);
    (void) localtime_r(&now, &tm);

    p = line;
    last = line + sizeof(line) - 1;            /* room for the line feed */

    p += strftime(p, (size_t) (last - p), "%Y/%m/%d %H:%M:%S", &tm);
    p += snprintf(p, (size_t) (last - p), " [%s] %d: ", log_levels[level],
                  (int) getpid());

    va_start(args, fmt);
    n = vsnprintf(p, (size_t) (last - p), fmt, args);
    va_end(args);

    if (n > 0) {
        p = log_scrub(p, (n < last - p) ? p + n : last - 1);
    }

    *p++ = '\n';

    while (write(log_fd, line, (size_t) (p - line)) == -1 && errno == EINTR) {
        /* again */
    }

    errno = err;
}


/* a message must not be able to forge a line of its own */
static char *
log_scrub(char *p, char *last)
{
    for ( /* void */ ; p < last; p++) {
        if ((unsigned char) *p < ' ' || *p == 0x7f) {
            *p = ' ';
        }
    }

    return last;
}
