/* engine/serve/openapi.c */
#include "engine/serve/openapi.h"

#include <stdio.h>
#include <string.h>

#include "engine/serve/routes.h"

static json_t *parameter(const char *name, size_t n, const char *in, bool required)
{
    return json_pack("{s:s%, s:s, s:b, s:{s:s}}", "name", name, n, "in", in, "required",
                     required, "schema", "type", "string");
}

static json_t *parameters(const struct route *route)
{
    json_t *list = json_array();
    int bad = 0;
    if (strstr(route->path, "{rollout}") != NULL)
        bad |= json_array_append_new(list, parameter("rollout", 7, "path", true));
    for (const char *p = route->query; p != NULL && *p != '\0';) {
        size_t n = strcspn(p, " ");
        bad |= json_array_append_new(list, parameter(p, n, "query", false));
        p += n + strspn(p + n, " ");
    }
    if ((route->flags & (ROUTE_ACT | ROUTE_PLAN)) != 0)
        bad |= json_array_append_new(list,
                                     parameter("Idempotency-Key", 15, "header", false));
    if (bad == 0) return list;
    json_decref(list);
    return NULL;
}

static json_t *content(const char *type, const char *ref)
{
    char path[96];
    snprintf(path, sizeof path, "#/components/schemas/%s", ref);
    return json_pack("{s:{s:{s:s}}}", type, "schema", "$ref", path);
}

static json_t *response(const char *text, const struct route *route, bool error)
{
    char name[48] = "error";
    if (!error && route->schema == NULL) return json_pack("{s:s}", "description", text);
    if (!error) snprintf(name, sizeof name, "%s", strchr(route->schema, '.') + 1);
    name[strcspn(name, "/")] = '\0';
    return json_pack("{s:s, s:o}", "description", text, "content",
                     content("application/json", name));
}

/* Their bodies are what OTLP and remote write say, not ours. */
static int receive_responses(json_t *o)
{
    static const struct {
        const char *status, *text;
    } all[] = {
        {"400", "Undecodable: do not send it again."},
        {"404", "No topic is configured for it."},
        {"413", "Too large."},
        {"415", "Another Content-Type or Content-Encoding is expected."},
        {"429", "No room now: send it again after Retry-After."},
        {"503", "Not acknowledged by the brokers: send it again after Retry-After."},
    };
    int bad = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        bad |= json_object_set_new(o, all[i].status,
                                   json_pack("{s:s}", "description", all[i].text));
    return bad;
}

static json_t *responses(const struct route *route)
{
    bool acts = (route->flags & (ROUTE_ACT | ROUTE_PLAN)) != 0;
    json_t *o = json_object();
    int bad = json_object_set_new(o, "200", response("Done.", route, false));
    if (acts) {
        bad |= json_object_set_new(
            o, "202", response("Written; not decided in time.", route, false));
        bad |= json_object_set_new(o, "400", response("Bad members.", route, true));
        bad |= json_object_set_new(
            o, "409", response("Refused; the message says why.", route, false));
        bad |= json_object_set_new(
            o, "503", response("No broker, or not ready yet.", route, true));
    }
    if ((route->flags & ROUTE_RECEIVE) != 0) bad |= receive_responses(o);
    if ((route->flags & ROUTE_PLAN) != 0)
        bad |=
            json_object_set_new(o, "422", response("Errors in the plan.", route, true));
    if (strstr(route->path, "{rollout}") != NULL) {
        bad |= json_object_set_new(o, "404", response("No such rollout.", route, true));
        if (!acts)
            bad |=
                json_object_set_new(o, "503", response("Not ready yet.", route, true));
    }
    if ((route->flags & ROUTE_OPEN) == 0)
        bad |=
            json_object_set_new(o, "401", response("No or wrong token.", route, true));
    if (bad == 0) return o;
    json_decref(o);
    return NULL;
}

