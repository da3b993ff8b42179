/* engine/serve/looks.h -- the handlers that only look (private); see routes.c */
#ifndef SERIN_ENGINE_SERVE_LOOKS_H
#define SERIN_ENGINE_SERVE_LOOKS_H

#include "engine/serve/api.h"

#define LOOKS(name)                                                                    \
    void looks_##name(struct api *api, const struct request *q, const char *id,        \
                      struct reply *r)
LOOKS(list);
LOOKS(fleet);
LOOKS(status);
LOOKS(plan);
LOOKS(verdicts);
LOOKS(explain);
LOOKS(events);
LOOKS(quarantine);
LOOKS(livez);
LOOKS(readyz);
LOOKS(metrics);
LOOKS(openapi);
LOOKS(page);
#undef LOOKS

#endif
