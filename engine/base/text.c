/* engine/base/text.c */
#include "engine/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"

/* Room for n more bytes and the NUL. */
static bool grow(struct text *t, size_t n)
{
    size_t max = t->max != 0 ? t->max : TEXT_DEFAULT_MAX;
    if (t->failed) return false;
    if (n >= max || t->n > max - n - 1) return !(t->failed = true);
    size_t need = t->n + n + 1;
    if (need <= t->room) return true;
    size_t room = need > 2 * t->room ? need + 64 : 2 * t->room;
    char *p = mem_realloc(t->p, room, 1);
    if (p == NULL) return !(t->failed = true);
    t->p = p;
    t->room = room;
    return true;
}

void text_bytes(struct text *t, const char *p, size_t n)
{
    if (!grow(t, n)) return;
    if (n != 0) memcpy(t->p + t->n, p, n);
    t->n += n;
    t->p[t->n] = '\0';
}

void text_add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        t->failed = true;
        return;
    }
    if (!grow(t, (size_t)n)) return;
    va_start(ap, fmt);
    vsnprintf(t->p + t->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->n += (size_t)n;
}

void text_json(struct text *t, const char *s)
{
    if (s == NULL) {
        text_add(t, "null");
        return;
    }
    text_bytes(t, "\"", 1);
    for (; *s != '\0'; s++) {
        size_t plain = 0;
        while ((unsigned char)s[plain] >= 0x20 && s[plain] != '"' && s[plain] != '\\')
            plain++;
        text_bytes(t, s, plain);
        s += plain;
        if (*s == '\0') break;
        if (*s == '"' || *s == '\\')
            text_add(t, "\\%c", *s);
        else if (*s == '\n')
            text_add(t, "\\n");
        else
            text_add(t, "\\u%04x", (unsigned char)*s);
    }
    text_bytes(t, "\"", 1);
}

char *text_keep(const struct text *t, struct arena *a)
{
    return t->failed ? NULL : arena_copy(a, t->p, t->n);
}

void text_free(struct text *t)
{
    mem_free(t->p);
    *t = (struct text){.max = t->max};
}
