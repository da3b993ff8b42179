/* tests/unit/core/test_streamclock.c -- the stream's time from its sources */
#include "engine/core/streamclock.h"
#include "tests/support/check.h"

struct source {
    int32_t partition;
    bool known, idle;
    int64_t watermark_ms;
    uint64_t gaps;
};

static void tick(struct streamclock *c, const char *worker, int64_t wall_ms, size_t n,
                 const struct source *from)
{
    pb_tick t = SERIN__V1__TICK__INIT;
    pb_source s[8], *items[8];
    for (size_t i = 0; i < n; i++) {
        serin__v1__source__init(&s[i]);
        s[i].topic = "m";
        s[i].partition = from[i].partition;
        s[i].known = from[i].known;
        s[i].idle = from[i].idle;
        s[i].watermark_ms = from[i].watermark_ms;
        s[i].gaps = from[i].gaps;
        items[i] = &s[i];
    }
    t.worker = (char *)worker;
    t.wall_ms = wall_ms;
    t.n_sources = n;
    t.sources = items;
    cr_assert(eq(int, streamclock_tick(c, &t), SERIN_OK));
}

Test(streamclock, least_of_the_sources_that_are_not_idle)
{
    struct streamclock c = {0};
    tick(&c, "w", 1000, 2,
         (struct source[]){{0, true, false, 500, 0}, {1, true, false, 300, 0}});
    cr_assert(c.known);
    cr_assert(eq(i64, c.watermark_ms, 300));
    tick(&c, "w", 2000, 1, (struct source[]){{1, true, true, 300, 0}});
    cr_assert(eq(i64, c.watermark_ms, 500));
    streamclock_free(&c);
}

Test(streamclock, unknown_source_holds_it_back_but_never_takes_it_back)
{
    struct streamclock c = {0};
    tick(&c, "w", 1000, 1, (struct source[]){{0, false, false, 0, 0}});
    cr_assert(not(c.known));
    tick(&c, "w", 1000, 1, (struct source[]){{0, true, false, 700, 0}});
    cr_assert(eq(i64, c.watermark_ms, 700));
    tick(&c, "w", 1500, 2,
         (struct source[]){{0, true, false, 900, 0}, {1, false, false, 0, 0}});
    cr_assert(eq(i64, c.watermark_ms, 700));
    tick(&c, "w", 1600, 1, (struct source[]){{1, false, true, 0, 0}});
    cr_assert(eq(i64, c.watermark_ms, 900));
    streamclock_free(&c);
}

Test(streamclock, all_idle_takes_the_largest_known)
{
    struct streamclock c = {0};
    tick(&c, "w", 1000, 2,
         (struct source[]){{0, true, true, 100, 0}, {1, true, true, 800, 0}});
    cr_assert(eq(i64, c.watermark_ms, 800));
    streamclock_free(&c);
}

Test(streamclock, never_falls)
{
    struct streamclock c = {0};
    tick(&c, "w", 5000, 1, (struct source[]){{0, true, false, 900, 0}});
    tick(&c, "w", 4000, 1, (struct source[]){{0, true, false, 100, 0}});
    cr_assert(eq(i64, c.watermark_ms, 900));
    cr_assert(eq(i64, c.wall_ms, 5000));
    tick(&c, "w", 5000, 1,
         (struct source[]){{1, true, false, 200, 0}}); /* a late joiner */
    cr_assert(eq(i64, c.watermark_ms, 900));
    streamclock_free(&c);
}

Test(streamclock, a_source_not_reported_leaves)
{
    struct streamclock c = {0};
    tick(&c, "w", 1000, 2,
         (struct source[]){{0, true, false, 500, 0}, {1, true, false, 300, 0}});
    tick(&c, "w", 61000, 1, (struct source[]){{0, true, false, 60500, 0}});
    cr_assert(eq(i64, c.watermark_ms, 300));
    tick(&c, "w", 61001, 1, (struct source[]){{0, true, false, 60501, 0}});
    cr_assert(eq(i64, c.watermark_ms, 60501));
    streamclock_free(&c);
}

Test(streamclock, gaps_count_from_each_readers_start)
{
    struct streamclock c = {0};
    tick(&c, "w1", 1000, 1, (struct source[]){{0, true, false, 1, 0}});
    tick(&c, "w1", 1000, 1, (struct source[]){{0, true, false, 1, 2}});
    tick(&c, "w1", 1000, 1, (struct source[]){{0, true, false, 1, 2}});
    cr_assert(eq(u64, c.gaps, 2));
    tick(&c, "w2", 1000, 1, (struct source[]){{0, true, false, 1, 1}});
    cr_assert(eq(u64, c.gaps, 3));
    streamclock_free(&c);
}

Test(streamclock, order_of_sources_does_not_matter_and_saving_loses_nothing)
{
    struct streamclock a = {0}, b = {0}, back = {0};
    struct arena arena = {0};
    pb_clock *saved;
    tick(&a, "w", 1000, 2,
         (struct source[]){{0, true, false, 5, 1}, {1, false, true, 0, 0}});
    tick(&b, "w", 1000, 2,
         (struct source[]){{1, false, true, 0, 0}, {0, true, false, 5, 1}});
    for (int k = 0; k < 2; k++) /* two readers lost some: more than one of them says */
        tick(k == 0 ? &a : &b, "w2", 1000, 1,
             (struct source[]){{0, true, false, 5, 4}});
    cr_assert(eq(i64, a.watermark_ms, b.watermark_ms));
    cr_assert(eq(int, streamclock_save(&a, &arena, &saved), SERIN_OK));
    cr_assert(eq(int, streamclock_load(&back, saved), SERIN_OK));
    cr_assert(eq(i64, back.watermark_ms, a.watermark_ms));
    cr_assert(eq(u64, back.gaps, a.gaps));
    cr_assert(eq(sz, back.n, a.n));
    for (size_t i = 0; i < a.n; i++) {
        cr_assert(eq(i64, back.sources[i].seen_ms, a.sources[i].seen_ms));
        cr_assert(eq(u64, back.sources[i].gaps, a.sources[i].gaps));
        cr_assert(eq(int, back.sources[i].idle, a.sources[i].idle));
    }
    streamclock_free(&a);
    streamclock_free(&b);
    streamclock_free(&back);
    arena_free(&arena);
}

Test(streamclock, now_and_lag)
{
    struct streamclock c = {0};
    cr_assert(eq(i64, streamclock_lag(&c), -1));
    tick(&c, "w", 1000, 1, (struct source[]){{0, true, false, 400, 0}});
    cr_assert(eq(i64, streamclock_now(&c), 1000));
    cr_assert(eq(i64, streamclock_lag(&c), 600));
    tick(&c, "w", 1000, 1, (struct source[]){{0, true, false, 1700, 0}});
    cr_assert(eq(i64, streamclock_now(&c), 1700));
    cr_assert(eq(i64, streamclock_lag(&c), 0));
    streamclock_free(&c);
}
