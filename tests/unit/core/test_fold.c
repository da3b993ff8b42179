/* tests/unit/core/test_fold.c -- a rollout from apply to its end, on scripted input */
#include "tests/support/foldrun.h"

static const char plan[] = "apiVersion: serin/v1\n"
                           "kind: Rollout\n"
                           "id: web-2\n"
                           "cohorts:\n"
                           "  canary: {version: \"2\"}\n"
                           "  baseline: {version: \"1\"}\n"
                           "window: 1s\n"
                           "calibrate: skip\n"
                           "steps:\n"
                           "  - {weight: 10%, worse_than: 3, bake: 10s, warmup: 2s}\n"
                           "  - {weight: 50%, worse_than: 2, bake: 10s, warmup: 2s}\n"
                           "  - {weight: 100%, watch: 20s, warmup: 2s}\n"
                           "metrics:\n"
                           "  - {name: errors, kind: ratio, phi: 1}\n";

enum { T0 = 1700000000 };

struct play {
    struct inbox inbox;
    struct foldrun run;
    size_t done;
    int64_t now; /* seconds */
    gsl_rng *rng;
};

static void play_start(struct play *p)
{
    *p = (struct play){.now = T0};
    p->rng = check_rng(11);
    foldrun_start(&p->run);
    inbox_tick(&p->inbox, p->now * 1000, p->now * 1000 - 2000);
    inbox_apply(&p->inbox, "web-2", plan);
    p->done = foldrun_apply(&p->run, &p->inbox, p->done);
}

static void play_end(struct play *p)
{
    gsl_rng_free(p->rng);
    inbox_free(&p->inbox);
    foldrun_free(&p->run);
}

/* One second of 1000 requests that follow the commanded weight. */
static void play_second(struct play *p, double rate_c, double rate_b)
{
    uint32_t bp = p->run.n_verdicts != 0 ? foldrun_last(&p->run)->to_bp : 0;
    unsigned n = gsl_ran_binomial(p->rng, bp / 10000.0, 1000), m = 1000 - n;
    inbox_second(&p->inbox,
                 (struct inbox_second){.rollout = "web-2",
                                       .at_ms = p->now * 1000,
                                       .n = n,
                                       .x = gsl_ran_binomial(p->rng, rate_c, n),
                                       .m = m,
                                       .y = gsl_ran_binomial(p->rng, rate_b, m)});
    p->now++;
    inbox_tick(&p->inbox, p->now * 1000, p->now * 1000 - 2000);
    p->done = foldrun_apply(&p->run, &p->inbox, p->done);
}

static void show(const struct play *p)
{
    for (size_t i = 0; i < p->run.n_verdicts && getenv("SHOW") != NULL; i++) {
        const pb_verdict *v = p->run.verdicts[i];
        fprintf(stderr, "%s kind %d %s %u->%u %s->%s %s\n", v->id, v->kind, v->reason,
                v->from_bp, v->to_bp, v->state_before, v->state_after, v->message);
    }
}

Test(fold, healthy_is_promoted_through_all_weights)
{
    struct play p;
    play_start(&p);
    for (int i = 0; i < 1200 && !foldrun_last(&p.run)->final; i++)
        play_second(&p, 0.01, 0.01);
    show(&p);
    cr_assert(eq(sz, p.run.n_verdicts, (size_t)4));
    const uint32_t to[] = {1000, 5000, 10000, 10000};
    const char *reason[] = {"start", "non_inferior", "non_inferior", "watched"};
    for (size_t i = 0; i < 4; i++) {
        const pb_verdict *v = p.run.verdicts[i];
        cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_PROMOTE));
        cr_assert(eq(u32, v->to_bp, to[i]));
        cr_assert(eq(str, v->reason, (char *)reason[i]));
        cr_assert(eq(u64, v->seq, i + 1));
    }
    cr_assert(foldrun_last(&p.run)->final);
    cr_assert(eq(str, foldrun_row(&p.run, "web-2")->status->state, "PROMOTED"));
    cr_assert(not(foldrun_row(&p.run, "web-2")->route->live));
    play_end(&p);
}

Test(fold, failing_is_aborted)
{
    struct play p;
    play_start(&p);
    for (int i = 0; i < 300 && !foldrun_last(&p.run)->final; i++)
        play_second(&p, 0.05, 0.01);
    show(&p);
    const pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_ABORT));
    cr_assert(eq(str, v->reason, "harm"));
    cr_assert(eq(str, v->metric, "errors"));
    cr_assert(eq(u32, v->to_bp, 0u));
    cr_assert(eq(u32, v->from_bp, 1000u));
    play_end(&p);
}
