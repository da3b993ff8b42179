/* tests/unit/serve/fixture.h -- rows and requests without a broker */
#ifndef SERIN_TESTS_UNIT_SERVE_FIXTURE_H
#define SERIN_TESTS_UNIT_SERVE_FIXTURE_H

#include "engine/base/mem.h"
#include "engine/serve/routes.h"
#include "proto/encode.h"
#include "tests/support/check.h"

/* The topics are not read to their end. */
static inline struct directory *fixture_young_directory(void)
{
    struct directory *d = NULL;
    struct fault f = {0};
    cr_assert(eq(int, directory_open(&d, NULL, &f), SERIN_OK));
    return d;
}

static inline struct directory *fixture_directory(void)
{
    struct directory *d = fixture_young_directory();
    directory_caught_up(d, BUS_ROLLOUTS);
    directory_caught_up(d, BUS_VERDICTS);
    return d;
}

static inline void fixture_take_row(struct directory *d, const pb_rollout *r)
{
    struct arena a = {0};
    struct bytes b;
    cr_assert(eq(int, encode_rollout(&a, r, &b), SERIN_OK));
    directory_take(d, BUS_ROLLOUTS, r->rollout, strlen(r->rollout), b.p, b.n);
    arena_free(&a);
}

/* A rollout in a state; gates waiting when gate != NULL. */
static inline void fixture_row(struct directory *d, const char *id, const char *state,
                               const char *gate)
{
    pb_rollout r = SERIN__V1__ROLLOUT__INIT;
    pb_status s = SERIN__V1__STATUS__INIT;
    pb_gate_status g = SERIN__V1__GATE_STATUS__INIT, *gates[] = {&g};
    r.schema = SERIN_SCHEMA, r.rollout = (char *)id, r.status = &s;
    r.plan = (char *)"id: x\n";
    s.state = (char *)state, s.step = 1, s.steps = 5, s.weight_bp = 100;
    s.service = (char *)"checkout", s.observed_bp = -1, s.eta_ms = -1;
    s.final = strcmp(state, "PROMOTED") == 0;
    if (gate != NULL) {
        g.name = (char *)gate, g.state = (char *)"waiting";
        s.gates = gates, s.n_gates = 1;
    }
    fixture_take_row(d, &r);
}

static inline void fixture_verdict(struct directory *d, const char *id, uint64_t seq,
                                   int64_t t_ms)
{
    char name[200];
    struct arena a = {0};
    struct bytes b;
    pb_verdict v = SERIN__V1__VERDICT__INIT;
    snprintf(name, sizeof name, "%s/%llu", id, (unsigned long long)seq);
    v.schema = SERIN_SCHEMA, v.id = name, v.rollout = (char *)id, v.seq = seq;
    v.t_ms = t_ms, v.kind = SERIN__V1__KIND__KIND_HOLD, v.reason = (char *)"no_data";
    cr_assert(eq(int, encode_verdict(&a, &v, &b), SERIN_OK));
    directory_take(d, BUS_VERDICTS, id, strlen(id), b.p, b.n);
    arena_free(&a);
}

#endif
