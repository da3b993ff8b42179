/* tests/fuzz/decode_promises.h -- what holds for any bytes a decoder is given
 *
 * It accepts or refuses with a reason; refused, nothing was added; accepted, every
 * sample is counted once, cells obey bad <= n, and what goes to the inbox can be read
 * again. The same bytes give the same result a second time. */
#ifndef SERIN_TESTS_FUZZ_DECODE_PROMISES_H
#define SERIN_TESTS_FUZZ_DECODE_PROMISES_H

#include "ingest/partial.h"
#include "proto/decode.h"
#include "tests/support/fuzz.h"
#include "tests/support/ingest_world.h"

static inline enum serin_status promises_sink(void *ctx, struct strview key,
                                              struct bytes value)
{
    struct arena a = {0};
    pb_inbox *m;
    uint64_t *samples = ctx;
    FUZZ_MUST(key.n != 0);
    FUZZ_MUST(decode_inbox(&a, value.p, value.n, &m) == SERIN_OK);
    FUZZ_MUST(m->body_case == SERIN__V1__INBOX__BODY_PARTIAL);
    *samples += m->partial->samples;
    for (size_t i = 0; i < m->partial->n_cells; i++) {
        const pb_cell *c = m->partial->cells[i];
        FUZZ_MUST(c->n <= AGGREGATE_MAX_COUNT && c->bad <= c->n);
        FUZZ_MUST(c->window_ms >= 0 && c->window_ms % 1000 == 0);
        FUZZ_MUST(c->window_ms <= WORLD_NOW + 600000);
        FUZZ_MUST(c->stratum[0] == '\0' || c->metric[0] != '\0');
        for (size_t k = 0; k < c->n_units; k++)
            FUZZ_MUST(isfinite(c->units[k]->sum) && c->units[k]->sum_sq >= 0);
        if (c->hist == NULL) continue;
        uint64_t total = c->hist->zero_count;
        for (size_t k = 0; k < c->hist->n_counts; k++)
            total += c->hist->counts[k];
        FUZZ_MUST(total == c->n);
        FUZZ_MUST(c->hist->n_counts <= BUCKETS_HIGH - BUCKETS_LOW + 1);
    }
    arena_free(&a);
    return SERIN_OK;
}

static inline void promises_check(enum format f, const uint8_t *p, size_t n)
{
    static struct world w;
    static struct arena scratch;
    static unsigned runs;
    if (runs++ % 4096 == 0) { /* a fresh start now and then: strata are kept */
        if (w.a != NULL) world_close(&w);
        w = world_open(NULL);
    }
    aggregate_clear(w.a);
    cumulative_forget(aggregate_cumulative(w.a)); /* what rose in other inputs */
    w.why = (struct reject){QUARANTINE_REASONS, ""};
    enum serin_status s = world_decode(&w, f, p, n);
    struct aggregate_counts c = aggregate_counts(w.a), twice;
    FUZZ_MUST(s == SERIN_OK || s == SERIN_EPARSE);
    FUZZ_MUST(c.samples == c.routed + c.unrouted + c.poison + c.dropped);
    if (s != SERIN_OK) {
        FUZZ_MUST(w.why.reason < QUARANTINE_REASONS && w.why.detail[0] != '\0');
        FUZZ_MUST(c.samples == 0 && aggregate_cells(w.a) == 0);
        FUZZ_MUST(aggregate_tallies(w.a) == NULL);
    }
    uint64_t samples = 0;
    FUZZ_MUST(partial_each(w.a, "w", &scratch, promises_sink, &samples) == SERIN_OK);
    FUZZ_MUST(samples <= c.routed + c.dropped);
    FUZZ_MUST(aggregate_latest(w.a) <= WORLD_NOW + 600000);
    cumulative_forget(aggregate_cumulative(w.a));
    FUZZ_MUST(world_decode(&w, f, p, n) == s);
    twice = aggregate_counts(w.a);
    FUZZ_MUST(twice.samples == 2 * c.samples && twice.poison == 2 * c.poison);
}

#endif
