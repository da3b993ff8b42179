/* engine/replay/report/report_write.c -- the page in the format that was asked for */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/replay/report/report_build.h"
#include "engine/replay/report/report_out.h"
#include "engine/replay/report/report_series.h"

enum { FINEST = 240, COARSEST = 15 }; /* pieces of a curve */

static enum serin_status told(const struct report *r, struct fault *f)
{
    if (*report_data_rollout(r) != '\0') return SERIN_OK;
    return fault_set(f, SERIN_EDOM,
                     "nothing is known of the rollout: expected a status or a verdict");
}

static enum serin_status no_memory(struct fault *f)
{
    return fault_set(f, SERIN_ENOMEM, "no memory for the report");
}

/* A page of finest curves that is not too large. */
static enum serin_status html(const struct report *r, struct text *out, struct fault *f)
{
    size_t before = out->n;
    for (size_t points = FINEST; points >= COARSEST; points /= 2) {
        struct report_page p = {0};
        out->n = before;
        report_build(r, points, &p);
        enum serin_status rc = p.failed ? SERIN_ENOMEM : report_out_html(&p, out);
        report_page_free(&p);
        if (rc == SERIN_ENOMEM) return no_memory(f);
        if (rc != SERIN_OK) return fault_set(f, rc, "cairo could not draw the plots");
        if (out->n - before <= REPORT_MAX_BYTES) return SERIN_OK;
    }
    return fault_set(f, SERIN_ELIMIT,
                     "the report would have %zu bytes, more than %zu: write it as pdf",
                     out->n - before, REPORT_MAX_BYTES);
}

/* ---------------------------------------------------------------- as JSON */

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x == 0 ? 0 : x) : json_null();
}

static json_t *curves(const struct report *r, struct report_page *p, size_t metric)
{
    static const char *const names[] = {
#define X(name) #name,
        REPORT_SERIES(X)
#undef X
    };
    struct report_series s = report_series(r, p, metric, FINEST);
    json_t *o = json_object();
    for (size_t c = 0; c < REPORT_NCOLUMN && s.n > 0; c++) {
        char key[32];
        json_t *list = json_array();
        size_t n = 0;
        for (; names[c][n] != '\0' && n < sizeof key - 1; n++)
            key[n] = (char)(names[c][n] == '_' ? '_' : names[c][n] | 0x20);
        key[n] = '\0';
        for (size_t k = 0; k < s.n; k++)
            if (json_array_append_new(list, number(s.at[c][k])) != 0) p->failed = true;
        if (json_object_set_new(o, c == REPORT_T ? "t_ms" : key, list) != 0)
            p->failed = true;
    }
    return o;
}

static enum serin_status json(const struct report *r, struct text *out)
{
    struct report_page p = {0};
    json_t *series = json_object();
    for (size_t i = 0; i < json_array_size(r->metrics); i++)
        if (json_object_set_new(series,
                                report_data_text(json_array_get(r->metrics, i), "name"),
                                curves(r, &p, i)) != 0)
            p.failed = true;
    json_t *o = json_pack("{s:s, s:s, s:s, s:O?, s:O?, s:O, s:O, s:O, s:o}", "schema",
                          "serin.report/1", "rollout", report_data_rollout(r), "source",
                          r->source, "status", r->status, "explain", r->explain,
                          "verdicts", r->verdicts, "commands", r->commands, "metrics",
                          r->metrics, "series", series);
    char *text =
        o != NULL ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    if (text != NULL) text_add(out, "%s\n", text);
    bool bad = text == NULL || p.failed || out->failed;
    free(text);
    json_decref(o);
    report_page_free(&p);
    return bad ? SERIN_ENOMEM : SERIN_OK;
}

enum serin_status report_write(struct report *r, enum report_format format,
                               struct text *out, struct fault *f)
{
    struct report_page p = {0};
    enum serin_status rc = told(r, f);
    if (rc != SERIN_OK) return rc;
    if (format == REPORT_HTML) return html(r, out, f);
    if (format == REPORT_JSON)
        return json(r, out) == SERIN_OK ? SERIN_OK : no_memory(f);
    report_build(r, FINEST, &p);
    if (p.failed)
        rc = SERIN_ENOMEM;
    else
        rc = format == REPORT_PDF ? report_out_pdf(&p, out) : report_out_md(&p, out);
    report_page_free(&p);
    if (rc == SERIN_ENOMEM) return no_memory(f);
    return rc == SERIN_OK ? rc : fault_set(f, rc, "cairo could not draw the plots");
}

enum serin_status report_plots(struct report *r, const char *dir, struct fault *f)
{
    struct report_page p = {0};
    char path[4096];
    enum serin_status rc = told(r, f);
    if (rc != SERIN_OK) return rc;
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return fault_set(f, SERIN_EIO, "%s: %s; expected a folder, or a place for one",
                         dir, strerror(errno));
    report_build(r, FINEST, &p);
    if (p.failed) rc = no_memory(f);
    for (const struct report_block *b = p.first; b != NULL && rc == SERIN_OK;
         b = b->next) {
        if (b->kind != REPORT_PLOT) continue;
        struct plot_picture picture = plot_picture(b->plot);
        snprintf(path, sizeof path, "%.4000s/%s.png", dir, b->name);
        rc = plot_canvas_png(&picture, path, f);
    }
    report_page_free(&p);
    return rc;
}
