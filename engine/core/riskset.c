/* engine/core/riskset.c */
#include "engine/core/riskset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"

static uint64_t user_of(uint64_t x)
{
    return x & ~(uint64_t)RISKSET_FLAGS;
}

static bool kept(uint64_t user, uint32_t thin)
{
    return thin == 0 || (thin < 64 && user >> (64 - thin) == 0);
}

bool riskset_sane(const uint64_t *users, size_t n, uint32_t thin)
{
    for (size_t i = 0; i < n; i++) {
        if (!kept(users[i], thin) || (users[i] & ~(uint64_t)RISKSET_BAD) == 0 ||
            (users[i] & RISKSET_FLAGS) > RISKSET_BAD)
            return false;
        if (i > 0 && user_of(users[i]) <= user_of(users[i - 1])) return false;
    }
    return true;
}

void riskset_drop(struct riskset_users *u)
{
    mem_free(u->at);
    *u = (struct riskset_users){0};
}

void riskset_keep(struct riskset_users *u, uint32_t thin)
{
    while (u->n > 0 && !kept(u->at[u->n - 1], thin)) /* rising: they are at the end */
        u->n--;
}

enum serin_status riskset_join(struct riskset_users *to, const uint64_t *users,
                               size_t n, uint32_t thin)
{
    while (n > 0 && !kept(users[n - 1], thin))
        n--;
    if (n == 0) return SERIN_OK;
    size_t room = to->n + n, k = 0, i = 0, j = 0;
    if (room > UINT32_MAX) return SERIN_ENOMEM;
    uint64_t *at = mem_calloc(room, sizeof *at);
    if (at == NULL) return SERIN_ENOMEM;
    while (i < to->n || j < n) {
        uint64_t a = i < to->n ? user_of(to->at[i]) : UINT64_MAX,
                 b = j < n ? user_of(users[j]) : UINT64_MAX;
        at[k] = a <= b ? to->at[i++] : users[j++];
        if (a == b) at[k] |= users[j++] & RISKSET_FLAGS;
        k++;
    }
    mem_free(to->at);
    *to = (struct riskset_users){at, (uint32_t)k, (uint32_t)room};
    return SERIN_OK;
}

bool riskset_followed(const struct riskset *r, uint64_t user)
{
    return kept(user, r->thin);
}

static void forget_batches(struct riskset *r)
{
    r->batch_ms = 0;
    riskset_drop(&r->young);
    riskset_drop(&r->old);
}

void riskset_free(struct riskset *r)
{
    riskset_drop(&r->failed);
    riskset_drop(&r->seen);
    forget_batches(r);
}

enum flags { NONE, SOME, ANY };

static bool list_sane(const struct riskset_users *u, uint32_t thin, uint32_t most,
                      enum flags flags)
{
    if (thin > 64 || u->n > most) return false;
    for (uint32_t i = 0; i < u->n; i++) {
        bool some = (u->at[i] & RISKSET_FLAGS) != 0;
        if (!kept(u->at[i], thin) || (flags != ANY && some != (flags == SOME)))
            return false;
        if (i > 0 && user_of(u->at[i]) <= user_of(u->at[i - 1])) return false;
    }
    return true;
}

enum serin_status riskset_restore(struct riskset *r, const struct riskset *k)
{
    if (!list_sane(&k->failed, 0, RISKSET_FAILED, NONE) || k->thin > 64 ||
        !list_sane(&k->seen, k->seen_thin, RISKSET_SEEN, SOME) ||
        !list_sane(&k->young, k->seen_thin, RISKSET_SEEN, ANY) ||
        !list_sane(&k->old, k->seen_thin, RISKSET_SEEN, ANY))
        return SERIN_EPARSE;
    r->thin = k->thin;
    r->seen_thin = k->seen_thin;
    r->batch_ms = k->batch_ms;
    r->away = k->away;
    enum serin_status rc = riskset_join(&r->failed, k->failed.at, k->failed.n, 0);
    if (rc == SERIN_OK) rc = riskset_join(&r->seen, k->seen.at, k->seen.n, 0);
    if (rc == SERIN_OK) rc = riskset_join(&r->young, k->young.at, k->young.n, 0);
    return rc == SERIN_OK ? riskset_join(&r->old, k->old.at, k->old.n, 0) : rc;
}

