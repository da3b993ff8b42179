/* tests/unit/serve/test_receive.c -- bodies judged, refused, written as they came */
#include <snappy-c.h>
#include <zlib.h>

#include "engine/base/clock.h"
#include "engine/bus/consumer.h"
#include "engine/bus/topics.h"
#include "engine/serve/receive.h"
#include "engine/serve/receive_body.h"
#include "tests/unit/serve/fixture.h"

/* ---------------------------------------------------------------- bodies */

static size_t put(uint8_t *at, unsigned field, const void *p, size_t n)
{
    memmove(at + 2, p, n); /* p may be at */
    at[0] = (uint8_t)(field << 3 | 2);
    at[1] = (uint8_t)n; /* short ones only */
    return n + 2;
}

/* An export request with one metric: a summary of two points, or a sum. */
static size_t otlp(uint8_t out[64], bool summary)
{
    size_t n = 0;
    for (int i = 0; i < 2; i++)
        n += put(out + n, 1, "\x19........", 9);
    n = put(out, summary ? 11 : 7, out, n);
    n = put(out, 2, out, n);
    n = put(out, 2, out, n);
    return put(out, 1, out, n);
}

static enum serin_status check_otlp(const void *p, size_t n, bool json, bool traces,
                                    uint64_t *summaries, struct fault *f)
{
    return receive_body_otlp((struct strview){p, n}, json, traces, summaries, f);
}

Test(receive, otlp_protobuf_down_to_its_summaries)
{
    uint8_t body[64];
    uint64_t summaries;
    struct fault f = {0};
    size_t n = otlp(body, true);
    cr_assert(eq(int, check_otlp(body, n, false, false, &summaries, &f), SERIN_OK));
    cr_assert(eq(u64, summaries, 2));
    for (size_t k = 1; k < n; k++) {
        int s = check_otlp(body, k, false, false, &summaries, &f);
        cr_assert(eq(int, s, SERIN_EPARSE), "cut at %zu", k);
    }
    cr_assert(eq(int, check_otlp(body, n, false, true, &summaries, &f), SERIN_OK));
    cr_assert(eq(u64, summaries, 0), "traces have none");
    n = otlp(body, false);
    cr_assert(eq(int, check_otlp(body, n, false, false, &summaries, &f), SERIN_OK));
    cr_assert(eq(u64, summaries, 0));
    cr_assert(eq(int, check_otlp("{}", 2, false, false, &summaries, &f), SERIN_EPARSE));
    cr_assert(eq(int, check_otlp("", 0, false, false, &summaries, &f), SERIN_OK));
}

Test(receive, otlp_json_down_to_its_summaries)
{
    static const struct {
        const char *text;
        bool traces, ok;
        uint64_t summaries;
    } of[] = {
        {"{}", false, true, 0},
        {"{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"summary\":{"
         "\"dataPoints\":[{},{},{}]}},{\"sum\":{\"dataPoints\":[{}]}}]}]}]}",
         false, true, 3},
        {"{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{}]}]}]}", true, true, 0},
        {"{\"resourceSpans\":[{\"scopeSpans\":{}}]}", true, false, 0},
        {"{\"resourceMetrics\":[3]}", false, false, 0},
        {"{\"resourceMetrics\":{}}", false, false, 0},
        {"[]", false, false, 0},
        {"{", false, false, 0},
        {"", false, false, 0},
    };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        uint64_t n = 77;
        struct fault f = {0};
        int s = check_otlp(of[i].text, strlen(of[i].text), true, of[i].traces, &n, &f);
        cr_assert(eq(int, s, of[i].ok ? SERIN_OK : SERIN_EPARSE), "%s", of[i].text);
        if (of[i].ok) cr_assert(eq(u64, n, of[i].summaries));
        if (!of[i].ok) cr_assert(ne(chr, f.text[0], '\0'));
    }
}

static size_t zip(const void *in, size_t n, uint8_t *out, size_t room)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)in, .avail_in = (unsigned)n};
    cr_assert(eq(int,
                 deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY),
                 Z_OK));
    z.next_out = out;
    z.avail_out = (unsigned)room;
    cr_assert(eq(int, deflate(&z, Z_FINISH), Z_STREAM_END));
    n = room - z.avail_out;
    deflateEnd(&z);
    return n;
}

