/* engine/replay/report/report_out.h -- a page as a document; what came from outside is
 * escaped
 */
#ifndef SERIN_ENGINE_REPLAY_REPORT_REPORT_OUT_H
#define SERIN_ENGINE_REPLAY_REPORT_REPORT_OUT_H

#include "engine/replay/report/report_page.h"

/** Well-formed XML that is HTML too; no script, nothing that has to be loaded. Errors:
 * SERIN_ENOMEM, SERIN_EIO (cairo). */
SERIN_MUST_USE
enum serin_status report_out_html(const struct report_page *p, struct text *out);
/** Markdown with tables, without the plots: report_plots makes those. */
SERIN_MUST_USE
enum serin_status report_out_md(const struct report_page *p, struct text *out);
/** PDF, A4. Errors as of report_out_html. */
SERIN_MUST_USE
enum serin_status report_out_pdf(const struct report_page *p, struct text *out);

#endif
