/* engine/act/envoy.c -- Envoy: a key of the runtime, through the admin interface
 *
 * A route's runtime_fraction names the key; its default_value in Envoy's configuration
 * is the boot state (0), and says the denominator that is given here. The bootstrap
 * needs a layer {name: admin, admin_layer: {}}. A weight that the denominator cannot
 * express is refused, never rounded.
 * Ref: envoyproxy.io, "Administration interface": /runtime, /runtime_modify */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/act/driver.h"
#include "engine/base/http.h"

struct settings {
    struct driver_settings common;
    const char *admin, *key, *mirror_key;
    int denominator; /* index into denominators */
};
static const char *const denominators[] = {"hundred", "ten_thousand", "million", NULL};
static const uint32_t per_whole[] = {100, 10000, 1000000};
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
    KEYS_KEY("denominator", KEYS_ENUM, AT(denominator), "ten_thousand", 0, 0, NULL,
             "as the runtime_fraction's default_value says it",
             .choices = denominators),
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

static void url_of(const struct settings *s, const char *path, char out[1280])
{
    size_t n = strlen(s->admin);
    while (n > 0 && s->admin[n - 1] == '/')
        n--;
    snprintf(out, 1280, "%.*s%s", (int)n, s->admin, path);
}

/* False: the denominator is too small for this weight. */
static bool numerator(const struct settings *s, uint32_t bp, uint32_t *out)
{
    uint64_t scaled = (uint64_t)bp * per_whole[s->denominator];
    *out = (uint32_t)(scaled / 10000);
    return scaled % 10000 == 0;
}

static enum serin_status uncountable(const struct settings *s, uint32_t bp,
                                     struct fault *f)
{
    return fault_set(
        f, SERIN_EDOM,
        "envoy: %g %% is no whole number of a %s: set denominator here and "
        "in the route's runtime_fraction to ten_thousand",
        bp / 100.0, denominators[s->denominator]);
}

static enum serin_status path_of(const struct settings *s, const struct driver_order *o,
                                 char out[640], struct fault *f)
{
    uint32_t n, copies;
    if (o->mirror_bp != 0 && s->mirror_key == NULL)
        return fault_set(f, SERIN_EDOM,
                         "envoy: this step copies requests: give mirror_key, the "
                         "runtime_key of the route's request mirror policy");
    if (!numerator(s, o->weight_bp, &n)) return uncountable(s, o->weight_bp, f);
    if (!numerator(s, o->mirror_bp, &copies)) return uncountable(s, o->mirror_bp, f);
    int at = snprintf(out, 640, "/runtime_modify?%s=%" PRIu32, s->key, n);
    if (s->mirror_key != NULL)
        snprintf(out + at, 640 - (size_t)at, "&%s=%" PRIu32, s->mirror_key, copies);
    return SERIN_OK;
}

static enum serin_status apply(void *own, const struct driver_order *o, struct fault *f)
{
    const struct settings *s = own;
    char url[1280], path[640];
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

static enum serin_status share_in(const struct settings *s, json_t *root,
                                  const char *key, uint32_t *bp, struct fault *f)
{
    json_t *entries = json_object_get(root, "entries"),
           *entry = json_object_get(entries, key);
    const char *text = json_string_value(json_object_get(entry, "final_value"));
    char *end = NULL;
    if (!json_is_object(entries))
        return fault_set(f, SERIN_EDOM,
                         "envoy at %.200s: /runtime holds no \"entries\": is this its "
                         "admin interface?",
                         s->admin);
    if (entry == NULL) { /* never set since it booted: what the route says, 0 */
        *bp = 0;
        return SERIN_OK;
    }
    unsigned long n = text != NULL ? strtoul(text, &end, 10) : 0;
    uint32_t whole = per_whole[s->denominator];
    if (text == NULL || *text < '0' || *text > '9' || *end != '\0' || n > whole)
        return fault_set(f, SERIN_EDOM,
                         "envoy at %.150s: runtime key %.100s holds \"%.40s\", no "
                         "number of 0 to %" PRIu32,
                         s->admin, key, text != NULL ? text : "", whole);
    *bp = (uint32_t)((uint64_t)n * 10000 / whole);
    if (n * 10000 % whole != 0) ++*bp; /* told too high rather than too low */
    return SERIN_OK;
}

static enum serin_status look(const struct settings *s, const char *key, uint32_t *bp,
                              struct fault *f)
{
    char url[1280];
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
    char path[640];
    struct fault f = {0};
    if (path_of(s, o, path, &f) == SERIN_OK)
        snprintf(out, DRIVER_TEXT, "POST %.200s%.300s", s->admin, path);
    else
        snprintf(out, DRIVER_TEXT, "%.500s", f.text);
}

extern const struct driver envoy_driver;
const struct driver envoy_driver = {"envoy", &table, true,     open_, close_,
                                    apply,   read_,  describe, mirror};
