/*
 * ask: what nginx's workers ask of the database, on sockets/ask.sock.  Only
 * they can reach it: no listener of nginx leads here.  A question is one
 * small POST, its path says what is asked, body and answer are JSON objects.
 *
 * 200: done, or found; 404: there is no such row (any more); 400: not a
 * question; 501: there is no database; 503: it cannot be asked now.
 */

#ifndef KONG_ASK_H
#define KONG_ASK_H

#include <event2/event.h>

#include "../conf/conf.h"


typedef struct ask_s  ask_t;


/* NULL with *err a sentence */
ask_t *ask_new(struct event_base *base, const conf_t *conf,
    const char **err);
/* questions that are open end without an answer */
void ask_free(ask_t *a);                     /* NULL is fine */
/* the settings have changed */
void ask_reload(ask_t *a, const conf_t *conf);

#endif
