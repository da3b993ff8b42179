/* engine/replay/report/report_page.c */
#include "engine/replay/report/report_page.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void report_page_free(struct report_page *p)
{
    arena_free(&p->arena);
    *p = (struct report_page){0};
}

void *report_page_alloc(struct report_page *p, size_t n)
{
    void *got = arena_alloc(&p->arena, n);
    if (got == NULL) p->failed = true;
    return got;
}

const char *report_page_text(struct report_page *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *out = n >= 0 ? report_page_alloc(p, (size_t)n + 1) : NULL;
    if (out == NULL) return "";
    va_start(ap, fmt);
    vsnprintf(out, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return out;
}

static struct report_block *block(struct report_page *p, enum report_block_kind kind,
                                  const char *text)
{
    static struct report_block nowhere; /* what is written there is never read */
    struct report_block *b = report_page_alloc(p, sizeof *b);
    if (b == NULL) return &nowhere;
    b->kind = kind;
    b->text = report_page_text(p, "%s", text);
    if (p->last != NULL)
        p->last->next = b;
    else
        p->first = b;
    p->last = b;
    return b;
}

void report_page_add(struct report_page *p, enum report_block_kind kind,
                     const char *text)
{
    block(p, kind, text);
}

void report_page_heading(struct report_page *p, unsigned level, const char *text)
{
    block(p, REPORT_HEADING, text)->level = level;
}

void report_page_table(struct report_page *p, const char *caption, bool beside,
                       const char *const *heads, size_t columns)
{
    struct report_block *b = block(p, REPORT_TABLE, caption);
    b->beside = beside;
    b->columns = columns;
    report_page_row(p, heads);
}

void report_page_row(struct report_page *p, const char *const *cells)
{
    struct report_block *b = p->last;
    if (p->failed || b == NULL) return;
    struct report_row *row = report_page_alloc(p, sizeof *row);
    const char **copy = report_page_alloc(p, b->columns * sizeof *copy);
    if (row == NULL || copy == NULL) return;
    for (size_t i = 0; i < b->columns; i++)
        copy[i] = report_page_text(p, "%s", cells[i]);
    row->cells = copy;
    if (b->last != NULL)
        b->last->next = row;
    else
        b->head = row;
    b->last = row;
}

/* "03-errors-evidence": by what it is, so that two reports can be compared. */
static const char *file_name(struct report_page *p, const char *title)
{
    char *name = report_page_alloc(p, 56);
    if (name == NULL) return "";
    size_t n = (size_t)snprintf(name, 56, "%02zu-", p->plots);
    for (; *title != '\0' && n < 50; title++) {
        if (isascii(*title) && isalnum((unsigned char)*title))
            name[n++] = (char)tolower((unsigned char)*title);
        else if (name[n - 1] != '-')
            name[n++] = '-';
    }
    if (name[n - 1] == '-') name[n - 1] = '\0';
    return name;
}

bool report_page_plot(struct report_page *p, const struct plot *plot)
{
    if (!plot_any(plot)) return false;
    struct plot *copy = report_page_alloc(p, sizeof *copy);
    if (copy == NULL) return false;
    *copy = *plot;
    p->plots++;
    struct report_block *b = block(p, REPORT_PLOT, plot->title);
    b->plot = copy;
    b->name = file_name(p, plot->title);
    return true;
}

bool report_page_link(const char *text)
{
    size_t n = strncmp(text, "https://", 8) == 0  ? 8
               : strncmp(text, "http://", 7) == 0 ? 7
                                                  : 0;
    if (n == 0 || text[n] == '\0') return false;
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || strchr("<>\"'\\^`{|}", *c) != NULL)
            return false;
    return true;
}
