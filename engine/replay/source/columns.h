/* engine/replay/source/columns.h -- which column of a table is which field of a sample
 *
 *   time=ts,cohort=arm,metric=name,n=requests,bad=errors,attributes.zone=dc
 *   time=ts,cohort=arm,metric=:cpu,gauge=cpu,unit=pod,attributes=*
 *
 * FIELD=COLUMN takes the column's cell, FIELD=:TEXT the text itself in every row;
 * attributes=* makes an attribute of every column that nothing else takes. */
#ifndef SERIN_ENGINE_REPLAY_SOURCE_COLUMNS_H
#define SERIN_ENGINE_REPLAY_SOURCE_COLUMNS_H

#include <stdbool.h>

#include "engine/base/status.h"
#include "engine/base/strview.h"

/* clang-format off */
#define COLUMNS_MAP(X) \
    X(TIME, "time") X(ROLLOUT, "rollout") X(COHORT, "cohort") X(STRATUM, "stratum") \
    X(METRIC, "metric") X(UNIT, "unit") X(USER, "user") X(N, "n") X(BAD, "bad") \
    X(VALUE, "value") X(GAUGE, "gauge") X(ATTRIBUTE, "attributes.KEY")
#define X(name, text) COLUMNS_##name,
enum columns_field { COLUMNS_MAP(X) COLUMNS_FIELDS };
#undef X
/* clang-format on */

enum { COLUMNS_MAX = 64, COLUMNS_TEXT = 200 }; /* bytes of FIELD=COLUMN */

struct columns_item {
    enum columns_field field;
    bool constant;
    struct strview key;  /* of an attribute */
    struct strview from; /* name of the column, or the text itself */
};

/* Points into the text that was parsed. */
struct columns {
    struct columns_item items[COLUMNS_MAX];
    size_t n;
    bool rest; /* attributes=* */
};

/** The name of a field as a map spells it. */
const char *columns_name(enum columns_field f);
/** Errors: SERIN_EPARSE with what is wrong at which character. */
SERIN_MUST_USE
enum serin_status columns_parse(const char *text, struct columns *out, struct fault *f);
/** The item of a field; NULL: the map does not say. Not for attributes. */
const struct columns_item *columns_find(const struct columns *c, enum columns_field f);

#endif
