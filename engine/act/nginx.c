/* engine/act/nginx.c -- NGINX: a split_clients block in a file that its configuration
 * includes
 *
 * The file is replaced whole, nginx itself checks its configuration with it (and that
 * it includes it), then it is reloaded. A configuration that it refuses is taken back.
 * In force is what the file says once workers that are not shutting down are all
 * younger than it. Exact to 0.01 %, and whoever is in stays in when the share grows:
 * the canary's is the first range of the hash.
 * Ref: nginx.org, ngx_http_split_clients_module; "Controlling nginx" */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/act/driver.h"
#include "engine/act/file.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/run.h"

enum {
    ARGV = 16,
    WORKERS = 512,
    LOOK_MS = 20,
    /* /proc counts the age of a process in hundredths of a second. */
    SLACK_MS = 20
};

struct settings {
    struct driver_settings common;
    const char *include, *key, *variable, *canary, *baseline;
    const char *program, *config, *pid_file;
    const char **reload;
    size_t n_reload;
};
#define AT(field) offsetof(struct settings, field)
static const struct keys_key keys[] = {
    DRIVER_KIND,
    KEYS_KEY("include", KEYS_TEXT, AT(include), NULL, 1, 512, NULL,
             "the file to write, as nginx.conf includes it: an absolute path",
             .required = true),
    KEYS_KEY("key", KEYS_TEXT, AT(key), "$request_id", 1, 256, NULL,
             "what is hashed: $request_id for every request anew, or what names a user "
             "(\"$cookie_uid\"), who then keeps the version"),
    KEYS_KEY("variable", KEYS_TEXT, AT(variable), "serin_pool", 1, 64, NULL,
             "variable that gets the name, without the $"),
    KEYS_KEY("canary", KEYS_TEXT, AT(canary), "canary", 1, 128, NULL,
             "its value for the canary: an upstream's name"),
    KEYS_KEY("baseline", KEYS_TEXT, AT(baseline), "baseline", 1, 128, NULL,
             "its value for everybody else"),
    KEYS_KEY("program", KEYS_TEXT, AT(program), "/usr/sbin/nginx", 1, 512, NULL,
             "nginx, to check the configuration: an absolute path"),
    KEYS_KEY("config", KEYS_TEXT, AT(config), "/etc/nginx/nginx.conf", 1, 512, NULL,
             "nginx's own configuration"),
    KEYS_KEY("pid_file", KEYS_TEXT, AT(pid_file), "/run/nginx.pid", 1, 512, NULL,
             "holds the process id of nginx' master"),
    KEYS_KEY("reload", KEYS_TEXTS, AT(reload), NULL, 1, 512, NULL,
             "the command that reloads nginx, as a list without a shell; by default "
             "SIGHUP to the master",
             .count_at = AT(n_reload)),
};
static const struct keys_table table = KEYS_OF(keys, struct settings);

/* Nothing in a quoted text may end it or begin a block. */
static bool plain(const char *text)
{
    return strpbrk(text, "\"\\'{};\r\n") == NULL;
}

static bool word(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(text);
}

static enum serin_status open_(const void *settings, const char *rollout, void **own,
                               char place[DRIVER_PLACE], struct fault *f)
{
    const struct settings *s = settings;
    (void)rollout;
    if (s->include[0] != '/' || s->program[0] != '/' ||
        (s->n_reload != 0 && s->reload[0][0] != '/'))
        return fault_set(f, SERIN_EDOM,
                         "nginx: include, program and reload begin with absolute "
                         "paths");
    if (!plain(s->key) || !plain(s->canary) || !plain(s->baseline))
        return fault_set(f, SERIN_EDOM,
                         "nginx: key, canary and baseline may hold no quotes, braces, "
                         "semicolons or backslashes");
    if (!word(s->variable) || s->n_reload >= ARGV)
        return fault_set(f, SERIN_EDOM,
                         "nginx: variable is a name in small letters without the $, "
                         "and reload has at most %d words",
                         ARGV - 1);
    if (strcmp(s->canary, s->baseline) == 0)
        return fault_set(f, SERIN_EDOM, "nginx: canary and baseline are both %.100s",
                         s->canary);
    snprintf(place, DRIVER_PLACE, "nginx %.480s", s->include);
    *own = (void *)(uintptr_t)settings;
    return SERIN_OK;
}

static void close_(void *own)
{
    (void)own;
}

/* ---- the file */
static void block_of(const struct settings *s, uint32_t bp, struct text *out)
{
    text_add(out, "split_clients \"%s\" $%s {\n", s->key, s->variable);
    if (bp > 0 && bp < 10000)
        text_add(out, "    %" PRIu32 ".%02" PRIu32 "%% \"%s\";\n", bp / 100, bp % 100,
                 s->canary);
    text_add(out, "    * \"%s\";\n}\n", bp >= 10000 ? s->canary : s->baseline);
}

/* The weight for which block_of would write this text (its first line says who wrote
 * it); UINT32_MAX: none. */
