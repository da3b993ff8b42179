/* engine/act/lease.c */
#include "engine/act/lease.h"

void lease_open(struct lease *l, int64_t length_ms)
{
    *l = (struct lease){.length_ms = length_ms, .heard_ms = INT64_MIN};
}

static bool held(const struct lease *l)
{
    return l->seq != 0 && !l->final && !l->lost;
}

bool lease_hear(struct lease *l, const struct lease_word *w, int64_t said_ms,
                int64_t now_ms)
{
    bool fresh = now_ms - said_ms <= l->length_ms;
    if (w->seq < l->seq) return false; /* old news, whenever it was said */
    if (said_ms > l->heard_ms) l->heard_ms = said_ms;
    if (w->seq == l->seq) return false;
    l->seq = w->seq;
    l->weight_bp = w->weight_bp;
    l->final = w->final;
    l->stopped = w->stopped;
    /* A verdict that waited longer than the lease gives no weight; the next one may. */
    l->lost = !fresh && !w->final;
    return true;
}

bool lease_check(struct lease *l, int64_t now_ms)
{
    if (!held(l) || now_ms - l->heard_ms <= l->length_ms) return false;
    l->lost = true;
    return true;
}

uint32_t lease_weight(const struct lease *l)
{
    return l->seq == 0 || l->lost ? 0 : l->weight_bp;
}

int64_t lease_due_ms(const struct lease *l)
{
    return held(l) ? l->heard_ms + l->length_ms + 1 : INT64_MAX;
}
