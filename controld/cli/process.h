/*
 * process: starting, finding and ending the two programs of a node.  Waiting
 * is always bounded.
 */

#ifndef KONG_PROCESS_H
#define KONG_PROCESS_H

#include <sys/types.h>

#include "../model/arena.h"


/* runs to the end; *output is what it wrote to stdout and stderr.  The exit
 * code, 128 + signal, or -1 with *output a sentence */
int process_run(arena_t *a, char *const *argv, const char **output);
/* detached, its output appended to the file; -1: errno is set */
pid_t process_spawn(char *const *argv, const char *log);
/* a child in the foreground that shares our output */
pid_t process_child(char *const *argv);

pid_t process_pid_read(const char *path);      /* 0 when there is none */
/* alive, no zombie, and its command line holds `word` */
int process_alive(pid_t pid, const char *word);
/* its command line names the folder, or it has a file open in it */
int process_works_in(pid_t pid, const char *dir);
int process_parent(pid_t pid);                 /* -1 when it is gone */
/* the next process after *pid in /proc whose command line starts with
 * `title`; *pid is 0 at first and after the last one */
void process_next(pid_t *pid, const char *title);
int process_wait_end(pid_t pid, double seconds);         /* 1 when ended */
void process_sleep(double seconds);
double process_now(void);                      /* monotonic seconds */

#endif
