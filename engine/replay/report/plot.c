/* engine/replay/report/plot.c */
#include "engine/replay/report/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/replay/report/plot_scale.h"

enum { POINTS = 1024 }; /* of a line that is drawn */
static const double width = 680, over_time = 236, row = 24;
static const double left = 62, right = 12, top = 30, bottom = 30, names = 190;
static const double small = 10.5;

/* The frame being drawn in. */
struct frame {
    const struct plot *p;
    const struct plot_canvas *c;
    struct plot_scale value, time; /* time: rows have none */
    double height;
};

static bool is_open(double limit)
{
    return !(limit > 0) || isinf(limit);
}

bool plot_any(const struct plot *p)
{
    for (size_t i = 0; i < p->n_series; i++)
        for (size_t k = 0; k < p->series[i].n; k++)
            if (isfinite(p->series[i].y[k])) return true;
    return false;
}

void plot_time(double t_ms, double span_ms, char out[32])
{
    time_t s = (time_t)(t_ms / 1000);
    struct tm utc = {0};
    gmtime_r(&s, &utc);
    strftime(out, 32,
             span_ms < 7.2e6    ? "%H:%M:%S"
             : span_ms < 8.64e7 ? "%H:%M"
                                : "%d %b %H:%M",
             &utc);
}

static struct plot_range range(const struct plot *p)
{
    struct plot_range r = {.log = p->log};
    for (size_t i = 0; i < p->n_series; i++)
        for (size_t k = 0; k < p->series[i].n; k++) {
            const struct plot_series *s = &p->series[i];
            plot_scale_add(&r, p->most > 0 ? fmin(s->y[k], p->most) : s->y[k]);
            if (s->lower != NULL && !is_open(s->lower[k]))
                plot_scale_add(&r, s->lower[k]);
            if (s->upper != NULL && !is_open(s->upper[k]))
                plot_scale_add(&r, s->upper[k]);
        }
    for (size_t i = 0; i < p->n_rules; i++)
        plot_scale_add(&r, p->rules[i].at);
    return r;
}

static void label(const struct frame *f, enum plot_role role, enum plot_anchor anchor,
                  double x, double y, const char *text)
{
    plot_canvas_text(f->c, role, small, anchor, x, y, text);
}

static void segment(const struct frame *f, struct plot_line l, double x0, double y0,
                    double x1, double y1)
{
    plot_canvas_line(f->c, l, (double[]){x0, x1}, (double[]){y0, y1}, 2);
}

static void number(const struct frame *f, double x, char out[48])
{
    snprintf(out, 48, "%.5g%s%s", x, *f->p->unit != '\0' ? " " : "", f->p->unit);
}

/* ---------------------------------------------------------------- the key */

static void key(const struct frame *f)
{
    double x = left;
    for (size_t i = 0; i < f->p->n_series + f->p->n_rules; i++) {
        bool line = i < f->p->n_series;
        const struct plot_series *s = line ? &f->p->series[i] : NULL;
        const struct plot_rule *r = line ? NULL : &f->p->rules[i - f->p->n_series];
        const char *name = line ? s->name : r->name;
        enum plot_role role = line ? s->role : r->role;
        if (name == NULL) continue;
        segment(f, (struct plot_line){role, 2, line ? s->dash : 2}, x, 12, x + 20, 12);
        label(f, PLOT_INK, PLOT_START, x + 25, 15.5, name);
        x += 40 + 6.4 * (double)strlen(name);
    }
}

/* ---------------------------------------------------------------- over time */

static void grid(const struct frame *f)
{
    const struct plot_line thin = {PLOT_GRID, 0.75, 0};
    double at[PLOT_TICKS];
    char text[48], when[32];
    size_t n = plot_scale_ticks(&f->value, 5, at);
    for (size_t i = 0; i < n; i++) {
        double y = plot_scale_place(&f->value, at[i]);
        segment(f, thin, left, y, width - right, y);
        number(f, at[i], text);
        label(f, PLOT_MUTED, PLOT_END, left - 5, y + 3.5, text);
    }
    n = plot_scale_times(&f->time, 7, at);
    for (size_t i = 0; i < n; i++) {
        double x = plot_scale_place(&f->time, at[i]);
        segment(f, thin, x, f->height - bottom, x, f->height - bottom + 4);
        plot_time(at[i], f->time.high - f->time.low, when);
        label(f, PLOT_MUTED, PLOT_MIDDLE, x, f->height - bottom + 16, when);
    }
}

static void band(const struct frame *f, const struct plot_series *s)
{
    double x[2 * POINTS], y[2 * POINTS];
    size_t n = 0;
    for (size_t i = 0; i < s->n && n < POINTS; i++) {
        if (isnan(s->y[i])) continue;
        x[n] = plot_scale_place(&f->time, s->t[i]);
        y[n++] = is_open(s->upper[i]) ? f->value.b
                                      : plot_scale_place(&f->value, s->upper[i]);
    }
    size_t half = n;
    for (size_t i = s->n; i-- > 0 && n < 2 * half;) {
        if (isnan(s->y[i])) continue;
        x[n] = plot_scale_place(&f->time, s->t[i]);
        y[n++] = is_open(s->lower[i]) ? f->value.a
                                      : plot_scale_place(&f->value, s->lower[i]);
    }
    if (half > 1) plot_canvas_fill(f->c, s->role, 0.18, x, y, n);
}

