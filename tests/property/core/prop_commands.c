/* tests/property/core/prop_commands.c -- whatever people and data do in whatever order:
 * the weight rises only by a PROMOTE, abort wins, final states absorb, and nothing is
 * promoted by itself without evidence, nor past a check, a gate, another rollout or an
 * actuator that has not confirmed. 20 000 steps, 1 000 000 with SERIN_LONG=1. */
#include "tests/support/play.h"

#define PLAN                                                                           \
    PLAY_HEAD                                                                          \
    "window: 1s\ncalibrate: skip\nrequire_ack: true\nack_timeout: 5s\n"                \
    "steps:\n"                                                                         \
    "  - {weight: 10%, worse_than: 3, bake: 6s, warmup: 1s, timeout: 2m}\n"            \
    "  - {weight: 50%, worse_than: 2, bake: 6s, warmup: 1s, gate: sre}\n"              \
    "  - {weight: 100%, watch: 10s, warmup: 1s}\n"                                     \
    "gates: {sre: {approvers: [bob, eve], quorum: 1, expires: 30s}}\n" PLAY_METRIC

#define BLUE_GREEN                                                                     \
    PLAY_HEAD                                                                          \
    "window: 1s\ncalibrate: skip\nstrategy: blue_green\nafter_abort: 20s\n"            \
    "steps:\n"                                                                         \
    "  - {kind: mirror, share: 30%, worse_than: 3, bake: 6s, warmup: 1s}\n"            \
    "  - {kind: preview, worse_than: 3, bake: 6s, warmup: 1s}\n"                       \
    "  - {kind: pause, for: 10s}\n"                                                    \
    "  - {weight: 100%, watch: 10s, warmup: 1s, gate: sre}\n"                          \
    "gates: {sre: {approvers: [bob, eve], quorum: 1, expires: 30s}}\n" PLAY_METRIC

#define FLAG                                                                           \
    PLAY_HEAD                                                                          \
    "window: 1s\ncalibrate: skip\nstrategy: flag\nflag: f\nstrata: [segment]\n"        \
    "steps:\n"                                                                         \
    "  - {audience: [a], bake: 6s, warmup: 1s}\n"                                      \
    "  - {weight: 10%, worse_than: 3, bake: 6s, warmup: 1s}\n"                         \
    "  - {audience: [a, b], worse_than: 3, bake: 6s, warmup: 1s}\n"                    \
    "  - {kind: analysis_only, worse_than: 3, bake: 6s, warmup: 1s}\n"                 \
    "  - {kind: pause, gate: sre}\n"                                                   \
    "  - {weight: 50%, worse_than: 2, bake: 6s, warmup: 1s, gate: sre}\n"              \
    "  - {weight: 100%, watch: 10s, warmup: 1s}\n"                                     \
    "gates: {sre: {approvers: [bob, eve], quorum: 1, expires: 30s}}\n" PLAY_METRIC

#define WAITING                                                                        \
    PLAY_HEAD                                                                          \
    "window: 1s\ncalibrate: skip\nservice: web\nafter: [db-1]\n"                       \
    "actuate: {targets: [eu, us]}\nack_timeout: 5s\n"                                  \
    "steps:\n"                                                                         \
    "  - {weight: 10%, worse_than: 3, bake: 6s, warmup: 1s, timeout: 2m}\n"            \
    "  - {kind: pause, for: 10s}\n"                                                    \
    "  - {weight: 50%, worse_than: 2, bake: 6s, warmup: 1s, gate: sre}\n"              \
    "  - {weight: 100%, watch: 10s, warmup: 1s}\n"                                     \
    "gates: {sre: {approvers: [bob, eve], quorum: 1, expires: 30s}}\n"                 \
    "checks: {load: {kind: exec, target: x, timeout: 1s, every: 5s, valid: 20s}}\n"    \
    "criteria: {all_of: [errors, load]}\n" PLAY_METRIC

