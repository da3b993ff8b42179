/* engine/base/pattern.h -- which values of an attribute are meant */
#ifndef SERIN_ENGINE_BASE_PATTERN_H
#define SERIN_ENGINE_BASE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/status.h"
#include "engine/base/strview.h"

enum pattern_kind {
    PATTERN_EQUAL, /* values[0], byte for byte */
    PATTERN_IN,    /* one of values */
    PATTERN_PREFIX,
    PATTERN_REGEX /* PCRE2 that has to match the whole value */
};
enum {
    PATTERN_MAX_VALUES = 64,
    PATTERN_MAX_REGEX = 512, /* bytes */
    /* One match takes well under a millisecond, whatever pattern and value are: beyond
     * these steps, levels and KiB it counts as none. */
    PATTERN_STEPS = 20000,
    PATTERN_DEPTH = 250,
    PATTERN_KIB = 512
};

struct pattern {
    enum pattern_kind kind;
    const struct strview *values; /* n; not owned */
    size_t n;                     /* 1 but for PATTERN_IN */
    void *code;                   /* of a regex: owned */
};

/**
 * Make a pattern usable; only a regex needs that. p->values stay the caller's.
 * Errors: SERIN_EPARSE (f->text: what is wrong and at which character), SERIN_ENOMEM;
 * p->code is NULL then and matches nothing.
 */
SERIN_MUST_USE
enum serin_status pattern_open(struct pattern *p, struct fault *f);
void pattern_close(struct pattern *p);
/** Thread: any; p is only read. */
bool pattern_matches(const struct pattern *p, struct strview value);

#endif
