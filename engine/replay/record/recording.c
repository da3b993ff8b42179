/* engine/replay/record/recording.c */
#include "engine/replay/record/recording.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"

enum kind { META = 1, RECORDS = 2, END = 3 };
enum codec { PLAIN = 0, ZSTD = 1 };
enum { CHECKED = 40, DIGEST = 16, RECORD = 32, NO_KEY = 1, NO_VALUE = 2, LEVEL = 3 };
static const char file_magic[8] = "SERINREC", frame_magic[4] = "SFRM";
static const size_t frame_target = (size_t)256 << 10, meta_max = (size_t)1 << 20;

static void put(uint8_t *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* ------------------------------------------------------------------ write */

struct recording_writer {
    FILE *file;
    char *path;
    ZSTD_CCtx *zstd;
    uint8_t *raw;    /* the frame being filled, RECORDING_FRAME_MAX */
    uint8_t *stored; /* CHECKED bytes of frame header, then the packed payload */
    size_t raw_n, stored_room;
    uint32_t records, frame;
    int64_t first_ms, last_ms;
    uint64_t total, bytes;
};

static enum serin_status cannot(struct fault *f, const char *verb, const char *path)
{
    return fault_set(f, SERIN_EIO, "cannot %s %s: %s", verb,
                     strcmp(path, "-") == 0 ? "the stream" : path, strerror(errno));
}

/* Payload from w->raw; plain where packing does not pay. */
static enum serin_status frame_write(struct recording_writer *w, enum kind kind,
                                     struct fault *f)
{
    uint8_t digest[HASH_DIGEST], *head = w->stored, *payload = w->stored + CHECKED;
    enum codec codec = ZSTD;
    size_t n =
        ZSTD_compressCCtx(w->zstd, payload, w->stored_room, w->raw, w->raw_n, LEVEL);
    if (ZSTD_isError(n) || n >= w->raw_n) {
        codec = PLAIN;
        n = w->raw_n;
        memcpy(payload, w->raw, n);
    }
    memset(head, 0, CHECKED);
    memcpy(head, frame_magic, sizeof frame_magic);
    head[4] = (uint8_t)kind;
    head[5] = (uint8_t)codec;
    put(head + 8, n, 4);
    put(head + 12, w->raw_n, 4);
    put(head + 16, w->records, 4);
    put(head + 20, w->frame++, 4);
    put(head + 24, (uint64_t)w->first_ms, 8);
    put(head + 32, (uint64_t)w->last_ms, 8);
    hash_digest(head, CHECKED + n, digest);
    w->raw_n = 0;
    w->records = 0;
    w->first_ms = w->last_ms = 0;
    if (fwrite(head, 1, CHECKED, w->file) != CHECKED ||
        fwrite(digest, 1, DIGEST, w->file) != DIGEST ||
        fwrite(payload, 1, n, w->file) != n)
        return cannot(f, "write", w->path);
    w->bytes += CHECKED + DIGEST + n;
    return SERIN_OK;
}

static enum serin_status start(struct recording_writer *w, const char *meta,
                               struct fault *f)
{
    uint8_t head[RECORDING_HEADER] = {0};
    w->file = strcmp(w->path, "-") == 0 ? stdout : fopen(w->path, "wb");
    if (w->file == NULL) return cannot(f, "create", w->path);
    memcpy(head, file_magic, sizeof file_magic);
    put(head + 8, RECORDING_MAJOR, 2);
    put(head + 10, RECORDING_MINOR, 2);
    if (fwrite(head, 1, sizeof head, w->file) != sizeof head)
        return cannot(f, "write", w->path);
    w->bytes = sizeof head;
    w->raw_n = strlen(meta);
    memcpy(w->raw, meta, w->raw_n);
    enum serin_status rc = frame_write(w, META, f);
    return rc == SERIN_OK ? recording_flush(w, f) : rc;
}

static enum serin_status writer_new(struct recording_writer **out, const char *path,
                                    struct fault *f)
{
    struct recording_writer *w = mem_calloc(1, sizeof *w);
    if (w == NULL) return fault_set(f, SERIN_ENOMEM, "no memory for a recording");
    /* Whole frames at their hard maximum; pages are touched only as far as used. */
    w->stored_room = ZSTD_compressBound(RECORDING_FRAME_MAX);
    w->path = mem_strdup(path);
    w->raw = mem_calloc(RECORDING_FRAME_MAX, 1);
    w->stored = mem_calloc(CHECKED + w->stored_room, 1);
    w->zstd = ZSTD_createCCtx();
    if (w->path != NULL && w->raw != NULL && w->stored != NULL && w->zstd != NULL) {
        *out = w;
        return SERIN_OK;
    }
    recording_abandon(w);
    return fault_set(f, SERIN_ENOMEM, "no memory for a recording");
}

enum serin_status recording_create(struct recording_writer **out, const char *path,
                                   const char *meta, struct fault *f)
{
    struct recording_writer *w = NULL;
    if (strlen(meta) > meta_max)
        return fault_set(f, SERIN_ELIMIT, "meta of %zu bytes: at most %zu",
                         strlen(meta), meta_max);
    enum serin_status rc = writer_new(&w, path, f);
    if (rc == SERIN_OK) rc = start(w, meta, f);
    if (rc == SERIN_OK)
        *out = w;
    else
        recording_abandon(w);
    return rc;
}

enum serin_status recording_add(struct recording_writer *w,
                                const struct recording_record *r, struct fault *f)
{
    if (r->key_len > RECORDING_FRAME_MAX || r->value_len > RECORDING_FRAME_MAX ||
        RECORD + r->key_len + r->value_len > RECORDING_FRAME_MAX)
        return fault_set(f, SERIN_ELIMIT,
                         "partition %d, offset %" PRId64
                         ": %zu bytes do not fit into a "
                         "frame of %zu",
                         (int)r->partition, r->offset, r->key_len + r->value_len,
                         RECORDING_FRAME_MAX);
    size_t n = RECORD + r->key_len + r->value_len;
    if (w->raw_n > 0 && w->raw_n + n > frame_target) {
        enum serin_status rc = frame_write(w, RECORDS, f);
        if (rc != SERIN_OK) return rc;
    }
    uint8_t *p = w->raw + w->raw_n;
    unsigned flags =
        (r->key == NULL ? NO_KEY : 0u) | (r->value == NULL ? NO_VALUE : 0u);
    put(p, r->topic, 2);
    p[2] = (uint8_t)flags;
    p[3] = r->format;
    put(p + 4, (uint32_t)r->partition, 4);
    put(p + 8, (uint64_t)r->offset, 8);
    put(p + 16, (uint64_t)r->timestamp_ms, 8);
    put(p + 24, r->key_len, 4);
    put(p + 28, r->value_len, 4);
    if (r->key_len > 0) memcpy(p + RECORD, r->key, r->key_len);
    if (r->value_len > 0) memcpy(p + RECORD + r->key_len, r->value, r->value_len);
    if (w->records == 0 || r->timestamp_ms < w->first_ms) w->first_ms = r->timestamp_ms;
    if (w->records == 0 || r->timestamp_ms > w->last_ms) w->last_ms = r->timestamp_ms;
    w->raw_n += n;
    w->records++;
    w->total++;
    return SERIN_OK;
}

enum serin_status recording_flush(struct recording_writer *w, struct fault *f)
{
    if (w->records > 0) {
        enum serin_status rc = frame_write(w, RECORDS, f);
        if (rc != SERIN_OK) return rc;
    }
    return fflush(w->file) == 0 ? SERIN_OK : cannot(f, "write", w->path);
}

enum serin_status recording_finish(struct recording_writer *w, struct fault *f)
{
    enum serin_status rc = recording_flush(w, f);
    put(w->raw, w->total, 8);
    w->raw_n = 8;
    if (rc == SERIN_OK) rc = frame_write(w, END, f);
    if (rc == SERIN_OK && fflush(w->file) != 0) rc = cannot(f, "write", w->path);
    /* A pipe cannot be synced, and need not be. */
    if (rc == SERIN_OK && w->file != stdout && fsync(fileno(w->file)) != 0 &&
        errno != EINVAL && errno != EROFS)
        rc = cannot(f, "sync", w->path);
    recording_abandon(w);
    return rc;
}

void recording_abandon(struct recording_writer *w)
{
    if (w == NULL) return;
    if (w->file != NULL && w->file != stdout) fclose(w->file);
    ZSTD_freeCCtx(w->zstd);
    mem_free(w->path);
    mem_free(w->raw);
    mem_free(w->stored);
    mem_free(w);
}

uint64_t recording_written(const struct recording_writer *w)
{
    return w->total;
}

uint64_t recording_size(const struct recording_writer *w)
{
    return w->bytes;
}

/* ------------------------------------------------------------------ read */

struct recording_reader {
    FILE *file;
    struct strview head; /* read from it already, by another */
    bool adopted;        /* the file is another's */
    char *path, *meta;
    ZSTD_DCtx *zstd;
    uint8_t *raw;    /* RECORDING_FRAME_MAX + 1 */
    uint8_t *stored; /* as in the writer */
    size_t raw_n, at;
    size_t stored_room;
    uint32_t frame, left; /* records left in the frame */
    uint64_t total, bytes;
    bool ended;
    /* recording_stretch */
    bool hops;
    int64_t from_ms;
    uint32_t until;
    uint64_t hopped;
};

static enum serin_status damaged(struct fault *f, const struct recording_reader *r,
                                 const char *what)
{
    return fault_set(f, SERIN_EPARSE,
                     "%s: %s at byte %" PRIu64 " (frame %u); the %" PRIu64 " records "
                     "before it are good. Copy the file again, or go on with those",
                     r->path, what, r->bytes, (unsigned)r->frame, r->total);
}

static size_t pull(struct recording_reader *r, void *out, size_t n)
{
    size_t first = n < r->head.n ? n : r->head.n;
    if (first != 0) memcpy(out, r->head.p, first);
    r->head.p += first;
    r->head.n -= first;
    return first + (first < n ? fread((char *)out + first, 1, n - first, r->file) : 0);
}

/* Reads n bytes: SERIN_OK, SERIN_AGAIN at the very end, SERIN_EPARSE in the middle. */
static enum serin_status fetch(struct recording_reader *r, void *out, size_t n,
                               struct fault *f)
{
    size_t got = pull(r, out, n);
    if (got == n) return SERIN_OK;
    if (ferror(r->file)) return cannot(f, "read", r->path);
    return got == 0 ? SERIN_AGAIN : damaged(f, r, "cut short");
}

static enum serin_status unpack(struct recording_reader *r, struct fault *f)
{
    const uint8_t *head = r->stored, *payload = r->stored + CHECKED;
    size_t stored = get(head + 8, 4), raw = get(head + 12, 4);
    if (head[5] == PLAIN && stored == raw) {
        memcpy(r->raw, payload, raw);
    } else if (head[5] != ZSTD ||
               ZSTD_decompressDCtx(r->zstd, r->raw, RECORDING_FRAME_MAX, payload,
                                   stored) != raw) {
        return damaged(f, r, "a payload that cannot be unpacked");
    }
    r->raw_n = raw;
    r->at = 0;
    return SERIN_OK;
}

/* A frame's header into r->stored. SERIN_AGAIN: the file ends here. */
static enum serin_status frame_head(struct recording_reader *r, struct fault *f)
{
    const uint8_t *head = r->stored;
    enum serin_status rc = fetch(r, r->stored, CHECKED, f);
    if (rc != SERIN_OK) return rc;
    if (memcmp(head, frame_magic, sizeof frame_magic) != 0 ||
        get(head + 8, 4) > r->stored_room || get(head + 12, 4) > RECORDING_FRAME_MAX)
        return damaged(f, r, "no frame header");
    return SERIN_OK;
}

/* Over a frame whose header was read. */
static enum serin_status frame_hop(struct recording_reader *r, struct fault *f)
{
    const uint8_t *head = r->stored;
    size_t n = DIGEST + get(head + 8, 4);
    if (get(head + 20, 4) != r->frame) return damaged(f, r, "a frame out of order");
    if (fseeko(r->file, (off_t)n, SEEK_CUR) != 0) return cannot(f, "read", r->path);
    r->total += get(head + 16, 4);
    r->bytes += CHECKED + n;
    r->frame++;
    r->hopped++;
    return SERIN_OK;
}

/* One frame into r->raw. SERIN_AGAIN: the file ends here. */
static enum serin_status frame_read(struct recording_reader *r, enum kind *kind,
                                    struct fault *f)
{
    uint8_t digest[DIGEST], want[HASH_DIGEST], *head = r->stored;
    enum serin_status rc = frame_head(r, f);
    if (rc != SERIN_OK) return rc;
    size_t stored = get(head + 8, 4);
    *kind = (enum kind)head[4];
    r->left = 0;
    if (r->hops && *kind == RECORDS && (int64_t)get(head + 32, 8) < r->from_ms)
        return frame_hop(r, f);
    rc = fetch(r, digest, DIGEST, f);
    if (rc == SERIN_OK && stored > 0) rc = fetch(r, head + CHECKED, stored, f);
    if (rc == SERIN_AGAIN) rc = damaged(f, r, "cut short");
    if (rc != SERIN_OK) return rc;
    hash_digest(head, CHECKED + stored, want);
    if (memcmp(digest, want, DIGEST) != 0) return damaged(f, r, "a wrong checksum");
    if (get(head + 20, 4) != r->frame) return damaged(f, r, "a frame out of order");
    rc = unpack(r, f);
    if (rc != SERIN_OK) return rc;
    r->left = *kind == RECORDS ? (uint32_t)get(head + 16, 4) : 0;
    r->frame++;
    r->bytes += CHECKED + DIGEST + stored;
    return SERIN_OK;
}

static enum serin_status read_head(struct recording_reader *r, struct fault *f)
{
    uint8_t head[RECORDING_HEADER];
    enum kind kind;
    if (!r->adopted) r->file = strcmp(r->path, "-") == 0 ? stdin : fopen(r->path, "rb");
    if (r->file == NULL)
        return errno == ENOENT ? fault_set(f, SERIN_ENOENT, "%s: no such file", r->path)
                               : cannot(f, "open", r->path);
    if (pull(r, head, sizeof head) != sizeof head ||
        memcmp(head, file_magic, sizeof file_magic) != 0)
        return fault_set(f, SERIN_EPARSE,
                         "%s is no serin recording: it does not start with SERINREC. "
                         "'serin record' writes one",
                         r->path);
    r->bytes = sizeof head;
    if (get(head + 8, 2) != RECORDING_MAJOR)
        return fault_set(f, SERIN_EPARSE,
                         "%s is a recording of version %u; this serin reads %d",
                         r->path, (unsigned)get(head + 8, 2), RECORDING_MAJOR);
    enum serin_status rc = frame_read(r, &kind, f);
    if (rc == SERIN_AGAIN) rc = damaged(f, r, "cut short");
    if (rc != SERIN_OK) return rc;
    if (kind != META) return damaged(f, r, "no meta frame");
    r->raw[r->raw_n] = '\0';
    r->meta = mem_strdup((const char *)r->raw);
    return r->meta != NULL ? SERIN_OK : fault_set(f, SERIN_ENOMEM, "no memory to read");
}

static enum serin_status reader_open(struct recording_reader **out,
                                     const struct recording_reader *as,
                                     const char *path, struct fault *f)
{
    struct recording_reader *r = mem_calloc(1, sizeof *r);
    if (r == NULL) return fault_set(f, SERIN_ENOMEM, "no memory to read a recording");
    *r = *as;
    r->stored_room = ZSTD_compressBound(RECORDING_FRAME_MAX);
    r->path = mem_strdup(path);
    r->raw = mem_calloc(RECORDING_FRAME_MAX + 1, 1);
    r->stored = mem_calloc(CHECKED + r->stored_room, 1);
    r->zstd = ZSTD_createDCtx();
    enum serin_status rc = SERIN_OK;
    if (r->path == NULL || r->raw == NULL || r->stored == NULL || r->zstd == NULL)
        rc = fault_set(f, SERIN_ENOMEM, "no memory to read a recording");
    if (rc == SERIN_OK) rc = read_head(r, f);
    if (rc != SERIN_OK) {
        recording_close(r);
        return rc;
    }
    *out = r;
    return SERIN_OK;
}

enum serin_status recording_open(struct recording_reader **out, const char *path,
                                 struct fault *f)
{
    return reader_open(out, &(struct recording_reader){0}, path, f);
}

enum serin_status recording_adopt(struct recording_reader **out, FILE *stream,
                                  struct strview head, const char *path,
                                  struct fault *f)
{
    const struct recording_reader as = {.file = stream, .head = head, .adopted = true};
    return reader_open(out, &as, path, f);
}

void recording_close(struct recording_reader *r)
{
    if (r == NULL) return;
    if (r->file != NULL && r->file != stdin && !r->adopted) fclose(r->file);
    ZSTD_freeDCtx(r->zstd);
    mem_free(r->path);
    mem_free(r->meta);
    mem_free(r->raw);
    mem_free(r->stored);
    mem_free(r);
}

const char *recording_meta(const struct recording_reader *r)
{
    return r->meta;
}

uint64_t recording_read(const struct recording_reader *r)
{
    return r->total;
}

uint64_t recording_bytes(const struct recording_reader *r)
{
    return r->bytes;
}

/* Frames until one has records. SERIN_AGAIN: whole, and read to its end. */
static enum serin_status more(struct recording_reader *r, struct fault *f)
{
    enum kind kind;
    while (!r->ended && r->left == 0) {
        if (r->hops && r->frame >= r->until) return SERIN_AGAIN;
        enum serin_status rc = frame_read(r, &kind, f);
        if (rc == SERIN_AGAIN) return damaged(f, r, "cut short: there is no end frame");
        if (rc != SERIN_OK) return rc;
        if (kind != END) continue;
        if (r->raw_n != 8 || get(r->raw, 8) != r->total)
            return damaged(f, r, "an end frame that counts other records");
        r->ended = true;
        if (r->head.n != 0 || fgetc(r->file) != EOF)
            return damaged(f, r, "more bytes after the end");
    }
    return r->left > 0 ? SERIN_OK : SERIN_AGAIN;
}

enum serin_status recording_next(struct recording_reader *r,
                                 struct recording_record *out, struct fault *f)
{
    enum serin_status rc = more(r, f);
    if (rc != SERIN_OK) return rc;
    const uint8_t *p = r->raw + r->at;
    size_t room = r->raw_n - r->at;
    size_t key = room >= RECORD ? get(p + 24, 4) : 0,
           value = room >= RECORD ? get(p + 28, 4) : 0;
    if (room < RECORD || key > room - RECORD || value > room - RECORD - key)
        return damaged(f, r, "a record longer than its frame");
    unsigned flags = p[2];
    *out = (struct recording_record){
        .topic = (uint16_t)get(p, 2),
        .format = p[3],
        .partition = (int32_t)get(p + 4, 4),
        .offset = (int64_t)get(p + 8, 8),
        .timestamp_ms = (int64_t)get(p + 16, 8),
        .key = (flags & NO_KEY) != 0 ? NULL : p + RECORD,
        .value = (flags & NO_VALUE) != 0 ? NULL : p + RECORD + key,
        .key_len = key,
        .value_len = value};
    r->at += RECORD + key + value;
    r->left--;
    r->total++;
    return SERIN_OK;
}

/* ------------------------------------------------------------------ hop */

static bool seekable(const struct recording_reader *r)
{
    return !r->adopted && r->file != stdin;
}

static void outline_add(struct recording_outline *out, const uint8_t *head,
                        uint32_t frame, int64_t before_ms)
{
    int64_t first = (int64_t)get(head + 24, 8), last = (int64_t)get(head + 32, 8);
    bool none = out->records == 0;
    uint64_t n = get(head + 16, 4);
    out->frames++;
    out->whole = head[4] == END;
    if (head[4] != RECORDS || n == 0) return;
    if (none || first < out->first_ms) out->first_ms = first;
    if (none || last > out->last_ms) out->last_ms = last;
    if (first < before_ms) out->until = frame + 1;
    out->records += n;
}

enum serin_status recording_survey(struct recording_reader *r, int64_t before_ms,
                                   struct recording_outline *out, struct fault *f)
{
    struct recording_reader was = *r;
    struct stat st;
    struct fault end;
    enum serin_status rc = SERIN_OK;
    *out = (struct recording_outline){.first_ms = INT64_MIN, .last_ms = INT64_MIN};
    if (!seekable(r) || r->frame != 1 || r->left != 0)
        return fault_set(f, SERIN_ESTATE, "%s: it cannot be read twice: give a file",
                         r->path);
    if (fstat(fileno(r->file), &st) != 0) return cannot(f, "read", r->path);
    while (rc == SERIN_OK && !out->whole) {
        rc = frame_head(r, &end);
        if (rc == SERIN_OK) rc = frame_hop(r, &end);
        if (rc == SERIN_OK && r->bytes > (uint64_t)st.st_size) rc = SERIN_AGAIN;
        if (rc == SERIN_OK) outline_add(out, r->stored, r->frame - 1, before_ms);
    }
    *r = was;
    if (rc != SERIN_EIO && fseeko(r->file, (off_t)r->bytes, SEEK_SET) == 0)
        return SERIN_OK;
    return cannot(f, "read", r->path);
}

void recording_stretch(struct recording_reader *r, int64_t from_ms, uint32_t until)
{
    r->hops = seekable(r);
    r->from_ms = from_ms;
    r->until = until;
}

uint64_t recording_hopped(const struct recording_reader *r)
{
    return r->hopped;
}

enum serin_status recording_mend(const struct recording_reader *r, struct fault *f)
{
    struct recording_writer *w = NULL;
    enum serin_status rc = writer_new(&w, r->path, f);
    if (rc != SERIN_OK) return rc;
    w->file = fopen(r->path, "r+b");
    w->frame = r->frame;
    w->total = r->total;
    if (w->file != NULL && ftruncate(fileno(w->file), (off_t)r->bytes) == 0 &&
        fseeko(w->file, (off_t)r->bytes, SEEK_SET) == 0)
        return recording_finish(w, f);
    rc = cannot(f, "mend", r->path);
    recording_abandon(w);
    return rc;
}
