/* tests/unit/replay/test_ring.c -- segments go on where the ring stood, whatever ended
 * it; the oldest go; together they are one recording */
#include "engine/replay/record/ring.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/replay/record/splice.h"
#include "tests/support/check.h"

enum { FILES = 64, PARTITIONS = 3 };
static const int64_t t0 = 1760000000000;

struct world {
    char dir[64], files[FILES][400];
    size_t n;
    struct origin_topic topics[2];
    struct origin origin;
    struct ring_options o;
    struct ring *ring;
    int64_t now_ms;
};

static struct world open_world(void)
{
    struct world w = {
        .topics = {{.name = "serin.inbox"}, {.name = "in", .input = true}},
        .now_ms = t0};
    snprintf(w.dir, sizeof w.dir, "/tmp/serin-ring-XXXXXX");
    cr_assert(mkdtemp(w.dir) != NULL);
    w.o = (struct ring_options){.max_bytes = 1 << 30,
                                .segment_bytes = 20000,
                                .max_age_ms = INT64_MAX / 2,
                                .segment_ms = 3600000};
    return w;
}

static enum serin_status start(struct world *w, struct fault *f)
{
    w->origin = (struct origin){.serin = "t", .topics = w->topics, .n = 2};
    w->o.dir = w->dir;
    w->o.origin = &w->origin;
    return ring_open(&w->ring, &w->o, w->now_ms, f);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void list(struct world *w)
{
    char dir[sizeof w->dir];
    memcpy(dir, w->dir, sizeof dir);
    DIR *d = opendir(dir);
    struct dirent *e;
    w->n = 0;
    while ((e = readdir(d)) != NULL)
        if (e->d_name[0] != '.')
            snprintf(w->files[w->n++], sizeof w->files[0], "%s/%s", dir, e->d_name);
    closedir(d);
    qsort(w->files, w->n, sizeof w->files[0], by_name);
}

static void close_world(struct world *w)
{
    list(w);
    for (size_t i = 0; i < w->n; i++)
        unlink(w->files[i]);
    rmdir(w->dir);
}

/* What Kafka has at an offset: the same whenever asked; markers leave holes. Times of
 * the partitions drift apart. */
static struct recording_record at(size_t topic, int32_t partition, int64_t k)
{
    static uint8_t value[300];
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (uint8_t)((uint64_t)(k * 7919 + partition * 31) * (i + 1) >> 3);
    return (struct recording_record){.topic = (uint16_t)topic,
                                     .partition = partition,
                                     .offset = 2 * k,
                                     .timestamp_ms = t0 + k * 10 - partition * 500,
                                     .key = "k",
                                     .key_len = 1,
                                     .value = value,
                                     .value_len = sizeof value};
}

/* As the recorder does: from where the ring stands, to k records of each partition,
 * partition by partition in batches. */
static enum serin_status feed(struct world *w, int64_t k, struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    bool more = true;
    while (more && rc == SERIN_OK) {
        more = false;
        for (int i = 0; i < 2 * PARTITIONS && rc == SERIN_OK; i++) {
            size_t topic = (size_t)i % 2;
            /* Now one partition is ahead in the file, then another. */
            int32_t p = w->now_ms / 1000 % 2 == 0 ? i / 2 : PARTITIONS - 1 - i / 2;
            int64_t next = ring_next(w->ring, topic, p);
            int64_t from = next < 0 ? 0 : (next + 1) / 2;
            for (int64_t j = from; j < k && j < from + 7 + p && rc == SERIN_OK; j++) {
                struct recording_record r = at(topic, p, j);
                more = true;
                rc = ring_add(w->ring, &r, w->now_ms, f);
            }
        }
        w->now_ms += 1000;
        if (rc == SERIN_OK) rc = ring_turn(w->ring, w->now_ms, f);
    }
    return rc;
}

/* All files merged: every record once, in each partition in order. */
static void check_whole(struct world *w, int64_t k, enum serin_status expected)
{
    struct recording_reader *r[FILES], *all;
    struct recording_record one;
    struct splice_report report;
    struct fault f = {0};
    int64_t seen[2][PARTITIONS] = {{0}};
    char to[] = "/tmp/serin-ring-all-XXXXXX";
    close(mkstemp(to));
    list(w);
    for (size_t i = 0; i < w->n; i++)
        cr_assert(eq(int, recording_open(&r[i], w->files[i], &f), SERIN_OK), "%s",
                  f.text);
    cr_assert(eq(int, splice_merge(r, w->n, to, &report, &f), expected), "%s", f.text);
    cr_assert(eq(u64, report.repeated, 0));
    for (size_t i = 0; i < w->n; i++)
        recording_close(r[i]);
    cr_assert(eq(int, recording_open(&all, to, &f), SERIN_OK));
    while (recording_next(all, &one, &f) == SERIN_OK) {
        struct recording_record want =
            at(one.topic, one.partition, seen[one.topic][one.partition]++);
        cr_assert(one.offset == want.offset && one.value_len == want.value_len &&
                      memcmp(one.value, want.value, want.value_len) == 0,
                  "topic %d, partition %d: %lld for %lld", (int)one.topic,
                  (int)one.partition, (long long)one.offset, (long long)want.offset);
    }
    recording_close(all);
    unlink(to);
    for (int i = 0; i < 2 * PARTITIONS; i++)
        cr_assert(eq(i64, seen[i % 2][i / 2], k));
}

Test(ring, segments_together_are_the_whole)
{
    struct world w = open_world();
    struct fault f = {0};
    cr_assert(eq(int, start(&w, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, feed(&w, 200, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(u64, ring_size(w.ring).records, 200 * 2 * PARTITIONS));
    cr_assert(eq(int, ring_close(w.ring, &f), SERIN_OK), "%s", f.text);
    check_whole(&w, 200, SERIN_OK);
    cr_assert(ge(sz, w.n, 5), "%zu files: several were expected", w.n);
    close_world(&w);
}

Test(ring, a_kill_at_any_byte_leaves_neither_holes_nor_doubles)
{
    struct world w = open_world();
    struct fault f = {0};
    int64_t k = 0;
    w.o.segment_bytes = 1 << 20; /* the killed segment has much to lose */
    for (int kill = 0; kill < 12; kill++) {
        cr_assert(eq(int, start(&w, &f), SERIN_OK), "%s", f.text);
        cr_assert(eq(int, feed(&w, k += 20, &f), SERIN_OK), "%s", f.text);
        ring_abandon(w.ring);
        list(&w);
        struct stat st;
        const char *last = w.files[w.n - 1];
        cr_assert(eq(int, stat(last, &st), 0));
        /* From nothing lost to the meta lost. */
        off_t keep = st.st_size - st.st_size * kill / 11;
        cr_assert(eq(int, truncate(last, keep), 0));
    }
    cr_assert(eq(int, start(&w, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, feed(&w, k, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, ring_close(w.ring, &f), SERIN_OK));
    list(&w);
    size_t aside = 0;
    for (size_t i = 0; i < w.n; i++) {
        if (strstr(w.files[i], ".damaged") == NULL) continue;
        aside++;
        unlink(w.files[i]);
    }
    cr_assert(eq(sz, aside, 1), "the one without a meta is set aside, not deleted");
    check_whole(&w, k, SERIN_OK);
    close_world(&w);
}

/* As the recorder does when a write fails: let go, and come back. */
Test(ring, a_full_disk_loses_nothing)
{
    struct world w = open_world();
    struct fault f = {0};
    struct rlimit all, few = {.rlim_cur = 9000};
    int64_t last = -1;
    w.o.segment_bytes = 1 << 20;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert(eq(int, getrlimit(RLIMIT_FSIZE, &all), 0));
    few.rlim_max = all.rlim_max;
    for (int i = 0; i < 4; i++) {
        cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &few), 0));
        cr_assert(eq(int, start(&w, &f), SERIN_OK), "%s", f.text);
        cr_assert(ge(i64, ring_next(w.ring, 0, 0), last));
        last = ring_next(w.ring, 0, 0);
        cr_assert(eq(int, feed(&w, 300, &f), SERIN_EIO));
        cr_assert(strstr(f.text, w.dir) != NULL, "%s", f.text);
        ring_abandon(w.ring);
    }
    cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &all), 0));
    cr_assert(eq(int, start(&w, &f), SERIN_OK), "%s", f.text);
    cr_assert(gt(i64, ring_next(w.ring, 0, 0), 0), "what was written stands");
    cr_assert(eq(int, feed(&w, 300, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, ring_close(w.ring, &f), SERIN_OK));
    check_whole(&w, 300, SERIN_OK);
    close_world(&w);
}

Test(ring, the_oldest_go_by_size_and_by_age)
{
    struct world w = open_world();
    struct fault f = {0};
    w.o.max_bytes = 60000;
    cr_assert(eq(int, start(&w, &f), SERIN_OK));
    cr_assert(eq(int, feed(&w, 300, &f), SERIN_OK), "%s", f.text);
    struct ring_size s = ring_size(w.ring);
    cr_assert(le(u64, s.bytes, 60000));
    cr_assert(s.deleted > 0 && s.segments >= 2 && s.begun == s.deleted + s.segments);
    cr_assert(eq(int, ring_close(w.ring, &f), SERIN_OK));
    list(&w);
    uint64_t bytes = 0;
    for (size_t i = 0; i < w.n; i++) {
        struct stat st;
        cr_assert(eq(int, stat(w.files[i], &st), 0));
        bytes += (uint64_t)st.st_size;
    }
    cr_assert(le(u64, bytes, 60000 + 2000), "and so the disk says");
    /* Files are as old as the file system says; the newest stays for its marks. */
    w.now_ms = (int64_t)time(NULL) * 1000 + 3600000;
    w.o.max_age_ms = 1800000;
    cr_assert(eq(int, start(&w, &f), SERIN_OK));
    cr_assert(eq(int, ring_turn(w.ring, w.now_ms, &f), SERIN_OK));
    cr_assert(eq(u64, ring_size(w.ring).segments, 1));
    cr_assert(eq(i64, ring_next(w.ring, 1, 2), 2 * 299 + 1));
    cr_assert(eq(int, ring_close(w.ring, &f), SERIN_OK));
    close_world(&w);
}

Test(ring, a_segment_ends_with_its_time_and_an_empty_one_is_none)
{
    struct world w = open_world();
    struct fault f = {0};
    struct recording_record r = at(0, 0, 0);
    w.o.segment_ms = 60000;
    cr_assert(eq(int, start(&w, &f), SERIN_OK));
    cr_assert(eq(int, ring_add(w.ring, &r, t0, &f), SERIN_OK));
    cr_assert(eq(int, ring_turn(w.ring, t0 + 59999, &f), SERIN_OK));
    list(&w);
    cr_assert(eq(sz, w.n, 1));
    cr_assert(strstr(w.files[0], "/00000001-20251009T085320Z.rec") != NULL, "%s",
              w.files[0]);
    for (int i = 0; i < 3; i++)
        cr_assert(eq(int, ring_turn(w.ring, t0 + 60000 * (i + 1), &f), SERIN_OK));
    list(&w);
    cr_assert(eq(sz, w.n, 1), "nothing came, nothing is begun");
    r = at(0, 0, 0);
    cr_assert(eq(int, ring_add(w.ring, &r, t0 + 240000, &f), SERIN_OK));
    cr_assert(eq(u64, ring_size(w.ring).records, 1), "it was there");
    cr_assert(eq(int, ring_close(w.ring, &f), SERIN_OK));
    close_world(&w);
}

Test(ring, topics_may_change_and_be_made_anew)
{
    struct world w = open_world();
    struct fault f = {0};
    cr_assert(eq(int, start(&w, &f), SERIN_OK));
    cr_assert(eq(int, feed(&w, 20, &f), SERIN_OK));
    ring_forget(w.ring, 0, 1);
    cr_assert(eq(i64, ring_next(w.ring, 0, 1), -1));
    struct recording_record r = at(0, 1, 3);
    cr_assert(eq(int, ring_add(w.ring, &r, w.now_ms, &f), SERIN_OK));
    cr_assert(eq(int, ring_close(w.ring, &f), SERIN_OK));
    struct origin_topic swapped[2] = {w.topics[1], {.name = "serin.inbox"}};
    memcpy(w.topics, swapped, sizeof swapped);
    w.topics[0].name = "in";
    cr_assert(eq(int, start(&w, &f), SERIN_OK));
    cr_assert(eq(i64, ring_next(w.ring, 1, 1), 7), "by name, and anew");
    cr_assert(eq(i64, ring_next(w.ring, 1, 0), 39));
    cr_assert(eq(i64, ring_next(w.ring, 0, 2), 39));
    cr_assert(eq(int, ring_close(w.ring, &f), SERIN_OK));
    close_world(&w);
}

Test(ring, a_folder_has_one_process_and_must_be_writable)
{
    struct world w = open_world(), other = w;
    struct fault f = {0};
    cr_assert(eq(int, start(&w, &f), SERIN_OK));
    cr_assert(eq(int, start(&other, &f), SERIN_EIO));
    cr_assert(strstr(f.text, "another process") != NULL, "%s", f.text);
    cr_assert(eq(int, ring_close(w.ring, &f), SERIN_OK));
    close_world(&w);
    snprintf(other.dir, sizeof other.dir, "/proc/none/here");
    cr_assert(eq(int, start(&other, &f), SERIN_EIO));
    cr_assert(strstr(f.text, "cannot make /proc/none/here") != NULL, "%s", f.text);
}
