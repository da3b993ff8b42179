/* tests/statistical/core/stat_outlook.c -- what the outlook promises is what the fold
 * does: the same rollouts through both, from different random numbers */
#include "engine/core/outlook.h"
#include "tests/support/play.h"

enum { RUNS = 150, MOST_S = 900 };
static const double errors = 0.005;
static const struct outlook_base usual = {80, 600};

/* The fold judges a window when its data are complete: the watermark's lag, once a
 * step, and the second in which a tick comes. */
static const double lag_s = 2 * (2 + 1);

struct tally {
    unsigned promoted, aborted;
    double promoted_s, aborted_s; /* means, from the first weight on */
};

/* A canary as both are told of it, and a second of its traffic. */
struct canary {
    struct outlook_bad bad; /* size 0: healthy */
    void (*second)(struct play *p, const struct outlook_bad *bad);
};

static void ratio_second(struct play *p, const struct outlook_bad *bad)
{
    struct play_traffic traffic = play_traffic();
    double odds = bad->size > 0 ? bad->size : 1;
    traffic.rate_b = errors;
    traffic.rate_c = odds * errors / (1 + (odds - 1) * errors);
    play_second(p, traffic);
}

static void latency_second(struct play *p, const struct outlook_bad *bad)
{
    static struct hist h[2];
    struct play_traffic clock = play_traffic();
    double sigma = log(usual.p99_ms / usual.p50_ms) / gsl_cdf_ugaussian_Pinv(0.99);
    unsigned n = gsl_ran_binomial(p->rng, play_weight(p) / 10000.0, PLAY_RATE);
    for (int c = 0; c < 2; c++)
        cr_assert(eq(int, hist_init(&h[c], HIST_SCALE), SERIN_OK));
    for (unsigned i = 0; i < PLAY_RATE; i++) {
        double ms = usual.p50_ms * exp(gsl_ran_gaussian(p->rng, sigma));
        if (i < n && bad->how == OUTLOOK_SLOWER && bad->size > 0) ms *= bad->size;
        if (i < n && bad->how == OUTLOOK_TAIL && gsl_rng_uniform(p->rng) < bad->share)
            ms += bad->size;
        cr_assert(eq(int, hist_add(&h[i >= n], ms, 1), SERIN_OK));
    }
    struct hist_view v[2] = {hist_view(&h[0]), hist_view(&h[1])};
    inbox_latency(&p->inbox,
                  (struct inbox_second){
                      .rollout = PLAY_ID, .metric = "time", .at_ms = p->now * 1000},
                  n != 0 ? &v[0] : NULL, &v[1]);
    p->now++;
    play_clock(p, &clock);
    play_feed(p);
}

static void one(struct play *p, const struct canary *c, struct tally *t)
{
    int64_t began = 0;
    for (int s = 0; s < MOST_S; s++) {
        c->second(p, &c->bad);
        if (began == 0 && play_weight(p) > 0) began = p->now;
        bool full = play_weight(p) == 10000;
        bool out = began != 0 && play_weight(p) == 0;
        if (!full && !out) continue;
        t->promoted += full;
        t->aborted += out;
        *(full ? &t->promoted_s : &t->aborted_s) += (double)(p->now - began);
        return;
    }
}

static struct tally folded(const char *plan, struct canary c)
{
    struct tally t = {0};
    for (unsigned i = 0; i < RUNS; i++) {
        struct play p;
        play_start(&p, plan);
        gsl_rng_set(p.rng, 1000 + i);
        one(&p, &c, &t);
        play_end(&p);
    }
    t.promoted_s /= t.promoted != 0 ? t.promoted : 1;
    t.aborted_s /= t.aborted != 0 ? t.aborted : 1;
    return t;
}

static struct outlook foreseen(const char *text, const struct outlook_bad *bads,
                               size_t n, unsigned runs)
{
    static struct outlook o;
    struct arena a = {0};
    struct doc_errors e = {0};
    struct plan *plan = NULL;
    struct fault f = {0};
    struct outlook_query q = {.rate = PLAY_RATE,
                              .errors = {errors},
                              .latency = {usual},
                              .phi = 1,
                              .n_bads = n,
                              .runs = runs,
                              .seed = 9};
    memcpy(q.bads, bads, n * sizeof *bads);
    int rc = plan_parse(&a, text, strlen(text), &plan, &e);
    cr_assert(eq(int, rc, SERIN_OK));
    rc = outlook_make(plan, &q, &o, &f);
    cr_assert(eq(int, rc, SERIN_OK), "%s", f.text);
    arena_free(&a);
    return o;
}

static void agree(const char *what, double fold_s, double outlook_s)
{
    check_cell("%s: fold %.1f s, outlook %.1f s", what, fold_s, outlook_s);
    cr_expect(ge(dbl, fold_s, 0.9 * outlook_s));
    cr_expect(le(dbl, fold_s, 1.1 * outlook_s + lag_s));
}

Test(outlook, the_fold_takes_the_time_that_was_foreseen, .timeout = 300)
{
    const struct outlook_bad bads[] = {{OUTLOOK_ODDS, 0, 2, 0},
                                       {OUTLOOK_ODDS, 0, 4, 0}};
    struct outlook o = foreseen(PLAY_PLAN, bads, 2, 400);
    struct tally good = folded(PLAY_PLAN, (struct canary){.second = ratio_second}),
                 two = folded(PLAY_PLAN, (struct canary){bads[0], ratio_second}),
                 four = folded(PLAY_PLAN, (struct canary){bads[1], ratio_second});
    agree("healthy, promoted", good.promoted_s, o.whole.mean_s);
    agree("twice, aborted", two.aborted_s, o.steps[0].found[0].abort.mean_s);
    agree("four times, aborted", four.aborted_s, o.steps[0].found[1].abort.mean_s);
    cr_expect(ge(uint, good.promoted, RUNS * 97 / 100));
    cr_expect(ge(uint, o.whole.hits, 400 * 97 / 100));
    double found = (double)o.steps[0].found[0].abort.hits / 400;
    check_cell("twice: aborted %u of %u, foreseen %.2f", two.aborted, RUNS, found);
    cr_expect(lt(dbl, fabs((double)two.aborted / RUNS - found), 0.12));
}

static const char slow_plan[] =
    PLAY_HEAD "window: 1s\ncalibrate: skip\n" PLAY_STEPS
              "metrics:\n  - {name: time, kind: latency, phi: 1}\n";

Test(outlook, latencies_take_the_time_that_was_foreseen, .timeout = 300)
{
    const struct outlook_bad bads[] = {{OUTLOOK_SLOWER, 0, 1.2, 0},
                                       {OUTLOOK_TAIL, 0, 400, 0.03}};
    struct outlook o = foreseen(slow_plan, bads, 2, 100);
    struct tally good = folded(slow_plan, (struct canary){.second = latency_second}),
                 all = folded(slow_plan, (struct canary){bads[0], latency_second}),
                 tail = folded(slow_plan, (struct canary){bads[1], latency_second});
    agree("healthy latency, promoted", good.promoted_s, o.whole.mean_s);
    agree("20 % slower, aborted", all.aborted_s, o.steps[0].found[0].abort.mean_s);
    agree("slow tail, aborted", tail.aborted_s, o.steps[0].found[1].abort.mean_s);
    cr_expect(ge(uint, good.promoted, RUNS * 97 / 100));
    cr_expect(ge(uint, o.whole.hits, 95));
    cr_expect(ge(uint, all.aborted, RUNS * 95 / 100));
    cr_expect(ge(uint, o.steps[0].found[0].abort.hits, 95));
}
