/* tests/unit/ingest/test_quarantine.c -- the latest thousand, and only what was
 * committed */
#include "ingest/quarantine.h"
#include "tests/support/check.h"

static struct quarantine_entry got[QUARANTINE_KEPT + 10];

static void add(struct quarantine *q, int64_t offset)
{
    struct quarantine_entry e = {.offset = offset, .reason = QUARANTINE_SCHEMA};
    snprintf(e.topic, sizeof e.topic, "in");
    quarantine_add(q, &e, "a\nb\x80", 4);
}

Test(quarantine, shows_the_newest_first_and_what_is_printable)
{
    struct quarantine *q;
    cr_assert(eq(int, quarantine_open(&q), SERIN_OK));
    for (int i = 0; i < 2500; i++) {
        add(q, i);
        if (i % 7 == 0) {
            quarantine_seal(q);
            quarantine_commit(q);
        }
    }
    quarantine_seal(q);
    quarantine_commit(q);
    size_t n = quarantine_latest(q, got, sizeof got / sizeof *got);
    cr_assert(eq(sz, n, QUARANTINE_KEPT));
    for (size_t i = 0; i < n; i++)
        cr_assert(eq(i64, got[i].offset, 2499 - (int64_t)i));
    cr_assert(eq(str, got[0].head, "a.b."));
    cr_assert(eq(u64, quarantine_count(q, QUARANTINE_SCHEMA), 2500));
    cr_assert(eq(u64, quarantine_count(q, QUARANTINE_EMPTY), 0));
    quarantine_close(q);
}

Test(quarantine, what_is_read_again_counts_once)
{
    struct quarantine *q;
    cr_assert(eq(int, quarantine_open(&q), SERIN_OK));
    for (int i = 0; i < 1500; i++)
        add(q, i);
    cr_assert(eq(sz, quarantine_latest(q, got, 10), 0), "not committed yet");
    quarantine_rollback(q);
    cr_assert(eq(u64, quarantine_count(q, QUARANTINE_SCHEMA), 0));
    for (int i = 0; i < 1500; i++)
        add(q, i);
    quarantine_seal(q);
    quarantine_commit(q);
    add(q, 7777);
    quarantine_rollback(q);
    cr_assert(eq(u64, quarantine_count(q, QUARANTINE_SCHEMA), 1500));
    cr_assert(eq(sz, quarantine_latest(q, got, 5), 5));
    cr_assert(eq(i64, got[0].offset, 1499));
    quarantine_close(q);
    quarantine_close(NULL);
}

Test(quarantine, every_reason_has_its_own_name)
{
    for (int i = 0; i < QUARANTINE_REASONS; i++)
        for (int k = 0; k < i; k++)
            cr_assert(strcmp(quarantine_text((enum quarantine_reason)i),
                             quarantine_text((enum quarantine_reason)k)) != 0);
    cr_assert(eq(str, (char *)(uintptr_t)quarantine_text((enum quarantine_reason)99),
                 "unknown"));
}
