/* engine/cli/demo_edge.c */
#include "engine/cli/demo_edge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/act/act.h"
#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/text.h"

enum {
    CONNECTIONS = 8, /* a request each in every tick */
    TICK_MS = 1000 * CONNECTIONS / DEMO_EDGE_RATE,
    ANSWER_MS = 1000, /* then the connection is given up */
    START_MS = 5000,
    STOP_MS = 3000,
    LINE = 256
};

static const char *const files[] = {"haproxy.cfg", "split.map", "haproxy.log",
                                    "admin.sock",  "shop.sock", "old.sock",
                                    "new.sock"};

struct demo_edge {
    const char *folder;
    pid_t child; /* 0: none */
    int log;     /* UDP socket; -1: none */
    uint16_t port;
    int connections[CONNECTIONS];
    pthread_t loader;
    bool loading;
    atomic_bool stop;

    pthread_mutex_t lock; /* of the three below */
    struct demo_edge_counts all, taken;
    int64_t canary_ms;

    struct arena arena; /* of the policy */
    struct section_policy policy;
    struct act *act;
    pthread_t actuator;
    bool acting;
};

const char *demo_edge_program(void)
{
    static const char *const places[] = {"/usr/sbin/haproxy", "/usr/local/sbin/haproxy",
                                         "/usr/bin/haproxy", "/usr/local/bin/haproxy"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], X_OK) == 0) return places[i];
    return NULL;
}

/* ---- HAProxy */
static void write_config(const struct demo_edge *e, struct text *t)
{
    const char *at = e->folder;
    text_add(t,
             "global\n"
             "  stats socket %s/admin.sock mode 600 level admin\n"
             "  log 127.0.0.1:%u format raw local0\n"
             "defaults\n"
             "  mode http\n"
             "  timeout connect 2s\n"
             "  timeout client 10s\n"
             "  timeout server 10s\n",
             at, e->port);
    text_add(t,
             "frontend shop\n"
             "  bind unix@%s/shop.sock mode 600\n"
             "  log global\n"
             "  log-format \"%%b %%ST\"\n"
             "  http-request set-var(txn.share) "
             "str(canary),map_str_int(%s/split.map,0)\n"
             "  http-request set-var(txn.pick) rand(10000)\n"
             "  use_backend canary if { var(txn.pick),sub(txn.share) lt 0 }\n"
             "  default_backend baseline\n"
             "backend baseline\n"
             "  server old unix@%s/old.sock\n"
             "backend canary\n"
             "  server new unix@%s/new.sock\n",
             at, at, at, at);
    text_add(t,
             "frontend old\n"
             "  bind unix@%s/old.sock mode 600\n"
             "  http-request return status 500 if { rand(1000) lt 12 }\n"
             "  http-request return status 200\n"
             "frontend new\n"
             "  bind unix@%s/new.sock mode 600\n"
             "  http-request return status 500 if { fe_req_rate gt %d } "
             "{ rand(1000) lt 333 }\n"
             "  http-request return status 500 if { rand(1000) lt 12 }\n"
             "  http-request return status 200\n",
             at, at, DEMO_EDGE_BEARS);
}

static enum serin_status write_file(const struct demo_edge *e, const char *name,
                                    const char *text, struct fault *f)
{
    char path[LINE];
    snprintf(path, sizeof path, "%s/%s", e->folder, name);
    FILE *file = fopen(path, "we");
    bool ok = file != NULL && fputs(text, file) >= 0;
    if (file != NULL && fclose(file) != 0) ok = false;
    if (ok) return SERIN_OK;
    return fault_set(f, SERIN_EIO, "cannot write %s: %s", path, strerror(errno));
}

/* In the child: nothing but system calls. It dies with us, and Ctrl-C is ours alone. */
static void become_haproxy(const char *program, const char *config, const char *log)
{
    const char *argv[] = {"haproxy", "-db", "-q", "-f", config, NULL};
    const char *const env[] = {NULL};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0 && dup2(fd, 1) == 1 && dup2(fd, 2) == 2)
        execve(program, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
    _exit(127);
}

static int connect_shop(const struct demo_edge *e)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s/shop.sock", e->folder);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

