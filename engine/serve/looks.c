/* engine/serve/looks.c */
#include "engine/serve/looks.h"

#include <stdlib.h>
#include <string.h>

#include "engine/serve/events.h"
#include "engine/serve/openapi.h"
#include "engine/serve/page.h"
#include "engine/serve/receive.h"
#include "engine/serve/view.h"
#include "engine/serve/why.h"

/* Decoded rows of a whole list; 64 MiB would be 20 000 rollouts. */
#define LIST_MAX ((size_t)512 << 20)

static json_t *wrap(const char *schema, const char *key, json_t *value)
{
    json_t *o = json_object();
    int bad = json_object_set_new(o, "schema", json_string(schema));
    bad |= json_object_set_new(o, key, value);
    if (bad == 0) return o;
    json_decref(o);
    return NULL;
}

/* A row of the list is a status without what makes it long. */
static json_t *summary(pb_rollout *row, const struct fleet *fleet)
{
    static const char *const long_keys[] = {
        "gates", "checks", "waits", "warnings", "plan_hash", "metrics", "sample_ratio"};
    if (row->status != NULL) row->status->n_metrics = 0;
    json_t *o = view_status(row);
    for (size_t i = 0; i < sizeof long_keys / sizeof *long_keys; i++)
        json_object_del(o, long_keys[i]);
    const struct fleet_entry *e = fleet_find(fleet, row->rollout);
    if (json_object_set_new(o, "fleet", view_fleet_entry(e)) == 0) return o;
    json_decref(o);
    return NULL;
}

static bool wanted(const struct request *q, const pb_rollout *row)
{
    const char *state = api_query(q, "state"), *service = api_query(q, "service");
    if (row->status == NULL) return state == NULL && service == NULL;
    if (state != NULL && strcasecmp(state, row->status->state) != 0) return false;
    return service == NULL || strcmp(service, row->status->service) == 0;
}

void looks_list(struct api *api, const struct request *q, const char *id,
                struct reply *r)
{
    (void)id;
    struct arena a = {.max = LIST_MAX};
    pb_rollout **rows = NULL;
    size_t n = 0;
    json_t *list = json_array();
    struct fleet fleet = {0};
    int bad = directory_list(api->dir, &a, &rows, &n) != SERIN_OK;
    if (bad == 0 && api->o.fleet_level > 0)
        bad = directory_fleet(api->dir, api->o.fleet_level, &a, &fleet) != SERIN_OK;
    for (size_t i = 0; i < n && bad == 0; i++)
        if (wanted(q, rows[i]))
            bad |= json_array_append_new(list, summary(rows[i], &fleet));
    arena_free(&a);
    if (bad != 0) {
        json_decref(list);
        list = NULL;
    }
    api_json(r, 200, list != NULL ? wrap("serin.list/1", "rollouts", list) : NULL);
}

void looks_fleet(struct api *api, const struct request *q, const char *id,
                 struct reply *r)
{
    (void)q, (void)id;
    struct arena a = {.max = LIST_MAX};
    struct fleet fleet = {0};
    if (!(api->o.fleet_level > 0))
        api_error(r, 404,
                  "no level for the fleet is set; write fleet: {level: 5%%} in the "
                  "engine's configuration and start it again");
    else if (directory_fleet(api->dir, api->o.fleet_level, &a, &fleet) == SERIN_OK)
        api_json(r, 200, view_fleet(&fleet));
    else
        api_json(r, 200, NULL);
    arena_free(&a);
}

/* The row, or NULL with the reply written. */
static pb_rollout *find(struct api *api, const char *id, struct arena *a,
                        struct reply *r)
{
    pb_rollout *row = NULL;
    enum serin_status s = directory_get(api->dir, id, a, &row);
    if (s == SERIN_OK) return row;
    if (s == SERIN_ENOENT)
        api_no_rollout(api, r, id);
    else
        api_error(r, 500, "%s", status_text(s));
    return NULL;
}

void looks_status(struct api *api, const struct request *q, const char *id,
                  struct reply *r)
{
    (void)q;
    struct arena a = {0};
    pb_rollout *row = find(api, id, &a, r);
    if (row != NULL) api_json(r, 200, view_status(row));
    arena_free(&a);
}

void looks_plan(struct api *api, const struct request *q, const char *id,
                struct reply *r)
{
    (void)q;
    struct arena a = {0};
    pb_rollout *row = find(api, id, &a, r);
    if (row != NULL)
        api_text(r, 200, "application/yaml; charset=utf-8", row->plan,
                 strlen(row->plan));
    arena_free(&a);
}

/* A query parameter that must be a count; false with the reply written. */
static bool number(const struct request *q, const char *key, bool *given, uint64_t *out,
                   struct reply *r)
{
    const char *text = api_query(q, key);
    char *end = NULL;
    *given = text != NULL;
    if (text == NULL) return true;
    *out = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0') return true;
    api_error(r, 400, "%s=%.40s: expected a whole number", key, text);
    return false;
}

