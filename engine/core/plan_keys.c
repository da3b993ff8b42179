/* engine/core/plan_keys.c -- every key of a plan: default, min and max follow the place
 */
#include "engine/core/plan_keys.h"

#include "engine/core/plan_cohorts.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
/* Milliseconds. */
#define SECOND 1e3
#define MINUTE 6e4
#define DAY 8.64e7

const char *const plan_keys_kinds[] = {"ratio",  "latency",    "gauge",
                                       "events", "saturation", NULL};
const char *const plan_keys_strategies[] = {"canary", "blue_green", "flag",
                                            "experiment", NULL};
const char *const plan_keys_directions[] = {"up", "down", "both", NULL};
const char *const plan_keys_quantiles[] = {"p50", "p75",  "p90", "p95",
                                           "p99", "p999", NULL};
const char *const plan_keys_step_kinds[] = {"weight",  "analysis_only", "mirror",
                                            "preview", "pause",         NULL};
static const char *const better[] = {"up", "down", NULL};
static const char *const modes[] = {"gate", "warn", "shadow", NULL};
static const char *const pers[] = {"request", "user", NULL};
static const char *const actions[] = {"hold", "abort", NULL};
static const char *const check_kinds[] = {"webhook", "exec", NULL};
static const char *const api_versions[] = {"serin/v1", NULL};
static const char *const document_kinds[] = {"Rollout", NULL};

const char plan_keys_default_steps[] =
    "[{weight: 1%}, {weight: 5%}, {weight: 25%}, {weight: 50%}, {weight: 100%}]";
const char plan_keys_switch_steps[] = "[{kind: preview}, {weight: 100%}]";

double plan_keys_tolerance(uint32_t weight_bp)
{
    static const struct {
        uint32_t up_to_bp;
        double worse_than;
    } ladder[] = {{100, 4.0}, {500, 2.5}, {2500, 2.0}};
    for (size_t i = 0; i < COUNT(ladder); i++)
        if (weight_bp <= ladder[i].up_to_bp) return ladder[i].worse_than;
    return 1.5;
}

/* clang-format off */
#define AT(field) offsetof(struct plan, field)
#define ARRAY(field, number) offsetof(struct plan, field), .count_at = offsetof(struct plan, number)

static const struct keys_key cohort_keys[] = {
    KEYS_KEY("canary", KEYS_ANY, AT(cohort_node[0]), NULL, 0, 0, NULL,
             "what tells the new version's records: its version (with service, "
             "environment or flag), or attributes that all fit",
             .required = true, .schema = plan_cohorts_schema),
    KEYS_KEY("baseline", KEYS_ANY, AT(cohort_node[1]), NULL, 0, 0, NULL,
             "what tells the old version's records, likewise",
             .required = true, .schema = plan_cohorts_schema),
};
static const struct keys_table cohort_table = KEYS_OF(cohort_keys, struct plan);

static const struct keys_key risk_keys[] = {
    KEYS_KEY("false_abort", KEYS_SHARE, AT(alpha), "0.01", 1e-9, 0.5, "probability",
             "chance of ever aborting a harmless canary, over the whole rollout"),
    KEYS_KEY("false_promote", KEYS_SHARE, AT(beta), "0.05", 1e-9, 0.5, "probability",
             "chance of passing a step with a canary worse than its tolerance"),
};
static const struct keys_table risk_table = KEYS_OF(risk_keys, struct plan);

