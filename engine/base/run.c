/* engine/base/run.c */
#include "engine/base/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"

enum { ENV = 32, LOOK_MS = 20, WORDS = 300 };

struct child {
    const char *name;
    pid_t pid;
    int out[2], err[2]; /* pipes: ours to read, its to write */
    int status;
    bool ended;
};

static void shut(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static enum serin_status open_pipes(struct child *c, struct fault *f)
{
    if (pipe2(c->out, O_CLOEXEC | O_NONBLOCK) == 0 &&
        pipe2(c->err, O_CLOEXEC | O_NONBLOCK) == 0 &&
        fcntl(c->out[1], F_SETFL, 0) == 0 && fcntl(c->err[1], F_SETFL, 0) == 0)
        return SERIN_OK;
    return fault_set(f, SERIN_EIO, "%.200s: no pipe: %s", c->name, strerror(errno));
}

/* A group of its own, so that all of it can be killed; signals as at a login. */
static int set_attributes(posix_spawnattr_t *a)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawnattr_setflags(a, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                             POSIX_SPAWN_SETSIGMASK);
    if (rc == 0) rc = posix_spawnattr_setpgroup(a, 0);
    if (rc == 0) rc = posix_spawnattr_setsigdefault(a, &all);
    return rc == 0 ? posix_spawnattr_setsigmask(a, &none) : rc;
}

static int set_files(posix_spawn_file_actions_t *a, const struct child *c)
{
    int rc = posix_spawn_file_actions_addopen(a, 0, "/dev/null", O_RDONLY, 0);
    if (rc == 0) rc = posix_spawn_file_actions_adddup2(a, c->out[1], 1);
    if (rc == 0) rc = posix_spawn_file_actions_adddup2(a, c->err[1], 2);
    return rc == 0 ? posix_spawn_file_actions_addclosefrom_np(a, 3) : rc;
}

static enum serin_status start(struct child *c, const char *const *argv,
                               const char *const *env, struct fault *f)
{
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LANG=C.UTF-8";
    char *all[ENV + 3] = {path, lang};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    for (size_t i = 0; env != NULL && env[i] != NULL && i < ENV; i++)
        all[2 + i] = (char *)(uintptr_t)env[i];
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    int rc = set_attributes(&attributes);
    if (rc == 0) rc = set_files(&files, c);
    if (rc == 0)
        rc = posix_spawn(&c->pid, argv[0], &files, &attributes,
                         (char *const *)(uintptr_t)argv, all);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    shut(&c->out[1]);
    shut(&c->err[1]);
    return rc == 0 ? SERIN_OK
                   : fault_set(f, SERIN_EIO, "%.200s cannot be started: %s", c->name,
                               strerror(rc));
}

static void drain(int *fd, struct text *to)
{
    char chunk[4096];
    ssize_t n = 0;
    while (*fd >= 0 && (n = read(*fd, chunk, sizeof chunk)) > 0)
        text_bytes(to, chunk, (size_t)n);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) shut(fd);
}

/* Until it has ended; what a process that it left behind writes later is not waited
 * for. */
static bool follow(struct child *c, int timeout_ms, struct text *out, struct text *err)
{
    int64_t end = clock_mono_ms() + timeout_ms;
    while (!c->ended) {
        struct pollfd p[2] = {{.fd = c->out[0], .events = POLLIN},
                              {.fd = c->err[0], .events = POLLIN}};
        c->ended = waitpid(c->pid, &c->status, WNOHANG) == c->pid;
        drain(&c->out[0], out);
        drain(&c->err[0], err);
        if (c->ended) break;
        if (clock_mono_ms() > end) return false;
        poll(p, 2, LOOK_MS);
    }
    return true;
}

/* The last lines that fit, as one. */
static const char *last_words(struct text *t, int *n)
{
    char *p = t->p, *end = p != NULL ? p + strlen(p) : p;
    *n = 0;
    if (p == NULL) return "";
    while (end > p && strchr("\r\n \t", end[-1]) != NULL)
        end--;
    if (end - p > WORDS) p = end - WORDS;
    char *line = p != t->p ? strchr(p, '\n') : NULL; /* not from the middle of one */
    if (line != NULL && line < end) p = line + 1;
    for (char *c = p; c < end; c++)
        if (*c == '\n' || *c == '\r') *c = ' ';
    *n = (int)(end - p);
    return p;
}

static enum serin_status judge(const struct child *c, struct text *err, struct fault *f)
{
    int n;
    const char *said = last_words(err, &n);
    if (WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0) return SERIN_OK;
    return fault_set(f, SERIN_EIO, "%.200s ended with %s %d%s%.*s", c->name,
                     WIFEXITED(c->status) ? "exit code" : "signal",
                     WIFEXITED(c->status) ? WEXITSTATUS(c->status)
                                          : WTERMSIG(c->status),
                     n > 0 ? ": " : "", n, said);
}

enum serin_status run_program(const char *const *argv, const char *const *env,
                              int timeout_ms, struct text *out, int *code,
                              struct fault *f)
{
    struct child c = {.name = argv[0], .out = {-1, -1}, .err = {-1, -1}};
    struct text err = {.max = RUN_OUTPUT_MAX};
    out->n = 0;
    out->failed = false;
    out->max = RUN_OUTPUT_MAX;
    enum serin_status rc = open_pipes(&c, f);
    if (rc == SERIN_OK) rc = start(&c, argv, env, f);
    if (rc == SERIN_OK && !follow(&c, timeout_ms, out, &err)) {
        kill(-c.pid, SIGKILL);
        waitpid(c.pid, &c.status, 0);
        rc = fault_set(f, SERIN_ETIME, "%.200s did not end within %d ms: killed",
                       c.name, timeout_ms);
    } else if (rc == SERIN_OK) {
        rc = judge(&c, &err, f);
    }
    if (code != NULL)
        *code = c.ended && WIFEXITED(c.status) ? WEXITSTATUS(c.status) : -1;
    for (int i = 0; i < 2; i++) {
        shut(&c.out[i]);
        shut(&c.err[i]);
    }
    text_add(out, "%s", "");
    text_free(&err);
    if (rc == SERIN_OK && out->failed)
        rc = fault_set(f, SERIN_ENOMEM,
                       "%.200s wrote more than %d bytes, or memory is out", c.name,
                       RUN_OUTPUT_MAX);
    return rc;
}
