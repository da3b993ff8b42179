/* tests/unit/act/test_target.c -- a proxy that lies, fails, hangs or forgets: what the
 * engine is told, and that the weight is never above the last verdict's */
#include "engine/act/target.h"

#include <pthread.h>
#include <stdatomic.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "tests/support/check.h"

/* The proxy: a number, and what is wrong with it. */
static struct {
    atomic_uint weight, highest, applied, copies;
    atomic_bool fails, lies;
} proxy;

static enum serin_status open_(const void *settings, const char *rollout, void **own,
                               char place[DRIVER_PLACE], struct fault *f)
{
    (void)settings, (void)rollout, (void)f;
    *own = &proxy;
    snprintf(place, DRIVER_PLACE, "a fake");
    return SERIN_OK;
}

static void close_(void *own)
{
    (void)own;
}

static enum serin_status apply(void *own, const struct driver_order *o, struct fault *f)
{
    (void)own;
    if (atomic_load(&proxy.fails)) return fault_set(f, SERIN_EIO, "nobody there");
    atomic_fetch_add(&proxy.applied, 1);
    if (!atomic_load(&proxy.lies)) {
        atomic_store(&proxy.weight, o->weight_bp);
        atomic_store(&proxy.copies, o->mirror_bp);
    }
    if (o->weight_bp > atomic_load(&proxy.highest))
        atomic_store(&proxy.highest, o->weight_bp);
    return SERIN_OK;
}

static enum serin_status read_(void *own, uint32_t expected, uint32_t *bp,
                               struct fault *f)
{
    (void)own, (void)expected;
    if (atomic_load(&proxy.fails)) return fault_set(f, SERIN_EIO, "nobody there");
    *bp = atomic_load(&proxy.weight);
    return SERIN_OK;
}

static void describe(void *own, const struct driver_order *o, char out[DRIVER_TEXT])
{
    (void)own, (void)o;
    out[0] = '\0';
}

static enum serin_status mirror(void *own, uint32_t *mirror_bp, struct fault *f)
{
    (void)own, (void)f;
    *mirror_bp = atomic_load(&proxy.copies);
    return SERIN_OK;
}

static const struct driver fake = {"fake", NULL,  false,    open_, close_,
                                   apply,  read_, describe, mirror};

/* Reports, as they come. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct target_report last;
static unsigned reports;

static void take(void *ctx, struct target_report *r)
{
    (void)ctx;
    pthread_mutex_lock(&lock);
    last = *r;
    reports++;
    pthread_mutex_unlock(&lock);
    mem_free(r);
}

static bool told(const char *verdict_id, uint32_t bp, const char *error)
{
    pthread_mutex_lock(&lock);
    bool yes =
        strcmp(last.verdict_id, verdict_id) == 0 && last.applied_bp == bp &&
        (*error == '\0' ? last.error[0] == '\0' : strstr(last.error, error) != NULL);
    pthread_mutex_unlock(&lock);
    return yes;
}

/* Something that must happen; how soon is not the question. */
#define SOON(what)                                                                     \
    do {                                                                               \
        for (int i = 0; i < 2000 && !(what); i++)                                      \
            clock_sleep_ms(10);                                                        \
        cr_assert(what);                                                               \
    } while (0)

static struct target *begin_with(const struct driver *d, int64_t lease_ms)
{
    struct target *t = NULL;
    struct fault f = {0};
    struct target_options o = {
        .lease_ms = lease_ms, .check_ms = 20, .name = "", .report = take};
    log_setup(LOG_ERROR_LEVEL + 1, false);
    cr_assert(eq(int, target_open(&t, "r", d, NULL, &o, &f), SERIN_OK));
    return t;
}

static struct target *begin(int64_t lease_ms)
{
    return begin_with(&fake, lease_ms);
}

static void copy(struct target *t, uint64_t seq, uint32_t mirror_bp)
{
    struct lease_word w = {.seq = seq};
    target_hear(t, &w, &(struct target_more){.mirror_bp = mirror_bp}, clock_mono_ms());
}

