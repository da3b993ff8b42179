/* engine/act/file.c */
#include "engine/act/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/act/driver.h"
#include "engine/base/clock.h"

enum { PAUSE_MS = 5 };

static enum serin_status trouble(const struct file *file, const char *what,
                                 struct fault *f)
{
    return fault_set(f, SERIN_EIO, "%.300s: %s: %s", file->path, what, strerror(errno));
}

static enum serin_status lock(const struct file *file, struct fault *f)
{
    int64_t end = clock_mono_ms() + DRIVER_TIMEOUT_MS;
    while (flock(file->folder, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) return trouble(file, "lock", f);
        if (clock_mono_ms() > end)
            return fault_set(f, SERIN_ETIME,
                             "%.300s: another process holds the folder's lock",
                             file->path);
        clock_sleep_ms(PAUSE_MS);
    }
    return SERIN_OK;
}

enum serin_status file_open(struct file *file, const char *path, struct fault *f)
{
    char folder[PATH_MAX];
    file->folder = -1;
    if (realpath(path, file->path) == NULL)
        snprintf(file->path, sizeof file->path, "%s", path);
    snprintf(folder, sizeof folder, "%s", file->path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[slash == folder] = '\0';
    else
        snprintf(folder, sizeof folder, ".");
    file->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->folder < 0) return trouble(file, "its folder", f);
    enum serin_status rc = lock(file, f);
    if (rc != SERIN_OK) file_close(file);
    return rc;
}

void file_close(struct file *file)
{
    if (file->folder >= 0) close(file->folder);
    file->folder = -1;
}

enum serin_status file_read(const struct file *file, struct text *out,
                            int64_t *changed_ms, struct fault *f)
{
    char chunk[4096];
    struct stat st;
    ssize_t n = -1;
    out->n = 0;
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return fault_set(f, SERIN_ENOENT, "%.300s: no such file", file->path);
    if (fd < 0) return trouble(file, "open", f);
    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        text_bytes(out, chunk, (size_t)n);
    if (n < 0 || fstat(fd, &st) != 0) {
        (void)trouble(file, "read", f);
        close(fd);
        return SERIN_EIO;
    }
    close(fd);
    text_add(out, "%s", "");
    if (changed_ms != NULL)
        *changed_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return out->failed ? fault_set(f, SERIN_ENOMEM, "%.300s: too large", file->path)
                       : SERIN_OK;
}

static bool put(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno != EINTR) return false;
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
    }
    return true;
}

/* As the file that it replaces. Only root may give a file away: others keep theirs. */
static bool dress(int fd, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) return fchmod(fd, 0644) == 0;
    if (fchown(fd, st.st_uid, st.st_gid) != 0 && errno != EPERM) return false;
    return fchmod(fd, st.st_mode & 07777) == 0;
}

enum serin_status file_write(const struct file *file, const char *p, size_t n,
                             struct fault *f)
{
    char temp[PATH_MAX + 16];
    snprintf(temp, sizeof temp, "%s.XXXXXX", file->path);
    int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0) return trouble(file, "a new file beside it", f);
    bool ok = put(fd, p, n) && dress(fd, file->path) && fsync(fd) == 0;
    int error = errno;
    ok = close(fd) == 0 && ok;
    if (ok && rename(temp, file->path) == 0) {
        /* Best effort: the new name is there for everybody who is alive. */
        (void)fsync(file->folder);
        return SERIN_OK;
    }
    if (!ok) errno = error;
    enum serin_status rc = trouble(file, "write", f);
    unlink(temp);
    return rc;
}
