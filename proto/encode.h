/* proto/encode.h -- messages to bytes, in an arena */
#ifndef SERIN_PROTO_ENCODE_H
#define SERIN_PROTO_ENCODE_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "proto/messages.h"

/**
 * encode_inbox, encode_verdict, … one for each message of MESSAGES_MAP.
 * Fields go out in the order of their numbers, so equal messages give equal bytes.
 * Errors: SERIN_ENOMEM (over the arena's limit); *out stays untouched.
 */
#define X(name, Type, prefix)                                                          \
    SERIN_MUST_USE                                                                     \
    enum serin_status encode_##name(struct arena *a, const pb_##name *m,               \
                                    struct bytes *out);
MESSAGES_MAP(X)
#undef X

#endif
