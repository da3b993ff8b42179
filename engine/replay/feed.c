/* engine/replay/feed.c */
#include "engine/replay/feed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/streamclock.h"
#include "engine/replay/hold.h"
#include "engine/replay/lines.h"
#include "ingest/partial.h"

enum {
    LATENESS_MS = 2000, /* of a worker, by default */
    HOUR_S = 3600,      /* a longer silence has a tick a minute */
    DAY_S = 86400,      /* … and a longer one no more: all holds stand by then */
    PROGRESS_LINES = 2048
};

struct feed {
    const struct feed_options *o;
    struct trial *trial;
    struct feed_report *out;
    struct fault *f;
    struct lines *lines;
    struct route_table *routes;
    struct aggregate *aggregate;
    struct hold hold;
    struct arena scratch, route;
    int64_t now_s;     /* of the latest tick; INT64_MIN: none yet */
    int64_t latest_ms; /* largest event time */
    int64_t grid_ms;   /* between the last two seconds that had data */
};

/* ---------------------------------------------------------------- names */

/* Remember a name that the recording has, the first FEED_NAMES of them. */
static void note(char *names, size_t width, uint64_t *n, struct strview name)
{
    size_t known = *n < FEED_NAMES ? (size_t)*n : FEED_NAMES;
    for (size_t i = 0; i < known; i++)
        if (strview_eq(strview_of(names + i * width), name)) return;
    if (known < FEED_NAMES)
        snprintf(names + known * width, width, "%.*s", (int)name.n, name.p);
    ++*n;
}

/* The next text member of that name in the line, from *at on. Ids and names of metrics
 * need no escapes; the decoder proper reads the line afterwards. */
static bool member(struct strview line, const char *key, size_t *at,
                   struct strview *out)
{
    const char *p, *end = line.p + line.n;
    size_t n = strlen(key);
    while ((p = memmem(line.p + *at, line.n - *at, key, n)) != NULL) {
        *at = (size_t)(p - line.p) + n;
        for (p += n; p < end && (*p == ' ' || *p == ':');)
            p++;
        if (p == end || *p != '"') continue;
        const char *close = memchr(p + 1, '"', (size_t)(end - p) - 1);
        if (close == NULL) return false;
        *out = (struct strview){p + 1, (size_t)(close - p) - 1};
        return true;
    }
    return false;
}

static enum serin_status put_route(struct feed *d, struct strview id)
{
    pb_rollout row = SERIN__V1__ROLLOUT__INIT;
    bool changed;
    arena_reset(&d->route);
    row.rollout = arena_copy(&d->route, id.p, id.n);
    enum serin_status rc = row.rollout != NULL
                               ? plan_route(&d->route, d->o->plan, &row.route)
                               : SERIN_ENOMEM;
    if (rc == SERIN_OK) rc = route_table_put(d->routes, &row, &changed, d->f);
    if (rc == SERIN_OK) aggregate_routes_changed(d->aggregate);
    return rc;
}

static enum serin_status flush(struct feed *d);

/* Routes for the rollouts that a line names; they change between flushes only. */
static enum serin_status meet(struct feed *d, struct strview line)
{
    struct strview id, metric;
    size_t at = 0;
    if (d->out->samples.routed == 0 && d->out->lines < PROGRESS_LINES) {
        while (member(line, "\"metric\"", &at, &metric))
            note(d->out->metrics[0], sizeof d->out->metrics[0], &d->out->n_metrics,
                 metric);
        at = 0;
    }
    while (member(line, "\"rollout\"", &at, &id)) {
        if (id.n == 0 || id.n > 128) continue;
        struct series_name name = {.rollout = id};
        struct route_match found[ROUTE_MAX_MATCHES];
        size_t n = 0;
        enum serin_status rc = route_table_find(d->routes, &name, found, &n);
        if (rc == SERIN_OK && n > 0) continue;
        note(d->out->rollouts[0], sizeof d->out->rollouts[0], &d->out->n_rollouts, id);
        bool wanted =
            d->o->rollout == NULL || strview_eq(strview_of(d->o->rollout), id);
        if (rc == SERIN_OK && wanted) rc = flush(d);
        if (rc == SERIN_OK && wanted) rc = put_route(d, id);
        if (rc != SERIN_OK) return rc;
    }
    return SERIN_OK;
}

/* ---------------------------------------------------------------- into the trial */

