/* engine/serve/view.h -- messages as the JSON that people and programs read */
#ifndef SERIN_ENGINE_SERVE_VIEW_H
#define SERIN_ENGINE_SERVE_VIEW_H

#include <jansson.h>

#include "proto/messages.h"

/* New references; NULL when memory is out. Infinite numbers become the strings "inf"
 * and
 * "-inf", since JSON has none. Field names and order are fixed (README). */
json_t *view_verdict(const pb_verdict *v); /* serin.verdict/1 */
json_t *view_status(const pb_rollout *r);  /* serin.status/1 */

#endif
