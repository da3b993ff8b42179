/* engine/serve/listen.c */
#include "engine/serve/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128 };

/* A socket file is there: 1 somebody answers, 0 nobody does, -1 not a socket. */
static int answers(const struct sockaddr_un *at)
{
    struct stat st;
    if (stat(at->sun_path, &st) != 0) return 0;
    if (!S_ISSOCK(st.st_mode)) return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return 1;
    int rc = connect(fd, (const struct sockaddr *)at, sizeof *at);
    int why = rc == 0 ? 0 : errno;
    close(fd);
    return why != ECONNREFUSED;
}

static enum serin_status clear_stale(const struct sockaddr_un *at, struct fault *f)
{
    int found = answers(at);
    if (found > 0)
        return fault_set(
            f, SERIN_ESTATE,
            "another process serves on %s; stop it, or give this one another "
            "address with http.listen (--listen unix:/other.sock)",
            at->sun_path);
    if (found < 0)
        return fault_set(f, SERIN_EDOM,
                         "%s exists and is no socket; remove it or choose "
                         "another path with http.listen (--listen)",
                         at->sun_path);
    if (unlink(at->sun_path) != 0 && errno != ENOENT)
        return fault_set(f, SERIN_EIO, "cannot remove the stale socket %s: %s",
                         at->sun_path, strerror(errno));
    return SERIN_OK;
}

/* The socket's own folder (/run/serin is gone after a reboot), not the way to it. What
 * goes wrong here shows at bind. */
static void make_folder(const struct sockaddr_un *at)
{
    char folder[sizeof at->sun_path];
    snprintf(folder, sizeof folder, "%s", at->sun_path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder) return;
    *slash = '\0';
    (void)mkdir(folder, 0755);
}

static enum serin_status open_unix(struct listener *l, const char *path,
                                   struct fault *f)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct stat st;
    if (*path == '\0' || strlen(path) >= sizeof at.sun_path)
        return fault_set(f, SERIN_EDOM, "unix:%s: expected a path of 1 to %zu bytes",
                         path, sizeof at.sun_path - 1);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    enum serin_status s = clear_stale(&at, f);
    if (s != SERIN_OK) return s;
    make_folder(&at);
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* fchmod first: the file must not be open to others between bind and chmod. */
    if (l->fd < 0 || fchmod(l->fd, 0660) != 0 ||
        bind(l->fd, (struct sockaddr *)&at, sizeof at) != 0 || chmod(path, 0660) != 0 ||
        stat(path, &st) != 0 || listen(l->fd, BACKLOG) != 0)
        return fault_set(f, SERIN_EIO,
                         "cannot listen on unix:%s: %s; its folder must be "
                         "writable (or choose another with http.listen, --listen)",
                         path, strerror(errno));
    l->local = true;
    l->device = st.st_dev;
    l->inode = st.st_ino;
    return SERIN_OK;
}

/* "host:port" into its two halves; host may be in brackets. */
static bool halves(const char *address, char host[256], char port[16])
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || strlen(colon + 1) > 5 || colon[1] == '\0') return false;
    if (strspn(colon + 1, "0123456789") != strlen(colon + 1)) return false;
    size_t n = (size_t)(colon - address);
    if (n >= 2 && *address == '[' && colon[-1] == ']') {
        address++;
        n -= 2;
    } else if (memchr(address, ':', n) != NULL) {
        return false;
    }
    if (n > 255) return false;
    snprintf(host, 256, "%.*s", (int)n, address);
    snprintf(port, 16, "%s", colon + 1);
    return true;
}

static void name_of(struct listener *l)
{
    struct sockaddr_storage at;
    socklen_t size = sizeof at;
    char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
    if (getsockname(l->fd, (struct sockaddr *)&at, &size) != 0) return;
    if (getnameinfo((struct sockaddr *)&at, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    bool six = at.ss_family == AF_INET6;
    snprintf(l->name, sizeof l->name, "%s%.200s%s:%s", six ? "[" : "", host,
             six ? "]" : "", port);
}

static int try_one(const struct addrinfo *at)
{
    int on = 1, fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static enum serin_status open_tcp(struct listener *l, const char *address,
                                  struct fault *f)
{
    char host[256], port[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    if (!halves(address, host, port))
        return fault_set(f, SERIN_EDOM,
                         "listen: \"%s\" is no address; expected unix:/path, "
                         "host:port or [v6]:port",
                         address);
    bool any = *host == '\0' || strcmp(host, "*") == 0;
    int rc = getaddrinfo(any ? NULL : host, port, &hints, &found);
    if (rc != 0)
        return fault_set(f, SERIN_EDOM, "listen: %s: %s", address, gai_strerror(rc));
    l->fd = -1;
    for (const struct addrinfo *at = found; at != NULL && l->fd < 0; at = at->ai_next)
        l->fd = try_one(at);
    int why = errno;
    freeaddrinfo(found);
    if (l->fd < 0)
        return fault_set(
            f, why == EADDRINUSE ? SERIN_ESTATE : SERIN_EIO,
            "cannot listen on %s: %s; choose another address with http.listen "
            "(--listen)",
            address, strerror(why));
    name_of(l);
    return SERIN_OK;
}

enum serin_status listen_open(struct listener *l, const char *address, struct fault *f)
{
    *l = (struct listener){.fd = -1};
    snprintf(l->name, sizeof l->name, "%s", address);
    enum serin_status s = strncmp(address, "unix:", 5) == 0
                              ? open_unix(l, address + 5, f)
                              : open_tcp(l, address, f);
    if (s != SERIN_OK) listen_close(l);
    return s;
}

void listen_close(struct listener *l)
{
    struct stat st;
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
    if (!l->local) return;
    const char *path = l->name + 5;
    if (stat(path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
        unlink(path);
    l->local = false;
}
