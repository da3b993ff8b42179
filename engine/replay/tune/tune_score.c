/* engine/replay/tune/tune_score.c */
#include "engine/replay/tune/tune_score.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "stats/interval.h"

static const double confidence = 0.95;

struct tune_share tune_score_share(unsigned k, unsigned n)
{
    struct tune_share s = {.k = k, .n = n, .upper = 1};
    enum serin_status rc = interval_binomial(k, n, confidence, &s.lower, &s.upper);
    (void)rc; /* k <= n: it cannot fail */
    return s;
}

static unsigned ended(const struct rehearsed *r, unsigned n, enum rehearse_end end)
{
    unsigned k = 0;
    for (unsigned i = 0; i < n; i++)
        k += r[i].end == end;
    return k;
}

void tune_score_healthy(struct tune_row *row, const struct rehearsed *requests,
                        const struct rehearsed *windows, unsigned n)
{
    unsigned best = 0;
    row->requests = tune_score_share(ended(requests, n, REHEARSE_ABORTED), n);
    row->windows =
        tune_score_share(windows != NULL ? ended(windows, n, REHEARSE_ABORTED) : 0,
                         windows != NULL ? n : 0);
    row->promoted = ended(requests, n, REHEARSE_PROMOTED);
    for (unsigned i = 0; i < n; i++) {
        unsigned same = 0;
        if (requests[i].end != REHEARSE_UNDECIDED) continue;
        for (unsigned k = i; k < n; k++)
            same += requests[k].end == REHEARSE_UNDECIDED &&
                    strcmp(requests[i].reason, requests[k].reason) == 0;
        if (same > best) snprintf(row->why, sizeof row->why, "%s", requests[i].reason);
        if (same > best) best = same;
    }
}

/* ---------------------------------------------------------------- times */

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest value that so many of them do not exceed. */
static struct tune_times times_of(double *v, unsigned n)
{
    qsort(v, n, sizeof *v, rising);
    return (struct tune_times){v[(n + 1) / 2 - 1], v[(9 * n + 9) / 10 - 1]};
}

enum serin_status tune_score_times(struct tune_row *row,
                                   const struct rehearsed *healthy, unsigned n)
{
    double *v = mem_calloc(n, sizeof *v);
    if (v == NULL) return SERIN_ENOMEM;
    for (unsigned i = 0; i < n; i++)
        v[i] = healthy[i].end == REHEARSE_PROMOTED
                   ? (double)(healthy[i].end_ms - healthy[i].start_ms) / 1000
                   : (double)INFINITY;
    row->promote = times_of(v, n);
    mem_free(v);
    return SERIN_OK;
}

static bool is_found(const struct rehearsed *r)
{
    return r->end == REHEARSE_ABORTED && r->onset_ms != 0 && r->end_ms >= r->onset_ms;
}

enum serin_status tune_score_found(struct tune_found *out, const struct rehearsed *r,
                                   unsigned n)
{
    double *v = mem_calloc(3 * (size_t)n, sizeof *v);
    unsigned k = 0;
    if (v == NULL) return SERIN_ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        bool found = is_found(&r[i]);
        k += found;
        out->early += r[i].end == REHEARSE_ABORTED && !found;
        v[i] = found ? (double)(r[i].end_ms - r[i].onset_ms) / 1000 : (double)INFINITY;
        v[n + i] = found ? (double)r[i].canary : (double)INFINITY;
        /* Whoever was hurt was, found or not. */
        v[2 * n + i] = (double)r[i].hurt;
    }
    out->found = tune_score_share(k, n);
    out->time = times_of(v, n);
    out->requests = times_of(v + n, n);
    out->hurt = times_of(v + 2 * n, n);
    mem_free(v);
    return SERIN_OK;
}

/* ---------------------------------------------------------------- which one */

enum { GOALS = 3, SHARES = 3 };

