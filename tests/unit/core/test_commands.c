/* tests/unit/core/test_commands.c -- what people tell a rollout, in every state it can
 * be in */
#include "engine/core/decide.h"
#include "tests/support/play.h"

#define V(name) SERIN__V1__VERB__VERB_##name

static pb_command command(Serin__V1__Verb verb)
{
    pb_command c = SERIN__V1__COMMAND__INIT;
    c.verb = verb;
    c.actor = "ann";
    return c;
}

static pb_outcome *weigh(struct play *p, uint32_t bp)
{
    pb_command c = command(V(SET_WEIGHT));
    c.weight_bp = bp;
    return play_command(p, c);
}

static void observing(struct play *p)
{
    play_start(p, PLAY_PLAN);
    play_for(p, 6, play_traffic());
    cr_assert(eq(str, (char *)play_state(p), "OBSERVING"));
}

Test(commands, hold_and_resume)
{
    struct play p;
    observing(&p);
    cr_assert(play_verb(&p, V(HOLD))->accepted);
    pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(str, v->actor, "ann"));
    cr_assert(strstr(v->message, "because") != NULL);
    play_for(&p, 60, play_traffic());
    cr_assert(eq(sz, p.run.n_verdicts, (size_t)2), "nothing moves while held");
    cr_assert(play_verb(&p, V(HOLD))->accepted); /* again: no second verdict */
    cr_assert(eq(sz, p.run.n_verdicts, (size_t)2));
    cr_assert(play_verb(&p, V(RESUME))->accepted);
    cr_assert(eq(int, p.run.verdicts[2]->kind, SERIN__V1__KIND__KIND_RESUME));
    cr_assert(eq(str, p.run.verdicts[2]->actor, "ann"));
    play_end(&p);
}

Test(commands, resume_needs_a_hold)
{
    struct play p;
    observing(&p);
    pb_outcome *o = play_verb(&p, V(RESUME));
    cr_assert(not(o->accepted));
    cr_assert(gt(sz, strlen(o->message), (size_t)0));
    play_end(&p);
}

Test(commands, abort_from_every_state)
{
    const char *const plans[] = {
        PLAY_PLAN, PLAY_HEAD "calibrate: 60s\n" PLAY_STEPS PLAY_METRIC,
        PLAY_HEAD "window: 1s\ncalibrate: skip\nschedule: {not_before: "
                  "2030-01-01T00:00Z}\n" PLAY_STEPS PLAY_METRIC};
    for (size_t i = 0; i < 3; i++)
        for (int seconds = 0; seconds < 43; seconds += 7) {
            struct play p;
            play_start(&p, plans[i]);
            play_for(&p, seconds, play_traffic());
            if (seconds == 14) play_verb(&p, V(HOLD));
            cr_assert(play_verb(&p, V(ABORT))->accepted);
            pb_verdict *v = foldrun_last(&p.run);
            cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_ABORT));
            cr_assert(eq(u32, v->to_bp, 0u));
            cr_assert(v->final);
            cr_assert(eq(str, (char *)play_state(&p), "ABORTED"));
            play_end(&p);
        }
}

/* A final rollout takes no command and no evidence. */
Test(commands, final_states_absorb)
{
    struct play p;
    observing(&p);
    play_verb(&p, V(ABORT));
    size_t n = p.run.n_verdicts;
    for (int verb = V(CANCEL); verb <= V(EXTEND); verb++) {
        pb_command c = command((Serin__V1__Verb)verb);
        c.weight_bp = 1000;
        c.extend_ms = 1000;
        cr_assert(not(play_command(&p, c)->accepted), "verb %d", verb);
    }
    play_for(&p, 30, play_traffic());
    cr_assert(eq(sz, p.run.n_verdicts, n));
    pb_command again = command(V(APPLY));
    again.plan = PLAY_PLAN;
    pb_outcome *o = play_command(&p, again);
    cr_assert(not(o->accepted));
    cr_assert(strstr(o->message, "choose a new id") != NULL);
    play_end(&p);
}

