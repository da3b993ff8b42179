/* engine/cli/cmd_replay.c -- judge a recorded inbox again */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/strview.h"
#include "engine/cli/cli.h"
#include "engine/cli/cmd_replay.h"
#include "engine/cli/cmd_replay_source.h"
#include "engine/replay/record/origin.h"
#include "engine/replay/replay.h"
#include "engine/serve/view.h"
#include "proto/decode.h"

static const struct cli_option options[] = {
    {"inbox", 0, "FILE", "recording by 'serin record --inbox'; - = standard input"},
    {"from", 0, "FILE", "recorded metrics (.zst too); - = standard input"},
    {"plan", 0, "PLAN", "with --from: the plan that judges them"},
    CMD_REPLAY_SOURCE_OPTIONS,
    {"rollout", 0, "R", "only this one of those that the records name"},
    {"at-weight", 0, "HOW",
     "as-recorded (default): the split is taken as it is; commanded: requests are left "
     "out at random until it is that of the verdicts"},
    {"inject", 0, "SPEC",
     "a fault that was not there, such as errors=x2@10m, latency=+30%@12:00,ramp=5m, "
     "latency=+500ms/1%, silence=canary@5m..6m; several times, or separated by ';'"},
    {"seed", 0, "N", "of what is drawn for --at-weight commanded and --inject; 1"},
    {"calibrate-from", 0, "FILE",
     "measure the dispersion on the baseline of these metrics; several times"},
    {"output", 'o', "FORMAT", "table (default), jsonl or json"},
    {"raw", 0, NULL, "one line a verdict: its id and the BLAKE2b-256 of its bytes"},
    {"threads", 0, "N", "that share an inbox's partitions (default: one a processor)"},
    {"max-lag", 0, "DURATION",
     "as the engine's max_lag (default: the recording's, else 60s)"},
    {0}};

/* What the engine that wrote the inbox was set to; refuses a recording without one. */
static int take_origin(const struct recording_reader *r, const char *path,
                       struct replay_options *o)
{
    struct origin origin = {0};
    struct fault f = {0};
    char names[160];
    int code = CLI_OK;
    if (origin_read(&origin, recording_meta(r), &f) != SERIN_OK)
        code = cli_fail(CLI_USAGE, "%s: %s", path, f.text);
    else if (origin.n == 0 || origin.topics[0].input)
        code = cli_fail(CLI_USAGE,
                        "%s holds no inbox but metrics as sent (%s): judge them by "
                        "--plan PLAN --from FILE",
                        path, origin_names(&origin, names, sizeof names));
    if (o->fold.max_lag_ms == 0) o->fold.max_lag_ms = origin.max_lag_ms;
    o->partitions = origin.partitions;
    origin_free(&origin);
    return code;
}

int cmd_replay_print_open(const struct cli_verb *v, struct cmd_replay_print *out)
{
    const char *format = cli_get("output");
    static const char *const names[] = {"table", "jsonl", "json"};
    *out = (struct cmd_replay_print){.raw = cli_get("raw") != NULL};
    for (size_t i = 0; format != NULL && strcmp(format, names[i]) != 0; i++) {
        if (i == CMD_REPLAY_JSON)
            return cli_usage(v, "-o %s: expected table, jsonl or json", format);
        out->format = (enum cmd_replay_format)(i + 1);
    }
    return CLI_OK;
}

static void print_head(const struct cmd_replay_print *p)
{
    if (p->raw) return;
    if (p->format == CMD_REPLAY_JSON) putchar('[');
    if (p->format == CMD_REPLAY_TABLE)
        printf("%-24s %-32s %-8s %-14s %15s  %s\n", "TIME (UTC)", "VERDICT", "KIND",
               "REASON", "WEIGHT", "MESSAGE");
}

static int print_raw(const pb_verdict *v, struct bytes bytes)
{
    uint8_t digest[HASH_DIGEST];
    char hex[2 * HASH_DIGEST + 1];
    if (replay_digest(bytes.p, bytes.n, digest) != SERIN_OK)
        return cli_fail(CLI_UNREACHABLE, "out of memory");
    hash_hex(digest, sizeof digest, hex);
    printf("%s %s\n", v->id, hex);
    return CLI_OK;
}

