/* engine/act/webhook.c -- somebody else's program, over HTTP
 *
 * POST of the order as JSON. The weight in force is what the answer says,
 * {"weight_bp": N}, or a GET of status_url does. Without a status_url a look is the
 * same POST again: the receiver has to take a repeated order as done, and has to
 * ignore orders that are older than the newest (the number after the "/" of
 * verdict_id grows). X-Serin-Signature is "sha256=" and the hex of HMAC-SHA-256 over
 * the body under the secret. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "engine/act/driver.h"
#include "engine/base/hash.h"
#include "engine/base/http.h"
#include "engine/base/mem.h"

struct settings {
    struct driver_settings common;
    const char *url, *status_url, *secret_file, *token_file, *ca_file;
    int64_t timeout_ms;
};
#define AT(field) offsetof(struct settings, field)
static const struct keys_key keys[] = {
    DRIVER_KIND,
    KEYS_KEY("url", KEYS_TEXT, AT(url), NULL, 8, 2048, NULL, "gets the orders, by POST",
             .required = true),
    KEYS_KEY("status_url", KEYS_TEXT, AT(status_url), NULL, 8, 2048, NULL,
             "answers a GET with {\"weight_bp\": N}, what is in force; by default the "
             "answer to the POST says so"),
    KEYS_KEY("secret_file", KEYS_TEXT, AT(secret_file), NULL, 1, 512, NULL,
             "holds the secret under which orders are signed"),
    KEYS_KEY("token_file", KEYS_TEXT, AT(token_file), NULL, 1, 512, NULL,
             "holds a bearer token"),
    KEYS_KEY("ca_file", KEYS_TEXT, AT(ca_file), NULL, 1, 512, NULL,
             "certificates that https trusts; by default the system's"),
    KEYS_KEY("timeout", KEYS_DURATION, AT(timeout_ms), "3s", 100, 10000, NULL,
             "for one call"),
};
static const struct keys_table table = KEYS_OF(keys, struct settings);

struct webhook {
    const struct settings *s;
    struct text order;  /* the latest; "" = none yet */
    char key[160];      /* of that order */
    uint32_t told_bp;   /* the answer to it, not looked at yet; UINT32_MAX: none */
    uint32_t mirror_bp; /* of the latest answer */
};

static bool web(const char *url)
{
    return url == NULL || strncmp(url, "http://", 7) == 0 ||
           strncmp(url, "https://", 8) == 0;
}

