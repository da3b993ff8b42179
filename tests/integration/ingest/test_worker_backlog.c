/* tests/integration/ingest/test_worker_backlog.c -- an hour that waited during an
 * outage is read within seconds, one partition long before another: the same verdicts
 * on the same windows as at the pace of the clock, and nothing is refused */
#include <math.h>

#include "engine/base/hash.h"
#include "ingest/worker.h"
#include "tests/integration/ingest/fake_bus.h"
#include "tests/support/foldrun.h"

enum { SECONDS = 3600, ROLLOUTS = 3, SLOW_AT = 1200, BAD_AT = 2400, VALUES = 12 };
#define T0 INT64_C(1700000000000)

static const char *const ids[ROLLOUTS] = {"good", "slow", "bad"};
static struct inbox plans[ROLLOUTS];

static void make_plan(int k)
{
    char text[700];
    snprintf(text, sizeof text,
             "id: %s\ncohorts: {canary: {service: %s, version: \"2\"}, baseline: "
             "{service: %s, version: \"1\"}}\n"
             "calibrate: skip\nwindow: 1s\n"
             "steps: [{weight: 50%%, worse_than: 2, bake: 50m, timeout: 2h}, "
             "{weight: 100%%}]\n"
             "metrics: [{name: errors, phi: 1}, {name: latency, kind: latency, phi: 1, "
             "from: {metric: duration, unit: s}}]\n",
             ids[k], ids[k], ids[k]);
    plans[k] = (struct inbox){0};
    inbox_tick(&plans[k], T0, T0 - 2000);
    inbox_apply(&plans[k], ids[k], text);
}

/* A second of one cohort: requests, and how long some of them took. */
static void put_second(gsl_rng *g, int k, int c, int64_t second, int at)
{
    char text[700];
    int64_t t = T0 + second * 1000 + (int64_t)gsl_rng_uniform_int(g, 1000);
    double p = k == 2 && c == 0 && second >= BAD_AT ? 0.2 : 0.01;
    double slower = k == 1 && c == 0 && second >= SLOW_AT ? 1.5 : 1;
    unsigned n = 20 + (unsigned)gsl_rng_uniform_int(g, 20);
    int head = snprintf(text, sizeof text,
                        "{\"t_ms\":%lld,\"attributes\":{\"service\":\"%s\","
                        "\"version\":\"%d\"},\"metric\":",
                        (long long)t, ids[k], 2 - c);
    int len = head + snprintf(text + head, sizeof text - (size_t)head,
                              "\"errors\",\"n\":%u,\"bad\":%u}", n,
                              gsl_ran_binomial(g, p, n));
    fake_append(&fake.input[at], "in", at, NULL, 0, text, (size_t)len);
    len = head +
          snprintf(text + head, sizeof text - (size_t)head, "\"duration\",\"values\":");
    for (int i = 0; i < VALUES; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "%c%.4f",
                        i == 0 ? '[' : ',', slower * gsl_ran_lognormal(g, -3, 0.6));
    len += snprintf(text + len, sizeof text - (size_t)len, "]}");
    fake_append(&fake.input[at], "in", at, NULL, 0, text, (size_t)len);
}

/* Every second is three times two cohorts' on as many partitions, others each time. */
static void make_input(void)
{
    gsl_rng *g = check_rng(41);
    for (int64_t second = 0; second < SECONDS; second++)
        for (int i = 0; i < 2 * ROLLOUTS; i++)
            put_second(g, i / 2, i % 2, second,
                       (int)((i + second % 3 * 2) % 6) % FAKE_PARTITIONS);
    gsl_rng_free(g);
}

static void stop(void *w)
{
    worker_stop(w);
}

static void read_all(size_t each, size_t memory, struct worker_counts *counts)
{
    struct bus *b;
    struct worker *w;
    struct fault f = {0};
    struct bus_options none = {0};
    struct worker_input in = {.topic = "in", .format = "json"};
    struct worker_options o = {
        .inputs = &in, .n_inputs = 1, .flush_ms = 1, .memory = memory};
    fake_reset(1);
    make_input();
    for (int k = 0; k < ROLLOUTS; k++) {
        struct foldrun run = {0};
        foldrun_start(&run);
        foldrun_apply(&run, &plans[k], 0);
        cr_assert(eq(sz, run.n_rows, 1));
        fake_append(&fake.routes, "t.rollouts", 0, NULL, 0, run.rows[0].value.p,
                    run.rows[0].value.n);
        foldrun_free(&run);
    }
    fake.each = each;
    fake.on_idle = stop;
    cr_assert(eq(int, bus_open(&b, &none, &f), SERIN_OK));
    cr_assert(eq(int, worker_open(&w, b, &o, &f), SERIN_OK), "%s", f.text);
    fake.ctx = w;
    cr_assert(eq(int, worker_run(w, &f), SERIN_OK), "%s", f.text);
    *counts = worker_counts(w);
    worker_close(w);
    cr_assert(eq(u64, counts->messages, (uint64_t)SECONDS * 4 * ROLLOUTS));
    cr_assert(eq(u64, counts->poison + counts->dropped, 0));
    cr_assert(le(u64, counts->memory, counts->memory_limit));
}

