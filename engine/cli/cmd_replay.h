/* engine/cli/cmd_replay.h -- what the two ways to judge again share */
#ifndef SERIN_ENGINE_CLI_CMD_REPLAY_H
#define SERIN_ENGINE_CLI_CMD_REPLAY_H

#include "engine/cli/cli.h"
#include "proto/messages.h"

enum cmd_replay_format { CMD_REPLAY_TABLE, CMD_REPLAY_JSONL, CMD_REPLAY_JSON };

/* Verdicts as they come. */
struct cmd_replay_print {
    enum cmd_replay_format format;
    bool raw;    /* a line a verdict: its id and the digest of its bytes */
    bool ranged; /* of an inbox: only verdicts of [from_ms, to_ms) */
    int64_t from_ms, to_ms;
    size_t n;
};

/** -o and --raw; CLI_USAGE, told on stderr, for another word. */
int cmd_replay_print_open(const struct cli_verb *v, struct cmd_replay_print *out);
/** CLI_OK, or what it ends with when memory is out. */
int cmd_replay_print(struct cmd_replay_print *p, const pb_verdict *v,
                     struct bytes bytes);
void cmd_replay_print_close(const struct cmd_replay_print *p);

/** The recording of metrics that --from names, by the plan of --plan. */
int cmd_replay_from(const struct cli_verb *v, const struct cmd_replay_print *p);

#endif
