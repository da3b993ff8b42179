/* engine/replay/source/columns.c */
#include "engine/replay/source/columns.h"

static const char *const names[] = {
#define X(name, text) text,
    COLUMNS_MAP(X)
#undef X
};

static const char prefix[] = "attributes.";

const char *columns_name(enum columns_field f)
{
    return f < COLUMNS_FIELDS ? names[f] : "unknown";
}

static enum serin_status wrong(struct fault *f, size_t at, const char *what,
                               struct strview found)
{
    return fault_set(f, SERIN_EPARSE,
                     "--columns, character %zu: %s, found \"%.*s\"; expected "
                     "FIELD=COLUMN or FIELD=:TEXT, separated by commas; fields are "
                     "time, rollout, cohort, stratum, metric, unit, user, n, bad, "
                     "value, gauge, attributes.KEY and attributes=*",
                     at + 1, what, found.n < 60 ? (int)found.n : 60, found.p);
}

static bool field_of(struct strview name, struct columns_item *out)
{
    size_t n = sizeof prefix - 1;
    out->field = COLUMNS_ATTRIBUTE;
    if (name.n > n && memcmp(name.p, prefix, n) == 0) {
        out->key = (struct strview){name.p + n, name.n - n};
        return true;
    }
    for (int f = 0; f < COLUMNS_ATTRIBUTE; f++) {
        if (!strview_eq(name, strview_of(names[f]))) continue;
        out->field = (enum columns_field)f;
        return true;
    }
    return false;
}

/* One FIELD=COLUMN, which begins at this character of the whole. */
static enum serin_status item(struct columns *c, struct strview s, size_t at,
                              struct fault *f)
{
    struct columns_item one = {0};
    const char *eq = s.n != 0 ? memchr(s.p, '=', s.n) : NULL;
    if (eq == NULL) return wrong(f, at, "no '='", s);
    struct strview name = {s.p, (size_t)(eq - s.p)};
    one.from = (struct strview){eq + 1, s.n - name.n - 1};
    if (strview_eq(s, strview_of("attributes=*"))) {
        c->rest = true;
        return SERIN_OK;
    }
    if (!field_of(name, &one)) return wrong(f, at, "no such field", name);
    one.constant = one.from.n != 0 && one.from.p[0] == ':';
    if (one.constant) one.from = (struct strview){one.from.p + 1, one.from.n - 1};
    if (one.from.n == 0) return wrong(f, at, "an empty column", s);
    if (s.n > COLUMNS_TEXT) return wrong(f, at, "over 200 characters", s);
    if (one.field != COLUMNS_ATTRIBUTE && columns_find(c, one.field) != NULL)
        return wrong(f, at, "a field twice", name);
    if (c->n == COLUMNS_MAX) return wrong(f, at, "over 64 columns", s);
    c->items[c->n++] = one;
    return SERIN_OK;
}

enum serin_status columns_parse(const char *text, struct columns *out, struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    size_t at = 0, n = strlen(text);
    *out = (struct columns){0};
    while (rc == SERIN_OK && at <= n) {
        const char *comma = memchr(text + at, ',', n - at);
        size_t end = comma != NULL ? (size_t)(comma - text) : n;
        rc = item(out, (struct strview){text + at, end - at}, at, f);
        at = end + 1;
    }
    return rc;
}

const struct columns_item *columns_find(const struct columns *c, enum columns_field f)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->items[i].field == f) return &c->items[i];
    return NULL;
}
