/* tests/statistical/core/stat_kinds.c -- events, gauges, saturation and few pods
 * through the real fold: false aborts and false promotions at the edge of the null, and
 * power
 *
 * Windows of 10 s, one record each. 400 rollouts a cell, 10 000 with SERIN_LONG=1; one
 * line a cell on stderr. Limits: a correct program fails once in a million. */
#include "tests/support/direct.h"

enum { T0 = 1700000000, WINDOW_MS = 10000, PODS_C = 2, PODS_B = 8, REQUESTS = 20000 };

#define HEAD                                                                           \
    "id: r\ncohorts: {canary: {v: \"2\"}, baseline: {v: \"1\"}}\nwindow: 10s\n"        \
    "sample_ratio: {check: false}\n"
/* Watched until the end; or passed as soon as the evidence allows. */
#define WATCHED(calibrate)                                                             \
    HEAD "calibrate: " calibrate "\nrisk: {false_abort: 0.01, false_promote: 0.05}\n"  \
         "steps:\n  - {weight: 20%, worse_than: 2, bake: 10d, warmup: 0s, timeout: "   \
         "20d}\n  - {weight: 100%, watch: 0s}\nmetrics:\n"
#define PASSING                                                                        \
    HEAD "calibrate: skip\nrisk: {false_abort: 1e-9, false_promote: 0.05}\n"           \
         "steps:\n  - {weight: 20%, worse_than: 1.5, bake: 60s, warmup: 0s, timeout: " \
         "20d}\n  - {weight: 100%, watch: 0s}\nmetrics:\n"
#define CRASHES                                                                        \
    "  - {name: errors, mode: shadow, phi: 1}\n"                                       \
    "  - {name: crashes, kind: events, exposure: errors"
#define CPU "  - {name: cpu, kind: gauge, batch: 100s"
#define FULL "  - {name: cpu, kind: saturation, bound: 1.1"

/* Of aborts: none is tolerated; or they are out of the way of promotions. */
#define NONE ", abort_over: 1"
#define LATE ", abort_over: 1.49"

enum world { EVENTS, GAUGE, RATIO };

struct cell {
    const char *name, *plan;
    enum world world;
    double effect; /* of the canary: times as many, as much, the odds */
    double burst;  /* events of one cause */
    double memory; /* correlation of a pod's next reading with this one */
    double drift;  /* relative, of all */
    int windows;   /* judged */
};

struct sim {
    struct fold *fold;
    struct effects fx;
    int64_t offset, now_ms;
    gsl_rng *g;
    double pod[PODS_C + PODS_B]; /* of a gauge its state, of a ratio its luck */
};

/* A window's cells. */
struct record {
    pb_cell cells[4], *items[4];
    Serin__V1__UnitSum sums[PODS_C + PODS_B], *units[PODS_C + PODS_B];
    size_t n;
};

static pb_cell *cell_add(struct record *r, const struct sim *s, const char *metric,
                         int cohort, uint64_t n, uint64_t bad)
{
    pb_cell *c = r->items[r->n] = &r->cells[r->n];
    r->n++;
    serin__v1__cell__init(c);
    c->cohort = cohort == 0 ? SERIN__V1__COHORT__COHORT_CANARY
                            : SERIN__V1__COHORT__COHORT_BASELINE;
    c->metric = (char *)metric;
    c->window_ms = s->now_ms;
    c->n = n;
    c->bad = bad;
    return c;
}

/* The split is 15 % off what was commanded. */
static void events_window(struct sim *s, const struct cell *c, double share,
                          double level, struct record *r)
{
    unsigned n = gsl_ran_binomial(s->g, 1.15 * share, REQUESTS), m = REQUESTS - n;
    double causes = 1e-3 * level / c->burst;
    unsigned x = gsl_ran_poisson(s->g, c->effect * causes * n),
             y = gsl_ran_poisson(s->g, causes * m), all[2] = {0, 0};
    for (unsigned i = 0; i < x + y; i++)
        all[i >= x] += c->burst > 1 ? gsl_ran_geometric(s->g, 1 / c->burst) : 1;
    if (n != 0) cell_add(r, s, "errors", 0, n, 0);
    cell_add(r, s, "errors", 1, m, 0);
    if (n != 0) cell_add(r, s, "crashes", 0, all[0], 0);
    cell_add(r, s, "crashes", 1, all[1], 0);
}

