/* engine/bus/slots.c */
#include "engine/bus/slots.h"

#include <string.h>

#include "engine/base/mem.h"

bool slots_init(struct slots *s, const char *const *topics)
{
    size_t n = 0;
    while (topics[n] != NULL)
        n++;
    s->topics = mem_calloc(n, sizeof *s->topics);
    if (s->topics == NULL) return false;
    for (; s->n < n; s->n++)
        if ((s->topics[s->n].name = mem_strdup(topics[s->n])) == NULL) return false;
    return true;
}

void slots_free(struct slots *s)
{
    for (size_t i = 0; i < s->n; i++) {
        mem_free(s->topics[i].name);
        mem_free(s->topics[i].items);
    }
    mem_free(s->topics);
    *s = (struct slots){0};
}

struct slots_topic *slots_topic(const struct slots *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->topics[i].name, name) == 0) return &s->topics[i];
    return NULL;
}

struct slot *slots_find(const struct slots *s, const char *topic, int32_t partition)
{
    struct slots_topic *t = slots_topic(s, topic);
    if (t == NULL || partition < 0 || partition >= t->n) return NULL;
    return t->items[partition].owned ? &t->items[partition] : NULL;
}

bool slots_own(struct slots *s, const char *topic, int32_t partition, int64_t start)
{
    struct slots_topic *t = slots_topic(s, topic);
    if (t == NULL || partition < 0) return false;
    if (partition >= t->n) {
        struct slot *more = mem_realloc(t->items, (size_t)partition + 1, sizeof *more);
        if (more == NULL) return false;
        memset(more + t->n, 0, (size_t)(partition + 1 - t->n) * sizeof *more);
        t->items = more;
        t->n = partition + 1;
    }
    t->items[partition] = (struct slot){
        .owned = true, .start = start, .next = start, .eof = BUS_OFFSET_NONE};
    return true;
}

size_t slots_list(const struct slots *s, struct bus_partition *p, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct slots_topic *t = &s->topics[i];
        for (int32_t k = 0; k < t->n; k++) {
            if (!t->items[k].owned) continue;
            if (p != NULL && n < room)
                p[n] = (struct bus_partition){t->name, k, t->items[k].next};
            n++;
        }
    }
    return n;
}
