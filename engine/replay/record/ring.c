/* engine/replay/record/ring.c */
#include "engine/replay/record/ring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/base/mem.h"

enum { NAME = 40, DIGITS = 8 };

struct segment {
    char name[NAME];
    uint64_t number, bytes;
    int64_t written_ms; /* last */
};

/* By partition: next offset, -1: none. */
struct marks {
    int64_t *next;
    size_t n;
};

struct ring {
    struct ring_options o;
    int lock; /* the folder, locked */
    struct segment *segments;
    size_t n, room; /* oldest first; the last one is written when `to` is */
    uint64_t number;
    struct marks *marks; /* by topic */
    struct recording_writer *to;
    int64_t begun_ms;
    struct ring_size size;
};

static enum serin_status no_memory(struct fault *f)
{
    return fault_set(f, SERIN_ENOMEM, "no memory for the recordings' ring");
}

static enum serin_status cannot(const struct ring *r, const char *verb,
                                const char *name, struct fault *f)
{
    return fault_set(f, SERIN_EIO, "record: cannot %s %s%s%s: %s", verb, r->o.dir,
                     name[0] != '\0' ? "/" : "", name, strerror(errno));
}

static void path_of(const struct ring *r, const char *name, char *out, size_t room)
{
    snprintf(out, room, "%s/%s", r->o.dir, name);
}

/* ---------------------------------------------------------------- what is there */

static bool is_segment(const char *name, uint64_t *number)
{
    size_t n = strlen(name);
    char *end;
    if (n <= DIGITS + 5 || n >= NAME || strcmp(name + n - 4, ".rec") != 0) return false;
    if (strspn(name, "0123456789") < DIGITS) return false;
    *number = strtoull(name, &end, 10);
    return *end == '-' && *number > 0;
}

