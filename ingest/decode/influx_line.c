/* ingest/decode/influx_line.c */
#include "ingest/decode/influx_line.h"

#include <math.h>

#include "ingest/decode/number.h"

enum {
    NUMBER_MAX = 64
}; /* characters; the longest double that anybody prints has 25 */

static enum serin_status bad(struct reject *why, const struct influx_text *t,
                             const char *what)
{
    size_t left = (size_t)(t->end - t->p), n = left < 16 ? left : 16;
    char near[17];
    memcpy(near, t->p, n);
    near[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)near[i] < 0x20 || (unsigned char)near[i] > 0x7e)
            near[i] = '.';
    return quarantine_refuse(why, QUARANTINE_LINE, "line %zu: %s; found \"%s\"",
                             t->lines, what, near);
}

/* ---------------------------------------------------------------- names and tags */

static bool escapable(char c)
{
    return c == ',' || c == '=' || c == ' ';
}

/* In place, or into the line's own room where an escape has to go. False: too many. */
static bool plain(struct influx_line *l, struct strview raw, struct strview *out)
{
    *out = raw;
    if (raw.n == 0 || memchr(raw.p, '\\', raw.n) == NULL) return true;
    if (raw.n > sizeof l->escaped - l->n_escaped) return false;
    char *to = l->escaped + l->n_escaped;
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] == '\\' && i + 1 < raw.n && escapable(raw.p[i + 1])) i++;
        to[n++] = raw.p[i];
    }
    l->n_escaped += n;
    *out = (struct strview){to, n};
    return true;
}

/* Up to the first of ',' ' ' newline, or '=' when that ends it; escapes are kept. */
static struct strview token(struct influx_text *t, bool until_equals)
{
    const char *from = t->p;
    for (; t->p < t->end; t->p++) {
        char c = *t->p;
        if (c == ',' || c == ' ' || c == '\n' || (c == '=' && until_equals)) break;
        if (c == '\\' && t->p + 1 < t->end && escapable(t->p[1])) t->p++;
    }
    return (struct strview){from, (size_t)(t->p - from)};
}

static bool at(const struct influx_text *t, char c)
{
    return t->p < t->end && *t->p == c;
}

static enum serin_status name_of(struct influx_text *t, struct influx_line *l,
                                 bool until_equals, const char *what,
                                 struct strview *out, struct reject *why)
{
    struct strview raw = token(t, until_equals);
    if (raw.n == 0) return bad(why, t, what);
    if (plain(l, raw, out)) return SERIN_OK;
    return quarantine_refuse(why, QUARANTINE_LIMIT,
                             "line %zu: over %d bytes of names with escapes", t->lines,
                             INFLUX_MAX_ESCAPED);
}

static enum serin_status tag(struct influx_text *t, struct influx_line *l,
                             struct reject *why)
{
    struct series_attribute *a = &l->tags[l->n_tags];
    if (l->n_tags == SERIES_MAX_ATTRIBUTES)
        return quarantine_refuse(why, QUARANTINE_LIMIT, "line %zu: over %d tags",
                                 t->lines, SERIES_MAX_ATTRIBUTES);
    enum serin_status s = name_of(t, l, true, "expected a tag's name", &a->key, why);
    if (s != SERIN_OK) return s;
    if (!at(t, '=')) return bad(why, t, "expected '=' behind a tag's name");
    t->p++;
    s = name_of(t, l, true, "expected a tag's value", &a->value, why);
    if (s != SERIN_OK) return s;
    if (at(t, '=')) return bad(why, t, "'=' in a tag's value wants a '\\' before it");
    l->n_tags++;
    return SERIN_OK;
}

/* ---------------------------------------------------------------- values */

static bool word(struct strview s, struct influx_field *f)
{
    static const char *const yes[] = {"t", "T", "true", "True", "TRUE", NULL};
    static const char *const no[] = {"f", "F", "false", "False", "FALSE", NULL};
    for (size_t i = 0; yes[i] != NULL; i++) {
        f->value = strview_eq(s, strview_of(yes[i]));
        f->type = INFLUX_BOOL;
        if (f->value > 0 || strview_eq(s, strview_of(no[i]))) return true;
    }
    static const struct {
        const char *name;
        double value;
    } odd[] = {{"NaN", (double)NAN},       {"nan", (double)NAN},
               {"+Inf", (double)INFINITY}, {"Inf", (double)INFINITY},
               {"inf", (double)INFINITY},  {"-Inf", -(double)INFINITY}};
    f->type = INFLUX_FLOAT; /* a sample then, but a poisoned one */
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        f->value = odd[i].value;
        if (strview_eq(s, strview_of(odd[i].name))) return true;
    }
    return false;
}

