/* stats/elem.h -- elementary functions with the same bits on every machine (see vec.h)
 */
#ifndef SERIN_STATS_ELEM_H
#define SERIN_STATS_ELEM_H

double elem_exp(double x);   /* < 1 ulp; 0 below -700, +inf above 709 */
double elem_expm1(double x); /* 3 ulp */
double elem_log(double x);   /* < 1 ulp; -inf at 0, NaN below */
double elem_log1p(double x); /* 2 ulp; -inf at -1, NaN below */

#endif
