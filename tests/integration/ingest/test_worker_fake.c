/* tests/integration/ingest/test_worker_fake.c -- whatever fails, the sums are right */
#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "ingest/worker.h"
#include "proto/decode.h"
#include "tests/integration/ingest/fake_bus.h"
#include "tests/support/check.h"
#include "tests/support/ingest_world.h"

enum { MESSAGES = 8000, LATENESS = 2000 };

struct truth { /* of one rollout and cohort */
    uint64_t n, bad, samples, poison;
};

static struct truth truth[2][2];
static int64_t latest[FAKE_PARTITIONS][MESSAGES + 1]; /* event time after k records */
static uint64_t garbage, unrouted;

static void put_row(void *ctx, pb_rollout *row)
{
    struct arena a = {0};
    struct bytes b;
    (void)ctx;
    cr_assert(eq(int, encode_rollout(&a, row, &b), SERIN_OK));
    fake_append(&fake.routes, "t.rollouts", 0, NULL, 0, b.p, b.n);
    arena_free(&a);
}

static void remember(int p, int64_t t_ms)
{
    size_t k = fake.input[p].n; /* after the record has been appended */
    int64_t before = k > 1 ? latest[p][k - 1] : INT64_MIN;
    latest[p][k] = t_ms > before ? t_ms : before;
}

static void make_input(void)
{
    for (int i = 0; i < MESSAGES; i++) {
        char text[400];
        int p = (int)fake_random(FAKE_PARTITIONS), r = (int)fake_random(2);
        int c = (int)fake_random(2), what = (int)fake_random(20);
        uint64_t n = 1 + fake_random(90), bad = fake_random((unsigned)n + 1);
        int64_t t = WORLD_NOW + i * 10 - (int64_t)fake_random(700);
        if (what == 1) bad = n + 1;
        int len =
            snprintf(text, sizeof text,
                     "{\"t_ms\":%lld,\"rollout\":\"%s\",\"cohort\":\"%s\",\"stratum\":"
                     "\"s%d\",\"metric\":\"errors\",\"n\":%llu,\"bad\":%llu}",
                     (long long)t,
                     what == 2 ? "nobody"
                     : r == 0  ? "r1"
                               : "r2",
                     c == 0 ? "canary" : "baseline", (int)fake_random(3),
                     (unsigned long long)n, (unsigned long long)bad);
        if (what == 0) len = (int)fake_random((unsigned)len - 1); /* cut off */
        fake_append(&fake.input[p], "in", p, NULL, 0, text, (size_t)len);
        remember(p, what <= 1 ? INT64_MIN : t);
        struct truth *at = &truth[r][c];
        garbage += what == 0;
        unrouted += what == 2;
        truth[r][0].poison += what == 1; /* a partial carries it for both cohorts */
        truth[r][0].samples += what > 2;
        at->n += what > 2 ? n : 0;
        at->bad += what > 2 ? bad : 0;
    }
}

static void stop(void *w)
{
    worker_stop(w);
}

/* A watermark never runs ahead of what its transaction has committed, and says exactly
 * that; it never falls. But once a client has died the worker cannot know whether its
 * last commit went through: it goes on from the watermark before. */
static void check_tick(const pb_tick *t, int64_t transaction, int64_t *seen, bool died)
{
    for (size_t i = 0; i < t->n_sources; i++) {
        const pb_source *s = t->sources[i];
        if (!s->known) continue;
        int64_t at = fake.history[transaction][s->partition];
        int64_t exact = latest[s->partition][at] - LATENESS;
        cr_assert(le(i64, s->watermark_ms, exact), "ahead of what was committed");
        if (!died) {
            cr_assert(eq(i64, s->watermark_ms, exact));
            cr_assert(ge(i64, s->watermark_ms, seen[s->partition]), "a watermark fell");
        }
        seen[s->partition] = s->watermark_ms;
    }
}

