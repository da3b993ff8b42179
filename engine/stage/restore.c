/* engine/stage/restore.c -- of every row the one with the largest epoch, then the
 * latest
 *
 * The topic is compacted lazily and holds many snapshots of a rollout; only the winner
 * is decoded. A zombie's row that arrived after its successor's has the smaller epoch
 * and loses although it is later in the log. */
#include "engine/stage/restore.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/bus/table.h"

#define HASH_NONFATAL_OOM 1
#define uthash_malloc(n) mem_calloc(1, n)
#define uthash_free(p, n) mem_free(p)
#define uthash_nonfatal_oom(row) (row)->lost = true
#include <uthash.h>

struct row {
    char *id; /* partition, '/', key */
    char *key;
    int32_t partition;
    uint64_t epoch;
    void *value; /* NULL: a tombstone */
    size_t n;
    bool lost; /* the table had no memory for it */
    UT_hash_handle hh;
};

struct restore {
    struct table *table;
    struct row *rows;
    int32_t *partitions;
    bool enomem;
};

/* One varint of a protobuf message; false at the end or when it is too long. */
static bool varint(const uint8_t **p, const uint8_t *end, uint64_t *v)
{
    uint64_t x = 0;
    for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
        uint8_t byte = *(*p)++;
        x |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *v = x;
            return true;
        }
    }
    return false;
}

bool restore_epoch(const void *value, size_t n, uint64_t *epoch)
{
    const uint8_t *p = value, *end = p + n;
    uint64_t tag, v;
    *epoch = 0;
    /* Fields go out in the order of their numbers: schema (1), then epoch (2). */
    while (p < end && varint(&p, end, &tag) && varint(&p, end, &v)) {
        if (tag == (2u << 3)) {
            *epoch = v;
            return true;
        }
        if (tag != (1u << 3)) break;
    }
    return false;
}

static void row_free(struct row *r)
{
    if (r == NULL) return;
    mem_free(r->id);
    mem_free(r->key);
    mem_free(r->value);
    mem_free(r);
}

static char *text_of(const void *p, size_t n, const char *before)
{
    size_t lead = strlen(before);
    char *s = mem_calloc(lead + n + 1, 1);
    if (s == NULL) return NULL;
    memcpy(s, before, lead);
    if (n > 0) memcpy(s + lead, p, n);
    return s;
}

static struct row *row_of(struct restore *r, const struct bus_record *m)
{
    char before[16];
    snprintf(before, sizeof before, "%d/", (int)m->partition);
    struct row *row = NULL, *fresh = mem_calloc(1, sizeof *fresh);
    if (fresh == NULL) return NULL;
    fresh->id = text_of(m->key, m->key_len, before);
    fresh->key = text_of(m->key, m->key_len, "");
    fresh->partition = m->partition;
    if (fresh->id == NULL || fresh->key == NULL) goto fail;
    HASH_FIND_STR(r->rows, fresh->id, row);
    if (row != NULL) {
        row_free(fresh);
        return row;
    }
    HASH_ADD_KEYPTR(hh, r->rows, fresh->id, strlen(fresh->id), fresh);
    if (!fresh->lost) return fresh;
fail:
    row_free(fresh);
    return NULL;
}

static void on_record(void *ctx, const struct bus_record *m)
{
    struct restore *r = ctx;
    struct row *row = row_of(r, m);
    uint64_t epoch = 0;
    if (row == NULL) {
        r->enomem = true;
        return;
    }
    /* A tombstone or a damaged row says nothing about its epoch: the latest counts. */
    if (!restore_epoch(m->value, m->value_len, &epoch)) epoch = row->epoch;
    if (epoch < row->epoch) return;
    void *copy = NULL;
    if (m->value_len > 0) {
        copy = mem_calloc(m->value_len, 1);
        if (copy == NULL) {
            r->enomem = true;
            return;
        }
        memcpy(copy, m->value, m->value_len);
    }
    mem_free(row->value);
    row->value = copy;
    row->n = m->value_len;
    row->epoch = epoch;
}

enum serin_status restore_open(struct restore **out, struct bus *b,
                               const int32_t *partitions, size_t n, struct fault *f)
{
    struct restore *r = mem_calloc(1, sizeof *r);
    if (r != NULL) r->partitions = mem_calloc(n, sizeof *partitions);
    if (r == NULL || r->partitions == NULL) {
        mem_free(r);
        return fault_set(f, SERIN_ENOMEM, "no memory to restore state");
    }
    memcpy(r->partitions, partitions, n * sizeof *partitions); /* the table keeps it */
    struct table_options o = {.topic = bus_topic_name(b, BUS_STATE),
                              .partitions = r->partitions,
                              .n_partitions = n,
                              .start = BUS_OFFSET_NONE,
                              .on_record = on_record,
                              .ctx = r};
    enum serin_status rc = table_open(&r->table, b, &o, f);
    if (rc != SERIN_OK) {
        restore_close(r);
        return rc;
    }
    *out = r;
    return SERIN_OK;
}

void restore_close(struct restore *r)
{
    struct row *row, *next;
    if (r == NULL) return;
    HASH_ITER(hh, r->rows, row, next)
    {
        HASH_DEL(r->rows, row);
        row_free(row);
    }
    table_close(r->table);
    mem_free(r->partitions);
    mem_free(r);
}

enum serin_status restore_step(struct restore *r, int timeout_ms, struct fault *f)
{
    enum serin_status rc = table_poll(r->table, timeout_ms, f);
    if (rc != SERIN_OK) return rc;
    if (r->enomem)
        return fault_set(f, SERIN_ENOMEM, "no memory for the rows of the state topic");
    return table_caught_up(r->table) ? SERIN_OK : SERIN_AGAIN;
}

enum serin_status restore_fold(struct restore *r, int32_t partition,
                               const struct fold_options *o, struct fold **out,
                               uint64_t *epoch, size_t *rows, struct fault *f)
{
    struct fold *fold = NULL;
    struct fault why = {0};
    uint64_t top = 0;
    size_t n = 0;
    enum serin_status rc = fold_open(&fold, o);
    if (rc != SERIN_OK) return fault_set(f, rc, "no memory for a fold");
    for (struct row *row = r->rows; row != NULL; row = row->hh.next) {
        if (row->partition != partition) continue;
        if (row->epoch > top) top = row->epoch;
        if (row->value == NULL || strcmp(row->key, RESTORE_CLAIM) == 0) continue;
        rc = fold_restore(fold, row->key, row->value, row->n, &why);
        if (rc == SERIN_ENOMEM) {
            fold_close(fold);
            return fault_set(f, rc, "no memory to restore %s", row->key);
        }
        if (rc != SERIN_OK)
            log_error("stage", "state of \"%s\" in partition %d cannot be used: %s",
                      row->key, (int)partition, why.text);
        else
            n++;
    }
    fold_set_epoch(fold, top + 1);
    *out = fold;
    *epoch = top + 1;
    if (rows != NULL) *rows = n;
    return SERIN_OK;
}
