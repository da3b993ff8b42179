/* engine/serve/auth.c -- digests of equal length are compared, so that neither the
 * content nor the length of the token shows in the time it takes */
#include "engine/serve/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOT_FOR = S_IWGRP | S_IRWXO };

static enum serin_status check_file(int fd, const char *file, struct fault *f)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fault_set(f, SERIN_EDOM, "token file %s: %s", file, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fault_set(f, SERIN_EDOM, "token file %s: expected a regular file", file);
    if ((st.st_mode & NOT_FOR) != 0)
        return fault_set(
            f, SERIN_EDOM,
            "token file %s has mode %04o, so others can read or change it; "
            "chmod 600 (or 640) it, and replace the token if they may have",
            file, (unsigned)(st.st_mode & 07777));
    return SERIN_OK;
}

/* The one word in text, blanks around it dropped; false when it will not do. */
static bool one_word(const char *text, size_t n, size_t *from, size_t *to)
{
    static const char blanks[] = " \t\r\n";
    *from = 0;
    *to = n;
    while (*from < *to && strchr(blanks, text[*from]) != NULL)
        ++*from;
    while (*to > *from && strchr(blanks, text[*to - 1]) != NULL)
        --*to;
    for (size_t i = *from; i < *to; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7f) return false;
    return *to - *from >= AUTH_MIN && *to - *from <= AUTH_MAX;
}

enum serin_status auth_load(struct auth *a, const char *file, struct fault *f)
{
    char text[AUTH_MAX + 8];
    size_t from, to;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fault_set(f, SERIN_EDOM,
                         "token file %s: %s; make one with: (umask 077; head -c 32 "
                         "/dev/urandom | base64 > %s)",
                         file, strerror(errno), file);
    enum serin_status s = check_file(fd, file, f);
    ssize_t n = s == SERIN_OK ? read(fd, text, sizeof text) : 0;
    close(fd);
    if (s != SERIN_OK) return s;
    if (n < 0 || !one_word(text, (size_t)n, &from, &to)) {
        s = fault_set(f, SERIN_EDOM,
                      "token file %s: expected one token of %d to %d printable ASCII "
                      "characters",
                      file, AUTH_MIN, AUTH_MAX);
    } else {
        hash_digest(text + from, to - from, a->digest);
        a->required = true;
    }
    sodium_memzero(text, sizeof text);
    return s;
}

bool auth_allows(const struct auth *a, const char *header)
{
    static const char scheme[] = "Bearer ";
    uint8_t digest[HASH_DIGEST];
    if (!a->required) return true;
    if (header == NULL || strncasecmp(header, scheme, sizeof scheme - 1) != 0)
        return false;
    header += sizeof scheme - 1;
    hash_digest(header, strlen(header), digest);
    return sodium_memcmp(digest, a->digest, sizeof digest) == 0;
}
