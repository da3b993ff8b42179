/* engine/replay/tune/tape.c */
#include "engine/replay/tune/tape.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/replay/hold.h"
#include "proto/decode.h"
#include "proto/encode.h"

enum { GRIDS = 62 }; /* 0..60 s between seconds with data, and more */

/* A tick, or a partial that lies at `at`. */
struct event {
    int64_t wall_ms, watermark_ms; /* of a partial: the wall only */
    size_t at;
    uint32_t n; /* bytes; 0: a tick */
};

struct tape {
    struct event *events;
    size_t n_events, events_room;
    uint8_t *bytes;
    size_t n_bytes, bytes_room, max;
    struct tape_about about;
    bool has[2]; /* cohorts */
    uint64_t grids[GRIDS];
    int64_t data_ms; /* wall of the latest partial; INT64_MIN: none */
    const char *id;  /* the plan's, while it is read */
    bool as_one;     /* rollouts are not told apart */
    struct arena arena;
    struct fault *f;
};

/* ---------------------------------------------------------------- reading */

static enum serin_status put_event(struct tape *t, struct event e)
{
    if (t->n_events == t->events_room) {
        size_t room = t->events_room > 0 ? 2 * t->events_room : 1024;
        struct event *grown = mem_realloc(t->events, room, sizeof *grown);
        if (grown == NULL) return SERIN_ENOMEM;
        t->events = grown;
        t->events_room = room;
    }
    t->events[t->n_events++] = e;
    return SERIN_OK;
}

static enum serin_status put_bytes(struct tape *t, struct bytes b)
{
    if (t->n_bytes + b.n > t->max)
        return fault_set(t->f, SERIN_ELIMIT,
                         "more than %zu MiB in memory: cut the recording by time "
                         "('serin recording cut', or fewer lines)",
                         t->max >> 20);
    if (t->n_bytes + b.n > t->bytes_room) {
        size_t room = t->bytes_room + t->bytes_room / 2 + b.n + ((size_t)64 << 10);
        uint8_t *grown = mem_realloc(t->bytes, room, 1);
        if (grown == NULL) return SERIN_ENOMEM;
        t->bytes = grown;
        t->bytes_room = room;
    }
    memcpy(t->bytes + t->n_bytes, b.p, b.n);
    t->n_bytes += b.n;
    return SERIN_OK;
}

static enum serin_status one_rollout(struct tape *t, struct strview key)
{
    struct tape_about *a = &t->about;
    if (a->rollout[0] == '\0')
        snprintf(a->rollout, sizeof a->rollout, "%.*s", (int)key.n, key.p);
    if (t->as_one || strview_eq(strview_of(a->rollout), key)) return SERIN_OK;
    return fault_set(t->f, SERIN_EDOM,
                     "it holds several rollouts, %s and %.*s: pick one by --rollout",
                     a->rollout, (int)key.n, key.p);
}

static void note_grid(struct tape *t, int64_t wall_ms)
{
    if (t->data_ms != INT64_MIN && wall_ms > t->data_ms) {
        int64_t s = (wall_ms - t->data_ms) / 1000;
        t->grids[s < GRIDS ? s : GRIDS - 1]++;
    }
    t->data_ms = wall_ms;
}

static enum serin_status take_partial(void *ctx, struct strview key, int64_t wall_ms,
                                      struct bytes value)
{
    struct tape *t = ctx;
    pb_inbox *m;
    struct bytes own;
    enum serin_status rc = one_rollout(t, key);
    arena_reset(&t->arena);
    if (rc == SERIN_OK) rc = decode_inbox(&t->arena, value.p, value.n, &m);
    if (rc != SERIN_OK) return rc;
    m->partial->rollout = messages_text(t->id);
    for (size_t i = 0; i < m->partial->n_cells; i++)
        t->has[m->partial->cells[i]->cohort == SERIN__V1__COHORT__COHORT_CANARY] = true;
    note_grid(t, wall_ms);
    rc = encode_inbox(&t->arena, m, &own);
    struct event e = {.wall_ms = wall_ms, .at = t->n_bytes, .n = (uint32_t)own.n};
    if (rc == SERIN_OK) rc = put_bytes(t, own);
    return rc == SERIN_OK ? put_event(t, e) : rc;
}

static enum serin_status take_tick(void *ctx, int64_t wall_ms, int64_t watermark_ms)
{
    struct tape *t = ctx;
    if (t->n_events == 0) return SERIN_OK; /* as a trial without rollouts */
    return put_event(t,
                     (struct event){.wall_ms = wall_ms, .watermark_ms = watermark_ms});
}

