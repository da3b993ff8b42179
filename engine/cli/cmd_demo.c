/* engine/cli/cmd_demo.c -- the engine, a broker and four services in one process
 *
 * The generator is an actuator like any other: it learns its weights from the verdicts
 * topic, and its requests come in through an input topic. Where HAProxy is installed,
 * one of the services is real (demo_edge.h). */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/bus/producer.h"
#include "engine/bus/table.h"
#include "engine/cli/cli.h"
#include "engine/cli/demo_edge.h"
#include "engine/cli/demo_traffic.h"
#include "engine/cli/demo_view.h"
#include "engine/cli/engine.h"
#include "engine/cli/signals.h"
#include "engine/serve/inbox.h"
#include "proto/decode.h"

enum {
    DEFAULT_SECONDS = 80,
    MAX_SECONDS = 3600,
    READY_MS = 20000,
    FRAME_MS = 250, /* between two pictures */
    POLL_MS = 50,
    EDGE_SERVICE = 1, /* turns bad under load */
    EDGE_SPAN_MS = 1000
};

struct demo {
    struct engine *engine;
    struct producer *producer;
    struct table *verdicts;
    struct inbox *inbox;
    struct demo_traffic traffic;
    struct demo_edge *edge; /* NULL: all requests are made up */
    struct {
        struct demo_edge_counts before;
        int64_t at_ms, abort_ms; /* abort: when its verdict was read */
    } seen;                      /* of the edge */
    struct demo_line lines[DEMO_SERVICES];
    struct arena rows, record;
    int64_t began_ms; /* monotonic */
    bool live;        /* a terminal: redraw instead of lines */
    char folder[64], listen[96];
};

static double seconds(const struct demo *d)
{
    return (double)(clock_mono_ms() - d->began_ms) / 1000;
}

/* What an actuator does: take the weight of the verdict; and show it. */
static void on_verdict(void *ctx, const struct bus_record *r)
{
    struct demo *d = ctx;
    pb_verdict *v = NULL;
    arena_reset(&d->record);
    if (decode_verdict(&d->record, r->value, r->value_len, &v) != SERIN_OK) return;
    for (size_t i = 0; i < DEMO_SERVICES; i++) {
        if (strcmp(v->rollout, demo_services[i].rollout) != 0) continue;
        demo_traffic_weight(&d->traffic, i, v->to_bp);
        demo_view_take(&d->lines[i], v);
        if (i == EDGE_SERVICE && v->kind == SERIN__V1__KIND__KIND_ABORT)
            d->seen.abort_ms = clock_wall_ms();
        if (!d->live) demo_view_verdict(stdout, v, seconds(d));
    }
}

static enum serin_status start_engine(struct demo *d, struct fault *f)
{
    const struct worker_input input = {.topic = DEMO_TOPIC, .format = "json"};
    const char *const listen[] = {d->listen, NULL};
    struct engine_options o = {
        .bus = {.embedded = true, .partitions = 4},
        .worker = {.inputs = &input,
                   .n_inputs = 1,
                   .flush_ms = 100,
                   .lateness_ms = 300,
                   .idle_ms = 1000},
        .stage = {.fold = {.row_every_ms = 500}, .tick_ms = 250},
        .serve = {.listen = listen,
                  .token_file = cli_get("token-file"),
                  .insecure = cli_get("insecure") != NULL},
        .pause = signals_pause,
    };
    char why[160];
    enum serin_status s = engine_start(&d->engine, &o, f);
    if (s != SERIN_OK) return s;
    int64_t until = clock_mono_ms() + READY_MS;
    while (!engine_ready(d->engine, why)) {
        if (engine_failed(d->engine, f)) return f->code;
        if (clock_mono_ms() > until)
            return fault_set(f, SERIN_ETIME, "the engine is not ready after %d s: %s",
                             READY_MS / 1000, why);
        if (signals_pause(NULL, POLL_MS)) return fault_set(f, SERIN_ETIME, "stopped");
    }
    return SERIN_OK;
}

