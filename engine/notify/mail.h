/* engine/notify/mail.h -- an alert as a mail, by libcurl's SMTP */
#ifndef SERIN_ENGINE_NOTIFY_MAIL_H
#define SERIN_ENGINE_NOTIFY_MAIL_H

#include "engine/notify/incident.h"

/**
 * send_alert (send.h) of kind email. url: smtp(s)://host:port. With a user the server
 * has to offer TLS: a password is never sent in the clear.
 */
SERIN_MUST_USE
enum serin_status mail_send(const struct receiver *r, const struct incident_event *e,
                            const char *url, int64_t now_ms, struct fault *f);

#endif