/* "…" with \" and \\ inside, newlines too; its text is not looked at further. */
static bool text_value(struct influx_text *t)
{
    for (t->p++; t->p < t->end; t->p++) {
        if (*t->p == '"') {
            t->p++;
            return true;
        }
        if (*t->p == '\n') t->lines++;
        if (*t->p == '\\' && t->p + 1 < t->end) t->p++;
    }
    return false;
}

static enum serin_status value(struct influx_text *t, struct influx_field *f,
                               struct reject *why)
{
    if (at(t, '"')) {
        f->type = INFLUX_TEXT;
        return text_value(t) ? SERIN_OK : bad(why, t, "a text without its end");
    }
    const struct influx_text before = *t;
    struct strview s = token(t, false);
    if (s.n != 0 && s.p[s.n - 1] == '\r') s.n--;
    char last = s.n != 0 ? s.p[s.n - 1] : '\0';
    bool whole = last == 'i' || last == 'u';
    f->type = whole ? INFLUX_INTEGER : INFLUX_FLOAT;
    if (number_parse((struct strview){s.p, s.n - whole}, &f->value)) return SERIN_OK;
    if (word(s, f)) return SERIN_OK;
    return bad(why, &before,
               "expected a number, 12i, 12u, true, false or a text in quotes");
}

static enum serin_status field(struct influx_text *t, struct influx_line *l,
                               struct reject *why)
{
    struct influx_field *f = &l->fields[l->n_fields];
    if (l->n_fields == INFLUX_MAX_FIELDS)
        return quarantine_refuse(why, QUARANTINE_LIMIT, "line %zu: over %d fields",
                                 t->lines, INFLUX_MAX_FIELDS);
    enum serin_status s = name_of(t, l, true, "expected a field's name", &f->name, why);
    if (s != SERIN_OK) return s;
    if (!at(t, '=')) return bad(why, t, "expected '=' behind a field's name");
    t->p++;
    s = value(t, f, why);
    l->n_fields += s == SERIN_OK;
    return s;
}

static enum serin_status timestamp(struct influx_text *t, struct influx_line *l,
                                   struct reject *why)
{
    const struct influx_text before = *t;
    bool minus = at(t, '-');
    uint64_t v = 0;
    size_t digits = 0, most = minus ? 18 : 19;
    t->p += minus;
    for (; t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++, digits++)
        v = v * 10 + (uint64_t)(*t->p - '0');
    if (digits == 0 || digits > most || v > INT64_MAX)
        return bad(why, &before, "expected a time, a whole number");
    l->timed = true;
    l->time = minus ? -(int64_t)v : (int64_t)v;
    return SERIN_OK;
}

/* ---------------------------------------------------------------- the line */

static void blanks(struct influx_text *t)
{
    while (at(t, ' '))
        t->p++;
}

/* To the first line that says something. */
static bool start(struct influx_text *t)
{
    while (t->p < t->end) {
        const char *line_end = memchr(t->p, '\n', (size_t)(t->end - t->p));
        const char *p = t->p;
        if (line_end == NULL) line_end = t->end;
        while (p < line_end && (*p == ' ' || *p == '\t' || *p == '\r'))
            p++;
        t->lines++;
        t->p = p;
        if (p < line_end && *p != '#') return true;
        t->p = line_end < t->end ? line_end + 1 : t->end;
    }
    return false;
}

static enum serin_status end_of_line(struct influx_text *t, struct reject *why)
{
    blanks(t);
    if (at(t, '\r')) t->p++;
    if (t->p < t->end && *t->p != '\n') return bad(why, t, "expected the line's end");
    t->p += t->p < t->end;
    return SERIN_OK;
}

static enum serin_status parse(struct influx_text *t, struct influx_line *l,
                               struct reject *why)
{
    enum serin_status s =
        name_of(t, l, false, "expected a measurement", &l->measurement, why);
    while (s == SERIN_OK && at(t, ',')) {
        t->p++;
        s = tag(t, l, why);
    }
    if (s != SERIN_OK) return s;
    if (!at(t, ' ')) return bad(why, t, "expected a blank and a field");
    blanks(t);
    s = field(t, l, why);
    while (s == SERIN_OK && at(t, ',')) {
        t->p++;
        s = field(t, l, why);
    }
    if (s != SERIN_OK) return s;
    blanks(t);
    if (t->p < t->end && *t->p != '\n' && *t->p != '\r') s = timestamp(t, l, why);
    return s == SERIN_OK ? end_of_line(t, why) : s;
}

bool influx_line_next(struct influx_text *t, struct influx_line *out,
                      enum serin_status *status, struct reject *why)
{
    *status = SERIN_OK;
    if (!start(t)) return false;
    out->n_tags = out->n_fields = out->n_escaped = 0;
    out->timed = false;
    *status = parse(t, out, why);
    return *status == SERIN_OK;
}