/* The distance that most seconds with data keep. */
static int64_t grid_of(const struct tape *t)
{
    size_t best = 1;
    for (size_t i = 1; i + 1 < GRIDS; i++)
        if (t->grids[i] > t->grids[best]) best = i;
    return (int64_t)best * 1000;
}

/* "errors, latency" */
static void names(char *out, size_t room, const char *list, size_t width, uint64_t n)
{
    size_t at = (size_t)snprintf(out, room, "%s", n == 0 ? "none" : "");
    for (size_t i = 0; i < n && i < FEED_NAMES && at < room; i++)
        at += (size_t)snprintf(out + at, room - at, "%s%s", i > 0 ? ", " : "",
                               list + i * width);
    if (n > FEED_NAMES && at < room) snprintf(out + at, room - at, " and more");
}

static enum serin_status nothing(const struct feed_options *o,
                                 const struct feed_report *r, struct fault *f)
{
    char rollouts[60], metrics[40], wanted[40];
    size_t at = 0;
    if (r->lines == 0)
        return fault_set(f, SERIN_EDOM, "it is empty: expected lines of metrics");
    names(rollouts, sizeof rollouts, r->rollouts[0], sizeof r->rollouts[0],
          r->n_rollouts);
    names(metrics, sizeof metrics, r->metrics[0], sizeof r->metrics[0], r->n_metrics);
    wanted[0] = '\0';
    for (size_t i = 0; i < o->plan->n_metrics && at < sizeof wanted; i++)
        at += (size_t)snprintf(wanted + at, sizeof wanted - at, "%s%s",
                               i > 0 ? ", " : "", o->plan->metrics[i].from);
    return fault_set(f, SERIN_EDOM,
                     "nothing in it is for the plan: metrics %s, rollouts %s; "
                     "wanted: %s, and its cohorts",
                     metrics, rollouts, wanted);
}

/* The plan's strata, and `by` behind them. */
static const struct plan *routed(struct arena *a, const struct plan *p, const char *by,
                                 struct plan *room)
{
    if (by == NULL || by[0] == '\0') return p;
    *room = *p;
    room->strata = arena_alloc(a, (p->n_strata + 1) * sizeof *room->strata);
    if (room->strata == NULL) return NULL;
    if (p->n_strata > 0)
        memcpy(room->strata, p->strata, p->n_strata * sizeof *p->strata);
    room->strata[p->n_strata] = by;
    room->n_strata = p->n_strata + 1;
    return room;
}

static enum serin_status read_all(struct tape *t, const struct feed_options *o,
                                  const char *by)
{
    struct feed_report report;
    struct feed_options mine = *o;
    struct feed_ear ear = {.partial = take_partial, .tick = take_tick, .ctx = t};
    struct plan widened;
    struct arena a = {0};
    mine.plan = routed(&a, o->plan, by, &widened);
    mine.ear = &ear;
    enum serin_status rc =
        mine.plan != NULL ? feed_run(&mine, NULL, &report, t->f) : SERIN_ENOMEM;
    arena_free(&a);
    if (rc != SERIN_OK) return rc;
    if (t->n_events == 0) return nothing(o, &report, t->f);
    t->about.first_ms = report.first_ms;
    t->about.last_ms = report.last_ms;
    return SERIN_OK;
}

static void sum_up(struct tape *t)
{
    uint64_t h = hash_bytes(t->bytes, t->n_bytes, 0);
    for (size_t i = 0; i < t->n_events; i++) {
        t->about.partials += t->events[i].n > 0;
        h = hash_bytes(&t->events[i].wall_ms, sizeof t->events[i].wall_ms, h);
        h = hash_bytes(&t->events[i].watermark_ms, sizeof t->events[i].watermark_ms, h);
    }
    t->about.digest = h;
    t->about.bytes = t->n_bytes;
    t->about.both = t->has[0] && t->has[1];
    t->about.grid_ms = grid_of(t);
}

