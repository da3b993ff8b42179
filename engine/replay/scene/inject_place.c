/* engine/replay/scene/inject_place.c -- injections in the time of a recording */
#include <stdio.h>
#include <time.h>

#include "engine/replay/scene/inject.h"

enum { DAY_MS = 86400000 };

static const char *stamp(char out[32], int64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm utc = {0};
    gmtime_r(&s, &utc);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return out;
}

static int64_t place(const struct inject_time *t, int64_t first_ms, int64_t open)
{
    switch (t->kind) {
    case INJECT_OPEN:
        break;
    case INJECT_CLOCK:
        return first_ms - first_ms % DAY_MS + t->ms;
    case INJECT_DATE:
        return t->ms;
    case INJECT_SINCE:
        return first_ms - first_ms % 1000 + t->ms;
    }
    return open;
}

static enum serin_status outside(const struct inject *one, const char *what,
                                 size_t column, int64_t ms, int64_t first_ms,
                                 int64_t last_ms, struct fault *f)
{
    char at[32], from[32], to[32] = "its end";
    if (last_ms != INT64_MAX) stamp(to, last_ms);
    return fault_set(f, SERIN_EDOM,
                     "'%.80s', column %zu: %s %s; the recording holds "
                     "%s to %s",
                     one->text, column, stamp(at, ms), what, stamp(from, first_ms), to);
}

static enum serin_status place_one(struct inject *one, int64_t first_ms,
                                   int64_t last_ms, struct fault *f)
{
    int64_t start_ms = first_ms - first_ms % 1000;
    one->from_ms = place(&one->from, first_ms, start_ms);
    one->to_ms = place(&one->to, first_ms, INT64_MAX);
    if (one->from_ms < start_ms || one->from_ms > last_ms)
        return outside(one, "is outside the recording", one->from.column, one->from_ms,
                       first_ms, last_ms, f);
    if (one->to_ms <= one->from_ms)
        return outside(one, "is not after the time before it", one->to.column,
                       one->to_ms, first_ms, last_ms, f);
    return SERIN_OK;
}

static enum serin_status clash(const struct inject *a, const struct inject *b,
                               const char *why, struct fault *f)
{
    return fault_set(f, SERIN_EDOM, "'%.80s', column %zu, and '%.80s', column %zu: %s",
                     a->text, a->column, b->text, b->column, why);
}

static enum serin_status compare(const struct inject *a, const struct inject *b,
                                 struct fault *f)
{
    if (a->from_ms >= b->to_ms || b->from_ms >= a->to_ms) return SERIN_OK;
    if (a->what != b->what || a->metric != b->metric) return SERIN_OK;
    if ((a->on[0] && b->on[0]) || (a->on[1] && b->on[1]))
        return clash(a, b,
                     "both change the same at the same time; expected one after "
                     "the other (@FROM..TO), or one of them",
                     f);
    if (a->what == INJECT_SILENCE)
        return clash(a, b,
                     "both cohorts would be silent at the same time, and nothing "
                     "be left to judge",
                     f);
    return SERIN_OK;
}

enum serin_status inject_place(struct inject_list *l, int64_t first_ms, int64_t last_ms,
                               struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    for (size_t i = 0; rc == SERIN_OK && i < l->n; i++) {
        rc = place_one(&l->items[i], first_ms, last_ms, f);
        for (size_t k = 0; rc == SERIN_OK && k < i; k++)
            rc = compare(&l->items[k], &l->items[i], f);
    }
    return rc;
}
