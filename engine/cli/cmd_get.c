/* engine/cli/cmd_get.c -- a rollout once, its plan, or live until it ends */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/strview.h"
#include "engine/cli/output.h"
#include "engine/cli/remote.h"
#include "engine/cli/show.h"

enum { DEFAULT_MS = 1000, LEAST_MS = 100 };

static int plan(const char *rollout)
{
    char why[512] = "out of memory", *path = remote_path(rollout, "/plan");
    struct remote_request q = {.method = "GET", .path = path};
    struct remote_reply r = {0};
    int code = path != NULL ? remote_call(&q, &r, why) : CLI_UNREACHABLE;
    free(path);
    if (code != CLI_OK) return cli_fail(code, "%s", why);
    code = remote_code(&r);
    if (code == CLI_OK)
        fwrite(r.body, 1, r.n, stdout);
    else
        code = cli_fail(code, "%s", remote_message(&r));
    remote_reply_free(&r);
    return code;
}

/* A change that is worth a line. */
static bool same(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"state", "reason", "step", "weight_bp", "seq"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i])))
            return false;
    return true;
}

static void draw(enum output_format format, json_t *now, const json_t *before)
{
    bool screen = format == OUTPUT_TABLE && isatty(STDOUT_FILENO);
    if (screen) {
        fputs("\033[H\033[J", stdout);
        show_status(now);
    } else if (before == NULL || !same(now, before)) {
        if (format == OUTPUT_TABLE)
            show_line(stdout, now);
        else
            (void)output_json(format == OUTPUT_JSON ? OUTPUT_JSONL : format,
                              json_incref(now), NULL);
    }
    fflush(stdout);
}

static int watch(const char *rollout, enum output_format format, int64_t every_ms)
{
    json_t *before = NULL, *now = NULL;
    char *path = remote_path(rollout, "");
    int code;
    while ((code = remote_get(path, &now)) == CLI_OK) {
        draw(format, now, before);
        json_decref(before);
        before = now;
        if (json_is_true(json_object_get(now, "final"))) {
            code = show_code(now);
            break;
        }
        if (ferror(stdout)) break; /* whoever read us is gone */
        clock_sleep_ms(every_ms);
    }
    free(path);
    json_decref(before);
    return code < 0 ? CLI_OK : code;
}

static void print(const json_t *status)
{
    show_line(stdout, status);
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)n_args;
    enum output_format format;
    int64_t every_ms = DEFAULT_MS;
    const char *interval = cli_get("interval");
    int code = output_format(v, &format);
    if (code != CLI_OK) return code;
    if (interval != NULL &&
        (!strview_duration_ms(strview_of(interval), &every_ms) || every_ms < LEAST_MS))
        return cli_usage(v, "--interval %s: expected a duration of at least 100ms",
                         interval);
    if (cli_get("plan") != NULL) return plan(args[0]);
    if (cli_get("watch") != NULL) return watch(args[0], format, every_ms);
    return show_get(v, remote_path(args[0], ""), NULL, print);
}

static const struct cli_option options[] = {
    {"watch", 'w', NULL, "until it is final; then exit as 'wait' does"},
    {"interval", 0, "DURATION", "how often --watch looks (default 1s)"},
    {"plan", 0, NULL, "print the plan as it was applied"},
    OUTPUT_OPTIONS,
    REMOTE_OPTIONS,
    {0}};

const struct cli_verb cmd_get = {
    "get",
    "R [--watch] [options]",
    "Show a rollout in a line; --watch keeps it up to date.",
    options,
    1,
    1,
    run};
