/* engine/replay/source/lines.c */
#include "engine/replay/source/lines.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zstd.h>

#include "engine/base/mem.h"

enum { BLOCK = 128 * 1024, PEEK = 256 };
static const uint8_t zstd_magic[4] = {0x28, 0xb5, 0x2f, 0xfd};

struct lines {
    FILE *file;
    char *path;
    ZSTD_DCtx *zstd; /* NULL: plain */
    uint8_t *stored; /* BLOCK bytes as read */
    size_t stored_n, stored_at;
    bool inside; /* of a packed frame */
    char *text;  /* unpacked, not given out yet from `at` on */
    size_t n, at, room;
    size_t max; /* bytes that may wait */
    uint64_t number, read, size;
};

static enum serin_status cannot(struct fault *f, const struct lines *l,
                                const char *verb)
{
    enum serin_status rc = errno == ENOENT ? SERIN_ENOENT : SERIN_EIO;
    return fault_set(f, rc, "cannot %s %s: %s", verb,
                     strcmp(l->path, "-") == 0 ? "standard input" : l->path,
                     errno == ENOENT ? "no such file" : strerror(errno));
}

static enum serin_status refill(struct lines *l, struct fault *f)
{
    l->stored_at = 0;
    l->stored_n = fread(l->stored, 1, BLOCK, l->file);
    l->read += l->stored_n;
    /* Asked to stop while it waited for a pipe: that was all. */
    return ferror(l->file) && errno != EINTR ? cannot(f, l, "read") : SERIN_OK;
}

static enum serin_status start(struct lines *l, struct fault *f)
{
    struct stat st;
    errno = 0;
    l->file = strcmp(l->path, "-") == 0 ? stdin : fopen(l->path, "rb");
    if (l->file == NULL) return cannot(f, l, "open");
    if (fstat(fileno(l->file), &st) == 0 && S_ISREG(st.st_mode))
        l->size = (uint64_t)st.st_size;
    enum serin_status rc = refill(l, f);
    if (rc != SERIN_OK || l->stored_n < sizeof zstd_magic ||
        memcmp(l->stored, zstd_magic, sizeof zstd_magic) != 0)
        return rc;
    l->zstd = ZSTD_createDCtx();
    return l->zstd != NULL ? SERIN_OK : fault_set(f, SERIN_ENOMEM, "out of memory");
}

