/* tests/unit/replay/test_stretch.c -- a recording is read in part by its headers */
#include <unistd.h>

#include "engine/replay/record/recording.h"
#include "tests/support/check.h"

enum { FRAMES = 20, EACH = 10 };
#define T0 INT64_C(1760000000000)

static char path[64];

/* FRAMES frames of EACH records; frame i holds the seconds from 10 i on. */
static void write_all(void)
{
    struct fault f = {0};
    struct recording_writer *w;
    snprintf(path, sizeof path, "/tmp/serin-stretch-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
    cr_assert(eq(int, recording_create(&w, path, "{}", &f), SERIN_OK), "%s", f.text);
    for (int i = 0; i < FRAMES * EACH; i++) {
        struct recording_record r = {.offset = i,
                                     .timestamp_ms = T0 + 1000 * i,
                                     .value = "some value",
                                     .value_len = 10};
        cr_assert(eq(int, recording_add(w, &r, &f), SERIN_OK));
        if (i % EACH == EACH - 1) cr_assert(eq(int, recording_flush(w, &f), SERIN_OK));
    }
    cr_assert(eq(int, recording_finish(w, &f), SERIN_OK));
}

/* Offsets of the first and the last record given, and how many. */
struct got {
    int64_t first, last;
    uint64_t n, hopped;
    enum serin_status end;
};

static struct got read_part(int64_t from_ms, int64_t to_ms)
{
    struct fault f = {0};
    struct recording_reader *r;
    struct recording_outline o;
    struct recording_record one;
    struct got g = {.first = -1, .last = -1};
    cr_assert(eq(int, recording_open(&r, path, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, recording_survey(r, to_ms, &o, &f), SERIN_OK), "%s", f.text);
    recording_stretch(r, from_ms, o.until);
    while ((g.end = recording_next(r, &one, &f)) == SERIN_OK) {
        if (g.n++ == 0) g.first = one.offset;
        g.last = one.offset;
    }
    g.hopped = recording_hopped(r);
    recording_close(r);
    return g;
}

static void flip(long at)
{
    FILE *file = fopen(path, "r+b");
    cr_assert(file != NULL);
    fseek(file, at, SEEK_SET);
    int c = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(c ^ 1, file);
    fclose(file);
}

Test(stretch, hops_over_frames_outside)
{
    write_all();
    struct got g = read_part(T0 + 105000, T0 + 121000);
    cr_assert(eq(int, g.end, SERIN_AGAIN));
    cr_assert(eq(i64, g.first, 100), "whole frames: the first one with such a record");
    cr_assert(eq(i64, g.last, 129));
    cr_assert(eq(u64, g.n, 30));
    cr_assert(eq(u64, g.hopped, 10), "and none behind the last one was even looked at");
    g = read_part(INT64_MIN, INT64_MAX);
    cr_assert(eq(u64, g.n, FRAMES * EACH));
    cr_assert(eq(u64, g.hopped, 0));
    g = read_part(T0 + 10000000, INT64_MAX);
    cr_assert(eq(u64, g.n, 0));
    cr_assert(eq(int, g.end, SERIN_AGAIN), "all is counted by the end");
    cr_assert(eq(u64, g.hopped, FRAMES));
    unlink(path);
}

Test(stretch, the_outline_is_the_file)
{
    struct fault f = {0};
    struct recording_reader *r;
    struct recording_outline o;
    struct recording_record one;
    write_all();
    cr_assert(eq(int, recording_open(&r, path, &f), SERIN_OK));
    cr_assert(eq(int, recording_survey(r, T0 + 55000, &o, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(u64, o.records, FRAMES * EACH));
    cr_assert(eq(i64, o.first_ms, T0));
    cr_assert(eq(i64, o.last_ms, T0 + 1000 * (FRAMES * EACH - 1)));
    cr_assert(eq(uint, o.until, 7), "the meta is frame 0, 50 to 59 s are frame 6");
    cr_assert(o.whole);
    cr_assert(eq(int, recording_next(r, &one, &f), SERIN_OK));
    cr_assert(eq(i64, one.offset, 0), "it comes back to the first record");
    cr_assert(eq(int, recording_survey(r, 0, &o, &f), SERIN_ESTATE));
    recording_close(r);
    cr_assert(eq(int, truncate(path, 600), 0));
    cr_assert(eq(int, recording_open(&r, path, &f), SERIN_OK));
    cr_assert(eq(int, recording_survey(r, 0, &o, &f), SERIN_OK));
    cr_assert(o.whole == false && o.records > 0 && o.records < FRAMES * EACH,
              "cut short: the frames that are there");
    recording_close(r);
    unlink(path);
}

Test(stretch, damage_is_noticed_where_it_is_read)
{
    struct fault f = {0};
    struct recording_reader *r;
    write_all();
    cr_assert(eq(int, recording_open(&r, path, &f), SERIN_OK));
    long at = (long)recording_bytes(r) + (long)RECORDING_FRAME_HEADER + 3;
    recording_close(r);
    flip(at); /* in the payload of the first frame of records */
    struct got g = read_part(T0 + 105000, T0 + 121000);
    cr_assert(eq(u64, g.n, 30), "hopped over: not looked into");
    cr_assert(eq(int, g.end, SERIN_AGAIN));
    g = read_part(T0, INT64_MAX);
    cr_assert(eq(int, g.end, SERIN_EPARSE));
    cr_assert(eq(u64, g.n, 0));
    flip(at);
    flip(at - 3 - (long)RECORDING_FRAME_HEADER + 1); /* its mark */
    cr_assert(eq(int, recording_open(&r, path, &f), SERIN_OK));
    recording_stretch(r, T0 + 105000, UINT32_MAX);
    struct recording_record one;
    cr_assert(eq(int, recording_next(r, &one, &f), SERIN_EPARSE),
              "headers are checked");
    recording_close(r);
    unlink(path);
}