static enum serin_status open_(const void *settings, const char *rollout, void **own,
                               char place[DRIVER_PLACE], struct fault *f)
{
    const struct settings *s = settings;
    (void)rollout;
    if (!web(s->url) || !web(s->status_url))
        return fault_set(f, SERIN_EDOM,
                         "webhook: url and status_url begin with "
                         "http:// or https://");
    struct webhook *w = mem_calloc(1, sizeof *w);
    if (w == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory for a webhook");
    *w = (struct webhook){.s = s, .told_bp = UINT32_MAX};
    snprintf(place, DRIVER_PLACE, "webhook %.490s", s->url);
    *own = w;
    return SERIN_OK;
}

static void close_(void *own)
{
    struct webhook *w = own;
    text_free(&w->order);
    mem_free(w);
}

static void order_of(const struct driver_order *o, struct text *out)
{
    text_add(out, "{\"schema\":\"serin.order/1\",\"rollout\":");
    text_json(out, o->rollout);
    text_add(out, ",\"verdict_id\":");
    text_json(out, o->verdict_id);
    text_add(out,
             ",\"weight_bp\":%" PRIu32 ",\"mirror_bp\":%" PRIu32
             ",\"stopped\":%s,\"audience\":[",
             o->weight_bp, o->mirror_bp, o->stopped ? "true" : "false");
    for (size_t i = 0; i < o->n_audience; i++) {
        text_add(out, "%s", i != 0 ? "," : "");
        text_json(out, o->audience[i]);
    }
    text_add(out, "]}");
}

static bool share(json_t *value, json_int_t *out)
{
    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= 0 && *out <= 10000;
}

/* "weight_bp" of an answer, and "mirror_bp": 0 where it says nothing of copies. */
static enum serin_status weight_in(struct webhook *w, const struct http_request *q,
                                   const struct http_answer *a, uint32_t *bp,
                                   struct fault *f)
{
    enum serin_status rc = http_accepted(q, a, f);
    if (rc != SERIN_OK) return rc;
    const char *body = a->body.p != NULL ? a->body.p : "";
    json_t *root = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    json_t *mirrored = json_object_get(root, "mirror_bp");
    json_int_t n = 0, copies = 0;
    bool good = share(json_object_get(root, "weight_bp"), &n) &&
                (mirrored == NULL || share(mirrored, &copies));
    json_decref(root);
    if (!good)
        return fault_set(
            f, SERIN_EDOM,
            "%s %.200s answered \"%.*s\": expected {\"weight_bp\": N} with "
            "N of 0 to 10000, the weight that is in force (and \"mirror_bp\" alike, "
            "the "
            "share that is copied)",
            q->method, q->url, (int)strnlen(body, 100), body);
    *bp = (uint32_t)n;
    w->mirror_bp = (uint32_t)copies;
    return SERIN_OK;
}

static enum serin_status post(struct webhook *w, uint32_t *bp, struct fault *f)
{
    char secret[HTTP_SECRET], signature[128] = "", idempotency[200];
    uint8_t digest[HASH_DIGEST];
    const char *headers[] = {idempotency, NULL, NULL};
    struct http_answer a = {0};
    struct http_request q = {.method = "POST",
                             .url = w->s->url,
                             .body = w->order.p,
                             .type = "application/json",
                             .headers = headers,
                             .token_file = w->s->token_file,
                             .ca_file = w->s->ca_file,
                             .timeout_ms = (int)w->s->timeout_ms};
    snprintf(idempotency, sizeof idempotency, "Idempotency-Key: %s", w->key);
    if (w->s->secret_file != NULL) {
        enum serin_status rc = http_secret(w->s->secret_file, secret, f);
        if (rc != SERIN_OK) return rc;
        hash_hmac(secret, strlen(secret), w->order.p, w->order.n, digest);
        size_t n =
            (size_t)snprintf(signature, sizeof signature, "X-Serin-Signature: sha256=");
        hash_hex(digest, sizeof digest, signature + n);
        headers[1] = signature;
    }
    enum serin_status rc = http_call(&q, &a, f);
    if (rc == SERIN_OK)
        rc = w->s->status_url == NULL ? weight_in(w, &q, &a, bp, f)
                                      : http_accepted(&q, &a, f);
    text_free(&a.body);
    return rc;
}

static enum serin_status apply(void *own, const struct driver_order *o, struct fault *f)
{
    struct webhook *w = own;
    w->told_bp = UINT32_MAX;
    text_free(&w->order);
    w->order = (struct text){0};
    order_of(o, &w->order);
    snprintf(w->key, sizeof w->key, "%.140s:%" PRIu32, o->verdict_id, o->weight_bp);
    if (w->order.failed) {
        text_free(&w->order);
        return fault_set(f, SERIN_ENOMEM, "out of memory for an order");
    }
    return post(w, &w->told_bp, f);
}

static enum serin_status read_(void *own, uint32_t expected, uint32_t *bp,
                               struct fault *f)
{
    struct webhook *w = own;
    (void)expected;
    if (w->s->status_url != NULL) {
        struct http_answer a = {0};
        struct http_request q = {.method = "GET",
                                 .url = w->s->status_url,
                                 .token_file = w->s->token_file,
                                 .ca_file = w->s->ca_file,
                                 .timeout_ms = (int)w->s->timeout_ms};
        enum serin_status rc = http_call(&q, &a, f);
        if (rc == SERIN_OK) rc = weight_in(w, &q, &a, bp, f);
        text_free(&a.body);
        return rc;
    }
    if (w->order.n == 0)
        return fault_set(f, SERIN_ENOENT, "%.300s was not asked yet", w->s->url);
    if (w->told_bp == UINT32_MAX) return post(w, bp, f);
    *bp = w->told_bp;
    w->told_bp = UINT32_MAX;
    return SERIN_OK;
}

static enum serin_status mirror(void *own, uint32_t *mirror_bp, struct fault *f)
{
    const struct webhook *w = own;
    (void)f;
    *mirror_bp = w->mirror_bp;
    return SERIN_OK;
}

static void describe(void *own, const struct driver_order *o, char out[DRIVER_TEXT])
{
    const struct webhook *w = own;
    struct text order = {0};
    order_of(o, &order);
    snprintf(out, DRIVER_TEXT, "POST %.200s %.290s", w->s->url,
             order.p != NULL ? order.p : "");
    text_free(&order);
}

extern const struct driver webhook_driver;
const struct driver webhook_driver = {"webhook", &table, true,     open_, close_,
                                      apply,     read_,  describe, mirror};
