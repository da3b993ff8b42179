/* engine/act/envoy.c -- Envoy: a key of the runtime, through the admin interface
 *
 * A route's runtime_fraction names the key; its default_value in Envoy's configuration
 * is the boot state, 0. The key gets a fraction with its denominator: of a plain number
 * Envoy makes a percentage, whatever the default's denominator, and all of it above
 * 100. The bootstrap needs a layer {name: admin, admin_layer: {}}. Ref: envoyproxy.io,
 * "Administration interface": /runtime, /runtime_modify */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/act/driver.h"
#include "engine/base/http.h"

enum { PATH = 768 };

struct settings {
    struct driver_settings common;
    const char *admin, *key, *mirror_key;
};
#define AT(field) offsetof(struct settings, field)
static const struct keys_key keys[] = {
    DRIVER_KIND,
    KEYS_KEY("admin", KEYS_TEXT, AT(admin), "http://127.0.0.1:9901", 8, 512, NULL,
             "the admin interface"),
    KEYS_KEY("key", KEYS_TEXT, AT(key), NULL, 1, 256, NULL,
             "runtime_key of the route's runtime_fraction", .required = true),
    KEYS_KEY(
        "mirror_key", KEYS_TEXT, AT(mirror_key), NULL, 1, 256, NULL,
        "runtime_key of the runtime_fraction of the route's request mirror policy, "
        "for steps that mirror"),
};
static const struct keys_table table = KEYS_OF(keys, struct settings);

static bool plain(const char *key)
{
    return key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                           "0123456789._-")] == '\0';
}

static enum serin_status open_(const void *settings, const char *rollout, void **own,
                               char place[DRIVER_PLACE], struct fault *f)
{
    const struct settings *s = settings;
    (void)rollout;
    if (strncmp(s->admin, "http://", 7) != 0 && strncmp(s->admin, "https://", 8) != 0)
        return fault_set(f, SERIN_EDOM, "envoy: admin begins with http://");
    if (!plain(s->key) || (s->mirror_key != NULL && !plain(s->mirror_key)))
        return fault_set(f, SERIN_EDOM,
                         "envoy: keys hold letters, digits, '.', '_' and '-' only");
    snprintf(place, DRIVER_PLACE, "envoy %.240s key %.240s", s->admin, s->key);
    *own = (void *)(uintptr_t)settings;
    return SERIN_OK;
}

static void close_(void *own)
{
    (void)own;
}

static void url_of(const struct settings *s, const char *path, char out[PATH + 520])
{
    size_t n = strlen(s->admin);
    while (n > 0 && s->admin[n - 1] == '/')
        n--;
    snprintf(out, PATH + 520, "%.*s%s", (int)n, s->admin, path);
}

/* {"numerator":N,"denominator":"TEN_THOUSAND"}, as a query's value. */
#define FRACTION                                                                       \
    "%%7B%%22numerator%%22%%3A%" PRIu32                                                \
    "%%2C%%22denominator%%22%%3A%%22TEN_THOUSAND%%22%%7D"

static enum serin_status path_of(const struct settings *s, const struct driver_order *o,
                                 char out[PATH], struct fault *f)
{
    if (o->mirror_bp != 0 && s->mirror_key == NULL)
        return fault_set(f, SERIN_EDOM,
                         "envoy: this step copies requests: give mirror_key, the "
                         "runtime_key of the route's request mirror policy");
    int at = snprintf(out, PATH, "/runtime_modify?%s=" FRACTION, s->key, o->weight_bp);
    if (s->mirror_key != NULL)
        snprintf(out + at, PATH - (size_t)at, "&%s=" FRACTION, s->mirror_key,
                 o->mirror_bp);
    return SERIN_OK;
}

static enum serin_status apply(void *own, const struct driver_order *o, struct fault *f)
{
    const struct settings *s = own;
    char url[PATH + 520], path[PATH];
    struct http_answer a = {0};
    struct http_request q = {
        .method = "POST", .url = url, .timeout_ms = DRIVER_TIMEOUT_MS};
    enum serin_status rc = path_of(s, o, path, f);
    if (rc != SERIN_OK) return rc;
    url_of(s, path, url);
    rc = http_call(&q, &a, f);
    if (rc == SERIN_OK) rc = http_accepted(&q, &a, f);
    if (rc != SERIN_OK && a.body.p != NULL && strstr(a.body.p, "admin layer") != NULL)
        fault_set(f, rc,
                  "envoy at %.200s has no admin layer: add {name: admin, admin_layer: "
                  "{}} to layered_runtime.layers of its bootstrap",
                  s->admin);
    text_free(&a.body);
    return rc;
}

