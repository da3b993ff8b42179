/* engine/replay/scene/inject.c */
#include "engine/replay/scene/inject.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/keys_value.h"
#include "engine/base/strview.h"
#include "ingest/decode/number.h"

enum { SKEW_MOST_MS = 3600000 };
static const double factor_most = 1000;

/* One of a SPEC's parts; every view lies in the text. */
struct parser {
    const struct plan *plan;
    const char *text;
    struct inject *one;
    const char *expected; /* of HOW */
    struct fault *f;
};

static enum serin_status refuse(const struct parser *s, struct strview found,
                                const char *fmt, ...) SERIN_PRINTF(3, 4);

static enum serin_status refuse(const struct parser *s, struct strview found,
                                const char *fmt, ...)
{
    char why[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return fault_set(s->f, SERIN_EPARSE, "'%.80s', column %zu: '%.*s': %s", s->text,
                     (size_t)(found.p - s->text) + 1,
                     (int)(found.n < 60 ? found.n : 60), found.p, why);
}

static bool is(struct strview a, const char *word)
{
    return strview_eq(a, strview_of(word));
}

static struct strview trim(struct strview v)
{
    while (v.n > 0 && *v.p == ' ')
        v.p++, v.n--;
    while (v.n > 0 && v.p[v.n - 1] == ' ')
        v.n--;
    return v;
}

/* What is left of the first `c`, which *rest begins behind; all when there is none. */
static struct strview before(struct strview *rest, char c)
{
    const char *at = memchr(rest->p, c, rest->n);
    struct strview left = {rest->p, at != NULL ? (size_t)(at - rest->p) : rest->n};
    size_t used = left.n + (at != NULL);
    *rest = (struct strview){rest->p + used, rest->n - used};
    return trim(left);
}

static bool ends(struct strview *v, const char *suffix)
{
    size_t n = strlen(suffix);
    if (v->n <= n || memcmp(v->p + v->n - n, suffix, n) != 0) return false;
    v->n -= n;
    return true;
}

/* ---------------------------------------------------------------- WHAT */

static enum serin_status unknown(const struct parser *s, struct strview name)
{
    char all[160] = "";
    size_t at = 0, best = 4;
    const char *near = NULL;
    for (size_t i = 0; i < s->plan->n_metrics && at < sizeof all; i++) {
        const char *one = s->plan->metrics[i].name;
        size_t far = strview_distance(name, strview_of(one));
        at += (size_t)snprintf(all + at, sizeof all - at, "%s, ", one);
        if (far < best) {
            best = far;
            near = one;
        }
    }
    return refuse(s, name,
                  "no metric of the plan%s%s%s; expected one of %ssilence, skew or "
                  "sample_ratio",
                  near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                  near != NULL ? "?" : "", all);
}

static enum serin_status parse_what(struct parser *s, struct strview name)
{
    static const char *const kinds[PLAN_NKIND] = {
        [PLAN_RATIO] = "x2 (times the odds; with ,risk times the rate) or +1% (of the "
                       "requests fail beside)",
        [PLAN_LATENCY] = "+30%, -20%, x1.5 or +500ms, with /1% for a part of the "
                         "requests only",
        [PLAN_GAUGE] = "x1.2, +20%, -20%, +5 or -5, with /25% for a part of the pods",
        [PLAN_EVENTS] = "x3, +20%, -20% or +6/h",
        [PLAN_SATURATION] = "x1.2, +20%, -20%, +5 or -5, with /25% for a part of the "
                            "pods"};
    struct inject *one = s->one;
    one->metric = -1;
    one->on[0] = true;
    if (is(name, "silence")) {
        one->what = INJECT_SILENCE;
        s->expected = "canary or baseline";
    } else if (is(name, "skew")) {
        one->what = INJECT_SKEW;
        s->expected = "canary:+30s or baseline:-30s, whole seconds up to an hour";
    } else if (is(name, "sample_ratio")) {
        one->what = INJECT_SAMPLE_RATIO;
        s->expected = "x0.8 (of the canary's share of requests)";
    } else {
        for (size_t i = 0; i < s->plan->n_metrics; i++)
            if (is(name, s->plan->metrics[i].name)) one->metric = (int)i;
        if (one->metric < 0) return unknown(s, name);
        s->expected = kinds[s->plan->metrics[one->metric].kind];
    }
    return SERIN_OK;
}

/* ---------------------------------------------------------------- HOW */

static enum serin_status no_how(const struct parser *s, struct strview how)
{
    return refuse(s, how, "expected %s", s->expected);
}

static enum serin_status factor(struct parser *s, struct strview how, double x)
{
    if (!(x > 0 && x <= factor_most))
        return refuse(
            s, how, "a factor has to be above 0 and at most %g%s", factor_most,
            s->one->what == INJECT_METRIC ? "; for no records at all: silence=canary"
                                          : "");
    if (x == 1) return refuse(s, how, "changes nothing; expected %s", s->expected);
    s->one->how = INJECT_FACTOR;
    s->one->amount = x;
    return SERIN_OK;
}

static enum serin_status add(struct parser *s, struct strview how, double amount)
{
    if (amount == 0) return refuse(s, how, "changes nothing; expected %s", s->expected);
    s->one->how = INJECT_ADD;
    s->one->amount = amount;
    return SERIN_OK;
}

/* "/1%" at the end: not everybody. */
static enum serin_status part(struct parser *s, struct strview *how)
{
    const char *slash = memchr(how->p, '/', how->n);
    double percent;
    s->one->part = 1;
    if (slash == NULL) return SERIN_OK;
    struct strview text = {slash + 1, how->n - (size_t)(slash - how->p) - 1};
    struct strview digits = text;
    how->n = (size_t)(slash - how->p);
    if (!ends(&digits, "%") || !number_parse(digits, &percent) || !(percent > 0) ||
        percent > 100)
        return refuse(s, text,
                      "expected a part such as 1%%, above 0 and at most 100%%");
    s->one->part = percent / 100;
    return SERIN_OK;
}

/* Behind the sign, without a percent sign. */
static enum serin_status how_much(struct parser *s, struct strview how, double sign)
{
    static const struct {
        const char *suffix;
        double per_s;
    } rates[] = {{"/s", 1}, {"/m", 60}, {"/h", 3600}};
    const struct plan_metric *m = &s->plan->metrics[s->one->metric];
    struct strview digits = {how.p + 1, how.n - 1};
    int64_t ms;
    double x;
    if (m->kind == PLAN_LATENCY && sign > 0 && strview_duration_ms(digits, &ms))
        return add(s, how, (double)ms);
    if ((m->kind == PLAN_GAUGE || m->kind == PLAN_SATURATION) &&
        number_parse(digits, &x) && x >= 0)
        return add(s, how, sign * x);
    if (m->kind == PLAN_EVENTS && sign > 0)
        for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
            if (ends(&digits, rates[i].suffix))
                return number_parse(digits, &x) && x >= 0
                           ? add(s, how, x / rates[i].per_s)
                           : no_how(s, how);
    return no_how(s, how);
}

/* Of a ratio's requests so many fail beside; all else is that much larger. */
static enum serin_status by_percent(struct parser *s, struct strview how, double sign,
                                    double percent)
{
    if (s->plan->metrics[s->one->metric].kind != PLAN_RATIO)
        return factor(s, how, 1 + sign * percent / 100);
    if (sign < 0 || percent > 100) return no_how(s, how);
    return add(s, how, percent / 100);
}

static enum serin_status change_of_metric(struct parser *s, struct strview how)
{
    enum plan_kind kind = s->plan->metrics[s->one->metric].kind;
    struct strview whole = how;
    double x;
    enum serin_status rc = SERIN_OK;
    s->one->part = 1;
    if (kind != PLAN_RATIO && kind != PLAN_EVENTS) rc = part(s, &how);
    if (rc != SERIN_OK) return rc;
    if (how.n < 2) return no_how(s, whole);
    struct strview digits = {how.p + 1, how.n - 1};
    double sign = *how.p == '-' ? -1 : 1;
    if (*how.p == 'x')
        return number_parse(digits, &x) ? factor(s, how, x) : no_how(s, whole);
    if (*how.p != '+' && *how.p != '-') return no_how(s, whole);
    if (!ends(&digits, "%")) return how_much(s, how, sign);
    return number_parse(digits, &x) && x >= 0 ? by_percent(s, how, sign, x)
                                              : no_how(s, whole);
}

/* "canary" or "baseline". */
static bool cohort(struct inject *one, struct strview name)
{
    one->on[0] = is(name, "canary");
    one->on[1] = is(name, "baseline");
    return one->on[0] || one->on[1];
}

/* canary:+30s */
static enum serin_status skew(struct parser *s, struct strview how)
{
    struct strview rest = how;
    int64_t ms;
    if (!cohort(s->one, before(&rest, ':')) || rest.n < 2 ||
        (*rest.p != '+' && *rest.p != '-') ||
        !strview_duration_ms((struct strview){rest.p + 1, rest.n - 1}, &ms))
        return no_how(s, how);
    if (ms % 1000 != 0 || ms == 0 || ms > SKEW_MOST_MS) return no_how(s, how);
    s->one->amount = *rest.p == '-' ? -(double)ms : (double)ms;
    return SERIN_OK;
}

static enum serin_status parse_how(struct parser *s, struct strview how)
{
    double x;
    switch (s->one->what) {
    case INJECT_METRIC:
        return change_of_metric(s, how);
    case INJECT_SILENCE:
        if (is(how, "both"))
            return refuse(s, how,
                          "without either cohort nothing is left to judge; "
                          "expected canary or baseline");
        return cohort(s->one, how) ? SERIN_OK : no_how(s, how);
    case INJECT_SKEW:
        return skew(s, how);
    case INJECT_SAMPLE_RATIO:
        if (how.n > 1 && *how.p == 'x' &&
            number_parse((struct strview){how.p + 1, how.n - 1}, &x))
            return factor(s, how, x);
        break;
    }
    return no_how(s, how);
}

/* ---------------------------------------------------------------- WHEN */

/* 12:00 or 12:00:30 */
static bool time_of_day(struct strview v, int64_t *ms)
{
    int64_t part[3] = {0};
    size_t n = 0;
    bool digit = false;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == ':' && digit && n < 2) {
            n++;
            digit = false;
        } else if (v.p[i] >= '0' && v.p[i] <= '9' && part[n] < 10) {
            part[n] = 10 * part[n] + v.p[i] - '0';
            digit = true;
        } else {
            return false;
        }
    }
    *ms = 1000 * (3600 * part[0] + 60 * part[1] + part[2]);
    return n > 0 && digit && part[0] < 24 && part[1] < 60 && part[2] < 60;
}

