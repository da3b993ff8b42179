/* engine/notify/message.c */
#include "engine/notify/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* clang-format off */
static const char *const names[] = {
    "title", "status", "severity", "rollout", "service", "owner", "verdict", "reason",
    "metric", "message", "state", "weight", "id", "actor", "time", "release_notes",
    "rollback_plan", "key", "how", NULL};
/* clang-format on */

const char *message_time(int64_t ms, char out[MESSAGE_TIME])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    if (gmtime_r(&s, &tm) == NULL) {
        out[0] = '\0';
        return out;
    }
    size_t n = strftime(out, MESSAGE_TIME, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, MESSAGE_TIME - n, ".%03dZ", (int)(ms % 1000));
    return out;
}

const char *message_title(const struct incident_event *e, char out[MESSAGE_TITLE])
{
    const struct incident *i = &e->what;
    char text[MESSAGE_TITLE + INCIDENT_TEXT + 256];
    snprintf(text, sizeof text, "%s%s%s%s (%s): %s",
             e->firing ? "" : "resolved: ", i->verdict, *i->rollout != '\0' ? " " : "",
             i->rollout, i->reason, e->firing ? i->message : e->how);
    incident_text(out, MESSAGE_TITLE, text, false);
    return out;
}

/* The value of a placeholder; room is for those that are no text of the incident. */
static const char *value(const struct incident_event *e, const char *name, size_t n,
                         char room[MESSAGE_TITLE])
{
    const struct incident *i = &e->what;
    const struct {
        const char *name, *text;
    } texts[] = {
        {"status", e->firing ? "firing" : "resolved"},
        {"severity", receiver_severity(i->severity)},
        {"rollout", i->rollout},
        {"service", i->service},
        {"owner", i->owner},
        {"verdict", i->verdict},
        {"reason", i->reason},
        {"metric", i->metric},
        {"message", i->message},
        {"state", i->state},
        {"id", i->id},
        {"actor", i->actor},
        {"release_notes", i->release_notes},
        {"rollback_plan", i->rollback_plan},
        {"key", i->key},
        {"how", e->how},
    };
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        if (strlen(texts[k].name) == n && strncmp(texts[k].name, name, n) == 0)
            return texts[k].text;
    if (strncmp(name, "title", n) == 0) return message_title(e, room);
    if (strncmp(name, "time", n) == 0)
        return message_time(e->firing ? i->t_ms : e->ended_ms, room);
    snprintf(room, MESSAGE_TITLE, "%g %%", i->weight_bp / 100.0);
    return room;
}

bool message_template_ok(const char *template_, char why[MESSAGE_WHY])
{
    for (const char *p = template_; (p = strchr(p, '{')) != NULL;) {
        char name[64], hint[KEYS_HINT];
        size_t n = strcspn(++p, "}");
        if (*p == '{') {
            p++;
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)(n < 40 ? n : 40), p);
        if (p[n] == '\0') {
            snprintf(why, MESSAGE_WHY, "\"{%s\" is not closed; write {{ for a brace",
                     name);
            return false;
        }
        size_t k = 0;
        while (names[k] != NULL && strcmp(names[k], name) != 0)
            k++;
        if (names[k] == NULL) {
            snprintf(why, MESSAGE_WHY, "no placeholder {%s}%s", name,
                     keys_hint(name, names, hint));
            return false;
        }
        p += n;
    }
    return true;
}

static void by_template(const struct incident_event *e, const char *template_,
                        struct text *out)
{
    char room[MESSAGE_TITLE];
    for (const char *p = template_; *p != '\0';) {
        size_t plain = strcspn(p, "{");
        text_bytes(out, p, plain);
        p += plain;
        if (*p == '\0') break;
        if (*++p == '{') {
            text_bytes(out, p++, 1);
            continue;
        }
        size_t n = strcspn(p, "}");
        text_add(out, "%s", value(e, p, n, room));
        p += n + (p[n] != '\0');
    }
}

static void line(struct text *out, const char *name, const char *text)
{
    if (*text != '\0') text_add(out, "%s: %s\n", name, text);
}

static void usual(const struct incident_event *e, struct text *out)
{
    const struct incident *i = &e->what;
    char room[MESSAGE_TITLE];
    if (!e->firing) line(out, "It has ended", e->how);
    text_add(out, "%s\n", i->message);
    line(out, "Verdict", i->id);
    line(out, "Severity", receiver_severity(i->severity));
    line(out, "Service", i->service);
    line(out, "Owner", i->owner);
    line(out, "Metric", i->metric);
    line(out, "Ordered by", i->actor);
    if (*i->rollout != '\0')
        text_add(out, "Canary: %g %%, %s\n", i->weight_bp / 100.0, i->state);
    line(out, "Since", message_time(i->t_ms, room));
    line(out, "Release notes", i->release_notes);
    if (!i->abort) line(out, "Rollback plan", i->rollback_plan);
}

void message_text(const struct incident_event *e, const char *template_,
                  struct text *out)
{
    const char *plan = e->what.rollback_plan;
    bool placed = template_ != NULL && strstr(template_, "{rollback_plan}") != NULL;
    if (e->what.abort && *plan != '\0' && !placed)
        text_add(out, "Rollback plan: %s\n", plan);
    if (template_ != NULL)
        by_template(e, template_, out);
    else
        usual(e, out);
}
