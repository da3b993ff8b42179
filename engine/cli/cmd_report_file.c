/* engine/cli/cmd_report_file.c -- every window of a recording into a report */
#include <stdio.h>
#include <string.h>

#include "engine/cli/cmd_report.h"
#include "engine/cli/file.h"
#include "engine/replay/feed.h"
#include "engine/replay/source/lines.h"
#include "engine/replay/replan.h"
#include "engine/replay/replay.h"
#include "engine/serve/view.h"
#include "engine/serve/why.h"
#include "proto/decode.h"

enum { OTHERS = 8, LOOKS = 2000 }; /* LOOKS: about as many moments as curves can use */

/* Who listens to the fold. */
struct told {
    struct report *report;
    char rollout[129]; /* the one that is reported; "": the first one seen */
    bool picked;       /* by --rollout */
    bool seen, planned;
    char others[OTHERS][129];
    size_t n_others;
    struct arena arena;
};

static int failed(enum serin_status rc, const struct fault *f)
{
    if (f->text[0] == '\0') return cli_fail(CLI_UNREACHABLE, "%s", status_text(rc));
    return cli_fail(rc == SERIN_ENOMEM ? CLI_UNREACHABLE : CLI_USAGE, "%s", f->text);
}

static bool mine(struct told *t, const char *rollout)
{
    if (t->rollout[0] == '\0') snprintf(t->rollout, sizeof t->rollout, "%s", rollout);
    if (strcmp(rollout, t->rollout) == 0) return true;
    for (size_t i = 0; i < t->n_others; i++)
        if (strcmp(t->others[i], rollout) == 0) return false;
    if (t->n_others < OTHERS)
        snprintf(t->others[t->n_others++], sizeof t->others[0], "%s", rollout);
    return false;
}

/* Passes j (taken; NULL: no memory) on. */
static enum serin_status pass(struct told *t, json_t *j,
                              enum serin_status (*to)(struct report *, const json_t *))
{
    enum serin_status rc = j != NULL ? to(t->report, j) : SERIN_ENOMEM;
    json_decref(j);
    return rc;
}

static enum serin_status add_verdict(struct report *r, const json_t *v)
{
    return report_verdict(r, v, false);
}

static enum serin_status verdict(void *ctx, const pb_verdict *v, struct bytes bytes)
{
    struct told *t = ctx;
    (void)bytes;
    if (!mine(t, v->rollout)) return SERIN_OK;
    enum serin_status rc = pass(t, view_verdict(v), add_verdict);
    return rc == SERIN_OK ? pass(t, why_verdict(v), report_explain) : rc;
}

/* Until the last verdict the page says what is missing, then why it fell. */
static enum serin_status row(void *ctx, const pb_rollout *r)
{
    struct told *t = ctx;
    enum serin_status rc = SERIN_OK;
    if (r->status == NULL || !mine(t, r->rollout)) return SERIN_OK;
    t->seen = true;
    if (!t->planned) rc = report_plan(t->report, r->plan);
    t->planned = true;
    if (rc == SERIN_OK) rc = pass(t, view_status(r), report_status);
    if (rc == SERIN_OK && !r->status->final)
        rc = pass(t, why_status(r), report_explain);
    return rc;
}

/* Limits are dear: of a long recording not every second is looked at. */
static int64_t look_ms(int64_t first_ms, int64_t last_ms)
{
    int64_t apart = last_ms > first_ms ? (last_ms - first_ms) / LOOKS : 0;
    return 1000 + apart / 1000 * 1000;
}

/* ---------------------------------------------------------------- an inbox */

/* From its first to its last record; a pipe is not read ahead. */
static int64_t inbox_look_ms(const char *path)
{
    struct fault f = {0};
    struct recording_reader *reader;
    struct recording_record one;
    int64_t first = 0, last = 0;
    if (strcmp(path, "-") == 0 || recording_open(&reader, path, &f) != SERIN_OK)
        return look_ms(0, 0);
    while (recording_next(reader, &one, &f) == SERIN_OK) {
        if (first == 0) first = one.timestamp_ms;
        last = one.timestamp_ms;
    }
    recording_close(reader);
    return look_ms(first, last);
}

