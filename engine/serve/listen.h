/* engine/serve/listen.h -- sockets to listen on (private) */
#ifndef SERIN_ENGINE_SERVE_LISTEN_H
#define SERIN_ENGINE_SERVE_LISTEN_H

#include <stddef.h>
#include <sys/types.h>

#include "engine/base/status.h"

enum { LISTEN_NAME_MAX = 300 };

/* One address that is being listened on; zero-initialise, fd < 0 when closed. */
struct listener {
    int fd;
    bool local; /* a unix socket: the file's permissions decide who may talk */
    char name[LISTEN_NAME_MAX]; /* "unix:/path" or "127.0.0.1:7171" */
    dev_t device;               /* of the socket file, to unlink our own only */
    ino_t inode;
};

/**
 * Bind "unix:/path" (mode 0660; a file left behind by a dead process is replaced) or
 * "host:port" ("" or "*": every interface; port 0: any; "[::1]:7171").
 * Errors: SERIN_EDOM (not an address), SERIN_ESTATE (somebody serves there), SERIN_EIO
 */
SERIN_MUST_USE
enum serin_status listen_open(struct listener *l, const char *address, struct fault *f);
/** Close the socket if still open, and remove its file if it is still ours. */
void listen_close(struct listener *l);

#endif
