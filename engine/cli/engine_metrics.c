/* engine/cli/engine_metrics.c -- the roles' counters as Prometheus text
 *
 * One table a struct: name, type, what it means, where it stands. */
#include <stddef.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/cli/engine.h"
#include "engine/serve/metrics.h"

struct metric {
    const char *name, *type;
    size_t at; /* of a uint64_t in the struct */
    const char *help;
};

#define WORKER(field) offsetof(struct worker_counts, field)
#define STAGE(field) offsetof(struct stage_counts, field)
#define RECORDER(field) offsetof(struct recorder_counts, field)

static const struct metric worker_metrics[] = {
    {"serin_ingest_messages_total", "counter", WORKER(messages),
     "Messages read from inputs."},
    {"serin_ingest_bytes_total", "counter", WORKER(bytes), "Bytes of messages read."},
    {"serin_ingest_samples_total", "counter", WORKER(samples), "Samples decoded."},
    {"serin_ingest_routed_total", "counter", WORKER(routed),
     "Samples that went to a live rollout's cohort."},
    {"serin_ingest_unrouted_total", "counter", WORKER(unrouted),
     "Samples that no live rollout asks for."},
    {"serin_ingest_poison_total", "counter", WORKER(poison),
     "Samples refused: NaN, infinite, negative, from the future, bad over n."},
    {"serin_ingest_quarantined_total", "counter", WORKER(quarantined),
     "Messages that could not be decoded."},
    {"serin_ingest_flushes_total", "counter", WORKER(flushes),
     "Flushes of window partials to the inbox."},
    {"serin_ingest_transactions_aborted_total", "counter", WORKER(transactions_aborted),
     "Flushes that were rolled back and read again."},
    {"serin_ingest_cells_total", "counter", WORKER(cells),
     "Cells written: cohort, stratum, metric and second."},
    {"serin_ingest_gaps_total", "counter", WORKER(gaps),
     "Times an input lost records before they were read."},
    {"serin_ingest_dropped_total", "counter", WORKER(dropped),
     "Samples without room at a limit of series."},
    {"serin_ingest_other_total", "counter", WORKER(other),
     "Samples that fell into the stratum \"other\" at a limit."},
    {"serin_ingest_late_total", "counter", WORKER(late),
     "Samples of windows that their own partition had closed."},
    {"serin_ingest_duplicate_total", "counter", WORKER(duplicate),
     "Samples seen before and dropped."},
    {"serin_ingest_begun_total", "counter", WORKER(begun),
     "First values of cumulative counters: what they count up to is not known."},
    {"serin_ingest_rebuilds_total", "counter", WORKER(rebuilds),
     "Times the Kafka clients were made anew after a fatal error."},
    {"serin_ingest_rollouts", "gauge", WORKER(rollouts),
     "Live rollouts known to ingest."},
};

static const struct metric stage_metrics[] = {
    {"serin_stage_commits_total", "counter", STAGE(commits), "Transactions committed."},
    {"serin_stage_aborts_total", "counter", STAGE(aborts), "Transactions rolled back."},
    {"serin_stage_rebuilds_total", "counter", STAGE(rebuilds),
     "Times the Kafka clients were made anew after a fatal error."},
    {"serin_stage_restores_total", "counter", STAGE(restores), "Partitions restored."},
    {"serin_stage_partitions", "gauge", STAGE(partitions), "Inbox partitions owned."},
    {"serin_fold_records_total", "counter", STAGE(fold.records),
     "Inbox records folded."},
    {"serin_fold_undecodable_total", "counter", STAGE(fold.undecodable),
     "Inbox records that could not be decoded."},
    {"serin_fold_skipped_total", "counter", STAGE(fold.skipped),
     "Inbox records already applied before a restore."},
    {"serin_fold_partials_total", "counter", STAGE(fold.partials),
     "Window partials folded."},
    {"serin_fold_ticks_total", "counter", STAGE(fold.ticks), "Time records folded."},
    {"serin_fold_commands_total", "counter", STAGE(fold.commands), "Commands folded."},
    {"serin_fold_windows_total", "counter", STAGE(fold.windows), "Windows judged."},
    {"serin_fold_verdicts_total", "counter", STAGE(fold.verdicts), "Verdicts given."},
    {"serin_fold_rollouts", "gauge", STAGE(fold.rollouts), "Rollouts held in memory."},
    {"serin_fold_live_rollouts", "gauge", STAGE(fold.live), "Rollouts not yet final."},
};

