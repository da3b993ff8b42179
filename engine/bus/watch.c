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
    ASK_MS = 5000,
    ANSWER_MS = 4000, /* an answer that takes longer is an error */
    BACKOFF_MS = 30000,
    BACKOFF_MAX_MS = 600000,
    STILL_MS = 30000,
    STILL_EACH = 8,
};

void watch_open(struct watch *w, rd_kafka_t *rk, const char *group, const char *member)
{
    w->group = mem_strdup(group);
    w->member = mem_strdup(member);
    if (w->group == NULL || w->member == NULL) return;
    w->rk = rk;
    w->answers = rd_kafka_queue_new(rk);
    w->ask_ms = clock_mono_ms() + ASK_MS;
    w->backoff_ms = BACKOFF_MS;
}

void watch_close(struct watch *w)
{
    if (w->answers != NULL) rd_kafka_queue_destroy(w->answers);
    mem_free(w->group);
    mem_free(w->member);
    *w = (struct watch){0};
}

static void ask(struct watch *w)
{
    char why[128];
    const char *groups[] = {w->group};
    rd_kafka_AdminOptions_t *o =
        rd_kafka_AdminOptions_new(w->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_AdminOptions_set_request_timeout(o, ANSWER_MS, why, sizeof why);
    rd_kafka_DescribeConsumerGroups(w->rk, groups, 1, o, w->answers);
    rd_kafka_AdminOptions_destroy(o);
    w->asked = true;
}

/* Partitions of our topics: how many there are, are given to members, given to us, and
 * are both given to us and read. */
struct tally {
    size_t all, given, ours, read;
    bool member, first; /* we are in the group; first of it by name */
};

static struct tally count(const struct watch *w, const struct slots *s,
                          const rd_kafka_ConsumerGroupDescription_t *g)
{
    struct tally t = {.first = true};
    for (size_t i = 0; i < s->n; i++)
        if (s->topics[i].subscribed) t.all += (size_t)s->topics[i].count;
    for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(g); i++) {
        const rd_kafka_MemberDescription_t *m =
            rd_kafka_ConsumerGroupDescription_member(g, i);
        const char *name = rd_kafka_MemberDescription_group_instance_id(m);
        const rd_kafka_topic_partition_list_t *list =
            rd_kafka_MemberAssignment_partitions(
                rd_kafka_MemberDescription_assignment(m));
        int order = name != NULL ? strcmp(name, w->member) : 1;
        t.member |= order == 0;
        t.first &= order >= 0;
        for (int k = 0; list != NULL && k < list->cnt; k++) {
            const rd_kafka_topic_partition_t *e = &list->elems[k];
            if (slots_topic(s, e->topic) == NULL) continue;
            t.given++;
            if (order != 0) continue;
            t.ours++;
            t.read += slots_find(s, e->topic, e->partition) != NULL;
        }
    }
    return t;
}

static bool out_of_place(struct watch *w, const struct slots *s,
                         const rd_kafka_ConsumerGroupDescription_t *g, const char *what)
{
    const rd_kafka_error_t *e = rd_kafka_ConsumerGroupDescription_error(g);
    if (e != NULL)
        log_debug("bus", "%s: who is in it: %s", what, rd_kafka_error_string(e));
    if (e != NULL || rd_kafka_ConsumerGroupDescription_state(g) !=
                         RD_KAFKA_CONSUMER_GROUP_STATE_STABLE)
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

/* Take the answer, if it is there. */
static void take(struct watch *w, const struct slots *s, const char *what)
{
    rd_kafka_event_t *e = rd_kafka_queue_poll(w->answers, 0);
    size_t n = 0;
    if (e == NULL) return;
    w->asked = false;
    w->ask_ms = clock_mono_ms() + ASK_MS;
    const rd_kafka_DescribeConsumerGroups_result_t *r =
        rd_kafka_event_DescribeConsumerGroups_result(e);
    const rd_kafka_ConsumerGroupDescription_t **groups =
        r != NULL ? rd_kafka_DescribeConsumerGroups_result_groups(r, &n) : NULL;
    w->wrong = n == 1 && out_of_place(w, s, groups[0], what) ? w->wrong + 1 : 0;
    rd_kafka_event_destroy(e);
}

bool watch_group(struct watch *w, const struct slots *s, const char *what)
{
    int64_t now = clock_mono_ms();
    if (w->answers == NULL) return false;
    if (!w->asked) {
        if (now >= w->ask_ms) ask(w);
        return false;
    }
    take(w, s, what);
    if (w->asked || w->wrong < 2 || now < w->act_ms) return false;
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
            if (!slot->owned) continue;
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
