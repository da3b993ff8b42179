/* tests/fuzz/fuzz_decode_otlp_proto.c -- format `otlp_proto` */
#include "tests/fuzz/decode_promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    promises_check(FORMAT_OTLP_PROTO, p, n);
    return 0;
}