static void add_partial(const pb_partial *p, struct truth sum[2][2])
{
    int r = strcmp(p->rollout, "r1") == 0 ? 0 : 1;
    sum[r][0].samples += p->samples;
    sum[r][0].poison += p->poison;
    for (size_t i = 0; i < p->n_cells; i++) {
        int c = p->cells[i]->cohort == SERIN__V1__COHORT__COHORT_CANARY ? 0 : 1;
        sum[r][c].n += p->cells[i]->n;
        sum[r][c].bad += p->cells[i]->bad;
    }
}

static void check_inbox(bool died)
{
    struct truth sum[2][2] = {{{0}}};
    int64_t seen[FAKE_PARTITIONS], ticked[FAKE_INBOX] = {0};
    for (int p = 0; p < FAKE_PARTITIONS; p++)
        seen[p] = INT64_MIN;
    struct arena a = {0};
    for (size_t i = 0; i < fake.out.n; i++) {
        const struct fake_record *r = &fake.out.items[i];
        pb_inbox *m;
        arena_reset(&a);
        if (strcmp(r->topic, "dead") == 0) continue;
        cr_assert(eq(int, decode_inbox(&a, r->value, r->n, &m), SERIN_OK));
        if (m->body_case == SERIN__V1__INBOX__BODY_PARTIAL) {
            cr_assert(lt(i64, ticked[r->partition], r->transaction),
                      "tick before partial");
            cr_assert(eq(int, r->partition,
                         hash_partition(m->partial->rollout, 2, FAKE_INBOX)));
            add_partial(m->partial, sum);
        } else {
            check_tick(m->tick, r->transaction, seen, died);
            ticked[r->partition] = r->transaction;
        }
    }
    arena_free(&a);
    for (int r = 0; r < 2; r++) {
        for (int c = 0; c < 2; c++) {
            cr_assert(eq(u64, sum[r][c].n, truth[r][c].n));
            cr_assert(eq(u64, sum[r][c].bad, truth[r][c].bad));
            cr_assert(eq(u64, sum[r][c].samples, truth[r][c].samples));
            cr_assert(eq(u64, sum[r][c].poison, truth[r][c].poison));
        }
    }
    for (int p = 0; p < FAKE_INBOX; p++)
        cr_assert(eq(i64, ticked[p], fake.transactions), "a tick for every partition");
}

/* A commit with unknown outcome that went through is not counted by the worker. */
static void check_counts(struct worker *w, bool exact)
{
    struct worker_counts c = worker_counts(w);
    struct worker_quarantined q[8];
    size_t n = worker_quarantine(w, q, 8), dead = 0;
    for (size_t i = 0; i < fake.out.n; i++)
        dead += strcmp(fake.out.items[i].topic, "dead") == 0;
    cr_assert(eq(u64, dead, garbage), "dead letters, each once");
    cr_assert(eq(u64, c.samples, c.routed + c.unrouted + c.poison + c.dropped));
    cr_assert(eq(sz, n, 8));
    if (!exact) return;
    cr_assert(eq(u64, c.messages, MESSAGES));
    cr_assert(eq(u64, c.quarantined, garbage));
    cr_assert(eq(u64, c.unrouted, unrouted));
    cr_assert(eq(u64, c.poison, truth[0][0].poison + truth[1][0].poison));
    cr_assert(eq(u64, c.rollouts, 2));
    struct worker_reason reasons[32];
    uint64_t sum = 0;
    for (size_t k = worker_reasons(w, reasons, 32); k > 0; k--)
        sum += reasons[k - 1].n;
    cr_assert(eq(u64, sum, garbage));
}

