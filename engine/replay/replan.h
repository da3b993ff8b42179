/* engine/replay/replan.h -- a plan's text with a few keys changed for a replay */
#ifndef SERIN_ENGINE_REPLAY_REPLAN_H
#define SERIN_ENGINE_REPLAY_REPLAN_H

#include <stddef.h>

#include "engine/base/arena.h"
#include "engine/base/doc.h"
#include "engine/base/status.h"
#include "engine/base/text.h"

struct replan {
    const char *id;        /* NULL: as it is */
    bool unchecked;        /* sample_ratio: {check: false} */
    const char *calibrate; /* a duration, or "skip"; NULL: as it is */
    const char *window;    /* a duration; NULL: as it is */
    bool alone;        /* nobody is asked and nothing waited for: no schedule, after,
                        * gates and checks */
    bool fresh;        /* no metric's phi is given */
    const double *phi; /* of the metrics, in their order; NULL: as they are; 0:
                        * this one is left alone */
};

/** A scalar as JSON that reads as it did. Appends. */
void replan_scalar(struct text *t, const struct doc_node *n);

/**
 * The plan as JSON, which is YAML, with those changes; NUL-terminated, in the arena.
 * text  a plan that plan_parse takes
 * Errors: SERIN_EPARSE (it does not), SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status replan(struct arena *a, const char *text, size_t n,
                         const struct replan *change, const char **out);

#endif
