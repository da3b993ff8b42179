/* engine/cli/plan_value.c */
#include "engine/cli/plan_value.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/keys_value.h"
#include "engine/base/strview.h"

bool plan_value_number(const char *text, const char *unit, double *out)
{
    char *end;
    errno = 0;
    double x = strtod(text, &end);
    if (end == text || errno != 0 || !isfinite(x)) return false;
    if (*end != '\0' && strcmp(end, unit) != 0) return false;
    *out = x;
    return true;
}

bool plan_value_speed(const char *text, double *out)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"/s", 1}, {"/min", 60}, {"/m", 60}, {"/h", 3600}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (plan_value_number(text, units[i].unit, out) && *out > 0) {
            *out /= units[i].seconds;
            return true;
        }
    return false;
}

bool plan_value_share(const char *text, double *out)
{
    static const struct keys_key key = {
        .name = "share", .type = KEYS_SHARE, .min = 1e-9, .max = 0.999999};
    char why[KEYS_WHY];
    return keys_value_read(&key, text, false, out, why);
}

bool plan_value_ms(const char *text, double *out)
{
    int64_t ms;
    if (!strview_duration_ms(strview_of(text), &ms) || ms <= 0) return false;
    *out = (double)ms;
    return true;
}

bool plan_value_positive(const char *text, double *out)
{
    return plan_value_number(text, "", out) && *out > 0;
}

bool plan_value_parts(const char *text, const struct plan_value_part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char value[32];
        size_t name = strlen(parts[i].name), all = strcspn(text, ",");
        if (all <= name || strncmp(text, parts[i].name, name) != 0 ||
            text[name] != '=' || all - name > sizeof value)
            return false;
        snprintf(value, sizeof value, "%.*s", (int)(all - name - 1), text + name + 1);
        if (!parts[i].read(value, parts[i].out)) return false;
        text += all + (text[all] == ',');
    }
    return *text == '\0';
}
