/* ingest/decode/influx_line.h -- one line of InfluxDB's line protocol, taken apart
 *
 * measurement,tag=value field=1.5,other=3i 1700000000000000000
 * Nothing is copied but names and tags with escapes; no memory is allocated. */
#ifndef SERIN_INGEST_DECODE_INFLUX_LINE_H
#define SERIN_INGEST_DECODE_INFLUX_LINE_H

#include "ingest/series.h"

enum {
    INFLUX_MAX_FIELDS = 512,
    INFLUX_MAX_ESCAPED = 4096 /* bytes of names with escapes in one line */
};

enum influx_type { INFLUX_INTEGER, INFLUX_FLOAT, INFLUX_BOOL, INFLUX_TEXT };

struct influx_field {
    struct strview name;
    enum influx_type type;
    double value; /* of a number; true is 1 */
};

struct influx_line {
    struct strview measurement;
    struct series_attribute tags[SERIES_MAX_ATTRIBUTES];
    size_t n_tags;
    struct influx_field fields[INFLUX_MAX_FIELDS];
    size_t n_fields;
    bool timed;
    int64_t time; /* in the sender's unit */
    char escaped[INFLUX_MAX_ESCAPED];
    size_t n_escaped;
};

/* The unread rest of a record. Zero lines have been read at the start. */
struct influx_text {
    const char *p, *end;
    size_t lines;
};

/**
 * The next line that is neither blank nor a comment. False at the end or, with *status
 * SERIN_EPARSE and *why, at a line that is none.
 */
bool influx_line_next(struct influx_text *t, struct influx_line *out,
                      enum serin_status *status, struct reject *why);

#endif
