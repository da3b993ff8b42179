/* engine/serve/metrics.c */
#include "engine/serve/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/serve/routes.h"

enum { MAX_ROUTES = 48, MAX_BUCKETS = 12 };

static const unsigned codes[] = {200, 202, 400, 401, 403, 404, 405, 408,
                                 409, 413, 415, 422, 429, 500, 503};
enum { N_CODES = sizeof codes / sizeof *codes };
static const double bucket_s[MAX_BUCKETS] = {0.001, 0.005, 0.01, 0.025, 0.05, 0.1,
                                             0.25,  0.5,   1,    2.5,   5,    10};

struct metrics {
    atomic_uint_least64_t requests[MAX_ROUTES + 1][N_CODES];
    atomic_uint_least64_t buckets[MAX_BUCKETS + 1]; /* not cumulative */
    atomic_int_least64_t busy_ms, connections;
    int64_t start_ms;
};

void metrics_family(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void label_value(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"') fputc('\\', out);
        if (*text == '\n')
            fputs("\\n", out);
        else
            fputc(*text, out);
    }
}

void metrics_sample(FILE *out, const char *name, double value, ...)
{
    va_list ap;
    va_start(ap, value);
    fputs(name, out);
    char between = '{';
    for (const char *label; (label = va_arg(ap, const char *)) != NULL; between = ',') {
        fprintf(out, "%c%s=\"", between, label);
        label_value(out, va_arg(ap, const char *));
        fputc('"', out);
    }
    va_end(ap);
    fprintf(out, "%s %.15g\n", between == ',' ? "}" : "", value);
}

void metrics_one(FILE *out, const char *name, const char *type, const char *help,
                 double value)
{
    metrics_family(out, name, type, help);
    metrics_sample(out, name, value, NULL);
}

struct metrics *metrics_open(void)
{
    struct metrics *m = mem_calloc(1, sizeof *m);
    if (m != NULL) m->start_ms = clock_wall_ms();
    return m;
}

void metrics_close(struct metrics *m)
{
    mem_free(m);
}

void metrics_request(struct metrics *m, size_t route, unsigned status, int64_t ms)
{
    size_t row = route < MAX_ROUTES ? route : MAX_ROUTES, code = 0, bucket = 0;
    while (code + 1 < N_CODES && codes[code] != status)
        code++;
    while (bucket < MAX_BUCKETS && (double)ms > bucket_s[bucket] * 1000)
        bucket++;
    atomic_fetch_add(&m->requests[row][code], 1);
    atomic_fetch_add(&m->buckets[bucket], 1);
    atomic_fetch_add(&m->busy_ms, ms);
}

void metrics_connection(struct metrics *m, int change)
{
    atomic_fetch_add(&m->connections, change);
}

static void write_http(struct metrics *m, FILE *out)
{
    metrics_family(out, "serin_http_requests_total", "counter",
                   "Requests answered, by route and status.");
    for (size_t i = 0; i <= MAX_ROUTES; i++) {
        const struct route *r = i < routes_count() ? routes_at(i) : NULL;
        for (size_t c = 0; c < N_CODES; c++) {
            uint64_t n = atomic_load(&m->requests[i][c]);
            char code[16];
            if (n == 0) continue;
            snprintf(code, sizeof code, "%u", codes[c]);
            metrics_sample(out, "serin_http_requests_total", (double)n, "route",
                           r != NULL ? r->path : "none", "method",
                           r != NULL ? r->method : "none", "code", code, NULL);
        }
    }
    const char *name = "serin_http_request_duration_seconds";
    uint64_t sum = 0;
    metrics_family(out, name, "histogram",
                   "Time to answer; the acting verbs wait for the decision.");
    for (size_t b = 0; b <= MAX_BUCKETS; b++) {
        char le[32] = "+Inf";
        if (b < MAX_BUCKETS) snprintf(le, sizeof le, "%g", bucket_s[b]);
        sum += atomic_load(&m->buckets[b]);
        metrics_sample(out, "serin_http_request_duration_seconds_bucket", (double)sum,
                       "le", le, NULL);
    }
    metrics_sample(out, "serin_http_request_duration_seconds_sum",
                   (double)atomic_load(&m->busy_ms) / 1000, NULL);
    metrics_sample(out, "serin_http_request_duration_seconds_count", (double)sum, NULL);
    metrics_one(out, "serin_http_connections", "gauge", "Connections open now.",
                (double)atomic_load(&m->connections));
}

