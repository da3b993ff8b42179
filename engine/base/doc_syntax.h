/* engine/base/doc_syntax.h -- what libyaml finds, in the words of a plan's author; of
 * doc.c only */
#ifndef SERIN_ENGINE_BASE_DOC_SYNTAX_H
#define SERIN_ENGINE_BASE_DOC_SYNTAX_H

#include <stdbool.h>

struct doc_syntax {
    const char *text;
    bool at_context; /* the mistake is where the context began */
    bool opened;     /* tell in which line that was */
};

/**
 * problem, context  libyaml's, NULL = none
 * rest              the line from the problem on, not NUL-terminated, n bytes
 * starts            nothing but spaces is before it in its line
 * NULL: libyaml's own words have to do.
 */
const struct doc_syntax *doc_syntax_find(const char *problem, const char *context,
                                         bool starts, const char *rest,
                                         unsigned long n);

#endif
