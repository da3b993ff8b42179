/* tests/unit/serve/test_http.c -- real sockets on loopback: who is let in, and how long
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/serve/serve.h"
#include "tests/unit/serve/fixture.h"

#define TOKEN "a-token-of-enough-bytes"

static char dir[64], folder[80], token_file[96], unix_address[96];
static struct directory *d;
static struct serve *s;

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/serin-http-XXXXXX");
    cr_assert(ne(ptr, mkdtemp(dir), NULL));
    snprintf(token_file, sizeof token_file, "%s/token", dir);
    /* A folder that is not there: serve makes it. */
    snprintf(folder, sizeof folder, "%s/made", dir);
    snprintf(unix_address, sizeof unix_address, "unix:%s/sock", folder);
    int fd = open(token_file, O_CREAT | O_WRONLY, 0600);
    cr_assert(gt(int, (int)write(fd, TOKEN "\n", sizeof TOKEN), 0));
    close(fd);
    d = fixture_young_directory();
    fixture_row(d, "r", "HELD", NULL);
}

static void teardown(void)
{
    serve_close(s);
    directory_close(d);
    unlink(token_file);
    unlink(unix_address + 5);
    rmdir(folder);
    cr_assert(eq(int, rmdir(dir), 0), "the socket file is removed");
}

TestSuite(http, .init = setup, .fini = teardown);

static void start(const char *token, bool insecure, int timeout_s)
{
    const char *listen[] = {unix_address, "127.0.0.1:0", NULL};
    struct serve_options o = {.listen = listen,
                              .token_file = token,
                              .insecure = insecure,
                              .max_body = 1000,
                              .timeout_s = timeout_s,
                              .wait_ms = 1};
    struct fault f = {0};
    cr_assert(eq(int, serve_open(&s, NULL, d, &o, &f), SERIN_OK), "%s", f.text);
}

static int dial(size_t which)
{
    const char *address = serve_address(s, which);
    int fd, rc;
    if (which == 0) {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        snprintf(at.sun_path, sizeof at.sun_path, "%s", address + 5);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        rc = connect(fd, (struct sockaddr *)&at, sizeof at);
    } else {
        struct sockaddr_in at = {.sin_family = AF_INET};
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        at.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
        fd = socket(AF_INET, SOCK_STREAM, 0);
        rc = connect(fd, (struct sockaddr *)&at, sizeof at);
    }
    cr_assert(eq(int, rc, 0), "%s", address);
    return fd;
}

static void put(int fd, const char *text, size_t n)
{
    while (n != 0) {
        ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
        if (sent <= 0) return; /* the other side has had enough */
        text += sent;
        n -= (size_t)sent;
    }
}

