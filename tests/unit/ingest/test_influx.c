/* tests/unit/ingest/test_influx.c -- lines into cells, and every refusal */
#include "tests/support/check.h"
#include "tests/support/ingest_world.h"

static struct world w;

static void setup(void)
{
    w = world_open(NULL);
}

static void teardown(void)
{
    world_close(&w);
}

TestSuite(influx, .init = setup, .fini = teardown);

static int lines(const char *text)
{
    return world_decode(&w, FORMAT_INFLUX, text, strlen(text));
}

static void accepted(const char *text)
{
    cr_assert(eq(int, lines(text), SERIN_OK), "%s: %s", text, w.why.detail);
}

static const struct aggregate_cell *cell(const char *version, const char *metric,
                                         int64_t window_ms)
{
    enum route_cohort c = strcmp(version, "new") == 0 ? ROUTE_CANARY : ROUTE_BASELINE;
    return world_cell(&w, "r1", c, "eu", metric, window_ms);
}

#define TAGS ",service=shop,version=new,region=eu"
#define AT " 1700000000500000000"

Test(influx, n_and_bad_are_one_sample_of_the_measurement)
{
    accepted("errors" TAGS " n=317i,bad=5i" AT);
    accepted("errors,service=shop,version=old,region=eu bad=7,n=911.0" AT "\n");
    cr_assert(eq(u64, cell("new", "errors", WORLD_NOW)->n, 317));
    cr_assert(eq(u64, cell("new", "errors", WORLD_NOW)->bad, 5));
    cr_assert(eq(u64, cell("old", "errors", WORLD_NOW)->n, 911));
    cr_assert(eq(u64, cell("old", "errors", WORLD_NOW)->bad, 7));
    cr_assert(eq(u64, aggregate_counts(w.a).samples, 2));
    /* n absent: one unit */
    accepted("errors" TAGS " bad=true" AT);
    cr_assert(eq(u64, cell("new", "errors", WORLD_NOW)->n, 318));
    cr_assert(eq(u64, cell("new", "errors", WORLD_NOW)->bad, 6));
}

Test(influx, the_plan_says_what_a_number_is)
{
    /* duration: a latency in seconds, and by status a ratio: a reading is one unit. */
    accepted("duration" TAGS ",status=503 value=0.25" AT);
    accepted("duration" TAGS ",status=200 value=2i" AT);
    cr_assert(eq(u64, cell("new", "latency", WORLD_NOW)->n, 2));
    cr_assert(eq(u64, cell("new", "latency", WORLD_NOW)->hist.total, 2));
    cr_assert(eq(u64, cell("new", "failures", WORLD_NOW)->n, 2));
    cr_assert(eq(u64, cell("new", "failures", WORLD_NOW)->bad, 1));
    /* crashes: events, so a number of them */
    accepted("crashes" TAGS " value=3i" AT);
    accepted("crashes" TAGS " counter=4" AT);
    cr_assert(eq(u64, cell("new", "crashes", WORLD_NOW)->n, 7));
    /* cpu: a gauge by pod, negative too */
    accepted("cpu" TAGS ",pod=p1 gauge=-0.5" AT);
    cr_assert(eq(u64, cell("new", "cpu", WORLD_NOW)->n, 1));
    cr_assert(epsilon_eq(dbl, cell("new", "cpu", WORLD_NOW)->units->sum, -0.5, 1e-15));
    cr_assert(eq(u64, aggregate_counts(w.a).routed, 5));
}

static const char *metric_of(const char *line)
{
    /* A route that asks for everything would be simpler than none; count instead. */
    struct aggregate_counts before = aggregate_counts(w.a);
    accepted(line);
    struct aggregate_counts after = aggregate_counts(w.a);
    return after.routed > before.routed ? "routed" : "unrouted";
}

Test(influx, names_are_those_of_telegrafs_prometheus_output)
{
    cr_assert(
        eq(str, (char *)metric_of("errors" TAGS " value=1i,other=2i" AT), "unrouted"),
        "a ratio without condition wants bad");
    cr_assert(eq(str, (char *)metric_of("crashes" TAGS " value=1i" AT), "routed"));
    cr_assert(eq(str, (char *)metric_of("crashes" TAGS " total=1i" AT), "unrouted"));
    cr_assert(eq(str, (char *)metric_of("prometheus" TAGS " crashes=1i" AT), "routed"));
    cr_assert(eq(str, (char *)metric_of("cpu" TAGS " gauge=0.5" AT), "routed"));
    cr_assert(eq(u64, aggregate_counts(w.a).samples, 6));
    cr_assert(eq(u64, aggregate_counts(w.a).unrouted, 3));
}

