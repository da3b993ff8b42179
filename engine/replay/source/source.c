/* engine/replay/source/source.c */
#include "engine/replay/source/source.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/replay/source/csv.h"
#include "engine/replay/source/matrix.h"
#include "engine/replay/source/raw.h"

struct source {
    enum source_kind kind;
    const char *path;
    struct columns maps[SOURCE_MAPS];
    size_t n_maps;
    struct lines *lines; /* of all kinds: what its first bytes came from */
    struct csv_table *csv;
    struct hlog *hlog;
    struct matrix *matrix;
    struct recording_reader *reader;
    struct raw *raw;
    struct raw_record at; /* the record given last */
};

static const struct aggregate_input no_input;

/* ---------------------------------------------------------------- what it is */

bool source_parse(const char *name, enum source_kind *out)
{
    static const char *const names[] = {
#define X(name, text) text,
        SOURCE_MAP(X)
#undef X
    };
    for (int i = 0; i < SOURCE_KINDS; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *out = (enum source_kind)i;
        return true;
    }
    return false;
}

static bool has(struct strview s, const char *what)
{
    return s.n != 0 && memmem(s.p, s.n, what, strlen(what)) != NULL;
}

static bool begins(struct strview s, const char *with)
{
    size_t n = strlen(with);
    return s.n >= n && memcmp(s.p, with, n) == 0;
}

static bool is_text(struct strview s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 && strchr("\t\r\n", s.p[i]) == NULL)
            return false;
    return true;
}

/* Line protocol: blanks outside the measurement, then fields NAME=VALUE. */
static bool is_influx(struct strview line)
{
    const char *blank = memchr(line.p, ' ', line.n);
    if (blank == NULL || line.n == 0) return false;
    struct strview fields = {blank + 1, line.n - (size_t)(blank + 1 - line.p)};
    return has(fields, "=") && !has(line, "\",\"");
}

static enum source_kind guess_json(struct strview s)
{
    bool answer =
        has(s, "\"status\"") && (has(s, "\"data\"") || has(s, "\"errorType\""));
    return *s.p == '{' && answer ? SOURCE_PROMETHEUS : SOURCE_JSON;
}

static enum source_kind guess_text(struct strview s)
{
    const char *end = memchr(s.p, '\n', s.n);
    struct strview line = {s.p, end != NULL ? (size_t)(end - s.p) : s.n};
    if (is_influx(line)) return SOURCE_INFLUX;
    bool cells = has(line, ",") || has(line, ";") || has(line, "\t");
    return cells ? SOURCE_CSV : SOURCE_AUTO;
}

/* By the first bytes; SOURCE_AUTO: like nothing that is known. */
static enum source_kind guess(struct strview s)
{
    if (begins(s, "\xef\xbb\xbf")) s.p += 3, s.n -= 3;
    while (s.n != 0 && isspace((unsigned char)*s.p))
        s.p++, s.n--;
    if (s.n == 0) return SOURCE_JSON; /* empty: nothing will come of it */
    if (*s.p == '{' || *s.p == '[') return guess_json(s);
    if (begins(s, "#[") || begins(s, "\"StartTimestamp\"") || has(s, ",HISTFA"))
        return SOURCE_HLOG;
    return is_text(s) ? guess_text(s) : SOURCE_AUTO;
}

/* Its first bytes, as far as they can be shown. */
static void shown(struct strview s, char out[64])
{
    size_t n = 0;
    for (; n < s.n && n < 40 && s.p[n] != '\n'; n++)
        out[n] = isprint((unsigned char)s.p[n]) ? s.p[n] : '.';
    out[n] = '\0';
}

static enum serin_status unlike(const struct source *s, struct strview head,
                                struct fault *f)
{
    char text[64];
    shown(head, text);
    if (begins(head, "SERINREC"))
        return fault_set(f, SERIN_EPARSE,
                         "%s: a recording that was packed again: unpack it first "
                         "(zstd -d)",
                         s->path);
    return fault_set(
        f, SERIN_EPARSE,
        "%s begins with \"%s\": expected a recording (serin), lines of JSON (json, "
        "otlp_json), a table with a header line (csv), an interval log (hlog), the "
        "answer of a range query (prometheus) or line protocol (influx)",
        s->path, text);
}

/* ---------------------------------------------------------------- open */