static enum serin_status moment(const struct parser *s, struct strview v,
                                struct inject_time *out)
{
    static const struct keys_key time = {
        .name = "time", .type = KEYS_TIME, .max = 253402300799000.0};
    char copy[40], why[KEYS_WHY];
    struct strview since = v;
    out->column = (size_t)(v.p - s->text) + 1;
    if (since.n > 0 && *since.p == '+') since.p++, since.n--;
    out->kind = INJECT_SINCE;
    if (strview_duration_ms(since, &out->ms)) return SERIN_OK;
    out->kind = INJECT_CLOCK;
    if (time_of_day(v, &out->ms)) return SERIN_OK;
    out->kind = INJECT_DATE;
    snprintf(copy, sizeof copy, "%.*s", (int)v.n, v.p);
    if (v.n < sizeof copy && keys_value_read(&time, copy, false, &out->ms, why))
        return SERIN_OK;
    return refuse(s, v,
                  "expected a time: 10m since the recording's start, 12:00 (UTC, of "
                  "its first day) or 2026-12-01T09:00Z");
}

static enum serin_status parse_when(struct parser *s, struct strview when)
{
    const char *dots = memmem(when.p, when.n, "..", 2);
    struct strview from = when, to;
    if (dots == NULL) return moment(s, when, &s->one->from);
    from.n = (size_t)(dots - when.p);
    to = (struct strview){dots + 2, when.n - from.n - 2};
    enum serin_status rc = moment(s, trim(from), &s->one->from);
    return rc == SERIN_OK ? moment(s, trim(to), &s->one->to) : rc;
}

