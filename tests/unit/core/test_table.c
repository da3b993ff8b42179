/* tests/unit/core/test_table.c -- the state machine as printed, and every one of its
 * cells */
#include "engine/core/decide.h"
#include "tests/support/check.h"

static const char begin_mark[] = "<!-- state table -->\n";
static const char end_mark[] = "<!-- end of state table -->";

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "r");
    cr_assert(f != NULL, "cannot open %s", path);
    char *text = calloc(1, 1 << 20);
    cr_assert(gt(sz, fread(text, 1, (1 << 20) - 1, f), (size_t)0));
    fclose(f);
    return text;
}

Test(table, readme_shows_what_the_code_does)
{
    static char printed[DECIDE_TABLE];
    decide_table(printed);
    cr_assert(lt(sz, strlen(printed), (size_t)DECIDE_TABLE - 1), "cut");
    char *readme = slurp("README.md");
    char *from = strstr(readme, begin_mark);
    cr_assert(from != NULL, "README.md has no line %s", begin_mark);
    from += strlen(begin_mark);
    char *to = strstr(from, end_mark);
    cr_assert(to != NULL, "README.md has no line %s", end_mark);
    *to = '\0';
    cr_assert(
        strcmp(from, printed) == 0,
        "README.md differs from the code; put the output of tests/state_table between "
        "the marks:\n%s",
        printed);
    free(readme);
}

static bool final(int s)
{
    return s == ROLLOUT_PROMOTED || s == ROLLOUT_CONCLUDED || s == ROLLOUT_ABORTED ||
           s == ROLLOUT_CANCELLED;
}

Test(table, final_states_absorb)
{
    for (int s = 0; s < ROLLOUT_NSTATE; s++) {
        cr_assert(eq(int, decide_final((enum rollout_state)s), final(s)));
        for (int e = 0; e < EV_N && final(s); e++)
            cr_assert(decide_rules[s][e].why == NULL, "%s leaves on %s",
                      decide_state_name((enum rollout_state)s),
                      decide_event_name((enum decide_event)e));
    }
}

Test(table, abort_is_legal_in_every_state_that_is_not_final)
{
    const enum decide_event aborts[] = {EV_HARM, EV_DEAD, EV_POLICY, EV_KILL};
    for (int s = 0; s < ROLLOUT_NSTATE; s++)
        for (size_t i = 0; i < sizeof aborts / sizeof *aborts && !final(s); i++) {
            const struct decide_rule *r = &decide_rules[s][aborts[i]];
            cr_assert(r->why != NULL);
            cr_assert(eq(int, r->to, ROLLOUT_ABORTED));
            cr_assert(eq(int, r->kind, SERIN__V1__KIND__KIND_ABORT));
        }
}

/* What a kind of verdict may lead to, in every cell. */
Test(table, every_cell_keeps_the_rules)
{
    for (int s = 0; s < ROLLOUT_NSTATE; s++)
        for (int e = 0; e < EV_N; e++) {
            const struct decide_rule *r = &decide_rules[s][e];
            if (r->why == NULL) continue;
            bool promote = r->kind == SERIN__V1__KIND__KIND_PROMOTE;
            bool up = r->to == ROLLOUT_SETTLING || r->to == ROLLOUT_WATCHING ||
                      r->to == ROLLOUT_PROMOTED;
            cr_assert(eq(int, promote, up), "%d %d", s, e);
            cr_assert(eq(int, r->kind == SERIN__V1__KIND__KIND_RESULT,
                         r->to == ROLLOUT_CONCLUDED));
            cr_assert(eq(int, r->kind == SERIN__V1__KIND__KIND_ABORT,
                         r->to == ROLLOUT_ABORTED));
            cr_assert(eq(int, r->kind == SERIN__V1__KIND__KIND_HOLD,
                         r->to == ROLLOUT_HELD || r->to == ROLLOUT_GATED));
            cr_assert(eq(int, r->kind == SERIN__V1__KIND__KIND_RESUME,
                         r->to == ROLLOUT_BACK));
        }
    for (int s = 0; s < ROLLOUT_NSTATE;
         s++) /* evidence alone never leaves a hold upwards */
        for (int e = EV_START; e <= EV_RESULT; e++)
            if (s == ROLLOUT_HELD || s == ROLLOUT_GATED || s == ROLLOUT_PENDING)
                cr_assert(decide_rules[s][e].why == NULL);
}

Test(table, cancelled_only_before_the_first_weight)
{
    const int with_traffic[] = {ROLLOUT_SETTLING, ROLLOUT_OBSERVING, ROLLOUT_WATCHING};
    for (size_t i = 0; i < 3; i++)
        cr_assert(decide_rules[with_traffic[i]][EV_CANCEL].why == NULL);
}

Test(table, names_round_trip)
{
    enum rollout_state back;
    for (int s = 0; s < ROLLOUT_NSTATE; s++) {
        cr_assert(decide_state_parse(decide_state_name((enum rollout_state)s), &back));
        cr_assert(eq(int, back, s));
    }
    cr_assert(not(decide_state_parse("NOWHERE", &back)));
}
