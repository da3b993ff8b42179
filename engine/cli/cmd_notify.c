/* engine/cli/cmd_notify.c -- serin notify: verdicts to people, as a service of its own
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/cli/cli.h"
#include "engine/cli/config.h"
#include "engine/cli/signals.h"
#include "engine/notify/notify.h"
#include "engine/serve/metrics.h"

enum { LOOK_MS = 50, METRICS_MS = 5000, STOP_S = 75 };

static const struct cli_option options[] = {
    {"config", 'c', "FILE",
     "the engine's serin.yaml; its alerts section says who is told"},
    {"brokers", 'b', "LIST", "HOST:PORT,... instead of the file's bootstrap.servers"},
    {"instance", 0, "NAME", "of this process in the receivers' consumer groups"},
    {"test", 0, "RECEIVER", "send it a test alert and its end, and stop"},
    {"metrics", 0, "FILE",
     "keep counters there as Prometheus text (node_exporter's textfile collector)"},
    {0}};

struct service {
    struct notify *notify;
    struct fault fault;
    atomic_int rc; /* of notify_run; -1 while it runs */
};

static void *serve(void *arg)
{
    struct service *s = arg;
    atomic_store(&s->rc, (int)notify_run(s->notify, &s->fault));
    return NULL;
}

/* ---- counters */
static const struct {
    const char *name, *type, *help;
    size_t at;
} families[] = {
#define AT(field) offsetof(struct follow_counts, field)
    {"serin_notify_delivered_total", "counter", "Alerts that the receiver took.",
     AT(delivered)},
    {"serin_notify_failed_total", "counter", "Attempts that did not get through.",
     AT(failed)},
    {"serin_notify_refused_total", "counter", "Alerts that the receiver will not take.",
     AT(refused)},
    {"serin_notify_given_up_total", "counter", "Alerts too old to be tried again.",
     AT(given_up)},
    {"serin_notify_dropped_total", "counter", "Alerts without room in the queue.",
     AT(dropped)},
    {"serin_notify_queued", "gauge", "Alerts that wait.", AT(queued)},
#undef AT
};

static void write_families(FILE *out, const struct notify *n,
                           const struct receiver_list *l)
{
    for (size_t k = 0; k < sizeof families / sizeof *families; k++) {
        metrics_family(out, families[k].name, families[k].type, families[k].help);
        for (size_t i = 0; i < l->n; i++) {
            struct follow_counts c = notify_counts(n, i);
            uint64_t v;
            memcpy(&v, (const char *)&c + families[k].at, sizeof v);
            metrics_sample(out, families[k].name, (double)v, "receiver",
                           l->items[i].name, "kind",
                           receiver_kind((enum receiver_kind)l->items[i].kind), NULL);
        }
    }
    metrics_family(out, "serin_notify_ready", "gauge", "1: it follows its verdicts.");
    for (size_t i = 0; i < l->n; i++)
        metrics_sample(out, "serin_notify_ready", notify_counts(n, i).ready, "receiver",
                       l->items[i].name, NULL);
}

/* Whole or not at all: readers see the old file until the new one is there. */
static void write_metrics(const char *path, const struct notify *n,
                          const struct receiver_list *l)
{
    static bool told;
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    FILE *out = fopen(temporary, "we");
    if (out != NULL) write_families(out, n, l);
    bool ok = out != NULL && fclose(out) == 0 && rename(temporary, path) == 0;
    if (!ok && !told)
        log_warn("notify", "metrics: %s cannot be written: %m; going on without", path);
    if (!ok) unlink(temporary);
    told = !ok;
}

/* ---- the service */
static int run_service(struct notify *n, const struct receiver_list *l)
{
    pthread_t thread;
    struct service s = {.notify = n, .rc = -1};
    const char *metrics = cli_get("metrics");
    int64_t next = 0;
    if (pthread_create(&thread, NULL, serve, &s) != 0)
        return cli_fail(CLI_UNREACHABLE, "notify: no thread");
    while (atomic_load(&s.rc) < 0 && !signals_pause(NULL, LOOK_MS)) {
        if (metrics == NULL || clock_mono_ms() < next) continue;
        write_metrics(metrics, n, l);
        next = clock_mono_ms() + METRICS_MS;
    }
    signals_end_within(
        STOP_S,
        "serin: notify: not stopped in time (broker away?); what was not "
        "delivered is tried again by the next process\n",
        CLI_TIMEOUT);
    notify_stop(n);
    pthread_join(thread, NULL);
    if (metrics != NULL) write_metrics(metrics, n, l);
    if (atomic_load(&s.rc) == SERIN_OK) return CLI_OK;
    return cli_fail(CLI_UNREACHABLE, "notify: %s", s.fault.text);
}

static int notify(const struct config *c)
{
    struct fault f = {0};
    struct bus *b = NULL;
    struct notify *n = NULL;
    struct bus_options bo = config_bus(c);
    signals_hold();
    enum serin_status rc = bus_open(&b, &bo, &f);
    if (rc == SERIN_OK) rc = notify_open(&n, b, &c->alerts, &f);
    int code = rc == SERIN_OK ? CLI_OK : cli_fail(CLI_USAGE, "notify: %s", f.text);
    if (rc == SERIN_OK) {
        log_info("notify", "%zu receivers", c->alerts.n);
        code = run_service(n, &c->alerts);
    }
    notify_close(n);
    bus_close(b);
    return code;
}

static int test(const struct cli_verb *v, const struct config *c)
{
    struct fault f = {0};
    const char *name = cli_get("test");
    const struct receiver *r = receiver_find(&c->alerts, name);
    if (r == NULL)
        return cli_usage(v, "no receiver \"%s\" under alerts.receivers", name);
    if (notify_test(r, &f) != SERIN_OK)
        return cli_fail(CLI_UNREACHABLE, "notify: %s: %s", name, f.text);
    printf("%s: took a test alert and its end.\n", name);
    return CLI_OK;
}

static int act(const struct cli_verb *v, struct config *c)
{
    struct fault f = {0};
    struct config_overrides o = {.brokers = cli_get("brokers"),
                                 .instance = cli_get("instance")};
    config_log(c);
    if (c->alerts.n == 0)
        return cli_usage(v, "nobody to tell: serin.yaml has no alerts.receivers");
    if (cli_get("test") != NULL) return test(v, c);
    if (config_apply(c, &o, &f) != SERIN_OK || config_check(c, false, &f) != SERIN_OK)
        return cli_usage(v, "%s", f.text);
    return notify(c);
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    struct config c = {0};
    (void)args, (void)n_args;
    int code = CLI_USAGE;
    if (config_load(cli_get("config"), &c, stderr) == SERIN_OK) code = act(v, &c);
    config_free(&c);
    return code;
}

const struct cli_verb cmd_notify = {
    "notify",
    "[options]",
    "Tell people of holds and aborts: webhook, Slack, PagerDuty, Alertmanager, email.",
    options,
    0,
    0,
    run};
