/* engine/core/snapshot_latency.c */
#include "engine/core/snapshot_latency.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { LEVELS = EXCEEDANCE_LEVELS, RANKS = MANN_WHITNEY_POINTS };

/* Allocates one list; the caller's `bad` collects failures. */
static void *get(struct arena *a, size_t n, size_t size, bool *bad)
{
    void *p = arena_alloc(a, n * size);
    *bad = *bad || p == NULL;
    return p;
}

pb_histogram *snapshot_histogram(struct arena *a, const struct hist_view *v, bool *bad)
{
    pb_histogram *m = get(a, 1, sizeof *m, bad);
    if (m == NULL) return NULL;
    serin__v1__histogram__init(m);
    m->scale = v->scale;
    m->zero_count = v->zero;
    m->offset = v->offset;
    m->n_counts = v->n;
    m->counts = get(a, v->n, sizeof *m->counts, bad);
    if (m->counts != NULL && v->n != 0)
        memcpy(m->counts, v->counts, v->n * sizeof *m->counts);
    return m;
}

static pb_profile_state *numbers_out(struct arena *a, const double *l, size_t n,
                                     bool *bad)
{
    pb_profile_state *m = get(a, 1, sizeof *m, bad);
    if (m == NULL) return NULL;
    serin__v1__profile_state__init(m);
    m->n_l = n;
    m->l = get(a, n, sizeof *m->l, bad);
    if (m->l != NULL) memcpy(m->l, l, n * sizeof *m->l);
    return m;
}

static void levels_out(struct arena *a, const struct evidence *e, pb_latency_state *m,
                       bool *bad)
{
    const struct latency *l = e->own;
    size_t n = e->grid->n;
    m->levels = get(a, LEVELS, sizeof *m->levels, bad);
    m->allowed = get(a, LEVELS, sizeof *m->allowed, bad);
    m->begun = get(a, LEVELS, sizeof *m->begun, bad);
    m->limits = get(a, LEVELS, sizeof *m->limits, bad);
    for (int q = 0; q < LEVELS && !*bad; q++) {
        pb_profile_state *p = snapshot_profile(a, &l->levels[q], n, bad);
        if (p != NULL) snapshot_onset(a, &l->onset[q], n, p, bad);
        m->levels[m->n_levels++] = p;
        m->begun[m->n_begun++] = numbers_out(a, l->begun[q], n, bad);
        if (l->allows) {
            m->allowed[m->n_allowed] = numbers_out(a, l->allowed[q].l, n, bad);
            if (m->allowed[m->n_allowed] != NULL) {
                m->allowed[m->n_allowed]->t = l->allowed[q].t;
                m->allowed[m->n_allowed]->informative = l->allowed[q].informative;
            }
            m->n_allowed++;
        }
        if (l->limits[q].d > 0)
            m->limits[m->n_limits++] = snapshot_floor(a, &l->limits[q], bad);
    }
}

static void ranks_out(struct arena *a, const struct mann_whitney *w,
                      pb_latency_state *m, bool *bad)
{
    pb_profile_state *p = m->ranks = numbers_out(a, w->l, RANKS, bad);
    if (p == NULL) return;
    p->t = w->t;
    p->used = w->used;
    p->n_lw = RANKS;
    p->lw = get(a, RANKS, sizeof *p->lw, bad);
    if (p->lw != NULL) memcpy(p->lw, w->lw, sizeof w->lw);
}

static void past_out(struct arena *a, const struct latency *l, pb_latency_state *m,
                     bool *bad)
{
    const struct exceedance *e = &l->past;
    m->past_scale = e->scale;
    m->past_offset = e->offset;
    m->past_windows = e->windows;
    m->past_zero = e->zero;
    m->n_past = e->n;
    m->past = get(a, e->n, sizeof *m->past, bad);
    if (m->past != NULL && e->n != 0) memcpy(m->past, e->past, e->n * sizeof *m->past);
    if (!l->has_fixed) return;
    m->fixed_scale = l->fixed_scale;
    m->n_fixed = LEVELS;
    m->fixed = get(a, LEVELS, sizeof *m->fixed, bad);
    if (m->fixed != NULL) memcpy(m->fixed, l->fixed, sizeof l->fixed);
}

pb_latency_state *snapshot_latency(struct arena *a, const struct evidence *e,
                                   bool calibrating, bool *bad)
{
    const struct latency *l = e->own;
    pb_latency_state *m = get(a, 1, sizeof *m, bad);
    if (m == NULL) return NULL;
    serin__v1__latency_state__init(m);
    struct hist_view canary = hist_view(&l->step[0]), baseline = hist_view(&l->step[1]);
    levels_out(a, e, m, bad);
    ranks_out(a, &l->ranks, m, bad);
    m->fast = get(a, 2, sizeof *m->fast, bad);
    for (int i = 0; i < 2 && !*bad; i++)
        m->fast[m->n_fast++] = snapshot_profile(a, &l->fast[i], e->grid->n, bad);
    if (m->ranks != NULL) snapshot_onset(a, &l->onset[LEVELS], RANKS, m->ranks, bad);
    past_out(a, l, m, bad);
    m->canary = snapshot_histogram(a, &canary, bad);
    m->baseline = snapshot_histogram(a, &baseline, bad);
    m->calibration = get(a, LEVELS, sizeof *m->calibration, bad);
    for (int q = 0; calibrating && q < LEVELS && !*bad; q++)
        if (l->protects[q])
            m->calibration[m->n_calibration++] =
                snapshot_calibration(a, &l->calibrate[q], bad);
    return m;
}

