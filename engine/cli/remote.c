/* engine/cli/remote.c */
#include "engine/cli/remote.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/serve/serve.h"

enum { TOKEN_MAX = 4096, REPLY_MAX = 256 << 20, CONNECT_MS = 5000, CALL_MS = 60000 };

static struct {
    CURL *curl;
    char base[600];    /* "http://host:port" */
    char address[600]; /* as given */
    struct curl_slist *headers;
} line;

/* An option, else the environment's; NULL: neither, or empty. */
static const char *setting(const char *option, const char *variable)
{
    const char *given = cli_get(option);
    if (given == NULL) given = getenv(variable);
    return given != NULL && *given != '\0' ? given : NULL;
}

static const char *address(void)
{
    const char *given = setting("addr", "SERIN_ADDR");
    return given != NULL ? given : SERVE_DEFAULT_LISTEN;
}

static void trust(void)
{
    const char *ca = setting("ca-file", "SERIN_CA_FILE");
    const char *cert = setting("cert-file", "SERIN_CERT_FILE");
    const char *key = setting("key-file", "SERIN_KEY_FILE");
    if (ca != NULL) curl_easy_setopt(line.curl, CURLOPT_CAINFO, ca);
    if (cert != NULL) curl_easy_setopt(line.curl, CURLOPT_SSLCERT, cert);
    if (key != NULL) curl_easy_setopt(line.curl, CURLOPT_SSLKEY, key);
}

/* "Authorization: Bearer …" from the token file; secrets never stand in a flag. */
static bool token_header(const char *file, char *out, size_t room, char why[512])
{
    char token[TOKEN_MAX + 2];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, token, sizeof token - 1) : -1;
    if (n < 0) {
        snprintf(why, 512, "token file %s: %s", file, strerror(errno));
        if (fd >= 0) close(fd);
        return false;
    }
    close(fd);
    token[n] = '\0';
    const char *from = token + strspn(token, " \t\r\n");
    size_t len = strcspn(from, " \t\r\n");
    snprintf(out, room, "Authorization: Bearer %.*s", (int)len, from);
    if (len != 0 && n <= TOKEN_MAX) return true;
    snprintf(why, 512, "token file %s: expected one token of at most %d bytes", file,
             TOKEN_MAX);
    return false;
}

static int aim(const char *at, char why[512])
{
    if (strncmp(at, "unix:", 5) == 0) {
        if (at[5] == '\0') {
            snprintf(why, 512, "address \"unix:\": expected unix:/path/to/socket");
            return CLI_USAGE;
        }
        curl_easy_setopt(line.curl, CURLOPT_UNIX_SOCKET_PATH, at + 5);
        snprintf(line.base, sizeof line.base, "http://localhost");
        return CLI_OK;
    }
    bool whole = strncmp(at, "http://", 7) == 0 || strncmp(at, "https://", 8) == 0;
    if (strlen(at) > 512 || (!whole && strchr(at, ':') == NULL) ||
        strchr(at, ' ') != NULL) {
        snprintf(
            why, 512,
            "address \"%.200s\": expected unix:/path, host:port or https://host:port",
            at);
        return CLI_USAGE;
    }
    snprintf(line.base, sizeof line.base, "%s%s", whole ? "" : "http://", at);
    size_t n = strlen(line.base);
    if (line.base[n - 1] == '/') line.base[n - 1] = '\0';
    return CLI_OK;
}

