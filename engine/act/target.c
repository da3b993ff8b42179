/* engine/act/target.c */
#include "engine/act/target.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"

enum {
    BACKOFF_MS = 250, /* after a failure, doubled up to ... */
    BACKOFF_MAX_MS = 10000,
    AUDIENCE = 16, /* segments; the rest is dropped */
    SEGMENT = 64
};

struct target {
    char rollout[132], name[PLAN_TARGET_NAME], place[DRIVER_PLACE];
    const struct driver *driver;
    void *own;
    struct target_options o;

    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t woken;
    bool stop, done;
    struct lease lease;
    char audience[AUDIENCE][SEGMENT];
    size_t n_audience;
    uint32_t mirror_bp;
    bool again; /* the latest report was lost */

    /* Of the thread alone. */
    int64_t next_ms, backoff_ms;
    uint64_t told_seq; /* of the latest report; with what it said */
    uint32_t told_bp;
    char told_error[256];
};

/* ---- what is to be done now */
struct task {
    struct driver_order order;
    char verdict_id[160], audience[AUDIENCE][SEGMENT];
    const char *segments[AUDIENCE];
    uint64_t seq;
    bool final, lost;
};

static void task_of(struct target *t, struct task *k)
{
    if (t->again) t->told_seq = 0;
    t->again = false;
    *k = (struct task){
        .seq = t->lease.seq, .final = t->lease.final, .lost = t->lease.lost};
    snprintf(k->verdict_id, sizeof k->verdict_id, "%s/%" PRIu64, t->rollout,
             t->lease.seq);
    memcpy(k->audience, t->audience, sizeof k->audience);
    for (size_t i = 0; i < t->n_audience; i++)
        k->segments[i] = k->audience[i];
    k->order = (struct driver_order){
        .rollout = t->rollout,
        .verdict_id = k->verdict_id,
        .weight_bp = lease_weight(&t->lease),
        .stopped = t->lease.stopped || t->lease.lost,
        .audience = k->segments,
        .n_audience = t->lease.lost ? 0 : t->n_audience,
        .mirror_bp = t->lease.lost ? 0 : t->mirror_bp,
    };
}

static void report(struct target *t, const struct task *k, uint32_t bp,
                   const char *error)
{
    bool same = t->told_seq == k->seq && t->told_bp == bp &&
                strncmp(t->told_error, error, sizeof t->told_error - 1) == 0;
    struct target_report *r = same ? NULL : mem_calloc(1, sizeof *r);
    if (r == NULL) return;
    snprintf(r->rollout, sizeof r->rollout, "%s", t->rollout);
    snprintf(r->verdict_id, sizeof r->verdict_id, "%s", k->verdict_id);
    snprintf(r->error, sizeof r->error, "%.255s", error);
    snprintf(r->name, sizeof r->name, "%s", t->name);
    r->applied_bp = bp;
    t->told_seq = k->seq;
    t->told_bp = bp;
    snprintf(t->told_error, sizeof t->told_error, "%s", r->error);
    if (*error != '\0')
        log_warn("act", "%s: %s", t->rollout, error);
    else
        log_info("act", "%s: %g %% in force at %s", k->verdict_id, bp / 100.0,
                 t->place);
    t->o.report(t->o.ctx, r);
}

static void rehearse(struct target *t, const struct task *k)
{
    char text[DRIVER_TEXT];
    if (t->told_seq == k->seq && t->told_bp == k->order.weight_bp) return;
    t->told_seq = k->seq;
    t->told_bp = k->order.weight_bp;
    t->driver->describe(t->own, &k->order, text);
    printf("%s %g %%: %s\n", k->verdict_id, k->order.weight_bp / 100.0, text);
    fflush(stdout);
}

/* What is copied is what should be. False: it is not, and text says so; *rc a failure.
 */
static bool mirrored(struct target *t, const struct task *k, char text[512],
                     enum serin_status *rc, struct fault *f)
{
    uint32_t bp = 0, want = k->order.mirror_bp;
    if (t->driver->mirror != NULL) *rc = t->driver->mirror(t->own, &bp, f);
    if (*rc != SERIN_OK || bp == want) return true;
    if (t->driver->mirror != NULL)
        snprintf(text, 512, "%.300s: set to copy %g %% of the requests, but %g %% are",
                 t->place, want / 100.0, bp / 100.0);
    else
        snprintf(text, 512,
                 "kind %s cannot copy requests, and this step wants %g %% of them "
                 "copied: use a kind that can (envoy, gateway, webhook), or a preview",
                 t->driver->name, want / 100.0);
    return false;
}

/* What is in force: *bp, and whether it is all that the task wants. text: why not. */
static enum serin_status look(struct target *t, const struct task *k, uint32_t *bp,
                              bool *right, char text[512], struct fault *f)
{
    uint32_t want = k->order.weight_bp;
    enum serin_status rc = t->driver->read(t->own, want, bp, f);
    text[0] = '\0';
    *right = rc == SERIN_OK && mirrored(t, k, text, &rc, f) && *bp == want;
    if (rc == SERIN_OK && *bp != want)
        snprintf(text, 512, "%.300s: set to %g %%, but %g %% is read back", t->place,
                 want / 100.0, *bp / 100.0);
    return rc;
}

