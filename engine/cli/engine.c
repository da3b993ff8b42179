/* engine/cli/engine.c -- start the roles in order, stop them in the opposite one */
#include "engine/cli/engine.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/bus/topics.h"
#include "engine/cli/recorded.h"

enum { BROKER_WAIT_MS = 2000, BACKOFF_MAX_MS = 1000, QUARANTINE_SHOWN = 1000 };

enum part { PART_DIRECTORY, PART_WORKER, PART_STAGE, PART_FOLLOW, PART_RECORD, PARTS };
static const char *const part_names[PARTS] = {"directory", "ingest", "decide", "follow",
                                              "record"};

/* One role's thread. The fault is written before `ended` is set. */
struct runner {
    pthread_t thread;
    bool started;
    atomic_bool ended;
    struct fault fault;
};

struct engine {
    struct bus *bus;
    struct directory *directory;
    struct worker_pool *workers;
    struct stage *stage;
    struct errands *follow;
    struct recorder *recorder; /* NULL: nothing is recorded */
    struct serve *serve;
    atomic_bool stopping;
    struct runner runners[PARTS];
};

static void ended(struct engine *e, enum part part)
{
    struct runner *r = &e->runners[part];
    if (!atomic_load(&e->stopping))
        log_error("engine", "%s ended: %s", part_names[part], r->fault.text);
    atomic_store(&r->ended, true);
}

static void *run_directory(void *engine)
{
    struct engine *e = engine;
    struct fault *f = &e->runners[PART_DIRECTORY].fault;
    if (directory_run(e->directory, f) != SERIN_OK) f->fatal = true;
    ended(e, PART_DIRECTORY);
    return NULL;
}

static void *run_worker(void *engine)
{
    struct engine *e = engine;
    struct fault *f = &e->runners[PART_WORKER].fault;
    if (worker_pool_run(e->workers, f) != SERIN_OK) f->fatal = true;
    ended(e, PART_WORKER);
    return NULL;
}

static void *run_stage(void *engine)
{
    struct engine *e = engine;
    struct fault *f = &e->runners[PART_STAGE].fault;
    if (stage_run(e->stage, f) != SERIN_OK) f->fatal = true;
    ended(e, PART_STAGE);
    return NULL;
}

static void *run_follow(void *engine)
{
    struct engine *e = engine;
    struct fault *f = &e->runners[PART_FOLLOW].fault;
    if (errands_run(e->follow, f) != SERIN_OK) f->fatal = true;
    ended(e, PART_FOLLOW);
    return NULL;
}

static void *run_recorder(void *engine)
{
    struct engine *e = engine;
    recorder_run(e->recorder); /* it does not fail */
    return NULL;
}

static enum serin_status launch(struct engine *e, enum part part, void *(*run)(void *),
                                struct fault *f)
{
    struct runner *r = &e->runners[part];
    if (pthread_create(&r->thread, NULL, run, e) != 0)
        return fault_set(f, SERIN_ENOMEM,
                         "cannot start the %s thread: the system's limit "
                         "of threads is reached (ulimit -u)",
                         part_names[part]);
    r->started = true;
    return SERIN_OK;
}

/* Who posts to us knows no Kafka: make the topics, or leave it to those who may. */
static void create_receivers(struct bus *b, const struct serve_receive *o)
{
    const char *const all[] = {o->otlp_metrics, o->otlp_traces, o->prometheus};
    const char *names[4] = {NULL};
    struct fault f = {0};
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] != NULL) names[n++] = all[i];
    if (n == 0) return;
    if (topics_create_inputs(b, names, 10 * BROKER_WAIT_MS, &f) != SERIN_OK)
        log_warn("engine", "a topic of receive was not created: %s", f.text);
}