static enum serin_status start_haproxy(struct demo_edge *e, struct fault *f)
{
    char config[LINE], log[LINE];
    struct text t = {0};
    write_config(e, &t);
    enum serin_status rc = t.failed ? fault_set(f, SERIN_ENOMEM, "out of memory")
                                    : write_file(e, "haproxy.cfg", t.p, f);
    text_free(&t);
    if (rc == SERIN_OK) rc = write_file(e, "split.map", "canary 0\n", f);
    if (rc != SERIN_OK) return rc;
    snprintf(config, sizeof config, "%s/haproxy.cfg", e->folder);
    snprintf(log, sizeof log, "%s/haproxy.log", e->folder);
    pid_t child = fork();
    if (child == 0) become_haproxy(demo_edge_program(), config, log);
    if (child < 0) return fault_set(f, SERIN_EIO, "cannot fork: %s", strerror(errno));
    e->child = child;
    for (int64_t until = clock_mono_ms() + START_MS; clock_mono_ms() < until;) {
        e->connections[0] = connect_shop(e);
        if (e->connections[0] >= 0) return SERIN_OK;
        if (waitpid(child, NULL, WNOHANG) == child) {
            e->child = 0;
            break;
        }
        clock_sleep_ms(20);
    }
    return fault_set(f, SERIN_EIO, "%s does not start", demo_edge_program());
}

static void stop_haproxy(struct demo_edge *e)
{
    if (e->child == 0) return;
    kill(e->child, SIGTERM);
    for (int64_t until = clock_mono_ms() + STOP_MS; clock_mono_ms() < until;) {
        if (waitpid(e->child, NULL, WNOHANG) == e->child) return;
        clock_sleep_ms(10);
    }
    kill(e->child, SIGKILL);
    waitpid(e->child, NULL, 0);
}

/* ---- the access log */
static enum serin_status open_log(struct demo_edge *e, struct fault *f)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int room = 1 << 20;
    e->log = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (e->log < 0 || bind(e->log, (struct sockaddr *)&at, n) != 0 ||
        getsockname(e->log, (struct sockaddr *)&at, &n) != 0)
        return fault_set(f, SERIN_EIO, "no socket for an access log: %s",
                         strerror(errno));
    setsockopt(e->log, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    e->port = ntohs(at.sin_port);
    return SERIN_OK;
}

static void read_log(struct demo_edge *e)
{
    char line[LINE], backend[16];
    unsigned status;
    ssize_t n;
    pthread_mutex_lock(&e->lock);
    while ((n = recv(e->log, line, sizeof line - 1, 0)) > 0) {
        line[n] = '\0';
        if (sscanf(line, "%15s %3u", backend, &status) != 2) continue;
        int cohort = strcmp(backend, "canary") == 0 ? 0 : 1;
        e->all.n[cohort]++;
        e->all.bad[cohort] += status >= 500;
        if (cohort == 0) e->canary_ms = clock_wall_ms();
    }
    pthread_mutex_unlock(&e->lock);
}

/* ---- the requests */
static const char request[] = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";

static bool ask(int fd)
{
    return fd >= 0 &&
           send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == sizeof request - 1;
}

/* Answers have no body. */
static bool answered(int fd)
{
    char answer[1024];
    size_t n = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (n < sizeof answer && poll(&p, 1, ANSWER_MS) == 1) {
        ssize_t got = recv(fd, answer + n, sizeof answer - n, 0);
        if (got <= 0) return false;
        n += (size_t)got;
        if (n >= 4 && memcmp(answer + n - 4, "\r\n\r\n", 4) == 0) return true;
    }
    return false;
}

static void one_round(struct demo_edge *e)
{
    bool asked[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        if (e->connections[i] < 0) e->connections[i] = connect_shop(e);
        asked[i] = ask(e->connections[i]);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        if (asked[i] && answered(e->connections[i])) continue;
        if (e->connections[i] >= 0) close(e->connections[i]);
        e->connections[i] = -1;
    }
}

/* What a stall kept from being asked is not made up for: a burst would be load. */
static void *load(void *arg)
{
    struct demo_edge *e = arg;
    int64_t next_ms = clock_mono_ms();
    while (!atomic_load(&e->stop)) {
        one_round(e);
        read_log(e);
        int64_t now = clock_mono_ms();
        next_ms += TICK_MS;
        if (next_ms < now) next_ms = now;
        clock_sleep_ms(next_ms - now);
    }
    return NULL;
}

