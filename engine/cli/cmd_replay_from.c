/* engine/cli/cmd_replay_from.c -- recorded metrics judged by any plan */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/cli/cmd_replay.h"
#include "engine/cli/cmd_replay_scene.h"
#include "engine/cli/cmd_replay_source.h"
#include "engine/cli/file.h"
#include "engine/cli/output.h"
#include "engine/cli/show.h"
#include "engine/replay/feed.h"
#include "engine/replay/tune/pool.h"
#include "engine/replay/replan.h"
#include "engine/serve/view.h"

enum { FILES = 64 };

struct replayed {
    struct cmd_replay_print print;
    int code; /* of printing */
    struct arena arena;
    const char *text; /* the plan as it judges */
    struct plan *plan;
    bool commanded; /* the split follows the verdicts */
    struct scene *scene;
    bool shown;         /* progress */
    int64_t max_lag_ms; /* 0: the engine's */
    int64_t began_ms;
    struct cmd_replay_pace pace;
};

static bool go_on(void *ctx, int64_t event_ms)
{
    return cmd_replay_pace_wait(&((struct replayed *)ctx)->pace, event_ms);
}

static enum serin_status print_verdict(void *ctx, const pb_verdict *v, struct bytes b)
{
    struct replayed *r = ctx;
    r->code = cmd_replay_print(&r->print, v, b);
    if (r->pace.factor > 0) fflush(stdout); /* when it is due, not when the buffer is */
    return r->code == CLI_OK ? SERIN_OK : SERIN_ENOMEM;
}

static void progress(void *ctx, uint64_t read, uint64_t size, int64_t event_ms)
{
    const struct replayed *r = ctx;
    double s = (double)(clock_mono_ms() - r->began_ms) / 1000 + 1e-3;
    char when[32], left[32] = "";
    if (!r->shown) return;
    if (size > 0 && read > 0)
        output_duration(left, (int64_t)(1000 * s * ((double)size / (double)read - 1)));
    fprintf(stderr, "\r%s  %.1f MiB", output_time(when, event_ms),
            (double)read / 1048576);
    if (size > 0) fprintf(stderr, ", %.0f %%", 100 * (double)read / (double)size);
    fprintf(stderr, ", %.1f MiB/s%s%s  ", (double)read / 1048576 / s,
            left[0] != '\0' ? ", left: " : "", left);
}

static int read_plan(struct replayed *r, const char *path)
{
    struct fault f = {0};
    struct doc_errors errors = {0};
    size_t n;
    if (file_load(&r->arena, path, DOC_MAX_BYTES, &r->text, &n, &f) != SERIN_OK)
        return cli_fail(CLI_USAGE, "%s", f.text);
    errors.arena = &r->arena;
    if (plan_parse(&r->arena, r->text, n, &r->plan, &errors) == SERIN_OK) return CLI_OK;
    fputs(doc_errors_format(&errors, path, r->text, n), stderr);
    return CLI_USAGE;
}

/* The plan with these changes. */
static int change(struct replayed *r, const struct replan *to)
{
    struct doc_errors errors = {.arena = &r->arena};
    enum serin_status rc = replan(&r->arena, r->text, strlen(r->text), to, &r->text);
    if (rc == SERIN_OK)
        rc = plan_parse(&r->arena, r->text, strlen(r->text), &r->plan, &errors);
    if (rc == SERIN_OK) return CLI_OK;
    return cli_fail(CLI_USAGE, "the changed plan: %s",
                    errors.n > 0 ? errors.items[0].text : status_text(rc));
}