#undef AT
#define AT(field) offsetof(struct plan_step, field)
static const struct keys_key step_keys[] = {
    KEYS_KEY("weight", KEYS_WEIGHT, AT(weight_bp), NULL, 1, 10000, "percent of traffic",
             "share of traffic that the canary gets in this step, e.g. 5%"),
    KEYS_KEY("kind", KEYS_ENUM, AT(kind), "weight", 0, 0, NULL,
             "weight: moves traffic; the others leave it as it is: analysis_only judges on; "
             "mirror judges copies of requests; preview requests made on purpose; pause waits",
             .choices = plan_keys_step_kinds),
    KEYS_KEY("share", KEYS_WEIGHT, AT(mirror_bp), "100%", 1, 10000, "percent of traffic",
             "of mirror: how many requests are copied to the canary"),
    KEYS_KEY("for", KEYS_DURATION, AT(pause_ms), NULL, SECOND, 90 * DAY, NULL,
             "of pause: how long; without it, until a person promotes"),
    KEYS_KEY("audience", KEYS_TEXTS, AT(audience), NULL, 1, 128, NULL,
             "of strategy flag: segments that get the canary whole, from this step on; the "
             "weight is of the other users", .count_at = AT(n_audience)),
    KEYS_KEY("worse_than", KEYS_ODDS, AT(worse_than), NULL, 1.01, 50, "odds ratio",
             "tolerance: pass once a canary this much worse is ruled out; by default 4 up "
             "to 1%, 2.5 up to 5%, 2 up to 25%, then 1.5"),
    KEYS_KEY("bake", KEYS_DURATION, AT(bake_ms), "2m", 0, 30 * DAY, NULL,
             "least time of judging before the step may pass; never less than 6 windows"),
    KEYS_KEY("timeout", KEYS_DURATION, AT(timeout_ms), "30m", SECOND, 90 * DAY, NULL,
             "undecided this long after the weight changed: what on.timeout says"),
    KEYS_KEY("watch", KEYS_DURATION, AT(watch_ms), "15m", 0, 90 * DAY, NULL,
             "the 100% step only: still abortable this long after full promotion"),
    KEYS_KEY("warmup", KEYS_DURATION, AT(warmup_ms), "10s", 0, DAY, NULL,
             "samples this soon after a change of weight are not judged"),
    KEYS_KEY("gate", KEYS_ID, AT(gate), NULL, 0, 0, NULL,
             "name of a gate that must be open before this step; at the first step, before "
             "the start"),
};
static const struct keys_table step_table = KEYS_OF(step_keys, struct plan_step);

#undef AT
#define AT(field) offsetof(struct plan_metric, field)
static const struct keys_key from_keys[] = {
    KEYS_KEY("metric", KEYS_TEXT, AT(from), NULL, 1, 256, NULL,
             "the metric's name in the stream; by default the name given here"),
    KEYS_KEY("bad", KEYS_TEXT, AT(bad), NULL, 1, 1024, NULL,
             "condition on attributes that makes a unit bad; without it the records "
             "carry counts of good and bad"),
    KEYS_KEY("unit", KEYS_TEXT, AT(unit), NULL, 1, 16, NULL,
             "unit of the values in the stream, e.g. s or ms"),
    KEYS_KEY("unit_key", KEYS_TEXT, AT(unit_key), NULL, 1, 256, NULL,
             "attribute that names the pod of a gauge"),
    KEYS_KEY("user_key", KEYS_TEXT, AT(user_key), NULL, 1, 256, NULL,
             "with per: user, the attribute that names the user, e.g. user.id; without it "
             "the records do"),
};
static const struct keys_table from_table = KEYS_OF(from_keys, struct plan_metric);

#define QUANTILE(name, index)                                                      \
    KEYS_KEY(name, KEYS_DURATION, AT(limit_ms[index]), NULL, 1, DAY, NULL,         \
             "absolute limit of this quantile of the latency")
static const struct keys_key limit_keys[] = {
    QUANTILE("p50", PLAN_P50), QUANTILE("p75", PLAN_P75), QUANTILE("p90", PLAN_P90),
    QUANTILE("p95", PLAN_P95), QUANTILE("p99", PLAN_P99), QUANTILE("p999", PLAN_P999),
};
static const struct keys_table limit_table = KEYS_OF(limit_keys, struct plan_metric);

