/* engine/core/acks.c */
#include "engine/core/acks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/explain.h"

/* How many there have to be; without names one, whoever it is. */
static size_t wanted(const struct rollout *r)
{
    return r->plan->n_targets > 1 ? r->plan->n_targets : 1;
}

static bool confirmed(const struct rollout *r, size_t i)
{
    const struct rollout_acked *a = &r->ack.at[i];
    return a->heard && a->error[0] == '\0' && a->applied_bp == r->weight_bp;
}

/* "the actuator", "actuator eu". */
static const char *who(const struct rollout *r, size_t i, char out[80])
{
    if (r->plan->n_targets == 0) return "the actuator";
    snprintf(out, 80, "actuator %.64s", r->plan->targets[i]);
    return out;
}

bool acks_missing(const struct rollout *r)
{
    if (!r->plan->require_ack || r->step == 0) return false;
    for (size_t i = 0; i < wanted(r); i++)
        if (!confirmed(r, i)) return true;
    return false;
}

static uint64_t verdict_seq(const struct rollout *r, const char *id)
{
    size_t n = strlen(r->id);
    if (strncmp(id, r->id, n) != 0 || id[n] != '/') return 0;
    return strtoull(id + n + 1, NULL, 10);
}

/* Where there is one to wait for, its name does not matter: others' actuators give
 * none.
 */
static size_t index_of(const struct rollout *r, const char *target)
{
    size_t i = 0;
    if (r->plan->n_targets <= 1) return 0;
    while (i < r->plan->n_targets && strcmp(r->plan->targets[i], target) != 0)
        i++;
    return i;
}

bool acks_take(struct rollout *r, const pb_ack *a)
{
    size_t at = index_of(r, a->target);
    if (!r->plan->require_ack || r->ack.weight_seq == 0 || at >= wanted(r))
        return false;
    /* Words about an earlier weight are late news, not a wrong weight. */
    if (verdict_seq(r, a->verdict_id) < r->ack.weight_seq) return false;
    struct rollout_acked *to = &r->ack.at[at];
    *to = (struct rollout_acked){.heard = true, .applied_bp = a->applied_bp};
    snprintf(to->error, sizeof to->error, "%.*s", (int)sizeof to->error - 1, a->error);
    return true;
}

static bool one_troubled(const struct rollout *r, size_t i, bool late, struct turn *t)
{
    const struct rollout_acked *a = &r->ack.at[i];
    char name[80], span[24];
    if (a->heard && a->error[0] != '\0')
        explain_add(t, "%s failed: %s", who(r, i, name), a->error);
    else if (a->heard)
        explain_add(t, "%s reads back %g %% instead of %g %%", who(r, i, name),
                    a->applied_bp / 100.0, r->weight_bp / 100.0);
    if (a->heard || !late) return a->heard;
    explain_span(r->plan->ack_timeout_ms, span);
    if (r->plan->n_targets == 0)
        explain_add(t, "no actuator confirmed %g %% within %s", r->weight_bp / 100.0,
                    span);
    else
        explain_add(t, "%s did not confirm %g %% within %s", who(r, i, name),
                    r->weight_bp / 100.0, span);
    explain_add(t, "; is serin actuate running beside the proxy?");
    return true;
}

bool acks_trouble(const struct rollout *r, int64_t now_ms, struct turn *t)
{
    bool late = now_ms - r->began_ms > r->plan->ack_timeout_ms;
    if (!acks_missing(r)) return false;
    for (size_t i = 0; i < wanted(r); i++)
        if (!confirmed(r, i) && one_troubled(r, i, late, t)) return true;
    return false;
}

void acks_tell(const struct rollout *r, struct turn *t)
{
    char name[80], clock[16];
    bool first = true;
    explain_clock(r->began_ms, clock);
    explain_add(t, "waits until ");
    for (size_t i = 0; i < wanted(r); i++) {
        if (confirmed(r, i)) continue;
        explain_add(t, "%s%s", first ? "" : ", ", who(r, i, name));
        first = false;
    }
    explain_add(t, " confirms %g %%, since %s", r->weight_bp / 100.0, clock);
}
