/* tests/unit/serve/test_view.c -- the JSON to the byte, since programs parse it */
#include "engine/serve/view.h"
#include "tests/support/check.h"

static pb_cohort_summary canary = SERIN__V1__COHORT_SUMMARY__INIT;
static pb_cohort_summary baseline = SERIN__V1__COHORT_SUMMARY__INIT;
static double quantiles[] = {12.5, 40, 310.25};
static pb_metric_verdict errors = SERIN__V1__METRIC_VERDICT__INIT;
static pb_metric_verdict *errors_list[] = {&errors};

static void fill(void)
{
    canary.n = 1013, canary.bad = 11, canary.rate = 0.05;
    baseline.n = 9007, baseline.bad = 90, baseline.rate = 0.1;
    errors.name = (char *)"errors", errors.kind = (char *)"ratio";
    errors.canary = &canary, errors.baseline = &baseline;
    errors.estimate = 1.087, errors.lower = 0, errors.upper = INFINITY;
    errors.abort_log_e = -0.75, errors.abort_threshold = 4.605, errors.abort_over = 1.2;
    errors.promote_log_e = 2.5, errors.promote_threshold = 2.996;
    errors.worse_than = NAN, errors.dispersion = 1.3, errors.protected_ = 1;
    errors.restart_log_e = -INFINITY;
}

static void same(json_t *got, const char *want)
{
    char *text = json_dumps(got, VIEW_DUMP | JSON_ENCODE_ANY);
    cr_assert(eq(str, text, (char *)want));
    free(text);
    json_decref(got);
}

#define METRIC                                                                         \
    "{\"name\":\"errors\",\"kind\":\"ratio\","                                         \
    "\"canary\":{\"n\":1013,\"bad\":11,\"rate\":0.05},"                                \
    "\"baseline\":{\"n\":9007,\"bad\":90,\"rate\":0.1},"                               \
    "\"estimate\":1.087,\"lower\":0.0,\"upper\":\"inf\","                              \
    "\"abort\":{\"log_e\":-0.75,\"threshold\":4.605,\"over\":1.2},"                    \
    "\"promote\":{\"log_e\":2.5,\"threshold\":2.996,\"worse_than\":null,"              \
    "\"restart_log_e\":\"-inf\",\"protected\":true},"                                  \
    "\"dispersion\":1.3,\"onset_ms\":null,\"quantiles\":null,\"limit\":null,"          \
    "\"flagged\":false,"                                                               \
    "\"question\":null}"

Test(view, verdict_to_the_byte)
{
    uint8_t hash[] = {0xab, 0x01, 0xff};
    pb_sample_ratio s = SERIN__V1__SAMPLE_RATIO__INIT;
    pb_verdict v = SERIN__V1__VERDICT__INIT;
    fill();
    s.canary = 101, s.baseline = 899, s.expected = 0.1, s.observed = 0.101;
    s.log_e = -1.5, s.threshold = 6.9;
    v.id = (char *)"checkout-2.4.0/3", v.rollout = (char *)"checkout-2.4.0", v.seq = 3;
    v.kind = SERIN__V1__KIND__KIND_PROMOTE, v.reason = (char *)"non_inferior";
    v.message = (char *)"not \"worse\"", v.from_bp = 100, v.to_bp = 500;
    v.t_ms = INT64_C(1764000000123);
    v.state_before = (char *)"OBSERVING", v.state_after = (char *)"SETTLING";
    v.plan_hash = (ProtobufCBinaryData){sizeof hash, hash};
    v.first_window_ms = 1000, v.last_window_ms = 61000, v.windows = 61;
    v.sample_ratio = &s, v.metrics = errors_list, v.n_metrics = 1;
    v.lag_ms = 7, v.late = 2, v.poison = UINT64_MAX, v.actor = (char *)"alice";
    v.step = 1, v.steps = 5, v.eta_ms = 1500, v.metric = (char *)"errors";
    v.step_kind = (char *)"mirror", v.mirror_bp = 2500;
    v.service = (char *)"checkout", v.owner = (char *)"pay";
    v.release_notes = (char *)"faster", v.rollback_plan = (char *)"route \"old\"";
    same(
        view_verdict(&v),
        "{\"schema\":\"serin.verdict/1\",\"id\":\"checkout-2.4.0/3\","
        "\"rollout\":\"checkout-2.4.0\",\"seq\":3,\"verdict\":\"PROMOTE\","
        "\"reason\":\"non_inferior\",\"message\":\"not \\\"worse\\\"\",\"from_bp\":100,"
        "\"to_bp\":500,\"final\":false,\"t_ms\":1764000000123,"
        "\"state\":{\"before\":\"OBSERVING\",\"after\":\"SETTLING\"},"
        "\"plan_hash\":\"ab01ff\","
        "\"windows\":{\"first_ms\":1000,\"last_ms\":61000,\"count\":61},"
        "\"sample_ratio\":{\"canary\":101,\"baseline\":899,\"expected\":0.1,"
        "\"observed\":0.101,\"log_e\":-1.5,\"threshold\":6.9},\"metrics\":[" METRIC
        "],\"lag_ms\":7,\"late\":2,\"poison\":9223372036854775807,\"actor\":\"alice\","
        "\"prev_hash\":\"\",\"hash\":\"\",\"sig\":\"\",\"step\":1,\"steps\":5,"
        "\"metric\":\"errors\",\"result\":null,\"eta_ms\":1500,"
        "\"step_kind\":\"mirror\",\"mirror_bp\":2500,\"audience\":[],"
        "\"service\":\"checkout\",\"owner\":\"pay\",\"release_notes\":\"faster\","
        "\"rollback_plan\":\"route \\\"old\\\"\"}");
}

