/* tests/property/core/prop_restore.c -- wherever the process dies, the verdicts are the
 * same bytes: restore at every record boundary of a run that has everything in it */
#include "tests/support/foldrun.h"

enum { T0 = 1700000000 };

static const char plan_a[] =
    "apiVersion: serin/v1\n"
    "kind: Rollout\n"
    "id: a\n"
    "cohorts:\n"
    "  canary: {version: \"2\"}\n"
    "  baseline: {version: \"1\"}\n"
    "strata: [region]\n"
    "calibrate: 70s\n"
    "steps:\n"
    "  - {weight: 10%, worse_than: 3, bake: 10s, warmup: 2s}\n"
    "  - {weight: 50%, worse_than: 2, bake: 10s, warmup: 2s, gate: g}\n"
    "  - {weight: 100%, watch: 20s, warmup: 2s}\n"
    "gates:\n"
    "  g: {approvers: [ann, bob], quorum: 2}\n"
    "metrics:\n"
    "  - {name: errors, kind: ratio, floor: 0.01%, limit: 30%}\n"
    "  - {name: timeouts, kind: ratio, share: 2}\n"
    "  - {name: time, kind: latency, abort_over: 5%, limit: {p99: 9s}}\n"
    "  - {name: crashes, kind: events, exposure: errors}\n"
    "  - {name: oom, kind: events, mode: warn, exposure: {canary: 1, baseline: 9}}\n"
    "  - {name: cpu, kind: gauge, batch: 7s}\n"
    "  - {name: full, kind: saturation, bound: 0.6, batch: 1s, limit: 90%}\n"
    "  - {name: orders, direction: down, mode: warn}\n"
    "  - {name: people, per: user, mode: warn}\n"
    "checks: {load: {kind: exec, target: load, every: 5s, timeout: 1s}}\n"
    "after: z\n"
    "criteria: {all_of: [errors, timeouts, time, cpu, load]}\n";
static const char plan_b[] = "apiVersion: serin/v1\n"
                             "kind: Rollout\n"
                             "id: b\n"
                             "cohorts:\n"
                             "  canary: {version: \"2\"}\n"
                             "  baseline: {version: \"1\"}\n"
                             "window: 2s\n"
                             "calibrate: skip\n"
                             "actuate: {targets: [eu, us]}\n"
                             "steps:\n"
                             "  - {weight: 20%, worse_than: 3, bake: 10s, warmup: 2s}\n"
                             "  - {weight: 100%, watch: 20s, warmup: 2s}\n"
                             "metrics:\n"
                             "  - {name: errors, kind: ratio, phi: 1.5}\n";

static void cohort_second(struct inbox *b, gsl_rng *g, const char *id,
                          const char *metric, const char *stratum, int64_t s,
                          double share, double rate_c)
{
    unsigned n = gsl_ran_binomial(g, share, 500), m = 500 - n;
    inbox_second(b, (struct inbox_second){.rollout = id,
                                          .metric = metric,
                                          .stratum = stratum,
                                          .at_ms = (T0 + s) * 1000,
                                          .n = n,
                                          .x = gsl_ran_binomial(g, rate_c, n),
                                          .m = m,
                                          .y = gsl_ran_binomial(g, 0.02, m)});
}

/* Latencies about 50 ms; the scale of one cohort falls for a while. */
static void latency_second(struct inbox *b, gsl_rng *g, const char *stratum, int64_t s,
                           double share, double factor)
{
    static struct hist h[2];
    unsigned n = gsl_ran_binomial(g, share, 300);
    for (int c = 0; c < 2; c++)
        cr_assert(eq(int, hist_init(&h[c], c == 1 && s % 90 > 80 ? 4 : 6), SERIN_OK));
    for (unsigned i = 0; i < 300; i++) {
        double v = i % 97 == 0 ? 0 : 50 * exp(gsl_ran_gaussian(g, 0.5));
        cr_assert(eq(int, hist_add(&h[i >= n], i < n ? v * factor : v, 1), SERIN_OK));
    }
    struct hist_view v[2] = {hist_view(&h[0]), hist_view(&h[1])};
    inbox_latency(b,
                  (struct inbox_second){.rollout = "a",
                                        .metric = "time",
                                        .stratum = stratum,
                                        .at_ms = (T0 + s) * 1000},
                  n != 0 ? &v[0] : NULL, &v[1]);
}

