/* tests/threads/engine.c -- an engine on the embedded broker, looked at from all sides
 *
 * For the thread sanitizer: traffic flows and plans are applied while other threads
 * read every counter, row and verdict; then all of it stops in mid-work. A plain
 * program, since Criterion aborts under TSan. Exit code 0, or the sanitizer's. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/bus/producer.h"
#include "engine/cli/demo_traffic.h"
#include "engine/cli/engine.h"
#include "engine/serve/inbox.h"
#include "engine/serve/view.h"

enum { READERS = 3, READY_MS = 60000, TICKS = 25, MAX_MS = 60000 };

static struct engine *engine;
static atomic_bool stopping;
static atomic_uint looks;

static void need(enum serin_status s, const struct fault *f, const char *what)
{
    if (s == SERIN_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, status_text(s), f->text);
    exit(1);
}

static void *reader(void *unused)
{
    (void)unused;
    struct arena a = {0};
    uint64_t seen = 0;
    char why[160];
    while (!atomic_load(&stopping)) {
        pb_rollout **rows;
        pb_verdict **verdicts;
        size_t n;
        struct directory *d = engine_directory(engine);
        arena_reset(&a);
        if (directory_list(d, &a, &rows, &n) != SERIN_OK) abort();
        for (size_t i = 0; i < n; i++) {
            size_t told;
            json_decref(view_status(rows[i]));
            if (directory_verdicts(d, rows[i]->rollout, 0, &a, &verdicts, &told) !=
                SERIN_OK)
                abort();
        }
        FILE *nowhere = fopen("/dev/null", "w");
        if (nowhere == NULL) abort();
        engine_metrics(engine, nowhere);
        fclose(nowhere);
        engine_ready(engine, why);
        log_info("threads", "looked at %zu rollouts", n);
        seen = directory_wait(d, seen, 20);
        atomic_fetch_add(&looks, 1);
    }
    arena_free(&a);
    return NULL;
}

static void apply(struct inbox *in, size_t service)
{
    struct fault f = {0};
    struct text plan = {0};
    demo_traffic_plan(service, NULL, &plan);
    pb_command c = SERIN__V1__COMMAND__INIT;
    c.id = c.rollout = (char *)demo_services[service].rollout;
    c.verb = SERIN__V1__VERB__VERB_APPLY;
    c.actor = (char *)"threads";
    c.t_ms = clock_wall_ms();
    c.plan = plan.p;
    need(inbox_send(in, &c, &f), &f, "apply");
    text_free(&plan);
}

static void traffic(struct bus *b)
{
    struct fault f = {0};
    struct producer *p = NULL;
    struct inbox *in = NULL;
    struct demo_traffic t;
    struct text lines = {0};
    need(producer_open(&p, b, NULL, READY_MS, &f), &f, "producer");
    need(inbox_open(&in, b, &f), &f, "inbox");
    need(demo_traffic_open(&t, 7, clock_wall_ms()), &f, "traffic");
    for (int tick = 0; tick < TICKS; tick++) {
        if (tick < DEMO_SERVICES) apply(in, (size_t)tick);
        for (size_t i = 0; i < DEMO_SERVICES; i++) {
            const char *key = demo_services[i].name;
            lines.n = 0;
            demo_traffic_write(&t, i, &lines);
            need(producer_send(p, DEMO_TOPIC, -1, key, strlen(key), lines.p, lines.n,
                               &f),
                 &f, "send");
        }
        demo_traffic_advance(&t);
        clock_sleep_ms(DEMO_TICK_MS);
    }
    text_free(&lines);
    demo_traffic_close(&t);
    inbox_close(in);
    producer_close(p);
}

/* Verdicts came out of it: it was no idle engine that was looked at. */
static void await_verdicts(void)
{
    struct arena a = {0};
    pb_verdict **verdicts;
    size_t n = 0;
    for (int64_t end = clock_mono_ms() + MAX_MS; n == 0 && clock_mono_ms() < end;) {
        if (directory_verdicts(engine_directory(engine), demo_services[0].rollout, 0,
                               &a, &verdicts, &n) != SERIN_OK)
            n = 0;
        if (n == 0) clock_sleep_ms(50);
    }
    arena_free(&a);
    if (n > 0) return;
    fputs("no verdict came\n", stderr);
    exit(1);
}

int main(void)
{
    const struct worker_input input = {.topic = DEMO_TOPIC, .format = "json"};
    const char *const listen[] = {"unix:threads-engine.sock", NULL};
    const struct engine_options o = {
        .bus = {.embedded = true, .partitions = 4},
        .worker = {.inputs = &input, .n_inputs = 1, .flush_ms = 50, .lateness_ms = 200},
        .ingest_threads = 2,
        .stage = {.tick_ms = 100},
        .serve = {.listen = listen},
    };
    struct fault f = {0};
    char why[160];
    pthread_t threads[READERS];
    log_setup(LOG_WARN_LEVEL, false);
    need(engine_start(&engine, &o, &f), &f, "start");
    for (int64_t end = clock_mono_ms() + READY_MS; !engine_ready(engine, why);) {
        if (clock_mono_ms() > end) {
            fprintf(stderr, "not ready: %s\n", why);
            return 1;
        }
        clock_sleep_ms(20);
    }
    for (int i = 0; i < READERS; i++)
        if (pthread_create(&threads[i], NULL, reader, NULL) != 0) return 1;
    traffic(engine_bus(engine));
    await_verdicts();
    atomic_store(&stopping, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    engine_stop(engine);
    printf("threads-engine: %u looks, stopped\n", atomic_load(&looks));
    return atomic_load(&looks) > 0 ? 0 : 1;
}