Test(influx, escapes_comments_blanks_texts)
{
    world_row("r3", "a, b=c\\d", true, world_put, &w);
    accepted("# a comment, with = and ,\n\n   \r\n"
             "errors,service=a\\,\\ b\\=c\\d,version=new,region=eu "
             "note=\"said \\\"no\\\",\nn=5 \\\\\",n=7i,bad=2i 1700000000500000000\r\n"
             "errors" TAGS " bad=0i,n=1i" AT);
    const struct aggregate_cell *c =
        world_cell(&w, "r3", ROUTE_CANARY, "eu", "errors", WORLD_NOW);
    cr_assert(eq(u64, c->n, 7));
    cr_assert(eq(u64, c->bad, 2));
    cr_assert(eq(u64, cell("new", "errors", WORLD_NOW)->n, 1));
    cr_assert(eq(u64, aggregate_counts(w.a).samples, 2), "texts are no samples");
}

Test(influx, numbers_to_the_last_bit)
{
    static const struct {
        const char *text;
        double value;
    } of[] = {{"0.1", 0.1},
              {"12.", 12},
              {"1e-3", 1e-3},
              {"123456789.12345679", 123456789.12345679},
              {"3.141592653589793238462643", 3.141592653589793},
              {"9007199254740993", 9007199254740993.0},
              {"1.7976931348623157E+308", 1.7976931348623157e308},
              {"+4.9e-324", 4.9e-324}};
    char line[256];
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        snprintf(line, sizeof line, "cpu" TAGS ",pod=p%zu gauge=%s" AT, i, of[i].text);
        bool poison = of[i].value > 1e150;
        uint64_t before = aggregate_counts(w.a).poison;
        accepted(line);
        cr_assert(eq(u64, aggregate_counts(w.a).poison, before + poison));
        const struct aggregate_unit *u = cell("new", "cpu", WORLD_NOW)->units;
        while (u != NULL && u->next != NULL)
            u = u->next;
        if (!poison) cr_assert(eq(dbl, u->sum, of[i].value), "%s", of[i].text);
    }
}

Test(influx, times_in_any_unit)
{
    accepted("errors" TAGS " n=1i,bad=0i 1700000000");
    accepted("errors" TAGS " n=2i,bad=0i 1700000000999");
    accepted("errors" TAGS " n=4i,bad=0i 1700000000999999");
    accepted("errors" TAGS " n=8i,bad=0i 1700000000999999999");
    cr_assert(eq(u64, cell("new", "errors", WORLD_NOW)->n, 15));
    struct aggregate_input in = {.id = 1, .tick_ns = 1000000};
    aggregate_input(w.a, &in);
    accepted("errors" TAGS " n=1i,bad=0i 1000");
    in.tick_ns = 1000000000;
    accepted("errors" TAGS " n=2i,bad=0i 1");
    in.tick_ns = 1000;
    accepted("errors" TAGS " n=4i,bad=0i 1999999");
    in.tick_ns = 1;
    accepted("errors" TAGS " n=8i,bad=0i 1000000000");
    cr_assert(eq(u64, cell("new", "errors", 1000)->n, 15));
}

Test(influx, poison_is_counted_apart)
{
    static const char *const poison[] = {
        "errors" TAGS " n=5i,bad=6i" AT,
        "errors" TAGS " n=-5i,bad=0i" AT,
        "errors" TAGS " n=1.5,bad=0i" AT,
        "errors" TAGS " n=NaN,bad=0i" AT,
        "errors" TAGS " n=1i,bad=0i -5",
        "errors" TAGS " n=1i,bad=0i 9223372036854775807",
        "duration" TAGS " value=-0.1" AT,
        "cpu" TAGS " value=+Inf" AT,
        "crashes" TAGS " value=18446744073709551615u" AT,
        "duration" TAGS " 0.1=5,+Inf=4,count=4,sum=1" AT,
        "duration" TAGS " +Inf=4,count=4,sum=1" AT,
    };
    size_t n = sizeof poison / sizeof *poison;
    for (size_t i = 0; i < n; i++)
        accepted(poison[i]);
    cr_assert(eq(u64, aggregate_counts(w.a).poison, n));
    cr_assert(eq(u64, aggregate_counts(w.a).samples, n));
    cr_assert(eq(sz, aggregate_cells(w.a), 0));
}

