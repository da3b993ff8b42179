/* engine/serve/acts.c -- a command becomes one inbox record; its outcome comes back in
 * the rollout's row, whichever process decides */
#include "engine/serve/acts.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/base/log.h"
#include "engine/base/strview.h"
#include "engine/core/facts.h"
#include "engine/core/plan.h"
#include "engine/serve/routes.h"
#include "engine/serve/view.h"

enum {
    ID_BYTES = 16,
    KEY_MAX = 64,
    ACTOR_MAX = 128,
    REASON_MAX = 1000,
    SLICE_MS = 250, /* how soon a waiting request notices the end of the process */
};

enum need {
    NEED_NOTHING = 0,
    NEED_REASON = 1,
    NEED_WEIGHT = 2,
    NEED_GATE = 4,
    NEED_BY = 8,
    MAY_OVERRIDE = 16, /* a freeze, with a reason */
};

static const struct act {
    const char *name;
    Serin__V1__Verb verb;
    unsigned needs;
} acts[] = {
    {"cancel", SERIN__V1__VERB__VERB_CANCEL, NEED_NOTHING},
    {"hold", SERIN__V1__VERB__VERB_HOLD, NEED_NOTHING},
    {"resume", SERIN__V1__VERB__VERB_RESUME, MAY_OVERRIDE},
    {"promote", SERIN__V1__VERB__VERB_PROMOTE, NEED_REASON | MAY_OVERRIDE},
    {"abort", SERIN__V1__VERB__VERB_ABORT, NEED_NOTHING},
    {"set-weight", SERIN__V1__VERB__VERB_SET_WEIGHT, NEED_REASON | NEED_WEIGHT},
    {"approve", SERIN__V1__VERB__VERB_APPROVE, NEED_GATE},
    {"deny", SERIN__V1__VERB__VERB_DENY, NEED_GATE},
    {"retry", SERIN__V1__VERB__VERB_RETRY, NEED_NOTHING},
    {"extend", SERIN__V1__VERB__VERB_EXTEND, NEED_BY},
};

static const struct {
    const char *key;
    unsigned need; /* verbs without this need refuse the key; 0: every verb takes it */
} members[] = {{"actor", 0},        {"reason", 0},   {"weight", NEED_WEIGHT},
               {"gate", NEED_GATE}, {"by", NEED_BY}, {"override_freeze", MAY_OVERRIDE}};

bool acts_weight(const char *text, uint32_t *bp)
{
    char *end = NULL;
    if (strspn(text, ".0123456789") == 0 || (*text == '0' && (text[1] | 32) == 'x'))
        return false; /* strtod also takes signs, words and hexadecimal */
    double percent = strtod(text, &end);
    while (*end == ' ')
        end++;
    if (*end == '%') end++;
    double whole = round(percent * 100);
    if (*end != '\0' || !(percent >= 0 && percent <= 100)) return false;
    if (fabs(percent * 100 - whole) > 1e-6) return false;
    *bp = (uint32_t)whole;
    return true;
}

/* The client's own id makes a repeated request harmless; else a random one. */
static bool command_id(const struct request *q, struct arena *a, pb_command *c,
                       struct reply *r)
{
    if (q->key == NULL) {
        uint8_t random[ID_BYTES];
        char text[2 * ID_BYTES + 1];
        randombytes_buf(random, sizeof random);
        hash_hex(random, sizeof random, text);
        c->id = arena_copy(a, text, sizeof text - 1);
        return c->id != NULL;
    }
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strlen(q->key);
    if (n < 8 || n > KEY_MAX || strspn(q->key, allowed) != n) {
        api_error(r, 400,
                  "Idempotency-Key: expected 8 to %d letters, digits, '.', '_' or "
                  "'-', unique for each command",
                  KEY_MAX);
        return false;
    }
    c->id = (char *)q->key;
    return true;
}

static bool plain(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) return false;
    return true;
}

/* actor and reason, wherever they came from. */
static bool who(const struct request *q, const char *actor, const char *reason,
                pb_command *c, struct reply *r)
{
    if (actor == NULL || *actor == '\0') actor = q->peer;
    if (reason == NULL) reason = "";
    if (strlen(actor) > ACTOR_MAX || !plain(actor)) {
        api_error(r, 400, "actor: expected at most %d bytes without control characters",
                  ACTOR_MAX);
        return false;
    }
    if (strlen(reason) > REASON_MAX) {
        api_error(r, 400, "reason: %zu bytes; at most %d are kept", strlen(reason),
                  REASON_MAX);
        return false;
    }
    c->actor = (char *)actor;
    c->reason = (char *)reason;
    c->t_ms = clock_wall_ms();
    return true;
}