enum serin_status tape_read(struct tape **out, const struct feed_options *o,
                            const char *by, size_t max, struct fault *f)
{
    char why[sizeof f->text];
    struct tape *t = mem_calloc(1, sizeof *t);
    if (t == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    t->max = max != 0 ? max : TAPE_MAX;
    t->data_ms = INT64_MIN;
    t->id = o->plan->id;
    t->as_one = o->as != NULL;
    t->f = f;
    *f = (struct fault){0};
    enum serin_status rc = read_all(t, o, by);
    arena_free(&t->arena);
    if (rc == SERIN_OK) {
        sum_up(t);
        t->id = NULL;
        t->f = NULL;
        *out = t;
        return SERIN_OK;
    }
    tape_close(t);
    snprintf(why, sizeof why, "%s", f->text[0] != '\0' ? f->text : status_text(rc));
    if (strncmp(why, o->path, strlen(o->path)) == 0) return rc;
    return fault_set(f, rc, "%s: %s", o->path, why);
}

void tape_close(struct tape *t)
{
    if (t == NULL) return;
    mem_free(t->events);
    mem_free(t->bytes);
    arena_free(&t->arena);
    mem_free(t);
}

struct tape_about tape_about(const struct tape *t)
{
    return t->about;
}

/* ---------------------------------------------------------------- playing */

struct playing {
    const struct tape *t;
    struct trial *trial;
    const struct tape_player *p;
    struct hold hold;
    const char *id;
};

static enum serin_status tick(struct playing *y, int64_t wall_ms, int64_t watermark_ms)
{
    const struct tape_player *p = y->p;
    enum serin_status rc =
        hold_release(&y->hold, y->trial, watermark_ms + p->shift_ms, p->change, p->ctx);
    if (rc != SERIN_OK) return rc;
    return trial_tick(y->trial, wall_ms + p->shift_ms, watermark_ms + p->shift_ms);
}

static enum serin_status play_event(struct playing *y, const struct event *e)
{
    struct bytes b = {y->t->bytes + e->at, e->n};
    if (e->n == 0) return tick(y, e->wall_ms, e->watermark_ms);
    if (y->p->change == NULL && y->p->shift_ms == 0) return trial_partial(y->trial, b);
    return hold_put(&y->hold, strview_of(y->id), b, y->p->shift_ms);
}

static enum serin_status play_all(struct playing *y, struct fault *f)
{
    const struct tape *t = y->t;
    const bool *done = y->p->done;
    enum serin_status rc = trial_want(y->trial, strview_of(y->id),
                                      t->events[0].wall_ms + y->p->shift_ms, f);
    for (size_t i = 0; rc == SERIN_OK && i < t->n_events; i++) {
        if (done != NULL && *done) return SERIN_OK;
        rc = play_event(y, &t->events[i]);
    }
    int64_t window_ms = y->p->window_ms > 0 ? y->p->window_ms : t->about.grid_ms;
    int64_t end_ms = t->about.last_ms + window_ms;
    return rc == SERIN_OK ? tick(y, end_ms, end_ms) : rc;
}

enum serin_status tape_play(const struct tape *t, struct trial *trial,
                            const struct tape_player *p, struct fault *f)
{
    struct arena a = {0};
    pb_inbox *first;
    struct playing y = {.t = t, .trial = trial, .p = p};
    /* The first event is a partial: before it there was no tick to keep. */
    enum serin_status rc = decode_inbox(&a, t->bytes, t->events[0].n, &first);
    if (rc == SERIN_OK) {
        y.id = first->partial->rollout;
        rc = play_all(&y, f);
    }
    hold_free(&y.hold);
    arena_free(&a);
    return rc;
}

/* ---------------------------------------------------------------- looking */

struct looking {
    struct hold hold;
    struct arena window;
    int64_t length_ms;
    change_fn look;
    void *ctx;
};

static enum serin_status look_until(struct looking *l, int64_t until_ms)
{
    enum serin_status rc = SERIN_OK;
    while (rc == SERIN_OK && l->hold.n > 0) {
        pb_partial *p;
        struct change_window w = {.length_ms = l->length_ms};
        arena_reset(&l->window);
        rc =
            hold_take(&l->hold, 0, l->length_ms, until_ms, &l->window, &w.start_ms, &p);
        if (rc == SERIN_OK) rc = l->look(l->ctx, &l->window, &w, p);
    }
    return rc == SERIN_AGAIN ? SERIN_OK : rc;
}

enum serin_status tape_windows(const struct tape *t, int64_t length_ms, change_fn look,
                               void *ctx)
{
    struct looking l = {.length_ms = length_ms, .look = look, .ctx = ctx};
    enum serin_status rc = SERIN_OK;
    for (size_t i = 0; rc == SERIN_OK && i < t->n_events; i++) {
        const struct event *e = &t->events[i];
        struct bytes b = {t->bytes + e->at, e->n};
        if (e->n > 0)
            rc = hold_put(&l.hold, strview_of("tape"), b, 0);
        else
            rc = look_until(&l, e->watermark_ms);
    }
    if (rc == SERIN_OK) rc = look_until(&l, t->about.last_ms + 2 * length_ms);
    hold_free(&l.hold);
    arena_free(&l.window);
    return rc;
}
