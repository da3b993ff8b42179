/* ingest/route.c -- the table of live rollouts
 *
 * Found by id, or by attributes: every cohort's match is filed under its rarest
 * (key, value) pair, so a series with k attributes looks k pairs up and verifies the
 * few cohorts filed there. A rule with several values is filed under each of them; a
 * cohort with nothing but prefixes and regular expressions under a key alone. Both
 * indexes are rebuilt on the first look after a change.
 */
#include "ingest/route.h"

#include <stdio.h>

#include "engine/base/log.h"
#include "engine/base/mem.h"

enum { POOL_FIRST = 1024, POOL_MAX = 1 << 20 };

struct pair { /* one distinct (key, value) among all matches */
    uint64_t hash;
    struct strview key, value; /* value.p == NULL: the key alone */
    uint32_t uses, head;       /* posting, 1-based; 0: none */
};

struct posting { /* a cohort filed under a pair */
    struct route *route;
    enum route_cohort cohort;
    uint32_t next;
};

struct route_table {
    struct route **routes;
    size_t n, room;
    struct route **by_id; /* open addressing, size a power of two */
    size_t ids;
    struct pair *pairs;
    size_t n_pairs; /* likewise */
    struct posting *postings;
    uint32_t n_postings;
    bool by_key; /* some cohort is filed under a key alone */
    bool stale;
};

/* ---------------------------------------------------------------- building one route
 */

struct pool { /* all of one route's memory: one allocation */
    char *p;
    size_t used, room;
    bool full;
};

static void *pool_take(struct pool *b, size_t n)
{
    n = (n + 15) / 16 * 16;
    if (b->full || b->room - b->used < n) {
        b->full = true;
        return NULL;
    }
    b->used += n;
    return b->p + b->used - n;
}

static char *pool_text(struct pool *b, const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = pool_take(b, n);
    if (copy != NULL) memcpy(copy, s, n);
    return copy;
}

static bool metric_kind(const char *text, enum route_kind *out)
{
    static const char *const names[ROUTE_KINDS] = {"ratio", "latency", "gauge",
                                                   "events"};
    for (int k = 0; k < ROUTE_KINDS; k++) {
        if (strcmp(text, names[k]) != 0) continue;
        *out = (enum route_kind)k;
        return true;
    }
    return false;
}

static struct strview pool_view(struct pool *b, const char *s)
{
    char *copy = pool_text(b, s);
    return copy != NULL ? strview_of(copy) : (struct strview){"", 0};
}

static void build_rule(struct pool *b, struct route_rule *r, const char *key,
                       enum pattern_kind kind, char *const *values, size_t n)
{
    struct strview *list = pool_take(b, n * sizeof *list);
    *r = (struct route_rule){.key = pool_view(b, key)};
    r->key = series_canonical(r->key);
    for (size_t i = 0; list != NULL && i < n; i++)
        list[i] = pool_view(b, values[i]);
    r->pattern = (struct pattern){.kind = kind, .values = list, .n = n};
}

static void build_match(struct pool *b, struct route *r, const pb_match *m)
{
    if (m->cohort != SERIN__V1__COHORT__COHORT_CANARY &&
        m->cohort != SERIN__V1__COHORT__COHORT_BASELINE) {
        return;
    }
    int c =
        m->cohort == SERIN__V1__COHORT__COHORT_CANARY ? ROUTE_CANARY : ROUTE_BASELINE;
    struct route_rule *a = pool_take(b, (m->n_all + m->n_rules) * sizeof *a);
    for (size_t i = 0; a != NULL && i < m->n_all; i++)
        build_rule(b, &a[i], m->all[i]->key, PATTERN_EQUAL, &m->all[i]->value, 1);
    for (size_t i = 0; a != NULL && i < m->n_rules; i++) {
        Serin__V1__Rule *u = m->rules[i];
        bool regex = u->regex[0] != '\0', prefix = u->prefix[0] != '\0';
        char **one = regex ? &u->regex : &u->prefix;
        enum pattern_kind kind = regex    ? PATTERN_REGEX
                                 : prefix ? PATTERN_PREFIX
                                          : PATTERN_IN;
        build_rule(b, &a[m->n_all + i], u->key, kind,
                   kind == PATTERN_IN ? u->one_of : one,
                   kind == PATTERN_IN ? u->n_one_of : 1);
    }
    r->match[c] = a;
    r->n_match[c] = a != NULL ? m->n_all + m->n_rules : 0;
}

