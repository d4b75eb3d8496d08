/*
 * counters_rows: see counters_rows.h.  Kong's tables and columns, so that a
 * Kong may count in them at the same time.  All values travel as arrays of
 * plain words; rows are locked in one order on all nodes, by their key.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counters_rows.h"


#define ROWS_WORDS   10
#define ROWS_ARRAYS  8

/* counters that are read as they were: a sum with all that is on its way */
#define ROWS_SELECT(name_and_period)                                          \
    "WITH x AS (SELECT n::bigint AS n, "                                      \
    "convert_from(decode(i, 'hex'), 'UTF8') AS identifier, "                  \
    name_and_period " AS period, to_timestamp(b::float8) AS period_date, "    \
    "s::uuid AS service_id, r::uuid AS route_id, v::bigint AS v, "            \
    "to_timestamp(e::float8) AS ends "                                        \
    "FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], "            \
    "$5::text[], $6::text[], $7::text[], $8::text[], $9::text[]) "            \
    "AS t (n, i, p, m, b, e, s, r, v)), "

/* a counter stays at the largest number that its column holds */
#define ROWS_ANSWER                                                           \
    "ON CONFLICT (identifier, period, period_date, service_id, route_id) "    \
    "DO UPDATE SET value = least(coalesce(c.value, 0)::bigint "               \
    "+ excluded.value, 2147483647)::int "                                     \
    "RETURNING identifier, period, period_date, service_id, route_id, "       \
    "value) SELECT x.n, u.value FROM x JOIN u USING (identifier, period, "    \
    "period_date, service_id, route_id)"

#define ROWS_ORDER  "GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5 "


static int rows_line(counters_row_t *row, char *line);
static int rows_is_word(const char *word, const char *chars);
static int rows_add(counters_rows_t *rows, pg_t *pg, arena_t *a,
    unsigned named);
static const char *rows_array(counters_rows_t *rows, arena_t *a,
    unsigned named, size_t offset);
static const char *rows_numbers(counters_rows_t *rows, arena_t *a,
    unsigned named);


static const char *const  rows_periods[] = {
    "second", "minute", "hour", "day", "month", "year"
};

/* a row of Kong's that is older is as good as gone; it lives a minute longer
 * than its window, for nodes whose clocks are behind */
static const char  rows_requests[] =
    ROWS_SELECT("p")
    "u AS (INSERT INTO ratelimiting_metrics AS c (identifier, period, "
    "period_date, service_id, route_id, value, ttl) "
    "SELECT identifier, period, period_date, service_id, route_id, "
    "least(sum(v), 2147483647)::int, max(ends) + interval '1 minute' "
    "FROM x " ROWS_ORDER ROWS_ANSWER;

static const char  rows_responses[] =
    ROWS_SELECT("convert_from(decode(m, 'hex'), 'UTF8') || '_' || p")
    "u AS (INSERT INTO response_ratelimiting_metrics AS c (identifier, "
    "period, period_date, service_id, route_id, value) "
    "SELECT identifier, period, period_date, service_id, route_id, "
    "least(sum(v), 2147483647)::int FROM x " ROWS_ORDER ROWS_ANSWER;

static const char  rows_clean_requests[] =
    "DELETE FROM ratelimiting_metrics WHERE ctid = ANY (ARRAY("
    "SELECT ctid FROM ratelimiting_metrics WHERE ttl < now() "
    "LIMIT 5000 FOR UPDATE SKIP LOCKED))";

static const char  rows_clean_responses[] =
    "DELETE FROM response_ratelimiting_metrics WHERE ctid = ANY (ARRAY("
    "SELECT ctid FROM response_ratelimiting_metrics "
    "WHERE period_date < now() - interval '1 minute' - CASE "
    "WHEN period LIKE '%\\_second' THEN interval '1 second' "
    "WHEN period LIKE '%\\_minute' THEN interval '1 minute' "
    "WHEN period LIKE '%\\_hour' THEN interval '1 hour' "
    "WHEN period LIKE '%\\_day' THEN interval '1 day' "
    "WHEN period LIKE '%\\_month' THEN interval '31 days' "
    "ELSE interval '366 days' END "
    "LIMIT 5000 FOR UPDATE SKIP LOCKED))";


int
counters_rows_parse(counters_rows_t *out, char *text)
{
    char  *line, *next;

    out->n = 0;

    for (line = text; *line != '\0'; line = next) {

        next = strchr(line, '\n');

        if (next == NULL || out->n == COUNTERS_ROWS) {
            return -1;
        }

        *next++ = '\0';

        if (rows_line(&out->rows[out->n], line) == -1) {
            return -1;
        }

        out->n++;
    }

    return 0;
}


