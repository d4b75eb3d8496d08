/*
 * kong_jwt: see kong_jwt.h.  cJSON takes NUL bytes (also written \u0000) for
 * the end of a string and lets raw control characters pass: such texts are
 * refused before it sees them.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kong_jwt.h"


static kong_jwt_rc_t jwt_object(const char *text, size_t len, char *buf,
    cJSON **json);
static int jwt_is_clean(const char *p, size_t len);
static int jwt_is_unique(const cJSON *json);
static int jwt_compare(const void *one, const void *two);


kong_jwt_rc_t
kong_jwt_parse(kong_jwt_t *jwt, const char *token, size_t len)
{
    char           *buf;
    size_t          n;
    cJSON          *alg;
    ssize_t         size;
    const char     *claims, *signature;
    kong_jwt_rc_t   rc;

    jwt->header = NULL;
    jwt->claims = NULL;
    jwt->alg = KONG_ALG_NONE;
    jwt->signature_len = 0;

    if (len > KONG_JWT_MAX) {
        return KONG_JWT_JSON;
    }

    claims = memchr(token, '.', len);

    if (claims == NULL) {
        return KONG_JWT_JSON;
    }

    claims++;
    signature = memchr(claims, '.', len - (size_t) (claims - token));

    if (signature == NULL) {
        return KONG_JWT_JSON;
    }

    signature++;

    jwt->text.data = token;
    jwt->text.len = (size_t) (signature - token) - 1;

    buf = malloc(kong_base64_size(len));
    if (buf == NULL) {
        return KONG_JWT_FAILED;
    }

    rc = jwt_object(token, (size_t) (claims - token) - 1, buf, &jwt->header);

    if (rc == KONG_JWT_OK) {
        rc = jwt_object(claims, (size_t) (signature - claims) - 1, buf,
                        &jwt->claims);
    }

    free(buf);

    if (rc == KONG_JWT_FAILED || rc == KONG_JWT_JSON) {
        return rc;
    }

    if (!cJSON_IsObject(jwt->header)) {
        return KONG_JWT_JSON;
    }

    alg = cJSON_GetObjectItemCaseSensitive(jwt->header, "alg");

    if (cJSON_IsString(alg)) {
        jwt->alg = kong_alg(alg->valuestring, strlen(alg->valuestring));
    }

    if (jwt->alg == KONG_ALG_NONE) {
        return KONG_JWT_ALG;
    }

    if (cJSON_GetObjectItemCaseSensitive(jwt->header, "crit") != NULL) {
        return KONG_JWT_CRIT;
    }

    if (rc != KONG_JWT_OK) {
        return rc;
    }

    n = len - (size_t) (signature - token);

    if (n > KONG_JWT_SIGNATURE_MAX / 3 * 4 + 3) {
        return KONG_JWT_SIGNATURE;
    }

    size = kong_base64_decode(signature, n, KONG_BASE64_URL, jwt->signature);

    if (size < 0) {
        return KONG_JWT_SIGNATURE;
    }

    jwt->signature_len = (size_t) size;

    return KONG_JWT_OK;
}


void
kong_jwt_release(kong_jwt_t *jwt)
{
    cJSON_Delete(jwt->header);
    cJSON_Delete(jwt->claims);
    jwt->header = NULL;
    jwt->claims = NULL;
}


const char *
kong_jwt_strerror(kong_jwt_rc_t rc)
{
    switch (rc) {

    case KONG_JWT_OK:
        return "no error";

    case KONG_JWT_ALG:
        return "invalid alg";

    case KONG_JWT_CLAIMS:
        return "invalid claims";

    case KONG_JWT_SIGNATURE:
        return "invalid signature";

    case KONG_JWT_CRIT:
        return "invalid crit";

    case KONG_JWT_FAILED:
        return "out of memory";

    default:
        return "invalid JSON";
    }
}


const cJSON *
kong_jwt_get(const kong_jwt_t *jwt, const char *name)
{
    const cJSON  *item;

    item = cJSON_GetObjectItemCaseSensitive(jwt->claims, name);

    if (item == NULL || cJSON_IsNull(item) || cJSON_IsFalse(item)) {
        item = cJSON_GetObjectItemCaseSensitive(jwt->header, name);
    }

    if (item == NULL || cJSON_IsNull(item) || cJSON_IsFalse(item)) {
        return NULL;
    }

    return item;
}


int
kong_jwt_number(const kong_jwt_t *jwt, const char *claim, double *n)
{
    const cJSON  *item;

    item = cJSON_GetObjectItemCaseSensitive(jwt->claims, claim);

    if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble)) {
        return 0;
    }

    *n = item->valuedouble;

    return 1;
}


/* KONG_JWT_CLAIMS: JSON, but no object or one with a doubled member */
static kong_jwt_rc_t
jwt_object(const char *text, size_t len, char *buf, cJSON **json)
{
    ssize_t      n;
    const char  *end;

    n = kong_base64_decode(text, len, KONG_BASE64_URL, (uint8_t *) buf);

    if (n <= 0 || !jwt_is_clean(buf, (size_t) n)) {
        return KONG_JWT_JSON;
    }

    *json = cJSON_ParseWithLengthOpts(buf, (size_t) n, &end, 0);

    if (*json == NULL) {
        return KONG_JWT_JSON;
    }

    while (end < buf + n && strchr(" \t\r\n", *end) != NULL) {
        end++;
    }

    if (end != buf + n) {
        return KONG_JWT_JSON;
    }

    if (!cJSON_IsObject(*json)) {
        return KONG_JWT_CLAIMS;
    }

    return jwt_is_unique(*json) ? KONG_JWT_OK : KONG_JWT_JSON;
}


static int
jwt_is_clean(const char *p, size_t len)
{
    int      in_string;
    size_t   i;

    in_string = 0;

    for (i = 0; i < len; i++) {

        if ((unsigned char) p[i] < 0x20
            && (in_string || strchr("\t\r\n", p[i]) == NULL || p[i] == '\0'))
        {
            return 0;
        }

        if (p[i] == '"') {
            in_string = !in_string;

        } else if (p[i] == '\\' && in_string) {
            if (len - i >= 6 && memcmp(p + i + 1, "u0000", 5) == 0) {
                return 0;
            }

            /* only the escaped character matters; one at the end is an
             * error that the parser finds */
            i++;
        }
    }

    return 1;
}


static int
jwt_is_unique(const cJSON *json)
{
    size_t        n, i;
    const char   *names[KONG_JWT_MEMBERS_MAX];
    const cJSON  *item;

    n = 0;

    cJSON_ArrayForEach(item, json) {
        if (n == KONG_JWT_MEMBERS_MAX) {
            return 0;
        }

        names[n++] = item->string;
    }

    qsort(names, n, sizeof(names[0]), jwt_compare);

    for (i = 1; i < n; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            return 0;
        }
    }

    return 1;
}


static int
jwt_compare(const void *one, const void *two)
{
    return strcmp(*(const char *const *) one, *(const char *const *) two);
}
