/* Recordings with what is known of them: bursts and pods, and what selftest says. */
#include "engine/replay/tune/selftest.h"

#include <unistd.h>

#include "engine/core/draw.h"
#include "engine/replay/tune/stand.h"
#include "tests/support/check.h"

static const char text[] =
    "id: web\n"
    "cohorts: {canary: {version: '2'}, baseline: {version: '1'}}\n"
    "window: 1s\n"
    "calibrate: skip\n"
    "risk: {false_abort: 5%}\n"
    "steps: [{weight: 10%, worse_than: 3, bake: 20s, warmup: 0s},\n"
    "        {weight: 100%, watch: 5s}]\n"
    "metrics: [{name: errors, kind: ratio, phi: 1, abort_over: 1}]\n";

enum { SECONDS = 240, RUNS = 200 };

struct world {
    char path[32];
    FILE *file;
    struct draw d;
};

static void world_open(struct world *w, uint64_t seed)
{
    *w = (struct world){.path = "/tmp/selftest-XXXXXX", .d = draw_seeded(seed)};
    int fd = mkstemp(w->path);
    cr_assert(ge(int, fd, 0));
    w->file = fdopen(fd, "w");
}

static void line(struct world *w, int s, const char *stratum, uint64_t n, uint64_t bad)
{
    fprintf(w->file,
            "{\"t_ms\":%lld,\"rollout\":\"web\",\"cohort\":\"baseline\",\"stratum\":"
            "\"%s\",\"metric\":\"errors\",\"n\":%llu,\"bad\":%llu}\n",
            1760000000000LL + 1000LL * s, stratum, (unsigned long long)n,
            (unsigned long long)bad);
}

/* Errors that come `lump` at a time, at 2 % in the mean. */
static void bursts(struct world *w, uint64_t seed, uint64_t lump)
{
    world_open(w, seed);
    for (int s = 0; s < SECONDS; s++)
        line(w, s, "", 800, lump * draw_binomial(&w->d, 800 / lump, 0.02));
    fclose(w->file);
}

/* Ten pods whose rates differ; the same requests for all. */
static void pods(struct world *w, uint64_t seed)
{
    static const double level[] = {.5, .7, .8, .9, 1, 1, 1.1, 1.2, 1.3, 1.5};
    char name[16];
    world_open(w, seed);
    for (int s = 0; s < SECONDS; s++)
        for (int i = 0; i < 10; i++) {
            snprintf(name, sizeof name, "pod-%d", i);
            line(w, s, name, 400, draw_binomial(&w->d, 400, 0.02 * level[i]));
        }
    fclose(w->file);
}

static void run(const struct world *w, const char *by, double share, unsigned threads,
                struct arena *a, struct selftest *out)
{
    struct fault f = {0};
    struct stand s;
    struct tape *tape;
    cr_assert(eq(int, stand(a, text, true, &s, &f), SERIN_OK), "%s", f.text);
    struct feed_options from = {.path = w->path, .plan = s.plan};
    cr_assert(eq(int, tape_read(&tape, &from, by, 0, &f), SERIN_OK), "%s", f.text);
    const struct tape *const tapes[] = {tape};
    struct selftest_options o = {.sources = &from,
                                 .on = {.text = text,
                                        .plan = s.plan,
                                        .tapes = tapes,
                                        .n = 1,
                                        .by = by,
                                        .share = share,
                                        .runs = RUNS,
                                        .seed = 11,
                                        .threads = threads}};
    enum serin_status rc = selftest_run(a, &o, out, &f);
    cr_assert(eq(int, rc, SERIN_OK), "%s", f.text);
    tape_close(tape);
}

Test(selftest, bursts_are_found_and_phi_holds)
{
    struct world w;
    struct arena a = {0};
    struct selftest s, again;
    bursts(&w, 1, 4);
    run(&w, "", 0, 1, &a, &s);
    cr_assert(eq(sz, s.n_cases, 2));
    cr_assert(not(s.cases[0].rate.over), "single requests cannot show it");
    const struct selftest_case *c = &s.cases[1];
    cr_assert(c->rate.over, "%u of %u", c->rate.aborted, c->rate.runs);
    cr_assert(eq(int, c->holds, 0));
    cr_assert(eq(str, (char *)c->remedies[0].name, "phi"));
    cr_assert(eq(str, c->remedies[0].edits[0].path, "metrics[errors].phi"));
    cr_assert(gt(dbl, strtod(c->remedies[0].edits[0].value, NULL), 3));
    cr_assert(le(uint, c->remedies[0].rate.aborted, 22)); /* P(more | 5 %) < 1e-4 */
    run(&w, "", 0, 3, &a, &again);
    for (size_t i = 0; i < 2; i++) {
        cr_assert(eq(uint, s.cases[i].rate.aborted, again.cases[i].rate.aborted));
        cr_assert(eq(uint, s.cases[i].rate.promoted, again.cases[i].rate.promoted));
    }
    unlink(w.path);
    arena_free(&a);
}

Test(selftest, independent_requests_hold_in_every_way)
{
    struct world w;
    struct arena a = {0};
    struct selftest s;
    bursts(&w, 2, 1);
    run(&w, "", 0, 0, &a, &s);
    for (size_t i = 0; i < s.n_cases; i++) {
        cr_assert(le(uint, s.cases[i].rate.aborted, 22), "case %zu", i);
        cr_assert(eq(sz, s.cases[i].n_remedies, 0));
        cr_assert(gt(uint, s.cases[i].rate.promoted, RUNS / 2));
    }
    unlink(w.path);
    arena_free(&a);
}

Test(selftest, pods_are_found_and_their_number_holds)
{
    struct world w;
    struct arena a = {0};
    struct selftest s;
    pods(&w, 3);
    run(&w, "pod", 0.2, 0, &a, &s);
    cr_assert(eq(sz, s.n_cases, 3));
    cr_assert(not(s.cases[0].rate.over));
    const struct selftest_case *c = &s.cases[2];
    cr_assert(eq(int, c->how, SPLIT_UNITS));
    cr_assert(c->rate.over, "%u of %u", c->rate.aborted, c->rate.runs);
    cr_assert(ge(int, c->holds, 0));
    cr_assert(eq(str, (char *)c->remedies[c->holds].name, "pods"));
    cr_assert(eq(sz, s.measured.units[0].units, 10));
    /* The levels' own standard deviation of the logs is .33. */
    cr_assert(gt(dbl, s.measured.units[0].spread, 0.2));
    cr_assert(lt(dbl, s.measured.units[0].spread, 0.45));
    unlink(w.path);
    arena_free(&a);
}
