/* engine/cli/cmd_recording.c -- what is in a recording; cut, put together, as text */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/strview.h"
#include "engine/cli/cli.h"
#include "engine/cli/cmd_recording.h"
#include "engine/cli/output.h"
#include "engine/replay/source/moment.h"
#include "engine/replay/record/origin.h"
#include "engine/replay/record/splice.h"
#include "engine/serve/view.h"
#include "proto/decode.h"

enum { FILES = 256 };

static const struct cli_option options[] = {
    {"out", 0, "FILE", "cut, merge, anonymize: the recording to write"},
    {"from", 0, "TIME", "cut: first time (ms, ISO 8601), or +DURATION from its start"},
    {"to", 0, "TIME", "cut: end, exclusive; as --from"},
    CMD_RECORDING_ANONYMIZE_OPTIONS,
    OUTPUT_OPTIONS,
    {0}};

static int failed(enum serin_status rc, const struct fault *f)
{
    return cli_fail(rc == SERIN_ENOMEM || rc == SERIN_EIO ? CLI_UNREACHABLE : CLI_USAGE,
                    "%s", f->text);
}

/* Records by topic, for the report. */
static void take_counts(json_t *report, const uint64_t of[ORIGIN_MAX_TOPICS])
{
    const json_t *topics = json_object_get(report, "topics");
    json_t *counts = json_object();
    for (size_t i = 0; i < json_array_size(topics) && i < ORIGIN_MAX_TOPICS; i++)
        json_object_set_new(counts, json_string_value(json_array_get(topics, i)),
                            json_integer((json_int_t)of[i]));
    json_object_set_new(report, "records_of", counts);
}

/* Its first and last time, and how many records; the file is read to its end. */
static enum serin_status survey(const char *path, json_t *meta_out,
                                struct splice_report *out, struct fault *f)
{
    struct recording_reader *r;
    struct recording_record one;
    uint64_t of[ORIGIN_MAX_TOPICS] = {0};
    *out = (struct splice_report){.first_ms = INT64_MIN, .last_ms = INT64_MIN};
    enum serin_status rc = recording_open(&r, path, f);
    if (rc != SERIN_OK) return rc;
    json_t *meta = json_loads(recording_meta(r), 0, NULL);
    if (meta != NULL) json_object_update(meta_out, meta);
    json_decref(meta);
    while ((rc = recording_next(r, &one, f)) == SERIN_OK) {
        int64_t t = one.timestamp_ms;
        if (out->read == 0 || t < out->first_ms) out->first_ms = t;
        if (out->read == 0 || t > out->last_ms) out->last_ms = t;
        out->read++;
        if (one.topic < ORIGIN_MAX_TOPICS) of[one.topic]++;
    }
    recording_close(r);
    take_counts(meta_out, of);
    return rc == SERIN_AGAIN ? SERIN_OK : rc;
}

static int info(const struct cli_verb *v, const char *path)
{
    struct fault f = {0};
    struct splice_report n;
    enum output_format format;
    char from[32], to[32], text[32];
    int code = output_format(v, &format);
    if (code != CLI_OK) return code;
    json_t *j = json_object();
    enum serin_status rc = survey(path, j, &n, &f);
    bool opened = json_object_get(j, "records_of") != NULL;
    if (!opened || (rc != SERIN_OK && rc != SERIN_EPARSE)) {
        json_decref(j);
        return failed(rc, &f);
    }
    bool any = n.read > 0;
    json_object_set_new(j, "records", json_integer((json_int_t)n.read));
    json_object_set_new(j, "first_ms", any ? json_integer(n.first_ms) : json_null());
    json_object_set_new(j, "last_ms", any ? json_integer(n.last_ms) : json_null());
    json_object_set_new(j, "whole", json_boolean(rc == SERIN_OK));
    if (format != OUTPUT_TABLE) {
        code = output_json(format, j, NULL);
    } else {
        char *meta = json_dumps(json_object_get(j, "records_of"), 0);
        printf("topics   %s\nrecords  %" PRIu64 "\ntime     %s to %s (%s)\nwritten by "
               "serin %s\n",
               meta != NULL ? meta : "?", n.read,
               any ? output_time(from, n.first_ms) : "-",
               any ? output_time(to, n.last_ms) : "-",
               any ? output_duration(text, n.last_ms - n.first_ms) : "-",
               output_text(j, "serin"));
        free(meta);
        json_decref(j);
    }
    return rc == SERIN_OK ? code : failed(rc, &f);
}

