/*
 * schema: tables of fields and the one walker that reads them.
 *
 * A schema is the single source of truth about an entity or a plugin's
 * configuration: it drives validation and its messages, defaults, the Admin
 * API, /schemas, and (later) the compiled layout.  Rules and texts: Kong 3.9
 * "entities" and "plugins-schemas" (see docs/compatibility.md for the few
 * places where we differ).
 *
 * Tables are const and static; a table of fields ends with a field whose name
 * is NULL.
 */

#ifndef KONG_SCHEMA_H
#define KONG_SCHEMA_H

#include "value.h"


typedef enum {
    FIELD_STRING = 1,
    FIELD_INTEGER,
    FIELD_NUMBER,
    FIELD_BOOLEAN,
    FIELD_ARRAY,              /* of *elements */
    FIELD_SET,                /* of *elements; duplicates removed */
    FIELD_MAP,                /* string (checked by *keys) to *elements */
    FIELD_RECORD,             /* of fields[] */
    FIELD_FOREIGN,            /* {"id": uuid} of the entity named `foreign` */
    FIELD_ANY                 /* unchecked */
} field_type_t;

typedef struct field_s         field_t;
typedef struct schema_s        schema_t;
typedef struct schema_check_s  schema_check_t;
typedef struct schema_ctx_s    schema_ctx_t;
typedef struct shorthand_s     shorthand_t;

/*
 * A field's own check, run after the table-driven ones.  Returns NULL when
 * the value is good, else a sentence (static or from ctx->arena).
 */
typedef const char *(*field_check_pt)(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);

/* bits of field_t.flags */
#define F_REQUIRED       0x0001
#define F_UNIQUE         0x0002   /* per workspace */
#define F_AUTO           0x0004   /* filled on create: uuid, time or random */
#define F_REFERENCEABLE  0x0008   /* {vault://...} allowed */
#define F_IMMUTABLE      0x0010
#define F_UUID           0x0020   /* string must be a uuid */
#define F_TIMESTAMP      0x0040   /* number must be > 0 */
#define F_REGEX          0x0080   /* string must compile (PCRE2) */
#define F_BETWEEN        0x0100   /* min..max inclusive */
#define F_GT             0x0200   /* > min */
#define F_LEN_MIN        0x0400   /* len_min applies (for strings: else 1) */
#define F_LEN_MAX        0x0800
#define F_ENCRYPTED      0x1000   /* shown in /schemas only */
#define F_DEPRECATED     0x2000
#define F_EQ_NULL        0x4000   /* must be null: a forbidden scope */
#define F_LEN_EQ         0x8000   /* exactly len_min items or bytes */
#define F_CASCADE        0x10000  /* on delete of the parent */
#define F_ABSTRACT       0x20000  /* not stored: url, snis of certificates */

struct field_s {
    const char             *name;
    field_type_t            type;
    unsigned                flags;

    const char             *def;        /* default as JSON text; NULL = null */
    const char             *foreign;    /* FIELD_FOREIGN: entity name */

    const field_t          *elements;   /* ARRAY, SET, MAP values */
    const field_t          *keys;       /* MAP: rules for the keys */
    const field_t          *fields;     /* RECORD */
    const shorthand_t      *shorthands; /* RECORD: accepted on input only */
    const schema_check_t   *checks;     /* RECORD: entity checks inside it */

    const char             *eq;         /* must equal this JSON value */
    const char *const      *one_of;     /* strings; NULL-ended */
    const char *const      *one_of_off; /* instead of one_of without a
                                           database; NULL = the same */
    const double           *one_of_num; /* numbers; n_one_of_num of them */
    unsigned                n_one_of_num;
    const char *const      *not_one_of;
    double                  min, max;   /* F_BETWEEN, F_GT */
    unsigned                len_min, len_max;
    const char             *starts_with;
    const char             *match;      /* a Lua pattern that must match */
    const char *const      *match_any;  /* Lua patterns, one must match */
    const char *const      *not_match;  /* Lua patterns, none may match */
    const char             *contains;   /* SET, ARRAY: must have this string */
    const char             *err;        /* replaces every message of checks */
    field_check_pt          check;
};