enum { WEIGHTS, SWITCH, SEGMENTS, OTHERS, N_PLANS };
static const char *const plans[N_PLANS] = {PLAN, BLUE_GREEN, FLAG, WAITING};

struct seen { /* of the stream of verdicts */
    int plan;
    uint32_t weight, step;
    uint64_t seq, weight_seq;
    size_t audience;
    bool final, approved, cancelled;
    bool passed;        /* the latest answer of the check, about this weight */
    int64_t answer_ms;  /* when it was given */
    bool done, queued;  /* db-1 is promoted; web-1 came first, and is live */
    bool other_over[2]; /* db-1, web-1 */
    bool confirmed[2];  /* by eu, us: the present weight */
};

/* What compares nothing has to be a pause, or segments alone. */
static bool without_comparison(const pb_verdict *v)
{
    return strcmp(v->reason, "pause_over") == 0 ||
           strcmp(v->reason, "segments_well") == 0;
}

static bool by_evidence(const pb_verdict *v)
{
    return without_comparison(v) || strcmp(v->reason, "non_inferior") == 0 ||
           strcmp(v->reason, "watched") == 0 ||
           strcmp(v->reason, "old_side_may_go") == 0 || strcmp(v->reason, "start") == 0;
}

/* Where it depends on others, it goes on by itself only as they say. */
static void check_others(const struct seen *s, const pb_verdict *v, bool first,
                         bool watched)
{
    if (first) cr_assert(s->done, "it began before db-1: %s", v->message);
    if (!by_evidence(v)) return;
    cr_assert(not(s->queued), "%s passed one that came first: %s", v->id, v->message);
    if (first) return;
    cr_assert(s->confirmed[0] && s->confirmed[1], "%s before it was in force", v->id);
    if (watched) return;
    cr_assert(s->passed, "%s passed the check: %s", v->id, v->message);
    cr_assert(le(i64, v->t_ms - s->answer_ms, (int64_t)20000), "%s: expired", v->id);
}

static void check_promote(const struct seen *s, const pb_verdict *v)
{
    bool first = strcmp(v->reason, "start") == 0,
         watched = strcmp(v->state_before, "WATCHING") == 0;
    cr_assert(by_evidence(v) || strcmp(v->reason, "operator") == 0, "%s", v->reason);
    if (by_evidence(v)) cr_assert(eq(str, v->actor, ""));
    bool gated = s->plan != SWITCH ? v->to_bp == 5000 : v->to_bp == 10000;
    if (gated && s->weight < v->to_bp)
        cr_assert(s->approved, "%s passed the gate: %s", v->id, v->message);
    if (s->plan == OTHERS) check_others(s, v, first, watched);
    if (without_comparison(v)) cr_assert(s->plan != WEIGHTS);
    if (first || watched || !by_evidence(v) || without_comparison(v)) return;
    const pb_metric_verdict *m = v->metrics[0];
    cr_assert(ge(dbl, m->promote_log_e, m->promote_threshold), "%s", v->id);
    cr_assert(ge(dbl, m->restart_log_e, m->promote_threshold), "%s", v->id);
    cr_assert(gt(u64, m->canary->n, 0));
    cr_assert(gt(u64, m->baseline->n, 0));
    cr_assert(eq(str, v->state_before, "OBSERVING"));
}

