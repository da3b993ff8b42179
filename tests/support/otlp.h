/* tests/support/otlp.h -- OTLP export requests by hand, header only
 *
 * Built from the inside out: attributes and a number make a point, points a metric,
 * metrics a scope, and so on. */
#ifndef SERIN_TESTS_SUPPORT_OTLP_H
#define SERIN_TESTS_SUPPORT_OTLP_H

#include <stdint.h>
#include <string.h>

#include "tests/support/remote_write.h"

static inline void otlp_fixed(struct rw *m, unsigned field, uint64_t v)
{
    rw_varint(m, field << 3 | 1);
    rw_raw(m, &v, sizeof v);
}

static inline void otlp_double(struct rw *m, unsigned field, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    otlp_fixed(m, field, bits);
}

/* Put the inner message into the outer one, and empty it. */
static inline void otlp_put(struct rw *outer, unsigned field, struct rw *inner)
{
    rw_bytes(outer, field, inner->p, inner->n);
    inner->n = 0;
}

static inline void otlp_text(struct rw *m, unsigned field, const char *text)
{
    rw_bytes(m, field, text, strlen(text));
}

/* An attribute; field: of the message that it belongs to. */
static inline void otlp_attribute(struct rw *m, unsigned field, const char *key,
                                  const char *value)
{
    struct rw kv = {0}, any = {0};
    otlp_text(&kv, 1, key);
    otlp_text(&any, 1, value);
    otlp_put(&kv, 2, &any);
    otlp_put(m, field, &kv);
    rw_free(&kv);
    rw_free(&any);
}

static inline void otlp_int_attribute(struct rw *m, unsigned field, const char *key,
                                      int64_t value)
{
    struct rw kv = {0}, any = {0};
    otlp_text(&kv, 1, key);
    rw_number(&any, 3, (uint64_t)value);
    otlp_put(&kv, 2, &any);
    otlp_put(m, field, &kv);
    rw_free(&kv);
    rw_free(&any);
}

/* A metric of one point: data is 5, 7, 9, 10 or 11 of Metric. */
static inline void otlp_metric(struct rw *scope, const char *name, unsigned data,
                               unsigned temporality, unsigned monotonic,
                               struct rw *point)
{
    struct rw metric = {0}, inner = {0};
    otlp_text(&metric, 1, name);
    otlp_put(&inner, 1, point);
    if (temporality != 0) rw_number(&inner, 2, temporality);
    if (monotonic != 0) rw_number(&inner, 3, monotonic);
    otlp_put(&metric, data, &inner);
    otlp_put(scope, 2, &metric);
    rw_free(&metric);
    rw_free(&inner);
}

/* The scope's list becomes a request of one resource of this service and version. */
static inline void otlp_request(struct rw *request, struct rw *scope,
                                const char *service, const char *version)
{
    struct rw resource = {0}, list = {0};
    otlp_attribute(&resource, 1, "service", service);
    otlp_attribute(&resource, 1, "version", version);
    otlp_put(&list, 1, &resource);
    otlp_put(&list, 2, scope);
    otlp_put(request, 1, &list);
    rw_free(&resource);
    rw_free(&list);
}

#endif
