/* engine/cli/command.c */
#include "engine/cli/command.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

const char *command_actor(void)
{
    static const char *const names[] = {"SERIN_ACTOR", "USER", "LOGNAME"};
    static char uid[32];
    const char *actor = cli_get("actor");
    if (actor != NULL && *actor != '\0') return actor;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        actor = getenv(names[i]);
        if (actor != NULL && *actor != '\0') return actor;
    }
    const struct passwd *account = getpwuid(getuid());
    if (account != NULL) return account->pw_name;
    snprintf(uid, sizeof uid, "uid:%u", (unsigned)getuid());
    return uid;
}

static int tell_plan_errors(const json_t *errors)
{
    size_t i;
    json_t *e;
    json_array_foreach(errors, i, e)
    {
        fprintf(stderr, "plan:%lld:%lld: ", (long long)output_int(e, "line"),
                (long long)output_int(e, "column"));
        output_clean(stderr, output_text(e, "message"));
        fputc('\n', stderr);
    }
    return CLI_USAGE;
}

int command_post(const char *path, const char *type, const char *body, size_t n,
                 const char *verb, const char *rollout, json_t **reply)
{
    char why[512];
    struct remote_request q = {
        .method = "POST", .path = path, .type = type, .body = body, .n = n};
    struct remote_reply r;
    int code = remote_call(&q, &r, why);
    if (code != CLI_OK) return cli_fail(code, "%s", why);
    code = remote_code(&r);
    if (r.status == 202)
        code = cli_fail(CLI_TIMEOUT,
                        "%s of %s is written but not decided yet (is a decision stage "
                        "running?); 'serin status %s' shows what came of it",
                        verb, rollout, rollout);
    else if (r.status == 409)
        code = cli_fail(CLI_USAGE, "%s of %s was refused: %s", verb, rollout,
                        remote_message(&r));
    else if (code != CLI_OK)
        cli_fail((enum cli_exit)code, "%s of %s: %s", verb, rollout,
                 remote_message(&r));
    if (r.status == 422) tell_plan_errors(json_object_get(r.json, "errors"));
    if (code == CLI_OK && reply != NULL) *reply = json_incref(r.json);
    remote_reply_free(&r);
    return code;
}
