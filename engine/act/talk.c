/* engine/act/talk.c */
#include "engine/act/talk.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/clock.h"

struct talk {
    const char *address;
    int fd;
    int64_t deadline;
};

static enum serin_status trouble(const struct talk *t, const char *what,
                                 struct fault *f)
{
    return fault_set(f, SERIN_EIO, "%.200s: %s: %s", t->address, what, strerror(errno));
}

static enum serin_status wait_for(const struct talk *t, short events, struct fault *f)
{
    struct pollfd p = {.fd = t->fd, .events = events};
    for (;;) {
        int64_t left = t->deadline - clock_mono_ms();
        int n = poll(&p, 1, left > 0 ? (int)left : 0);
        if (n > 0) return SERIN_OK;
        if (n < 0 && errno != EINTR) return trouble(t, "poll", f);
        if (n == 0)
            return fault_set(f, SERIN_ETIME, "%.200s does not answer in time",
                             t->address);
    }
}

static enum serin_status join(struct talk *t, int family, const struct sockaddr *a,
                              socklen_t n, struct fault *f)
{
    int error = 0;
    socklen_t size = sizeof error;
    t->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (t->fd < 0) return trouble(t, "socket", f);
    if (connect(t->fd, a, n) == 0) return SERIN_OK;
    if (errno != EINPROGRESS && errno != EAGAIN) return trouble(t, "connect", f);
    enum serin_status rc = wait_for(t, POLLOUT, f);
    if (rc != SERIN_OK) return rc;
    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
        return SERIN_OK;
    errno = error;
    return trouble(t, "connect", f);
}

static enum serin_status join_tcp(struct talk *t, struct fault *f)
{
    char host[256];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    const char *colon = strrchr(t->address, ':');
    if (colon == NULL || (size_t)(colon - t->address) >= sizeof host)
        return fault_set(f, SERIN_EDOM,
                         "%.200s is neither a path that begins with / nor host:port",
                         t->address);
    snprintf(host, sizeof host, "%.*s", (int)(colon - t->address), t->address);
    int rc = getaddrinfo(host, colon + 1, &hints, &found);
    if (rc != 0)
        return fault_set(f, SERIN_EIO, "%.200s: %s", t->address, gai_strerror(rc));
    enum serin_status s =
        join(t, found->ai_family, found->ai_addr, found->ai_addrlen, f);
    freeaddrinfo(found);
    return s;
}

static enum serin_status join_any(struct talk *t, struct fault *f)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (t->address[0] != '/') return join_tcp(t, f);
    if (strlen(t->address) >= sizeof a.sun_path)
        return fault_set(f, SERIN_EDOM, "%.200s: longer than a socket's path may be",
                         t->address);
    memcpy(a.sun_path, t->address, strlen(t->address));
    return join(t, AF_UNIX, (const struct sockaddr *)&a, sizeof a, f);
}

static enum serin_status put(const struct talk *t, const char *p, size_t n,
                             struct fault *f)
{
    while (n > 0) {
        ssize_t k = send(t->fd, p, n, MSG_NOSIGNAL);
        if (k < 0 && errno != EAGAIN && errno != EINTR) return trouble(t, "send", f);
        if (k > 0) {
            p += k;
            n -= (size_t)k;
            continue;
        }
        enum serin_status rc = wait_for(t, POLLOUT, f);
        if (rc != SERIN_OK) return rc;
    }
    return SERIN_OK;
}

static enum serin_status get(const struct talk *t, char *answer, size_t room,
                             struct fault *f)
{
    size_t n = 0;
    char drop[512];
    for (;;) {
        enum serin_status rc = wait_for(t, POLLIN, f);
        if (rc != SERIN_OK) return rc;
        bool full = n + 1 >= room;
        ssize_t k =
            recv(t->fd, full ? drop : answer + n, full ? sizeof drop : room - 1 - n, 0);
        if (k < 0 && errno != EAGAIN && errno != EINTR) return trouble(t, "recv", f);
        if (k > 0 && !full) n += (size_t)k;
        answer[n] = '\0';
        if (k == 0) return SERIN_OK;
    }
}

enum serin_status talk_line(const char *address, const char *line, char *answer,
                            size_t room, int timeout_ms, struct fault *f)
{
    struct talk t = {address, -1, clock_mono_ms() + timeout_ms};
    answer[0] = '\0';
    enum serin_status rc = join_any(&t, f);
    if (rc == SERIN_OK) rc = put(&t, line, strlen(line), f);
    if (rc == SERIN_OK) rc = put(&t, "\n", 1, f);
    if (rc == SERIN_OK) rc = get(&t, answer, room, f);
    if (t.fd >= 0) close(t.fd);
    return rc;
}