static uint32_t weight_of(const struct settings *s, const char *text)
{
    struct text want = {0};
    unsigned whole = 0, part = 0;
    uint32_t bp = 0;
    const char *block = strchr(text, '\n'), *line = strchr(text, '{');
    if (block == NULL || line == NULL) return UINT32_MAX;
    if (sscanf(line, "{ %3u.%2u%%", &whole, &part) == 2)
        bp = 100 * whole + part;
    else if (strncmp(line, "{\n    * \"", 9) == 0 &&
             strncmp(line + 9, s->canary, strlen(s->canary)) == 0 &&
             line[9 + strlen(s->canary)] == '"')
        bp = 10000;
    block_of(s, bp, &want);
    bool same = !want.failed && strcmp(block + 1, want.p) == 0;
    text_free(&want);
    return same ? bp : UINT32_MAX;
}

/* ---- the processes */
struct workers {
    int32_t pid[WORKERS];
    int64_t age_ms[WORKERS];
    size_t n;
};

static bool read_small(const char *path, char *out, size_t room)
{
    FILE *file = fopen(path, "re");
    size_t n = file != NULL ? fread(out, 1, room - 1, file) : 0;
    if (file != NULL) fclose(file);
    for (size_t i = 0; i < n; i++) /* arguments are parted by NULs */
        if (out[i] == '\0') out[i] = ' ';
    out[n] = '\0';
    return n > 0;
}

static enum serin_status master_of(const struct settings *s, long *pid, struct fault *f)
{
    char text[32];
    *pid = read_small(s->pid_file, text, sizeof text) ? strtol(text, NULL, 10) : 0;
    if (*pid <= 1 || (kill((pid_t)*pid, 0) != 0 && errno == ESRCH))
        return fault_set(f, SERIN_EIO,
                         "nginx is not running: %.200s names no process; start it, or "
                         "say where its pid_file is",
                         s->pid_file);
    return SERIN_OK;
}

/* One process, if it is a worker of this master and not on its way out. */
static void look_at(struct workers *w, const char *pid, long master, double uptime)
{
    char path[64], title[256], stat[1024];
    long parent;
    unsigned long long began;
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    if (!read_small(path, stat, sizeof stat)) return;
    const char *at = strrchr(stat, ')'); /* a program's name may hold anything */
    if (at == NULL || sscanf(at, ") %*c %ld", &parent) != 1 || parent != master) return;
    if (sscanf(at,
               ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
               "%*d %*d %*d %llu",
               &began) != 1)
        return;
    snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid);
    if (!read_small(path, title, sizeof title) ||
        strstr(title, "worker process") == NULL ||
        strstr(title, "shutting down") != NULL || w->n == WORKERS)
        return;
    double age = uptime - (double)began / (double)sysconf(_SC_CLK_TCK);
    w->pid[w->n] = (int32_t)strtol(pid, NULL, 10);
    w->age_ms[w->n++] = (int64_t)(1000 * age);
}

static enum serin_status find_workers(long master, struct workers *w, struct fault *f)
{
    char text[64];
    double uptime =
        read_small("/proc/uptime", text, sizeof text) ? strtod(text, NULL) : 0;
    DIR *all = opendir("/proc");
    w->n = 0;
    for (struct dirent *d; all != NULL && (d = readdir(all)) != NULL;)
        if (d->d_name[0] >= '1' && d->d_name[0] <= '9')
            look_at(w, d->d_name, master, uptime);
    if (all != NULL) closedir(all);
    return w->n > 0 ? SERIN_OK
                    : fault_set(f, SERIN_EIO,
                                "nginx (process %ld) has no worker that can be seen in "
                                "/proc: run serin as the same user or as root",
                                master);
}

static bool has(const struct workers *w, int32_t pid)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->pid[i] == pid) return true;
    return false;
}

/* None of those that were there before. */
static enum serin_status wait_for_new(long master, const struct workers *before,
                                      struct fault *f)
{
    struct workers now;
    int64_t end = clock_mono_ms() + DRIVER_TIMEOUT_MS;
    for (;;) {
        enum serin_status rc = find_workers(master, &now, f);
        bool old = rc != SERIN_OK;
        for (size_t i = 0; !old && i < now.n; i++)
            old = has(before, now.pid[i]);
        if (!old) return SERIN_OK;
        if (clock_mono_ms() > end)
            return fault_set(f, SERIN_ETIME,
                             "nginx (process %ld) keeps its workers %d ms after a "
                             "reload: its error log says why",
                             master, DRIVER_TIMEOUT_MS);
        clock_sleep_ms(LOOK_MS);
    }
}

