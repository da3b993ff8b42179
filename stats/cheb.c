/* stats/cheb.c -- [CHEB] the uniform points lie symmetric about the middle of the
 * nodes, so half the matrix does: the even and the odd part of f are interpolated
 * apart. */
#include "stats/cheb.h"

#include <threads.h>

#include "stats/elem.h"
#include "stats/vec.h"

enum {
    HALF = CHEB_NODES / 2,
    SIDE = 66,  /* uniform points on either side of the middle */
    WIDTH = 72, /* SIDE + 1, rounded up to whole vectors, two at a time */
    SPAN = 8
};
static const long double cheb_middle = 1.3L, cheb_radius = 3.3L;

static struct {
    struct cheb_nodes nodes;
    double even[HALF][WIDTH], odd[HALF][WIDTH];
} cheb;
static once_flag cheb_once = ONCE_FLAG_INIT;

/* Offset of node i from the middle. long double: no processor-dependent variants, and
 * rounding to double then hides the library's last bit. */
static long double offset(int i)
{
    return -cheb_radius * cosl((2 * i + 1) * M_PIl / (2 * CHEB_NODES));
}

/* Barycentric weights of the point at offset u from the middle; u is never a node. */
static void weights(long double u, long double row[CHEB_NODES])
{
    long double total = 0;
    for (int i = 0; i < CHEB_NODES; i++) {
        long double sign = i % 2 == 0 ? 1 : -1;
        row[i] = sign * sinl((2 * i + 1) * M_PIl / (2 * CHEB_NODES)) / (u - offset(i));
        total += row[i];
    }
    for (int i = 0; i < CHEB_NODES; i++)
        row[i] /= total;
}

static void build(void)
{
    for (int i = 0; i < CHEB_NODES; i++) {
        cheb.nodes.theta[i] = (double)(cheb_middle + offset(i));
        cheb.nodes.w[i] = elem_exp(cheb.nodes.theta[i]);
    }
    for (int p = 0; p <= SIDE; p++) {
        long double row[CHEB_NODES];
        weights(p / 20.0L, row);
        for (int i = 0; i < HALF; i++) {
            cheb.even[i][p] = (double)((row[CHEB_NODES - 1 - i] + row[i]) / 2);
            cheb.odd[i][p] = (double)((row[CHEB_NODES - 1 - i] - row[i]) / 2);
        }
    }
}

const struct cheb_nodes *cheb_nodes(void)
{
    call_once(&cheb_once, build);
    return &cheb.nodes;
}

void cheb_row(double theta, double row[CHEB_NODES])
{
    long double exact[CHEB_NODES];
    weights((long double)theta - cheb_middle, exact);
    for (int i = 0; i < CHEB_NODES; i++)
        row[i] = (double)exact[i];
}

VEC_CLONES static void combine(const double *plus, const double *minus, double *right,
                               double *left)
{
    for (int p = 0; p < WIDTH; p += SPAN) {
        vec a0 = vec_of(0), a1 = a0, b0 = a0, b1 = a0;
        for (int i = 0; i < HALF; i++) {
            a0 += plus[i] * vec_load(&cheb.even[i][p]);
            a1 += plus[i] * vec_load(&cheb.even[i][p + VEC]);
            b0 += minus[i] * vec_load(&cheb.odd[i][p]);
            b1 += minus[i] * vec_load(&cheb.odd[i][p + VEC]);
        }
        vec_store(right + p, a0 + b0);
        vec_store(right + p + VEC, a1 + b1);
        vec_store(left + p, a0 - b0);
        vec_store(left + p + VEC, a1 - b1);
    }
}

void cheb_uniform(const double *nodes, double *out)
{
    double plus[HALF], minus[HALF], right[WIDTH], left[WIDTH];
    call_once(&cheb_once, build);
    for (int i = 0; i < HALF; i++) {
        plus[i] = nodes[CHEB_NODES - 1 - i] + nodes[i];
        minus[i] = nodes[CHEB_NODES - 1 - i] - nodes[i];
    }
    combine(plus, minus, right, left);
    for (int p = 0; p <= SIDE; p++) {
        out[SIDE + p] = right[p];
        out[SIDE - p] = left[p];
    }
}
