/* engine/cli/tapes.c */
#include "engine/cli/tapes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/keys_value.h"
#include "engine/cli/cmd_replay_source.h"
#include "engine/cli/file.h"
#include "engine/replay/tune/crowd.h"

/* A whole number in [low, high], or the default. */
static int number(const struct cli_verb *v, const char *option, uint64_t low,
                  uint64_t high, uint64_t fallback, uint64_t *out)
{
    const char *text = cli_get(option);
    char *end;
    *out = fallback;
    if (text == NULL) return CLI_OK;
    errno = 0;
    unsigned long long x = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && x >= low &&
        x <= high) {
        *out = x;
        return CLI_OK;
    }
    return cli_usage(v, "--%s %s: expected a whole number from %" PRIu64 " to %" PRIu64,
                     option, text, low, high);
}

const char *tapes_percent(char out[32], double share)
{
    double percent = 100 * share;
    snprintf(out, 32, percent != 0 && percent < 10 ? "%.2g %%" : "%.0f %%", percent);
    return out;
}

static int read_plan(const struct cli_verb *v, struct tapes *t)
{
    struct fault f = {0};
    struct doc_errors errors = {.arena = &t->arena};
    size_t n;
    t->path = cli_get("plan");
    if (t->path == NULL)
        return cli_usage(v, "--plan FILE is missing: what is judged by");
    if (file_load(&t->arena, t->path, DOC_MAX_BYTES, &t->text, &n, &f) != SERIN_OK)
        return cli_fail(CLI_USAGE, "%s", f.text);
    if (plan_parse(&t->arena, t->text, n, &t->plan, &errors) == SERIN_OK) return CLI_OK;
    fputs(doc_errors_format(&errors, t->path, t->text, n), stderr);
    return CLI_USAGE;
}

static int read_options(const struct cli_verb *v, struct tapes *t,
                        struct feed_options *o)
{
    const char *lag = cli_get("max-lag");
    uint64_t threads;
    t->by = cli_get("by") != NULL ? cli_get("by") : "";
    o->rollout = cli_get("rollout");
    if (lag != NULL && !strview_duration_ms(strview_of(lag), &t->max_lag_ms))
        return cli_usage(v, "--max-lag %s: expected a duration such as 60s", lag);
    int code = cmd_replay_source(v, o);
    if (code == CLI_OK) code = number(v, "seed", 0, INT64_MAX, 1, &t->seed);
    if (code == CLI_OK) code = number(v, "threads", 1, CROWD_MAX, 0, &threads);
    if (code == CLI_OK) t->threads = (unsigned)threads;
    return code;
}

/* All of --from, then the arguments. */
static int name_files(const struct cli_verb *v, struct tapes *t, char **args,
                      int n_args, const char **files, size_t *n)
{
    bool piped = strcmp(t->path, "-") == 0;
    *n = cli_get_all("from", files, TAPES_MAX);
    for (int i = 0; i < n_args; i++) {
        if (*n == TAPES_MAX)
            return cli_usage(v, "more than %d recordings: put some of them together",
                             TAPES_MAX);
        files[(*n)++] = args[i];
    }
    if (*n == 0) return cli_usage(v, "--from FILE is missing: recorded metrics");
    for (size_t i = 0; i < *n; i++) {
        if (strcmp(files[i], "-") != 0) continue;
        if (piped) return cli_usage(v, "standard input is given twice");
        piped = true;
    }
    return CLI_OK;
}

int tapes_open(const struct cli_verb *v, char **args, int n_args, struct tapes *out)
{
    const char *files[TAPES_MAX];
    struct feed_options o = {0};
    size_t n = 0;
    *out = (struct tapes){.arena = {.max = (size_t)256 << 20}};
    int code = output_format(v, &out->output);
    if (code == CLI_OK) code = read_options(v, out, &o);
    if (code == CLI_OK) code = read_plan(v, out);
    if (code == CLI_OK) code = name_files(v, out, args, n_args, files, &n);
    o.plan = out->plan;
    out->like = o;
    for (size_t i = 0; code == CLI_OK && i < n; i++) {
        struct tape *tape;
        code = tapes_read(out, files[i], &tape);
        if (code != CLI_OK) break;
        o.path = files[i];
        out->sources[out->n] = o;
        out->tapes[out->n++] = tape;
    }
    return code;
}

int tapes_read(const struct tapes *t, const char *path, struct tape **out)
{
    struct fault f = {0};
    struct feed_options o = t->like;
    o.path = path;
    if (tape_read(out, &o, t->by, 0, &f) == SERIN_OK) return CLI_OK;
    return cli_fail(CLI_USAGE, "%s", f.text);
}

static int share(const struct cli_verb *v, double *out)
{
    static const struct keys_key key = {
        .name = "share", .type = KEYS_SHARE, .min = 0.0001, .max = 0.99};
    char why[KEYS_WHY];
    const char *text = cli_get("share");
    if (text == NULL || keys_value_read(&key, text, false, out, why)) return CLI_OK;
    return cli_usage(v, "--share %s: expected the canary's share such as 5%%", text);
}

int tapes_asked(const struct cli_verb *v, const struct tapes *t, uint64_t least_runs,
                uint64_t usual_runs, struct deck_options *out)
{
    uint64_t runs;
    *out = (struct deck_options){.text = t->text,
                                 .plan = t->plan,
                                 .tapes = t->tapes,
                                 .n = t->n,
                                 .by = t->by,
                                 .seed = t->seed,
                                 .threads = t->threads,
                                 .max_lag_ms = t->max_lag_ms};
    int code = number(v, "runs", least_runs, TAPES_RUNS, usual_runs, &runs);
    if (code == CLI_OK) code = share(v, &out->share);
    out->runs = (unsigned)runs;
    return code;
}

void tapes_close(struct tapes *t)
{
    for (size_t i = 0; i < t->n; i++)
        tape_close((struct tape *)(uintptr_t)t->tapes[i]);
    arena_free(&t->arena);
}
