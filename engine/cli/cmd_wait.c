/* engine/cli/cmd_wait.c -- block until a rollout has come out, for CI
 *
 * Another final outcome than the one waited for ends the wait at once. So does a hold
 * that needs a person; any other hold usually ends by itself, and counts once it is
 * old. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/strview.h"
#include "engine/cli/output.h"
#include "engine/cli/remote.h"
#include "engine/cli/show.h"

enum {
    POLL_MS = 250,
    HELD_MS = 60000, /* most holds end by themselves; one this old wants a person */
    AWAY_MS = 30000, /* an engine that restarts is waited for */
};

struct wish {
    const char *outcome; /* promoted | aborted | held */
    int64_t end_ms, held_ms;
    bool quiet;
};

/* Holds that end only when somebody resumes them. */
static bool needs_person(const char *reason)
{
    static const char *const reasons[] = {"operator",     "state_lost", "defect",
                                          "sample_ratio", "timeout",    "suspicious"};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strcmp(reasons[i], reason) == 0) return true;
    return false;
}

/* The exit code, or -1: wait on. */
static int judge(const json_t *s, const struct wish *w)
{
    int code = show_code(s);
    if (code != CLI_HELD) return code;
    if (strcmp(w->outcome, "held") == 0) return CLI_HELD;
    if (strcmp(w->outcome, "aborted") == 0) return -1; /* a hold may still become one */
    if (needs_person(output_text(s, "reason"))) return CLI_HELD;
    return clock_wall_ms() - output_int(s, "since_ms") >= w->held_ms ? CLI_HELD : -1;
}

/* Told once a change, on stderr: stdout is for the end. */
static void tell(const struct wish *w, const json_t *s, char last[256])
{
    char now[256];
    snprintf(now, sizeof now, "%s %s %lld %lld", output_text(s, "state"),
             output_text(s, "reason"), (long long)output_int(s, "step"),
             (long long)output_int(s, "weight_bp"));
    if (strcmp(now, last) == 0 || w->quiet) return;
    memcpy(last, now, sizeof now);
    show_line(stderr, s);
}

/* One look. -1: none came, try again; else an exit code, CLI_OK with *out set. */
static int look(const char *path, json_t **out, int64_t *away_since)
{
    char why[512];
    struct remote_request q = {.method = "GET", .path = path};
    struct remote_reply r;
    int64_t now = clock_mono_ms();
    int code = remote_call(&q, &r, why);
    if (code == CLI_OK) {
        code = remote_code(&r);
        snprintf(why, sizeof why, "%s", remote_message(&r));
        if (code == CLI_OK && r.json != NULL) *out = json_incref(r.json);
        remote_reply_free(&r);
    }
    if (code == CLI_OK && *out != NULL) {
        *away_since = now;
        return CLI_OK;
    }
    bool known = *away_since != 0; /* it answered before, so it may come back */
    if (known && code != CLI_USAGE && now - *away_since < AWAY_MS) return -1;
    return cli_fail(code != CLI_OK ? code : CLI_UNREACHABLE, "%s", why);
}

static int wait_for(const char *path, const struct wish *w, json_t **last_seen)
{
    char told[256] = "";
    int64_t away_since = 0;
    for (;;) {
        json_t *s = NULL;
        int code = look(path, &s, &away_since);
        if (code > 0) return code;
        if (code == CLI_OK) {
            tell(w, s, told);
            code = judge(s, w);
            json_decref(*last_seen);
            *last_seen = s;
            if (code >= 0) return code;
        }
        int64_t left = w->end_ms - clock_mono_ms();
        if (left <= 0)
            return *last_seen != NULL && show_code(*last_seen) == CLI_HELD
                       ? CLI_HELD
                       : CLI_TIMEOUT;
        clock_sleep_ms(left < POLL_MS ? left : POLL_MS);
    }
}

static int read_wish(const struct cli_verb *v, struct wish *w)
{
    int64_t ms = INT64_C(30) * 60 * 1000;
    const char *timeout = cli_get("timeout"), *held = cli_get("held-for");
    *w = (struct wish){.outcome = cli_get("for"),
                       .held_ms = HELD_MS,
                       .quiet = cli_get("quiet") != NULL};
    if (w->outcome == NULL) w->outcome = "promoted";
    if (strcmp(w->outcome, "promoted") != 0 && strcmp(w->outcome, "aborted") != 0 &&
        strcmp(w->outcome, "held") != 0)
        return cli_usage(v, "--for %s: expected promoted, aborted or held", w->outcome);
    if (timeout != NULL && !strview_duration_ms(strview_of(timeout), &ms))
        return cli_usage(v, "--timeout %s: expected a duration such as 30m", timeout);
    if (held != NULL && !strview_duration_ms(strview_of(held), &w->held_ms))
        return cli_usage(v, "--held-for %s: expected a duration such as 60s", held);
    w->end_ms = clock_mono_ms() + ms;
    return CLI_OK;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)n_args;
    struct wish w;
    enum output_format format;
    json_t *last = NULL;
    int code = output_format(v, &format);
    if (code == CLI_OK) code = read_wish(v, &w);
    if (code != CLI_OK) return code;
    char *path = remote_path(args[0], "");
    if (path == NULL) return cli_fail(CLI_UNREACHABLE, "out of memory");
    code = wait_for(path, &w, &last);
    free(path);
    if (code == CLI_TIMEOUT)
        cli_fail(CLI_TIMEOUT, "%s has not come out in time; it goes on by itself",
                 args[0]);
    if (last == NULL) return code;
    if (format != OUTPUT_TABLE) {
        (void)output_json(format, last, NULL);
        return code;
    }
    show_line(stdout, last);
    json_decref(last);
    return code;
}

static const struct cli_option options[] = {
    {"for", 0, "OUTCOME", "promoted (default), aborted or held"},
    {"timeout", 0, "DURATION", "give up after this (default 30m)"},
    {"held-for", 0, "DURATION", "a hold this old ends the wait (default 60s)"},
    {"quiet", 'q', NULL, "no progress on standard error"},
    OUTPUT_OPTIONS,
    REMOTE_OPTIONS,
    {0}};

const struct cli_verb cmd_wait = {
    "wait",
    "R [--for OUTCOME] [--timeout 30m] [options]",
    "Wait for the outcome: exit 0 good, 1 bad, 3 time-out, 4 held, 6 no difference.",
    options,
    1,
    1,
    run};
