/* engine/serve/inbox.h -- commands into serin.inbox, acknowledged by all replicas */
#ifndef SERIN_ENGINE_SERVE_INBOX_H
#define SERIN_ENGINE_SERVE_INBOX_H

#include "engine/base/status.h"
#include "engine/bus/bus.h"
#include "proto/messages.h"

struct inbox; /* opaque; thread: any */

SERIN_MUST_USE
enum serin_status inbox_open(struct inbox **out, struct bus *b, struct fault *f);
void inbox_close(struct inbox *in);
/**
 * Write one command, keyed by its rollout; returns when the brokers have it.
 * Errors: SERIN_EIO; the command may still arrive when the acknowledgement was lost,
 * and the text says so.
 */
SERIN_MUST_USE
enum serin_status inbox_send(struct inbox *in, const pb_command *c, struct fault *f);

#endif
