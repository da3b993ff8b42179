/* engine/cli/cmd_record.c -- keep what every decision derives from */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "engine/cli/cli.h"
#include "engine/cli/config.h"
#include "engine/replay/record.h"

static const struct cli_option options[] = {
    {"inbox", 0, NULL, "all partitions of the inbox, from the beginning to now"},
    {"output", 'o', "FILE", "the recording; - = standard output"},
    {"follow", 0, NULL, "go on until interrupted"},
    {"config", 'c', "FILE", "the engine's serin.yaml"},
    {"brokers", 'b', "LIST", "HOST:PORT,... instead of the file's bootstrap.servers"},
    {0}};

static atomic_bool stop;

static void on_signal(int sig)
{
    (void)sig;
    atomic_store(&stop, true);
}

static int record(const struct config *c, const char *path)
{
    struct fault f = {0};
    struct bus *b;
    uint64_t records = 0;
    struct bus_options bo = config_bus(c);
    struct record_options o = {.path = path,
                               .follow = cli_get("follow") != NULL,
                               .max_lag_ms = config_stage(c).fold.max_lag_ms,
                               .stop = &stop};
    if (bus_open(&b, &bo, &f) != SERIN_OK) return cli_fail(CLI_USAGE, "%s", f.text);
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    enum serin_status rc = record_inbox(b, &o, &records, &f);
    bus_close(b);
    if (rc != SERIN_OK) return cli_fail(CLI_UNREACHABLE, "%s", f.text);
    fprintf(stderr, "serin: %" PRIu64 " records\n", records);
    return CLI_OK;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)args, (void)n_args;
    struct fault f = {0};
    struct config c = {0};
    const char *path = cli_get("output");
    struct config_overrides over = {.brokers = cli_get("brokers")};
    if (cli_get("inbox") == NULL) return cli_usage(v, "say what to record: --inbox");
    if (path == NULL) return cli_usage(v, "-o FILE is missing");
    if (strcmp(path, "-") == 0 && isatty(STDOUT_FILENO))
        return cli_usage(v, "a recording is no text: redirect it, or give -o FILE");
    int code = CLI_USAGE;
    if (config_load(cli_get("config"), &c, stderr) == SERIN_OK) {
        enum serin_status rc = config_apply(&c, &over, &f);
        if (rc == SERIN_OK) rc = config_check(&c, false, &f);
        config_log(&c);
        code = rc == SERIN_OK ? record(&c, path) : cli_fail(CLI_USAGE, "%s", f.text);
    }
    config_free(&c);
    return code;
}

const struct cli_verb cmd_record = {
    "record",
    "--inbox -o FILE [options]",
    "Dump the inbox into a file that 'serin replay' reads.",
    options,
    0,
    0,
    run};
