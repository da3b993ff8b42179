/* engine/replay/tune/pool.c */
#include "engine/replay/tune/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/replay/replan.h"
#include "engine/replay/tune/stand.h"

enum { LONGEST_MS = 86400000, SHORTEST_MS = 10000, SEAM_MS = 1000 };

struct pool {
    const struct plan *plan;
    struct pool_result *out;
    bool started;
};

/* The first weight: calibration is over. */
static enum serin_status on_verdict(void *ctx, const pb_verdict *v, struct bytes bytes)
{
    struct pool *p = ctx;
    (void)bytes;
    if (p->started || strcmp(v->reason, "start") != 0) return SERIN_OK;
    p->started = true;
    for (size_t i = 0; i < v->n_metrics && i < p->plan->n_metrics; i++) {
        bool wants = p->plan->metrics[i].phi <= 0 && v->metrics[i]->dispersion >= 1;
        p->out->phi[i] = wants ? v->metrics[i]->dispersion : 0;
    }
    return SERIN_OK;
}

/* Calibration looks at baselines only. */
static enum serin_status without_canary(void *ctx, struct arena *a,
                                        const struct change_window *w, pb_partial *p)
{
    size_t kept = 0;
    (void)ctx, (void)a, (void)w;
    for (size_t i = 0; i < p->n_cells; i++)
        if (p->cells[i]->cohort != SERIN__V1__COHORT__COHORT_CANARY)
            p->cells[kept++] = p->cells[i];
    p->n_cells = kept;
    return SERIN_OK;
}

static enum serin_status play_all(const struct tape *const *tapes, size_t n,
                                  struct trial *t, struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    int64_t end_ms = INT64_MIN;
    for (size_t i = 0; rc == SERIN_OK && i < n; i++) {
        struct tape_about about = tape_about(tapes[i]);
        struct tape_player p = {.change = without_canary};
        /* To the grid of minutes, so that windows do not straddle a seam. */
        if (end_ms == INT64_MIN) end_ms = about.first_ms;
        p.shift_ms = (end_ms - about.first_ms + 59999) / 60000 * 60000;
        rc = tape_play(tapes[i], t, &p, f);
        end_ms = about.last_ms + p.shift_ms + SEAM_MS;
    }
    return rc;
}

static enum serin_status judge_pool(const char *text, const struct tape *const *tapes,
                                    size_t n, struct pool *p, struct fault *f)
{
    struct trial *t;
    const pb_rollout *row;
    struct trial_options to = {
        .plan = text, .id = p->plan->id, .sink = on_verdict, .ctx = p};
    if (trial_open(&t, &to) != SERIN_OK)
        return fault_set(f, SERIN_ENOMEM, "out of memory");
    enum serin_status rc = play_all(tapes, n, t, f);
    if (rc == SERIN_OK) rc = trial_row(t, 0, &row);
    if (rc == SERIN_OK) p->out->window_ms = row->status->window_ms;
    if (rc == SERIN_OK && !p->started)
        rc = fault_set(f, SERIN_EDOM,
                       "the baseline of %zu file(s) does not suffice: %s; calibration "
                       "wants 60 windows with data: give more files",
                       n, row->status->message);
    trial_close(t);
    return rc;
}

enum serin_status pool_tapes(const char *text, const struct plan *plan,
                             const struct tape *const *tapes, size_t n,
                             struct pool_result *out, struct fault *f)
{
    struct arena a = {0};
    char whole[32];
    const char *long_text;
    int64_t sum_ms = 0;
    struct pool p = {.plan = plan, .out = out};
    *out = (struct pool_result){0};
    for (size_t i = 0; i < n; i++) {
        struct tape_about about = tape_about(tapes[i]);
        sum_ms += about.last_ms - about.first_ms + SEAM_MS;
    }
    int64_t watch_ms = sum_ms < SHORTEST_MS  ? SHORTEST_MS
                       : sum_ms > LONGEST_MS ? LONGEST_MS
                                             : sum_ms;
    snprintf(whole, sizeof whole, "%" PRId64 "ms", watch_ms);
    enum serin_status rc = replan(&a, text, strlen(text),
                                  &(struct replan){.calibrate = whole}, &long_text);
    if (rc == SERIN_OK)
        rc = judge_pool(long_text, tapes, n, &p, f);
    else
        fault_set(f, rc, "%s", status_text(rc));
    out->windows = out->window_ms > 0 ? (uint64_t)(sum_ms / out->window_ms) : 0;
    arena_free(&a);
    return rc;
}

enum serin_status pool_over_time(struct arena *a, const char *text,
                                 const struct tape *const *tapes, size_t n,
                                 double phi[PLAN_MAX_METRICS], struct fault *f)
{
    const struct replan change = {.fresh = true, .calibrate = "2m"};
    struct pool_result found = {0};
    struct fault little = {0};
    struct stand s;
    struct plan *fresh = NULL;
    const char *anew;
    struct doc_errors errors = {.arena = a};
    enum serin_status rc = stand(a, text, true, &s, f);
    if (rc == SERIN_OK) rc = replan(a, s.text, strlen(s.text), &change, &anew);
    if (rc == SERIN_OK) rc = plan_parse(a, anew, strlen(anew), &fresh, &errors);
    if (rc != SERIN_OK) return rc;
    rc = pool_tapes(anew, fresh, tapes, n, &found, &little);
    for (size_t i = 0; i < PLAN_MAX_METRICS; i++)
        phi[i] = rc == SERIN_OK ? found.phi[i] : 0;
    return rc == SERIN_ENOMEM ? rc : SERIN_OK;
}

enum serin_status pool_measure(const char *plan, const struct feed_options *like,
                               const char *const *files, size_t n,
                               struct pool_result *out, struct fault *f)
{
    struct tape **tapes = mem_calloc(n + 1, sizeof *tapes);
    enum serin_status rc = tapes != NULL ? SERIN_OK : SERIN_ENOMEM;
    for (size_t i = 0; rc == SERIN_OK && i < n; i++) {
        struct feed_options o = {.path = files[i],
                                 .format = like->format,
                                 .plan = like->plan,
                                 .as = like->plan->id};
        rc = tape_read(&tapes[i], &o, NULL, 0, f);
    }
    if (rc == SERIN_OK)
        rc = pool_tapes(plan, like->plan, (const struct tape *const *)tapes, n, out, f);
    for (size_t i = 0; tapes != NULL && i < n; i++)
        tape_close(tapes[i]);
    mem_free(tapes);
    return rc;
}
