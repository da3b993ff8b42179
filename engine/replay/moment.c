/* engine/replay/moment.c */
#include "engine/replay/moment.h"

#include <math.h>
#include <string.h>

#include "engine/base/keys_value.h"
#include "ingest/decode/number.h"

enum { TEXT = 64 };

/* Down to 1e8 s (March 1973) it is seconds, and so on by thousands. */
static bool since_epoch(double v, int64_t *ms)
{
    double unit = 1e-6;
    if (!(v >= 1e8 && v < 1e20)) return false;
    if (v < 1e17) unit = 1e-3;
    if (v < 1e14) unit = 1;
    if (v < 1e11) unit = 1e3;
    *ms = (int64_t)floor(v * unit + 1e-6); /* 1.001 s are no 1000.9999 ms */
    return true;
}

bool moment_parse(struct strview s, int64_t *ms)
{
    static const struct keys_key key = {.type = KEYS_TIME};
    char text[TEXT], why[KEYS_WHY];
    double v;
    if (number_parse(s, &v)) return since_epoch(v, ms);
    if (s.n == 0 || s.n > TEXT - 2 || memchr(s.p, '\0', s.n) != NULL) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    if (keys_value_read(&key, text, false, ms, why)) return true;
    text[s.n] = 'Z'; /* once more, where only the zone is missing */
    text[s.n + 1] = '\0';
    return keys_value_read(&key, text, false, ms, why);
}
