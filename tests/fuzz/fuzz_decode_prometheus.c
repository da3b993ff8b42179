/* tests/fuzz/fuzz_decode_prometheus.c -- format `prometheus_rw`: 'S' and a snappy
 * block, or else a plain request, compressed here so that mutations get past the
 * checksum-less but strict snappy */
#include <snappy-c.h>

#include "tests/fuzz/decode_promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static char block[1 << 17];
    size_t room = sizeof block;
    if (n != 0 && p[0] == 'S') {
        promises_check(FORMAT_PROMETHEUS, p + 1, n - 1);
    } else if (snappy_max_compressed_length(n) <= room) {
        FUZZ_MUST(snappy_compress((const char *)p, n, block, &room) == SNAPPY_OK);
        promises_check(FORMAT_PROMETHEUS, (const uint8_t *)block, room);
    }
    return 0;
}
