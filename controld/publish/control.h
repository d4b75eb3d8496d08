/*
 * control: an asynchronous HTTP client for the module's control socket, on
 * libcurl's multi interface and the daemon's loop.
 */

#ifndef KONG_CONTROL_H
#define KONG_CONTROL_H

#include <stddef.h>
#include <event2/event.h>


typedef struct control_s  control_t;

/* `status` is the answer's, or one of these */
#define CONTROL_ABSENT   0       /* nobody listens: there is no nginx */
#define CONTROL_BROKEN  -1       /* time-out, connection lost: unknown */

/* the body is NUL-terminated and lives as long as the call */
typedef void (*control_done_pt)(void *data, int status, const char *body,
    size_t len);


/* NULL: out of memory */
control_t *control_new(struct event_base *base, const char *socket_path);
/* drops what is under way without a call */
void control_free(control_t *c);

/*
 * `target` is path and query.  0, and done() is called later exactly once;
 * -1 when the request could not even be made (out of memory).
 */
int control_request(control_t *c, const char *method, const char *target,
    long timeout_ms, control_done_pt done, void *data);

#endif
