/* engine/act/driver.h -- how one kind of proxy is told a weight; one file a kind
 *
 * A driver keeps no clock and no state beyond its connection: when to speak, and which
 * weight, is decided above (lease.h, target.h). Every call returns within
 * DRIVER_TIMEOUT_MS or a little more; every call may be repeated. */
#ifndef SERIN_ENGINE_ACT_DRIVER_H
#define SERIN_ENGINE_ACT_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/keys.h"
#include "engine/base/status.h"

enum { DRIVER_TIMEOUT_MS = 3000, DRIVER_PLACE = 512, DRIVER_TEXT = 512 };

struct driver_order {
    const char *rollout, *verdict_id; /* "r", "r/7" */
    uint32_t weight_bp;               /* of the canary, 0..10000 */
    uint32_t mirror_bp; /* of the other requests, copied to the canary as well */
    bool
        stopped; /* aborted or the lease is over: whoever has a kill switch throws it */
    const char *const *audience; /* segments that are served whole; n_audience */
    size_t n_audience;
};

struct driver {
    const char *name; /* actuate: {kind: NAME} */
    /* Fills the settings; begins with DRIVER_KIND. */
    const struct keys_table *keys;
    /* It runs programs or calls addresses: only as a target that the machine's owner
     * named, never as a plan's author writes it. */
    bool privileged;
    /**
     * settings  as keys filled them, for as long as *own lives
     * own       out: the driver's state, freed by close
     * place     out: what is moved, for people, and to see two rollouts move the same
     * Errors    SERIN_EDOM (settings that do not go together), SERIN_ENOMEM; nobody is
     *           called yet
     */
    enum serin_status (*open)(const void *settings, const char *rollout, void **own,
                              char place[DRIVER_PLACE], struct fault *f);
    void (*close)(void *own);
    /** Errors: SERIN_EIO, SERIN_ETIME; *f says who answered what, and what to do. */
    enum serin_status (*apply)(void *own, const struct driver_order *o,
                               struct fault *f);
    /**
     * The weight that is in force now.
     * expected  is given back when what is in force is the nearest that the proxy can
     * do Errors    as apply; SERIN_EDOM: what stands there is no weight
     */
    enum serin_status (*read)(void *own, uint32_t expected, uint32_t *weight_bp,
                              struct fault *f);
    /** What apply would do, in one line. */
    void (*describe)(void *own, const struct driver_order *o, char out[DRIVER_TEXT]);
    /** The share of requests that is copied now, as the latest read found it or found
     * anew. NULL: this kind cannot copy requests. Errors: as read */
    enum serin_status (*mirror)(void *own, uint32_t *mirror_bp, struct fault *f);
};

/* Every kind, once. */
#define DRIVERS(X) X(haproxy) X(nginx) X(flagd) X(webhook) X(exec) X(envoy) X(gateway)

/* First member of every driver's settings, and first key of its table. */
struct driver_settings {
    const char *kind;
};
#define DRIVER_KIND                                                                    \
    KEYS_KEY("kind", KEYS_TEXT, offsetof(struct driver_settings, kind), NULL, 1, 32,   \
             NULL, "what moves the traffic", .required = true)

/** The driver of that name; NULL when there is none. */
const struct driver *driver_find(const char *name);
/** All of them; ends with NULL. */
extern const struct driver *const driver_all[];

#endif
