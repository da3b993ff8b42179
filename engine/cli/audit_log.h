/* engine/cli/audit_log.h -- the audit trail's records, from the topic or from an export
 */
#ifndef SERIN_ENGINE_CLI_AUDIT_LOG_H
#define SERIN_ENGINE_CLI_AUDIT_LOG_H

#include <stdint.h>
#include <stdio.h>

#include "engine/base/status.h"
#include "engine/cli/config.h"

struct audit_record {
    uint64_t index; /* of the record in what is read, from 1 */
    int32_t partition;
    int64_t offset;
    const char *key;
    size_t key_len;
    const uint8_t *value;
    size_t n;
    const char *trouble; /* not NULL: the line cannot be read, and why; no value then */
};
/** SERIN_OK to go on; anything else stops the reading and is returned. */
typedef enum serin_status audit_taker(void *ctx, const struct audit_record *r,
                                      struct fault *f);

/**
 * All that stands in the topic now, in the order of each partition.
 * Errors: SERIN_EIO, what the taker returns.
 */
SERIN_MUST_USE
enum serin_status audit_log_topic(const struct config *c, audit_taker *take, void *ctx,
                                  struct fault *f);
/**
 * An export: JSON lines as audit_log_line writes them. path "-": standard input.
 * Errors: SERIN_EIO (cannot be read), SERIN_EPARSE (which line, what is wrong: also
 * when the words for people do not say what the record says), what the taker returns.
 */
SERIN_MUST_USE
enum serin_status audit_log_file(const char *path, audit_taker *take, void *ctx,
                                 struct fault *f);
/** Write one record as a line. Errors: SERIN_EIO, SERIN_ENOMEM */
SERIN_MUST_USE
enum serin_status audit_log_line(FILE *out, const struct audit_record *r,
                                 struct fault *f);

#endif
