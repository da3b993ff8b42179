/* engine/core/kind_ratio.c -- bad units of all: one profile of the odds ratio */
#include "engine/core/counts.h"
#include "engine/core/explain.h"

/* Where fewer is worse, the good ones are counted as bad. */
static enum serin_status window(struct evidence *e, const struct horizon *h,
                                const struct kind_window *w, struct kind_news *news)
{
    struct count_table turned[ROLLOUT_STRATA + 1];
    const struct count_table *t = w->tables;
    if (e->metric->direction == PLAN_DOWN) {
        for (size_t i = 0; i < w->n; i++)
            turned[i] = counts_turn(w->tables[i]);
        t = turned;
    }
    return counts_window(e, h, t, w->n, &news->informed);
}

enum { CROSSED_PERCENT = 1 }; /* of users in both cohorts: worth a word */

static void users(const struct riskset *risk, struct turn *t)
{
    uint64_t of, crossed = riskset_crossed(risk, &of);
    explain_add(t, " of users at risk meet an error in a window");
    if (risk->thin != 0) explain_add(t, ", 1 in %g followed", 1 / riskset_share(risk));
    if (100 * crossed > CROSSED_PERCENT * of)
        explain_add(t,
                    "; %.2g %% of users were seen in both cohorts and are left out: "
                    "routing is not sticky",
                    100 * (double)crossed / (double)of);
}

static bool figures(const struct evidence *e, struct arena *a, pb_metric_verdict *m)
{
    (void)a;
    m->canary->pods = (uint32_t)e->metric->pods.canary;
    m->baseline->pods = (uint32_t)e->metric->pods.baseline;
    if (e->risk != NULL) {
        static char per[] = "user";
        m->per = per;
        m->followed = riskset_share(e->risk);
        m->crossed = riskset_crossed(e->risk, &m->sampled);
    }
    return true;
}

static void cohorts(const struct evidence *e, struct turn *t)
{
    const struct plan_pods *p = &e->metric->pods;
    counts_cohorts(e, t);
    if (e->risk != NULL) users(e->risk, t);
    if (p->canary != 0)
        explain_add(t, " (%llu and %llu pods)", (unsigned long long)p->canary,
                    (unsigned long long)p->baseline);
}

static void beyond(const struct evidence *e, struct turn *t)
{
    char at[24];
    cohorts(e, t);
    explain_percent(e->metric->limit, at);
    explain_add(t, ", %s its limit %s",
                e->metric->direction == PLAN_DOWN ? "below" : "above", at);
}

static void worse(const struct evidence *e, struct turn *t)
{
    if (e->metric->direction == PLAN_DOWN)
        explain_add(t, ", the odds lower by more than a factor of %g",
                    e->metric->abort_over);
    else
        explain_add(t, ", more than %g times the odds", e->metric->abort_over);
}

/* Users at risk dwindle; they are no rate of requests. */
static bool reference(const struct evidence *e, struct aftermath *out)
{
    out->before = e->counts;
    return e->risk == NULL;
}

/* Against odds ratio 1: what is tolerated is in the counts. */
static double too_good(const struct evidence *e)
{
    return e->risk != NULL ? profile_log_above(&e->risk->away, e->grid, e->grid->j0)
                           : 0;
}

static void better(const struct evidence *e, struct turn *t)
{
    explain_add(t,
                "more than %g %% fewer of the canary's users come again than of the "
                "baseline's",
                100 * e->metric->too_good);
}

const struct kind kind_ratio = {
    .content = KIND_COUNTS,
    .requests = true,
    .effect = "odds ratio",
    .open = counts_open,
    .reset = counts_reset,
    .step = counts_step,
    .window = window,
    .harm = counts_harm,
    .too_good = too_good,
    .limited = counts_limited,
    .limit = counts_limit,
    .within = counts_within,
    .promote = counts_promote,
    .restart = counts_restart,
    .estimate = counts_estimate,
    .limits = counts_limits,
    .profile = counts_profile,
    .left = counts_left,
    .phi = counts_phi,
    .reference = reference,
    .figures = figures,
    .cohorts = cohorts,
    .beyond = beyond,
    .worse = worse,
    .better = better,
};
