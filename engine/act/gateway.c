/* engine/act/gateway.c -- Kubernetes Gateway API: the weights of an HTTPRoute
 *
 * The route is read, and changed by a JSON Patch that first tests its resourceVersion
 * and the names of the backends: somebody else's change in between is a conflict,
 * after which it is read again. Every rule that names both backends gets weights that
 * add up to 10 000. In force is what the route says once the gateways that report on
 * it have observed that generation and accept it. Needed: get and patch on that
 * HTTPRoute.
 * Ref: gateway-api.sigs.k8s.io, HTTPRoute v1; RFC 6902 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/act/driver.h"
#include "engine/base/clock.h"
#include "engine/base/http.h"

enum { WHOLE = 10000, TRIES = 4, LOOK_MS = 100 };

struct settings {
    struct driver_settings common;
    const char *server, *token_file, *ca_file, *namespace, *route, *canary, *baseline;
};
#define AT(field) offsetof(struct settings, field)
#define POD "/var/run/secrets/kubernetes.io/serviceaccount/"
static const struct keys_key keys[] = {
    DRIVER_KIND,
    KEYS_KEY("server", KEYS_TEXT, AT(server), "https://kubernetes.default.svc", 8, 512,
             NULL, "the API server"),
    KEYS_KEY("token_file", KEYS_TEXT, AT(token_file), POD "token", 1, 512, NULL,
             "holds the bearer token; read anew for every call"),
    KEYS_KEY("ca_file", KEYS_TEXT, AT(ca_file), POD "ca.crt", 1, 512, NULL,
             "certificate that the API server's is signed with"),
    KEYS_KEY("namespace", KEYS_ID, AT(namespace), "default", 0, 0, NULL,
             "of the route"),
    KEYS_KEY("route", KEYS_ID, AT(route), NULL, 0, 0, NULL, "name of the HTTPRoute",
             .required = true),
    KEYS_KEY("canary", KEYS_ID, AT(canary), NULL, 0, 0, NULL,
             "backendRef (a service) of the new version", .required = true),
    KEYS_KEY("baseline", KEYS_ID, AT(baseline), NULL, 0, 0, NULL,
             "backendRef of the old version", .required = true),
};
static const struct keys_table table = KEYS_OF(keys, struct settings);

static enum serin_status open_(const void *settings, const char *rollout, void **own,
                               char place[DRIVER_PLACE], struct fault *f)
{
    const struct settings *s = settings;
    (void)rollout;
    if (strncmp(s->server, "https://", 8) != 0 && strncmp(s->server, "http://", 7) != 0)
        return fault_set(f, SERIN_EDOM, "gateway: server begins with https://");
    if (strcmp(s->canary, s->baseline) == 0)
        return fault_set(f, SERIN_EDOM, "gateway: canary and baseline are both %s",
                         s->canary);
    snprintf(place, DRIVER_PLACE, "gateway %.200s %.120s/%.130s", s->server,
             s->namespace, s->route);
    *own = (void *)(uintptr_t)settings;
    return SERIN_OK;
}

static void close_(void *own)
{
    (void)own;
}

/* ---- the API server */
static enum serin_status call(const struct settings *s, const char *method,
                              const char *body, struct http_answer *a, struct fault *f)
{
    char url[1200];
    size_t n = strlen(s->server);
    while (n > 0 && s->server[n - 1] == '/')
        n--;
    snprintf(url, sizeof url,
             "%.*s/apis/gateway.networking.k8s.io/v1/namespaces/%s/httproutes/%s",
             (int)n, s->server, s->namespace, s->route);
    struct http_request q = {
        .method = method,
        .url = url,
        .body = body,
        .type = "application/json-patch+json",
        .token_file = s->token_file,
        .ca_file = strncmp(s->server, "https:", 6) == 0 ? s->ca_file : NULL,
        .timeout_ms = DRIVER_TIMEOUT_MS};
    enum serin_status rc = http_call(&q, a, f);
    if (rc != SERIN_OK) return rc;
    if (a->status == 401 || a->status == 403)
        return fault_set(f, SERIN_EIO,
                         "gateway: %s of HTTPRoute %.100s/%.100s is not allowed (%ld): "
                         "the token in %.100s needs get and patch on it",
                         method, s->namespace, s->route, a->status, s->token_file);
    if (a->status == 404)
        return fault_set(f, SERIN_EIO,
                         "gateway: no HTTPRoute %.100s/%.100s at %.150s: check its "
                         "name, and that Gateway API v1 is installed",
                         s->namespace, s->route, s->server);
    return http_accepted(&q, a, f);
}

