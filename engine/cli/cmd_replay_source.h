/* engine/cli/cmd_replay_source.h -- what is replayed, from when to when, and how fast
 */
#ifndef SERIN_ENGINE_CLI_CMD_REPLAY_SOURCE_H
#define SERIN_ENGINE_CLI_CMD_REPLAY_SOURCE_H

#include "engine/cli/cli.h"
#include "engine/replay/feed.h"

/* clang-format off */
#define CMD_REPLAY_SOURCE_OPTIONS \
    {"format", 0, "NAME", "of --from: auto (default), serin (as of 'serin record'), " \
     "json, csv, hlog, prometheus (a range query's answer), influx, otlp_json"}, \
    {"columns", 0, "MAP", "of csv, hlog: time=ts,cohort=arm,metric=name,n=requests," \
     "bad=errors,attributes.zone=dc; =:TEXT for a constant; several times for csv"}, \
    {"between", 0, "FROM..TO", "only this stretch: times (ms, ISO 8601), or +DURATION " \
     "from the start; either may be left out. Of an inbox: verdicts of these times"}, \
    {"speed", 0, "FACTOR", "max (default), or by the times in it: 1x, 10x"}
/* clang-format on */

/** --format, --columns and --between; CLI_USAGE, told on stderr, for wrong words. */
int cmd_replay_source(const struct cli_verb *v, struct feed_options *o);

/** --between alone. */
int cmd_replay_between(const struct cli_verb *v, struct feed_range *r);

/* How fast; zero-initialise. */
struct cmd_replay_pace {
    double factor; /* stream time : wall time; 0: as fast as it goes */
    bool begun;
    int64_t first_ms, mono_ms; /* stream time and wall when it began */
};

/** --speed, and SIGINT and SIGTERM end the replay cleanly from now on: the first one;
 * the second one at once. CLI_USAGE as above. */
int cmd_replay_pace_open(const struct cli_verb *v, struct cmd_replay_pace *p);
/** Wait until this time of the stream is due. False: a signal came. */
bool cmd_replay_pace_wait(struct cmd_replay_pace *p, int64_t event_ms);

#endif