/* Regular expressions live outside the pool: made last, when all else is there. */
static enum serin_status open_patterns(struct route *r, struct fault *f)
{
    enum serin_status status = SERIN_OK;
    for (int c = 0; c < ROUTE_COHORTS; c++)
        for (size_t k = 0; k < r->n_match[c]; k++) {
            struct fault why;
            if (pattern_open(&r->match[c][k].pattern, &why) == SERIN_OK) continue;
            status = fault_set(
                f, SERIN_EDOM,
                "rollout %s, attribute %.*s: %s; its cohort gets nothing", r->id,
                (int)r->match[c][k].key.n, r->match[c][k].key.p, why.text);
        }
    return status;
}

static enum serin_status build_metric(struct pool *b, struct route *r,
                                      const pb_route_metric *m, struct fault *f)
{
    struct route_metric out = {.scale = m->scale > 0 ? m->scale : 1};
    if (!metric_kind(m->kind, &out.kind)) {
        return fault_set(f, SERIN_EDOM,
                         "rollout %s, metric %s: kind \"%s\": expected ratio, latency, "
                         "gauge or events; its samples count as unrouted",
                         r->id, m->name, m->kind);
    }
    out.name = pool_text(b, m->name);
    out.from =
        m->from[0] != '\0' ? strview_of(pool_text(b, m->from)) : strview_of(out.name);
    out.unit_key = strview_of(pool_text(b, m->unit_key));
    out.user_key = strview_of(pool_text(b, m->user_key));
    out.per_user = m->per_user && out.kind == ROUTE_RATIO;
    if (m->bad[0] != '\0' && !b->full) {
        struct strview text = strview_of(pool_text(b, m->bad));
        if (text.p != NULL && condition_parse(text, &out.bad, f) != SERIN_OK) {
            return SERIN_EDOM;
        }
        out.conditional = true;
    }
    if (!b->full) r->metrics[r->n_metrics++] = out;
    return SERIN_OK;
}

static enum serin_status build(struct pool *b, const pb_rollout *m, struct route **out,
                               struct fault *f)
{
    const pb_route *p = m->route;
    enum serin_status status = SERIN_OK;
    size_t n = p->n_metrics < ROUTE_MAX_METRICS ? p->n_metrics : ROUTE_MAX_METRICS;
    struct route *r = pool_take(b, sizeof *r);
    if (r == NULL) return SERIN_OK;
    r->id = pool_text(b, m->rollout);
    r->id_len = strlen(m->rollout);
    r->strata = pool_take(b, p->n_strata * sizeof *r->strata);
    r->metrics = pool_take(b, n * sizeof *r->metrics);
    if (b->full) return SERIN_OK;
    for (size_t i = 0; i < p->n_cohorts; i++)
        build_match(b, r, p->cohorts[i]);
    for (size_t i = 0; i < p->n_strata; i++) {
        r->strata[r->n_strata++] = strview_of(pool_text(b, p->strata[i]));
    }
    for (size_t i = 0; i < n; i++) {
        enum serin_status s = build_metric(b, r, p->metrics[i], f);
        if (s != SERIN_OK) status = s;
    }
    *out = r;
    return status;
}

