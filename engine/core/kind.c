/* engine/core/kind.c */
#include "engine/core/kind.h"

const struct kind *kind_of(const struct plan_metric *m)
{
    static const struct kind *const kinds[] = {
        [PLAN_RATIO] = &kind_ratio,           [PLAN_LATENCY] = &kind_latency,
        [PLAN_GAUGE] = &kind_gauge,           [PLAN_EVENTS] = &kind_events,
        [PLAN_SATURATION] = &kind_saturation,
    };
    return kinds[m->kind];
}
