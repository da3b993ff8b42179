/* ingest/worker.c -- the loop: poll, decode, flush; open and rebuild the clients */
#include "ingest/worker.h"

#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "ingest/worker_internal.h"
#include "proto/decode.h"

enum {
    OPEN_MS = 5000,
    BACKOFF_MS = 100,
    BACKOFF_MAX_MS = 1000,
    POLL_MS = 100,
    LARGE = 64 * 1024 /* bytes of a record after which the bounds are looked at */
};

/* ---------------------------------------------------------------- open and close */

static char *text_copy(const char *s, bool *ok)
{
    char *copy = s != NULL ? mem_strdup(s) : NULL;
    *ok = *ok && (s == NULL || copy != NULL);
    return copy;
}

static struct strview view_copy(const char *s, bool *ok)
{
    return strview_of(text_copy(s, ok));
}

static enum serin_status take_input(struct worker *w, size_t i,
                                    const struct worker_input *in, struct fault *f)
{
    struct worker_topic *t = &w->topics[i];
    struct series_attribute *copies = mem_calloc(in->n_attributes + 1, sizeof *copies);
    bool ok = copies != NULL;
    t->name = text_copy(in->topic, &ok);
    t->dead_letter = text_copy(in->dead_letter, &ok);
    t->max_message = in->max_message != 0 ? in->max_message : w->max_message;
    t->input = (struct aggregate_input){.id = i,
                                        .attributes = copies,
                                        .metric = view_copy(in->metric, &ok),
                                        .cumulative = in->cumulative,
                                        .tick_ns = in->tick_ns};
    w->names[i] = t->name;
    for (size_t k = 0; ok && k < in->n_attributes; k++) {
        copies[k] =
            (struct series_attribute){view_copy(in->attributes[k].key.p, &ok),
                                      view_copy(in->attributes[k].value.p, &ok)};
        t->input.n_attributes++;
    }
    if (!ok) return fault_set(f, SERIN_ENOMEM, "out of memory for the inputs");
    const char *format = in->format != NULL ? in->format : "auto";
    if (format_parse(format, &t->format)) return SERIN_OK;
    char names[160] = "";
    for (int k = 0, n = 0; k < FORMAT_COUNT && n < (int)sizeof names; k++)
        n += snprintf(names + n, sizeof names - (size_t)n, "%s%s", k > 0 ? ", " : "",
                      format_name((enum format)k));
    return fault_set(f, SERIN_EDOM,
                     "inputs: topic %s: format \"%s\": expected one of %s", in->topic,
                     format, names);
}

static enum serin_status take_inputs(struct worker *w, const struct worker_options *o,
                                     struct fault *f)
{
    if (o->n_inputs == 0)
        return fault_set(f, SERIN_EDOM, "inputs: none; expected at least one topic");
    w->topics = mem_calloc(o->n_inputs, sizeof *w->topics);
    w->names = mem_calloc(o->n_inputs + 1, sizeof *w->names);
    if (w->topics == NULL || w->names == NULL)
        return fault_set(f, SERIN_ENOMEM, "out of memory for the inputs");
    for (size_t i = 0; i < o->n_inputs; i++) {
        const struct worker_input *in = &o->inputs[i];
        w->n_topics++;
        if (in->start != o->inputs[0].start)
            return fault_set(
                f, SERIN_EDOM,
                "inputs: %s and %s start at different ends; one worker reads "
                "all of them from the earliest or from the latest record",
                o->inputs[0].topic, in->topic);
        w->from_latest = in->start == WORKER_FROM_LATEST;
        if (take_input(w, i, in, f) != SERIN_OK) return f->code;
    }
    /* The group's name stands beside the topics': PREFIX + "ingest". */
    const char *inbox = bus_topic_name(w->bus, BUS_INBOX);
    size_t prefix = strlen(inbox) - strlen("inbox");
    w->group = mem_calloc(prefix + sizeof "ingest", 1);
    if (w->group == NULL)
        return fault_set(f, SERIN_ENOMEM, "out of memory for the inputs");
    memcpy(w->group, inbox, prefix);
    memcpy(w->group + prefix, "ingest", sizeof "ingest");
    return SERIN_OK;
}

