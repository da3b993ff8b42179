/* ingest/condition.c */
#include "ingest/condition.h"

#include <stdlib.h>

static struct strview trim(struct strview s)
{
    while (s.n != 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s.p++, s.n--;
    while (s.n != 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static struct strview unquote(struct strview s)
{
    bool quoted =
        s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0];
    return quoted ? (struct strview){s.p + 1, s.n - 2} : s;
}

static bool number(struct strview s, double *out)
{
    char text[64], *end;
    if (s.n == 0 || s.n >= sizeof text) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *out = strtod(text, &end);
    return end == text + s.n && *out == *out;
}

/* The operator at the start of s, longest first; its length, or 0. */
static size_t operator_at(struct strview s, enum condition_op *op)
{
    static const struct {
        const char *text;
        enum condition_op op;
    } table[] = {{"==", CONDITION_EQ}, {"!=", CONDITION_NE},  {"<=", CONDITION_LE},
                 {">=", CONDITION_GE}, {"=", CONDITION_EQ},   {"<", CONDITION_LT},
                 {">", CONDITION_GT},  {"in ", CONDITION_IN}, {"in[", CONDITION_IN}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t n = strlen(table[i].text);
        if (s.n < n || memcmp(s.p, table[i].text, n) != 0) continue;
        *op = table[i].op;
        return *op == CONDITION_IN ? 2 : n;
    }
    return 0;
}

static bool values_parse(struct strview s, struct condition *c)
{
    s = trim(s);
    if (c->op != CONDITION_IN) {
        c->values[c->n++] = unquote(s);
        return s.n != 0;
    }
    if (s.n < 2 || s.p[0] != '[' || s.p[s.n - 1] != ']') return false;
    s = (struct strview){s.p + 1, s.n - 2};
    while (c->n < CONDITION_MAX_VALUES) {
        const char *comma = s.n != 0 ? memchr(s.p, ',', s.n) : NULL;
        size_t n = comma != NULL ? (size_t)(comma - s.p) : s.n;
        struct strview value = trim((struct strview){s.p, n});
        if (value.n == 0) return false;
        c->values[c->n++] = unquote(value);
        if (comma == NULL) return true;
        s = (struct strview){comma + 1, s.n - n - 1};
    }
    return false;
}

enum serin_status condition_parse(struct strview text, struct condition *out,
                                  struct fault *f)
{
    struct condition c = {.n = 0};
    struct strview s = trim(text);
    size_t k = 0, n = 0;
    while (k < s.n && strchr(" \t=!<>", s.p[k]) == NULL)
        k++;
    c.key = (struct strview){s.p, k};
    struct strview rest = trim((struct strview){s.p + k, s.n - k});
    if (k != 0) n = operator_at(rest, &c.op);
    if (n == 0 || !values_parse((struct strview){rest.p + n, rest.n - n}, &c)) {
        return fault_set(
            f, SERIN_EPARSE,
            "condition \"%.*s\": expected KEY OP VALUE with OP one of = != < "
            "<= > >=, or KEY in [V, V] with at most %d values",
            (int)(text.n < 200 ? text.n : 200), text.p, CONDITION_MAX_VALUES);
    }
    *out = c;
    return SERIN_OK;
}

static bool same(struct strview a, struct strview b)
{
    double x, y;
    return strview_eq(a, b) || (number(a, &x) && number(b, &y) && !(x < y) && !(x > y));
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

bool condition_holds(const struct condition *c, const struct series_name *s)
{
    struct strview v;
    double x, y;
    if (!series_attribute_get(s, c->key, &v)) return false;
    if (c->op == CONDITION_NE) return !same(v, c->values[0]);
    if (c->op == CONDITION_EQ || c->op == CONDITION_IN) {
        for (size_t i = 0; i < c->n; i++) {
            if (same(v, c->values[i])) return true;
        }
        return false;
    }
    return number(v, &x) && number(c->values[0], &y) && ordered(c->op, x, y);
}
