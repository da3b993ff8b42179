/* engine/serve/receive_body.h -- what a received body is, before it is written
 * (private)
 *
 * No broker, no HTTP: bytes in, a judgement out. */
#ifndef SERIN_ENGINE_SERVE_RECEIVE_BODY_H
#define SERIN_ENGINE_SERVE_RECEIVE_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/base/strview.h"

/**
 * Undo gzip, never past `limit` bytes however small the input is.
 * out  from mem.h, one byte longer than *n, the caller frees
 * Errors: SERIN_EPARSE no or broken gzip, SERIN_ELIMIT over the limit, SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status receive_body_gunzip(struct strview in, size_t limit, char **out,
                                      size_t *n, struct fault *f);

/**
 * An OTLP export request, protobuf or JSON, as far down as its metrics.
 * summaries  receives the data points of kind Summary, which nothing here can compare
 * Errors: SERIN_EPARSE with what is wrong, SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status receive_body_otlp(struct strview body, bool json, bool traces,
                                    uint64_t *summaries, struct fault *f);

/**
 * A snappy block, as remote write sends it.
 * Errors: SERIN_EPARSE no snappy; SERIN_ELIMIT it says that it is over `limit` bytes
 */
SERIN_MUST_USE
enum serin_status receive_body_snappy(struct strview body, size_t limit,
                                      struct fault *f);

#endif
