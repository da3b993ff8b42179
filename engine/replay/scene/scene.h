/* engine/replay/scene/scene.h -- recorded metrics as if something else had happened:
 * another split of the requests, and faults that were not there
 *
 * First requests are left out (thin.h), then injections follow in the order in which
 * they were given. The same recording, plan, injections and seed give the same cells.
 */
#ifndef SERIN_ENGINE_REPLAY_SCENE_SCENE_H
#define SERIN_ENGINE_REPLAY_SCENE_SCENE_H

#include "engine/replay/scene/change.h"
#include "engine/replay/scene/inject.h"
#include "engine/replay/scene/thin.h"

struct scene_options {
    const struct plan *plan; /* must outlive the scene; so must the texts */
    const char *const *inject;
    size_t n_inject;
    bool commanded; /* the split follows the verdicts */
    uint64_t seed;
};

struct scene; /* opaque; thread: one */

/** Errors: as inject_parse and thin_check; SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status scene_open(struct scene **out, const struct scene_options *o,
                             struct fault *f);
void scene_close(struct scene *s);
/**
 * Say what the recording spans, before its first window; else the first window is the
 * start, and the end is not known. last_ms INT64_MAX: not known yet; scene_end looks
 * later. Errors: as inject_place.
 */
SERIN_MUST_USE
enum serin_status scene_place(struct scene *s, int64_t first_ms, int64_t last_ms,
                              struct fault *f);
/** change_fn; ctx is the scene. Errors: SERIN_EDOM (scene_why), SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status scene_change(void *ctx, struct arena *a,
                               const struct change_window *w, pb_partial *p);
/** SERIN_EDOM: an injection begins after the end of a recording that it did not know.
 */
SERIN_MUST_USE
enum serin_status scene_end(struct scene *s, int64_t last_ms, struct fault *f);

/** Why a change ended the replay, as inject_place says it; "": none did. */
const char *scene_why(const struct scene *s);
/** How much the split took. */
const struct thin_report *scene_thinned(const struct scene *s);
/** The injections, and how many requests, readings or events the i-th has changed. */
const struct inject_list *scene_injected(const struct scene *s);
uint64_t scene_met(const struct scene *s, size_t i);

#endif
