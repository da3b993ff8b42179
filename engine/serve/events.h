/* engine/serve/events.h -- changes as server-sent events (private)
 *
 * First the status of every rollout as it stands, then each status and verdict that
 * comes: event: status | verdict, id: of the verdict, data: serin.status/1 |
 * serin.verdict/1 A comment every 10 s keeps the connection open and shows when it is
 * gone. */
#ifndef SERIN_ENGINE_SERVE_EVENTS_H
#define SERIN_ENGINE_SERVE_EVENTS_H

#include <sys/types.h>

#include "engine/serve/api.h"

enum { EVENTS_ALIVE_MS = 10000 };

struct events; /* one stream; thread: one */

/** rollout "": all of them. NULL: out of memory. */
struct events *events_open(struct api *api, const char *rollout);
/**
 * Up to max bytes of the stream, waiting at most alive_ms for something to come; a
 * comment when nothing did. -1: the stream is over (the process stops, or memory is
 * out).
 */
ssize_t events_read(struct events *e, char *out, size_t max, int alive_ms);
void events_close(struct events *e);

#endif
