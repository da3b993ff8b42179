/* engine/notify/message.h -- what people read: a title, and a text by template */
#ifndef SERIN_ENGINE_NOTIFY_MESSAGE_H
#define SERIN_ENGINE_NOTIFY_MESSAGE_H

#include "engine/base/text.h"
#include "engine/notify/incident.h"

enum { MESSAGE_WHY = 200, MESSAGE_TITLE = 256, MESSAGE_TIME = 32 };

/** Only {placeholders} that there are, each closed; else why says what is wrong. {{ is
 * a brace. */
bool message_template_ok(const char *template_, char why[MESSAGE_WHY]);
/** One line: "ABORT shop-2 (harm): …", or "resolved: …". Returns out. */
const char *message_title(const struct incident_event *e, char out[MESSAGE_TITLE]);
/**
 * The text, by the template (NULL: the usual one). That of an ABORT begins with the
 * rollback plan, unless the template has a place for it.
 */
void message_text(const struct incident_event *e, const char *template_,
                  struct text *out);
/** RFC 3339 of ms since the epoch, UTC, to the millisecond. Returns out. */
const char *message_time(int64_t ms, char out[MESSAGE_TIME]);

#endif
