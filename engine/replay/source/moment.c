/* engine/replay/source/moment.c */
#include "engine/replay/source/moment.h"

#include <math.h>
#include <string.h>

#include "engine/base/keys_value.h"
#include "ingest/decode/number.h"

enum { TEXT = 64 };

/* How many of a number are in a second: down to 1e8 s (March 1973), and by thousands.
 */
static double per_second(double v)
{
    if (!(v >= 1e8 && v < 1e20)) return 0;
    return v < 1e11 ? 1 : v < 1e14 ? 1e3 : v < 1e17 ? 1e6 : 1e9;
}

/* Whole numbers keep all their digits; a double has no nanoseconds any more. */
static bool since_epoch(struct strview s, double v, int64_t *ms)
{
    double unit = per_second(v);
    uint64_t whole = 0;
    size_t i = 0;
    if (unit <= 0) return false;
    for (; i < s.n && i < 19 && s.p[i] >= '0' && s.p[i] <= '9'; i++)
        whole = whole * 10 + (uint64_t)(s.p[i] - '0');
    if (i == s.n && unit > 1e3)
        *ms = (int64_t)(whole / (uint64_t)(unit / 1e3));
    else
        *ms = (int64_t)floor(v * (1e3 / unit) + 1e-6); /* 1.001 s are 1001 ms */
    return true;
}

bool moment_parse(struct strview s, int64_t *ms)
{
    static const struct keys_key key = {.type = KEYS_TIME};
    char text[TEXT], why[KEYS_WHY];
    double v;
    if (number_parse(s, &v)) return since_epoch(s, v, ms);
    if (s.n == 0 || s.n > TEXT - 2 || memchr(s.p, '\0', s.n) != NULL) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    if (keys_value_read(&key, text, false, ms, why)) return true;
    text[s.n] = 'Z'; /* once more, where only the zone is missing */
    text[s.n + 1] = '\0';
    return keys_value_read(&key, text, false, ms, why);
}
