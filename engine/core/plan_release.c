/* engine/core/plan_release.c -- as plan_check.c: a value that already has an error of
 * its own is passed over */
#include "engine/core/plan_release.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/plan_keys.h"

struct check {
    struct plan *p;
    const struct doc_node *root;
    struct doc_errors *errors;
    bool misnamed; /* the criteria have an error, so do not judge what they lack */
};

static const struct doc_node *sound(const struct check *c, const struct doc_node *map,
                                    const char *key)
{
    const struct doc_node *v = doc_get(map, key);
    return v != NULL && !doc_error_at(c->errors, v) ? v : NULL;
}

/* ---- criteria */
static const struct plan_metric *metric(const struct plan *p, const char *name)
{
    for (size_t i = 0; i < p->n_metrics; i++)
        if (strcmp(p->metrics[i].name, name) == 0) return &p->metrics[i];
    return NULL;
}

static const struct plan_external *external(const struct plan *p, const char *name)
{
    for (size_t i = 0; i < p->n_checks; i++)
        if (strcmp(p->checks[i].name, name) == 0) return &p->checks[i];
    return NULL;
}

static void check_criterion(struct check *c, const char *key, const char *name,
                            const struct doc_node *at)
{
    const char *names[PLAN_MAX_METRICS + PLAN_MAX_CHECKS + 1] = {NULL};
    const struct plan_metric *m = metric(c->p, name);
    char hint[KEYS_HINT];
    size_t n = 0;
    for (size_t i = 0; i < c->p->n_metrics; i++)
        names[n++] = c->p->metrics[i].name;
    for (size_t i = 0; i < c->p->n_checks; i++)
        names[n++] = c->p->checks[i].name;
    if (m == NULL && external(c->p, name) == NULL) {
        c->misnamed = true;
        doc_error_add(c->errors, at, "%s: no metric%s is named \"%.60s\"%s", key,
                      c->p->n_checks != 0 ? " or check" : "", name,
                      keys_hint(name, names, hint));
    } else if (m != NULL && m->mode != PLAN_GATE)
        doc_error_add(
            c->errors, at,
            "%s: %s has a mode other than gate and cannot decide; list gating metrics "
            "only",
            key, name);
}

static void check_list(struct check *c, const char *key, const char *const *names,
                       size_t n)
{
    const struct doc_node *list = sound(c, doc_get(c->root, "criteria"), key);
    if (list == NULL || c->p->n_metrics == 0) return;
    for (size_t i = 0; i < c->p->n_metrics; i++)
        if (*c->p->metrics[i].name == '\0') return; /* perhaps it is meant */
    bool each = list->type == DOC_LIST && list->n == n;
    for (size_t i = 0; i < n; i++)
        check_criterion(c, key, names[i], each ? list->items[i] : list);
}

/* Something that was measured has to speak for it: answers of others are not evidence.
 */
static void check_evidence(struct check *c)
{
    const struct plan *p = c->p;
    const struct doc_node *criteria = doc_get(c->root, "criteria");
    size_t needed = p->any_metrics != 0 && p->any_checks == 0;
    for (size_t i = 0; i < p->n_metrics; i++)
        needed += p->metrics[i].protected && !p->metrics[i].any;
    if (needed != 0 || c->misnamed || p->n_checks == 0 ||
        p->strategy == PLAN_EXPERIMENT)
        return;
    if (criteria == NULL || doc_error_at(c->errors, criteria)) return;
    doc_error_add(c->errors, criteria,
                  "criteria: no metric is needed, so checks alone would promote; name "
                  "a gating metric in all_of");
}

static void check_both(struct check *c)
{
    const struct doc_node *any = sound(c, doc_get(c->root, "criteria"), "any_of");
    for (size_t i = 0; i < c->p->n_any_of && any != NULL; i++)
        for (size_t k = 0; k < c->p->n_all_of; k++)
            if (strcmp(c->p->any_of[i], c->p->all_of[k]) == 0) {
                c->misnamed = true;
                doc_error_add(c->errors, any,
                              "any_of: %.60s is in all_of, too; leave it out of one",
                              c->p->any_of[i]);
            }
}