static int connect_once(char why[512])
{
    char bearer[TOKEN_MAX + 64];
    const char *file = setting("token-file", "SERIN_TOKEN_FILE");
    if (line.curl != NULL) return CLI_OK;
    line.curl = curl_easy_init();
    if (line.curl == NULL) {
        snprintf(why, 512, "out of memory");
        return CLI_UNREACHABLE;
    }
    snprintf(line.address, sizeof line.address, "%s", address());
    int code = aim(address(), why);
    trust();
    if (code == CLI_OK && file != NULL) {
        if (token_header(file, bearer, sizeof bearer, why))
            line.headers = curl_slist_append(NULL, bearer);
        else
            code = CLI_USAGE;
    }
    curl_easy_setopt(line.curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(line.curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(line.curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(line.curl, CURLOPT_TIMEOUT_MS, (long)CALL_MS);
    curl_easy_setopt(line.curl, CURLOPT_PROTOCOLS_STR, "http,https");
    return code;
}

static size_t collect(char *data, size_t size, size_t n, void *ctx)
{
    struct remote_reply *r = ctx;
    n *= size;
    if (n > REPLY_MAX - r->n) return 0;
    char *more = mem_realloc(r->body, r->n + n + 1, 1);
    if (more == NULL) return 0;
    r->body = more;
    memcpy(more + r->n, data, n);
    r->n += n;
    more[r->n] = '\0';
    return n;
}

static struct curl_slist *headers_of(const struct remote_request *q)
{
    char text[256];
    struct curl_slist *list = NULL;
    for (struct curl_slist *h = line.headers; h != NULL; h = h->next)
        list = curl_slist_append(list, h->data);
    list = curl_slist_append(list, "Expect:");
    if (q->type != NULL) {
        snprintf(text, sizeof text, "Content-Type: %s", q->type);
        list = curl_slist_append(list, text);
    }
    if (q->key != NULL) {
        snprintf(text, sizeof text, "Idempotency-Key: %s", q->key);
        list = curl_slist_append(list, text);
    }
    return list;
}

/* What to do when no answer came. */
static const char *advice(CURLcode rc)
{
    if (rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE)
        return "name the certificate that signed the engine's with --ca-file or "
               "SERIN_CA_FILE, and the host as it stands in the engine's";
    if (rc == CURLE_SSL_CERTPROBLEM)
        return "expected a certificate and its key, PEM, as --cert-file and --key-file";
    if (rc == CURLE_GOT_NOTHING)
        return "if it serves HTTPS, the address begins with https://";
    return "start one with 'serin run', or name another with --addr or SERIN_ADDR";
}

static int perform(const struct remote_request *q, struct remote_reply *r,
                   char why[512])
{
    char url[4096];
    if (snprintf(url, sizeof url, "%s%s", line.base, q->path) >= (int)sizeof url) {
        snprintf(why, 512, "the request is too long");
        return CLI_USAGE;
    }
    struct curl_slist *headers = headers_of(q);
    curl_easy_setopt(line.curl, CURLOPT_URL, url);
    curl_easy_setopt(line.curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(line.curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(line.curl, CURLOPT_WRITEDATA, r);
    if (q->body != NULL) {
        curl_easy_setopt(line.curl, CURLOPT_POST, 1L);
        curl_easy_setopt(line.curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->n);
        curl_easy_setopt(line.curl, CURLOPT_POSTFIELDS, q->body);
    } else {
        curl_easy_setopt(line.curl, CURLOPT_HTTPGET, 1L);
    }
    CURLcode rc = curl_easy_perform(line.curl);
    curl_easy_getinfo(line.curl, CURLINFO_RESPONSE_CODE, &r->status);
    curl_slist_free_all(headers);
    if (rc == CURLE_OK) return CLI_OK;
    snprintf(why, 512, "no engine answers at %.200s: %s; %s", line.address,
             curl_easy_strerror(rc), advice(rc));
    return CLI_UNREACHABLE;
}

int remote_call(const struct remote_request *q, struct remote_reply *r, char why[512])
{
    *r = (struct remote_reply){0};
    int code = connect_once(why);
    if (code == CLI_OK) code = perform(q, r, why);
    if (code != CLI_OK) {
        remote_reply_free(r);
        return code;
    }
    if (r->n != 0) r->json = json_loadb(r->body, r->n, 0, NULL);
    return CLI_OK;
}

void remote_reply_free(struct remote_reply *r)
{
    mem_free(r->body);
    json_decref(r->json);
    *r = (struct remote_reply){0};
}

int remote_code(const struct remote_reply *r)
{
    if (r->status >= 200 && r->status < 300) return CLI_OK;
    return r->status >= 500 ? CLI_UNREACHABLE : CLI_USAGE;
}

const char *remote_message(const struct remote_reply *r)
{
    static char text[48];
    const char *message = json_string_value(json_object_get(r->json, "message"));
    if (message != NULL) return message;
    snprintf(text, sizeof text, "the engine answered with status %ld", r->status);
    return text;
}

int remote_get(const char *path, json_t **out)
{
    char why[512] = "out of memory";
    struct remote_request q = {.method = "GET", .path = path};
    struct remote_reply r;
    int code = path != NULL ? remote_call(&q, &r, why) : CLI_UNREACHABLE;
    if (code != CLI_OK) return cli_fail(code, "%s", why);
    code = remote_code(&r);
    if (code != CLI_OK)
        code = cli_fail(code, "%s", remote_message(&r));
    else if (r.json == NULL)
        code =
            cli_fail(CLI_UNREACHABLE, "%s does not answer as serin does", line.address);
    else
        *out = json_incref(r.json);
    remote_reply_free(&r);
    return code;
}

char *remote_escape(const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, 0);
    char *copy = NULL;
    if (escaped == NULL || asprintf(&copy, "%s", escaped) < 0) copy = NULL;
    curl_free(escaped);
    return copy;
}

char *remote_path(const char *rollout, const char *tail)
{
    char *escaped = remote_escape(rollout), *path = NULL;
    if (escaped == NULL) return NULL;
    if (asprintf(&path, "/v1/rollouts/%s%s", escaped, tail) < 0) path = NULL;
    free(escaped);
    return path;
}