static enum serin_status unzip(const uint8_t *p, size_t n, size_t limit, size_t *got)
{
    char *text = NULL;
    struct fault f = {0};
    enum serin_status s = receive_body_gunzip((struct strview){(const char *)p, n},
                                              limit, &text, got, &f);
    cr_assert(eq(int, s == SERIN_OK, f.code == SERIN_OK));
    mem_free(text);
    return s;
}

Test(receive, gzip_stops_at_the_limit)
{
    static char zeros[1 << 20];
    static uint8_t zipped[4096];
    size_t n = zip(zeros, sizeof zeros, zipped, sizeof zipped), got = 0;
    cr_assert(lt(sz, n, 2000), "a bomb: a thousandfold");
    cr_assert(eq(int, unzip(zipped, n, sizeof zeros, &got), SERIN_OK));
    cr_assert(eq(sz, got, sizeof zeros));
    cr_assert(eq(int, unzip(zipped, n, sizeof zeros - 1, &got), SERIN_ELIMIT));
    cr_assert(eq(int, unzip(zipped, n, 10, &got), SERIN_ELIMIT));
    for (size_t k = 0; k < n; k++)
        cr_assert(eq(int, unzip(zipped, k, sizeof zeros, &got), SERIN_EPARSE));
    zipped[n] = 0;
    cr_assert(eq(int, unzip(zipped, n + 1, sizeof zeros, &got), SERIN_EPARSE));
    zipped[n - 8] ^= 1; /* its checksum */
    cr_assert(eq(int, unzip(zipped, n, sizeof zeros, &got), SERIN_EPARSE));
    n = zip("", 0, zipped, sizeof zipped);
    cr_assert(eq(int, unzip(zipped, n, 10, &got), SERIN_OK));
    cr_assert(eq(sz, got, 0));
}

static size_t snap(const char *in, size_t n, char *out)
{
    size_t room = 1024;
    cr_assert(eq(int, snappy_compress(in, n, out, &room), SNAPPY_OK));
    return room;
}

Test(receive, snappy_by_its_declared_size)
{
    char body[1024];
    struct fault f = {0};
    size_t n = snap("0123456789", 10, body);
    struct strview v = {body, n};
    cr_assert(eq(int, receive_body_snappy(v, 10, &f), SERIN_OK));
    cr_assert(eq(int, receive_body_snappy(v, 9, &f), SERIN_ELIMIT));
    for (v.n = 0; v.n < n; v.n++)
        cr_assert(eq(int, receive_body_snappy(v, 10, &f), SERIN_EPARSE));
    /* 4 GiB - 1, says the preamble: refused before anything is made of it. */
    const struct strview bomb = {"\xff\xff\xff\xff\x0f\x00", 6};
    cr_assert(eq(int, receive_body_snappy(bomb, 1 << 20, &f), SERIN_ELIMIT));
}

/* ---------------------------------------------------------------- the way to Kafka */

static struct bus *bus;
static struct api api;

