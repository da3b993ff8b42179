/* engine/cli/command.h -- send one command to the engine and tell its outcome */
#ifndef SERIN_ENGINE_CLI_COMMAND_H
#define SERIN_ENGINE_CLI_COMMAND_H

#include "engine/cli/output.h"
#include "engine/cli/remote.h"

#define COMMAND_OPTIONS                                                                \
    {"actor", 0, "NAME", "who acts (default: SERIN_ACTOR, or the user's name)"},       \
    {                                                                                  \
        "reason", 'r', "TEXT", "why; recorded with the command"                        \
    }

/** --actor, SERIN_ACTOR, USER, or the account's name; never NULL. */
const char *command_actor(void);
/**
 * POST body to path. *reply (may be NULL) receives the answer of an accepted command, a
 * new reference. Returns the exit code; refusals and errors are told on stderr.
 * verb, rollout  for the messages
 */
int command_post(const char *path, const char *type, const char *body, size_t n,
                 const char *verb, const char *rollout, json_t **reply);

#endif
