/* engine/replay/record/recording.h -- the file format of recordings: write, read, check
 *
 * All numbers little-endian. A file is a header and frames; every frame can be checked
 * and unpacked alone, so a reader seeks by hopping from header to header.
 *
 *   header   8  "SERINREC"
 *            2  major version: a reader refuses another one
 *            2  minor version: a reader ignores kinds of frames it does not know
 *            4  zero
 *   frame    4  "SFRM"
 *            1  kind: 1 meta, 2 records, 3 end
 *            1  codec of the payload: 0 plain, 1 zstd
 *            2  zero
 *            4  bytes of the payload as stored      4  as unpacked, <= 16 MiB
 *            4  records in it                       4  frame number, from 0
 *            8  smallest, 8 largest timestamp in it (ms since the epoch; 0 without
 * records) 16  first half of BLAKE2b-256 over the 40 bytes above and the stored payload
 *               payload
 *   meta     frame 0: the JSON object of engine/replay/record/origin.h
 *   records  each: 2 topic (index into meta's topics), 1 flags (1 no key, 2 no value),
 *            1 format its content type names (0 none), 4 partition, 8 offset,
 *            8 timestamp, 4 key length, 4 value length, key, value
 *   end      8  records in the whole file; a file without it was cut short
 */
#ifndef SERIN_ENGINE_REPLAY_RECORD_RECORDING_H
#define SERIN_ENGINE_REPLAY_RECORD_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/status.h"
#include "engine/base/strview.h"

enum { RECORDING_MAJOR = 1, RECORDING_MINOR = 1 };
#define RECORDING_FRAME_MAX ((size_t)16 << 20) /* bytes of a payload, unpacked */
#define RECORDING_HEADER ((size_t)16)
#define RECORDING_FRAME_HEADER ((size_t)56)

/* key or value NULL: none (a tombstone), which is not the same as empty. */
struct recording_record {
    uint16_t topic;
    uint8_t format; /* of an input's record: enum format, as its content type said */
    int32_t partition;
    int64_t offset, timestamp_ms;
    const void *key, *value;
    size_t key_len, value_len;
};

struct recording_writer; /* opaque; thread: one */

/**
 * path  "-": standard output. An existing file is replaced.
 * meta  a JSON object, at most 1 MiB
 * Errors: SERIN_EIO, SERIN_ENOMEM, SERIN_ELIMIT.
 */
SERIN_MUST_USE
enum serin_status recording_create(struct recording_writer **out, const char *path,
                                   const char *meta, struct fault *f);
/** Memory stays flat. Errors: SERIN_EIO, SERIN_ELIMIT (a record beyond a frame). */
SERIN_MUST_USE
enum serin_status recording_add(struct recording_writer *w,
                                const struct recording_record *r, struct fault *f);
/** Put what was added into the file, so that a reader of it so far sees it. */
SERIN_MUST_USE
enum serin_status recording_flush(struct recording_writer *w, struct fault *f);
/** Write the end, sync, close; *w is gone whatever it returns. */
SERIN_MUST_USE
enum serin_status recording_finish(struct recording_writer *w, struct fault *f);
/** Close without an end: a reader will say that it was cut short. NULL is a no-op. */
void recording_abandon(struct recording_writer *w);
uint64_t recording_written(const struct recording_writer *w); /* records so far */
/** Bytes given to the file so far; what waits for its frame is not among them. */
uint64_t recording_size(const struct recording_writer *w);

struct recording_reader; /* opaque; thread: one */

/**
 * path  "-": standard input.
 * Errors: SERIN_ENOENT (no such file), SERIN_EPARSE (not a recording, another version,
 * or its meta is damaged), SERIN_EIO, SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status recording_open(struct recording_reader **out, const char *path,
                                 struct fault *f);
/** Read on in a stream of which these bytes were read already; both are the caller's
 * and outlive *out. path is for messages. As recording_open. */
SERIN_MUST_USE
enum serin_status recording_adopt(struct recording_reader **out, FILE *stream,
                                  struct strview head, const char *path,
                                  struct fault *f);
void recording_close(struct recording_reader *r);
/** The meta object's text, NUL-terminated; lives as long as *r. */
const char *recording_meta(const struct recording_reader *r);
/**
 * The next record; what it points to lives until the next call.
 * SERIN_AGAIN: this was all, and the file is whole. SERIN_EPARSE: damaged or cut short
 * from here on; all records given out so far are good. Errors: SERIN_EIO.
 */
SERIN_MUST_USE
enum serin_status recording_next(struct recording_reader *r,
                                 struct recording_record *out, struct fault *f);
/** Records so far, those that were hopped over included. */
uint64_t recording_read(const struct recording_reader *r);
uint64_t recording_bytes(const struct recording_reader *r); /* of the file, so far */
/* What the headers of a file's frames say. Times in ms; INT64_MIN: no records. */
struct recording_outline {
    uint64_t frames, records;
    int64_t first_ms, last_ms;
    uint32_t
        until;  /* the frame behind the last one that has a record before before_ms */
    bool whole; /* there is an end */
};
/**
 * Hop from header to header to the end, unpack nothing, and come back: call it before
 * the first record. It ends where a header is wrong or the file is cut short; damage
 * inside of frames goes unseen.
 * Errors: SERIN_ESTATE (a pipe, or a record was read), SERIN_EIO.
 */
SERIN_MUST_USE
enum serin_status recording_survey(struct recording_reader *r, int64_t before_ms,
                                   struct recording_outline *out, struct fault *f);
/**
 * From here on hop over frames whose records are all before from_ms, and end at frame
 * `until` (UINT32_MAX: at the file's). What is hopped over is not checked: what comes
 * out is. Where the file cannot be hopped in, a pipe, all of it is read.
 */
void recording_stretch(struct recording_reader *r, int64_t from_ms, uint32_t until);
uint64_t recording_hopped(const struct recording_reader *r); /* frames so far */
/**
 * Make a file whole that recording_next found cut short or damaged: it ends after the
 * records that were read; what follows is dropped. Not for pipes. Errors: SERIN_EIO,
 * SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status recording_mend(const struct recording_reader *r, struct fault *f);

#endif
