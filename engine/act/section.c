/* engine/act/section.c */
#include "engine/act/section.h"

#include <stdio.h>
#include <string.h>

enum { MAX_KINDS = 16 };

static void unknown_kind(const struct doc_node *at, struct doc_errors *errors)
{
    char hint[KEYS_HINT], all[256] = "";
    const char *names[MAX_KINDS + 1] = {NULL};
    for (size_t i = 0; driver_all[i] != NULL && i < MAX_KINDS; i++) {
        names[i] = driver_all[i]->name;
        size_t n = strlen(all);
        snprintf(all + n, sizeof all - n, "%s%s", i != 0 ? ", " : "", names[i]);
    }
    doc_error_add(errors, at, "actuate: no kind \"%s\"%s; there are %s", at->text,
                  keys_hint(at->text, names, hint), all);
}

static void read_name(struct section *out, const struct doc_node *name,
                      struct doc_errors *errors)
{
    if (name->type != DOC_SCALAR || *name->text == '\0') {
        doc_error_add(errors, name,
                      "actuate: a target is a name of serin.yaml's "
                      "actuate.targets");
        return;
    }
    /* It comes back in acknowledgements, whole. */
    if (strlen(name->text) >= PLAN_TARGET_NAME)
        doc_error_add(errors, name,
                      "actuate: a target's name has at most %d bytes, not %zu",
                      PLAN_TARGET_NAME - 1, strlen(name->text));
    for (size_t i = 0; i < out->n_targets; i++)
        if (strcmp(out->targets[i], name->text) == 0)
            doc_error_add(errors, name, "actuate: target \"%.64s\" is named twice",
                          name->text);
    out->targets[out->n_targets++] = name->text;
}

/* {target: NAME} or {targets: [NAME, ...]}. */
static void read_names(const struct doc_node *map, struct section *out,
                       struct doc_errors *errors)
{
    const struct doc_node *at = map->items[0];
    bool several = strcmp(map->keys[0]->text, "targets") == 0;
    if (map->n != 1)
        doc_error_add(errors, at, "actuate: names of targets, and nothing else");
    else if (!several)
        read_name(out, at, errors);
    else if (at->type != DOC_LIST || at->n == 0 || at->n > PLAN_MAX_TARGETS)
        doc_error_add(errors, at, "actuate: targets is a list of 1 to %d names",
                      PLAN_MAX_TARGETS);
    for (size_t i = 0; several && map->n == 1 && at->type == DOC_LIST && i < at->n &&
                       i < PLAN_MAX_TARGETS;
         i++)
        read_name(out, at->items[i], errors);
}

enum serin_status section_read(struct arena *a, const struct doc_node *map,
                               struct section *out, struct doc_errors *errors)
{
    const struct doc_node *kind = doc_get(map, "kind");
    bool named = doc_get(map, "target") != NULL || doc_get(map, "targets") != NULL;
    *out = (struct section){0};
    if (map->type != DOC_MAP || (kind == NULL) == !named) {
        doc_error_add(
            errors, map,
            "actuate: expected {target: NAME}, a target that serin.yaml names, "
            "{targets: [NAME, ...]}, or {kind: KIND, ...}");
        return SERIN_OK;
    }
    if (named) {
        read_names(map, out, errors);
        return SERIN_OK;
    }
    if (kind->type != DOC_SCALAR) {
        doc_error_add(errors, kind, "actuate: kind is a word");
        return SERIN_OK;
    }
    out->driver = driver_find(kind->text);
    if (out->driver == NULL) {
        unknown_kind(kind, errors);
        return SERIN_OK;
    }
    void *settings = arena_alloc(a, out->driver->keys->size);
    if (settings == NULL) return SERIN_ENOMEM;
    out->settings = settings;
    return keys_read(a, out->driver->keys, map, settings, errors);
}

/* Of a named target only the actuator knows the kind, and refuses. */
static void look_mirror(const struct plan *p, const struct section *s,
                        struct doc_errors *errors)
{
    for (size_t i = 0; i < p->n_steps && s->driver->mirror == NULL; i++)
        if (p->steps[i].kind == PLAN_STEP_MIRROR)
            doc_error_add(
                errors, doc_get(p->actuate, "kind"),
                "kind: %s cannot copy requests, as the step in line %u wants; "
                "name a target that can (envoy, gateway, webhook), or make it "
                "a preview",
                s->driver->name, p->steps[i].line);
}

enum serin_status section_plan(struct arena *a, const char *text, size_t n,
                               struct plan **out, struct doc_errors *errors)
{
    struct section s;
    enum serin_status rc = plan_parse(a, text, n, out, errors);
    if (rc != SERIN_OK || (*out)->actuate == NULL) return rc;
    rc = section_read(a, (*out)->actuate, &s, errors);
    if (rc == SERIN_OK && s.driver != NULL) look_mirror(*out, &s, errors);
    return rc == SERIN_OK && errors->total != 0 ? SERIN_EPARSE : rc;
}

