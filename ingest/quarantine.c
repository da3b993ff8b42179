/* ingest/quarantine.c -- a ring with room for what is committed and what is not yet:
 * uncommitted entries only overwrite slots that are too old to be shown. */
#include "ingest/quarantine.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"

enum { SLOTS = 2 * QUARANTINE_KEPT };

struct quarantine {
    pthread_mutex_t lock; /* guards everything below */
    uint64_t total, sealed, pending;
    uint64_t count[QUARANTINE_REASONS], count_sealed[QUARANTINE_REASONS],
        count_pending[QUARANTINE_REASONS];
    struct quarantine_entry slots[SLOTS];
};

const char *quarantine_text(enum quarantine_reason r)
{
#define X(name, text) text,
    static const char *const texts[] = {QUARANTINE_MAP(X)};
#undef X
    return (unsigned)r < QUARANTINE_REASONS ? texts[r] : "unknown";
}

enum serin_status quarantine_refuse(struct reject *r, enum quarantine_reason reason,
                                    const char *fmt, ...)
{
    va_list ap;
    r->reason = reason;
    va_start(ap, fmt);
    vsnprintf(r->detail, sizeof r->detail, fmt, ap);
    va_end(ap);
    return SERIN_EPARSE;
}

enum serin_status quarantine_open(struct quarantine **out)
{
    struct quarantine *q = mem_calloc(1, sizeof *q);
    if (q == NULL) return SERIN_ENOMEM;
    pthread_mutex_init(&q->lock, NULL);
    *out = q;
    return SERIN_OK;
}

void quarantine_close(struct quarantine *q)
{
    if (q == NULL) return;
    pthread_mutex_destroy(&q->lock);
    mem_free(q);
}

static void head_copy(char *out, size_t room, const unsigned char *p, size_t n)
{
    size_t k = n < room - 1 ? n : room - 1;
    for (size_t i = 0; i < k; i++) {
        out[i] = p[i] >= ' ' && p[i] < 0x7f ? (char)p[i] : '.';
    }
    out[k] = '\0';
}

void quarantine_add(struct quarantine *q, const struct quarantine_entry *e,
                    const void *record, size_t n)
{
    pthread_mutex_lock(&q->lock);
    q->count_pending[e->reason]++;
    /* Past KEPT uncommitted ones the newest is overwritten: the count stays exact. */
    uint64_t held = q->sealed + q->pending;
    if (held < QUARANTINE_KEPT) {
        q->pending++;
        held++;
    }
    struct quarantine_entry *slot = &q->slots[(q->total + held - 1) % SLOTS];
    *slot = *e;
    head_copy(slot->head, sizeof slot->head, record, n);
    pthread_mutex_unlock(&q->lock);
}

static void move(uint64_t from[QUARANTINE_REASONS], uint64_t to[QUARANTINE_REASONS])
{
    for (int r = 0; r < QUARANTINE_REASONS; r++) {
        to[r] += from[r];
        from[r] = 0;
    }
}

void quarantine_seal(struct quarantine *q)
{
    pthread_mutex_lock(&q->lock);
    q->sealed += q->pending;
    q->pending = 0;
    move(q->count_pending, q->count_sealed);
    pthread_mutex_unlock(&q->lock);
}

void quarantine_commit(struct quarantine *q)
{
    pthread_mutex_lock(&q->lock);
    q->total += q->sealed;
    q->sealed = 0;
    move(q->count_sealed, q->count);
    pthread_mutex_unlock(&q->lock);
}

void quarantine_rollback(struct quarantine *q)
{
    pthread_mutex_lock(&q->lock);
    q->sealed = q->pending = 0;
    memset(q->count_sealed, 0, sizeof q->count_sealed);
    memset(q->count_pending, 0, sizeof q->count_pending);
    pthread_mutex_unlock(&q->lock);
}

size_t quarantine_latest(struct quarantine *q, struct quarantine_entry *out,
                         size_t room)
{
    size_t k = 0;
    pthread_mutex_lock(&q->lock);
    for (; k < room && k < QUARANTINE_KEPT && k < q->total; k++) {
        out[k] = q->slots[(q->total - 1 - k) % SLOTS];
    }
    pthread_mutex_unlock(&q->lock);
    return k;
}

size_t quarantine_memory(void)
{
    return sizeof(struct quarantine);
}

uint64_t quarantine_count(struct quarantine *q, enum quarantine_reason r)
{
    pthread_mutex_lock(&q->lock);
    uint64_t n = q->count[r];
    pthread_mutex_unlock(&q->lock);
    return n;
}