Test(influx, telegrafs_histograms)
{
    /* inputs.prometheus, metric_version = 1: fields named by their bounds, any order */
    accepted("duration" TAGS " +Inf=20,0.5=17,0.1=9,1=19,count=20,sum=7.25" AT);
    const struct aggregate_cell *c = cell("new", "latency", WORLD_NOW);
    cr_assert(eq(u64, c->n, 20));
    cr_assert(eq(u64, c->hist.total, 20));
    /* At most 0.1 s = 100 ms: those buckets hold nine. */
    uint64_t upto = 0;
    for (uint32_t k = 0; k < c->hist.n; k++)
        if (c->hist.offset + (int32_t)k <= buckets_index(100))
            upto += c->hist.counts[k];
    cr_assert(eq(u64, upto, 9));
    cr_assert(eq(u64, aggregate_counts(w.a).samples, 1));
}

static void bucket_lines(char *out, size_t size, const char *version, int t,
                         const int upto[3])
{
    static const char *const le[] = {"0.1", "+Inf", "0.5"}; /* in any order */
    static const int at[] = {0, 2, 1};
    size_t n = 0;
    for (int i = 0; i < 3; i++)
        n += (size_t)snprintf(out + n, size - n,
                              "prometheus,le=%s,service=shop,version=%s,region=eu "
                              "duration_bucket=%d %d\n",
                              le[i], version, upto[at[i]], 1700000000 + t);
    snprintf(out + n, size - n,
             "prometheus,service=shop,version=%s,region=eu "
             "duration_sum=1.5,duration_count=%d %d\n",
             version, upto[2], 1700000000 + t);
}

/* inputs.prometheus, metric_version = 2: a line a bucket, sums since a start. */
Test(influx, telegrafs_histograms_bucket_by_bucket)
{
    char text[1000];
    static const int upto[4][3] = {{5, 7, 9}, {8, 15, 20}, {8, 15, 20}, {1, 1, 2}};
    for (int t = 0; t < 4; t++) {
        bucket_lines(text, sizeof text, "new", t == 2 ? 1 : t, upto[t]);
        accepted(text);
        bucket_lines(text, sizeof text, "old", t, upto[0]);
        accepted(text);
    }
    const struct aggregate_cell *c = cell("new", "latency", WORLD_NOW + 1000);
    cr_assert(eq(u64, c->n, 11), "rose by %llu", (unsigned long long)c->n);
    uint64_t upto_100ms = 0;
    for (uint32_t k = 0; k < c->hist.n; k++)
        if (c->hist.offset + (int32_t)k <= buckets_index(100))
            upto_100ms += c->hist.counts[k];
    cr_assert(eq(u64, upto_100ms, 3));
    cr_assert(eq(u64, cell("new", "latency", WORLD_NOW + 3000)->n, 2), "a restart");
    cr_assert(eq(u64, cell("old", "latency", WORLD_NOW + 3000)->n, 0), "none rose");
    cr_assert(eq(u64, cell("new", "failures", WORLD_NOW + 1000)->n, 11));
    cr_assert(eq(u64, aggregate_counts(w.a).begun, 2));
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 0));
}

/* A tag le alone makes no bucket. */
Test(influx, other_lines_may_have_a_tag_le)
{
    accepted("crashes,le=0.5,service=shop,version=new,region=eu counter=3" AT);
    accepted("prometheus,le=x,service=shop,version=new,region=eu crashes=3" AT);
    cr_assert(eq(u64, cell("new", "crashes", WORLD_NOW)->n, 6));
}

Test(influx, cumulative_counts_by_what_they_rose)
{
    struct aggregate_input in = {.id = 7, .cumulative = true};
    char line[256];
    static const struct {
        int n, bad, crashes, t;
    } at[] = {{100, 5, 7, 0}, {160, 8, 9, 1}, {160, 8, 9, 1}, {20, 3, 1, 2}};
    aggregate_input(w.a, &in);
    for (size_t i = 0; i < 4; i++) {
        snprintf(line, sizeof line,
                 "errors" TAGS " n=%di,bad=%di %d\ncrashes" TAGS " counter=%d %d\n"
                 "duration" TAGS " 0.5=%d,+Inf=%d,count=1,sum=1 %d",
                 at[i].n, at[i].bad, 1700000000 + at[i].t, at[i].crashes,
                 1700000000 + at[i].t, at[i].bad, at[i].n, 1700000000 + at[i].t);
        accepted(line);
    }
    accepted("crashes" TAGS " counter=1000 1800000000"); /* from the future */
    accepted("crashes" TAGS " counter=5 1700000003");
    static const uint64_t n[] = {0, 60, 20}, bad[] = {0, 3, 3}, crashes[] = {0, 2, 1};
    for (int t = 0; t < 3; t++) {
        cr_assert(eq(u64, cell("new", "errors", WORLD_NOW + 1000 * t)->n, n[t]));
        cr_assert(eq(u64, cell("new", "errors", WORLD_NOW + 1000 * t)->bad, bad[t]));
        cr_assert(eq(u64, cell("new", "latency", WORLD_NOW + 1000 * t)->n, n[t]));
        cr_assert(eq(u64, cell("new", "crashes", WORLD_NOW + 1000 * t)->n, crashes[t]));
    }
    cr_assert(eq(u64, cell("new", "crashes", WORLD_NOW + 3000)->n, 4));
    cr_assert(eq(u64, aggregate_counts(w.a).duplicate, 3));
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 1));
    /* Readings are what they are. */
    accepted("cpu" TAGS " gauge=5 1700000000\ncpu" TAGS " gauge=5 1700000001");
    cr_assert(eq(u64, cell("new", "cpu", WORLD_NOW)->n, 1));
}

