/* proto/decode.h -- bytes to messages, in an arena */
#ifndef SERIN_PROTO_DECODE_H
#define SERIN_PROTO_DECODE_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "proto/messages.h"

/**
 * decode_inbox, decode_verdict, … one for each message of MESSAGES_MAP.
 * The message and all it points to live in *a. Unknown fields are skipped.
 * Errors: SERIN_EPARSE (not this message, or a schema above SERIN_SCHEMA),
 * SERIN_ENOMEM (over the arena's limit); *out stays untouched.
 */
#define X(name, Type, prefix)                                                          \
    SERIN_MUST_USE                                                                     \
    enum serin_status decode_##name(struct arena *a, const void *p, size_t n,          \
                                    pb_##name **out);
MESSAGES_MAP(X)
#undef X

#endif