static int by_number(const void *a, const void *b)
{
    const struct segment *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static enum serin_status push(struct ring *r, const char *name, uint64_t number,
                              struct fault *f)
{
    if (r->n == r->room) {
        size_t room = r->room > 0 ? 2 * r->room : 64;
        struct segment *grown = mem_realloc(r->segments, room, sizeof *grown);
        if (grown == NULL) return no_memory(f);
        r->segments = grown;
        r->room = room;
    }
    struct segment *s = &r->segments[r->n++];
    *s = (struct segment){.number = number};
    snprintf(s->name, sizeof s->name, "%s", name);
    return SERIN_OK;
}

static void measure(struct ring *r, struct segment *s)
{
    struct stat st;
    if (fstatat(r->lock, s->name, &st, 0) != 0) return;
    r->size.bytes += (uint64_t)st.st_size - s->bytes;
    s->bytes = (uint64_t)st.st_size;
    s->written_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

static enum serin_status list(struct ring *r, struct fault *f)
{
    DIR *dir = opendir(r->o.dir);
    const struct dirent *e;
    enum serin_status rc = SERIN_OK;
    if (dir == NULL) return cannot(r, "read", "", f);
    while (rc == SERIN_OK && (e = readdir(dir)) != NULL) {
        uint64_t number;
        if (!is_segment(e->d_name, &number)) continue;
        rc = push(r, e->d_name, number, f);
        if (rc == SERIN_OK) measure(r, &r->segments[r->n - 1]);
    }
    closedir(dir);
    if (r->n > 0) qsort(r->segments, r->n, sizeof *r->segments, by_number);
    return rc;
}

/* ---------------------------------------------------------------- where it stands */

static enum serin_status mark(struct ring *r, size_t topic, size_t partition,
                              int64_t next, struct fault *f)
{
    struct marks *m = &r->marks[topic];
    if (partition >= m->n) {
        int64_t *grown = mem_realloc(m->next, partition + 1, sizeof *grown);
        if (grown == NULL) return no_memory(f);
        m->next = grown;
        while (m->n <= partition)
            m->next[m->n++] = -1;
    }
    m->next[partition] = next;
    return SERIN_OK;
}

/* The ring's number of a topic of a segment, which may be of another configuration. */
static bool topic_in(const struct ring *r, const struct origin *o, size_t topic,
                     size_t *out)
{
    for (size_t i = 0; topic < o->n && i < r->o.origin->n; i++) {
        if (strcmp(r->o.origin->topics[i].name, o->topics[topic].name) != 0) continue;
        *out = i;
        return true;
    }
    return false;
}

static enum serin_status take_marks(struct ring *r, const struct origin *o,
                                    struct fault *f)
{
    size_t topic;
    enum serin_status rc = SERIN_OK;
    for (size_t i = 0; i < o->n; i++) {
        if (!topic_in(r, o, i, &topic)) continue;
        for (size_t k = 0; rc == SERIN_OK && k < o->topics[i].n_next; k++)
            rc = mark(r, topic, k, o->topics[i].next[k], f);
    }
    return rc;
}

/* All that the newest segment holds; one that was cut short ends there. */
static enum serin_status take_records(struct ring *r, const struct origin *o,
                                      struct recording_reader *from, struct fault *f)
{
    struct recording_record one;
    struct fault hurt = {0};
    size_t topic;
    enum serin_status rc;
    while ((rc = recording_next(from, &one, &hurt)) == SERIN_OK) {
        if (!topic_in(r, o, one.topic, &topic) || one.partition < 0 ||
            one.partition >= ORIGIN_MAX_PARTITIONS)
            continue;
        rc = mark(r, topic, (size_t)one.partition, one.offset + 1, f);
        if (rc != SERIN_OK) return rc;
    }
    if (rc == SERIN_AGAIN) return SERIN_OK;
    if (rc == SERIN_EPARSE) rc = recording_mend(from, &hurt);
    if (rc == SERIN_OK)
        log_info("record", "the last segment was cut short: %" PRIu64 " records kept",
                 recording_read(from));
    if (rc != SERIN_OK) *f = hurt;
    return rc;
}

static enum serin_status take_segment(struct ring *r, struct segment *s,
                                      struct fault *f)
{
    char path[4400];
    struct recording_reader *from;
    struct origin o = {0};
    path_of(r, s->name, path, sizeof path);
    enum serin_status rc = recording_open(&from, path, f);
    if (rc != SERIN_OK) return rc;
    rc = origin_read(&o, recording_meta(from), f);
    if (rc == SERIN_OK) rc = take_marks(r, &o, f);
    if (rc == SERIN_OK) rc = take_records(r, &o, from, f);
    recording_close(from);
    origin_free(&o);
    measure(r, s);
    return rc;
}

/* Out of the ring, but not out of sight. */
static void set_aside(struct ring *r, const struct fault *why)
{
    struct segment *s = &r->segments[--r->n];
    char to[NAME + 16];
    snprintf(to, sizeof to, "%s.damaged", s->name);
    r->size.bytes -= s->bytes;
    if (renameat(r->lock, s->name, r->lock, to) == 0)
        log_warn("record", "%s; the ring goes on after the segment before", why->text);
}

/* From the newest segment that can be read. */
static enum serin_status resume(struct ring *r, struct fault *f)
{
    while (r->n > 0) {
        struct segment *s = &r->segments[r->n - 1];
        if (s->number > r->number) r->number = s->number;
        enum serin_status rc = take_segment(r, s, f);
        if (rc != SERIN_EPARSE) return rc;
        set_aside(r, f);
    }
    return SERIN_OK;
}

/* ---------------------------------------------------------------- open, close */

static enum serin_status lock(struct ring *r, struct fault *f)
{
    if (mkdir(r->o.dir, 0750) != 0 && errno != EEXIST) return cannot(r, "make", "", f);
    r->lock = open(r->o.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->lock < 0) return cannot(r, "open", "", f);
    if (flock(r->lock, LOCK_EX | LOCK_NB) == 0) return SERIN_OK;
    if (errno != EWOULDBLOCK) return cannot(r, "lock", "", f);
    return fault_set(f, SERIN_EIO,
                     "record: %s is in use by another process: give each its own "
                     "record.dir",
                     r->o.dir);
}

enum serin_status ring_open(struct ring **out, const struct ring_options *o,
                            int64_t now_ms, struct fault *f)
{
    struct ring *r = mem_calloc(1, sizeof *r);
    if (r == NULL) return no_memory(f);
    r->o = *o;
    r->lock = -1;
    r->begun_ms = now_ms;
    r->marks = mem_calloc(o->origin->n, sizeof *r->marks);
    enum serin_status rc = r->marks != NULL ? lock(r, f) : no_memory(f);
    if (rc == SERIN_OK) rc = list(r, f);
    if (rc == SERIN_OK) rc = resume(r, f);
    if (rc == SERIN_OK)
        *out = r;
    else
        ring_abandon(r);
    return rc;
}

void ring_abandon(struct ring *r)
{
    if (r == NULL) return;
    recording_abandon(r->to);
    for (size_t i = 0; r->marks != NULL && i < r->o.origin->n; i++)
        mem_free(r->marks[i].next);
    if (r->lock >= 0) close(r->lock);
    mem_free(r->marks);
    mem_free(r->segments);
    mem_free(r);
}

static enum serin_status end_segment(struct ring *r, struct fault *f)
{
    struct recording_writer *to = r->to;
    if (to == NULL) return SERIN_OK;
    r->to = NULL;
    enum serin_status rc = recording_finish(to, f);
    measure(r, &r->segments[r->n - 1]);
    return rc;
}

enum serin_status ring_close(struct ring *r, struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    if (r != NULL) rc = end_segment(r, f);
    ring_abandon(r);
    return rc;
}

/* ---------------------------------------------------------------- write */

void ring_forget(struct ring *r, size_t topic, int32_t partition)
{
    struct marks *m = &r->marks[topic];
    if (partition >= 0 && (size_t)partition < m->n) m->next[partition] = -1;
}

int64_t ring_next(const struct ring *r, size_t topic, int32_t partition)
{
    const struct marks *m = &r->marks[topic];
    return partition >= 0 && (size_t)partition < m->n ? m->next[partition] : -1;
}

static enum serin_status begin_segment(struct ring *r, int64_t now_ms, struct fault *f)
{
    struct arena a = {0};
    char name[NAME], when[20], path[4400];
    const char *meta;
    time_t s = (time_t)(now_ms / 1000);
    struct tm utc = {0};
    gmtime_r(&s, &utc);
    strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &utc);
    snprintf(name, sizeof name, "%0*" PRIu64 "-%s.rec", DIGITS, r->number + 1, when);
    path_of(r, name, path, sizeof path);
    struct origin *o = r->o.origin;
    o->segment = r->number + 1;
    o->created_ms = now_ms;
    for (size_t i = 0; i < o->n; i++) {
        o->topics[i].next = r->marks[i].next;
        o->topics[i].n_next = r->marks[i].n;
    }
    enum serin_status rc = origin_write(o, &a, &meta);
    if (rc == SERIN_OK)
        rc = recording_create(&r->to, path, meta, f);
    else
        no_memory(f);
    arena_free(&a);
    for (size_t i = 0; i < o->n; i++)
        o->topics[i].n_next = 0; /* the marks stay mine */
    if (rc == SERIN_OK) rc = push(r, name, r->number + 1, f);
    if (rc != SERIN_OK) { /* nothing is in it */
        unlink(path);
        return rc;
    }
    r->number++;
    r->begun_ms = now_ms;
    r->size.begun++;
    measure(r, &r->segments[r->n - 1]);
    return rc;
}

enum serin_status ring_add(struct ring *r, const struct recording_record *one,
                           int64_t now_ms, struct fault *f)
{
    if (one->offset < ring_next(r, one->topic, one->partition)) return SERIN_OK;
    enum serin_status rc = SERIN_OK;
    if (r->to == NULL) rc = begin_segment(r, now_ms, f);
    if (rc == SERIN_OK) rc = recording_add(r->to, one, f);
    if (rc == SERIN_OK || rc == SERIN_ELIMIT) {
        enum serin_status marked =
            mark(r, one->topic, (size_t)one->partition, one->offset + 1, f);
        if (marked != SERIN_OK) return marked;
    }
    r->size.records += rc == SERIN_OK;
    return rc;
}

static void drop_oldest(struct ring *r)
{
    struct segment *s = &r->segments[0];
    if (unlinkat(r->lock, s->name, 0) != 0 && errno != ENOENT)
        log_warn("record", "cannot delete %s/%s: %s", r->o.dir, s->name,
                 strerror(errno));
    r->size.bytes -= s->bytes;
    r->size.deleted++;
    memmove(s, s + 1, --r->n * sizeof *s);
}

enum serin_status ring_turn(struct ring *r, int64_t now_ms, struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    if (r->to != NULL) {
        rc = recording_flush(r->to, f);
        measure(r, &r->segments[r->n - 1]);
        bool full = recording_size(r->to) >= r->o.segment_bytes;
        if (rc == SERIN_OK && (full || now_ms - r->begun_ms >= r->o.segment_ms))
            rc = end_segment(r, f);
    }
    while (r->n > 1 && (r->size.bytes > r->o.max_bytes ||
                        now_ms - r->segments[0].written_ms > r->o.max_age_ms))
        drop_oldest(r);
    return rc;
}

struct ring_size ring_size(const struct ring *r)
{
    struct ring_size s = r->size;
    s.segments = r->n;
    return s;
}
