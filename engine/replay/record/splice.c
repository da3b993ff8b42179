/* engine/replay/record/splice.c */
#include "engine/replay/record/splice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/replay/record/origin.h"

/* One partition of one topic. */
struct stretch {
    bool begun, ended;
    int64_t last; /* offset written; -1: none */
};

struct splice {
    struct stretch *stretches; /* by partition, then topic */
    size_t n;
    struct recording_writer *to;
    struct splice_report *out;
};

/* NULL with *f filled: there is none such. */
static struct stretch *stretch_of(struct splice *s, const struct recording_record *r,
                                  struct fault *f)
{
    if (r->partition < 0 || r->partition >= ORIGIN_MAX_PARTITIONS ||
        r->topic >= ORIGIN_MAX_TOPICS) {
        fault_set(f, SERIN_EPARSE,
                  "a record of topic %u, partition %d: expected at most %d and %d",
                  (unsigned)r->topic, (int)r->partition, ORIGIN_MAX_TOPICS - 1,
                  ORIGIN_MAX_PARTITIONS - 1);
        return NULL;
    }
    size_t at = (size_t)r->partition * ORIGIN_MAX_TOPICS + r->topic;
    if (at >= s->n) {
        struct stretch *grown = mem_realloc(s->stretches, at + 1, sizeof *grown);
        if (grown == NULL) {
            fault_set(f, SERIN_ENOMEM, "out of memory");
            return NULL;
        }
        s->stretches = grown;
        for (; s->n <= at; s->n++)
            s->stretches[s->n] = (struct stretch){.last = -1};
    }
    return &s->stretches[at];
}

static enum serin_status put(struct splice *s, struct stretch *at,
                             const struct recording_record *r, struct fault *f)
{
    struct splice_report *o = s->out;
    if (o->written == 0 || r->timestamp_ms < o->first_ms) o->first_ms = r->timestamp_ms;
    if (o->written == 0 || r->timestamp_ms > o->last_ms) o->last_ms = r->timestamp_ms;
    o->written++;
    at->last = r->offset;
    return recording_add(s->to, r, f);
}

/* The file is whole as far as it goes, also when the source was damaged. */
static enum serin_status close_all(struct splice *s, enum serin_status rc,
                                   struct fault *f)
{
    struct fault end = {0};
    mem_free(s->stretches);
    if (rc == SERIN_AGAIN) rc = SERIN_OK;
    if (rc != SERIN_OK && rc != SERIN_EPARSE) {
        recording_abandon(s->to);
        return rc;
    }
    enum serin_status finished = recording_finish(s->to, &end);
    if (finished == SERIN_OK) return rc;
    *f = end;
    return finished;
}

enum serin_status splice_cut(struct recording_reader *r, int64_t from_ms, int64_t to_ms,
                             const char *to, struct splice_report *out, struct fault *f)
{
    struct recording_record one;
    *out = (struct splice_report){.first_ms = INT64_MIN, .last_ms = INT64_MIN};
    struct splice s = {.out = out};
    enum serin_status rc = recording_create(&s.to, to, recording_meta(r), f);
    if (rc != SERIN_OK) return rc;
    while ((rc = recording_next(r, &one, f)) == SERIN_OK) {
        out->read = recording_read(r);
        struct stretch *at = stretch_of(&s, &one, f);
        if (at == NULL) {
            rc = f->code;
            break;
        }
        at->begun |= one.timestamp_ms >= from_ms;
        at->ended |= one.timestamp_ms >= to_ms;
        if (at->begun && !at->ended) rc = put(&s, at, &one, f);
        if (rc != SERIN_OK) break;
    }
    return close_all(&s, rc, f);
}

/* ---------------------------------------------------------------- merge */

struct head {
    struct recording_record r;
    enum serin_status rc; /* SERIN_OK: r stands */
    uint64_t segment;     /* of a ring; 0: none */
};

