/* engine/cli/cmd_tune.c -- values of a plan swept over recorded traffic */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/cli/output.h"
#include "engine/cli/signals.h"
#include "engine/cli/tapes.h"
#include "engine/cli/tune_tell.h"
#include "engine/replay/tune/diff.h"
#include "engine/replay/source/moment.h"

enum { DEFAULT_RUNS = 100, LEAST_RUNS = 10, BAR = 24 };

struct asked {
    struct tapes t;
    struct tune_options o;
    struct tune tuned;
    struct tune_recorded faults[TUNE_RECORDED];
    const char *inject[TUNE_FAULTS + 1];
    bool shown; /* a bar */
    int64_t began_ms;
};

/* ---------------------------------------------------------------- recorded faults */

/* "FILE", "FILE@12:00:00Z", "FILE@+5m": the path, and when the fault began. */
static int read_fault(const struct cli_verb *v, struct asked *a, const char *given)
{
    struct tune_recorded *r = &a->faults[a->o.n_faults];
    const char *at = strrchr(given, '@');
    struct tape *tape;
    int64_t ms = 0;
    bool since = at != NULL && at[1] == '+';
    struct strview when = strview_of(at != NULL ? at + 1 + since : NULL);
    bool timed = at != NULL &&
                 (since ? strview_duration_ms(when, &ms) : moment_parse(when, &ms));
    if (at != NULL && !timed && access(given, F_OK) != 0)
        return cli_usage(v,
                         "--fault %s: expected FILE@WHEN, WHEN a time (%s) or "
                         "+DURATION from its start",
                         given, MOMENT_EXPECTED);
    r->name =
        arena_copy(&a->t.arena, given, timed ? (size_t)(at - given) : strlen(given));
    if (r->name == NULL) return cli_fail(CLI_UNREACHABLE, "out of memory");
    int code = tapes_read(&a->t, r->name, &tape);
    if (code != CLI_OK) return code;
    r->tape = tape;
    a->o.n_faults++;
    struct tape_about about = tape_about(tape);
    r->onset_ms = timed && !since ? ms : about.first_ms + ms;
    if (r->onset_ms >= about.first_ms && r->onset_ms <= about.last_ms) return CLI_OK;
    char from[32], to[32];
    return cli_usage(v, "--fault %s: outside of the recording, %s to %s", given,
                     output_time(from, about.first_ms), output_time(to, about.last_ms));
}

static int read_faults(const struct cli_verb *v, struct asked *a)
{
    const char *given[TUNE_RECORDED + 1];
    size_t n = cli_get_all("fault", given, TUNE_RECORDED + 1);
    int code = CLI_OK;
    if (n > TUNE_RECORDED) return cli_usage(v, "--fault: at most %d", TUNE_RECORDED);
    for (size_t i = 0; code == CLI_OK && i < n; i++)
        code = read_fault(v, a, given[i]);
    a->o.faults = a->faults;
    return code;
}

/* ---------------------------------------------------------------- the run */

static bool stop(void *ctx, size_t done, size_t all)
{
    const struct asked *a = ctx;
    char left[32] = "";
    int64_t spent_ms = clock_mono_ms() - a->began_ms;
    if (a->shown && all > 0) {
        size_t filled = BAR * done / all;
        if (done > 0)
            output_duration(left, spent_ms * (int64_t)(all - done) / (int64_t)done);
        fprintf(stderr, "\r\x1b[K[%.*s%.*s] %zu of %zu%s%s", (int)filled,
                "########################", (int)(BAR - filled),
                "........................", done, all,
                left[0] != '\0' ? ", left: " : "", left);
    }
    return signals_pause(NULL, 0);
}

static int read_asked(const struct cli_verb *v, struct asked *a)
{
    int code = tapes_asked(v, &a->t, LEAST_RUNS, DEFAULT_RUNS, &a->o.on);
    a->o.sweep = cli_get("sweep");
    a->o.inject = a->inject;
    a->o.n_inject = cli_get_all("inject", a->inject, TUNE_FAULTS + 1);
    a->o.as_given = cli_get("as-given") != NULL;
    a->o.state = cli_get("state");
    a->o.stop = stop;
    a->o.ctx = a;
    if (code == CLI_OK && a->o.n_inject > TUNE_FAULTS)
        code = cli_usage(v, "--inject: at most %d times", TUNE_FAULTS);
    return code == CLI_OK ? read_faults(v, a) : code;
}