static const struct keys_key pods_keys[] = {
    KEYS_KEY("canary", KEYS_COUNT, AT(pods.canary), NULL, 1, 1e6, "pods",
             "how many pods serve the canary", .required = true),
    KEYS_KEY("baseline", KEYS_COUNT, AT(pods.baseline), NULL, 1, 1e6, "pods",
             "how many pods serve the baseline", .required = true),
    KEYS_KEY("spread", KEYS_NUMBER, AT(pods.spread), NULL, 0.001, 2, "std. deviation / mean",
             "how much the rates of equal pods differ", .required = true),
};
static const struct keys_table pods_table = KEYS_OF(pods_keys, struct plan_metric);

static const struct keys_key exposure_keys[] = {
    KEYS_KEY("canary", KEYS_NUMBER, AT(exposure_pods[0]), NULL, 0.001, 1e6, "pods",
             "pods of the canary, the same at every weight", .required = true),
    KEYS_KEY("baseline", KEYS_NUMBER, AT(exposure_pods[1]), NULL, 0.001, 1e6, "pods",
             "pods of the baseline", .required = true),
};
static const struct keys_table exposure_table = KEYS_OF(exposure_keys, struct plan_metric);

static const struct keys_key metric_keys[] = {
    KEYS_KEY("name", KEYS_ID, AT(name), NULL, 0, 0, NULL,
             "a name of the metric, unique in the plan, e.g. errors", .required = true),
    KEYS_KEY("kind", KEYS_ENUM, AT(kind), "ratio", 0, 0, NULL,
             "ratio: bad of all; latency: a distribution; gauge: a level by pod; "
             "events: counts without a denominator; saturation: pods beyond a bound",
             .choices = plan_keys_kinds),
    KEYS_KEY("from", KEYS_SECTION, 0, NULL, 0, 0, NULL,
             "where the metric is found in the stream", .sub = &from_table),
    KEYS_KEY("per", KEYS_ENUM, AT(per), "request", 0, 0, NULL,
             "what a ratio counts: requests, or users, each until its first error",
             .choices = pers),
    KEYS_KEY("mode", KEYS_ENUM, AT(mode), "gate", 0, 0, NULL,
             "gate: decides; warn: reported; shadow: only recorded", .choices = modes),
    KEYS_KEY("direction", KEYS_ENUM, AT(direction), "up", 0, 0, NULL,
             "which way is worse", .choices = plan_keys_directions),
    KEYS_KEY("abort_over", KEYS_ODDS, AT(abort_over), "1.2", 1, 20, "odds ratio",
             "abort once the canary is shown to be worse than this; of a latency how much "
             "longer it may take, by default not at all"),
    KEYS_KEY("floor", KEYS_SHARE, AT(floor), NULL, 1e-9, 0.999999, "rate",
             "a canary whose own rate is below this is never aborted for its ratio"),
    KEYS_KEY("limit", KEYS_SHARE, AT(limit), NULL, 1e-9, 0.999999, "rate",
             "absolute limit: abort once the canary's own rate is shown to exceed it"),
    KEYS_KEY("limit", KEYS_SECTION, 0, NULL, 0, 0, NULL,
             "absolute limits of a latency's quantiles", .sub = &limit_table),
    KEYS_KEY("share", KEYS_NUMBER, AT(share), "1", 1e-6, 1e6, NULL,
             "weight of the metric in the abort average, relative to the others"),
    KEYS_KEY("phi", KEYS_NUMBER, AT(phi), NULL, 1, 1e4, "variance / mean",
             "dispersion of the counts, known from recordings; without it, it is "
             "calibrated"),
    KEYS_KEY("pods", KEYS_SECTION, 0, NULL, 0, 0, NULL,
             "few pods: a ratio may differ by their luck without being harm",
             .sub = &pods_table),
    KEYS_KEY("batch", KEYS_DURATION, AT(batch_ms), NULL, SECOND, 60 * MINUTE, NULL,
             "of gauge and saturation: readings are averaged over so long; ten times as long "
             "as a pod's level stays correlated; by default 1m"),
    KEYS_KEY("bound", KEYS_NUMBER, AT(bound), NULL, -1e150, 1e150, NULL,
             "of saturation: a pod whose mean is above this is saturated"),
    KEYS_KEY("exposure", KEYS_ID, AT(exposure), NULL, 0, 0, NULL,
             "of events: the ratio or latency of this plan whose units are the exposure; by "
             "default the first that gates"),
    KEYS_KEY("exposure", KEYS_SECTION, 0, NULL, 0, 0, NULL,
             "of events: fixed numbers of pods", .sub = &exposure_table),
    KEYS_KEY("protect", KEYS_TEXTS, AT(protect), NULL, 1, PLAN_NQUANTILE, NULL,
             "quantiles of a latency that promotion needs; by default p50, p90, p99",
             .count_at = AT(n_protect)),
    KEYS_KEY("too_good", KEYS_SHARE, AT(too_good), "30%", 0.01, 0.99, "share",
             "a latency lower by more than this is suspicious, and so is it when so many fewer users (per: user) come again: hold, for a person to look"),
};
static const struct keys_table metric_table = KEYS_OF(metric_keys, struct plan_metric);