static int64_t or_default(int64_t v, int64_t otherwise)
{
    return v != 0 ? v : otherwise;
}

/* Routes and what hangs on them start afresh with every set of clients. */
static enum serin_status routes_open(struct worker *w)
{
    aggregate_close(w->aggregate);
    w->aggregate = NULL;
    route_table_close(w->routes);
    w->routes = NULL;
    enum serin_status s = route_table_open(&w->routes);
    if (s != SERIN_OK) return s;
    return aggregate_open(&w->aggregate, w->routes, &w->aggregate_options);
}

/* The first of a process has its name alone, so that one worker more is no new one. */
static void name_member(struct worker *w, unsigned index)
{
    const char *instance = bus_instance(w->bus);
    if (index == 0) {
        snprintf(w->member, sizeof w->member, "%s", instance);
        snprintf(w->role, sizeof w->role, "ingest");
    } else {
        snprintf(w->member, sizeof w->member, "%s.%u", instance, index);
        snprintf(w->role, sizeof w->role, "ingest.%u", index);
    }
}

static void free_view(struct strview s)
{
    mem_free((void *)(uintptr_t)s.p);
}

static void topic_free(struct worker_topic *t)
{
    for (size_t i = 0; i < t->input.n_attributes; i++) {
        free_view(t->input.attributes[i].key);
        free_view(t->input.attributes[i].value);
    }
    mem_free((void *)(uintptr_t)t->input.attributes);
    free_view(t->input.metric);
    mem_free(t->name);
    mem_free(t->dead_letter);
}