/* ---------------------------------------------------------------- options */

static bool whom(struct inject *one, struct strview v)
{
    struct inject named = *one;
    bool both = is(v, "both");
    if (one->what != INJECT_METRIC || (!both && !cohort(&named, v))) return false;
    one->on[0] = both || named.on[0];
    one->on[1] = both || named.on[1];
    return true;
}

/* leak, or ramp=5m; one of them. */
static bool shape(struct inject *one, struct strview v)
{
    struct strview rest = v, name = before(&rest, '=');
    if (one->shape != INJECT_STEP) return false;
    if (is(v, "leak")) one->shape = INJECT_LEAK;
    if (is(name, "ramp") && strview_duration_ms(rest, &one->ramp_ms) &&
        one->ramp_ms > 0)
        one->shape = INJECT_RAMP;
    return one->shape != INJECT_STEP;
}

static enum serin_status option(struct parser *s, struct strview v)
{
    struct inject *one = s->one;
    bool metric = one->what == INJECT_METRIC;
    bool grows = metric || one->what == INJECT_SAMPLE_RATIO;
    bool ratio = metric && s->plan->metrics[one->metric].kind == PLAN_RATIO;
    if (whom(one, v) || (grows && shape(one, v))) return SERIN_OK;
    if (is(v, "risk") && ratio && one->how == INJECT_FACTOR) {
        one->how = INJECT_RISK;
        return SERIN_OK;
    }
    return refuse(s, v, "expected %s%s%s", metric ? "canary, baseline or both, " : "",
                  ratio ? "risk (with a factor), " : "",
                  grows ? "ramp=5m or leak (grows so much an hour), one of them"
                        : "no option here");
}