#undef AT
#define AT(field) offsetof(struct plan_gate, field)
static const struct keys_key gate_keys[] = {
    KEYS_KEY("approvers", KEYS_TEXTS, AT(approvers), NULL, 1, 64, NULL,
             "who may open the gate", .required = true, .count_at = AT(n_approvers)),
    KEYS_KEY("quorum", KEYS_COUNT, AT(quorum), "1", 1, 64, "approvers",
             "how many of them must approve"),
    KEYS_KEY("expires", KEYS_DURATION, AT(expires_ms), "24h", SECOND, 90 * DAY, NULL,
             "how long the gate waits for them"),
    KEYS_KEY("on_expiry", KEYS_ENUM, AT(on_expiry), "hold", 0, 0, NULL,
             "what happens then", .choices = actions),
    KEYS_KEY("reason", KEYS_TEXT, AT(reason), NULL, 1, 256, NULL,
             "what they are asked for, for people"),
    KEYS_KEY("four_eyes", KEYS_BOOL, AT(four_eyes), "false", 0, 0, NULL,
             "whoever applied the rollout may not approve it"),
};
static const struct keys_table gate_table = KEYS_OF(gate_keys, struct plan_gate);

#undef AT
#define AT(field) offsetof(struct plan_external, field)
static const struct keys_key check_keys[] = {
    KEYS_KEY("kind", KEYS_ENUM, AT(kind), NULL, 0, 0, NULL,
             "webhook: an address answers; exec: a program of the engine's machine does",
             .required = true, .choices = check_kinds),
    KEYS_KEY("url", KEYS_TEXT, AT(url), NULL, 8, 1024, NULL,
             "of a webhook: gets a POST; must begin as checks.urls of serin.yaml says"),
    KEYS_KEY("secret_file", KEYS_TEXT, AT(secret_file), NULL, 1, 128, NULL,
             "of a webhook: the key that signs the requests, a file in checks.secrets of "
             "serin.yaml"),
    KEYS_KEY("target", KEYS_ID, AT(target), NULL, 0, 0, NULL,
             "of exec: a name under checks.exec of serin.yaml"),
    KEYS_KEY("timeout", KEYS_DURATION, AT(timeout_ms), "10s", SECOND, 10 * MINUTE, NULL,
             "an attempt that takes longer is given up"),
    KEYS_KEY("retries", KEYS_COUNT, AT(retries), "2", 0, 10, "attempts",
             "how often it is tried again when there was no answer"),
    KEYS_KEY("every", KEYS_DURATION, AT(every_ms), "1m", SECOND, DAY, NULL,
             "how often it is asked while a step is judged"),
    KEYS_KEY("valid", KEYS_DURATION, AT(valid_ms), "5m", 2 * SECOND, 7 * DAY, NULL,
             "how long an answer counts"),
    KEYS_KEY("on_fail", KEYS_ENUM, AT(on_fail), "hold", 0, 0, NULL,
             "what happens when it fails", .choices = actions),
};
static const struct keys_table check_table = KEYS_OF(check_keys, struct plan_external);

