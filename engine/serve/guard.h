/* engine/serve/guard.h -- ends connections that take too long (private)
 *
 * The HTTP library's own time-out starts anew with every byte, so a client that sends
 * one byte at a time would keep its place for ever; here a request as a whole has a
 * deadline. */
#ifndef SERIN_ENGINE_SERVE_GUARD_H
#define SERIN_ENGINE_SERVE_GUARD_H

#include <stdint.h>

struct guard;       /* opaque; has a thread */
struct guard_entry; /* one connection */

/** receive_ms: to receive one request; answer_ms: to take its answer. NULL: no memory.
 */
struct guard *guard_open(int64_t receive_ms, int64_t answer_ms);
/** All entries must have been removed. NULL is a no-op. */
void guard_close(struct guard *g);

/* Thread: any; each entry by its connection's thread. NULL entries are ignored. */
struct guard_entry *guard_add(struct guard *g, int fd);
void guard_received(struct guard *g,
                    struct guard_entry *e); /* the request is complete */
void guard_answered(struct guard *g, struct guard_entry *e); /* awaits the next one */
/** Before the descriptor is closed. */
void guard_remove(struct guard *g, struct guard_entry *e);

#endif
