/* engine/core/outlook_shape.h -- latencies of a simulated release, in buckets
 *
 * Usually log-normal, given by two quantiles; a regression makes all of them longer, or
 * some of them by a fixed time. */
#ifndef SERIN_ENGINE_CORE_OUTLOOK_SHAPE_H
#define SERIN_ENGINE_CORE_OUTLOOK_SHAPE_H

#include "engine/core/draw.h"
#include "engine/core/outlook.h"
#include "stats/hist.h"

/* Value type of 18 KiB. */
struct outlook_shape {
    int32_t first; /* bucket of HIST_SCALE */
    size_t n;
    double below[HIST_ROOM + 1]; /* share in buckets before first + k; [n] = 1 */
};

/**
 * bad NULL: as usual. base and bad as outlook_make accepts them.
 * SERIN_EDOM when the range is wider than a histogram.
 */
SERIN_MUST_USE
enum serin_status outlook_shape_make(struct outlook_shape *s,
                                     const struct outlook_base *base,
                                     const struct outlook_bad *bad);
/** Share of values above ms. */
double outlook_shape_beyond(const struct outlook_base *base,
                            const struct outlook_bad *bad, double ms);
/**
 * About n values, in lumps of phi >= 1 as draw_lumps. counts: HIST_ROOM, for the view;
 * they are written.
 */
struct hist_view outlook_shape_draw(const struct outlook_shape *s, struct draw *d,
                                    uint64_t n, double phi, uint64_t *counts);

#endif
