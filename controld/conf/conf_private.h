/*
 * conf_private: what the files of conf/ share.  A loaded conf is one object
 * value, "name -> typed value" (null: none), with every setting of the table
 * in it, plus the parts that were parsed further (listeners, injections).
 */

#ifndef KONG_CONF_PRIVATE_H
#define KONG_CONF_PRIVATE_H

#include "conf.h"


typedef enum {
    CONF_STRING = 1,
    CONF_NUMBER,
    CONF_BOOLEAN,
    CONF_NGX_BOOLEAN,          /* stays the string "on" or "off" */
    CONF_ARRAY
} conf_type_t;

/* bits of conf_setting_t.flags */
#define CONF_SECRET     0x01   /* masked when shown */
#define CONF_INTEGER    0x02   /* no fraction */
#define CONF_MIN        0x04   /* not below min */
#define CONF_MAX        0x08   /* not above max */
#define CONF_TEXT       0x10   /* may hold control characters */
#define CONF_PATH       0x20   /* made absolute when such a file exists */

typedef struct {
    const char          *name;
    conf_type_t          type;
    const char          *def;        /* "" = none */
    const char *const   *values;     /* enum, NULL-ended */
    unsigned             flags;
    double               min;
    double               max;
    const char          *range;      /* the sentence's end when out of range */
} conf_setting_t;

/* another name of a setting */
typedef struct {
    const char  *name;
    const char  *target;
    unsigned     deprecated;
} conf_alias_t;

/* where a value came from; the greater wins */
typedef enum {
    CONF_FROM_DEFAULT = 0,
    CONF_FROM_FILE,
    CONF_FROM_ENV,
    CONF_FROM_ARGUMENT
} conf_from_t;

typedef struct {
    const char     *name;            /* proxy_listen */
    const char     *plural;          /* proxy_listeners, shown in GET / */
    conf_listen_t  *listens;
    value_t        *shown;
    size_t          n;
} conf_listener_t;

#define CONF_LISTENERS  4

struct conf_s {
    arena_t         *arena;
    value_t          raw;            /* name -> text as written */
    value_t          from;           /* name -> conf_from_t */
    value_t          values;         /* name -> typed value */
    value_t          nginx;          /* block -> {directive: value} */
    value_t          warnings;       /* array of sentences */
    const char      *prefix;
    const char      *file;           /* NULL: none was read */
    conf_listener_t  listeners[CONF_LISTENERS];
};


/* conf_table.c; sorted by name */
extern const conf_setting_t  conf_settings[];
extern const size_t          conf_n_settings;
extern const conf_alias_t    conf_aliases[];
const conf_setting_t *conf_setting(const char *name);

/* conf_file.c: adds "name -> string" to *out; -1 with *err a sentence */
int conf_file_read(arena_t *a, const char *path, value_t *out,
    const char **err);

/* conf_check.c: the rules that need more than one setting or a parser */
void conf_check(conf_t *c, value_t *errors);
void conf_error(arena_t *a, value_t *errors, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* conf_tls.c: certificates, keys and cipher suites */
void conf_check_tls(conf_t *c, value_t *errors);

/* conf_listen.c */
void conf_listen_parse(conf_t *c, value_t *errors);

/* conf_nginx.c */
void conf_nginx_collect(conf_t *c);

/* NULL when the name is unknown; s NULL sets none */
value_t *conf_value(const conf_t *c, const char *name);
void conf_put_string(conf_t *c, const char *name, const char *s);
conf_from_t conf_from(const conf_t *c, const char *name);
int conf_is_off(const conf_t *c, const char *name);     /* a list: off */

#endif
