/* tests/fuzz/fuzz_decode_serin.c -- format `serin` */
#include "tests/fuzz/decode_promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    promises_check(FORMAT_SERIN, p, n);
    return 0;
}