void looks_verdicts(struct api *api, const struct request *q, const char *id,
                    struct reply *r)
{
    struct arena a = {0};
    uint64_t after = 0;
    bool given;
    pb_verdict **list = NULL;
    size_t n = 0;
    if (!number(q, "after", &given, &after, r)) return;
    enum serin_status s = directory_verdicts(api->dir, id, after, &a, &list, &n);
    if (s == SERIN_ENOENT) {
        api_no_rollout(api, r, id);
    } else {
        json_t *out = json_array();
        int bad = s != SERIN_OK;
        for (size_t i = 0; i < n; i++)
            bad |= json_array_append_new(out, view_verdict(list[i]));
        json_t *o = wrap("serin.verdicts/1", "verdicts", out);
        bad |= json_object_set_new(o, "rollout", view_text(id));
        if (bad != 0) json_decref(o);
        api_json(r, 200, bad == 0 ? o : NULL);
    }
    arena_free(&a);
}

static void explain_verdict(struct api *api, const char *id, uint64_t seq,
                            struct arena *a, struct reply *r)
{
    pb_verdict **list = NULL;
    size_t n = 0;
    if (seq == 0 || directory_verdicts(api->dir, id, seq - 1, a, &list, &n) != SERIN_OK)
        n = 0;
    if (n != 0 && list[0]->seq == seq)
        api_json(r, 200, why_verdict(list[0]));
    else
        api_error(
            r, 404,
            "no verdict %s/%llu here; GET /v1/rollouts/%s/verdicts lists the latest "
            "%d",
            id, (unsigned long long)seq, id, DIRECTORY_MAX_VERDICTS);
}

void looks_explain(struct api *api, const struct request *q, const char *id,
                   struct reply *r)
{
    struct arena a = {0};
    uint64_t seq = 0;
    bool given;
    if (!number(q, "seq", &given, &seq, r)) return;
    pb_rollout *row = find(api, id, &a, r);
    if (row == NULL)
        ;
    else if (given)
        explain_verdict(api, id, seq, &a, r);
    else if (row->status != NULL && row->status->final && row->status->seq != 0)
        explain_verdict(api, id, row->status->seq, &a, r);
    else
        api_json(r, 200, why_status(row));
    arena_free(&a);
}

void looks_events(struct api *api, const struct request *q, const char *id,
                  struct reply *r)
{
    struct arena a = {0};
    bool there = *id == '\0' || find(api, id, &a, r) != NULL;
    arena_free(&a);
    if (!there) return;
    if (strcmp(q->method, "HEAD") == 0) {
        api_text(r, 200, "text/event-stream", "", 0);
    } else if (atomic_load(&api->streams) >= api->o.connections / 2) {
        api_error(r, 503, "%u streams are open, as many as are served; try again later",
                  atomic_load(&api->streams));
    } else {
        r->stream = events_open(api, id);
        r->status = 200;
        r->type = "text/event-stream";
    }
}

void looks_quarantine(struct api *api, const struct request *q, const char *id,
                      struct reply *r)
{
    (void)q, (void)id;
    if (api->o.quarantine == NULL) {
        api_error(r, 404,
                  "this process does not ingest; ask one that runs the ingest role");
        return;
    }
    json_t *records = api->o.quarantine(api->o.ctx);
    api_json(r, 200,
             records != NULL ? wrap("serin.quarantine/1", "records", records) : NULL);
}

void looks_livez(struct api *api, const struct request *q, const char *id,
                 struct reply *r)
{
    (void)api, (void)q, (void)id;
    api_json(r, 200, wrap("serin.live/1", "live", json_true()));
}

void looks_readyz(struct api *api, const struct request *q, const char *id,
                  struct reply *r)
{
    (void)q, (void)id;
    char why[160] = "rollouts and verdicts have not been read to their end yet";
    bool ready = directory_ready(api->dir);
    if (ready && api->o.ready != NULL) ready = api->o.ready(api->o.ctx, why);
    json_t *o = wrap("serin.ready/1", "ready", json_boolean(ready));
    int bad = json_object_set_new(o, "why", ready ? json_null() : view_text(why));
    if (bad != 0) json_decref(o);
    api_json(r, ready ? 200 : 503, bad == 0 ? o : NULL);
}

void looks_metrics(struct api *api, const struct request *q, const char *id,
                   struct reply *r)
{
    (void)q, (void)id;
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (out != NULL) {
        metrics_write(api->metrics, api->dir, api->o.fleet_level, out);
        receive_metrics(api->receive, out);
        if (api->o.metrics != NULL) api->o.metrics(api->o.ctx, out);
        if (fclose(out) != 0) n = 0;
    }
    api_text(r, 200, "text/plain; version=0.0.4; charset=utf-8", text, n);
    free(text);
}

void looks_openapi(struct api *api, const struct request *q, const char *id,
                   struct reply *r)
{
    (void)api, (void)q, (void)id;
    api_json(r, 200, openapi_document());
}

void looks_page(struct api *api, const struct request *q, const char *id,
                struct reply *r)
{
    (void)api, (void)q, (void)id;
    api_text(r, 200, "text/html; charset=utf-8", page_html, strlen(page_html));
}