/* AR(1) with a deviation of 20 % about the level. */
static void gauge_window(struct sim *s, const struct cell *c, double share,
                         double level, struct record *r)
{
    static char names[PODS_C + PODS_B][2] = {"0", "1", "2", "3", "4",
                                             "5", "6", "7", "8", "9"};
    pb_cell *cells[2] = {NULL, cell_add(r, s, "cpu", 1, PODS_B, 0)};
    if (share > 0) cells[0] = cell_add(r, s, "cpu", 0, PODS_C, 0);
    for (int i = 0; i < PODS_C + PODS_B; i++) {
        s->pod[i] = c->memory * s->pod[i] +
                    gsl_ran_gaussian(s->g, sqrt(1 - c->memory * c->memory));
        Serin__V1__UnitSum *u = r->units[i] = &r->sums[i];
        serin__v1__unit_sum__init(u);
        u->unit = names[i];
        u->n = 1;
        u->sum = level * (1 + 0.2 * s->pod[i]) * (i < PODS_C ? c->effect : 1);
        u->sum_sq = u->sum * u->sum;
    }
    if (cells[0] != NULL) cells[0]->units = r->units, cells[0]->n_units = PODS_C;
    cells[1]->units = r->units + PODS_C;
    cells[1]->n_units = PODS_B;
}

/* Each pod has its own rate for the whole run. */
static void ratio_window(struct sim *s, const struct cell *c, double share,
                         double level, struct record *r)
{
    unsigned n[2] = {0, 0}, bad[2] = {0, 0};
    for (int i = 0; i < PODS_C + PODS_B; i++) {
        int b = i >= PODS_C;
        unsigned one =
            (unsigned)(REQUESTS / 4 * (b ? (1 - share) / PODS_B : share / PODS_C));
        double odds = exp(0.2 * s->pod[i]) * (b ? 1 : c->effect);
        n[b] += one;
        bad[b] += gsl_ran_binomial(s->g, direct_worse(0.01 * level, odds), one);
    }
    if (n[0] != 0) cell_add(r, s, "errors", 0, n[0], bad[0]);
    cell_add(r, s, "errors", 1, n[1], bad[1]);
}

static void window(struct sim *s, const struct cell *c, double share, double level)
{
    static void (*const worlds[])(struct sim *, const struct cell *, double, double,
                                  struct record *) = {
        [EVENTS] = events_window, [GAUGE] = gauge_window, [RATIO] = ratio_window};
    struct record r = {.n = 0};
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_partial p = SERIN__V1__PARTIAL__INIT;
    worlds[c->world](s, c, share, level, &r);
    p.rollout = "r";
    p.n_cells = r.n;
    p.cells = r.items;
    in.body_case = SERIN__V1__INBOX__BODY_PARTIAL;
    in.partial = &p;
    direct_give(s->fold, &s->offset, &in, &s->fx);
    s->now_ms += WINDOW_MS;
    direct_tick(s->fold, &s->offset, s->now_ms, &s->fx);
}

enum end { NEITHER, ABORTED, PROMOTED };

static enum end run(const struct cell *c, gsl_rng *g)
{
    const double day = 240; /* windows: a run sees several */
    struct fold_options o = direct_options();
    struct sim s = {.now_ms = T0 * 1000LL, .g = g};
    double phase = gsl_rng_uniform(g) * 2 * M_PI;
    for (size_t i = 0; i < sizeof s.pod / sizeof *s.pod; i++)
        s.pod[i] = gsl_ran_gaussian(g, 1);
    cr_assert(eq(int, fold_open(&s.fold, &o), SERIN_OK));
    direct_tick(s.fold, &s.offset, s.now_ms, &s.fx);
    direct_apply(s.fold, &s.offset, c->plan, &s.fx);
    const struct rollout *r = fold_find(s.fold, "r");
    if (r == NULL) abort();
    for (int t = 0, judged = 0; judged < c->windows && t < 10000; t++) {
        if (decide_final(r->state) || r->weight_bp == 10000) break;
        double level = 1 + c->drift * sin(2 * M_PI * t / day + phase);
        judged += r->step != 0;
        window(&s, c, r->weight_bp / 10000.0, level);
    }
    enum end end = r->state == ROLLOUT_ABORTED ? ABORTED
                   : r->weight_bp == 10000     ? PROMOTED
                                               : NEITHER;
    fold_close(s.fold);
    effects_free(&s.fx);
    return end;
}

