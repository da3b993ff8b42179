/* tests/unit/replay/test_recording.c -- round trip; damage anywhere is found */
#include "engine/replay/recording.h"

#include <unistd.h>

#include "tests/support/check.h"

static const char meta[] =
    "{\"schema\":\"serin.recording/1\",\"topics\":[\"serin.inbox\"]}";

static char *temp(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/serin-recording-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
    return path;
}

/* Record i, the same whenever asked for; values that do not compress too well. */
static struct recording_record sample(uint64_t i)
{
    static uint8_t value[600];
    static char key[16];
    uint64_t x = i * 0x9e3779b97f4a7c15u + 1;
    size_t n = (size_t)(i * 37 % 531);
    for (size_t k = 0; k < n; k++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        value[k] = (uint8_t)x;
    }
    snprintf(key, sizeof key, "r%u", (unsigned)(i % 11));
    return (struct recording_record){.topic = (uint16_t)(i % 3),
                                     .partition = (int32_t)(i % 5),
                                     .offset = (int64_t)(3 * i + 1),
                                     .timestamp_ms = 1700000000000 + (int64_t)(i * 13),
                                     .key = i % 7 == 3 ? NULL : key,
                                     .key_len = i % 7 == 3 ? 0 : strlen(key),
                                     .value = i % 5 == 4 ? NULL : value,
                                     .value_len = i % 5 == 4 ? 0 : n};
}

static void write_file(const char *path, uint64_t n, uint64_t flush_every)
{
    struct fault f = {0};
    struct recording_writer *w;
    cr_assert(eq(int, recording_create(&w, path, meta, &f), SERIN_OK), "%s", f.text);
    for (uint64_t i = 0; i < n; i++) {
        struct recording_record r = sample(i);
        cr_assert(eq(int, recording_add(w, &r, &f), SERIN_OK), "%s", f.text);
        if (flush_every > 0 && i % flush_every == 0)
            cr_assert(eq(int, recording_flush(w, &f), SERIN_OK), "%s", f.text);
    }
    cr_assert(eq(u64, recording_written(w), n));
    cr_assert(eq(int, recording_finish(w, &f), SERIN_OK), "%s", f.text);
}

static bool same_bytes(const void *a, size_t n, const void *b, size_t m)
{
    return (a == NULL) == (b == NULL) && n == m && (n == 0 || memcmp(a, b, n) == 0);
}

/* How many records could be read; each must be the one written. */
static uint64_t read_file(const char *path, enum serin_status *end, struct fault *f)
{
    struct recording_reader *r;
    struct recording_record got;
    uint64_t n = 0;
    *end = recording_open(&r, path, f);
    if (*end != SERIN_OK) return 0;
    while ((*end = recording_next(r, &got, f)) == SERIN_OK) {
        struct recording_record want = sample(n++);
        cr_assert(got.topic == want.topic && got.partition == want.partition &&
                  got.offset == want.offset && got.timestamp_ms == want.timestamp_ms);
        cr_assert(same_bytes(got.key, got.key_len, want.key, want.key_len));
        cr_assert(same_bytes(got.value, got.value_len, want.value, want.value_len));
    }
    cr_assert(eq(u64, recording_read(r), n));
    recording_close(r);
    return n;
}

Test(recording, gives_back_what_was_written)
{
    struct fault f = {0};
    enum serin_status end;
    const char *path = temp();
    write_file(path, 5000, 0); /* several frames */
    cr_assert(eq(u64, read_file(path, &end, &f), 5000));
    cr_assert(eq(int, end, SERIN_AGAIN), "%s", f.text);
    struct recording_reader *r;
    cr_assert(eq(int, recording_open(&r, path, &f), SERIN_OK));
    cr_assert(eq(str, (char *)recording_meta(r), (char *)meta));
    recording_close(r);
    write_file(path, 0, 0);
    cr_assert(eq(u64, read_file(path, &end, &f), 0));
    cr_assert(eq(int, end, SERIN_AGAIN), "an empty recording is whole");
    unlink(path);
}

