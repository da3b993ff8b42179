/* engine/cli/demo_view.h -- what the demo shows: a live screen, verdict lines, a table
 */
#ifndef SERIN_ENGINE_CLI_DEMO_VIEW_H
#define SERIN_ENGINE_CLI_DEMO_VIEW_H

#include <stdbool.h>
#include <stdio.h>

#include "engine/cli/demo_traffic.h"
#include "proto/messages.h"

/* One service as it stands. row NULL: not applied yet. */
struct demo_line {
    const pb_rollout *row;
    char sentence[240];            /* of the latest verdict; "" = none yet */
    char proxy[80];                /* what its proxy does; "": made-up requests */
    double estimate, lower, upper; /* odds ratio of the latest judging verdict … */
    bool judged;                   /* … if there was one */
};

/** Redraw the whole screen from its top left corner. */
void demo_view_screen(FILE *out, const struct demo_line lines[DEMO_SERVICES],
                      double seconds, bool colour);
/** One verdict as a line. */
void demo_view_verdict(FILE *out, const pb_verdict *v, double seconds);
/** How it ended, one row a service. */
void demo_view_table(FILE *out, const struct demo_line lines[DEMO_SERVICES]);
/** Take a verdict into a service's line. */
void demo_view_take(struct demo_line *l, const pb_verdict *v);

#endif
