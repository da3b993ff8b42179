/* Dispersion between two cohorts: what counts as such, and what does not. */
#include "engine/replay/tune/measure.h"

#include <unistd.h>

#include "engine/core/draw.h"
#include "engine/replay/tune/stand.h"
#include "tests/support/check.h"

static const char text[] =
    "id: web\n"
    "cohorts: {canary: {version: '2'}, baseline: {version: '1'}}\n"
    "window: 1s\n"
    "metrics: [{name: errors, kind: ratio}]\n";

enum { SECONDS = 600 };

/* Rates of both cohorts in a second, in lumps of so many; and what comes of it. */
struct world {
    double canary, baseline;
    uint64_t lump;
    double common; /* so often the rate of both is four times as high */
};

static double phi_of(const struct world *w, uint64_t seed, uint64_t *windows)
{
    char path[] = "/tmp/measure-XXXXXX";
    struct arena a = {0};
    struct fault f = {0};
    struct stand s;
    struct tape *tape;
    struct draw d = draw_seeded(seed);
    struct measure_between found[PLAN_MAX_METRICS];
    FILE *file = fdopen(mkstemp(path), "w");
    for (int t = 0; t < SECONDS; t++) {
        double more = draw_uniform(&d) < w->common ? 4 : 1;
        for (int c = 0; c < 2; c++) {
            uint64_t n = c == 0 ? 300 : 900;
            uint64_t lumps = draw_binomial(&d, n / w->lump,
                                           more * (c == 0 ? w->canary : w->baseline));
            fprintf(file,
                    "{\"t_ms\":%lld,\"rollout\":\"web\",\"cohort\":\"%s\",\"metric\":"
                    "\"errors\",\"n\":%llu,\"bad\":%llu}\n",
                    1760000000000LL + 1000LL * t, c == 0 ? "canary" : "baseline",
                    (unsigned long long)n, (unsigned long long)(w->lump * lumps));
        }
    }
    fclose(file);
    cr_assert(eq(int, stand(&a, text, true, &s, &f), SERIN_OK), "%s", f.text);
    struct feed_options o = {.path = path, .plan = s.plan};
    cr_assert(eq(int, tape_read(&tape, &o, NULL, 0, &f), SERIN_OK), "%s", f.text);
    const struct tape *const tapes[] = {tape};
    cr_assert(eq(int, measure_between(tapes, 1, s.plan, 1000, false, found), SERIN_OK));
    if (windows != NULL) *windows = found[0].windows;
    tape_close(tape);
    unlink(path);
    arena_free(&a);
    return found[0].phi;
}

Test(measure, independent_requests_have_none)
{
    uint64_t windows;
    cr_assert(lt(dbl, phi_of(&(struct world){.02, .02, 1, 0}, 1, &windows), 1.25));
    cr_assert(ge(ulong, windows, SECONDS / 2));
}

Test(measure, lumps_are_found)
{
    double phi = phi_of(&(struct world){.02, .02, 4, 0}, 2, NULL);
    cr_assert(gt(dbl, phi, 3.5));
    cr_assert(lt(dbl, phi, 5.5));
}

Test(measure, what_hits_both_alike_and_what_lasts_is_no_dispersion)
{
    cr_assert(lt(dbl, phi_of(&(struct world){.02, .02, 1, .2}, 3, NULL), 1.25));
    cr_assert(lt(dbl, phi_of(&(struct world){.024, .02, 1, 0}, 4, NULL), 1.25));
}

Test(measure, luck_of_units_becomes_pods)
{
    char value[MEASURE_PODS];
    struct measure_units u = {.units = 20, .spread = 0.3};
    /* tau = .3 sqrt(1/4 + 1/16) */
    cr_assert(epsilon_eq(dbl, measure_luck(&u, 0.2), 0.3 * sqrt(0.3125), 1e-12));
    cr_assert(measure_pods(&u, 0.2, value));
    cr_assert(eq(str, value, "{canary: 4, baseline: 16, spread: 0.3}"));
    u.spread = 0.9;
    cr_assert(not(measure_pods(&u, 0.2, value)), "more luck than pods can say");
    u.units = 1;
    cr_assert(eq(dbl, measure_luck(&u, 0.2), 0));
}