void demo_edge_take(struct demo_edge *e, struct demo_edge_counts *out)
{
    pthread_mutex_lock(&e->lock);
    for (int k = 0; k < 2; k++) {
        out->n[k] = e->all.n[k] - e->taken.n[k];
        out->bad[k] = e->all.bad[k] - e->taken.bad[k];
    }
    e->taken = e->all;
    pthread_mutex_unlock(&e->lock);
}

int64_t demo_edge_total(struct demo_edge *e, struct demo_edge_counts *out)
{
    pthread_mutex_lock(&e->lock);
    int64_t canary_ms = e->canary_ms;
    *out = e->all;
    pthread_mutex_unlock(&e->lock);
    return canary_ms;
}

/* ---- the actuator */
static enum serin_status read_policy(struct demo_edge *e, struct fault *f)
{
    char text[2 * LINE];
    struct doc_node *map;
    struct doc_errors errors = {.arena = &e->arena};
    int n = snprintf(text, sizeof text,
                     "check: 1s\n"
                     "targets: {" DEMO_EDGE_TARGET
                     ": {kind: haproxy, socket: %s/admin.sock, map: %s/split.map}}\n",
                     e->folder, e->folder);
    enum serin_status rc = doc_parse(&e->arena, text, (size_t)n, &map, &errors);
    if (rc == SERIN_OK) rc = section_policy(&e->arena, map, &e->policy, &errors);
    if (rc == SERIN_OK && errors.total == 0) return SERIN_OK;
    return fault_set(f, SERIN_EDOM, "actuate: %s",
                     errors.n != 0 ? errors.items[0].text : "out of memory");
}

static void *actuate(void *arg)
{
    struct demo_edge *e = arg;
    struct fault f = {0};
    /* Without it nothing is acknowledged, and the rollout holds and says so. */
    if (act_run(e->act, &f) != SERIN_OK)
        fprintf(stderr, "demo: the actuator ended: %s\n", f.text);
    return NULL;
}

enum serin_status demo_edge_actuate(struct demo_edge *e, struct bus *b,
                                    const char *rollout, struct fault *f)
{
    struct act_options o = {.policy = &e->policy, .name = "demo", .rollout = rollout};
    enum serin_status rc = read_policy(e, f);
    if (rc == SERIN_OK) rc = act_open(&e->act, b, &o, f);
    if (rc != SERIN_OK) return rc;
    if (pthread_create(&e->actuator, NULL, actuate, e) != 0)
        return fault_set(f, SERIN_ENOMEM, "no thread for the actuator");
    e->acting = true;
    return SERIN_OK;
}

/* ---- begin and end */
enum serin_status demo_edge_open(struct demo_edge **out, const char *folder,
                                 struct fault *f)
{
    struct demo_edge *e = mem_calloc(1, sizeof *e);
    if (e == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    e->folder = folder;
    pthread_mutex_init(&e->lock, NULL);
    for (int i = 0; i < CONNECTIONS; i++)
        e->connections[i] = -1;
    enum serin_status rc = open_log(e, f);
    if (rc == SERIN_OK) rc = start_haproxy(e, f);
    if (rc == SERIN_OK && pthread_create(&e->loader, NULL, load, e) != 0)
        rc = fault_set(f, SERIN_ENOMEM, "no thread for the requests");
    if (rc != SERIN_OK) {
        demo_edge_close(e);
        return rc;
    }
    e->loading = true;
    *out = e;
    return SERIN_OK;
}

void demo_edge_close(struct demo_edge *e)
{
    char path[LINE];
    if (e == NULL) return;
    if (e->acting) {
        act_stop(e->act);
        pthread_join(e->actuator, NULL);
    }
    act_close(e->act);
    atomic_store(&e->stop, true);
    if (e->loading) pthread_join(e->loader, NULL);
    for (int i = 0; i < CONNECTIONS; i++)
        if (e->connections[i] >= 0) close(e->connections[i]);
    stop_haproxy(e);
    if (e->log >= 0) close(e->log);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", e->folder, files[i]);
        unlink(path);
    }
    arena_free(&e->arena);
    pthread_mutex_destroy(&e->lock);
    mem_free(e);
}
