/* engine/act/flagd.c -- a feature flag in a file that flagd (or an in-process
 * provider) watches
 *
 * The flag's targeting: first the segments that are served whole, then the canary's
 * part of the users, by a hash of flag and user. Weights always add up to 10 000 and
 * the canary's range comes first, so whoever is in at 5 % is in at 25 %. Users without
 * a key get the default variant. Nothing else in the file is changed. The kill switch
 * is the default variant for everybody: unlike the state DISABLED, which leaves the
 * value to each application's code, it is known what is served. A flag that a person
 * has set to DISABLED is left alone.
 * Ref: flagd.dev, "Flag Definitions" and "Fractional"; schema flagd.dev/schema/v0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/act/driver.h"
#include "engine/act/file.h"

enum { WHOLE = 10000 };

struct settings {
    struct driver_settings common;
    const char *file, *flag, *canary, *baseline, *user, *segment;
};
#define AT(field) offsetof(struct settings, field)
static const struct keys_key keys[] = {
    DRIVER_KIND,
    KEYS_KEY("file", KEYS_TEXT, AT(file), NULL, 1, 512, NULL,
             "the flag file (JSON) that flagd watches", .required = true),
    KEYS_KEY("flag", KEYS_TEXT, AT(flag), NULL, 1, 128, NULL,
             "the flag's key; made as a boolean flag when the file has none",
             .required = true),
    KEYS_KEY("canary", KEYS_TEXT, AT(canary), "on", 1, 128, NULL,
             "variant of the new version"),
    KEYS_KEY("baseline", KEYS_TEXT, AT(baseline), "off", 1, 128, NULL,
             "variant of everybody else"),
    KEYS_KEY("user", KEYS_TEXT, AT(user), "targetingKey", 1, 128, NULL,
             "attribute of the evaluation context that names the user"),
    KEYS_KEY("segment", KEYS_TEXT, AT(segment), "segment", 1, 128, NULL,
             "attribute that names the user's segment, for a plan's audience"),
};
static const struct keys_table table = KEYS_OF(keys, struct settings);

static enum serin_status open_(const void *settings, const char *rollout, void **own,
                               char place[DRIVER_PLACE], struct fault *f)
{
    const struct settings *s = settings;
    (void)rollout;
    if (strcmp(s->canary, s->baseline) == 0)
        return fault_set(f, SERIN_EDOM,
                         "flagd: canary and baseline are both \"%.100s\"", s->canary);
    snprintf(place, DRIVER_PLACE, "flagd %.350s flag %.140s", s->file, s->flag);
    *own = (void *)(uintptr_t)settings;
    return SERIN_OK;
}

static void close_(void *own)
{
    (void)own;
}

/* ---- the targeting. Members that are NULL make json_pack give NULL. */
static json_t *fraction(const struct settings *s, uint32_t bp)
{
    return json_pack("{s:[{s:[{s:s},{s:s}]},[s,i],[s,i]]}", "fractional", "cat", "var",
                     "$flagd.flagKey", "var", s->user, s->canary, (int)bp, s->baseline,
                     WHOLE - (int)bp);
}

/* What is left when no segment matched; NULL: the default variant. */
static json_t *by_user(const struct settings *s, uint32_t bp)
{
    if (bp == 0 || bp >= WHOLE) return NULL;
    return json_pack("{s:[{s:{s:s}},o,s]}", "if", "!!", "var", s->user, fraction(s, bp),
                     s->baseline);
}

/* NULL: none is needed. segments is a list, borrowed. */
static json_t *targeting(const struct settings *s, uint32_t bp, json_t *segments)
{
    json_t *rest = by_user(s, bp);
    if (bp >= WHOLE || json_array_size(segments) == 0) return rest;
    if (rest == NULL) rest = json_string(s->baseline);
    return json_pack("{s:[{s:[{s:s},O]},s,o]}", "if", "in", "var", s->segment, segments,
                     s->canary, rest);
}

static const char *fallback(const struct settings *s, uint32_t bp)
{
    return bp >= WHOLE ? s->canary : s->baseline;
}

/* ---- what a targeting comes to: take it apart, put it together, compare */
static json_t *item(json_t *list, const char *name, size_t i)
{
    return json_array_get(json_object_get(list, name), i);
}