/*
 * A shorthand (a deprecated or convenience name): accepted on input, expanded
 * before validation.  Either `replaced_by` is a dotted path relative to the
 * record (the value is moved there unless something is set there already by
 * its own name), or `expand` does the work on the record.
 */
struct shorthand_s {
    const char      *name;              /* NULL ends the table */
    field_type_t     type;
    const field_t   *elements;
    const field_t   *rule;              /* more constraints of the given
                                           value (url, len_min 0), or NULL */
    const char      *replaced_by;       /* "redis.host" */
    void           (*expand)(schema_ctx_t *ctx, value_t *record,
                             value_t *given);
};

typedef enum {
    CHECK_AT_LEAST_ONE_OF = 1,
    CHECK_ONLY_ONE_OF,
    CHECK_DISTINCT,
    CHECK_MUTUALLY_REQUIRED,
    CHECK_MUTUALLY_EXCLUSIVE,
    CHECK_CONDITIONAL,
    CHECK_CUSTOM
} check_kind_t;

/* by kind, as a schema's text has them */
extern const char *const  schema_check_names[];

/*
 * One entity check; kind 0 ends the table.  Field paths are dotted and
 * relative to the record that owns the check ("config.policy" for a plugin's
 * checks, "ldaps" for checks inside a record).
 */
struct schema_check_s {
    check_kind_t         kind;
    const char *const   *fields;        /* NULL-ended; all but CONDITIONAL */

    const char          *if_field;      /* CONDITIONAL */
    const field_t       *if_match;      /* only its constraints count */
    const char          *then_field;
    const field_t       *then_match;
    const char          *then_err;      /* replaces the then-message */

    /* CUSTOM: fill errors on the record's error object (may call
     * schema_error).  Runs only if its fields[] have no errors yet */
    void               (*custom)(schema_ctx_t *ctx, value_t *record,
                                 value_t *errors);
};

/* how a string id is made and entities are found (declarative.md 2) */
struct schema_s {
    const char             *name;         /* "services" */
    const char             *singular;     /* "service", in flattened errors */
    const char             *endpoint_key; /* "name"; NULL = only by id */
    const char *const      *cache_key;    /* fields, NULL-ended; or NULL */
    const char             *admin_path;   /* "services"; NULL = none */
    const char             *nested_name;  /* under its parent there */
    const field_t          *fields;
    const shorthand_t      *shorthands;
    const schema_check_t   *checks;

    /*
     * The sub-schema of this entity value, or NULL: plugins choose their
     * config by name, routes and services by protocol.  Sets *err (a
     * sentence) and *err_field when the key is unknown.
     */
    const schema_t       *(*subschema)(schema_ctx_t *ctx,
                                       const value_t *entity,
                                       const char **err_field,
                                       const char **err);

    /* the stored form of a good entity; what only ctx->transform asks for
     * (hashing) is left out without it */
    void                  (*transform)(schema_ctx_t *ctx, value_t *entity);
};

/* what a plugin adds: fields[] overrides scopes, protocols and config of the
 * plugins entity; checks[] run with paths starting at the entity */
typedef struct {
    schema_t           schema;      /* name = the plugin's name */
    int                priority;    /* Kong's */
    const char        *version;
    unsigned           implemented; /* the module has code for it */
    unsigned           observes;    /* logs, metrics, traces: a request is
                                       served all the same without it */
    unsigned           records;     /* writes log records: entities are in
                                       the segment as JSON */
    const char        *refused;     /* known by name, never to be: why */
    unsigned           external;    /* from a document; the code is in a
                                       shared object of its own */
    uint64_t           hash;        /* of that document */
} plugin_schema_t;

