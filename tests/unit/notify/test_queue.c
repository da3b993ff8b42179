/* tests/unit/notify/test_queue.c -- what waits: order, bound, how far a partition is
 * done; pauses; signs of life */
#include "engine/notify/queue.h"

#include "engine/notify/follow.h"
#include "engine/notify/rows.h"
#include "tests/support/check.h"

static struct incident_event event; /* 10 KiB of nothing */

static bool add(struct queue *q, int32_t partition, int64_t offset)
{
    bool dropped;
    cr_assert(queue_add(q, &event, partition, offset, &dropped));
    return dropped;
}

Test(queue, a_partition_is_done_up_to_its_oldest_entry)
{
    struct queue q = {0};
    cr_assert(eq(i64, queue_oldest(&q, 0), (int64_t)-1));
    add(&q, 0, 7), add(&q, 1, 3), add(&q, 0, 7), add(&q, QUEUE_OWN, 0), add(&q, 0, 9);
    cr_assert(eq(i64, queue_oldest(&q, 0), (int64_t)7));
    queue_next(&q);
    cr_assert(eq(i64, queue_oldest(&q, 0), (int64_t)7), "the other one of that record");
    queue_forget(&q, 1);
    queue_next(&q);
    cr_assert(eq(i64, queue_oldest(&q, 0), (int64_t)9));
    cr_assert(eq(i32, q.first->partition, QUEUE_OWN));
    cr_assert(eq(sz, q.n, 2));
    queue_forget(&q, 0);
    cr_assert(q.first == q.last && q.n == 1);
    queue_clear(&q);
    queue_next(&q); /* of nothing: nothing */
}

Test(queue, a_full_one_drops_its_oldest)
{
    struct queue q = {0};
    for (int64_t i = 0; i < QUEUE_MAX; i++)
        cr_assert(not(add(&q, 0, i)));
    cr_assert(add(&q, 0, QUEUE_MAX));
    cr_assert(eq(sz, q.n, QUEUE_MAX));
    cr_assert(eq(i64, queue_oldest(&q, 0), (int64_t)1));
    queue_clear(&q);
}

Test(queue, pauses_double_up_to_a_minute_and_differ)
{
    uint64_t a = 1, b = 2, same = 1;
    int64_t most = 500;
    bool differ = false;
    for (unsigned n = 1; n < 200; n++) {
        int64_t x = follow_pause_ms(n, &a), y = follow_pause_ms(n, &b);
        cr_assert(ge(i64, x, most / 2));
        cr_assert(le(i64, x, most));
        cr_assert(eq(i64, follow_pause_ms(n, &same), x));
        differ = differ || x != y;
        most = 2 * most < 60000 ? 2 * most : 60000;
    }
    cr_assert(differ);
}

static void hear(struct rows *rows, const char *id, bool final, int64_t ms)
{
    pb_rollout row = SERIN__V1__ROLLOUT__INIT;
    pb_status s = SERIN__V1__STATUS__INIT;
    s.final = final;
    s.service = (char *)"shop";
    row.rollout = (char *)(uintptr_t)id;
    row.status = &s;
    rows_hear(rows, &row, ms);
}

Test(rows, live_ones_that_fell_silent)
{
    struct rows *rows = rows_open();
    struct receiver all = {0}, none = {0};
    const char *patterns[] = {"zzz"};
    none.rollouts = patterns, none.n_rollouts = 1;
    hear(rows, "a", false, 1000), hear(rows, "b", false, 1000);
    cr_assert(not(rows_ask(rows, &all, 5000, 99999).ready), "not all was read yet");
    rows_ready(rows);
    hear(rows, "a", false, 4000);
    hear(rows, "a", false, 2000); /* an older one does not matter */
    cr_assert(eq(sz, rows_ask(rows, &all, 5000, 6000).silent, 0));
    struct rows_silent s = rows_ask(rows, &all, 5000, 6001);
    cr_assert(eq(sz, s.silent, 1));
    cr_assert(eq(sz, s.live, 2));
    cr_assert(eq(str, s.examples, (char *)"b"));
    cr_assert(eq(sz, rows_ask(rows, &none, 5000, 99999).live, 0));
    hear(rows, "b", true, 6000);
    rows_drop(rows, "a");
    cr_assert(eq(sz, rows_ask(rows, &all, 5000, 99999).live, 0));
    rows_close(rows);
}
