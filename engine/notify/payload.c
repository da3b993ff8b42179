/* engine/notify/payload.c */
#include "engine/notify/payload.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/notify/message.h"

enum { SLACK_TEXT = 8000 };

/* A text of an incident, cut; they are valid UTF-8 by then. */
static json_t *cut(const char *text, size_t most)
{
    char out[SLACK_TEXT + 1];
    incident_text(out, most < sizeof out ? most + 1 : sizeof out, text, true);
    return json_string(out);
}

static int set(json_t *o, const char *key, const char *text)
{
    return *text != '\0' ? json_object_set_new(o, key, json_string(text)) : 0;
}

/* What the kinds call details, annotations or just members. */
static int facts(json_t *o, const struct incident *i)
{
    int bad = set(o, "rollout", i->rollout);
    bad |= set(o, "service", i->service);
    bad |= set(o, "owner", i->owner);
    bad |= set(o, "verdict", i->verdict);
    bad |= set(o, "reason", i->reason);
    bad |= set(o, "metric", i->metric);
    bad |= set(o, "message", i->message);
    bad |= set(o, "state", i->state);
    bad |= set(o, "id", i->id);
    bad |= set(o, "actor", i->actor);
    bad |= set(o, "release_notes", i->release_notes);
    bad |= set(o, "rollback_plan", i->rollback_plan);
    return bad;
}

static json_t *webhook(const struct incident_event *e, const char *text)
{
    const struct incident *i = &e->what;
    char title[MESSAGE_TITLE];
    json_t *o = json_object();
    int bad = json_object_set_new(o, "schema", json_string("serin.alert/1"));
    bad |= set(o, "key", i->key);
    bad |= set(o, "status", e->firing ? "firing" : "resolved");
    bad |= set(o, "severity", receiver_severity(i->severity));
    bad |= facts(o, i);
    bad |= json_object_set_new(o, "seq", json_integer((json_int_t)i->seq));
    bad |= json_object_set_new(o, "weight_bp", json_integer(i->weight_bp));
    bad |= json_object_set_new(o, "t_ms", json_integer(i->t_ms));
    bad |= json_object_set_new(o, "ended_ms",
                               e->firing ? json_null() : json_integer(e->ended_ms));
    bad |= set(o, "how", e->how);
    bad |= set(o, "title", message_title(e, title));
    bad |= set(o, "text", text);
    if (bad == 0) return o;
    json_decref(o);
    return NULL;
}

/* Slack's own marks would make links and mentions of somebody's words. */
static json_t *escaped(const char *text)
{
    struct text t = {0};
    for (; *text != '\0' && t.n < SLACK_TEXT; text++) {
        const char *mark = *text == '&'   ? "&amp;"
                           : *text == '<' ? "&lt;"
                           : *text == '>' ? "&gt;"
                                          : NULL;
        if (mark != NULL)
            text_add(&t, "%s", mark);
        else
            text_bytes(&t, text, 1);
    }
    json_t *s = cut(t.p != NULL ? t.p : "", SLACK_TEXT);
    text_free(&t);
    return s;
}

static json_t *slack(const struct incident_event *e, const char *text)
{
    static const char *const colours[SEVERITY_N] = {"#439fe0", "#daa038", "#d2601a",
                                                    "#c40000"};
    char title[MESSAGE_TITLE];
    return json_pack("{s:o, s:[{s:s, s:o, s:o}]}", "text",
                     escaped(message_title(e, title)), "attachments", "color",
                     e->firing ? colours[e->what.severity] : "#2eb67d", "text",
                     escaped(text), "fallback", escaped(text));
}

static json_t *pagerduty(const struct incident_event *e, const char *text,
                         const char *routing_key)
{
    const struct incident *i = &e->what;
    char title[MESSAGE_TITLE], when[MESSAGE_TIME];
    json_t *o = json_pack("{s:s, s:s, s:s}", "routing_key", routing_key, "event_action",
                          e->firing ? "trigger" : "resolve", "dedup_key", i->key);
    if (!e->firing) return o;
    json_t *details = json_object();
    int bad = facts(details, i);
    bad |= json_object_set_new(details, "text", cut(text, SLACK_TEXT));
    json_t *payload = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o}", "summary", message_title(e, title), "source",
        *i->rollout != '\0' ? i->rollout : "serin", "severity",
        receiver_severity(i->severity), "timestamp", message_time(i->t_ms, when),
        "class", i->reason, "custom_details", details);
    if (*i->service != '\0') bad |= set(payload, "component", i->service);
    bad |= json_object_set_new(o, "payload", payload);
    bad |= set(o, "client", "serin");
    if (bad == 0) return o;
    json_decref(o);
    return NULL;
}

static json_t *alertmanager(const struct incident_event *e, const char *text,
                            int64_t alive_ms)
{
    const struct incident *i = &e->what;
    char title[MESSAGE_TITLE], began[MESSAGE_TIME], ends[MESSAGE_TIME];
    json_t *labels = json_object(), *notes = json_object();
    int bad = set(labels, "alertname",
                  i->abort              ? "SerinAbort"
                  : *i->rollout != '\0' ? "SerinHold"
                                        : "SerinEngineDead");
    bad |= set(labels, "rollout", i->rollout);
    bad |= set(labels, "service", i->service);
    bad |= set(labels, "owner", i->owner);
    bad |= set(labels, "reason", i->reason);
    bad |= set(labels, "severity", receiver_severity(i->severity));
    bad |= set(notes, "summary", message_title(e, title));
    bad |= json_object_set_new(notes, "description", cut(text, SLACK_TEXT));
    bad |= set(notes, "release_notes", i->release_notes);
    bad |= set(notes, "rollback_plan", i->rollback_plan);
    bad |= set(notes, "verdict", i->id);
    json_t *list = json_pack("[{s:o, s:o, s:s, s:s}]", "labels", labels, "annotations",
                             notes, "startsAt", message_time(i->t_ms, began), "endsAt",
                             message_time(e->firing ? alive_ms : e->ended_ms, ends));
    if (bad == 0) return list;
    json_decref(list);
    return NULL;
}

char *payload_json(const struct receiver *r, const struct incident_event *e,
                   const char *secret, int64_t alive_ms)
{
    struct text text = {0};
    json_t *j = NULL;
    char *out = NULL;
    message_text(e, r->template_, &text);
    const char *words = text.p != NULL ? text.p : "";
    if (!text.failed) {
        if (r->kind == RECEIVER_WEBHOOK) j = webhook(e, words);
        if (r->kind == RECEIVER_SLACK) j = slack(e, words);
        if (r->kind == RECEIVER_PAGERDUTY) j = pagerduty(e, words, secret);
        if (r->kind == RECEIVER_ALERTMANAGER) j = alertmanager(e, words, alive_ms);
    }
    if (j != NULL) out = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    text_free(&text);
    return out;
}
