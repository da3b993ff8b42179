/* engine/notify/payload.h -- an alert in the words of each kind of receiver */
#ifndef SERIN_ENGINE_NOTIFY_PAYLOAD_H
#define SERIN_ENGINE_NOTIFY_PAYLOAD_H

#include "engine/notify/incident.h"

/**
 * The body of a request, JSON; free() it. NULL: out of memory.
 * secret   PagerDuty's routing key; the others do not look at it
 * alive_ms Alertmanager: a firing alert counts as ended then, unless it is said again
 * Ref: Slack "incoming webhooks" (text, attachments: also read by Mattermost and
 * Rocket.Chat), PagerDuty "Events API v2", Alertmanager api/v2/openapi.yaml.
 */
char *payload_json(const struct receiver *r, const struct incident_event *e,
                   const char *secret, int64_t alive_ms);

#endif
