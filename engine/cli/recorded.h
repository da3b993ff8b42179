/* engine/cli/recorded.h -- what serin.yaml says of the topics that are recorded */
#ifndef SERIN_ENGINE_CLI_RECORDED_H
#define SERIN_ENGINE_CLI_RECORDED_H

#include "engine/bus/bus.h"
#include "engine/replay/record/origin.h"
#include "ingest/worker.h"

/* Room for as many topics is in *out; texts are borrowed. */
struct recorded {
    const struct worker_options *worker; /* its inputs and lateness */
    int64_t max_lag_ms;                  /* of the decisions */
    bool inbox, inputs;                  /* which of them */
};

/** Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status recorded_origin(const struct recorded *r, const struct bus *b,
                                  struct origin *out);
/**
 * One more input topic, unless it is there; with the defaults it has among the inputs.
 * format NULL: as there, or auto. Errors: SERIN_ELIMIT, one too many.
 */
SERIN_MUST_USE
enum serin_status recorded_add(const struct recorded *r, const char *topic,
                               const enum format *format, struct origin *out);

#endif
