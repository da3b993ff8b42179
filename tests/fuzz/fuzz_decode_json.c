/* tests/fuzz/fuzz_decode_json.c -- format `json`, found by its first byte or named */
#include "tests/fuzz/decode_promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    promises_check(n != 0 && p[0] % 2 != 0 ? FORMAT_AUTO : FORMAT_JSON, p, n);
    return 0;
}
