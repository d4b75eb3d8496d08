/*
 * yaml_plain: what a plain scalar stands for, by the rules of Kong's loader
 * (a dialect of YAML 1.1).  The order matters: octal before decimal, so that
 * 010 is 8, while 08 is no octal and therefore 8, too.
 *
 * Most scalars are words or paths: the first character decides at once.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "yaml.h"


#define PLAIN_NUMBER_LEN  400


typedef struct {
    const char  *word;
    uint8_t      kind;
    double       number;         /* the boolean's value, too */
} plain_word_t;


static int plain_word(value_t *v, const char *s, size_t len);
static int plain_number(value_t *v, const char *s, size_t len);
static int plain_octal(double *n, const char *s, size_t len);
static int plain_decimal(double *n, const char *s, size_t len);
static int plain_float(double *n, const char *s, size_t len);
static int plain_hexadecimal(double *n, const char *s, size_t len);
static int plain_binary(double *n, const char *s, size_t len);
static int plain_sexagesimal(double *n, const char *s, size_t len);
static size_t plain_strip(char *to, const char *s, size_t len);
static size_t plain_span(const char *s, size_t len, const char *set);


static const plain_word_t  plain_words[] = {
    { "~",     VALUE_NULL,   0 },
    { "null",  VALUE_NULL,   0 },
    { "Null",  VALUE_NULL,   0 },
    { "NULL",  VALUE_NULL,   0 },
    { "true",  VALUE_BOOL,   1 },
    { "True",  VALUE_BOOL,   1 },
    { "TRUE",  VALUE_BOOL,   1 },
    { "false", VALUE_BOOL,   0 },
    { "False", VALUE_BOOL,   0 },
    { "FALSE", VALUE_BOOL,   0 },
    { "yes",   VALUE_BOOL,   1 },
    { "Yes",   VALUE_BOOL,   1 },
    { "YES",   VALUE_BOOL,   1 },
    { "no",    VALUE_BOOL,   0 },
    { "No",    VALUE_BOOL,   0 },
    { "NO",    VALUE_BOOL,   0 },
    { "on",    VALUE_BOOL,   1 },
    { "On",    VALUE_BOOL,   1 },
    { "ON",    VALUE_BOOL,   1 },
    { "off",   VALUE_BOOL,   0 },
    { "Off",   VALUE_BOOL,   0 },
    { "OFF",   VALUE_BOOL,   0 },
    { ".inf",  VALUE_NUMBER, INFINITY },
    { ".Inf",  VALUE_NUMBER, INFINITY },
    { ".INF",  VALUE_NUMBER, INFINITY },
    { "+.inf", VALUE_NUMBER, INFINITY },
    { "+.Inf", VALUE_NUMBER, INFINITY },
    { "+.INF", VALUE_NUMBER, INFINITY },
    { "-.inf", VALUE_NUMBER, -INFINITY },
    { "-.Inf", VALUE_NUMBER, -INFINITY },
    { "-.INF", VALUE_NUMBER, -INFINITY },
    { ".nan",  VALUE_NUMBER, NAN },
    { ".NaN",  VALUE_NUMBER, NAN },
    { ".NAN",  VALUE_NUMBER, NAN },
    { NULL,    VALUE_NULL,   0 }
};


void
yaml_plain_value(value_t *v, const char *s, size_t len)
{
    if (len == 0) {
        value_set_null(v);
        return;
    }

    if (len <= 5 && strchr("~nNtTfFyYoO.+-", s[0]) != NULL
        && plain_word(v, s, len))
    {
        return;
    }

    if (strchr("0123456789+-._", s[0]) != NULL && len < PLAIN_NUMBER_LEN
        && plain_number(v, s, len))
    {
        return;
    }

    value_set_string(v, s, len);
}


static int
plain_word(value_t *v, const char *s, size_t len)
{
    const plain_word_t  *w;

    for (w = plain_words; w->word != NULL; w++) {
        if (strlen(w->word) != len || memcmp(w->word, s, len) != 0) {
            continue;
        }

        if (w->kind == VALUE_NULL) {
            value_set_null(v);

        } else if (w->kind == VALUE_BOOL) {
            value_set_bool(v, w->number != 0);

        } else {
            value_set_number(v, w->number);
        }

        return 1;
    }

    return 0;
}


