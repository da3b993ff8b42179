/* engine/follow/probe.c */
#include "engine/follow/probe.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/base/http.h"
#include "engine/base/run.h"

enum { AGAIN_MS = 1000, ARGS = 64 };

static void say(struct probe_answer *out, const char *outcome, const char *message)
{
    out->outcome = outcome;
    snprintf(out->message, sizeof out->message, "%.*s", (int)sizeof out->message - 1,
             message);
}

/* A path that climbs could leave what was allowed. */
bool probe_allowed(const struct probe_policy *p, const char *url)
{
    if (strstr(url, "..") != NULL || strcasestr(url, "%2e") != NULL) return false;
    for (size_t i = 0; i < p->n_urls; i++)
        if (strncmp(url, p->urls[i], strlen(p->urls[i])) == 0) return true;
    return false;
}

/* ---- webhook */
static char *body_of(const struct probe *p)
{
    char id[300];
    snprintf(id, sizeof id, "%s/%" PRIu64 "/%s", p->rollout, p->weight_seq, p->check);
    json_t *o =
        json_pack("{ss ss ss ss sI sI ss}", "schema", "serin.check/1", "id", id,
                  "rollout", p->rollout, "check", p->check, "step", (json_int_t)p->step,
                  "weight_bp", (json_int_t)p->weight_bp, "service", p->service);
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

static enum serin_status sign(const struct probe_policy *policy, const struct probe *p,
                              const char *body, char header[128], struct fault *f)
{
    char path[512], secret[HTTP_SECRET], hex[2 * HASH_DIGEST + 1];
    uint8_t mac[HASH_DIGEST];
    struct text signed_ = {0};
    int64_t now = clock_wall_ms() / 1000;
    if (policy->secrets == NULL)
        return fault_set(f, SERIN_EDOM,
                         "the plan wants secret %s, but checks.secrets in serin.yaml "
                         "names no folder",
                         p->secret_file);
    snprintf(path, sizeof path, "%.300s/%s", policy->secrets, p->secret_file);
    enum serin_status rc = http_secret(path, secret, f);
    if (rc != SERIN_OK) return rc;
    text_add(&signed_, "%" PRId64 ".%s", now, body);
    if (signed_.failed) {
        text_free(&signed_);
        return fault_set(f, SERIN_ENOMEM, "out of memory");
    }
    hash_hmac(secret, strlen(secret), signed_.p, signed_.n, mac);
    hash_hex(mac, sizeof mac, hex);
    snprintf(header, 128, "X-Serin-Signature: t=%" PRId64 ",v1=%s", now, hex);
    text_free(&signed_);
    return SERIN_OK;
}

static void read_answer(const struct http_answer *a, struct probe_answer *out)
{
    char text[120];
    const char *body = a->body.p != NULL ? a->body.p : "";
    json_t *o = json_loadb(body, a->body.n, 0, NULL);
    const json_t *pass = json_object_get(o, "pass");
    const char *message = json_string_value(json_object_get(o, "message"));
    if (message == NULL) message = "";
    if (a->status != 200 || !json_is_boolean(pass)) {
        snprintf(text, sizeof text,
                 "it answered %ld without {\"pass\": true|false}: %.40s", a->status,
                 body);
        say(out, "error", text);
    } else {
        say(out, json_is_true(pass) ? "pass" : "fail", message);
    }
    json_decref(o);
}

static void call(const struct probe_policy *policy, const struct probe *p,
                 struct probe_answer *out)
{
    char header[128];
    const char *const headers[] = {header, NULL};
    struct http_answer a = {0};
    struct fault f = {0};
    if (!probe_allowed(policy, p->url)) {
        say(out, "error", "its url begins like none of checks.urls in serin.yaml");
        return;
    }
    char *body = body_of(p);
    enum serin_status rc =
        body != NULL ? SERIN_OK : fault_set(&f, SERIN_ENOMEM, "out of memory");
    bool signs = p->secret_file[0] != '\0';
    if (rc == SERIN_OK && signs) rc = sign(policy, p, body, header, &f);
    struct http_request q = {.method = "POST",
                             .url = p->url,
                             .body = body,
                             .type = "application/json",
                             .headers = signs ? headers : NULL,
                             .timeout_ms = p->timeout_ms};
    if (rc == SERIN_OK) rc = http_call(&q, &a, &f);
    if (rc == SERIN_OK)
        read_answer(&a, out);
    else
        say(out, "error", f.text);
    text_free(&a.body);
    free(body);
}

/* ---- program */
static const struct probe_program *program(const struct probe_policy *policy,
                                           const char *name)
{
    for (size_t i = 0; i < policy->n_programs; i++)
        if (strcmp(policy->programs[i].name, name) == 0) return &policy->programs[i];
    return NULL;
}

/* The last line of what it wrote. */
static void last_line(struct text *t)
{
    while (t->n > 0 && (t->p[t->n - 1] == '\n' || t->p[t->n - 1] == '\r'))
        t->p[--t->n] = '\0';
    const char *line = t->p != NULL ? strrchr(t->p, '\n') : NULL;
    if (line != NULL) memmove(t->p, line + 1, strlen(line));
}

static void execute(const struct probe_policy *policy, const struct probe *p,
                    struct probe_answer *out)
{
    const struct probe_program *x = program(policy, p->target);
    const char *argv[ARGS + 1] = {NULL};
    char e[6][300];
    const char *const env[] = {e[0], e[1], e[2], e[3], e[4], e[5], NULL};
    struct text said = {0};
    struct fault f = {0};
    int code = -1;
    if (x == NULL) {
        say(out, "error", "checks.exec in serin.yaml has no such target");
        return;
    }
    for (size_t i = 0; i < x->n && i < ARGS; i++)
        argv[i] = x->argv[i];
    snprintf(e[0], sizeof e[0], "SERIN_ROLLOUT=%s", p->rollout);
    snprintf(e[1], sizeof e[1], "SERIN_CHECK=%s", p->check);
    snprintf(e[2], sizeof e[2], "SERIN_ID=%s/%" PRIu64 "/%.100s", p->rollout,
             p->weight_seq, p->check);
    snprintf(e[3], sizeof e[3], "SERIN_STEP=%u", p->step);
    snprintf(e[4], sizeof e[4], "SERIN_WEIGHT_BP=%u", p->weight_bp);
    snprintf(e[5], sizeof e[5], "SERIN_SERVICE=%s", p->service);
    enum serin_status rc = run_program(argv, env, p->timeout_ms, &said, &code, &f);
    last_line(&said);
    const char *line = said.p != NULL ? said.p : "";
    if (rc == SERIN_OK)
        say(out, "pass", line);
    else if (code == 1)
        say(out, "fail", *line != '\0' ? line : f.text);
    else
        say(out, "error", f.text);
    text_free(&said);
}

void probe_run(const struct probe_policy *policy, const struct probe *p,
               struct probe_answer *out)
{
    for (unsigned i = 0;; i++) {
        if (p->url[0] != '\0')
            call(policy, p, out);
        else
            execute(policy, p, out);
        if (strcmp(out->outcome, "error") != 0 || i >= p->retries) return;
        clock_sleep_ms(AGAIN_MS);
    }
}