static const struct metric recorder_metrics[] = {
    {"serin_record_records_total", "counter", RECORDER(records), "Records recorded."},
    {"serin_record_skipped_total", "counter", RECORDER(skipped),
     "Records left out: too long for a recording."},
    {"serin_record_lost_total", "counter", RECORDER(lost),
     "Offsets that were deleted at the broker before they were recorded."},
    {"serin_record_failures_total", "counter", RECORDER(failures),
     "Times the recordings could not be written."},
    {"serin_record_segments_begun_total", "counter", RECORDER(begun), "Files begun."},
    {"serin_record_segments_deleted_total", "counter", RECORDER(deleted),
     "Files deleted by size or age."},
    {"serin_record_segments", "gauge", RECORDER(segments), "Files there are."},
    {"serin_record_bytes", "gauge", RECORDER(bytes), "Bytes of them."},
    {"serin_record_writing", "gauge", RECORDER(writing),
     "1 while recordings can be written, else 0."},
};

static void write_all(FILE *out, const struct metric *m, size_t n, const void *values)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t *value = (const void *)((const char *)values + m[i].at);
        metrics_one(out, m[i].name, m[i].type, m[i].help, (double)*value);
    }
}

/* Of each worker, by its name. */
static const struct metric each_metrics[] = {
    {"serin_ingest_worker_memory_bytes", "gauge", WORKER(memory),
     "Held by this worker, what is fetched ahead included."},
    {"serin_ingest_worker_queued_bytes", "gauge", WORKER(queued),
     "Of it, records fetched ahead (about)."},
    {"serin_ingest_worker_memory_limit_bytes", "gauge", WORKER(memory_limit),
     "What limits.memory gives to this worker."},
    {"serin_ingest_worker_partitions", "gauge", WORKER(partitions),
     "Input partitions it owns."},
};

static void write_each(FILE *out, struct worker_pool *p)
{
    for (size_t m = 0; m < sizeof each_metrics / sizeof *each_metrics; m++) {
        const struct metric *one = &each_metrics[m];
        metrics_family(out, one->name, one->type, one->help);
        for (unsigned i = 0; i < worker_pool_size(p); i++) {
            struct worker *w = worker_pool_at(p, i);
            struct worker_counts c = worker_counts(w);
            const uint64_t *value = (const void *)((const char *)&c + one->at);
            metrics_sample(out, one->name, (double)*value, "worker", worker_member(w),
                           NULL);
        }
    }
    const char *name = "serin_ingest_worker_flush_age_seconds";
    metrics_family(out, name, "gauge", "Time since the latest flush went through.");
    for (unsigned i = 0; i < worker_pool_size(p); i++) {
        struct worker *w = worker_pool_at(p, i);
        uint64_t since = worker_counts(w).since, now = (uint64_t)clock_mono_ms();
        if (since != 0 && since <= now)
            metrics_sample(out, name, (double)(now - since) / 1000, "worker",
                           worker_member(w), NULL);
    }
}

/* ---- by input partition */
#define TALLY(field) offsetof(struct worker_tally, field)
static const struct metric tally_metrics[] = {
    {"messages", "counter", TALLY(messages), "Messages read."},
    {"bytes", "counter", TALLY(bytes), "Bytes of messages read."},
    {"decoded", "counter", TALLY(decoded), "Messages decoded."},
    {"samples", "counter", TALLY(samples), "Samples decoded."},
    {"routed", "counter", TALLY(routed), "Samples that went to a live rollout."},
    {"unrouted", "counter", TALLY(unrouted), "Samples that no live rollout asks for."},
    {"poison", "counter", TALLY(poison), "Samples refused."},
    {"dropped", "counter", TALLY(dropped), "Samples without room."},
    {"other", "counter", TALLY(other), "Samples in the stratum \"other\" at a limit."},
    {"late", "counter", TALLY(late), "Samples of windows this partition had closed."},
    {"duplicate", "counter", TALLY(duplicate), "Samples seen before and dropped."},
    {"begun", "counter", TALLY(begun),
     "First values of cumulative counters: what they count up to is not known."},
    {"gaps", "counter", TALLY(gaps), "Times records were deleted before being read."},
};

struct rows {
    const struct worker_partition *at;
    size_t n;
};

static void row_sample(FILE *out, const char *name, const struct worker_partition *r,
                       double value)
{
    char partition[16];
    snprintf(partition, sizeof partition, "%d", (int)r->partition);
    metrics_sample(out, name, value, "topic", r->topic, "partition", partition, NULL);
}

