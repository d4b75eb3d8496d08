/*
 * steward: a child that stays root when the daemon becomes another user.  It
 * opens the log again, and removes what root made for the daemon.  It takes
 * no argument from the daemon and ends with it.
 */

#ifndef KONG_STEWARD_H
#define KONG_STEWARD_H


/* forks; before there are threads.  `log` may be NULL, `files` ends with
 * NULL.  -1: errno */
int steward_start(const char *log, const char *const *files);
/* the log, opened for appending, or made; -1: errno */
int steward_open(void);
/* at the end: the files are gone when it returns */
void steward_clear(void);

#endif
