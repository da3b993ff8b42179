/* engine/base/status.h -- what can go wrong, and what the caller does next */
#ifndef SERIN_ENGINE_BASE_STATUS_H
#define SERIN_ENGINE_BASE_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#define SERIN_MUST_USE __attribute__((warn_unused_result))
#define SERIN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* clang-format off */
#define SERIN_STATUS_MAP(X)                                           \
    X(OK, "ok")                   X(AGAIN, "not enough evidence yet") \
    X(EDOM, "outside the domain") X(EPARSE, "undecodable record")     \
    X(ENOMEM, "out of memory")    X(EIO, "the outside refused")       \
    X(ELIMIT, "over a configured limit") X(ENOENT, "no such thing")   \
    X(ESTATE, "not possible in this state") X(ETIME, "time ran out")
#define X(name, text) SERIN_##name,
enum serin_status { SERIN_STATUS_MAP(X) SERIN_STATUS_COUNT };
#undef X
/* clang-format on */

/** Text of a status for people; never NULL, also for values outside the enum. */
const char *status_text(enum serin_status s);

/** What the loop does next, and what a person reads. Zero-initialise before use. */
struct fault {
    enum serin_status code;
    bool retriable; /* the same call may succeed later */
    bool rewind;    /* abort the transaction, restart from the last commit */
    bool fatal;     /* the handle is dead: rebuild it or exit non-zero */
    char text[480]; /* says what was found, what was expected and what to do */
};

/**
 * Fill *f (when not NULL) with code and a formatted text; the flags become false.
 * Returns code, so that `return fault_set(f, SERIN_EDOM, "…")` reads well.
 */
enum serin_status fault_set(struct fault *f, enum serin_status code, const char *fmt,
                            ...) SERIN_PRINTF(3, 4);

#endif
