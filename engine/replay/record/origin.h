/* engine/replay/record/origin.h -- a recording's meta: where its records are from, and
 * how those of an input topic have to be read
 *
 * A JSON object:
 *   schema      "serin.recording/1"
 *   what        "inbox", "inputs" or "both"; without it an inbox
 *   serin, created_ms      the program that wrote it, and when
 *   topics      names; a record's topic number is an index into them. The inbox, where
 *               there is one, is the first
 *   partitions  of the inbox
 *   max_lag_ms  of the engine's decisions, lateness_ms of its ingest
 *   inputs      of each input topic what serin.yaml says of it: {"topic", "format",
 *               "max_message", "defaults": {"metric", "attributes": {…}, "cumulative",
 *               "timestamps": "auto|s|ms|us|ns"}}
 *   segment     of a ring (engine/replay/record/ring.h): {"number", "next": [[offset,
 * …], …]}, by topic and partition the first offset that is not in the segments before;
 * -1: none of it is A record whose own content type names a format has that format's
 * number (recording_record.format); 0: as the input says. */
#ifndef SERIN_ENGINE_REPLAY_RECORD_ORIGIN_H
#define SERIN_ENGINE_REPLAY_RECORD_ORIGIN_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "ingest/aggregate.h"
#include "ingest/decode/format.h"

enum { ORIGIN_MAX_TOPICS = 128, ORIGIN_MAX_PARTITIONS = 65536 };

struct origin_topic {
    const char *name;
    bool input; /* else the inbox */
    enum format format;
    size_t max_message; /* bytes; a longer record is not decoded. 0: not said */
    struct aggregate_input defaults; /* id: its number among the topics */
    /* Of a segment: where the ring stood at its beginning, by partition. */
    int64_t *next;
    size_t n_next;
};

/* Zero-initialise; origin_free when done. Texts live in the arena, or are borrowed by
 * the one who fills it to write. Times in ms; 0 where nothing is said. */
struct origin {
    struct arena arena;
    const char *serin; /* version */
    struct origin_topic *topics;
    size_t n;
    int32_t partitions;
    int64_t created_ms, max_lag_ms, lateness_ms;
    uint64_t segment; /* number, from 1; 0: none of a ring */
};

/** Errors: SERIN_EPARSE (names what was found), SERIN_ENOMEM; *o is to be freed then,
 * too. */
SERIN_MUST_USE
enum serin_status origin_read(struct origin *o, const char *meta, struct fault *f);
/** The meta as text, in *a. Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status origin_write(const struct origin *o, struct arena *a,
                               const char **out);
void origin_free(struct origin *o);

/** Is there an inbox, an input? */
bool origin_has(const struct origin *o, bool input);
/** The same topics in the same order? */
bool origin_same_topics(const struct origin *a, const struct origin *b);
/** Names of the topics for people, cut where out ends. */
const char *origin_names(const struct origin *o, char *out, size_t room);
/** How a record of that topic is to be decoded. */
static inline enum format origin_format(const struct origin_topic *t, uint8_t recorded)
{
    return recorded != 0 && recorded < FORMAT_COUNT ? (enum format)recorded : t->format;
}

#endif
