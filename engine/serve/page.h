/* engine/serve/page.h -- the dashboard: one page, nothing from elsewhere (private) */
#ifndef SERIN_ENGINE_SERVE_PAGE_H
#define SERIN_ENGINE_SERVE_PAGE_H

/* What the page needs and no more; sent as Content-Security-Policy. */
#define PAGE_POLICY                                                                    \
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "      \
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "         \
    "frame-ancestors 'none'"

extern const char page_html[];

#endif
