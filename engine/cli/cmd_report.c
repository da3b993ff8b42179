/* engine/cli/cmd_report.c -- one rollout on one page: from the engine or a recording */
#include "engine/cli/cmd_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/cli/remote.h"

static const struct cli_option options[] = {
    {"output", 'o', "FORMAT",
     "html, pdf, md or json (default: as --out ends, else html)"},
    {"out", 0, "FILE", "write it there (default: standard output)"},
    {"plots", 0, "DIR", "also write every plot as a PNG into this folder"},
    {"plan", 0, "PLAN", "judge FILE, recorded metrics, by this plan"},
    {"rollout", 0, "R", "the one of FILE that is reported, where it has several"},
    REMOTE_OPTIONS,
    {0}};

static int no_memory(void)
{
    return cli_fail(CLI_UNREACHABLE, "out of memory");
}

/* ---------------------------------------------------------------- a live rollout */

/* The plan's text; an engine that has none left is no reason to give up. */
static int live_plan(const char *rollout, struct report *r)
{
    char why[512];
    struct remote_reply reply;
    char *path = remote_path(rollout, "/plan");
    struct remote_request q = {.method = "GET", .path = path};
    if (path == NULL) return no_memory();
    int code = remote_call(&q, &reply, why);
    free(path);
    if (code != CLI_OK) return cli_fail((enum cli_exit)code, "%s", why);
    enum serin_status rc = SERIN_OK;
    if (remote_code(&reply) == CLI_OK) rc = report_plan(r, reply.body);
    remote_reply_free(&reply);
    return rc == SERIN_OK ? CLI_OK : no_memory();
}

static int ask(const char *rollout, const char *tail, json_t **out)
{
    char *path = remote_path(rollout, tail);
    if (path == NULL) return no_memory();
    int code = remote_get(path, out);
    free(path);
    return code;
}

/* Verdicts carry what was known when they fell: the points of the curves. */
static enum serin_status tell(struct report *r, const json_t *status,
                              const json_t *verdicts, const json_t *explain)
{
    size_t i;
    json_t *v;
    enum serin_status rc = SERIN_OK;
    json_array_foreach(json_object_get(verdicts, "verdicts"), i, v)
    {
        if (rc == SERIN_OK) rc = report_verdict(r, v, true);
    }
    if (rc == SERIN_OK) rc = report_status(r, status);
    if (rc == SERIN_OK) rc = report_explain(r, explain);
    return rc;
}

static int live(const char *rollout, struct report **out)
{
    json_t *status = NULL, *verdicts = NULL, *explain = NULL;
    struct report *r = NULL;
    int code = ask(rollout, "", &status);
    if (code == CLI_OK) code = ask(rollout, "/verdicts", &verdicts);
    if (code == CLI_OK) code = ask(rollout, "/explain", &explain);
    if (code == CLI_OK && report_open(&r, "a running engine; the curves have a point a "
                                          "verdict, of the latest 256") != SERIN_OK)
        code = no_memory();
    if (code == CLI_OK) code = live_plan(rollout, r);
    if (code == CLI_OK && tell(r, status, verdicts, explain) != SERIN_OK)
        code = no_memory();
    json_decref(status);
    json_decref(verdicts);
    json_decref(explain);
    if (code == CLI_OK)
        *out = r;
    else
        report_close(r);
    return code;
}

/* ---------------------------------------------------------------- what is written */

static int failed(enum serin_status rc, const struct fault *f)
{
    return cli_fail(rc == SERIN_ENOMEM ? CLI_UNREACHABLE : CLI_USAGE, "%s", f->text);
}

static int put(const struct text *t, const char *path)
{
    FILE *file = path != NULL ? fopen(path, "wb") : stdout;
    if (file == NULL) return cli_fail(CLI_USAGE, "%s: %s", path, strerror(errno));
    bool bad = fwrite(t->p, 1, t->n, file) != t->n;
    bad |= path != NULL ? fclose(file) != 0 : fflush(file) != 0;
    if (!bad) return CLI_OK;
    return cli_fail(CLI_UNREACHABLE, "%s: %s; the report is not whole",
                    path != NULL ? path : "standard output", strerror(errno));
}

static int save(struct report *r, enum report_format format)
{
    struct fault f = {0};
    struct text text = {0};
    const char *plots = cli_get("plots");
    enum serin_status rc = report_write(r, format, &text, &f);
    int code = rc == SERIN_OK ? put(&text, cli_get("out")) : failed(rc, &f);
    text_free(&text);
    if (code != CLI_OK || plots == NULL) return code;
    rc = report_plots(r, plots, &f);
    return rc == SERIN_OK ? CLI_OK : failed(rc, &f);
}

static int format_of(const struct cli_verb *v, enum report_format *out)
{
    const char *word = cli_get("output"), *path = cli_get("out");
    const char *dot = path != NULL ? strrchr(path, '.') : NULL;
    *out = REPORT_HTML;
    if (word != NULL && !report_format_parse(word, out))
        return cli_usage(v, "-o %s: expected html, pdf, md or json", word);
    if (word == NULL && dot != NULL && !report_format_parse(dot + 1, out))
        *out = REPORT_HTML; /* FILE.htm, FILE.txt */
    if (*out == REPORT_PDF && path == NULL && isatty(STDOUT_FILENO))
        return cli_usage(v, "a PDF is nothing for a terminal: add --out FILE");
    return CLI_OK;
}

/* A file of that name, or standard input; rollout ids have no '/'. */
static bool is_file(const char *arg)
{
    struct stat st;
    return strcmp(arg, "-") == 0 || strchr(arg, '/') != NULL || stat(arg, &st) == 0;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)n_args;
    enum report_format format;
    struct report *r = NULL;
    int code = format_of(v, &format);
    if (code != CLI_OK) return code;
    if (is_file(args[0]))
        code = cmd_report_file(v, args[0], &r);
    else if (cli_get("plan") != NULL || cli_get("rollout") != NULL)
        code = cli_usage(v, "%s: no such file; --plan and --rollout are for a FILE",
                         args[0]);
    else
        code = live(args[0], &r);
    if (code == CLI_OK) code = save(r, format);
    report_close(r);
    return code;
}

const struct cli_verb cmd_report = {
    "report",
    "R|FILE [options]",
    "Write one page about a rollout: what was seen, decided and why.",
    options,
    1,
    1,
    run};