enum serin_status worker_open(struct worker **out, struct bus *b,
                              const struct worker_options *o, struct fault *f)
{
    struct worker *w = mem_calloc(1, sizeof *w);
    if (w == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory for the worker");
    w->bus = b;
    w->flush_ms = or_default(o->flush_ms, 200);
    w->lateness_ms = o->lateness_ms < 0 ? 0 : or_default(o->lateness_ms, 2000);
    w->idle_ms = or_default(o->idle_ms, 5000);
    w->max_message = o->max_message != 0 ? o->max_message : (size_t)4 << 20;
    w->max_series = o->max_series != 0 ? o->max_series : 1000000;
    w->memory = o->memory != 0 ? o->memory : (size_t)512 << 20;
    /* Half of the memory is for records fetched ahead. A flush is written at half of
     * max_bytes, as partials of about the same size; the headers of one message may
     * take four times header_bytes. */
    w->aggregate_options =
        (struct aggregate_options){.max_series = w->max_series,
                                   .max_bytes = w->memory / 4,
                                   .future_ms = or_default(o->future_ms, 600000),
                                   .max_rollout = o->max_rollout,
                                   .header_bytes = w->memory / 32};
    atomic_store(&w->counters.memory_limit, w->memory);
    name_member(w, o->index);
    w->index = o->index;
    w->levels = o->levels;
    w->n_levels = o->n_levels;
    worker_align_forget_all(w);
    pthread_mutex_init(&w->lock, NULL);
    enum serin_status s = take_inputs(w, o, f);
    if (s == SERIN_OK) {
        w->batch = mem_calloc(WORKER_BATCH, sizeof *w->batch);
        s = w->batch != NULL ? quarantine_open(&w->quarantine) : SERIN_ENOMEM;
        if (s == SERIN_OK) s = routes_open(w);
        if (s != SERIN_OK) fault_set(f, s, "out of memory for the worker");
    }
    if (s == SERIN_OK)
        *out = w;
    else
        worker_close(w);
    return s;
}

void worker_close(struct worker *w)
{
    if (w == NULL) return;
    for (size_t i = 0; i < w->n_topics; i++)
        topic_free(&w->topics[i]);
    pthread_mutex_destroy(&w->lock);
    mem_free(w->shown);
    aggregate_close(w->aggregate);
    route_table_close(w->routes);
    quarantine_close(w->quarantine);
    arena_free(&w->scratch);
    arena_free(&w->dead);
    mem_free(w->topics);
    mem_free(w->names);
    mem_free(w->group);
    mem_free(w->sources);
    mem_free(w->positions);
    mem_free(w->batch);
    mem_free(w);
}

/* ---------------------------------------------------------------- routes */

static void on_row(void *ctx, const struct bus_record *r)
{
    struct worker *w = ctx;
    struct fault f = {0};
    pb_rollout *row;
    bool changed = false;
    struct arena a = {.max = 16 << 20};
    if (r->value == NULL) {
        changed = route_table_remove(w->routes, (struct strview){r->key, r->key_len});
    } else if (decode_rollout(&a, r->value, r->value_len, &row) != SERIN_OK) {
        log_warn("ingest", "%s [%d] offset %lld: not a rollout row; skipped", r->topic,
                 (int)r->partition, (long long)r->offset);
    } else if (route_table_put(w->routes, row, &changed, &f) != SERIN_OK) {
        log_warn("ingest", "%s", f.text);
    }
    if (changed) {
        aggregate_routes_changed(w->aggregate);
        cumulative_watch(aggregate_cumulative(w->aggregate), clock_wall_ms());
    }
    arena_free(&a);
}

/* Routes may only change while no cell points at them: right after a flush. */
static void routes_follow(struct worker *w)
{
    struct fault f = {0};
    if (aggregate_tallies(w->aggregate) != NULL) return;
    if (table_poll(w->table, 0, &f) != SERIN_OK && f.fatal)
        worker_flush_failed(w, &f, "following the routes");
    atomic_store_explicit(&w->counters.rollouts, route_table_live(w->routes),
                          memory_order_relaxed);
}

static enum serin_status routes_read(struct worker *w, struct fault *f)
{
    struct table_options o = {.topic = bus_topic_name(w->bus, BUS_ROLLOUTS),
                              .start = BUS_OFFSET_NONE,
                              .on_record = on_row,
                              .ctx = w};
    enum serin_status s = routes_open(w);
    if (s != SERIN_OK) return fault_set(f, s, "out of memory for the routes");
    s = table_open(&w->table, w->bus, &o, f);
    while (s == SERIN_OK && !table_caught_up(w->table) && !atomic_load(&w->stop))
        s = table_poll(w->table, POLL_MS, f);
    return s;
}

/* ---------------------------------------------------------------- records */

static void letter_add(struct worker *w, const char *topic, const struct bus_record *r)
{
    struct worker_letter *l = arena_alloc(&w->dead, sizeof *l);
    char *key = arena_copy(&w->dead, r->key, r->key_len);
    char *value = arena_copy(&w->dead, r->value, r->value_len);
    if (l == NULL || key == NULL || value == NULL) {
        log_warn("ingest",
                 "no memory to forward a record to %s; it stays in quarantine", topic);
        return;
    }
    l->topic = topic;
    l->key = (struct strview){key, r->key_len};
    l->value = (struct strview){value, r->value_len};
    l->next = w->letters;
    w->letters = l;
}

static void refuse(struct worker *w, struct worker_source *s,
                   const struct bus_record *r, const struct reject *why, int64_t now_ms)
{
    struct quarantine_entry e = {.t_ms = now_ms,
                                 .offset = r->offset,
                                 .partition = r->partition,
                                 .reason = why->reason};
    snprintf(e.topic, sizeof e.topic, "%s", r->topic);
    snprintf(e.detail, sizeof e.detail, "%s", why->detail);
    quarantine_add(w->quarantine, &e, r->value, r->value_len);
    w->quarantined++;
    s->pending.quarantined++;
    s->pending.reasons[why->reason]++;
    /* What is read for its values alone was forwarded when it was counted. */
    if (s->topic->dead_letter != NULL && !w->learn.on)
        letter_add(w, s->topic->dead_letter, r);
}

static void take_record(struct worker *w, struct worker_source *s,
                        const struct bus_record *r, int64_t now_ms, int64_t mono_ms)
{
    if (r->offset < s->next) return;
    struct reject why;
    enum serin_status status;
    s->next = r->offset + 1;
    s->heard_ms = mono_ms;
    w->moved = true;
    w->messages++;
    w->bytes += r->value_len;
    s->pending.messages++;
    s->pending.bytes += r->value_len;
    if (r->value_len > s->topic->max_message) {
        status = quarantine_refuse(&why, QUARANTINE_OVERSIZE, "%zu bytes; limit %zu",
                                   r->value_len, s->topic->max_message);
    } else {
        enum format f = s->topic->format;
        /* `serin` is meant to be fast, and its records need no header. */
        if (f != FORMAT_SERIN) f = format_of_type(consumer_content_type(r), f);
        aggregate_message(w->aggregate, now_ms);
        status = format_decode(f, w->aggregate, r->value, r->value_len, &why);
    }
    if (status != SERIN_OK) {
        refuse(w, s, r, &why, now_ms);
        return;
    }
    s->pending.decoded++;
    int64_t latest = aggregate_latest(w->aggregate);
    if (latest <= s->latest_ms) return;
    w->align.stale |= s->latest_ms == INT64_MIN;
    s->latest_ms = latest;
    s->rose_ms = mono_ms;
    worker_align_took(w, s);
}

/* ---------------------------------------------------------------- the loop */

static void on_revoke(void *ctx, const struct bus_partition *p, size_t n, bool lost)
{
    struct worker *w = ctx;
    worker_flush_settle(w, true);
    if (lost) {
        struct fault f = {0};
        fault_set(&f, SERIN_EIO, "partitions were lost to another member of the group");
        worker_flush_failed(w, &f, "keeping the assignment");
    } else if (w->moved && !w->must_rewind && !w->broken && !w->learn.on) {
        worker_flush(w);
        worker_flush_settle(w, true);
    }
    worker_source_drop(w, p, n);
}

static enum serin_status clients_open(struct worker *w, struct fault *f)
{
    struct consumer_options o = {
        .group = w->group,
        .topics = w->names,
        .start = w->from_latest ? BUS_START_LATEST : BUS_START_EARLIEST,
        .on_assign = worker_source_assign,
        .on_revoke = on_revoke,
        .on_gap = worker_source_gap,
        .member = w->member,
        .queue_bytes = w->memory / 2 - w->memory / WORKER_KEPT_SHARE,
        .ctx = w};
    w->broken = w->must_rewind = false;
    for (size_t i = 0; i < w->n_sources; i++)
        w->sources[i].assigned = false;
    enum serin_status s = producer_open(&w->producer, w->bus, w->role, OPEN_MS, f);
    if (s == SERIN_OK) s = routes_read(w, f);
    if (s != SERIN_OK) return s;
    atomic_store(&w->routed_once, true);
    w->flushed_ms = clock_mono_ms();
    return consumer_open(&w->consumer, w->bus, &o, f);
}

/* The consumer first: closing it gives the partitions back, which commits. */
static void clients_close(struct worker *w)
{
    worker_flush_settle(w, true);
    worker_align_forget_all(w);
    consumer_close(w->consumer);
    producer_close(w->producer);
    table_close(w->table);
    w->consumer = NULL;
    w->producer = NULL;
    w->table = NULL;
    quarantine_rollback(w->quarantine);
    cumulative_rollback(aggregate_cumulative(w->aggregate));
    worker_source_rollback(w);
    worker_flush_drop(w);
    worker_learn_again(w);
}

/* Brokers away: asked again at the next turn, and people are told now and then. */
static void rewind_later(struct worker *w, const struct fault *f)
{
    int64_t now = clock_mono_ms();
    if (w->told_ms == 0 || now - w->told_ms >= WORKER_TELL_MS) {
        log_warn(
            "ingest",
            "%s: reading stands still: where to read again is not known: %s; asking "
            "on",
            w->member, f->text);
        w->told_ms = now;
    }
    clock_sleep_ms(POLL_MS);
}

static void rewind_if_due(struct worker *w)
{
    struct fault f = {0};
    if (!w->must_rewind || w->broken) return;
    if (worker_source_rewind(w, &f) == SERIN_OK) {
        if (w->told_ms != 0) log_info("ingest", "%s: reading goes on", w->member);
        w->must_rewind = false;
        w->told_ms = 0;
    } else if (f.fatal) {
        w->broken = true;
        w->broken_by = f;
    } else {
        rewind_later(w, &f);
    }
}

static int poll_wait(const struct worker *w)
{
    int64_t left = w->flushed_ms + w->flush_ms - clock_mono_ms();
    if (w->align.ready) return 0;
    if (w->learn.on) return POLL_MS;
    if (left < 0 || !w->moved) left = w->moved ? 0 : POLL_MS;
    return (int)(left < POLL_MS ? left : POLL_MS);
}

static void flush_if_due(struct worker *w)
{
    /* Under load this is the only moment without cells. */
    if (worker_flush_due(w) && !w->broken) routes_follow(w);
}

/* One record of the batch: taken, or kept until the other partitions have come as far.
 */
static void take_or_keep(struct worker *w, const struct bus_record *r, int64_t now_ms,
                         int64_t mono_ms)
{
    struct worker_source *s = worker_source_find(w, r->topic, r->partition);
    if (s == NULL || !s->assigned) return;
    bool now = w->learn.on ? s->learning && r->offset < s->count_from
                           : !worker_align_ahead(w, s);
    if (s->n_kept == 0 && now) {
        take_record(w, s, r, now_ms, mono_ms);
    } else if (!worker_align_keep(w, s, r)) {
        struct fault f = {0};
        fault_set(&f, SERIN_ENOMEM, "no memory for a record that has to wait");
        worker_flush_failed(w, &f, "reading");
    }
    if (w->align.stale) worker_align_look(w, mono_ms);
}

/* What may be taken of the records that were kept. */
static void take_kept(struct worker *w, int64_t now_ms, int64_t mono_ms)
{
    const struct bus_record *r;
    size_t left = WORKER_BATCH;
    for (bool some = w->align.held && !w->learn.on;
         some && left > 0 && !w->must_rewind;) {
        some = false;
        worker_align_look(w, mono_ms);
        for (size_t i = 0; i < w->n_sources && !w->must_rewind; i++) {
            struct worker_source *s = &w->sources[i];
            while (left > 0 && !w->must_rewind &&
                   (r = worker_align_next(w, s)) != NULL) {
                (void)worker_source_find(w, r->topic, r->partition);
                take_record(w, s, r, now_ms, mono_ms);
                worker_align_pop(w, s);
                left--;
                some = true;
                if (w->align.spanned || (left & 255) == 0) flush_if_due(w);
            }
        }
    }
    w->align.ready = left == 0;
    worker_align_bound(w);
}

static enum serin_status turn(struct worker *w, struct fault *f)
{
    size_t n;
    enum serin_status s =
        consumer_poll(w->consumer, w->batch, WORKER_BATCH, &n, poll_wait(w), f);
    if (s != SERIN_OK) return s;
    worker_flush_settle(w, false);
    int64_t now_ms = clock_wall_ms(), mono_ms = clock_mono_ms();
    /* A flush that fails half-way makes the rest of the batch void: it comes again. */
    if (worker_learn_begin(w, mono_ms)) n = 0;
    worker_align_batch(w, w->batch, n);
    for (size_t i = 0; i < n && !w->must_rewind; i++) {
        take_or_keep(w, &w->batch[i], now_ms, mono_ms);
        if ((i & 255) == 255 || w->batch[i].value_len > LARGE || w->align.spanned)
            flush_if_due(w);
    }
    worker_learn_end(w, mono_ms);
    if (!w->must_rewind) take_kept(w, now_ms, mono_ms);
    if (!w->must_rewind) flush_if_due(w);
    rewind_if_due(w);
    if (!w->broken) routes_follow(w);
    if (!w->broken) return SERIN_OK;
    *f = w->broken_by;
    return SERIN_EIO;
}

static enum serin_status session(struct worker *w, struct fault *f)
{
    enum serin_status s = clients_open(w, f);
    if (s == SERIN_OK)
        log_info("ingest", "%s: reading %s as group %s", w->member, w->names[0],
                 w->group);
    while (s == SERIN_OK && !atomic_load(&w->stop))
        s = turn(w, f);
    if (s != SERIN_OK) w->broken = true; /* closing must not commit */
    clients_close(w);
    return s;
}

static enum serin_status sessions(struct worker *w, struct fault *f)
{
    int64_t backoff = BACKOFF_MS;
    while (!atomic_load(&w->stop)) {
        struct fault why = {0};
        uint64_t before = worker_counts(w).flushes;
        enum serin_status s = session(w, &why);
        if (s == SERIN_OK) break;
        if (!why.retriable && !why.fatal) {
            if (f != NULL) *f = why;
            return s;
        }
        if (worker_counts(w).flushes != before) backoff = BACKOFF_MS;
        worker_count(w, rebuilds, 1);
        log_warn("ingest", "clients closed, again in %lld ms: %s", (long long)backoff,
                 why.text);
        clock_sleep_ms(backoff);
        backoff = 2 * backoff < BACKOFF_MAX_MS ? 2 * backoff : BACKOFF_MAX_MS;
    }
    return SERIN_OK;
}

enum serin_status worker_run(struct worker *w, struct fault *f)
{
    worker_flush_start(w);
    enum serin_status s = sessions(w, f);
    worker_flush_end(w);
    return s;
}

void worker_stop(struct worker *w)
{
    atomic_store(&w->stop, true);
}

/* ---------------------------------------------------------------- looking at it */

struct worker_counts worker_counts(const struct worker *w)
{
    struct worker_counts c;
#define X(name) c.name = atomic_load_explicit(&w->counters.name, memory_order_relaxed);
    WORKER_COUNTERS(X)
#undef X
    return c;
}

size_t worker_quarantine(struct worker *w, struct worker_quarantined *out, size_t room)
{
    if (room > QUARANTINE_KEPT) room = QUARANTINE_KEPT;
    struct quarantine_entry *e = mem_calloc(room, sizeof *e);
    size_t n = e != NULL ? quarantine_latest(w->quarantine, e, room) : 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = (struct worker_quarantined){
            .t_ms = e[i].t_ms, .offset = e[i].offset, .partition = e[i].partition};
        memcpy(out[i].topic, e[i].topic, sizeof out[i].topic);
        memcpy(out[i].detail, e[i].detail, sizeof out[i].detail);
        memcpy(out[i].head, e[i].head, sizeof out[i].head);
        snprintf(out[i].reason, sizeof out[i].reason, "%s",
                 quarantine_text(e[i].reason));
    }
    mem_free(e);
    return n;
}

