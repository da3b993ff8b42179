/* engine/notify/rows.c */
#include "engine/notify/rows.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "engine/base/mem.h"

struct row {
    char rollout[132], service[132];
    int64_t said_ms;
    UT_hash_handle hh;
};

struct rows {
    pthread_mutex_t lock;
    struct row *all; /* the live ones */
    bool ready;
};

struct rows *rows_open(void)
{
    struct rows *r = mem_calloc(1, sizeof *r);
    if (r != NULL) pthread_mutex_init(&r->lock, NULL);
    return r;
}

static void drop(struct rows *r, struct row *row)
{
    HASH_DEL(r->all, row);
    mem_free(row);
}

void rows_close(struct rows *r)
{
    struct row *row, *next;
    if (r == NULL) return;
    HASH_ITER(hh, r->all, row, next) drop(r, row);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
}

void rows_drop(struct rows *r, const char *rollout)
{
    struct row *row;
    pthread_mutex_lock(&r->lock);
    HASH_FIND_STR(r->all, rollout, row);
    if (row != NULL) drop(r, row);
    pthread_mutex_unlock(&r->lock);
}

/* Out of memory costs the watch over this rollout until its next row. */
static struct row *add(struct rows *r, const char *rollout)
{
    struct row *row = mem_calloc(1, sizeof *row);
    if (row == NULL) return NULL;
    snprintf(row->rollout, sizeof row->rollout, "%s", rollout);
    row->said_ms = INT64_MIN;
    HASH_ADD_STR(r->all, rollout, row);
    return row;
}

void rows_hear(struct rows *r, const pb_rollout *m, int64_t said_ms)
{
    struct row *row;
    if (m->status == NULL) return;
    if (m->status->final) {
        rows_drop(r, m->rollout);
        return;
    }
    pthread_mutex_lock(&r->lock);
    HASH_FIND_STR(r->all, m->rollout, row);
    if (row == NULL) row = add(r, m->rollout);
    if (row != NULL && said_ms > row->said_ms) row->said_ms = said_ms;
    if (row != NULL)
        snprintf(row->service, sizeof row->service, "%s", m->status->service);
    pthread_mutex_unlock(&r->lock);
}

void rows_ready(struct rows *r)
{
    pthread_mutex_lock(&r->lock);
    r->ready = true;
    pthread_mutex_unlock(&r->lock);
}

static void note(struct rows_silent *s, const struct row *row, int64_t silence_ms)
{
    size_t n = strlen(s->examples);
    if (s->silent++ == 0 || silence_ms < s->longest_ms) s->longest_ms = silence_ms;
    if (s->silent <= 3)
        snprintf(s->examples + n, sizeof s->examples - n, "%s%.40s", n != 0 ? ", " : "",
                 row->rollout);
}

struct rows_silent rows_ask(struct rows *rows, const struct receiver *r,
                            int64_t silence_ms, int64_t now_ms)
{
    struct rows_silent s = {0};
    pthread_mutex_lock(&rows->lock);
    s.ready = rows->ready;
    for (const struct row *row = rows->ready ? rows->all : NULL; row != NULL;
         row = row->hh.next) {
        if (!receiver_wants(r, SEVERITY_CRITICAL, row->rollout, row->service)) continue;
        s.live++;
        if (now_ms - row->said_ms > silence_ms) note(&s, row, now_ms - row->said_ms);
    }
    pthread_mutex_unlock(&rows->lock);
    return s;
}