static int failed(const struct asked *a, enum serin_status rc, const struct fault *f)
{
    if (rc == SERIN_ENOMEM) return cli_fail(CLI_UNREACHABLE, "out of memory");
    if (rc != SERIN_AGAIN) return cli_fail(CLI_USAGE, "%s", f->text);
    return cli_fail(CLI_TIMEOUT, "interrupted; %s%s",
                    a->o.state != NULL
                        ? "the same command goes on from "
                        : "with --state FILE the next one would go on from here",
                    a->o.state != NULL ? a->o.state : "");
}

static const char *suggested(const struct asked *a)
{
    return a->tuned.best >= 0 ? a->tuned.rows[a->tuned.best].text : NULL;
}

/* The suggestion, whole or not at all. */
static int write_out(const struct asked *a)
{
    const char *path = cli_get("out");
    char temporary[4096];
    if (path == NULL) return CLI_OK;
    if (suggested(a) == NULL)
        return cli_fail(CLI_HELD, "%s is not written: there is nothing to suggest",
                        path);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *file = fopen(temporary, "w");
    bool ok = file != NULL && fputs(suggested(a), file) >= 0;
    if (file != NULL) ok = fclose(file) == 0 && ok;
    if (ok && rename(temporary, path) == 0) return CLI_OK;
    return cli_fail(CLI_UNREACHABLE, "%s: %s", path, strerror(errno));
}

static int tell(struct asked *a)
{
    const char *diff = "", *to = cli_get("out");
    if (suggested(a) != NULL &&
        diff_unified(&a->t.arena, a->t.path, to != NULL ? to : a->t.path, a->t.text,
                     suggested(a), &diff) != SERIN_OK)
        return cli_fail(CLI_UNREACHABLE, "out of memory");
    if (a->t.output != OUTPUT_TABLE)
        return output_json(a->t.output, tune_tell_json(&a->o, &a->tuned, diff), NULL);
    tune_tell(&a->o, &a->tuned, a->t.path, diff);
    if (a->tuned.resumed > 0)
        fprintf(stderr, "serin: %zu of %zu rehearsals were in %s\n", a->tuned.resumed,
                a->tuned.tasks, a->o.state);
    return CLI_OK;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    static struct asked a;
    struct fault f = {0};
    int code = tapes_open(v, args, n_args, &a.t);
    if (code == CLI_OK) code = read_asked(v, &a);
    a.shown = isatty(STDERR_FILENO);
    a.began_ms = clock_mono_ms();
    signals_hold();
    if (code == CLI_OK) {
        enum serin_status rc = tune_run(&a.t.arena, &a.o, &a.tuned, &f);
        if (a.shown) fputs("\r\x1b[K", stderr);
        code = rc == SERIN_OK ? tell(&a) : failed(&a, rc, &f);
    }
    if (code == CLI_OK) code = write_out(&a);
    if (code == CLI_OK && a.tuned.best < 0) code = CLI_HELD;
    for (size_t i = 0; i < a.o.n_faults; i++)
        tape_close((struct tape *)(uintptr_t)a.faults[i].tape);
    tapes_close(&a.t);
    return code;
}

static const struct cli_option options[] = {
    TAPES_OPTIONS,
    {"sweep", 0, "SPEC",
     "values to try, all with all: 'risk.false_abort=0.001,0.01; "
     "steps[*].worse_than=1.5,2; window=1s,5s'"},
    {"inject", 0, "SPEC", "a fault that should be found, as of replay; several times"},
    {"fault", 0, "FILE[@WHEN]",
     "a recording of a fault that began at WHEN (a time, or +DURATION from its start)"},
    {"runs", 'n', "N", "random splits each way; default 100"},
    {"share", 0, "SHARE", "of the canary, e.g. 5%; default: as the plan commands"},
    {"as-given", 0, NULL, "leave phi and pods of the plan as they are"},
    {"state", 0, "FILE", "keep results there, and go on from them"},
    {"out", 0, "FILE", "write the suggested plan there"},
    OUTPUT_OPTIONS,
    {0}};

const struct cli_verb cmd_tune = {
    "tune",
    "--plan FILE --from FILE [FILE...] [options]",
    "Sweep values of a plan over recorded traffic: false aborts, faults found, time; "
    "suggests one (exit 4: none keeps within alpha)",
    options,
    0,
    -1,
    run};