#undef AT
#define AT(field) offsetof(struct plan_allow, field)
static const struct keys_key allow_keys[] = {
    KEYS_KEY("days", KEYS_TEXTS, AT(days), NULL, 1, 7, NULL,
             "days of the week, e.g. [mon..thu] or [tue, fri]; by default all",
             .count_at = AT(n_days)),
    KEYS_KEY("from", KEYS_TEXT, AT(from), "00:00", 4, 5, NULL, "time of day, UTC"),
    KEYS_KEY("to", KEYS_TEXT, AT(to), "24:00", 4, 5, NULL, "its end, UTC"),
};
static const struct keys_table allow_table = KEYS_OF(allow_keys, struct plan_allow);

#undef AT
#define AT(field) offsetof(struct plan_freeze, field)
static const struct keys_key freeze_keys[] = {
    KEYS_KEY("from", KEYS_TIME, AT(from_ms), NULL, 0, 0, NULL,
             "begin of a time without promotions; a date means 00:00 UTC", .required = true),
    KEYS_KEY("to", KEYS_TIME, AT(to_ms), NULL, 0, 0, NULL,
             "its end; a date means 00:00 UTC", .required = true),
    KEYS_KEY("reason", KEYS_TEXT, AT(reason), NULL, 1, 256, NULL, "why, for people"),
};
static const struct keys_table freeze_table = KEYS_OF(freeze_keys, struct plan_freeze);

#undef AT
#define AT(field) offsetof(struct plan, field)
static const struct keys_key experiment_keys[] = {
    KEYS_KEY("metric", KEYS_ID, AT(experiment.metric), NULL, 0, 0, NULL,
             "name of the metric that the question is about; needless when there is one"),
    KEYS_KEY("better", KEYS_ENUM, AT(experiment.better), NULL, 0, 0, NULL,
             "which way its share is better: up for conversions, down for errors",
             .required = true, .choices = better),
    KEYS_KEY("weight", KEYS_WEIGHT, AT(experiment.weight_bp), "50%", 1, 9999,
             "percent of traffic", "share of traffic that the canary gets, e.g. 50%"),
    KEYS_KEY("duration", KEYS_DURATION, AT(experiment.duration_ms), "14d", SECOND,
             90 * DAY, NULL, "undecided this long after the start: no_difference"),
    KEYS_KEY("equivalent", KEYS_SHARE, AT(experiment.equivalent), "2%", 0.001, 1,
             "odds ratio - 1", "a difference smaller than this does not matter"),
    KEYS_KEY("level", KEYS_SHARE, AT(experiment.level), "5%", 1e-9, 0.5, "probability",
             "chance of a win or loss without a difference, however often one looks"),
    KEYS_KEY("keep", KEYS_BOOL, AT(experiment.keep), "false", 0, 0, NULL,
             "the canary keeps its weight after the result, unless it lost"),
    KEYS_KEY("gate", KEYS_ID, AT(experiment.gate), NULL, 0, 0, NULL,
             "name of a gate that must be open before the start"),
};
static const struct keys_table experiment_table = KEYS_OF(experiment_keys, struct plan);

static const struct keys_key criteria_keys[] = {
    KEYS_KEY("all_of", KEYS_TEXTS, AT(all_of), NULL, 1, PLAN_MAX_METRICS, NULL,
             "metrics and checks that promotion needs; by default every metric of mode gate",
             .count_at = AT(n_all_of)),
    KEYS_KEY("any_of", KEYS_TEXTS, AT(any_of), NULL, 2, PLAN_MAX_METRICS, NULL,
             "metrics and checks of which promotion needs one, besides all_of",
             .count_at = AT(n_any_of)),
    KEYS_KEY("min_requests", KEYS_COUNT, AT(min_requests), "0", 0, 1e15, "requests",
             "requests of the canary that a step must have judged before it may pass"),
};
static const struct keys_table criteria_table = KEYS_OF(criteria_keys, struct plan);

