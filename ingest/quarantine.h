/* ingest/quarantine.h -- records that could not be decoded: why, and the latest of them
 */
#ifndef SERIN_INGEST_QUARANTINE_H
#define SERIN_INGEST_QUARANTINE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

/* clang-format off */
#define QUARANTINE_MAP(X)                                             \
    X(EMPTY, "empty")               X(OVERSIZE, "oversize")           \
    X(TRUNCATED, "truncated")       X(VARINT, "bad_varint")           \
    X(TYPE, "wrong_type")           X(SCHEMA, "schema")               \
    X(COLUMN, "inconsistent_column") X(MIXED, "mixed_values")         \
    X(TEXT, "bad_text")             X(SYNTAX, "bad_json")             \
    X(FIELD, "missing_field")       X(LIMIT, "limit")                  \
    X(LINE, "bad_line")             X(SNAPPY, "bad_snappy")
#define X(name, text) QUARANTINE_##name,
enum quarantine_reason { QUARANTINE_MAP(X) QUARANTINE_REASONS };
#undef X
/* clang-format on */

/** Reason code as it is counted and shown; never NULL. */
const char *quarantine_text(enum quarantine_reason r);

/* Why one record was refused. */
struct reject {
    enum quarantine_reason reason;
    char detail[160];
};

/** Fill *r; returns SERIN_EPARSE, so that `return quarantine_refuse(…)` reads well. */
enum serin_status quarantine_refuse(struct reject *r, enum quarantine_reason reason,
                                    const char *fmt, ...) SERIN_PRINTF(3, 4);

enum { QUARANTINE_KEPT = 1000 };

struct quarantine_entry {
    int64_t t_ms, offset;
    int32_t partition;
    enum quarantine_reason reason;
    char topic[128], detail[160], head[96]; /* head: printable start of the record */
};

struct quarantine; /* opaque; the writers below: one thread; the readers: any */

SERIN_MUST_USE
enum serin_status quarantine_open(struct quarantine **out);
void quarantine_close(struct quarantine *q);
/**
 * Note one record; it shows and counts once it is sealed and
 * committed.
 * record  what the head is cut from; may be NULL when n is 0
 */
void quarantine_add(struct quarantine *q, const struct quarantine_entry *e,
                    const void *record, size_t n);
/** The records noted so far belong to one transaction, the next ones to another. */
void quarantine_seal(struct quarantine *q);
/** The transaction that skips the sealed records was committed. */
void quarantine_commit(struct quarantine *q);
/** It was not: they and what was noted since will be read again. */
void quarantine_rollback(struct quarantine *q);
/** Latest records, newest first, at most QUARANTINE_KEPT; returns how many. */
size_t quarantine_latest(struct quarantine *q, struct quarantine_entry *out,
                         size_t room);
/** Bytes that one takes, always. */
size_t quarantine_memory(void);
/** Records of one reason since the start. */
uint64_t quarantine_count(struct quarantine *q, enum quarantine_reason r);

#endif
