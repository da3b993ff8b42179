/* engine/cli/plan_ask.h -- `serin plan`: the question, and its answer in words or JSON
 */
#ifndef SERIN_ENGINE_CLI_PLAN_ASK_H
#define SERIN_ENGINE_CLI_PLAN_ASK_H

#include "engine/cli/output.h"
#include "engine/core/outlook.h"

struct plan_ask {
    const struct cli_verb *v;
    const char *file, *text; /* of the plan */
    size_t n;
    struct plan *plan;
    struct outlook_query q;
    size_t hit[2];  /* what regressions are of: odds, rates and levels, or a latency;
                     * n_metrics: none */
    size_t primary; /* what an experiment asks about; else n_metrics */
};

/** The options, checked against the plan, into a->q. CLI_USAGE is told on stderr. */
int plan_ask(struct plan_ask *a);
/** The metric is one that is simulated. */
bool plan_ask_simulated(const struct plan_ask *a, size_t metric);

/** Tables and warnings. */
void plan_tell(const struct plan_ask *a, const struct outlook *o);
/** serin.outlook/1 */
json_t *plan_json(const struct plan_ask *a, const struct outlook *o);

#endif
