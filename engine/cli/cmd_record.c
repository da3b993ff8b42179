/* engine/cli/cmd_record.c -- keep what decisions derive from: the inbox, or the metrics
 */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/cli/client.h"
#include "engine/cli/recorded.h"
#include "engine/replay/source/moment.h"
#include "engine/replay/record/record.h"

static const struct cli_option options[] = {
    {"inbox", 0, NULL, "all partitions of the inbox: what decisions are made of"},
    {"inputs", 0, NULL, "all input topics of the configuration: the metrics as sent"},
    {"topic", 0, "T", "this topic of metrics; several times"},
    {"format", 0, "F", "of --topic's records, instead of the configuration's or auto"},
    {"output", 'o', "FILE", "the recording; - = standard output"},
    {"follow", 0, NULL, "go on until interrupted, not only to now"},
    {"since", 0, "TIME",
     "not from the beginning: a time (ms, ISO 8601), or so long ago, such as 15m"},
    {"config", 'c', "FILE", "the engine's serin.yaml"},
    {"brokers", 'b', "LIST", "HOST:PORT,... instead of the file's bootstrap.servers"},
    {0}};

static atomic_bool stop;

static void on_signal(int sig)
{
    (void)sig;
    atomic_store(&stop, true);
}

static int record(struct bus *b, const struct record_options *o)
{
    struct fault f = {0};
    uint64_t records = 0;
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    if (record_run(b, o, &records, &f) != SERIN_OK)
        return cli_fail(CLI_UNREACHABLE, "%s", f.text);
    fprintf(stderr, "serin: %" PRIu64 " records\n", records);
    return CLI_OK;
}

/* --since; 0 without it. */
static bool since(const char *text, int64_t *out)
{
    int64_t ago_ms;
    *out = 0;
    if (text == NULL) return true;
    if (strview_duration_ms(strview_of(text), &ago_ms)) {
        *out = clock_wall_ms() - ago_ms;
        return true;
    }
    return moment_parse(strview_of(text), out) && *out > 0;
}

/* The topics that the options name. */
static int choose(const struct cli_verb *v, const struct recorded *r,
                  struct origin *out)
{
    enum { TOPICS = ORIGIN_MAX_TOPICS };
    const char *topics[TOPICS], *written = cli_get("format");
    size_t n = cli_get_all("topic", topics, TOPICS);
    enum format format;
    if (written != NULL && n == 0) return cli_usage(v, "--format goes with --topic");
    if (written != NULL && !format_parse(written, &format))
        return cli_usage(v, "--format: \"%.60s\" is no format", written);
    for (size_t i = 0; i < n; i++)
        if (recorded_add(r, topics[i], written != NULL ? &format : NULL, out) !=
            SERIN_OK)
            return cli_usage(v, "more than %d topics", TOPICS);
    if (out->n == 0)
        return cli_usage(v, "--inputs: the configuration has no inputs; give it by "
                            "--config, or name topics by --topic");
    return CLI_OK;
}

static int with_config(const struct cli_verb *v, const struct config *c,
                       const char *path)
{
    struct fault f = {0};
    struct bus *b;
    struct origin origin;
    const struct bus_options bo = config_bus(c);
    const struct worker_options worker = config_worker(c);
    const struct recorded r = {.worker = &worker,
                               .max_lag_ms = c->max_lag_ms,
                               .inbox = cli_get("inbox") != NULL,
                               .inputs = cli_get("inputs") != NULL};
    struct record_options o = {.path = path,
                               .origin = &origin,
                               .follow = cli_get("follow") != NULL,
                               .stop = &stop};
    if (!since(cli_get("since"), &o.since_ms))
        return cli_usage(v,
                         "--since %.60s: expected ms since the epoch, or a duration "
                         "such as 15m",
                         cli_get("since"));
    if (bus_open(&b, &bo, &f) != SERIN_OK) return cli_fail(CLI_USAGE, "%s", f.text);
    int code = CLI_USAGE;
    if (recorded_origin(&r, b, &origin) != SERIN_OK)
        code = cli_fail(CLI_UNREACHABLE, "out of memory");
    else
        code = choose(v, &r, &origin);
    if (code == CLI_OK) code = record(b, &o);
    origin_free(&origin);
    bus_close(b);
    return code;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)args, (void)n_args;
    struct config c = {0};
    const char *path = cli_get("output");
    if (cli_get("inbox") == NULL && cli_get("inputs") == NULL &&
        cli_get("topic") == NULL)
        return cli_usage(v, "say what to record: --inbox, --inputs or --topic T");
    if (path == NULL) return cli_usage(v, "-o FILE is missing");
    if (strcmp(path, "-") == 0 && isatty(STDOUT_FILENO))
        return cli_usage(v, "a recording is no text: redirect it, or give -o FILE");
    int code = client_config(v, &c);
    if (code == CLI_OK) code = with_config(v, &c, path);
    config_free(&c);
    return code;
}

const struct cli_verb cmd_record = {
    "record",
    "--inbox | --inputs | --topic T  -o FILE [options]",
    "Dump the inbox or topics of metrics into a file that 'serin replay' reads.",
    options,
    0,
    0,
    run};
