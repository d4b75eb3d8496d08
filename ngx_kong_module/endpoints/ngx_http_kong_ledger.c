/*
 * The ledger on the control socket: one exchange brings the sums of the last
 * batch and takes the next one along.  A row is a line of words; texts are
 * in hex.  The protocol is specified in docs/architecture.md.
 */

#include "../ngx_http_kong.h"
#include "../zone/ngx_kong_ledger.h"


/* a line's numbers and ids, beside its text */
#define NGX_HTTP_KONG_LEDGER_LINE  256


static void ngx_http_kong_ledger_take(ngx_kong_ledger_t *ledger,
    ngx_str_t *sums);
static ngx_uint_t ngx_http_kong_ledger_flag(ngx_http_request_t *r,
    const char *name, ngx_uint_t missing);
static ngx_buf_t *ngx_http_kong_ledger_give(ngx_http_request_t *r,
    ngx_kong_ledger_t *ledger, ngx_uint_t max);
static u_char *ngx_http_kong_ledger_line(u_char *p,
    ngx_kong_ledger_row_t *row);


ngx_int_t
ngx_http_kong_ledger_handler(ngx_http_request_t *r)
{
    ngx_buf_t                  *b;
    ngx_str_t                   sums;
    ngx_uint_t                  max;
    ngx_kong_ledger_t          *ledger;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
    ledger = ngx_kong_zone_control(mcf->zone)->ledger;

    ngx_kong_ledger_report(ledger, ngx_http_kong_ledger_flag(r, "ok", 1));

    if (ngx_http_kong_ledger_flag(r, "fresh", 0)) {
        ngx_kong_ledger_recall(ledger, NGX_KONG_LEDGER_DATABASE);
    }

    if (ngx_http_arg(r, (u_char *) "sums", 4, &sums) == NGX_OK) {
        ngx_http_kong_ledger_take(ledger, &sums);
    }

    max = ngx_http_kong_ledger_flag(r, "more", 1) ? NGX_KONG_LEDGER_BATCH : 0;

    b = ngx_http_kong_ledger_give(r, ledger, max);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_kong_endpoint_send(r, NGX_HTTP_OK, "text/plain", b);
}


static ngx_uint_t
ngx_http_kong_ledger_flag(ngx_http_request_t *r, const char *name,
    ngx_uint_t missing)
{
    ngx_str_t  value;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &value) != NGX_OK) {
        return missing;
    }

    return value.len == 1 && value.data[0] == '1';
}


/* "<place>.<flight>.<sum>" and so on, with "_" between them; no sum: it was
 * not written */
static void
ngx_http_kong_ledger_take(ngx_kong_ledger_t *ledger, ngx_str_t *sums)
{
    u_char     *p, *last;
    ngx_int_t   place, flight, sum;
    ngx_str_t   words[3];

    last = sums->data + sums->len;

    for (p = sums->data; p < last; /* void */ ) {
        p = ngx_http_kong_endpoint_word(p, last, '.', &words[0]);
        p = ngx_http_kong_endpoint_word(p, last, '.', &words[1]);
        p = ngx_http_kong_endpoint_word(p, last, '_', &words[2]);

        place = ngx_atoi(words[0].data, words[0].len);
        flight = ngx_atoi(words[1].data, words[1].len);
        sum = ngx_atoi(words[2].data, words[2].len);

        if (place < 0 || flight < 0 || place > 0xffffffff
            || flight > 0xffffffff)
        {
            return;
        }

        if (sum >= 0) {
            ngx_kong_ledger_settle(ledger, (uint32_t) place,
                                   (uint32_t) flight, sum);

        } else {
            ngx_kong_ledger_return(ledger, (uint32_t) place,
                                   (uint32_t) flight);
        }
    }
}


static ngx_buf_t *
ngx_http_kong_ledger_give(ngx_http_request_t *r, ngx_kong_ledger_t *ledger,
    ngx_uint_t max)
{
    ngx_buf_t              *b;
    ngx_uint_t              i, n;
    ngx_kong_ledger_row_t  *rows;

    rows = ngx_palloc(r->pool, NGX_KONG_LEDGER_BATCH
                               * sizeof(ngx_kong_ledger_row_t));
    if (rows == NULL) {
        return NULL;
    }

    n = ngx_kong_ledger_collect(ledger, NGX_KONG_LEDGER_DATABASE, rows, max);

    b = ngx_create_temp_buf(r->pool, n * (NGX_HTTP_KONG_LEDGER_LINE
                                          + 2 * NGX_KONG_LEDGER_TEXT) + 1);

    for (i = 0; i < n; i++) {

        if (b == NULL) {
            ngx_kong_ledger_return(ledger, rows[i].place,
                                   rows[i].entry.flight);
            continue;
        }

        b->last = ngx_http_kong_ledger_line(b->last, &rows[i]);
    }

    return b;
}


/* place, flight, period, start and end of the window, route, service, amount,
 * identifier, and the name of a limit or "-" */
static u_char *
ngx_http_kong_ledger_line(u_char *p, ngx_kong_ledger_row_t *row)
{
    char                      route[37], service[37];
    ngx_kong_ledger_entry_t  *e;

    e = &row->entry;

    kong_uuid_text(e->route, route);
    kong_uuid_text(e->service, service);

    p = ngx_sprintf(p, "%uD %uD %ui %uD %uD %s %s %L x", row->place,
                    e->flight, (ngx_uint_t) e->period, e->start, e->end,
                    route, service, e->flying);
    p = ngx_hex_dump(p, e->text, e->identifier_len);
    *p++ = ' ';

    if (e->named) {
        *p++ = 'x';
        p = ngx_hex_dump(p, e->text + e->identifier_len, e->name_len);

    } else {
        *p++ = '-';
    }

    *p++ = LF;

    return p;
}
