/* engine/base/strview.h -- a piece of text that somebody else owns */
#ifndef SERIN_ENGINE_BASE_STRVIEW_H
#define SERIN_ENGINE_BASE_STRVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct strview {
    const char *p; /* not NUL-terminated; may be NULL when n is 0 */
    size_t n;
};

static inline struct strview strview_of(const char *s)
{
    return (struct strview){s, s != NULL ? strlen(s) : 0};
}

static inline bool strview_eq(struct strview a, struct strview b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/** Edit distance (Levenshtein), for "did you mean"; texts past 64 bytes count as far.
 */
unsigned strview_distance(struct strview a, struct strview b);

/**
 * Parse a duration: a number followed by ms, s, m, h or d ("200ms", "1.5h"), >= 0.
 * False when it is none or beyond ten years; *ms unchanged then.
 */
bool strview_duration_ms(struct strview s, int64_t *ms);

#endif