/* Entries about commands; "VERB_SET_WEIGHT" is "set-weight". */
static enum serin_status command(struct told *t, const pb_audit *a)
{
    char verb[32] = "";
    if (strcmp(a->kind, "command") != 0 || a->seq == 0)
        return SERIN_OK; /* 0: no rollout */
    if (!mine(t, a->rollout)) return SERIN_OK;
    pb_command *c = serin__v1__command__unpack(NULL, a->payload.len, a->payload.data);
    const ProtobufCEnumValue *value =
        c != NULL ? protobuf_c_enum_descriptor_get_value(&serin__v1__verb__descriptor,
                                                         (int)c->verb)
                  : NULL;
    if (value != NULL) snprintf(verb, sizeof verb, "%s", value->name + strlen("VERB_"));
    for (char *p = verb; *p != '\0'; p++)
        *p = (char)(*p == '_' ? '-' : *p | 0x20);
    if (c != NULL) serin__v1__command__free_unpacked(c, NULL);
    return report_command(t->report, a->t_ms, verb, a->actor, a->reason);
}

static enum serin_status effect(void *ctx, const struct effect *e)
{
    struct told *t = ctx;
    pb_verdict *v;
    pb_rollout *r;
    pb_audit *a;
    enum serin_status rc = SERIN_OK;
    arena_reset(&t->arena);
    if (e->value.n == 0) return SERIN_OK; /* a tombstone */
    if (e->kind == EFFECT_VERDICT) {
        rc = decode_verdict(&t->arena, e->value.p, e->value.n, &v);
        if (rc == SERIN_OK) rc = verdict(t, v, e->value);
    } else if (e->kind == EFFECT_ROLLOUT) {
        rc = decode_rollout(&t->arena, e->value.p, e->value.n, &r);
        if (rc == SERIN_OK) rc = row(t, r);
    } else if (e->kind == EFFECT_AUDIT) {
        rc = decode_audit(&t->arena, e->value.p, e->value.n, &a);
        if (rc == SERIN_OK) rc = command(t, a);
    }
    return rc;
}

static int inbox(struct told *t, const char *path)
{
    struct fault f = {0};
    struct recording_reader *reader;
    struct replay_counts counts;
    struct replay_options o = {.fold = {.row_every_ms = inbox_look_ms(path),
                                        .fresh_rows = true,
                                        .snapshot_every_ms = REPLAY_NEVER_MS},
                               .effect = effect,
                               .ctx = t};
    enum serin_status rc = recording_open(&reader, path, &f);
    if (rc != SERIN_OK) return failed(rc, &f);
    json_t *meta = json_loads(recording_meta(reader), 0, NULL);
    o.fold.max_lag_ms = json_integer_value(json_object_get(meta, "max_lag_ms"));
    json_decref(meta);
    rc = replay_run(reader, &o, &counts, &f);
    recording_close(reader);
    if (rc == SERIN_EPARSE)
        fprintf(stderr, "serin: %s; what was before is reported\n", f.text);
    return rc == SERIN_OK || rc == SERIN_EPARSE ? CLI_OK : failed(rc, &f);
}

/* ---------------------------------------------------------------- metrics */

static int read_plan(struct arena *a, const char *path, const char **text,
                     struct plan **plan)
{
    struct fault f = {0};
    struct doc_errors errors = {.arena = a};
    size_t n;
    enum serin_status rc = file_load(a, path, DOC_MAX_BYTES, text, &n, &f);
    if (rc != SERIN_OK) return failed(rc, &f);
    rc = plan_parse(a, *text, n, plan, &errors);
    if (rc == SERIN_ENOMEM) return cli_fail(CLI_UNREACHABLE, "out of memory");
    if (rc != SERIN_OK) fputs(doc_errors_format(&errors, path, *text, n), stderr);
    return rc == SERIN_OK ? CLI_OK : CLI_USAGE;
}

