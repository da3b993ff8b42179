/* engine/serve/openapi.h -- /openapi.json, written from the route table (private) */
#ifndef SERIN_ENGINE_SERVE_OPENAPI_H
#define SERIN_ENGINE_SERVE_OPENAPI_H

#include <jansson.h>

/** OpenAPI 3.1; a new reference, NULL when memory is out. */
json_t *openapi_document(void);

#endif
