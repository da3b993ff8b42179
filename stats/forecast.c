/* stats/forecast.c -- [FORE] Kullback-Leibler rates in the rare-event limit */
#include "stats/forecast.h"

#include <math.h>

#include "stats/elem.h"
#include "stats/level.h"

double forecast_promote(double p, double rho, double w_s)
{
    return p * (elem_log1p(rho * (w_s - 1)) - rho * elem_log(w_s));
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
