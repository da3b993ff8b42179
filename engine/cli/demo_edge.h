/* engine/cli/demo_edge.h -- one service of the demo for real: requests through HAProxy
 * to two small servers, and an actuator that moves HAProxy's map
 *
 * HAProxy is a child process with a configuration in the demo's folder; everything
 * listens on unix sockets there, only the access log comes by UDP on 127.0.0.1. The new
 * version's server fails under load: one request in three, once it gets more than
 * DEMO_EDGE_BEARS requests a second. */
#ifndef SERIN_ENGINE_CLI_DEMO_EDGE_H
#define SERIN_ENGINE_CLI_DEMO_EDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/bus/bus.h"

enum { DEMO_EDGE_RATE = 800, DEMO_EDGE_BEARS = 130 }; /* requests/s */
/* What a plan names: actuate: {target: …}. */
#define DEMO_EDGE_TARGET "edge"

struct demo_edge; /* opaque */

/* By cohort: 0 canary, 1 baseline. */
struct demo_edge_counts {
    uint64_t n[2], bad[2];
};

/** Path of the haproxy that is installed; NULL: there is none. */
const char *demo_edge_program(void);
/**
 * Start HAProxy with nothing for the canary, and the requests. folder must live until
 * demo_edge_close. Call before other threads are started: it forks.
 * Errors: SERIN_EIO (*f says what HAProxy lacks), SERIN_ENOMEM; nothing is left then
 */
SERIN_MUST_USE
enum serin_status demo_edge_open(struct demo_edge **out, const char *folder,
                                 struct fault *f);
/** Let verdicts of that rollout move HAProxy's map. Errors: SERIN_EIO, SERIN_ENOMEM */
SERIN_MUST_USE
enum serin_status demo_edge_actuate(struct demo_edge *e, struct bus *b,
                                    const char *rollout, struct fault *f);
/** What the access log told since the last call. Thread: any. */
void demo_edge_take(struct demo_edge *e, struct demo_edge_counts *out);
/** All so far, and when the canary got its latest request (clock_wall_ms; 0: never).
 * Thread: any. */
int64_t demo_edge_total(struct demo_edge *e, struct demo_edge_counts *out);
/** Before the bus is closed. NULL is a no-op. */
void demo_edge_close(struct demo_edge *e);

#endif
