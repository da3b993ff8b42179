/* engine/serve/events.c */
#include "engine/serve/events.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/text.h"
#include "engine/serve/routes.h"
#include "engine/serve/view.h"

enum { SLICE_MS = 250 }; /* how soon the end of the process is noticed */
#define CHANGES_MAX ((size_t)512 << 20)

struct events {
    struct api *api;
    char rollout[ROUTES_ID_MAX + 1];
    uint64_t seen;    /* version of the directory that has been told */
    struct text text; /* told but not read yet, from `at` */
    size_t at;
    bool begun;
};

struct events *events_open(struct api *api, const char *rollout)
{
    struct events *e = mem_calloc(1, sizeof *e);
    if (e == NULL) return NULL;
    e->api = api;
    snprintf(e->rollout, sizeof e->rollout, "%s", rollout);
    e->text.max = CHANGES_MAX;
    return e;
}

void events_close(struct events *e)
{
    if (e == NULL) return;
    text_free(&e->text);
    mem_free(e);
}

static void tell(struct events *e, const char *event, const char *id, json_t *data)
{
    char *json = data != NULL ? json_dumps(data, VIEW_DUMP) : NULL;
    json_decref(data);
    if (json == NULL) {
        e->text.failed = true;
        return;
    }
    text_add(&e->text, "event: %s\n", event);
    if (id != NULL) text_add(&e->text, "id: %s\n", id);
    text_add(&e->text, "data: %s\n\n", json);
    free(json);
}

/* The rollouts as they stand. A row that comes meanwhile is told twice, none is missed.
 */
static bool begin(struct events *e)
{
    struct arena a = {.max = CHANGES_MAX};
    pb_rollout *one = NULL, **rows = &one;
    size_t n = 1;
    enum serin_status s;
    e->seen = directory_wait(e->api->dir, 0, 0);
    if (*e->rollout != '\0')
        s = directory_get(e->api->dir, e->rollout, &a, &one);
    else
        s = directory_list(e->api->dir, &a, &rows, &n);
    if (s == SERIN_ENOENT) n = 0; /* deleted since it was found */
    for (size_t i = 0; i < n && (s == SERIN_OK || s == SERIN_ENOENT); i++)
        tell(e, "status", NULL, view_status(rows[i]));
    arena_free(&a);
    e->begun = true;
    return (s == SERIN_OK || s == SERIN_ENOENT) && !e->text.failed;
}

/* Put what came since into the text; false when memory is out. */
static bool gather(struct events *e, uint64_t now)
{
    struct arena a = {.max = CHANGES_MAX};
    struct directory_change *list = NULL;
    size_t n = 0;
    const char *rollout = *e->rollout != '\0' ? e->rollout : NULL;
    bool ok =
        directory_changes(e->api->dir, rollout, e->seen, &a, &list, &n) == SERIN_OK;
    for (size_t i = 0; ok && i < n; i++) {
        if (list[i].version > now) now = list[i].version;
        if (list[i].row != NULL)
            tell(e, "status", NULL, view_status(list[i].row));
        else
            tell(e, "verdict", list[i].verdict->id, view_verdict(list[i].verdict));
    }
    arena_free(&a);
    e->seen = now;
    return ok && !e->text.failed;
}

/* Wait for changes, or give a comment; false: the stream is over. */
static bool refill(struct events *e, int alive_ms)
{
    int64_t end = clock_mono_ms() + alive_ms;
    e->text.n = e->at = 0;
    if (!e->begun && !begin(e)) return false;
    while (e->text.n == 0) {
        int64_t left = end - clock_mono_ms();
        if (atomic_load(&e->api->stopping)) return false;
        if (left <= 0) {
            text_add(&e->text, ": alive\n\n");
            break;
        }
        uint64_t now = directory_wait(e->api->dir, e->seen,
                                      (int)(left < SLICE_MS ? left : SLICE_MS));
        if (now > e->seen && !gather(e, now)) return false;
    }
    return !e->text.failed;
}

ssize_t events_read(struct events *e, char *out, size_t max, int alive_ms)
{
    if (e->at == e->text.n && !refill(e, alive_ms)) return -1;
    size_t n = e->text.n - e->at;
    if (n > max) n = max;
    memcpy(out, e->text.p + e->at, n);
    e->at += n;
    return (ssize_t)n;
}