size_t worker_reasons(struct worker *w, struct worker_reason *out, size_t room)
{
    size_t n = 0;
    for (; n < room && n < QUARANTINE_REASONS; n++) {
        enum quarantine_reason r = (enum quarantine_reason)n;
        out[n] = (struct worker_reason){quarantine_text(r),
                                        quarantine_count(w->quarantine, r)};
    }
    return n;
}

void worker_tally_add(struct worker_tally *to, const struct worker_tally *t)
{
#define X(name) to->name += t->name;
    WORKER_TALLIES(X)
#undef X
    for (int r = 0; r < QUARANTINE_REASONS; r++)
        to->reasons[r] += t->reasons[r];
}

size_t worker_partitions(struct worker *w, struct worker_partition *out, size_t room)
{
    pthread_mutex_lock(&w->lock);
    size_t n = w->n_shown;
    if (n != 0 && room != 0) memcpy(out, w->shown, (n < room ? n : room) * sizeof *out);
    pthread_mutex_unlock(&w->lock);
    return n;
}

const char *worker_member(const struct worker *w)
{
    return w->member;
}

bool worker_routed(const struct worker *w)
{
    return atomic_load(&w->routed_once);
}

bool worker_ready(const struct worker *w)
{
    return atomic_load(&w->joined) && atomic_load(&w->routed_once);
}