static uint32_t weight_of(const struct settings *s, json_t *flag)
{
    json_t *rule = json_object_get(flag, "targeting"), *segments = NULL;
    const char *by_default = json_string_value(json_object_get(flag, "defaultVariant"));
    uint32_t bp = by_default != NULL && strcmp(by_default, s->canary) == 0 ? WHOLE : 0;
    if (rule != NULL && bp == 0) {
        json_t *inner = rule, *condition = item(rule, "if", 0);
        if (json_object_get(condition, "in") != NULL) {
            segments = item(condition, "in", 1);
            inner = item(rule, "if", 2);
        }
        json_t *share = item(item(inner, "if", 1), "fractional", 1);
        json_int_t n = json_integer_value(json_array_get(share, 1));
        if (n > 0 && n < WHOLE) bp = (uint32_t)n;
    }
    json_t *again = targeting(s, bp, segments);
    bool empty = json_is_object(rule) && json_object_size(rule) == 0;
    bool same = rule == NULL || empty ? again == NULL : json_equal(rule, again) == 1;
    same = same && by_default != NULL && strcmp(by_default, fallback(s, bp)) == 0;
    json_decref(again);
    return same ? bp : UINT32_MAX;
}

/* ---- the file */
static enum serin_status load(const struct settings *s, const struct file *file,
                              json_t **root, struct fault *f)
{
    struct text text = {0};
    json_error_t error;
    enum serin_status rc = file_read(file, &text, NULL, f);
    if (rc == SERIN_ENOENT || (rc == SERIN_OK && text.n == 0)) {
        *root = json_pack("{s:s,s:{}}", "$schema",
                          "https://flagd.dev/schema/v0/flags.json", "flags");
        rc = *root != NULL ? SERIN_OK : fault_set(f, SERIN_ENOMEM, "out of memory");
    } else if (rc == SERIN_OK) {
        *root = json_loads(text.p, JSON_REJECT_DUPLICATES, &error);
        if (*root == NULL)
            rc = fault_set(f, SERIN_EDOM,
                           "%.200s:%d:%d: %.120s; serin changes JSON flag files only, "
                           "and leaves this one as it is",
                           s->file, error.line, error.column, error.text);
    }
    text_free(&text);
    if (rc == SERIN_OK && !json_is_object(json_object_get(*root, "flags"))) {
        json_decref(*root);
        rc = fault_set(f, SERIN_EDOM,
                       "%.300s: expected an object \"flags\": is it a flagd file?",
                       s->file);
    }
    return rc;
}

/* The flag as it stands; NULL with SERIN_OK: there is none. */
static enum serin_status find(const struct settings *s, json_t *root, json_t **flag,
                              struct fault *f)
{
    *flag = json_object_get(json_object_get(root, "flags"), s->flag);
    if (*flag == NULL) return SERIN_OK;
    json_t *variants = json_object_get(*flag, "variants");
    const char *state = json_string_value(json_object_get(*flag, "state"));
    if (json_object_get(variants, s->canary) == NULL ||
        json_object_get(variants, s->baseline) == NULL)
        return fault_set(f, SERIN_EDOM,
                         "%.200s: flag %.100s has no variants \"%.60s\" and "
                         "\"%.60s\": name its own as canary and baseline",
                         s->file, s->flag, s->canary, s->baseline);
    if (state == NULL ||
        (strcmp(state, "ENABLED") != 0 && strcmp(state, "DISABLED") != 0))
        return fault_set(f, SERIN_EDOM,
                         "%.200s: flag %.100s has no state ENABLED or DISABLED",
                         s->file, s->flag);
    return SERIN_OK;
}

static bool disabled(json_t *flag)
{
    return strcmp(json_string_value(json_object_get(flag, "state")), "DISABLED") == 0;
}

static json_t *segments_of(const struct driver_order *o)
{
    json_t *list = json_array();
    for (size_t i = 0; !o->stopped && i < o->n_audience; i++)
        json_array_append_new(list, json_string(o->audience[i]));
    return list;
}