/* Look, set where it is not so, look again. Returns whether it is in force. */
static bool carry_out(struct target *t, const struct task *k)
{
    struct fault f = {0};
    char text[512];
    uint32_t bp = UINT32_MAX;
    bool news = t->told_seq != k->seq, right = false;
    enum serin_status rc = look(t, k, &bp, &right, text, &f);
    if (!right || news) {
        if (rc == SERIN_OK && bp != k->order.weight_bp && !news)
            log_warn("act", "%s: %g %% found in force, not %g %%: set again",
                     t->rollout, bp / 100.0, k->order.weight_bp / 100.0);
        rc = t->driver->apply(t->own, &k->order, &f);
        if (rc == SERIN_OK) rc = look(t, k, &bp, &right, text, &f);
    }
    if (rc != SERIN_OK) {
        report(t, k, t->told_bp, f.text);
        return false;
    }
    if (right && k->lost)
        snprintf(text, sizeof text,
                 "the engine was not heard of for %" PRId64 " s: the canary is at 0 %%",
                 t->o.lease_ms / 1000);
    report(t, k, bp, text);
    return right;
}

/* ---- the thread */
static void sleep_until(struct target *t, int64_t at_ms)
{
    struct timespec at;
    int64_t left = at_ms - clock_mono_ms();
    if (left <= 0) return;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += left / 1000;
    at.tv_nsec += left % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&t->woken, &t->lock, &at);
}

static int64_t due(const struct target *t)
{
    int64_t lease = lease_due_ms(&t->lease);
    return lease < t->next_ms ? lease : t->next_ms;
}

static void *keep(void *arg)
{
    struct target *t = arg;
    pthread_mutex_lock(&t->lock);
    while (!t->stop) {
        struct task k;
        int64_t now = clock_mono_ms();
        if (lease_check(&t->lease, now)) t->next_ms = now;
        if (t->lease.seq == 0 || now < t->next_ms) {
            sleep_until(t, t->lease.seq == 0 ? now + 1000 : due(t));
            continue;
        }
        task_of(t, &k);
        pthread_mutex_unlock(&t->lock);
        bool good = true;
        if (t->o.dry_run)
            rehearse(t, &k);
        else
            good = carry_out(t, &k);
        pthread_mutex_lock(&t->lock);
        t->backoff_ms = good                             ? 0
                        : t->backoff_ms == 0             ? BACKOFF_MS
                        : t->backoff_ms < BACKOFF_MAX_MS ? 2 * t->backoff_ms
                                                         : BACKOFF_MAX_MS;
        bool newer =
            t->lease.seq != k.seq || lease_weight(&t->lease) != k.order.weight_bp;
        t->next_ms =
            newer ? 0 : clock_mono_ms() + (good ? t->o.check_ms : t->backoff_ms);
        t->done = good && k.final && !newer;
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static void free_all(struct target *t)
{
    if (t->own != NULL) t->driver->close(t->own);
    pthread_cond_destroy(&t->woken);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

enum serin_status target_open(struct target **out, const char *rollout,
                              const struct driver *d, const void *settings,
                              const struct target_options *o, struct fault *f)
{
    pthread_condattr_t attr;
    struct target *t = mem_calloc(1, sizeof *t);
    if (t == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory for %s", rollout);
    snprintf(t->rollout, sizeof t->rollout, "%s", rollout);
    snprintf(t->name, sizeof t->name, "%s", o->name);
    t->driver = d;
    t->o = *o;
    lease_open(&t->lease, o->lease_ms);
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->woken, &attr);
    pthread_condattr_destroy(&attr);
    enum serin_status rc = d->open(settings, t->rollout, &t->own, t->place, f);
    if (rc == SERIN_OK && pthread_create(&t->thread, NULL, keep, t) != 0)
        rc = fault_set(f, SERIN_EIO, "no thread for %s", rollout);
    if (rc != SERIN_OK) {
        free_all(t);
        return rc;
    }
    *out = t;
    return SERIN_OK;
}

void target_close(struct target *t)
{
    if (t == NULL) return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->woken);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    free_all(t);
}

void target_hear(struct target *t, const struct lease_word *w,
                 const struct target_more *m, int64_t said_ms)
{
    pthread_mutex_lock(&t->lock);
    if (lease_hear(&t->lease, w, said_ms, clock_mono_ms())) {
        t->mirror_bp = m->mirror_bp;
        t->n_audience = m->n_audience < AUDIENCE ? m->n_audience : AUDIENCE;
        for (size_t i = 0; i < t->n_audience; i++)
            snprintf(t->audience[i], SEGMENT, "%s", m->audience[i]);
        t->next_ms = 0;
        t->done = false;
        pthread_cond_signal(&t->woken);
    }
    pthread_mutex_unlock(&t->lock);
}

void target_again(struct target *t)
{
    pthread_mutex_lock(&t->lock);
    t->again = true;
    t->next_ms = 0;
    pthread_cond_signal(&t->woken);
    pthread_mutex_unlock(&t->lock);
}

bool target_done(struct target *t)
{
    pthread_mutex_lock(&t->lock);
    bool done = t->done;
    pthread_mutex_unlock(&t->lock);
    return done;
}

const char *target_place(const struct target *t)
{
    return t->place;
}