/* ---- external checks */
static void check_foreign(struct check *c, const struct doc_node *node, const char *key,
                          const char *kind)
{
    const struct doc_node *at = doc_get(node, key);
    if (at != NULL)
        doc_error_add(c->errors, at, "%s: belongs to kind %s; leave it out", key, kind);
}

static void check_kind(struct check *c, const struct plan_external *x,
                       const struct doc_node *node)
{
    const struct doc_node *url = sound(c, node, "url");
    if (x->kind == PLAN_EXEC) {
        check_foreign(c, node, "url", "webhook");
        check_foreign(c, node, "secret_file", "webhook");
        if (doc_get(node, "target") == NULL)
            doc_error_add(c->errors, node,
                          "%s: exec needs a target: a name under checks.exec of the "
                          "engine's serin.yaml",
                          x->name);
        return;
    }
    check_foreign(c, node, "target", "exec");
    if (doc_get(node, "url") == NULL)
        doc_error_add(c->errors, node, "%s: a webhook needs a url, https://…", x->name);
    if (url != NULL && strncmp(x->url, "https://", 8) != 0 &&
        strncmp(x->url, "http://", 7) != 0)
        doc_error_add(c->errors, url, "url: expected https://… or http://…");
    if (strchr(x->secret_file, '/') != NULL && sound(c, node, "secret_file") != NULL)
        doc_error_add(
            c->errors, doc_get(node, "secret_file"),
            "secret_file: the name of a file in checks.secrets of serin.yaml, "
            "without a path");
}

static void check_external(struct check *c, const struct plan_external *x,
                           const struct doc_node *node)
{
    int64_t longest = x->every_ms + (int64_t)(x->retries + 1) * x->timeout_ms;
    if (node->type != DOC_MAP) return;
    if (metric(c->p, x->name) != NULL)
        doc_error_add(c->errors, node,
                      "%s: is the name of a metric, too; choose another", x->name);
    if (!x->all && !x->any && !c->misnamed)
        doc_error_add(c->errors, node,
                      "%s: is in neither criteria.all_of nor criteria.any_of, so it "
                      "would decide nothing; name it there",
                      x->name);
    if (sound(c, node, "kind") != NULL) check_kind(c, x, node);
    if (x->valid_ms <= longest)
        doc_error_add(c->errors, node,
                      "%s: valid %lld s must be longer than every and all attempts "
                      "together (%lld s); an answer would expire before the next comes",
                      x->name, (long long)(x->valid_ms / 1000),
                      (long long)(longest / 1000));
}

/* ---- schedule */
/* Minutes of "9:00", "09:30", "24:00"; -1: none of that. */
static int minutes_of(const char *text)
{
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9') return -1;
    long h = strtol(text, &end, 10);
    if (*end != ':' || end == text || strspn(end + 1, "0123456789") != 2 ||
        end[3] != '\0')
        return -1;
    long m = strtol(end + 1, NULL, 10);
    return h > 24 || m > 59 || (h == 24 && m != 0) ? -1 : (int)(60 * h + m);
}

static int day_of(const char *text, size_t n)
{
    static const char names[] = "montuewedthufrisatsun";
    for (int i = 0; i < 7 && n == 3; i++)
        if (strncmp(names + 3 * i, text, 3) == 0) return i;
    return -1;
}

/* The days of "mon" or "fri..mon"; 0: none of that. */
static unsigned days_of(const char *text)
{
    const char *dots = strstr(text, "..");
    size_t n = dots != NULL ? (size_t)(dots - text) : strlen(text);
    int first = day_of(text, n),
        last = dots != NULL ? day_of(dots + 2, strlen(dots + 2)) : first;
    unsigned bits = 0;
    if (first < 0 || last < 0) return 0;
    for (int d = first;; d = (d + 1) % 7) {
        bits |= 1u << d;
        if (d == last) return bits;
    }
}

