/* engine/notify/notify.c */
#include "engine/notify/notify.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/bus/table.h"
#include "engine/notify/send.h"
#include "proto/decode.h"

enum { POLL_MS = 100 };

struct notify {
    struct bus *bus;
    const struct receiver_list *list;
    struct rows *rows;
    struct table *table;
    struct follow *follows[RECEIVER_MAX];
    atomic_bool stop;
};

static void on_row(void *ctx, const struct bus_record *r)
{
    struct notify *n = ctx;
    struct arena memory = {0};
    pb_rollout *row;
    char id[132] = "";
    int64_t age = clock_wall_ms() - r->timestamp_ms;
    if (r->value == NULL) {
        snprintf(id, sizeof id, "%.*s", (int)r->key_len, (const char *)r->key);
        rows_drop(n->rows, id);
    } else if (decode_rollout(&memory, r->value, r->value_len, &row) == SERIN_OK) {
        rows_hear(n->rows, row, clock_mono_ms() - (age > 0 ? age : 0));
    }
    arena_free(&memory);
}

enum serin_status notify_open(struct notify **out, struct bus *b,
                              const struct receiver_list *l, struct fault *f)
{
    struct notify *n = mem_calloc(1, sizeof *n);
    if (n == NULL || (n->rows = rows_open()) == NULL) {
        mem_free(n);
        return fault_set(f, SERIN_ENOMEM, "no memory for the notifier");
    }
    n->bus = b;
    n->list = l;
    enum serin_status rc = SERIN_OK;
    for (size_t i = 0; rc == SERIN_OK && i < l->n; i++)
        rc = follow_open(&n->follows[i], b, n->rows, &l->items[i], l->silence_ms, f);
    if (rc == SERIN_OK)
        *out = n;
    else
        notify_close(n);
    return rc;
}

static enum serin_status turn(struct notify *n, struct fault *f)
{
    struct table_options o = {.topic = bus_topic_name(n->bus, BUS_ROLLOUTS),
                              .start = BUS_OFFSET_NONE,
                              .on_record = on_row,
                              .ctx = n};
    enum serin_status rc = SERIN_OK;
    if (n->table == NULL) rc = table_open(&n->table, n->bus, &o, f);
    if (rc == SERIN_OK) rc = table_poll(n->table, POLL_MS, f);
    if (rc == SERIN_OK && table_caught_up(n->table)) rows_ready(n->rows);
    return rc;
}

enum serin_status notify_run(struct notify *n, struct fault *f)
{
    char said[TABLE_SAID] = "";
    while (!atomic_load(&n->stop)) {
        if (turn(n, f) == SERIN_OK) {
            said[0] = '\0';
            continue;
        }
        table_retry(&n->table, said, "notify", f);
    }
    return SERIN_OK;
}

void notify_stop(struct notify *n)
{
    atomic_store(&n->stop, true);
}

void notify_close(struct notify *n)
{
    if (n == NULL) return;
    for (size_t i = 0; i < n->list->n; i++)
        follow_stop(n->follows[i]); /* all at once */
    for (size_t i = 0; i < n->list->n; i++)
        follow_close(n->follows[i]);
    table_close(n->table);
    rows_close(n->rows);
    mem_free(n);
}

struct follow_counts notify_counts(const struct notify *n, size_t i)
{
    return follow_counts(n->follows[i]);
}

enum serin_status notify_test(const struct receiver *r, struct fault *f)
{
    int64_t now = clock_wall_ms(), wait_ms;
    struct incident_event e = {
        .what = {.verdict = "TEST",
                 .rollout = "serin-test",
                 .service = "test",
                 .reason = "test",
                 .state = "HELD",
                 .message = "somebody tries whether this receiver can be reached; "
                            "nothing has happened",
                 .severity = SEVERITY_INFO,
                 .seq = (uint64_t)now,
                 .t_ms = now},
        .firing = true};
    snprintf(e.what.key, sizeof e.what.key, "serin-test:%lld", (long long)now);
    enum serin_status rc = send_alert(r, &e, now, &wait_ms, f);
    if (rc != SERIN_OK) return rc;
    e.firing = false;
    e.ended_ms = clock_wall_ms();
    snprintf(e.how, sizeof e.how, "the test is over");
    return send_alert(r, &e, e.ended_ms, &wait_ms, f);
}
