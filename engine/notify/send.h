/* engine/notify/send.h -- one attempt to deliver one alert */
#ifndef SERIN_ENGINE_NOTIFY_SEND_H
#define SERIN_ENGINE_NOTIFY_SEND_H

#include "engine/notify/incident.h"

enum { SEND_ALIVE_MS = 300000 }; /* of an alert at Alertmanager, unless said again */

/**
 * Deliver, within the receiver's time. now_ms: wall time, for the Date of a mail and
 * the life of an alert at Alertmanager.
 * Errors: SERIN_EIO, SERIN_ETIME, SERIN_ENOMEM: it may work later (f->retriable), or
 * the receiver refuses this very alert (not retriable). *f never holds a secret.
 * wait_ms: out, how long the receiver asks to be left alone; 0: it does not
 * Thread: any
 */
SERIN_MUST_USE
enum serin_status send_alert(const struct receiver *r, const struct incident_event *e,
                             int64_t now_ms, int64_t *wait_ms, struct fault *f);

#endif
