/* engine/cli/cmd_run.c -- serin run: the engine as a service */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/cli/cli.h"
#include "engine/cli/config.h"
#include "engine/cli/engine.h"
#include "engine/cli/signals.h"

enum { LOOK_MS = 50, STOP_S = 15 };

/* systemd's readiness protocol: one datagram to the socket it named. */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@')) return;
    size_t n = strlen(path);
    if (n >= sizeof to.sun_path) return;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@') to.sun_path[0] = '\0'; /* abstract namespace */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
               size) < 0)
        log_warn("run", "cannot tell NOTIFY_SOCKET %s: %s", path, strerror(errno));
    close(fd);
}

static void say_ready(struct engine *e, bool embedded)
{
    char where[256] = "";
    size_t n = 0;
    const char *address;
    for (size_t i = 0; (address = engine_address(e, i)) != NULL && n < sizeof where;
         i++)
        n += (size_t)snprintf(where + n, sizeof where - n, "%s%s", i > 0 ? " " : "",
                              address);
    log_info("run", "ready: serin " SERIN_VERSION ", brokers %s, %s%s",
             bus_bootstrap(engine_bus(e)), n > 0 ? "serving at " : "no HTTP", where);
    if (embedded) {
        printf("bootstrap.servers=%s\n", bus_bootstrap(engine_bus(e)));
        fflush(stdout);
    }
    notify("READY=1");
}

/* Without a broker an open transaction is waited for half a minute. Whoever stops us
 * need not wait: what was not committed is read again at the next start. */
static void stop(struct engine *e)
{
    notify("STOPPING=1");
    signals_end_within(
        STOP_S,
        "serin: run: not stopped after 15 s (broker away?); ended without "
        "leaving its groups. Nothing is lost: what was not committed is read "
        "again at the next start\n",
        CLI_TIMEOUT);
    engine_stop(e);
}

/* Until a signal, or until a role gives up. */
static int watch(struct engine *e, bool embedded)
{
    struct fault f = {0};
    char why[160];
    bool ready = false;
    while (!signals_pause(NULL, LOOK_MS)) {
        if (engine_failed(e, &f)) {
            stop(e);
            return cli_fail(CLI_UNREACHABLE, "run: %s", f.text);
        }
        if (!ready && engine_ready(e, why)) {
            ready = true;
            say_ready(e, embedded);
        }
    }
    log_info("run", "stopping");
    stop(e);
    log_info("run", "stopped");
    return CLI_OK;
}

static int start(const struct config *c)
{
    const struct engine_options o = {.bus = config_bus(c),
                                     .worker = config_worker(c),
                                     .ingest_threads = c->ingest_threads,
                                     .stage = config_stage(c),
                                     .follow = {&c->checks, c->instance},
                                     .record = c->record,
                                     .serve = config_serve(c),
                                     .roles = c->roles,
                                     .pause = signals_pause};
    struct engine *e = NULL;
    struct fault f = {0};
    mem_keep(WORKER_KEEP);
    signals_hold();
    enum serin_status s = engine_start(&e, &o, &f);
    if (s == SERIN_OK) return watch(e, c->embedded);
    if (s == SERIN_ETIME) { /* a signal came while the brokers were awaited */
        log_info("run", "%s", f.text);
        return CLI_OK;
    }
    bool ours = s == SERIN_EDOM || s == SERIN_ESTATE; /* a setting, not the brokers */
    return cli_fail(ours ? CLI_USAGE : CLI_UNREACHABLE, "run: %s", f.text);
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)args, (void)n_args;
    const char *listen[SERVE_MAX_LISTEN];
    const struct config_overrides over = {
        .brokers = cli_get("brokers"),
        .instance = cli_get("instance"),
        .roles = cli_get("roles"),
        .ingest_threads = cli_get("ingest-threads"),
        .listen = listen,
        .n_listen = cli_get_all("listen", listen, SERVE_MAX_LISTEN),
        .token_file = cli_get("token-file"),
        .insecure = cli_get("insecure") != NULL,
        .embedded = cli_get("embedded") != NULL,
    };
    struct config c = {0};
    struct fault f = {0};
    int code;
    if (config_load(cli_get("config"), &c, stderr) != SERIN_OK)
        code = cli_fail(CLI_USAGE, "run: the configuration will not do (above)");
    else if (config_apply(&c, &over, &f) != SERIN_OK ||
             config_check(&c, true, &f) != SERIN_OK)
        code = cli_usage(v, "%s", f.text);
    else {
        config_log(&c);
        code = start(&c);
    }
    config_free(&c);
    return code;
}

static const struct cli_option options[] = {
    {"config", 'c', "FILE", "serin.yaml; without it defaults and the options below"},
    {"brokers", 'b', "LIST", "HOST:PORT,... instead of the file's bootstrap.servers"},
    {"embedded", 0, NULL,
     "a broker in this process, for trying out; prints its address"},
    {"roles", 0, "LIST", "of ingest,decide,serve (default: all)"},
    {"ingest-threads", 0, "N", "that share the input partitions (default: 1)"},
    {"listen", 0, "ADDR", "unix:/path or host:port; may be repeated"},
    {"token-file", 0, "FILE", "bearer token that TCP clients must show"},
    {"insecure", 0, NULL, "TCP without a token"},
    {"instance", 0, "NAME", "unique per process, the same after a restart"},
    {0},
};

const struct cli_verb cmd_run = {
    "run",   "[options]", "Run the engine: metrics in, verdicts out, until SIGTERM.",
    options, 0,           0,
    run};
