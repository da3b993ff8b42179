/* tests/unit/core/test_row.c -- rows and audit entries: what others read */
#include "engine/base/hash.h"
#include "tests/support/play.h"

Test(row, carries_plan_route_and_status)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 10, play_traffic());
    pb_rollout *row = foldrun_row(&p.run, PLAY_ID);
    const pb_status *s = row->status;
    cr_assert(eq(str, row->plan, PLAY_PLAN));
    cr_assert(row->route->live);
    cr_assert(eq(sz, row->route->n_metrics, (size_t)1));
    cr_assert(eq(u32, s->step, 1u));
    cr_assert(eq(u32, s->steps, 3u));
    cr_assert(eq(u32, s->weight_bp, 1000u));
    cr_assert(lt(dbl, fabs(s->observed_bp - 1000), 150.0));
    cr_assert(eq(sz, s->n_metrics, (size_t)1));
    cr_assert(gt(u64, s->metrics[0]->canary->n, 300));
    cr_assert(lt(dbl, s->metrics[0]->lower, s->metrics[0]->upper));
    cr_assert(eq(sz, row->n_outcomes, (size_t)1));
    cr_assert(row->outcomes[0]->accepted);
    play_end(&p);
}

Test(row, estimates_the_time_left)
{
    struct play p;
    play_start(&p, PLAY_HEAD
               "window: 1s\ncalibrate: skip\nsteps:\n"
               "  - {weight: 1%, worse_than: 2, bake: 10s, warmup: 2s, timeout: 9h}\n"
               "  - {weight: 100%, watch: 20s}\n" PLAY_METRIC);
    cr_assert(eq(i64, foldrun_row(&p.run, PLAY_ID)->status->eta_ms, -1));
    play_for(&p, 60, play_traffic());
    int64_t eta = foldrun_row(&p.run, PLAY_ID)->status->eta_ms;
    cr_assert(gt(i64, eta, 1000));
    cr_assert(lt(i64, eta, 3600000));
    play_end(&p);
}

/* What the fleet's level needs; it outlives both a restart and the end. */
Test(row, keeps_the_start_and_the_largest_evidence)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    cr_assert(eq(i64, foldrun_row(&p.run, PLAY_ID)->status->started_ms,
                 PLAY_T0 * INT64_C(1000)));
    play_for(&p, 6, play_traffic());
    double peak = foldrun_row(&p.run, PLAY_ID)->status->peak_log_e;
    play_for(&p, 5, play_traffic());
    const pb_status *s = foldrun_row(&p.run, PLAY_ID)->status;
    cr_assert(ge(dbl, s->peak_log_e, peak));
    cr_assert(ge(dbl, s->peak_log_e, s->abort_log_e));
    cr_assert(lt(dbl, s->abort_log_e, 0));
    p.done = foldrun_restart(&p.run, &p.inbox);
    struct play_traffic bad = play_traffic();
    bad.rate_c = 0.2;
    play_for(&p, 60, bad);
    s = foldrun_row(&p.run, PLAY_ID)->status;
    cr_assert(eq(str, s->state, (char *)"ABORTED"));
    cr_assert(gt(dbl, s->peak_log_e, -log(0.01)));
    cr_assert(eq(dbl, s->abort_log_e, 0));
    cr_assert(eq(i64, s->started_ms, PLAY_T0 * INT64_C(1000)));
    play_end(&p);
}

