/* stats/combine.c -- averages and sorted prefixes, all in logs */
#include "stats/combine.h"

#include <math.h>

#include "stats/level.h"
#include "stats/elem.h"
#include "stats/lse.h"

double combine_average(const double *log_e, const double *weight, size_t n)
{
    double sum = -HUGE_VAL, total = 0;
    if (n == 0) return 0;
    for (size_t k = 0; k < n; k++) {
        double a = weight == NULL ? 1 : weight[k];
        if (isnan(log_e[k])) return log_e[k];
        sum = lse_add(sum, elem_log(a) + log_e[k]);
        total += a;
    }
    return sum - elem_log(total);
}

/* Indices by ascending log e; insertion sort: n is a handful of metrics. */
static bool order(const double *log_e, size_t n, size_t *at)
{
    if (n > COMBINE_MAX) return false;
    for (size_t i = 0; i < n; i++) {
        size_t j = i;
        if (isnan(log_e[i])) return false;
        for (; j > 0 && log_e[at[j - 1]] > log_e[i]; j--)
            at[j] = at[j - 1];
        at[j] = i;
    }
    return true;
}

enum serin_status combine_closed(const double *log_e, size_t n, double *adjusted)
{
    size_t at[COMBINE_MAX];
    if (!order(log_e, n, at)) return SERIN_EDOM;
    for (size_t k = 0; k < n; k++) {
        double smaller = -HUGE_VAL, least = log_e[at[k]];
        for (size_t i = 0; i < k; i++) { /* the i + 1 smallest join k */
            smaller = lse_add(smaller, log_e[at[i]]);
            least =
                fmin(least, lse_add(log_e[at[k]], smaller) - elem_log((double)(i + 2)));
        }
        adjusted[at[k]] = least;
    }
    return SERIN_OK;
}

size_t combine_ebh_count(const double *descending, size_t n, double alpha)
{
    size_t top = 0;
    for (size_t k = 1; k <= n; k++)
        if (level_crossed(descending[k - 1], alpha * (double)k / (double)n)) top = k;
    return top;
}

enum serin_status combine_ebh(const double *log_e, size_t n, double alpha,
                              bool *rejected, size_t *count)
{
    size_t at[COMBINE_MAX];
    double descending[COMBINE_MAX] = {0};
    if (!(alpha > 0 && alpha < 1) || !order(log_e, n, at)) return SERIN_EDOM;
    for (size_t k = 0; k < n; k++)
        descending[k] = log_e[at[n - 1 - k]];
    *count = combine_ebh_count(descending, n, alpha);
    for (size_t k = 0; k < n; k++)
        rejected[at[n - 1 - k]] = k < *count;
    return SERIN_OK;
}

double combine_elond_gamma(uint64_t j)
{
    double x = (double)j;
    return 0.07720838 * elem_log(fmax(x, 2)) / (x * elem_exp(sqrt(elem_log(x))));
}

double combine_elond_threshold(double alpha, uint64_t t, uint64_t discoveries)
{
    return -elem_log(alpha * combine_elond_gamma(t) * ((double)discoveries + 1));
}