/* A time of the command line; relative ones count from first_ms. */
static bool time_of(const char *text, int64_t first_ms, int64_t *out)
{
    int64_t ms;
    if (text == NULL) return true;
    if (text[0] != '+') return moment_parse(strview_of(text), out);
    if (!strview_duration_ms(strview_of(text + 1), &ms)) return false;
    *out = first_ms + ms;
    return true;
}

static int done(enum serin_status rc, const struct splice_report *n, const char *out,
                const struct fault *f)
{
    /* Else the file has no end. */
    bool finished = rc == SERIN_OK || rc == SERIN_EPARSE;
    if (finished) {
        fprintf(stderr, "serin: %" PRIu64 " of %" PRIu64 " records into %s", n->written,
                n->read, out);
        if (n->repeated > 0) fprintf(stderr, "; %" PRIu64 " came again", n->repeated);
        fputc('\n', stderr);
    }
    return rc == SERIN_OK ? CLI_OK : failed(rc, f);
}

/* What lies in the stretch of --from and --to, of which only headers are read. */
static int stretch(const struct cli_verb *v, struct recording_reader *r,
                   const char *path, int64_t *from, int64_t *to)
{
    struct fault f = {0};
    struct recording_outline n;
    if (recording_survey(r, INT64_MAX, &n, &f) != SERIN_OK)
        return cli_fail(CLI_USAGE, "%s", f.text);
    if (!time_of(cli_get("from"), n.first_ms, from) ||
        !time_of(cli_get("to"), n.first_ms, to))
        return cli_usage(v, "--from, --to: expected %s, or +DURATION such as +5m",
                         MOMENT_EXPECTED);
    if (n.records == 0 || *from >= *to || *from > n.last_ms || *to <= n.first_ms)
        return cli_fail(CLI_USAGE,
                        "%s: nothing from %" PRId64 " to %" PRId64 ": it holds %" PRId64
                        " to %" PRId64,
                        path, *from, *to, n.first_ms, n.last_ms);
    if (recording_survey(r, *to, &n, &f) != SERIN_OK)
        return cli_fail(CLI_UNREACHABLE, "%s", f.text);
    /* A file that was cut short is read to where it says so. */
    recording_stretch(r, *from, n.whole ? n.until : UINT32_MAX);
    return CLI_OK;
}

static int cut(const struct cli_verb *v, const char *path, const char *out)
{
    struct fault f = {0};
    struct splice_report n;
    struct recording_reader *r;
    int64_t from = INT64_MIN, to = INT64_MAX;
    enum serin_status rc = recording_open(&r, path, &f);
    if (rc != SERIN_OK) return failed(rc, &f);
    int code = stretch(v, r, path, &from, &to);
    if (code == CLI_OK) {
        rc = splice_cut(r, from, to, out, &n, &f);
        code = done(rc, &n, out, &f);
    }
    recording_close(r);
    return code;
}

static int merge(char **paths, size_t n, const char *out)
{
    struct fault f = {0};
    struct splice_report report = {0};
    struct recording_reader *r[FILES] = {NULL};
    enum serin_status rc =
        n <= FILES ? SERIN_OK
                   : fault_set(&f, SERIN_ELIMIT, "more than %d files", FILES);
    for (size_t i = 0; rc == SERIN_OK && i < n; i++)
        rc = recording_open(&r[i], paths[i], &f);
    if (rc == SERIN_OK)
        rc = splice_merge(r, n, out, &report, &f);
    else
        report.written = UINT64_MAX;
    for (size_t i = 0; i < n && i < FILES; i++)
        recording_close(r[i]);
    return report.written == UINT64_MAX ? failed(rc, &f) : done(rc, &report, out, &f);
}

/* ---------------------------------------------------------------- export */

static json_t *cohort_cell(const pb_cell *c)
{
    json_t *j = json_object();
    bool canary = c->cohort == SERIN__V1__COHORT__COHORT_CANARY;
    json_object_set_new(j, "t_ms", json_integer(c->window_ms));
    json_object_set_new(j, "cohort", json_string(canary ? "canary" : "baseline"));
    if (c->stratum[0] != '\0') json_object_set_new(j, "stratum", view_text(c->stratum));
    json_object_set_new(j, "metric", view_text(c->metric));
    return j;
}

static void print_line(json_t *j)
{
    char *text = json_dumps(j, VIEW_DUMP);
    if (text != NULL) puts(text);
    free(text);
    json_decref(j);
}

