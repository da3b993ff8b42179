/* engine/serve/tls.h -- TLS for the TCP side, and clients by their certificates
 * (private) */
#ifndef SERIN_ENGINE_SERVE_TLS_H
#define SERIN_ENGINE_SERVE_TLS_H

#include <microhttpd.h>

#include "engine/base/status.h"
#include "engine/serve/serve.h"

enum { TLS_MAX_FILE = 1 << 20, TLS_MAX_OPTIONS = 5 };

/* Zero-initialise: no TLS. What it holds must outlive the daemons that use it. */
struct tls {
    char *cert, *key, *client_ca; /* PEM; client_ca NULL: clients need none */
};

/**
 * Read the files. Both cert_file and key_file, or neither; client_ca_file with them.
 * Errors: SERIN_EDOM (a file that cannot be read, is no PEM, whose key others may read,
 * or a pair that does not belong together), SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status tls_load(struct tls *t, const struct serve_tls *files,
                           struct fault *f);
/** Forget the key. */
void tls_free(struct tls *t);
/** What MHD_OPTION_ARRAY has to say; only MHD_OPTION_END without TLS. */
void tls_options(const struct tls *t, struct MHD_OptionItem out[TLS_MAX_OPTIONS]);
/**
 * The client of this connection has a certificate of client_ca that is valid now.
 * name  "cert:" and its common name, for the audit; untouched when false
 */
bool tls_client(const struct tls *t, struct MHD_Connection *c, char name[64]);

#endif
