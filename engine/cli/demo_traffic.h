/* engine/cli/demo_traffic.h -- four made-up services whose traffic follows the
 * verdicts */
#ifndef SERIN_ENGINE_CLI_DEMO_TRAFFIC_H
#define SERIN_ENGINE_CLI_DEMO_TRAFFIC_H

#include <gsl/gsl_rng.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/text.h"

enum { DEMO_SERVICES = 4, DEMO_TICK_MS = 200 };
#define DEMO_TOPIC "demo.metrics"

enum demo_shape {
    DEMO_GOOD, /* canary as good as the baseline */
    DEMO_SLOW, /* fine until a quarter of the traffic is on it, then three times worse
                */
    DEMO_TAIL, /* one request in twenty takes much longer; errors as before */
    DEMO_FAILING, /* ten times the errors from its first request: a preview's, so that
                     nobody else meets them */
};

struct demo_service {
    const char *name, *rollout, *old_version, *new_version, *story;
    enum demo_shape shape;
    bool timed;                    /* reports latencies, too */
    double per_second, error_rate; /* requests of both cohorts; share that fails */
};
extern const struct demo_service demo_services[DEMO_SERVICES];

/* Value type. What happens in tick k depends on the seed, k and the weights alone. */
struct demo_traffic {
    gsl_rng *rng;
    uint64_t seed;
    int64_t start_ms; /* event time of tick 0, ms since the epoch */
    uint64_t tick;    /* next to write */
    struct {
        uint32_t weight_bp;
        uint64_t sick_tick; /* of DEMO_SLOW: when it turned; 0 = well */
    } now[DEMO_SERVICES];
};

/** Errors: SERIN_ENOMEM, *t unchanged. */
SERIN_MUST_USE
enum serin_status demo_traffic_open(struct demo_traffic *t, uint64_t seed,
                                    int64_t start_ms);
void demo_traffic_close(struct demo_traffic *t);

/** The YAML plan of a service; short bakes, dispersion given, nothing to calibrate.
 * target: of `actuate`, for a service whose requests are real; NULL: made up. */
void demo_traffic_plan(size_t service, const char *target, struct text *out);
/** What an actuator would do with a verdict. */
void demo_traffic_weight(struct demo_traffic *t, size_t service, uint32_t weight_bp);
/** Event time of the next tick, ms. */
int64_t demo_traffic_due_ms(const struct demo_traffic *t);
/** One service's requests in the next tick: JSON lines, one a cohort, region and
 * metric. */
void demo_traffic_write(struct demo_traffic *t, size_t service, struct text *out);
/** The same for requests that were counted, not made up. */
void demo_traffic_counted(const struct demo_traffic *t, size_t service, bool canary,
                          uint64_t n, uint64_t bad, struct text *out);
/** The tick was written for every service: go to the next. */
void demo_traffic_advance(struct demo_traffic *t);

#endif