/* Try with ever more room: a route's size is not known before it is built. */
static enum serin_status route_make(const pb_rollout *m, struct route **out,
                                    struct fault *f)
{
    for (size_t room = POOL_FIRST; room <= POOL_MAX; room *= 2) {
        struct pool b = {mem_calloc(1, room), 0, room, false};
        if (b.p == NULL) return fault_set(f, SERIN_ENOMEM, "routes: out of memory");
        enum serin_status s = build(&b, m, out, f);
        if (!b.full) {
            enum serin_status p = open_patterns(*out, f);
            return s != SERIN_OK ? s : p;
        }
        mem_free(b.p);
    }
    return fault_set(f, SERIN_ELIMIT, "rollout %s: its route is over %d bytes",
                     m->rollout, POOL_MAX);
}

static void route_free(struct route *r)
{
    for (size_t i = 0; i < r->n_stratum; i++)
        mem_free(r->stratum[i]);
    for (int c = 0; c < ROUTE_COHORTS; c++)
        for (size_t k = 0; k < r->n_match[c]; k++)
            pattern_close(&r->match[c][k].pattern);
    mem_free(r); /* the start of its pool */
}

/* ---------------------------------------------------------------- the table */

enum serin_status route_table_open(struct route_table **out)
{
    struct route_table *t = mem_calloc(1, sizeof *t);
    if (t == NULL) return SERIN_ENOMEM;
    *out = t;
    return SERIN_OK;
}

static void indexes_free(struct route_table *t)
{
    mem_free(t->by_id);
    mem_free(t->pairs);
    mem_free(t->postings);
    t->by_id = NULL;
    t->pairs = NULL;
    t->postings = NULL;
    t->ids = t->n_pairs = 0;
}

void route_table_close(struct route_table *t)
{
    if (t == NULL) return;
    for (size_t i = 0; i < t->n; i++)
        route_free(t->routes[i]);
    mem_free(t->routes);
    indexes_free(t);
    mem_free(t);
}

size_t route_table_live(const struct route_table *t)
{
    return t->n;
}

/* The slot of by_id that holds this id, or the empty one where it belongs. */
static struct route **id_slot(const struct route_table *t, struct strview id)
{
    size_t i = (size_t)series_hash(id.p, id.n, 0) & (t->ids - 1);
    while (t->by_id[i] != NULL) {
        struct strview there = {t->by_id[i]->id, t->by_id[i]->id_len};
        if (strview_eq(there, id)) break;
        i = (i + 1) & (t->ids - 1);
    }
    return &t->by_id[i];
}

static enum serin_status ids_rebuild(struct route_table *t, size_t size)
{
    struct route **slots = mem_calloc(size, sizeof *slots);
    if (slots == NULL) return SERIN_ENOMEM;
    mem_free(t->by_id);
    t->by_id = slots;
    t->ids = size;
    for (size_t i = 0; i < t->n; i++) {
        *id_slot(t, (struct strview){t->routes[i]->id, t->routes[i]->id_len}) =
            t->routes[i];
    }
    return SERIN_OK;
}

static struct route *route_by_id(const struct route_table *t, struct strview id)
{
    return t->ids != 0 ? *id_slot(t, id) : NULL;
}

bool route_table_remove(struct route_table *t, struct strview id)
{
    struct route *r = route_by_id(t, id);
    if (r == NULL) return false;
    t->routes[r->slot] = t->routes[--t->n];
    t->routes[r->slot]->slot = r->slot;
    route_free(r);
    t->stale = true;
    /* Deleting from open addressing: rebuild in place, which cannot fail. */
    memset(t->by_id, 0, t->ids * sizeof *t->by_id);
    for (size_t i = 0; i < t->n; i++) {
        *id_slot(t, (struct strview){t->routes[i]->id, t->routes[i]->id_len}) =
            t->routes[i];
    }
    return true;
}

static enum serin_status table_room(struct route_table *t)
{
    if (t->n == t->room) {
        size_t room = t->room != 0 ? t->room * 2 : 64;
        struct route **p = mem_realloc(t->routes, room, sizeof *p);
        if (p == NULL) return SERIN_ENOMEM;
        t->routes = p;
        t->room = room;
    }
    return t->ids < 2 * (t->n + 1) ? ids_rebuild(t, t->room * 4) : SERIN_OK;
}

