/* engine/cli/show.c */
#include "engine/cli/show.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/cli/output.h"
#include "engine/cli/remote.h"

static void cohort_text(char *out, size_t room, const json_t *c)
{
    if (json_object_get(c, "p50") != NULL)
        snprintf(out, room, "%.3g/%.3g/%.3g ms", output_real(c, "p50"),
                 output_real(c, "p90"), output_real(c, "p99"));
    else if (output_int(c, "n") == 0)
        snprintf(out, room, "nothing seen");
    else if (json_object_get(c, "mean") != NULL)
        snprintf(out, room, "mean %.4g", output_real(c, "mean"));
    else
        snprintf(out, room, "%" PRId64 "/%" PRId64 " (%.3g %%)", output_int(c, "bad"),
                 output_int(c, "n"), 100 * output_real(c, "rate"));
}

static void number(char out[32], double x)
{
    if (isnan(x))
        snprintf(out, 32, "-");
    else
        snprintf(out, 32, "%.4g", x);
}

static void side(struct output_table *t, const json_t *o, const char *more)
{
    char log_e[32], threshold[32];
    number(log_e, output_real(o, "log_e"));
    number(threshold, output_real(o, "threshold"));
    output_cell(t, "%s of %s%s", log_e, threshold, more);
}

/* Evidence to abort and to promote; of an experiment's metric for either answer. */
static void sides(struct output_table *t, const json_t *m)
{
    const json_t *q = json_object_get(m, "question");
    char more[32], less[32], threshold[32];
    if (!json_is_object(q)) {
        bool flagged = json_is_true(json_object_get(m, "flagged"));
        side(t, json_object_get(m, "abort"), flagged ? ", worse" : "");
        side(t, json_object_get(m, "promote"), "");
        return;
    }
    number(more, output_real(q, "more_log_e"));
    number(less, output_real(q, "less_log_e"));
    number(threshold, output_real(q, "threshold"));
    output_cell(t, "-");
    output_cell(t, "more: %s, less: %s of %s", more, less, threshold);
}

static void metrics(const json_t *list)
{
    static const char *const heads[] = {"METRIC", "CANARY",  "BASELINE",   "RATIO",
                                        "ABORT",  "PROMOTE", "WORSE THAN", "PHI"};
    size_t i;
    json_t *m;
    if (json_array_size(list) == 0) return;
    struct output_table *t = output_table_open(sizeof heads / sizeof *heads, heads);
    json_array_foreach(list, i, m)
    {
        char canary[96], baseline[96], estimate[32], lower[32], upper[32], worse[32],
            phi[32];
        const json_t *promote = json_object_get(m, "promote");
        cohort_text(canary, sizeof canary, json_object_get(m, "canary"));
        cohort_text(baseline, sizeof baseline, json_object_get(m, "baseline"));
        number(estimate, output_real(m, "estimate"));
        number(lower, output_real(m, "lower"));
        number(upper, output_real(m, "upper"));
        number(worse, output_real(promote, "worse_than"));
        number(phi, output_real(m, "dispersion"));
        bool noted = json_object_get(m, "note") != NULL;
        output_cell(t, "%s%s%s%s", output_text(m, "name"), noted ? " (" : "",
                    noted ? output_text(m, "note") : "", noted ? ")" : "");
        output_cell(t, "%s", canary);
        output_cell(t, "%s", baseline);
        output_cell(t, "%s (%s to %s)", estimate, lower, upper);
        sides(t, m);
        output_cell(t, "%s", worse);
        output_cell(t, "%s", phi);
    }
    output_table_close(t);
}

static void onsets(const json_t *list)
{
    size_t i;
    json_t *m;
    json_array_foreach(list, i, m)
    {
        int64_t s = output_int(m, "onset_ms") / 1000;
        if (!json_is_integer(json_object_get(m, "onset_ms"))) continue;
        output_clean(stdout, output_text(m, "name"));
        printf(": if it is worse, then probably since %02" PRId64 ":%02" PRId64
               ":%02" PRId64 " UTC\n",
               s / 3600 % 24, s / 60 % 60, s % 60);
    }
}

static void vote(const json_t *v)
{
    fputs(strcmp(output_text(v, "vote"), "deny") == 0 ? "  denied by "
                                                      : "  approved by ",
          stdout);
    output_clean(stdout, output_text(v, "actor"));
    if (*output_text(v, "reason") != '\0') fputs(": ", stdout);
    output_clean(stdout, output_text(v, "reason"));
    putchar('\n');
}

static void gates(const json_t *list)
{
    size_t i, k;
    json_t *gate, *item;
    json_array_foreach(list, i, gate)
    {
        fputs("gate ", stdout);
        output_clean(stdout, output_text(gate, "name"));
        printf(": %s, %zu of %" PRId64, output_text(gate, "state"),
               json_array_size(json_object_get(gate, "approved_by")),
               output_int(gate, "quorum"));
        json_array_foreach(json_object_get(gate, "approvers"), k, item)
        {
            fputs(k == 0 ? " of " : ", ", stdout);
            output_clean(stdout, json_string_value(item));
        }
        if (*output_text(gate, "reason") != '\0') fputs("; ", stdout);
        output_clean(stdout, output_text(gate, "reason"));
        putchar('\n');
        json_array_foreach(json_object_get(gate, "votes"), k, item) vote(item);
    }
}

