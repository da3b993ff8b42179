/* engine/core/calibrate.c -- the length of the window is only known at the end, so the
 * dispersion is followed at every length there is to choose from */
#include "engine/core/calibrate.h"

#include "engine/core/pending.h"

const int64_t calibrate_lengths[CALIBRATE_LENGTHS] = {1000,  2000,  5000,
                                                      10000, 30000, 60000};

static void note_gap(struct calibrate *c, int64_t unit_ms, int64_t start_ms)
{
    if (c->last_ms != 0) {
        int64_t gap = (start_ms - c->last_ms) / unit_ms;
        if (gap < 0) gap = 0;
        c->gaps[gap < CALIBRATE_GAPS ? gap : CALIBRATE_GAPS - 1]++;
    }
    c->last_ms = start_ms;
}

enum serin_status calibrate_window(struct calibrate *c, int64_t fixed_ms,
                                   int64_t start_ms, uint64_t y, uint64_t m)
{
    if (y > m) return SERIN_EDOM;
    if (m != 0) note_gap(c, fixed_ms != 0 ? fixed_ms : calibrate_lengths[0], start_ms);
    if (fixed_ms != 0) return dispersion_window(&c->at[0], y, m);
    enum serin_status worst = SERIN_OK;
    int64_t end_ms = start_ms + calibrate_lengths[0];
    for (size_t i = 0; i < CALIBRATE_LENGTHS; i++) {
        c->open_y[i] += y;
        c->open_m[i] += m;
        if (pending_floor(end_ms, calibrate_lengths[i]) != end_ms) continue;
        enum serin_status s = dispersion_window(&c->at[i], c->open_y[i], c->open_m[i]);
        if (s != SERIN_OK) worst = s;
        c->open_y[i] = c->open_m[i] = 0;
    }
    return worst;
}

int64_t calibrate_interval_ms(const struct calibrate *c, int64_t fixed_ms)
{
    uint64_t all = 0, below = 0;
    for (size_t i = 0; i < CALIBRATE_GAPS; i++)
        all += c->gaps[i];
    if (all == 0) return 0;
    size_t gap = 0;
    while (gap + 1 < CALIBRATE_GAPS && 10 * (below += c->gaps[gap]) < 9 * all)
        gap++;
    return (int64_t)gap * (fixed_ms != 0 ? fixed_ms : calibrate_lengths[0]);
}

int64_t calibrate_choose_ms(int64_t interval_ms)
{
    if (interval_ms == 0) return CALIBRATE_DEFAULT_MS;
    size_t i = 0;
    while (i + 1 < CALIBRATE_LENGTHS && calibrate_lengths[i] < 2 * interval_ms)
        i++;
    return calibrate_lengths[i];
}

static size_t slot(int64_t fixed_ms, int64_t length_ms)
{
    size_t i = 0;
    while (fixed_ms == 0 && i + 1 < CALIBRATE_LENGTHS &&
           calibrate_lengths[i] < length_ms)
        i++;
    return i;
}

static const struct dispersion *ready(const struct calibrate *c, int64_t fixed_ms,
                                      int64_t length_ms, bool settle_for)
{
    size_t i = slot(fixed_ms, length_ms);
    while (!dispersion_ready(&c->at[i]) && settle_for && i > 0)
        i--;
    return dispersion_ready(&c->at[i]) ? &c->at[i] : NULL;
}

bool calibrate_phi(const struct calibrate *c, int64_t fixed_ms, int64_t length_ms,
                   bool settle_for, double *phi)
{
    const struct dispersion *d = ready(c, fixed_ms, length_ms, settle_for);
    if (d != NULL) *phi = dispersion_phi(d);
    return d != NULL;
}

struct dispersion_pool calibrate_pool(const struct calibrate *c, int64_t fixed_ms,
                                      int64_t length_ms)
{
    const struct dispersion *d = ready(c, fixed_ms, length_ms, true);
    return d != NULL ? dispersion_pool(d) : (struct dispersion_pool){1, 0};
}

uint64_t calibrate_windows(const struct calibrate *c, int64_t fixed_ms,
                           int64_t length_ms)
{
    return c->at[slot(fixed_ms, length_ms)].windows;
}
