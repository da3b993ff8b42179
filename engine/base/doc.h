/* engine/base/doc.h -- a YAML (or JSON) text as a tree that remembers lines and
 * columns, and the errors found in it, all of them */
#ifndef SERIN_ENGINE_BASE_DOC_H
#define SERIN_ENGINE_BASE_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/status.h"

enum doc_type { DOC_SCALAR, DOC_LIST, DOC_MAP };

/* Limits of one document. */
enum { DOC_MAX_BYTES = 256 * 1024, DOC_MAX_DEPTH = 32, DOC_MAX_KEYS = 1000 };

struct doc_node {
    enum doc_type type;
    unsigned line, column;   /* 1-based, in characters, of its first one */
    const char *text;        /* scalar; no NUL inside */
    bool quoted;             /* scalar written with quotes: a string, never a number */
    struct doc_node **items; /* list items, or map values */
    struct doc_node **keys;  /* map keys (scalars), same order as items */
    size_t n;
};

struct doc_error {
    unsigned line, column;
    char text[240];
};

/* Zero-initialise. Lives in an arena; keeps at most DOC_MAX_ERRORS in the order of
 * their places in the text, counts all. */
enum { DOC_MAX_ERRORS = 100 };
struct doc_errors {
    struct arena *arena; /* NULL: doc_parse puts its own here */
    struct doc_error *items;
    size_t n, total;
};

/**
 * Parse one document, UTF-8. Aliases, anchors and tags are refused, so are more than
 * DOC_MAX_BYTES, nesting past DOC_MAX_DEPTH, duplicate keys and keys that are no
 * scalars. out    the tree; with SERIN_EPARSE it is still given when the text could be
 * read to its end (a repeated key: the first one is kept), so that the caller can look
 * for more errors; else NULL Errors: SERIN_EPARSE with entries in *errors, SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status doc_parse(struct arena *a, const char *text, size_t n,
                            struct doc_node **out, struct doc_errors *errors);
/** Value of a key of a map; NULL when absent or not a map (NULL included). */
struct doc_node *doc_get(const struct doc_node *map, const char *key);
/** Note an error at a node (NULL: at 1:1). errors->arena must be set. */
void doc_error_add(struct doc_errors *e, const struct doc_node *at, const char *fmt,
                   ...) SERIN_PRINTF(3, 4);
/** Is there an error at exactly this node's place? */
bool doc_error_at(const struct doc_errors *e, const struct doc_node *at);
/**
 * All errors as people read them, each "file:line:col: message", the line and a caret;
 * in the arena, NUL-terminated; "" when there are none. text is what was parsed.
 */
const char *doc_errors_format(const struct doc_errors *e, const char *file,
                              const char *text, size_t n);

#endif