enum serin_status lines_open(struct lines **out, const char *path, struct fault *f)
{
    struct lines *l = mem_calloc(1, sizeof *l);
    if (l == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    l->max = LINES_MAX;
    l->path = mem_strdup(path);
    l->stored = mem_calloc(BLOCK, 1);
    enum serin_status rc = l->path != NULL && l->stored != NULL
                               ? start(l, f)
                               : fault_set(f, SERIN_ENOMEM, "out of memory");
    if (rc != SERIN_OK) {
        lines_close(l);
        return rc;
    }
    *out = l;
    return SERIN_OK;
}

void lines_close(struct lines *l)
{
    if (l == NULL) return;
    if (l->file != NULL && l->file != stdin) fclose(l->file);
    ZSTD_freeDCtx(l->zstd);
    mem_free(l->path);
    mem_free(l->stored);
    mem_free(l->text);
    mem_free(l);
}

bool lines_is_recording(const struct lines *l)
{
    return l->stored_n >= 8 && memcmp(l->stored, "SERINREC", 8) == 0;
}

/* Room for a block behind what waits. */
static enum serin_status make_room(struct lines *l, struct fault *f)
{
    if (l->at > 0) memmove(l->text, l->text + l->at, l->n - l->at);
    l->n -= l->at;
    l->at = 0;
    if (l->n > l->max)
        return fault_set(f, SERIN_ELIMIT,
                         "%s: %s %" PRIu64 " is longer than %zu bytes: expected "
                         "records of metrics, a line each",
                         l->path, l->max == LINES_MAX ? "line" : "the whole from line",
                         l->number + 1, l->max);
    if (l->room - l->n >= BLOCK) return SERIN_OK;
    size_t room = l->room + (l->room > BLOCK ? l->room : BLOCK);
    char *grown = mem_realloc(l->text, room, 1);
    if (grown == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    l->text = grown;
    l->room = room;
    return SERIN_OK;
}

static enum serin_status unpack(struct lines *l, struct fault *f)
{
    ZSTD_inBuffer in = {l->stored, l->stored_n, l->stored_at};
    ZSTD_outBuffer out = {l->text, l->room, l->n};
    size_t rc = ZSTD_decompressStream(l->zstd, &out, &in);
    if (ZSTD_isError(rc))
        return fault_set(f, SERIN_EPARSE,
                         "%s: the zstd stream is damaged after line %" PRIu64
                         " (%s); what was before is used",
                         l->path, l->number, ZSTD_getErrorName(rc));
    l->inside = rc != 0;
    l->stored_at = in.pos;
    l->n = out.pos;
    return SERIN_OK;
}

/* More text behind what waits. SERIN_AGAIN: there is none. */
static enum serin_status more(struct lines *l, struct fault *f)
{
    enum serin_status rc = make_room(l, f);
    if (rc == SERIN_OK && l->stored_at == l->stored_n) rc = refill(l, f);
    if (rc != SERIN_OK) return rc;
    if (l->stored_n == 0 && l->inside)
        return fault_set(f, SERIN_EPARSE,
                         "%s: the zstd stream is cut short after line %" PRIu64
                         "; what was before is used",
                         l->path, l->number);
    if (l->stored_n == 0) return SERIN_AGAIN;
    if (l->zstd != NULL) return unpack(l, f);
    memcpy(l->text + l->n, l->stored + l->stored_at, l->stored_n - l->stored_at);
    l->n += l->stored_n - l->stored_at;
    l->stored_at = l->stored_n;
    return SERIN_OK;
}

enum serin_status lines_next(struct lines *l, struct strview *line, struct fault *f)
{
    size_t looked = 0;
    for (;;) {
        char *from = l->text + l->at;
        size_t left = l->n - l->at;
        char *end = left > looked ? memchr(from + looked, '\n', left - looked) : NULL;
        enum serin_status rc = SERIN_AGAIN;
        if (end == NULL) rc = more(l, f);
        if (end == NULL && rc == SERIN_OK) {
            looked = left;
            continue;
        }
        if (rc != SERIN_AGAIN || left == 0) return rc;
        from = l->text + l->at;
        if (end == NULL) end = from + left; /* the last one has no end */
        *line = (struct strview){from, (size_t)(end - from)};
        l->at += line->n + (line->n < left ? 1 : 0);
        l->number++;
        return SERIN_OK;
    }
}

enum serin_status lines_peek(struct lines *l, struct strview *head, struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    while (rc == SERIN_OK && l->n - l->at < PEEK)
        rc = more(l, f);
    *head = (struct strview){l->text + l->at, l->n - l->at};
    return rc == SERIN_AGAIN ? SERIN_OK : rc;
}

enum serin_status lines_rest(struct lines *l, size_t max, struct strview *all,
                             struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    l->max = max;
    while (rc == SERIN_OK)
        rc = more(l, f);
    *all = (struct strview){l->text + l->at, l->n - l->at};
    l->at = l->n;
    return rc == SERIN_AGAIN ? SERIN_OK : rc;
}

FILE *lines_stream(const struct lines *l, struct strview *head)
{
    *head = (struct strview){(const char *)l->stored, l->stored_n};
    return l->file;
}

uint64_t lines_number(const struct lines *l)
{
    return l->number;
}

uint64_t lines_read(const struct lines *l)
{
    return l->read;
}

uint64_t lines_size(const struct lines *l)
{
    return l->size;
}
