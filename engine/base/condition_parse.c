/* engine/base/condition_parse.c -- by recursive descent, into postfix order */
#include <string.h>

#include "engine/base/condition.h"

enum { DEPTH = 8 };

struct reader {
    const char *p, *end;
    struct condition c;
    unsigned depth;
    const char *fault; /* the first one; NULL: none */
};

static bool fail(struct reader *r, const char *fault)
{
    if (r->fault == NULL) r->fault = fault;
    return false;
}

static void blanks(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t'))
        r->p++;
}

static size_t left(const struct reader *r)
{
    return (size_t)(r->end - r->p);
}

/* Is the next thing this word, and not the beginning of a longer one? */
static bool word(struct reader *r, const char *text)
{
    size_t n = strlen(text);
    if (left(r) < n || memcmp(r->p, text, n) != 0) return false;
    if (left(r) > n && memchr(" \t(", r->p[n], 3) == NULL) return false;
    r->p += n;
    blanks(r);
    return true;
}

static bool step(struct reader *r, unsigned what)
{
    if (r->c.n_steps == CONDITION_MAX_STEPS) return fail(r, "it is too long");
    r->c.steps[r->c.n_steps++] = (uint8_t)what;
    return true;
}

/* The operator that stands next, longest first. */
static bool operator(struct reader *r, enum condition_op *op)
{
    static const struct {
        const char *text;
        enum condition_op op;
    } table[] = {{"==", CONDITION_EQ}, {"!=", CONDITION_NE},  {"<=", CONDITION_LE},
                 {">=", CONDITION_GE}, {"=", CONDITION_EQ},   {"<", CONDITION_LT},
                 {">", CONDITION_GT},  {"in ", CONDITION_IN}, {"in[", CONDITION_IN}};
    if (left(r) == 0) return fail(r, "no operator follows the attribute's name");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t n = strlen(table[i].text);
        if (left(r) < n || memcmp(r->p, table[i].text, n) != 0) continue;
        *op = table[i].op;
        r->p += *op == CONDITION_IN ? 2 : n;
        blanks(r);
        return true;
    }
    return fail(r, "no such operator");
}

/* A value, up to a blank or one of `ends`, or in quotes. */
static bool value(struct reader *r, const char *ends)
{
    if (left(r) == 0 || strchr(ends, *r->p) != NULL)
        return fail(r, "a value is missing");
    char quote = *r->p;
    const char *from = r->p;
    size_t n = 0;
    if (quote == '"' || quote == '\'') {
        from++;
        const char *close = memchr(from, quote, (size_t)(r->end - from));
        if (close == NULL) return fail(r, "a quote is not closed");
        n = (size_t)(close - from);
        r->p = close + 1;
    } else {
        if (memchr("=!<>", quote, 4) != NULL) return fail(r, "no such operator");
        while (n < left(r) && strchr(" \t", from[n]) == NULL &&
               strchr(ends, from[n]) == NULL && from[n] != '\0') {
            if (memchr("[],", from[n++], 3) != NULL)
                return fail(r, "a list needs the operator in");
        }
        r->p += n;
    }
    if (r->c.n_values == CONDITION_MAX_VALUES)
        return fail(r, "it has more than 32 values");
    r->c.values[r->c.n_values++] = (struct strview){from, n};
    blanks(r);
    return true;
}
_Static_assert(CONDITION_MAX_VALUES == 32 && CONDITION_MAX_TERMS == 8,
               "as the texts say");

static bool list(struct reader *r)
{
    if (left(r) == 0 || *r->p != '[')
        return fail(r, "in needs a list such as [500, 503]");
    do {
        r->p++;
        blanks(r);
        if (!value(r, ",]")) return false;
        if (left(r) == 0) return fail(r, "the list is not closed by ]");
        if (*r->p != ',' && *r->p != ']')
            return fail(r, "a value with spaces needs quotes");
    } while (*r->p == ',');
    r->p++;
    return true;
}

static bool term(struct reader *r)
{
    double x;
    const char *key = r->p;
    if (r->c.n_terms == CONDITION_MAX_TERMS) return fail(r, "it has more than 8 terms");
    struct condition_term *t = &r->c.terms[r->c.n_terms];
    while (r->p < r->end && strchr(" \t=!<>()", *r->p) == NULL && *r->p != '\0')
        r->p++;
    *t = (struct condition_term){.key = {key, (size_t)(r->p - key)},
                                 .first = r->c.n_values};
    if (t->key.n == 0) return fail(r, "the attribute's name is missing");
    blanks(r);
    if (!operator(r, &t->op)) return false;
    if (!(t->op == CONDITION_IN ? list(r) : value(r, ")"))) return false;
    t->n = (uint8_t)(r->c.n_values - t->first);
    bool order =
        t->op != CONDITION_EQ && t->op != CONDITION_NE && t->op != CONDITION_IN;
    if (order && !condition_number(r->c.values[t->first], &x))
        return fail(r, "< <= > >= need a number");
    blanks(r);
    return step(r, r->c.n_terms++);
}

static bool any_of(struct reader *r);

static bool unary(struct reader *r)
{
    bool ok;
    if (r->depth == DEPTH) return fail(r, "it nests too deep");
    r->depth++;
    if (word(r, "not")) {
        ok = unary(r) && step(r, CONDITION_NOT);
    } else if (left(r) > 0 && *r->p == '(') {
        r->p++;
        blanks(r);
        ok = any_of(r);
        if (ok && (left(r) == 0 || *r->p != ')'))
            ok = fail(r, "a parenthesis is not closed");
        if (ok) r->p++;
        blanks(r);
    } else {
        ok = term(r);
    }
    r->depth--;
    return ok;
}

static bool all_of(struct reader *r)
{
    if (!unary(r)) return false;
    while (word(r, "and"))
        if (!unary(r) || !step(r, CONDITION_AND)) return false;
    return true;
}

static bool any_of(struct reader *r)
{
    if (!all_of(r)) return false;
    while (word(r, "or"))
        if (!all_of(r) || !step(r, CONDITION_OR)) return false;
    return true;
}

static void whole(struct reader *r)
{
    blanks(r);
    if (left(r) == 0) {
        fail(r, "it is empty");
        return;
    }
    if (!any_of(r) || left(r) == 0) return;
    fail(r, *r->p == ')' ? "a parenthesis is closed that was not opened"
                         : "a value with spaces needs quotes; terms are joined by and, "
                           "or");
}

enum serin_status condition_parse(struct strview text, struct condition *out,
                                  struct fault *f)
{
    struct reader r = {.p = text.p, .end = text.p + text.n};
    whole(&r);
    if (r.fault != NULL) {
        return fault_set(f, SERIN_EPARSE,
                         "condition \"%.*s\": %s; expected KEY OP VALUE with OP one of "
                         "= != < <= > >=, or KEY in [V, V]",
                         (int)(text.n < 60 ? text.n : 60), text.n != 0 ? text.p : "",
                         r.fault);
    }
    *out = r.c;
    return SERIN_OK;
}
