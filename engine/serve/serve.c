/* engine/serve/serve.c -- sockets and HTTP around routes.c; a thread a connection, so
 * that a command that waits for its outcome keeps nobody else waiting */
#include "engine/serve/serve.h"

#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/serve/api.h"
#include "engine/serve/auth.h"
#include "engine/serve/events.h"
#include "engine/serve/guard.h"
#include "engine/serve/listen.h"
#include "engine/serve/page.h"
#include "engine/serve/receive.h"
#include "engine/serve/routes.h"
#include "engine/serve/tls.h"

enum {
    HEADER_MEMORY = 32 * 1024,
    PER_ADDRESS = 64,
    FIRST_ROOM = 4096,
    STREAM_BLOCK = 16384
};

struct port {
    struct serve *serve;
    struct listener at;
    struct MHD_Daemon *daemon;
};

struct serve {
    struct api api;
    struct auth auth;
    struct tls tls;
    struct guard *guard;
    struct port ports[SERVE_MAX_LISTEN];
    size_t n_ports;
};

/* One request on its way in. */
struct exchange {
    int64_t start_ms;
    bool refused, over;     /* answered at once; the body is larger than it may be */
    bool receives;          /* metrics or traces: a route of receive.h */
    size_t max_body, taken; /* taken: room that receive.h gave */
    char *body;
    size_t n, room;
};

static const char *header(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static const char *query(const struct request *q, const char *key)
{
    return MHD_lookup_connection_value(q->ctx, MHD_GET_ARGUMENT_KIND, key);
}

static struct guard_entry *entry(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static int socket_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info != NULL ? info->connect_fd : -1;
}

/* Who asks, for the audit, when the request does not name an actor. */
static void peer_of(const struct port *p, struct MHD_Connection *c, char out[64])
{
    struct ucred who;
    socklen_t n = sizeof who;
    if (p->at.local && getsockopt(socket_of(c), SOL_SOCKET, SO_PEERCRED, &who, &n) == 0)
        snprintf(out, 64, "uid:%u", (unsigned)who.uid);
    else if (!tls_client(&p->serve->tls, c, out))
        snprintf(out, 64, "%s", p->serve->auth.required ? "token" : "anonymous");
}

/* The host at the other end, without its port. */
static void host_of(const struct port *p, struct MHD_Connection *c, char out[64])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *at = info != NULL ? info->client_addr : NULL;
    socklen_t n = at != NULL && at->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                          : sizeof(struct sockaddr_in);
    if (p->at.local || at == NULL ||
        getnameinfo(at, n, out, 64, NULL, 0, NI_NUMERICHOST) != 0)
        snprintf(out, 64, "local");
}

/* A stream being sent; lives as long as its response. */
struct sending {
    struct serve *serve;
    struct guard_entry *entry;
    struct events *events;
};

static ssize_t on_stream(void *ctx, uint64_t at, char *out, size_t max)
{
    struct sending *w = ctx;
    (void)at;
    ssize_t n = events_read(w->events, out, max, EVENTS_ALIVE_MS);
    guard_received(w->serve->guard, w->entry); /* it took what went before */
    return n > 0 ? n : MHD_CONTENT_READER_END_OF_STREAM;
}

static void on_stream_end(void *ctx)
{
    struct sending *w = ctx;
    events_close(w->events);
    atomic_fetch_sub(&w->serve->api.streams, 1);
    mem_free(w);
}

static struct MHD_Response *stream_response(struct serve *s, struct MHD_Connection *c,
                                            struct events *events)
{
    struct sending *w = mem_calloc(1, sizeof *w);
    if (w == NULL) {
        events_close(events);
        return NULL;
    }
    *w = (struct sending){s, entry(c), events};
    atomic_fetch_add(&s->api.streams, 1);
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_BLOCK, on_stream, w, on_stream_end);
    if (response == NULL) on_stream_end(w);
    return response;
}