static void check(struct seen *s, const pb_verdict *v)
{
    cr_assert(s->cancelled + s->final == 0, "%s after the end", v->id);
    cr_assert(eq(u64, v->seq, s->seq + 1));
    cr_assert(eq(u32, v->from_bp, s->weight), "%s", v->id);
    if (v->to_bp > v->from_bp)
        cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_PROMOTE));
    if (v->kind == SERIN__V1__KIND__KIND_PROMOTE) check_promote(s, v);
    if (v->kind == SERIN__V1__KIND__KIND_ABORT) {
        cr_assert(eq(u32, v->to_bp, 0u));
        cr_assert(v->final);
    }
    if (v->kind == SERIN__V1__KIND__KIND_RESUME)
        cr_assert(eq(u32, v->to_bp, v->from_bp));
    if (s->plan == SWITCH)
        cr_assert(v->to_bp == 0 || v->to_bp == 10000, "all or nothing: %s", v->id);
    if (v->kind == SERIN__V1__KIND__KIND_ABORT)
        cr_assert(eq(sz, v->n_audience, (size_t)0), "the kill switch");
    else if (v->kind == SERIN__V1__KIND__KIND_PROMOTE)
        cr_assert(ge(sz, v->n_audience, s->audience), "nobody loses it: %s", v->id);
    if (v->to_bp != v->from_bp || v->step != s->step) {
        s->passed = s->confirmed[0] = s->confirmed[1] = false;
        s->answer_ms = 0;
        s->weight_seq = v->seq;
    }
    s->step = v->step;
    s->audience = v->n_audience;
    s->weight = v->to_bp;
    s->seq = v->seq;
    s->final = v->final;
}

static void command(struct play *p, gsl_rng *g, struct seen *s)
{
    static const char *const actors[] = {"ann", "bob", "eve", ""};
    static const uint32_t weights[] = {0, 500, 1000, 5000, 10000, 20000};
    pb_command c = SERIN__V1__COMMAND__INIT;
    c.rollout = PLAY_ID;
    c.verb = (Serin__V1__Verb)gsl_rng_uniform_int(g, SERIN__V1__VERB__VERB_EXTEND + 2);
    if (c.verb == SERIN__V1__VERB__VERB_ABORT && gsl_rng_uniform_int(g, 20) != 0)
        return;
    c.actor = (char *)actors[gsl_rng_uniform_int(g, 4)];
    c.gate = "sre";
    c.weight_bp = weights[gsl_rng_uniform_int(g, 6)];
    c.extend_ms = (int64_t)gsl_rng_uniform_int(g, 60000);
    c.plan = (char *)plans[s->plan];
    bool listed = c.actor[0] == 'b' || c.actor[0] == 'e';
    inbox_command(&p->inbox, &c);
    if (c.verb == SERIN__V1__VERB__VERB_APPROVE && listed) s->approved = true;
    play_feed(p);
    if (c.verb == SERIN__V1__VERB__VERB_DENY && listed) s->approved = false;
    if (c.verb == SERIN__V1__VERB__VERB_CANCEL &&
        strcmp(play_state(p), "CANCELLED") == 0)
        s->cancelled = true; /* no verdict says so, and none may follow */
    if (c.verb == SERIN__V1__VERB__VERB_ABORT && !s->cancelled)
        cr_assert(foldrun_last(&p->run)->final, "abort wins");
}

static void weather(struct play *p, gsl_rng *g, struct seen *s)
{
    struct play_traffic t = play_traffic();
    unsigned kind = (unsigned)gsl_rng_uniform_int(g, 12);
    t.rate_c = t.rate_b = 0.02;
    t.canary = kind == 1 ? 0 : 1;
    t.baseline = kind == 2 ? 0 : 1;
    if (kind == 3) t.canary = t.baseline = 0;
    t.silent_clock = kind == 4;
    t.poison = kind == 5 ? 50 : 0;
    t.weight = kind == 6 ? 0.2 : s->weight / 10000.0;
    if (s->plan != WEIGHTS && s->weight == 0 && kind != 6) t.weight = 0.23;
    t.rate_c = kind == 7 ? 0.05 : 0.02;
    for (int i = (int)gsl_rng_uniform_int(g, kind == 0 ? 25 : 8); i >= 0; i--) {
        if (gsl_rng_uniform_int(g, 3) == 0)
            inbox_ack(&p->inbox, PLAY_ID, s->seq, kind == 8 ? 300 : s->weight, "");
        play_second(p, t);
    }
}

