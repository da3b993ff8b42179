/* engine/replay/source/csv.c */
#include "engine/replay/source/csv.h"

#include <csv.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/base/text.h"
#include "engine/replay/source/moment.h"
#include "ingest/decode/number.h"
#include "ingest/series.h"

struct row { /* cells, each with a NUL behind it */
    struct text text;
    size_t at[CSV_TABLE_COLUMNS + 1]; /* where they begin; at[n]: the end */
    size_t n, all;                    /* all: also those beyond the limit */
    bool done;
};

struct csv_table {
    struct lines *lines;
    struct csv_parser parser;
    struct row head, row;
    struct columns maps[CSV_TABLE_MAPS];
    size_t from[CSV_TABLE_MAPS][COLUMNS_MAX]; /* column of each item */
    size_t n_maps;
    bool used[CSV_TABLE_COLUMNS]; /* by some item */
    uint64_t line;
    struct text json;
};

/* ---------------------------------------------------------------- rows */

static void on_cell(void *p, size_t n, void *ctx)
{
    struct row *r = ctx;
    if (++r->all > CSV_TABLE_COLUMNS) return;
    text_bytes(&r->text, p, n);
    text_bytes(&r->text, "", 1);
    r->at[++r->n] = r->text.n;
}

static void on_row(int end, void *ctx)
{
    (void)end;
    ((struct row *)ctx)->done = true;
}

/* A line's end; what else libcsv takes for one may stand in a cell. */
static int is_end(unsigned char c)
{
    return c == '\n';
}

static void *grow(void *p, size_t n)
{
    return mem_realloc(p, n, 1);
}

static enum serin_status begin(struct csv_table *c, unsigned char separator,
                               struct fault *f)
{
    csv_free(&c->parser);
    if (csv_init(&c->parser, CSV_STRICT) != 0)
        return fault_set(f, SERIN_ENOMEM, "out of memory");
    csv_set_realloc_func(&c->parser, grow);
    csv_set_free_func(&c->parser, mem_free);
    csv_set_term_func(&c->parser, is_end);
    csv_set_delim(&c->parser, separator);
    return SERIN_OK;
}

/* One line into the row; false: its quotes are wrong. */
static bool take(struct csv_table *c, struct row *r, struct strview line)
{
    if (line.n != 0 && line.p[line.n - 1] == '\r') line.n--;
    return csv_parse(&c->parser, line.p, line.n, on_cell, on_row, r) == line.n &&
           csv_parse(&c->parser, "\n", 1, on_cell, on_row, r) == 1;
}

static enum serin_status unclosed(const struct csv_table *c, struct fault *f)
{
    return fault_set(f, SERIN_EPARSE,
                     "line %" PRIu64 ": a quote opens a cell and none closes it; "
                     "expected \"...\" with quotes inside doubled. What was before is "
                     "used",
                     c->line);
}

/* The next row that is not blank. */
static enum serin_status next_row(struct csv_table *c, struct row *r,
                                  struct reject *why, struct fault *f)
{
    struct strview line;
    size_t taken = 0;
    r->text.n = r->n = r->all = 0;
    r->done = false;
    while (!r->done) {
        enum serin_status rc = lines_next(c->lines, &line, f);
        if (rc == SERIN_AGAIN && taken != 0) return unclosed(c, f);
        if (rc != SERIN_OK) return rc;
        if (taken == 0) c->line = lines_number(c->lines);
        if (!take(c, r, line)) {
            rc = begin(c, csv_get_delim(&c->parser), f);
            r->n = 0;
            (void)quarantine_refuse(why, QUARANTINE_LINE,
                                    "a quote inside a cell: expected \"...\" around "
                                    "the whole cell, quotes inside doubled");
            return rc;
        }
        /* A blank line is no row; a cell that goes on is no end of one. */
        if (r->done || r->all != 0 || c->parser.pstate != 0) taken += line.n + 1;
        if (taken > LINES_MAX) return unclosed(c, f);
    }
    if (r->text.failed) return fault_set(f, SERIN_ENOMEM, "out of memory");
    return SERIN_OK;
}

