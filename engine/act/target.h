/* engine/act/target.h -- one rollout's traffic: a thread that keeps a proxy at the
 * weight that may be in force
 *
 * A proxy that hangs holds up nobody but its own thread. */
#ifndef SERIN_ENGINE_ACT_TARGET_H
#define SERIN_ENGINE_ACT_TARGET_H

#include "engine/act/driver.h"
#include "engine/act/lease.h"
#include "engine/core/plan.h"

/* What there is to tell the engine: becomes an Ack in the inbox. */
struct target_report {
    struct target_report *next;
    char rollout[132], verdict_id[160], error[256]; /* "" = it is in force */
    char name[PLAN_TARGET_NAME];                    /* as in target_options */
    uint32_t applied_bp;                            /* as read back */
};

struct target_options {
    const char *name; /* as the plan names it; "" where it does not. Is copied */
    int64_t lease_ms, check_ms; /* check: between two looks at what is in force */
    bool dry_run;               /* say on standard output what would be done */
    /** Takes the report over (mem_free). Called on the target's thread. */
    void (*report)(void *ctx, struct target_report *r);
    void *ctx;
};

struct target;

/**
 * Take care of a rollout. settings must live until target_close, the rest is copied.
 * Errors: as driver.open; SERIN_EIO (no thread).
 */
SERIN_MUST_USE
enum serin_status target_open(struct target **out, const char *rollout,
                              const struct driver *d, const void *settings,
                              const struct target_options *o, struct fault *f);
/** Waits for a call that is under way (DRIVER_TIMEOUT_MS). What is in force stays. */
void target_close(struct target *t);
/* What the engine says beside the word. */
struct target_more {
    const char *const *audience; /* n_audience */
    size_t n_audience;
    uint32_t mirror_bp;
};
/** The engine spoke; times on clock_mono_ms. Thread: any. */
void target_hear(struct target *t, const struct lease_word *w,
                 const struct target_more *m, int64_t said_ms);
/** A report did not get through: set it again and say so again. Thread: any */
void target_again(struct target *t);
/** It has a final verdict and that is in force: it may be closed. */
bool target_done(struct target *t);
const char *target_place(const struct target *t);

#endif