/* The brokers may come later than we do: wait, saying so once. */
static enum serin_status prepare_topics(struct engine *e,
                                        const struct engine_options *o, struct fault *f)
{
    const char **inputs = mem_calloc(o->worker.n_inputs + 1, sizeof *inputs);
    if (inputs == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory at start");
    for (size_t i = 0; i < o->worker.n_inputs; i++)
        inputs[i] = o->worker.inputs[i].topic;
    int64_t wait_ms = 100;
    bool said = false;
    enum serin_status s;
    while ((s = topics_create(e->bus, inputs, BROKER_WAIT_MS, f)) != SERIN_OK &&
           f->retriable) {
        if (!said)
            log_warn("engine", "no broker at %s yet, trying on: %s",
                     bus_bootstrap(e->bus), f->text);
        said = true;
        if (o->pause != NULL && o->pause(o->ctx, wait_ms)) {
            s = fault_set(f, SERIN_ETIME, "stopped while waiting for the brokers at %s",
                          bus_bootstrap(e->bus));
            break;
        }
        wait_ms = 2 * wait_ms < BACKOFF_MAX_MS ? 2 * wait_ms : BACKOFF_MAX_MS;
    }
    mem_free(inputs);
    if (s == SERIN_OK) create_receivers(e->bus, &o->serve.receive);
    struct topics_finding findings[BUS_TOPIC_COUNT];
    if (s == SERIN_OK && bus_transactional(e->bus))
        s = topics_check(e->bus, findings, 10 * BROKER_WAIT_MS, f);
    return s;
}

void engine_metrics(void *engine, FILE *out)
{
    struct engine *e = engine;
    struct stage_counts stage = {0};
    struct recorder_counts recorder = {0};
    if (e->stage != NULL) stage = stage_counts(e->stage);
    if (e->recorder != NULL) recorder = recorder_counts(e->recorder);
    engine_metrics_write(out, e->workers, e->stage != NULL ? &stage : NULL,
                         e->recorder != NULL ? &recorder : NULL);
}

static json_t *quarantine_json(struct worker_pool *w)
{
    struct worker_quarantined *records = mem_calloc(QUARANTINE_SHOWN, sizeof *records);
    json_t *list = json_array();
    if (records == NULL || list == NULL) {
        mem_free(records);
        json_decref(list);
        return NULL;
    }
    size_t n = worker_pool_quarantine(w, records, QUARANTINE_SHOWN);
    for (size_t i = 0; i < n; i++) {
        const struct worker_quarantined *q = &records[i];
        json_t *item = json_pack("{sI ss si sI ss ss ss}", "t_ms", (json_int_t)q->t_ms,
                                 "topic", q->topic, "partition", (int)q->partition,
                                 "offset", (json_int_t)q->offset, "reason", q->reason,
                                 "detail", q->detail, "head", q->head);
        if (item == NULL || json_array_append_new(list, item) != 0) break;
    }
    mem_free(records);
    return list;
}

static void *quarantine(void *engine)
{
    struct engine *e = engine;
    return e->workers != NULL ? quarantine_json(e->workers) : json_array();
}

/* Beside the roles, whichever there are. */
static enum serin_status open_recorder(struct engine *e, const struct engine_options *o,
                                       struct fault *f)
{
    enum { QUEUE_BYTES = 32 << 20 };
    struct origin origin;
    const struct recorded what = {.worker = &o->worker,
                                  .max_lag_ms = o->stage.fold.max_lag_ms,
                                  .inbox = o->record.inbox,
                                  .inputs = o->record.inputs};
    struct recorder_options ro = {.ring = {.dir = o->record.dir,
                                           .origin = &origin,
                                           .max_bytes = o->record.max_size,
                                           .segment_bytes = o->record.segment_size,
                                           .max_age_ms = o->record.max_age_ms,
                                           .segment_ms = o->record.segment_age_ms},
                                  .queue_bytes = QUEUE_BYTES};
    if (o->record.dir == NULL) return SERIN_OK;
    enum serin_status s = recorded_origin(&what, e->bus, &origin);
    if (s != SERIN_OK) fault_set(f, s, "out of memory at start");
    if (s == SERIN_OK) s = recorder_open(&e->recorder, e->bus, &ro, f);
    if (s == SERIN_OK) s = launch(e, PART_RECORD, run_recorder, f);
    origin_free(&origin);
    return s;
}

static enum serin_status open_roles(struct engine *e, const struct engine_options *o,
                                    struct fault *f)
{
    unsigned roles = o->roles != 0 ? o->roles : CONFIG_ALL;
    enum serin_status s = SERIN_OK;
    if ((roles & CONFIG_SERVE) != 0) {
        s = directory_open(&e->directory, e->bus, f);
        if (s == SERIN_OK) s = launch(e, PART_DIRECTORY, run_directory, f);
    }
    if (s == SERIN_OK && (roles & CONFIG_DECIDE) != 0) {
        s = stage_open(&e->stage, e->bus, &o->stage, f);
        if (s == SERIN_OK) s = launch(e, PART_STAGE, run_stage, f);
        if (s == SERIN_OK) s = errands_open(&e->follow, e->bus, &o->follow, f);
        if (s == SERIN_OK) s = launch(e, PART_FOLLOW, run_follow, f);
    }
    if (s == SERIN_OK && (roles & CONFIG_INGEST) != 0) {
        unsigned threads = o->ingest_threads != 0 ? o->ingest_threads : 1;
        s = worker_pool_open(&e->workers, e->bus, &o->worker, threads, f);
        if (s == SERIN_OK) s = launch(e, PART_WORKER, run_worker, f);
    }
    if (s == SERIN_OK && (roles & CONFIG_SERVE) != 0) {
        struct serve_options so = o->serve;
        so.metrics = engine_metrics;
        so.ready = engine_ready;
        so.quarantine = quarantine;
        so.ctx = e;
        s = serve_open(&e->serve, e->bus, e->directory, &so, f);
    }
    return s;
}

enum serin_status engine_start(struct engine **out, const struct engine_options *o,
                               struct fault *f)
{
    struct engine *e = mem_calloc(1, sizeof *e);
    if (e == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory at start");
    unsigned roles = o->roles != 0 ? o->roles : CONFIG_ALL;
    enum serin_status s = SERIN_OK;
    /* What brokers are not needed for is said before they are awaited. */
    if ((roles & CONFIG_SERVE) != 0) s = serve_check(&o->serve, f);
    if (s == SERIN_OK) s = bus_open(&e->bus, &o->bus, f);
    if (s == SERIN_OK) s = prepare_topics(e, o, f);
    if (s == SERIN_OK) s = open_recorder(e, o, f);
    if (s == SERIN_OK) s = open_roles(e, o, f);
    if (s != SERIN_OK) {
        engine_stop(e);
        return s;
    }
    *out = e;
    return SERIN_OK;
}

void engine_stop(struct engine *e)
{
    if (e == NULL) return;
    atomic_store(&e->stopping, true);
    serve_close(e->serve); /* no new commands */
    if (e->workers != NULL) worker_pool_stop(e->workers);
    if (e->stage != NULL) stage_stop(e->stage);
    if (e->follow != NULL) errands_stop(e->follow);
    if (e->directory != NULL) directory_stop(e->directory);
    if (e->recorder != NULL) recorder_stop(e->recorder);
    for (int i = 0; i < PARTS; i++)
        if (e->runners[i].started) pthread_join(e->runners[i].thread, NULL);
    worker_pool_close(e->workers);
    stage_close(e->stage);
    errands_close(e->follow);
    recorder_close(e->recorder);
    directory_close(e->directory);
    bus_close(e->bus);
    mem_free(e);
}

bool engine_ready(void *engine, char why[160])
{
    const struct engine *e = engine;
    const char *missing = NULL;
    if (e->directory != NULL && !directory_ready(e->directory))
        missing = "reading the rollouts and verdicts topics";
    else if (e->stage != NULL && !stage_ready(e->stage))
        missing = "decide: waiting for inbox partitions and their state";
    else if (e->workers != NULL && !worker_pool_ready(e->workers))
        missing = "ingest: joining its group and reading the routes";
    snprintf(why, 160, "%s", missing != NULL ? missing : "ready");
    return missing == NULL;
}

bool engine_failed(struct engine *e, struct fault *f)
{
    for (int i = 0; i < PARTS; i++) {
        struct runner *r = &e->runners[i];
        if (!r->started || !atomic_load(&r->ended)) continue;
        *f = r->fault;
        if (f->text[0] == '\0')
            fault_set(f, SERIN_EIO, "%s ended without being asked", part_names[i]);
        return true;
    }
    return false;
}

struct bus *engine_bus(struct engine *e)
{
    return e->bus;
}

struct directory *engine_directory(struct engine *e)
{
    return e->directory;
}

const char *engine_address(struct engine *e, size_t i)
{
    return e->serve != NULL ? serve_address(e->serve, i) : NULL;
}
