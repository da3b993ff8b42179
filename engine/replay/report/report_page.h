/* engine/replay/report/report_page.h -- a report as a list of blocks, before it is
 * HTML, Markdown or PDF */
#ifndef SERIN_ENGINE_REPLAY_REPORT_REPORT_PAGE_H
#define SERIN_ENGINE_REPLAY_REPORT_REPORT_PAGE_H

#include "engine/base/arena.h"
#include "engine/replay/report/plot.h"

enum report_block_kind {
    REPORT_HEADING,
    REPORT_TEXT,
    REPORT_ITEM,
    REPORT_NOTES, /* by people: line breaks count, a web address alone is a link */
    REPORT_TABLE,
    REPORT_PLOT
};

struct report_row {
    const char **cells;
    struct report_row *next;
};

/* Texts are raw: whoever writes them escapes. */
struct report_block {
    enum report_block_kind kind;
    unsigned level;   /* of a heading, from 1 */
    const char *text; /* of a table its caption */
    bool beside;      /* the table has the numbers of the plot before it */
    size_t columns;
    struct report_row *head, *last; /* head: the names of the columns */
    const struct plot *plot;
    const char *name; /* of a plot: [a-z0-9-]+, unlike all others */
    struct report_block *next;
};

/* Zero-initialise; report_page_free when done. failed: memory ran out on the way. */
struct report_page {
    struct arena arena;
    struct report_block *first, *last;
    size_t plots;
    bool failed;
};

void report_page_free(struct report_page *p);
/** n zeroed bytes that live as long as the page; NULL sets failed. */
void *report_page_alloc(struct report_page *p, size_t n);
/** A text made as by printf; never NULL. */
const char *report_page_text(struct report_page *p, const char *fmt, ...)
    SERIN_PRINTF(2, 3);
void report_page_add(struct report_page *p, enum report_block_kind kind,
                     const char *text);
void report_page_heading(struct report_page *p, unsigned level, const char *text);
/** The rows follow by report_page_row, each with as many cells. */
void report_page_table(struct report_page *p, const char *caption, bool beside,
                       const char *const *heads, size_t columns);
void report_page_row(struct report_page *p, const char *const *cells);
/** Copied; left out when there is nothing to see. False then. */
bool report_page_plot(struct report_page *p, const struct plot *plot);
/** A web address (http or https) and nothing else? */
bool report_page_link(const char *text);

#endif
