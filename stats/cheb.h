/* stats/cheb.h -- from 40 nodes to every grid point by polynomial interpolation
 *
 * Internal to stats/. First-kind Chebyshev nodes of [-2, 4.6]; for a sum of k log(1 +
 * e^.) the error is at most k * 2.8e-16 whatever the data ([CHEB] in stats/README.md).
 */
#ifndef SERIN_STATS_CHEB_H
#define SERIN_STATS_CHEB_H

enum { CHEB_NODES = 40 };

/* The node with its odds ratio; ascending. Thread: any (made at the first call). */
struct cheb_nodes {
    double theta[CHEB_NODES], w[CHEB_NODES];
};
const struct cheb_nodes *cheb_nodes(void);

/** Interpolation weights of one theta in [-2, 4.6]: f(theta) = sum row[i] f(node i). */
void cheb_row(double theta, double row[CHEB_NODES]);
/** Values at theta = (i - 40) / 20, i = 0 .. 132, from the values at the nodes. */
void cheb_uniform(const double *nodes, double *out);

#endif
