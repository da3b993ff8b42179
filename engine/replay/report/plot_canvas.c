/* engine/replay/report/plot_canvas.c */
#include "engine/replay/report/plot_canvas.h"

#include <cairo-svg.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/series.h"

static const struct {
    const char *name;
    unsigned rgb;
} roles[] = {
#define X(role, name, rgb) [PLOT_##role] = {name, rgb},
    PLOT_ROLES(X)
#undef X
};

static double channel(unsigned rgb, unsigned shift)
{
    return (double)((rgb >> shift) & 0xff) / 255;
}

static void colour(const struct plot_canvas *c, enum plot_role role, double alpha)
{
    unsigned rgb = roles[role].rgb;
    cairo_set_source_rgba(c->cr, channel(rgb, 16), channel(rgb, 8), channel(rgb, 0),
                          alpha);
}

const char *plot_canvas_role(enum plot_role role)
{
    return roles[role].name;
}

/* A quarter of a point is as fine as anybody sees, and short in an SVG. */
static double snap(double x)
{
    return round(4 * x) / 4;
}

static bool known(const double *x, const double *y, size_t i)
{
    return !isnan(x[i]) && !isnan(y[i]);
}

void plot_canvas_line(const struct plot_canvas *c, struct plot_line l, const double *x,
                      const double *y, size_t n)
{
    const double dot = 1.5; /* half of what stands for a point between gaps */
    colour(c, l.role, 1);
    cairo_set_line_width(c->cr, l.width);
    cairo_set_line_join(c->cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_dash(c->cr, &l.dash, l.dash > 0, 0);
    for (size_t i = 0; i < n; i++) {
        if (!known(x, y, i)) continue;
        bool open = i > 0 && known(x, y, i - 1);
        bool goes_on = i + 1 < n && known(x, y, i + 1);
        if (open)
            cairo_line_to(c->cr, snap(x[i]), snap(y[i]));
        else
            cairo_move_to(c->cr, snap(x[i]) - (goes_on ? 0 : dot), snap(y[i]));
        if (!open && !goes_on) cairo_line_to(c->cr, snap(x[i]) + dot, snap(y[i]));
    }
    cairo_stroke(c->cr);
}

void plot_canvas_fill(const struct plot_canvas *c, enum plot_role role, double alpha,
                      const double *x, const double *y, size_t n)
{
    colour(c, role, alpha);
    for (size_t i = 0; i < n; i++)
        cairo_line_to(c->cr, snap(x[i]), snap(y[i]));
    cairo_close_path(c->cr);
    cairo_fill(c->cr);
}

/* U+FFFE and U+FFFF, which XML forbids. */
static bool nonsense(const char *s, size_t n)
{
    return n == 3 &&
           (memcmp(s, "\xef\xbf\xbe", 3) == 0 || memcmp(s, "\xef\xbf\xbf", 3) == 0);
}

/* Length of the character at s, 0 at the end; *s skips what is none. */
static size_t character(const char **s)
{
    for (; **s != '\0'; (*s)++) {
        unsigned char lead = (unsigned char)**s;
        size_t n = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        if (strnlen(*s, n) == n && series_text_ok((struct strview){*s, n}) &&
            !nonsense(*s, n))
            return n;
    }
    return 0;
}

void plot_canvas_escape(struct text *out, const char *text)
{
    for (size_t n; (n = character(&text)) > 0; text += n) {
        const char *entity = *text == '<'    ? "&lt;"
                             : *text == '>'  ? "&gt;"
                             : *text == '&'  ? "&amp;"
                             : *text == '"'  ? "&quot;"
                             : *text == '\'' ? "&#39;"
                                             : NULL;
        bool control =
            n == 1 && ((unsigned char)*text < 0x20 || *text == 0x7f) && *text != '\n';
        if (entity != NULL)
            text_add(out, "%s", entity);
        else if (control)
            text_add(out, " ");
        else
            text_bytes(out, text, n);
    }
}

/* cairo takes valid UTF-8 only. */
static void letters(const struct plot_canvas *c, double size, enum plot_anchor anchor,
                    double x, double y, const char *text)
{
    struct text clean = {0};
    cairo_text_extents_t e;
    for (size_t n; (n = character(&text)) > 0; text += n)
        text_bytes(&clean, (unsigned char)*text < 0x20 ? " " : text, n);
    if (!clean.failed && clean.n > 0) {
        cairo_select_font_face(c->cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                               CAIRO_FONT_WEIGHT_NORMAL);
        cairo_set_font_size(c->cr, size);
        cairo_text_extents(c->cr, clean.p, &e);
        cairo_move_to(c->cr, x - e.x_advance * (double)anchor / 2, y);
        cairo_show_text(c->cr, clean.p);
        cairo_new_path(c->cr);
    }
    text_free(&clean);
}

void plot_canvas_text(const struct plot_canvas *c, enum plot_role role, double size,
                      enum plot_anchor anchor, double x, double y, const char *text)
{
    static const char *const anchors[] = {"start", "middle", "end"};
    if (c->labels == NULL) {
        colour(c, role, 1);
        letters(c, size, anchor, x, y, text);
        return;
    }
    text_add(c->labels,
             "<text x=\"%.4g\" y=\"%.4g\" font-size=\"%.3g\" text-anchor=\"%s\" "
             "fill=\"var(--%s)\">",
             snap(x), snap(y), size, anchors[anchor], roles[role].name);
    plot_canvas_escape(c->labels, text);
    text_add(c->labels, "</text>\n");
}

static cairo_status_t collect(void *out, const unsigned char *p, unsigned n)
{
    text_bytes(out, (const char *)p, n);
    return CAIRO_STATUS_SUCCESS;
}

/* The role whose colour cairo wrote as "rgb(65.882353%,26.27451%,0%)". */
static enum plot_role written(const char *rgb)
{
    double best = INFINITY, value[3] = {0};
    enum plot_role role = PLOT_INK;
    char *end = (char *)(uintptr_t)rgb + strlen("rgb(");
    for (int i = 0; i < 3; i++) {
        value[i] = strtod(end, &end) / 100;
        end += strspn(end, "%,");
    }
    for (unsigned r = 0; r < PLOT_NROLE; r++) {
        double off = 0;
        for (unsigned i = 0; i < 3; i++)
            off += fabs(value[i] - channel(roles[r].rgb, 16 - 8 * i));
        if (off >= best) continue;
        best = off;
        role = (enum plot_role)r;
    }
    return role;
}

/* The paths that cairo wrote, with roles for colours. */
static void shapes(char *svg, struct text *out)
{
    for (char *p = strstr(svg, "<path "); p != NULL; p = strstr(p, "<path ")) {
        char *end = strstr(p, "/>"), *rgb;
        if (end == NULL) return;
        *end = '\0';
        for (; (rgb = strstr(p, "rgb(")) != NULL; p = strchr(rgb, ')') + 1) {
            text_bytes(out, p, (size_t)(rgb - p));
            text_add(out, "var(--%s)", roles[written(rgb)].name);
        }
        text_add(out, "%s/>\n", p);
        p = end + 1;
    }
}

enum serin_status plot_canvas_svg(const struct plot_picture *p, struct text *out)
{
    struct text svg = {0}, labels = {0};
    cairo_surface_t *s =
        cairo_svg_surface_create_for_stream(collect, &svg, p->width, p->height);
    struct plot_canvas c = {cairo_create(s), &labels};
    p->draw(&c, p->what);
    cairo_status_t bad = cairo_status(c.cr);
    cairo_destroy(c.cr);
    cairo_surface_finish(s);
    if (bad == CAIRO_STATUS_SUCCESS) bad = cairo_surface_status(s);
    cairo_surface_destroy(s);
    enum serin_status rc = SERIN_OK;
    if (svg.failed || labels.failed || bad == CAIRO_STATUS_NO_MEMORY)
        rc = SERIN_ENOMEM;
    else if (bad != CAIRO_STATUS_SUCCESS)
        rc = SERIN_EIO;
    if (rc == SERIN_OK && svg.n > 0) shapes(svg.p, out);
    if (rc == SERIN_OK && labels.n > 0) text_bytes(out, labels.p, labels.n);
    text_free(&svg);
    text_free(&labels);
    return rc == SERIN_OK && out->failed ? SERIN_ENOMEM : rc;
}

enum serin_status plot_canvas_png(const struct plot_picture *p, const char *path,
                                  struct fault *f)
{
    const double scale = 2;
    cairo_surface_t *s = cairo_image_surface_create(
        CAIRO_FORMAT_RGB24, (int)(scale * p->width), (int)(scale * p->height));
    struct plot_canvas c = {cairo_create(s), NULL};
    cairo_scale(c.cr, scale, scale);
    colour(&c, PLOT_PAPER, 1);
    cairo_paint(c.cr);
    p->draw(&c, p->what);
    cairo_status_t bad = cairo_status(c.cr);
    cairo_destroy(c.cr);
    if (bad == CAIRO_STATUS_SUCCESS) bad = cairo_surface_write_to_png(s, path);
    cairo_surface_destroy(s);
    if (bad == CAIRO_STATUS_SUCCESS) return SERIN_OK;
    return fault_set(f, SERIN_EIO,
                     "%s: %s; expected a folder that can be written, with room in it",
                     path, cairo_status_to_string(bad));
}
