/* engine/core/decide.c -- read this page to know what a rollout can do */
#include "engine/core/decide.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/status.h"

#define PROMOTE SERIN__V1__KIND__KIND_PROMOTE
#define ABORT SERIN__V1__KIND__KIND_ABORT
#define HOLDS SERIN__V1__KIND__KIND_HOLD
#define RESUME SERIN__V1__KIND__KIND_RESUME
#define RESULT SERIN__V1__KIND__KIND_RESULT
#define SILENT SERIN__V1__KIND__KIND_UNSPECIFIED

/* Legal in every state that is not final, whatever else is going on. */
#define ALWAYS                                                                         \
    [EV_HARM] = {ROLLOUT_ABORTED, ABORT, "log E >= log(1/alpha)"},                     \
    [EV_DEAD] = {ROLLOUT_ABORTED, ABORT, "the canary stopped reporting"},              \
    [EV_POLICY] = {ROLLOUT_ABORTED, ABORT, "the plan prefers abort to hold"},          \
    [EV_KILL] = {ROLLOUT_ABORTED, ABORT, "somebody said so"},                          \
    [EV_LOST] = {ROLLOUT_HELD, HOLDS, "the state could not be restored"}

/* Somebody holds, or something is wrong with data, actuator or policy. */
#define DOUBTS                                                                         \
    [EV_DOUBT] = {ROLLOUT_HELD, HOLDS, "a reason to hold arose"},                      \
    [EV_HOLD] = {ROLLOUT_HELD, HOLDS, "somebody said so"}

/* There is traffic, so a person may move it. */
#define MOVES                                                                          \
    [EV_ADVANCE] = {ROLLOUT_SETTLING, PROMOTE, "somebody said so"},                    \
    [EV_ADVANCE_FULL] = {ROLLOUT_WATCHING, PROMOTE, "somebody said so"},               \
    [EV_FINISH] = {ROLLOUT_PROMOTED, PROMOTE, "somebody said so"},                     \
    [EV_LOWER] = {ROLLOUT_HELD, HOLDS, "somebody took traffic back"}

#define CANCELS [EV_CANCEL] = {ROLLOUT_CANCELLED, SILENT, "called off before the start"}

const struct decide_rule decide_rules[ROLLOUT_NSTATE][EV_N] = {
    [ROLLOUT_PENDING] =
        {ALWAYS, DOUBTS,
         CANCELS, [EV_READY] = {ROLLOUT_CALIBRATING, SILENT, "the time has come"}},
    [ROLLOUT_CALIBRATING] =
        {ALWAYS, DOUBTS,
         CANCELS, [EV_START] = {ROLLOUT_SETTLING, PROMOTE, "first weight"},
         [EV_FULL] = {ROLLOUT_WATCHING, PROMOTE, "first weight"},
         [EV_GATE] = {ROLLOUT_GATED, HOLDS, "start needs approval"}},
    [ROLLOUT_SETTLING] =
        {ALWAYS, DOUBTS,
         MOVES, [EV_SETTLED] = {ROLLOUT_OBSERVING, SILENT, "warm-up is over"}},
    [ROLLOUT_OBSERVING] =
        {ALWAYS, DOUBTS, MOVES, [EV_SAFE] = {ROLLOUT_SETTLING, PROMOTE, "step passed"},
         [EV_FULL] = {ROLLOUT_WATCHING, PROMOTE, "step passed"},
         [EV_DONE] = {ROLLOUT_PROMOTED, PROMOTE, "non-inferior"},
         [EV_RESULT] = {ROLLOUT_CONCLUDED, RESULT, "limits or deadline decide"},
         [EV_GATE] = {ROLLOUT_GATED, HOLDS, "step needs approval"}},
    [ROLLOUT_GATED] = {ALWAYS, DOUBTS, MOVES,
                       CANCELS, [EV_OPEN] = {ROLLOUT_BACK, RESUME, "approved"}},
    [ROLLOUT_HELD] =
        {ALWAYS, DOUBTS, MOVES,
         CANCELS, [EV_CLEAR] = {ROLLOUT_BACK, RESUME, "the reason is gone"}},
    [ROLLOUT_WATCHING] =
        {ALWAYS, DOUBTS, [EV_DONE] = {ROLLOUT_PROMOTED, PROMOTE, "watched long enough"},
         [EV_FINISH] = {ROLLOUT_PROMOTED, PROMOTE, "somebody said so"},
         [EV_LOWER] = {ROLLOUT_HELD, HOLDS, "traffic was taken back"}},
};

static const struct name {
    const char *name, *text;
} states[] =
    {
#define X(name, text) {#name, text},
        DECIDE_STATES(X)},
  events[] = {DECIDE_EVENTS(X)
#undef X
};

const char *decide_state_name(enum rollout_state s)
{
    return s < ROLLOUT_NSTATE ? states[s].name : "UNKNOWN";
}

const char *decide_event_name(enum decide_event e)
{
    return e < EV_N ? events[e].name : "UNKNOWN";
}

bool decide_state_parse(const char *name, enum rollout_state *out)
{
    for (size_t s = 0; s < ROLLOUT_NSTATE; s++)
        if (strcmp(name, states[s].name) == 0) {
            *out = (enum rollout_state)s;
            return true;
        }
    return false;
}

bool decide_final(enum rollout_state s)
{
    return s == ROLLOUT_PROMOTED || s == ROLLOUT_CONCLUDED || s == ROLLOUT_ABORTED ||
           s == ROLLOUT_CANCELLED;
}

static void add(char *out, const char *fmt, ...) SERIN_PRINTF(2, 3);

static void add(char *out, const char *fmt, ...)
{
    size_t used = strlen(out);
    va_list args;
    va_start(args, fmt);
    vsnprintf(out + used, DECIDE_TABLE - used, fmt, args);
    va_end(args);
}

/* One row: what an event does in each state that it can leave. */
static void add_event(char *out, size_t e)
{
    add(out, "| %s |", events[e].text);
    for (size_t s = 0; s < ROLLOUT_NSTATE; s++) {
        const struct decide_rule *r = &decide_rules[s][e];
        if (decide_final((enum rollout_state)s)) continue;
        const char *to = r->to == ROLLOUT_BACK ? "back" : decide_state_name(r->to);
        add(out, " %s |", r->why == NULL ? "·" : to);
    }
    add(out, "\n");
}

void decide_table(char out[DECIDE_TABLE])
{
    out[0] = '\0';
    add(out, "| state | meaning |\n|---|---|\n");
    for (size_t s = 0; s < ROLLOUT_NSTATE; s++)
        add(out, "| %s | %s |\n", states[s].name, states[s].text);
    add(out, "\n| event |");
    for (size_t s = 0; s < ROLLOUT_NSTATE; s++)
        if (!decide_final((enum rollout_state)s)) add(out, " %s |", states[s].name);
    add(out, "\n|---|");
    for (size_t s = 0; s < ROLLOUT_NSTATE; s++)
        if (!decide_final((enum rollout_state)s)) add(out, "---|");
    add(out, "\n");
    for (size_t e = 0; e < EV_N; e++)
        add_event(out, e);
}