static unsigned replicates(void)
{
    return getenv("SERIN_LONG") != NULL ? 10000 : 400;
}

static unsigned ends(const struct cell *c, enum end end, unsigned runs,
                     unsigned long seed)
{
    unsigned hits = 0;
    gsl_rng *g = check_rng(seed);
    for (unsigned i = 0; i < runs; i++)
        hits += run(c, g) == end;
    gsl_rng_free(g);
    check_cell("%s: %u of %u %s", c->name, hits, runs,
               end == ABORTED ? "aborted" : "promoted");
    return hits;
}

static void at_most(const struct cell *c, enum end end, double level,
                    unsigned long seed)
{
    unsigned runs = replicates(), hits = ends(c, end, runs, seed);
    cr_assert(not(direct_too_many(hits, level, runs)), "%s: %u of %u", c->name, hits,
              runs);
}

/* Never deciding must not pass. */
static void mostly(const struct cell *c, enum end end, unsigned long seed)
{
    unsigned runs = replicates() / 8, hits = ends(c, end, runs, seed);
    cr_assert(ge(uint, hits, runs * 8 / 10), "%s: %u of %u", c->name, hits, runs);
}

Test(kinds_stat, events, .timeout = 3600)
{
    const char *watched = WATCHED("skip") CRASHES ", phi: 1}\n";
    struct cell edge = {"events at the tolerance 1.2, drift, split 15 % off",
                        watched,
                        EVENTS,
                        1.2,
                        1,
                        0,
                        0.8,
                        360};
    struct cell twice = {"events twice as many", watched, EVENTS, 2, 1, 0, 0.8, 120};
    struct cell worse = {"events at worse_than 1.5",
                         PASSING CRASHES LATE ", phi: 1}\n",
                         EVENTS,
                         1.5,
                         1,
                         0,
                         0.8,
                         360};
    struct cell same = {"events as many",
                        PASSING CRASHES LATE ", phi: 1}\n",
                        EVENTS,
                        1,
                        1,
                        0,
                        0.8,
                        360};
    at_most(&edge, ABORTED, 0.01, 1);
    mostly(&twice, ABORTED, 2);
    at_most(&worse, PROMOTED, 0.05, 3);
    mostly(&same, PROMOTED, 4);
}

Test(kinds_stat, events_in_bursts, .timeout = 3600)
{
    struct cell with = {"events in bursts of 3, calibrated",
                        WATCHED("10m") CRASHES ", abort_over: 1}\n",
                        EVENTS,
                        1,
                        3,
                        0,
                        0.3,
                        360};
    struct cell without = {"events in bursts of 3, taken for independent",
                           WATCHED("skip") CRASHES ", abort_over: 1, phi: 1}\n",
                           EVENTS,
                           1,
                           3,
                           0,
                           0.3,
                           360};
    at_most(&with, ABORTED, 0.01, 5);
    unsigned runs = replicates() / 4;
    cr_assert(gt(uint, ends(&without, ABORTED, runs, 6), runs / 10));
}

Test(kinds_stat, gauge, .timeout = 3600)
{
    const double memory = exp(-1); /* correlated over one reading; a batch is ten */
    struct cell edge = {"gauge at the tolerance 1.2, drift",
                        WATCHED("skip") CPU "}\n",
                        GAUGE,
                        1.2,
                        1,
                        memory,
                        0.3,
                        1000};
    struct cell more = {"gauge half as much again",
                        WATCHED("skip") CPU "}\n",
                        GAUGE,
                        1.5,
                        1,
                        memory,
                        0.3,
                        400};
    struct cell worse = {"gauge at worse_than 1.5",
                         PASSING CPU LATE "}\n",
                         GAUGE,
                         1.5,
                         1,
                         memory,
                         0.3,
                         1000};
    struct cell same = {
        "gauge as much", PASSING CPU LATE "}\n", GAUGE, 1, 1, memory, 0.3, 400};
    at_most(&edge, ABORTED, 0.01, 7);
    mostly(&more, ABORTED, 8);
    at_most(&worse, PROMOTED, 0.05, 9);
    mostly(&same, PROMOTED, 10);
}

