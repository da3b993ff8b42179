/* engine/act/section.h -- the `actuate` section of a plan, and that of serin.yaml */
#ifndef SERIN_ENGINE_ACT_SECTION_H
#define SERIN_ENGINE_ACT_SECTION_H

#include "engine/act/driver.h"
#include "engine/base/doc.h"
#include "engine/core/plan.h"

enum { SECTION_TARGETS = 64 };

/* What a section says. */
struct section {
    const char *targets[PLAN_MAX_TARGETS]; /* named in serin.yaml; none: said inline */
    size_t n_targets;
    const struct driver *driver; /* of an inline one */
    const void *settings;        /* as its keys fill them, in the arena */
};

/**
 * Read `{target: NAME}`, `{targets: [NAME, ...]}` or `{kind: KIND, ...}`. Every problem
 * is noted at its place. Errors: SERIN_ENOMEM only.
 */
SERIN_MUST_USE
enum serin_status section_read(struct arena *a, const struct doc_node *map,
                               struct section *out, struct doc_errors *errors);

/** As plan_parse (engine/core/plan.h), and its actuate section is checked, too. */
SERIN_MUST_USE
enum serin_status section_plan(struct arena *a, const char *text, size_t n,
                               struct plan **out, struct doc_errors *errors);

/* The owner's side: what this machine lets plans move. */
struct section_policy {
    struct {
        const char *name;
        struct section section;
    } targets[SECTION_TARGETS];
    size_t n_targets;
    const char **inline_kinds; /* plans may use these as they write them */
    size_t n_inline;
    int64_t lease_ms, check_ms;
};

/**
 * Read serin.yaml's `actuate: {targets: {NAME: {kind: ...}}, inline: [haproxy], lease,
 * check}`; NULL: the defaults, nothing allowed. Errors: SERIN_ENOMEM only; problems are
 * noted.
 */
SERIN_MUST_USE
enum serin_status section_policy(struct arena *a, const struct doc_node *map,
                                 struct section_policy *out, struct doc_errors *errors);
/**
 * What target i of a plan's section comes to here; of an inline one, i = 0.
 * Errors: SERIN_ENOENT (no such target), SERIN_EDOM (a kind that is not allowed
 * inline); *f says what to do.
 */
SERIN_MUST_USE
enum serin_status section_resolve(const struct section_policy *p,
                                  const struct section *s, size_t i,
                                  const struct driver **driver, const void **settings,
                                  struct fault *f);
/** For the configuration's own table: the members of the section's JSON Schema. */
extern const char section_schema[];

#endif