static uint64_t route_digest(const pb_route *m)
{
    size_t n = serin__v1__route__get_packed_size(m);
    uint8_t *p = mem_calloc(n, 1);
    if (p == NULL) return 0; /* equals nothing kept: the route is taken as changed */
    serin__v1__route__pack(m, p);
    uint64_t h = series_hash(p, n, 1) | 1;
    mem_free(p);
    return h;
}

static enum serin_status put_new(struct route_table *t, const pb_rollout *m,
                                 uint64_t digest, struct fault *f)
{
    struct route *r = NULL;
    if (t->n == ROUTE_MAX_LIVE) {
        return fault_set(
            f, SERIN_ELIMIT,
            "rollout %s: %d rollouts are live already; finish or cancel some",
            m->rollout, ROUTE_MAX_LIVE);
    }
    if (table_room(t) != SERIN_OK)
        return fault_set(f, SERIN_ENOMEM, "routes: no memory");
    enum serin_status s = route_make(m, &r, f);
    if (r == NULL) return s;
    r->digest = digest;
    r->slot = t->n;
    t->routes[t->n++] = r;
    *id_slot(t, (struct strview){r->id, r->id_len}) = r;
    t->stale = true;
    return s;
}

enum serin_status route_table_put(struct route_table *t, const pb_rollout *m,
                                  bool *changed, struct fault *f)
{
    struct strview id = strview_of(m->rollout);
    struct route *old = route_by_id(t, id);
    bool live = m->route != NULL && m->route->live && id.n != 0;
    uint64_t digest = live ? route_digest(m->route) : 0;
    *changed = false;
    if (old != NULL && live && old->digest == digest && digest != 0) return SERIN_OK;
    *changed = old != NULL || live;
    if (old != NULL) route_table_remove(t, id);
    return live ? put_new(t, m, digest, f) : SERIN_OK;
}

/* ---------------------------------------------------------------- the attribute index
 */

static uint64_t pair_hash(struct strview key, struct strview value)
{
    uint64_t seed = value.p != NULL ? 2 : 4;
    return series_hash(value.p, value.n, series_hash(key.p, key.n, seed));
}

static struct pair *pair_find(const struct route_table *t, struct strview key,
                              struct strview value)
{
    uint64_t h = pair_hash(key, value);
    size_t i = (size_t)h & (t->n_pairs - 1);
    for (; t->pairs[i].uses != 0; i = (i + 1) & (t->n_pairs - 1)) {
        struct pair *p = &t->pairs[i];
        if (p->hash == h && (p->value.p == NULL) == (value.p == NULL) &&
            strview_eq(p->key, key) && strview_eq(p->value, value)) {
            return p;
        }
    }
    t->pairs[i].hash = h;
    return &t->pairs[i];
}

/* The pairs that a rule may be filed under: one for each value, or its key alone. */
static size_t rule_pairs(const struct route_rule *r)
{
    bool listed = r->pattern.kind == PATTERN_EQUAL || r->pattern.kind == PATTERN_IN;
    return listed ? r->pattern.n : 1;
}

static struct pair *rule_pair(const struct route_table *t, const struct route_rule *r,
                              size_t i, struct strview *value)
{
    bool listed = r->pattern.kind == PATTERN_EQUAL || r->pattern.kind == PATTERN_IN;
    *value = listed ? r->pattern.values[i] : (struct strview){NULL, 0};
    return pair_find(t, r->key, *value);
}

static size_t count_pairs(const struct route_table *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        for (int c = 0; c < ROUTE_COHORTS; c++)
            for (size_t k = 0; k < t->routes[i]->n_match[c]; k++)
                n += rule_pairs(&t->routes[i]->match[c][k]);
    return n;
}

static void count_uses(struct route_table *t, const struct route *r)
{
    for (int c = 0; c < ROUTE_COHORTS; c++) {
        for (size_t k = 0; k < r->n_match[c]; k++) {
            for (size_t i = 0; i < rule_pairs(&r->match[c][k]); i++) {
                struct strview value;
                struct pair *p = rule_pair(t, &r->match[c][k], i, &value);
                p->key = r->match[c][k].key;
                p->value = value;
                p->uses++;
            }
        }
    }
}

