/* engine/replay/report/report_pdf.c -- the page on sheets of A4 */
#include <cairo-pdf.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/replay/report/report_out.h"

static const double sheet_width = 595.28, sheet_height = 841.89, margin = 48;
static const double body = 9.5, cell_size = 7.5;

struct sheet {
    struct plot_canvas c;
    double y; /* where the next line goes */
    unsigned number;
    struct text line; /* being filled */
};

static enum plot_role ink(bool strong)
{
    return strong ? PLOT_INK : PLOT_MUTED;
}

static void footer(struct sheet *s)
{
    char text[32];
    snprintf(text, sizeof text, "%u", ++s->number);
    plot_canvas_text(&s->c, PLOT_MUTED, 8, PLOT_MIDDLE, sheet_width / 2,
                     sheet_height - margin / 2, text);
}

/* Room for so much, on this sheet or the next. */
static void need(struct sheet *s, double height)
{
    if (s->y + height <= sheet_height - margin) return;
    footer(s);
    cairo_show_page(s->c.cr);
    s->y = margin;
}

static double width_of(struct sheet *s, double size, const char *text)
{
    cairo_text_extents_t e;
    cairo_select_font_face(s->c.cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(s->c.cr, size);
    cairo_text_extents(s->c.cr, text, &e);
    return e.x_advance;
}

/* How much of the text fits into a line: up to a blank if there is one, to whole
 * characters if not. s->line holds it then. */
static size_t fits(struct sheet *s, double size, double width, const char *text)
{
    size_t end = strcspn(text, "\n"), good = 0, some = 0, at = 0;
    while (at < end) {
        size_t next = at + 1;
        while (next < end && ((unsigned char)text[next] & 0xc0) == 0x80)
            next++;
        s->line.n = 0;
        text_bytes(&s->line, text, next);
        if (s->line.failed || width_of(s, size, s->line.p) > width) break;
        some = at = next;
        if (text[at] == ' ' || at == end) good = at;
    }
    if (at < end && some == 0) some = 1; /* always go on */
    size_t n = at == end ? end : good > 0 ? good : some;
    s->line.n = 0;
    text_bytes(&s->line, text, n);
    return n;
}

/* Lines from x on in a column this wide, from y down; drawn or only measured. Returns
 * the height. */
static double wrap(struct sheet *s, double size, double x, double width, double y,
                   const char *text, enum plot_role role, bool drawn)
{
    double height = 0;
    while (*text != '\0' && !s->line.failed) {
        size_t n = fits(s, size, width, text);
        if (s->line.failed) break;
        height += 1.35 * size;
        if (drawn)
            plot_canvas_text(&s->c, role, size, PLOT_START, x, y + height - 0.35 * size,
                             s->line.p);
        text += n;
        text += *text == '\n' || *text == ' ';
    }
    return height;
}

/* A paragraph, sheet by sheet where it is longer than one. */
static void paragraph(struct sheet *s, double size, double indent, const char *text,
                      bool strong)
{
    double width = sheet_width - 2 * margin - indent;
    while (*text != '\0' && !s->line.failed) {
        size_t n = fits(s, size, width, text);
        if (s->line.failed) break;
        need(s, 1.4 * size);
        plot_canvas_text(&s->c, ink(strong), size, PLOT_START, margin + indent,
                         s->y + size, s->line.p);
        s->y += 1.4 * size;
        text += n;
        text += *text == '\n' || *text == ' ';
    }
    s->y += 0.4 * size;
}

enum { COLUMNS = 16 };

/* Columns as wide as their longest cell wants, shrunk where that is too much: long ones
 * first. */
static void columns(struct sheet *s, const struct report_block *b, double w[COLUMNS])
{
    double all = sheet_width - 2 * margin, sum = 0, fair = all / (double)b->columns;
    for (size_t i = 0; i < b->columns; i++)
        w[i] = 0;
    for (const struct report_row *r = b->head; r != NULL; r = r->next)
        for (size_t i = 0; i < b->columns; i++)
            w[i] = fmax(w[i], width_of(s, cell_size, r->cells[i]) + 8);
    double wide = 0, narrow = 0;
    for (size_t i = 0; i < b->columns; i++) {
        sum += w[i];
        if (w[i] > fair)
            wide += w[i];
        else
            narrow += w[i];
    }
    for (size_t i = 0; sum > all && i < b->columns; i++)
        if (w[i] > fair) w[i] *= (all - narrow) / wide;
}

static void table(struct sheet *s, const struct report_block *b)
{
    double w[COLUMNS];
    if (b->columns > COLUMNS) return;
    columns(s, b, w);
    need(s, 40);
    paragraph(s, 8, 0, b->text, false);
    for (const struct report_row *r = b->head; r != NULL; r = r->next) {
        double height = 0, x = margin;
        enum plot_role role = ink(r != b->head);
        for (size_t i = 0; i < b->columns; i++)
            height = fmax(height,
                          wrap(s, cell_size, 0, w[i] - 6, 0, r->cells[i], role, false));
        need(s, height + 4);
        for (size_t i = 0; i < b->columns; x += w[i++])
            wrap(s, cell_size, x, w[i] - 6, s->y, r->cells[i], role, true);
        s->y += height + 3;
        plot_canvas_line(&s->c, (struct plot_line){PLOT_GRID, 0.5, 0},
                         (double[]){margin, sheet_width - margin},
                         (double[]){s->y, s->y}, 2);
        s->y += 1.5;
    }
    s->y += 8;
}

static void figure(struct sheet *s, const struct report_block *b)
{
    struct plot_picture picture = plot_picture(b->plot);
    double scale = (sheet_width - 2 * margin) / picture.width;
    need(s, fmin(scale * picture.height + 16, sheet_height - 2 * margin));
    paragraph(s, body, 0, b->text, true);
    if (s->y + scale * picture.height > sheet_height - margin)
        scale = (sheet_height - margin - s->y) / picture.height;
    cairo_save(s->c.cr);
    cairo_translate(s->c.cr, margin, s->y);
    cairo_scale(s->c.cr, scale, scale);
    picture.draw(&s->c, picture.what);
    cairo_restore(s->c.cr);
    s->y += scale * picture.height + 8;
}

static void heading(struct sheet *s, const struct report_block *b)
{
    double size = b->level == 1 ? 16 : 12;
    if (b->level > 1) s->y += 8;
    need(s, b->level == 1 ? 30 : 160); /* not alone at the foot of a sheet */
    paragraph(s, size, 0, b->text, true);
}

static void block(struct sheet *s, const struct report_block *b)
{
    switch (b->kind) {
    case REPORT_HEADING:
        heading(s, b);
        break;
    case REPORT_TEXT:
    case REPORT_NOTES:
        paragraph(s, body, 0, b->text, true);
        break;
    case REPORT_ITEM:
        need(s, 1.4 * body);
        plot_canvas_text(&s->c, PLOT_MUTED, body, PLOT_START, margin, s->y + body,
                         "\xe2\x80\x93");
        paragraph(s, body, 12, b->text, true);
        break;
    case REPORT_TABLE:
        table(s, b);
        break;
    case REPORT_PLOT:
        figure(s, b);
        break;
    }
}

static cairo_status_t collect(void *out, const unsigned char *p, unsigned n)
{
    text_bytes(out, (const char *)p, n);
    return CAIRO_STATUS_SUCCESS;
}

enum serin_status report_out_pdf(const struct report_page *p, struct text *out)
{
    cairo_surface_t *surface =
        cairo_pdf_surface_create_for_stream(collect, out, sheet_width, sheet_height);
    struct sheet s = {.c = {cairo_create(surface), NULL}, .y = margin};
    if (p->first != NULL)
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE,
                                       p->first->text);
    for (const struct report_block *b = p->first; b != NULL; b = b->next)
        block(&s, b);
    footer(&s);
    cairo_show_page(s.c.cr);
    cairo_status_t bad = cairo_status(s.c.cr);
    cairo_destroy(s.c.cr);
    cairo_surface_finish(surface);
    if (bad == CAIRO_STATUS_SUCCESS) bad = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    bool nomem = s.line.failed || out->failed || bad == CAIRO_STATUS_NO_MEMORY;
    text_free(&s.line);
    return nomem ? SERIN_ENOMEM : bad == CAIRO_STATUS_SUCCESS ? SERIN_OK : SERIN_EIO;
}