static void run(unsigned long seed, unsigned aborts, unsigned fatals,
                unsigned rebalances, unsigned lost)
{
    struct bus *b;
    struct worker *w;
    struct fault f = {0};
    struct worker_input in = {.topic = "in", .format = "json", .dead_letter = "dead"};
    struct worker_options o = {.inputs = &in, .n_inputs = 1, .flush_ms = 1};
    struct bus_options none = {0};
    fake_reset(seed);
    memset(truth, 0, sizeof truth);
    garbage = unrouted = 0;
    world_row("r1", "shop", true, put_row, NULL);
    world_row("r2", "cart", true, put_row, NULL);
    make_input();
    cr_assert(eq(int, bus_open(&b, &none, &f), SERIN_OK));
    cr_assert(eq(int, worker_open(&w, b, &o, &f), SERIN_OK), "%s", f.text);
    fake.percent_abort = aborts;
    fake.percent_fatal = fatals;
    fake.percent_rebalance = rebalances;
    fake.percent_lost = lost;
    fake.on_idle = stop;
    fake.ctx = w;
    cr_assert(eq(int, worker_run(w, &f), SERIN_OK), "%s", f.text);
    check_inbox(fatals != 0);
    fprintf(stderr,
            "%lld transactions, %lu aborts, %lu fatals, %lu revokes, %lu lost\n",
            (long long)fake.transactions, fake.aborts, fake.fatals, fake.rebalances,
            fake.losses);
    check_counts(w, fatals == 0);
    cr_assert(aborts == 0 || fake.aborts > 5, "%lu aborts test nothing", fake.aborts);
    cr_assert(fatals == 0 || fake.fatals > 2, "%lu fatals test nothing", fake.fatals);
    cr_assert(rebalances == 0 || fake.rebalances > 20);
    worker_close(w);
    fake_reset(0);
}

Test(worker, sums_without_faults)
{
    run(1, 0, 0, 0, 0);
}

Test(worker, sums_with_aborted_transactions)
{
    run(2, 15, 0, 0, 0);
}

Test(worker, sums_with_rebalances)
{
    run(3, 0, 0, 5, 0);
    run(4, 10, 0, 5, 30);
}

Test(worker, sums_with_dead_clients)
{
    run(5, 10, 8, 3, 20);
    run(6, 0, 8, 0, 0);
}

/* ---- counters that only rise */

enum { PODS = 12, SCRAPES = 300 };

/* Each pod writes to a partition of its own; some restart. What they rise by after
 * their first values. */
static uint64_t make_counters(void)
{
    uint64_t value[PODS], sum = 0;
    int64_t t0 = clock_wall_ms() - 30000;
    for (int i = 0; i < SCRAPES; i++) {
        for (int k = 0; k < PODS; k++) {
            char text[200];
            uint64_t rise = 1 + fake_random(50);
            bool restart = i != 0 && fake_random(100) == 0 && rise < value[k];
            value[k] = i == 0 ? 1000 : restart ? rise : value[k] + rise;
            if (i != 0) sum += rise;
            int len =
                snprintf(text, sizeof text,
                         "errors,service=shop,version=%s,pod=%d n=%llui,bad=0i "
                         "%lld000000",
                         k % 2 == 0 ? "new" : "old", k, (unsigned long long)value[k],
                         (long long)t0 + i * 90 + k);
            fake_append(&fake.input[k % FAKE_PARTITIONS], "in", k % FAKE_PARTITIONS,
                        NULL, 0, text, (size_t)len);
        }
    }
    return sum;
}

static unsigned long count_rises(unsigned aborts, unsigned fatals, unsigned rebalances)
{
    struct bus *b;
    struct worker *w;
    struct fault f = {0};
    struct worker_input in = {.topic = "in", .format = "influx", .cumulative = true};
    struct worker_options o = {.inputs = &in, .n_inputs = 1, .flush_ms = 1};
    uint64_t sum[2] = {0, make_counters()};
    cr_assert(eq(int, bus_open(&b, &(struct bus_options){0}, &f), SERIN_OK));
    cr_assert(eq(int, worker_open(&w, b, &o, &f), SERIN_OK), "%s", f.text);
    fake.percent_abort = aborts;
    fake.percent_fatal = fatals;
    fake.percent_rebalance = rebalances;
    fake.percent_lost = 20;
    fake.each = 20;
    fake.on_idle = stop;
    fake.ctx = w;
    cr_assert(eq(int, worker_run(w, &f), SERIN_OK), "%s", f.text);
    struct arena a = {0};
    for (size_t i = 0; i < fake.out.n; i++) {
        pb_inbox *m;
        arena_reset(&a);
        cr_assert(eq(int,
                     decode_inbox(&a, fake.out.items[i].value, fake.out.items[i].n, &m),
                     SERIN_OK));
        if (m->body_case != SERIN__V1__INBOX__BODY_PARTIAL) continue;
        for (size_t k = 0; k < m->partial->n_cells; k++)
            sum[0] += m->partial->cells[k]->n;
    }
    arena_free(&a);
    cr_assert(eq(u64, sum[0], sum[1]));
    if (fatals == 0) cr_assert(eq(u64, worker_counts(w).begun, PODS));
    cr_assert(eq(u64, worker_counts(w).duplicate, 0));
    unsigned long hurt = fake.fatals + fake.rebalances + fake.losses;
    worker_close(w);
    fake_reset(0);
    return hurt;
}

