/* ingest/alias.h -- names of series as a format writes them, known again by their bytes
 *
 * A name is a path: of a resource, a scope, a metric, a point. Each step is bytes below
 * a parent, so a name seen before costs one hash and one comparison of its last step,
 * and need not be rewritten as a header (ingest/series.h) to be found. */
#ifndef SERIN_INGEST_ALIAS_H
#define SERIN_INGEST_ALIAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/base/strview.h"

struct aggregate_series;

struct alias {
    uint64_t hash, parent;
    struct aggregate_series *series; /* NULL: not found yet; the caller's to set */
    bool checked;                    /* likewise: its bytes are well-formed */
    size_t n;
    uint8_t bytes[];
};

struct aliases; /* opaque; thread: one */

SERIN_MUST_USE
enum serin_status alias_open(struct aliases **out, size_t max_bytes);
void alias_close(struct aliases *t);
/** The step of these bytes below another, or below a root that a small number stands
 * for; valid until alias_forget. NULL: no room. */
struct alias *alias_of(struct aliases *t, uint64_t parent, struct strview bytes);
static inline uint64_t alias_parent(const struct alias *a)
{
    return (uint64_t)(uintptr_t)a;
}
/** No room is left, or hardly any. */
bool alias_full(const struct aliases *t);
void alias_forget(struct aliases *t);
/** Bytes it takes. */
size_t alias_bytes(const struct aliases *t);

#endif