static const struct keys_key schedule_keys[] = {
    KEYS_KEY("not_before", KEYS_TIME, AT(not_before_ms), NULL, 0, 0, NULL,
             "the rollout does not start before"),
    KEYS_KEY("freeze", KEYS_LIST, AT(freezes), NULL, 0, 64, NULL,
             "times without promotions", .count_at = AT(n_freezes), .sub = &freeze_table),
    KEYS_KEY("allow", KEYS_LIST, AT(allow), NULL, 1, 32, NULL,
             "promotions at these times of the week only", .count_at = AT(n_allow),
             .sub = &allow_table),
};
static const struct keys_table schedule_table = KEYS_OF(schedule_keys, struct plan);

static const struct keys_key on_keys[] = {
    KEYS_KEY("no_data", KEYS_ENUM, AT(on_no_data), "hold", 0, 0, NULL,
             "a metric was never seen", .choices = actions),
    KEYS_KEY("timeout", KEYS_ENUM, AT(on_timeout), "hold", 0, 0, NULL,
             "a step ran out of time undecided", .choices = actions),
    KEYS_KEY("sample_ratio", KEYS_ENUM, AT(on_sample_ratio), "hold", 0, 0, NULL,
             "the observed split disagrees with the weight", .choices = actions),
};
static const struct keys_table on_table = KEYS_OF(on_keys, struct plan);

static const struct keys_key sample_ratio_keys[] = {
    KEYS_KEY("check", KEYS_BOOL, AT(srm_check), "true", 0, 0, NULL,
             "compare the observed split with the weight"),
    KEYS_KEY("tolerance", KEYS_SHARE, AT(srm_tolerance), "1%", 0, 0.5, "share",
             "relative deviation of the canary's share that is accepted"),
};
static const struct keys_table sample_ratio_table = KEYS_OF(sample_ratio_keys, struct plan);