static int
rows_line(counters_row_t *row, char *line)
{
    size_t  i;
    char   *words[ROWS_WORDS], *rest;

    rest = line;

    for (i = 0; i < ROWS_WORDS; i++) {
        words[i] = strsep(&rest, " ");

        if (words[i] == NULL) {
            return -1;
        }
    }

    if (rest != NULL || words[8][0] != 'x'
        || (words[9][0] != 'x' && strcmp(words[9], "-") != 0)
        || strlen(words[2]) != 1 || words[2][0] < '0' || words[2][0] > '5')
    {
        return -1;
    }

    /* arrays are made of these as they are */

    for (i = 0; i < ROWS_WORDS - 1; i++) {
        if (words[i][0] == '\0'
            || !rows_is_word(words[i] + (i == 8),
                             i == 5 || i == 6 ? "0123456789abcdef-"
                             : i == 8 ? "0123456789abcdef" : "0123456789"))
        {
            return -1;
        }
    }

    row->name = words[9][0] == 'x' ? words[9] + 1 : NULL;

    if (row->name != NULL && !rows_is_word(row->name, "0123456789abcdef")) {
        return -1;
    }

    row->place = words[0];
    row->flight = words[1];
    row->period = rows_periods[words[2][0] - '0'];
    row->start = words[3];
    row->end = words[4];
    row->route = words[5];
    row->service = words[6];
    row->amount = words[7];
    row->identifier = words[8] + 1;
    row->sum = -1;

    return 0;
}


static int
rows_is_word(const char *word, const char *chars)
{
    return word[strspn(word, chars)] == '\0';
}


int
counters_rows_add(counters_rows_t *rows, pg_t *pg, arena_t *a)
{
    if (rows->n == 0) {
        return pg_run(pg, "SELECT 1", NULL, 0) == -1 ? -1 : 0;
    }

    if (rows_add(rows, pg, a, 0) == -1) {
        return -1;
    }

    return rows_add(rows, pg, a, 1);
}


static int
rows_add(counters_rows_t *rows, pg_t *pg, arena_t *a, unsigned named)
{
    int         i;
    size_t      n;
    PGresult   *res;
    pg_arg_t    args[ROWS_ARRAYS + 1];

    static const size_t  offsets[ROWS_ARRAYS] = {
        offsetof(counters_row_t, identifier),
        offsetof(counters_row_t, period),
        offsetof(counters_row_t, name),
        offsetof(counters_row_t, start),
        offsetof(counters_row_t, end),
        offsetof(counters_row_t, service),
        offsetof(counters_row_t, route),
        offsetof(counters_row_t, amount)
    };

    args[0].type = PG_TYPE_TEXTS;
    args[0].text = rows_numbers(rows, a, named);

    if (args[0].text == NULL) {
        return 0;
    }

    for (n = 0; n < ROWS_ARRAYS; n++) {
        args[n + 1].type = PG_TYPE_TEXTS;
        args[n + 1].text = rows_array(rows, a, named, offsets[n]);
    }

    res = pg_query(pg, named ? rows_responses : rows_requests, args,
                   ROWS_ARRAYS + 1);
    if (res == NULL) {
        return -1;
    }

    for (i = 0; i < PQntuples(res); i++) {
        n = strtoul(PQgetvalue(res, i, 0), NULL, 10);

        if (n < rows->n) {
            rows->rows[n].sum = strtoll(PQgetvalue(res, i, 1), NULL, 10);
        }
    }

    PQclear(res);

    return 0;
}


/* which rows; NULL: none */
static const char *
rows_numbers(counters_rows_t *rows, arena_t *a, unsigned named)
{
    char    *text, *p;
    size_t   i;

    text = arena_alloc(a, rows->n * 24 + 3);
    p = text;
    *p++ = '{';

    for (i = 0; i < rows->n; i++) {
        if ((rows->rows[i].name != NULL) == named) {
            p += sprintf(p, "%s%zu", p[-1] == '{' ? "" : ",", i);
        }
    }

    if (p == text + 1) {
        return NULL;
    }

    memcpy(p, "}", 2);

    return text;
}


static const char *
rows_array(counters_rows_t *rows, arena_t *a, unsigned named, size_t offset)
{
    char        *text, *p;
    size_t       i, size;
    const char  *word;

    for (i = 0, size = 3; i < rows->n; i++) {
        word = *(const char **) ((char *) &rows->rows[i] + offset);
        size += (word != NULL ? strlen(word) : 0) + 3;
    }

    text = arena_alloc(a, size);
    p = text;
    *p++ = '{';

    for (i = 0; i < rows->n; i++) {
        if ((rows->rows[i].name != NULL) != named) {
            continue;
        }

        word = *(const char **) ((char *) &rows->rows[i] + offset);
        p += sprintf(p, "%s\"%s\"", p[-1] == '{' ? "" : ",",
                     word != NULL ? word : "");
    }

    memcpy(p, "}", 2);

    return text;
}


int
counters_rows_clean(pg_t *pg)
{
    if (pg_run(pg, rows_clean_requests, NULL, 0) == -1
        || pg_run(pg, rows_clean_responses, NULL, 0) == -1)
    {
        return -1;
    }

    return 0;
}