/* The clock on the wall goes with the watermarks in both runs. */
static void put_tick(struct inbox *b, pb_inbox *m, int64_t *wall_ms)
{
    for (size_t i = 0; i < m->tick->n_sources; i++) {
        int64_t at = m->tick->sources[i]->watermark_ms + 2000;
        if (m->tick->sources[i]->known && at > *wall_ms) *wall_ms = at;
    }
    m->tick->wall_ms = *wall_ms;
    inbox_add(b, m);
}

static void judge(int k, struct foldrun *run, struct inbox *b)
{
    struct arena a = {0};
    int64_t wall_ms = T0;
    int at = hash_partition(ids[k], strlen(ids[k]), FAKE_INBOX);
    make_plan(k);
    *b = plans[k];
    for (size_t i = 0; i < fake.out.n; i++) {
        const struct fake_record *r = &fake.out.items[i];
        pb_inbox *m;
        arena_reset(&a);
        if (r->partition != at) continue;
        cr_assert(eq(int, decode_inbox(&a, r->value, r->n, &m), SERIN_OK));
        if (m->body_case == SERIN__V1__INBOX__BODY_TICK)
            put_tick(b, m, &wall_ms);
        else if (strcmp(m->partial->rollout, ids[k]) == 0)
            inbox_add(b, m);
    }
    foldrun_start(run);
    foldrun_apply(run, b, 0);
    arena_free(&a);
}

struct told {
    Serin__V1__Kind kind;
    char reason[40];
    int64_t last_window_ms;
};

static size_t tell(size_t each, size_t memory, struct told out[ROLLOUTS][64],
                   size_t n[ROLLOUTS])
{
    struct worker_counts counts;
    for (int k = 0; k < ROLLOUTS; k++)
        make_plan(k);
    read_all(each, memory, &counts);
    for (int k = 0; k < ROLLOUTS; k++)
        inbox_free(&plans[k]);
    for (int k = 0; k < ROLLOUTS; k++) {
        struct foldrun run = {0};
        struct inbox b;
        judge(k, &run, &b);
        n[k] = run.n_verdicts;
        cr_assert(le(sz, n[k], (size_t)64));
        for (size_t i = 0; i < n[k]; i++) {
            const pb_verdict *v = run.verdicts[i];
            out[k][i] =
                (struct told){.kind = v->kind, .last_window_ms = v->last_window_ms};
            snprintf(out[k][i].reason, sizeof out[k][i].reason, "%s", v->reason);
            cr_assert(eq(u64, v->poison, 0), "%s: poison", v->id);
            cr_assert(eq(u64, v->late, 0), "%s: late", v->id);
            if (getenv("SHOW") != NULL)
                fprintf(stderr, "%s %d %s at %lld\n", v->id, (int)v->kind, v->reason,
                        (long long)(v->last_window_ms - T0) / 1000);
        }
        foldrun_free(&run);
        inbox_free(&b);
    }
    unsigned long pauses = fake.pauses;
    fake_reset(0);
    return pauses;
}

static struct told live[ROLLOUTS][64], later[ROLLOUTS][64];

static void same(const size_t n[ROLLOUTS], const size_t m[ROLLOUTS])
{
    for (int k = 0; k < ROLLOUTS; k++) {
        cr_assert(eq(sz, n[k], m[k]), "%s", ids[k]);
        for (size_t i = 0; i < n[k]; i++) {
            const struct told *x = &live[k][i], *y = &later[k][i];
            cr_assert(eq(int, (int)x->kind, (int)y->kind), "%s/%zu", ids[k], i + 1);
            cr_assert(eq(str, (char *)x->reason, (char *)y->reason), "%s/%zu", ids[k],
                      i + 1);
            /* Evidence decides at a window, a hold at the tick that closes some. */
            int64_t apart = x->last_window_ms - y->last_window_ms;
            bool held = x->kind == SERIN__V1__KIND__KIND_HOLD;
            cr_assert(le(i64, llabs(apart), held ? 6000 : 0), "%s/%zu", ids[k], i + 1);
        }
    }
}

Test(worker_backlog, an_hour_at_once_is_judged_as_an_hour)
{
    size_t n[ROLLOUTS], m[ROLLOUTS];
    tell(6, 0, live, n);
    cr_assert(eq(int, (int)live[0][0].kind, SERIN__V1__KIND__KIND_PROMOTE));
    cr_assert(eq(int, (int)live[1][n[1] - 1].kind, SERIN__V1__KIND__KIND_ABORT));
    cr_assert(eq(int, (int)live[2][n[2] - 1].kind, SERIN__V1__KIND__KIND_ABORT));
    cr_assert(eq(sz, tell(1 << 20, 0, later, m), 0));
    same(n, m);
    cr_assert(gt(sz, tell(1 << 20, 4 << 20, later, m), 0), "nothing had to wait");
    same(n, m);
}
