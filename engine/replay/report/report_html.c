/* engine/replay/report/report_html.c */
#include <string.h>

#include "engine/replay/report/report_out.h"

/* clang-format off */
/* Colours of PLOT_ROLES; those of the dark scheme have the same contrast on dark. */
static const char style[] =
":root{color-scheme:light dark}\n"
"@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--muted:#9aa4af;--grid:#343b44;--canary:#ffa657;--baseline:#79c0ff;--tolerance:#d2a8ff;--harm:#ff7b72;--safe:#56d364;--paper:#0d1117}}\n"
"@media print{:root{color-scheme:light}svg,table,figure{break-inside:avoid}h2{break-after:avoid}body{max-width:none}details{display:none}}\n"
"body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:1.5rem auto;max-width:56rem;padding:0 1rem;overflow-wrap:anywhere}\n"
"h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid var(--grid)}\n"
"figure{margin:1rem 0 .3rem}figcaption{font-weight:600}svg{width:100%;height:auto;font-family:system-ui,sans-serif}\n"
"table{border-collapse:collapse;width:100%;font-size:.9rem;margin:.5rem 0}caption{text-align:left;color:var(--muted)}\n"
"th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid var(--grid);vertical-align:top;font-variant-numeric:tabular-nums;overflow-wrap:break-word}tbody th{font-weight:600;min-width:6.5rem}\n"
"summary{cursor:pointer;color:var(--muted);font-size:.9rem}a{color:var(--baseline)}.notes{white-space:pre-wrap}.wide{overflow-x:auto}\n";
/* clang-format on */

static void colours(struct text *out)
{
    static const struct {
        const char *name;
        unsigned rgb;
    } roles[] = {
#define X(role, name, rgb) {name, rgb},
        PLOT_ROLES(X)
#undef X
    };
    text_add(out, ":root{");
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        text_add(out, "--%s:#%06x;", roles[i].name, roles[i].rgb);
    text_add(out, "}\n");
}

static void element(struct text *out, const char *tag, const char *text)
{
    text_add(out, "<%s>", tag);
    plot_canvas_escape(out, text);
    text_add(out, "</%.*s>", (int)strcspn(tag, " "), tag);
}

static void notes(struct text *out, const char *text)
{
    if (!report_page_link(text)) {
        element(out, "p class=\"notes\"", text);
        return;
    }
    text_add(out, "<p><a rel=\"noreferrer noopener\" href=\"");
    plot_canvas_escape(out, text);
    text_add(out, "\">");
    plot_canvas_escape(out, text);
    text_add(out, "</a></p>");
}

static void table(const struct report_block *b, struct text *out)
{
    text_add(out, b->beside ? "<details><summary>Numbers: " : "<div class=\"wide\">");
    if (b->beside) {
        plot_canvas_escape(out, b->text);
        text_add(out, "</summary><div class=\"wide\">");
    }
    text_add(out, "<table>");
    element(out, "caption", b->text);
    text_add(out, "<thead><tr>");
    for (size_t i = 0; i < b->columns; i++)
        element(out, "th scope=\"col\"", b->head->cells[i]);
    text_add(out, "</tr></thead>\n<tbody>\n");
    for (const struct report_row *r = b->head->next; r != NULL; r = r->next) {
        text_add(out, "<tr>");
        for (size_t i = 0; i < b->columns; i++)
            element(out, i == 0 ? "th scope=\"row\"" : "td", r->cells[i]);
        text_add(out, "</tr>\n");
    }
    text_add(out, "</tbody></table></div>%s\n", b->beside ? "</details>" : "");
}

static enum serin_status figure(const struct report_block *b, struct text *out)
{
    text_add(out, "<figure>");
    element(out, "figcaption", b->text);
    enum serin_status rc = plot_svg(b->plot, b->name, out);
    text_add(out, "</figure>\n");
    return rc;
}

static enum serin_status block(const struct report_block *b, struct text *out)
{
    switch (b->kind) {
    case REPORT_HEADING:
        element(out, b->level == 1 ? "h1" : "h2", b->text);
        break;
    case REPORT_TEXT:
        element(out, "p", b->text);
        break;
    case REPORT_ITEM:
        element(out, "li", b->text);
        break;
    case REPORT_NOTES:
        notes(out, b->text);
        break;
    case REPORT_TABLE:
        table(b, out);
        return SERIN_OK;
    case REPORT_PLOT:
        return figure(b, out);
    }
    text_add(out, "\n");
    return SERIN_OK;
}

enum serin_status report_out_html(const struct report_page *p, struct text *out)
{
    enum serin_status rc = SERIN_OK;
    bool list = false;
    text_add(out, "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" "
                  "lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
                  "'none'; style-src 'unsafe-inline'; img-src data:\"/>\n"
                  "<meta name=\"viewport\" content=\"width=device-width, "
                  "initial-scale=1\"/>\n<link rel=\"icon\" href=\"data:,\"/>\n");
    element(out, "title", p->first != NULL ? p->first->text : "");
    text_add(out, "\n<style>\n");
    colours(out);
    text_add(out, "%s</style>\n</head>\n<body>\n<main>\n", style);
    for (const struct report_block *b = p->first; b != NULL && rc == SERIN_OK;
         b = b->next) {
        bool item = b->kind == REPORT_ITEM;
        if (item != list) text_add(out, item ? "<ul>\n" : "</ul>\n");
        list = item;
        rc = block(b, out);
    }
    text_add(out, "%s</main>\n</body>\n</html>\n", list ? "</ul>\n" : "");
    return rc == SERIN_OK && out->failed ? SERIN_ENOMEM : rc;
}
