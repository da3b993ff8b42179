#include "engine/base/mem.h"
#include "engine/core/plan.h"
#include "engine/core/plan_keys.h"
#include "tests/support/check.h"

/* The canary example of the design, without the kinds that are not judged yet. */
static const char example[] =
    "apiVersion: serin/v1\n"
    "kind: Rollout\n"
    "id: checkout-2.4.0                  # a comment\n"
    "service: checkout\n"
    "owner: payments@acme.example\n"
    "release_notes: https://wiki.acme.example/checkout-2.4.0\n"
    "rollback_plan: https://wiki.acme.example/runbooks/checkout\n"
    "strict: true\n"
    "cohorts:\n"
    "  canary:   {service.name: checkout, service.version: \"2.4.0\"}\n"
    "  baseline: {service.name: checkout, service.version: 2.30}\n"
    "strata: [region]\n"
    "window: 1s\n"
    "risk: {false_abort: 0.02, false_promote: 3%}\n"
    "strategy: canary\n"
    "steps:\n"
    "  - {weight: 0.05%, worse_than: 300%, bake: 2m, timeout: 40m}\n"
    "  - {weight: 5%,  worse_than: 2.5, bake: 2m, warmup: 30s}\n"
    "  - {weight: 25%, bake: 5m, gate: sre}\n"
    "  - {weight: 50%, worse_than: 1.5, bake: 10m}\n"
    "  - {weight: 100%, watch: 20m}\n"
    "metrics:\n"
    "  - {name: errors,  kind: ratio, from: {metric: http.server.request.duration, "
    "bad: \"http.response.status_code >= 500\"},\n"
    "     abort_over: 1.3, floor: 0.05%, limit: 1%, share: 2, phi: 1.4}\n"
    "  - {name: grpc, mode: warn}\n"
    "  - {name: cart}\n"
    "gates:\n"
    "  sre: {approvers: [alice, bob], quorum: 2, expires: 2h, on_expiry: abort}\n"
    "criteria: {all_of: [errors], min_requests: 1000}\n"
    "schedule: {not_before: 2026-12-01T09:00Z, freeze: [{from: 2026-12-24, to: "
    "2027-01-02, "
    "reason: holidays}]}\n"
    "on: {no_data: hold, timeout: abort, sample_ratio: hold}\n"
    "actuate: {kind: haproxy, socket: /run/haproxy/admin.sock, map: "
    "/etc/haproxy/split.map}\n"
    "ack_timeout: 20s\n"
    "sample_ratio: {tolerance: 2%}\n";

static const char least[] =
    "id: a\n"
    "cohorts: {canary: {service.name: shop, v: 2}, baseline: {v: 1}}\n"
    "metrics: [{name: errors}]\n";

static struct plan *parsed(struct arena *a, const char *text)
{
    struct doc_errors errors = {0};
    struct plan *p = NULL;
    int rc = plan_parse(a, text, strlen(text), &p, &errors);
    cr_assert(eq(int, rc, SERIN_OK), "%s",
              doc_errors_format(&errors, "-", text, strlen(text)));
    return p;
}

Test(plan, everything_written_is_read)
{
    struct arena a = {0};
    struct plan *p = parsed(&a, example);
    cr_assert(eq(str, (char *)p->id, "checkout-2.4.0"));
    cr_assert(eq(str, (char *)p->owner, "payments@acme.example"));
    cr_assert(p->strict);
    cr_assert(eq(sz, p->n_cohort[0], 2));
    cr_assert(eq(str, (char *)p->cohort[0][1].key, "service.version"));
    cr_assert(eq(str, (char *)p->cohort[0][1].values[0], "2.4.0"));
    cr_assert(eq(str, (char *)p->cohort[1][1].values[0], "2.30"),
              "a text, not a number");
    cr_assert(eq(sz, p->n_strata, 1));
    cr_assert(eq(i64, p->window_ms, 1000));
    cr_assert(eq(dbl, p->alpha, 0.02));
    cr_assert(eq(dbl, p->beta, 0.03));
    cr_assert(eq(u64, p->min_requests, 1000));
    cr_assert(eq(i64, p->not_before_ms, INT64_C(1796115600000)));
    cr_assert(eq(i64, p->freezes[0].from_ms, INT64_C(1798070400000)));
    cr_assert(eq(i64, p->freezes[0].to_ms, INT64_C(1798848000000)));
    cr_assert(eq(str, (char *)p->freezes[0].reason, "holidays"));
    cr_assert(eq(int, p->on_timeout, PLAN_ON_ABORT));
    cr_assert(eq(int, p->on_no_data, PLAN_ON_HOLD));
    cr_assert(p->require_ack, "an actuator implies it");
    cr_assert(eq(i64, p->ack_timeout_ms, 20000));
    cr_assert(eq(dbl, p->srm_tolerance, 0.02));
    arena_free(&a);
}