Test(recording, a_record_of_many_megabytes_fits_and_a_larger_one_is_refused)
{
    struct fault f = {0};
    struct recording_writer *w;
    struct recording_reader *rd;
    struct recording_record r = sample(1), got;
    const char *path = temp();
    size_t most = RECORDING_FRAME_MAX - 32 - r.key_len;
    uint8_t *big = calloc(most + 1, 1);
    r.value = big;
    r.value_len = most + 1;
    cr_assert(eq(int, recording_create(&w, path, meta, &f), SERIN_OK));
    cr_assert(eq(int, recording_add(w, &r, &f), SERIN_ELIMIT));
    cr_assert(strstr(f.text, "offset 4") != NULL, "%s", f.text);
    r.value_len = most;
    cr_assert(eq(int, recording_add(w, &r, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, recording_finish(w, &f), SERIN_OK));
    cr_assert(eq(int, recording_open(&rd, path, &f), SERIN_OK));
    cr_assert(eq(int, recording_next(rd, &got, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(sz, got.value_len, most));
    recording_close(rd);
    free(big);
    unlink(path);
}

/* Every byte of a small file in turn, of a large one every `step`-th. */
static void hurt_each_byte(uint64_t records, long least, long step)
{
    const char *path = temp();
    write_file(path, records, 5);
    FILE *file = fopen(path, "r+b");
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    cr_assert(size > least, "%ld bytes: an empty file must not pass", size);
    uint64_t usable = 0, tried = 0;
    for (long at = 0; at < size; at += step, tried++) {
        struct fault f = {0};
        enum serin_status end;
        fseek(file, at, SEEK_SET);
        int byte = fgetc(file);
        fseek(file, at, SEEK_SET);
        fputc(byte ^ 0x40, file);
        fflush(file);
        usable += read_file(path, &end, &f);
        /* The minor version and the zeros after it are for later readers. */
        bool open = at >= 10 && at < 16;
        cr_assert(eq(int, end, open ? SERIN_AGAIN : SERIN_EPARSE), "byte %ld", at);
        cr_assert(open || strlen(f.text) > 0);
        fseek(file, at, SEEK_SET);
        fputc(byte, file);
        fflush(file);
    }
    cr_assert(gt(u64, usable, tried * records / 5), "the prefix was thrown away");
    fclose(file);
    unlink(path);
}

static void cut_each_length(uint64_t records, long step)
{
    const char *path = temp();
    write_file(path, records, 5);
    FILE *file = fopen(path, "r+b");
    fseek(file, 0, SEEK_END);
    uint64_t last = records;
    for (long size = (ftell(file) - 1) / step * step; size >= 0; size -= step) {
        struct fault f = {0};
        enum serin_status end;
        cr_assert(eq(int, ftruncate(fileno(file), size), 0));
        uint64_t n = read_file(path, &end, &f);
        cr_assert(eq(int, end, SERIN_EPARSE), "length %ld", size);
        cr_assert(le(u64, n, last), "a shorter file has no more records");
        last = n;
    }
    cr_assert(eq(u64, last, 0));
    fclose(file);
    unlink(path);
}

/* Of 64 KiB: every byte and length in the long form. */
static long large_step(void)
{
    return getenv("SERIN_LONG") != NULL ? 1 : 61;
}
enum { LARGE = 280 };

Test(recording, one_changed_byte_anywhere_is_found_and_the_prefix_is_good,
     .timeout = 900)
{
    hurt_each_byte(24, 3000, 1);
    hurt_each_byte(LARGE, 64 * 1024, large_step());
}

Test(recording, a_cut_at_any_length_is_found_and_the_prefix_is_good, .timeout = 900)
{
    cut_each_length(24, 1);
    cut_each_length(LARGE, large_step());
}

Test(recording, says_what_it_was_given)
{
    struct fault f = {0};
    struct recording_reader *r;
    struct recording_writer *w;
    const char *path = temp();
    cr_assert(eq(int, recording_open(&r, "/nowhere/x.rec", &f), SERIN_ENOENT));
    cr_assert(eq(int, recording_create(&w, "/nowhere/x.rec", meta, &f), SERIN_EIO));
    cr_assert(eq(int, recording_open(&r, path, &f), SERIN_EPARSE));
    cr_assert(strstr(f.text, "no serin recording") != NULL, "%s", f.text);
    write_file(path, 3, 0);
    FILE *file = fopen(path, "r+b");
    fseek(file, 8, SEEK_SET);
    fputc(9, file);
    fclose(file);
    cr_assert(eq(int, recording_open(&r, path, &f), SERIN_EPARSE));
    cr_assert(strstr(f.text, "version 9") != NULL, "%s", f.text);
    unlink(path);
}
