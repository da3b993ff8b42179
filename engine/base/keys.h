/* engine/base/keys.h -- one table of keys makes the parser, the checks, the defaults
 * and the JSON Schema of a configuration file */
#ifndef SERIN_ENGINE_BASE_KEYS_H
#define SERIN_ENGINE_BASE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/doc.h"
#include "engine/base/status.h"

/* What may be written, and what the C field holds. */
enum keys_type {
    KEYS_TEXT,   /* const char *; max = bytes */
    KEYS_ID,     /* const char *, [a-z0-9][a-z0-9._-]{0,127} */
    KEYS_COUNT,  /* uint64_t, a whole number */
    KEYS_NUMBER, /* double */
    KEYS_SHARE,  /* double: 0.05 or "5%" */
    KEYS_WEIGHT, /* uint32_t basis points: "5%" or "0.05%"; min, max in basis points */
    KEYS_ODDS,   /* double, an odds ratio: 1.2, or "5%" for 1.05 */
    KEYS_DURATION, /* int64_t ms: "200ms", "10s", "5m", "2h", "1d"; min, max in ms */
    KEYS_BYTES,    /* uint64_t: 1048576, "64KiB", "4MiB", "1GiB" */
    KEYS_TIME,     /* int64_t ms since the epoch: RFC 3339, to the minute, or a date */
    KEYS_BOOL,     /* bool */
    KEYS_ENUM,     /* int (a C enum): index into choices */
    KEYS_TEXTS,    /* const char ** and size_t: a list of texts, or one text */
    KEYS_PAIRS, /* array of two const char * (name, value) and size_t: map of scalars */
    KEYS_SECTION, /* a map; its keys' offsets count from the same struct */
    KEYS_LIST,    /* array of sub->size bytes and size_t: a list of maps */
    KEYS_TABLE,   /* as KEYS_LIST, from a map of names to maps; name_at gets the name */
    KEYS_ANY,     /* const struct doc_node *: checked by whoever reads it */
    KEYS_NTYPES
};

struct keys_table;

/* Two neighbours with one name are alternatives, chosen by what is written (scalar,
 * list or map). */
struct keys_key {
    const char *name;
    enum keys_type type;
    size_t offset;
    const char
        *fallback; /* the default, as one would write it; NULL: field left zeroed */
    double min,
        max; /* inclusive; of a list or map: how many; of texts: bytes of each */
    const char *unit, *doc;
    bool required;
    const char *word;           /* a word that stands for 0: "auto", "skip" */
    const char *const *choices; /* KEYS_ENUM; ends with NULL */
    size_t count_at;            /* offset of the size_t of an array */
    size_t name_at;             /* KEYS_TABLE: offset of const char * in the item */
    const char *schema; /* KEYS_ANY: members of its JSON Schema; NULL: anything */
    const struct keys_table *sub; /* KEYS_SECTION, KEYS_LIST, KEYS_TABLE */
};

struct keys_table {
    const struct keys_key *keys;
    size_t n;    /* at most KEYS_MAX */
    size_t size; /* of the struct that the offsets count from */
};
enum { KEYS_MAX = 64 };
/* A table's initialiser, from its array of keys and the struct they fill. */
#define KEYS_OF(keys_, type_)                                                          \
    {                                                                                  \
        keys_, sizeof(keys_) / sizeof *(keys_), sizeof(type_)                          \
    }

/* name, type, offset, default, min, max, unit, doc, then what else is set by name */
#define KEYS_KEY(n_, t_, o_, d_, lo_, hi_, u_, doc_, ...)                              \
    {                                                                                  \
        .name = n_, .type = t_, .offset = o_, .fallback = d_, .min = lo_, .max = hi_,  \
        .unit = u_, .doc = doc_, __VA_ARGS__                                           \
    }

/**
 * Fill *out (zeroed, of t->size bytes) from a map: defaults first, then what is
 * written. Every problem is noted in *errors, at its place; a field with a problem
 * keeps its default, so that later checks can go on. Texts point into the document.
 * Errors: SERIN_ENOMEM only; problems do not make the call fail.
 */
SERIN_MUST_USE
enum serin_status keys_read(struct arena *a, const struct keys_table *t,
                            const struct doc_node *map, void *out,
                            struct doc_errors *errors);
/**
 * JSON Schema (draft 2020-12) of a table, in the arena, NUL-terminated.
 * Errors: SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status keys_schema(struct arena *a, const struct keys_table *t,
                              const char *title, const char *doc, const char **out);
enum { KEYS_HINT = 96 };
/**
 * "; did you mean \"WORD\"?" with the nearest of the words (ends with NULL) to what was
 * written, "" when none is near; written to out and returned. Compares at most 64
 * bytes.
 */
const char *keys_hint(const char *written, const char *const *words,
                      char out[KEYS_HINT]);

#endif
