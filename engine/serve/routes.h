/* engine/serve/routes.h -- the one table of what the API answers (private) */
#ifndef SERIN_ENGINE_SERVE_ROUTES_H
#define SERIN_ENGINE_SERVE_ROUTES_H

#include "engine/serve/api.h"

enum route_flag {
    ROUTE_OPEN = 1,        /* without a token: says nothing about any rollout */
    ROUTE_ACT = 2,         /* body: {"actor", "reason", …} */
    ROUTE_PLAN = 4,        /* body: a plan's text */
    ROUTE_OTLP = 8,        /* body: an OTLP export request */
    ROUTE_PROMETHEUS = 16, /* body: a remote-write request */
    ROUTE_RECEIVE = ROUTE_OTLP | ROUTE_PROMETHEUS,
};

struct route {
    const char *method, *path; /* "{rollout}" stands for an id */
    const char *summary;       /* for /openapi.json */
    void (*run)(struct api *api, const struct request *q, const char *id,
                struct reply *r);
    unsigned flags;
    const char *query;  /* names of its parameters, parted by blanks; NULL = none */
    const char *schema; /* of the answer; NULL = not JSON of ours */
};

enum { ROUTES_ID_MAX = 128 };

size_t routes_count(void);
const struct route *routes_at(size_t i);
/**
 * Find the route of a request. HEAD counts as GET.
 * id       receives the rollout's id ("" where the path has none)
 * allowed  receives the methods of the path, "GET, POST"; "" for an unknown path
 * Returns an index of the table, or SIZE_MAX.
 */
size_t routes_find(const char *method, const char *path, char id[ROUTES_ID_MAX + 1],
                   char allowed[32]);
/** Answer a request; never fails (a reply without body means memory is out). */
void routes_answer(struct api *api, const struct request *q, struct reply *r);

#endif