static void write_tallies(FILE *out, struct rows rows)
{
    for (size_t m = 0; m < sizeof tally_metrics / sizeof *tally_metrics; m++) {
        const struct metric *one = &tally_metrics[m];
        char name[96];
        snprintf(name, sizeof name, "serin_ingest_partition_%s_total", one->name);
        metrics_family(out, name, one->type, one->help);
        for (size_t i = 0; i < rows.n; i++) {
            const uint64_t *value =
                (const void *)((const char *)&rows.at[i].n + one->at);
            row_sample(out, name, &rows.at[i], (double)*value);
        }
    }
}

static void write_reasons(FILE *out, struct rows rows)
{
    const char *name = "serin_ingest_partition_quarantined_total";
    metrics_family(out, name, "counter",
                   "Messages that could not be decoded, and why.");
    for (size_t i = 0; i < rows.n; i++) {
        const struct worker_partition *r = &rows.at[i];
        char partition[16];
        snprintf(partition, sizeof partition, "%d", (int)r->partition);
        for (int k = 0; k < QUARANTINE_REASONS; k++)
            if (r->n.reasons[k] != 0)
                metrics_sample(out, name, (double)r->n.reasons[k], "topic", r->topic,
                               "partition", partition, "reason",
                               quarantine_text((enum quarantine_reason)k), NULL);
    }
}

static void write_gauges(FILE *out, struct rows rows)
{
    static const char lag[] = "serin_ingest_partition_lag_records";
    static const char delay[] = "serin_ingest_partition_watermark_delay_seconds";
    static const char idle[] = "serin_ingest_partition_idle";
    double now = (double)clock_wall_ms();
    metrics_family(out, lag, "gauge", "Records not yet read.");
    for (size_t i = 0; i < rows.n; i++)
        if (rows.at[i].assigned && rows.at[i].lag >= 0)
            row_sample(out, lag, &rows.at[i], (double)rows.at[i].lag);
    metrics_family(out, delay, "gauge", "Event time behind the clock.");
    for (size_t i = 0; i < rows.n; i++)
        if (rows.at[i].assigned && rows.at[i].known)
            row_sample(out, delay, &rows.at[i],
                       (now - (double)rows.at[i].watermark_ms) / 1000);
    metrics_family(out, idle, "gauge", "1 while silent: it does not hold time back.");
    for (size_t i = 0; i < rows.n; i++)
        if (rows.at[i].assigned)
            row_sample(out, idle, &rows.at[i], rows.at[i].idle ? 1 : 0);
}

static void write_ingest(FILE *out, struct worker_pool *p)
{
    struct worker_counts all = worker_pool_counts(p);
    struct worker_partition *rows = NULL;
    size_t n = 0;
    write_all(out, worker_metrics, sizeof worker_metrics / sizeof *worker_metrics,
              &all);
    write_each(out, p);
    if (worker_pool_partitions(p, &rows, &n) != SERIN_OK || n == 0) return;
    write_tallies(out, (struct rows){rows, n});
    write_reasons(out, (struct rows){rows, n});
    write_gauges(out, (struct rows){rows, n});
    mem_free(rows);
}

void engine_metrics_write(FILE *out, struct worker_pool *workers,
                          const struct stage_counts *stage,
                          const struct recorder_counts *recorder)
{
    if (workers != NULL) write_ingest(out, workers);
    if (recorder != NULL)
        write_all(out, recorder_metrics,
                  sizeof recorder_metrics / sizeof *recorder_metrics, recorder);
    if (stage == NULL) return;
    write_all(out, stage_metrics, sizeof stage_metrics / sizeof *stage_metrics, stage);
    metrics_one(out, "serin_stage_lag_records", "gauge", "Inbox records not yet read.",
                (double)stage->lag);
    metrics_one(out, "serin_stage_restore_seconds", "gauge",
                "Duration of the latest restore.", (double)stage->restore_ms / 1000);
    metrics_one(out, "serin_stage_connected", "gauge",
                "1 while a broker answers, else 0.", stage->connected ? 1 : 0);
    metrics_one(out, "serin_stage_unaudited", "gauge",
                "1 while the audit topic takes nothing: no promotions; else 0.",
                stage->unaudited ? 1 : 0);
    metrics_one(out, "serin_stage_audit_checkpoints_total", "counter",
                "Checkpoints of the audit trail.", (double)stage->checkpoints);
}
