/* engine/replay/report/report_md.c */
#include <string.h>

#include "engine/replay/report/report_out.h"

/* What would be markup, in Markdown or in the HTML that it may hold, gets a backslash
 * or an entity; a line break would end a cell or a heading. */
static void escape(struct text *out, const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '<')
            text_add(out, "&lt;");
        else if (*s == '>')
            text_add(out, "&gt;");
        else if (*s == '&')
            text_add(out, "&amp;");
        else if (strchr("\\`*_[]|#~", *s) != NULL)
            text_add(out, "\\%c", *s);
        else
            text_add(out, "%c", (unsigned char)*s < ' ' || *s == 0x7f ? ' ' : *s);
    }
}

static void row(struct text *out, const struct report_row *r, size_t columns)
{
    for (size_t i = 0; i < columns; i++) {
        text_add(out, "| ");
        escape(out, r->cells[i]);
        text_add(out, " ");
    }
    text_add(out, "|\n");
}

static void table(struct text *out, const struct report_block *b)
{
    escape(out, b->text);
    text_add(out, ":\n\n");
    row(out, b->head, b->columns);
    for (size_t i = 0; i < b->columns; i++)
        text_add(out, "|---");
    text_add(out, "|\n");
    for (const struct report_row *r = b->head->next; r != NULL; r = r->next)
        row(out, r, b->columns);
    text_add(out, "\n");
}

/* As a quotation, line by line. */
static void notes(struct text *out, const char *s)
{
    while (*s != '\0') {
        size_t n = strcspn(s, "\n");
        struct text line = {0};
        text_bytes(&line, s, n);
        text_add(out, "> ");
        if (n > 0 && !line.failed) escape(out, line.p);
        text_add(out, "  \n");
        text_free(&line);
        s += n + (s[n] == '\n');
    }
    text_add(out, "\n");
}

static void block(struct text *out, const struct report_block *b)
{
    if (b->kind == REPORT_TABLE) {
        table(out, b);
        return;
    }
    if (b->kind == REPORT_NOTES) {
        if (report_page_link(b->text))
            text_add(out, "<%s>\n\n", b->text);
        else
            notes(out, b->text);
        return;
    }
    if (b->kind == REPORT_HEADING) text_add(out, b->level == 1 ? "# " : "## ");
    if (b->kind == REPORT_ITEM) text_add(out, "- ");
    if (b->kind == REPORT_PLOT) text_add(out, "**");
    escape(out, b->text);
    if (b->kind == REPORT_PLOT) {
        text_add(out, "** ");
        escape(out, b->plot->description);
    }
    bool more =
        b->kind == REPORT_ITEM && b->next != NULL && b->next->kind == REPORT_ITEM;
    text_add(out, more ? "\n" : "\n\n");
}

enum serin_status report_out_md(const struct report_page *p, struct text *out)
{
    for (const struct report_block *b = p->first; b != NULL; b = b->next)
        block(out, b);
    return out->failed ? SERIN_ENOMEM : SERIN_OK;
}