Test(plan, steps_metrics_and_gates)
{
    struct arena a = {0};
    struct plan *p = parsed(&a, example);
    cr_assert(eq(sz, p->n_steps, 5));
    cr_assert(eq(u32, p->steps[0].weight_bp, 5), "0.05 %% are 5 basis points");
    cr_assert(eq(dbl, p->steps[0].worse_than, 4.0), "300 %% more is four times");
    cr_assert(eq(i64, p->steps[0].timeout_ms, 2400000));
    cr_assert(eq(i64, p->steps[1].warmup_ms, 30000));
    cr_assert(eq(dbl, p->steps[2].worse_than, 2.0), "the default of 25 %%");
    cr_assert(eq(str, (char *)p->steps[2].gate, "sre"));
    cr_assert(eq(uint, p->steps[2].line, 19));
    cr_assert(p->steps[1].gate == NULL);
    cr_assert(isnan(p->steps[4].worse_than));
    cr_assert(eq(i64, p->steps[4].watch_ms, 1200000));
    cr_assert(eq(i64, p->steps[3].watch_ms, 0));
    const struct plan_metric *m = p->metrics;
    cr_assert(eq(sz, p->n_metrics, 3));
    cr_assert(eq(str, (char *)m[0].from, "http.server.request.duration"));
    cr_assert(eq(str, (char *)m[0].bad, "http.response.status_code >= 500"));
    cr_assert(eq(dbl, m[0].abort_over, 1.3));
    cr_assert(eq(dbl, m[0].floor, 0.05 / 100));
    cr_assert(eq(dbl, m[0].limit, 0.01));
    cr_assert(eq(dbl, m[0].share, 2));
    cr_assert(eq(dbl, m[0].phi, 1.4));
    cr_assert(m[0].protected);
    cr_assert(eq(str, (char *)m[1].from, "grpc"), "its own name by default");
    cr_assert(eq(int, m[1].mode, PLAN_WARN));
    cr_assert(not(m[1].protected));
    cr_assert(not(m[2].protected), "all_of does not list it");
    cr_assert(eq(str, (char *)p->gates[0].name, "sre"));
    cr_assert(eq(sz, p->gates[0].n_approvers, 2));
    cr_assert(eq(u64, p->gates[0].quorum, 2));
    cr_assert(eq(i64, p->gates[0].expires_ms, 7200000));
    cr_assert(eq(int, p->gates[0].on_expiry, PLAN_ON_ABORT));
    arena_free(&a);
}

Test(plan, defaults)
{
    static const struct {
        unsigned bp;
        double worse_than;
    } steps[] = {{100, 4}, {500, 2.5}, {2500, 2}, {5000, 1.5}};
    struct arena a = {0};
    struct plan *p = parsed(&a, least);
    cr_assert(eq(sz, p->n_steps, 5));
    for (size_t i = 0; i < 4; i++) {
        cr_assert(eq(uint, p->steps[i].weight_bp, steps[i].bp));
        cr_assert(eq(dbl, p->steps[i].worse_than, steps[i].worse_than));
        cr_assert(eq(i64, p->steps[i].warmup_ms, 10000));
        cr_assert(eq(i64, p->steps[i].timeout_ms, 1800000));
    }
    cr_assert(eq(uint, p->steps[4].weight_bp, 10000));
    cr_assert(eq(uint, p->steps[4].line, 0));
    cr_assert(eq(dbl, p->alpha, 0.01));
    cr_assert(eq(dbl, p->beta, 0.05));
    cr_assert(eq(i64, p->window_ms, 0));
    cr_assert(eq(i64, p->calibrate_ms, 120000));
    cr_assert(eq(i64, p->silence_ms, 120000));
    cr_assert(eq(dbl, p->metrics[0].abort_over, 1.2));
    cr_assert(eq(dbl, p->metrics[0].share, 1));
    cr_assert(eq(dbl, p->metrics[0].phi, 0));
    cr_assert(p->metrics[0].protected);
    cr_assert(eq(str, (char *)p->service, "shop"));
    cr_assert(eq(str, (char *)p->owner, ""));
    cr_assert(eq(dbl, p->srm_tolerance, 0.01));
    cr_assert(not(p->require_ack));
    arena_free(&a);
}