static enum serin_status parse_one(struct parser *s, struct strview v)
{
    struct strview rest = v, head, name, how;
    const char *equals = memchr(v.p, '=', v.n);
    if (equals == NULL)
        return refuse(s, v, "expected WHAT=HOW[@WHEN], such as errors=x2@10m");
    head = before(&rest, ',');
    name = before(&head, '=');
    how = before(&head, '@');
    bool timed = head.p > how.p + how.n && head.p[-1] == '@';
    enum serin_status rc = parse_what(s, name);
    if (rc == SERIN_OK) rc = parse_how(s, how);
    if (rc == SERIN_OK && timed) rc = parse_when(s, trim(head));
    while (rc == SERIN_OK && rest.n > 0)
        rc = option(s, before(&rest, ','));
    return rc;
}

enum serin_status inject_parse(const struct plan *plan, const char *text,
                               struct inject_list *out, struct fault *f)
{
    struct strview rest = strview_of(text);
    size_t n = out->n;
    struct parser s = {.plan = plan, .text = text, .f = f};
    do {
        struct strview v = before(&rest, ';');
        if (n == INJECT_MAX)
            return refuse(&s, v, "more than %d injections", INJECT_MAX);
        s.one = &out->items[n];
        *s.one = (struct inject){.text = text, .column = (size_t)(v.p - text) + 1};
        enum serin_status rc = parse_one(&s, v);
        if (rc != SERIN_OK) return rc;
        n++;
    } while (rest.n > 0);
    out->n = n;
    return SERIN_OK;
}