static enum serin_status apply_plans(struct demo *d, struct fault *f)
{
    enum serin_status s = SERIN_OK;
    for (size_t i = 0; i < DEMO_SERVICES && s == SERIN_OK; i++) {
        struct text plan = {0};
        char id[128];
        bool real = d->edge != NULL && i == EDGE_SERVICE;
        demo_traffic_plan(i, real ? DEMO_EDGE_TARGET : NULL, &plan);
        snprintf(id, sizeof id, "demo-apply-%s", demo_services[i].rollout);
        pb_command c = SERIN__V1__COMMAND__INIT;
        c.id = id;
        c.rollout = (char *)demo_services[i].rollout;
        c.verb = SERIN__V1__VERB__VERB_APPLY;
        c.actor = (char *)"demo";
        c.reason = (char *)demo_services[i].story;
        c.t_ms = clock_wall_ms();
        c.plan = plan.p;
        s = plan.failed ? fault_set(f, SERIN_ENOMEM, "out of memory")
                        : inbox_send(d->inbox, &c, f);
        text_free(&plan);
    }
    return s;
}

static enum serin_status open_clients(struct demo *d, struct fault *f)
{
    struct bus *b = engine_bus(d->engine);
    const struct table_options table = {.topic = bus_topic_name(b, BUS_VERDICTS),
                                        .start = BUS_OFFSET_NONE,
                                        .on_record = on_verdict,
                                        .ctx = d};
    enum serin_status s = producer_open(&d->producer, b, NULL, READY_MS, f);
    if (s == SERIN_OK) s = table_open(&d->verdicts, b, &table, f);
    if (s == SERIN_OK) s = inbox_open(&d->inbox, b, f);
    if (s == SERIN_OK && d->edge != NULL)
        s = demo_edge_actuate(d->edge, b, demo_services[EDGE_SERVICE].rollout, f);
    return s;
}

/* What one service did since the last tick. */
static void write_service(struct demo *d, size_t i, struct text *lines)
{
    struct demo_edge_counts c;
    lines->n = 0;
    if (d->edge == NULL || i != EDGE_SERVICE) {
        demo_traffic_write(&d->traffic, i, lines);
        return;
    }
    demo_edge_take(d->edge, &c);
    for (int k = 0; k < 2; k++)
        demo_traffic_counted(&d->traffic, i, k == 0, c.n[k], c.bad[k], lines);
}

/* Write every tick that is due; after a stall they come late but complete. */
static enum serin_status produce(struct demo *d, struct fault *f)
{
    struct text lines = {0};
    enum serin_status s = SERIN_OK;
    int64_t now = clock_wall_ms();
    while (s == SERIN_OK && demo_traffic_due_ms(&d->traffic) <= now) {
        for (size_t i = 0; i < DEMO_SERVICES && s == SERIN_OK; i++) {
            const char *key = demo_services[i].name;
            write_service(d, i, &lines);
            if (lines.failed)
                s = fault_set(f, SERIN_ENOMEM, "out of memory");
            else if (lines.n > 0)
                s = producer_send(d->producer, DEMO_TOPIC, -1, key, strlen(key),
                                  lines.p, lines.n, f);
        }
        demo_traffic_advance(&d->traffic);
    }
    text_free(&lines);
    return s;
}

/* What HAProxy did in the last second or so. */
static void watch_edge(struct demo *d)
{
    struct demo_edge_counts now;
    int64_t at_ms = clock_mono_ms(), span_ms = at_ms - d->seen.at_ms;
    if (d->edge == NULL || span_ms < EDGE_SPAN_MS) return;
    demo_edge_total(d->edge, &now);
    double canary = (double)(now.n[0] - d->seen.before.n[0]),
           all = canary + (double)(now.n[1] - d->seen.before.n[1]);
    snprintf(d->lines[EDGE_SERVICE].proxy, sizeof d->lines[EDGE_SERVICE].proxy,
             "; HAProxy: %.3g %% of %.0f/s", all > 0 ? 100 * canary / all : 0,
             1000 * all / (double)span_ms);
    d->seen.before = now;
    d->seen.at_ms = at_ms;
}

static void refresh(struct demo *d)
{
    watch_edge(d);
    arena_reset(&d->rows);
    for (size_t i = 0; i < DEMO_SERVICES; i++) {
        pb_rollout *row = NULL;
        if (directory_get(engine_directory(d->engine), demo_services[i].rollout,
                          &d->rows, &row) != SERIN_OK ||
            row->status == NULL)
            row = NULL;
        d->lines[i].row = row;
    }
}