Test(plan, a_looser_default_never_follows_a_tighter_tolerance)
{
    struct arena a = {0};
    char text[512];
    snprintf(
        text, sizeof text,
        "%ssteps: [{weight: 1%%, worse_than: 1.8}, {weight: 2%%}, {weight: 100%%}]\n",
        least);
    struct plan *p = parsed(&a, text);
    cr_assert(eq(dbl, p->steps[1].worse_than, 1.8));
    arena_free(&a);
}

Test(plan, json_is_yaml)
{
    struct arena a = {0};
    struct plan *p = parsed(
        &a,
        "{\"id\":\"a\",\"cohorts\":{\"canary\":{\"v\":\"2\"},\"baseline\":{\"v\":\"1\"}"
        "},\n"
        " \"metrics\":[{\"name\":\"errors\",\"abort_over\":1.25,\"limit\":\"2%\"}],\n"
        "\t\"sample_ratio\":{\"check\":false}, \"calibrate\":\"5m\"}");
    cr_assert(eq(dbl, p->metrics[0].abort_over, 1.25));
    cr_assert(eq(dbl, p->metrics[0].limit, 0.02));
    cr_assert(lt(dbl, p->srm_tolerance, 0), "off");
    cr_assert(eq(i64, p->calibrate_ms, 300000));
    arena_free(&a);
}

Test(plan, the_hash_is_of_the_text)
{
    struct arena a = {0};
    uint8_t digest[HASH_DIGEST];
    struct plan *p = parsed(&a, least);
    hash_digest(least, strlen(least), digest);
    cr_assert(eq(int, memcmp(p->hash, digest, sizeof digest), 0));
    arena_free(&a);
}

Test(plan, route)
{
    struct arena a = {0};
    pb_route *r = NULL;
    int rc = plan_route(&a, parsed(&a, example), &r);
    cr_assert(eq(int, rc, SERIN_OK));
    cr_assert(r->live);
    cr_assert(eq(sz, r->n_cohorts, 2));
    cr_assert(eq(int, r->cohorts[0]->cohort, SERIN__V1__COHORT__COHORT_CANARY));
    cr_assert(eq(int, r->cohorts[1]->cohort, SERIN__V1__COHORT__COHORT_BASELINE));
    cr_assert(eq(str, r->cohorts[1]->all[0]->value, "checkout"));
    cr_assert(eq(sz, r->n_strata, 1));
    cr_assert(eq(sz, r->n_metrics, 3));
    cr_assert(eq(str, r->metrics[0]->kind, "ratio"));
    cr_assert(eq(str, r->metrics[0]->from, "http.server.request.duration"));
    cr_assert(eq(str, r->metrics[2]->from, "cart"));
    cr_assert(gt(sz, serin__v1__route__get_packed_size(r), 100));
    arena_free(&a);
}

#define REST "metrics: [{name: errors}]\n"

Test(plan, cohorts_are_written_in_several_ways)
{
    struct arena a = {0};
    const struct plan *p =
        parsed(&a, "id: x\nservice: shop\nenvironment: prod\n"
                   "cohorts: {canary: 2.4.0, baseline: [2.3.8, 2.3.9]}\n" REST);
    cr_assert(eq(sz, p->n_cohort[0], 3));
    cr_assert(eq(str, (char *)p->cohort[0][0].key, "service.name"));
    cr_assert(eq(str, (char *)p->cohort[0][1].values[0], "prod"));
    cr_assert(eq(str, (char *)p->cohort[0][2].key, "service.version"));
    cr_assert(eq(str, (char *)p->cohort[0][2].values[0], "2.4.0"));
    cr_assert(eq(int, (int)p->cohort[1][2].kind, PATTERN_IN));
    cr_assert(eq(str, (char *)p->cohort[1][2].values[1], "2.3.9"));
    p = parsed(&a,
               "id: x\nflag: new-cart\ncohorts: {canary: on, baseline: off}\n" REST);
    cr_assert(eq(sz, p->n_cohort[1], 2));
    cr_assert(eq(str, (char *)p->cohort[1][0].values[0], "new-cart"));
    cr_assert(eq(str, (char *)p->cohort[1][1].key, "feature_flag.result.variant"));
    p = parsed(&a, "id: x\ncohorts:\n  canary: {v: {prefix: 2.4.}, zone: [a, b]}\n"
                   "  baseline: {v: {regex: \"2[.][0-3][.].*\"}}\n" REST);
    pb_route *r = NULL;
    cr_assert(eq(int, plan_route(&a, p, &r), SERIN_OK));
    cr_assert(eq(sz, r->cohorts[0]->n_all, 0));
    cr_assert(eq(str, r->cohorts[0]->rules[0]->prefix, "2.4."));
    cr_assert(eq(str, r->cohorts[0]->rules[1]->one_of[1], "b"));
    cr_assert(eq(str, r->cohorts[1]->rules[0]->regex, "2[.][0-3][.].*"));
    arena_free(&a);
}

