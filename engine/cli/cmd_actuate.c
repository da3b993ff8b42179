/* engine/cli/cmd_actuate.c -- serin actuate: verdicts to proxies, as a service of its
 * own */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "engine/act/act.h"
#include "engine/base/log.h"
#include "engine/cli/client.h"
#include "engine/cli/signals.h"

enum { LOOK_MS = 50, STOP_S = 15 };

static const struct cli_option options[] = {
    {"config", 'c', "FILE",
     "the engine's serin.yaml; its actuate section says what may be moved"},
    {"brokers", 'b', "LIST", "HOST:PORT,... instead of the file's bootstrap.servers"},
    {"name", 0, "NAME",
     "of this actuator in its acknowledgements; default: the instance"},
    {"only", 0, "ROLLOUT", "move this one only"},
    {"kind", 0, "KIND", "only targets of this kind, e.g. haproxy"},
    {"dry-run", 0, NULL, "say what would be done, do and acknowledge nothing"},
    {0}};

struct service {
    struct act *act;
    struct fault fault;
    atomic_int rc; /* of act_run; -1 while it runs */
};

static void *serve(void *arg)
{
    struct service *s = arg;
    atomic_store(&s->rc, (int)act_run(s->act, &s->fault));
    return NULL;
}

static int run_service(struct act *act)
{
    pthread_t thread;
    struct service s = {.act = act, .rc = -1};
    if (pthread_create(&thread, NULL, serve, &s) != 0)
        return cli_fail(CLI_UNREACHABLE, "actuate: no thread");
    while (atomic_load(&s.rc) < 0 && !signals_pause(NULL, LOOK_MS))
        continue;
    signals_end_within(
        STOP_S,
        "serin: actuate: not stopped after 15 s (broker away?); what is in "
        "force stays in force\n",
        CLI_TIMEOUT);
    act_stop(act);
    pthread_join(thread, NULL);
    if (atomic_load(&s.rc) == SERIN_OK) return CLI_OK;
    return cli_fail(CLI_UNREACHABLE, "actuate: %s", s.fault.text);
}

static int actuate(const struct config *c)
{
    struct fault f = {0};
    struct bus *b = NULL;
    struct act *act = NULL;
    struct bus_options bo = config_bus(c);
    signals_hold();
    enum serin_status rc = bus_open(&b, &bo, &f);
    if (rc != SERIN_OK) return cli_fail(CLI_USAGE, "actuate: %s", f.text);
    struct act_options o = {.policy = &c->actuate,
                            .name = cli_get("name") != NULL ? cli_get("name")
                                                            : bus_instance(b),
                            .rollout = cli_get("only"),
                            .kind = cli_get("kind"),
                            .dry_run = cli_get("dry-run") != NULL};
    if (o.kind != NULL && driver_find(o.kind) == NULL)
        rc = fault_set(&f, SERIN_EDOM, "no kind \"%s\"", o.kind);
    if (rc == SERIN_OK) rc = act_open(&act, b, &o, &f);
    int code = rc == SERIN_OK ? CLI_OK : cli_fail(CLI_USAGE, "actuate: %s", f.text);
    if (rc == SERIN_OK) {
        log_info("actuate", "%s: %zu targets, %zu kinds inline%s", o.name,
                 c->actuate.n_targets, c->actuate.n_inline,
                 o.dry_run ? ", dry run" : "");
        code = run_service(act);
    }
    act_close(act);
    bus_close(b);
    return code;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    struct config c = {0};
    (void)args, (void)n_args;
    int code = client_config(v, &c);
    if (code == CLI_OK) code = actuate(&c);
    config_free(&c);
    return code;
}

const struct cli_verb cmd_actuate = {"actuate",
                                     "[options]",
                                     "Move traffic as the verdicts say: HAProxy, "
                                     "nginx, Envoy, flagd, gateways and others.",
                                     options,
                                     0,
                                     0,
                                     run};