static enum serin_status get(const struct settings *s, json_t **route, struct fault *f)
{
    struct http_answer a = {0};
    *route = NULL;
    enum serin_status rc = call(s, "GET", NULL, &a, f);
    if (rc == SERIN_OK) {
        *route = json_loads(a.body.p != NULL ? a.body.p : "", 0, NULL);
        json_t *meta = json_object_get(*route, "metadata");
        if (!json_is_string(json_object_get(meta, "resourceVersion"))) {
            json_decref(*route);
            *route = NULL;
            rc = fault_set(f, SERIN_EDOM,
                           "gateway: %.200s answers no HTTPRoute with a "
                           "resourceVersion: is it a Kubernetes API server?",
                           s->server);
        }
    }
    text_free(&a.body);
    return rc;
}

/* ---- the route */
struct pair {
    size_t rule, canary, baseline;
    json_int_t weight_canary, weight_baseline;
};

static json_t *rules_of(json_t *route)
{
    return json_object_get(json_object_get(route, "spec"), "rules");
}

/* The n-th rule that sends to both; false: there is none. */
static bool pair_at(const struct settings *s, json_t *rules, size_t n, struct pair *out)
{
    for (size_t i = 0; i < json_array_size(rules); i++) {
        json_t *refs = json_object_get(json_array_get(rules, i), "backendRefs");
        bool canary = false, baseline = false;
        for (size_t k = 0; k < json_array_size(refs); k++) {
            json_t *ref = json_array_get(refs, k), *w = json_object_get(ref, "weight");
            const char *name = json_string_value(json_object_get(ref, "name"));
            json_int_t weight = w == NULL ? 1 : json_integer_value(w); /* the API's */
            if (name != NULL && strcmp(name, s->canary) == 0) {
                canary = true;
                out->canary = k;
                out->weight_canary = weight;
            } else if (name != NULL && strcmp(name, s->baseline) == 0) {
                baseline = true;
                out->baseline = k;
                out->weight_baseline = weight;
            }
        }
        out->rule = i;
        if (canary && baseline && n-- == 0) return true;
    }
    return false;
}

static void add_op(json_t *patch, const char *op, const struct pair *p, size_t ref,
                   const char *member, json_t *value)
{
    char path[160];
    snprintf(path, sizeof path, "/spec/rules/%zu/backendRefs/%zu/%s", p->rule, ref,
             member);
    json_array_append_new(
        patch, json_pack("{s:s,s:s,s:o}", "op", op, "path", path, "value", value));
}

/* The n-th filter that copies requests to the canary; false: there is none. */
static bool copy_at(const struct settings *s, json_t *rules, size_t n, size_t *rule,
                    size_t *filter, json_t **out)
{
    for (size_t i = 0; i < json_array_size(rules); i++) {
        json_t *filters = json_object_get(json_array_get(rules, i), "filters");
        for (size_t k = 0; k < json_array_size(filters); k++) {
            json_t *copy = json_object_get(json_array_get(filters, k), "requestMirror");
            json_t *to = json_object_get(copy, "backendRef");
            const char *name = json_string_value(json_object_get(to, "name"));
            if (name == NULL || strcmp(name, s->canary) != 0 || n-- != 0) continue;
            *rule = i, *filter = k, *out = copy;
            return true;
        }
    }
    return false;
}

/* How many filters copy to the canary; each is set to bp. */
static size_t patch_copies(const struct settings *s, json_t *route, uint32_t bp,
                           json_t *patch)
{
    size_t n = 0, rule, filter;
    json_t *copy;
    for (; copy_at(s, rules_of(route), n, &rule, &filter, &copy); n++) {
        char at[120], path[160];
        snprintf(at, sizeof at, "/spec/rules/%zu/filters/%zu/requestMirror", rule,
                 filter);
        snprintf(path, sizeof path, "%s/backendRef/name", at);
        json_array_append_new(patch, json_pack("{s:s,s:s,s:s}", "op", "test", "path",
                                               path, "value", s->canary));
        snprintf(path, sizeof path, "%s/percent", at); /* it is one or the other */
        if (json_object_get(copy, "percent") != NULL)
            json_array_append_new(patch,
                                  json_pack("{s:s,s:s}", "op", "remove", "path", path));
        snprintf(path, sizeof path, "%s/fraction", at);
        json_array_append_new(patch, json_pack("{s:s,s:s,s:{s:i,s:i}}", "op", "add",
                                               "path", path, "value", "numerator",
                                               (int)bp, "denominator", WHOLE));
    }
    return n;
}

