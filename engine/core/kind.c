/* engine/core/kind.c */
#include "engine/core/kind.h"

const struct kind *kind_of(const struct plan_metric *m)
{
    return m->kind == PLAN_LATENCY ? &kind_latency : &kind_ratio;
}
