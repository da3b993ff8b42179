/* engine/replay/report/plot_canvas.h -- cairo with named colours and real text
 *
 * A colour is a role, so that a page can show it light or dark: SVG gets var(--name).
 * Labels of an SVG stay text, which can be read, searched and scaled. */
#ifndef SERIN_ENGINE_REPLAY_REPORT_PLOT_CANVAS_H
#define SERIN_ENGINE_REPLAY_REPORT_PLOT_CANVAS_H

#include <cairo.h>
#include <stddef.h>

#include "engine/base/status.h"
#include "engine/base/text.h"

/* clang-format off */
#define PLOT_ROLES(X) /* role, CSS name, colour on white */ \
    X(INK, "ink", 0x1b1f24)           X(MUTED, "muted", 0x57606a) \
    X(GRID, "grid", 0xd0d7de)         X(CANARY, "canary", 0xa84300) \
    X(BASELINE, "baseline", 0x0b5cad) X(TOLERANCE, "tolerance", 0x7a3fb5) \
    X(HARM, "harm", 0xb3261e)         X(SAFE, "safe", 0x17692d) \
    X(PAPER, "paper", 0xffffff)
#define X(role, name, rgb) PLOT_##role,
enum plot_role { PLOT_ROLES(X) PLOT_NROLE };
#undef X
/* clang-format on */

enum plot_anchor { PLOT_START, PLOT_MIDDLE, PLOT_END };

/* Zero but for cr, and labels where text is to become SVG. Lengths in points. */
struct plot_canvas {
    cairo_t *cr;
    struct text *labels; /* NULL: cairo draws the letters */
};

struct plot_line {
    enum plot_role role;
    double width, dash; /* dash 0: solid */
};

const char *plot_canvas_role(enum plot_role role); /* "canary"; never NULL */
/** n points joined; a NaN leaves a gap. */
void plot_canvas_line(const struct plot_canvas *c, struct plot_line l, const double *x,
                      const double *y, size_t n);
/** A polygon, as opaque as alpha says. */
void plot_canvas_fill(const struct plot_canvas *c, enum plot_role role, double alpha,
                      const double *x, const double *y, size_t n);
/** UTF-8; what is no character is left out. */
void plot_canvas_text(const struct plot_canvas *c, enum plot_role role, double size,
                      enum plot_anchor anchor, double x, double y, const char *text);
/** text with <, >, & and quotes as entities; control characters as spaces. */
void plot_canvas_escape(struct text *out, const char *text);

/* What draws a picture of this size. */
typedef void (*plot_canvas_draw)(const struct plot_canvas *c, const void *what);
struct plot_picture {
    double width, height;
    plot_canvas_draw draw;
    const void *what;
};

/**
 * The inside of an <svg>: shapes by cairo, labels as <text>; no ids, no links.
 * Errors: SERIN_ENOMEM; SERIN_EIO when cairo refuses.
 */
SERIN_MUST_USE
enum serin_status plot_canvas_svg(const struct plot_picture *p, struct text *out);
/** A PNG of twice the size, on white. Errors: SERIN_EIO, *f names the path. */
SERIN_MUST_USE
enum serin_status plot_canvas_png(const struct plot_picture *p, const char *path,
                                  struct fault *f);

#endif
