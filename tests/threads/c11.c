/* tests/threads/c11.c -- the C11 thread calls by way of pthreads
 *
 * librdkafka makes its threads and locks with <threads.h>, which the thread sanitizer
 * does not know: it crashes in a thread that it did not see begin, and takes what a C11
 * lock guards for a race. Linked into a test, these stand before glibc's; the types are
 * the same there (glibc's mtx_t and cnd_t hold a pthread mutex and condition).
 *
 * The library hands messages and its own locks from thread to thread by atomic
 * counters, which TSan does not see either: what it reads, writes, frees and locks
 * itself is left out, what we do is not. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "another C library");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "another C library");

const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:librdkafka.so\nrace:^mtx_\nrace:^cnd_\nmutex:^mtx_\n";
}

struct start {
    thrd_start_t run;
    void *argument;
};

static int result(int error)
{
    if (error == 0) return thrd_success;
    if (error == ETIMEDOUT) return thrd_timedout;
    if (error == EBUSY) return thrd_busy;
    return error == ENOMEM ? thrd_nomem : thrd_error;
}

static void *trampoline(void *argument)
{
    struct start s = *(struct start *)argument;
    free(argument);
    return (void *)(intptr_t)s.run(s.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t run, void *argument)
{
    struct start *s = malloc(sizeof *s);
    if (s == NULL) return thrd_nomem;
    *s = (struct start){run, argument};
    int error = pthread_create(thread, NULL, trampoline, s);
    if (error != 0) free(s);
    return result(error);
}

int thrd_join(thrd_t thread, int *code)
{
    void *value;
    int error = pthread_join(thread, &value);
    if (error == 0 && code != NULL) *code = (int)(intptr_t)value;
    return result(error);
}

int mtx_init(mtx_t *m, int type)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    if ((type & mtx_recursive) != 0)
        pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
    int error = pthread_mutex_init((pthread_mutex_t *)m, &a);
    pthread_mutexattr_destroy(&a);
    return result(error);
}

int mtx_lock(mtx_t *m)
{
    return result(pthread_mutex_lock((pthread_mutex_t *)m));
}

int mtx_unlock(mtx_t *m)
{
    return result(pthread_mutex_unlock((pthread_mutex_t *)m));
}

void mtx_destroy(mtx_t *m)
{
    pthread_mutex_destroy((pthread_mutex_t *)m);
}

int cnd_init(cnd_t *c)
{
    return result(pthread_cond_init((pthread_cond_t *)c, NULL));
}

int cnd_signal(cnd_t *c)
{
    return result(pthread_cond_signal((pthread_cond_t *)c));
}

int cnd_broadcast(cnd_t *c)
{
    return result(pthread_cond_broadcast((pthread_cond_t *)c));
}

int cnd_wait(cnd_t *c, mtx_t *m)
{
    return result(pthread_cond_wait((pthread_cond_t *)c, (pthread_mutex_t *)m));
}

int cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *until)
{
    return result(
        pthread_cond_timedwait((pthread_cond_t *)c, (pthread_mutex_t *)m, until));
}

void cnd_destroy(cnd_t *c)
{
    pthread_cond_destroy((pthread_cond_t *)c);
}