/* Users who come again and again, fail, and now and then change their cohort. */
static void users_second(struct inbox *b, gsl_rng *g, const char *stratum, int64_t s,
                         double share)
{
    enum { ALL = 400, ACTIVE = 40 };
    uint64_t keys[2][ACTIVE];
    size_t n[2] = {0, 0};
    for (int i = 0; i < ACTIVE; i++) {
        uint64_t user = 1 + gsl_rng_uniform_int(g, ALL), in = user;
        if (gsl_rng_uniform_int(g, 30) == 0) in++;
        int c = (double)(in % 100) >= 100 * share;
        keys[c][n[c]++] = user * UINT64_C(0x9e3779b97f4a7c15) << 2 |
                          (gsl_rng_uniform_int(g, 50) == 0);
    }
    for (int c = 0; c < 2; c++)
        n[c] = inbox_users_sort(keys[c], n[c]);
    inbox_users(b,
                (struct inbox_second){.rollout = "a",
                                      .metric = "people",
                                      .stratum = stratum,
                                      .at_ms = (T0 + s) * 1000},
                (struct inbox_users){keys[0], keys[1], n[0], n[1], 0});
}

/* What is neither a ratio nor a latency; pods come and go. */
static void others_second(struct inbox *b, gsl_rng *g, int64_t s, double share)
{
    static const char *const gauges[] = {"cpu", "full"};
    struct inbox_second at = {.rollout = "a", .at_ms = (T0 + s) * 1000};
    double c[3], m[6];
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < 6; i++) {
            double v = 0.5 + gsl_ran_gaussian(g, 0.1);
            m[i] = i == 5 && s % 20 < 3 ? (double)NAN : v;
            if (i < 3) c[i] = share > 0 ? v + gsl_ran_gaussian(g, 0.1) : (double)NAN;
        }
        at.metric = gauges[k];
        at.stratum = k == 1 && s % 2 == 0 ? "eu" : "";
        inbox_gauge(b, at, (struct inbox_pods){c, m, 3, 6});
    }
    at.metric = s % 3 == 0 ? "oom" : "crashes";
    at.stratum = s % 2 == 0 ? "eu" : "us";
    at.n = gsl_ran_poisson(g, 20 * share);
    at.m = gsl_ran_poisson(g, 20 * (1 - share));
    inbox_second(b, at);
    cohort_second(b, g, "a", "orders", "eu", s, share, 0.02);
    users_second(b, g, s % 2 == 0 ? "eu" : "us", s, share);
}

/* A second partition that lags, falls idle, and once loses records. */
static void other_source(struct inbox *b, int64_t s)
{
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_tick t = SERIN__V1__TICK__INIT;
    pb_source source = SERIN__V1__SOURCE__INIT, *items[] = {&source};
    source.topic = "metrics";
    source.partition = 1;
    source.known = s > 3;
    source.watermark_ms = (T0 + s) * 1000 - 3500;
    source.idle = s % 50 > 40;
    source.gaps = s >= 262;
    t.worker = "ingest-2";
    t.wall_ms = (T0 + s) * 1000;
    t.n_sources = 1;
    t.sources = items;
    in.body_case = SERIN__V1__INBOX__BODY_TICK;
    in.tick = &t;
    inbox_add(b, &in);
}

static void vote(struct inbox *b, const char *who)
{
    pb_command c = SERIN__V1__COMMAND__INIT;
    c.rollout = "a";
    c.verb = SERIN__V1__VERB__VERB_APPROVE;
    c.actor = (char *)who;
    c.gate = "g";
    inbox_command(b, &c);
}

/* Others' words; which weight will be asked about must not be known here. */
static void others_at(struct inbox *b, int s)
{
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_signal fact = SERIN__V1__SIGNAL__INIT;
    pb_check_result c = SERIN__V1__CHECK_RESULT__INIT;
    in.schema = SERIN_SCHEMA;
    fact.rollout = "a", fact.about = "z";
    fact.state = s == 1 ? "WATCHING" : "PROMOTED";
    in.body_case = SERIN__V1__INBOX__BODY_SIGNAL;
    in.signal = &fact;
    if (s == 1 || s == 3 || s == 4) inbox_add(b, &in);
    c.rollout = "a", c.check = "load";
    c.outcome = s % 20 == 2 ? "error" : "pass", c.message = "said";
    c.t_ms = (T0 + s) * 1000LL;
    in.body_case = SERIN__V1__INBOX__BODY_CHECK;
    in.check = &c;
    for (c.weight_seq = 1; s % 10 == 2 && c.weight_seq < 12; c.weight_seq++)
        inbox_add(b, &in);
}