/* Share of batches of ten readings with a mean above 1.1. */
static double saturated(double effect, double memory)
{
    double variance = 1;
    for (int k = 1; k < 10; k++)
        variance += 2 * (1 - k / 10.0) * pow(memory, k);
    return gsl_cdf_ugaussian_Q((1.1 / effect - 1) / (0.2 * sqrt(variance / 10)));
}

/* What the canary's level has to be for these odds of being saturated. */
static double effect_of(double odds, double memory)
{
    double lo = 1, hi = 2, p = saturated(1, memory);
    while (hi - lo > 1e-9) {
        double mid = (lo + hi) / 2;
        *(saturated(mid, memory) < direct_worse(p, odds) ? &lo : &hi) = mid;
    }
    return lo;
}

/* Batches that are too short, taken for independent, are what a batch is for; that they
 * are correlated does not show in the dispersion of neighbours, so calibration is no
 * remedy for them. */
Test(kinds_stat, saturation, .timeout = 3600)
{
    const double memory = exp(-1);
    struct cell batches = {"saturation, batches of ten correlation times, calibrated",
                           WATCHED("100m") FULL NONE ", batch: 100s}\n",
                           GAUGE,
                           1,
                           1,
                           memory,
                           0.1,
                           1000};
    struct cell naive = {"saturation, batches of half a correlation time",
                         WATCHED("skip") FULL NONE ", batch: 10s, phi: 1}\n",
                         GAUGE,
                         1,
                         1,
                         0.6,
                         0.1,
                         360};
    struct cell full = {"saturation, odds 4",
                        WATCHED("skip") FULL NONE ", batch: 100s, phi: 1}\n",
                        GAUGE,
                        effect_of(4, memory),
                        1,
                        memory,
                        0,
                        1000};
    struct cell worse = {"saturation at worse_than 1.5",
                         PASSING FULL LATE ", batch: 100s, phi: 1}\n",
                         GAUGE,
                         effect_of(1.5, memory),
                         1,
                         memory,
                         0,
                         2000};
    struct cell same = {"saturation, the same",
                        PASSING FULL LATE ", batch: 100s, phi: 1}\n",
                        GAUGE,
                        1,
                        1,
                        memory,
                        0,
                        4000};
    at_most(&batches, ABORTED, 0.01, 11);
    unsigned runs = replicates() / 4;
    cr_assert(gt(uint, ends(&naive, ABORTED, runs, 12), runs / 20));
    mostly(&full, ABORTED, 13);
    at_most(&worse, PROMOTED, 0.05, 14);
    mostly(&same, PROMOTED, 18);
}

Test(kinds_stat, few_pods, .timeout = 3600)
{
    struct cell with = {
        "2 of 10 pods, spread .2, as the plan says",
        WATCHED("skip") "  - {name: errors, phi: 1, abort_over: 1, "
                        "pods: {canary: 2, baseline: 8, spread: 0.2}}\n",
        RATIO,
        1,
        1,
        0,
        0.5,
        360};
    struct cell without = {
        "2 of 10 pods, spread .2, taken for independent",
        WATCHED("skip") "  - {name: errors, phi: 1, abort_over: 1}\n",
        RATIO,
        1,
        1,
        0,
        0.5,
        360};
    struct cell bad = with;
    bad.name = "2 of 10 pods, spread .2, odds 2.5";
    bad.effect = 2.5;
    const double tau = 0.2 * sqrt(1.0 / PODS_C + 1.0 / PODS_B), lucky = 0.05;
    struct cell worse = {
        "2 of 10 pods, spread .2, worse_than 1.5 but for luck of .05: odds 1.95",
        PASSING "  - {name: errors, phi: 1, abort_over: 1.49, "
                "pods: {canary: 2, baseline: 8, spread: 0.2}}\n",
        RATIO,
        1.5 * exp(tau * gsl_cdf_ugaussian_Qinv(lucky)),
        1,
        0,
        0.5,
        360};
    at_most(&with, ABORTED, 0.01, 15);
    unsigned runs = replicates() / 4;
    cr_assert(gt(uint, ends(&without, ABORTED, runs, 16), runs / 10));
    mostly(&bad, ABORTED, 17);
    /* Promotion is about these pods: their luck comes on top of the level. */
    at_most(&worse, PROMOTED, 0.05 + lucky, 19);
}
