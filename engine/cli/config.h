/* engine/cli/config.h -- serin.yaml: the engine's own configuration
 *
 * config_load, then config_apply what the command line says, then config_check, then
 * hand the parts to the layers with config_bus, config_worker, config_stage,
 * config_serve. */
#ifndef SERIN_ENGINE_CLI_CONFIG_H
#define SERIN_ENGINE_CLI_CONFIG_H

#include <stdio.h>

#include "engine/act/section.h"
#include "engine/base/arena.h"
#include "engine/base/doc.h"
#include "engine/base/log.h"
#include "engine/base/status.h"
#include "engine/bus/bus.h"
#include "engine/follow/probe.h"
#include "engine/notify/receiver.h"
#include "engine/serve/serve.h"
#include "engine/stage/stage.h"
#include "ingest/worker.h"

enum { CONFIG_MAX_INPUTS = 64 };
enum config_role {
    CONFIG_INGEST = 1,
    CONFIG_DECIDE = 2,
    CONFIG_SERVE = 4,
    CONFIG_ALL = 7
};

enum config_receiver {
    CONFIG_OTLP_METRICS,
    CONFIG_OTLP_TRACES,
    CONFIG_PROMETHEUS,
    CONFIG_RECEIVERS
};

/* What the engine itself records. */
struct config_record {
    const char *dir; /* NULL: nothing */
    bool inbox, inputs;
    uint64_t max_size, segment_size; /* bytes */
    int64_t max_age_ms, segment_age_ms;
};

/* Zero-initialise; config_free when done. Texts live in the arena. Times in ms. */
struct config {
    struct arena arena;
    struct bus_property *properties; /* kafka: */
    size_t n_properties;
    struct worker_input *inputs;
    size_t n_inputs;
    const char *prefix;   /* of serin's own topics */
    uint64_t partitions;  /* of them */
    uint64_t replication; /* 0 = the broker's default */
    bool embedded;
    const char *instance; /* NULL = host name */
    const char **listen;  /* NULL-terminated */
    const char *token_file;
    struct serve_tls tls;
    bool insecure;
    const char *receive[CONFIG_RECEIVERS]; /* topics; NULL: nothing is received */
    uint64_t receive_queue;                /* bytes */
    unsigned roles;                        /* of enum config_role */
    int64_t flush_ms, snapshot_ms, status_ms, lateness_ms, idle_ms, max_lag_ms;
    uint64_t max_series, max_rollout, max_message, memory;
    unsigned ingest_threads;
    double fleet_level; /* 0 = none */
    struct config_record record;
    struct section_policy actuate;
    struct receiver_list alerts;
    struct probe_policy checks;
    const char *audit_key; /* signs; NULL = nobody does */
    int64_t audit_checkpoint_ms;
    enum log_level log_level;
    bool log_json;
};

/* What the command line says; NULL or zero where it says nothing. */
struct config_overrides {
    const char *brokers;        /* --brokers: bootstrap.servers */
    const char *instance;       /* --instance */
    const char *roles;          /* --roles ingest,decide,serve */
    const char *const *listen;  /* --listen, each replaces none of the others … */
    size_t n_listen;            /* … but all of the file's */
    const char *token_file;     /* --token-file */
    bool insecure, embedded;    /* --insecure, --embedded */
    const char *ingest_threads; /* --ingest-threads */
};

/**
 * Read a file, or take the defaults (path NULL). Every problem of the file is written
 * to *errors as "file:line:col: message" with its line and a caret. Errors:
 * SERIN_EPARSE, SERIN_EIO, SERIN_ELIMIT, SERIN_ENOMEM; all have been written; *c must
 * be freed all the same.
 */
SERIN_MUST_USE
enum serin_status config_load(const char *path, struct config *c, FILE *errors);
/** As config_load, from a text; the problems are noted. SERIN_EPARSE, SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status config_parse(struct config *c, const char *text, size_t n,
                               struct doc_errors *errors);
/**
 * Put the command line's words over the file's; the texts in *o must outlive *c.
 * Errors: SERIN_EDOM (a role that does not exist), SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status config_apply(struct config *c, const struct config_overrides *o,
                               struct fault *f);
/**
 * Can something be started with it? engine false: only the brokers are looked at (for
 * clients such as `serin topics`).
 * Errors: SERIN_EDOM with what is missing and how to give it
 */
SERIN_MUST_USE
enum serin_status config_check(const struct config *c, bool engine, struct fault *f);
/** Level and format of the log, for the whole process. */
void config_log(const struct config *c);
void config_free(struct config *c);

/* The parts, as each layer wants them; they point into *c. */
struct bus_options config_bus(const struct config *c);
struct worker_options config_worker(const struct config *c);
struct stage_options config_stage(const struct config *c);
struct serve_options config_serve(const struct config *c);

/** JSON Schema of serin.yaml, in the arena. Errors: SERIN_ENOMEM */
SERIN_MUST_USE
enum serin_status config_schema(struct arena *a, const char **out);

#endif