static enum serin_status take(void *ctx, struct strview key, struct bytes value)
{
    struct feed *d = ctx;
    int64_t now = d->now_s != INT64_MIN ? d->now_s * 1000 : d->latest_ms / 1000 * 1000;
    if (d->o->ear != NULL) return d->o->ear->partial(d->o->ear->ctx, key, now, value);
    if (d->trial == NULL) return SERIN_OK;
    if (d->o->as != NULL) key = strview_of(d->o->as);
    enum serin_status rc = trial_want(d->trial, key, now + d->o->shift_ms, d->f);
    if (rc != SERIN_OK) return rc;
    if (d->o->change == NULL && d->o->as == NULL && d->o->shift_ms == 0)
        return trial_partial(d->trial, value);
    return hold_put(&d->hold, key, value, d->o->shift_ms);
}

static enum serin_status flush(struct feed *d)
{
    struct aggregate_counts n = aggregate_counts(d->aggregate), *sum = &d->out->samples;
    enum serin_status rc = partial_each(d->aggregate, "replay", &d->scratch, take, d);
    sum->samples += n.samples;
    sum->routed += n.routed;
    sum->unrouted += n.unrouted;
    sum->poison += n.poison;
    sum->dropped += n.dropped;
    sum->other += n.other;
    sum->late += n.late;
    sum->duplicate += n.duplicate;
    aggregate_clear(d->aggregate);
    cumulative_seal(aggregate_cumulative(d->aggregate));
    cumulative_commit(aggregate_cumulative(d->aggregate));
    return rc;
}

static enum serin_status tick(struct feed *d, int64_t wall_ms, int64_t watermark_ms)
{
    aggregate_closed(d->aggregate, watermark_ms);
    if (d->o->ear != NULL)
        return d->o->ear->tick(d->o->ear->ctx, wall_ms, watermark_ms);
    if (d->trial == NULL || trial_rollouts(d->trial) == 0) return SERIN_OK;
    enum serin_status rc =
        hold_release(&d->hold, d->trial, watermark_ms + d->o->shift_ms, d->o->change,
                     d->o->change_ctx);
    if (rc != SERIN_OK) return rc;
    return trial_tick(d->trial, wall_ms + d->o->shift_ms,
                      watermark_ms + d->o->shift_ms);
}

/* Ticks of the seconds since the last one that had data, then that of this one. */
static enum serin_status advance(struct feed *d, int64_t before_ms)
{
    int64_t to_s = d->latest_ms / 1000;
    enum serin_status rc = flush(d);
    if (d->now_s != INT64_MIN) {
        int64_t gap_s = to_s - d->now_s, step_s = gap_s > HOUR_S ? 60 : 1;
        int64_t silent_s = gap_s > DAY_S ? DAY_S : gap_s;
        for (int64_t s = step_s; rc == SERIN_OK && s < silent_s; s += step_s)
            rc = tick(d, (d->now_s + s) * 1000, before_ms - LATENESS_MS);
        d->grid_ms = gap_s * 1000;
    }
    d->now_s = to_s;
    if (rc == SERIN_OK) rc = tick(d, to_s * 1000, d->latest_ms - LATENESS_MS);
    return rc;
}

/* The end of the last windows, so that they are judged, too. */
static enum serin_status finish(struct feed *d)
{
    int64_t window_ms = d->grid_ms < 1000 || d->grid_ms > 60000 ? 1000 : d->grid_ms;
    enum serin_status rc = flush(d);
    if (d->latest_ms == INT64_MIN) return rc;
    for (size_t i = 0;
         rc == SERIN_OK && d->trial != NULL && i < trial_rollouts(d->trial); i++) {
        const pb_rollout *row;
        rc = trial_row(d->trial, i, &row);
        if (rc == SERIN_OK && row->status->window_ms > window_ms)
            window_ms = row->status->window_ms;
    }
    int64_t end_ms = d->latest_ms + window_ms;
    return rc == SERIN_OK ? tick(d, end_ms, end_ms) : rc;
}

/* ---------------------------------------------------------------- lines */

static void refuse(struct feed *d, const struct reject *why)
{
    if (d->out->refused++ > 0) return;
    snprintf(d->out->refusal, sizeof d->out->refusal, "line %" PRIu64 ": %s: %s",
             lines_number(d->lines), quarantine_text(why->reason), why->detail);
}

static bool blank(struct strview line)
{
    return line.n == 0 || (line.n == 1 && line.p[0] == '\r');
}