Test(influx, a_bad_line_refuses_the_record)
{
    static const struct {
        const char *text, *says;
        enum quarantine_reason reason;
    } bad[] = {
        {"", "no bytes", QUARANTINE_EMPTY},
        {"\n# only a comment\n", "blanks", QUARANTINE_EMPTY},
        {"errors" TAGS " n=1i,bad=0i", "without a time", QUARANTINE_FIELD},
        {"errors" TAGS AT, "expected '='", QUARANTINE_LINE},
        {"errors" TAGS, "blank and a field", QUARANTINE_LINE},
        {",a=b v=1 1", "measurement", QUARANTINE_LINE},
        {"m,=b v=1 1", "tag's name", QUARANTINE_LINE},
        {"m,a= v=1 1", "tag's value", QUARANTINE_LINE},
        {"m,a v=1 1", "behind a tag", QUARANTINE_LINE},
        {"m,a=b=c v=1 1", "wants a '\\'", QUARANTINE_LINE},
        {"m =1 1", "field's name", QUARANTINE_LINE},
        {"m v 1", "behind a field", QUARANTINE_LINE},
        {"m v= 1", "expected a number", QUARANTINE_LINE},
        {"m v=1x 1", "expected a number", QUARANTINE_LINE},
        {"m v=1e 1", "expected a number", QUARANTINE_LINE},
        {"m v=i 1", "expected a number", QUARANTINE_LINE},
        {"m v=tru 1", "expected a number", QUARANTINE_LINE},
        {"m v=\"x 1", "without its end", QUARANTINE_LINE},
        {"m v=1 1x", "line's end", QUARANTINE_LINE},
        {"m v=1 x", "a time", QUARANTINE_LINE},
        {"m v=1 99999999999999999999", "a time", QUARANTINE_LINE},
        {"m,a=\xff v=1 1", "UTF-8", QUARANTINE_TEXT},
    };
    char two[512];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert(eq(int, lines(bad[i].text), SERIN_EPARSE), "%s", bad[i].text);
        cr_assert(eq(int, w.why.reason, bad[i].reason), "%s: %s", bad[i].text,
                  w.why.detail);
        cr_assert(ne(ptr, strstr(w.why.detail, bad[i].says), NULL), "%s: %s",
                  bad[i].text, w.why.detail);
        if (bad[i].reason == QUARANTINE_EMPTY) continue;
        snprintf(two, sizeof two, "errors" TAGS " n=1i,bad=0i" AT "\n%s", bad[i].text);
        cr_assert(eq(int, lines(two), SERIN_EPARSE), "%s", two);
        cr_assert(eq(u64, aggregate_counts(w.a).samples, 0), "all or nothing");
    }
}

Test(influx, hard_maxima)
{
    static char big[1 << 17];
    size_t n = (size_t)snprintf(big, sizeof big, "m");
    for (int i = 0; i <= SERIES_MAX_ATTRIBUTES; i++)
        n += (size_t)snprintf(big + n, sizeof big - n, ",t%d=x", i);
    snprintf(big + n, sizeof big - n, " v=1 1");
    cr_assert(eq(int, lines(big), SERIN_EPARSE));
    cr_assert(eq(int, w.why.reason, QUARANTINE_LIMIT), "%s", w.why.detail);
    n = (size_t)snprintf(big, sizeof big, "m f=1");
    for (int i = 0; i < 512; i++)
        n += (size_t)snprintf(big + n, sizeof big - n, ",f%d=1", i);
    snprintf(big + n, sizeof big - n, " 1");
    cr_assert(eq(int, lines(big), SERIN_EPARSE));
    cr_assert(eq(int, w.why.reason, QUARANTINE_LIMIT), "%s", w.why.detail);
    memset(big, 'x', 2000);
    snprintf(big + 2000, sizeof big - 2000, " v=1 1");
    cr_assert(eq(int, lines(big), SERIN_EPARSE));
    cr_assert(eq(int, w.why.reason, QUARANTINE_LIMIT), "%s", w.why.detail);
}
