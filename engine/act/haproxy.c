/* engine/act/haproxy.c -- HAProxy's runtime socket
 *
 * Either an entry of a map holds the canary's weight in basis points, and the
 * configuration compares a random number or a hash below 10 000 with it
 * (deploy/haproxy.cfg): exact to 0.01 %. Or servers of a backend get relative weights
 * 0..256: exact to about 0.4 %, and read back as what they come to. Ref: HAProxy 2.6
 * Management Guide, section 9.3 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/act/driver.h"
#include "engine/act/talk.h"
#include "engine/base/mem.h"

enum { MOST = 256, ANSWER = 65536 };

struct settings {
    struct driver_settings common;
    const char *socket, *map, *key, *backend, *canary, *baseline;
};
#define AT(field) offsetof(struct settings, field)
static const struct keys_key keys[] = {
    DRIVER_KIND,
    KEYS_KEY("socket", KEYS_TEXT, AT(socket), "/run/haproxy/admin.sock", 1, 512, NULL,
             "the runtime socket: a path, or host:port"),
    KEYS_KEY("map", KEYS_TEXT, AT(map), NULL, 1, 512, NULL,
             "path of the map as haproxy.cfg names it"),
    KEYS_KEY("key", KEYS_TEXT, AT(key), "canary", 1, 128, NULL,
             "entry of the map that holds the weight in basis points"),
    KEYS_KEY("backend", KEYS_TEXT, AT(backend), NULL, 1, 128, NULL,
             "instead of a map: the backend whose servers get weights"),
    KEYS_KEY("canary", KEYS_TEXT, AT(canary), "canary", 1, 128, NULL,
             "server of the backend that is the new version"),
    KEYS_KEY("baseline", KEYS_TEXT, AT(baseline), "baseline", 1, 128, NULL,
             "server of the backend that is the old version"),
};
static const struct keys_table table = KEYS_OF(keys, struct settings);

/* One argument of a command: nothing in it may end the command or begin another. */
static bool plain(const char *text)
{
    return text == NULL || strpbrk(text, " \t\r\n;\\\"'") == NULL;
}

static enum serin_status open_(const void *settings, const char *rollout, void **own,
                               char place[DRIVER_PLACE], struct fault *f)
{
    const struct settings *s = settings;
    (void)rollout;
    if ((s->map == NULL) == (s->backend == NULL))
        return fault_set(f, SERIN_EDOM,
                         "haproxy: give either map (a map's path) or backend (servers "
                         "with weights), not %s",
                         s->map == NULL ? "neither" : "both");
    if (!plain(s->map) || !plain(s->key) || !plain(s->backend) || !plain(s->canary) ||
        !plain(s->baseline))
        return fault_set(f, SERIN_EDOM,
                         "haproxy: names may hold no blanks, quotes, semicolons or "
                         "backslashes");
    if (s->map != NULL)
        snprintf(place, DRIVER_PLACE, "haproxy %.180s map %.200s key %.80s", s->socket,
                 s->map, s->key);
    else
        snprintf(place, DRIVER_PLACE, "haproxy %.200s backend %.200s", s->socket,
                 s->backend);
    *own = (void *)(uintptr_t)settings;
    return SERIN_OK;
}

static void close_(void *own)
{
    (void)own;
}

static enum serin_status ask(const struct settings *s, const char *command,
                             char answer[ANSWER], struct fault *f)
{
    return talk_line(s->socket, command, answer, ANSWER, DRIVER_TIMEOUT_MS, f);
}

static enum serin_status refused(const struct settings *s, const char *command,
                                 const char *answer, struct fault *f)
{
    return fault_set(f, SERIN_EIO, "haproxy at %.200s answered \"%.*s\" to \"%.150s\"",
                     s->socket, (int)strcspn(answer, "\r\n"), answer, command);
}

/* Shares of 256 that come nearest; a canary with any weight gets at least one. */
static void shares(uint32_t bp, unsigned *canary, unsigned *baseline)
{
    if (bp >= 5000) {
        *canary = MOST;
        *baseline = (unsigned)lround(MOST * (10000.0 - bp) / bp);
    } else {
        *canary = (unsigned)lround(MOST * (double)bp / (10000.0 - bp));
        *baseline = MOST;
        if (bp > 0 && *canary == 0) *canary = 1;
    }
}

