/* engine/notify/incident.c */
#include "engine/notify/incident.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "engine/base/mem.h"

struct open {
    char rollout[132];
    int32_t partition;
    struct incident what;
    UT_hash_handle hh;
};

struct incident_set {
    struct open *all;
};

/* ---- texts */
static size_t length_of(unsigned char lead)
{
    if (lead < 0x80) return 1;
    if (lead < 0xc0) return 0;
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 0;
}

/* Bytes of the UTF-8 character at p; 0: none (RFC 3629). */
static size_t character(const unsigned char *p)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = length_of(p[0]);
    if (n < 2) return n;
    uint32_t code = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0; /* the final NUL, too */
        code = code << 6 | (p[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least[n] || code > 0x10ffff || surrogate ? 0 : n;
}

void incident_text(char *out, size_t room, const char *text, bool lines)
{
    size_t at = 0;
    const unsigned char *p = (const unsigned char *)(text != NULL ? text : "");
    while (*p != '\0') {
        size_t n = character(p), take = n != 0 ? n : 1;
        if (at + take >= room) break;
        if (n == 0)
            out[at] = '?';
        else if (*p >= 0x20 && *p != 0x7f)
            memcpy(out + at, p, n);
        else
            out[at] = lines && *p == '\n' ? '\n' : ' ';
        at += take;
        p += take;
    }
    out[at] = '\0';
}

/* ---- how urgent */
enum severity incident_severity(const pb_verdict *v)
{
    static const struct {
        const char *reason;
        enum severity severity;
    } holds[] = {
        {"operator", SEVERITY_INFO},  {"gate", SEVERITY_WARNING},
        {"freeze", SEVERITY_INFO},    {"state_lost", SEVERITY_ERROR},
        {"defect", SEVERITY_ERROR},   {"blind", SEVERITY_ERROR},
        {"actuator", SEVERITY_ERROR}, {"canary_silent", SEVERITY_ERROR},
    };
    if (v->kind == SERIN__V1__KIND__KIND_ABORT)
        return *v->actor != '\0' ? SEVERITY_WARNING : SEVERITY_CRITICAL;
    for (size_t i = 0; i < sizeof holds / sizeof *holds; i++)
        if (strcmp(v->reason, holds[i].reason) == 0) return holds[i].severity;
    return SEVERITY_WARNING;
}

/* ---- the fold */
static void fill(struct incident *i, const pb_verdict *v)
{
    *i = (struct incident){.severity = incident_severity(v),
                           .abort = v->kind == SERIN__V1__KIND__KIND_ABORT,
                           .weight_bp = v->to_bp,
                           .seq = v->seq,
                           .t_ms = v->t_ms};
    const struct {
        char *out;
        size_t room;
        const char *text;
    } texts[] = {
        {i->rollout, sizeof i->rollout, v->rollout},
        {i->service, sizeof i->service, v->service},
        {i->owner, sizeof i->owner, v->owner},
        {i->id, sizeof i->id, v->id},
        {i->verdict, sizeof i->verdict, i->abort ? "ABORT" : "HOLD"},
        {i->reason, sizeof i->reason, v->reason},
        {i->metric, sizeof i->metric, v->metric},
        {i->state, sizeof i->state, v->state_after},
        {i->actor, sizeof i->actor, v->actor},
        {i->message, sizeof i->message, v->message},
    };
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        incident_text(texts[k].out, texts[k].room, texts[k].text, false);
    incident_text(i->release_notes, sizeof i->release_notes, v->release_notes, true);
    incident_text(i->rollback_plan, sizeof i->rollback_plan, v->rollback_plan, true);
    snprintf(i->key, sizeof i->key, "%s:%s", i->rollout,
             i->abort ? "abort" : i->reason);
}

static void end(struct incident_event *e, const struct incident *open,
                const pb_verdict *v)
{
    char kind[16] = "", text[INCIDENT_TEXT];
    static const char *const names[] = {"",     "PROMOTE", "ABORT",
                                        "HOLD", "RESUME",  "RESULT"};
    if ((size_t)v->kind < sizeof names / sizeof *names)
        snprintf(kind, sizeof kind, "%s", names[v->kind]);
    snprintf(text, sizeof text, "%s: %s", kind, v->message);
    *e = (struct incident_event){.what = *open, .ended_ms = v->t_ms};
    e->what.weight_bp = v->to_bp;
    incident_text(e->what.state, sizeof e->what.state, v->state_after, false);
    incident_text(e->how, sizeof e->how, text, false);
}

struct incident_set *incident_open(void)
{
    return mem_calloc(1, sizeof(struct incident_set));
}

static void drop(struct incident_set *s, struct open *o)
{
    HASH_DEL(s->all, o);
    mem_free(o);
}

void incident_close(struct incident_set *s)
{
    struct open *o, *next;
    if (s == NULL) return;
    HASH_ITER(hh, s->all, o, next) drop(s, o);
    mem_free(s);
}

int incident_take(struct incident_set *s, const pb_verdict *v, int32_t partition,
                  struct incident_event out[INCIDENT_EVENTS])
{
    struct incident now;
    struct open *o, *made = NULL;
    int n = 0;
    bool begins =
        v->kind == SERIN__V1__KIND__KIND_ABORT || v->kind == SERIN__V1__KIND__KIND_HOLD;
    fill(&now, v);
    HASH_FIND_STR(s->all, now.rollout, o);
    if (begins && o != NULL && strcmp(o->what.key, now.key) == 0) return 0;
    if (begins && (made = mem_calloc(1, sizeof *made)) == NULL) return -1;
    if (o != NULL) {
        end(&out[n++], &o->what, v);
        drop(s, o);
    }
    if (!begins) return n;
    made->what = now;
    made->partition = partition;
    memcpy(made->rollout, now.rollout, sizeof made->rollout);
    HASH_ADD_STR(s->all, rollout, made);
    out[n++] = (struct incident_event){.what = now, .firing = true};
    return n;
}

void incident_forget(struct incident_set *s, int32_t partition)
{
    struct open *o, *next;
    HASH_ITER(hh, s->all, o, next) if (o->partition == partition) drop(s, o);
}

void incident_each(const struct incident_set *s,
                   void (*each)(void *ctx, const struct incident *i), void *ctx)
{
    for (const struct open *o = s->all; o != NULL; o = o->hh.next)
        each(ctx, &o->what);
}
