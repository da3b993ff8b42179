/* Which combination is chosen, and results kept in a file. */
#include "engine/replay/tune/ledger.h"
#include "engine/replay/tune/tune_score.h"

#include <unistd.h>

#include "tests/support/check.h"

enum { N = 100 };

/* Of 100 runs each; times in seconds. */
static struct tune_row row(unsigned requests, unsigned windows, unsigned found,
                           double abort_s, double promote_s)
{
    struct tune_row r = {.alpha = 0.05};
    r.requests = tune_score_share(requests, N);
    r.windows = tune_score_share(windows, N);
    r.recorded = tune_score_share(0, 1);
    r.injected[0].found = tune_score_share(found, N);
    r.injected[0].time.p50 = abort_s;
    r.promote.p50 = promote_s;
    return r;
}

Test(tune, false_aborts_come_first)
{
    struct tune_measured alone = {.paired = false}, both = {.paired = true};
    struct tune_row rows[] = {row(6, 0, 100, 10, 60), row(5, 0, 90, 20, 60),
                              row(0, 30, 100, 5, 60)};
    cr_assert(eq(int, tune_score_choose(rows, 3, 1, &alone), 1));
    cr_assert(not(rows[0].admissible));
    cr_assert(rows[1].admissible);
    cr_assert(not(rows[2].admissible));
    cr_assert(eq(int, tune_score_choose(rows, 3, 1, &both), 2),
              "windows do not rule out what is known between cohorts");
    cr_assert(eq(int, tune_score_choose(rows, 1, 1, &alone), -1));
}

Test(tune, recorded_pairs_rule_out_only_what_they_show)
{
    struct tune_measured m = {.paired = true};
    struct tune_row rows[] = {row(0, 0, 100, 10, 60), row(0, 0, 100, 20, 60)};
    rows[0].recorded = tune_score_share(1, 8); /* 0.3 % to 53 % */
    cr_assert(eq(int, tune_score_choose(rows, 2, 1, &m), 0));
    rows[0].recorded = tune_score_share(3, 8); /* 8.5 % at least */
    cr_assert(eq(int, tune_score_choose(rows, 2, 1, &m), 1));
}

Test(tune, then_faults_within_their_limits_then_time)
{
    struct tune_measured m = {0};
    struct tune_row rows[] = {row(0, 0, 100, 30, 60), row(0, 0, 98, 20, 60),
                              row(0, 0, 80, 10, 60), row(0, 0, 100, 5, INFINITY)};
    cr_assert(eq(int, tune_score_choose(rows, 4, 1, &m), 1),
              "98 of 100 may be as good as 100, 80 is not; one that never promotes is "
              "no choice");
    cr_assert(eq(int, tune_score_choose(rows + 3, 1, 1, &m), 0),
              "but for want of others");
}

Test(tune, the_front_is_what_nothing_beats_in_all)
{
    struct tune_measured m = {0};
    struct tune_row rows[] = {row(0, 0, 90, 10, 60), row(0, 0, 90, 20, 50),
                              row(0, 0, 90, 20, 60), row(1, 0, 90, 10, 60)};
    cr_assert(eq(int, tune_score_choose(rows, 4, 1, &m), 0));
    cr_assert(rows[0].front);
    cr_assert(rows[1].front);
    cr_assert(not(rows[2].front));
    cr_assert(not(rows[3].front));
}

Test(tune, times_are_over_all_runs)
{
    struct tune_found f = {0};
    struct rehearsed r[10];
    for (unsigned i = 0; i < 10; i++)
        r[i] = (struct rehearsed){.start_ms = 1000,
                                  .onset_ms = 5000,
                                  .end_ms = 6000 + 1000 * i,
                                  .canary = 10 * i,
                                  .hurt = i,
                                  .end = i < 6 ? REHEARSE_ABORTED : REHEARSE_UNDECIDED};
    r[5].end_ms = 4000; /* before it began */
    cr_assert(eq(int, tune_score_found(&f, r, 10), SERIN_OK));
    cr_assert(eq(uint, f.found.k, 5));
    cr_assert(eq(uint, f.early, 1));
    cr_assert(eq(dbl, f.time.p50, 5)); /* 1 to 5 s, and five that never were */
    cr_assert(isinf(f.time.p90));
    cr_assert(eq(dbl, f.requests.p50, 40));
    cr_assert(eq(dbl, f.hurt.p90, 8));
}

static const char key[] = "00ff", other[] = "00fe";

static void put(const char *path, size_t i)
{
    struct ledger *l;
    struct rehearsed results[4] = {0}, one = {.end_ms = (int64_t)i, .reason = "harm"};
    bool done[4] = {false};
    struct fault f = {0};
    cr_assert(eq(int, ledger_open(&l, path, key, results, done, 4, &f), SERIN_OK), "%s",
              f.text);
    cr_assert(eq(int, ledger_put(l, i, &one), SERIN_OK));
    cr_assert(eq(int, ledger_close(l), SERIN_OK));
}

static size_t kept(const char *path, bool done[4])
{
    struct ledger *l;
    struct rehearsed results[4] = {0};
    struct fault f = {0};
    size_t n = 0;
    memset(done, 0, 4 * sizeof *done);
    cr_assert(eq(int, ledger_open(&l, path, key, results, done, 4, &f), SERIN_OK));
    cr_assert(eq(int, ledger_close(l), SERIN_OK));
    for (size_t i = 0; i < 4; i++) {
        n += done[i];
        if (done[i]) cr_assert(eq(long, results[i].end_ms, (long)i));
    }
    return n;
}

Test(ledger, results_are_found_again_and_half_a_one_is_not)
{
    char path[] = "/tmp/ledger-XXXXXX";
    bool done[4];
    int fd = mkstemp(path);
    put(path, 2);
    put(path, 0);
    cr_assert(eq(sz, kept(path, done), 2));
    cr_assert(done[0] && done[2]);
    off_t size = lseek(fd, 0, SEEK_END);
    cr_assert(eq(int, ftruncate(fd, size - 1), 0));
    cr_assert(eq(sz, kept(path, done), 1));
    put(path, 3); /* over what is left of the half one */
    cr_assert(eq(sz, kept(path, done), 2));
    cr_assert(done[2] && done[3]);
    cr_assert(eq(long, pwrite(fd, "x", 1, size - 20), 1));
    cr_assert(eq(sz, kept(path, done), 1), "a damaged one is done again");
    close(fd);
    unlink(path);
}

Test(ledger, files_of_others_are_left_alone)
{
    char path[] = "/tmp/ledger-XXXXXX";
    struct ledger *l = NULL;
    struct rehearsed results[4] = {0};
    bool done[4] = {false};
    struct fault f = {0};
    int fd = mkstemp(path);
    put(path, 2);
    cr_assert(eq(int, ledger_open(&l, path, other, results, done, 4, &f), SERIN_EDOM));
    cr_assert_not_null(strstr(f.text, "another run"));
    cr_assert(eq(long, pwrite(fd, "other words\n", 12, 0), 12));
    cr_assert(eq(int, ledger_open(&l, path, key, results, done, 4, &f), SERIN_EDOM));
    cr_assert_not_null(strstr(f.text, "no state"));
    cr_assert(eq(int, ledger_open(&l, "/no/such/place", key, results, done, 4, &f),
                 SERIN_EIO));
    cr_assert_null(l);
    close(fd);
    unlink(path);
}