/* ---- what nginx says of its configuration */
static enum serin_status check(const struct settings *s, struct fault *f)
{
    const char *argv[] = {s->program, "-T", "-q", "-c", s->config, NULL};
    struct fault why = {0};
    struct text out = {0}, line = {0};
    enum serin_status rc = run_program(argv, NULL, DRIVER_TIMEOUT_MS, &out, NULL, &why);
    text_add(&line, "# configuration file %s:\n", s->include);
    if (rc != SERIN_OK)
        fault_set(f, rc, "nginx refuses its configuration, and nothing was changed: %s",
                  why.text);
    else if (out.p == NULL || line.failed || strstr(out.p, line.p) == NULL)
        rc = fault_set(f, SERIN_EDOM,
                       "nginx: %.150s does not include %.150s: add \"include %.100s;\" "
                       "to its http block",
                       s->config, s->include, s->include);
    text_free(&out);
    text_free(&line);
    return rc;
}

static enum serin_status reload(const struct settings *s, struct fault *f)
{
    const char *argv[ARGV + 1] = {NULL};
    struct text out = {0};
    struct workers before = {.n = 0};
    long master;
    enum serin_status rc = master_of(s, &master, f);
    if (rc == SERIN_OK) rc = find_workers(master, &before, f);
    if (rc != SERIN_OK) return rc;
    if (s->n_reload == 0 && kill((pid_t)master, SIGHUP) != 0)
        return fault_set(f, SERIN_EIO, "nginx: SIGHUP to process %ld: %s", master,
                         strerror(errno));
    if (s->n_reload != 0) {
        memcpy(argv, s->reload, s->n_reload * sizeof *argv);
        rc = run_program(argv, NULL, DRIVER_TIMEOUT_MS, &out, NULL, f);
        text_free(&out);
    }
    return rc == SERIN_OK ? wait_for_new(master, &before, f) : rc;
}

/* ---- the driver */
static enum serin_status replace(const struct settings *s, const struct driver_order *o,
                                 const struct file *file, struct fault *f)
{
    struct text old = {0}, new = {0};
    enum serin_status there = file_read(file, &old, NULL, f);
    enum serin_status rc =
        there == SERIN_OK || there == SERIN_ENOENT ? SERIN_OK : there;
    text_add(&new, "# Written by serin: verdict %s. Changes are overwritten.\n",
             o->verdict_id);
    block_of(s, o->weight_bp, &new);
    if (new.failed) rc = fault_set(f, SERIN_ENOMEM, "out of memory for nginx' file");
    if (rc == SERIN_OK) rc = file_write(file, new.p, new.n, f);
    if (rc == SERIN_OK) rc = check(s, f);
    struct fault second = {0}; /* the first is the one to tell */
    if (rc != SERIN_OK && there == SERIN_OK &&
        file_write(file, old.p, old.n, &second) != SERIN_OK)
        log_error("act", "%s: the old file is lost: %s", s->include, second.text);
    if (rc != SERIN_OK && there == SERIN_ENOENT) unlink(file->path);
    text_free(&old);
    text_free(&new);
    return rc;
}

static enum serin_status apply(void *own, const struct driver_order *o, struct fault *f)
{
    const struct settings *s = own;
    struct file file;
    enum serin_status rc = file_open(&file, s->include, f);
    if (rc != SERIN_OK) return rc;
    rc = replace(s, o, &file, f);
    file_close(&file);
    return rc == SERIN_OK ? reload(s, f) : rc;
}

static enum serin_status read_(void *own, uint32_t expected, uint32_t *bp,
                               struct fault *f)
{
    const struct settings *s = own;
    struct file file;
    struct text text = {0};
    struct workers w = {.n = 0};
    int64_t changed = 0, now = clock_wall_ms();
    long master;
    uint32_t found = UINT32_MAX;
    (void)expected;
    enum serin_status rc = file_open(&file, s->include, f);
    if (rc != SERIN_OK) return rc;
    rc = file_read(&file, &text, &changed, f);
    file_close(&file);
    if (rc == SERIN_OK) found = weight_of(s, text.p);
    text_free(&text);
    if (rc != SERIN_OK) return rc;
    if (found == UINT32_MAX)
        return fault_set(f, SERIN_EDOM, "%.300s is not as serin writes it", s->include);
    rc = master_of(s, &master, f);
    if (rc == SERIN_OK) rc = find_workers(master, &w, f);
    for (size_t i = 0; rc == SERIN_OK && i < w.n; i++)
        if (w.age_ms[i] > now - changed + SLACK_MS)
            rc = fault_set(f, SERIN_EIO,
                           "nginx' workers are older than %.200s: it was not reloaded",
                           s->include);
    if (rc == SERIN_OK) *bp = found;
    return rc;
}

static void describe(void *own, const struct driver_order *o, char out[DRIVER_TEXT])
{
    const struct settings *s = own;
    struct text block = {0};
    block_of(s, o->weight_bp, &block);
    for (char *p = block.p; p != NULL && (p = strchr(p, '\n')) != NULL;)
        *p = ' ';
    snprintf(out, DRIVER_TEXT, "write %.120s: %.200s; check, reload", s->include,
             block.p != NULL ? block.p : "");
    text_free(&block);
}

extern const struct driver nginx_driver;
const struct driver nginx_driver = {"nginx", &table, true,     open_, close_,
                                    apply,   read_,  describe, NULL};
