/* engine/replay/source/lines.h -- a file of text lines, plain or zstd, one line at a
 * time */
#ifndef SERIN_ENGINE_REPLAY_SOURCE_LINES_H
#define SERIN_ENGINE_REPLAY_SOURCE_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/status.h"
#include "engine/base/strview.h"

/* A longer line is refused, whatever the file says. */
#define LINES_MAX ((size_t)16 << 20)

struct lines; /* opaque; thread: one; memory does not grow with the file */

/**
 * path  "-": standard input. Whether it is packed shows in its first bytes.
 * Errors: SERIN_ENOENT, SERIN_EIO, SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status lines_open(struct lines **out, const char *path, struct fault *f);
void lines_close(struct lines *l);
/**
 * The next line without its end; it lives until the next call. SERIN_AGAIN: this was
 * all. SERIN_EPARSE: the packed stream is damaged or cut short; the lines before are
 * good. Errors: SERIN_ELIMIT (a line over LINES_MAX), SERIN_EIO.
 */
SERIN_MUST_USE
enum serin_status lines_next(struct lines *l, struct strview *line, struct fault *f);
/** Does it begin as a recording of engine/replay/record/recording.h? */
bool lines_is_recording(const struct lines *l);
/** How it begins, unpacked, before the first line is taken: at least 256 bytes where
 * there are so many. Errors: as lines_next. */
SERIN_MUST_USE
enum serin_status lines_peek(struct lines *l, struct strview *head, struct fault *f);
/** All that is left, at most max bytes; it lives until lines_close. Errors: as
 * lines_next, SERIN_ELIMIT: it is more. */
SERIN_MUST_USE
enum serin_status lines_rest(struct lines *l, size_t max, struct strview *all,
                             struct fault *f);
/** The stream and what was read of it already, for who reads on in another way; both
 * live as long as *l. */
FILE *lines_stream(const struct lines *l, struct strview *head);
uint64_t lines_number(const struct lines *l); /* of the line given last, from 1 */
/** Bytes of the file read so far, and in all (0: not known, a pipe). */
uint64_t lines_read(const struct lines *l);
uint64_t lines_size(const struct lines *l);

#endif