/* How many cohorts a series is compared with for each that is filed so; a key alone is
 * taken only when there is nothing else. */
static uint64_t rule_cost(const struct route_table *t, const struct route_rule *r)
{
    uint64_t cost = 0;
    struct strview value = {"", 0};
    for (size_t i = 0; i < rule_pairs(r); i++)
        cost += rule_pair(t, r, i, &value)->uses;
    return value.p != NULL ? cost : cost + UINT32_MAX;
}

static void file_cohort(struct route_table *t, struct route *r, enum route_cohort c)
{
    const struct route_rule *rarest = NULL;
    uint64_t least = UINT64_MAX;
    for (size_t k = 0; k < r->n_match[c]; k++) {
        uint64_t cost = rule_cost(t, &r->match[c][k]);
        if (cost < least) {
            least = cost;
            rarest = &r->match[c][k];
        }
    }
    if (rarest == NULL) return; /* no attributes: reached by name only */
    for (size_t i = 0; i < rule_pairs(rarest); i++) {
        struct strview value;
        struct pair *p = rule_pair(t, rarest, i, &value);
        const struct posting *there = p->head != 0 ? &t->postings[p->head - 1] : NULL;
        if (there != NULL && there->route == r && there->cohort == c)
            continue; /* a value given twice */
        t->postings[t->n_postings++] = (struct posting){r, c, p->head};
        p->head = t->n_postings;
        t->by_key |= value.p == NULL;
    }
}

static enum serin_status rebuild(struct route_table *t)
{
    size_t size = 16, all = count_pairs(t);
    while (size < 2 * all + 2)
        size *= 2;
    struct pair *pairs = mem_calloc(size, sizeof *pairs);
    struct posting *postings = mem_calloc(all + 1, sizeof *postings);
    if (pairs == NULL || postings == NULL) {
        mem_free(pairs);
        mem_free(postings);
        return SERIN_ENOMEM;
    }
    mem_free(t->pairs);
    mem_free(t->postings);
    t->pairs = pairs;
    t->n_pairs = size;
    t->postings = postings;
    t->n_postings = 0;
    t->by_key = false;
    for (size_t i = 0; i < t->n; i++)
        count_uses(t, t->routes[i]);
    for (size_t i = 0; i < t->n; i++) {
        file_cohort(t, t->routes[i], ROUTE_CANARY);
        file_cohort(t, t->routes[i], ROUTE_BASELINE);
    }
    t->stale = false;
    return SERIN_OK;
}

/* ---------------------------------------------------------------- looking */

static bool matches(const struct route *r, enum route_cohort c,
                    const struct series_name *s)
{
    struct strview v;
    for (size_t k = 0; k < r->n_match[c]; k++) {
        const struct route_rule *rule = &r->match[c][k];
        if (!series_attribute_get(s, rule->key, &v)) return false;
        if (!pattern_matches(&rule->pattern, v)) return false;
    }
    return r->n_match[c] != 0;
}

/* Which cohort of r the attributes name: the one with more rules. */
static bool cohort_of(const struct route *r, const struct series_name *s,
                      enum route_cohort *out)
{
    bool canary = matches(r, ROUTE_CANARY, s), baseline = matches(r, ROUTE_BASELINE, s);
    if (canary && baseline) {
        canary = r->n_match[ROUTE_CANARY] > r->n_match[ROUTE_BASELINE];
        baseline = r->n_match[ROUTE_CANARY] < r->n_match[ROUTE_BASELINE];
    }
    *out = canary ? ROUTE_CANARY : ROUTE_BASELINE;
    return canary || baseline;
}

static bool cohort_named(struct strview name, enum route_cohort *out)
{
    if (strview_eq(name, strview_of("canary")))
        *out = ROUTE_CANARY;
    else if (strview_eq(name, strview_of("baseline")))
        *out = ROUTE_BASELINE;
    else
        return false;
    return true;
}

