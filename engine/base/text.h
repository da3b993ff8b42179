/* engine/base/text.h -- a text that grows as it is written, up to a hard maximum */
#ifndef SERIN_ENGINE_BASE_TEXT_H
#define SERIN_ENGINE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/arena.h"
#include "engine/base/status.h"

/* Zero-initialise; text_free when done. A write that fails (memory, maximum) sets
 * failed and drops what comes after, so that only the end needs a check. */
struct text {
    char *p;             /* NUL-terminated once something was written */
    size_t n, room, max; /* max in bytes; 0 = TEXT_DEFAULT_MAX */
    bool failed;
};
#define TEXT_DEFAULT_MAX ((size_t)16 << 20)

void text_add(struct text *t, const char *fmt, ...) SERIN_PRINTF(2, 3);
void text_bytes(struct text *t, const char *p, size_t n);
/** A JSON string with its quotes; s is UTF-8, NULL writes null. */
void text_json(struct text *t, const char *s);
/** Copy into the arena, NUL-terminated; NULL when a write failed or memory is out. */
char *text_keep(const struct text *t, struct arena *a);
void text_free(struct text *t);

#endif
