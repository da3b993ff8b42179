/* tests/unit/notify/test_incident.c -- what begins, what ends, and what is said twice
 */
#include "engine/notify/incident.h"

#include "engine/base/mem.h"
#include "tests/support/check.h"

static pb_verdict verdict(Serin__V1__Kind kind, const char *reason, uint64_t seq)
{
    pb_verdict v = SERIN__V1__VERDICT__INIT;
    v.kind = kind;
    v.rollout = (char *)"shop-2";
    v.reason = (char *)(uintptr_t)reason;
    v.message = (char *)"why";
    v.seq = seq;
    v.t_ms = 1000 * (int64_t)seq;
    v.to_bp = 500;
    return v;
}
#define HOLD(reason, seq) verdict(SERIN__V1__KIND__KIND_HOLD, reason, seq)
#define RESUME(seq) verdict(SERIN__V1__KIND__KIND_RESUME, "fresh", seq)

static int take(struct incident_set *s, pb_verdict v, struct incident_event e[2])
{
    return incident_take(s, &v, 0, e);
}

static void is(const struct incident_event *e, const char *key, bool firing)
{
    cr_assert(eq(str, (char *)(uintptr_t)e->what.key, (char *)(uintptr_t)key));
    cr_assert(eq(int, e->firing, firing));
}

Test(incident, a_hold_begins_once_and_ends_under_its_key)
{
    struct incident_set *s = incident_open();
    struct incident_event e[INCIDENT_EVENTS];
    cr_assert(eq(int, take(s, HOLD("no_data", 1), e), 1));
    is(&e[0], "shop-2:no_data", true);
    cr_assert(eq(int, take(s, HOLD("no_data", 2), e), 0), "said already");
    cr_assert(eq(int, take(s, RESUME(3), e), 1));
    is(&e[0], "shop-2:no_data", false);
    cr_assert(eq(i64, e[0].what.t_ms, (int64_t)1000));
    cr_assert(eq(i64, e[0].ended_ms, (int64_t)3000));
    cr_assert(eq(str, e[0].how, (char *)"RESUME: why"));
    cr_assert(eq(int, take(s, RESUME(4), e), 0), "nothing is open");
    incident_close(s);
}

Test(incident, another_reason_ends_the_first_and_an_abort_stays)
{
    struct incident_set *s = incident_open();
    struct incident_event e[INCIDENT_EVENTS];
    cr_assert(eq(int, take(s, HOLD("gate", 1), e), 1));
    cr_assert(eq(int, take(s, HOLD("blind", 2), e), 2));
    is(&e[0], "shop-2:gate", false);
    is(&e[1], "shop-2:blind", true);
    cr_assert(eq(int, take(s, verdict(SERIN__V1__KIND__KIND_ABORT, "harm", 3), e), 2));
    is(&e[0], "shop-2:blind", false);
    is(&e[1], "shop-2:abort", true);
    cr_assert(e[1].what.abort);
    cr_assert(eq(int, take(s, verdict(SERIN__V1__KIND__KIND_ABORT, "harm", 3), e), 0));
    incident_close(s);
}

static void count(void *ctx, const struct incident *i)
{
    (void)i;
    ++*(int *)ctx;
}

Test(incident, what_another_process_follows_is_forgotten)
{
    struct incident_set *s = incident_open();
    struct incident_event e[INCIDENT_EVENTS];
    pb_verdict a = HOLD("gate", 1), b = HOLD("gate", 1);
    int open = 0;
    b.rollout = (char *)"other";
    cr_assert(eq(int, incident_take(s, &a, 3, e), 1));
    cr_assert(eq(int, incident_take(s, &b, 5, e), 1));
    incident_forget(s, 3);
    incident_each(s, count, &open);
    cr_assert(eq(int, open, 1));
    cr_assert(eq(int, take(s, RESUME(2), e), 0), "not ours any more");
    incident_close(s);
}

Test(incident, how_urgent)
{
    pb_verdict harm = verdict(SERIN__V1__KIND__KIND_ABORT, "harm", 1), ordered = harm;
    ordered.actor = (char *)"bob";
    cr_assert(eq(int, incident_severity(&harm), SEVERITY_CRITICAL));
    cr_assert(eq(int, incident_severity(&ordered), SEVERITY_WARNING));
    const struct {
        const char *reason;
        enum severity severity;
    } holds[] = {{"blind", SEVERITY_ERROR},     {"actuator", SEVERITY_ERROR},
                 {"gate", SEVERITY_WARNING},    {"no_data", SEVERITY_WARNING},
                 {"operator", SEVERITY_INFO},   {"freeze", SEVERITY_INFO},
                 {"of later", SEVERITY_WARNING}};
    for (size_t i = 0; i < sizeof holds / sizeof *holds; i++) {
        pb_verdict v = HOLD(holds[i].reason, 1);
        cr_assert(eq(int, incident_severity(&v), holds[i].severity), "%s",
                  holds[i].reason);
    }
}

Test(incident, texts_are_clean_and_cut_between_characters)
{
    const struct {
        const char *in, *out;
        size_t room;
    } all[] = {{"a\r\nBcc: x\x1b[2J", "a  Bcc: x [2J", 64},
               {"sch\xc3\xb6n", "sch\xc3\xb6n", 7},
               {"sch\xc3\xb6n", "sch", 5},
               {"\xff\xc3+\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80",
                "??+"
                "???"
                "??"
                "????",
                64},
               {"\xe2\x82", "??", 64},
               {NULL, "", 4}};
    char out[64];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        incident_text(out, all[i].room, all[i].in, false);
        cr_assert(eq(str, out, (char *)(uintptr_t)all[i].out), "case %zu", i);
    }
    incident_text(out, sizeof out, "a\nb\tc", true);
    cr_assert(eq(str, out, (char *)"a\nb c"));
}

Test(incident, memory_running_out_changes_nothing)
{
    struct incident_set *s = incident_open();
    struct incident_event e[INCIDENT_EVENTS];
    cr_assert(eq(int, take(s, HOLD("gate", 1), e), 1));
    mem_fail_at(1);
    cr_assert(eq(int, take(s, HOLD("blind", 2), e), -1));
    mem_fail_at(0);
    cr_assert(eq(int, take(s, HOLD("blind", 2), e), 2), "and then it works");
    incident_close(s);
}
