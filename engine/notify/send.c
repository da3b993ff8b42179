/* engine/notify/send.c */
#include "engine/notify/send.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/base/http.h"
#include "engine/notify/mail.h"
#include "engine/notify/payload.h"

static const char pagerduty_url[] = "https://events.pagerduty.com/v2/enqueue";

/* A file's secrets are read anew each time, so that they can be changed. */
static enum serin_status address(const struct receiver *r, char out[HTTP_SECRET],
                                 struct fault *f)
{
    if (r->url_file != NULL) return http_secret(r->url_file, out, f);
    size_t n = r->url != NULL ? strlen(r->url) : 0;
    while (r->kind == RECEIVER_ALERTMANAGER && n > 0 && r->url[n - 1] == '/')
        n--;
    snprintf(out, HTTP_SECRET, "%.*s%s", (int)n, r->url != NULL ? r->url : "",
             r->kind == RECEIVER_ALERTMANAGER ? "/api/v2/alerts" : "");
    if (r->url == NULL) snprintf(out, HTTP_SECRET, "%s", pagerduty_url);
    return SERIN_OK;
}

static void sign(const char *secret, const char *body, char out[128])
{
    uint8_t digest[HASH_DIGEST];
    hash_hmac(secret, strlen(secret), body, strlen(body), digest);
    size_t n = (size_t)snprintf(out, 128, "X-Serin-Signature: sha256=");
    hash_hex(digest, sizeof digest, out + n);
}

/* These say that the alert itself is wrong: the same again would be refused again. */
static bool refused(long status)
{
    return status == 400 || status == 413 || status == 422;
}

static enum serin_status post(const struct receiver *r, const struct incident_event *e,
                              const char *url, const char *secret, const char *body,
                              int64_t *wait_ms, struct fault *f)
{
    char idempotency[INCIDENT_KEY + 64], signature[128];
    const char *headers[] = {idempotency, NULL, NULL};
    struct http_answer a = {0};
    struct http_request q = {
        .method = "POST",
        .url = url,
        .shown = r->url_file != NULL || r->kind == RECEIVER_PAGERDUTY ? r->name : NULL,
        .body = body,
        .type = "application/json",
        .headers = headers,
        .token_file = r->kind == RECEIVER_ALERTMANAGER ? r->secret_file : NULL,
        .ca_file = r->ca_file,
        .timeout_ms = (int)r->timeout_ms};
    snprintf(idempotency, sizeof idempotency, "Idempotency-Key: %s/%" PRIu64 "/%s",
             e->what.key, e->what.seq, e->firing ? "firing" : "resolved");
    if (r->kind == RECEIVER_WEBHOOK && r->secret_file != NULL) {
        sign(secret, body, signature);
        headers[1] = signature;
    }
    enum serin_status rc = http_call(&q, &a, f);
    if (rc == SERIN_OK) rc = http_accepted(&q, &a, f);
    f->retriable = rc != SERIN_OK && !refused(a.status);
    if (a.status == 429 || a.status == 503) *wait_ms = a.retry_ms;
    text_free(&a.body);
    return rc;
}

enum serin_status send_alert(const struct receiver *r, const struct incident_event *e,
                             int64_t now_ms, int64_t *wait_ms, struct fault *f)
{
    *wait_ms = 0;
    char url[HTTP_SECRET], secret[HTTP_SECRET] = "";
    enum serin_status rc = address(r, url, f);
    if (rc == SERIN_OK && r->secret_file != NULL && r->kind != RECEIVER_EMAIL)
        rc = http_secret(r->secret_file, secret, f);
    if (rc != SERIN_OK) {
        f->retriable = true; /* somebody has to mend the file, and may */
        return rc;
    }
    if (r->kind == RECEIVER_EMAIL) return mail_send(r, e, url, now_ms, f);
    char *body = payload_json(r, e, secret, now_ms + SEND_ALIVE_MS);
    if (body == NULL) {
        fault_set(f, SERIN_ENOMEM, "out of memory for an alert");
        f->retriable = true;
        return SERIN_ENOMEM;
    }
    rc = post(r, e, url, secret, body, wait_ms, f);
    memset(secret, 0, sizeof secret);
    free(body);
    return rc;
}
