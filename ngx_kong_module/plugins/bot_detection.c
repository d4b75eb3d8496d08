/*
 * bot-detection: user agents by regular expressions.  The first list that
 * matches decides: config.allow, config.deny, then the known robots below.
 */

#include "ngx_kong_plugin.h"


typedef struct {
    void        **patterns;
    ngx_uint_t    n;
} bot_detection_list_t;

typedef struct {
    bot_detection_list_t  allow;
    bot_detection_list_t  deny;
    bot_detection_list_t  known;
} bot_detection_conf_t;


static void *bot_detection_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t bot_detection_list(ngx_pool_t *pool, ngx_str_t *texts,
    ngx_uint_t n, bot_detection_list_t *list);
static ngx_int_t bot_detection_access(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_uint_t bot_detection_match(bot_detection_list_t *list,
    ngx_str_t *agent, ngx_log_t *log);


const ngx_kong_plugin_t  ngx_kong_bot_detection = {
    .name = ngx_string("bot-detection"),
    .prepare = bot_detection_prepare,
    .access = bot_detection_access
};


/* monitors and link previews, libraries that speak HTTP, robots by name, and
 * what calls itself a robot */
static ngx_str_t  bot_detection_known[] = {

    ngx_string("Pingdom\\.com_bot_version_\\d"
               "|facebookexternalhit/\\d"
               "|Google\\S*/\\+/web/snippet"
               "|Twitterbot/\\d"),

    ngx_string("\\b(?:[Aa]ws-sdk|aws-sdk-\\w+|[Bb]oto3?)[ /]\\d"),

    ngx_string("\\b(?:Apache-HttpClient|Google-HTTP-Java-Client"
               "|[Gg]o-http-client|okhttp|axios|Python-urllib"
               "|http%20client|WinHTTP|JNLP|TLSProber|HttpMonitor)\\b"),

    ngx_string("\\b(?:AppEngine-Google|BingPreview|Catchpoint"
               "|FeedFetcher-Google|heritrix|ia_archiver|LinkWalker"
               "|[Mm]ediapartners-Google|Nutch|Slurp|WebCrunch|WebZIP"
               "|YahooSeeker|Yeti)\\b"),

    ngx_string("(?:^|[^A-Za-z])[A-Za-z0-9._-]*"
               "(?:[Bb]ot|[Ss]pider|[Cc]rawler|[Ss]craper)"
               "(?=$|[^a-z])")
};

#define BOT_DETECTION_KNOWN                                                   \
    (sizeof(bot_detection_known) / sizeof(bot_detection_known[0]))


static void *
bot_detection_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    ngx_str_t             *texts;
    ngx_uint_t             n;
    bot_detection_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(bot_detection_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    texts = ngx_kong_conf_strs(in, "allow", pool, &n);
    if (bot_detection_list(pool, texts, n, &conf->allow) != NGX_OK) {
        return NULL;
    }

    texts = ngx_kong_conf_strs(in, "deny", pool, &n);
    if (bot_detection_list(pool, texts, n, &conf->deny) != NGX_OK) {
        return NULL;
    }

    if (bot_detection_list(pool, bot_detection_known, BOT_DETECTION_KNOWN,
                           &conf->known)
        != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


static ngx_int_t
bot_detection_list(ngx_pool_t *pool, ngx_str_t *texts, ngx_uint_t n,
    bot_detection_list_t *list)
{
    ngx_uint_t  i;

    if (n == 0) {
        return NGX_OK;
    }

    list->patterns = ngx_palloc(pool, n * sizeof(void *));
    if (list->patterns == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        list->patterns[i] = ngx_kong_pattern(pool, &texts[i], 0);
        if (list->patterns[i] == NULL) {
            return NGX_ERROR;
        }
    }

    list->n = n;

    return NGX_OK;
}


static ngx_int_t
bot_detection_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_log_t             *log;
    ngx_str_t              agent;
    ngx_uint_t             n;
    bot_detection_conf_t  *conf;

    conf = run->instance->conf;

    n = ngx_kong_header_in_count(r, "user-agent", sizeof("user-agent") - 1);

    if (n == 0) {
        return NGX_OK;
    }

    if (n > 1) {
        return ngx_kong_exit_error(r, NGX_HTTP_BAD_REQUEST,
                                   "Only one User-Agent header allowed");
    }

    agent = ngx_kong_header_in(r, "user-agent", sizeof("user-agent") - 1)
            ->value;
    log = r->connection->log;

    if (bot_detection_match(&conf->allow, &agent, log)) {
        return NGX_OK;
    }

    if (bot_detection_match(&conf->deny, &agent, log)
        || bot_detection_match(&conf->known, &agent, log))
    {
        return ngx_kong_exit_error(r, NGX_HTTP_FORBIDDEN, "Forbidden");
    }

    return NGX_OK;
}


static ngx_uint_t
bot_detection_match(bot_detection_list_t *list, ngx_str_t *agent,
    ngx_log_t *log)
{
    ngx_uint_t  i;

    for (i = 0; i < list->n; i++) {
        if (ngx_kong_pattern_match(list->patterns[i], agent, log)) {
            return 1;
        }
    }

    return 0;
}
