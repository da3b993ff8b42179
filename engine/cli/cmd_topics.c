/* engine/cli/cmd_topics.c -- make and verify serin's own topics */
#include <stdio.h>
#include <string.h>

#include "engine/bus/topics.h"
#include "engine/cli/client.h"

enum { WAIT_MS = 15000 };

/* How a refusal of the bus ends the program. */
static int exit_of(const struct fault *f)
{
    if (f->code == SERIN_EDOM || f->code == SERIN_ESTATE) return CLI_USAGE;
    return CLI_UNREACHABLE;
}

static int check(struct bus *b)
{
    struct topics_finding found[BUS_TOPIC_COUNT];
    struct fault f = {0};
    enum serin_status s = topics_check(b, found, WAIT_MS, &f);
    if (s != SERIN_OK && s != SERIN_ESTATE) return cli_fail(exit_of(&f), "%s", f.text);
    for (int t = 0; t < BUS_TOPIC_COUNT; t++)
        printf("%-7s %s: %s\n",
               found[t].ok        ? "ok"
               : found[t].missing ? "missing"
                                  : "wrong",
               found[t].topic, found[t].text);
    return s == SERIN_OK ? CLI_OK : CLI_USAGE;
}

static int create(struct bus *b)
{
    struct fault f = {0};
    enum serin_status s = topics_create(b, NULL, WAIT_MS, &f);
    if (s != SERIN_OK) return cli_fail(exit_of(&f), "%s", f.text);
    return check(b); /* what exists is kept, so it may be wrong */
}

static int with_config(const struct config *c, bool make)
{
    struct fault f = {0};
    struct bus *b = NULL;
    struct bus_options o = config_bus(c);
    if (bus_open(&b, &o, &f) != SERIN_OK) return cli_fail(exit_of(&f), "%s", f.text);
    int code = make ? create(b) : check(b);
    bus_close(b);
    return code;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    struct config c = {0};
    (void)n_args;
    bool make = strcmp(args[0], "create") == 0;
    if (!make && strcmp(args[0], "check") != 0)
        return cli_usage(v, "\"%s\": expected create or check", args[0]);
    int code = client_config(v, &c);
    if (code == CLI_OK) code = with_config(&c, make);
    config_free(&c);
    return code;
}

static const struct cli_option options[] = {
    {"config", 'c', "FILE", "the engine's serin.yaml (brokers, prefix, partitions)"},
    {"brokers", 'b', "LIST", "HOST:PORT,... instead of the file's bootstrap.servers"},
    {0}};

const struct cli_verb cmd_topics = {"topics",
                                    "create|check [options]",
                                    "Create serin's topics, or check their settings.",
                                    options,
                                    1,
                                    1,
                                    run};