struct schema_ctx_s {
    arena_t           *arena;
    unsigned           database;    /* 0 = DB-less (rate-limiting cluster) */
    const char        *router_flavor;
    const char *const *dictionaries;    /* shared dictionaries that kong.conf
                                           adds; NULL-ended, or NULL */
    double             now;         /* seconds, ms precision */
    unsigned           update;      /* PATCH: messages say "when updating" */
    unsigned           transform;   /* _transform: hash passwords ... */
    void              *data;        /* of the caller */
    unsigned           partial;     /* absent required fields are no errors */
    const char *const *plugins;     /* enabled ones; NULL = all bundled */
};


/*
 * Validates *entity against s and completes it in place: shorthands expanded,
 * defaults and auto fields filled, sets deduplicated, every schema field
 * present (null when unset).  `errors` receives Kong's nested error object:
 * field name -> string | array (null for good positions) | object, and
 * "@entity" -> array of strings.  Returns 0, or -1 when errors were added.
 */
int schema_validate(schema_ctx_t *ctx, const schema_t *s, value_t *entity,
    value_t *errors);

/* steps of the above for callers that interleave (the declarative loader) */
void schema_expand_shorthands(schema_ctx_t *ctx, const schema_t *s,
    value_t *entity, value_t *errors);
void schema_fill_defaults(schema_ctx_t *ctx, const schema_t *s,
    value_t *entity);
int schema_check(schema_ctx_t *ctx, const schema_t *s, value_t *entity,
    value_t *errors);
void schema_transform(schema_ctx_t *ctx, const schema_t *s, value_t *entity);

/* adds a message under errors[field]; "@entity" appends to the list */
void schema_error(schema_ctx_t *ctx, value_t *errors, const char *field,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* "2 schema violations (a; b: c)": entities.md 14, last paragraph */
char *schema_error_message(arena_t *a, const value_t *errors);

/* tables: entities in dependency order (parents first), NULL-ended */
extern const schema_t *const schema_entities[];
const schema_t *schema_find(const char *entity);
const field_t *schema_field(const schema_t *s, const char *name);

/* every plugin of Kong's bundle and every external one, NULL-ended
 * (model/plugins/registry.c); it only ever grows */
extern const plugin_schema_t *const *_Atomic schema_plugins;
const plugin_schema_t *schema_plugin(const char *name, size_t len);
void schema_plugin_add(const plugin_schema_t *p);
/*
 * An external plugin from its document (docs/writing-a-plugin.md); `hash` is
 * that of its text.  0; 1 when one of that name is there and differs: it
 * stays; -1.  *err is a sentence from `a`, which begins with line and path.
 */
int schema_plugin_define(arena_t *a, const value_t *doc, uint64_t hash,
    const char **err);

/* shared typedefs for tables (model/types.c): checks reusable by entities
 * and plugins; see entities.md 1.5 for rules and texts */
const char *check_name(schema_ctx_t *, const field_t *, const value_t *);
const char *check_tag(schema_ctx_t *, const field_t *, const value_t *);
const char *check_host(schema_ctx_t *, const field_t *, const value_t *);
const char *check_host_with_optional_port(schema_ctx_t *, const field_t *,
    const value_t *);
const char *check_wildcard_host(schema_ctx_t *, const field_t *,
    const value_t *);
const char *check_sni(schema_ctx_t *, const field_t *, const value_t *);
const char *check_ip_or_cidr(schema_ctx_t *, const field_t *,
    const value_t *);
const char *check_path(schema_ctx_t *, const field_t *, const value_t *);
const char *check_url(schema_ctx_t *, const field_t *, const value_t *);
const char *check_header_name(schema_ctx_t *, const field_t *,
    const value_t *);
const char *check_cookie_name(schema_ctx_t *, const field_t *,
    const value_t *);
const char *check_certificate(schema_ctx_t *, const field_t *,
    const value_t *);
/* used by plugins with custom_fields_by_lua and functions */
const char *check_lua_source(schema_ctx_t *, const field_t *,
    const value_t *);

#endif