Test(plan, every_allocation_may_fail)
{
    int rc = SERIN_ENOMEM;
    unsigned failures = 0;
    for (uint64_t k = 1; rc != SERIN_OK; k++, failures++) {
        struct arena a = {0};
        struct doc_errors errors = {0};
        struct plan *p = NULL;
        pb_route *r;
        const char *schema;
        mem_fail_at(k);
        rc = plan_parse(&a, example, strlen(example), &p, &errors);
        if (rc == SERIN_OK) rc = plan_route(&a, p, &r);
        if (rc == SERIN_OK) rc = plan_schema(&a, &schema);
        mem_fail_at(0);
        cr_assert(rc == SERIN_OK || rc == SERIN_ENOMEM, "%d at allocation %u", rc,
                  (unsigned)k);
        cr_assert(eq(sz, errors.total, 0));
        arena_free(&a);
    }
    cr_assert(gt(uint, failures, 3));
}

static void check_table(const struct keys_table *t)
{
    cr_assert(le(sz, t->n, (size_t)KEYS_MAX));
    for (size_t i = 0; i < t->n; i++) {
        const struct keys_key *k = &t->keys[i];
        cr_assert(k->doc != NULL, "%s", k->name);
        cr_assert(lt(sz, k->offset, t->size), "%s", k->name);
        cr_assert(
            eq(int, k->sub != NULL, k->type >= KEYS_SECTION && k->type <= KEYS_TABLE));
        cr_assert(eq(int, k->choices != NULL, k->type == KEYS_ENUM), "%s", k->name);
        bool ranged = k->type != KEYS_ID && k->type != KEYS_TIME &&
                      k->type != KEYS_BOOL && k->type != KEYS_ENUM &&
                      k->type != KEYS_SECTION && k->type != KEYS_ANY;
        if (ranged) cr_assert(lt(dbl, k->min, k->max), "%s", k->name);
        if (k->fallback != NULL) {
            struct arena a = {0};
            struct doc_errors errors = {0};
            struct doc_node *v, *map;
            char *text = malloc(strlen(k->name) + strlen(k->fallback) + 4);
            snprintf(text, strlen(k->name) + strlen(k->fallback) + 4, "%s: %s", k->name,
                     k->fallback);
            cr_assert(
                eq(int, doc_parse(&a, text, strlen(text), &map, &errors), SERIN_OK));
            v = map;
            struct keys_table one = {k, 1, t->size};
            void *out = calloc(1, t->size);
            cr_assert(eq(int, keys_read(&a, &one, v, out, &errors), SERIN_OK));
            cr_assert(eq(sz, errors.total, 0), "the default of %s is refused", k->name);
            free(out);
            free(text);
            arena_free(&a);
        }
        if (k->sub != NULL) check_table(k->sub);
    }
}

Test(plan, the_table_keeps_its_own_rules)
{
    check_table(&plan_keys);
}

Test(plan, an_experiment_has_one_step)
{
    static const char text[] =
        "id: x\nstrategy: experiment\n"
        "cohorts: {canary: {v: \"2\"}, baseline: {v: \"1\"}}\n"
        "experiment: {metric: b, better: up, weight: 25%, duration: 3d, keep: true}\n"
        "metrics: [{name: a}, {name: b}]\n";
    struct arena a = {0};
    struct doc_errors errors = {0};
    struct plan *p = NULL;
    cr_assert(eq(int, plan_parse(&a, text, strlen(text), &p, &errors), SERIN_OK));
    cr_assert(eq(sz, p->n_steps, 1));
    cr_assert(eq(u32, p->steps[0].weight_bp, 2500u));
    cr_assert(eq(i64, p->steps[0].timeout_ms, INT64_C(3) * 24 * 3600 * 1000));
    cr_assert(eq(i64, p->steps[0].warmup_ms, 10000));
    cr_assert(isnan(p->steps[0].worse_than));
    cr_assert(not(p->metrics[0].primary));
    cr_assert(p->metrics[1].primary && p->experiment.keep);
    cr_assert(eq(int, p->experiment.better, PLAN_UP));
    cr_assert(eq(dbl, p->experiment.equivalent, 0.02));
    cr_assert(eq(dbl, p->experiment.level, 0.05));
    arena_free(&a);
}