void riskset_wait(struct riskset *r)
{
    riskset_drop(&r->seen);
    r->seen_thin = 0;
    forget_batches(r);
}

uint64_t riskset_crossed(const struct riskset *r, uint64_t *of)
{
    uint64_t crossed = 0;
    for (uint32_t i = 0; i < r->seen.n; i++)
        crossed += (r->seen.at[i] & RISKSET_FLAGS) == RISKSET_FLAGS;
    *of = r->seen.n;
    return crossed;
}

double riskset_share(const struct riskset *r)
{
    return ldexp(1, -(int)r->thin);
}

/* ---- a window */
struct sighting {
    uint64_t user; /* with RISKSET_BAD */
    uint32_t stratum, cohort;
};

static int by_user(const void *a, const void *b)
{
    const struct sighting *x = a, *y = b;
    uint64_t u = user_of(x->user), v = user_of(y->user);
    if (u != v) return u < v ? -1 : 1;
    return (x->stratum > y->stratum) - (x->stratum < y->stratum);
}

/* Everybody in the window by user; NULL: no memory. */
static struct sighting *gather(const struct riskset *r,
                               const struct riskset_stratum *strata, size_t n,
                               size_t *out)
{
    size_t all = 0, k = 0;
    for (size_t i = 0; i < 2 * n; i++) {
        const struct riskset_users *u = strata[i / 2].cohort[i % 2];
        all += u != NULL ? u->n : 0;
    }
    struct sighting *s = mem_calloc(all + 1, sizeof *s);
    for (size_t i = 0; s != NULL && i < 2 * n; i++) {
        const struct riskset_users *u = strata[i / 2].cohort[i % 2];
        for (uint32_t j = 0; u != NULL && j < u->n && kept(u->at[j], r->thin); j++)
            s[k++] = (struct sighting){u->at[j], (uint32_t)(i / 2), (uint32_t)(i % 2)};
    }
    if (k > 1) qsort(s, k, sizeof *s, by_user);
    *out = k;
    return s;
}

/* Walks a rising list beside rising users: the entry of this user, flags 0 if none. */
static uint64_t beside(const struct riskset_users *list, uint32_t *at, uint64_t user,
                       bool *there)
{
    while (*at < list->n && user_of(list->at[*at]) < user)
        ++*at;
    *there = *at < list->n && user_of(list->at[*at]) == user;
    return *there ? list->at[*at] & RISKSET_FLAGS : 0;
}

/* ---- who comes again */
static bool drawn(uint64_t user, double share)
{
    const uint64_t seed = 0x61676169; /* not what thinning goes by */
    return (double)(hash_bytes(&user, sizeof user, seed) >> 11) * 0x1p-53 < share;
}

void riskset_turn(struct riskset *r, int64_t start_ms, double share)
{
    struct count_table *t = &r->stayed_away;
    uint32_t seen_at = 0;
    bool there;
    *t = (struct count_table){0};
    if (r->batch_ms != 0 && start_ms - r->batch_ms < RISKSET_BATCH_MS) return;
    for (uint32_t i = 0; i < r->old.n; i++) {
        uint64_t user = user_of(r->old.at[i]);
        bool canary = (r->old.at[i] & RISKSET_CANARY) != 0;
        bool away = (r->old.at[i] & RISKSET_AGAIN) == 0;
        /* Who was moved to the other cohort belongs to none. */
        if (beside(&r->seen, &seen_at, user, &there) == RISKSET_FLAGS) continue;
        away = away || (!canary && drawn(user, share));
        *(canary ? &t->n : &t->m) += 1;
        *(canary ? &t->x : &t->y) += away;
    }
    riskset_drop(&r->old);
    r->old = r->young;
    r->young = (struct riskset_users){0};
    r->batch_ms = start_ms;
}

/* ---- users of a window, one after the other */
struct walk {
    struct riskset *r;
    const struct riskset_stratum *strata;
    bool judged;
    uint32_t failed_at, seen_at, young_at, old_at;
    /* To be joined when the window is through. */
    uint64_t *fresh_failed, *fresh_seen, *fresh_young;
    size_t n_failed, n_seen, n_young;
};