static json_t *body(const struct route *route)
{
    if ((route->flags & ROUTE_PLAN) != 0)
        return json_pack("{s:b, s:{s:{s:{s:s}}}}", "required", 1, "content",
                         "application/yaml", "schema", "type", "string");
    if ((route->flags & ROUTE_OTLP) != 0)
        return json_pack("{s:b, s:{s:{}, s:{}}}", "required", 1, "content",
                         "application/x-protobuf", "application/json");
    if ((route->flags & ROUTE_PROMETHEUS) != 0)
        return json_pack("{s:b, s:{s:{}}}", "required", 1, "content",
                         "application/x-protobuf");
    return json_pack("{s:b, s:o}", "required", 1, "content",
                     content("application/json", "act"));
}

static json_t *operation(const struct route *route)
{
    json_t *o = json_pack("{s:s, s:o, s:o}", "summary", route->summary, "parameters",
                          parameters(route), "responses", responses(route));
    if ((route->flags & (ROUTE_ACT | ROUTE_PLAN | ROUTE_RECEIVE)) != 0 &&
        json_object_set_new(o, "requestBody", body(route)) != 0) {
        json_decref(o);
        return NULL;
    }
    if ((route->flags & ROUTE_OPEN) != 0 &&
        json_object_set_new(o, "security", json_array()) != 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *paths(void)
{
    json_t *all = json_object();
    int bad = 0;
    for (size_t i = 0; i < routes_count(); i++) {
        const struct route *route = routes_at(i);
        json_t *path = json_object_get(all, route->path);
        if (path == NULL) {
            bad |= json_object_set_new(all, route->path, json_object());
            path = json_object_get(all, route->path);
        }
        bad |= json_object_set_new(
            path, strcmp(route->method, "GET") == 0 ? "get" : "post", operation(route));
    }
    if (bad == 0) return all;
    json_decref(all);
    return NULL;
}

/* Every answer names its schema; the members are described in the README. */
static json_t *schemas(void)
{
    json_t *all = json_pack(
        "{s:{s:s, s:[s,s,s], s:{s:{s:s}, s:{s:s}, s:{s:s}}},"
        " s:{s:s, s:b, s:{s:{s:s}, s:{s:s}, s:{s:[s,s]}, s:{s:s}, s:{s:s}, s:{s:s}}}}",
        "error", "type", "object", "required", "schema", "status", "message",
        "properties", "schema", "const", "serin.error/1", "status", "type", "integer",
        "message", "type", "string", "act", "type", "object", "additionalProperties", 0,
        "properties", "actor", "type", "string", "reason", "type", "string", "weight",
        "type", "string", "number", "gate", "type", "string", "by", "type", "string",
        "override_freeze", "type", "boolean");
    int bad = all == NULL;
    for (size_t i = 0; i < routes_count() && bad == 0; i++) {
        const char *schema = routes_at(i)->schema;
        char name[48];
        if (schema == NULL) continue;
        snprintf(name, sizeof name, "%s", strchr(schema, '.') + 1);
        name[strcspn(name, "/")] = '\0';
        bad |= json_object_set_new(all, name,
                                   json_pack("{s:s, s:[s], s:{s:{s:s}}}", "type",
                                             "object", "required", "schema",
                                             "properties", "schema", "const", schema));
    }
    if (bad == 0) return all;
    json_decref(all);
    return NULL;
}

json_t *openapi_document(void)
{
    return json_pack(
        "{s:s, s:{s:s, s:s, s:s}, s:o, s:{s:o, s:{s:{s:s, s:s}}}, s:[{s:[]}]}",
        "openapi", "3.1.0", "info", "title", "serin", "version", SERIN_VERSION,
        "description", "Rollouts, their verdicts, and the commands that act on them.",
        "paths", paths(), "components", "schemas", schemas(), "securitySchemes",
        "bearer", "type", "http", "scheme", "bearer", "security", "bearer");
}
