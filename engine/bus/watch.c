/* engine/bus/watch.c
 *
 * A cooperative rebalance moves a partition in two steps: its owner gives it up and
 * joins again, then another member gets it. A static member that dies between the two
 * and is back within its session is handed what the first step left to it, and no
 * second step follows: the group is at rest, and what was on its way belongs to nobody.
 * The protocol has no cure for this; leaving the group starts the rebalance that is
 * missing. */
#include "engine/bus/watch.h"

#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"

enum {
    ASK_MS = 5000,     /* first question, and the one that makes sure */
    CALM_MS = 10000,   /* every broker is asked for its groups: not more often */
    ANSWER_MS = 1000,  /* longest wait for an answer */
    SILENT_MS = 30000, /* next question after none came */
    BACKOFF_MS = 30000,
    BACKOFF_MAX_MS = 600000,
    STILL_MS = 30000,
    STILL_EACH = 8,
    TOPIC_MAX = 249, /* Kafka's longest name */
};

void watch_open(struct watch *w, rd_kafka_t *rk, const char *group)
{
    w->group = mem_strdup(group);
    w->rk = rk;
    w->ask_ms = clock_mono_ms() + ASK_MS;
    w->backoff_ms = BACKOFF_MS;
}

void watch_close(struct watch *w)
{
    mem_free(w->group);
    *w = (struct watch){0};
}

/* A member's assignment as the protocol has it: version, then topics with partitions.
 */
struct bytes_left {
    const unsigned char *p, *end;
};

/* Big-endian; -1 at the end of the bytes. */
static int32_t number(struct bytes_left *b, int size)
{
    uint32_t v = 0;
    if (b->end - b->p < size) return -1;
    for (int i = 0; i < size; i++)
        v = v << 8 | *b->p++;
    return (int32_t)v;
}

/* Partitions of our topics: how many there are, are given to members, given to us, and
 * are both given to us and read. */
struct tally {
    size_t all, given, ours, read;
    bool member, first; /* we are in the group; first of it by name */
};

static void count_member(struct tally *t, const struct slots *s,
                         const struct rd_kafka_group_member_info *m, bool us)
{
    const unsigned char *at = m->member_assignment;
    if (at == NULL) return;
    struct bytes_left b = {at, at + m->member_assignment_size};
    number(&b, 2);
    for (int32_t topics = number(&b, 4); topics > 0; topics--) {
        char name[TOPIC_MAX + 1];
        int32_t len = number(&b, 2);
        if (len < 0 || len > TOPIC_MAX || b.end - b.p < len) return;
        memcpy(name, b.p, (size_t)len);
        name[len] = '\0';
        b.p += len;
        bool known = slots_topic(s, name) != NULL;
        for (int32_t n = number(&b, 4); n > 0; n--) {
            int32_t partition = number(&b, 4);
            if (partition < 0) return;
            t->given += known;
            t->ours += known && us;
            t->read += us && slots_find(s, name, partition) != NULL;
        }
    }
}

static struct tally count(const struct watch *w, const struct slots *s,
                          const struct rd_kafka_group_info *g)
{
    struct tally t = {.first = true};
    char *own = rd_kafka_memberid(w->rk);
    for (size_t i = 0; i < s->n; i++)
        if (s->topics[i].subscribed) t.all += (size_t)s->topics[i].count;
    for (int i = 0; own != NULL && i < g->member_cnt; i++) {
        int order = strcmp(g->members[i].member_id, own);
        t.member |= order == 0;
        t.first &= order >= 0;
        count_member(&t, s, &g->members[i], order == 0);
    }
    if (own != NULL) rd_kafka_mem_free(w->rk, own);
    return t;
}

static bool out_of_place(const struct watch *w, const struct slots *s,
                         const struct rd_kafka_group_info *g, const char *what)
{
    if (g->err != RD_KAFKA_RESP_ERR_NO_ERROR || strcmp(g->state, "Stable") != 0)
        return false;
    struct tally t = count(w, s, g);
    size_t owned = slots_list(s, NULL, 0);
    bool orphans = t.given < t.all && t.first;
    bool astray = t.ours != owned || t.read != owned;
    if (!t.member || (!orphans && !astray)) return false;
    bool act = w->wrong >= 1 && clock_mono_ms() >= w->act_ms;
    log_write(
        act ? LOG_WARN_LEVEL : LOG_DEBUG_LEVEL, "bus",
        "%s: of %zu partitions %zu belong to no member; %zu are given to this one, "
        "which reads %zu%s",
        what, t.all, t.given < t.all ? t.all - t.given : 0, t.ours, owned,
        act ? "; leaving the group and joining it again" : "");
    return true;
}

/* By the old call: the admin interface of 2.0.2 fails an assertion when an answer comes
 * after its time-out. */
static bool look(struct watch *w, const struct slots *s, const char *what)
{
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_resp_err_t err = rd_kafka_list_groups(w->rk, w->group, &list, ANSWER_MS);
    bool silent = err != RD_KAFKA_RESP_ERR_NO_ERROR;
    bool wrong =
        !silent && list->group_cnt == 1 && out_of_place(w, s, &list->groups[0], what);
    if (silent)
        log_debug("bus", "%s: who has what in it: %s", what, rd_kafka_err2str(err));
    if (list != NULL) rd_kafka_group_list_destroy(list);
    w->ask_ms = clock_mono_ms() + (silent ? SILENT_MS : wrong ? ASK_MS : CALM_MS);
    return wrong;
}

bool watch_group(struct watch *w, const struct slots *s, const char *what)
{
    int64_t now = clock_mono_ms();
    if (w->group == NULL || now < w->ask_ms) return false;
    w->wrong = look(w, s, what) ? w->wrong + 1 : 0;
    if (w->wrong < 2 || now < w->act_ms) return false;
    w->wrong = 0;
    w->act_ms = now + w->backoff_ms;
    w->backoff_ms =
        2 * w->backoff_ms < BACKOFF_MAX_MS ? 2 * w->backoff_ms : BACKOFF_MAX_MS;
    return true;
}

/* 1: stands still with records to read; 0: nothing to read; -1: the broker is silent.
 */
static int stuck(struct watch *w, const char *topic, int32_t partition, int64_t next,
                 int timeout_ms)
{
    int64_t low, high;
    if (rd_kafka_query_watermark_offsets(w->rk, topic, partition, &low, &high,
                                         timeout_ms) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return -1;
    return next >= 0 && high > next;
}

bool watch_partition(struct watch *w, const struct slots *s, int timeout_ms,
                     struct bus_partition *out)
{
    int64_t now = clock_mono_ms();
    int asked = 0;
    if (w->rk == NULL || now < w->still_ms) return false;
    for (size_t i = 0; i < s->n; i++) {
        const struct slots_topic *t = &s->topics[i];
        for (int32_t k = 0; k < t->n && asked < STILL_EACH; k++) {
            struct slot *slot = &t->items[k];
            if (!slot->owned || slot->paused) continue;
            bool moved = slot->still_ms == 0 || slot->next != slot->still_at;
            if (!moved && now - slot->still_ms < STILL_MS) continue;
            slot->still_at = slot->next;
            slot->still_ms = now;
            if (moved) continue;
            asked++;
            int found = stuck(w, t->name, k, slot->next, timeout_ms / STILL_EACH);
            if (found < 0) asked = STILL_EACH;
            *out = (struct bus_partition){t->name, k, slot->next};
            if (found > 0) return true;
        }
    }
    w->still_ms = now + ASK_MS;
    return false;
}
