/* tests/fuzz/fuzz_import_hlog.c -- interval logs of HdrHistogram */
#include "tests/fuzz/import_promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    import_check(SOURCE_HLOG, "rollout=:r1,cohort=tag,metric=:latency", p, n);
    return 0;
}