/* The command's outcome in a row, or NULL. */
static const pb_outcome *outcome(const pb_rollout *row, const char *command_id)
{
    for (size_t i = row->n_outcomes; i-- > 0;)
        if (strcmp(row->outcomes[i]->command_id, command_id) == 0)
            return row->outcomes[i];
    return NULL;
}

static json_t *answer(const pb_command *c, const char *verb, const pb_outcome *o,
                      const pb_rollout *row)
{
    json_t *j = json_object();
    int bad = json_object_set_new(j, "schema", json_string("serin.command/1"));
    bad |= json_object_set_new(j, "command_id", view_text(c->id));
    bad |= json_object_set_new(j, "rollout", view_text(c->rollout));
    bad |= json_object_set_new(j, "verb", json_string(verb));
    bad |= json_object_set_new(j, "accepted",
                               o != NULL ? json_boolean(o->accepted) : json_null());
    bad |= json_object_set_new(
        j, "message",
        view_text(o != NULL
                      ? o->message
                      : "written to the inbox, not decided yet: no decision stage has "
                        "answered; ask again with the same Idempotency-Key"));
    bad |=
        json_object_set_new(j, "status", row != NULL ? view_status(row) : json_null());
    if (bad == 0) return j;
    json_decref(j);
    return NULL;
}

/* The answer when some stage has decided the command already; false: not yet. */
static bool decided(struct api *api, const pb_command *c, const char *verb,
                    struct reply *r)
{
    struct arena a = {0};
    pb_rollout *row = NULL;
    const pb_outcome *o = NULL;
    if (directory_get(api->dir, c->rollout, &a, &row) == SERIN_OK)
        o = outcome(row, c->id);
    if (o != NULL) api_json(r, o->accepted ? 200 : 409, answer(c, verb, o, row));
    arena_free(&a);
    return o != NULL;
}

/* False when the time is over first. */
static bool wait_decided(struct api *api, const pb_command *c, const char *verb,
                         struct reply *r)
{
    int64_t end = clock_mono_ms() + api->o.wait_ms;
    uint64_t seen = directory_wait(api->dir, 0, 0);
    while (!decided(api, c, verb, r)) {
        int64_t left = end - clock_mono_ms();
        if (left <= 0 || atomic_load(&api->stopping)) return false;
        seen = directory_wait(api->dir, seen, (int)(left < SLICE_MS ? left : SLICE_MS));
    }
    return true;
}

static void send(struct api *api, const struct request *q, const pb_command *c,
                 const char *verb, struct reply *r)
{
    struct fault f = {0};
    if (api->inbox == NULL) {
        api_error(r, 503, "this process has no broker; nothing was done");
        return;
    }
    if (q->key != NULL && decided(api, c, verb, r)) return; /* asked again */
    if (inbox_send(api->inbox, c, &f) != SERIN_OK) {
        log_warn("serve", "%s of %s by %s was not written: %s", verb, c->rollout,
                 c->actor, f.text);
        api_error_with(r, 503, "command_id", view_text(c->id),
                       "the command could not be written to the inbox: %s", f.text);
        return;
    }
    log_info("serve", "%s of %s by %s (%s), command %s", verb, c->rollout, c->actor,
             c->reason, c->id);
    if (!wait_decided(api, c, verb, r)) api_json(r, 202, answer(c, verb, NULL, NULL));
}

static bool type_is(const struct request *q, const char *const *types)
{
    for (; *types != NULL; types++)
        if (api_type_is(q->type, *types)) return true;
    return false;
}

static json_t *plan_errors(const struct doc_errors *errors)
{
    json_t *list = json_array();
    for (size_t i = 0; i < errors->n; i++) {
        const struct doc_error *e = &errors->items[i];
        json_t *o = json_object();
        int bad = json_object_set_new(o, "line", json_integer(e->line));
        bad |= json_object_set_new(o, "column", json_integer(e->column));
        bad |= json_object_set_new(o, "message", view_text(e->text));
        if (json_array_append_new(list, o) != 0 || bad != 0) break;
    }
    return list;
}

/* The live rollouts of its service and environment: they came first. Two that are
 * applied in one moment miss each other here; engine/follow tells the later one. */
