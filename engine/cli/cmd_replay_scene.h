/* engine/cli/cmd_replay_scene.h -- --inject, --at-weight and --seed of serin replay */
#ifndef SERIN_ENGINE_CLI_CMD_REPLAY_SCENE_H
#define SERIN_ENGINE_CLI_CMD_REPLAY_SCENE_H

#include "engine/cli/cli.h"
#include "engine/replay/feed.h"
#include "engine/replay/scene/scene.h"

/* "as-recorded" or "commanded"; CLI_USAGE, told on stderr, for another word. */
int cmd_replay_scene_commanded(const struct cli_verb *v, bool *out);
/**
 * The scene that the options ask for, as o's change; *out NULL where they ask for
 * none. A file is read once for its times. CLI_OK, or told on stderr.
 */
int cmd_replay_scene_open(const struct cli_verb *v, struct feed_options *o,
                          bool commanded, struct scene **out);
/** Why it ended the replay; what is given where it did not. */
const char *cmd_replay_scene_why(const struct scene *s, const char *other);
/** CLI_OK, or CLI_USAGE, told, where an injection came too late to do anything. */
int cmd_replay_scene_end(struct scene *s, const struct feed_report *r);
/** What was changed, and what was not simulated; s may be NULL. */
void cmd_replay_scene_tell(const struct scene *s, bool commanded);

#endif
