/*
 * migrations_lock: two locks.  Kong's is a row of `locks` that expires: it
 * keeps Kong and us apart.  Ours is the session's advisory lock, which a dead
 * run cannot hold: whoever has it takes over the rows that our runs left.
 */

#include <string.h>

#include "../model/uuid.h"
#include "migrations.h"


#define LOCK_CLASS  "1802465895"         /* our advisory locks */
#define LOCK_OURS   "controld:"


static int migrations_lock_row(migrations_t *m, const char *owner,
    const char **err);


int
migrations_lock(migrations_t *m, const char **owner, const char **err)
{
    int        rc;
    char       id[UUID_SIZE];
    PGresult  *res;

    res = pg_query(m->pg, "SELECT pg_try_advisory_lock(" LOCK_CLASS ", "
                   "hashtext(current_setting('controld.schema')))", NULL, 0);

    if (res == NULL) {
        *err = pg_error(m->pg);
        return -1;
    }

    rc = (PQgetvalue(res, 0, 0)[0] == 't') ? 0 : MIGRATIONS_BUSY;
    PQclear(res);

    if (rc != 0) {
        return rc;
    }

    /* a server that knows it notices our death while it waits for a lock */

    (void) pg_run(m->pg, "SET client_connection_check_interval = '1s'", NULL,
                  0);

    if (pg_script(m->pg, migrations_locks_sql) == -1) {
        *err = pg_error(m->pg);
        return -1;
    }

    uuid_v4(id);
    *owner = arena_printf(m->arena, LOCK_OURS "%s", id);

    return migrations_lock_row(m, *owner, err);
}


static int
migrations_lock_row(migrations_t *m, const char *owner, const char **err)
{
    long      rows;
    pg_arg_t  args[2];

    if (pg_run(m->pg, "DELETE FROM locks WHERE ttl < CURRENT_TIMESTAMP OR "
               "(key = 'migrations' AND owner LIKE '" LOCK_OURS "%')",
               NULL, 0) == -1)
    {
        *err = pg_error(m->pg);
        return -1;
    }

    args[0].type = PG_TYPE_TEXT;
    args[0].text = owner;
    args[1].type = PG_TYPE_TEXT;
    args[1].text = arena_printf(m->arena, "%.0f", m->lock_timeout);

    rows = pg_run(m->pg, "INSERT INTO locks (key, owner, ttl) "
                  "VALUES ('migrations', $1, CURRENT_TIMESTAMP "
                  "+ ($2 || ' seconds')::interval) ON CONFLICT DO NOTHING",
                  args, 2);

    if (rows == -1) {
        *err = pg_error(m->pg);
        return -1;
    }

    return rows == 1 ? 0 : MIGRATIONS_BUSY;
}


/* after a reset there is no table any more, and after an error no matter */
int
migrations_unlock(migrations_t *m, const char *owner, const char **err)
{
    pg_arg_t  arg;

    arg.type = PG_TYPE_TEXT;
    arg.text = owner;

    if (pg_run(m->pg, "DELETE FROM locks WHERE key = 'migrations' "
               "AND owner = $1", &arg, 1) == -1
        || pg_run(m->pg, "SELECT pg_advisory_unlock(" LOCK_CLASS ", "
                  "hashtext(current_setting('controld.schema')))", NULL, 0)
           == -1)
    {
        *err = pg_error(m->pg);
        return -1;
    }

    return 0;
}