static void print_hist(const pb_cell *c, const char *rollout)
{
    json_t *j = cohort_cell(c), *h = json_object(), *counts = json_array();
    for (size_t i = 0; i < c->hist->n_counts; i++)
        json_array_append_new(counts, json_integer((json_int_t)c->hist->counts[i]));
    json_object_set_new(h, "scale", json_integer(c->hist->scale));
    json_object_set_new(h, "zero_count", json_integer((json_int_t)c->hist->zero_count));
    json_object_set_new(h, "offset", json_integer(c->hist->offset));
    json_object_set_new(h, "counts", counts);
    json_object_set_new(j, "rollout", view_text(rollout));
    json_object_set_new(j, "hist", h);
    print_line(j);
}

/* A cell as lines that `replay --from` reads. */
static void print_cell(const pb_cell *c, const char *rollout)
{
    if (c->hist != NULL) print_hist(c, rollout);
    if (c->hist == NULL && c->n_units == 0) {
        json_t *j = cohort_cell(c);
        json_object_set_new(j, "rollout", view_text(rollout));
        json_object_set_new(j, "n", json_integer((json_int_t)c->n));
        json_object_set_new(j, "bad", json_integer((json_int_t)c->bad));
        print_line(j);
    }
    for (size_t i = 0; i < c->n_units; i++) {
        const Serin__V1__UnitSum *u = c->units[i];
        json_t *j = cohort_cell(c);
        json_object_set_new(j, "rollout", view_text(rollout));
        json_object_set_new(j, "gauge",
                            view_number(u->n > 0 ? u->sum / (double)u->n : 0));
        json_object_set_new(j, "unit", view_text(u->unit));
        print_line(j);
    }
}

/* The metrics of a recorded inbox, partition by partition as they stand in it. */
static int export(const char *path)
{
    struct fault f = {0};
    struct recording_reader *r;
    struct recording_record one;
    struct arena a = {0};
    enum serin_status rc = recording_open(&r, path, &f);
    if (rc != SERIN_OK) return failed(rc, &f);
    while ((rc = recording_next(r, &one, &f)) == SERIN_OK) {
        pb_inbox *m;
        arena_reset(&a);
        if (decode_inbox(&a, one.value, one.value_len, &m) != SERIN_OK) continue;
        if (m->body_case != SERIN__V1__INBOX__BODY_PARTIAL) continue;
        for (size_t i = 0; i < m->partial->n_cells; i++)
            print_cell(m->partial->cells[i], m->partial->rollout);
    }
    recording_close(r);
    arena_free(&a);
    return rc == SERIN_AGAIN ? CLI_OK : failed(rc, &f);
}

/* Also by another path or a link: writing would empty it before it is read. */
static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    if (strcmp(a, b) == 0) return true;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) &&
           x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What makes a new recording of others. */
static int remake(const struct cli_verb *v, char **args, int n_args)
{
    const char *what = args[0], *out = cli_get("out");
    if (out == NULL) return cli_usage(v, "--out FILE is missing");
    if (strcmp(out, "-") == 0 && isatty(STDOUT_FILENO))
        return cli_usage(v, "a recording is no text: redirect it, or give --out FILE");
    for (int i = 1; i < n_args; i++)
        if (same_file(args[i], out))
            return cli_usage(v, "%s: cannot be read and written at once", out);
    if (strcmp(what, "merge") == 0) return merge(args + 1, (size_t)(n_args - 1), out);
    if (n_args != 2) return cli_usage(v, "%s takes one file", what);
    return strcmp(what, "cut") == 0 ? cut(v, args[1], out)
                                    : cmd_recording_anonymize(v, args[1], out);
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    static const char *const makes[] = {"cut", "merge", "anonymize"};
    const char *what = args[0];
    for (size_t i = 0; i < sizeof makes / sizeof *makes; i++)
        if (strcmp(what, makes[i]) == 0) return remake(v, args, n_args);
    if (strcmp(what, "info") == 0 && n_args == 2) return info(v, args[1]);
    if (strcmp(what, "export") == 0 && n_args == 2) return export(args[1]);
    return cli_usage(v,
                     "\"%s\": expected info, cut, merge, export or anonymize, "
                     "and a file",
                     what);
}

const struct cli_verb cmd_recording = {
    "recording",
    "info|cut|merge|export|anonymize FILE... [options]",
    "Say what is in a recording; cut it by time, merge pieces, export JSON lines, "
    "replace names.",
    options,
    2,
    -1,
    run};