/* ---- and back; nothing in a message is trusted */
static bool finite_all(const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

static bool numbers_in(double *l, const pb_profile_state *m, size_t n)
{
    if (m->n_l != n || !finite_all(m->l, n)) return false;
    memcpy(l, m->l, n * sizeof *l);
    return true;
}

static bool levels_in(struct evidence *e, const pb_latency_state *m)
{
    struct latency *l = e->own;
    size_t n = e->grid->n, limited = 0;
    if (m->n_levels != LEVELS || m->n_begun != LEVELS ||
        m->n_allowed != (l->allows ? (size_t)LEVELS : 0))
        return false;
    for (int q = 0; q < LEVELS; q++) {
        if (!snapshot_load_profile(&l->levels[q], m->levels[q], n) ||
            !snapshot_load_onset(&l->onset[q], m->levels[q], n) ||
            !numbers_in(l->begun[q], m->begun[q], n))
            return false;
        if (l->allows) {
            if (!numbers_in(l->allowed[q].l, m->allowed[q], n)) return false;
            l->allowed[q].t = m->allowed[q]->t;
            l->allowed[q].informative = m->allowed[q]->informative;
        }
        if (!(l->limits[q].d > 0)) continue;
        if (limited >= m->n_limits ||
            !snapshot_load_floor(&l->limits[q], m->limits[limited++]))
            return false;
    }
    return limited == m->n_limits;
}

static bool ranks_in(struct mann_whitney *w, const pb_profile_state *m)
{
    if (m == NULL || m->n_lw != RANKS || !isfinite(m->used) ||
        !numbers_in(w->l, m, RANKS))
        return false;
    w->t = m->t;
    w->used = m->used;
    memcpy(w->lw, m->lw, sizeof w->lw);
    for (int j = 0; j < RANKS; j++)
        if (isnan(w->lw[j]) || w->lw[j] > DBL_MAX) return false;
    return true;
}

static bool scale_ok(int32_t scale)
{
    return scale >= HIST_SCALE_MIN && scale <= HIST_SCALE_MAX;
}

static bool hist_in(struct hist *h, const pb_histogram *m)
{
    if (m == NULL || m->n_counts > HIST_ROOM) return false;
    struct hist_view v = {m->scale, m->offset, m->n_counts, m->zero_count, m->counts};
    uint64_t total = hist_total(&v);
    if (total > HIST_MAX_COUNT || !binned_sane(&v, total)) return false;
    h->scale = m->scale;
    h->offset = m->offset;
    h->n = (uint32_t)m->n_counts;
    h->zero = m->zero_count;
    h->total = total;
    if (h->n != 0) memcpy(h->counts, m->counts, h->n * sizeof *h->counts);
    return true;
}

static bool past_in(struct latency *l, const pb_latency_state *m)
{
    struct exceedance *e = &l->past;
    const int32_t far = 1 << 30;
    if (!scale_ok(m->past_scale) || m->n_past > HIST_ROOM || m->past_offset < -far ||
        m->past_offset > far || !isfinite(m->past_zero) ||
        !finite_all(m->past, m->n_past) || (m->n_fixed != 0 && m->n_fixed != LEVELS) ||
        !scale_ok(m->fixed_scale))
        return false;
    e->scale = m->past_scale;
    e->offset = m->past_offset;
    e->windows = m->past_windows;
    e->zero = m->past_zero;
    e->n = (uint32_t)m->n_past;
    if (e->n != 0) memcpy(e->past, m->past, e->n * sizeof *e->past);
    l->has_fixed = m->n_fixed != 0;
    l->fixed_scale = m->fixed_scale;
    if (l->has_fixed) memcpy(l->fixed, m->fixed, sizeof l->fixed);
    return true;
}

static bool calibration_in(struct latency *l, const pb_latency_state *m)
{
    size_t i = 0;
    if (m->n_calibration == 0) return true;
    for (int q = 0; q < LEVELS; q++) {
        if (!l->protects[q]) continue;
        if (i >= m->n_calibration ||
            !snapshot_load_calibration(&l->calibrate[q], m->calibration[i++]))
            return false;
    }
    return i == m->n_calibration;
}

static bool fast_in(struct evidence *e, const pb_latency_state *m)
{
    struct latency *l = e->own;
    if (m->n_fast == 0) return true; /* written before it was kept */
    return m->n_fast == 2 &&
           snapshot_load_profile(&l->fast[0], m->fast[0], e->grid->n) &&
           snapshot_load_profile(&l->fast[1], m->fast[1], e->grid->n);
}

bool snapshot_latency_load(struct evidence *e, const pb_latency_state *m)
{
    struct latency *l = e->own;
    return m != NULL && levels_in(e, m) && ranks_in(&l->ranks, m->ranks) &&
           snapshot_load_onset(&l->onset[LEVELS], m->ranks, RANKS) && fast_in(e, m) &&
           past_in(l, m) && hist_in(&l->step[0], m->canary) &&
           hist_in(&l->step[1], m->baseline) && calibration_in(l, m);
}
