/* engine/base/condition.c */
#include "engine/base/condition.h"

#include <stdlib.h>
#include <string.h>

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

/* What is wrong with an unquoted value; NULL: nothing. */
static const char *value_fault(struct strview raw)
{
    if (raw.n == 0) return "a value is missing";
    bool quoted = raw.p[0] == '"' || raw.p[0] == '\'';
    if (quoted)
        return raw.n >= 2 && raw.p[raw.n - 1] == raw.p[0] ? NULL
                                                          : "a quote is not closed";
    if (memchr("=!<>", raw.p[0], 4) != NULL) return "no such operator";
    for (size_t i = 0; i < raw.n; i++) {
        if (memchr("[],", raw.p[i], 3) != NULL) return "a list needs the operator in";
        if (raw.p[i] == ' ' || raw.p[i] == '\t')
            return "a value with spaces needs quotes, and conditions cannot be joined";
    }
    return NULL;
}

static const char *list_parse(struct strview s, struct condition *c)
{
    if (s.n == 0 || s.p[0] != '[') return "in needs a list such as [500, 503]";
    if (s.n < 2 || s.p[s.n - 1] != ']') return "the list is not closed by ]";
    s = (struct strview){s.p + 1, s.n - 2};
    while (c->n < CONDITION_MAX_VALUES) {
        const char *comma = s.n != 0 ? memchr(s.p, ',', s.n) : NULL;
        size_t n = comma != NULL ? (size_t)(comma - s.p) : s.n;
        struct strview value = trim((struct strview){s.p, n});
        const char *fault = value_fault(value);
        if (fault != NULL) return fault;
        c->values[c->n++] = unquote(value);
        if (comma == NULL) return NULL;
        s = (struct strview){comma + 1, s.n - n - 1};
    }
    return "the list has more than 32 values";
}
_Static_assert(CONDITION_MAX_VALUES == 32, "as the text says");

static const char *values_parse(struct strview s, struct condition *c)
{
    double x;
    s = trim(s);
    if (c->op == CONDITION_IN) return list_parse(s, c);
    const char *fault = value_fault(s);
    if (fault != NULL) return fault;
    c->values[c->n++] = unquote(s);
    bool order = c->op != CONDITION_EQ && c->op != CONDITION_NE;
    return order && !number(c->values[0], &x) ? "< <= > >= need a number" : NULL;
}

/* What is wrong; NULL: nothing, *c is filled. */
static const char *parse(struct strview text, struct condition *c)
{
    struct strview s = trim(text);
    size_t k = 0;
    while (k < s.n && memchr(" \t=!<>", s.p[k], 6) == NULL)
        k++;
    c->key = (struct strview){s.p, k};
    if (s.n == 0) return "it is empty";
    if (k == 0) return "the attribute's name is missing";
    struct strview rest = trim((struct strview){s.p + k, s.n - k});
    size_t n = operator_at(rest, &c->op);
    if (rest.n == 0) return "no operator follows the attribute's name";
    if (n == 0) return "no such operator";
    return values_parse((struct strview){rest.p + n, rest.n - n}, c);
}

enum serin_status condition_parse(struct strview text, struct condition *out,
                                  struct fault *f)
{
    struct condition c = {.n = 0};
    const char *fault = parse(text, &c);
    if (fault != NULL) {
        return fault_set(f, SERIN_EPARSE,
                         "condition \"%.*s\": %s; expected KEY OP VALUE with OP one of "
                         "= != < <= > >=, or KEY in [V, V]",
                         (int)(text.n < 60 ? text.n : 60), text.n != 0 ? text.p : "",
                         fault);
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

bool condition_holds(const struct condition *c, struct strview v)
{
    double x, y;
    if (c->op == CONDITION_NE) return !same(v, c->values[0]);
    if (c->op == CONDITION_EQ || c->op == CONDITION_IN) {
        for (size_t i = 0; i < c->n; i++) {
            if (same(v, c->values[i])) return true;
        }
        return false;
    }
    return number(v, &x) && number(c->values[0], &y) && ordered(c->op, x, y);
}
