/* engine/core/plan_keys.h -- the table of a plan's keys; of plan*.c only */
#ifndef SERIN_ENGINE_CORE_PLAN_KEYS_H
#define SERIN_ENGINE_CORE_PLAN_KEYS_H

#include "engine/base/keys.h"
#include "engine/core/plan.h"

extern const struct keys_table plan_keys;

/* The words of the enums, in their order; each ends with NULL. */
extern const char *const plan_keys_kinds[], *const plan_keys_strategies[],
                                                *const plan_keys_directions[],
                                                    *const plan_keys_quantiles[],
                                                        *const plan_keys_step_kinds[];

/* Steps of a plan that has none. */
extern const char plan_keys_default_steps[], plan_keys_switch_steps[];

/** worse_than of a step that has none: the ladder's value for its weight. */
double plan_keys_tolerance(uint32_t weight_bp);

#endif
