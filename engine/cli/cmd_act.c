/* engine/cli/cmd_act.c -- the verbs that act on a rollout: one body, one table */
#include <stdlib.h>
#include <string.h>

#include "engine/cli/command.h"
#include "engine/cli/show.h"

/* How a verb's second argument, or its option, is called in the request. */
struct extra {
    const char *verb, *member;
    bool required;
};

static const struct extra extras[] = {
    {"set-weight", "weight", true},
    {"extend", "by", true},
    {"approve", "gate", false},
    {"deny", "gate", false},
};

static const struct extra *extra_of(const char *verb)
{
    for (size_t i = 0; i < sizeof extras / sizeof *extras; i++)
        if (strcmp(extras[i].verb, verb) == 0) return &extras[i];
    return NULL;
}

static char *body_of(const struct extra *extra, const char *value)
{
    const char *reason = cli_get("reason");
    json_t *o = json_object();
    int bad = json_object_set_new(o, "actor", json_string(command_actor()));
    if (reason != NULL) bad |= json_object_set_new(o, "reason", json_string(reason));
    if (cli_get("override-freeze") != NULL)
        bad |= json_object_set_new(o, "override_freeze", json_true());
    if (value != NULL) bad |= json_object_set_new(o, extra->member, json_string(value));
    char *text = bad == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

static int act(const char *rollout, const char *verb, const char *body,
               enum output_format format)
{
    char tail[64];
    json_t *reply = NULL;
    snprintf(tail, sizeof tail, "/%s", verb);
    char *path = remote_path(rollout, tail);
    if (path == NULL) return cli_fail(CLI_UNREACHABLE, "out of memory");
    int code = command_post(path, "application/json", body, strlen(body), verb, rollout,
                            &reply);
    free(path);
    if (code != CLI_OK) return code;
    if (format != OUTPUT_TABLE) return output_json(format, reply, NULL);
    fprintf(stderr, "%s: ", verb);
    output_clean(stderr, output_text(reply, "message"));
    fputc('\n', stderr);
    const json_t *status = json_object_get(reply, "status");
    if (json_is_object(status)) show_line(stdout, status);
    json_decref(reply);
    return CLI_OK;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    enum output_format format;
    const struct extra *extra = extra_of(v->name);
    const char *value = n_args > 1 ? args[1] : NULL;
    int code = output_format(v, &format);
    if (code != CLI_OK) return code;
    if (value == NULL && extra != NULL) value = cli_get(extra->member);
    if (value == NULL && extra != NULL && extra->required)
        return cli_usage(v, "the %s is missing: %s", extra->member, v->arguments);
    char *body = body_of(extra, value);
    if (body == NULL)
        return cli_usage(v, "actor, reason and the other words must be UTF-8");
    code = act(args[0], v->name, body, format);
    free(body);
    return code;
}

static int run_with_reason(const struct cli_verb *v, char **args, int n_args)
{
    const char *reason = cli_get("reason");
    if (reason == NULL || *reason == '\0')
        return cli_usage(
            v, "--reason is missing; %s goes past the evidence, so say why", v->name);
    return run(v, args, n_args);
}

static const struct cli_option plain[] = {
    COMMAND_OPTIONS, OUTPUT_OPTIONS, REMOTE_OPTIONS, {0}};
static const struct cli_option frozen[] = {
    {"override-freeze", 0, NULL, "although the schedule is closed; needs --reason"},
    COMMAND_OPTIONS,
    OUTPUT_OPTIONS,
    REMOTE_OPTIONS,
    {0}};
static const struct cli_option gate[] = {
    {"gate", 0, "NAME", "which gate; not needed when only one is waiting"},
    COMMAND_OPTIONS,
    OUTPUT_OPTIONS,
    REMOTE_OPTIONS,
    {0}};
static const struct cli_option weight[] = {
    {"weight", 0, "PERCENT", "the weight, as the second argument"},
    COMMAND_OPTIONS,
    OUTPUT_OPTIONS,
    REMOTE_OPTIONS,
    {0}};
static const struct cli_option by[] = {
    {"by", 0, "DURATION", "how much longer, as the second argument"},
    COMMAND_OPTIONS,
    OUTPUT_OPTIONS,
    REMOTE_OPTIONS,
    {0}};

const struct cli_verb cmd_cancel = {
    "cancel", "R [options]", "Withdraw a rollout before its first weight.", plain, 1, 1,
    run};
const struct cli_verb cmd_hold = {
    "hold", "R [options]", "Hold a rollout until somebody resumes it.", plain, 1, 1,
    run};
const struct cli_verb cmd_resume = {
    "resume", "R [options]", "Go on after a hold, or in a freeze.", frozen, 1, 1, run};
const struct cli_verb cmd_promote = {"promote",
                                     "R --reason TEXT [options]",
                                     "Go to the next step without more evidence.",
                                     frozen,
                                     1,
                                     1,
                                     run_with_reason};
const struct cli_verb cmd_abort = {"abort",
                                   "R [options]",
                                   "Send all traffic back to the baseline, for good.",
                                   plain,
                                   1,
                                   1,
                                   run};
const struct cli_verb cmd_set_weight = {"set-weight",
                                        "R PERCENT --reason TEXT [options]",
                                        "Command a weight.",
                                        weight,
                                        1,
                                        2,
                                        run_with_reason};
const struct cli_verb cmd_approve = {
    "approve", "R [GATE] [options]", "Approve a gate.", gate, 1, 2, run};
const struct cli_verb cmd_deny = {
    "deny", "R [GATE] [options]", "Deny a gate.", gate, 1, 2, run};
const struct cli_verb cmd_retry = {
    "retry", "R [options]", "Judge the step again with new evidence.", plain, 1, 1,
    run};
const struct cli_verb cmd_extend = {
    "extend", "R DURATION [options]", "Give the step more time.", by, 1, 2, run};