static void line(const struct frame *f, const struct plot_series *s)
{
    double x[2 * POINTS], y[2 * POINTS];
    size_t n = 0;
    for (size_t i = 0; i < s->n && n + 1 < 2 * POINTS; i++) {
        double at = plot_scale_place(&f->time, s->t[i]);
        if (s->steps && n > 0) {
            x[n] = at;
            y[n] = y[n - 1];
            n++;
        }
        x[n] = at;
        y[n++] = plot_scale_place(&f->value, s->y[i]);
    }
    plot_canvas_line(f->c, (struct plot_line){s->role, 1.6, s->dash}, x, y, n);
}

static void draw_time(struct frame *f)
{
    const struct plot *p = f->p;
    struct plot_range r = range(p);
    f->value = plot_scale_of(&r, f->height - bottom, top);
    f->time = (struct plot_scale){p->from_ms, p->to_ms, left, width - right, false};
    if (!(f->time.high > f->time.low)) f->time.high = f->time.low + 1000;
    grid(f);
    for (size_t i = 0; i < p->n_marks; i++) {
        double x = plot_scale_place(&f->time, p->marks[i].t);
        segment(f, (struct plot_line){p->marks[i].role, 1, 3}, x, top, x,
                f->height - bottom);
    }
    for (size_t i = 0; i < p->n_rules; i++) {
        double y = plot_scale_place(&f->value, p->rules[i].at);
        segment(f, (struct plot_line){p->rules[i].role, 1.4, 2}, left, y, width - right,
                y);
    }
    for (size_t i = 0; i < p->n_series; i++)
        if (p->series[i].lower != NULL) band(f, &p->series[i]);
    for (size_t i = 0; i < p->n_series; i++)
        line(f, &p->series[i]);
}

/* ---------------------------------------------------------------- row by row */

static void interval(const struct frame *f, const struct plot_series *s, size_t i,
                     double y)
{
    const struct plot_line thick = {s->role, 2, s->dash}, thin = {s->role, 1.5, 0};
    double x = plot_scale_place(&f->value, s->y[i]);
    plot_canvas_fill(f->c, s->role, 1, (double[]){x - 4, x, x + 4, x},
                     (double[]){y, y - 4, y, y + 4}, 4);
    if (s->lower == NULL) return; /* a value alone */
    bool low = is_open(s->lower[i]), high = is_open(s->upper[i]);
    double a = low ? f->value.a : plot_scale_place(&f->value, s->lower[i]);
    double b = high ? f->value.b : plot_scale_place(&f->value, s->upper[i]);
    segment(f, thick, a, y, b, y);
    if (!low) segment(f, thin, a, y - 4, a, y + 4); /* an open end has no bar */
    if (!high) segment(f, thin, b, y - 4, b, y + 4);
}

static void draw_rows(struct frame *f)
{
    const struct plot *p = f->p;
    struct plot_range r = range(p);
    double at[PLOT_TICKS];
    char text[48];
    f->value = plot_scale_of(&r, names, width - right);
    size_t n = plot_scale_ticks(&f->value, 6, at);
    for (size_t i = 0; i < n; i++) {
        double x = plot_scale_place(&f->value, at[i]);
        segment(f, (struct plot_line){PLOT_GRID, 0.75, 0}, x, top, x,
                f->height - bottom);
        number(f, at[i], text);
        label(f, PLOT_MUTED, PLOT_MIDDLE, x, f->height - bottom + 16, text);
    }
    for (size_t i = 0; i < p->n_rules; i++) {
        double x = plot_scale_place(&f->value, p->rules[i].at);
        segment(f, (struct plot_line){p->rules[i].role, 1.4, 2}, x, top, x,
                f->height - bottom);
    }
    for (size_t i = 0; i < p->n_rows; i++) {
        double y = top + row * ((double)i + 0.5);
        label(f, PLOT_INK, PLOT_END, names - 8, y + 3.5, p->rows[i]);
        for (size_t k = 0; k < p->n_series; k++)
            if (isfinite(p->series[k].y[i])) interval(f, &p->series[k], i, y);
    }
}

static double height_of(const struct plot *p)
{
    return p->rows == NULL ? over_time : top + row * (double)p->n_rows + bottom;
}

static void draw(const struct plot_canvas *c, const void *what)
{
    struct frame f = {.p = what, .c = c};
    f.height = height_of(f.p);
    key(&f);
    if (f.p->rows == NULL)
        draw_time(&f);
    else
        draw_rows(&f);
}

struct plot_picture plot_picture(const struct plot *p)
{
    return (struct plot_picture){width, height_of(p), draw, p};
}

enum serin_status plot_svg(const struct plot *p, const char *id, struct text *out)
{
    struct plot_picture picture = plot_picture(p);
    text_add(out,
             "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 %g "
             "%g\" aria-labelledby=\"%s-t %s-d\"><title id=\"%s-t\">",
             picture.width, picture.height, id, id, id);
    plot_canvas_escape(out, p->title);
    text_add(out, "</title><desc id=\"%s-d\">", id);
    plot_canvas_escape(out, p->description);
    text_add(out, "</desc>\n");
    enum serin_status rc = plot_canvas_svg(&picture, out);
    text_add(out, "</svg>\n");
    return rc == SERIN_OK && out->failed ? SERIN_ENOMEM : rc;
}
