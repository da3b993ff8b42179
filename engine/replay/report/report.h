/* engine/replay/report/report.h -- one rollout on one page: what was seen, decided and
 * why
 *
 * What goes in is the JSON that the API answers with (serin.status/1, serin.verdict/1,
 * serin.explain/1), so that a live engine and a recording are told alike. */
#ifndef SERIN_ENGINE_REPLAY_REPORT_REPORT_H
#define SERIN_ENGINE_REPLAY_REPORT_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/base/text.h"

enum report_format { REPORT_HTML, REPORT_PDF, REPORT_JSON, REPORT_MD, REPORT_NFORMAT };
/** False for another word than html, pdf, json, md. */
bool report_format_parse(const char *word, enum report_format *out);

#define REPORT_MAX_BYTES ((size_t)1000000) /* of the HTML */

struct report; /* opaque; thread: one; memory does not grow with the recording */

/** source: where the numbers come from, for people. Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status report_open(struct report **out, const char *source);
void report_close(struct report *r);

/**
 * The plan as it was applied: tolerances, release notes, rollback plan. One that cannot
 * be read (of a later version) is left out. Errors: SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status report_plan(struct report *r, const char *text);
/** How it stood at updated_ms, in the order of time. Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status report_status(struct report *r, const json_t *status);
/**
 * The next verdict. figures: its metrics are a point of the curves; false where
 * report_status gives every window. Errors: SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status report_verdict(struct report *r, const json_t *verdict, bool figures);
/** The inequality that decided; the last one given counts. Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status report_explain(struct report *r, const json_t *explain);
/** What a person ordered: "hold", who, and what became of it. Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status report_command(struct report *r, int64_t t_ms, const char *verb,
                                 const char *actor, const char *reason);

/**
 * The whole report appended to *out. Every text that came from outside is escaped.
 * Errors: SERIN_ENOMEM; SERIN_EDOM: nothing was told of a rollout; SERIN_ELIMIT (HTML
 * over REPORT_MAX_BYTES however coarse); SERIN_EIO: cairo refused.
 */
SERIN_MUST_USE
enum serin_status report_write(struct report *r, enum report_format format,
                               struct text *out, struct fault *f);
/** Every plot as DIR/NN-name.png; the folder is made. Errors: as above, SERIN_EIO. */
SERIN_MUST_USE
enum serin_status report_plots(struct report *r, const char *dir, struct fault *f);

#endif