/* A line, or an element of the one array. */
static int print_json(const pb_verdict *v, const char *before, const char *after)
{
    json_t *j = view_verdict(v);
    char *text = j != NULL ? json_dumps(j, VIEW_DUMP) : NULL;
    json_decref(j);
    if (text == NULL) return cli_fail(CLI_UNREACHABLE, "out of memory");
    printf("%s%s%s", before, text, after);
    free(text);
    return CLI_OK;
}

static void print_line(const pb_verdict *v)
{
    char when[32], weight[40];
    time_t s = (time_t)(v->t_ms / 1000);
    struct tm utc = {0};
    gmtime_r(&s, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(weight, sizeof weight, "%.4g%% -> %.4g%%", v->from_bp / 100.0,
             v->to_bp / 100.0);
    printf("%s.%03dZ %-32s %-8s %-14s %15s  %s\n", when, (int)(v->t_ms % 1000), v->id,
           view_kind(v->kind), v->reason, weight, v->message);
}

int cmd_replay_print(struct cmd_replay_print *p, const pb_verdict *v,
                     struct bytes bytes)
{
    if (p->ranged && (v->t_ms < p->from_ms || v->t_ms >= p->to_ms)) return CLI_OK;
    bool first = p->n++ == 0;
    if (first) print_head(p);
    if (p->raw) return print_raw(v, bytes);
    if (p->format == CMD_REPLAY_JSONL) return print_json(v, "", "\n");
    if (p->format == CMD_REPLAY_JSON) return print_json(v, first ? "" : ",\n", "");
    print_line(v);
    return CLI_OK;
}

void cmd_replay_print_close(const struct cmd_replay_print *p)
{
    if (p->n == 0) print_head(p);
    if (!p->raw && p->format == CMD_REPLAY_JSON) puts("]");
}

/* Where the verdicts go. */
struct told {
    struct cmd_replay_print *print;
    struct arena arena;
    int code;
    bool any, final; /* of the last verdict */
    Serin__V1__Kind kind;
    const struct recording_reader *reader;
    int64_t size, begun_ms, shown_ms; /* bytes of the file; 0: a pipe. Monotonic */
};

static void clear_progress(struct told *t)
{
    if (t->shown_ms != 0) fputs("\r\033[K", stderr);
    t->shown_ms = 0;
}

static enum serin_status verdict(void *ctx, const struct replay_verdict *one)
{
    struct told *t = ctx;
    pb_verdict *v;
    arena_reset(&t->arena);
    clear_progress(t);
    enum serin_status rc = decode_verdict(&t->arena, one->bytes.p, one->bytes.n, &v);
    if (rc != SERIN_OK) return rc;
    t->any = true;
    t->final = v->final;
    t->kind = v->kind;
    t->code = cmd_replay_print(t->print, v, one->bytes);
    return t->code == CLI_OK ? SERIN_OK : SERIN_ENOMEM;
}

/* As `wait` would have ended for the only rollout there is; 0 when there are several.
 */
static int outcome(const struct replay_counts *n, const struct told *t)
{
    if (n->rollouts != 1) return CLI_OK;
    if (!t->any) return CLI_TIMEOUT;
    if (t->kind == SERIN__V1__KIND__KIND_ABORT) return CLI_ABORTED;
    if (t->kind == SERIN__V1__KIND__KIND_HOLD) return CLI_HELD;
    return t->final ? CLI_OK : CLI_TIMEOUT;
}

static void progress(void *ctx, uint64_t records, int64_t unused)
{
    enum { EVERY_MS = 500 };
    struct told *t = ctx;
    int64_t now = clock_mono_ms(), took = now - t->begun_ms, left = -1;
    (void)unused;
    if (took < EVERY_MS || now - t->shown_ms < EVERY_MS) return;
    t->shown_ms = now;
    double done = (double)recording_bytes(t->reader);
    if (t->size > 0 && done > 0)
        left = (int64_t)((double)took * ((double)t->size / done - 1) / 1000);
    fprintf(stderr, "\r\033[K%" PRIu64 " records, %.0f a second", records,
            1000.0 * (double)records / (double)took);
    if (left >= 0) fprintf(stderr, ", %" PRId64 " s left", left);
}

static bool threads(const char *text, unsigned *out)
{
    char *end;
    long n = text != NULL ? strtol(text, &end, 10) : sysconf(_SC_NPROCESSORS_ONLN);
    if (text != NULL && (end == text || *end != '\0')) return false;
    *out = n > REPLAY_MAX_THREADS && text == NULL ? REPLAY_MAX_THREADS : (unsigned)n;
    return n >= 1 && n <= (text != NULL ? REPLAY_MAX_THREADS : LONG_MAX);
}

static int judge(struct recording_reader *reader, const char *path,
                 struct replay_options *o, struct cmd_replay_print *p)
{
    struct fault f = {0};
    struct replay_counts counts;
    struct stat st;
    struct told t = {.print = p, .reader = reader, .begun_ms = clock_mono_ms()};
    if (strcmp(path, "-") != 0 && stat(path, &st) == 0) t.size = st.st_size;
    o->verdict = verdict;
    o->ctx = &t;
    if (isatty(STDERR_FILENO)) o->progress = progress;
    enum serin_status rc = replay_run(reader, o, &counts, &f);
    clear_progress(&t);
    int code = t.code;
    if (rc == SERIN_OK || rc == SERIN_EPARSE) {
        cmd_replay_print_close(p);
        code = outcome(&counts, &t);
    }
    if (rc != SERIN_OK && t.code == CLI_OK) code = cli_fail(CLI_USAGE, "%s", f.text);
    arena_free(&t.arena);
    return code;
}

static int replay(const struct cli_verb *v, const char *path,
                  struct cmd_replay_print *p)
{
    struct fault f = {0};
    struct recording_reader *reader;
    const char *lag = cli_get("max-lag");
    struct replay_options o = {/* Nobody reads rows and snapshots here. */
                               .fold = {.row_every_ms = REPLAY_NEVER_MS,
                                        .snapshot_every_ms = REPLAY_NEVER_MS}};
    if (lag != NULL && !strview_duration_ms(strview_of(lag), &o.fold.max_lag_ms))
        return cli_usage(v, "--max-lag %s: expected a duration such as 60s", lag);
    if (!threads(cli_get("threads"), &o.threads))
        return cli_usage(v, "--threads %s: expected 1 to %d", cli_get("threads"),
                         REPLAY_MAX_THREADS);
    if (recording_open(&reader, path, &f) != SERIN_OK)
        return cli_fail(CLI_USAGE, "%s", f.text);
    int code = take_origin(reader, path, &o);
    if (code == CLI_OK) code = judge(reader, path, &o, p);
    recording_close(reader);
    return code;
}

/* An inbox is judged from its beginning, where plans and evidence are; --between picks
 * verdicts. */
static int stretch(const struct cli_verb *v, struct cmd_replay_print *p)
{
    static const char *const others[] = {"plan",      "format",        "columns",
                                         "rollout",   "speed",         "inject",
                                         "at-weight", "calibrate-from"};
    struct feed_range range = {0};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (cli_get(others[i]) != NULL)
            return cli_usage(v, "--%s is for --from", others[i]);
    int code = cmd_replay_between(v, &range);
    if (code != CLI_OK) return code;
    if (range.after_start)
        return cli_usage(v, "--between: expected times; +DURATION is for --from");
    p->ranged = range.since || range.until;
    p->from_ms = range.since ? range.from_ms : INT64_MIN;
    p->to_ms = range.until ? range.to_ms : INT64_MAX;
    return CLI_OK;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)args, (void)n_args;
    const char *inbox = cli_get("inbox"), *from = cli_get("from");
    if (inbox != NULL && from != NULL)
        return cli_usage(v, "--inbox and --from: give one of them");
    if (inbox == NULL && from == NULL)
        return cli_usage(v, "--inbox FILE, or --plan PLAN --from FILE, is missing");
    struct cmd_replay_print p;
    int code = cmd_replay_print_open(v, &p);
    if (code == CLI_OK && inbox != NULL) code = stretch(v, &p);
    if (code != CLI_OK) return code;
    return inbox != NULL ? replay(v, inbox, &p) : cmd_replay_from(v, &p);
}

const struct cli_verb cmd_replay = {
    "replay",
    "--inbox FILE | --plan PLAN --from FILE [options]",
    "Judge a recording: an inbox byte for byte again, or metrics by any plan.",
    options,
    0,
    0,
    run};