static const struct keys_key top_keys[] = {
    KEYS_KEY("apiVersion", KEYS_ENUM, AT(api_version), "serin/v1", 0, 0, NULL,
             "version of this format", .choices = api_versions),
    KEYS_KEY("kind", KEYS_ENUM, AT(document_kind), "Rollout", 0, 0, NULL,
             "what the file describes", .choices = document_kinds),
    KEYS_KEY("id", KEYS_ID, AT(id), NULL, 0, 0, NULL,
             "the rollout's name, unique, e.g. checkout-2.4.0", .required = true),
    KEYS_KEY("service", KEYS_TEXT, AT(service), NULL, 1, 256, NULL,
             "what is released; by default the canary's service.name"),
    KEYS_KEY("environment", KEYS_TEXT, AT(environment), NULL, 1, 256, NULL,
             "deployment.environment.name of cohorts that are given as versions"),
    KEYS_KEY("flag", KEYS_TEXT, AT(flag), NULL, 1, 256, NULL,
             "feature_flag.key: cohorts that are no maps are its result.variants"),
    KEYS_KEY("owner", KEYS_TEXT, AT(owner), NULL, 1, 256, NULL, "whom to ask"),
    KEYS_KEY("release_notes", KEYS_TEXT, AT(release_notes), NULL, 1, 4096, NULL,
             "address or text of the release notes"),
    KEYS_KEY("rollback_plan", KEYS_TEXT, AT(rollback_plan), NULL, 1, 4096, NULL,
             "address or text of what to do after an abort"),
    KEYS_KEY("strict", KEYS_BOOL, AT(strict), "false", 0, 0, NULL,
             "owner, release_notes and rollback_plan are mandatory"),
    KEYS_KEY("strategy", KEYS_ENUM, AT(strategy), "canary", 0, 0, NULL,
             "how traffic moves", .choices = plan_keys_strategies),
    KEYS_KEY("cohorts", KEYS_SECTION, 0, NULL, 0, 0, NULL,
             "how the two versions' records are told apart", .required = true,
             .sub = &cohort_table),
    KEYS_KEY("strata", KEYS_TEXTS, ARRAY(strata, n_strata), NULL, 1, 8, NULL,
             "attributes whose values are compared within, e.g. region"),
    KEYS_KEY("window", KEYS_DURATION, AT(window_ms), "auto", SECOND, 10 * MINUTE, NULL,
             "length of a window in whole seconds; auto measures it", .word = "auto"),
    KEYS_KEY("calibrate", KEYS_DURATION, AT(calibrate_ms), "2m", 10 * SECOND, DAY, NULL,
             "how long the baseline is watched first; skip needs phi at every ratio",
             .word = "skip"),
    KEYS_KEY("risk", KEYS_SECTION, 0, NULL, 0, 0, NULL, "levels of the whole rollout",
             .sub = &risk_table),
    KEYS_KEY("steps", KEYS_LIST, ARRAY(steps, n_steps), NULL, 2, PLAN_MAX_STEPS, NULL,
             "weights in rising order, the last 100%; by default 1, 5, 25, 50, 100%",
             .sub = &step_table),
    KEYS_KEY("metrics", KEYS_LIST, ARRAY(metrics, n_metrics), NULL, 1, PLAN_MAX_METRICS,
             NULL, "what is compared, at least one metric", .required = true,
             .sub = &metric_table),
    KEYS_KEY("gates", KEYS_TABLE, ARRAY(gates, n_gates), NULL, 0, PLAN_MAX_GATES, NULL,
             "approvals that steps may ask for, by name", .sub = &gate_table,
             .name_at = offsetof(struct plan_gate, name)),
    KEYS_KEY("checks", KEYS_TABLE, ARRAY(checks, n_checks), NULL, 0, PLAN_MAX_CHECKS, NULL,
             "questions to the outside that criteria name", .sub = &check_table,
             .name_at = offsetof(struct plan_external, name)),
    KEYS_KEY("after", KEYS_TEXTS, ARRAY(after, n_after), NULL, 1, PLAN_MAX_AFTER, NULL,
             "rollouts that must be promoted before this one starts"),
    KEYS_KEY("concurrent", KEYS_BOOL, AT(concurrent), "false", 0, 0, NULL,
             "start although another rollout of this service and environment is live"),
    KEYS_KEY("experiment", KEYS_SECTION, 0, NULL, 0, 0, NULL,
             "the question of strategy: experiment; it replaces the steps",
             .sub = &experiment_table),
    KEYS_KEY("criteria", KEYS_SECTION, 0, NULL, 0, 0, NULL, "what promotion needs",
             .sub = &criteria_table),
    KEYS_KEY("schedule", KEYS_SECTION, 0, NULL, 0, 0, NULL, "when traffic may move",
             .sub = &schedule_table),
    KEYS_KEY("on", KEYS_SECTION, 0, NULL, 0, 0, NULL,
             "what to do without a decision: hold or abort, never promote",
             .sub = &on_table),
    KEYS_KEY("silence", KEYS_DURATION, AT(silence_ms), "2m", 5 * SECOND, DAY, NULL,
             "a canary silent this long (at least 3 windows) is aborted while the baseline, at 100% anybody, reports"),
    KEYS_KEY("after_abort", KEYS_DURATION, AT(after_abort_ms), "10m", 10 * SECOND, DAY, NULL,
             "after an abort the service is watched this long: did it recover, or was the "
             "canary not the cause? off: not at all", .word = "off"),
    KEYS_KEY("require_ack", KEYS_BOOL, AT(require_ack), "false", 0, 0, NULL,
             "an actuator must confirm every weight; implied by actuate"),
    KEYS_KEY("ack_timeout", KEYS_DURATION, AT(ack_timeout_ms), "1m", SECOND, DAY, NULL,
             "unconfirmed this long: hold"),
    KEYS_KEY("actuate", KEYS_ANY, AT(actuate), NULL, 0, 0, NULL,
             "who moves the traffic, and how"),
    KEYS_KEY("sample_ratio", KEYS_SECTION, 0, NULL, 0, 0, NULL,
             "check of the observed split against the weight", .sub = &sample_ratio_table),
};
const struct keys_table plan_keys = KEYS_OF(top_keys, struct plan);
/* clang-format on */
