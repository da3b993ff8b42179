/* engine/cli/cmd_replay.c -- judge a recorded inbox again */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/doc.h"
#include "engine/base/strview.h"
#include "engine/cli/cli.h"
#include "engine/replay/replay.h"
#include "engine/serve/view.h"
#include "proto/decode.h"

static const struct cli_option options[] = {
    {"inbox", 0, "FILE", "recording by 'serin record --inbox'; - = standard input"},
    {"output", 'o', "FORMAT", "table (default), jsonl or json"},
    {"raw", 0, NULL, "one line a verdict: its id and the BLAKE2b-256 of its bytes"},
    {"max-lag", 0, "DURATION", "as the engine's max_lag (default: the recording's)"},
    {0}};

/* What the engine that wrote the inbox was set to; 0 where the recording is silent. */
static int64_t recorded_max_lag(const struct recording_reader *r)
{
    struct arena a = {0};
    struct doc_errors errors = {.arena = &a};
    struct doc_node *meta;
    int64_t ms = 0;
    const char *text = recording_meta(r);
    if (doc_parse(&a, text, strlen(text), &meta, &errors) == SERIN_OK) {
        const struct doc_node *n = doc_get(meta, "max_lag_ms");
        if (n != NULL && n->type == DOC_SCALAR) ms = strtoll(n->text, NULL, 10);
    }
    arena_free(&a);
    return ms;
}

static int print_raw(const struct replay_result *r)
{
    uint8_t digest[HASH_DIGEST];
    char hex[2 * HASH_DIGEST + 1];
    for (size_t i = 0; i < r->n; i++) {
        const struct replay_verdict *v = &r->verdicts[i];
        if (replay_digest(v->bytes.p, v->bytes.n, digest) != SERIN_OK)
            return cli_fail(CLI_UNREACHABLE, "out of memory");
        hash_hex(digest, sizeof digest, hex);
        printf("%s/%" PRIu64 " %s\n", v->rollout, v->seq, hex);
    }
    return CLI_OK;
}

/* JSON lines, or one array. */
static int print_json(pb_verdict *const *v, size_t n, bool lines)
{
    if (!lines) putchar('[');
    for (size_t i = 0; i < n; i++) {
        json_t *j = view_verdict(v[i]);
        char *text = j != NULL ? json_dumps(j, VIEW_DUMP) : NULL;
        json_decref(j);
        if (text == NULL) return cli_fail(CLI_UNREACHABLE, "out of memory");
        printf("%s%s%s", !lines && i > 0 ? ",\n" : "", text, lines ? "\n" : "");
        free(text);
    }
    if (!lines) puts("]");
    return CLI_OK;
}

static int print_table(pb_verdict *const *v, size_t n)
{
    printf("%-24s %-32s %-8s %-14s %15s  %s\n", "TIME (UTC)", "VERDICT", "KIND",
           "REASON", "WEIGHT", "MESSAGE");
    for (size_t i = 0; i < n; i++) {
        char when[32], weight[40];
        time_t s = (time_t)(v[i]->t_ms / 1000);
        struct tm utc = {0};
        gmtime_r(&s, &utc);
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
        snprintf(weight, sizeof weight, "%.4g%% -> %.4g%%", v[i]->from_bp / 100.0,
                 v[i]->to_bp / 100.0);
        printf("%s.%03dZ %-32s %-8s %-14s %15s  %s\n", when, (int)(v[i]->t_ms % 1000),
               v[i]->id, view_kind(v[i]->kind), v[i]->reason, weight, v[i]->message);
    }
    return CLI_OK;
}

/* As `wait` would have ended for the only rollout there is; 0 when there are several.
 */
static int outcome(const struct replay_result *r, const pb_verdict *last)
{
    if (r->rollouts != 1) return CLI_OK;
    if (last == NULL) return CLI_TIMEOUT;
    if (last->kind == SERIN__V1__KIND__KIND_ABORT) return CLI_ABORTED;
    if (last->kind == SERIN__V1__KIND__KIND_HOLD) return CLI_HELD;
    return last->final ? CLI_OK : CLI_TIMEOUT;
}

static int print(const struct replay_result *r, const char *format)
{
    struct arena a = {.max = (size_t)4 << 30};
    int code = CLI_OK;
    pb_verdict **v = arena_alloc(&a, (r->n + 1) * sizeof *v);
    for (size_t i = 0; v != NULL && i < r->n; i++) {
        if (decode_verdict(&a, r->verdicts[i].bytes.p, r->verdicts[i].bytes.n, &v[i]) !=
            SERIN_OK)
            v = NULL;
    }
    if (v == NULL)
        code = cli_fail(CLI_UNREACHABLE, "out of memory");
    else if (cli_get("raw") != NULL)
        code = print_raw(r);
    else if (strcmp(format, "table") == 0)
        code = print_table(v, r->n);
    else
        code = print_json(v, r->n, strcmp(format, "jsonl") == 0);
    if (code == CLI_OK) code = outcome(r, r->n > 0 ? v[r->n - 1] : NULL);
    arena_free(&a);
    return code;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)args, (void)n_args;
    struct fault f = {0};
    struct recording_reader *reader;
    struct replay_result result = {0};
    const char *path = cli_get("inbox"), *format = cli_get("output"),
               *lag = cli_get("max-lag");
    if (path == NULL) return cli_usage(v, "--inbox FILE is missing");
    if (format == NULL) format = "table";
    if (strcmp(format, "table") != 0 && strcmp(format, "jsonl") != 0 &&
        strcmp(format, "json") != 0)
        return cli_usage(v, "-o %s: expected table, jsonl or json", format);
    struct fold_options o = {
        /* Nobody reads rows and snapshots here. */
        .row_every_ms = INT64_MAX / 4,
        .snapshot_every_ms = INT64_MAX / 4,
    };
    if (lag != NULL && !strview_duration_ms(strview_of(lag), &o.max_lag_ms))
        return cli_usage(v, "--max-lag %s: expected a duration such as 60s", lag);
    enum serin_status rc = recording_open(&reader, path, &f);
    if (rc != SERIN_OK) return cli_fail(CLI_USAGE, "%s", f.text);
    if (lag == NULL) o.max_lag_ms = recorded_max_lag(reader);
    rc = replay_inbox(reader, &o, &result, &f);
    recording_close(reader);
    int code = CLI_OK;
    if (rc == SERIN_OK || rc == SERIN_EPARSE) code = print(&result, format);
    if (rc != SERIN_OK) code = cli_fail(CLI_USAGE, "%s", f.text);
    replay_free(&result);
    return code;
}

const struct cli_verb cmd_replay = {
    "replay",
    "--inbox FILE",
    "Judge a recorded inbox again: the same verdicts, byte for byte.",
    options,
    0,
    0,
    run};
