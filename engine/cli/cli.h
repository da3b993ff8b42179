/* engine/cli/cli.h -- verbs, their options, and how the program ends */
#ifndef SERIN_ENGINE_CLI_CLI_H
#define SERIN_ENGINE_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/status.h"

/* Exit codes; the same everywhere (DESIGN: those of `wait`). */
enum cli_exit {
    CLI_OK = 0, /* done; promoted */
    CLI_ABORTED = 1,
    CLI_USAGE = 2, /* wrong words, bad plan, bad file */
    CLI_TIMEOUT = 3,
    CLI_HELD = 4,
    CLI_UNREACHABLE = 5,
    CLI_NO_DIFFERENCE = 6, /* an experiment's result */
};

struct cli_option {
    const char *name;  /* without "--" */
    char letter;       /* 0 = none */
    const char *value; /* placeholder; NULL = a switch */
    const char *help;
};

struct cli_verb {
    const char *name, *arguments, *summary; /* "R [options]", one line */
    const struct cli_option *options;       /* ends with name == NULL; NULL = none */
    int min_args, max_args;                 /* positional; max < 0 = any */
    int (*run)(const struct cli_verb *v, char **args, int n_args);
};

/** Value of an option given on the command line, else NULL ("" for a switch). */
const char *cli_get(const char *option);
/** All values of an option given several times; returns how many. */
size_t cli_get_all(const char *option, const char **out, size_t room);
/** "serin VERB: message" on stderr, plus where to look; returns CLI_USAGE. */
int cli_usage(const struct cli_verb *v, const char *fmt, ...) SERIN_PRINTF(2, 3);
/** "serin: message" on stderr; returns code. */
int cli_fail(enum cli_exit code, const char *fmt, ...) SERIN_PRINTF(2, 3);
/** Colour is wanted on stdout: a terminal and no NO_COLOR. */
bool cli_colour(void);

/* Every verb, once; the table in main.c, help and completion come from it. */
/* clang-format off */
#define CLI_VERBS(X) \
    X(run) \
    X(demo) \
    X(apply) \
    X(cancel) \
    X(list) \
    X(fleet) \
    X(status) \
    X(get) \
    X(wait) \
    X(explain) \
    X(history) \
    X(hold) \
    X(resume) \
    X(promote) \
    X(abort) \
    X(set_weight) \
    X(approve) \
    X(deny) \
    X(retry) \
    X(extend) \
    X(quarantine) \
    X(top) \
    X(input) \
    X(lint) \
    X(plan) \
    X(schema) \
    X(topics) \
    X(completion) \
    X(actuate) \
    X(notify) \
    X(notes) \
    X(audit) \
    X(record) \
    X(replay) \
    X(recording) \
    X(report) \
    X(selftest) \
    X(tune) \
    X(version)
#define X(name) extern const struct cli_verb cmd_##name;
CLI_VERBS(X)
#undef X
extern const struct cli_verb *const cli_verbs[]; /* ends with NULL */
/* clang-format on */

#endif
