/* tests/unit/act/test_lease.c -- whatever words come in whatever order and however
 * late, the weight in force is never above the latest verdict's, and 0 without a
 * heartbeat */
#include "engine/act/lease.h"

#include "tests/support/check.h"

enum { LEASE = 30000 };

static struct lease_word word(uint64_t seq, uint32_t bp)
{
    return (struct lease_word){.seq = seq, .weight_bp = bp};
}

Test(lease, nothing_is_in_force_before_a_verdict)
{
    struct lease l;
    lease_open(&l, LEASE);
    cr_assert(eq(u32, lease_weight(&l), 0u));
    cr_assert(not(lease_check(&l, 1000000)));
    struct lease_word none = word(0, 0);
    cr_assert(not(lease_hear(&l, &none, 5, 5)),
              "a row without a verdict names no weight");
}

Test(lease, a_verdict_counts_once_and_older_ones_never)
{
    struct lease l;
    struct lease_word a = word(3, 500), b = word(4, 2500), old = word(2, 10000);
    lease_open(&l, LEASE);
    cr_assert(lease_hear(&l, &a, 100, 100));
    cr_assert(not(lease_hear(&l, &a, 200, 200)));
    cr_assert(lease_hear(&l, &b, 300, 300));
    cr_assert(not(lease_hear(&l, &a, 400, 400)));
    cr_assert(not(lease_hear(&l, &old, 400, 400)));
    cr_assert(eq(u32, lease_weight(&l), 2500u));
}

Test(lease, silence_ends_it_once_and_only_a_newer_verdict_begins_again)
{
    struct lease l;
    struct lease_word a = word(3, 500), b = word(4, 500);
    lease_open(&l, LEASE);
    lease_hear(&l, &a, 0, 0);
    cr_assert(eq(i64, lease_due_ms(&l), (int64_t)LEASE + 1));
    cr_assert(not(lease_check(&l, LEASE)));
    cr_assert(lease_check(&l, LEASE + 1));
    cr_assert(not(lease_check(&l, LEASE + 2)), "told once");
    cr_assert(eq(u32, lease_weight(&l), 0u));
    lease_hear(&l, &a, LEASE + 10, LEASE + 10);
    cr_assert(eq(u32, lease_weight(&l), 0u), "the same verdict again raises nothing");
    cr_assert(lease_hear(&l, &b, LEASE + 20, LEASE + 20));
    cr_assert(eq(u32, lease_weight(&l), 500u));
}

Test(lease, heartbeats_keep_it_but_old_news_do_not)
{
    struct lease l;
    struct lease_word a = word(3, 500), old = word(2, 100);
    lease_open(&l, LEASE);
    lease_hear(&l, &a, 0, 0);
    for (int64_t t = 0; t < 10 * LEASE; t += 2000) {
        lease_hear(&l, &a, t, t);
        cr_assert(not(lease_check(&l, t)));
    }
    /* A record that waited is as old as when it was written, and an older verdict's row
     * is no sign of life at all. */
    lease_hear(&l, &a, 10 * LEASE, 20 * LEASE);
    lease_hear(&l, &old, 20 * LEASE, 20 * LEASE);
    cr_assert(lease_check(&l, 20 * LEASE));
}

Test(lease, a_verdict_that_waited_too_long_gives_no_weight)
{
    struct lease l;
    struct lease_word a = word(3, 500), b = word(4, 800), end = word(5, 10000);
    end.final = true;
    lease_open(&l, LEASE);
    cr_assert(lease_hear(&l, &a, 0, LEASE + 1));
    cr_assert(eq(u32, lease_weight(&l), 0u));
    cr_assert(lease_hear(&l, &b, LEASE + 2, LEASE + 2));
    cr_assert(eq(u32, lease_weight(&l), 800u));
    cr_assert(lease_hear(&l, &end, LEASE + 3, 9 * LEASE), "final ones hold without");
    cr_assert(eq(u32, lease_weight(&l), 10000u));
    cr_assert(not(lease_check(&l, 99 * LEASE)));
    cr_assert(eq(i64, lease_due_ms(&l), INT64_MAX));
}

/* Random words, duplicated, reordered and late: against the rule, said plainly. */
Test(lease, never_above_the_latest_verdict_in_100_000_random_words)
{
    uint64_t x = 88172645463325252u;
    for (int run = 0; run < 200; run++) {
        struct lease l;
        uint64_t top = 0;
        uint32_t weight[64], allowed = 0;
        int64_t now = 0, heard = INT64_MIN / 2;
        lease_open(&l, LEASE);
        for (int i = 0; i < 64; i++)
            weight[i] = (uint32_t)(i * 7919 % 10001);
        for (int i = 0; i < 500; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            now += (int64_t)(x % 9000);
            uint64_t seq = 1 + (top + x / 64) % (top + 2 < 64 ? top + 2 : 63);
            int64_t said = now - (int64_t)(x / 4096 % 4 == 0 ? x / 65536 % 60000 : 0);
            struct lease_word w = word(seq, weight[seq]);
            bool gone = now - heard > LEASE;
            lease_check(&l, now);
            if (gone) allowed = 0;
            lease_hear(&l, &w, said, now);
            if (seq >= top && said > heard) heard = said;
            if (seq > top) {
                top = seq;
                allowed = now - said <= LEASE ? weight[seq] : 0;
            }
            cr_assert(eq(u32, lease_weight(&l), allowed), "run %d, word %d", run, i);
        }
    }
}