static void open_with(const struct serve_receive *o)
{
    struct fault f = {0};
    const struct bus_options b = {.embedded = true, .partitions = 2, .instance = "t"};
    const char *topics[] = {"otlp", "prom", NULL};
    cr_assert(eq(int, bus_open(&bus, &b, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, topics_create_inputs(bus, topics, 5000, &f), SERIN_OK));
    cr_assert(eq(int, receive_open(&api.receive, bus, o, &f), SERIN_OK), "%s", f.text);
}

static void done(void)
{
    receive_close(api.receive);
    bus_close(bus);
}

static const struct serve_receive all = {.otlp_metrics = "otlp",
                                         .otlp_traces = "otlp",
                                         .prometheus = "prom",
                                         .max_body = 4096};

static struct reply post(const char *path, const char *type, const char *encoding,
                         const void *body, size_t n)
{
    struct reply r = {0};
    struct request q = {.method = "POST",
                        .path = path,
                        .type = type,
                        .encoding = encoding,
                        .body = body,
                        .n = n,
                        .from = "10.0.0.7"};
    routes_answer(&api, &q, &r);
    return r;
}

#define PROTO "application/x-protobuf"
#define JSON "application/json"

static void refused(unsigned status, const char *path, const char *type,
                    const char *encoding, const void *body, size_t n, const char *says)
{
    struct reply r = post(path, type, encoding, body, n);
    cr_assert(eq(uint, r.status, status), "%s %s", path, says);
    cr_assert(ne(ptr, memmem(r.body, r.n, says, strlen(says)), NULL), "%s: %.*s", says,
              (int)r.n, r.body);
    free(r.body);
}

Test(receive, refusals_say_what_is_expected)
{
    char snappy[1024];
    size_t n = snap("x", 1, snappy);
    open_with(&all);
    refused(415, "/v1/metrics", "text/plain", NULL, "", 0, "application/x-protobuf or");
    refused(415, "/v1/metrics", NULL, NULL, "", 0, "none");
    refused(415, "/v1/traces", PROTO, "zstd", "", 0, "expected gzip");
    refused(400, "/v1/metrics", PROTO, NULL, "{}", 2, "protobuf");
    refused(400, "/v1/metrics", JSON, NULL, "[", 1, "no JSON");
    refused(400, "/v1/metrics", JSON, "gzip", "{}", 2, "no gzip");
    refused(415, "/api/v1/write", "text/plain", "snappy", snappy, n,
            "remote write 1.0");
    refused(415, "/api/v1/write", PROTO ";proto=io.prometheus.write.v2.Request",
            "snappy", snappy, n, "remote write 1.0");
    refused(415, "/api/v1/write", PROTO, NULL, snappy, n, "expected snappy");
    refused(400, "/api/v1/write", PROTO, "snappy", "\xff", 1, "no snappy");
    refused(413, "/api/v1/write", PROTO, "snappy", "\x81\x20\x00", 3, "4097 bytes");
    struct reply r = post("/v1/metrics", PROTO, NULL, "\x0a\x05", 2);
    cr_assert(eq(str, (char *)(uintptr_t)r.type, (char *)PROTO));
    cr_assert(eq(int, memcmp(r.body, "\x08\x03\x12", 3), 0), "google.rpc.Status");
    free(r.body);
    done();
}

Test(receive, nothing_is_received_where_nothing_is_configured)
{
    struct fault f = {0};
    size_t taken;
    struct reply r = {0};
    open_with(&(const struct serve_receive){.prometheus = "prom"});
    refused(404, "/v1/traces", JSON, NULL, "{}", 2, "receive.otlp_traces");
    cr_assert(not(receive_admit(api.receive, "/v1/metrics", "5", JSON, &taken, &r)));
    cr_assert(eq(uint, r.status, 404));
    free(r.body);
    done();
    api.receive = NULL;
    cr_assert(eq(int, receive_open(&api.receive, NULL, &all, &f), SERIN_OK));
    cr_assert(eq(ptr, api.receive, NULL));
    refused(404, "/api/v1/write", PROTO, "snappy", "", 0, "receive.prometheus");
    cr_assert(not(receive_admit(NULL, "/v1/metrics", "5", JSON, &taken, &r)));
    free(r.body);
}

Test(receive, room_is_taken_before_a_body_and_given_back)
{
    struct serve_receive o = all;
    size_t first, second, third;
    struct reply r = {0};
    o.budget = 6000;
    open_with(&o);
    cr_assert(receive_admit(api.receive, "/v1/traces", "1904", PROTO, &first, &r));
    cr_assert(receive_admit(api.receive, "/v1/traces", NULL, PROTO, &second, &r));
    cr_assert(eq(sz, second, 4096), "an unknown length may be the longest");
    cr_assert(not(receive_admit(api.receive, "/v1/traces", "1", PROTO, &third, &r)));
    cr_assert(eq(sz, third, 0));
    cr_assert(eq(uint, r.status, 429));
    cr_assert(gt(int, r.retry_s, 0));
    free(r.body);
    receive_done(api.receive, second);
    cr_assert(receive_admit(api.receive, "/v1/traces", "1", PROTO, &third, &r));
    cr_assert(not(receive_admit(api.receive, "/v1/traces", "4097", JSON, &third, &r)));
    cr_assert(eq(uint, r.status, 413));
    free(r.body);
    /* What is unzipped wants room of its own. */
    uint8_t zipped[4096], zeros[4096] = "{";
    memset(zeros + 1, ' ', sizeof zeros - 2);
    zeros[4095] = '}';
    size_t n = zip(zeros, sizeof zeros, zipped, sizeof zipped);
    cr_assert(receive_admit(api.receive, "/v1/traces", "4000", PROTO, &third, &r));
    refused(429, "/v1/metrics", JSON, "gzip", zipped, n, "receive.queue");
    done();
}

static size_t read_back(struct bus_record *out, size_t n, struct consumer **c)
{
    const char *topics[] = {"otlp", "prom", NULL};
    const struct consumer_options o = {.group = "g", .topics = topics};
    struct fault f = {0};
    size_t have = 0, got;
    int64_t end = clock_mono_ms() + 20000;
    cr_assert(eq(int, consumer_open(c, bus, &o, &f), SERIN_OK), "%s", f.text);
    while (have < n && clock_mono_ms() < end) {
        enum serin_status s = consumer_poll(*c, out + have, n - have, &got, 200, &f);
        cr_assert(eq(int, s, SERIN_OK));
        /* Records live until the next poll: keep copies. */
        for (size_t i = have; i < have + got; i++) {
            char *copy = malloc(out[i].value_len + 1);
            memcpy(copy, out[i].value, out[i].value_len);
            out[i].value = copy;
            cr_assert(eq(sz, out[i].key_len, 8));
            cr_assert(eq(int, memcmp(out[i].key, "10.0.0.7", 8), 0));
            const struct strview type = consumer_content_type(&out[i]);
            bool json = strview_eq(type, strview_of("application/x-otlp-json"));
            out[i].offset = json ? 'j' : type.n != 0 ? 'p' : '-';
        }
        have += got;
    }
    return have;
}

static bool among(const struct bus_record *r, size_t n, const char *topic, char type,
                  const void *body, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(r[i].topic, topic) == 0 && r[i].value_len == len &&
            r[i].offset == type && memcmp(r[i].value, body, len) == 0)
            return true;
    return false;
}

