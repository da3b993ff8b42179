/* stats/forecast.c -- [FORE] Kullback-Leibler rates in the rare-event limit */
#include "stats/forecast.h"

#include <math.h>

#include "stats/elem.h"
#include "stats/level.h"

double forecast_promote(double p, double rho, double w_s)
{
    return p * (elem_log1p(rho * (w_s - 1)) - rho * elem_log(w_s));
}

/* Bad ones in the canary, per pooled request, at odds ratio w: the root x of
 * x (1 - rho - p + x) = w (rho - x) (p - x). */
static double bad_share(double p, double rho, double w)
{
    double b = 1 - (rho + p) * (1 - w), c = w * rho * p;
    return 2 * c / (b + sqrt(b * b + 4 * (1 - w) * c));
}

/* log P(theta)/P(0) is the integral of the mean; Simpson's rule. */
double forecast_promote_share(double p, double rho, double w_s)
{
    enum { PIECES = 16 }; /* even */
    double h = elem_log(w_s) / PIECES, sum = 0;
    for (int i = 0; i <= PIECES; i++) {
        double weight = i == 0 || i == PIECES ? 1 : i % 2 == 1 ? 4 : 2;
        sum += weight * (bad_share(p, rho, elem_exp(i * h)) - rho * p);
    }
    return sum * h / 3;
}

double forecast_abort(double p, double rho, double w, double w_a)
{
    double grown = rho * w + 1 - rho;
    double ratio = elem_log1p(rho * (w - w_a) / (rho * w_a + 1 - rho));
    return p * (rho * w * elem_log(w / w_a) - grown * ratio);
}

double forecast_seconds(double level, double log_e, double rate, double r, double eta)
{
    double missing = level_threshold(level) - log_e, speed = eta * rate * r;
    if (missing <= 0) return 0;
    if (!(speed > 0)) return HUGE_VAL;
    return missing / speed;
}