/* A fraction as JSON, or somebody's plain number, as Envoy understands it. Told too
 * high rather than too low. */
static bool share_of(const char *text, uint32_t *bp)
{
    static const struct {
        const char *name;
        json_int_t whole;
    } denominators[] = {
        {"HUNDRED", 100}, {"TEN_THOUSAND", 10000}, {"MILLION", 1000000}};
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    const char *of = json_string_value(json_object_get(value, "denominator"));
    json_t *number =
        json_is_object(value) ? json_object_get(value, "numerator") : value;
    json_int_t n = json_integer_value(number), whole = of == NULL ? 100 : 0;
    bool good = json_is_integer(number) && n >= 0;
    for (size_t i = 0; i < 3; i++)
        if (of != NULL && strcmp(of, denominators[i].name) == 0)
            whole = denominators[i].whole;
    json_decref(value);
    if (!good || whole == 0) return false;
    if (n > whole) n = whole;
    *bp = (uint32_t)((n * 10000 + whole - 1) / whole);
    return true;
}

static enum serin_status share_in(const struct settings *s, json_t *root,
                                  const char *key, uint32_t *bp, struct fault *f)
{
    json_t *entries = json_object_get(root, "entries"),
           *entry = json_object_get(entries, key);
    const char *text = json_string_value(json_object_get(entry, "final_value"));
    if (!json_is_object(entries))
        return fault_set(f, SERIN_EDOM,
                         "envoy at %.200s: /runtime holds no \"entries\": is this its "
                         "admin interface?",
                         s->admin);
    *bp = 0; /* never set since it booted: what the route says, 0 */
    if (entry == NULL || share_of(text != NULL ? text : "", bp)) return SERIN_OK;
    return fault_set(f, SERIN_EDOM,
                     "envoy at %.150s: runtime key %.100s holds \"%.80s\", no fraction "
                     "with numerator and denominator",
                     s->admin, key, text != NULL ? text : "");
}

static enum serin_status look(const struct settings *s, const char *key, uint32_t *bp,
                              struct fault *f)
{
    char url[PATH + 520];
    struct http_answer a = {0};
    struct http_request q = {
        .method = "GET", .url = url, .timeout_ms = DRIVER_TIMEOUT_MS};
    url_of(s, "/runtime?format=json", url);
    enum serin_status rc = http_call(&q, &a, f);
    if (rc == SERIN_OK) rc = http_accepted(&q, &a, f);
    if (rc == SERIN_OK) {
        json_t *root = json_loads(a.body.p != NULL ? a.body.p : "", 0, NULL);
        rc = share_in(s, root, key, bp, f);
        json_decref(root);
    }
    text_free(&a.body);
    return rc;
}

static enum serin_status read_(void *own, uint32_t expected, uint32_t *bp,
                               struct fault *f)
{
    const struct settings *s = own;
    (void)expected;
    return look(s, s->key, bp, f);
}

static enum serin_status mirror(void *own, uint32_t *mirror_bp, struct fault *f)
{
    const struct settings *s = own;
    *mirror_bp = 0;
    return s->mirror_key != NULL ? look(s, s->mirror_key, mirror_bp, f) : SERIN_OK;
}

static void describe(void *own, const struct driver_order *o, char out[DRIVER_TEXT])
{
    const struct settings *s = own;
    char path[PATH];
    struct fault f = {0};
    if (path_of(s, o, path, &f) == SERIN_OK)
        snprintf(out, DRIVER_TEXT, "POST %.200s%.300s", s->admin, path);
    else
        snprintf(out, DRIVER_TEXT, "%.500s", f.text);
}

extern const struct driver envoy_driver;
const struct driver envoy_driver = {"envoy", &table, true,     open_, close_,
                                    apply,   read_,  describe, mirror};
