/* engine/core/schedule.c */
#include "engine/core/schedule.h"

#include <stdio.h>

#include "engine/core/explain.h"

enum { MINUTE_MS = 60000, DAY_MIN = 24 * 60, WEEK = 7 };

static const struct plan_freeze *freeze_at(const struct rollout *r, int64_t now_ms)
{
    for (size_t i = 0; i < r->plan->n_freezes; i++) {
        const struct plan_freeze *z = &r->plan->freezes[i];
        if (now_ms >= z->from_ms && now_ms < z->to_ms) return z;
    }
    return NULL;
}

/* Day of the week (0: Monday) and minute of the day; 1970-01-01 was a Thursday. */
static void in_week(int64_t ms, int *day, int *minute)
{
    int64_t minutes = ms / MINUTE_MS;
    *minute = (int)(minutes % DAY_MIN);
    *day = (int)((minutes / DAY_MIN + 3) % WEEK);
}

static bool allowed(const struct plan *p, int64_t ms)
{
    int day, minute;
    in_week(ms, &day, &minute);
    for (size_t i = 0; i < p->n_allow; i++) {
        const struct plan_allow *w = &p->allow[i];
        if ((w->day_bits & 1u << day) != 0 && minute >= w->from_min &&
            minute < w->to_min)
            return true;
    }
    return p->n_allow == 0;
}

/* When the weekly times allow it again; closed now. */
static int64_t next_allowed(const struct plan *p, int64_t now_ms)
{
    int64_t midnight = now_ms - now_ms % ((int64_t)DAY_MIN * MINUTE_MS), next = -1;
    for (int d = 0; d <= WEEK && next < 0; d++) {
        int64_t at = midnight + (int64_t)d * DAY_MIN * MINUTE_MS;
        int day, minute;
        in_week(at, &day, &minute);
        for (size_t i = 0; i < p->n_allow; i++) {
            int64_t ms = at + (int64_t)p->allow[i].from_min * MINUTE_MS;
            if ((p->allow[i].day_bits & 1u << day) == 0 || ms < now_ms) continue;
            if (next < 0 || ms < next) next = ms;
        }
    }
    return next;
}

/* "2026-12-24 00:00 UTC"; the calendar's eras of 400 years begin on 1 March 0000. */
static void stamp(int64_t ms, char out[40])
{
    enum { ERA = 146097, TO_EPOCH = 719468 };
    int64_t minutes = ms / MINUTE_MS, z = minutes / DAY_MIN + TO_EPOCH, of = z % ERA;
    int64_t y = (of - of / 1460 + of / 36524 - of / 146096) / 365;
    int64_t day = of - (365 * y + y / 4 - y / 100), month = (5 * day + 2) / 153;
    int d = (int)(day - (153 * month + 2) / 5) + 1;
    int m = (int)(month < 10 ? month + 3 : month - 9), at = (int)(minutes % DAY_MIN);
    int year = (int)(y + z / ERA * 400) + (m <= 2);
    snprintf(out, 40, "%04d-%02d-%02d %02d:%02d UTC", year, m, d, at / 60, at % 60);
}

/* Until when it is closed; now_ms: it is open. */
static int64_t closed_until(const struct rollout *r, int64_t now_ms)
{
    const struct plan_freeze *z = freeze_at(r, now_ms);
    if (z != NULL) return z->to_ms;
    return allowed(r->plan, now_ms) ? now_ms : next_allowed(r->plan, now_ms);
}

bool schedule_closed(const struct rollout *r, int64_t now_ms, struct turn *t)
{
    char until[40];
    const struct plan_freeze *z = freeze_at(r, now_ms);
    if (now_ms < r->override_ms) return false;
    if (z == NULL && allowed(r->plan, now_ms)) return false;
    stamp(closed_until(r, now_ms), until);
    if (z != NULL)
        explain_add(t, "promotions are frozen until %s%s%.200s", until,
                    z->reason[0] != '\0' ? ": " : "", z->reason);
    else
        explain_add(t, "schedule.allow has no promotions now; the next are at %s",
                    until);
    return true;
}

bool schedule_override(struct rollout *r, int64_t now_ms)
{
    int64_t until = closed_until(r, now_ms);
    if (until <= now_ms) return false;
    if (until > r->override_ms) r->override_ms = until;
    return true;
}
