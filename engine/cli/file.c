/* engine/cli/file.c */
#include "engine/cli/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/mem.h"

/* Fill buf up to room; -1 with errno when reading fails. */
static ssize_t read_all(int fd, char *buf, size_t room)
{
    size_t n = 0;
    while (n < room) {
        ssize_t got = read(fd, buf + n, room - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static enum serin_status take(struct arena *a, int fd, const char *path, size_t max,
                              const char **text, size_t *n, struct fault *f)
{
    char *buf = mem_calloc(max + 1, 1);
    if (buf == NULL) return fault_set(f, SERIN_ENOMEM, "%s: out of memory", path);
    ssize_t got = read_all(fd, buf, max + 1);
    enum serin_status rc = SERIN_OK;
    const char *kept = NULL;
    if (got < 0)
        rc = fault_set(f, SERIN_EIO, "%s: cannot be read: %s", path, strerror(errno));
    else if ((size_t)got > max)
        rc = fault_set(f, SERIN_ELIMIT,
                       "%s: larger than %zu bytes; is it the right file?", path, max);
    else if ((kept = arena_copy(a, buf, (size_t)got)) == NULL)
        rc = fault_set(f, SERIN_ENOMEM, "%s: out of memory", path);
    mem_free(buf);
    if (rc != SERIN_OK) return rc;
    *text = kept;
    *n = (size_t)got;
    return SERIN_OK;
}

enum serin_status file_load(struct arena *a, const char *path, size_t max,
                            const char **text, size_t *n, struct fault *f)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fault_set(f, SERIN_EIO, "%s: cannot be opened: %s; check the path", path,
                         strerror(errno));
    enum serin_status rc =
        take(a, fd, standard ? "standard input" : path, max, text, n, f);
    if (!standard) close(fd);
    return rc;
}
