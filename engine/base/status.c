/* engine/base/status.c */
#include "engine/base/status.h"

#include <stdarg.h>
#include <stdio.h>

const char *status_text(enum serin_status s)
{
#define X(name, text) text,
    static const char *const texts[] = {SERIN_STATUS_MAP(X)};
#undef X
    return (unsigned)s < SERIN_STATUS_COUNT ? texts[s] : "unknown status";
}

enum serin_status fault_set(struct fault *f, enum serin_status code, const char *fmt,
                            ...)
{
    if (f == NULL) return code;
    *f = (struct fault){.code = code};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->text, sizeof f->text, fmt, ap);
    va_end(ap);
    return code;
}
