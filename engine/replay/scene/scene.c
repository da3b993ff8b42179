/* engine/replay/scene/scene.c */
#include "engine/replay/scene/scene.h"

#include "engine/base/mem.h"
#include "engine/replay/scene/chance.h"
#include "engine/replay/scene/inject_apply.h"

struct scene {
    struct scene_options o;
    struct inject_list list;
    uint64_t met[INJECT_MAX];
    bool placed;
    struct thin thin;
    struct fault why; /* of a change that ended the replay */
    struct rates rates;
    struct shift_bounds bounds[PLAN_MAX_METRICS];
};

static enum serin_status read_all(struct scene *s, struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    if (s->o.commanded) rc = thin_check(s->o.plan, f);
    for (size_t i = 0; rc == SERIN_OK && i < s->o.n_inject; i++)
        rc = inject_parse(s->o.plan, s->o.inject[i], &s->list, f);
    for (size_t i = 0; rc == SERIN_OK && i < s->list.n; i++)
        if (s->list.items[i].what == INJECT_SAMPLE_RATIO && !s->o.commanded)
            rc = fault_set(f, SERIN_EPARSE,
                           "'%.80s', column %zu: a wrong split is seen only where the "
                           "split is that of the verdicts: add --at-weight commanded",
                           s->list.items[i].text, s->list.items[i].column);
    return rc;
}

enum serin_status scene_open(struct scene **out, const struct scene_options *o,
                             struct fault *f)
{
    struct scene *s = mem_calloc(1, sizeof *s);
    if (s == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    s->o = *o;
    s->thin = (struct thin){.plan = o->plan, .seed = o->seed};
    enum serin_status rc = read_all(s, f);
    if (rc != SERIN_OK) {
        scene_close(s);
        return rc;
    }
    *out = s;
    return SERIN_OK;
}

void scene_close(struct scene *s)
{
    if (s == NULL) return;
    thin_free(&s->thin);
    rates_free(&s->rates);
    mem_free(s);
}

enum serin_status scene_place(struct scene *s, int64_t first_ms, int64_t last_ms,
                              struct fault *f)
{
    s->placed = true;
    return inject_place(&s->list, first_ms, last_ms, f);
}

static enum serin_status place_at(struct scene *s, const pb_partial *p)
{
    int64_t first_ms = INT64_MAX;
    for (size_t i = 0; i < p->n_cells; i++)
        if (p->cells[i]->window_ms < first_ms) first_ms = p->cells[i]->window_ms;
    if (s->placed || p->n_cells == 0) return SERIN_OK;
    return scene_place(s, first_ms, INT64_MAX, &s->why);
}

/* What the injections have to know of the recording, before it is changed. */
static enum serin_status learn(struct scene *s, const struct change_window *w,
                               const pb_partial *p)
{
    if (s->list.n == 0) return SERIN_OK;
    for (size_t i = 0; i < p->n_cells; i++) {
        int m = thin_metric(s->o.plan, p->cells[i]->metric);
        if (m >= 0) shift_learn(&s->bounds[m], p->cells[i]);
    }
    return rates_learn(&s->rates, s->o.plan, w, p);
}

enum serin_status scene_change(void *ctx, struct arena *a,
                               const struct change_window *w, pb_partial *p)
{
    struct scene *s = ctx;
    enum serin_status rc = place_at(s, p);
    if (rc == SERIN_OK) rc = learn(s, w, p);
    if (rc != SERIN_OK) return rc;
    if (s->o.commanded) rc = thin_window(&s->thin, w, p);
    for (size_t i = 0; rc == SERIN_OK && i < s->list.n; i++) {
        struct inject_apply x = {.plan = s->o.plan,
                                 .rates = &s->rates,
                                 .bounds = s->bounds,
                                 .seed = s->o.seed,
                                 .purpose = CHANCE_INJECT + (uint32_t)i,
                                 .what = &s->list.items[i],
                                 .arena = a};
        rc = inject_apply(&x, p);
        s->met[i] += x.met;
    }
    return rc;
}

enum serin_status scene_end(struct scene *s, int64_t last_ms, struct fault *f)
{
    for (size_t i = 0; s->placed && i < s->list.n; i++)
        if (s->list.items[i].from_ms > last_ms)
            return fault_set(f, SERIN_EDOM,
                             "'%.80s', column %zu: begins after the recording's end, "
                             "and so did nothing",
                             s->list.items[i].text, s->list.items[i].from.column);
    return SERIN_OK;
}

const char *scene_why(const struct scene *s)
{
    return s->why.text;
}

const struct thin_report *scene_thinned(const struct scene *s)
{
    return &s->thin.report;
}

const struct inject_list *scene_injected(const struct scene *s)
{
    return &s->list;
}

uint64_t scene_met(const struct scene *s, size_t i)
{
    return s->met[i];
}
