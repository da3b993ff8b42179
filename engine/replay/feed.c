/* engine/replay/feed.c */
#include "engine/replay/feed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/streamclock.h"
#include "engine/replay/hold.h"
#include "ingest/partial.h"
#include "proto/decode.h"
#include "proto/encode.h"

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
    struct source *source;
    struct route_table *routes;
    struct aggregate *aggregate;
    struct hold hold;
    struct arena scratch, route, cut;
    int64_t now_s;          /* of the latest tick; INT64_MIN: none yet */
    int64_t latest_ms;      /* largest event time */
    int64_t grid_ms;        /* between the last two seconds that had data */
    int64_t from_ms, to_ms; /* known once the first time is */
    bool ranged, judged;    /* judged: something lies in the range */
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

/* A route for a rollout that a record names; they change between flushes only. */
static enum serin_status meet(void *ctx, struct strview id, struct strview metric)
{
    struct feed *d = ctx;
    struct series_name name = {.rollout = id};
    struct route_match found[ROUTE_MAX_MATCHES];
    size_t n = 0;
    if (metric.n != 0 && d->out->samples.routed == 0 && d->out->lines < PROGRESS_LINES)
        note(d->out->metrics[0], sizeof d->out->metrics[0], &d->out->n_metrics, metric);
    if (id.n == 0 || id.n > 128) return SERIN_OK;
    enum serin_status rc = route_table_find(d->routes, &name, found, &n);
    if (rc != SERIN_OK || n > 0) return rc;
    note(d->out->rollouts[0], sizeof d->out->rollouts[0], &d->out->n_rollouts, id);
    if (d->o->rollout != NULL && !strview_eq(strview_of(d->o->rollout), id))
        return SERIN_OK;
    rc = flush(d);
    return rc == SERIN_OK ? put_route(d, id) : rc;
}

/* ---------------------------------------------------------------- into the trial */

/* The cells of the range only; *value stays where all of them are. */
static enum serin_status in_range(struct feed *d, struct bytes *value, bool *any)
{
    pb_inbox *m;
    size_t kept = 0;
    arena_reset(&d->cut);
    enum serin_status rc = decode_inbox(&d->cut, value->p, value->n, &m);
    if (rc != SERIN_OK) return rc;
    pb_partial *p = m->partial;
    for (size_t i = 0; i < p->n_cells; i++)
        if (p->cells[i]->window_ms >= d->from_ms && p->cells[i]->window_ms < d->to_ms)
            p->cells[kept++] = p->cells[i];
    bool all = kept == p->n_cells;
    p->n_cells = kept;
    *any = kept > 0;
    d->judged |= *any;
    return all || !*any ? SERIN_OK : encode_inbox(&d->cut, m, value);
}

static enum serin_status take(void *ctx, struct strview key, struct bytes value)
{
    struct feed *d = ctx;
    bool any = true;
    int64_t now = d->now_s != INT64_MIN ? d->now_s * 1000 : d->latest_ms / 1000 * 1000;
    if (d->ranged && now < d->from_ms) now = d->from_ms / 1000 * 1000;
    enum serin_status rc = d->ranged ? in_range(d, &value, &any) : SERIN_OK;
    if (rc != SERIN_OK || !any) return rc;
    if (d->o->ear != NULL) return d->o->ear->partial(d->o->ear->ctx, key, now, value);
    if (d->trial == NULL) return SERIN_OK;
    if (d->o->as != NULL) key = strview_of(d->o->as);
    rc = trial_want(d->trial, key, now + d->o->shift_ms, d->f);
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
    if (d->o->go_on != NULL && !d->out->stopped)
        d->out->stopped = !d->o->go_on(d->o->ctx, wall_ms);
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
        for (int64_t s = step_s; rc == SERIN_OK && s < silent_s && !d->out->stopped;
             s += step_s)
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
    int64_t last_ms = d->latest_ms < d->to_ms ? d->latest_ms : d->to_ms - 1;
    int64_t end_ms = last_ms + window_ms;
    return rc == SERIN_OK ? tick(d, end_ms, end_ms) : rc;
}

/* ---------------------------------------------------------------- records */

static void refuse(struct feed *d, const struct reject *why)
{
    char place[160];
    if (d->out->refused++ > 0) return;
    source_place(d->source, place);
    snprintf(d->out->refusal, sizeof d->out->refusal, "%s: %s: %s", place,
             quarantine_text(why->reason), why->detail);
}

/* The first time in the recording. */
static void begin(struct feed *d, int64_t t_ms)
{
    const struct feed_range *r = &d->o->range;
    int64_t zero = r->after_start ? t_ms : 0;
    d->out->first_ms = t_ms;
    if (r->since) d->from_ms = zero + r->from_ms;
    if (r->until) d->to_ms = zero + r->to_ms;
}

