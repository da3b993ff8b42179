/* engine/core/unitsum.h -- readings of a gauge by unit (pod), summed up */
#ifndef SERIN_ENGINE_CORE_UNITSUM_H
#define SERIN_ENGINE_CORE_UNITSUM_H

#include <stdint.h>

enum { UNITSUM_MAX = 256 }; /* units of a cohort; the rest joins the last one */

struct unitsum {
    uint64_t id; /* hash of the unit's name */
    uint64_t n;  /* readings, > 0 */
    double sum;
};

/* Units of both cohorts in one stratum; the lists are someone else's. */
struct unitsum_view {
    const struct unitsum *at[2];
    uint32_t n[2];
};

/** Add to the unit of this id. at has room for one more than *n, or UNITSUM_MAX. */
void unitsum_add(struct unitsum *at, uint32_t *n, const struct unitsum *one);

#endif
