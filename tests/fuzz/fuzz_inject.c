/* tests/fuzz/fuzz_inject.c -- a SPEC from anyone: refused with a column, or done to
 * cells that stay sound */
#include "engine/replay/scene/scene.h"
#include "tests/support/fuzz.h"

static const char plan_text[] =
    "id: r\n"
    "cohorts: {canary: {v: c}, baseline: {v: b}}\n"
    "calibrate: skip\n"
    "metrics:\n"
    "  - {name: errors, kind: ratio, phi: 1}\n"
    "  - {name: latency, kind: latency, phi: 1}\n"
    "  - {name: cpu, kind: gauge, from: {metric: cpu, unit_key: pod}, mode: warn}\n"
    "  - {name: crashes, kind: events, exposure: errors, phi: 1, mode: warn}\n";

enum { CELLS = 8, BUCKETS = 3 };
static const int64_t t0 = 1760000400000;

struct window {
    pb_partial p;
    pb_cell cells[CELLS], *at[CELLS];
    pb_histogram hists[2];
    uint64_t counts[2][BUCKETS];
    Serin__V1__UnitSum units[2], *unit_at[2];
};

static void second(struct window *w, int64_t at_ms)
{
    static char *const metrics[] = {"cpu", "crashes", "errors", "latency"};
    serin__v1__partial__init(&w->p);
    w->p.rollout = (char *)"r";
    w->p.cells = w->at;
    w->p.n_cells = CELLS;
    for (size_t i = 0; i < CELLS; i++) {
        pb_cell *c = w->at[i] = &w->cells[i];
        size_t cohort = i / 4;
        serin__v1__cell__init(c);
        c->cohort = cohort == 0 ? SERIN__V1__COHORT__COHORT_CANARY
                                : SERIN__V1__COHORT__COHORT_BASELINE;
        c->metric = metrics[i % 4];
        c->window_ms = at_ms;
        c->n = i % 4 == 0 ? 1 : 12;
        if (i % 4 == 2) c->bad = 3;
        if (i % 4 == 0) {
            Serin__V1__UnitSum *u = w->unit_at[cohort] = &w->units[cohort];
            serin__v1__unit_sum__init(u);
            u->unit = (char *)"pod";
            u->n = 1;
            u->sum = u->sum_sq = 1;
            c->n_units = 1;
            c->units = &w->unit_at[cohort];
        }
        if (i % 4 != 3) continue;
        pb_histogram *h = c->hist = &w->hists[cohort];
        serin__v1__histogram__init(h);
        *h = (pb_histogram){.base = h->base,
                            .scale = 5,
                            .zero_count = 2,
                            .offset = 100,
                            .n_counts = BUCKETS,
                            .counts = w->counts[cohort]};
        memcpy(w->counts[cohort], (uint64_t[]){1, 2, 7}, sizeof w->counts[cohort]);
        c->bounds_ratio = cohort == 1 ? 2.5 : 0;
    }
}

static void sound(const pb_partial *p)
{
    FUZZ_MUST(p->n_cells <= 2 * CELLS);
    for (size_t i = 0; i < p->n_cells; i++) {
        const pb_cell *c = p->cells[i];
        uint64_t sum = c->hist != NULL ? c->hist->zero_count : c->n;
        FUZZ_MUST(c->bad <= c->n);
        for (size_t k = 0; c->hist != NULL && k < c->hist->n_counts; k++)
            sum += c->hist->counts[k];
        FUZZ_MUST(sum == c->n);
        for (size_t k = 0; k < c->n_units; k++)
            FUZZ_MUST(isfinite(c->units[k]->sum) && isfinite(c->units[k]->sum_sq));
    }
}

static void done(struct scene *s)
{
    struct arena a = {0};
    static struct window w;
    if (scene_place(s, t0, t0 + INT64_C(3600000000), NULL) == SERIN_OK) {
        for (int64_t i = 0; i < 8; i += 1 + i) {
            struct change_window x = {t0 + 600000 * i * i * i * i, 1000, 0.3};
            second(&w, x.start_ms);
            FUZZ_MUST(scene_change(s, &a, &x, &w.p) == SERIN_OK);
            sound(&w.p);
        }
    }
    arena_free(&a);
}

static const struct plan *parsed(void)
{
    static struct arena a;
    static struct plan *p;
    struct doc_errors errors = {.arena = &a};
    if (p == NULL)
        FUZZ_MUST(plan_parse(&a, plan_text, strlen(plan_text), &p, &errors) ==
                  SERIN_OK);
    return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct scene *s = NULL;
    struct fault f = {0};
    char *spec = malloc(n + 1);
    FUZZ_MUST(spec != NULL);
    if (n > 0) memcpy(spec, bytes, n);
    spec[n] = '\0';
    struct scene_options o = {.plan = parsed(),
                              .inject = (const char *const *)&spec,
                              .n_inject = 1,
                              .commanded = true,
                              .seed = n};
    if (scene_open(&s, &o, &f) == SERIN_OK)
        done(s);
    else
        FUZZ_MUST(s == NULL && strstr(f.text, "column ") != NULL);
    scene_close(s);
    free(spec);
    return 0;
}
