/* tests/fuzz/fuzz_decode_otlp_json.c -- format `otlp_json` */
#include "tests/fuzz/decode_promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    promises_check(FORMAT_OTLP_JSON, p, n);
    return 0;
}