static int
plain_number(value_t *v, const char *s, size_t len)
{
    double       n;
    unsigned     minus;
    size_t       rest;
    const char  *digits;

    if (plain_span(s, len, "0123456789abcdefABCDEFxXpP+-._:") != len) {
        return 0;
    }

    minus = s[0] == '-';
    digits = s;
    rest = len;

    if (s[0] == '-' || s[0] == '+') {
        digits++;
        rest--;
    }

    if (plain_octal(&n, digits, rest) || plain_decimal(&n, digits, rest)) {
        value_set_number(v, minus ? -n : n);
        return 1;
    }

    if (plain_float(&n, s, len)) {
        value_set_number(v, n);
        return 1;
    }

    if (plain_hexadecimal(&n, digits, rest) || plain_binary(&n, digits, rest)
        || plain_sexagesimal(&n, digits, rest))
    {
        value_set_number(v, minus ? -n : n);
        return 1;
    }

    return 0;
}


/* 0_17, not a lone 0 */

static int
plain_octal(double *n, const char *s, size_t len)
{
    size_t  i;

    if (len < 2 || s[0] != '0') {
        return 0;
    }

    for (i = 1; i < len && s[i] == '_'; i++) { /* void */ }

    if (i == len || plain_span(s + i, len - i, "01234567_") != len - i) {
        return 0;
    }

    for (*n = 0; i < len; i++) {
        if (s[i] != '_') {
            *n = *n * 8 + (s[i] - '0');
        }
    }

    return 1;
}


static int
plain_decimal(double *n, const char *s, size_t len)
{
    char  buf[PLAIN_NUMBER_LEN];

    if (plain_span(s, len, "0123456789_") != len
        || plain_strip(buf, s, len) == 0)
    {
        return 0;
    }

    *n = strtod(buf, NULL);

    return 1;
}


/* whatever reads as a number and has a point or an exponent */

static int
plain_float(double *n, const char *s, size_t len)
{
    char         buf[PLAIN_NUMBER_LEN], *end;
    const char  *first;

    if (plain_span(s, len, "0123456789abcdfABCDFxXpP+-_:") == len
        || plain_strip(buf, s, len) == 0)
    {
        return 0;
    }

    first = buf + (buf[0] == '+' || buf[0] == '-');

    if (*first == '\0' || strchr("0123456789.", *first) == NULL) {
        return 0;
    }

    *n = strtod(buf, &end);

    return *end == '\0';
}


static int
plain_hexadecimal(double *n, const char *s, size_t len)
{
    char  buf[PLAIN_NUMBER_LEN], *end;

    if (len < 3 || s[0] != '0' || s[1] != 'x'
        || plain_span(s + 2, len - 2, "0123456789abcdefABCDEF_") != len - 2
        || plain_strip(buf, s, len) < 3)
    {
        return 0;
    }

    *n = strtod(buf, &end);

    return *end == '\0';
}


/* at least two digits */

static int
plain_binary(double *n, const char *s, size_t len)
{
    size_t  i;

    if (len < 4 || s[0] != '0' || s[1] != 'b'
        || plain_span(s + 2, len - 2, "01_") != len - 2)
    {
        return 0;
    }

    for (*n = 0, i = 2; i < len; i++) {
        if (s[i] != '_') {
            *n = *n * 2 + (s[i] - '0');
        }
    }

    return 1;
}


/* 12:30, 1:02:03 and with a fraction 1:02.5; the second group is below 60 */

static int
plain_sexagesimal(double *n, const char *s, size_t len)
{
    char         buf[PLAIN_NUMBER_LEN];
    double       group;
    size_t       i, first, whole;
    const char  *p;

    whole = plain_span(s, len, "0123456789:");
    first = plain_span(s, whole, "0123456789");

    if (first == 0 || first + 1 >= whole || s[first + 1] == ':'
        || (first + 2 < whole && s[first + 2] != ':' && s[first + 1] > '5'))
    {
        return 0;
    }

    if (whole < len
        && (s[whole] != '.' || whole + 1 == len
            || plain_span(s + whole + 1, len - whole - 1, "0123456789")
               != len - whole - 1))
    {
        return 0;
    }

    for (*n = 0, i = 0; i < whole; /* void */ ) {
        for (group = 0, p = s + i; i < whole && s[i] != ':'; i++) {
            group = group * 10 + (s[i] - '0');
        }

        if (s + i > p) {
            *n = *n * 60 + group;
        }

        if (i < whole) {
            i++;
        }
    }

    if (whole < len) {
        memcpy(buf, s + whole, len - whole);
        buf[len - whole] = '\0';
        *n += strtod(buf, NULL);
    }

    return 1;
}


static size_t
plain_strip(char *to, const char *s, size_t len)
{
    size_t  i, n;

    for (n = 0, i = 0; i < len; i++) {
        if (s[i] != '_') {
            to[n++] = s[i];
        }
    }

    to[n] = '\0';

    return n;
}


static size_t
plain_span(const char *s, size_t len, const char *set)
{
    size_t  i;

    for (i = 0; i < len && s[i] != '\0' && strchr(set, s[i]) != NULL; i++) {
        /* void */
    }

    return i;
}
