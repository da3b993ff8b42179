/* tests/fuzz/fuzz_import_csv.c -- tables */
#include "tests/fuzz/import_promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    import_check(SOURCE_CSV,
                 "time=ts,rollout=:r1,cohort=arm,metric=:errors,n=n,bad=bad", p, n);
    return 0;
}