static void read_allow(struct check *c, struct plan_allow *w,
                       const struct doc_node *node)
{
    const struct doc_node *days = sound(c, node, "days");
    if (node->type != DOC_MAP) return;
    w->from_min = minutes_of(w->from);
    w->to_min = minutes_of(w->to);
    w->day_bits = w->n_days == 0 ? 0x7f : 0;
    for (size_t i = 0; i < w->n_days; i++) {
        unsigned bits = days_of(w->days[i]);
        if (bits == 0 && days != NULL)
            doc_error_add(
                c->errors, days,
                "days: \"%.20s\" is none of mon, tue, wed, thu, fri, sat, sun "
                "nor a range such as mon..thu",
                w->days[i]);
        w->day_bits |= bits;
    }
    if (w->from_min < 0 && sound(c, node, "from") != NULL)
        doc_error_add(c->errors, doc_get(node, "from"),
                      "from: \"%.20s\" is no time of day such as 09:00", w->from);
    else if (w->to_min < 0 && sound(c, node, "to") != NULL)
        doc_error_add(c->errors, doc_get(node, "to"),
                      "to: \"%.20s\" is no time of day such as 16:00", w->to);
    else if (w->from_min >= w->to_min)
        doc_error_add(c->errors, node,
                      "allow: to must be later than from on the same day; write two "
                      "entries for a night");
}

static void check_freezes(struct check *c)
{
    const struct doc_node *list = doc_get(doc_get(c->root, "schedule"), "freeze");
    for (size_t i = 0; i < c->p->n_freezes; i++) {
        const struct plan_freeze *f = &c->p->freezes[i];
        const struct doc_node *node = list->items[i], *to = sound(c, node, "to");
        if (to == NULL || sound(c, node, "from") == NULL) continue;
        if (f->from_ms >= f->to_ms)
            doc_error_add(c->errors, to, "to: not after from; a freeze must end later");
        for (size_t j = 0; j < i; j++)
            if (f->from_ms < c->p->freezes[j].to_ms &&
                c->p->freezes[j].from_ms < f->to_ms)
                doc_error_add(c->errors, node,
                              "this freeze overlaps the one in line %u; join them",
                              list->items[j]->line);
    }
}

/* ---- other rollouts */
static void check_after(struct check *c)
{
    const struct doc_node *at = sound(c, c->root, "after");
    for (size_t i = 0; i < c->p->n_after && at != NULL; i++) {
        const char *id = c->p->after[i];
        size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789._-");
        if (id[n] != '\0' || n == 0 || n > 128)
            doc_error_add(c->errors, at, "after: \"%.60s\" is no id of a rollout", id);
        else if (strcmp(id, c->p->id) == 0)
            doc_error_add(c->errors, at,
                          "after: %.60s would wait for itself; leave it out", id);
    }
}

void plan_release_check(struct plan *p, const struct doc_node *root,
                        struct doc_errors *errors)
{
    struct check c = {p, root, errors, false};
    const struct doc_node *allow = doc_get(doc_get(root, "schedule"), "allow");
    const struct doc_node *checks = doc_get(root, "checks");
    if (root->type != DOC_MAP) return;
    check_list(&c, "all_of", p->all_of, p->n_all_of);
    check_list(&c, "any_of", p->any_of, p->n_any_of);
    check_both(&c);
    for (size_t i = 0; i < p->n_checks; i++)
        check_external(&c, &p->checks[i], checks->items[i]);
    check_evidence(&c);
    for (size_t i = 0; i < p->n_allow; i++)
        read_allow(&c, &p->allow[i], allow->items[i]);
    check_freezes(&c);
    check_after(&c);
}
