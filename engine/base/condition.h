/* engine/base/condition.h -- what makes a unit bad: "http.response.status_code >= 500"
 */
#ifndef SERIN_ENGINE_BASE_CONDITION_H
#define SERIN_ENGINE_BASE_CONDITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
enum { CONDITION_MAX_VALUES = 32, CONDITION_MAX_TERMS = 8, CONDITION_MAX_STEPS = 32 };

struct condition_term {
    struct strview key;
    enum condition_op op;
    uint8_t first, n; /* values: one, or those of `in` */
};

/* Points into the text it was parsed from. */
struct condition {
    uint8_t n_terms, n_values, n_steps;
    uint8_t
        steps[CONDITION_MAX_STEPS]; /* in postfix order: a term, or condition_step */
    struct condition_term terms[CONDITION_MAX_TERMS];
    struct strview values[CONDITION_MAX_VALUES];
};
enum condition_step {
    CONDITION_NOT = CONDITION_MAX_TERMS, /* below: the index of a term */
    CONDITION_AND,
    CONDITION_OR
};

/**
 * Terms KEY OP VALUE with OP one of = == != < <= > >=, or KEY in [V, V, …], joined by
 * not, and, or (binding in this order) and parentheses. Values may be in single or
 * double quotes, and must be when they hold spaces, brackets or operators; the order of
 * < <= > >= is that of numbers. Errors: SERIN_EPARSE, *f says what was found and what
 * is expected; *out unchanged.
 */
SERIN_MUST_USE
enum serin_status condition_parse(struct strview text, struct condition *out,
                                  struct fault *f);

/* Value of the attribute `key` of ctx; false when it has none. */
typedef bool (*condition_get)(const void *ctx, struct strview key,
                              struct strview *value);
/**
 * Does it hold for these attributes? Numbers compare as numbers. A term whose attribute
 * is absent is false, so is one that asks for the order of something that is no number.
 */
bool condition_holds(const struct condition *c, condition_get get, const void *ctx);

/** Is the text a number (not NaN) and nothing else? */
bool condition_number(struct strview s, double *out);

#endif