/* How many services ended, and how many of them as they should. */
static int ended(const struct demo *d, int *right)
{
    int n = 0;
    *right = 0;
    for (size_t i = 0; i < DEMO_SERVICES; i++) {
        const pb_rollout *row = d->lines[i].row;
        if (row == NULL) continue;
        const char *state = row->status->state;
        bool promoted = strcmp(state, "PROMOTED") == 0;
        bool aborted = strcmp(state, "ABORTED") == 0;
        bool good = demo_services[i].shape == DEMO_GOOD;
        n += promoted || aborted;
        *right += good ? promoted && row->status->weight_bp == 10000 : aborted;
    }
    return n;
}

static void draw(struct demo *d, const char *note)
{
    if (!d->live) return;
    demo_view_screen(stdout, d->lines, seconds(d), cli_colour());
    fputs(note, stdout);
    fflush(stdout);
}

/* Produce, follow and show until all ended, or until limit_s (< 0: until a signal). */
static enum serin_status play(struct demo *d, int limit_s, const char *note,
                              struct fault *f)
{
    int64_t frame_ms = 0;
    int right;
    enum serin_status s = SERIN_OK;
    while (s == SERIN_OK && !signals_pause(NULL, 0)) {
        s = produce(d, f);
        if (s == SERIN_OK) s = table_poll(d->verdicts, POLL_MS, f);
        if (s != SERIN_OK && f->retriable) s = SERIN_OK;
        if (s == SERIN_OK && engine_failed(d->engine, f)) s = f->code;
        if (clock_mono_ms() < frame_ms) continue;
        frame_ms = clock_mono_ms() + FRAME_MS;
        refresh(d);
        draw(d, note);
        if (limit_s >= 0 && ended(d, &right) == DEMO_SERVICES) break;
        if (limit_s >= 0 && seconds(d) > limit_s) break;
    }
    return s;
}

