/* engine/notify/queue.c */
#include "engine/notify/queue.h"

#include "engine/base/mem.h"

bool queue_add(struct queue *q, const struct incident_event *e, int32_t partition,
               int64_t offset, bool *dropped)
{
    struct queue_entry *made = mem_calloc(1, sizeof *made);
    *dropped = false;
    if (made == NULL) return false;
    if (q->n == QUEUE_MAX) {
        queue_next(q);
        *dropped = true;
    }
    made->event = *e;
    made->partition = partition;
    made->offset = offset;
    if (q->last != NULL)
        q->last->next = made;
    else
        q->first = made;
    q->last = made;
    q->n++;
    return true;
}

void queue_next(struct queue *q)
{
    struct queue_entry *gone = q->first;
    if (gone == NULL) return;
    q->first = gone->next;
    if (q->first == NULL) q->last = NULL;
    q->n--;
    mem_free(gone);
}

int64_t queue_oldest(const struct queue *q, int32_t partition)
{
    for (const struct queue_entry *e = q->first; e != NULL; e = e->next)
        if (e->partition == partition) return e->offset;
    return -1;
}

void queue_forget(struct queue *q, int32_t partition)
{
    struct queue kept = {0};
    struct queue_entry *e = q->first, *next;
    for (; e != NULL; e = next) {
        next = e->next;
        e->next = NULL;
        if (e->partition == partition) {
            mem_free(e);
            continue;
        }
        if (kept.last != NULL)
            kept.last->next = e;
        else
            kept.first = e;
        kept.last = e;
        kept.n++;
    }
    *q = kept;
}

void queue_clear(struct queue *q)
{
    while (q->first != NULL)
        queue_next(q);
}
