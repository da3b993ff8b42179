/* tests/unit/core/test_memory.c -- memory runs out at every allocation in turn:
 * reported, nothing leaks, nothing is promoted; and a rollout's size */
#include "engine/core/calibrate.h"
#include "engine/core/evidence.h"
#include "engine/core/pending.h"
#include "tests/support/play.h"

/* Runs the first records with the k-th allocation failing; true when it went through.
 */
static bool survives(const struct inbox *b, uint64_t k)
{
    struct fold_options o = {0};
    struct effects fx = {0};
    struct fold *f = NULL;
    bool failed = false;
    mem_fail_at(k);
    failed = fold_open(&f, &o) != SERIN_OK;
    for (size_t i = 0; i < b->n && !failed; i++) {
        enum serin_status rc = fold_apply(
            f, b->records[i].offset, b->records[i].value.p, b->records[i].value.n, &fx);
        cr_assert(rc == SERIN_OK || rc == SERIN_ENOMEM, "%d", (int)rc);
        failed = rc != SERIN_OK;
    }
    mem_fail_at(0);
    fold_close(f);
    effects_free(&fx);
    return !failed;
}

Test(memory, every_allocation_may_fail)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 30, play_traffic());
    play_verb(&p, SERIN__V1__VERB__VERB_HOLD);
    uint64_t k = 1;
    while (k < 100000 && !survives(&p.inbox, k))
        k++;
    cr_assert(gt(u64, k, 20), "the seam is not in use");
    cr_assert(lt(u64, k, 100000));
    play_end(&p);
}

Test(memory, every_allocation_of_the_other_kinds_may_fail)
{
    struct play p;
    double c[] = {0.4, 0.6}, b[] = {0.5, 0.5, 0.6};
    uint64_t k = 1;
    play_start(&p, PLAY_HEAD "window: 1s\ncalibrate: skip\n" PLAY_STEPS
                             "metrics:\n  - {name: errors, phi: 1}\n"
                             "  - {name: crashes, kind: events, phi: 1}\n"
                             "  - {name: cpu, kind: gauge, batch: 2s}\n");
    for (int s = 0; s < 12; s++) {
        struct inbox_second at = {.rollout = PLAY_ID, .at_ms = p.now * 1000};
        at.metric = "cpu";
        inbox_gauge(&p.inbox, at, (struct inbox_pods){c, b, s > 4 ? 2 : 0, 3});
        at.metric = "crashes";
        at.n = at.m = 1;
        inbox_second(&p.inbox, at);
        play_second(&p, play_traffic());
    }
    play_verb(&p, SERIN__V1__VERB__VERB_HOLD);
    while (k < 100000 && !survives(&p.inbox, k))
        k++;
    cr_assert(gt(u64, k, 20));
    cr_assert(lt(u64, k, 100000));
    play_end(&p);
}

Test(memory, every_allocation_of_a_latency_may_fail)
{
    struct play p;
    uint64_t counts[] = {5, 5}, k = 1;
    struct hist_view v = {.scale = 5, .offset = 100, .n = 2, .counts = counts};
    play_start(&p, PLAY_HEAD "window: 1s\ncalibrate: skip\n" PLAY_STEPS
                             "metrics: [{name: time, kind: latency, phi: 1}]\n");
    for (int s = 0; s < 12; s++) {
        struct play_traffic clock = play_traffic();
        inbox_latency(&p.inbox,
                      (struct inbox_second){
                          .rollout = PLAY_ID, .metric = "time", .at_ms = p.now * 1000},
                      s > 4 ? &v : NULL, &v);
        p.now++;
        play_clock(&p, &clock);
        play_feed(&p);
    }
    while (k < 100000 && !survives(&p.inbox, k))
        k++;
    cr_assert(gt(u64, k, 20), "the seam is not in use");
    cr_assert(lt(u64, k, 100000));
    play_end(&p);
}

Test(memory, restore_may_fail_too)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 12, play_traffic());
    cr_assert(eq(int, fold_snapshot_all(p.run.fold, &p.run.fx), SERIN_OK));
    foldrun_keep(&p.run);
    bool through = false;
    for (uint64_t k = 1; k < 10000 && !through; k++) {
        struct fold *f;
        struct fault why = {0};
        through = true;
        cr_assert(eq(int, fold_open(&f, &p.run.o), SERIN_OK));
        mem_fail_at(k);
        for (size_t i = 0; i < p.run.n_state && through; i++) {
            enum serin_status rc =
                fold_restore(f, p.run.state[i].key, p.run.state[i].value.p,
                             p.run.state[i].value.n, &why);
            through = rc == SERIN_OK;
            cr_assert(rc == SERIN_OK || rc == SERIN_ENOMEM, "k %u: %d %s", (unsigned)k,
                      (int)rc, why.text);
        }
        mem_fail_at(0);
        fold_close(f);
    }
    cr_assert(through);
    play_end(&p);
}

Test(memory, a_ratio_metric_stays_within_64_kib)
{
    size_t n = sizeof(struct evidence) + sizeof(struct grid) +
               sizeof(struct calibrate) +
               PENDING_CELLS_PER_METRIC * sizeof(struct pending_cell);
    cr_assert(le(sz, n, (size_t)64 << 10));
}
