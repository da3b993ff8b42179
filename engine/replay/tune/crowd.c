/* engine/replay/tune/crowd.c */
#include "engine/replay/tune/crowd.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

enum { ASK_NS = 100000000 };

struct shared {
    const struct crowd *c;
    pthread_mutex_t lock;
    pthread_cond_t news;
    size_t next, done, working; /* all below by the lock */
    bool stop;
    enum serin_status rc;
    size_t failed; /* the task that rc is of */
    struct fault f;
};

unsigned crowd_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n > CROWD_MAX ? CROWD_MAX : (unsigned)n;
}

/* @locks s->lock */
static void note(struct shared *s, size_t i, enum serin_status rc,
                 const struct fault *f)
{
    s->done++;
    if (rc == SERIN_OK) return;
    s->stop = true;
    if (s->rc != SERIN_OK && s->failed < i) return;
    s->rc = rc;
    s->failed = i;
    s->f = *f;
}

/* @thread each of the crowd */
static void *work(void *arg)
{
    struct shared *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->stop && s->next < s->c->n) {
        size_t i = s->next++;
        pthread_mutex_unlock(&s->lock);
        struct fault f = {0};
        enum serin_status rc = s->c->task(s->c->ctx, i, &f);
        pthread_mutex_lock(&s->lock);
        note(s, i, rc, &f);
    }
    s->working--;
    pthread_cond_signal(&s->news);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Until all have ended; the caller looks up now and then. */
static bool watch(struct shared *s)
{
    bool stopped = false;
    pthread_mutex_lock(&s->lock);
    while (s->working > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += ASK_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&s->news, &s->lock, &until);
        size_t done = s->done;
        pthread_mutex_unlock(&s->lock);
        bool stop = s->c->stop != NULL && s->c->stop(s->c->ctx, done);
        pthread_mutex_lock(&s->lock);
        s->stop |= stop;
        stopped |= stop;
    }
    stopped &= s->done < s->c->n;
    pthread_mutex_unlock(&s->lock);
    return stopped;
}

enum serin_status crowd_run(const struct crowd *c, struct fault *f)
{
    struct shared s = {
        .c = c, .lock = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER};
    pthread_t threads[CROWD_MAX];
    unsigned wanted = c->threads > 0 ? c->threads : crowd_cores(), n = 0;
    if (wanted > CROWD_MAX) wanted = CROWD_MAX;
    pthread_mutex_lock(&s.lock);
    while (n < wanted && pthread_create(&threads[n], NULL, work, &s) == 0)
        n++;
    s.working = n;
    pthread_mutex_unlock(&s.lock);
    if (n == 0) return fault_set(f, SERIN_ENOMEM, "no thread could be started");
    bool stopped = watch(&s);
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    if (s.rc != SERIN_OK) *f = s.f;
    return s.rc != SERIN_OK ? s.rc : stopped ? SERIN_AGAIN : SERIN_OK;
}