static bool change(const struct settings *s, const struct driver_order *o, json_t *root,
                   json_t *flag)
{
    uint32_t bp = o->stopped ? 0 : o->weight_bp;
    json_t *segments = segments_of(o), *rule = targeting(s, bp, segments);
    json_t *flags = json_object_get(root, "flags");
    bool wanted = (bp > 0 && bp < WHOLE) || (bp == 0 && json_array_size(segments) > 0);
    json_decref(segments);
    if (flag == NULL) {
        flag = json_pack("{s:s,s:{s:b,s:b}}", "state", "ENABLED", "variants", s->canary,
                         1, s->baseline, 0);
        json_object_set_new(flags, s->flag, flag);
    }
    json_object_del(flag, "targeting");
    bool ok = json_object_set_new(flag, "defaultVariant",
                                  json_string(fallback(s, bp))) == 0 &&
              (rule != NULL) == wanted;
    if (rule != NULL) ok = json_object_set_new(flag, "targeting", rule) == 0 && ok;
    return ok;
}

static enum serin_status store(const struct settings *s, const struct file *file,
                               json_t *root, struct fault *f)
{
    char *text = json_dumps(root, JSON_INDENT(2));
    if (text == NULL)
        return fault_set(f, SERIN_ENOMEM, "%.200s cannot be written as JSON", s->file);
    size_t n = strlen(text);
    text[n] = '\n'; /* in the NUL's place: the length is given */
    enum serin_status rc = file_write(file, text, n + 1, f);
    free(text);
    return rc;
}

static enum serin_status apply(void *own, const struct driver_order *o, struct fault *f)
{
    const struct settings *s = own;
    struct file file;
    json_t *root = NULL, *flag = NULL;
    enum serin_status rc = file_open(&file, s->file, f);
    if (rc != SERIN_OK) return rc;
    rc = load(s, &file, &root, f);
    if (rc == SERIN_OK) {
        rc = find(s, root, &flag, f);
        if (rc == SERIN_OK && flag != NULL && disabled(flag) && o->weight_bp > 0)
            rc = fault_set(f, SERIN_EDOM,
                           "%.200s: somebody set flag %.100s to DISABLED: nobody gets "
                           "the canary; set it to ENABLED or abort the rollout",
                           s->file, s->flag);
        if (rc == SERIN_OK && !change(s, o, root, flag))
            rc = fault_set(f, SERIN_ENOMEM, "out of memory for %.200s", s->file);
        if (rc == SERIN_OK) rc = store(s, &file, root, f);
        json_decref(root);
    }
    file_close(&file);
    return rc;
}

static enum serin_status read_(void *own, uint32_t expected, uint32_t *bp,
                               struct fault *f)
{
    const struct settings *s = own;
    struct file file;
    json_t *root = NULL, *flag = NULL;
    (void)expected;
    enum serin_status rc = file_open(&file, s->file, f);
    if (rc != SERIN_OK) return rc;
    rc = load(s, &file, &root, f);
    file_close(&file);
    if (rc != SERIN_OK) return rc;
    rc = find(s, root, &flag, f);
    uint32_t found =
        rc != SERIN_OK || flag == NULL || disabled(flag) ? 0 : weight_of(s, flag);
    if (rc == SERIN_OK && found == UINT32_MAX)
        rc = fault_set(f, SERIN_EDOM,
                       "%.200s: the targeting of flag %.100s is not as serin writes it",
                       s->file, s->flag);
    json_decref(root);
    if (rc == SERIN_OK) *bp = found;
    return rc;
}

static void describe(void *own, const struct driver_order *o, char out[DRIVER_TEXT])
{
    const struct settings *s = own;
    uint32_t bp = o->stopped ? 0 : o->weight_bp;
    json_t *segments = segments_of(o), *rule = targeting(s, bp, segments);
    char *text = rule != NULL ? json_dumps(rule, JSON_COMPACT) : NULL;
    snprintf(out, DRIVER_TEXT, "%.120s flag %.80s: default %.60s, targeting %.200s",
             s->file, s->flag, fallback(s, bp), text != NULL ? text : "none");
    free(text);
    json_decref(rule);
    json_decref(segments);
}

extern const struct driver flagd_driver;
const struct driver flagd_driver = {"flagd", &table, true,     open_, close_,
                                    apply,   read_,  describe, NULL};
