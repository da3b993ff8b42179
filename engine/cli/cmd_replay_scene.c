/* engine/cli/cmd_replay_scene.c */
#include "engine/cli/cmd_replay_scene.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_replay_scene_commanded(const struct cli_verb *v, bool *out)
{
    const char *how = cli_get("at-weight");
    *out = how != NULL && strcmp(how, "commanded") == 0;
    if (how != NULL && !*out && strcmp(how, "as-recorded") != 0)
        return cli_usage(v, "--at-weight %s: expected as-recorded or commanded", how);
    return CLI_OK;
}

static int seed(const struct cli_verb *v, uint64_t *out)
{
    const char *text = cli_get("seed");
    *out = 1;
    if (text == NULL) return CLI_OK;
    size_t n = strlen(text);
    if (n == 0 || n > 19 || strspn(text, "0123456789") != n)
        return cli_usage(v, "--seed %s: expected a whole number, such as 1", text);
    *out = strtoull(text, NULL, 10);
    return CLI_OK;
}

/* The stretch that is judged, of what a look at the file has found. */
static void stretch(const struct feed_range *r, struct feed_report *look)
{
    int64_t zero = r->after_start ? look->first_ms : 0;
    if (r->since && zero + r->from_ms > look->first_ms)
        look->first_ms = zero + r->from_ms;
    if (r->until && zero + r->to_ms - 1 < look->last_ms)
        look->last_ms = zero + r->to_ms - 1;
}

/* A pipe cannot be read twice: its start is found on the way. */
static int place(struct scene *s, const struct feed_options *o)
{
    struct feed_report look;
    struct feed_options once = *o;
    struct fault f = {0};
    once.change = NULL;
    once.progress = NULL;
    once.go_on = NULL;
    if (scene_injected(s)->n == 0 || strcmp(o->path, "-") == 0) return CLI_OK;
    /* What is damaged or empty is told of when it is judged. */
    if (feed_run(&once, NULL, &look, &f) != SERIN_OK || look.first_ms == INT64_MIN)
        return CLI_OK;
    stretch(&o->range, &look);
    if (scene_place(s, look.first_ms, look.last_ms, &f) != SERIN_OK)
        return cli_fail(CLI_USAGE, "--inject %s", f.text);
    return CLI_OK;
}

int cmd_replay_scene_open(const struct cli_verb *v, struct feed_options *o,
                          bool commanded, struct scene **out)
{
    const char *specs[INJECT_MAX];
    struct fault f = {0};
    struct scene_options so = {
        .plan = o->plan, .inject = specs, .commanded = commanded};
    so.n_inject = cli_get_all("inject", specs, INJECT_MAX);
    *out = NULL;
    int code = seed(v, &so.seed);
    if (code != CLI_OK || (so.n_inject == 0 && !commanded)) return code;
    if (scene_open(out, &so, &f) != SERIN_OK)
        return cli_usage(
            v, "%s %s",
            f.text[0] == '\'' ? "--inject" : "--at-weight commanded:", f.text);
    o->change = scene_change;
    o->change_ctx = *out;
    return place(*out, o);
}

const char *cmd_replay_scene_why(const struct scene *s, const char *other)
{
    return s != NULL && scene_why(s)[0] != '\0' ? scene_why(s) : other;
}

int cmd_replay_scene_end(struct scene *s, const struct feed_report *r)
{
    struct fault f = {0};
    if (s == NULL || r->stopped || scene_end(s, r->last_ms, &f) == SERIN_OK)
        return CLI_OK;
    return cli_fail(CLI_USAGE, "--inject %s", f.text);
}

static void tell_thinned(const struct thin_report *n)
{
    fputs("serin: at the commanded weight: ", stderr);
    if (n->recorded > 0)
        fprintf(stderr,
                "%.3g %% of the recorded requests were used, at the least %.3g %% of a "
                "window (where the canary gets %.4g %%); the others were left out at "
                "random\n",
                100 * (double)n->used / (double)n->recorded, 100 * n->least,
                100 * n->least_at);
    else
        fputs("no window in which both cohorts were to have requests\n", stderr);
    if (n->one_sided > 0)
        fprintf(stderr,
                "serin: %" PRIu64 " of %" PRIu64 " windows had requests of one cohort "
                "only and were taken as they are\n",
                n->one_sided, n->windows);
    fputs("serin: not simulated: load that comes with the weight, caches, users who "
          "stay where they are (but those of per: user), bursts that stay whole, and "
          "wrong splits, which are evened out; what is counted by pod is as recorded; "
          "at 0 % the canary's, at 100 % the baseline's records are left out\n",
          stderr);
}

void cmd_replay_scene_tell(const struct scene *s, bool commanded)
{
    if (s == NULL) return;
    if (commanded) tell_thinned(scene_thinned(s));
    const struct inject_list *l = scene_injected(s);
    for (size_t i = 0; i < l->n; i++) {
        const char *text = l->items[i].text + l->items[i].column - 1;
        fprintf(stderr,
                "serin: injected %.*s: %" PRIu64
                " requests, readings or events changed\n",
                (int)strcspn(text, ";"), text, scene_met(s, i));
    }
}
