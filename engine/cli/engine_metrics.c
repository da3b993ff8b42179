/* engine/cli/engine_metrics.c -- the roles' counters as Prometheus text
 *
 * One table a struct: name, type, what it means, where it stands. */
#include <stddef.h>

#include "engine/cli/engine.h"
#include "engine/serve/metrics.h"

struct metric {
    const char *name, *type;
    size_t at; /* of a uint64_t in the struct */
    const char *help;
};

#define WORKER(field) offsetof(struct worker_counts, field)
#define STAGE(field) offsetof(struct stage_counts, field)

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

static void write_all(FILE *out, const struct metric *m, size_t n, const void *values)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t *value = (const void *)((const char *)values + m[i].at);
        metrics_one(out, m[i].name, m[i].type, m[i].help, (double)*value);
    }
}

void engine_metrics_write(FILE *out, const struct worker_counts *worker,
                          const struct stage_counts *stage)
{
    if (worker != NULL)
        write_all(out, worker_metrics, sizeof worker_metrics / sizeof *worker_metrics,
                  worker);
    if (stage == NULL) return;
    write_all(out, stage_metrics, sizeof stage_metrics / sizeof *stage_metrics, stage);
    metrics_one(out, "serin_stage_lag_records", "gauge", "Inbox records not yet read.",
                (double)stage->lag);
    metrics_one(out, "serin_stage_restore_seconds", "gauge",
                "Duration of the latest restore.", (double)stage->restore_ms / 1000);
    metrics_one(out, "serin_stage_connected", "gauge",
                "1 while a broker answers, else 0.", stage->connected ? 1 : 0);
}