static struct strview cell(const struct row *r, size_t i)
{
    return (struct strview){r->text.p + r->at[i], r->at[i + 1] - r->at[i] - 1};
}

/* ---------------------------------------------------------------- the header */

static void listed(const struct row *head, char out[240])
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < head->n && n < 240; i++)
        n += (size_t)snprintf(out + n, 240 - n, "%s%s", i > 0 ? ", " : "",
                              cell(head, i).p);
}

static enum serin_status missing(const struct csv_table *c, struct fault *f,
                                 const char *what, struct strview name)
{
    char all[240];
    listed(&c->head, all);
    return fault_set(f, SERIN_EPARSE,
                     "%s%.*s; the header has the columns %s. Say which is which: "
                     "--columns time=…,cohort=…,metric=…,n=…,bad=…",
                     what, (int)name.n, name.p, all);
}

static bool numbers(const struct columns *m)
{
    return columns_find(m, COLUMNS_N) != NULL || columns_find(m, COLUMNS_BAD) != NULL ||
           columns_find(m, COLUMNS_VALUE) != NULL ||
           columns_find(m, COLUMNS_GAUGE) != NULL;
}

/* Columns that are called as a field is. */
static void by_name(struct csv_table *c)
{
    static const char *const times[] = {"t_ms", "ts", "timestamp"};
    struct columns *m = &c->maps[0];
    c->n_maps = 1;
    for (size_t i = 0; i < c->head.n && i < COLUMNS_MAX; i++) {
        char item[2 * COLUMNS_TEXT];
        struct columns one;
        struct fault unused;
        const char *name = cell(&c->head, i).p, *field = name;
        for (size_t k = 0; k < sizeof times / sizeof *times; k++)
            if (strcmp(name, times[k]) == 0) field = "time";
        if (strlen(name) > COLUMNS_TEXT / 2 - 8 || strchr(name, ',') != NULL) continue;
        snprintf(item, sizeof item, "%s=%s", field, name);
        if (columns_parse(item, &one, &unused) != SERIN_OK || one.n != 1) continue;
        one.items[0].from = cell(&c->head, i);
        if (one.items[0].field == COLUMNS_ATTRIBUTE)
            one.items[0].key =
                (struct strview){one.items[0].from.p + 11, one.items[0].from.n - 11};
        else if (columns_find(m, one.items[0].field) != NULL)
            continue;
        m->items[m->n++] = one.items[0];
    }
}

static enum serin_status bind(struct csv_table *c, size_t map, struct fault *f)
{
    const struct columns *m = &c->maps[map];
    for (size_t k = 0; k < m->n; k++) {
        size_t i = 0;
        if (m->items[k].constant) continue;
        while (i < c->head.n && !strview_eq(cell(&c->head, i), m->items[k].from))
            i++;
        if (i == c->head.n) return missing(c, f, "no column ", m->items[k].from);
        c->from[map][k] = i;
        c->used[i] = true;
    }
    if (columns_find(m, COLUMNS_TIME) == NULL)
        return missing(c, f, "no column says the time", (struct strview){"", 0});
    if (!numbers(m))
        return missing(c, f, "no column holds n, bad, a value or a gauge",
                       (struct strview){"", 0});
    return SERIN_OK;
}

/* What separates the cells of this header. */
static unsigned char separator(struct strview head)
{
    static const char tries[] = ",;\t";
    for (const char *t = tries; *t != '\0'; t++)
        if (memchr(head.p, *t, head.n) != NULL) return (unsigned char)*t;
    return ',';
}

