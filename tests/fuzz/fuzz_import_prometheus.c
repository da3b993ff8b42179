/* tests/fuzz/fuzz_import_prometheus.c -- answers of range queries */
#include "tests/fuzz/import_promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    import_check(SOURCE_PROMETHEUS, "metric=:crashes,attributes.region=:eu", p, n);
    return 0;
}
