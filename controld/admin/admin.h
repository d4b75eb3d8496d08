/*
 * admin: the Admin API's server on sockets/admin.sock.  What it needs of the
 * daemon comes through admin_host_t, so that it can be tested without one.
 */

#ifndef KONG_ADMIN_H
#define KONG_ADMIN_H

#include "../conf/conf.h"
#include "../offload.h"
#include "../source/load.h"


typedef struct admin_s  admin_t;

typedef enum {
    POSTED_OK = 0,               /* served: load->body is the answer */
    POSTED_UNCHANGED,
    POSTED_INVALID,              /* load->errors, or load->status and body */
    POSTED_REFUSED,              /* by nginx; `err` says why */
    POSTED_FAILED                /* disk, memory; `err` says why */
} posted_t;

/* called once; the load lives as long as the call */
typedef void (*admin_posted_pt)(void *data, posted_t rc, load_t *load,
    const char *err);

struct control_s;

typedef struct {
    const conf_t   *(*conf)(void *data);
    /* what is served, with a reference less than the caller may need */
    generation_t   *(*active)(void *data);
    /* takes the load over and publishes it.  -1: another one waits already,
     * the load stays the caller's */
    int             (*post)(void *data, load_t *load, admin_posted_pt posted,
                            void *user);
    /* the change counter of the database that is served (-1: there is none)
     * and the generation that it is in; NULL: nobody knows */
    void            (*served)(void *data, int64_t *version,
                              uint32_t *number);
    /* the generation that is the first to have that change, served or to
     * come; 0: that is not known yet */
    uint32_t        (*holds)(void *data, int64_t version);
    struct control_s *control;       /* to nginx; NULL: there is none */
    void             *data;
} admin_host_t;


/* listens on `path`; NULL with *err a sentence */
admin_t *admin_new(struct event_base *base, const char *path,
    offload_t *offload, const admin_host_t *host, const char **err);
/* no new connections; those that are open end without an answer */
void admin_free(admin_t *a);
/* the settings have changed */
void admin_reload(admin_t *a);
/* something new is served, or is known to be the next */
void admin_served(admin_t *a);

#endif
