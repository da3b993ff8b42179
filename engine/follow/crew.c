/* engine/follow/crew.c */
#include "engine/follow/crew.h"

#include <pthread.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/mem.h"

enum { CREW_MOST = 32, STACK = 512 << 10 };

/* Whoever lets go of it last frees it: the owner, or a check that outlived it. */
struct crew {
    pthread_mutex_t lock; /* @locks: all but the policy */
    struct arena arena;   /* of the policy */
    struct probe_policy policy;
    unsigned running;
    bool closed;
    struct crew_answer *first, **last;
};

struct job {
    struct crew *crew;
    struct crew_answer *answer;
};

/* ---- a copy of the policy */
static bool copy_text(struct arena *a, const char **text)
{
    if (*text != NULL) *text = arena_copy(a, *text, strlen(*text));
    return *text != NULL;
}

static bool copy_list(struct arena *a, const char ***list, size_t n)
{
    const char **copy = arena_alloc(a, (n + 1) * sizeof *copy);
    if (copy == NULL) return false;
    if (n != 0) memcpy(copy, *list, n * sizeof *copy);
    *list = copy;
    for (size_t i = 0; i < n; i++)
        if (!copy_text(a, &copy[i])) return false;
    return true;
}

static bool copy_policy(struct crew *c, const struct probe_policy *p)
{
    struct probe_program *programs =
        arena_alloc(&c->arena, (p->n_programs + 1) * sizeof *programs);
    if (programs == NULL) return false;
    c->policy = *p;
    c->policy.programs = programs;
    if (!copy_list(&c->arena, &c->policy.urls, p->n_urls)) return false;
    if (p->secrets != NULL && !copy_text(&c->arena, &c->policy.secrets)) return false;
    for (size_t i = 0; i < p->n_programs; i++) {
        programs[i] = p->programs[i];
        if (!copy_text(&c->arena, &programs[i].name) ||
            !copy_list(&c->arena, &programs[i].argv, programs[i].n))
            return false;
    }
    return true;
}

/* ---- */
static void free_all(struct crew *c)
{
    struct crew_answer *a, *next;
    for (a = c->first; a != NULL; a = next) {
        next = a->next;
        mem_free(a);
    }
    arena_free(&c->arena);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

enum serin_status crew_open(struct crew **out, const struct probe_policy *policy)
{
    struct crew *c = mem_calloc(1, sizeof *c);
    if (c == NULL) return SERIN_ENOMEM;
    pthread_mutex_init(&c->lock, NULL);
    c->last = &c->first;
    if (!copy_policy(c, policy)) {
        free_all(c);
        return SERIN_ENOMEM;
    }
    *out = c;
    return SERIN_OK;
}

void crew_close(struct crew *c)
{
    if (c == NULL) return;
    pthread_mutex_lock(&c->lock);
    c->closed = true;
    bool last = c->running == 0;
    pthread_mutex_unlock(&c->lock);
    if (last) free_all(c);
}

static void *perform(void *ctx)
{
    struct job *j = ctx;
    struct crew *c = j->crew;
    probe_run(&c->policy, &j->answer->probe, &j->answer->answer);
    j->answer->t_ms = clock_wall_ms();
    pthread_mutex_lock(&c->lock);
    *c->last = j->answer;
    c->last = &j->answer->next;
    c->running--;
    bool last = c->closed && c->running == 0;
    pthread_mutex_unlock(&c->lock);
    if (last) free_all(c);
    mem_free(j);
    return NULL;
}

static bool launch(struct job *j)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK);
    int rc = pthread_create(&thread, &attributes, perform, j);
    pthread_attr_destroy(&attributes);
    return rc == 0;
}

bool crew_start(struct crew *c, const struct probe *p)
{
    struct job *j = mem_calloc(1, sizeof *j);
    struct crew_answer *a = mem_calloc(1, sizeof *a);
    pthread_mutex_lock(&c->lock);
    bool room = c->running < CREW_MOST && j != NULL && a != NULL;
    if (room) {
        a->probe = *p;
        *j = (struct job){c, a};
        c->running++;
        room = launch(j);
        if (!room) c->running--;
    }
    pthread_mutex_unlock(&c->lock);
    if (room) return true;
    mem_free(j);
    mem_free(a);
    return false;
}

struct crew_answer *crew_answers(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    struct crew_answer *a = c->first;
    c->first = NULL;
    c->last = &c->first;
    pthread_mutex_unlock(&c->lock);
    return a;
}
