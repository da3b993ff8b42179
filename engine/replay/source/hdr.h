/* engine/replay/source/hdr.h -- HdrHistogram's compressed encoding, version 2
 *
 * Base64 of: 4 cookie, 4 length, zlib of: 4 cookie, 4 length of the payload, 4 index
 * offset, 4 significant digits, 8 lowest, 8 highest trackable value, 8 conversion
 * ratio, payload (all big-endian): counts as ZigZag LEB128 of at most 9 bytes, a
 * negative one is a run of so many zeros. */
#ifndef SERIN_ENGINE_REPLAY_SOURCE_HDR_H
#define SERIN_ENGINE_REPLAY_SOURCE_HDR_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/strview.h"
#include "ingest/quarantine.h"

enum { HDR_MAX_BYTES = 8 << 20 }; /* of a histogram, unpacked */

/* One bucket that counts something: the whole numbers from low to high. */
struct hdr_bucket {
    uint64_t low, high, count;
};

struct hdr {                    /* zero-initialise; hdr_free when done */
    struct hdr_bucket *buckets; /* rising */
    size_t n, room;
    uint8_t *packed, *plain;
    size_t packed_room, plain_room;
};

/** Errors: SERIN_EPARSE with *why; h->n is 0 then. */
SERIN_MUST_USE
enum serin_status hdr_decode(struct hdr *h, struct strview base64, struct reject *why);
void hdr_free(struct hdr *h);

#endif
