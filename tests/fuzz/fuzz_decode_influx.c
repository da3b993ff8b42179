/* tests/fuzz/fuzz_decode_influx.c -- format `influx` */
#include "tests/fuzz/decode_promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    promises_check(FORMAT_INFLUX, p, n);
    return 0;
}
