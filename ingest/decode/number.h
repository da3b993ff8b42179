/* ingest/decode/number.h -- decimal numbers in texts */
#ifndef SERIN_INGEST_DECODE_NUMBER_H
#define SERIN_INGEST_DECODE_NUMBER_H

#include "engine/base/strview.h"

/** 12, -0.5, 1e-3: the nearest double. False, *out unchanged, for anything else: NaN,
 * infinity, hexadecimal, blanks, over 64 characters. */
bool number_parse(struct strview s, double *out);

#endif
