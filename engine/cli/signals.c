/* engine/cli/signals.c */
#include "engine/cli/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"

static bool asked;
static const char *last_words;
static int last_code;

static sigset_t both(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

void signals_hold(void)
{
    sigset_t set = both();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

bool signals_pause(void *unused, int64_t ms)
{
    (void)unused;
    sigset_t set = both();
    int64_t until = clock_mono_ms() + ms, left = ms;
    while (!asked && left >= 0) {
        struct timespec wait = {left / 1000, left % 1000 * 1000000};
        if (sigtimedwait(&set, NULL, &wait) > 0) {
            asked = true;
            pthread_sigmask(SIG_UNBLOCK, &set,
                            NULL); /* their default action: the end */
        } else if (errno != EINTR) {
            break;
        }
        left = until - clock_mono_ms();
    }
    return asked;
}

static void on_alarm(int number)
{
    (void)number;
    if (write(STDERR_FILENO, last_words, strlen(last_words)) < 0) _exit(last_code);
    _exit(last_code);
}

void signals_end_within(unsigned seconds, const char *text, int code)
{
    struct sigaction act = {.sa_handler = on_alarm};
    last_words = text;
    last_code = code;
    sigaction(SIGALRM, &act, NULL);
    alarm(seconds);
}