static int judge(struct told *t, const char *path, const char *text,
                 const struct plan *plan)
{
    struct fault f = {0};
    struct feed_report fed;
    struct trial *trial;
    struct trial_options to = {.plan = text,
                               .id = plan->id,
                               .acknowledge = plan->require_ack,
                               .sink = verdict,
                               .look = row,
                               .look_ms = 1000,
                               .ctx = t};
    struct feed_options o = {
        .path = path, .plan = plan, .rollout = t->picked ? t->rollout : NULL};
    /* Whatever is wrong with it is told when it is judged. */
    if (strcmp(path, "-") != 0 && feed_run(&o, NULL, &fed, &f) == SERIN_OK)
        to.look_ms = look_ms(fed.first_ms, fed.last_ms);
    f = (struct fault){0};
    if (trial_open(&trial, &to) != SERIN_OK)
        return cli_fail(CLI_UNREACHABLE, "out of memory");
    enum serin_status rc = feed_run(&o, trial, &fed, &f);
    trial_close(trial);
    if (rc == SERIN_OK || (rc == SERIN_EPARSE && t->seen)) {
        if (rc != SERIN_OK)
            fprintf(stderr, "serin: %s; what was before is reported\n", f.text);
        return CLI_OK;
    }
    return failed(rc, &f);
}

/* At weight as recorded, as `replay` does by default. */
static int metrics(struct told *t, const char *path, const char *plan_path)
{
    struct arena a = {0};
    const char *text;
    struct plan *plan;
    int code = read_plan(&a, plan_path, &text, &plan);
    if (code == CLI_OK && plan->srm_check) {
        struct replan change = {.unchecked = true};
        if (replan(&a, text, strlen(text), &change, &text) != SERIN_OK)
            code = cli_fail(CLI_UNREACHABLE, "out of memory");
        fputs("serin: the split is taken as recorded; the sample ratio is not "
              "checked\n",
              stderr);
    }
    if (code == CLI_OK) code = judge(t, path, text, plan);
    arena_free(&a);
    return code;
}

/* ---------------------------------------------------------------- either */

static int is_recording(const char *path, bool *out)
{
    struct fault f = {0};
    struct lines *l;
    *out = false;
    if (strcmp(path, "-") == 0) { /* cannot be read twice */
        *out = cli_get("plan") == NULL;
        return CLI_OK;
    }
    enum serin_status rc = lines_open(&l, path, &f);
    if (rc != SERIN_OK) return failed(rc, &f);
    *out = lines_is_recording(l);
    lines_close(l);
    return CLI_OK;
}

/* One rollout was found, and it was the only one or the one that was asked for. */
static int check(const struct told *t, const char *path)
{
    char names[OTHERS * 132] = "";
    size_t n = 0;
    for (size_t i = 0; i < t->n_others; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, ", %s", t->others[i]);
    if (!t->seen && t->n_others > 0)
        return cli_fail(CLI_USAGE, "%s: no rollout %s in it; it has %s", path,
                        t->rollout, names + 2);
    if (!t->seen)
        return cli_fail(CLI_USAGE,
                        "%s: no rollout in it can be judged; expected an inbox "
                        "recording, or metrics that the plan asks for: see serin "
                        "recording info, serin replay",
                        path);
    if (t->n_others > 0 && !t->picked)
        return cli_fail(CLI_USAGE,
                        "%s: several rollouts in it: %s%s%s; pick one by "
                        "--rollout",
                        path, t->rollout, names,
                        t->n_others == OTHERS ? " and perhaps more" : "");
    return CLI_OK;
}

int cmd_report_file(const struct cli_verb *v, const char *path, struct report **out)
{
    struct told t = {0};
    const char *plan = cli_get("plan"), *picked = cli_get("rollout");
    char source[512];
    bool recording;
    int code = is_recording(path, &recording);
    if (code != CLI_OK) return code;
    if (recording && plan != NULL)
        return cli_usage(v, "%s holds its plan: leave --plan out", path);
    if (!recording && plan == NULL)
        return cli_usage(v, "%s holds metrics: --plan PLAN is missing", path);
    t.picked = picked != NULL;
    if (t.picked) snprintf(t.rollout, sizeof t.rollout, "%s", picked);
    snprintf(source, sizeof source, "replay of %.200s%s%.200s", path,
             plan != NULL ? " by " : "", plan != NULL ? plan : "");
    if (report_open(&t.report, source) != SERIN_OK)
        return cli_fail(CLI_UNREACHABLE, "out of memory");
    code = recording ? inbox(&t, path) : metrics(&t, path, plan);
    if (code == CLI_OK) code = check(&t, path);
    arena_free(&t.arena);
    if (code == CLI_OK)
        *out = t.report;
    else
        report_close(t.report);
    return code;
}