static enum serin_status take_line(struct feed *d, struct strview line)
{
    struct reject why;
    if (blank(line)) return SERIN_OK;
    enum serin_status rc = meet(d, line);
    if (rc != SERIN_OK) return rc;
    d->out->lines++;
    aggregate_message(d->aggregate, STREAMCLOCK_END_MS);
    rc = format_decode(d->o->format, d->aggregate, line.p, line.n, &why);
    if (rc != SERIN_OK) {
        refuse(d, &why);
        return SERIN_OK;
    }
    int64_t before_ms = d->latest_ms, t_ms = aggregate_latest(d->aggregate);
    if (t_ms == INT64_MIN) return SERIN_OK;
    if (d->out->first_ms == INT64_MIN || t_ms < d->out->first_ms)
        d->out->first_ms = t_ms;
    if (before_ms != INT64_MIN && t_ms <= before_ms)
        return aggregate_full(d->aggregate) ? flush(d) : SERIN_OK;
    d->latest_ms = d->out->last_ms = t_ms;
    bool turned = d->now_s == INT64_MIN || t_ms / 1000 > d->now_s;
    return turned || aggregate_full(d->aggregate) ? advance(d, before_ms) : SERIN_OK;
}

static enum serin_status take_lines(struct feed *d)
{
    struct strview line;
    enum serin_status rc = SERIN_OK, end = SERIN_OK;
    uint64_t told = 0;
    while (rc == SERIN_OK && (end = lines_next(d->lines, &line, d->f)) == SERIN_OK) {
        rc = take_line(d, line);
        if (d->o->progress == NULL || d->out->lines < told + PROGRESS_LINES) continue;
        told = d->out->lines;
        d->o->progress(d->o->ctx, lines_read(d->lines), lines_size(d->lines),
                       d->latest_ms);
    }
    if (rc != SERIN_OK) return rc;
    if (end == SERIN_AGAIN || end == SERIN_EPARSE) rc = finish(d);
    return rc != SERIN_OK || end == SERIN_AGAIN ? rc : end;
}

static enum serin_status not_metrics(const struct feed *d)
{
    return fault_set(d->f, SERIN_EPARSE,
                     "%s: none of its %" PRIu64 " lines is a record of metrics (%s); "
                     "expected lines such as {\"t_ms\":1760000000000,\"rollout\":\"r\","
                     "\"cohort\":\"canary\",\"metric\":\"errors\",\"n\":100,\"bad\":1}",
                     d->o->path, d->out->lines, d->out->refusal);
}

static enum serin_status open_all(struct feed *d)
{
    enum serin_status rc = lines_open(&d->lines, d->o->path, d->f);
    if (rc != SERIN_OK) return rc;
    if (lines_is_recording(d->lines))
        return fault_set(d->f, SERIN_EPARSE,
                         "%s is a recording of the inbox, not of metrics: give it to "
                         "'serin replay --inbox'",
                         d->o->path);
    struct aggregate_options ao = {.max_bytes = (size_t)64 << 20};
    rc = route_table_open(&d->routes);
    if (rc == SERIN_OK) rc = aggregate_open(&d->aggregate, d->routes, &ao);
    bool own = d->o->rollout == NULL || strcmp(d->o->rollout, d->o->plan->id) == 0;
    if (rc == SERIN_OK && own) rc = put_route(d, strview_of(d->o->plan->id));
    return rc;
}

enum serin_status feed_run(const struct feed_options *o, struct trial *t,
                           struct feed_report *out, struct fault *f)
{
    *out = (struct feed_report){.first_ms = INT64_MIN, .last_ms = INT64_MIN};
    *f = (struct fault){0};
    struct feed d = {.o = o,
                     .trial = t,
                     .out = out,
                     .f = f,
                     .now_s = INT64_MIN,
                     .latest_ms = INT64_MIN};
    enum serin_status rc = open_all(&d);
    if (rc == SERIN_OK) rc = take_lines(&d);
    if (rc == SERIN_OK && out->lines > 0 && out->lines == out->refused)
        rc = not_metrics(&d);
    if (rc != SERIN_OK && f->code == SERIN_OK) fault_set(f, rc, "%s", status_text(rc));
    aggregate_close(d.aggregate);
    route_table_close(d.routes);
    lines_close(d.lines);
    arena_free(&d.scratch);
    hold_free(&d.hold);
    arena_free(&d.route);
    return rc;
}