/* Everything until the other side closes. */
static const char *rest(int fd)
{
    static char text[65536];
    size_t n = 0;
    ssize_t got;
    while (n < sizeof text - 1 &&
           (got = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    close(fd);
    return text;
}

static unsigned ask(size_t which, const char *method, const char *path,
                    const char *headers, const char *body)
{
    char head[2048];
    unsigned status = 0;
    int fd = dial(which);
    int n = snprintf(head, sizeof head,
                     "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s"
                     "Content-Length: %zu\r\n\r\n",
                     method, path, headers, strlen(body));
    put(fd, head, (size_t)n);
    put(fd, body, strlen(body));
    cr_assert(eq(int, sscanf(rest(fd), "HTTP/1.1 %u", &status), 1));
    return status;
}

Test(http, tcp_wants_the_token)
{
    start(token_file, false, 10);
    cr_assert(eq(uint, ask(1, "GET", "/v1/rollouts", "", ""), 401));
    cr_assert(eq(uint,
                 ask(1, "GET", "/v1/rollouts", "Authorization: Bearer wrong\r\n", ""),
                 401));
    cr_assert(eq(
        uint, ask(1, "GET", "/v1/rollouts", "Authorization: Bearer " TOKEN "\r\n", ""),
        200));
    cr_assert(eq(uint, ask(1, "POST", "/v1/rollouts/r/abort", "", "{}"), 401));
    cr_assert(eq(uint, ask(1, "GET", "/metrics", "", ""), 401));
    cr_assert(eq(uint, ask(1, "GET", "/nothing", "", ""), 401), "tells nothing");
    cr_assert(eq(uint, ask(1, "GET", "/livez", "", ""), 200), "probes have no token");
    cr_assert(eq(uint, ask(1, "GET", "/readyz", "", ""), 503));
    cr_assert(eq(uint, ask(0, "GET", "/v1/rollouts", "", ""), 200), "the unix socket");
}

Test(http, tcp_is_refused_without_a_token)
{
    const char *listen[] = {"127.0.0.1:0", NULL};
    struct serve_options o = {.listen = listen};
    struct fault f = {0};
    struct serve *none = NULL;
    cr_assert(eq(int, serve_open(&none, NULL, d, &o, &f), SERIN_EDOM));
    cr_assert(ne(ptr, strstr(f.text, "--insecure"), NULL), "%s", f.text);
    start(NULL, true, 10);
    cr_assert(eq(uint, ask(1, "GET", "/v1/rollouts", "", ""), 200));
}

Test(http, socket_file)
{
    struct stat st;
    struct fault f = {0};
    const char *listen[] = {unix_address, NULL};
    struct serve_options o = {.listen = listen};
    struct serve *second = NULL;
    start(token_file, false, 10);
    cr_assert(eq(int, stat(unix_address + 5, &st), 0));
    cr_assert(eq(uint, st.st_mode & 07777, 0660));
    cr_assert(eq(int, serve_open(&second, NULL, d, &o, &f), SERIN_ESTATE));
    cr_assert(ne(ptr, strstr(f.text, "another process serves"), NULL), "%s", f.text);
    cr_assert(eq(uint, ask(0, "GET", "/livez", "", ""), 200), "the first one lives on");
}

Test(http, a_stale_socket_is_replaced_and_a_file_is_not)
{
    struct fault f = {0};
    struct serve_options o = {0};
    struct serve *none = NULL;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    cr_assert(eq(int, mkdir(folder, 0755), 0));
    snprintf(at.sun_path, sizeof at.sun_path, "%s", unix_address + 5);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert(eq(int, bind(fd, (struct sockaddr *)&at, sizeof at), 0));
    close(fd); /* as after kill -9: the file stays */
    start(token_file, false, 10);
    cr_assert(eq(uint, ask(0, "GET", "/livez", "", ""), 200));
    char plain[128];
    snprintf(plain, sizeof plain, "unix:%s", token_file);
    o.listen = (const char *const[]){plain, NULL};
    cr_assert(eq(int, serve_open(&none, NULL, d, &o, &f), SERIN_EDOM));
    cr_assert(ne(ptr, strstr(f.text, "is no socket"), NULL), "%s", f.text);
    cr_assert(eq(int, access(token_file, F_OK), 0), "and it is still there");
}

Test(http, bad_addresses)
{
    static const char *const bad[] = {
        "nonsense", "127.0.0.1:", "127.0.0.1:99999x",
        "::1:80",   "unix:",      "unix:/nonexistent/way/s"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *listen[] = {bad[i], NULL};
        struct serve_options o = {.listen = listen, .insecure = true};
        struct fault f = {0};
        struct serve *none = NULL;
        cr_assert(ne(int, serve_open(&none, NULL, d, &o, &f), SERIN_OK), "%s", bad[i]);
        cr_assert(ne(chr, f.text[0], '\0'));
    }
}

Test(http, bodies_are_bounded)
{
    char body[1402];
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    const char *json = "Content-Type: application/json\r\n";
    start(token_file, false, 10);
    cr_assert(eq(uint, ask(0, "POST", "/v1/rollouts/r/abort", json, body), 413));
    body[1000] = '\0';
    cr_assert(eq(uint, ask(0, "POST", "/v1/rollouts/r/abort", json, body), 400));
    char chunked[3000];
    body[1000] = 'x';
    int n = snprintf(
        chunked, sizeof chunked,
        "POST /v1/rollouts/r/abort HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
        "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n",
        strlen(body), body);
    int fd = dial(0);
    put(fd, chunked, (size_t)n);
    cr_assert(ne(ptr, strstr(rest(fd), "HTTP/1.1 413"), NULL));
}

Test(http, a_page_of_another_origin_may_not_act)
{
    start(NULL, true, 10);
    const char *json = "Content-Type: application/json\r\n";
    char with[128];
    snprintf(with, sizeof with, "%sOrigin: http://evil\r\n", json);
    cr_assert(eq(uint, ask(1, "POST", "/v1/rollouts/r/abort", with, "{}"), 403));
    snprintf(with, sizeof with, "%sOrigin: null\r\n", json);
    cr_assert(eq(uint, ask(1, "POST", "/v1/rollouts/r/abort", with, "{}"), 403));
    snprintf(with, sizeof with, "%sOrigin: http://h\r\n", json);
    cr_assert(eq(uint, ask(1, "POST", "/v1/rollouts/r/abort", with, "{}"), 503));
}

/* One byte at a time, so that a time-out which starts anew with each byte never ends.
 */
Test(http, a_client_that_dribbles_is_cut_off)
{
    static const char head[] = "GET /livez HTTP/1.1\r\nX-Slow: ";
    start(token_file, false, 1);
    int fd = dial(0);
    put(fd, head, sizeof head - 1);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int tries = 0;
    while (poll(&p, 1, 50) == 0 && ++tries < 1200)
        put(fd, "x", 1);
    cr_assert(lt(int, tries, 1200), "still open after a minute of dribbling");
    cr_assert(eq(uint, ask(0, "GET", "/livez", "", ""), 200), "others are served");
    close(fd);
}

Test(http, too_many_connections_are_turned_away_but_others_return)
{
    const char *listen[] = {unix_address, NULL};
    struct serve_options o = {.listen = listen, .connections = 4};
    struct fault f = {0};
    int fds[12];
    cr_assert(eq(int, serve_open(&s, NULL, d, &o, &f), SERIN_OK), "%s", f.text);
    for (size_t i = 0; i < 12; i++)
        fds[i] = dial(0);
    for (size_t i = 0; i < 12; i++)
        close(fds[i]);
    unsigned status = 0;
    for (int i = 0; i < 200 && status != 200;
         i++) { /* the threads need a moment to end */
        int fd = dial(0);
        const char *get = "GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        put(fd, get, strlen(get));
        if (sscanf(rest(fd), "HTTP/1.1 %u", &status) != 1) usleep(20000);
    }
    cr_assert(eq(uint, status, 200));
}

static void more_metrics(void *ctx, FILE *out)
{
    (void)ctx;
    metrics_family(out, "serin_other_total", "counter", "From elsewhere.");
    metrics_sample(out, "serin_other_total", 3, "a", "quote\" and \\ and\nline", NULL);
}

/* promtool's exit code; 127 when it is not installed. */
static int promtool(const char *text)
{
    int ends[2], status = 0;
    cr_assert(eq(int, pipe(ends), 0));
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[0], STDIN_FILENO);
        close(ends[0]);
        close(ends[1]);
        execlp("promtool", "promtool", "check", "metrics", (char *)NULL);
        _exit(127);
    }
    close(ends[0]);
    cr_assert(gt(int, (int)write(ends[1], text, strlen(text)), 0)); /* fits a pipe */
    close(ends[1]);
    cr_assert(eq(int, waitpid(child, &status, 0), child));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(http, metrics_pass_promtool)
{
    const char *listen[] = {unix_address, NULL};
    struct serve_options o = {.listen = listen, .metrics = more_metrics};
    struct fault f = {0};
    cr_assert(eq(int, serve_open(&s, NULL, d, &o, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(uint, ask(0, "GET", "/livez", "", ""), 200));
    int fd = dial(0);
    const char *get = "GET /metrics HTTP/1.0\r\n\r\n";
    put(fd, get, strlen(get));
    const char *text = strstr(rest(fd), "\r\n\r\n") + 4;
    cr_assert(
        ne(ptr,
           strstr(text, "serin_http_requests_total{route=\"/livez\",method=\"GET\","
                        "code=\"200\"} 1\n"),
           NULL));
    cr_assert(ne(ptr, strstr(text, "serin_rollout_weight_ratio{rollout=\"r\""), NULL));
    cr_assert(ne(
        ptr, strstr(text, "serin_other_total{a=\"quote\\\" and \\\\ and\\nline\"} 3"),
        NULL));
    signal(SIGPIPE, SIG_IGN);
    int code = promtool(text);
    cr_assert(ne(int, code, 127), "promtool is missing: apt-get install prometheus");
    cr_assert(eq(int, code, 0));
    cr_assert(ne(int, promtool("# TYPE a counter\na_total{ 1\n"), 0), "it can refuse");
}
