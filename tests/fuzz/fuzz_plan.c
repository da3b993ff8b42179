/* tests/fuzz/fuzz_plan.c -- a plan from anyone: refused with places, or sound */
#include <math.h>

#include "engine/core/plan.h"
#include "tests/support/fuzz.h"

static void require(bool ok)
{
    if (!ok) abort();
}

static void refused(const struct doc_errors *e, const char *text, size_t n)
{
    require(e->total > 0 && e->n > 0 && e->n <= e->total);
    for (size_t i = 0; i < e->n; i++) {
        require(e->items[i].line > 0 && e->items[i].line <= n + 1);
        require(e->items[i].column > 0 && e->items[i].column <= n + 1);
        require(e->items[i].text[0] != '\0');
    }
    const char *all = doc_errors_format(e, "f", text, n);
    require(strncmp(all, "f:", 2) == 0);
}

/* Of the steps that compare; NAN: an experiment has none. */
static double last_tolerance(const struct plan *p)
{
    double last = (double)NAN;
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].worse_than > 1) last = p->steps[i].worse_than;
    return last;
}

static void steps(const struct plan *p)
{
    double before = INFINITY;
    if (p->strategy == PLAN_EXPERIMENT) {
        require(p->n_steps == 1 && p->steps[0].weight_bp < 10000);
        return;
    }
    require(p->n_steps >= 2 && p->n_steps <= PLAN_MAX_STEPS);
    require(p->steps[p->n_steps - 1].weight_bp == 10000);
    for (size_t i = 0; i < p->n_steps; i++) {
        const struct plan_step *s = &p->steps[i];
        require(i == 0 || s->weight_bp >= s[-1].weight_bp);
        require(i + 1 == p->n_steps || s->weight_bp < 10000);
        require(!(s->worse_than > before));
        if (s->worse_than > 1) before = s->worse_than;
    }
    require(before <= 50);
}

static void sound(struct arena *a, const struct plan *p)
{
    pb_route *r;
    require(*p->id != '\0' && p->n_cohort[0] > 0 && p->n_cohort[1] > 0);
    require(p->alpha > 0 && p->alpha < 1 && p->beta > 0 && p->beta < 1);
    steps(p);
    for (size_t i = 0; i < p->n_metrics; i++) {
        const struct plan_metric *m = &p->metrics[i];
        require(*m->name != '\0' && m->share > 0);
        if (m->kind != PLAN_RATIO) continue;
        require(m->phi == 0 ? p->calibrate_ms > 0 : m->phi >= 1);
        if (m->mode == PLAN_GATE) require(!(m->abort_over >= last_tolerance(p)));
    }
    for (size_t i = 0; i < p->n_gates; i++)
        require(p->gates[i].quorum > 0 &&
                p->gates[i].quorum <= p->gates[i].n_approvers);
    require(plan_route(a, p, &r) == SERIN_OK);
    require(serin__v1__route__get_packed_size(r) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena a = {0};
    struct doc_errors errors = {0};
    struct plan *p = NULL;
    enum serin_status rc = plan_parse(&a, (const char *)bytes, n, &p, &errors);
    require((rc == SERIN_OK) == (p != NULL));
    if (rc == SERIN_OK)
        sound(&a, p);
    else if (rc == SERIN_EPARSE)
        refused(&errors, (const char *)bytes, n);
    else
        require(rc == SERIN_ENOMEM);
    arena_free(&a);
    return 0;
}
