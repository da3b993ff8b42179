/* engine/replay/tune/deck.c */
#include "engine/replay/tune/deck.h"

#include "engine/replay/tune/stand.h"

enum serin_status deck_open(struct arena *a, const struct deck_options *o,
                            struct deck *out, struct fault *f)
{
    *out = (struct deck){.o = o, .by = o->by != NULL && o->by[0] != '\0'};
    out->usual = arena_alloc(a, (o->n + 1) * sizeof *out->usual);
    if (out->usual == NULL) return SERIN_ENOMEM;
    enum serin_status rc = split_units_of(o->tapes, o->n, out->by, &out->units);
    if (rc == SERIN_ELIMIT)
        return fault_set(f, rc, "more than %d pods or values of %s", SPLIT_MAX_UNITS,
                         out->by ? o->by : "a unit");
    for (size_t i = 0; rc == SERIN_OK && i < o->n; i++)
        rc = rehearse_usual(o->tapes[i], o->plan, &out->usual[i]);
    if (rc == SERIN_OK && out->by && out->units.n_strata < 2)
        rc =
            fault_set(f, SERIN_EDOM,
                      "--by %s: the recordings have %zu values of it; whole units need "
                      "two at least",
                      o->by, out->units.n_strata);
    return rc;
}

void deck_close(struct deck *d)
{
    split_units_free(&d->units);
}

enum serin_status deck_window(struct arena *a, const struct deck *d, const char *text,
                              int64_t *window_ms, struct fault *f)
{
    struct stand s = {0};
    struct rehearsed r;
    enum serin_status rc = stand(a, text, true, &s, f);
    if (rc != SERIN_OK) return rc;
    *window_ms = s.plan->window_ms;
    if (*window_ms > 0) return SERIN_OK;
    struct rehearse once = {.tape = d->o->tapes[0],
                            .usual = &d->usual[0],
                            .text = s.text,
                            .plan = s.plan,
                            .max_lag_ms = d->o->max_lag_ms,
                            .split = {.how = SPLIT_REQUESTS, .units = &d->units}};
    once.split.by = d->by;
    rc = rehearse(&once, &r, f);
    if (rc == SERIN_OK) *window_ms = r.window_ms >= 1000 ? r.window_ms : 1000;
    return rc;
}

double deck_first_share(const struct deck_options *o)
{
    if (o->share > 0) return o->share;
    return o->plan->n_steps > 0 ? (double)o->plan->steps[0].weight_bp / 10000 : 0.05;
}
