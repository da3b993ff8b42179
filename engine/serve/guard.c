/* engine/serve/guard.c */
#include "engine/serve/guard.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"

enum { LOOK_MS = 200 };

struct guard_entry {
    LIST_ENTRY(guard_entry) all;
    int fd;
    int64_t deadline; /* clock_mono_ms */
};

struct guard {
    pthread_mutex_t lock; /* @locks: everything below */
    pthread_cond_t wake;
    LIST_HEAD(, guard_entry) all;
    bool stop;
    int64_t receive_ms, answer_ms;
    pthread_t thread;
};

static void *watch(void *ctx)
{
    struct guard *g = ctx;
    pthread_mutex_lock(&g->lock);
    while (!g->stop) {
        struct guard_entry *e;
        int64_t now = clock_mono_ms();
        LIST_FOREACH(e, &g->all, all)
        {
            if (now < e->deadline) continue;
            log_debug("serve", "a client took too long; its connection is closed");
            shutdown(e->fd, SHUT_RDWR); /* its thread sees the end and closes it */
            e->deadline = INT64_MAX;
        }
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&g->wake, &g->lock, &until);
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

struct guard *guard_open(int64_t receive_ms, int64_t answer_ms)
{
    struct guard *g = mem_calloc(1, sizeof *g);
    if (g == NULL) return NULL;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->wake, NULL);
    LIST_INIT(&g->all);
    g->receive_ms = receive_ms;
    g->answer_ms = answer_ms;
    if (pthread_create(&g->thread, NULL, watch, g) == 0) return g;
    mem_free(g);
    return NULL;
}

void guard_close(struct guard *g)
{
    if (g == NULL) return;
    pthread_mutex_lock(&g->lock);
    g->stop = true;
    pthread_cond_signal(&g->wake);
    pthread_mutex_unlock(&g->lock);
    pthread_join(g->thread, NULL);
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->wake);
    mem_free(g);
}

struct guard_entry *guard_add(struct guard *g, int fd)
{
    struct guard_entry *e = mem_calloc(1, sizeof *e);
    if (e == NULL) return NULL;
    e->fd = fd;
    pthread_mutex_lock(&g->lock);
    e->deadline = clock_mono_ms() + g->receive_ms;
    LIST_INSERT_HEAD(&g->all, e, all);
    pthread_mutex_unlock(&g->lock);
    return e;
}

static void give(struct guard *g, struct guard_entry *e, int64_t ms)
{
    if (e == NULL) return;
    pthread_mutex_lock(&g->lock);
    if (e->deadline != INT64_MAX) e->deadline = clock_mono_ms() + ms;
    pthread_mutex_unlock(&g->lock);
}

void guard_received(struct guard *g, struct guard_entry *e)
{
    give(g, e, g->answer_ms);
}

void guard_answered(struct guard *g, struct guard_entry *e)
{
    give(g, e, g->receive_ms);
}

void guard_remove(struct guard *g, struct guard_entry *e)
{
    if (e == NULL) return;
    pthread_mutex_lock(&g->lock);
    LIST_REMOVE(e, all);
    pthread_mutex_unlock(&g->lock);
    mem_free(e);
}