static enum serin_status read_head(struct csv_table *c, struct fault *f)
{
    static const char bom[] = "\xef\xbb\xbf";
    struct strview line;
    enum serin_status rc = lines_next(c->lines, &line, f);
    if (rc != SERIN_OK) return rc;
    if (line.n >= 3 && memcmp(line.p, bom, 3) == 0) line.p += 3, line.n -= 3;
    rc = begin(c, separator(line), f);
    if (rc == SERIN_OK && (!take(c, &c->head, line) || !c->head.done))
        rc = fault_set(f, SERIN_EPARSE,
                       "line 1: expected a header, names of columns in one line");
    if (rc == SERIN_OK && c->head.all > CSV_TABLE_COLUMNS)
        rc = fault_set(f, SERIN_ELIMIT, "line 1: %zu columns, at most %d", c->head.all,
                       CSV_TABLE_COLUMNS);
    if (rc == SERIN_OK && c->head.text.failed)
        rc = fault_set(f, SERIN_ENOMEM, "out of memory");
    return rc;
}

enum serin_status csv_table_open(struct csv_table **out, struct lines *l,
                                 const struct columns *maps, size_t n_maps,
                                 struct fault *f)
{
    struct csv_table *c = mem_calloc(1, sizeof *c);
    if (c == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    c->lines = l;
    c->n_maps = n_maps < CSV_TABLE_MAPS ? n_maps : CSV_TABLE_MAPS;
    for (size_t i = 0; i < c->n_maps; i++)
        c->maps[i] = maps[i];
    enum serin_status rc = read_head(c, f);
    if (rc == SERIN_OK && n_maps == 0) by_name(c);
    for (size_t i = 0; rc == SERIN_OK && i < c->n_maps; i++)
        rc = bind(c, i, f);
    if (rc != SERIN_OK) {
        csv_table_close(c);
        return rc;
    }
    *out = c;
    return SERIN_OK;
}

void csv_table_close(struct csv_table *c)
{
    if (c == NULL) return;
    csv_free(&c->parser);
    text_free(&c->head.text);
    text_free(&c->row.text);
    text_free(&c->json);
    mem_free(c);
}

/* ---------------------------------------------------------------- samples */

static enum serin_status refuse(const struct csv_table *c, size_t i, struct strview is,
                                const char *expected, struct reject *why)
{
    return quarantine_refuse(
        why, QUARANTINE_LINE, "column %zu (%.32s): \"%.*s\": expected %s", i + 1,
        cell(&c->head, i).p, is.n < 32 ? (int)is.n : 32, is.p, expected);
}

/* A cell as the member of a sample; NULL: fine, else what was expected. */
static const char *member(struct csv_table *c, enum columns_field field,
                          struct strview is)
{
    int64_t ms;
    double v;
    if (field == COLUMNS_TIME) {
        if (!moment_parse(is, &ms)) return MOMENT_EXPECTED;
        text_add(&c->json, "\"t_ms\":%" PRId64 ",", ms);
        return NULL;
    }
    if (field == COLUMNS_N || field == COLUMNS_BAD) {
        if (!number_parse(is, &v) || v != floor(v) || !(fabs(v) <= 0x1p53))
            return "a whole number";
        text_add(&c->json, "\"%s\":%.0f,", columns_name(field), v);
        return NULL;
    }
    if (field == COLUMNS_VALUE || field == COLUMNS_GAUGE) {
        if (!number_parse(is, &v) || !isfinite(v)) return "a number";
        text_add(&c->json, "\"%s\":%.17g,", columns_name(field), v);
        return NULL;
    }
    if (field == COLUMNS_ATTRIBUTE) return NULL; /* behind the others */
    text_add(&c->json, "\"%s\":", columns_name(field));
    text_json(&c->json, is.p);
    text_add(&c->json, ",");
    return NULL;
}

static void attribute(struct csv_table *c, struct strview key, struct strview value,
                      const char **comma)
{
    char name[256];
    if (value.n == 0) return;
    snprintf(name, sizeof name, "%.*s", (int)(key.n < 255 ? key.n : 255), key.p);
    text_add(&c->json, "%s", *comma);
    text_json(&c->json, name);
    text_add(&c->json, ":");
    text_json(&c->json, value.p);
    *comma = ",";
}

static void attributes(struct csv_table *c, size_t map)
{
    const struct columns *m = &c->maps[map];
    const char *comma = "";
    text_add(&c->json, "\"attributes\":{");
    for (size_t k = 0; k < m->n; k++) {
        const struct columns_item *it = &m->items[k];
        if (it->field != COLUMNS_ATTRIBUTE || it->constant) continue;
        attribute(c, it->key, cell(&c->row, c->from[map][k]), &comma);
    }
    for (size_t k = 0; k < m->n; k++) {
        char text[256];
        const struct columns_item *it = &m->items[k];
        if (it->field != COLUMNS_ATTRIBUTE || !it->constant) continue;
        snprintf(text, sizeof text, "%.*s", (int)it->from.n, it->from.p);
        attribute(c, it->key, strview_of(text), &comma);
    }
    for (size_t i = 0; m->rest && i < c->head.n; i++)
        if (!c->used[i]) attribute(c, cell(&c->head, i), cell(&c->row, i), &comma);
    text_add(&c->json, "}}\n");
}

/* Is there a number in this row for the map? */
static bool filled(const struct csv_table *c, size_t map)
{
    const struct columns *m = &c->maps[map];
    bool any = false;
    for (size_t k = 0; k < m->n; k++) {
        enum columns_field f = m->items[k].field;
        if (f != COLUMNS_N && f != COLUMNS_BAD && f != COLUMNS_VALUE &&
            f != COLUMNS_GAUGE)
            continue;
        any |= !m->items[k].constant && cell(&c->row, c->from[map][k]).n != 0;
    }
    return any;
}

static enum serin_status sample(struct csv_table *c, size_t map, struct reject *why)
{
    const struct columns *m = &c->maps[map];
    text_add(&c->json, "{");
    for (size_t k = 0; k < m->n; k++) {
        char text[256] = "";
        size_t i = c->from[map][k];
        const struct columns_item *it = &m->items[k];
        if (it->constant)
            snprintf(text, sizeof text, "%.*s", (int)it->from.n, it->from.p);
        struct strview is = it->constant ? strview_of(text) : cell(&c->row, i);
        if (is.n == 0 && it->field != COLUMNS_TIME) continue;
        const char *expected = member(c, it->field, is);
        if (expected != NULL) return refuse(c, i, is, expected, why);
    }
    attributes(c, map);
    return SERIN_OK;
}

static enum serin_status samples(struct csv_table *c, struct reject *why)
{
    enum serin_status rc = SERIN_OK;
    if (c->row.all != c->head.n)
        return quarantine_refuse(why, QUARANTINE_LINE,
                                 "%zu cells where the header has %zu", c->row.all,
                                 c->head.n);
    for (size_t i = 0; c->head.n != 0 && i < c->head.n && rc == SERIN_OK; i++)
        if (!series_text_ok(cell(&c->row, i)))
            rc = refuse(c, i, (struct strview){"", 0}, "text in UTF-8", why);
    for (size_t i = 0; rc == SERIN_OK && i < c->n_maps; i++)
        if (filled(c, i)) rc = sample(c, i, why);
    if (rc == SERIN_OK && c->json.n == 0)
        rc = quarantine_refuse(why, QUARANTINE_FIELD,
                               "a row without any of the numbers that are mapped");
    return rc;
}

enum serin_status csv_table_next(struct csv_table *c, struct strview *json,
                                 struct reject *why, struct fault *f)
{
    *json = (struct strview){"", 0};
    why->detail[0] = '\0';
    enum serin_status rc = next_row(c, &c->row, why, f);
    if (rc != SERIN_OK || why->detail[0] != '\0') return rc;
    c->json.n = 0;
    if (samples(c, why) != SERIN_OK) return SERIN_OK;
    if (c->json.failed) return fault_set(f, SERIN_ENOMEM, "out of memory");
    *json = (struct strview){c->json.p, c->json.n};
    return SERIN_OK;
}

uint64_t csv_table_line(const struct csv_table *c)
{
    return c->line;
}