/* Of all files the same topics; and which segments they are. */
static enum serin_status read_origins(struct recording_reader *const *r, size_t n,
                                      struct head *heads, struct fault *f)
{
    struct origin first = {0};
    char mine[160], theirs[160];
    enum serin_status rc = origin_read(&first, recording_meta(r[0]), f);
    for (size_t i = 0; rc == SERIN_OK && i < n; i++) {
        struct origin other = {0};
        rc = origin_read(&other, recording_meta(r[i]), f);
        heads[i].segment = other.segment;
        if (rc == SERIN_OK && !origin_same_topics(&first, &other))
            rc = fault_set(f, SERIN_EDOM,
                           "file 1 is of %s, file %zu of %s: expected the same topics",
                           origin_names(&first, mine, sizeof mine), i + 1,
                           origin_names(&other, theirs, sizeof theirs));
        origin_free(&other);
    }
    origin_free(&first);
    return rc;
}

/* A segment follows those of lesser numbers in every partition, whatever the times of
 * its records: they come first. */
static uint64_t least_segment(const struct head *h, size_t n)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < n; i++)
        if (h[i].rc == SERIN_OK && h[i].segment > 0 && h[i].segment < least)
            least = h[i].segment;
    return least;
}

/* The head that comes first: by time; of one partition, by offset. */
static struct head *first_of(struct head *h, size_t n)
{
    struct head *best = NULL;
    uint64_t segment = least_segment(h, n);
    for (size_t i = 0; i < n; i++) {
        if (h[i].rc != SERIN_OK || h[i].segment > segment) continue;
        bool same = best != NULL && best->r.topic == h[i].r.topic &&
                    best->r.partition == h[i].r.partition;
        bool before =
            best == NULL || (same ? h[i].r.offset < best->r.offset
                                  : h[i].r.timestamp_ms < best->r.timestamp_ms);
        if (before) best = &h[i];
    }
    return best;
}

static enum serin_status put_next(struct splice *s, const struct recording_record *r,
                                  struct fault *f)
{
    struct stretch *at = stretch_of(s, r, f);
    if (at == NULL) return f->code;
    if (r->offset > at->last) return put(s, at, r, f);
    return fault_set(f, SERIN_EDOM,
                     "partition %d: offset %" PRId64 " comes after %" PRId64
                     ": expected files of different stretches of time, as 'cut' makes "
                     "them, or copies of the same one; where a topic was made anew in "
                     "between, merge what was before and what came after apart",
                     (int)r->partition, r->offset, at->last);
}

/* The next record of the file it is from, and of those that have the same one. */
static void step(struct splice *s, struct recording_reader *const *r,
                 struct head *heads, size_t n, const struct head *done,
                 struct fault *hurt)
{
    struct recording_record was = done->r;
    for (size_t i = 0; i < n; i++) {
        const struct recording_record *h = &heads[i].r;
        if (heads[i].rc != SERIN_OK || h->topic != was.topic ||
            h->partition != was.partition || h->offset != was.offset)
            continue;
        s->out->read++;
        s->out->repeated += &heads[i] != done;
        heads[i].rc = recording_next(r[i], &heads[i].r, hurt);
    }
}

enum serin_status splice_merge(struct recording_reader *const *r, size_t n,
                               const char *to, struct splice_report *out,
                               struct fault *f)
{
    struct head *heads = mem_calloc(n, sizeof *heads), *next;
    *out = (struct splice_report){.first_ms = INT64_MIN, .last_ms = INT64_MIN};
    struct splice s = {.out = out};
    struct fault hurt = {0};
    if (heads == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    enum serin_status rc = read_origins(r, n, heads, f);
    if (rc == SERIN_OK) rc = recording_create(&s.to, to, recording_meta(r[0]), f);
    if (rc != SERIN_OK) {
        mem_free(heads);
        return rc;
    }
    for (size_t i = 0; i < n; i++)
        heads[i].rc = recording_next(r[i], &heads[i].r, &hurt);
    while (rc == SERIN_OK && (next = first_of(heads, n)) != NULL) {
        rc = put_next(&s, &next->r, f);
        step(&s, r, heads, n, next, &hurt);
    }
    for (size_t i = 0; rc == SERIN_OK && i < n; i++)
        if (heads[i].rc != SERIN_AGAIN) rc = heads[i].rc;
    if (hurt.code != SERIN_OK && f->code == SERIN_OK) *f = hurt;
    mem_free(heads);
    return close_all(&s, rc, f);
}
