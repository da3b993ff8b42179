/* engine/cli/tapes.h -- the plan and the recordings that selftest and tune play */
#ifndef SERIN_ENGINE_CLI_TAPES_H
#define SERIN_ENGINE_CLI_TAPES_H

#include "engine/cli/output.h"
#include "engine/replay/tune/deck.h"

enum { TAPES_MAX = 128, TAPES_RUNS = 100000 };

/* Options of both verbs. */
#define TAPES_OPTIONS                                                                  \
    {"plan", 0, "FILE", "the plan (YAML); - is standard input"},                       \
        {"from", 0, "FILE",                                                            \
         "recorded metrics; several times, or further files as arguments"},            \
        {"format", 0, "FORMAT", SOURCE_EXPECTED},                                      \
        {"columns", 0, "MAP", "which columns of a table are what, as of replay"},      \
        {"between", 0, "FROM..TO", "only this stretch of them, as of replay"},         \
        {"rollout", 0, "R", "of the rollouts that records name, this one"},            \
        {"by", 0, "KEY",                                                               \
         "attribute of what stays together (pod, tenant, user); stratum: what "        \
         "records "                                                                    \
         "name as such"},                                                              \
        {"seed", 0, "S", "of all that is random; default 1"},                          \
        {"threads", 0, "N", "default: as many as there are cores"},                    \
    {                                                                                  \
        "max-lag", 0, "DURATION", "of the engine's configuration; default 60s"         \
    }

struct tapes {
    enum output_format output;
    struct arena arena;
    const char *path, *text; /* of the plan */
    struct plan *plan;
    const struct tape *tapes[TAPES_MAX];
    struct feed_options sources[TAPES_MAX];
    size_t n;
    struct feed_options like; /* how they are read; no path */
    const char *by;           /* "": none */
    uint64_t seed;
    unsigned threads; /* 0: as many as cores */
    int64_t max_lag_ms;
};

/** Read -o, the plan and all recordings that the command line names; tapes_close
 * whatever it returns. CLI_OK or CLI_USAGE, told on stderr. */
int tapes_open(const struct cli_verb *v, char **args, int n_args, struct tapes *out);
/** One more of the kind; the caller closes it. CLI_USAGE, told on stderr. */
int tapes_read(const struct tapes *t, const char *path, struct tape **out);
/** What both verbs ask for, --runs and --share among it; CLI_USAGE, told on stderr. */
int tapes_asked(const struct cli_verb *v, const struct tapes *t, uint64_t least_runs,
                uint64_t usual_runs, struct deck_options *out);
void tapes_close(struct tapes *t);
/** "0.31 %", "12 %" */
const char *tapes_percent(char out[32], double share);

#endif
