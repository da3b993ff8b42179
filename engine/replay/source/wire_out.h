/* engine/replay/source/wire_out.h -- protobuf's wire format, appended to a text */
#ifndef SERIN_ENGINE_REPLAY_SOURCE_WIRE_OUT_H
#define SERIN_ENGINE_REPLAY_SOURCE_WIRE_OUT_H

#include "engine/base/strview.h"
#include "engine/base/text.h"
#include "ingest/decode/wire.h"

static inline void wire_out_varint(struct text *t, uint64_t v)
{
    char c[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        c[n++] = (char)(v | 0x80);
    c[n++] = (char)v;
    text_bytes(t, c, n);
}

static inline void wire_out_bytes(struct text *t, unsigned field, struct strview s)
{
    wire_out_varint(t, (uint64_t)field << 3 | WIRE_BYTES);
    wire_out_varint(t, s.n);
    text_bytes(t, s.p, s.n);
}

#endif
