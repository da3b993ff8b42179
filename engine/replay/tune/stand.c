/* engine/replay/tune/stand.c */
#include "engine/replay/tune/stand.h"

#include <string.h>

#include "engine/replay/replan.h"

enum serin_status stand(struct arena *a, const char *text, bool unchecked,
                        struct stand *out, struct fault *f)
{
    struct doc_errors errors = {.arena = a};
    struct plan *plan = NULL;
    const struct replan change = {.alone = true, .unchecked = unchecked};
    /* As it is written: errors then are those of its author. */
    enum serin_status rc = plan_parse(a, text, strlen(text), &plan, &errors);
    if (rc == SERIN_OK) rc = replan(a, text, strlen(text), &change, &out->text);
    if (rc == SERIN_OK)
        rc = plan_parse(a, out->text, strlen(out->text), &plan, &errors);
    out->plan = plan;
    if (rc == SERIN_OK) return rc;
    return fault_set(f, rc, "%s",
                     errors.n > 0 ? errors.items[0].text : status_text(rc));
}

double stand_alpha(const struct plan *p)
{
    return p->strategy == PLAN_EXPERIMENT ? p->experiment.level : p->alpha;
}
