/* engine/cli/cmd_lint.c -- every error of plans or configurations, before they are used
 */
#include <stdio.h>
#include <string.h>

#include "engine/act/section.h"
#include "engine/base/text.h"
#include "engine/cli/cli.h"
#include "engine/cli/config.h"
#include "engine/cli/file.h"
#include "engine/core/plan_advice.h"

struct lint {
    bool json, config;
    struct text out;
    size_t files, bad;
};

static enum serin_status check(const struct lint *l, struct arena *a, const char *text,
                               size_t n, struct plan **p, struct doc_errors *errors)
{
    struct config c = {0};
    if (!l->config) return section_plan(a, text, n, p, errors);
    errors->arena = a;
    enum serin_status rc = config_parse(&c, text, n, errors);
    config_free(&c);
    return rc;
}

static void finding(struct text *t, size_t i, unsigned line, unsigned column,
                    const char *message)
{
    text_add(t, "%s{\"line\":%u,\"column\":%u,\"message\":", i > 0 ? "," : "", line,
             column);
    text_json(t, message);
    text_add(t, "}");
}

/* About a plan without errors: to metrics, and to places. */
static void warnings_json(struct text *out, const struct plan *p,
                          const struct doc_errors *advice)
{
    char warning[PLAN_WARNING + 32];
    size_t n = 0;
    for (size_t i = 0; p != NULL && i < p->n_metrics; i++) {
        if (!plan_warning(p, i, warning)) continue;
        text_add(out, n++ > 0 ? "," : "");
        text_json(out, warning);
    }
    for (size_t i = 0; i < advice->n; i++) {
        snprintf(warning, sizeof warning, "%u:%u: %s", advice->items[i].line,
                 advice->items[i].column, advice->items[i].text);
        text_add(out, n++ > 0 ? "," : "");
        text_json(out, warning);
    }
}

/* One element of "files"; why: the file could not be read at all. */
static void report_json(struct lint *l, const char *file, const struct plan *p,
                        const struct doc_errors *e, const struct doc_errors *advice,
                        const char *why)
{
    text_add(&l->out, "%s{\"file\":", l->files > 0 ? "," : "");
    text_json(&l->out, file);
    text_add(&l->out, ",\"ok\":%s,\"errors\":[",
             why == NULL && e->total == 0 ? "true" : "false");
    if (why != NULL) finding(&l->out, 0, 0, 0, why);
    for (size_t i = 0; i < e->n; i++)
        finding(&l->out, i, e->items[i].line, e->items[i].column, e->items[i].text);
    text_add(&l->out, "],\"warnings\":[");
    warnings_json(&l->out, p, advice);
    text_add(&l->out, "]}");
}

static void report_ok(struct lint *l, const char *file, const struct plan *p,
                      const struct doc_errors *advice)
{
    char warning[PLAN_WARNING];
    text_add(&l->out, "%s: ok\n", file);
    for (size_t i = 0; p != NULL && i < p->n_metrics; i++)
        if (plan_warning(p, i, warning))
            text_add(&l->out, "%s: warning: %s\n", file, warning);
    for (size_t i = 0; i < advice->n; i++)
        text_add(&l->out, "%s:%u:%u: warning: %s\n", file, advice->items[i].line,
                 advice->items[i].column, advice->items[i].text);
}

/* A line of a plan never begins like this. */
static bool is_config(const char *text)
{
    return strncmp(text, "kafka:", 6) == 0 || strstr(text, "\nkafka:") != NULL;
}

static enum serin_status lint_file(struct lint *l, struct arena *a, const char *path)
{
    struct fault f = {0};
    struct doc_errors errors = {0}, advice = {0};
    struct plan *p = NULL;
    const char *file = strcmp(path, "-") == 0 ? "stdin" : path;
    const char *text = NULL;
    size_t n = 0;
    enum serin_status rc = file_load(a, path, DOC_MAX_BYTES, &text, &n, &f);
    bool unread = rc != SERIN_OK;
    if (!unread) rc = check(l, a, text, n, &p, &errors);
    if (rc == SERIN_OK && p != NULL) rc = plan_advise(a, p, text, n, &advice);
    if (rc == SERIN_ENOMEM) return rc;
    if (l->json)
        report_json(l, file, p, &errors, &advice, unread ? f.text : NULL);
    else if (unread)
        text_add(&l->out, "%s\n", f.text);
    else if (rc == SERIN_OK)
        report_ok(l, file, p, &advice);
    else
        text_add(&l->out, "%s", doc_errors_format(&errors, file, text, n));
    if (!l->json && !l->config && !unread && rc != SERIN_OK && is_config(text))
        text_add(&l->out,
                 "%s: looks like a configuration of the engine; use "
                 "lint --config\n",
                 file);
    l->files++;
    l->bad += rc != SERIN_OK;
    return SERIN_OK;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    const char *format = cli_get("output");
    struct lint l = {.json = format != NULL && strcmp(format, "json") == 0,
                     .config = cli_get("config") != NULL};
    if (format != NULL && !l.json && strcmp(format, "text") != 0)
        return cli_usage(v, "-o %s: write text or json", format);
    if (l.json) text_add(&l.out, "{\"schema\":\"serin.lint/1\",\"files\":[");
    enum serin_status rc = SERIN_OK;
    for (int i = 0; i < n_args && rc == SERIN_OK; i++) {
        struct arena a = {0};
        rc = lint_file(&l, &a, args[i]);
        arena_free(&a);
    }
    if (l.json) text_add(&l.out, "],\"ok\":%s}\n", l.bad == 0 ? "true" : "false");
    if (l.out.failed) rc = SERIN_ENOMEM;
    if (rc == SERIN_OK) fputs(l.out.p, stdout);
    text_free(&l.out);
    if (rc != SERIN_OK) return cli_fail(CLI_USAGE, "lint: %s", status_text(rc));
    return l.bad == 0 ? CLI_OK : CLI_USAGE;
}

static const struct cli_option options[] = {
    {"config", 0, NULL, "the files are engine configurations (serin.yaml), not plans"},
    {"output", 'o', "FORMAT", "text (default) or json"},
    {NULL, 0, NULL, NULL},
};
const struct cli_verb cmd_lint = {
    "lint",
    "FILE... [options]",
    "Check plans and show every error; '-' is standard input.",
    options,
    1,
    -1,
    run};