/* An actuator speaks: of the weight or of another one, or of trouble. */
static void hear_ack(struct play *p, gsl_rng *g, struct seen *s)
{
    static const char *const places[] = {"eu", "us"};
    uint64_t k = gsl_rng_uniform_int(g, 2), trouble = gsl_rng_uniform_int(g, 8);
    uint32_t bp = trouble == 0 ? 300 : s->weight;
    inbox_ack_of(&p->inbox, places[k], PLAY_ID, s->seq, bp, trouble == 1 ? "gone" : "");
    s->confirmed[k] = s->weight_seq > 0 && bp == s->weight && trouble != 1;
}

/* A check answers: about this weight or the one before, sometimes late. */
static void hear_check(struct play *p, gsl_rng *g, struct seen *s)
{
    static const char *const outcomes[] = {"pass", "pass",  "pass",
                                           "fail", "error", "?"};
    const char *outcome = outcomes[gsl_rng_uniform_int(g, 6)];
    bool other = gsl_rng_uniform_int(g, 8) == 0,
         before = gsl_rng_uniform_int(g, 8) == 0;
    int64_t t_ms = p->now * 1000 - (int64_t)gsl_rng_uniform_int(g, 3) * 9000;
    inbox_check(&p->inbox, PLAY_ID, other ? "other" : "load", s->weight_seq - before,
                t_ms, outcome, "");
    if (other || before || s->weight_seq == 0 || t_ms < s->answer_ms) return;
    s->passed = outcome[0] == 'p';
    s->answer_ms = t_ms;
}

/* Another rollout's state is told; a final one stays, whatever is told later. */
static void hear_signal(struct play *p, gsl_rng *g, struct seen *s)
{
    static const char *const states[] = {"PENDING", "OBSERVING", "PROMOTED", "ABORTED",
                                         "nonsense"};
    uint64_t to = gsl_rng_uniform_int(g, 5);
    bool first = gsl_rng_uniform_int(g, 2) == 0, queue = gsl_rng_uniform_int(g, 2) == 0,
         final = to == 2 || to == 3;
    inbox_signal(&p->inbox, PLAY_ID, first ? "web-1" : "db-1", states[to], queue);
    bool *over = &s->other_over[first];
    if (*over || to == 4) return;
    if (first && queue && !final) s->queued = true;
    if (first && !s->queued) return; /* it is no news of anybody */
    *over = final;
    if (first && final) s->queued = false;
    if (!first && final) s->done = to == 2;
}

/* True and false, early and late. */
static void hearsay(struct play *p, gsl_rng *g, struct seen *s)
{
    static void (*const kinds[])(struct play *, gsl_rng *, struct seen *) = {
        hear_ack, hear_ack, hear_check, hear_check, hear_signal};
    kinds[gsl_rng_uniform_int(g, 5)](p, g, s);
    play_feed(p);
}

static unsigned one_rollout(gsl_rng *g, int plan, unsigned most)
{
    struct play p;
    struct seen s = {.plan = plan};
    size_t checked = 0;
    unsigned steps = 0;
    play_start(&p, plans[plan]);
    while (steps < most && p.run.n_verdicts + 40 < FOLDRUN_VERDICTS) {
        bool was_final = s.final || s.cancelled;
        steps++;
        unsigned what = (unsigned)gsl_rng_uniform_int(g, s.plan == OTHERS ? 7 : 3);
        if (what == 0)
            command(&p, g, &s);
        else if (what > 2)
            hearsay(&p, g, &s);
        else
            weather(&p, g, &s);
        for (; checked < p.run.n_verdicts; checked++)
            check(&s, p.run.verdicts[checked]);
        if (was_final && gsl_rng_uniform_int(g, 10) == 0) break;
    }
    play_end(&p);
    return steps;
}

Test(commands, random_sequences_keep_the_promises, .timeout = 600)
{
    gsl_rng *g = check_rng(20260101);
    unsigned todo = getenv("SERIN_LONG") != NULL ? 1000000 : 20000;
    for (int i = 0; todo > 0; i++) {
        unsigned steps = one_rollout(g, i % N_PLANS, 200);
        todo -= steps < todo ? steps : todo;
    }
    gsl_rng_free(g);
}
