/* tests/unit/serve/test_auth.c -- token files and the header */
#include <sys/stat.h>
#include <unistd.h>

#include "engine/serve/auth.h"
#include "tests/support/check.h"

static char path[64];

static void write_token(const char *text, mode_t mode)
{
    snprintf(path, sizeof path, "/tmp/serin-token-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(ge(int, fd, 0));
    cr_assert(eq(sz, (size_t)write(fd, text, strlen(text)), strlen(text)));
    cr_assert(eq(int, fchmod(fd, mode), 0));
    close(fd);
}

static enum serin_status load(struct auth *a, const char *text, mode_t mode,
                              struct fault *f)
{
    write_token(text, mode);
    enum serin_status s = auth_load(a, path, f);
    unlink(path);
    return s;
}

Test(auth, the_right_token_alone_is_allowed)
{
    struct auth a = {0};
    struct fault f = {0};
    cr_assert(auth_allows(&a, NULL), "nothing is required yet");
    cr_assert(eq(int, load(&a, "  0123456789abcdefX\n", 0640, &f), SERIN_OK), "%s",
              f.text);
    cr_assert(auth_allows(&a, "Bearer 0123456789abcdefX"));
    cr_assert(auth_allows(&a, "bearer 0123456789abcdefX"), "a scheme has no case");
    cr_assert(not(auth_allows(&a, NULL)));
    cr_assert(not(auth_allows(&a, "")));
    cr_assert(not(auth_allows(&a, "Bearer ")));
    cr_assert(not(auth_allows(&a, "Bearer 0123456789abcdef")));
    cr_assert(not(auth_allows(&a, "Bearer 0123456789abcdefY")));
    cr_assert(not(auth_allows(&a, "Bearer 0123456789abcdefXX")));
    cr_assert(not(auth_allows(&a, "Basic 0123456789abcdefX")));
    cr_assert(not(auth_allows(&a, "0123456789abcdefX")));
}

Test(auth, bad_files_are_refused)
{
    struct auth a = {0};
    struct fault f = {0};
    const char *good = "0123456789abcdefX";
    cr_assert(eq(int, load(&a, good, 0604, &f), SERIN_EDOM), "others can read");
    cr_assert(ne(ptr, strstr(f.text, "chmod 600"), NULL), "%s", f.text);
    cr_assert(eq(int, load(&a, good, 0620, &f), SERIN_EDOM), "the group can write");
    cr_assert(eq(int, load(&a, "short\n", 0600, &f), SERIN_EDOM));
    cr_assert(eq(int, load(&a, "", 0600, &f), SERIN_EDOM));
    cr_assert(eq(int, load(&a, "0123456789 0123456789", 0600, &f), SERIN_EDOM),
              "two words");
    cr_assert(eq(int, auth_load(&a, "/nonexistent/token", &f), SERIN_EDOM));
    cr_assert(eq(int, auth_load(&a, "/dev/null", &f), SERIN_EDOM), "no regular file");
    cr_assert(not(a.required), "untouched");
    char *large = malloc(AUTH_MAX + 2);
    memset(large, 'x', AUTH_MAX + 1);
    large[AUTH_MAX + 1] = '\0';
    cr_assert(eq(int, load(&a, large, 0600, &f), SERIN_EDOM));
    free(large);
}