static void write_directory(struct directory *d, FILE *out)
{
    struct directory_counts c = directory_counts(d);
    metrics_one(out, "serin_directory_ready", "gauge",
                "1 once rollouts and verdicts have been read to their end.",
                directory_ready(d));
    metrics_one(out, "serin_directory_rollouts", "gauge", "Rollouts known.",
                (double)c.rollouts);
    metrics_one(out, "serin_directory_live_rollouts", "gauge",
                "Rollouts not yet final.", (double)c.live);
    metrics_one(out, "serin_directory_verdicts", "gauge", "Verdicts held in memory.",
                (double)c.verdicts);
    metrics_one(out, "serin_directory_verdict_bytes", "gauge",
                "Encoded size of the verdicts held in memory.", (double)c.bytes);
    metrics_one(out, "serin_directory_records_total", "counter",
                "Rows and verdicts read from Kafka.", (double)c.records);
    metrics_one(out, "serin_directory_undecodable_records_total", "counter",
                "Rows and verdicts that could not be decoded.", (double)c.undecodable);
}

/* What a dashboard plots a rollout by; final ones go, so the number of series is
 * bounded by the live ones. */
static void write_rollouts(struct directory *d, FILE *out)
{
    struct arena a = {.max = (size_t)512 << 20};
    pb_rollout **rows = NULL;
    size_t n = 0;
    if (directory_list(d, &a, &rows, &n) != SERIN_OK) n = 0;
    metrics_family(out, "serin_rollout_weight_ratio", "gauge",
                   "Share of traffic commanded for the canary of a live rollout.");
    for (size_t i = 0; i < n; i++)
        if (rows[i]->status != NULL && !rows[i]->status->final)
            metrics_sample(out, "serin_rollout_weight_ratio",
                           rows[i]->status->weight_bp / 10000.0, "rollout",
                           rows[i]->rollout, "state", rows[i]->status->state, "reason",
                           rows[i]->status->reason, NULL);
    metrics_family(out, "serin_rollout_lag_seconds", "gauge",
                   "How far the judged data of a live rollout is behind.");
    for (size_t i = 0; i < n; i++)
        if (rows[i]->status != NULL && !rows[i]->status->final)
            metrics_sample(out, "serin_rollout_lag_seconds",
                           (double)rows[i]->status->lag_ms / 1000, "rollout",
                           rows[i]->rollout, NULL);
    arena_free(&a);
}

/* An alert: serin_rollout_fleet_discovery == 1. */
static void write_fleet(struct directory *d, double level, FILE *out)
{
    struct arena a = {.max = (size_t)512 << 20};
    struct fleet f = {0};
    if (!(level > 0) || directory_fleet(d, level, &a, &f) != SERIN_OK) {
        arena_free(&a);
        return;
    }
    metrics_one(out, "serin_fleet_level", "gauge",
                "Level of the whole fleet, as configured.", level);
    metrics_one(out, "serin_fleet_rollouts", "gauge",
                "Rollouts that have had traffic, final ones too.", (double)f.n);
    metrics_one(out, "serin_fleet_discoveries", "gauge",
                "Of these, bad at the level of the fleet (e-LOND).",
                (double)f.discoveries);
    metrics_family(out, "serin_rollout_fleet_discovery", "gauge",
                   "1 when a live rollout is bad at the level of the fleet (e-LOND).");
    for (size_t i = 0; i < f.n; i++)
        if (f.entries[i].ended_ms == 0)
            metrics_sample(out, "serin_rollout_fleet_discovery", f.entries[i].discovery,
                           "rollout", f.entries[i].rollout, NULL);
    arena_free(&a);
}

static void write_process(struct metrics *m, FILE *out)
{
    unsigned long long user = 0, kernel = 0;
    long pages = 0;
    FILE *stat = fopen("/proc/self/stat", "re");
    if (stat != NULL) {
        int got = fscanf(stat,
                         "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                         "%llu %llu %*d %*d %*d %*d %*d %*d %*u %*u %ld",
                         &user, &kernel, &pages);
        fclose(stat);
        if (got != 3) return;
    }
    double hz = (double)sysconf(_SC_CLK_TCK);
    metrics_one(out, "process_cpu_seconds_total", "counter", "User and system time.",
                (double)(user + kernel) / hz);
    metrics_one(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
                (double)pages * (double)sysconf(_SC_PAGESIZE));
    metrics_one(out, "process_start_time_seconds", "gauge", "Start, since the epoch.",
                (double)m->start_ms / 1000);
    metrics_family(out, "serin_build_info", "gauge", "1, with the version as a label.");
    metrics_sample(out, "serin_build_info", 1, "version", SERIN_VERSION, NULL);
}

void metrics_write(struct metrics *m, struct directory *d, double fleet_level,
                   FILE *out)
{
    write_http(m, out);
    write_directory(d, out);
    write_rollouts(d, out);
    write_fleet(d, fleet_level, out);
    write_process(m, out);
}