static enum serin_status open_recording(struct source *s, struct fault *f)
{
    struct strview head;
    enum serin_status rc;
    if (strcmp(s->path, "-") == 0) {
        FILE *stream = lines_stream(s->lines, &head);
        rc = recording_adopt(&s->reader, stream, head, s->path, f);
    } else {
        rc = recording_open(&s->reader, s->path, f);
    }
    struct fault why = {0};
    if (rc != SERIN_OK) return rc;
    rc = raw_open(&s->raw, s->reader, &why);
    return rc == SERIN_OK ? rc : fault_set(f, rc, "%s: %s", s->path, why.text);
}

static enum serin_status open_kind(struct source *s, struct fault *f)
{
    struct strview all;
    const struct columns *map = s->n_maps > 0 ? &s->maps[0] : NULL;
    enum serin_status rc = SERIN_OK;
    struct fault why = {0};
    if (s->n_maps > 0 && s->kind != SOURCE_CSV && s->kind != SOURCE_HLOG &&
        s->kind != SOURCE_PROMETHEUS)
        return fault_set(f, SERIN_EPARSE,
                         "%s: --columns is for csv, hlog and prometheus; this is read "
                         "as %s",
                         s->path, s->kind == SOURCE_SERIN ? "serin" : "lines");
    if (s->n_maps > 1 && s->kind != SOURCE_CSV)
        return fault_set(f, SERIN_EPARSE, "%s: --columns several times: only for csv",
                         s->path);
    if (s->kind == SOURCE_CSV) {
        rc = csv_table_open(&s->csv, s->lines, s->maps, s->n_maps, &why);
        if (rc == SERIN_AGAIN) rc = SERIN_OK; /* empty */
    } else if (s->kind == SOURCE_HLOG) {
        rc = hlog_open(&s->hlog, s->lines, map, &why);
    } else if (s->kind == SOURCE_PROMETHEUS) {
        rc = lines_rest(s->lines, MATRIX_MAX_BYTES, &all, f);
        if (rc != SERIN_OK) return rc;
        rc = matrix_open(&s->matrix, all, map, &why);
    }
    return rc == SERIN_OK ? rc : fault_set(f, rc, "%s: %s", s->path, why.text);
}

static enum serin_status start(struct source *s, const struct source_format *format,
                               struct fault *f)
{
    struct strview head;
    enum serin_status rc = lines_open(&s->lines, s->path, f);
    s->kind = format->kind;
    for (; rc == SERIN_OK && s->n_maps < format->n_maps; s->n_maps++)
        rc = columns_parse(format->maps[s->n_maps], &s->maps[s->n_maps], f);
    if (rc != SERIN_OK) return rc;
    bool recording = lines_is_recording(s->lines);
    if (recording && (s->kind == SOURCE_AUTO || s->kind == SOURCE_SERIN)) {
        s->kind = SOURCE_SERIN;
        rc = open_recording(s, f);
        return rc == SERIN_OK ? open_kind(s, f) : rc;
    }
    rc = lines_peek(s->lines, &head, f);
    if (rc != SERIN_OK && rc != SERIN_EPARSE) return rc;
    if (recording || s->kind == SOURCE_SERIN || begins(head, "SERINREC"))
        return unlike(s, head, f);
    if (s->kind == SOURCE_AUTO) s->kind = guess(head);
    return s->kind == SOURCE_AUTO ? unlike(s, head, f) : open_kind(s, f);
}

