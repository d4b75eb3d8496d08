/*
 * A short lock in the shared zone that a killed worker cannot keep: its word
 * is the owner's pid.  For a few dozen instructions, never across a call that
 * may wait.
 */

#ifndef NGX_KONG_PID_LOCK_H
#define NGX_KONG_PID_LOCK_H

#include <ngx_config.h>
#include <ngx_core.h>


void ngx_kong_pid_lock(ngx_atomic_t *lock);
void ngx_kong_pid_unlock(ngx_atomic_t *lock);

#endif
