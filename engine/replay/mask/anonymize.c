/* engine/replay/mask/anonymize.c */
#include "engine/replay/mask/anonymize.h"

#include <string.h>

#include "engine/replay/record/origin.h"

struct work {
    const struct mask *mask;
    struct origin origin;
    struct recording_writer *to;
    struct text value;
    struct anonymize_report *out;
};

static const char *kept_name(struct origin *o, const struct mask *m, struct strview is)
{
    char name[MASK_NAME];
    mask_name(m, is, name);
    return arena_copy(&o->arena, name, strlen(name));
}

/* Topics and the attributes that inputs add. */
static enum serin_status rename_origin(struct origin *o, const struct mask *m)
{
    for (size_t i = 0; i < o->n; i++) {
        struct origin_topic *t = &o->topics[i];
        t->name = t->input ? kept_name(o, m, strview_of(t->name)) : "serin.inbox";
        if (t->name == NULL) return SERIN_ENOMEM;
        size_t n = t->defaults.n_attributes;
        struct series_attribute *all = arena_alloc(&o->arena, (n + 1) * sizeof *all);
        if (all == NULL) return SERIN_ENOMEM;
        for (size_t k = 0; k < n; k++) {
            all[k] = t->defaults.attributes[k];
            if (mask_kept(m, all[k].key)) continue;
            all[k].value = strview_of(kept_name(o, m, all[k].value));
        }
        t->defaults.attributes = all;
    }
    return SERIN_OK;
}

static enum serin_status start(struct work *w, const char *meta, const char *to,
                               struct fault *f)
{
    const char *text = NULL;
    enum serin_status rc = origin_read(&w->origin, meta, f);
    if (rc != SERIN_OK) return rc;
    if (w->origin.serin == NULL) w->origin.serin = SERIN_VERSION;
    rc = rename_origin(&w->origin, w->mask);
    if (rc == SERIN_OK) rc = origin_write(&w->origin, &w->origin.arena, &text);
    if (rc != SERIN_OK) return fault_set(f, rc, "out of memory");
    return recording_create(&w->to, to, text, f);
}

static enum serin_status masked(struct work *w, const struct recording_record *r)
{
    struct strview value = {r->value, r->value_len};
    w->value.n = 0;
    if (r->value == NULL) return SERIN_OK;
    if (r->topic >= w->origin.n) return SERIN_EPARSE;
    const struct origin_topic *t = &w->origin.topics[r->topic];
    if (!t->input) return mask_inbox(w->mask, value, &w->value);
    return mask_record(w->mask, origin_format(t, r->format), value, &w->value);
}

static enum serin_status put(struct work *w, const struct recording_record *r,
                             struct fault *f)
{
    char key[MASK_NAME];
    struct recording_record one = *r;
    enum serin_status rc = masked(w, r);
    if (rc == SERIN_EPARSE) {
        w->out->unreadable++;
        return SERIN_OK;
    }
    if (rc != SERIN_OK) return fault_set(f, rc, "out of memory");
    bool own = r->key_len >= 6 && memcmp(r->key, "@stage", 6) == 0;
    if (r->key != NULL && !own) {
        mask_name(w->mask, (struct strview){r->key, r->key_len}, key);
        one.key = key;
        one.key_len = strlen(key);
    }
    if (r->value != NULL) one.value = w->value.p != NULL ? w->value.p : "";
    one.value_len = w->value.n;
    w->out->written++;
    return recording_add(w->to, &one, f);
}

enum serin_status anonymize(struct recording_reader *r, const struct mask *m,
                            const char *to, struct anonymize_report *out,
                            struct fault *f)
{
    struct work w = {.mask = m, .out = out};
    struct recording_record one;
    struct fault end = {0};
    *out = (struct anonymize_report){0};
    enum serin_status rc = start(&w, recording_meta(r), to, f);
    if (rc == SERIN_OK) {
        while ((rc = recording_next(r, &one, f)) == SERIN_OK) {
            rc = put(&w, &one, f);
            if (rc != SERIN_OK) break;
        }
        if (rc == SERIN_AGAIN) rc = SERIN_OK;
        if (rc == SERIN_OK || f->code == SERIN_EPARSE) {
            enum serin_status finished = recording_finish(w.to, &end);
            if (finished != SERIN_OK) *f = end;
            rc = finished != SERIN_OK ? finished : rc;
        } else {
            recording_abandon(w.to);
        }
    }
    text_free(&w.value);
    origin_free(&w.origin);
    return rc;
}
