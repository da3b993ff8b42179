/* tests/bench/bench_serve.c -- time to answer with 1 000 rollouts of 5 metrics known,
 * over the unix socket, one connection kept, while rows keep coming; no broker needed
 */
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/serve/serve.h"
#include "proto/encode.h"

enum { ROLLOUTS = 1000, METRICS = 5, ASKS = 2000 };

static atomic_bool over;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void put_row(struct directory *d, unsigned i, uint64_t seq)
{
    static char plan[2500]; /* of a usual size */
    struct arena a = {0};
    struct bytes b;
    char id[32];
    pb_rollout r = SERIN__V1__ROLLOUT__INIT;
    pb_status s = SERIN__V1__STATUS__INIT;
    pb_cohort_summary c = SERIN__V1__COHORT_SUMMARY__INIT;
    pb_metric_verdict m[METRICS], *list[METRICS];
    memset(plan, 'x', sizeof plan - 1);
    snprintf(id, sizeof id, "rollout-%u", i);
    c.n = 123456, c.bad = 321, c.rate = 321 / 123456.0;
    for (size_t k = 0; k < METRICS; k++) {
        m[k] = (pb_metric_verdict)SERIN__V1__METRIC_VERDICT__INIT;
        m[k].name = (char *)"errors", m[k].kind = (char *)"ratio";
        m[k].canary = m[k].baseline = &c, m[k].estimate = 1.0123, m[k].upper = 1.9;
        list[k] = &m[k];
    }
    r.schema = SERIN_SCHEMA, r.rollout = id, r.plan = plan, r.status = &s;
    s.state = (char *)"OBSERVING", s.seq = seq, s.metrics = list, s.n_metrics = METRICS;
    s.message = (char *)"a sentence of the usual length, as the fold gives one";
    if (encode_rollout(&a, &r, &b) == SERIN_OK)
        directory_take(d, BUS_ROLLOUTS, id, strlen(id), b.p, b.n);
    arena_free(&a);
}

/* Every rollout's row twice a second, as the stage refreshes them. */
static void *renew(void *d)
{
    for (uint64_t seq = 2; !atomic_load(&over); seq++)
        for (unsigned i = 0; i < ROLLOUTS && !atomic_load(&over); i++) {
            put_row(d, i, seq);
            usleep(500);
        }
    return NULL;
}

static size_t drop(char *data, size_t size, size_t n, void *bytes)
{
    (void)data;
    *(size_t *)bytes += size * n;
    return size * n;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void ask(CURL *curl, const char *name, const char *path, size_t asks, bool last)
{
    double *ms = calloc(asks, sizeof *ms);
    size_t bytes = 0;
    char url[128];
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &bytes);
    for (size_t i = 0; ms != NULL && i < asks; i++) {
        snprintf(url, sizeof url, "http://localhost%s", path);
        curl_easy_setopt(curl, CURLOPT_URL, url);
        double start = now_ms();
        if (curl_easy_perform(curl) != CURLE_OK) exit(1);
        ms[i] = now_ms() - start;
    }
    if (ms == NULL) exit(1);
    qsort(ms, asks, sizeof *ms, by_value);
    printf("\"%s\":{\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"bytes\":%zu}%s", name,
           ms[asks / 2], ms[asks * 99 / 100], bytes / asks, last ? "" : ",");
    free(ms);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/serin-bench-XXXXXX", address[64];
    struct directory *d;
    struct serve *s;
    struct fault f = {0};
    pthread_t writer;
    bool quick = argc > 1 && strcmp(argv[argc - 1], "--quick") == 0;
    size_t asks = quick ? ASKS / 10 : ASKS;
    if (mkdtemp(dir) == NULL || directory_open(&d, NULL, &f) != SERIN_OK) return 1;
    snprintf(address, sizeof address, "unix:%s/s", dir);
    const char *listen[] = {address, NULL};
    for (unsigned i = 0; i < ROLLOUTS; i++)
        put_row(d, i, 1);
    struct serve_options o = {.listen = listen};
    if (serve_open(&s, NULL, d, &o, &f) != SERIN_OK) return 1;
    pthread_create(&writer, NULL, renew, d);
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, address + 5);
    printf("{\"bench\":\"serve\",\"rollouts\":%d,\"metrics\":%d,", ROLLOUTS, METRICS);
    ask(curl, "status", "/v1/rollouts/rollout-500", asks, false);
    ask(curl, "list", "/v1/rollouts", asks / 10, false);
    ask(curl, "metrics", "/metrics", asks / 10, true);
    puts("}");
    curl_easy_cleanup(curl);
    atomic_store(&over, true);
    pthread_join(writer, NULL);
    serve_close(s);
    directory_close(d);
    rmdir(dir);
    return 0;
}
