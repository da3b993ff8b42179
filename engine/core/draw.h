/* engine/core/draw.h -- random counts from a seed; for looking ahead, never for a
 * verdict */
#ifndef SERIN_ENGINE_CORE_DRAW_H
#define SERIN_ENGINE_CORE_DRAW_H

#include <stdint.h>

/* Value type; the same seed gives the same numbers on every machine. */
struct draw {
    uint64_t state;
};

struct draw draw_seeded(uint64_t seed);
/** Uniform in (0, 1). */
double draw_uniform(struct draw *d);
/** Normal: mean 0, variance 1. */
double draw_normal(struct draw *d);
/** Bad ones of n independent units, each with probability p in [0, 1]. */
uint64_t draw_binomial(struct draw *d, uint64_t n, double p);
/** Events when `mean` >= 0 are expected (Poisson), in lumps of phi >= 1. */
uint64_t draw_events(struct draw *d, double mean, double phi);
/**
 * Bad ones of n units that come in lumps of phi: mean n p, variance phi times that of
 * draw_binomial. phi >= 1; at most n.
 */
uint64_t draw_lumps(struct draw *d, uint64_t n, double p, double phi);

#endif
