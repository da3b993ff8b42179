/* tests/property/stage/prop_restart.c -- the real fold, thrown away and restored from
 * its own snapshots at random moments, says the same verdicts byte for byte */
#include "engine/core/fold.h"
#include "engine/stage/restore.h"
#include "proto/encode.h"
#include "tests/support/check.h"

enum { SECONDS = 90, ROLLOUTS = 5, RECORDS = 4000, ROWS = 64, VERDICTS = 400 };
static const int64_t t0 = 1760000000000;

struct blob {
    uint8_t *p;
    size_t n;
};

static struct blob inbox[RECORDS];
static size_t n_inbox;

struct row {
    char key[64];
    struct blob value;
};

/* What a broker would keep: committed rows and verdicts. */
struct kept {
    struct row rows[ROWS];
    size_t n_rows, n;
    struct blob verdicts[VERDICTS];
};

static struct blob copy_of(const void *p, size_t n)
{
    struct blob b = {malloc(n + 1), n};
    memcpy(b.p, p, n);
    return b;
}

static void push(pb_inbox *box)
{
    struct arena a = {0};
    struct bytes out;
    box->schema = SERIN_SCHEMA;
    cr_assert(eq(int, encode_inbox(&a, box, &out), SERIN_OK));
    cr_assert(n_inbox < RECORDS);
    inbox[n_inbox++] = copy_of(out.p, out.n);
    arena_free(&a);
}

static void push_command(const char *rollout, Serin__V1__Verb verb, char *plan,
                         int64_t t)
{
    char id[64], empty[] = "", actor[] = "test", name[64];
    static unsigned number;
    snprintf(id, sizeof id, "c%u", number++);
    snprintf(name, sizeof name, "%s", rollout);
    pb_command c = SERIN__V1__COMMAND__INIT;
    pb_inbox box = SERIN__V1__INBOX__INIT;
    c.id = id;
    c.rollout = name;
    c.verb = verb;
    c.actor = actor;
    c.reason = empty;
    c.plan = plan != NULL ? plan : empty;
    c.t_ms = t;
    box.body_case = SERIN__V1__INBOX__BODY_COMMAND;
    box.command = &c;
    push(&box);
}

static void push_partial(unsigned i, int64_t window, uint64_t bad)
{
    char name[64], metric[] = "errors", empty[] = "", eu[] = "eu", worker[] = "w";
    snprintf(name, sizeof name, "r%u", i);
    pb_cell c[2] = {SERIN__V1__CELL__INIT, SERIN__V1__CELL__INIT};
    pb_cell *cells[2] = {&c[0], &c[1]};
    for (int k = 0; k < 2; k++) {
        c[k].cohort = k == 0 ? SERIN__V1__COHORT__COHORT_CANARY
                             : SERIN__V1__COHORT__COHORT_BASELINE;
        c[k].stratum = i % 2 == 0 ? empty : eu;
        c[k].metric = metric;
        c[k].window_ms = window;
        c[k].n = k == 0 ? 500 : 5000;
        c[k].bad = k == 0 ? bad : 100;
    }
    pb_partial p = SERIN__V1__PARTIAL__INIT;
    pb_inbox box = SERIN__V1__INBOX__INIT;
    p.rollout = name;
    p.worker = worker;
    p.cells = cells;
    p.n_cells = 2;
    p.samples = 5500;
    box.body_case = SERIN__V1__INBOX__BODY_PARTIAL;
    box.partial = &p;
    push(&box);
}

static void push_tick(int64_t wall, int64_t watermark)
{
    char worker[] = "w", stage[] = "@stage/1", topic[] = "metrics";
    pb_source s = SERIN__V1__SOURCE__INIT;
    pb_source *sources[] = {&s};
    pb_tick t = SERIN__V1__TICK__INIT;
    pb_inbox box = SERIN__V1__INBOX__INIT;
    s.topic = topic;
    s.known = true;
    s.watermark_ms = watermark;
    t.worker = watermark > 0 ? worker : stage;
    t.wall_ms = wall;
    t.sources = sources;
    t.n_sources = watermark > 0;
    box.body_case = SERIN__V1__INBOX__BODY_TICK;
    box.tick = &t;
    push(&box);
}

static void apply_plans(void)
{
    for (unsigned i = 0; i < ROLLOUTS; i++) {
        char name[8], plan[1024];
        snprintf(name, sizeof name, "r%u", i);
        snprintf(plan, sizeof plan,
                 "apiVersion: serin/v1\nkind: Rollout\nid: r%u\n"
                 "cohorts: {canary: {v: c}, baseline: {v: b}}\n%s"
                 "sample_ratio: {check: %s}\n"
                 "steps:\n"
                 "  - {weight: 10%%, worse_than: 4, bake: 6s, warmup: 1s}\n"
                 "  - {weight: 50%%, worse_than: 3, bake: 6s, warmup: 1s}\n"
                 "  - {weight: 100%%, watch: 9s, warmup: 1s}\n"
                 "metrics: [{name: errors, kind: ratio%s}]\n",
                 i, i == 1 ? "calibrate: 20s\n" : "calibrate: skip\nwindow: 1s\n",
                 i == 4 ? "true" : "false", i == 1 ? "" : ", phi: 1.1");
        push_command(name, SERIN__V1__VERB__VERB_APPLY, plan, t0);
    }
}

/* r0 good, r1 good and calibrated, r2 harmful later, r3 silent at times, r4 off its
 * split */