static int calibrate(struct replayed *r, const struct feed_options *o)
{
    const char *files[FILES];
    struct fault f = {0};
    struct pool_result found;
    size_t n = cli_get_all("calibrate-from", files, FILES);
    if (n == 0) return CLI_OK;
    if (pool_measure(r->text, o, files, n, &found, &f) != SERIN_OK)
        return cli_fail(CLI_USAGE, "--calibrate-from: %s", f.text);
    char window[32];
    snprintf(window, sizeof window, "%" PRId64 "ms", found.window_ms);
    fprintf(stderr, "serin: measured on %s%s, %" PRIu64 " windows of %s:", files[0],
            n > 1 ? " and others" : "", found.windows, window);
    for (size_t i = 0; i < r->plan->n_metrics; i++)
        if (found.phi[i] > 0)
            fprintf(stderr, " %s phi %.3g", r->plan->metrics[i].name, found.phi[i]);
    fputc('\n', stderr);
    return change(r, &(struct replan){.calibrate = "skip",
                                      .window = r->plan->window_ms == 0 ? window : NULL,
                                      .phi = found.phi});
}

/* A split that is taken as it is cannot be a wrong one. */
static int traffic(const struct cli_verb *v, struct replayed *r)
{
    int code = cmd_replay_scene_commanded(v, &r->commanded);
    if (code != CLI_OK || r->commanded || !r->plan->srm_check) return code;
    return change(r, &(struct replan){.unchecked = true});
}

/* ---------------------------------------------------------------- what is told */

static void list(char *out, size_t room, const char *names, size_t width, uint64_t n)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n && i < FEED_NAMES && at < room; i++)
        at += (size_t)snprintf(out + at, room - at, "%s%s", i > 0 ? ", " : "",
                               names + i * width);
    if (n > FEED_NAMES && at < room) snprintf(out + at, room - at, " and more");
}

/* The recording holds nothing that the plan asks for. */
static int nothing(const struct replayed *r, const struct feed_report *n,
                   const char *path)
{
    char rollouts[1200], metrics[600];
    const char *picked = cli_get("rollout");
    list(rollouts, sizeof rollouts, n->rollouts[0], sizeof n->rollouts[0],
         n->n_rollouts);
    list(metrics, sizeof metrics, n->metrics[0], sizeof n->metrics[0], n->n_metrics);
    if (n->lines == 0)
        return cli_fail(CLI_USAGE, "%s: empty: expected records of metrics", path);
    if (picked != NULL && n->n_rollouts > 0 && strstr(rollouts, picked) == NULL)
        return cli_fail(CLI_USAGE, "%s: no record of rollout %s; it names %s", path,
                        picked, rollouts);
    return cli_fail(CLI_USAGE,
                    "%s: none of its %" PRIu64 " records is for this plan: they carry "
                    "the metrics %s %s%s; the plan asks for %s ('%s') and its cohorts, "
                    "named by attributes, or outright with a rollout (of a table: "
                    "--columns rollout=:%s,cohort=COLUMN)",
                    path, n->lines, metrics[0] != '\0' ? metrics : "(none named)",
                    rollouts[0] != '\0' ? "of the rollouts " : "and name no rollout",
                    rollouts, r->plan->metrics[0].from, r->plan->metrics[0].name,
                    r->plan->id);
}

static void tell(const struct replayed *r, const struct feed_report *n)
{
    const struct aggregate_counts *c = &n->samples;
    fprintf(stderr,
            "serin: %" PRIu64 " records, %.0f s; samples: %" PRIu64 " routed, %" PRIu64
            " for no metric of the plan, %" PRIu64 " late, %" PRIu64 " poison\n",
            n->lines, (double)(n->last_ms - n->first_ms) / 1000, c->routed, c->unrouted,
            c->late, c->poison + c->dropped);
    if (n->refused > 0)
        fprintf(stderr, "serin: %" PRIu64 " records refused; the first: %s\n",
                n->refused, n->refusal);
    if (n->stopped) fputs("serin: stopped; what came so far is judged\n", stderr);
    if (!r->commanded)
        fputs("serin: at weight as recorded: the split is taken as it is, whatever "
              "weight the verdicts command; it is not checked\n",
              stderr);
    cmd_replay_scene_tell(r->scene, r->commanded);
}

