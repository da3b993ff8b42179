/* engine/core/operator.h -- what people tell a rollout to do */
#ifndef SERIN_ENGINE_CORE_OPERATOR_H
#define SERIN_ENGINE_CORE_OPERATOR_H

#include "engine/core/fold_state.h"

enum { OPERATOR_MESSAGE = 240 };

/**
 * Carry a command out, once: a repeated id is ignored. The outcome goes into the row
 * and the audit trail. A command for an unknown rollout (but APPLY) leaves only an
 * audit entry: there is no row to put an outcome in.
 */
void operator_command(struct fold *f, const pb_command *c);

#endif
