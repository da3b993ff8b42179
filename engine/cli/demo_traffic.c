/* engine/cli/demo_traffic.c */
#include "engine/cli/demo_traffic.h"

#include <gsl/gsl_randist.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>

#include "engine/base/hash.h"

const struct demo_service demo_services[DEMO_SERVICES] = {
    {"checkout", "checkout-2.4.0", "2.3.9", "2.4.0", "a good release", DEMO_GOOD, false,
     24000, 0.010},
    {"search", "search-7.1.0", "7.0.4", "7.1.0", "turns bad under load", DEMO_SLOW,
     false, 18000, 0.012},
    {"catalog", "catalog-3.2.0", "3.1.8", "3.2.0", "slow in the tail only", DEMO_TAIL,
     true, 6000, 0.010},
    {"payments", "payments-1.9.2", "1.9.1", "1.9.2", "blue/green, broken side",
     DEMO_FAILING, false, 6000, 0.010},
};

enum { RAMP_TICKS = 20, SICK_BP = 2500 };
/* Latencies in ms: median, spread of the logarithm; what the tail adds, and how often.
 */
static const double MEDIAN = 40, SPREAD = 0.4, TAIL_MS = 400, TAIL_SHARE = 0.05;
static const double SLOW_ODDS = 3, FAILING_ODDS = 10;
static const double PREVIEW = 0.05; /* testers' requests beside everybody's */
/* Both cohorts share a slow swing, as traffic does; it must not look like a difference.
 */
static const double SWING = 0.2, SWING_TICKS = 150;

/* Regions: their part of the traffic, and of the errors. */
static const struct {
    const char *name;
    double part, errors;
} regions[] = {{"eu", 0.7, 0.9}, {"us", 0.3, 1.2333}};

enum serin_status demo_traffic_open(struct demo_traffic *t, uint64_t seed,
                                    int64_t start_ms)
{
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_taus2);
    if (rng == NULL) return SERIN_ENOMEM;
    *t = (struct demo_traffic){.rng = rng, .seed = seed, .start_ms = start_ms};
    return SERIN_OK;
}

void demo_traffic_close(struct demo_traffic *t)
{
    gsl_rng_free(t->rng);
    t->rng = NULL;
}

void demo_traffic_plan(size_t service, const char *target, struct text *out)
{
    const struct demo_service *s = &demo_services[service];
    text_add(out,
             "apiVersion: serin/v1\n"
             "kind: Rollout\n"
             "id: %s\n"
             "service: %s\n"
             "owner: demo@example.org\n"
             "cohorts:\n"
             "  canary: {service.name: %s, service.version: \"%s\"}\n"
             "  baseline: {service.name: %s, service.version: \"%s\"}\n"
             "strata: [region]\n"
             "window: 1s\n"
             "calibrate: skip\n"
             "risk: {false_abort: 0.01, false_promote: 0.05}\n",
             s->rollout, s->name, s->name, s->new_version, s->name, s->old_version);
    if (s->shape == DEMO_FAILING) {
        text_add(out, "strategy: blue_green\n"
                      "steps:\n"
                      "  - {kind: preview, worse_than: 1.5, bake: 3s, warmup: 1s}\n"
                      "  - {weight: 100%%, watch: 3s, warmup: 1s}\n"
                      "metrics:\n"
                      "  - {name: errors, abort_over: 1.2, limit: 5%%, phi: 1.2}\n");
        return;
    }
    if (target != NULL) { /* hundreds of requests a second, not thousands */
        text_add(out,
                 "steps:\n"
                 "  - {weight: 10%%, worse_than: 4.0, bake: 3s, warmup: 1s}\n"
                 "  - {weight: 25%%, worse_than: 3.0, bake: 3s, warmup: 1s}\n"
                 "  - {weight: 100%%, watch: 3s, warmup: 1s}\n"
                 "metrics:\n"
                 "  - {name: errors, kind: ratio, abort_over: 1.2, phi: 1.2}\n"
                 "actuate: {target: %s}\n",
                 target);
        return;
    }
    text_add(out, "steps:\n"
                  "  - {weight: 1%%, worse_than: 4.0, bake: 3s, warmup: 1s}\n"
                  "  - {weight: 5%%, worse_than: 3.0, bake: 3s, warmup: 1s}\n"
                  "  - {weight: 25%%, worse_than: 2.0, bake: 3s, warmup: 1s}\n"
                  "  - {weight: 50%%, worse_than: 1.5, bake: 3s, warmup: 1s}\n"
                  "  - {weight: 100%%, watch: 3s, warmup: 1s}\n"
                  "metrics:\n"
                  "  - {name: errors, kind: ratio, abort_over: 1.2, phi: 1.2}\n");
    if (s->timed)
        text_add(out,
                 "  - {name: latency, kind: latency, abort_over: 5%%, phi: 1.2}\n");
}

