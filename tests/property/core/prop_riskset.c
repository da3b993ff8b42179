/* tests/property/core/prop_riskset.c -- the sorted lists against a table of all users
 * with everything they ever did, window by window */
#include "engine/core/riskset.h"
#include "tests/support/check.h"

enum { USERS = 600, WINDOWS = 60, STRATA = 3 };

struct life { /* of one user */
    uint64_t key;
    bool failed;
    unsigned cohorts; /* since the last wait */
};

struct world {
    struct life all[USERS];
    bool active[USERS][STRATA][2], bad[USERS][STRATA][2];
};

static int rising(const void *a, const void *b)
{
    const struct life *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static void populate(gsl_rng *g, struct world *w)
{
    for (int i = 0; i < USERS; i++)
        w->all[i] = (struct life){.key = (gsl_rng_get(g) << 32 ^ gsl_rng_get(g)) << 2 |
                                         UINT64_C(1) << 40};
    qsort(w->all, USERS, sizeof *w->all, rising);
}

/* Who does what in this window; a few change their cohort, a few are in both. */
static void play(gsl_rng *g, struct world *w)
{
    memset(w->active, 0, sizeof w->active);
    memset(w->bad, 0, sizeof w->bad);
    for (int i = 0; i < USERS; i++) {
        int own = gsl_rng_uniform_int(g, 40) == 0 ? !(i % 2) : i % 2;
        for (int k = 0; k < 2; k++) {
            if (gsl_rng_uniform_int(g, 3) != 0) continue;
            int s = (int)gsl_rng_uniform_int(g, STRATA);
            int c = gsl_rng_uniform_int(g, 60) == 0 ? !own : own;
            w->active[i][s][c] = true;
            w->bad[i][s][c] = gsl_rng_uniform_int(g, 20) == 0;
        }
    }
}

static void expect(struct world *w, bool judged, struct count_table t[STRATA],
                   uint64_t fresh[2])
{
    for (int i = 0; i < USERS; i++) {
        struct life *l = &w->all[i];
        unsigned now = 0;
        int first = -1, cohort = 0;
        bool bad = false;
        for (int s = 0; s < STRATA; s++)
            for (int c = 0; c < 2; c++) {
                if (!w->active[i][s][c]) continue;
                if (first < 0) first = s, cohort = c;
                now |= 1u << c;
                bad |= w->bad[i][s][c];
            }
        if (first < 0) continue;
        bool was = l->failed;
        if (judged && l->cohorts == 0 && now != 3) fresh[cohort]++;
        unsigned ever = judged ? (l->cohorts |= now) : now;
        l->failed |= bad;
        if (ever == 3 || was) continue;
        *(cohort == 0 ? &t[first].n : &t[first].m) += 1;
        *(cohort == 0 ? &t[first].x : &t[first].y) += bad;
    }
}

/* The window as cells bring it: each list in two parts that overlap. */
static void deliver(gsl_rng *g, const struct world *w, int s, int c,
                    struct riskset_users *out)
{
    static uint64_t part[2][USERS];
    size_t n[2] = {0, 0};
    for (int i = 0; i < USERS; i++) {
        if (!w->active[i][s][c]) continue;
        unsigned in = 1 + (unsigned)gsl_rng_uniform_int(g, 3);
        for (int p = 0; p < 2; p++) /* the error is seen in one of them */
            if ((in & 1u << p) != 0)
                part[p][n[p]++] =
                    w->all[i].key | (w->bad[i][s][c] && (p == 0 || in == 2));
    }
    for (int p = 0; p < 2; p++) {
        cr_assert(riskset_sane(part[p], n[p], 0));
        cr_assert(eq(int, riskset_join(out, part[p], n[p], 0), SERIN_OK));
    }
}

Test(prop_riskset, windows_are_those_of_a_table_of_all_lives)
{
    static struct world w;
    gsl_rng *g = check_rng(77);
    struct riskset r = {0};
    uint64_t bad = 0, crossed = 0, of;
    populate(g, &w);
    for (int t = 0; t < WINDOWS; t++) {
        struct riskset_users lists[STRATA][2] = {{{0}}};
        struct riskset_stratum in[STRATA];
        struct count_table got[STRATA], want[STRATA] = {{0}};
        uint64_t fresh[2] = {0, 0};
        bool judged = t % 20 >= 5;
        if (t % 20 == 0) {
            riskset_wait(&r);
            for (int i = 0; i < USERS; i++)
                w.all[i].cohorts = 0;
        }
        play(g, &w);
        for (int s = 0; s < STRATA; s++) {
            in[s].table = &got[s];
            for (int c = 0; c < 2; c++) {
                deliver(g, &w, s, c, &lists[s][c]);
                in[s].cohort[c] = &lists[s][c];
            }
        }
        expect(&w, judged, want, fresh);
        cr_assert(eq(int, riskset_window(&r, in, STRATA, judged), SERIN_OK));
        for (int s = 0; s < STRATA; s++) {
            cr_assert(eq(u64, got[s].n, want[s].n), "window %d", t);
            cr_assert(eq(u64, got[s].x, want[s].x));
            cr_assert(eq(u64, got[s].m, want[s].m));
            cr_assert(eq(u64, got[s].y, want[s].y));
            bad += got[s].x + got[s].y;
            riskset_drop(&lists[s][0]);
            riskset_drop(&lists[s][1]);
        }
        cr_assert(eq(u64, r.fresh[0], fresh[0]));
        cr_assert(eq(u64, r.fresh[1], fresh[1]));
    }
    for (int i = 0; i < USERS; i++)
        crossed += w.all[i].cohorts == 3;
    cr_assert(eq(u64, riskset_crossed(&r, &of), crossed));
    cr_assert(gt(u64, bad, 100));
    cr_assert(le(u64, bad, USERS), "nobody fails twice");
    cr_assert(eq(u32, r.thin, 0));
    riskset_free(&r);
    gsl_rng_free(g);
}

/* One cohort of n users with all of them failing. */
static uint64_t all_fail(gsl_rng *g, struct riskset *r, unsigned n)
{
    struct riskset_users u = {0};
    struct count_table t;
    for (unsigned i = 0; i < n; i++) {
        uint64_t key = (gsl_rng_get(g) << 32 ^ gsl_rng_get(g)) << 2 | 1;
        if ((key & ~3ULL) != 0)
            cr_assert(eq(int, riskset_join(&u, &key, 1, r->thin), SERIN_OK));
    }
    struct riskset_stratum in = {{&u, NULL}, &t};
    cr_assert(eq(int, riskset_window(r, &in, 1, true), SERIN_OK));
    cr_assert(eq(u64, t.n, t.x));
    riskset_drop(&u);
    return t.n;
}

Test(prop_riskset, memory_is_bounded_by_following_fewer)
{
    gsl_rng *g = check_rng(78);
    struct riskset r = {0};
    uint64_t followed = 0;
    for (int i = 0; i < 50; i++)
        followed += all_fail(g, &r, 1000);
    cr_assert(le(u32, r.failed.n, RISKSET_FAILED));
    cr_assert(le(u32, r.seen.n, RISKSET_SEEN));
    cr_assert(gt(u32, r.failed.n, RISKSET_FAILED / 3));
    cr_assert(eq(u32, r.thin, 3), "50 000 / 2^3 < 8192");
    cr_assert(lt(u64, followed, 40000));
    riskset_free(&r);
    gsl_rng_free(g);
}
