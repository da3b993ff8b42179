/* engine/core/aftermath.c */
#include "engine/core/aftermath.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/core/explain.h"
#include "engine/core/kind.h"
#include "engine/core/turn.h"

enum {
    DRAIN_MS = 10000, /* requests that were under way */
    LEAST = 30        /* requests, or nothing can be said */
};
static const double clear = 2.33; /* standard deviations: one in a hundred by chance */

static const char *const findings[] = {
#define X(name, text) text,
    ROLLOUT_AFTERMATHS(X)
#undef X
};

const char *aftermath_text(enum aftermath_finding f)
{
    return f < AFTERMATH_N ? findings[f] : "";
}

enum aftermath_finding aftermath_parse(const char *text)
{
    for (size_t f = 0; f < AFTERMATH_N; f++)
        if (strcmp(text, findings[f]) == 0) return (enum aftermath_finding)f;
    return AFTERMATH_NONE;
}

/* The blamed metric, else the first that decides; -1: none has rates to compare. */
static int choose(const struct rollout *r, const char *metric)
{
    int first = -1;
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        struct aftermath probe = {0};
        if (e->kind->reference == NULL || !e->kind->reference(e, &probe)) continue;
        if (strcmp(e->metric->name, metric) == 0) return (int)i;
        if (first < 0 && evidence_gates(e)) first = (int)i;
    }
    return first;
}

void aftermath_begin(struct fold *f, struct rollout *r, const char *metric,
                     uint32_t from_bp)
{
    r->after = (struct aftermath){0};
    if (r->plan == NULL || r->plan->after_abort_ms == 0 || from_bp == 0) return;
    int at = choose(r, metric);
    if (at < 0) return;
    const struct evidence *e = &r->evidence.metrics[at];
    struct aftermath a = {0};
    if (!e->kind->reference(e, &a) || a.before.n == 0) return;
    r->after = a;
    r->after.finding = AFTERMATH_WATCHING;
    r->after.metric = (uint32_t)at;
    r->after.phi = e->phi;
    r->after.from_ms = streamclock_now(&f->clock) + DRAIN_MS;
    r->after.until_ms = r->after.from_ms + r->plan->after_abort_ms;
}

/* Bad ones of a cell; false: it does not fit. */
static bool bad_of(const struct aftermath *a, const pb_cell *c, uint64_t *bad)
{
    const Serin__V1__Histogram *h = c->hist;
    if (c->n > COUNT_MAX || c->bad > c->n || (h != NULL) != (a->above > 0))
        return false;
    *bad = c->bad;
    if (h == NULL) return true;
    struct hist_view v = {h->scale, h->offset, h->n_counts, h->zero_count, h->counts};
    if (!binned_sane(&v, c->n)) return false;
    *bad = hist_above(&v, a->above);
    return true;
}

void aftermath_partial(struct fold *f, struct rollout *r, const pb_partial *p)
{
    struct aftermath *a = &r->after;
    (void)f;
    if (a->finding != AFTERMATH_WATCHING) return;
    for (size_t i = 0; i < p->n_cells; i++) {
        const pb_cell *c = p->cells[i];
        uint64_t bad;
        if (strcmp(c->metric, r->plan->metrics[a->metric].name) != 0) continue;
        if (c->window_ms < a->from_ms || c->window_ms >= a->until_ms) continue;
        if (a->n > COUNT_MAX || !bad_of(a, c, &bad)) continue;
        a->n += c->n;
        a->x += bad;
        r->dirty = true;
    }
}

/* Standard deviations by which x of n lies above y of m; counts vary phi times as much
 * as independent requests. */
static double above(uint64_t x, uint64_t n, uint64_t y, uint64_t m, double phi)
{
    if (n == 0 || m == 0) return 0;
    double dn = (double)n, dm = (double)m, p = (double)(x + y) / (dn + dm);
    double var = phi * p * (1 - p) * (1 / dn + 1 / dm);
    return var > 0 ? ((double)x / dn - (double)y / dm) / sqrt(var) : 0;
}

static enum aftermath_finding find(const struct rollout *r)
{
    const struct aftermath *a = &r->after;
    const struct count_table *c = &a->before;
    double side = r->plan->metrics[a->metric].direction == PLAN_DOWN ? -1 : 1;
    if (a->n < LEAST || c->n < LEAST) return AFTERMATH_UNCLEAR;
    if (c->m >= LEAST) /* the canary's side of the baseline */
        side = (double)c->x * (double)c->m < (double)c->y * (double)c->n ? -1 : 1;
    bool left = -side * above(a->x, a->n, c->x, c->n, a->phi) >= clear;
    bool worse = side * above(a->x, a->n, c->y, c->m, a->phi) >= clear;
    if (c->m < LEAST)
        worse = side * ((double)a->x * (double)c->n - (double)c->x * (double)a->n) >= 0;
    if (left) return worse ? AFTERMATH_PARTLY : AFTERMATH_RECOVERED;
    return worse ? AFTERMATH_NOT_RECOVERED : AFTERMATH_UNCLEAR;
}

void aftermath_tell(const struct rollout *r, char out[ROLLOUT_TEXT])
{
    static const char *const words[AFTERMATH_N] = {
        [AFTERMATH_NONE] = "",
        [AFTERMATH_WATCHING] = "",
        [AFTERMATH_RECOVERED] = "it recovered when the canary was taken away",
        [AFTERMATH_PARTLY] = "better than the canary, but worse than the baseline was: "
                             "something else is wrong as well",
        [AFTERMATH_NOT_RECOVERED] =
            "it did not recover: the canary was probably not the cause",
        [AFTERMATH_UNCLEAR] = "too few requests to say whether it recovered"};
    const struct aftermath *a = &r->after;
    char rates[3][24], span[24];
    out[0] = '\0';
    if (r->plan == NULL || words[a->finding][0] == '\0') return;
    const uint64_t counts[3][2] = {
        {a->x, a->n}, {a->before.x, a->before.n}, {a->before.y, a->before.m}};
    for (size_t i = 0; i < 3; i++) {
        snprintf(rates[i], sizeof rates[i], "nothing");
        if (counts[i][1] != 0)
            explain_percent((double)counts[i][0] / (double)counts[i][1], rates[i]);
    }
    explain_span(r->plan->after_abort_ms, span);
    snprintf(out, ROLLOUT_TEXT,
             "%.128s in the %s after the abort: %s; before, the canary had %s and the "
             "baseline %s; %s",
             r->plan->metrics[a->metric].name, span, rates[0], rates[1], rates[2],
             words[a->finding]);
}

/* The watermark, where there is one: what counts is that the windows are in. */
void aftermath_tick(struct fold *f, struct rollout *r)
{
    char sentence[ROLLOUT_TEXT];
    int64_t late_ms = 2 * f->o.max_lag_ms, now = streamclock_now(&f->clock);
    bool in = f->clock.known && f->clock.watermark_ms >= r->after.until_ms;
    if (r->after.finding != AFTERMATH_WATCHING) return;
    if (!in && now < r->after.until_ms + late_ms) return;
    r->after.finding = find(r);
    aftermath_tell(r, sentence);
    turn_audit(f, r, "note", "", sentence, aftermath_text(r->after.finding),
               (struct bytes){NULL, 0});
    r->row_due = r->snapshot_due = r->dirty = true;
}
