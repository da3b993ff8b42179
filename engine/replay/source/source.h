/* engine/replay/source/source.h -- a recording of metrics, whatever it is, record by
 * record
 *
 * What `feed` reads from. Every kind ends in the decoders and the aggregate of ingest:
 * a row of a table becomes JSON, a moment of Prometheus a remote write, a recorded
 * record is what it was. */
#ifndef SERIN_ENGINE_REPLAY_SOURCE_SOURCE_H
#define SERIN_ENGINE_REPLAY_SOURCE_SOURCE_H

#include "engine/replay/source/hlog.h"
#include "engine/replay/source/names.h"
#include "ingest/decode/format.h"

/* clang-format off */
#define SOURCE_MAP(X) \
    X(AUTO, "auto") X(SERIN, "serin") X(JSON, "json") X(CSV, "csv") X(HLOG, "hlog") \
    X(PROMETHEUS, "prometheus") X(INFLUX, "influx") X(OTLP_JSON, "otlp_json")
#define X(name, text) SOURCE_##name,
enum source_kind { SOURCE_MAP(X) SOURCE_KINDS };
#undef X
/* clang-format on */

#define SOURCE_EXPECTED "auto, serin, json, csv, hlog, prometheus, influx or otlp_json"

enum { SOURCE_MAPS = 8, SOURCE_MARGIN_MS = 600000 };

/* How a file is to be read; all zero: as its first bytes say. */
struct source_format {
    enum source_kind kind;
    const char *maps[SOURCE_MAPS]; /* of columns (engine/replay/source/columns.h) */
    size_t n_maps;
};

/** The kind of that name; false when there is none, *out is untouched then. */
bool source_parse(const char *name, enum source_kind *out);

struct source; /* opaque; thread: one */

/* One record; it lives until the next call. */
struct source_record {
    struct strview bytes;
    enum format format;
    const struct aggregate_input *input; /* defaults; never NULL */
    struct hlog_interval interval;       /* of an interval log */
    bool refused;                        /* it could not even be read; why says why */
    struct reject why;
};

/**
 * path    "-": standard input. Lines and tables may be packed by zstd
 * format  must outlive *out
 * Errors: SERIN_ENOENT, SERIN_EIO, SERIN_ENOMEM; SERIN_EPARSE: none of these, or not
 * what the format says; *f names what was found and what was expected.
 */
SERIN_MUST_USE
enum serin_status source_open(struct source **out, const char *path,
                              const struct source_format *format, struct fault *f);
void source_close(struct source *s);
/** Only times of [from_ms, to_ms) are of interest: of a recorded topic, what was
 * written over SOURCE_MARGIN_MS before or after may be hopped over, unread. Call it
 * first. */
void source_within(struct source *s, int64_t from_ms, int64_t to_ms);
/** SERIN_AGAIN: this was all. SERIN_EPARSE: damaged or cut short from here on; what was
 * before is good. Errors: SERIN_ELIMIT, SERIN_EIO, SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status source_next(struct source *s, struct source_record *out,
                              struct fault *f);
/** What the record names outright, as names_each. */
SERIN_MUST_USE
enum serin_status source_names(const struct source *s, const struct source_record *r,
                               names_use use, void *ctx);
/** Into the aggregate, as format_decode; aggregate_input and _message were called. */
SERIN_MUST_USE
enum serin_status source_decode(struct source *s, const struct source_record *r,
                                struct aggregate *a, struct reject *why);
/** Where the record given last stands, for people: "line 7". */
void source_place(const struct source *s, char out[160]);
/** Bytes of the file read so far, and in all (0: not known). */
uint64_t source_read(const struct source *s);
uint64_t source_size(const struct source *s);

#endif
