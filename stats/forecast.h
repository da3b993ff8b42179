/* stats/forecast.h -- when will the evidence suffice? For people only */
#ifndef SERIN_STATS_FORECAST_H
#define SERIN_STATS_FORECAST_H

/**
 * Growth of the promote evidence per pooled request, nats, for a healthy canary (w =
 * 1). p pooled bad rate, rho canary share, both in (0, 1); w_s tolerance > 1.   Ref:
 * [FORE]
 */
double forecast_promote(double p, double rho, double w_s);
/** The same at any pooled share p, not only a rare one; at most that. */
double forecast_promote_share(double p, double rho, double w_s);
/** Growth of the abort evidence per pooled request when the odds ratio is w > w_a. */
double forecast_abort(double p, double rho, double w, double w_a);
/**
 * Seconds until log_e reaches the threshold at `level`, growing `rate` nats a request
 * at r requests/s and tempered by eta; 0 when there, +inf when it does not grow.
 */
double forecast_seconds(double level, double log_e, double rate, double r, double eta);

#endif