static void make_inbox(void)
{
    gsl_rng *g = check_rng(4711);
    n_inbox = 0;
    push_tick(t0, 0);
    apply_plans();
    for (int s = 0; s < SECONDS; s++) {
        int64_t t = t0 + 1000 * s;
        for (unsigned i = 0; i < ROLLOUTS; i++) {
            unsigned mean = i == 2 && s > 12 ? 45 : 10;
            if (i == 3 && s % 40 > 8) continue;
            push_partial(i, t, gsl_ran_poisson(g, mean));
            if (gsl_rng_uniform(g) < 0.1) push_partial(i, t - 4000, 3); /* late */
        }
        if (s == 7) push_command("r0", SERIN__V1__VERB__VERB_HOLD, NULL, t);
        if (s == 15) push_command("r0", SERIN__V1__VERB__VERB_RESUME, NULL, t);
        if (s == 30) push_command("r4", SERIN__V1__VERB__VERB_RESUME, NULL, t);
        push_tick(t + 1000, t - 1000);
        push_tick(t + 1010, 0);
    }
    gsl_rng_free(g);
}

static void keep(struct kept *k, const struct effects *fx)
{
    for (size_t i = 0; i < fx->n; i++) {
        const struct effect *e = &fx->items[i];
        if (e->kind == EFFECT_VERDICT) {
            cr_assert(k->n < VERDICTS);
            k->verdicts[k->n++] = copy_of(e->value.p, e->value.n);
        } else if (e->kind == EFFECT_SNAPSHOT) {
            size_t at = 0;
            while (at < k->n_rows && strcmp(k->rows[at].key, e->key) != 0)
                at++;
            cr_assert(at < ROWS);
            if (at == k->n_rows) k->n_rows++;
            free(k->rows[at].value.p);
            snprintf(k->rows[at].key, sizeof k->rows[at].key, "%s", e->key);
            k->rows[at].value = copy_of(e->value.p, e->value.n);
        }
    }
}

static void kept_free(struct kept *k)
{
    for (size_t i = 0; i < k->n; i++)
        free(k->verdicts[i].p);
    for (size_t i = 0; i < k->n_rows; i++)
        free(k->rows[i].value.p);
    memset(k, 0, sizeof *k);
}

static struct fold *restore(const struct kept *k, int64_t *start)
{
    struct fold *f;
    struct fault why = {0};
    struct fold_options o = {.snapshot_every_ms = 5000};
    cr_assert(eq(int, fold_open(&f, &o), SERIN_OK));
    for (size_t i = 0; i < k->n_rows; i++)
        cr_assert(eq(int,
                     fold_restore(f, k->rows[i].key, k->rows[i].value.p,
                                  k->rows[i].value.n, &why),
                     SERIN_OK),
                  "%s", why.text);
    fold_set_epoch(f, fold_epoch(f) + 1);
    *start = fold_start_offset(f);
    if (*start < 0) *start = 0;
    return f;
}

/* Offsets leave holes, as transaction markers do. */
static int64_t offset_of(size_t i)
{
    return (int64_t)(i + i / 3);
}

/* Fold all of the inbox; every record dies with probability p, before its effects are
 * committed or after them. */
static unsigned live(struct kept *k, double p, unsigned long seed)
{
    unsigned deaths = 0;
    gsl_rng *g = check_rng(seed);
    struct effects fx = {0};
    int64_t start;
    struct fold *f = restore(k, &start);
    for (size_t i = 0; i < n_inbox; i++) {
        if (offset_of(i) < start) continue;
        enum serin_status rc = fold_apply(f, offset_of(i), inbox[i].p, inbox[i].n, &fx);
        cr_assert(eq(int, rc, SERIN_OK));
        bool die = gsl_rng_uniform(g) < p, lost = gsl_rng_uniform(g) < 0.5;
        if (fx.verdicts > 0 || i % 17 == 0 || i + 1 == n_inbox) {
            if (!die || !lost) {
                keep(k, &fx);
                effects_reset(&fx);
            }
        }
        if (!die) continue;
        deaths++;
        fold_close(f);
        effects_reset(&fx);
        f = restore(k, &start);
        i = (size_t)-1; /* from the start again; what is before `start` is passed over
                         */
    }
    fold_close(f);
    effects_free(&fx);
    gsl_rng_free(g);
    return deaths;
}

static void same(const struct kept *a, const struct kept *b, unsigned long seed)
{
    cr_assert(eq(sz, a->n, b->n), "seed %lu", seed);
    for (size_t i = 0; i < a->n; i++) {
        cr_assert(eq(sz, a->verdicts[i].n, b->verdicts[i].n), "seed %lu, verdict %zu",
                  seed, i);
        cr_assert(memcmp(a->verdicts[i].p, b->verdicts[i].p, a->verdicts[i].n) == 0,
                  "seed %lu, verdict %zu has other bytes", seed, i);
    }
}

Test(restart, any_number_of_deaths_changes_no_byte, .timeout = 300)
{
    static struct kept once, often;
    unsigned deaths = 0;
    make_inbox();
    cr_assert(eq(uint, live(&once, 0, 1), 0));
    cr_assert(ge(sz, once.n, 15), "a story without verdicts must not pass");
    for (unsigned long seed = 1; seed <= 40; seed++) {
        deaths += live(&often, seed % 2 == 0 ? 0.02 : 0.004, seed);
        same(&once, &often, seed);
        kept_free(&often);
    }
    cr_assert(ge(uint, deaths, 100));
    kept_free(&once);
}
