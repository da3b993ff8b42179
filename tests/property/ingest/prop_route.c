/* tests/property/ingest/prop_route.c -- the index against a matcher that tries every
 * rule of every rollout on every series, with POSIX regular expressions */
#include <regex.h>

#include "ingest/route.h"
#include "tests/support/check.h"

enum { ROLLOUTS = 60, RULES = 4, VALUES = 3, SERIES = 400 };

static const char *const keys[] = {"a", "b", "c", "deployment.environment"};
static const char *const values[] = {"",   "x",   "xy",    "xyz",
                                     "y1", "y22", "2.4.0", "2.40"};
static const char *const regexes[] = {"x.*", "y[0-9]+", "2\\.4\\..", "(x|y1)", "[^x]*"};

struct made { /* one cohort */
    Serin__V1__Match m;
    pb_attribute all[RULES], *all_list[RULES];
    Serin__V1__Rule rules[RULES], *rule_list[RULES];
    char *one_of[RULES][VALUES];
};

static char *any(gsl_rng *g, const char *const *of, size_t n)
{
    return (char *)(uintptr_t)of[gsl_rng_uniform_int(g, n)];
}

static void make_rule(gsl_rng *g, struct made *d, int i)
{
    Serin__V1__Rule *r = d->rule_list[i] = &d->rules[i];
    serin__v1__rule__init(r);
    r->key = any(g, keys, 4);
    switch (gsl_rng_uniform_int(g, 3)) {
    case 0:
        r->one_of = d->one_of[i];
        r->n_one_of = 1 + gsl_rng_uniform_int(g, VALUES);
        for (size_t k = 0; k < r->n_one_of; k++)
            r->one_of[k] = any(g, values, 8);
        break;
    case 1:
        r->prefix = any(g, values + 1, 7);
        break;
    default:
        r->regex = any(g, regexes, 5);
    }
}

static pb_match *make_cohort(gsl_rng *g, struct made *d, int cohort)
{
    serin__v1__match__init(&d->m);
    d->m.cohort = cohort == ROUTE_CANARY ? SERIN__V1__COHORT__COHORT_CANARY
                                         : SERIN__V1__COHORT__COHORT_BASELINE;
    d->m.all = d->all_list;
    d->m.rules = d->rule_list;
    size_t n = 1 + gsl_rng_uniform_int(g, RULES);
    for (size_t i = 0; i < n; i++) {
        if (gsl_rng_uniform_int(g, 2) == 0) {
            make_rule(g, d, (int)d->m.n_rules++);
            continue;
        }
        pb_attribute *a = d->all_list[d->m.n_all] = &d->all[d->m.n_all];
        serin__v1__attribute__init(a);
        a->key = any(g, keys, 4);
        a->value = any(g, values, 8);
        d->m.n_all++;
    }
    return &d->m;
}

static void put(struct route_table *t, const char *id, struct made *two)
{
    pb_match *cohorts[] = {&two[0].m, &two[1].m};
    pb_route_metric metric = SERIN__V1__ROUTE_METRIC__INIT, *metrics[] = {&metric};
    metric.name = (char *)(uintptr_t) "errors";
    metric.kind = (char *)(uintptr_t) "ratio";
    pb_route route = SERIN__V1__ROUTE__INIT;
    route.live = true;
    route.cohorts = cohorts;
    route.n_cohorts = 2;
    route.metrics = metrics;
    route.n_metrics = 1;
    pb_rollout row = SERIN__V1__ROLLOUT__INIT;
    row.schema = SERIN_SCHEMA;
    row.rollout = (char *)(uintptr_t)id;
    row.route = &route;
    bool changed;
    struct fault f = {0};
    int rc = route_table_put(t, &row, &changed, &f);
    cr_assert(eq(int, rc, SERIN_OK), "%s", f.text);
}

/* ---- the naive matcher */
static const char *value_of(const struct series_name *s, const char *key)
{
    for (size_t i = 0; i < s->n_attributes; i++)
        if (strview_eq(s->attributes[i].key, strview_of(key)))
            return s->attributes[i].value.p;
    if (strcmp(key, "deployment.environment") == 0)
        return value_of(s, "deployment.environment.name");
    return NULL;
}

