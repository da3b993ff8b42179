/* tests/support/fuzz.h -- what a fuzz target is: bytes in, abort() when a promise
 * breaks
 *
 * One file tests/fuzz/fuzz_NAME.c with this function; tests/fuzz/README.md says how it
 * is run. Thread: one. */
#ifndef SERIN_TESTS_SUPPORT_FUZZ_H
#define SERIN_TESTS_SUPPORT_FUZZ_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Returns 0. State from one input must not change what the next one does. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/** Say what broke, and where, and abort. */
#define FUZZ_MUST(holds)                                                               \
    do {                                                                               \
        if (!(holds)) {                                                                \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #holds);        \
            abort();                                                                   \
        }                                                                              \
    } while (0)

#endif