static void mark_again(const struct riskset_users *list, uint32_t *at, uint64_t user)
{
    bool there;
    (void)beside(list, at, user, &there);
    if (there) list->at[*at] |= RISKSET_AGAIN;
}

static void watch_user(struct walk *w, uint64_t user, uint64_t cohorts, bool known)
{
    w->fresh_seen[w->n_seen++] = user | cohorts;
    if (known) {
        mark_again(&w->r->young, &w->young_at, user);
        mark_again(&w->r->old, &w->old_at, user);
        return;
    }
    if (cohorts == RISKSET_FLAGS) return;
    bool canary = cohorts == RISKSET_CANARY;
    w->r->fresh[canary ? 0 : 1]++;
    w->fresh_young[w->n_young++] = user | (canary ? RISKSET_CANARY : 0);
}

/* All sightings of one user in the window. */
static void take_user(struct walk *w, const struct sighting *s, size_t n)
{
    uint64_t user = user_of(s->user), cohorts = 0, bad = 0;
    bool failed, known;
    for (size_t i = 0; i < n; i++) {
        cohorts |= s[i].cohort == 0 ? RISKSET_CANARY : RISKSET_BASELINE;
        bad |= s[i].user & RISKSET_BAD;
    }
    (void)beside(&w->r->failed, &w->failed_at, user, &failed);
    uint64_t before = beside(&w->r->seen, &w->seen_at, user, &known);
    if (w->judged && kept(user, w->r->seen_thin)) watch_user(w, user, cohorts, known);
    if (bad != 0 && !failed) w->fresh_failed[w->n_failed++] = user;
    if (w->judged) cohorts |= before;
    if (failed || cohorts == RISKSET_FLAGS) return;
    struct count_table *t = w->strata[s->stratum].table;
    *(s->cohort == 0 ? &t->n : &t->m) += 1;
    *(s->cohort == 0 ? &t->x : &t->y) += bad;
}

static enum serin_status remember(struct walk *w)
{
    struct riskset *r = w->r;
    enum serin_status rc =
        riskset_join(&r->failed, w->fresh_failed, w->n_failed, r->thin);
    if (rc == SERIN_OK)
        rc = riskset_join(&r->seen, w->fresh_seen, w->n_seen, r->seen_thin);
    if (rc == SERIN_OK)
        rc = riskset_join(&r->young, w->fresh_young, w->n_young, r->seen_thin);
    while (r->failed.n > RISKSET_FAILED)
        riskset_keep(&r->failed, ++r->thin);
    while (r->seen.n > RISKSET_SEEN)
        riskset_keep(&r->seen, ++r->seen_thin);
    riskset_keep(&r->young, r->seen_thin);
    riskset_keep(&r->old, r->seen_thin);
    return rc;
}

enum serin_status riskset_window(struct riskset *r,
                                 const struct riskset_stratum *strata, size_t n,
                                 bool judged)
{
    struct walk w = {.r = r, .strata = strata, .judged = judged};
    size_t all = 0;
    riskset_keep(&r->failed, r->thin);
    r->fresh[0] = r->fresh[1] = 0;
    for (size_t i = 0; i < n; i++)
        *strata[i].table = (struct count_table){0};
    struct sighting *s = gather(r, strata, n, &all);
    w.fresh_failed = mem_calloc(all + 1, sizeof *w.fresh_failed);
    w.fresh_seen = mem_calloc(all + 1, sizeof *w.fresh_seen);
    w.fresh_young = mem_calloc(all + 1, sizeof *w.fresh_young);
    enum serin_status rc = SERIN_ENOMEM;
    if (s != NULL && w.fresh_failed != NULL && w.fresh_seen != NULL &&
        w.fresh_young != NULL) {
        for (size_t i = 0, j; i < all; i = j) {
            for (j = i + 1; j < all && user_of(s[j].user) == user_of(s[i].user);)
                j++;
            take_user(&w, s + i, j - i);
        }
        rc = remember(&w);
    }
    mem_free(s);
    mem_free(w.fresh_failed);
    mem_free(w.fresh_seen);
    mem_free(w.fresh_young);
    return rc;
}