static void command_of(const struct settings *s, uint32_t bp, bool add, char out[1024])
{
    unsigned canary, baseline;
    shares(bp, &canary, &baseline);
    if (s->map != NULL)
        snprintf(out, 1024, "%s map %s %s %" PRIu32, add ? "add" : "set", s->map,
                 s->key, bp);
    else
        snprintf(out, 1024, "set weight %s/%s %u; set weight %s/%s %u", s->backend,
                 s->canary, canary, s->backend, s->baseline, baseline);
}

static bool nothing(const char *answer)
{
    return answer[strspn(answer, " \r\n")] == '\0';
}

static enum serin_status apply(void *own, const struct driver_order *o, struct fault *f)
{
    const struct settings *s = own;
    char command[1024], answer[ANSWER];
    command_of(s, o->weight_bp, false, command);
    enum serin_status rc = ask(s, command, answer, f);
    if (rc != SERIN_OK) return rc;
    if (!nothing(answer) && s->map != NULL &&
        strstr(answer, "entry not found") != NULL) {
        command_of(s, o->weight_bp, true, command);
        rc = ask(s, command, answer, f);
        if (rc != SERIN_OK) return rc;
    }
    return nothing(answer) ? SERIN_OK : refused(s, command, answer, f);
}

static enum serin_status read_map(const struct settings *s, uint32_t *bp,
                                  struct fault *f)
{
    char command[1024], answer[ANSWER];
    unsigned value;
    snprintf(command, sizeof command, "get map %s %s", s->map, s->key);
    enum serin_status rc = ask(s, command, answer, f);
    if (rc != SERIN_OK) return rc;
    if (strstr(answer, "found=no") != NULL) {
        *bp = 0; /* an absent entry is how haproxy.cfg boots: nothing for the canary */
        return SERIN_OK;
    }
    const char *at = strstr(answer, "value=\"");
    if (at == NULL || sscanf(at, "value=\"%5u\"", &value) != 1 || value > 10000)
        return at == NULL ? refused(s, command, answer, f)
                          : fault_set(f, SERIN_EDOM,
                                      "haproxy: map %.200s holds %.40s for %.100s, no "
                                      "weight in basis points",
                                      s->map, at, s->key);
    *bp = value;
    return SERIN_OK;
}

static enum serin_status read_server(const struct settings *s, const char *server,
                                     unsigned *weight, struct fault *f)
{
    char command[1024], answer[ANSWER];
    snprintf(command, sizeof command, "get weight %s/%s", s->backend, server);
    enum serin_status rc = ask(s, command, answer, f);
    if (rc != SERIN_OK) return rc;
    return sscanf(answer, "%u", weight) == 1 ? SERIN_OK
                                             : refused(s, command, answer, f);
}

static enum serin_status read_(void *own, uint32_t expected, uint32_t *bp,
                               struct fault *f)
{
    const struct settings *s = own;
    unsigned canary, baseline, near_canary, near_baseline;
    if (s->map != NULL) return read_map(s, bp, f);
    enum serin_status rc = read_server(s, s->canary, &canary, f);
    if (rc == SERIN_OK) rc = read_server(s, s->baseline, &baseline, f);
    if (rc != SERIN_OK) return rc;
    shares(expected, &near_canary, &near_baseline);
    if (canary == near_canary && baseline == near_baseline)
        *bp = expected;
    else
        *bp =
            canary == 0 ? 0 : (uint32_t)lround(10000.0 * canary / (canary + baseline));
    return SERIN_OK;
}

static void describe(void *own, const struct driver_order *o, char out[DRIVER_TEXT])
{
    char command[1024];
    const struct settings *s = own;
    command_of(s, o->weight_bp, false, command);
    snprintf(out, DRIVER_TEXT, "%.100s: %.380s", s->socket, command);
}

extern const struct driver haproxy_driver;
const struct driver haproxy_driver = {"haproxy", &table, false,    open_, close_,
                                      apply,     read_,  describe, NULL};
