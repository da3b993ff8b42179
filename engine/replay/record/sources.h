/* engine/replay/record/sources.h -- the topics of a recording, read side by side,
 * outside any group: each by a table of its own */
#ifndef SERIN_ENGINE_REPLAY_RECORD_SOURCES_H
#define SERIN_ENGINE_REPLAY_RECORD_SOURCES_H

#include "engine/bus/bus.h"
#include "engine/replay/record/origin.h"
#include "engine/replay/record/recording.h"

struct sources_options {
    struct bus *bus;
    const struct origin *origin; /* what is read; outlives the sources */
    int64_t since_ms;            /* > 0: from the first record at or after this time */
    /* Where to go on: the next offset, -1 = the beginning. NULL: as since_ms says. */
    int64_t (*next)(void *ctx, size_t topic, int32_t partition);
    /* Records of `next` are gone unread. */
    void (*gap)(void *ctx, size_t topic, int32_t partition, int64_t expected,
                int64_t found);
    /* It lives during the call. Not OK: what came in the same poll after it is left
     * out, and sources_poll gives it back. */
    enum serin_status (*record)(void *ctx, const struct recording_record *r,
                                struct fault *f);
    void *ctx;
    size_t queue_bytes; /* fetched ahead, all topics together; 0 = the default of each
                         */
};

struct sources; /* opaque; thread: one */

SERIN_MUST_USE
enum serin_status sources_open(struct sources **out, const struct sources_options *o,
                               struct fault *f);
void sources_close(struct sources *s);
/**
 * Open the topics that are not open yet, the others go on meanwhile; hand out what has
 * come, waiting about timeout_ms when nothing has. Errors: what a topic could not be
 * opened for (retriable: try on, a topic that is not there is looked for each second;
 * all that came has been handed out), the record callback's.
 */
SERIN_MUST_USE
enum serin_status sources_poll(struct sources *s, int timeout_ms, struct fault *f);
/** Each topic is open and read to the high watermarks that stood when it was opened. */
bool sources_caught_up(const struct sources *s);
/** Of a topic; 0: not open yet. */
size_t sources_partitions(const struct sources *s, size_t topic);
/** Look for partitions that came up since; theirs are read from the beginning, the
 * others go on. Waits for brokers at most a second a topic. */
void sources_refresh(struct sources *s);

#endif