static bool stand_behind(struct api *api, const struct plan *plan, struct arena *a,
                         pb_command *c, struct reply *r)
{
    pb_rollout **rows = NULL;
    size_t n = 0;
    const char *scope = facts_scope(plan, a);
    enum serin_status s = SERIN_OK;
    if (scope != NULL && (*scope == '\0' || plan->concurrent)) return true;
    if (scope != NULL) s = directory_list(api->dir, a, &rows, &n);
    if (scope != NULL && s == SERIN_OK)
        c->behind = arena_alloc(a, (n + 1) * sizeof *c->behind);
    if (c->behind == NULL) {
        api_error(r, 500, "%s", status_text(SERIN_ENOMEM));
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const pb_status *st = rows[i]->status;
        if (st == NULL || st->final || strcmp(st->scope, scope) != 0) continue;
        if (strcmp(rows[i]->rollout, c->rollout) == 0) continue;
        c->behind[c->n_behind++] = rows[i]->rollout;
    }
    return true;
}

void acts_apply(struct api *api, const struct request *q, const char *id,
                struct reply *r)
{
    /* None of these can be sent by a page of another origin without asking first. */
    static const char *const types[] = {"application/yaml", "application/x-yaml",
                                        "text/yaml", "application/json", NULL};
    (void)id;
    struct arena a = {0};
    struct doc_errors errors = {.arena = &a};
    struct plan *plan = NULL;
    pb_command c = SERIN__V1__COMMAND__INIT;
    c.verb = SERIN__V1__VERB__VERB_APPLY;
    if (!type_is(q, types)) {
        api_error(r, 415,
                  "the body is a plan: send it as Content-Type: application/yaml");
        return;
    }
    if (q->n == 0 || strlen(q->body) != q->n) {
        api_error(r, 400,
                  q->n == 0 ? "the body is empty; expected a plan in YAML"
                            : "the body has a zero byte; expected a plan in YAML");
        return;
    }
    enum serin_status s = plan_parse(&a, q->body, q->n, &plan, &errors);
    if (s == SERIN_EPARSE) {
        api_error_with(r, 422, "errors", plan_errors(&errors),
                       "%zu error%s in the plan", errors.total,
                       errors.total == 1 ? "" : "s");
    } else if (s != SERIN_OK) {
        api_error(r, 500, "%s", status_text(s));
    } else {
        c.rollout = (char *)plan->id;
        c.plan = (char *)q->body;
        if (command_id(q, &a, &c, r) &&
            who(q, api_query(q, "actor"), api_query(q, "reason"), &c, r) &&
            stand_behind(api, plan, &a, &c, r))
            send(api, q, &c, "apply", r);
    }
    arena_free(&a);
}

/* Every member of the body is known to the verb and a text (weight: or a number). */
static bool check_members(const struct act *act, json_t *body, struct reply *r)
{
    const char *key;
    json_t *value;
    json_object_foreach(body, key, value)
    {
        const char *near = NULL;
        bool known = false;
        for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
            if (members[i].need != 0 && (act->needs & members[i].need) == 0) continue;
            known |= strcmp(key, members[i].key) == 0;
            if (strview_distance(strview_of(key), strview_of(members[i].key)) < 3)
                near = members[i].key;
        }
        if (!known) {
            api_error(r, 400, "%s: no such member for %s%s%s%s", key, act->name,
                      near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
                      near != NULL ? "\"?" : "");
            return false;
        }
        if (json_is_string(value)) continue;
        if (strcmp(key, "weight") == 0 && json_is_number(value)) continue;
        if (strcmp(key, "override_freeze") == 0 && json_is_boolean(value)) continue;
        api_error(r, 400, "%s: expected a text in quotes", key);
        return false;
    }
    return true;
}

static bool take_weight(json_t *body, pb_command *c, struct reply *r)
{
    json_t *weight = json_object_get(body, "weight");
    char text[48] = "";
    if (json_is_number(weight))
        snprintf(text, sizeof text, "%.15g", json_number_value(weight));
    else if (json_is_string(weight))
        snprintf(text, sizeof text, "%s", json_string_value(weight));
    if (acts_weight(text, &c->weight_bp)) return true;
    api_error(r, 400,
              "weight: %s; expected percent from 0 to 100 with at most two decimals, "
              "such as \"2.5%%\"",
              *text != '\0' ? text : "missing");
    return false;
}

