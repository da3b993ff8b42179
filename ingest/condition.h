/* ingest/condition.h -- what makes a unit bad: "http.response.status_code >= 500" */
#ifndef SERIN_INGEST_CONDITION_H
#define SERIN_INGEST_CONDITION_H

#include "ingest/series.h"

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
 * single or double quotes. Errors: SERIN_EPARSE says what was expected; *out unchanged.
 */
SERIN_MUST_USE
enum serin_status condition_parse(struct strview text, struct condition *out,
                                  struct fault *f);
/**
 * Does it hold for these attributes? Numbers compare as numbers. An attribute that is
 * absent, or no number where the order is asked, makes nothing bad: false.
 */
bool condition_holds(const struct condition *c, const struct series_name *s);

#endif