enum serin_status source_open(struct source **out, const char *path,
                              const struct source_format *format, struct fault *f)
{
    struct source *s = mem_calloc(1, sizeof *s);
    if (s == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    s->path = path;
    enum serin_status rc = start(s, format, f);
    if (rc != SERIN_OK) {
        source_close(s);
        return rc;
    }
    *out = s;
    return SERIN_OK;
}

void source_close(struct source *s)
{
    if (s == NULL) return;
    csv_table_close(s->csv);
    hlog_close(s->hlog);
    matrix_close(s->matrix);
    raw_close(s->raw);
    recording_close(s->reader);
    lines_close(s->lines);
    mem_free(s);
}

void source_within(struct source *s, int64_t from_ms, int64_t to_ms)
{
    struct recording_outline n;
    struct fault unused;
    int64_t since = from_ms > INT64_MIN + SOURCE_MARGIN_MS ? from_ms - SOURCE_MARGIN_MS
                                                           : INT64_MIN,
            until =
                to_ms < INT64_MAX - SOURCE_MARGIN_MS ? to_ms + SOURCE_MARGIN_MS : to_ms;
    if (s->reader == NULL ||
        recording_survey(s->reader, until, &n, &unused) != SERIN_OK)
        return; /* a pipe is read whole */
    recording_stretch(s->reader, since, n.whole ? n.until : UINT32_MAX);
}

/* ---------------------------------------------------------------- records */

static enum serin_status next_raw(struct source *s, struct source_record *out,
                                  struct fault *f)
{
    enum serin_status rc = raw_next(s->raw, &s->at, f);
    if (rc != SERIN_OK) return rc;
    const struct origin_topic *t = s->at.topic;
    out->bytes = s->at.bytes;
    out->format = s->at.format;
    out->input = &t->defaults;
    out->refused = t->max_message != 0 && out->bytes.n > t->max_message;
    if (out->refused)
        (void)quarantine_refuse(&out->why, QUARANTINE_OVERSIZE, "%zu bytes; limit %zu",
                                out->bytes.n, t->max_message);
    return SERIN_OK;
}

static enum serin_status next_line(struct source *s, struct source_record *out,
                                   struct fault *f)
{
    enum serin_status rc;
    do {
        rc = lines_next(s->lines, &out->bytes, f);
    } while (rc == SERIN_OK &&
             (out->bytes.n == 0 || (out->bytes.n == 1 && out->bytes.p[0] == '\r')));
    out->format = s->kind == SOURCE_JSON        ? FORMAT_AUTO
                  : s->kind == SOURCE_OTLP_JSON ? FORMAT_OTLP_JSON
                                                : FORMAT_INFLUX;
    return rc;
}

static enum serin_status next_translated(struct source *s, struct source_record *out,
                                         struct fault *f)
{
    enum serin_status rc = SERIN_AGAIN;
    if (s->csv != NULL) {
        out->format = FORMAT_JSON;
        rc = csv_table_next(s->csv, &out->bytes, &out->why, f);
        out->refused = out->bytes.n == 0;
    } else if (s->hlog != NULL) {
        rc = hlog_next(s->hlog, &out->interval, &out->why, f);
        out->refused = out->interval.payload.n == 0;
    } else if (s->matrix != NULL) {
        out->format = FORMAT_PROMETHEUS;
        rc = matrix_next(s->matrix, &out->bytes, f);
    }
    return rc;
}

enum serin_status source_next(struct source *s, struct source_record *out,
                              struct fault *f)
{
    *out = (struct source_record){.input = &no_input};
    if (s->raw != NULL) return next_raw(s, out, f);
    if (s->kind == SOURCE_CSV || s->hlog != NULL || s->matrix != NULL)
        return next_translated(s, out, f);
    return next_line(s, out, f);
}

enum serin_status source_names(const struct source *s, const struct source_record *r,
                               names_use use, void *ctx)
{
    const struct strview none = {NULL, 0};
    if (r->refused) return SERIN_OK;
    if (s->hlog == NULL) return names_each(r->format, r->bytes, use, ctx);
    enum serin_status rc =
        use(ctx, none, hlog_name(s->hlog, &r->interval, COLUMNS_METRIC));
    struct strview rollout = hlog_name(s->hlog, &r->interval, COLUMNS_ROLLOUT);
    return rc == SERIN_OK && rollout.n != 0 ? use(ctx, rollout, none) : rc;
}

enum serin_status source_decode(struct source *s, const struct source_record *r,
                                struct aggregate *a, struct reject *why)
{
    if (r->refused) {
        *why = r->why;
        return SERIN_EPARSE;
    }
    if (s->hlog != NULL) return hlog_add(s->hlog, &r->interval, a, why);
    return format_decode(r->format, a, r->bytes.p, r->bytes.n, why);
}

void source_place(const struct source *s, char out[160])
{
    if (s->raw != NULL)
        snprintf(out, 160, "%.80s, partition %d, offset %" PRId64, s->at.topic->name,
                 (int)s->at.partition, s->at.offset);
    else if (s->matrix != NULL)
        snprintf(out, 160, "time %.3f", (double)matrix_time(s->matrix) / 1000);
    else
        snprintf(out, 160, "line %" PRIu64,
                 s->csv != NULL ? csv_table_line(s->csv) : lines_number(s->lines));
}

uint64_t source_read(const struct source *s)
{
    if (s->matrix != NULL && matrix_size(s->matrix) > 0) {
        double done = (double)matrix_given(s->matrix) / (double)matrix_size(s->matrix);
        return (uint64_t)(done * (double)lines_read(s->lines));
    }
    return s->reader != NULL ? recording_bytes(s->reader) : lines_read(s->lines);
}

uint64_t source_size(const struct source *s)
{
    return lines_size(s->lines);
}