/* Rows every 2 s and snapshots every 10 s of many, and no tick has all of them. */
Test(row, many_take_turns)
{
    enum { MANY = 200, SECONDS = 20 };
    struct fold *f;
    struct fold_options o = {0};
    struct effects fx = {0};
    struct inbox b = {0};
    cr_assert(eq(int, fold_open(&f, &o), SERIN_OK));
    inbox_tick(&b, PLAY_T0 * 1000LL, PLAY_T0 * 1000LL - 2000);
    for (int i = 0; i < MANY; i++) {
        char id[16], plan[1024];
        snprintf(id, sizeof id, "r-%d", i);
        snprintf(plan, sizeof plan, "id: %s\n%s", id, strstr(PLAY_PLAN, "cohorts:"));
        inbox_apply(&b, id, plan);
    }
    for (int s = 1; s <= SECONDS; s++)
        inbox_tick(&b, (PLAY_T0 + s) * 1000LL, (PLAY_T0 + s) * 1000LL - 2000);
    size_t rows = 0, snapshots = 0;
    for (size_t i = 0; i < b.n; i++) {
        size_t now[2] = {0};
        effects_reset(&fx);
        int rc = fold_apply(f, b.records[i].offset, b.records[i].value.p,
                            b.records[i].value.n, &fx);
        cr_assert(eq(int, rc, SERIN_OK));
        if (i + SECONDS - 2 < b.n || fx.verdicts != 0) continue; /* all of them turn */
        for (size_t k = 0; k < fx.n; k++)
            now[fx.items[k].kind == EFFECT_SNAPSHOT] +=
                fx.items[k].kind == EFFECT_ROLLOUT ||
                fx.items[k].kind == EFFECT_SNAPSHOT;
        cr_expect(gt(sz, now[0], MANY / 2 - 40), "%zu rows", now[0]);
        cr_expect(lt(sz, now[0], MANY / 2 + 40), "%zu rows", now[0]);
        cr_expect(lt(sz, now[1], MANY / 4), "%zu snapshots", now[1]);
        rows += now[0], snapshots += now[1];
    }
    cr_expect(ge(sz, rows, (size_t)MANY * (SECONDS - 8) / 2));
    cr_expect(gt(sz, snapshots, 0));
    effects_free(&fx);
    inbox_free(&b);
    fold_close(f);
}

Test(row, keeps_sixteen_outcomes)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    for (int i = 0; i < 40; i++)
        play_verb(&p, SERIN__V1__VERB__VERB_RESUME);
    pb_rollout *row = foldrun_row(&p.run, PLAY_ID);
    cr_assert(eq(sz, row->n_outcomes, (size_t)16));
    cr_assert(eq(str, row->outcomes[15]->command_id, "c41"));
    play_end(&p);
}

/* prev_hash is the hash before, and hash is of the entry without it. */
Test(row, audit_entries_are_chained)
{
    struct play p;
    pb_audit *e, *before = NULL;
    size_t kinds[3] = {0};
    play_start(&p, PLAY_PLAN);
    play_for(&p, 30, play_traffic());
    play_verb(&p, SERIN__V1__VERB__VERB_HOLD);
    cr_assert(ge(sz, p.run.n_audits, (size_t)8));
    for (size_t i = 0; i < p.run.n_audits; i++) {
        uint8_t digest[HASH_DIGEST], hash[HASH_DIGEST];
        struct bytes bare;
        cr_assert(eq(
            int, decode_audit(&p.run.arena, p.run.audits[i].p, p.run.audits[i].n, &e),
            SERIN_OK));
        cr_assert(eq(u64, e->seq, i + 1));
        if (before == NULL)
            cr_assert(eq(sz, e->prev_hash.len, (size_t)0));
        else
            cr_assert(memcmp(e->prev_hash.data, before->hash.data, HASH_DIGEST) == 0);
        kinds[0] += strcmp(e->kind, "command") == 0;
        kinds[1] += strcmp(e->kind, "state") == 0;
        kinds[2] += strcmp(e->kind, "verdict") == 0;
        memcpy(hash, e->hash.data, HASH_DIGEST);
        e->hash.len = 0;
        cr_assert(eq(int, encode_audit(&p.run.arena, e, &bare), SERIN_OK));
        hash_digest(bare.p, bare.n, digest);
        cr_assert(memcmp(digest, hash, HASH_DIGEST) == 0);
        e->hash.len = HASH_DIGEST;
        before = e;
    }
    cr_assert(eq(sz, kinds[0], (size_t)2));
    cr_assert(gt(sz, kinds[1], kinds[2]));
    cr_assert(eq(sz, kinds[2], p.run.n_verdicts));
    play_end(&p);
}

Test(row, undecodable_records_change_nothing_but_a_counter)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 10, play_traffic());
    struct effects fx = {0};
    size_t n = p.run.n_verdicts;
    cr_assert(
        eq(int, fold_apply(p.run.fold, p.inbox.next++, "\xff\x01", 2, &fx), SERIN_OK));
    cr_assert(eq(int, fold_apply(p.run.fold, p.inbox.next++, "", 0, &fx), SERIN_OK));
    cr_assert(eq(sz, fx.n, (size_t)0));
    cr_assert(eq(u64, fold_counts(p.run.fold).undecodable, 2));
    cr_assert(eq(sz, p.run.n_verdicts, n));
    effects_free(&fx);
    play_end(&p);
}
