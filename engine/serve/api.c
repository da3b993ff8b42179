/* engine/serve/api.c */
#include "engine/serve/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/serve/view.h"

void api_json(struct reply *r, unsigned status, json_t *j)
{
    r->body = j != NULL ? json_dumps(j, VIEW_DUMP) : NULL;
    json_decref(j);
    r->status = r->body != NULL ? status : 500;
    r->type = "application/json";
    r->n = r->body != NULL ? strlen(r->body) : 0;
}

static void error_reply(struct reply *r, unsigned status, const char *key,
                        json_t *extra, const char *text)
{
    json_t *o = json_object();
    int bad = json_object_set_new(o, "schema", json_string("serin.error/1"));
    bad |= json_object_set_new(o, "status", json_integer(status));
    bad |= json_object_set_new(o, "message", view_text(text));
    if (key != NULL) bad |= json_object_set_new(o, key, extra);
    if (bad != 0) {
        json_decref(o);
        o = NULL;
    }
    api_json(r, status, o);
}

void api_error(struct reply *r, unsigned status, const char *fmt, ...)
{
    char text[640];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    error_reply(r, status, NULL, NULL, text);
}

void api_error_with(struct reply *r, unsigned status, const char *key, json_t *extra,
                    const char *fmt, ...)
{
    char text[640];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    error_reply(r, status, key, extra, text);
}

void api_text(struct reply *r, unsigned status, const char *type, const char *text,
              size_t n)
{
    r->body = malloc(n + 1); /* the HTTP library frees it */
    r->status = r->body != NULL ? status : 500;
    r->type = type;
    r->n = r->body != NULL ? n : 0;
    if (r->body == NULL) return;
    if (n != 0) memcpy(r->body, text, n);
    r->body[n] = '\0';
}

void api_no_rollout(struct api *api, struct reply *r, const char *id)
{
    struct arena a = {0};
    const char *near = directory_nearest(api->dir, id, &a);
    if (!directory_ready(api->dir)) {
        api_error(r, 503,
                  "no rollout \"%.128s\" so far; this process is still reading the "
                  "rollouts: try again",
                  id);
        r->retry_s = 1;
    } else if (near != NULL)
        api_error_with(r, 404, "did_you_mean", view_text(near),
                       "no rollout \"%.128s\"; did you mean \"%.128s\"?", id, near);
    else
        api_error(r, 404, "no rollout \"%.128s\"; GET /v1/rollouts lists them", id);
    arena_free(&a);
}

bool api_type_is(const char *type, const char *expected)
{
    size_t n = type != NULL ? strcspn(type, "; ") : 0;
    return strlen(expected) == n && strncasecmp(type, expected, n) == 0;
}

const char *api_query(const struct request *q, const char *key)
{
    return q->query != NULL ? q->query(q, key) : NULL;
}