static void commands_at(struct inbox *b, int s)
{
    switch (s) {
    case 0:
        inbox_apply(b, "a", plan_a);
        inbox_apply(b, "b", plan_b);
        break;
    case 3:
        inbox_ack_of(b, "us", "b", 1, 2000, "");
        inbox_ack_of(b, "eu", "b", 1, 1000, ""); /* a wrong weight first */
        break;
    case 5:
        inbox_ack_of(b, "eu", "b", 1, 2000, "");
        break;
    case 12:
        inbox_verb(b, "b", SERIN__V1__VERB__VERB_HOLD, "ann");
        break;
    case 20:
        inbox_verb(b, "b", SERIN__V1__VERB__VERB_RESUME, "ann");
        break;
    case 25: {
        pb_command c = SERIN__V1__COMMAND__INIT;
        c.rollout = "b";
        c.verb = SERIN__V1__VERB__VERB_EXTEND;
        c.actor = "ann";
        c.extend_ms = 90000;
        inbox_command(b, &c);
        break;
    }
    case 100:
        vote(b, "mallory");
        vote(b, "ann");
        break;
    case 240:
        vote(b, "bob");
        break;
    default:
        break;
    }
}

/* Shares do not follow the verdicts: the script must not depend on what comes out. */
static void script(struct inbox *b)
{
    gsl_rng *g = check_rng(7);
    inbox_tick(b, T0 * 1000LL, T0 * 1000LL - 2000);
    for (int s = 0; s < 400; s++) {
        double share = s < 120 ? 0 : s < 241 ? 0.1 : 0.5;
        commands_at(b, s);
        others_at(b, s);
        if (s % 10 < 8 || s > 90) { /* silences */
            cohort_second(b, g, "a", "errors", "eu", s, share, 0.02);
            cohort_second(b, g, "a", "errors", "us", s, share, 0.02);
            latency_second(b, g, "eu", s, share, s < 300 ? 1 : 1.3);
            latency_second(b, g, "us", s, share, 1);
            cohort_second(b, g, "a", "timeouts", "eu", s, share, s < 330 ? 0.02 : 0.2);
            others_second(b, g, s, share);
        }
        if (s < 60 || s > 75)
            cohort_second(b, g, "b", "errors", "", s, s < 40 ? 0.2 : 0.0, 0.02);
        if (s == 170) /* late and poison */
            cohort_second(b, g, "a", "errors", "eu", s - 30, share, 0.02);
        if (s % 2 == 0) other_source(b, s);
        inbox_tick(b, (T0 + s + 1) * 1000LL,
                   (T0 + s + 1) * 1000LL - 2000 - s % 3 * 400);
    }
    gsl_rng_free(g);
}

static void same_verdicts(const struct foldrun *whole, const struct foldrun *cut,
                          size_t k)
{
    cr_assert(eq(sz, cut->n_verdicts, whole->n_verdicts), "cut after record %zu", k);
    for (int pass = 0; pass < 2; pass++) { /* in the order of each rollout */
        const char *id = pass == 0 ? "a" : "b";
        size_t i = 0, j = 0;
        for (;; i++, j++) {
            while (i < whole->n_verdicts &&
                   strcmp(whole->verdicts[i]->rollout, id) != 0)
                i++;
            while (j < cut->n_verdicts && strcmp(cut->verdicts[j]->rollout, id) != 0)
                j++;
            if (i == whole->n_verdicts || j == cut->n_verdicts) break;
            cr_assert(eq(sz, cut->raw[j].n, whole->raw[i].n),
                      "cut after record %zu: %s", k, whole->verdicts[i]->id);
            cr_assert(memcmp(cut->raw[j].p, whole->raw[i].p, whole->raw[i].n) == 0,
                      "cut after record %zu: %s", k, whole->verdicts[i]->id);
        }
        cr_assert(i == whole->n_verdicts && j == cut->n_verdicts);
    }
}

static void run_prefix(struct foldrun *r, const struct inbox *b, size_t n)
{
    struct inbox prefix = *b;
    prefix.n = n;
    foldrun_apply(r, &prefix, 0);
}

