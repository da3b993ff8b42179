/* engine/follow/probe.h -- perform one external check: a signed POST, or a program */
#ifndef SERIN_ENGINE_FOLLOW_PROBE_H
#define SERIN_ENGINE_FOLLOW_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

struct probe_program {
    const char *name;
    const char **argv; /* n; argv[0] an absolute path */
    size_t n;
};

/* The owner's side: what plans may have asked from this machine. */
struct probe_policy {
    const char **urls; /* beginnings of addresses, each with the host's "/" */
    size_t n_urls;
    const char *secrets; /* folder of the keys that plans name; NULL = none */
    struct probe_program *programs;
    size_t n_programs;
};

/* A check of a plan, at one weight; texts are copies. */
struct probe {
    char rollout[132], check[132], service[264];
    char url[1032], secret_file[136], target[132]; /* url "": a program */
    uint64_t weight_seq;
    uint32_t step, weight_bp;
    int timeout_ms;
    unsigned retries;
};

struct probe_answer {
    const char *outcome; /* pass | fail | error */
    char message[160];
};

/** May plans call this address? */
bool probe_allowed(const struct probe_policy *p, const char *url);
/**
 * Perform it, with its retries: trouble is tried again, an answer is not. Blocks for
 * (retries + 1) * (timeout + 1 s) at most. Thread: any
 *
 * A webhook gets {"schema":"serin.check/1", "id", "rollout", "check", "step",
 * "weight_bp", "service"} and answers 200 with {"pass": true|false, "message": "…"};
 * whatever else it says is no answer. With a secret the header X-Serin-Signature is
 * "t=SECONDS,v1=HEX", HEX the HMAC-SHA-256 of "SECONDS." and the body. A program has
 * the same in SERIN_* and says pass by exit code 0, fail by 1; its last line is the
 * message.
 */
void probe_run(const struct probe_policy *policy, const struct probe *p,
               struct probe_answer *out);

#endif
