/* engine/serve/metrics.h -- Prometheus text: a small writer, and this process's
 * counters
 *
 * Names follow Prometheus' rules: base units (seconds, bytes, ratio), counters end in
 * _total. A family is written once: metrics_family, then its samples. */
#ifndef SERIN_ENGINE_SERVE_METRICS_H
#define SERIN_ENGINE_SERVE_METRICS_H

#include <stdint.h>
#include <stdio.h>

#include "engine/serve/directory.h"

/** "# HELP" and "# TYPE". type: counter | gauge | histogram. */
void metrics_family(FILE *out, const char *name, const char *type, const char *help);
/** One sample; pairs of label name and value, ending with NULL. Values are escaped. */
void metrics_sample(FILE *out, const char *name, double value, ...)
    __attribute__((sentinel));
/** A family of one sample without labels. */
void metrics_one(FILE *out, const char *name, const char *type, const char *help,
                 double value);

/* What the HTTP side counts. Thread: any. */
struct metrics;                     /* opaque */
struct metrics *metrics_open(void); /* NULL: out of memory */
void metrics_close(struct metrics *m);
/** One request answered; route is an index of the route table (SIZE_MAX: none). */
void metrics_request(struct metrics *m, size_t route, unsigned status, int64_t ms);
/** A connection came (+1) or went (-1). */
void metrics_connection(struct metrics *m, int change);
/** Everything of this module: HTTP, directory, live rollouts, the fleet at its level
 * (0: none), process, build. */
void metrics_write(struct metrics *m, struct directory *d, double fleet_level,
                   FILE *out);

#endif
