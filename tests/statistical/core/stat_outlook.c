/* tests/statistical/core/stat_outlook.c -- what the outlook promises is what the fold
 * does: the same rollouts through both, from different random numbers */
#include "engine/core/outlook.h"
#include "tests/support/play.h"

enum { RUNS = 150, MOST_S = 900 };
static const double errors = 0.005;

/* The fold judges a window when its data are complete: the watermark's lag, once a
 * step, and the second in which a tick comes. */
static const double lag_s = 2 * (2 + 1);

struct tally {
    unsigned promoted, aborted;
    double promoted_s, aborted_s; /* means, from the first weight on */
};

static void one(struct play *p, double odds, struct tally *t)
{
    struct play_traffic traffic = play_traffic();
    traffic.rate_b = errors;
    traffic.rate_c = odds * errors / (1 + (odds - 1) * errors);
    traffic.per_second = PLAY_RATE;
    int64_t began = 0;
    for (int s = 0; s < MOST_S; s++) {
        play_second(p, traffic);
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

static struct tally folded(double odds)
{
    struct tally t = {0};
    for (unsigned i = 0; i < RUNS; i++) {
        struct play p;
        play_start(&p, PLAY_PLAN);
        gsl_rng_set(p.rng, 1000 + i);
        one(&p, odds, &t);
        play_end(&p);
    }
    t.promoted_s /= t.promoted != 0 ? t.promoted : 1;
    t.aborted_s /= t.aborted != 0 ? t.aborted : 1;
    return t;
}

static struct outlook foreseen(void)
{
    static struct outlook o;
    struct arena a = {0};
    struct doc_errors e = {0};
    struct plan *plan = NULL;
    struct fault f = {0};
    struct outlook_query q = {.rate = PLAY_RATE,
                              .errors = {errors},
                              .phi = 1,
                              .odds = {2, 4},
                              .n_odds = 2,
                              .runs = 400,
                              .seed = 9};
    int rc = plan_parse(&a, PLAY_PLAN, strlen(PLAY_PLAN), &plan, &e);
    cr_assert(eq(int, rc, SERIN_OK));
    rc = outlook_make(plan, &q, &o, &f);
    cr_assert(eq(int, rc, SERIN_OK), "%s", f.text);
    arena_free(&a);
    return o;
}

static void agree(const char *what, double fold_s, double outlook_s)
{
    fprintf(stderr, "%s: fold %.1f s, outlook %.1f s\n", what, fold_s, outlook_s);
    cr_expect(ge(dbl, fold_s, 0.9 * outlook_s));
    cr_expect(le(dbl, fold_s, 1.1 * outlook_s + lag_s));
}

Test(outlook, the_fold_takes_the_time_that_was_foreseen, .timeout = 300)
{
    struct outlook o = foreseen();
    struct tally good = folded(1), two = folded(2), four = folded(4);
    agree("healthy, promoted", good.promoted_s, o.whole.mean_s);
    agree("twice, aborted", two.aborted_s, o.steps[0].found[0].abort.mean_s);
    agree("four times, aborted", four.aborted_s, o.steps[0].found[1].abort.mean_s);
    cr_expect(ge(uint, good.promoted, RUNS * 97 / 100));
    cr_expect(ge(uint, o.whole.hits, 400 * 97 / 100));
    double found = (double)o.steps[0].found[0].abort.hits / 400;
    fprintf(stderr, "twice: aborted %u of %u, foreseen %.2f\n", two.aborted, RUNS,
            found);
    cr_expect(lt(dbl, fabs((double)two.aborted / RUNS - found), 0.12));
}