Test(receive, bodies_reach_their_topics_as_they_came)
{
    uint8_t sum[64], summary[64], zipped[256];
    char snappy[1024];
    size_t n_sum = otlp(sum, false), n_summary = otlp(summary, true);
    size_t n_zip = zip(summary, n_summary, zipped, sizeof zipped);
    size_t n_snap = snap("any bytes at all", 16, snappy);
    struct bus_record got[8];
    struct consumer *c = NULL;
    open_with(&all);
    struct reply r = post("/v1/metrics", PROTO, NULL, sum, n_sum);
    cr_assert(eq(uint, r.status, 200), "%.*s", (int)r.n, r.body);
    cr_assert(eq(sz, r.n, 0), "nothing was lost: an empty message");
    cr_assert(eq(str, (char *)(uintptr_t)r.type, (char *)PROTO));
    free(r.body);
    r = post("/v1/metrics", PROTO, "gzip", zipped, n_zip);
    cr_assert(eq(uint, r.status, 200));
    cr_assert(eq(int, memcmp(r.body, "\x0a", 1), 0), "partial_success");
    cr_assert(eq(int, memcmp(r.body + 2, "\x08\x02\x12", 3), 0), "2 rejected points");
    free(r.body);
    r = post("/v1/traces", JSON "; charset=utf-8", NULL, " \n{}", 4);
    cr_assert(eq(uint, r.status, 200));
    cr_assert(eq(str, r.body, (char *)"{}"));
    free(r.body);
    r = post("/api/v1/write", PROTO, "snappy", snappy, n_snap);
    cr_assert(eq(uint, r.status, 200));
    free(r.body);
    r = post("/v1/metrics", PROTO, NULL, "", 0);
    cr_assert(eq(uint, r.status, 200), "an empty request is one, and no record");
    free(r.body);
    size_t n = read_back(got, 4, &c);
    cr_assert(eq(sz, n, 4));
    cr_assert(among(got, n, "otlp", 'p', sum, n_sum));
    cr_assert(among(got, n, "otlp", 'p', summary, n_summary));
    cr_assert(among(got, n, "otlp", 'j', "{}", 2));
    cr_assert(among(got, n, "prom", '-', snappy, n_snap));
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)got[i].value);
    consumer_close(c);
    done();
}