static void look_around(const struct demo *d, char *note, size_t room)
{
    char self[256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    const char *serin = n > 0 ? self : "serin";
    snprintf(note, room,
             "\nThe API stays up; Ctrl-C ends it. In another terminal:\n"
             "  export SERIN_ADDR=%s\n"
             "  %s list\n"
             "  %s explain %s\n"
             "  %s history %s\n"
             "  kcat -b %s -L   # the embedded broker\n",
             engine_address(d->engine, 0), serin, serin, demo_services[1].rollout,
             serin, demo_services[0].rollout, bus_bootstrap(engine_bus(d->engine)));
}

/* How the loop closed at the proxy. */
static void tell_edge(const struct demo *d)
{
    struct demo_edge_counts c;
    if (d->edge == NULL) return;
    int64_t last_ms = demo_edge_total(d->edge, &c);
    printf("\n%s went through HAProxy: %" PRIu64 " requests, %" PRIu64
           " of them to the canary, %" PRIu64 " of those failed",
           demo_services[EDGE_SERVICE].name, c.n[0] + c.n[1], c.n[0], c.bad[0]);
    if (d->seen.abort_ms != 0 && last_ms > d->seen.abort_ms)
        printf("; the last one came %" PRId64 " ms after the abort",
               last_ms - d->seen.abort_ms);
    else if (d->seen.abort_ms != 0)
        printf("; none came after the abort");
    puts(".");
}

/* All but the engine stands; play, and say how it ended. */
static int perform(struct demo *d, int limit_s, bool serve, struct fault *f)
{
    char note[1600] = "";
    int right = 0;
    if (d->live) fputs("\033[2J\033[?25l", stdout);
    enum serin_status s = play(d, limit_s, note, f);
    refresh(d);
    int n = ended(d, &right);
    double took_s = seconds(d);
    draw(d, note);
    demo_view_table(stdout, d->lines);
    tell_edge(d);
    if (s == SERIN_OK && serve) {
        look_around(d, note, sizeof note);
        fputs(note, stdout);
        fflush(stdout);
        s = play(d, -1, note, f);
    }
    if (d->live) fputs("\033[?25h\n", stdout);
    if (s != SERIN_OK) return cli_fail(CLI_UNREACHABLE, "demo: %s", f->text);
    if (right == DEMO_SERVICES) {
        printf("\nAs it should be: the good release was promoted, the bad ones were "
               "aborted, in %.0f s.\n",
               took_s);
        return CLI_OK;
    }
    if (n == DEMO_SERVICES)
        return cli_fail(CLI_ABORTED, "demo: a release did not end as it should");
    return cli_fail(CLI_TIMEOUT,
                    "demo: %d of %d releases undecided when it was stopped",
                    DEMO_SERVICES - n, DEMO_SERVICES);
}

static enum serin_status prepare(struct demo *d, uint64_t seed, struct fault *f)
{
    enum serin_status s = start_engine(d, f);
    if (s == SERIN_OK) s = open_clients(d, f);
    if (s == SERIN_OK &&
        demo_traffic_open(&d->traffic, seed, clock_wall_ms()) != SERIN_OK)
        s = fault_set(f, SERIN_ENOMEM, "out of memory");
    if (s == SERIN_OK) s = apply_plans(d, f);
    return s;
}

static void finish(struct demo *d)
{
    demo_edge_close(d->edge);
    inbox_close(d->inbox);
    table_close(d->verdicts);
    producer_close(d->producer);
    if (d->traffic.rng != NULL) demo_traffic_close(&d->traffic);
    engine_stop(d->engine);
    arena_free(&d->rows);
    arena_free(&d->record);
    if (d->folder[0] != '\0' && rmdir(d->folder) != 0 && errno != ENOENT)
        log_warn("demo", "cannot remove %s: %s", d->folder, strerror(errno));
}

/* Whoever has no HAProxy sees everything but HAProxy. */
static void open_edge(struct demo *d)
{
    struct fault f = {0};
    if (cli_get("no-proxy") != NULL) return;
    if (demo_edge_program() == NULL)
        fputs("HAProxy is not installed, so all requests are made up.\n", stderr);
    else if (demo_edge_open(&d->edge, d->folder, &f) != SERIN_OK)
        fprintf(stderr, "All requests are made up: %s\n", f.text);
}

static bool number(const char *text, unsigned long long most, unsigned long long *out)
{
    char *end = NULL;
    if (text == NULL) return true;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value > most)
        return false;
    *out = value;
    return true;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)args, (void)n_args;
    unsigned long long limit_s = DEFAULT_SECONDS, seed = 1;
    if (!number(cli_get("seconds"), MAX_SECONDS, &limit_s) || limit_s == 0)
        return cli_usage(v, "--seconds \"%s\": expected 1 to %d", cli_get("seconds"),
                         MAX_SECONDS);
    if (!number(cli_get("seed"), UINT64_MAX, &seed))
        return cli_usage(v, "--seed \"%s\": expected a whole number", cli_get("seed"));
    struct demo d = {.live = isatty(STDOUT_FILENO) != 0,
                     .folder = "/tmp/serin-demo-XXXXXX"};
    struct fault f = {0};
    if (mkdtemp(d.folder) == NULL)
        return cli_fail(CLI_USAGE, "demo: cannot make %s: %s", d.folder,
                        strerror(errno));
    snprintf(d.listen, sizeof d.listen, "unix:%s/serin.sock", d.folder);
    if (cli_get("listen") != NULL)
        snprintf(d.listen, sizeof d.listen, "%s", cli_get("listen"));
    signals_hold();
    open_edge(&d);
    log_setup(LOG_ERROR_LEVEL, false);
    fputs("Starting an embedded broker, the engine and four services ...\n", stderr);
    d.began_ms = clock_mono_ms();
    int code;
    if (prepare(&d, seed, &f) == SERIN_OK)
        code = perform(&d, (int)limit_s, cli_get("serve") != NULL, &f);
    else
        code = cli_fail(CLI_UNREACHABLE, "demo: %s", f.text);
    finish(&d);
    return code;
}

static const struct cli_option options[] = {
    {"serve", 0, NULL, "keep the API up afterwards, to look around"},
    {"listen", 0, "ADDR", "unix:/path or host:port (default: a socket in /tmp)"},
    {"token-file", 0, "FILE", "bearer token that TCP clients must show"},
    {"insecure", 0, NULL, "TCP without a token"},
    {"seconds", 0, "N", "give up after N seconds (default 80)"},
    {"no-proxy", 0, NULL, "make all requests up, even where HAProxy is installed"},
    {"seed", 0, "N", "of the made-up traffic (default 1)"},
    {0},
};

const struct cli_verb cmd_demo = {
    "demo",  "[options]", "Judge made-up releases live on an embedded broker.",
    options, 0,           0,
    run};
