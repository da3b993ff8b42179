/* tests/unit/serve/test_why.c -- sentences carry the numbers that decided */
#include "engine/serve/view.h"
#include "engine/serve/why.h"
#include "tests/support/check.h"

static pb_cohort_summary canary = SERIN__V1__COHORT_SUMMARY__INIT;
static pb_cohort_summary baseline = SERIN__V1__COHORT_SUMMARY__INIT;
static pb_metric_verdict errors = SERIN__V1__METRIC_VERDICT__INIT;
static pb_metric_verdict *list[] = {&errors};

static void fill(void)
{
    canary.n = 1013, canary.bad = 41, canary.rate = 41 / 1013.0;
    baseline.n = 9007, baseline.bad = 90, baseline.rate = 90 / 9007.0;
    errors.name = (char *)"errors", errors.kind = (char *)"ratio";
    errors.canary = &canary, errors.baseline = &baseline;
    errors.estimate = 4.18, errors.lower = 2.5, errors.upper = INFINITY;
    errors.abort_log_e = 5.25, errors.abort_threshold = 4.605, errors.abort_over = 1.2;
    errors.promote_log_e = 1.5, errors.promote_threshold = 2.996,
    errors.worse_than = 2.5;
    errors.restart_log_e = 3, errors.dispersion = 1, errors.protected_ = 1;
}

static bool says(json_t *j, const char *part)
{
    size_t i;
    json_t *sentence;
    json_array_foreach(json_object_get(j, "sentences"), i, sentence)
    {
        if (strstr(json_string_value(sentence), part) != NULL) return true;
    }
    return false;
}

/* The inequality about something: 1 holds, 0 does not, -1 is not there. */
static int holds(json_t *j, const char *about)
{
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(j, "inequalities"), i, o)
    {
        if (strcmp(json_string_value(json_object_get(o, "about")), about) == 0)
            return json_is_true(json_object_get(o, "holds"));
    }
    return -1;
}

Test(why, abort_names_the_inequality)
{
    pb_verdict v = SERIN__V1__VERDICT__INIT;
    fill();
    v.id = (char *)"r/2", v.rollout = (char *)"r", v.kind = SERIN__V1__KIND__KIND_ABORT;
    v.reason = (char *)"harm", v.from_bp = 100, v.metrics = list, v.n_metrics = 1;
    v.windows = 61;
    json_t *j = why_verdict(&v);
    cr_assert(says(j, "ABORT from 1 % to 0 %: harm."));
    cr_assert(says(j, "canary: 41 of 1013 bad (4.047 %); baseline: 90 of 9007 bad"));
    cr_assert(says(j, "at least 2.5 times"));
    cr_assert(says(j, "log e = 5.2500 >= 4.6050: it aborts."));
    cr_assert(eq(int, holds(j, "abort"), 1));
    cr_assert(eq(int, holds(j, "promote"), -1), "not what decided");
    json_decref(j);
    errors.abort_log_e = 2;
    j = why_verdict(&v);
    cr_assert(says(j, "No metric alone"));
    cr_assert(eq(int, holds(j, "abort"), 0));
    json_decref(j);
}

Test(why, status_says_what_is_missing)
{
    pb_rollout r = SERIN__V1__ROLLOUT__INIT;
    pb_status s = SERIN__V1__STATUS__INIT;
    fill();
    errors.abort_log_e = -1, errors.dispersion = 2;
    r.rollout = (char *)"r", r.status = &s;
    s.state = (char *)"OBSERVING", s.weight_bp = 500, s.step = 2, s.steps = 5;
    s.metrics = list, s.n_metrics = 1, s.eta_ms = 90000;
    json_t *j = why_status(&r);
    cr_assert(says(j, "OBSERVING at 5 %, step 2 of 5."));
    cr_assert(says(j, "log e = -1.0000 < 4.6050."));
    cr_assert(says(j, "log e = 1.5000 < 2.9960, 1.4960 is missing."));
    cr_assert(says(j,
                   "of this step alone that it is less than 2.5 times as bad: log e = "
                   "3.0000 >= 2.9960, enough."));
    cr_assert(says(j, "dispersion 2"));
    cr_assert(says(j, "about 90 s"));
    cr_assert(eq(int, holds(j, "promote"), 0));
    cr_assert(eq(int, holds(j, "promote_restarted"), 1));
    json_decref(j);
}

Test(why, a_step_that_only_watches_has_no_promote_inequality)
{
    pb_rollout r = SERIN__V1__ROLLOUT__INIT;
    pb_status s = SERIN__V1__STATUS__INIT;
    fill();
    errors.worse_than = NAN;
    r.rollout = (char *)"r", r.status = &s, s.state = (char *)"WATCHING", s.step = 3;
    s.metrics = list, s.n_metrics = 1, s.eta_ms = -1;
    json_t *j = why_status(&r);
    cr_assert(eq(int, holds(j, "promote"), -1));
    cr_assert(eq(int, holds(j, "abort"), 1));
    json_decref(j);
    pb_rollout bare = SERIN__V1__ROLLOUT__INIT;
    j = why_status(&bare);
    cr_assert(ne(ptr, j, NULL));
    json_decref(j);
}
