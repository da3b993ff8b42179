/* engine/base/http.c */
#include "engine/base/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DAY_S = 86400 };

static void begin(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void http_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin);
}

static const char *shown(const struct http_request *q)
{
    return q->shown != NULL ? q->shown : q->url;
}

enum serin_status http_secret(const char *path, char out[HTTP_SECRET], struct fault *f)
{
    out[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, HTTP_SECRET) : -1;
    int error = errno;
    if (fd >= 0) close(fd);
    if (n < 0) {
        out[0] = '\0';
        return fault_set(f, SERIN_EIO, "secret file %.300s: %s", path, strerror(error));
    }
    bool whole = n < HTTP_SECRET;
    out[whole ? n : 0] = '\0';
    size_t from = strspn(out, " \t\r\n"), len = strcspn(out + from, " \t\r\n");
    memmove(out, out + from, len);
    out[len] = '\0';
    if (len != 0) return SERIN_OK;
    return fault_set(f, SERIN_EDOM,
                     "secret file %.300s: expected one word of at most %d bytes", path,
                     HTTP_SECRET - 1);
}

static size_t collect(char *data, size_t size, size_t n, void *ctx)
{
    struct text *body = ctx;
    text_bytes(body, data, size * n);
    return body->failed ? 0 : size * n;
}

static bool append(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);
    if (longer == NULL) return false;
    *list = longer;
    return true;
}

static enum serin_status headers_of(const struct http_request *q,
                                    struct curl_slist **list, struct fault *f)
{
    char text[HTTP_SECRET + 64], token[HTTP_SECRET];
    bool ok = append(list, "Expect:");
    for (const char *const *h = q->headers; ok && h != NULL && *h != NULL; h++)
        ok = append(list, *h);
    if (ok && q->body != NULL && q->type != NULL) {
        snprintf(text, sizeof text, "Content-Type: %s", q->type);
        ok = append(list, text);
    }
    if (ok && q->token_file != NULL) {
        enum serin_status rc = http_secret(q->token_file, token, f);
        if (rc != SERIN_OK) return rc;
        snprintf(text, sizeof text, "Authorization: Bearer %s", token);
        ok = append(list, text);
    }
    return ok ? SERIN_OK : fault_set(f, SERIN_ENOMEM, "out of memory for a request");
}

static void set_options(CURL *c, const struct http_request *q, struct curl_slist *list,
                        struct text *body, char why[CURL_ERROR_SIZE])
{
    curl_easy_setopt(c, CURLOPT_URL, q->url);
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
    if (q->body != NULL) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(q->body));
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body);
    } else if (strcmp(q->method, "POST") == 0) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, 0L);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
    }
    if (q->ca_file != NULL) curl_easy_setopt(c, CURLOPT_CAINFO, q->ca_file);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)q->timeout_ms);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "serin/" SERIN_VERSION);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
}

enum serin_status http_call(const struct http_request *q, struct http_answer *out,
                            struct fault *f)
{
    char why[CURL_ERROR_SIZE] = "";
    struct curl_slist *list = NULL;
    http_begin();
    text_free(&out->body);
    *out = (struct http_answer){.body = {.max = HTTP_ANSWER_MAX}};
    CURL *c = curl_easy_init();
    enum serin_status rc = c == NULL
                               ? fault_set(f, SERIN_ENOMEM, "out of memory for a call")
                               : headers_of(q, &list, f);
    if (rc == SERIN_OK) {
        set_options(c, q, list, &out->body, why);
        CURLcode code = curl_easy_perform(c);
        curl_off_t wait_s = 0; /* of either form: seconds, or a date */
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &out->status);
        curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &wait_s);
        out->retry_ms = 1000 * (int64_t)(wait_s < DAY_S ? wait_s : DAY_S);
        if (code == CURLE_OPERATION_TIMEDOUT)
            rc = fault_set(f, SERIN_ETIME, "%s %.250s: no answer within %d ms",
                           q->method, shown(q), q->timeout_ms);
        else if (code != CURLE_OK)
            rc = fault_set(f, SERIN_EIO, "%s %.250s: %.150s", q->method, shown(q),
                           *why != '\0' ? why : curl_easy_strerror(code));
    }
    curl_slist_free_all(list);
    curl_easy_cleanup(c);
    return rc;
}

enum serin_status http_accepted(const struct http_request *q,
                                const struct http_answer *a, struct fault *f)
{
    if (a->status >= 200 && a->status < 300) return SERIN_OK;
    const char *body = a->body.p != NULL ? a->body.p : "";
    if (q->shown != NULL) /* the answer may repeat the secret */
        return fault_set(f, SERIN_EIO, "%s %.200s answered %ld", q->method, q->shown,
                         a->status);
    return fault_set(f, SERIN_EIO, "%s %.200s answered %ld \"%.*s\"", q->method,
                     shown(q), a->status, (int)strnlen(body, 160), body);
}