/* NULL: no rule sends to both. */
static json_t *patch_of(const struct settings *s, json_t *route, uint32_t bp)
{
    struct pair p;
    json_t *version =
        json_object_get(json_object_get(route, "metadata"), "resourceVersion");
    json_t *patch = json_pack("[{s:s,s:s,s:O}]", "op", "test", "path",
                              "/metadata/resourceVersion", "value", version);
    size_t n = 0;
    for (; pair_at(s, rules_of(route), n, &p); n++) {
        add_op(patch, "test", &p, p.canary, "name", json_string(s->canary));
        add_op(patch, "test", &p, p.baseline, "name", json_string(s->baseline));
        add_op(patch, "add", &p, p.canary, "weight", json_integer(bp));
        add_op(patch, "add", &p, p.baseline, "weight", json_integer(WHOLE - bp));
    }
    if (n > 0) return patch;
    json_decref(patch);
    return NULL;
}

static enum serin_status no_pair(const struct settings *s, struct fault *f)
{
    return fault_set(
        f, SERIN_EDOM,
        "gateway: no rule of HTTPRoute %.100s/%.100s has backendRefs %.80s "
        "and %.80s: add both, the canary's with weight 0",
        s->namespace, s->route, s->canary, s->baseline);
}

static enum serin_status no_copies(const struct settings *s, struct fault *f)
{
    return fault_set(
        f, SERIN_EDOM,
        "gateway: no rule of HTTPRoute %.100s/%.100s copies requests to "
        "%.80s: add a filter of type RequestMirror with that backendRef and "
        "percent 0",
        s->namespace, s->route, s->canary);
}

static enum serin_status apply(void *own, const struct driver_order *o, struct fault *f)
{
    const struct settings *s = own;
    enum serin_status rc = SERIN_OK;
    for (int i = 0; i < TRIES; i++) {
        json_t *route;
        struct http_answer a = {0};
        rc = get(s, &route, f);
        if (rc != SERIN_OK) return rc;
        json_t *patch = patch_of(s, route, o->weight_bp);
        size_t copies = patch != NULL ? patch_copies(s, route, o->mirror_bp, patch) : 0;
        char *text = patch != NULL ? json_dumps(patch, JSON_COMPACT) : NULL;
        json_decref(route);
        json_decref(patch);
        if (text == NULL) return no_pair(s, f);
        if (copies == 0 && o->mirror_bp != 0) {
            free(text);
            return no_copies(s, f);
        }
        rc = call(s, "PATCH", text, &a, f);
        /* 409: changed meanwhile; 422: a test of the patch failed, for that reason. */
        bool again = a.status == 409 || a.status == 422;
        text_free(&a.body);
        free(text);
        if (!again) return rc;
    }
    return rc;
}

static enum serin_status weight_in(const struct settings *s, json_t *route,
                                   uint32_t expected, uint32_t *bp, struct fault *f)
{
    struct pair p;
    size_t n = 0;
    bool differs = false;
    for (; pair_at(s, rules_of(route), n, &p); n++) {
        json_int_t sum = p.weight_canary + p.weight_baseline;
        if (p.weight_canary < 0 || p.weight_baseline < 0 || sum <= 0)
            return fault_set(f, SERIN_EDOM,
                             "gateway: rule %zu of HTTPRoute %.100s/%.100s sends to "
                             "nobody: both weights are 0",
                             p.rule, s->namespace, s->route);
        /* Told too high rather than too low, and the highest that is not right. */
        uint32_t one = (uint32_t)((p.weight_canary * WHOLE + sum - 1) / sum);
        if (one == expected || (differs && one <= *bp)) continue;
        *bp = one;
        differs = true;
    }
    if (n == 0) return no_pair(s, f);
    if (!differs) *bp = expected;
    return SERIN_OK;
}

