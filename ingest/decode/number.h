/* ingest/decode/number.h -- decimal numbers in texts */
#ifndef SERIN_INGEST_DECODE_NUMBER_H
#define SERIN_INGEST_DECODE_NUMBER_H

#include <stdint.h>

#include "engine/base/strview.h"

/** 12, -0.5, 1e-3: the nearest double. False, *out unchanged, for anything else: NaN,
 * infinity, hexadecimal, blanks, over 64 characters. */
bool number_parse(struct strview s, double *out);
/** A number of units; anything else becomes one over 2^53, which is poison. */
uint64_t number_units(double v);

#endif
