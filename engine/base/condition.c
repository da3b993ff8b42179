/* engine/base/condition.c */
#include "engine/base/condition.h"

#include <stdlib.h>
#include <string.h>

bool condition_number(struct strview s, double *out)
{
    char text[64], *end;
    if (s.n == 0 || s.n >= sizeof text) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *out = strtod(text, &end);
    return end == text + s.n && *out == *out;
}

static bool same(struct strview a, struct strview b)
{
    double x, y;
    return strview_eq(a, b) ||
           (condition_number(a, &x) && condition_number(b, &y) && !(x < y) && !(x > y));
}

static bool ordered(enum condition_op op, double x, double y)
{
    switch (op) {
    case CONDITION_LT:
        return x < y;
    case CONDITION_LE:
        return x <= y;
    case CONDITION_GT:
        return x > y;
    case CONDITION_GE:
        return x >= y;
    case CONDITION_EQ:
    case CONDITION_NE:
    case CONDITION_IN:
        break;
    }
    return false;
}

static bool term_holds(const struct condition_term *t, const struct strview *values,
                       struct strview v)
{
    double x, y;
    if (t->op == CONDITION_NE) return !same(v, values[0]);
    if (t->op == CONDITION_EQ || t->op == CONDITION_IN) {
        for (size_t i = 0; i < t->n; i++) {
            if (same(v, values[i])) return true;
        }
        return false;
    }
    return condition_number(v, &x) && condition_number(values[0], &y) &&
           ordered(t->op, x, y);
}

bool condition_holds(const struct condition *c, condition_get get, const void *ctx)
{
    uint64_t stack = 0; /* of booleans, the top in bit 0 */
    for (size_t i = 0; i < c->n_steps; i++) {
        uint64_t a = stack & 1, b = stack >> 1 & 1;
        struct strview v;
        switch (c->steps[i]) {
        case CONDITION_NOT:
            stack ^= 1;
            break;
        case CONDITION_AND:
            stack = stack >> 2 << 1 | (a & b);
            break;
        case CONDITION_OR:
            stack = stack >> 2 << 1 | (a | b);
            break;
        default: {
            const struct condition_term *t = &c->terms[c->steps[i]];
            bool holds = get(ctx, t->key, &v) && term_holds(t, c->values + t->first, v);
            stack = stack << 1 | holds;
        }
        }
    }
    return (stack & 1) != 0;
}
