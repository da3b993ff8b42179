/* ingest/decode/number.c */
#include "ingest/decode/number.h"

#include <math.h>
#include <stdlib.h>

enum {
    NUMBER_MAX = 64
}; /* characters; the longest double that anybody prints has 25 */

/* The digits of a number up to its exponent: m / 10^point; n of them. How far they go.
 */
struct digits {
    uint64_t m;
    size_t n, point;
};

static size_t digits_of(struct strview s, struct digits *d)
{
    bool fraction = false;
    size_t i = s.n != 0 && (s.p[0] == '-' || s.p[0] == '+');
    *d = (struct digits){0};
    for (; i < s.n; i++) {
        char c = s.p[i];
        if (c == '.' && !fraction) {
            fraction = true;
            continue;
        }
        if (c < '0' || c > '9') break;
        d->point += fraction;
        if (++d->n <= 18) d->m = d->m * 10 + (uint64_t)(c - '0');
    }
    return i;
}

/* Few digits and a small exponent are exact by one division; the rest goes to strtod.
 */
bool number_parse(struct strview s, double *out)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,
                                  1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
                                  1e14, 1e15, 1e16, 1e17, 1e18};
    struct digits d;
    size_t i = digits_of(s, &d);
    if (d.n == 0 || s.n > NUMBER_MAX) return false;
    if (i == s.n && d.n <= 18 && d.m <= (UINT64_C(1) << 53)) {
        *out = (double)d.m / tens[d.point];
        if (s.p[0] == '-') *out = -*out;
        return true;
    }
    if (i < s.n && s.p[i] != 'e' && s.p[i] != 'E') return false;
    char text[NUMBER_MAX + 1], *end;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    double v = strtod(text, &end);
    if (end != text + s.n) return false;
    *out = v;
    return true;
}

uint64_t number_units(double v)
{
    return v >= 0 && v <= 0x1p53 && v == floor(v) ? (uint64_t)v : UINT64_MAX;
}