/* Killed, fenced, moved: the values before are read again, and no rise is lost. */
Test(worker, rises_of_counters_whatever_fails)
{
    unsigned long hurt = 0;
    for (unsigned long seed = 11; seed < 31; seed++) {
        fake_reset(seed);
        world_row("r1", "shop", true, put_row, NULL);
        hurt += count_rises(seed % 2 != 0 ? 10 : 0, seed % 3 == 0 ? 8 : 0, 1);
    }
    cr_assert(gt(u64, hurt, 50), "%lu faults test little", hurt);
}

enum { SERIES = 50, BEFORE = 990, AFTER = 10 };

/* One partition's records, all of its series in each. */
static void make_many(int p)
{
    static char text[SERIES * 90];
    int64_t t0 = clock_wall_ms() - 30000;
    for (int i = 0; i < BEFORE + AFTER; i++) {
        int len = 0;
        for (int k = 0; k < SERIES; k++)
            len += snprintf(text + len, sizeof text - (size_t)len,
                            "errors,service=shop,version=new,pod=%d_%d n=%di,bad=0i "
                            "%lld000000\n",
                            p, k, 1000 + i, (long long)t0 + i * 20);
        fake_append(&fake.input[p], "in", p, NULL, 0, text, (size_t)len);
    }
}

/* All of it is read again, in the memory that was given, whatever was known of the ends
 * of the partitions. */
Test(worker, values_read_again_take_no_memory_each)
{
    struct bus *b;
    struct worker *w;
    struct fault f = {0};
    struct worker_input in = {.topic = "in", .format = "influx", .cumulative = true};
    struct worker_options o = {
        .inputs = &in, .n_inputs = 1, .flush_ms = 1, .memory = 8 << 20};
    fake_reset(9);
    world_row("r1", "shop", true, put_row, NULL);
    for (int p = 0; p < FAKE_PARTITIONS; p++) {
        make_many(p);
        fake.committed[p] = BEFORE;
    }
    fake.each = 100;
    fake.old_end = true;
    fake.on_idle = stop;
    cr_assert(eq(int, bus_open(&b, &(struct bus_options){0}, &f), SERIN_OK));
    cr_assert(eq(int, worker_open(&w, b, &o, &f), SERIN_OK), "%s", f.text);
    fake.ctx = w;
    cr_assert(eq(int, worker_run(w, &f), SERIN_OK), "%s", f.text);
    struct worker_counts c = worker_counts(w);
    cr_assert(eq(u64, c.begun, 0), "not read again");
    cr_assert(eq(u64, c.routed, FAKE_PARTITIONS * SERIES * AFTER));
    cr_assert(le(u64, c.memory, c.memory_limit));
    worker_close(w);
    fake_reset(0);
}

