/* engine/cli/recorded.c */
#include "engine/cli/recorded.h"

#include <string.h>

#include "engine/base/clock.h"

enum { MESSAGE_MAX = 4 << 20 }; /* of a worker, by default */

static void put(const struct recorded *r, const struct worker_input *in,
                struct origin *o)
{
    size_t max = in->max_message != 0 ? in->max_message : r->worker->max_message;
    struct origin_topic *t = &o->topics[o->n];
    *t = (struct origin_topic){.name = in->topic,
                               .input = true,
                               .max_message = max != 0 ? max : MESSAGE_MAX,
                               .defaults = {.id = o->n,
                                            .attributes = in->attributes,
                                            .n_attributes = in->n_attributes,
                                            .metric = strview_of(in->metric),
                                            .cumulative = in->cumulative,
                                            .tick_ns = in->tick_ns}};
    if (in->format != NULL) (void)format_parse(in->format, &t->format);
    o->n++;
}

enum serin_status recorded_origin(const struct recorded *r, const struct bus *b,
                                  struct origin *out)
{
    *out = (struct origin){.serin = SERIN_VERSION,
                           .partitions = bus_partitions(b),
                           .created_ms = clock_wall_ms(),
                           .max_lag_ms = r->max_lag_ms,
                           .lateness_ms = r->worker->lateness_ms};
    out->topics = arena_alloc(&out->arena, ORIGIN_MAX_TOPICS * sizeof *out->topics);
    if (out->topics == NULL) return SERIN_ENOMEM;
    if (r->inbox) out->topics[out->n++].name = bus_topic_name(b, BUS_INBOX);
    for (size_t i = 0; r->inputs && i < r->worker->n_inputs; i++)
        put(r, &r->worker->inputs[i], out);
    return SERIN_OK;
}

enum serin_status recorded_add(const struct recorded *r, const char *topic,
                               const enum format *format, struct origin *out)
{
    struct worker_input bare = {.topic = topic};
    const struct worker_input *in = &bare;
    struct origin_topic *t = NULL;
    for (size_t i = 0; i < r->worker->n_inputs; i++)
        if (strcmp(r->worker->inputs[i].topic, topic) == 0) in = &r->worker->inputs[i];
    for (size_t i = 0; i < out->n; i++)
        if (strcmp(out->topics[i].name, topic) == 0) t = &out->topics[i];
    if (t == NULL && out->n == ORIGIN_MAX_TOPICS) return SERIN_ELIMIT;
    if (t == NULL) {
        put(r, in, out);
        t = &out->topics[out->n - 1];
    }
    if (format != NULL && t->input) t->format = *format;
    return SERIN_OK;
}
