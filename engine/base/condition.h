/* engine/base/condition.h -- what makes a unit bad: "http.response.status_code >= 500"
 */
#ifndef SERIN_ENGINE_BASE_CONDITION_H
#define SERIN_ENGINE_BASE_CONDITION_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/status.h"
#include "engine/base/strview.h"

enum condition_op {
    CONDITION_EQ,
    CONDITION_NE,
    CONDITION_LT,
    CONDITION_LE,
    CONDITION_GT,
    CONDITION_GE,
    CONDITION_IN
};
enum { CONDITION_MAX_VALUES = 32 };

/* Points into the text it was parsed from. */
struct condition {
    struct strview key;
    enum condition_op op;
    size_t n; /* values: one, or those of `in` */
    struct strview values[CONDITION_MAX_VALUES];
};

/**
 * KEY OP VALUE with OP one of = == != < <= > >=, or KEY in [V, V, …]. Values may be in
 * single or double quotes, and must be when they hold spaces, brackets or operators;
 * the order of < <= > >= is that of numbers. Errors: SERIN_EPARSE, *f says what was
 * found and what is expected; *out unchanged.
 */
SERIN_MUST_USE
enum serin_status condition_parse(struct strview text, struct condition *out,
                                  struct fault *f);
/**
 * Does it hold for this value of the attribute c->key? Numbers compare as numbers. A
 * value that is no number where the order is asked makes nothing bad: false. An
 * attribute that is absent makes nothing bad either: do not ask.
 */
bool condition_holds(const struct condition *c, struct strview value);

#endif
