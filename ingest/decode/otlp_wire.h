/* ingest/decode/otlp_wire.h -- OpenTelemetry's points and spans, walked where they lie
 *
 * opentelemetry.proto.metrics.v1 and trace.v1, as far as a judgement needs them:
 * exemplars, events, links, ids, minima and maxima are stepped over. */
#ifndef SERIN_INGEST_DECODE_OTLP_WIRE_H
#define SERIN_INGEST_DECODE_OTLP_WIRE_H

#include "ingest/buckets.h"
#include "ingest/decode/wire.h"
#include "ingest/quarantine.h"

enum otlp_kind {
    OTLP_GAUGE,
    OTLP_SUM,
    OTLP_HISTOGRAM,
    OTLP_EXPONENTIAL,
    OTLP_SUMMARY,
    OTLP_SPAN,
    OTLP_KINDS
};
enum { /* the proto's numbers */
       OTLP_DELTA = 1,
       OTLP_CUMULATIVE = 2,
       OTLP_NO_VALUE = 1, /* flag: no recorded value */
       OTLP_SERVER = 2,   /* SpanKind */
       OTLP_ERROR = 2,    /* StatusCode */
       OTLP_TEXT = 32     /* bytes that a number takes as text */
};

/* What holds for all points of a metric. */
struct otlp_stream {
    enum otlp_kind kind;
    uint64_t temporality, monotonic;
};

enum otlp_number { OTLP_NONE, OTLP_DOUBLE, OTLP_INT };

/* One point or span, all of it checked but its attributes. */
struct otlp_point {
    struct strview attributes; /* from the first to behind the last */
    bool scattered;            /* with something else between */
    uint64_t start_ns, time_ns;
    uint64_t flags;
    enum otlp_number number;
    uint64_t bits;                 /* of the double, or the int */
    uint64_t count;                /* of a histogram */
    struct strview bounds, counts; /* 8 bytes each, not aligned */
    struct buckets_view view;      /* of an exponential one */
    bool negative;                 /* it counts values below zero */
    struct strview name;           /* of a span */
    uint64_t span_kind, status;
};

/** Errors: SERIN_EPARSE with *why. */
SERIN_MUST_USE
enum serin_status otlp_wire_point(enum otlp_kind kind, struct strview bytes,
                                  struct otlp_point *out, struct reject *why);

struct otlp_attribute {
    struct strview key, value;
    bool usable; /* lists, maps, bytes and empty values are not */
    char text[OTLP_TEXT];
};

/**
 * The next attribute of a message whose KeyValues have this field number. value points
 * into the message or to text. False at the end, or with *status.
 */
bool otlp_wire_attribute(struct wire *w, unsigned field, struct otlp_attribute *out,
                         enum serin_status *status, struct reject *why);
/** The number of the field that holds a point's attributes. */
unsigned otlp_wire_attributes_of(enum otlp_kind kind);
/**
 * The next field of a message that is a message or text; the rest is checked and
 * stepped over. False at the end, or with *status: then it is broken or, where
 * `submessages` has the field's bit, of another type.
 */
bool otlp_wire_next(struct wire *w, uint64_t submessages, unsigned *field,
                    struct strview *out, const char *what, enum serin_status *status,
                    struct reject *why);

#endif
