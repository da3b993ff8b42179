/* engine/serve/routes.c */
#include "engine/serve/routes.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/strview.h"
#include "engine/serve/acts.h"
#include "engine/serve/looks.h"
#include "engine/serve/receive.h"

/* clang-format off */
#define ROLLOUT "/v1/rollouts/{rollout}"
static const struct route table[] = {
    {"GET", "/v1/rollouts", "All rollouts, without their metrics.", looks_list, 0, "state service", "serin.list/1"},
    {"POST", "/v1/rollouts", "Apply a plan: its YAML is the body.", acts_apply, ROUTE_PLAN, "actor reason", "serin.command/1"},
    {"GET", ROLLOUT, "Status of a rollout with its metrics.", looks_status, 0, NULL, "serin.status/1"},
    {"GET", ROLLOUT "/plan", "The plan as it was applied.", looks_plan, 0, NULL, NULL},
    {"GET", ROLLOUT "/verdicts", "Its latest verdicts (at most 256), oldest first.", looks_verdicts, 0, "after", "serin.verdicts/1"},
    {"GET", ROLLOUT "/explain", "The inequality that decided, or what is missing.", looks_explain, 0, "seq", "serin.explain/1"},
    {"GET", ROLLOUT "/events", "Its status now, then each status and verdict (SSE).", looks_events, 0, NULL, NULL},
    {"POST", ROLLOUT "/cancel", "Withdraw it before its first weight.", acts_command, ROUTE_ACT, NULL, "serin.command/1"},
    {"POST", ROLLOUT "/hold", "Hold it until somebody resumes it.", acts_command, ROUTE_ACT, NULL, "serin.command/1"},
    {"POST", ROLLOUT "/resume", "Go on after a hold.", acts_command, ROUTE_ACT, NULL, "serin.command/1"},
    {"POST", ROLLOUT "/promote", "Go to the next step without further evidence.", acts_command, ROUTE_ACT, NULL, "serin.command/1"},
    {"POST", ROLLOUT "/abort", "All traffic back to the baseline, for good.", acts_command, ROUTE_ACT, NULL, "serin.command/1"},
    {"POST", ROLLOUT "/set-weight", "Command a weight.", acts_command, ROUTE_ACT, NULL, "serin.command/1"},
    {"POST", ROLLOUT "/approve", "Approve a gate.", acts_command, ROUTE_ACT, NULL, "serin.command/1"},
    {"POST", ROLLOUT "/deny", "Deny a gate.", acts_command, ROUTE_ACT, NULL, "serin.command/1"},
    {"POST", ROLLOUT "/retry", "Judge the step again with new evidence.", acts_command, ROUTE_ACT, NULL, "serin.command/1"},
    {"POST", ROLLOUT "/extend", "Give the step more time.", acts_command, ROUTE_ACT, NULL, "serin.command/1"},
    {"GET", "/v1/fleet", "Which rollouts are bad at a level of them all.", looks_fleet, 0, NULL, "serin.fleet/1"},
    {"GET", "/v1/events", "The same of every rollout (SSE).", looks_events, 0, NULL, NULL},
    {"GET", "/v1/quarantine", "Records that could not be decoded, newest first.", looks_quarantine, 0, NULL, "serin.quarantine/1"},
    {"POST", "/v1/metrics", "Metrics by OTLP/HTTP, written to an input topic.", receive_otlp, ROUTE_OTLP, NULL, NULL},
    {"POST", "/v1/traces", "Traces by OTLP/HTTP, written to an input topic.", receive_otlp, ROUTE_OTLP, NULL, NULL},
    {"POST", "/api/v1/write", "Metrics by Prometheus remote write 1.0, written to an input topic.", receive_write, ROUTE_PROMETHEUS, NULL, NULL},
    {"GET", "/livez", "The process answers.", looks_livez, ROUTE_OPEN, NULL, "serin.live/1"},
    {"GET", "/readyz", "It can answer for every rollout; says why not.", looks_readyz, ROUTE_OPEN, NULL, "serin.ready/1"},
    {"GET", "/metrics", "Prometheus text.", looks_metrics, 0, NULL, NULL},
    {"GET", "/openapi.json", "This description.", looks_openapi, ROUTE_OPEN, NULL, NULL},
    {"GET", "/", "A page for people.", looks_page, ROUTE_OPEN, NULL, NULL},
};
/* clang-format on */

size_t routes_count(void)
{
    return sizeof table / sizeof *table;
}

const struct route *routes_at(size_t i)
{
    return &table[i];
}

/* "/v1/rollouts/{rollout}/plan" against a path; the id goes to id. */
static bool matches(const char *pattern, const char *path, char id[ROUTES_ID_MAX + 1])
{
    static const char hole[] = "{rollout}";
    const char *at = strstr(pattern, hole);
    *id = '\0';
    if (at == NULL) return strcmp(pattern, path) == 0;
    size_t head = (size_t)(at - pattern);
    if (strncmp(pattern, path, head) != 0) return false;
    size_t n = strcspn(path + head, "/");
    if (n == 0 || n > ROUTES_ID_MAX) return false;
    if (strcmp(path + head + n, at + sizeof hole - 1) != 0) return false;
    memcpy(id, path + head, n);
    id[n] = '\0';
    return true;
}

size_t routes_find(const char *method, const char *path, char id[ROUTES_ID_MAX + 1],
                   char allowed[32])
{
    char found[ROUTES_ID_MAX + 1];
    if (strcmp(method, "HEAD") == 0) method = "GET";
    *allowed = '\0';
    for (size_t i = 0; i < routes_count(); i++) {
        if (!matches(table[i].path, path, found)) continue;
        memcpy(id, found, sizeof found);
        if (strcmp(table[i].method, method) == 0) return i;
        size_t n = strlen(allowed);
        snprintf(allowed + n, 32 - n, "%s%s", n != 0 ? ", " : "", table[i].method);
    }
    return SIZE_MAX;
}

void routes_answer(struct api *api, const struct request *q, struct reply *r)
{
    char id[ROUTES_ID_MAX + 1], allowed[32];
    size_t i = routes_find(q->method, q->path, id, allowed);
    if (i != SIZE_MAX) {
        table[i].run(api, q, id, r);
    } else if (*allowed != '\0') {
        api_error(r, 405, "%.16s is not possible here; allowed: %s", q->method,
                  allowed);
        r->allow = strcmp(allowed, "GET") == 0 ? "GET, HEAD" : "POST";
    } else {
        api_error(r, 404,
                  "nothing is served at %.200s; GET /openapi.json lists what is",
                  q->path);
    }
}
