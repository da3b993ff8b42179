/* engine/replay/tune/diff.c -- longest common subsequence of the lines between what
 * begins and ends alike */
#include "engine/replay/tune/diff.h"

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/strview.h"
#include "engine/base/text.h"

enum { AROUND = 3, TABLE = 4000000 };

struct side {
    struct strview *lines; /* each with its end */
    size_t n;
};

/* One step of the way from one text to the other. */
struct step {
    char what;       /* ' ', '-', '+' */
    size_t from, to; /* index of the line that it is of */
};

struct diff {
    struct side from, to;
    struct step *steps;
    size_t n;
};

static bool split_lines(struct arena *a, const char *text, struct side *out)
{
    size_t n = 1;
    for (const char *p = text; *p != '\0'; p++)
        n += *p == '\n';
    out->lines = arena_alloc(a, n * sizeof *out->lines);
    if (out->lines == NULL) return false;
    for (const char *p = text; *p != '\0';) {
        size_t len = strcspn(p, "\n");
        len += p[len] == '\n';
        out->lines[out->n++] = (struct strview){p, len};
        p += len;
    }
    return true;
}

static bool same(const struct diff *d, size_t i, size_t k)
{
    return strview_eq(d->from.lines[i], d->to.lines[k]);
}

static void put(struct diff *d, char what, size_t i, size_t k)
{
    d->steps[d->n++] = (struct step){what, i, k};
}

/* How many lines are common to what follows line x of one and y of the other. */
struct common {
    uint16_t *t; /* NULL: too long to look */
    size_t from, to, columns;
};

static uint16_t *common_at(const struct common *c, size_t x, size_t y)
{
    return &c->t[(x - c->from) * c->columns + (y - c->to)];
}

static bool count_common(struct arena *a, const struct diff *d, struct common *c,
                         size_t m, size_t n)
{
    size_t cells = (m - c->from + 1) * (n - c->to + 1);
    c->columns = n - c->to + 1;
    if (cells > TABLE) return true;
    c->t = arena_alloc(a, cells * sizeof *c->t);
    if (c->t == NULL) return false;
    for (size_t x = m; x-- > c->from;)
        for (size_t y = n; y-- > c->to;) {
            uint16_t down = *common_at(c, x + 1, y), right = *common_at(c, x, y + 1);
            *common_at(c, x, y) = down > right ? down : right;
            if (same(d, x, y))
                *common_at(c, x, y) = (uint16_t)(*common_at(c, x + 1, y + 1) + 1);
        }
    return true;
}

/* Lines [i, m) of one against [k, n) of the other. */
static bool between(struct arena *a, struct diff *d, size_t i, size_t m, size_t k,
                    size_t n)
{
    struct common c = {.from = i, .to = k};
    if (!count_common(a, d, &c, m, n)) return false;
    while (i < m && k < n && c.t != NULL) {
        if (same(d, i, k))
            put(d, ' ', i++, k++);
        else if (*common_at(&c, i + 1, k) >= *common_at(&c, i, k + 1))
            put(d, '-', i++, k);
        else
            put(d, '+', i, k++);
    }
    while (i < m)
        put(d, '-', i++, k);
    while (k < n)
        put(d, '+', i, k++);
    return true;
}

static bool walk(struct arena *a, struct diff *d)
{
    size_t first = 0, m = d->from.n, n = d->to.n;
    d->steps = arena_alloc(a, (m + n + 1) * sizeof *d->steps);
    if (d->steps == NULL) return false;
    while (first < m && first < n && same(d, first, first))
        first++;
    while (m > first && n > first && same(d, m - 1, n - 1))
        m--, n--;
    for (size_t i = 0; i < first; i++)
        put(d, ' ', i, i);
    if (!between(a, d, first, m, first, n)) return false;
    for (; m < d->from.n; m++, n++)
        put(d, ' ', m, n);
    return true;
}

static void put_line(struct text *t, char what, struct strview line)
{
    bool ended = line.n > 0 && line.p[line.n - 1] == '\n';
    text_add(t, "%c", what);
    text_bytes(t, line.p, line.n);
    if (!ended) text_add(t, "\n\\ No newline at end of file\n");
}

/* Steps [b, e), with changes among them. */
static void put_hunk(struct text *t, const struct diff *d, size_t b, size_t e)
{
    size_t removed = 0, added = 0;
    for (size_t i = b; i < e; i++) {
        removed += d->steps[i].what != '+';
        added += d->steps[i].what != '-';
    }
    text_add(t, "@@ -%zu,%zu +%zu,%zu @@\n", d->steps[b].from + (removed > 0), removed,
             d->steps[b].to + (added > 0), added);
    for (size_t i = b; i < e; i++) {
        const struct step *s = &d->steps[i];
        put_line(t, s->what,
                 s->what == '+' ? d->to.lines[s->to] : d->from.lines[s->from]);
    }
}

static void put_hunks(struct text *t, const struct diff *d)
{
    for (size_t i = 0; i < d->n;) {
        if (d->steps[i].what == ' ') {
            i++;
            continue;
        }
        size_t begin = i > AROUND ? i - AROUND : 0, last = i;
        for (; i < d->n && i <= last + 2 * AROUND; i++)
            if (d->steps[i].what != ' ') last = i;
        i = last + AROUND + 1 < d->n ? last + AROUND + 1 : d->n;
        put_hunk(t, d, begin, i);
    }
}

enum serin_status diff_unified(struct arena *a, const char *from_name,
                               const char *to_name, const char *from, const char *to,
                               const char **out)
{
    struct diff d = {0};
    struct text t = {0};
    if (!split_lines(a, from, &d.from) || !split_lines(a, to, &d.to) || !walk(a, &d))
        return SERIN_ENOMEM;
    if (strcmp(from, to) != 0) {
        text_add(&t, "--- %s\n+++ %s\n", from_name, to_name);
        put_hunks(&t, &d);
    } else {
        text_add(&t, "%s", "");
    }
    *out = text_keep(&t, a);
    text_free(&t);
    return *out != NULL ? SERIN_OK : SERIN_ENOMEM;
}