/* ---- serin.yaml */
struct written {
    const struct doc_node *targets;
    const char **kinds;
    size_t n_kinds;
    int64_t lease, check;
};
#define AT(field) offsetof(struct written, field)
static const struct keys_key keys[] = {
    KEYS_KEY("targets", KEYS_ANY, AT(targets), NULL, 0, 0, NULL,
             "what plans may name as actuate: {target: NAME}; each {kind: KIND, ...}"),
    KEYS_KEY("inline", KEYS_TEXTS, AT(kinds), NULL, 1, 32, NULL,
             "kinds that plans may also write out themselves; by default none",
             .count_at = AT(n_kinds)),
    KEYS_KEY("lease", KEYS_DURATION, AT(lease), "30s", 5000, 3.6e6, NULL,
             "the engine not heard of for this long: the canary gets nothing"),
    KEYS_KEY("check", KEYS_DURATION, AT(check), "5s", 500, 3.6e6, NULL,
             "time between two looks at the weight that is in force"),
};
static const struct keys_table table = KEYS_OF(keys, struct written);
const char section_schema[] = "\"type\":\"object\"";

static enum serin_status read_targets(struct arena *a, const struct doc_node *map,
                                      struct section_policy *out,
                                      struct doc_errors *errors)
{
    enum serin_status rc = SERIN_OK;
    if (map->type != DOC_MAP || map->n > SECTION_TARGETS) {
        doc_error_add(errors, map,
                      "targets: expected a map of at most %d names to {kind: "
                      "KIND, ...}",
                      SECTION_TARGETS);
        return SERIN_OK;
    }
    for (size_t i = 0; rc == SERIN_OK && i < map->n; i++) {
        struct section *s = &out->targets[out->n_targets].section;
        rc = section_read(a, map->items[i], s, errors);
        if (s->n_targets != 0)
            doc_error_add(errors, map->items[i], "a target cannot be another one");
        out->targets[out->n_targets++].name = map->keys[i]->text;
    }
    return rc;
}

static void check_inline(const struct doc_node *map, const struct section_policy *p,
                         struct doc_errors *errors)
{
    for (size_t i = 0; i < p->n_inline; i++) {
        const struct driver *d = driver_find(p->inline_kinds[i]);
        if (d == NULL)
            doc_error_add(errors, doc_get(map, "inline"), "inline: no kind \"%s\"",
                          p->inline_kinds[i]);
        else if (d->privileged)
            doc_error_add(errors, doc_get(map, "inline"),
                          "inline: kind %s does what it is told on this machine; only "
                          "under targets, where its owner writes it",
                          d->name);
    }
}

enum serin_status section_policy(struct arena *a, const struct doc_node *map,
                                 struct section_policy *out, struct doc_errors *errors)
{
    static const struct doc_node empty = {.type = DOC_MAP};
    struct written w = {0};
    *out = (struct section_policy){0};
    enum serin_status rc = keys_read(a, &table, map != NULL ? map : &empty, &w, errors);
    if (rc != SERIN_OK) return rc;
    out->inline_kinds = w.kinds;
    out->n_inline = w.n_kinds;
    out->lease_ms = w.lease;
    out->check_ms = w.check;
    check_inline(map, out, errors);
    return w.targets != NULL ? read_targets(a, w.targets, out, errors) : SERIN_OK;
}

static enum serin_status resolve_inline(const struct section_policy *p,
                                        const struct section *s,
                                        const struct driver **driver,
                                        const void **settings, struct fault *f)
{
    for (size_t i = 0; i < p->n_inline; i++) {
        if (strcmp(p->inline_kinds[i], s->driver->name) != 0) continue;
        *driver = s->driver;
        *settings = s->settings;
        return SERIN_OK;
    }
    return fault_set(f, SERIN_EDOM,
                     "this actuator takes kind %s from no plan: name a target under "
                     "actuate.targets of its serin.yaml and say actuate: {target: "
                     "NAME}, or list the kind under actuate.inline",
                     s->driver->name);
}

enum serin_status section_resolve(const struct section_policy *p,
                                  const struct section *s, size_t i,
                                  const struct driver **driver, const void **settings,
                                  struct fault *f)
{
    if (s->n_targets == 0) return resolve_inline(p, s, driver, settings, f);
    for (size_t k = 0; k < p->n_targets; k++) {
        if (strcmp(p->targets[k].name, s->targets[i]) != 0) continue;
        *driver = p->targets[k].section.driver;
        *settings = p->targets[k].section.settings;
        return SERIN_OK;
    }
    return fault_set(f, SERIN_ENOENT,
                     "this actuator has no target \"%.64s\": add it under "
                     "actuate.targets of its serin.yaml",
                     s->targets[i]);
}
