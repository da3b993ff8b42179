/* engine/base/log.c */
#include "engine/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"

static struct {
    enum log_level least;
    bool json;
} settings = {LOG_INFO_LEVEL, false};

void log_setup(enum log_level least, bool json)
{
    settings.least = least;
    settings.json = json;
}

/* Both formats quote alike: backslash, quote and control characters escaped. */
static void quote(char *out, size_t room, const char *text)
{
    size_t at = 0;
    for (; *text != '\0' && at + 8 < room; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            out[at++] = '\\';
            out[at++] = (char)c;
        } else if (c < 0x20) {
            at += (size_t)snprintf(out + at, room - at, "\\u%04x", c);
        } else {
            out[at++] = (char)c;
        }
    }
    out[at] = '\0';
}

void log_write(enum log_level level, const char *component, const char *fmt, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char text[1024], quoted[1536], line[2048], when[32];
    if (level < settings.least) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    quote(quoted, sizeof quoted, text);
    int64_t ms = clock_wall_ms();
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    const char *shape =
        settings.json ? "{\"ts\":\"%s.%03dZ\",\"level\":\"%s\",\"component\":\"%s\","
                        "\"msg\":\"%s\"}\n"
                      : "ts=%s.%03dZ level=%s component=%s msg=\"%s\"\n";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int n = snprintf(line, sizeof line, shape, when, (int)(ms % 1000), names[level],
                     component, quoted);
#pragma GCC diagnostic pop
    if (n > (int)sizeof line - 1) n = (int)sizeof line - 1;
    if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0) return;
}