Test(view, status_to_the_byte)
{
    char *people[] = {(char *)"bob"}, *segments[] = {(char *)"beta"},
         *warnings[] = {(char *)"window shorter than 10 s"};
    pb_gate_status gate = SERIN__V1__GATE_STATUS__INIT, *gates[] = {&gate};
    pb_check_status check = SERIN__V1__CHECK_STATUS__INIT, *checks[] = {&check};
    pb_wait wait = SERIN__V1__WAIT__INIT, *waits[] = {&wait};
    pb_vote vote = SERIN__V1__VOTE__INIT, *votes[] = {&vote};
    pb_status s = SERIN__V1__STATUS__INIT;
    pb_rollout r = SERIN__V1__ROLLOUT__INIT;
    fill();
    gate.name = (char *)"sre", gate.state = (char *)"waiting";
    gate.approved_by = people, gate.n_approved_by = 1;
    gate.approvers = people, gate.n_approvers = 1, gate.quorum = 2;
    gate.reason = (char *)"half of the traffic", gate.expires_ms = 77;
    vote.actor = people[0], vote.reason = (char *)"seen it", vote.t_ms = 12;
    gate.votes = votes, gate.n_votes = 1;
    s.state = (char *)"HELD", s.reason = (char *)"no_data",
    s.message = (char *)"none yet";
    s.step = 2, s.steps = 5, s.weight_bp = 500, s.observed_bp = -1, s.seq = 4;
    s.since_ms = 17, s.eta_ms = -1, s.metrics = errors_list, s.n_metrics = 1;
    s.gates = gates, s.n_gates = 1, s.warnings = warnings, s.n_warnings = 1;
    s.step_kind = (char *)"weight", s.audience = segments, s.n_audience = 1;
    s.service = (char *)"checkout", s.rollback_plan = (char *)"back",
    s.window_ms = 1000, s.updated_ms = 99;
    check.name = (char *)"load", check.state = (char *)"failed";
    check.message = (char *)"slow", check.t_ms = 5;
    s.checks = checks, s.n_checks = 1, s.applied_by = (char *)"ann";
    wait.about = (char *)"api", wait.state = (char *)"HELD", wait.after = true;
    s.waits = waits, s.n_waits = 1;
    r.rollout = (char *)"r", r.status = &s;
    same(view_status(&r),
         "{\"schema\":\"serin.status/1\",\"rollout\":\"r\",\"state\":\"HELD\","
         "\"reason\":\"no_data\",\"message\":\"none yet\",\"step\":2,\"steps\":5,"
         "\"weight_bp\":500,\"observed_bp\":null,\"seq\":4,\"since_ms\":17,\"eta_ms\":"
         "null,"
         "\"metrics\":[" METRIC "],\"gates\":[{\"name\":\"sre\",\"state\":\"waiting\","
         "\"approved_by\":[\"bob\"],\"votes\":[{\"actor\":\"bob\",\"vote\":"
         "\"approve\",\"reason\":\"seen it\",\"t_ms\":12}],\"approvers\":[\"bob\"],"
         "\"quorum\":2,\"reason\":\"half of the "
         "traffic\",\"four_eyes\":false,\"expires_ms\":77}],\"plan_hash\":\"\","
         "\"final\":false,"
         "\"service\":\"checkout\",\"owner\":\"\",\"release_notes\":\"\","
         "\"rollback_plan\":\"back\",\"updated_ms\":99,\"window_ms\":1000,"
         "\"lag_ms\":0,\"late\":0,\"poison\":0,\"sample_ratio\":null,"
         "\"warnings\":[\"window shorter than 10 "
         "s\"],\"checks\":[{\"name\":\"load\",\"state\":\"failed\",\"message\":"
         "\"slow\",\"t_ms\":5}],\"waits\":[{\"rollout\":\"api\",\"state\":"
         "\"HELD\",\"until\":\"promoted\"}],\"applied_by\":\"ann\","
         "\"result\":null,\"step_kind\":\"weight\",\"mirror_bp\":0,"
         "\"audience\":[\"beta\"],\"aftermath\":null,\"aftermath_message\":\"\","
         "\"started_ms\":null}");
}

Test(view, latency_shows_quantiles_and_a_limit_shows)
{
    fill();
    canary.quantiles = quantiles, canary.n_quantiles = 3;
    errors.limit = 0.01, errors.limit_log_e = 0.25;
    pb_verdict v = SERIN__V1__VERDICT__INIT;
    v.metrics = errors_list, v.n_metrics = 1;
    json_t *j = view_verdict(&v);
    json_t *m = json_array_get(json_object_get(j, "metrics"), 0);
    same(json_incref(json_object_get(m, "canary")),
         "{\"n\":1013,\"bad\":11,\"p50\":12.5,\"p90\":40.0,\"p99\":310.25}");
    same(json_incref(json_object_get(m, "limit")),
         "{\"rate\":0.01,\"log_e\":0.25,\"threshold\":4.605}");
    json_decref(j);
}

Test(view, odd_input_still_gives_json)
{
    pb_verdict v = SERIN__V1__VERDICT__INIT;
    v.kind = (Serin__V1__Kind)77, v.message = (char *)"caf\xe9";
    json_t *j = view_verdict(&v);
    cr_assert(eq(str, (char *)json_string_value(json_object_get(j, "verdict")),
                 (char *)"UNKNOWN"));
    cr_assert(eq(str, (char *)json_string_value(json_object_get(j, "message")),
                 (char *)"caf?"));
    json_decref(j);
    pb_rollout bare = SERIN__V1__ROLLOUT__INIT; /* a row without a status */
    j = view_status(&bare);
    cr_assert(ne(ptr, j, NULL));
    json_decref(j);
    same(view_number(-0.0), "0.0");
    same(view_number(-INFINITY), "\"-inf\"");
}
