/* engine/replay/report/plot.h -- two pictures: values over time, and intervals row by
 * row */
#ifndef SERIN_ENGINE_REPLAY_REPORT_PLOT_H
#define SERIN_ENGINE_REPLAY_REPORT_PLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/replay/report/plot_canvas.h"

enum { PLOT_SERIES = 6, PLOT_RULES = 6, PLOT_MARKS = 64 };

/* Over time: n points, t in ms, NaN in y where there is none. As rows: n rows in the
 * order of the plot's; NaN: not in this one. lower, upper: a band, or an interval; 0 or
 * infinite: open; NULL: none. */
struct plot_series {
    const char *name;
    enum plot_role role;
    double dash;
    bool steps; /* a value holds until the next */
    const double *t, *y, *lower, *upper;
    size_t n;
};

struct plot_rule { /* a value to compare with */
    double at;
    const char *name;
    enum plot_role role;
};

struct plot_mark { /* a moment */
    double t;
    enum plot_role role;
};

/* Texts and points belong to the caller. */
struct plot {
    const char *title, *description; /* for people who do not see it */
    const char *unit;                /* of the values: "%", "ms", "" */
    bool log;                        /* values above 0 only */
    double most;                     /* values beyond are drawn there; 0: no end */
    const char *const *rows;         /* names, n_rows; NULL: over time */
    size_t n_rows;
    double from_ms, to_ms; /* over time */
    struct plot_series series[PLOT_SERIES];
    size_t n_series;
    struct plot_rule rules[PLOT_RULES];
    size_t n_rules;
    struct plot_mark marks[PLOT_MARKS];
    size_t n_marks;
};

/** Size in points. */
struct plot_picture plot_picture(const struct plot *p);
/** Is there any value to show? */
bool plot_any(const struct plot *p);
/** "12:03:20" or "9 Oct 12:03", UTC, by how long the whole is. */
void plot_time(double t_ms, double span_ms, char out[32]);
/**
 * <svg role="img"> with title and description; id: a word that is the plot's alone in
 * its document. Errors: as plot_canvas_svg.
 */
SERIN_MUST_USE
enum serin_status plot_svg(const struct plot *p, const char *id, struct text *out);

#endif