static enum serin_status take_record(struct feed *d, const struct source_record *r)
{
    struct reject why;
    enum serin_status rc = source_names(d->source, r, meet, d);
    if (rc != SERIN_OK) return rc;
    d->out->lines++;
    aggregate_input(d->aggregate, r->input);
    aggregate_message(d->aggregate, STREAMCLOCK_END_MS);
    rc = source_decode(d->source, r, d->aggregate, &why);
    if (rc != SERIN_OK) {
        refuse(d, &why);
        return SERIN_OK;
    }
    int64_t before_ms = d->latest_ms, t_ms = aggregate_latest(d->aggregate);
    if (t_ms == INT64_MIN) return SERIN_OK;
    if (before_ms == INT64_MIN) begin(d, t_ms);
    if (t_ms < d->out->first_ms) d->out->first_ms = t_ms;
    if (before_ms != INT64_MIN && t_ms <= before_ms)
        return aggregate_full(d->aggregate) ? flush(d) : SERIN_OK;
    d->latest_ms = d->out->last_ms = t_ms;
    bool turned = d->now_s == INT64_MIN || t_ms / 1000 > d->now_s;
    return turned || aggregate_full(d->aggregate) ? advance(d, before_ms) : SERIN_OK;
}

/* Is there more to judge? */
static bool wanted(const struct feed *d)
{
    return !d->out->stopped &&
           (d->latest_ms == INT64_MIN || d->latest_ms - LATENESS_MS < d->to_ms);
}

static enum serin_status take_all(struct feed *d)
{
    struct source_record r;
    enum serin_status rc = SERIN_OK, end = SERIN_AGAIN;
    uint64_t told = 0;
    while (rc == SERIN_OK && wanted(d) &&
           (end = source_next(d->source, &r, d->f)) == SERIN_OK) {
        rc = take_record(d, &r);
        if (d->o->progress == NULL || d->out->lines < told + PROGRESS_LINES) continue;
        told = d->out->lines;
        d->o->progress(d->o->ctx, source_read(d->source), source_size(d->source),
                       d->latest_ms);
    }
    if (rc != SERIN_OK) return rc;
    if (end == SERIN_OK) end = SERIN_AGAIN; /* the rest is not wanted */
    if (end == SERIN_AGAIN || end == SERIN_EPARSE) rc = finish(d);
    return rc != SERIN_OK || end == SERIN_AGAIN ? rc : end;
}

static enum serin_status not_metrics(const struct feed *d)
{
    return fault_set(d->f, SERIN_EPARSE,
                     "%s: none of its %" PRIu64 " records is one of metrics (%s); "
                     "expected such as {\"t_ms\":1760000000000,\"rollout\":\"r\","
                     "\"cohort\":\"canary\",\"metric\":\"errors\",\"n\":100,\"bad\":1}",
                     d->o->path, d->out->lines, d->out->refusal);
}

static enum serin_status nothing_there(const struct feed *d)
{
    return fault_set(d->f, SERIN_EDOM,
                     "%s: nothing for this plan from %" PRId64 " to %" PRId64
                     " (ms since the epoch): what was read of it is from %" PRId64
                     " to %" PRId64,
                     d->o->path, d->o->range.since ? d->from_ms : d->out->first_ms,
                     d->o->range.until ? d->to_ms : d->out->last_ms, d->out->first_ms,
                     d->out->last_ms);
}

static enum serin_status open_all(struct feed *d)
{
    enum serin_status rc = source_open(&d->source, d->o->path, &d->o->format, d->f);
    if (rc != SERIN_OK) return rc;
    const struct feed_range *r = &d->o->range;
    if ((r->since || r->until) && !r->after_start)
        source_within(d->source, r->since ? r->from_ms : INT64_MIN,
                      r->until ? r->to_ms : INT64_MAX);
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
                     .latest_ms = INT64_MIN,
                     .from_ms = INT64_MIN,
                     .to_ms = INT64_MAX,
                     .ranged = o->range.since || o->range.until};
    enum serin_status rc = open_all(&d);
    if (rc == SERIN_OK) rc = take_all(&d);
    if (rc == SERIN_OK && out->lines > 0 && out->lines == out->refused)
        rc = not_metrics(&d);
    if (rc == SERIN_OK && d.ranged && !d.judged && out->lines > 0)
        rc = nothing_there(&d);
    if (rc != SERIN_OK && f->code == SERIN_OK) fault_set(f, rc, "%s", status_text(rc));
    aggregate_close(d.aggregate);
    route_table_close(d.routes);
    source_close(d.source);
    arena_free(&d.cut);
    arena_free(&d.scratch);
    hold_free(&d.hold);
    arena_free(&d.route);
    return rc;
}
