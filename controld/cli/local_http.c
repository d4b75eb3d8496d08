/*
 * local_http: see local_http.h.  Bounded in time and in size.
 */

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "local_http.h"


#define LOCAL_HTTP_TIMEOUT  5L
#define LOCAL_HTTP_MAX      (1024 * 1024)


typedef struct {
    char    *data;
    size_t   len;
} local_buf_t;


static size_t local_http_write(char *data, size_t size, size_t n,
    void *opaque);


int
local_http(arena_t *a, const char *socket, const char *url, const char *body,
    local_http_t *out)
{
    CURL               *curl;
    CURLcode            rc;
    local_buf_t         buf;
    struct curl_slist  *headers;

    memset(out, 0, sizeof(*out));
    memset(&buf, 0, sizeof(buf));
    headers = NULL;
    rc = CURLE_OUT_OF_MEMORY;

    curl = curl_easy_init();
    if (curl == NULL) {
        goto done;
    }

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, LOCAL_HTTP_TIMEOUT);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, local_http_write);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &buf);

    if (socket != NULL) {
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    }

    if (body != NULL) {
        headers = curl_slist_append(NULL, "Content-Type: application/json");
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }

    rc = curl_easy_perform(curl);

    if (rc == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->status);
        out->body = arena_strndup(a, buf.data ? buf.data : "", buf.len);
        out->len = buf.len;
    }

done:

    out->error = curl_easy_strerror(rc);

    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    free(buf.data);

    return rc == CURLE_OK ? 0 : -1;
}


static size_t
local_http_write(char *data, size_t size, size_t n, void *opaque)
{
    char         *p;
    local_buf_t  *buf;

    buf = opaque;
    n *= size;

    if (buf->len + n > LOCAL_HTTP_MAX) {
        return 0;
    }

    p = realloc(buf->data, buf->len + n + 1);
    if (p == NULL) {
        return 0;
    }

    memcpy(p + buf->len, data, n);
    buf->data = p;
    buf->len += n;

    return n;
}