/* The gate that was named, or the only one that is not open. */
static bool take_gate(json_t *body, const pb_rollout *row, pb_command *c,
                      struct reply *r)
{
    const pb_status *s = row->status;
    const char *gate = json_string_value(json_object_get(body, "gate"));
    char names[200] = "";
    size_t waiting = 0;
    for (size_t i = 0; s != NULL && i < s->n_gates && gate == NULL; i++) {
        size_t n = strlen(names);
        snprintf(names + n, sizeof names - n, "%s%s", n != 0 ? ", " : "",
                 s->gates[i]->name);
        if (strcmp(s->gates[i]->state, "open") != 0) {
            waiting++;
            c->gate = s->gates[i]->name;
        }
    }
    if (gate != NULL) c->gate = (char *)gate;
    if (gate != NULL || waiting == 1) return true;
    api_error(r, 400, "gate: missing, and %zu are not open; the plan has: %s", waiting,
              *names != '\0' ? names : "none");
    return false;
}

static bool take_by(json_t *body, pb_command *c, struct reply *r)
{
    const char *by = json_string_value(json_object_get(body, "by"));
    if (by != NULL && strview_duration_ms(strview_of(by), &c->extend_ms) &&
        c->extend_ms > 0)
        return true;
    api_error(r, 400, "by: %.40s; expected a duration such as \"30m\"",
              by != NULL ? by : "missing");
    return false;
}

static bool fill(const struct act *act, const struct request *q, json_t *body,
                 const pb_rollout *row, pb_command *c, struct reply *r)
{
    const char *reason = json_string_value(json_object_get(body, "reason"));
    c->verb = act->verb;
    c->rollout = row->rollout;
    if (!check_members(act, body, r)) return false;
    if (!who(q, json_string_value(json_object_get(body, "actor")), reason, c, r))
        return false;
    if ((act->needs & NEED_REASON) != 0 && *c->reason == '\0') {
        api_error(r, 400, "reason: missing; %s goes past the evidence, so say why",
                  act->name);
        return false;
    }
    c->override_freeze = json_is_true(json_object_get(body, "override_freeze"));
    if (c->override_freeze && *c->reason == '\0') {
        api_error(r, 400, "reason: missing; to override a freeze, say why");
        return false;
    }
    if ((act->needs & NEED_WEIGHT) != 0 && !take_weight(body, c, r)) return false;
    if ((act->needs & NEED_GATE) != 0 && !take_gate(body, row, c, r)) return false;
    return (act->needs & NEED_BY) == 0 || take_by(body, c, r);
}

static const struct act *act_of(const char *path)
{
    const char *name = strrchr(path, '/');
    for (size_t i = 0; name != NULL && i < sizeof acts / sizeof *acts; i++)
        if (strcmp(acts[i].name, name + 1) == 0) return &acts[i];
    return NULL;
}

/* The body as an object; an empty body is an empty one. */
static json_t *parse(const struct request *q, struct reply *r)
{
    static const char *const types[] = {"application/json", NULL};
    json_error_t e;
    if (!type_is(q, types)) {
        api_error(r, 415, "send the body as Content-Type: application/json");
        return NULL;
    }
    if (q->n == 0) return json_object();
    json_t *body = json_loadb(q->body, q->n, JSON_REJECT_DUPLICATES, &e);
    if (json_is_object(body)) return body;
    if (body == NULL)
        api_error(r, 400, "the body is no JSON: line %d, column %d: %s", e.line,
                  e.column, e.text);
    else
        api_error(r, 400,
                  "the body: expected an object, {\"actor\": …, \"reason\": …}");
    json_decref(body);
    return NULL;
}

void acts_command(struct api *api, const struct request *q, const char *id,
                  struct reply *r)
{
    const struct act *act = act_of(q->path);
    struct arena a = {0};
    pb_rollout *row = NULL;
    pb_command c = SERIN__V1__COMMAND__INIT;
    json_t *body = act != NULL ? parse(q, r) : NULL;
    if (body == NULL) return;
    enum serin_status s = directory_get(api->dir, id, &a, &row);
    if (s == SERIN_ENOENT)
        api_no_rollout(api, r, id);
    else if (s != SERIN_OK)
        api_error(r, 500, "%s", status_text(s));
    else if (command_id(q, &a, &c, r) && fill(act, q, body, row, &c, r))
        send(api, q, &c, act->name, r);
    json_decref(body);
    arena_free(&a);
}