/* One condition of a gateway's report. */
static enum serin_status judge(json_t *condition, json_int_t generation, bool *yes,
                               struct fault *f)
{
    const char *type = json_string_value(json_object_get(condition, "type")),
               *status = json_string_value(json_object_get(condition, "status")),
               *why = json_string_value(json_object_get(condition, "message"));
    json_t *observed = json_object_get(condition, "observedGeneration");
    if (type == NULL || strcmp(type, "Accepted") != 0) return SERIN_OK;
    if (json_integer_value(observed) < generation)
        *yes = false;
    else if (status == NULL || strcmp(status, "True") != 0)
        return fault_set(f, SERIN_EIO, "gateway: the route is not accepted: %.200s",
                         why != NULL ? why : "no reason given");
    return SERIN_OK;
}

/* Has every gateway that reports on the route taken this generation over? */
static enum serin_status taken_over(json_t *route, bool *yes, struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    json_t *parents = json_object_get(json_object_get(route, "status"), "parents");
    json_t *meta = json_object_get(route, "metadata");
    json_int_t generation = json_integer_value(json_object_get(meta, "generation"));
    *yes = true;
    for (size_t i = 0; i < json_array_size(parents); i++) {
        json_t *list = json_object_get(json_array_get(parents, i), "conditions");
        for (size_t k = 0; rc == SERIN_OK && k < json_array_size(list); k++)
            rc = judge(json_array_get(list, k), generation, yes, f);
    }
    return rc;
}

static enum serin_status read_(void *own, uint32_t expected, uint32_t *bp,
                               struct fault *f)
{
    const struct settings *s = own;
    int64_t end = clock_mono_ms() + DRIVER_TIMEOUT_MS;
    for (;;) {
        json_t *route;
        bool yes = false;
        enum serin_status rc = get(s, &route, f);
        if (rc != SERIN_OK) return rc;
        rc = weight_in(s, route, expected, bp, f);
        if (rc == SERIN_OK) rc = taken_over(route, &yes, f);
        json_decref(route);
        if (rc != SERIN_OK || yes) return rc;
        if (clock_mono_ms() > end)
            return fault_set(f, SERIN_ETIME,
                             "gateway: HTTPRoute %.100s/%.100s is changed, but no "
                             "gateway has observed it within %d ms: is its controller "
                             "running?",
                             s->namespace, s->route, DRIVER_TIMEOUT_MS);
        clock_sleep_ms(LOOK_MS);
    }
}

/* The highest share of all filters, told too high rather than too low; a filter that
 * says none copies everything. */
static enum serin_status mirror(void *own, uint32_t *mirror_bp, struct fault *f)
{
    const struct settings *s = own;
    json_t *route, *copy;
    size_t n = 0, rule, filter;
    *mirror_bp = 0;
    enum serin_status rc = get(s, &route, f);
    if (rc != SERIN_OK) return rc;
    for (; copy_at(s, rules_of(route), n, &rule, &filter, &copy); n++) {
        json_t *fraction = json_object_get(copy, "fraction"),
               *percent = json_object_get(copy, "percent"),
               *whole = json_object_get(fraction, "denominator");
        json_int_t of = whole != NULL ? json_integer_value(whole) : 100, bp = WHOLE;
        if (fraction != NULL && of > 0)
            bp = (json_integer_value(json_object_get(fraction, "numerator")) * WHOLE +
                  of - 1) /
                 of;
        else if (percent != NULL)
            bp = 100 * json_integer_value(percent);
        if (bp > (json_int_t)*mirror_bp) *mirror_bp = (uint32_t)bp;
    }
    json_decref(route);
    return SERIN_OK;
}

static void describe(void *own, const struct driver_order *o, char out[DRIVER_TEXT])
{
    const struct settings *s = own;
    snprintf(out, DRIVER_TEXT,
             "patch HTTPRoute %.120s/%.120s: weight %" PRIu32 " for %.80s, %" PRIu32
             " for %.80s",
             s->namespace, s->route, o->weight_bp, s->canary, WHOLE - o->weight_bp,
             s->baseline);
}

extern const struct driver gateway_driver;
const struct driver gateway_driver = {"gateway", &table, true,     open_, close_,
                                      apply,     read_,  describe, mirror};
