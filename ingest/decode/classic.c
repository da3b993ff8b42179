/* ingest/decode/classic.c */
#include "ingest/decode/classic.h"

#include <math.h>

#include "ingest/decode/number.h"
#include "ingest/gather.h"

enum { SALT_RISES = 1, SALT_GATHER = 2 };

bool classic_name(struct strview name, struct strview *histogram)
{
    size_t n = sizeof CLASSIC_SUFFIX - 1;
    if (name.n <= n || memcmp(name.p + name.n - n, CLASSIC_SUFFIX, n) != 0)
        return false;
    *histogram = (struct strview){name.p, name.n - n};
    return true;
}

bool classic_bound(struct strview le, double *out)
{
    if (number_parse(le, out)) return true;
    *out = (double)INFINITY;
    return strview_eq(le, strview_of("+Inf")) || strview_eq(le, strview_of("Inf"));
}

/* A complete histogram: what each of its buckets rose by. */
static void add_set(struct aggregate *a, struct aggregate_run *r, struct strview header,
                    const struct gather_set *set)
{
    uint64_t names[GATHER_MAX_BUCKETS], values[GATHER_MAX_BUCKETS],
        rise[GATHER_MAX_BUCKETS], before = 0;
    /* A time from the future is poison, and must not make all later ones repeats. */
    bool good = isinf(set->bounds[set->n - 1]) != 0 && set->t_ms >= 0 &&
                set->t_ms <= r->horizon_ms;
    for (size_t i = 0; i < set->n; i++) {
        memcpy(&names[i], &set->bounds[i], sizeof names[i]);
        good &= set->upto[i] >= before && set->upto[i] <= AGGREGATE_MAX_COUNT;
        values[i] = set->upto[i] - before;
        before = set->upto[i];
    }
    struct buckets_bounds v = {.bounds = set->bounds, .counts = rise, .n = set->n - 1};
    enum cumulative_result s = CUMULATIVE_FULL;
    if (good)
        s = cumulative_buckets(
            aggregate_cumulative(a), cumulative_key_of(header, SALT_RISES),
            cumulative_ns(set->t_ms), CUMULATIVE_NO_START, names, values, set->n, rise);
    if (s == CUMULATIVE_FULL) v.n = 0; /* poison */
    if (s == CUMULATIVE_REPEAT)
        aggregate_duplicate(a, 1);
    else if (s == CUMULATIVE_FIRST)
        aggregate_begun(a);
    else
        aggregate_run_bounds(r, set->t_ms, &v);
}

void classic_add(struct aggregate *a, struct aggregate_run *r, int64_t t_ms, double le,
                 double upto)
{
    struct strview header = {(const char *)r->s->key, r->s->key_len};
    struct gather *g = cumulative_gather(aggregate_cumulative(a));
    struct gather_set set;
    if (r->s->n == 0) /* nobody asks: unrouted */
        (void)aggregate_run_time(r, t_ms, true);
    else if (gather_add(g, cumulative_key_of(header, SALT_GATHER), t_ms, le,
                        number_units(upto), &set))
        add_set(a, r, header, &set);
}