static void find_filed(const struct route_table *t, const struct series_name *s,
                       struct strview key, struct strview value,
                       struct route_match *out, size_t *n)
{
    for (uint32_t p = pair_find(t, key, value)->head; p != 0;
         p = t->postings[p - 1].next) {
        const struct posting *at = &t->postings[p - 1];
        enum route_cohort c;
        /* Each cohort is filed once; asking for its own keeps a rollout to one entry.
         */
        if (!cohort_of(at->route, s, &c) || c != at->cohort) continue;
        if (*n < ROUTE_MAX_MATCHES) out[(*n)++] = (struct route_match){at->route, c};
    }
}

enum serin_status route_table_find(struct route_table *t, const struct series_name *s,
                                   struct route_match *out, size_t *n)
{
    enum route_cohort c;
    *n = 0;
    if (s->rollout.n != 0) {
        struct route *r = route_by_id(t, s->rollout);
        if (r == NULL) return SERIN_OK;
        bool known =
            s->cohort.n != 0 ? cohort_named(s->cohort, &c) : cohort_of(r, s, &c);
        if (known) out[(*n)++] = (struct route_match){r, c};
        return SERIN_OK;
    }
    if ((t->stale || t->n_pairs == 0) && rebuild(t) != SERIN_OK) return SERIN_ENOMEM;
    for (size_t i = 0; i < s->n_attributes; i++) {
        bool repeated =
            false; /* a key given twice: the first counts, here as in matches */
        for (size_t k = 0; k < i; k++) {
            repeated |= strview_eq(s->attributes[k].key, s->attributes[i].key);
        }
        const struct series_attribute *a = &s->attributes[i];
        struct strview value = {a->value.p != NULL ? a->value.p : "", a->value.n};
        if (repeated) continue;
        find_filed(t, s, a->key, value, out, n);
        if (t->by_key) find_filed(t, s, a->key, (struct strview){NULL, 0}, out, n);
    }
    return SERIN_OK;
}

/* ---------------------------------------------------------------- strata */

static size_t stratum_text(const struct route *r, const struct series_name *s,
                           char *out, size_t room)
{
    size_t n = 0;
    if (s->stratum.n != 0) {
        if (s->stratum.n >= room) return room;
        memcpy(out, s->stratum.p, s->stratum.n);
        return s->stratum.n;
    }
    for (size_t i = 0; i < r->n_strata; i++) {
        struct strview v = {NULL, 0};
        (void)series_attribute_get(s, r->strata[i], &v);
        if (v.n + 1 >= room - n) return room;
        if (i != 0) out[n++] = ',';
        if (v.n != 0) memcpy(out + n, v.p, v.n);
        n += v.n;
    }
    return n;
}

uint8_t route_stratum(struct route *r, const struct series_name *s)
{
    char text[ROUTE_MAX_STRATUM + 1];
    size_t n = stratum_text(r, s, text, sizeof text);
    if (n >= sizeof text) return ROUTE_MAX_STRATA - 1;
    text[n] = '\0';
    for (size_t i = 0; i < r->n_stratum; i++) {
        if (strcmp(r->stratum[i], text) == 0) return (uint8_t)i;
    }
    if (r->n_stratum == ROUTE_MAX_STRATA - 1) return ROUTE_MAX_STRATA - 1;
    char *copy = mem_strdup(text);
    if (copy == NULL) return ROUTE_MAX_STRATA - 1;
    r->stratum[r->n_stratum++] = copy;
    if (r->n_stratum == ROUTE_MAX_STRATA - 1) {
        log_warn("ingest",
                 "rollout %s: %d strata seen; further ones count as \"other\"", r->id,
                 ROUTE_MAX_STRATA - 1);
    }
    return (uint8_t)(r->n_stratum - 1);
}

const char *route_stratum_name(const struct route *r, uint8_t stratum)
{
    return stratum < r->n_stratum ? r->stratum[stratum] : "other";
}