Test(commands, cancel_only_before_the_first_weight)
{
    struct play p;
    observing(&p);
    cr_assert(not(play_verb(&p, V(CANCEL))->accepted));
    play_end(&p);
    play_start(&p, PLAY_HEAD "calibrate: 60s\n" PLAY_STEPS PLAY_METRIC);
    cr_assert(eq(str, (char *)play_state(&p), "CALIBRATING"));
    cr_assert(play_verb(&p, V(CANCEL))->accepted);
    cr_assert(eq(str, (char *)play_state(&p), "CANCELLED"));
    cr_assert(eq(sz, p.run.n_verdicts, (size_t)0));
    play_end(&p);
}

Test(commands, apply_twice)
{
    struct play p;
    observing(&p);
    pb_command c = command(V(APPLY));
    c.plan = PLAY_PLAN;
    cr_assert(play_command(&p, c)->accepted);
    c.plan = PLAY_HEAD "window: 2s\ncalibrate: skip\n" PLAY_STEPS PLAY_METRIC;
    cr_assert(not(play_command(&p, c)->accepted));
    cr_assert(eq(sz, p.run.n_verdicts, (size_t)1));
    play_end(&p);
}

Test(commands, a_plan_that_does_not_parse_leaves_an_audit_entry)
{
    struct play p;
    pb_audit *e;
    play_start(&p, "id: web-2\nnonsense: true\n");
    cr_assert(eq(sz, p.run.n_rows, (size_t)0));
    cr_assert(eq(sz, p.run.n_audits, (size_t)1));
    cr_assert(eq(int,
                 decode_audit(&p.run.arena, p.run.audits[0].p, p.run.audits[0].n, &e),
                 SERIN_OK));
    cr_assert(strstr(e->reason, "refused") != NULL);
    play_end(&p);
}

Test(commands, same_id_counts_once)
{
    struct play p;
    observing(&p);
    pb_command c = command(V(HOLD));
    c.rollout = PLAY_ID;
    c.id = "twice";
    inbox_command(&p.inbox, &c);
    c.verb = V(ABORT);
    inbox_command(&p.inbox, &c);
    play_feed(&p);
    cr_assert(eq(str, (char *)play_state(&p), "HELD"));
    play_end(&p);
}

Test(commands, promote_moves_on_without_evidence_but_says_who)
{
    struct play p;
    observing(&p);
    cr_assert(play_verb(&p, V(PROMOTE))->accepted);
    pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_PROMOTE));
    cr_assert(eq(str, v->reason, "operator"));
    cr_assert(eq(u32, v->to_bp, 5000u));
    cr_assert(play_verb(&p, V(PROMOTE))->accepted);
    cr_assert(eq(str, (char *)play_state(&p), "WATCHING"));
    cr_assert(play_verb(&p, V(PROMOTE))->accepted);
    cr_assert(eq(str, (char *)play_state(&p), "PROMOTED"));
    cr_assert(foldrun_last(&p.run)->final);
    play_end(&p);
}

Test(commands, promote_is_refused_while_blind)
{
    struct play p;
    struct play_traffic dead = play_traffic();
    dead.canary = dead.baseline = 0;
    observing(&p);
    play_for(&p, 30, dead);
    pb_outcome *o = play_verb(&p, V(PROMOTE));
    cr_assert(not(o->accepted));
    cr_assert(strstr(o->message, "blind") != NULL);
    play_end(&p);
}

Test(commands, promote_does_not_start_a_rollout)
{
    struct play p;
    play_start(&p, PLAY_HEAD "calibrate: 60s\n" PLAY_STEPS PLAY_METRIC);
    cr_assert(not(play_verb(&p, V(PROMOTE))->accepted));
    play_end(&p);
}

Test(commands, weight_goes_down_any_time_and_up_to_known_steps_only)
{
    struct play p;
    observing(&p);
    cr_assert(play_verb(&p, V(PROMOTE))->accepted); /* 50 % */
    cr_assert(weigh(&p, 700)->accepted);
    pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_HOLD));
    cr_assert(eq(u32, v->from_bp, 5000u));
    cr_assert(eq(u32, v->to_bp, 700u));
    cr_assert(eq(u32, v->step, 1u));
    cr_assert(not(weigh(&p, 800)->accepted), "no step has that weight");
    cr_assert(not(weigh(&p, 10000)->accepted), "not the next step");
    cr_assert(weigh(&p, 1000)->accepted);
    cr_assert(eq(str, (char *)play_state(&p), "SETTLING"));
    cr_assert(weigh(&p, 5000)->accepted);
    cr_assert(weigh(&p, 0)->accepted);
    cr_assert(play_verb(&p, V(RESUME))->accepted);
    play_for(&p, 30, play_traffic());
    cr_assert(not(foldrun_last(&p.run)->final));
    play_end(&p);
}