Test(restore, same_bytes_wherever_the_process_dies, .timeout = 300)
{
    struct inbox b = {0};
    struct foldrun whole = {0};
    script(&b);
    foldrun_start(&whole);
    foldrun_apply(&whole, &b, 0);
    for (size_t i = 0; i < whole.n_verdicts && getenv("SHOW") != NULL; i++)
        fprintf(stderr, "%s %s %s -> %s %s\n", whole.verdicts[i]->id,
                whole.verdicts[i]->reason, whole.verdicts[i]->state_before,
                whole.verdicts[i]->state_after, whole.verdicts[i]->message);
    cr_assert(ge(sz, whole.n_verdicts, (size_t)12), "the script has to have verdicts");
    size_t step = getenv("SERIN_LONG") != NULL ? 1 : 29;
    for (size_t k = 1; k < b.n; k += step) {
        struct foldrun cut = {0};
        foldrun_start(&cut);
        run_prefix(&cut, &b, k);
        size_t from = foldrun_restart(&cut, &b);
        cr_assert(le(sz, from, k));
        foldrun_apply(&cut, &b, from);
        same_verdicts(&whole, &cut, k);
        foldrun_free(&cut);
    }
    foldrun_free(&whole);
    inbox_free(&b);
}

/* A clean stop writes everything, and goes on where it was. */
Test(restore, clean_stop_loses_no_time)
{
    struct inbox b = {0};
    struct foldrun whole = {0}, cut = {0};
    script(&b);
    foldrun_start(&whole);
    foldrun_start(&cut);
    foldrun_apply(&whole, &b, 0);
    size_t half = b.n / 2;
    run_prefix(&cut, &b, half);
    cr_assert(eq(int, fold_snapshot_all(cut.fold, &cut.fx), SERIN_OK));
    foldrun_keep(&cut);
    size_t from = foldrun_restart(&cut, &b);
    cr_assert(eq(sz, from, half));
    foldrun_apply(&cut, &b, from);
    same_verdicts(&whole, &cut, half);
    foldrun_free(&cut);
    foldrun_free(&whole);
    inbox_free(&b);
}

/* What was restored gives the same snapshot again: no field is forgotten. */
Test(restore, saving_what_was_restored_gives_the_same_bytes, .timeout = 300)
{
    struct inbox b = {0};
    script(&b);
    size_t step = getenv("SERIN_LONG") != NULL ? 1 : 43;
    for (size_t k = 1; k < b.n; k += step) {
        struct foldrun r = {0};
        struct foldrun_row before[FOLDRUN_KEYS];
        foldrun_start(&r);
        run_prefix(&r, &b, k);
        cr_assert(eq(int, fold_snapshot_all(r.fold, &r.fx), SERIN_OK));
        foldrun_keep(&r);
        size_t n = r.n_state;
        memcpy(before, r.state, sizeof before);
        foldrun_restart(&r, &b);
        cr_assert(eq(int, fold_snapshot_all(r.fold, &r.fx), SERIN_OK));
        foldrun_keep(&r);
        cr_assert(eq(sz, r.n_state, n));
        for (size_t i = 0; i < n; i++) {
            cr_assert(eq(sz, r.state[i].value.n, before[i].value.n),
                      "%s after record %zu", before[i].key, k);
            cr_assert(
                memcmp(r.state[i].value.p, before[i].value.p, before[i].value.n) == 0,
                "%s after record %zu", before[i].key, k);
        }
        foldrun_free(&r);
    }
    inbox_free(&b);
}

/* The chain of hashes holds, and each verdict's hash is of its own bytes. */
Test(restore, verdicts_are_chained)
{
    struct inbox b = {0};
    struct foldrun r = {0};
    script(&b);
    foldrun_start(&r);
    foldrun_apply(&r, &b, 0);
    const pb_verdict *last[2] = {NULL, NULL};
    for (size_t i = 0; i < r.n_verdicts; i++) {
        const pb_verdict *v = r.verdicts[i], **before = &last[v->rollout[0] - 'a'];
        cr_assert(eq(sz, v->hash.len, (size_t)32));
        if (*before == NULL)
            cr_assert(eq(sz, v->prev_hash.len, (size_t)0));
        else
            cr_assert(memcmp(v->prev_hash.data, (*before)->hash.data, 32) == 0);
        *before = v;
    }
    foldrun_free(&r);
    inbox_free(&b);
}