static void said(const json_t *status, const char *code, const char *sentence)
{
    if (*output_text(status, code) == '\0') return;
    printf("%s: ", output_text(status, code));
    output_clean(stdout, output_text(status, sentence));
    putchar('\n');
}

/* Who has the canary beside the weight. */
static void exposure(const json_t *status)
{
    const char *kind = output_text(status, "step_kind");
    const json_t *audience = json_object_get(status, "audience");
    char share[32];
    size_t i;
    json_t *segment;
    if (*kind != '\0' && strcmp(kind, "weight") != 0) printf("step: %s", kind);
    if (output_int(status, "mirror_bp") != 0)
        printf(" of %s of the requests",
               output_weight(share, output_real(status, "mirror_bp")));
    if (*kind != '\0' && strcmp(kind, "weight") != 0) putchar('\n');
    json_array_foreach(audience, i, segment)
    {
        fputs(i == 0 ? "audience: " : ", ", stdout);
        output_clean(stdout, json_string_value(segment));
    }
    if (i != 0) putchar('\n');
}

/* What to do now comes first. */
static void rollback(FILE *out, const json_t *status)
{
    const char *plan = output_text(status, "rollback_plan");
    if (*plan == '\0' || strcmp(output_text(status, "state"), "ABORTED") != 0) return;
    fputs("Rollback plan: ", out);
    output_clean(out, plan);
    fputc('\n', out);
}

static void checks(const json_t *list)
{
    size_t i;
    json_t *check;
    json_array_foreach(list, i, check)
    {
        fputs("check ", stdout);
        output_clean(stdout, output_text(check, "name"));
        printf(": %s", output_text(check, "state"));
        if (*output_text(check, "message") != '\0') fputs(": ", stdout);
        output_clean(stdout, output_text(check, "message"));
        putchar('\n');
    }
}

static void waits(const json_t *list)
{
    size_t i;
    json_t *w;
    json_array_foreach(list, i, w)
    {
        fputs("waits until ", stdout);
        output_clean(stdout, output_text(w, "rollout"));
        printf(" is %s; it is %s\n", output_text(w, "until"),
               *output_text(w, "state") != '\0' ? output_text(w, "state")
                                                : "not known yet");
    }
}

void show_line(FILE *out, const json_t *status)
{
    char weight[32];
    rollback(out, status);
    output_clean(out, output_text(status, "rollout"));
    fprintf(out, ": %s, step %" PRId64 " of %" PRId64 ", %s",
            output_text(status, "state"), output_int(status, "step"),
            output_int(status, "steps"),
            output_weight(weight, output_real(status, "weight_bp")));
    const char *why = output_text(status, "message");
    if (*why == '\0') why = output_text(status, "reason");
    if (*why != '\0') fputs(": ", out);
    output_clean(out, why);
    fputc('\n', out);
}

void show_status(const json_t *status)
{
    char weight[32], observed[32], ago[32], eta[32];
    const char *state = output_text(status, "state");
    int64_t since = output_int(status, "since_ms");
    size_t i;
    json_t *warning;
    rollback(stdout, status);
    output_clean(stdout, output_text(status, "rollout"));
    printf("  %s%s%s  step %" PRId64 " of %" PRId64 "  weight %s (observed %s)",
           output_colour(state), state, output_plain(), output_int(status, "step"),
           output_int(status, "steps"),
           output_weight(weight, output_real(status, "weight_bp")),
           output_weight(observed, output_real(status, "observed_bp")));
    if (since > 0) printf("  for %s", output_duration(ago, clock_wall_ms() - since));
    if (json_is_integer(json_object_get(status, "eta_ms")))
        printf("  about %s to go", output_duration(eta, output_int(status, "eta_ms")));
    putchar('\n');
    exposure(status);
    said(status, "reason", "message");
    said(status, "aftermath", "aftermath_message");
    metrics(json_object_get(status, "metrics"));
    onsets(json_object_get(status, "metrics"));
    gates(json_object_get(status, "gates"));
    checks(json_object_get(status, "checks"));
    waits(json_object_get(status, "waits"));
    json_array_foreach(json_object_get(status, "warnings"), i, warning)
    {
        fputs("warning: ", stdout);
        output_clean(stdout, json_string_value(warning));
        putchar('\n');
    }
}

int show_code(const json_t *status)
{
    const char *state = output_text(status, "state");
    if (strcmp(state, "PROMOTED") == 0) return CLI_OK;
    if (strcmp(state, "CONCLUDED") == 0)
        return strcmp(output_text(status, "result"), "win") == 0    ? CLI_OK
               : strcmp(output_text(status, "result"), "lose") == 0 ? CLI_ABORTED
                                                                    : CLI_NO_DIFFERENCE;
    if (strcmp(state, "ABORTED") == 0 || strcmp(state, "CANCELLED") == 0)
        return CLI_ABORTED;
    return strcmp(state, "HELD") == 0 ? CLI_HELD : -1;
}

int show_get(const struct cli_verb *v, char *path, const char *list,
             void (*print)(const json_t *))
{
    enum output_format format;
    json_t *j = NULL;
    int code = output_format(v, &format);
    if (code == CLI_OK) code = remote_get(path, &j);
    free(path);
    if (code != CLI_OK) return code;
    if (format != OUTPUT_TABLE) return output_json(format, j, list);
    print(j);
    json_decref(j);
    return CLI_OK;
}
