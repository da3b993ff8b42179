/* stats/grid.c -- uniform points plus every boundary, which must be a grid point: a
 * tolerance rounded to the grid doubles the rate of false promotions. */
#include "stats/grid.h"

#include <math.h>

#include "stats/elem.h"
#include "stats/lse.h"

static const double grid_near = 1e-9;    /* closer than this is the same point */
static const double grid_w_a_max = 50.0; /* leaves points above the boundary */
static const double grid_w_s_max = 90.0;

/* Abort prior: two bumps in delta = theta - theta_a. */
static const double pi_peak = 0.3, pi_broad = 1.2, pi_share = 0.5;
/* Promote prior: Laplace around "no difference". */
static const double q_scale = 0.25;

double grid_abort_bump(double delta)
{
    double a = (delta - M_LN2) / pi_peak, b = delta / pi_broad;
    return pi_share / pi_peak * elem_exp(-a * a / 2) +
           1 / pi_broad * elem_exp(-b * b / 2);
}

void grid_abort_prior(const struct grid *g, size_t i, double *out)
{
    double z = 0;
    for (size_t j = 0; j < GRID_MAX; j++) {
        double u = j > i && j < g->n
                       ? g->width[j] * grid_abort_bump(g->theta[j] - g->theta[i])
                       : 0;
        out[j] = u;
        z += u;
    }
    for (size_t j = 0; j < GRID_MAX; j++)
        out[j] = elem_log(out[j] / z); /* -inf: no mass */
}

static void insert(struct grid *g, double theta)
{
    size_t j = g->n++;
    for (; j > 0 && g->theta[j - 1] > theta; j--)
        g->theta[j] = g->theta[j - 1];
    g->theta[j] = theta;
}

static size_t find(const struct grid *g, double theta)
{
    size_t j = 0;
    while (j + 1 < g->n && g->theta[j] < theta)
        j++;
    return j;
}

static bool is_point(const struct grid *g, double theta)
{
    return g->n > 0 && g->theta[find(g, theta)] == theta;
}

static bool near_boundary(const struct grid *g, size_t boundaries, double theta)
{
    for (size_t j = 0; j < boundaries; j++)
        if (fabs(g->theta[j] - theta) < grid_near) return true;
    return false;
}

static bool domain_ok(double w_a, const double *w_s, size_t n_s)
{
    if (!(w_a >= 1 && w_a <= grid_w_a_max) || n_s > GRID_MAX_STEPS) return false;
    if (w_a > 1 && elem_log(w_a) < grid_near)
        return false; /* would displace theta = 0 */
    for (size_t s = 0; s < n_s; s++)
        if (!(w_s[s] > w_a && w_s[s] <= grid_w_s_max && elem_log(w_s[s]) >= grid_near))
            return false;
    return true;
}

static void fill_up(struct grid *g, const struct grid *edges)
{
    for (size_t j = 0; j < edges->n; j++)
        insert(g, edges->theta[j]);
    for (int i = 0; i < GRID_UNIFORM; i++) {
        double theta = (i - 40) / 20.0;
        if (!near_boundary(edges, edges->n, theta)) insert(g, theta);
    }
}

static void place_points(struct grid *g, double w_a, const double *w_s, size_t n_s)
{
    struct grid edges = {0};
    insert(&edges, w_a == 1 ? 0.0 : elem_log(w_a));
    for (size_t s = 0; s < n_s; s++)
        if (!is_point(&edges, elem_log(w_s[s]))) insert(&edges, elem_log(w_s[s]));
    fill_up(g, &edges);
    g->j0 = find(g, 0.0);
    g->ja = find(g, w_a == 1 ? 0.0 : elem_log(w_a));
    g->n_s = n_s;
    for (size_t s = 0; s < n_s; s++)
        g->js[s] = find(g, elem_log(w_s[s]));
}

/* Where each point's value comes from when the profile is interpolated. */
static void link_points(struct grid *g)
{
    short rows = 0;
    for (size_t j = 0; j < g->n; j++) {
        int i = (int)lrint(g->theta[j] * 20) + 40;
        if (g->theta[j] == (i - 40) / 20.0) {
            g->uniform[j] = (short)i;
        } else {
            g->uniform[j] = (short)(-1 - rows);
            cheb_row(g->theta[j], g->row[rows++]);
        }
    }
}

static void measure_cells(struct grid *g)
{
    size_t n = g->n;
    g->width[0] = g->theta[1] - g->theta[0];
    g->width[n - 1] = g->theta[n - 1] - g->theta[n - 2];
    for (size_t j = 1; j + 1 < n; j++)
        g->width[j] = (g->theta[j + 1] - g->theta[j - 1]) / 2;
    for (size_t j = n; j < GRID_MAX; j++)
        g->theta[j] = g->theta[n - 1];
    for (size_t j = 0; j < GRID_MAX; j++)
        g->w[j] = elem_exp(g->theta[j]);
}

static void weigh(struct grid *g)
{
    measure_cells(g);
    link_points(g);
    grid_abort_prior(g, g->ja, g->log_pi);
    for (size_t j = 0; j < GRID_MAX; j++)
        g->log_u[j] =
            j < g->n ? elem_log(g->width[j]) - fabs(g->theta[j]) / q_scale : -HUGE_VAL;
    for (size_t s = 0; s < g->n_s; s++)
        g->log_uz[s] = lse_sum(g->log_u, g->js[s]);
}

enum serin_status grid_init(struct grid *g, double w_a, const double *w_s, size_t n_s)
{
    if (!domain_ok(w_a, w_s, n_s)) return SERIN_EDOM;
    *g = (struct grid){0};
    place_points(g, w_a, w_s, n_s);
    weigh(g);
    return SERIN_OK;
}

enum serin_status grid_init_around(struct grid *g, double margin)
{
    const double uniform_gap = 0.05;
    struct grid edges = {0};
    if (!(margin >= GRID_MARGIN_MIN && margin <= 1)) return SERIN_EDOM;
    *g = (struct grid){0};
    double m = elem_log1p(margin);
    insert(&edges, 0.0);
    for (double theta = m / 2; theta < uniform_gap || theta <= m;
         theta *= theta < m ? 2 : M_SQRT2) {
        insert(&edges, theta);
        insert(&edges, -theta);
    }
    fill_up(g, &edges);
    g->j0 = g->ja = find(g, 0.0);
    g->n_s = 1;
    g->js[0] = find(g, m);
    g->jm = find(g, -m);
    weigh(g);
    return SERIN_OK;
}
