/* engine/cli/plan_value.h -- the values in options of `serin plan` */
#ifndef SERIN_ENGINE_CLI_PLAN_VALUE_H
#define SERIN_ENGINE_CLI_PLAN_VALUE_H

#include <stdbool.h>
#include <stddef.h>

/* All: false when text is no such value; *out is written else. */

/** A finite number, with the unit or without. */
bool plan_value_number(const char *text, const char *unit, double *out);
/** "2000/s", "90/min", "3/h", or a number a second; above 0. */
bool plan_value_speed(const char *text, double *out);
/** "1%", "0.01": between 0 and 1. */
bool plan_value_share(const char *text, double *out);
/** "80ms", "1s", in ms; above 0. */
bool plan_value_ms(const char *text, double *out);

/* One of "p50=80ms,p99=600ms". */
struct plan_value_part {
    const char *name;
    bool (*read)(const char *text, double *out);
    double *out;
};
/** All n parts, in this order. */
bool plan_value_parts(const char *text, const struct plan_value_part *parts, size_t n);
/** A number above 0, for a part. */
bool plan_value_positive(const char *text, double *out);

#endif