/* All faults together, injected and recorded. */
static struct tune_share found_of(const struct tune_row *r, size_t faults)
{
    unsigned k = r->faults.k, n = r->faults.n;
    for (size_t i = 0; i < faults; i++) {
        k += r->injected[i].found.k;
        n += r->injected[i].found.n;
    }
    return tune_score_share(k, n);
}

/* The smaller the better, in the order in which they count. */
static void goals(const struct tune_row *r, size_t faults, double out[GOALS])
{
    out[0] = out[1] = 0;
    for (size_t i = 0; i < faults; i++) {
        out[0] += r->injected[i].time.p50;
        out[1] += r->injected[i].hurt.p50;
    }
    out[2] = r->promote.p50;
}

static double share(const struct tune_share *s)
{
    return s->n > 0 ? (double)s->k / s->n : 0;
}

/* At most alpha of them, rounded up: of few splits one may be. */
static bool within(const struct tune_share *s, double alpha)
{
    return s->k <= ceil(alpha * s->n);
}

/* A few recordings cannot show a small rate; they must not contradict it. */
static bool admissible(const struct tune_row *r, bool paired)
{
    bool windows = paired || within(&r->windows, r->alpha);
    return within(&r->requests, r->alpha) && windows && r->recorded.lower <= r->alpha;
}

static bool dominates(const struct tune_row *a, const struct tune_row *b, size_t faults)
{
    double x[GOALS + SHARES + 1], y[GOALS + SHARES + 1];
    struct tune_share f = found_of(a, faults), g = found_of(b, faults);
    bool better = false;
    goals(a, faults, x);
    goals(b, faults, y);
    x[GOALS] = share(&a->requests), y[GOALS] = share(&b->requests);
    x[GOALS + 1] = share(&a->windows), y[GOALS + 1] = share(&b->windows);
    x[GOALS + 2] = share(&a->recorded), y[GOALS + 2] = share(&b->recorded);
    x[GOALS + SHARES] = -share(&f), y[GOALS + SHARES] = -share(&g);
    for (size_t i = 0; i < GOALS + SHARES + 1; i++) {
        if (x[i] > y[i]) return false;
        better |= x[i] < y[i];
    }
    return better;
}

static bool preferred(const struct tune_row *a, const struct tune_row *b, size_t faults)
{
    double x[GOALS], y[GOALS];
    goals(a, faults, x);
    goals(b, faults, y);
    for (size_t i = 0; i < GOALS; i++)
        if (x[i] != y[i]) return x[i] < y[i];
    return false;
}

static bool promotes(const struct tune_row *r)
{
    return isfinite(r->promote.p50);
}

/* Is it worth choosing, beside the best of the others? */
static bool eligible(const struct tune_row *r, size_t faults, bool promoting,
                     double least)
{
    struct tune_share f = found_of(r, faults);
    return r->admissible && (!promoting || promotes(r)) && share(&f) >= least;
}

int tune_score_choose(struct tune_row *rows, size_t n, size_t faults,
                      const struct tune_measured *measured)
{
    int best = -1;
    bool promoting = false;
    struct tune_share most = {0};
    for (size_t i = 0; i < n; i++) {
        rows[i].front = true;
        rows[i].admissible = admissible(&rows[i], measured[rows[i].measured].paired);
        for (size_t k = 0; k < n && rows[i].front; k++)
            rows[i].front = !dominates(&rows[k], &rows[i], faults);
        promoting |= rows[i].admissible && promotes(&rows[i]);
    }
    for (size_t i = 0; i < n; i++) {
        struct tune_share f = found_of(&rows[i], faults);
        if (eligible(&rows[i], faults, promoting, 0) && share(&f) >= share(&most))
            most = f;
    }
    for (size_t i = 0; i < n; i++) {
        if (!eligible(&rows[i], faults, promoting, most.lower)) continue;
        if (best < 0 || preferred(&rows[i], &rows[best], faults)) best = (int)i;
    }
    return best;
}