Test(commands, lowering_while_watching_goes_back_to_judging)
{
    struct play p;
    observing(&p);
    play_verb(&p, V(PROMOTE));
    play_verb(&p, V(PROMOTE));
    cr_assert(eq(str, (char *)play_state(&p), "WATCHING"));
    cr_assert(weigh(&p, 1000)->accepted);
    cr_assert(play_verb(&p, V(RESUME))->accepted);
    cr_assert(eq(str, (char *)play_state(&p), "SETTLING"));
    play_for(&p, 4, play_traffic());
    cr_assert(eq(str, (char *)play_state(&p), "OBSERVING"));
    play_end(&p);
}

Test(commands, extend_moves_the_timeout)
{
    struct play p;
    struct play_traffic quiet = play_traffic();
    quiet.rate_c = quiet.rate_b = 0;
    observing(&p);
    pb_command c = command(V(EXTEND));
    cr_assert(not(play_command(&p, c)->accepted));
    c.extend_ms = 60000;
    cr_assert(play_command(&p, c)->accepted);
    play_for(&p, 320, quiet);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_HOLD, "timeout") == NULL);
    play_for(&p, 60, quiet);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_HOLD, "timeout") != NULL);
    cr_assert(play_command(&p, c)->accepted);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_RESUME, "timeout") != NULL);
    play_end(&p);
}

Test(commands, a_later_verb_is_refused_politely)
{
    struct play p;
    observing(&p);
    cr_assert(not(play_command(&p, command((Serin__V1__Verb)99))->accepted));
    play_end(&p);
}

Test(commands, unknown_rollout_is_audited)
{
    struct play p;
    observing(&p);
    size_t n = p.run.n_audits, rows = p.run.n_rows;
    inbox_verb(&p.inbox, "nobody", V(ABORT), "ann");
    play_feed(&p);
    cr_assert(eq(sz, p.run.n_audits, n + 1));
    cr_assert(eq(sz, p.run.n_rows, rows));
    play_end(&p);
}

/* ---- gates */
#define GATED_PLAN                                                                     \
    PLAY_HEAD                                                                          \
    "window: 1s\ncalibrate: skip\n"                                                    \
    "steps:\n"                                                                         \
    "  - {weight: 10%, worse_than: 3, bake: 10s, warmup: 2s}\n"                        \
    "  - {weight: 50%, worse_than: 2, bake: 10s, warmup: 2s, gate: sre}\n"             \
    "  - {weight: 100%, watch: 20s, warmup: 2s}\n"                                     \
    "gates: {sre: {approvers: [bob, eve], quorum: 2, expires: 60s}}\n" PLAY_METRIC

static pb_outcome *vote(struct play *p, Serin__V1__Verb verb, const char *who)
{
    pb_command c = command(verb);
    c.actor = (char *)who;
    c.gate = "sre";
    return play_command(p, c);
}

Test(commands, a_gate_opens_by_its_approvers_only)
{
    struct play p;
    play_start(&p, GATED_PLAN);
    play_for(&p, 50, play_traffic());
    play_show(&p);
    cr_assert(eq(str, (char *)play_state(&p), "GATED"));
    cr_assert(not(vote(&p, V(APPROVE), "ann")->accepted));
    cr_assert(not(play_verb(&p, V(PROMOTE))->accepted), "not around the gate");
    cr_assert(vote(&p, V(APPROVE), "bob")->accepted);
    cr_assert(vote(&p, V(APPROVE), "bob")->accepted); /* twice is once */
    cr_assert(eq(str, (char *)play_state(&p), "GATED"));
    cr_assert(vote(&p, V(DENY), "eve")->accepted);
    cr_assert(eq(str, foldrun_row(&p.run, PLAY_ID)->status->gates[0]->state, "denied"));
    cr_assert(vote(&p, V(APPROVE), "eve")->accepted);
    cr_assert(vote(&p, V(APPROVE), "bob")->accepted);
    cr_assert(ne(str, (char *)play_state(&p), "GATED"));
    cr_assert(eq(u32, foldrun_last(&p.run)->to_bp, 5000u));
    play_end(&p);
}

