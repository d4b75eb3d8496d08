/*
 * log: the daemon's and the command line's only logger.  Lines look like
 * nginx's: "YYYY/MM/DD HH:MM:SS [level] pid: text".  Before log_open() lines
 * go to stderr.  Log once, at the level that decides; lower case, values in
 * quotes, the object that it concerns first; never a secret.
 */

#ifndef KONG_LOG_H
#define KONG_LOG_H


typedef enum {
    LOG_EMERG = 0, LOG_ALERT, LOG_CRIT, LOG_ERR, LOG_WARN, LOG_NOTICE,
    LOG_INFO, LOG_DEBUG
} log_level_t;

/* how the file is opened */
#define LOG_OPEN  (O_WRONLY|O_APPEND|O_CREAT|O_CLOEXEC)
#define LOG_MODE  0644

typedef int (*log_opener_pt)(void);

int log_open(const char *path, log_level_t level);   /* -1: errno is set */
void log_reopen(void);                               /* SIGUSR1 */
/* what opens the file for log_reopen() instead: a descriptor, or -1 */
void log_set_opener(log_opener_pt opener);
void log_set_level(log_level_t level);
int log_level_parse(const char *name);               /* Kong's names; -1 */
void log_write(log_level_t level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
