/*
 * migrations: Kong 3.9's schema in a database, and the gateway's own
 * additions to it.  Kong's bookkeeping, schema_meta, is read and written as
 * Kong does; ours is apart, in controld_migrations.  What is new runs in one
 * transaction: a run that is killed leaves nothing but its lock, which the
 * next run takes over.
 */

#ifndef KONG_MIGRATIONS_H
#define KONG_MIGRATIONS_H

#include "../pg/pg.h"


/* of a Kong subsystem, "core" or a plugin: all of its migrations in order */
typedef struct {
    const char        *name;
    const char        *sql;              /* its final tables, NULL: none */
    const char *const *migrations;       /* NULL-ended */
} migrations_subsystem_t;

/* "core" first, as they have to run; ended by a NULL name */
extern const migrations_subsystem_t  migrations_kong[];

/* the gateway's additions: one subsystem, one file a migration */
typedef struct {
    const char  *name;
    const char  *sql;
} migrations_file_t;

#define MIGRATIONS_OWN      "controld"
#define MIGRATIONS_OWN_MIN  100000       /* PostgreSQL 10: transition tables */

extern const migrations_file_t  migrations_own[];
extern const char               migrations_locks_sql[];


/*
 * The sets are arrays of {"subsystem": ..., "migrations": [...]}, NULL when
 * empty, in the order of the list above.
 */
typedef struct {
    const value_t  *executed;
    const value_t  *pending;             /* Kong's, started by an upgrade */
    const value_t  *new_;                /* later than what was executed */
    const value_t  *missing;             /* before it: a gap */
    const value_t  *unknown;             /* in the database only */
    const value_t  *own_new;             /* additions not yet installed */
    unsigned        needs_bootstrap:1;
    unsigned        upgrade:1;           /* new ones that only Kong can run */
    unsigned        armed:1;             /* every table has our triggers */
} migrations_state_t;

typedef void (*migrations_print_pt)(const char *fmt, ...);

typedef struct {
    arena_t              *arena;
    pg_t                 *pg;
    const char *const    *plugins;       /* enabled ones; NULL: all */
    migrations_print_pt   print;
    double                lock_timeout;  /* seconds that a lock lives */
    unsigned              force:1;
} migrations_t;

#define MIGRATIONS_BUSY  1               /* another node runs them */


/*
 * All return 0, MIGRATIONS_BUSY, or -1 with *err a sentence.  `m->print` gets
 * what a user should read, in Kong's words.
 */
int migrations_state(migrations_t *m, migrations_state_t *out,
    const char **err);
int migrations_bootstrap(migrations_t *m, const char **err);
int migrations_up(migrations_t *m, const char **err);
int migrations_finish(migrations_t *m, const char **err);
int migrations_reset(migrations_t *m, const char **err);

/*
 * NULL, or why a node does not start on this database; and, when it starts,
 * NULL or what an operator should know
 */
const char *migrations_refusal(arena_t *a, const migrations_state_t *s);
const char *migrations_warning(arena_t *a, const migrations_state_t *s);
/* "   core: 000_base, 003_100_to_110\n   acl: ..." */
const char *migrations_text(arena_t *a, const value_t *set);
/* what `kong migrations status` prints */
value_t *migrations_json(arena_t *a, const migrations_state_t *s);

extern const char  migrations_needs_bootstrap[];


/* of the runs: one at a time in a schema, Kong's own included */
int migrations_lock(migrations_t *m, const char **owner, const char **err);
int migrations_unlock(migrations_t *m, const char *owner, const char **err);

#endif
