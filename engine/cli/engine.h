/* engine/cli/engine.h -- a whole engine in this process: bus, ingest, decisions, HTTP
 */
#ifndef SERIN_ENGINE_CLI_ENGINE_H
#define SERIN_ENGINE_CLI_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/bus/bus.h"
#include "engine/cli/config.h"
#include "engine/follow/errands.h"
#include "engine/replay/record/recorder.h"
#include "engine/serve/directory.h"
#include "engine/serve/serve.h"
#include "engine/stage/stage.h"
#include "ingest/worker_pool.h"

struct engine_options {
    struct bus_options bus;
    struct worker_options worker; /* of all ingest threads together */
    unsigned ingest_threads;      /* 0 = 1 */
    struct stage_options stage;
    struct errands_options follow; /* goes with the role decide */
    struct config_record record;
    struct serve_options
        serve;      /* metrics, ready, quarantine, ctx are set by the engine */
    unsigned roles; /* of enum engine_role; 0 = ENGINE_ALL */
    /* Sleep ms; true: give up, the process is to end. Called on engine_start's thread
     * while it waits for the brokers. */
    bool (*pause)(void *ctx, int64_t ms);
    void *ctx;
};

struct engine; /* opaque; all of it is reachable from the thread that started it */

/**
 * Open the bus, wait for the brokers (capped back-off, said once), create the topics
 * that are missing, check those that are there, start a thread a role. *o's texts must
 * live until engine_stop. Errors: SERIN_EDOM a refused setting, SERIN_ESTATE a topic
 * set wrongly, SERIN_EIO, SERIN_ETIME when pause said to give up; nothing keeps running
 * then.
 */
SERIN_MUST_USE
enum serin_status engine_start(struct engine **out, const struct engine_options *o,
                               struct fault *f);
/**
 * Stop every role, wait for it, close the bus. Bounded: each client leaves its group
 * within 10 s. NULL is a no-op.
 */
void engine_stop(struct engine *e);

/** Every role is ready; else why not, for people. Thread: any. */
bool engine_ready(void *engine, char why[160]);
/** A role ended by itself: its fault in *f. Thread: any. */
bool engine_failed(struct engine *e, struct fault *f);
struct bus *engine_bus(struct engine *e);
/** NULL without CONFIG_SERVE. */
struct directory *engine_directory(struct engine *e);
/** The i-th address that HTTP answers at; NULL past the end. */
const char *engine_address(struct engine *e, size_t i);

/** What the roles counted, as Prometheus text. Thread: any. */
void engine_metrics(void *engine, FILE *out);
/** As above, of the roles there are; NULL = no such role. */
void engine_metrics_write(FILE *out, struct worker_pool *workers,
                          const struct stage_counts *stage,
                          const struct recorder_counts *recorder);

#endif