static struct MHD_Response *body_response(struct reply *r)
{
    static char empty[] = "{\"schema\":\"serin.error/1\",\"status\":500,"
                          "\"message\":\"out of memory\"}";
    if (r->body == NULL) {
        r->status = 500;
        r->type = "application/json";
        return MHD_create_response_from_buffer(sizeof empty - 1, empty,
                                               MHD_RESPMEM_PERSISTENT);
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(r->n, r->body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) free(r->body);
    return response;
}

static enum MHD_Result send_reply(struct serve *s, struct MHD_Connection *c,
                                  struct reply *r, bool page)
{
    struct MHD_Response *response =
        r->stream != NULL ? stream_response(s, c, r->stream) : body_response(r);
    if (response == NULL) return MHD_NO;
    MHD_add_response_header(response, "Content-Type", r->type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (page) MHD_add_response_header(response, "Content-Security-Policy", PAGE_POLICY);
    if (r->allow != NULL) MHD_add_response_header(response, "Allow", r->allow);
    char after[16];
    snprintf(after, sizeof after, "%d", r->retry_s);
    if (r->retry_s != 0) MHD_add_response_header(response, "Retry-After", after);
    if (r->status == 401)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"serin\"");
    enum MHD_Result rc = MHD_queue_response(c, r->status, response);
    MHD_destroy_response(response);
    return rc;
}

/* A page of another origin must not act through a browser that can reach us. */
static bool foreign_origin(struct MHD_Connection *c)
{
    const char *origin = header(c, "Origin"), *host = header(c, "Host");
    if (origin == NULL) return false;
    const char *slashes = strstr(origin, "://");
    return slashes == NULL || host == NULL || strcasecmp(slashes + 3, host) != 0;
}

/* What is wrong with a request before its body is read; false: nothing. */
static bool refuse(struct port *p, struct MHD_Connection *c, const char *method,
                   const char *path, struct exchange *x, struct reply *r)
{
    char id[ROUTES_ID_MAX + 1], allowed[32];
    size_t route = routes_find(method, path, id, allowed);
    unsigned flags = route != SIZE_MAX ? routes_at(route)->flags : 0;
    bool open = (flags & ROUTE_OPEN) != 0;
    struct receive *receive = p->serve->api.receive;
    x->receives = (flags & ROUTE_RECEIVE) != 0;
    x->max_body = x->receives ? receive_max_body(receive) : p->serve->api.o.max_body;
    const char *length = header(c, "Content-Length");
    const struct tls *tls = &p->serve->tls;
    char name[64];
    if (!open && !p->at.local && tls->client_ca != NULL && !tls_client(tls, c, name))
        api_error(
            r, 403,
            "no certificate, or none that is trusted here; expected one signed by "
            "http.tls.client_ca_file (serin: --cert-file and --key-file)");
    else if (!open && !p->at.local &&
             !auth_allows(&p->serve->auth, header(c, "Authorization")))
        api_error(r, 401,
                  "no or a wrong token; expected the header Authorization: Bearer "
                  "TOKEN (serin: --token-file or SERIN_TOKEN_FILE)");
    else if (strcmp(method, "POST") == 0 && foreign_origin(c))
        api_error(r, 403, "a page of another origin may not act here");
    else if (x->receives)
        return !receive_admit(receive, path, length, header(c, "Content-Type"),
                              &x->taken, r);
    else if (length != NULL && strtoull(length, NULL, 10) > x->max_body)
        api_error(r, 413, "the body has %.24s bytes; at most %zu are taken", length,
                  x->max_body);
    else
        return false;
    return true;
}

static bool append(struct exchange *x, const char *data, size_t n)
{
    if (x->over || n > x->max_body - x->n) {
        x->over = true; /* the rest is read and dropped, within the deadline */
        return true;
    }
    if (x->n + n + 1 > x->room) {
        size_t room = x->room != 0 ? x->room : FIRST_ROOM;
        while (room < x->n + n + 1)
            room *= 2;
        char *more = mem_realloc(x->body, room, 1);
        if (more == NULL) return false;
        x->body = more;
        x->room = room;
    }
    memcpy(x->body + x->n, data, n);
    x->n += n;
    x->body[x->n] = '\0';
    return true;
}

static void count(struct port *p, const struct exchange *x, const char *method,
                  const char *path, unsigned status)
{
    char id[ROUTES_ID_MAX + 1], allowed[32];
    int64_t ms = clock_mono_ms() - x->start_ms;
    metrics_request(p->serve->api.metrics, routes_find(method, path, id, allowed),
                    status, ms);
    log_debug("serve", "%s %.200s: %u in %lld ms", method, path, status, (long long)ms);
}

static enum MHD_Result answer(struct port *p, struct MHD_Connection *c,
                              struct exchange *x, const char *method, const char *path)
{
    struct reply r = {0};
    struct request q = {.method = method,
                        .path = path,
                        .query = query,
                        .ctx = c,
                        .type = header(c, "Content-Type"),
                        .encoding = header(c, "Content-Encoding"),
                        .key = header(c, "Idempotency-Key"),
                        .body = x->body != NULL ? x->body : "",
                        .n = x->n};
    peer_of(p, c, q.peer);
    host_of(p, c, q.from);
    if (x->over && x->receives)
        receive_too_large(p->serve->api.receive, path, q.type, &r);
    else if (x->over)
        api_error(&r, 413, "the body is too large; at most %zu bytes are taken",
                  x->max_body);
    else
        routes_answer(&p->serve->api, &q, &r);
    count(p, x, method, path, r.status);
    return send_reply(p->serve, c, &r, strcmp(path, "/") == 0);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *path,
                                  const char *method, const char *version,
                                  const char *data, size_t *size, void **state)
{
    struct port *p = ctx;
    struct exchange *x = *state;
    struct reply r = {0};
    (void)version;
    if (x == NULL) {
        x = *state = mem_calloc(1, sizeof *x);
        if (x == NULL) return MHD_NO;
        x->start_ms = clock_mono_ms();
        x->refused = refuse(p, c, method, path, x, &r);
        if (!x->refused) return MHD_YES;
        count(p, x, method, path, r.status);
        return send_reply(p->serve, c, &r, false);
    }
    if (*size != 0) {
        bool ok = x->refused || append(x, data, *size);
        *size = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    if (x->refused) return MHD_YES;
    guard_received(p->serve->guard, entry(c));
    return answer(p, c, x, method, path);
}

static void on_completed(void *ctx, struct MHD_Connection *c, void **state,
                         enum MHD_RequestTerminationCode why)
{
    struct port *p = ctx;
    struct exchange *x = *state;
    (void)why;
    guard_answered(p->serve->guard, entry(c));
    if (x != NULL) {
        receive_done(p->serve->api.receive, x->taken);
        mem_free(x->body);
    }
    mem_free(x);
    *state = NULL;
}

static void on_connection(void *ctx, struct MHD_Connection *c, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct port *p = ctx;
    bool came = what == MHD_CONNECTION_NOTIFY_STARTED;
    if (came) {
        *socket_context = guard_add(p->serve->guard, socket_of(c));
    } else {
        guard_remove(p->serve->guard, *socket_context);
        *socket_context = NULL;
    }
    metrics_connection(p->serve->api.metrics, came ? 1 : -1);
}

static void on_log(void *ctx, const char *fmt, va_list ap) SERIN_PRINTF(2, 0);

static void on_log(void *ctx, const char *fmt, va_list ap)
{
    char text[512];
    (void)ctx;
    vsnprintf(text, sizeof text, fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    log_debug("serve", "http: %s", text);
}

static enum serin_status start(struct port *p, const char *address, struct fault *f)
{
    const struct serve_options *o = &p->serve->api.o;
    enum serin_status s = listen_open(&p->at, address, f);
    if (s != SERIN_OK) return s;
    bool known = p->serve->auth.required || p->serve->tls.client_ca != NULL;
    if (!p->at.local && !known && !o->insecure) {
        listen_close(&p->at);
        return fault_set(f, SERIN_EDOM,
                         "listen: %s: TCP needs a bearer token or clients' "
                         "certificates; set http.token_file (--token-file) or "
                         "http.tls.client_ca_file, or --insecure to let everybody act",
                         address);
    }
    bool secure = !p->at.local && p->serve->tls.cert != NULL;
    struct MHD_OptionItem tls[TLS_MAX_OPTIONS];
    tls_options(secure ? &p->serve->tls : &(struct tls){0}, tls);
    unsigned idle_s = (unsigned)(o->timeout_s + o->wait_ms / 1000 + 1);
    p->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
            MHD_USE_ITC | MHD_USE_ERROR_LOG | (secure ? MHD_USE_TLS : 0u),
        0, NULL, NULL, on_request, p, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, p->at.fd, MHD_OPTION_CONNECTION_LIMIT, o->connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, p->at.local ? 0u : (unsigned)PER_ADDRESS,
        MHD_OPTION_CONNECTION_TIMEOUT, idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HEADER_MEMORY, MHD_OPTION_NOTIFY_COMPLETED, on_completed, p,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, p, MHD_OPTION_ARRAY, tls,
        MHD_OPTION_END);
    p->at.fd = -1; /* the daemon's now */
    if (p->daemon == NULL)
        return fault_set(f, SERIN_EIO, "cannot start the HTTP server on %s", address);
    log_info("serve", "serving on %s%s", secure ? "https://" : "", p->at.name);
    return SERIN_OK;
}

static struct serve_options with_defaults(const struct serve_options *o)
{
    struct serve_options full = *o;
    if (full.max_body == 0) full.max_body = (size_t)1 << 20;
    if (full.timeout_s <= 0) full.timeout_s = 30;
    if (full.wait_ms <= 0) full.wait_ms = 10000;
    if (full.connections == 0) full.connections = 128;
    full.listen = NULL; /* texts are not kept */
    full.token_file = NULL;
    full.tls = (struct serve_tls){0};
    full.receive = (struct serve_receive){0};
    return full;
}

/* Who may talk: the token and the certificates. */
static enum serin_status load_secrets(struct auth *auth, struct tls *tls,
                                      const struct serve_options *o, struct fault *f)
{
    enum serin_status s = SERIN_OK;
    if (o->token_file != NULL) s = auth_load(auth, o->token_file, f);
    return s == SERIN_OK ? tls_load(tls, &o->tls, f) : s;
}

enum serin_status serve_check(const struct serve_options *o, struct fault *f)
{
    struct auth auth = {0};
    struct tls tls = {0};
    enum serin_status s = load_secrets(&auth, &tls, o, f);
    tls_free(&tls);
    return s;
}

static enum serin_status start_all(struct serve *s, const char *const *addresses,
                                   struct fault *f)
{
    for (size_t i = 0; addresses != NULL && addresses[i] != NULL; i++) {
        if (i == SERVE_MAX_LISTEN)
            return fault_set(f, SERIN_ELIMIT, "listen: at most %d addresses are served",
                             SERVE_MAX_LISTEN);
        s->ports[i].serve = s;
        s->n_ports = i + 1;
        enum serin_status rc = start(&s->ports[i], addresses[i], f);
        if (rc != SERIN_OK) return rc;
    }
    return SERIN_OK;
}

enum serin_status serve_open(struct serve **out, struct bus *b, struct directory *d,
                             const struct serve_options *o, struct fault *f)
{
    struct serve *s = mem_calloc(1, sizeof *s);
    if (s == NULL) return fault_set(f, SERIN_ENOMEM, "no memory for the HTTP server");
    s->api.dir = d;
    s->api.o = with_defaults(o);
    s->api.metrics = metrics_open();
    s->guard = guard_open((int64_t)s->api.o.timeout_s * 1000,
                          s->api.o.wait_ms + (int64_t)s->api.o.timeout_s * 2000);
    enum serin_status rc = SERIN_OK;
    if (s->api.metrics == NULL || s->guard == NULL)
        rc = fault_set(f, SERIN_ENOMEM, "no memory for the HTTP server");
    if (rc == SERIN_OK && b != NULL) rc = inbox_open(&s->api.inbox, b, f);
    if (rc == SERIN_OK) rc = receive_open(&s->api.receive, b, &o->receive, f);
    if (rc == SERIN_OK) rc = load_secrets(&s->auth, &s->tls, o, f);
    if (rc == SERIN_OK) rc = start_all(s, o->listen, f);
    if (rc == SERIN_OK)
        *out = s;
    else
        serve_close(s);
    return rc;
}

void serve_close(struct serve *s)
{
    if (s == NULL) return;
    atomic_store(&s->api.stopping, true);
    for (size_t i = 0; i < s->n_ports; i++) {
        if (s->ports[i].daemon != NULL) {
            MHD_stop_daemon(s->ports[i].daemon);
            listen_close(&s->ports[i].at);
        }
    }
    guard_close(s->guard);
    receive_close(s->api.receive);
    inbox_close(s->api.inbox);
    metrics_close(s->api.metrics);
    tls_free(&s->tls);
    mem_free(s);
}

const char *serve_address(const struct serve *s, size_t i)
{
    return i < s->n_ports ? s->ports[i].at.name : NULL;
}