static void say(struct target *t, uint64_t seq, uint32_t bp, bool final)
{
    struct lease_word w = {seq, bp, final, final && bp == 0};
    target_hear(t, &w, &(struct target_more){0}, clock_mono_ms());
}

Test(target, a_verdict_is_applied_read_back_and_acknowledged_once)
{
    struct target *t = begin(60000);
    say(t, 3, 500, false);
    SOON(told("r/3", 500, ""));
    clock_sleep_ms(200);
    say(t, 3, 500, false);
    say(t, 2, 9000, false);
    clock_sleep_ms(100);
    cr_assert(eq(uint, reports, 1u), "%u reports", reports);
    cr_assert(eq(uint, atomic_load(&proxy.highest), 500u));
    cr_assert(not(target_done(t)));
    say(t, 4, 0, true);
    SOON(told("r/4", 0, ""));
    SOON(target_done(t));
    target_close(t);
}

Test(target, a_proxy_that_lies_or_fails_is_reported_and_tried_again)
{
    struct target *t = begin(60000);
    atomic_store(&proxy.lies, true);
    say(t, 3, 500, false);
    SOON(told("r/3", 0, "but 0 % is read back"));
    atomic_store(&proxy.fails, true);
    SOON(told("r/3", 0, "nobody there"));
    atomic_store(&proxy.fails, false);
    atomic_store(&proxy.lies, false);
    SOON(told("r/3", 500, ""));
    target_close(t);
}

/* The engine may hold already: nothing newer would come to acknowledge. */
Test(target, a_report_that_was_lost_is_made_again)
{
    struct target *t = begin(60000);
    say(t, 3, 500, false);
    SOON(told("r/3", 500, ""));
    pthread_mutex_lock(&lock);
    last = (struct target_report){.applied_bp = 1};
    pthread_mutex_unlock(&lock);
    target_again(t);
    SOON(told("r/3", 500, ""));
    clock_sleep_ms(100);
    cr_assert(eq(uint, reports, 2u), "%u reports", reports);
    target_close(t);
}

Test(target, what_somebody_else_sets_is_set_back)
{
    struct target *t = begin(60000);
    say(t, 3, 500, false);
    SOON(told("r/3", 500, ""));
    atomic_store(&proxy.weight, 9000);
    SOON(atomic_load(&proxy.weight) == 500u);
    target_close(t);
}

Test(target, silence_takes_the_canary_off_until_a_newer_verdict)
{
    struct target *t = begin(300);
    say(t, 3, 500, false);
    SOON(told("r/3", 500, ""));
    SOON(told("r/3", 0, "was not heard of"));
    say(t, 3, 500, false);
    clock_sleep_ms(100);
    cr_assert(eq(uint, atomic_load(&proxy.weight), 0u));
    say(t, 4, 700, false);
    SOON(told("r/4", 700, ""));
    target_close(t);
}

Test(target, copies_are_set_kept_and_end_with_the_lease)
{
    struct target *t = begin(2000);
    copy(t, 3, 3000);
    SOON(told("r/3", 0, ""));
    cr_assert(eq(uint, atomic_load(&proxy.copies), 3000u));
    atomic_store(&proxy.copies, 0); /* somebody else's */
    SOON(atomic_load(&proxy.copies) == 3000u);
    SOON(told("r/3", 0, "was not heard of"));
    cr_assert(eq(uint, atomic_load(&proxy.copies), 0u));
    atomic_store(&proxy.lies, true);
    copy(t, 4, 500);
    SOON(told("r/4", 0, "set to copy 5 % of the requests, but 0 % are"));
    target_close(t);
}

Test(target, a_kind_that_cannot_copy_says_so)
{
    static struct driver plain;
    plain = fake;
    plain.mirror = NULL;
    struct target *t = begin_with(&plain, 60000);
    copy(t, 3, 3000);
    SOON(told("r/3", 0, "kind fake cannot copy requests"));
    copy(t, 4, 0);
    SOON(told("r/4", 0, ""));
    target_close(t);
}