Test(commands, votes_keep_their_reasons_through_a_restart)
{
    struct play p;
    play_start(&p, GATED_PLAN);
    play_for(&p, 50, play_traffic());
    pb_command c = command(V(DENY));
    c.actor = (char *)"eve", c.gate = (char *)"sre",
    c.reason = (char *)"a \xc3\xa4nder";
    cr_assert(play_command(&p, c)->accepted);
    c = command(V(APPROVE));
    c.actor = (char *)"bob", c.gate = (char *)"sre", c.reason = (char *)"seen it";
    cr_assert(play_command(&p, c)->accepted);
    play_for(&p, 12, play_traffic());
    p.done = foldrun_restart(&p.run, &p.inbox);
    play_for(&p, 3, play_traffic());
    pb_gate_status *g = foldrun_row(&p.run, PLAY_ID)->status->gates[0];
    cr_assert(eq(str, g->state, "denied"), "one of two is no quorum");
    cr_assert(eq(sz, g->n_votes, (size_t)2));
    cr_assert(g->votes[0]->deny);
    cr_assert(eq(str, g->votes[0]->actor, "eve"));
    cr_assert(eq(str, g->votes[0]->reason, "a \xc3\xa4nder"));
    cr_assert(not(g->votes[1]->deny));
    cr_assert(eq(str, g->votes[1]->reason, "seen it"));
    cr_assert(gt(i64, g->votes[1]->t_ms, g->votes[0]->t_ms - 1));
    cr_assert(vote(&p, V(APPROVE), "eve")->accepted);
    cr_assert(ne(str, (char *)play_state(&p), "GATED"));
    play_end(&p);
}

Test(commands, four_eyes)
{
    struct play p;
    pb_command c = command(V(APPLY));
    play_start(&p, GATED_PLAN);
    c.rollout = (char *)"four", c.actor = (char *)"bob";
    c.plan = (char *)"id: four\ncohorts: {canary: {v: a}, baseline: {v: b}}\n"
                     "gates: {go: {approvers: [bob, eve], four_eyes: true, reason: "
                     "night shift}}\n"
                     "steps: [{weight: 10%, gate: go}, {weight: 100%}]\n"
                     "calibrate: skip\n" PLAY_METRIC;
    inbox_command(&p.inbox, &c);
    play_for(&p, 3, play_traffic());
    pb_rollout *row = foldrun_row(&p.run, "four");
    cr_assert(eq(str, row->status->state, "GATED"), "before the start");
    cr_assert(strstr(row->status->message, "night shift") != NULL);
    p.done = foldrun_restart(&p.run, &p.inbox);
    c = command(V(APPROVE));
    c.rollout = (char *)"four", c.gate = (char *)"go", c.actor = (char *)"bob";
    inbox_command(&p.inbox, &c);
    play_for(&p, 2, play_traffic());
    row = foldrun_row(&p.run, "four");
    cr_assert(eq(str, row->status->state, "GATED"));
    cr_assert(not(row->outcomes[row->n_outcomes - 1]->accepted));
    cr_assert(strstr(row->outcomes[row->n_outcomes - 1]->message, "four eyes") != NULL);
    c.actor = (char *)"eve";
    inbox_command(&p.inbox, &c);
    play_for(&p, 2, play_traffic());
    cr_assert(eq(u32, foldrun_row(&p.run, "four")->status->weight_bp, 1000u));
    play_end(&p);
}

Test(commands, a_gate_expires)
{
    struct play p;
    play_start(&p, GATED_PLAN);
    play_for(&p, 150, play_traffic());
    cr_assert(eq(str, (char *)play_state(&p), "GATED"));
    cr_assert(
        eq(str, foldrun_row(&p.run, PLAY_ID)->status->gates[0]->state, "expired"));
    play_end(&p);
}