static void read_gaps(int64_t low, int64_t committed, uint64_t messages)
{
    struct bus *b;
    struct worker *w;
    struct fault f = {0};
    struct worker_input in = {.topic = "in", .format = "auto"};
    struct worker_options o = {.inputs = &in, .n_inputs = 1, .flush_ms = 1};
    fake_reset(7);
    memset(truth, 0, sizeof truth);
    make_input();
    cr_assert(eq(int, bus_open(&b, &(struct bus_options){0}, &f), SERIN_OK));
    cr_assert(eq(int, worker_open(&w, b, &o, &f), SERIN_OK), "%s", f.text);
    fake.low[1] = low;
    fake.committed[1] = committed;
    fake.on_idle = stop;
    fake.ctx = w;
    cr_assert(eq(int, worker_run(w, &f), SERIN_OK), "%s", f.text);
    struct worker_counts c = worker_counts(w);
    cr_assert(eq(u64, c.gaps, 1));
    cr_assert(eq(u64, c.messages, messages));
    cr_assert(eq(u64, c.routed, 0), "no routes");
    worker_close(w);
    fake_reset(0);
}

Test(worker, deleted_records_are_gaps)
{
    read_gaps(50, 20, MESSAGES - 50);
}

/* It was deleted and made again: what is in it now is read from its beginning. */
Test(worker, a_topic_made_anew_is_a_gap)
{
    read_gaps(0, MESSAGES, MESSAGES);
}

static int idles;

/* First nothing is routed; then a row comes, and the same input once more; then the row
 * of a rollout that has ended. */
static void three_acts(void *w)
{
    if (idles == 3) worker_stop(w);
    if (idles == 0) world_row("r1", "shop", true, put_row, NULL);
    if (idles == 1) world_row("r1", "shop", false, put_row, NULL);
    for (int p = 0; idles < 2 && p < FAKE_PARTITIONS; p++) {
        const char *text =
            "{\"t_ms\":1700000000000,\"rollout\":\"r1\",\"cohort\":\"canary\","
            "\"metric\":\"errors\",\"n\":10,\"bad\":3}";
        fake_append(&fake.input[p], "in", p, NULL, 0, text, strlen(text));
    }
    idles++;
}

Test(worker, routes_come_and_go_while_it_runs)
{
    struct bus *b;
    struct worker *w;
    struct fault f = {0};
    struct worker_input in = {.topic = "in", .format = "auto"};
    struct worker_options o = {.inputs = &in, .n_inputs = 1, .flush_ms = 1};
    fake_reset(8);
    memset(truth, 0, sizeof truth);
    cr_assert(eq(int, bus_open(&b, &(struct bus_options){0}, &f), SERIN_OK));
    cr_assert(eq(int, worker_open(&w, b, &o, &f), SERIN_OK), "%s", f.text);
    fake.on_idle = three_acts;
    fake.ctx = w;
    for (int p = 0; p < FAKE_PARTITIONS; p++)
        fake.committed[p] = 0;
    cr_assert(eq(int, worker_run(w, &f), SERIN_OK), "%s", f.text);
    struct worker_counts c = worker_counts(w);
    cr_assert(eq(u64, c.samples, 2 * FAKE_PARTITIONS));
    cr_assert(eq(u64, c.routed, FAKE_PARTITIONS), "after the row, before its end");
    cr_assert(eq(u64, c.rollouts, 0));
    worker_close(w);
    fake_reset(0);
}

Test(worker, settings_that_cannot_be_are_refused)
{
    struct bus *b;
    struct worker *w = NULL;
    struct fault f = {0};
    struct worker_input in[] = {{.topic = "a", .format = "xml"}, {.topic = "b"}};
    struct worker_options o = {.inputs = in, .n_inputs = 1};
    cr_assert(eq(int, bus_open(&b, &(struct bus_options){0}, &f), SERIN_OK));
    cr_assert(eq(int, worker_open(&w, b, &o, &f), SERIN_EDOM));
    cr_assert(strstr(f.text, "xml") != NULL);
    in[0].format = NULL;
    in[1].start = WORKER_FROM_LATEST;
    o.n_inputs = 2;
    cr_assert(eq(int, worker_open(&w, b, &o, &f), SERIN_EDOM));
    o.n_inputs = 0;
    cr_assert(eq(int, worker_open(&w, b, &o, &f), SERIN_EDOM));
    cr_assert(w == NULL);
}
