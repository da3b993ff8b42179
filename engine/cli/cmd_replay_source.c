/* engine/cli/cmd_replay_source.c */
#include "engine/cli/cmd_replay_source.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/strview.h"
#include "engine/replay/source/moment.h"

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

/* ---------------------------------------------------------------- what */

/* One end of a range; relative: "+5m". */
static bool end_of(struct strview s, bool *given, bool *relative, int64_t *ms)
{
    *given = s.n != 0;
    *relative = s.n != 0 && s.p[0] == '+';
    if (s.n == 0) return true;
    if (!*relative) return moment_parse(s, ms);
    return strview_duration_ms((struct strview){s.p + 1, s.n - 1}, ms);
}

int cmd_replay_between(const struct cli_verb *v, struct feed_range *r)
{
    bool first, second;
    const char *text = cli_get("between"),
               *dots = text != NULL ? strstr(text, "..") : NULL;
    if (text == NULL) return CLI_OK;
    if (dots == NULL ||
        !end_of((struct strview){text, (size_t)(dots - text)}, &r->since, &first,
                &r->from_ms) ||
        !end_of(strview_of(dots + 2), &r->until, &second, &r->to_ms))
        return cli_usage(v,
                         "--between %s: expected FROM..TO, each a time (%s), or "
                         "+DURATION from the start such as +5m",
                         text, MOMENT_EXPECTED);
    if (r->since && r->until && first != second)
        return cli_usage(
            v, "--between %s: expected both as times, or both as +DURATION", text);
    r->after_start = first || second;
    if (r->since && r->until && r->from_ms >= r->to_ms)
        return cli_usage(v, "--between %s: empty: it ends before it begins", text);
    return CLI_OK;
}

int cmd_replay_source(const struct cli_verb *v, struct feed_options *o)
{
    const char *format = cli_get("format");
    const char *maps[SOURCE_MAPS + 1];
    size_t n = cli_get_all("columns", maps, SOURCE_MAPS + 1);
    if (format != NULL && !source_parse(format, &o->format.kind))
        return cli_usage(v, "--format %s: expected " SOURCE_EXPECTED, format);
    if (n > SOURCE_MAPS)
        return cli_usage(v, "--columns: at most %d times", SOURCE_MAPS);
    for (size_t i = 0; i < n; i++)
        o->format.maps[i] = maps[i];
    o->format.n_maps = n;
    return cmd_replay_between(v, &o->range);
}

/* ---------------------------------------------------------------- how fast */

int cmd_replay_pace_open(const struct cli_verb *v, struct cmd_replay_pace *p)
{
    const char *text = cli_get("speed");
    const struct sigaction act = {.sa_handler = on_signal,
                                  .sa_flags = (int)SA_RESETHAND};
    char *end = NULL;
    if (text != NULL && strcmp(text, "max") != 0) {
        p->factor = strtod(text, &end);
        if (end == text || strcmp(end, "x") != 0 || !(p->factor >= 1e-3) ||
            !(p->factor <= 1e9))
            return cli_usage(v, "--speed %s: expected max, or a factor such as 1x, 10x",
                             text);
    }
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    return CLI_OK;
}

bool cmd_replay_pace_wait(struct cmd_replay_pace *p, int64_t event_ms)
{
    int64_t now = clock_mono_ms();
    if (!p->begun) {
        p->begun = true;
        p->first_ms = event_ms;
        p->mono_ms = now;
    }
    while (!stop && p->factor > 0) {
        double due = (double)(event_ms - p->first_ms) / p->factor;
        int64_t left = p->mono_ms + (int64_t)due - clock_mono_ms();
        if (left <= 0) break;
        clock_sleep_ms(left < 1000 ? left : 1000);
    }
    return !stop;
}
