/* tests/unit/replay/test_recording.c -- round trip; damage anywhere is found */
#include "engine/replay/record/recording.h"

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

enum { LARGE = 280 }; /* records of a file of 64 KiB */

/* Which bytes are tried. Those of headers each mean something of their own: all of
 * them, and one to either side (heads). Those of payloads are all behind the same
 * checksum: every `step`-th; 1 tries all. */
static bool *choose(FILE *file, long *size, long step, bool heads)
{
    uint8_t head[RECORDING_FRAME_HEADER];
    fseek(file, 0, SEEK_END);
    *size = ftell(file);
    bool *tried = calloc((size_t)*size + 1, 1);
    for (long at = 0; at < *size; at += step)
        tried[at] = true;
    memset(tried, true, RECORDING_HEADER);
    for (long at = (long)RECORDING_HEADER; heads && at < *size;) {
        fseek(file, at, SEEK_SET);
        cr_assert(eq(sz, fread(head, 1, sizeof head, file), sizeof head));
        memset(tried + at - 1, true, sizeof head + 2);
        at += (long)sizeof head + head[8] + (head[9] << 8) + (head[10] << 16);
    }
    return tried;
}

static void hurt(uint64_t records, long least, long step)
{
    const char *path = temp();
    write_file(path, records, 5);
    FILE *file = fopen(path, "r+b");
    long size;
    bool *tried = choose(file, &size, step, records < LARGE);
    cr_assert(size > least, "%ld bytes: an empty file must not pass", size);
    uint64_t usable = 0, n = 0;
    for (long at = 0; at < size; at++) {
        struct fault f = {0};
        enum serin_status end;
        if (!tried[at]) continue;
        n++;
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
    cr_assert(gt(u64, usable, n * records / 5), "the prefix was thrown away");
    free(tried);
    fclose(file);
    unlink(path);
}

static void cut(uint64_t records, long step)
{
    const char *path = temp();
    write_file(path, records, 5);
    FILE *file = fopen(path, "r+b");
    long size;
    bool *tried = choose(file, &size, step, records < LARGE);
    uint64_t last = records;
    while (--size >= 0) {
        struct fault f = {0};
        enum serin_status end;
        if (!tried[size]) continue;
        cr_assert(eq(int, ftruncate(fileno(file), size), 0));
        uint64_t n = read_file(path, &end, &f);
        cr_assert(eq(int, end, SERIN_EPARSE), "length %ld", size);
        cr_assert(le(u64, n, last), "a shorter file has no more records");
        last = n;
    }
    cr_assert(eq(u64, last, 0));
    free(tried);
    fclose(file);
    unlink(path);
}

/* Of 64 KiB: every byte and length in the long form. */
static long large_step(void)
{
    return getenv("SERIN_LONG") != NULL ? 1 : 997;
}
static long small_step(void)
{
    return getenv("SERIN_LONG") != NULL ? 1 : 17;
}
Test(recording, one_changed_byte_anywhere_is_found_and_the_prefix_is_good,
     .timeout = 900)
{
    hurt(24, 3000, small_step());
    hurt(LARGE, 64 * 1024, large_step());
}

Test(recording, a_cut_at_any_length_is_found_and_the_prefix_is_good, .timeout = 900)
{
    cut(24, small_step());
    cut(LARGE, large_step());
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

/* Each frame is whole by itself; only its number says that one is missing. */
Test(recording, a_frame_left_out_is_found)
{
    struct fault f = {0};
    enum serin_status end;
    uint8_t all[8192];
    const char *path = temp();
    write_file(path, 12, 5);
    FILE *file = fopen(path, "rb");
    size_t size = fread(all, 1, sizeof all, file), at = RECORDING_HEADER, begin = 0;
    fclose(file);
    for (int frame = 0; frame < 3; frame++) { /* meta, one record, the five after it */
        begin = at;
        at += RECORDING_FRAME_HEADER + all[at + 8] + ((size_t)all[at + 9] << 8);
    }
    cr_assert(lt(sz, at, size));
    memmove(all + begin, all + at, size - at);
    file = fopen(path, "wb");
    cr_assert(eq(sz, fwrite(all, 1, size - (at - begin), file), size - (at - begin)));
    fclose(file);
    cr_assert(eq(u64, read_file(path, &end, &f), 1));
    cr_assert(eq(int, end, SERIN_EPARSE));
    cr_assert(strstr(f.text, "out of order") != NULL, "%s", f.text);
    unlink(path);
}