static bool fits(const Serin__V1__Rule *r, const char *v)
{
    char whole[64];
    regex_t re;
    if (v == NULL) return false;
    if (r->prefix[0] != '\0') return strncmp(v, r->prefix, strlen(r->prefix)) == 0;
    for (size_t i = 0; i < r->n_one_of; i++)
        if (strcmp(v, r->one_of[i]) == 0) return true;
    if (r->regex[0] == '\0') return false;
    snprintf(whole, sizeof whole, "^(%s)$", r->regex);
    cr_assert(eq(int, regcomp(&re, whole, REG_EXTENDED | REG_NOSUB), 0));
    bool yes = regexec(&re, v, 0, NULL, 0) == 0;
    regfree(&re);
    return yes;
}

/* Rules of the cohort when all of them hold, else 0. */
static size_t weight(const struct made *d, const struct series_name *s)
{
    for (size_t i = 0; i < d->m.n_all; i++) {
        const char *v = value_of(s, d->m.all[i]->key);
        if (v == NULL || strcmp(v, d->m.all[i]->value) != 0) return 0;
    }
    for (size_t i = 0; i < d->m.n_rules; i++)
        if (!fits(d->m.rules[i], value_of(s, d->m.rules[i]->key))) return 0;
    return d->m.n_all + d->m.n_rules;
}

static unsigned check_series(struct route_table *t, struct made (*all)[2],
                             const struct series_name *s)
{
    struct route_match m[ROUTE_MAX_MATCHES];
    int got[ROLLOUTS] = {0};
    size_t n;
    unsigned found = 0;
    cr_assert(eq(int, route_table_find(t, s, m, &n), SERIN_OK));
    for (size_t i = 0; i < n; i++)
        got[strtol(m[i].route->id + 1, NULL, 10)] +=
            m[i].cohort == ROUTE_CANARY ? 1 : 100;
    for (int r = 0; r < ROLLOUTS; r++) {
        size_t c = weight(&all[r][0], s), b = weight(&all[r][1], s);
        int want = c > b ? 1 : c < b ? 100 : 0;
        cr_assert(eq(int, got[r], want), "rollout %d", r);
        found += want != 0;
    }
    return found;
}

Test(prop_route, the_index_finds_what_trying_everything_finds)
{
    static const char *const seen[] = {"a", "b", "c", "d",
                                       "deployment.environment.name"};
    static struct made all[ROLLOUTS][2];
    gsl_rng *g = check_rng(61);
    unsigned found = 0;
    for (int round = 0; round < 20; round++) {
        struct route_table *t = NULL;
        cr_assert(eq(int, route_table_open(&t), SERIN_OK));
        memset(all, 0, sizeof all);
        for (int r = 0; r < ROLLOUTS; r++) {
            char id[16];
            make_cohort(g, &all[r][0], ROUTE_CANARY);
            make_cohort(g, &all[r][1], ROUTE_BASELINE);
            snprintf(id, sizeof id, "r%d", r);
            put(t, id, all[r]);
        }
        for (int i = 0; i < SERIES; i++) {
            struct series_name s = {.metric = strview_of("errors")};
            for (int k = 0; k < 5; k++) {
                if (gsl_rng_uniform_int(g, 3) == 0) continue;
                s.attributes[s.n_attributes++] = (struct series_attribute){
                    strview_of(seen[k]), strview_of(any(g, values, 8))};
            }
            found += check_series(t, all, &s);
        }
        route_table_close(t);
    }
    cr_assert(gt(uint, found, 10000), "%u", found);
    gsl_rng_free(g);
}

Test(prop_route, a_hostile_pattern_or_value_costs_little)
{
    static char text[4096];
    memset(text, 'a', sizeof text - 1);
    struct strview value = strview_of("(a+)+[bc]");
    struct pattern p = {.kind = PATTERN_REGEX, .values = &value, .n = 1};
    struct fault f = {0};
    cr_assert(eq(int, pattern_open(&p, &f), SERIN_OK));
    for (int i = 0; i < 1000; i++) /* unbounded, one alone would take for ever */
        cr_assert(not(pattern_matches(&p, strview_of(text))));
    cr_assert(pattern_matches(&p, strview_of("aab")));
    cr_assert(not(pattern_matches(&p, strview_of("aabc"))), "the whole value");
    pattern_close(&p);
}
