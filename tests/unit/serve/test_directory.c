/* tests/unit/serve/test_directory.c -- rows, verdicts, repeats, bounds */
#include <pthread.h>

#include "tests/unit/serve/fixture.h"

static size_t verdicts(struct directory *d, const char *id, uint64_t after,
                       uint64_t *first)
{
    struct arena a = {0};
    pb_verdict **list = NULL;
    size_t n = 0;
    cr_assert(eq(int, directory_verdicts(d, id, after, &a, &list, &n), SERIN_OK));
    for (size_t i = 1; i < n; i++)
        cr_assert(gt(u64, list[i]->seq, list[i - 1]->seq), "oldest first");
    *first = n != 0 ? list[0]->seq : 0;
    arena_free(&a);
    return n;
}

Test(directory, latest_row_wins_and_a_tombstone_removes)
{
    struct directory *d = fixture_directory();
    struct arena a = {0};
    pb_rollout *r = NULL, **list = NULL;
    size_t n = 0;
    fixture_row(d, "b", "OBSERVING", NULL);
    fixture_row(d, "a", "HELD", NULL);
    fixture_row(d, "b", "PROMOTED", NULL);
    cr_assert(eq(int, directory_get(d, "b", &a, &r), SERIN_OK));
    cr_assert(eq(str, r->status->state, (char *)"PROMOTED"));
    cr_assert(eq(int, directory_get(d, "c", &a, &r), SERIN_ENOENT));
    cr_assert(eq(int, directory_list(d, &a, &list, &n), SERIN_OK));
    cr_assert(eq(sz, n, 2));
    cr_assert(eq(str, list[0]->rollout, (char *)"a"), "sorted");
    cr_assert(eq(u64, directory_counts(d).live, 1));
    directory_take(d, BUS_ROLLOUTS, "b", 1, NULL, 0);
    cr_assert(eq(int, directory_get(d, "b", &a, &r), SERIN_ENOENT));
    cr_assert(eq(u64, directory_counts(d).rollouts, 1));
    arena_free(&a);
    directory_close(d);
}

Test(directory, a_repeated_verdict_is_dropped)
{
    struct directory *d = fixture_directory();
    uint64_t first;
    for (uint64_t seq = 1; seq <= 3; seq++)
        fixture_verdict(d, "r", seq, 100 + (int64_t)seq);
    for (uint64_t seq = 2; seq <= 3; seq++) /* at-least-once, or the topic read again */
        fixture_verdict(d, "r", seq, 100 + (int64_t)seq);
    cr_assert(eq(sz, verdicts(d, "r", 0, &first), 3));
    cr_assert(eq(sz, verdicts(d, "r", 1, &first), 2));
    cr_assert(eq(u64, first, 2));
    fixture_verdict(d, "r", 1, 999); /* the same id begun again, later */
    cr_assert(eq(sz, verdicts(d, "r", 0, &first), 1));
    cr_assert(eq(u64, first, 1));
    directory_close(d);
}

Test(directory, keeps_the_latest_256_verdicts)
{
    struct directory *d = fixture_directory();
    uint64_t first;
    for (uint64_t seq = 1; seq <= 300; seq++)
        fixture_verdict(d, "r", seq, (int64_t)seq);
    cr_assert(eq(sz, verdicts(d, "r", 0, &first), DIRECTORY_MAX_VERDICTS));
    cr_assert(eq(u64, first, 45));
    cr_assert(eq(u64, directory_counts(d).verdicts, DIRECTORY_MAX_VERDICTS));
    directory_close(d);
}

Test(directory, what_cannot_be_decoded_changes_nothing)
{
    struct directory *d = fixture_directory();
    fixture_row(d, "r", "HELD", NULL);
    directory_take(d, BUS_ROLLOUTS, "r", 1, "\xff\xff", 2);
    directory_take(d, BUS_VERDICTS, "r", 1, "\xff", 1);
    directory_take(d, BUS_ROLLOUTS, "", 0, "", 0); /* a row of no rollout */
    cr_assert(eq(u64, directory_counts(d).undecodable, 3));
    cr_assert(eq(u64, directory_counts(d).rollouts, 1));
    directory_close(d);
}

Test(directory, out_of_memory_at_any_point_loses_one_record_only)
{
    struct directory *d = fixture_directory();
    struct arena a = {0};
    struct bytes b;
    pb_rollout r = SERIN__V1__ROLLOUT__INIT;
    uint64_t k = 0;
    r.rollout = (char *)"new";
    cr_assert(eq(int, encode_rollout(&a, &r, &b), SERIN_OK));
    do {
        mem_fail_at(++k);
        directory_take(d, BUS_ROLLOUTS, "new", 3, b.p, b.n);
        mem_fail_at(0);
    } while (directory_counts(d).rollouts == 0 && k < 50);
    cr_assert(eq(u64, directory_counts(d).rollouts, 1));
    cr_assert(gt(u64, directory_counts(d).undecodable, 1));
    arena_free(&a);
    directory_close(d);
}

Test(directory, nearest_id)
{
    struct directory *d = fixture_directory();
    struct arena a = {0};
    fixture_row(d, "checkout-2.4.0", "HELD", NULL);
    fixture_row(d, "search-1", "HELD", NULL);
    cr_assert(eq(str, (char *)directory_nearest(d, "chekout-2.4.0", &a),
                 (char *)"checkout-2.4.0"));
    cr_assert(eq(ptr, (void *)directory_nearest(d, "payments", &a), NULL));
    arena_free(&a);
    directory_close(d);
}

static void *feed(void *d)
{
    fixture_verdict(d, "r", 1, 1);
    return NULL;
}

Test(directory, wait_returns_when_something_came)
{
    struct directory *d = fixture_directory();
    pthread_t t;
    uint64_t seen = directory_wait(d, 0, 0);
    pthread_create(&t, NULL, feed, d);
    cr_assert(gt(u64, directory_wait(d, seen, 60000), seen));
    pthread_join(t, NULL);
    cr_assert(eq(u64, directory_wait(d, seen + 1, 1), seen + 1), "nothing more");
    directory_close(d);
}
