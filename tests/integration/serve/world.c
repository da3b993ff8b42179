/* tests/integration/serve/world.c -- an engine without ingest: embedded broker,
 * directory, API and (with "stage") the decision stage, until standard input ends.
 *
 *   world ADDRESS WAIT_MS [stage]
 */
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/bus/topics.h"
#include "engine/serve/serve.h"
#include "engine/stage/stage.h"

static struct bus *bus;
static struct directory *directory;
static struct stage *stage;
static struct serve *serve;

static void must(enum serin_status s, const struct fault *f)
{
    if (s == SERIN_OK) return;
    fprintf(stderr, "world: %s\n", f->text);
    exit(1);
}

static void *follow(void *unused)
{
    struct fault f = {0};
    must(directory_run(directory, &f), &f);
    return unused;
}

static void *decide(void *unused)
{
    struct fault f = {0};
    must(stage_run(stage, &f), &f);
    return unused;
}

static bool ready(void *ctx, char why[160])
{
    (void)ctx;
    if (stage == NULL || stage_ready(stage)) return true;
    snprintf(why, 160, "the stage has no partitions yet");
    return false;
}

static void *quarantine(void *ctx)
{
    (void)ctx;
    return json_pack("[{s:I, s:s, s:i, s:i, s:s, s:s, s:s}]", "t_ms",
                     (json_int_t)1764000000000, "topic", "metrics", "partition", 3,
                     "offset", 77, "reason", "json", "detail", "expected '{'", "head",
                     "garb\033[31mage");
}

static void open_all(const char *address, int wait_ms, bool with_stage)
{
    struct fault f = {0};
    const char *bootstrap = getenv("SERIN_TEST_BOOTSTRAP");
    const struct bus_property property = {"bootstrap.servers", bootstrap};
    struct bus_options b = {.embedded = bootstrap == NULL,
                            .properties = &property,
                            .n_properties = bootstrap != NULL,
                            .partitions = 2,
                            .instance = with_stage ? "with" : "without"};
    const char *listen[] = {address, NULL};
    struct serve_options o = {.listen = listen,
                              .wait_ms = wait_ms,
                              .ready = ready,
                              .quarantine = quarantine,
                              .fleet_level = with_stage ? 0.05 : 0};
    must(bus_open(&bus, &b, &f), &f);
    must(topics_create(bus, NULL, 30000, &f), &f);
    must(directory_open(&directory, bus, &f), &f);
    if (with_stage) must(stage_open(&stage, bus, &(struct stage_options){0}, &f), &f);
    must(serve_open(&serve, bus, directory, &o, &f), &f);
}

int main(int argc, char **argv)
{
    pthread_t follower, decider;
    char byte;
    if (argc < 3) return 2;
    open_all(argv[1], (int)strtol(argv[2], NULL, 10), argc > 3);
    pthread_create(&follower, NULL, follow, NULL);
    if (stage != NULL) pthread_create(&decider, NULL, decide, NULL);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    serve_close(serve);
    directory_stop(directory);
    pthread_join(follower, NULL);
    if (stage != NULL) {
        stage_stop(stage);
        pthread_join(decider, NULL);
        stage_close(stage);
    }
    directory_close(directory);
    bus_close(bus);
    return 0;
}
