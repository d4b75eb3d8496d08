/*
 * The owner of a lock is a worker in a few dozen instructions, or one that
 * was killed or stopped amid them: then the lock is taken over.  Its pid may
 * be another process's by now, so there is an end to the waiting; a stopped
 * worker that goes on spoils one count at most.
 */

#include "ngx_kong_pid_lock.h"

#include <signal.h>


#define NGX_KONG_PID_LOCK_SPIN  128      /* tries before a look at the owner */
#define NGX_KONG_PID_LOCK_WAIT  1000     /* looks, before it is not waited for
                                            any longer */


void
ngx_kong_pid_lock(ngx_atomic_t *lock)
{
    ngx_uint_t         i, n;
    ngx_atomic_uint_t  owner;

    for (n = 0; /* void */ ; n++) {

        for (i = 0; i < NGX_KONG_PID_LOCK_SPIN; i++) {

            if (*lock == 0 && ngx_atomic_cmp_set(lock, 0, ngx_pid)) {
                return;
            }

            ngx_cpu_pause();
        }

        owner = *lock;

        if (owner != 0
            && (n >= NGX_KONG_PID_LOCK_WAIT
                || (kill((ngx_pid_t) owner, 0) == -1 && ngx_errno == ESRCH))
            && ngx_atomic_cmp_set(lock, owner, ngx_pid))
        {
            return;
        }

        ngx_sched_yield();
    }
}


void
ngx_kong_pid_unlock(ngx_atomic_t *lock)
{
    (void) ngx_atomic_cmp_set(lock, ngx_pid, 0);
}