/* Of one rollout, as `wait`: what is neither promoted nor aborted is undecided. */
static int outcome(const pb_rollout *row)
{
    json_t *status = view_status(row);
    int code = status != NULL ? show_code(status) : CLI_UNREACHABLE;
    if (status != NULL) show_line(stderr, status);
    json_decref(status);
    return code < 0 ? CLI_HELD : code;
}

/* Of several: aborted if one is, else undecided if one is. */
static int outcomes(struct trial *t)
{
    int worst = CLI_OK;
    for (size_t i = 0; i < trial_rollouts(t); i++) {
        const pb_rollout *row;
        if (trial_row(t, i, &row) != SERIN_OK)
            return cli_fail(CLI_UNREACHABLE, "out of memory");
        int code = outcome(row);
        if (i == 0 || code == CLI_ABORTED || (worst != CLI_ABORTED && code != CLI_OK))
            worst = code;
    }
    return worst;
}

/* ---------------------------------------------------------------- the run */

static int judge(struct replayed *r, struct feed_options *o)
{
    struct fault f = {0};
    struct feed_report report;
    struct trial *t;
    struct trial_options to = {.plan = r->text,
                               .id = r->plan->id,
                               .acknowledge = r->plan->require_ack,
                               .max_lag_ms = r->max_lag_ms,
                               .sink = print_verdict,
                               .ctx = r};
    o->plan = r->plan;
    o->progress = progress;
    o->go_on = go_on;
    o->ctx = r;
    if (trial_open(&t, &to) != SERIN_OK)
        return cli_fail(CLI_UNREACHABLE, "out of memory");
    r->began_ms = clock_mono_ms();
    enum serin_status rc = feed_run(o, t, &report, &f);
    if (r->shown) fputs("\r\x1b[K", stderr);
    cmd_replay_print_close(&r->print);
    int code = r->code;
    if (code == CLI_OK && rc != SERIN_OK && rc != SERIN_EPARSE)
        code = cli_fail(rc == SERIN_ENOMEM ? CLI_UNREACHABLE : CLI_USAGE, "%s",
                        cmd_replay_scene_why(r->scene, f.text));
    else if (code == CLI_OK && trial_rollouts(t) > 0) {
        tell(r, &report);
        code = cmd_replay_scene_end(r->scene, &report);
        if (code == CLI_OK) code = outcomes(t);
    } else if (code == CLI_OK && rc == SERIN_OK) {
        code = nothing(r, &report, o->path);
    }
    if (rc == SERIN_EPARSE) code = cli_fail(CLI_USAGE, "%s", f.text);
    trial_close(t);
    return code;
}

int cmd_replay_from(const struct cli_verb *v, const struct cmd_replay_print *p)
{
    const char *plan = cli_get("plan");
    struct replayed r = {.print = *p, .arena = {.max = (size_t)64 << 20}};
    struct feed_options o = {.path = cli_get("from"), .rollout = cli_get("rollout")};
    const char *lag = cli_get("max-lag");
    if (lag != NULL && !strview_duration_ms(strview_of(lag), &r.max_lag_ms))
        return cli_usage(v, "--max-lag %s: expected a duration such as 60s", lag);
    if (plan == NULL) return cli_usage(v, "--plan PLAN is missing: it judges --from");
    r.shown = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
    int code = cmd_replay_source(v, &o);
    if (code == CLI_OK) code = cmd_replay_pace_open(v, &r.pace);
    if (code == CLI_OK) code = read_plan(&r, plan);
    o.plan = r.plan;
    if (code == CLI_OK) code = calibrate(&r, &o);
    if (code == CLI_OK) code = traffic(v, &r);
    o.plan = r.plan;
    if (code == CLI_OK) code = cmd_replay_scene_open(v, &o, r.commanded, &r.scene);
    if (code == CLI_OK) code = judge(&r, &o);
    scene_close(r.scene);
    arena_free(&r.arena);
    return code;
}
