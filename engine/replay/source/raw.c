/* engine/replay/source/raw.c */
#include "engine/replay/source/raw.h"

#include <string.h>

#include "engine/base/mem.h"

struct kept {
    struct raw_record r;
    uint64_t seq;
    char *copy; /* of the bytes */
};

struct raw {
    struct recording_reader *from;
    struct origin origin;
    struct kept *heap; /* the earliest is the first */
    size_t n, room, bytes;
    uint64_t seq;
    char *given;           /* bytes of the record given last */
    enum serin_status end; /* of reading; SERIN_OK: not yet */
    struct fault fault;
};

enum serin_status raw_open(struct raw **out, struct recording_reader *r,
                           struct fault *f)
{
    struct raw *w = mem_calloc(1, sizeof *w);
    if (w == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    w->from = r;
    enum serin_status rc = origin_read(&w->origin, recording_meta(r), f);
    if (rc == SERIN_OK && !origin_has(&w->origin, true))
        rc = fault_set(
            f, SERIN_EPARSE,
            "a recording of the inbox, not of metrics: give it to "
            "'serin replay --inbox'; 'serin record --inputs' records metrics");
    if (rc != SERIN_OK) {
        raw_close(w);
        return rc;
    }
    *out = w;
    return SERIN_OK;
}

void raw_close(struct raw *w)
{
    if (w == NULL) return;
    for (size_t i = 0; i < w->n; i++)
        mem_free(w->heap[i].copy);
    mem_free(w->heap);
    mem_free(w->given);
    origin_free(&w->origin);
    mem_free(w);
}

static bool before(const struct kept *a, const struct kept *b)
{
    if (a->r.timestamp_ms != b->r.timestamp_ms)
        return a->r.timestamp_ms < b->r.timestamp_ms;
    return a->seq < b->seq;
}

static void swap(struct kept *a, struct kept *b)
{
    struct kept was = *a;
    *a = *b;
    *b = was;
}

static bool push(struct raw *w, const struct kept *one)
{
    if (w->n == w->room) {
        size_t more = w->room != 0 ? 2 * w->room : 1024;
        struct kept *grown = mem_realloc(w->heap, more, sizeof *grown);
        if (grown == NULL) return false;
        w->heap = grown;
        w->room = more;
    }
    w->heap[w->n] = *one;
    for (size_t i = w->n++; i > 0 && before(&w->heap[i], &w->heap[(i - 1) / 2]);
         i = (i - 1) / 2)
        swap(&w->heap[i], &w->heap[(i - 1) / 2]);
    w->bytes += one->r.bytes.n + sizeof *one;
    return true;
}

static struct kept pop(struct raw *w)
{
    struct kept first = w->heap[0];
    w->heap[0] = w->heap[--w->n];
    for (size_t i = 0, least = 0;; i = least) {
        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < w->n; k++)
            if (before(&w->heap[k], &w->heap[least])) least = k;
        if (least == i) break;
        swap(&w->heap[i], &w->heap[least]);
    }
    w->bytes -= first.r.bytes.n + sizeof first;
    return first;
}

static enum serin_status keep(struct raw *w, const struct recording_record *r)
{
    if (r->topic >= w->origin.n || r->value == NULL) return SERIN_OK; /* a tombstone */
    const struct origin_topic *t = &w->origin.topics[r->topic];
    if (!t->input) return SERIN_OK;
    struct kept one = {.seq = w->seq++, .copy = mem_calloc(r->value_len + 1, 1)};
    if (one.copy == NULL) return SERIN_ENOMEM;
    if (r->value_len != 0) memcpy(one.copy, r->value, r->value_len);
    one.r = (struct raw_record){{one.copy, r->value_len},
                                origin_format(t, r->format),
                                t,
                                r->partition,
                                r->offset,
                                r->timestamp_ms};
    if (push(w, &one)) return SERIN_OK;
    mem_free(one.copy);
    return SERIN_ENOMEM;
}

enum serin_status raw_next(struct raw *w, struct raw_record *out, struct fault *f)
{
    struct recording_record r;
    while (w->end == SERIN_OK && w->bytes < RAW_ROOM) {
        w->end = recording_next(w->from, &r, &w->fault);
        if (w->end == SERIN_OK && keep(w, &r) != SERIN_OK)
            w->end = fault_set(&w->fault, SERIN_ENOMEM, "out of memory");
    }
    if (w->n == 0) {
        if (w->end != SERIN_AGAIN) *f = w->fault;
        return w->end;
    }
    struct kept one = pop(w);
    mem_free(w->given);
    w->given = one.copy;
    *out = one.r;
    return SERIN_OK;
}

const struct origin *raw_origin(const struct raw *w)
{
    return &w->origin;
}