void demo_traffic_weight(struct demo_traffic *t, size_t service, uint32_t weight_bp)
{
    t->now[service].weight_bp = weight_bp;
    if (demo_services[service].shape == DEMO_SLOW && weight_bp >= SICK_BP &&
        t->now[service].sick_tick == 0)
        t->now[service].sick_tick = t->tick + 1;
}

int64_t demo_traffic_due_ms(const struct demo_traffic *t)
{
    return t->start_ms + (int64_t)t->tick * DEMO_TICK_MS;
}

/* Odds ratio canary : baseline of a service in this tick. */
static double odds_ratio(const struct demo_traffic *t, size_t service)
{
    uint64_t since = t->now[service].sick_tick;
    switch (demo_services[service].shape) {
    case DEMO_GOOD:
    case DEMO_TAIL:
        return 1;
    case DEMO_SLOW:
        if (since == 0 || t->tick < since) return 1;
        return 1 + (SLOW_ODDS - 1) * fmin(1, (double)(t->tick - since) / RAMP_TICKS);
    case DEMO_FAILING:
        return FAILING_ODDS;
    }
    return 1;
}

static double at_odds(double rate, double ratio)
{
    double odds = ratio * rate / (1 - rate);
    return odds / (1 + odds);
}

static void write_head(const struct demo_traffic *t, const struct demo_service *s,
                       bool canary, const char *region, const char *metric,
                       struct text *out)
{
    text_add(out,
             "{\"t_ms\":%" PRId64 ",\"attributes\":{\"service.name\":\"%s\","
             "\"service.version\":\"%s\",\"region\":\"%s\"},\"metric\":\"%s\",",
             demo_traffic_due_ms(t), s->name, canary ? s->new_version : s->old_version,
             region, metric);
}

static void write_latencies(const struct demo_traffic *t, const struct demo_service *s,
                            bool canary, const char *region, unsigned n,
                            struct text *out)
{
    write_head(t, s, canary, region, "latency", out);
    for (unsigned i = 0; i < n; i++) {
        double ms = MEDIAN * exp(gsl_ran_gaussian(t->rng, SPREAD));
        if (canary && s->shape == DEMO_TAIL && gsl_rng_uniform(t->rng) < TAIL_SHARE)
            ms += TAIL_MS;
        text_add(out, "%s%.4g", i == 0 ? "\"values\":[" : ",", ms);
    }
    text_add(out, "]}\n");
}

static void write_counts(const struct demo_traffic *t, const struct demo_service *s,
                         bool canary, const char *region, uint64_t n, uint64_t bad,
                         struct text *out)
{
    write_head(t, s, canary, region, "errors", out);
    text_add(out, "\"n\":%" PRIu64 ",\"bad\":%" PRIu64 "}\n", n, bad);
}

void demo_traffic_counted(const struct demo_traffic *t, size_t service, bool canary,
                          uint64_t n, uint64_t bad, struct text *out)
{
    if (n == 0) return;
    write_counts(t, &demo_services[service], canary, regions[0].name, n, bad, out);
}

static void write_line(const struct demo_traffic *t, size_t service, bool canary,
                       const char *region, unsigned n, double rate, struct text *out)
{
    const struct demo_service *s = &demo_services[service];
    if (n == 0) return;
    write_counts(t, s, canary, region, n, gsl_ran_binomial(t->rng, rate, n), out);
    if (s->timed) write_latencies(t, s, canary, region, n, out);
}

void demo_traffic_write(struct demo_traffic *t, size_t service, struct text *out)
{
    const struct demo_service *s = &demo_services[service];
    uint64_t place[3] = {t->seed, t->tick, service};
    gsl_rng_set(t->rng, (unsigned long)hash_bytes(place, sizeof place, 0));
    double swing = 1 + SWING * sin((double)t->tick * 2 * M_PI / SWING_TICKS);
    double share = t->now[service].weight_bp / 10000.0, ratio = odds_ratio(t, service);
    for (size_t r = 0; r < sizeof regions / sizeof *regions; r++) {
        double rate = s->error_rate * regions[r].errors * swing;
        unsigned all = gsl_ran_poisson(t->rng, s->per_second * regions[r].part * swing *
                                                   DEMO_TICK_MS / 1000);
        unsigned canary = gsl_ran_binomial(t->rng, share, all);
        if (s->shape == DEMO_FAILING && share == 0)
            canary = gsl_ran_poisson(t->rng, PREVIEW * all);
        write_line(t, service, true, regions[r].name, canary, at_odds(rate, ratio),
                   out);
        write_line(t, service, false, regions[r].name, share == 0 ? all : all - canary,
                   rate, out);
    }
}

void demo_traffic_advance(struct demo_traffic *t)
{
    t->tick++;
}
