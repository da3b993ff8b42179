/* engine/replay/source/hlog.c */
#include "engine/replay/source/hlog.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/replay/source/hdr.h"
#include "ingest/decode/number.h"

enum { AT_ONCE = BUCKETS_BOUNDS_MAX / 2 };
static const double year_s = 365 * 86400.0;

struct hlog {
    struct lines *lines;
    const struct columns *map;
    double start_s, base_s; /* of [StartTime: …], [BaseTime: …]; NAN: not said */
    struct hdr hdr;
    struct series_key key;
};

enum serin_status hlog_open(struct hlog **out, struct lines *l,
                            const struct columns *map, struct fault *f)
{
    for (size_t i = 0; map != NULL && i < map->n; i++) {
        const struct columns_item *it = &map->items[i];
        if (!it->constant && !strview_eq(it->from, strview_of("tag")))
            return fault_set(f, SERIN_EPARSE,
                             "--columns: an interval log has no column \"%.*s\"; "
                             "expected \"tag\", or a constant such as metric=:latency",
                             (int)it->from.n, it->from.p);
    }
    struct hlog *h = mem_calloc(1, sizeof *h);
    if (h == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    h->lines = l;
    h->map = map;
    h->start_s = h->base_s = (double)NAN;
    *out = h;
    return SERIN_OK;
}

void hlog_close(struct hlog *h)
{
    if (h == NULL) return;
    hdr_free(&h->hdr);
    mem_free(h);
}

/* ---------------------------------------------------------------- lines */

/* The number behind "#[NAME:" of a comment. */
static void legend(struct strview line, const char *name, double *out)
{
    size_t n = strlen(name);
    if (line.n <= n || memcmp(line.p, name, n) != 0) return;
    struct strview s = {line.p + n, line.n - n};
    while (s.n != 0 && *s.p == ' ')
        s.p++, s.n--;
    size_t digits = 0;
    while (digits < s.n && strchr("0123456789.", s.p[digits]) != NULL)
        digits++;
    (void)number_parse((struct strview){s.p, digits}, out);
}

/* Up to the next comma, which is skipped; false: there is none. */
static bool cell(struct strview *line, struct strview *out)
{
    const char *comma = line->n != 0 ? memchr(line->p, ',', line->n) : NULL;
    if (comma == NULL) return false;
    *out = (struct strview){line->p, (size_t)(comma - line->p)};
    line->p = comma + 1;
    line->n -= out->n + 1;
    return true;
}

/* As the log's own reader takes it: since BaseTime; else since StartTime, where it is
 * over a year before that; else since the epoch. */
static int64_t time_ms(struct hlog *h, double s)
{
    if (isnan(h->base_s)) h->base_s = s < h->start_s - year_s ? h->start_s : 0;
    double ms = floor((h->base_s + s) * 1000 + 1e-6);
    return ms >= 1e11 && ms < 1e14 ? (int64_t)ms : -1; /* 1973 to 5138 */
}

static enum serin_status interval(struct hlog *h, struct strview line,
                                  struct hlog_interval *out, struct reject *why)
{
    struct strview start, length, most, tag = {"", 0};
    double s, unused;
    if (line.n > 4 && memcmp(line.p, "Tag=", 4) == 0) {
        line.p += 4, line.n -= 4;
        if (!cell(&line, &tag)) line.n = 0;
    }
    if (!cell(&line, &start) || !cell(&line, &length) || !cell(&line, &most) ||
        !number_parse(start, &s) || !number_parse(length, &unused))
        return quarantine_refuse(why, QUARANTINE_LINE,
                                 "no interval; expected [Tag=T,]start,length,max,"
                                 "histogram, times in seconds");
    int64_t t = time_ms(h, s);
    if (t < 0)
        return quarantine_refuse(why, QUARANTINE_FIELD,
                                 "%.3f s is no time since the epoch: expected a line "
                                 "#[StartTime: …] or #[BaseTime: …] before it",
                                 s);
    *out = (struct hlog_interval){t, tag, line};
    if (line.n == 0)
        return quarantine_refuse(why, QUARANTINE_FIELD,
                                 "an interval without histogram");
    return SERIN_OK;
}

enum serin_status hlog_next(struct hlog *h, struct hlog_interval *out,
                            struct reject *why, struct fault *f)
{
    struct strview line;
    enum serin_status rc;
    *out = (struct hlog_interval){0};
    while ((rc = lines_next(h->lines, &line, f)) == SERIN_OK) {
        while (line.n != 0 && strchr("\r \t", line.p[line.n - 1]) != NULL)
            line.n--;
        if (line.n == 0 || line.p[0] == '"') continue; /* the header */
        if (line.p[0] == '#') {
            legend(line, "#[StartTime:", &h->start_s);
            legend(line, "#[BaseTime:", &h->base_s);
            continue;
        }
        if (interval(h, line, out, why) != SERIN_OK) *out = (struct hlog_interval){0};
        return SERIN_OK;
    }
    return rc;
}

/* ---------------------------------------------------------------- samples */

struct strview hlog_name(const struct hlog *h, const struct hlog_interval *i,
                         enum columns_field f)
{
    if (h->map != NULL) {
        const struct columns_item *it = columns_find(h->map, f);
        if (it != NULL) return it->constant ? it->from : i->tag;
    } else if (f == COLUMNS_COHORT) {
        return i->tag;
    }
    return strview_of(f == COLUMNS_METRIC ? "latency" : "");
}

static enum serin_status header(struct hlog *h, const struct hlog_interval *i,
                                struct aggregate *a, struct aggregate_series **out,
                                struct reject *why)
{
    struct series_key *k = &h->key;
    series_key_start(k);
    series_key_text(k, SERIES_ROLLOUT, hlog_name(h, i, COLUMNS_ROLLOUT));
    for (size_t n = 0; h->map != NULL && n < h->map->n; n++) {
        const struct columns_item *it = &h->map->items[n];
        if (it->field == COLUMNS_ATTRIBUTE)
            series_key_attribute(k, it->key, it->constant ? it->from : i->tag);
    }
    series_key_text(k, SERIES_COHORT, hlog_name(h, i, COLUMNS_COHORT));
    series_key_text(k, SERIES_STRATUM, hlog_name(h, i, COLUMNS_STRATUM));
    series_key_text(k, SERIES_METRIC, hlog_name(h, i, COLUMNS_METRIC));
    if (k->full)
        return quarantine_refuse(why, QUARANTINE_LIMIT, "names over %d bytes",
                                 SERIES_MAX_KEY);
    return aggregate_series(a, (struct strview){(const char *)k->bytes, k->n}, out,
                            why);
}

/* Some buckets as bounds: each lies above the number just below its lowest one, so that
 * a whole number stands for itself. */
static void add(struct aggregate_run *r, int64_t t_ms, const struct hdr_bucket *b,
                size_t n)
{
    double bounds[BUCKETS_BOUNDS_MAX];
    uint64_t counts[BUCKETS_BOUNDS_MAX + 1] = {0};
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (b[i].low > 0) bounds[k++] = nextafter((double)b[i].low, 0);
        counts[k] = b[i].count;
        bounds[k++] = (double)b[i].high;
    }
    aggregate_run_bounds(r, t_ms, &(struct buckets_bounds){bounds, counts, k});
}

enum serin_status hlog_add(struct hlog *h, const struct hlog_interval *i,
                           struct aggregate *a, struct reject *why)
{
    struct aggregate_series *s;
    struct aggregate_run r;
    enum serin_status rc = hdr_decode(&h->hdr, i->payload, why);
    if (rc == SERIN_OK) rc = header(h, i, a, &s, why);
    if (rc != SERIN_OK) return rc;
    aggregate_run_begin(&r, a, s, AGGREGATE_HISTS);
    if (h->hdr.n == 0) (void)aggregate_run_time(&r, i->t_ms, true); /* nobody came */
    for (size_t k = 0; k < h->hdr.n; k += AT_ONCE) {
        size_t n = h->hdr.n - k < AT_ONCE ? h->hdr.n - k : AT_ONCE;
        add(&r, i->t_ms, &h->hdr.buckets[k], n);
    }
    aggregate_run_end(&r);
    return SERIN_OK;
}
