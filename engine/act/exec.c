/* engine/act/exec.c -- a program of the machine's owner
 *
 * Started without a shell, with the order in its environment (SERIN_ROLLOUT,
 * SERIN_VERDICT_ID, SERIN_WEIGHT_BP, SERIN_WEIGHT_PERCENT, SERIN_STOPPED,
 * SERIN_AUDIENCE) and where an argument says {weight_bp}, {weight_percent}, {rollout}
 * or {verdict_id}. It prints the weight that is in force then, in basis points, and
 * nothing else. `read` is a second command that only looks; without it a look is the
 * first one again, which therefore has to be repeatable. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/act/driver.h"
#include "engine/base/run.h"
#include "engine/base/mem.h"
#include "engine/base/text.h"

enum { ARGV = 64, ENV = 6 };

struct settings {
    struct driver_settings common;
    const char **command, **read;
    size_t n_command, n_read;
    int64_t timeout_ms;
};
#define AT(field) offsetof(struct settings, field)
static const struct keys_key keys[] = {
    DRIVER_KIND,
    KEYS_KEY("command", KEYS_TEXTS, AT(command), NULL, 1, 2048, NULL,
             "program (an absolute path) and arguments; prints the weight in force in "
             "basis points",
             .count_at = AT(n_command), .required = true),
    KEYS_KEY("read", KEYS_TEXTS, AT(read), NULL, 1, 2048, NULL,
             "program and arguments that only look and print the same",
             .count_at = AT(n_read)),
    KEYS_KEY("timeout", KEYS_DURATION, AT(timeout_ms), "3s", 100, 10000, NULL,
             "it is killed then"),
};
static const struct keys_table table = KEYS_OF(keys, struct settings);

/* An order as the program gets it; all texts in the arena. */
struct order {
    struct arena arena;
    const char *env[ENV + 1];
    const char *placeholder[4][2]; /* "{rollout}", what it stands for */
};

struct exec {
    const struct settings *s;
    struct order order; /* the latest */
    bool ordered;
    uint32_t told_bp; /* what it printed, not looked at yet; UINT32_MAX: nothing */
};

static bool runs(const char **argv, size_t n)
{
    return n == 0 || (n < ARGV && argv[0][0] == '/');
}

static enum serin_status open_(const void *settings, const char *rollout, void **own,
                               char place[DRIVER_PLACE], struct fault *f)
{
    const struct settings *s = settings;
    if (s->n_command == 0 || !runs(s->command, s->n_command) ||
        !runs(s->read, s->n_read))
        return fault_set(f, SERIN_EDOM,
                         "exec: command and read begin with an absolute path and have "
                         "at most %d words",
                         ARGV - 1);
    struct exec *e = mem_calloc(1, sizeof *e);
    if (e == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory for a command");
    e->s = s;
    e->told_bp = UINT32_MAX;
    /* One program may well move many places, a rollout each. */
    snprintf(place, DRIVER_PLACE, "exec %.300s for %.140s", s->command[0], rollout);
    *own = e;
    return SERIN_OK;
}

static void close_(void *own)
{
    struct exec *e = own;
    arena_free(&e->order.arena);
    mem_free(e);
}

static bool order_of(const struct driver_order *o, struct order *out)
{
    struct text t = {0};
    char percent[16], bp[16];
    arena_reset(&out->arena);
    snprintf(bp, sizeof bp, "%" PRIu32, o->weight_bp);
    snprintf(percent, sizeof percent, "%" PRIu32 ".%02" PRIu32, o->weight_bp / 100,
             o->weight_bp % 100);
    const char *names[ENV] = {"ROLLOUT",        "VERDICT_ID", "WEIGHT_BP",
                              "WEIGHT_PERCENT", "STOPPED",    "AUDIENCE"};
    const char *values[ENV - 1] = {o->rollout, o->verdict_id, bp, percent,
                                   o->stopped ? "1" : "0"};
    const char *braces[] = {"{rollout}", "{verdict_id}", "{weight_bp}",
                            "{weight_percent}"};
    bool ok = true;
    for (size_t i = 0; i < ENV; i++) {
        t.n = 0;
        text_add(&t, "SERIN_%s=%s", names[i], i < ENV - 1 ? values[i] : "");
        for (size_t k = 0; i == ENV - 1 && k < o->n_audience; k++)
            text_add(&t, "%s%s", k != 0 ? "," : "", o->audience[k]);
        out->env[i] = text_keep(&t, &out->arena);
        ok = ok && out->env[i] != NULL;
        if (ok && i < 4) {
            out->placeholder[i][0] = braces[i];
            out->placeholder[i][1] = strchr(out->env[i], '=') + 1;
        }
    }
    out->env[ENV] = NULL;
    text_free(&t);
    return ok;
}

/* An argument with its placeholders filled in. */
static const char *fill(const struct order *o, struct arena *a, const char *word)
{
    struct text t = {0};
    while (*word != '\0') {
        size_t i = 0;
        while (i < 4 &&
               strncmp(word, o->placeholder[i][0], strlen(o->placeholder[i][0])) != 0)
            i++;
        text_add(&t, "%.*s", i < 4 ? 4096 : 1, i < 4 ? o->placeholder[i][1] : word);
        word += i < 4 ? strlen(o->placeholder[i][0]) : 1;
    }
    text_add(&t, "%s", "");
    const char *out = text_keep(&t, a);
    text_free(&t);
    return out;
}

static enum serin_status weight_in(const char *program, const char *said, uint32_t *bp,
                                   struct fault *f)
{
    char *end = NULL;
    size_t line = strcspn(said, "\r\n");
    unsigned long value = strtoul(said, &end, 10);
    if (*said < '0' || *said > '9' || end[strspn(end, " \r\n")] != '\0' ||
        value > 10000)
        return fault_set(f, SERIN_EDOM,
                         "%.200s printed \"%.*s\": expected the weight that is in "
                         "force, 0 to 10000 basis points, and nothing else",
                         program, (int)(line < 100 ? line : 100), said);
    *bp = (uint32_t)value;
    return SERIN_OK;
}

static enum serin_status run(const struct exec *e, const char **command, size_t n,
                             uint32_t *bp, struct fault *f)
{
    const char *argv[ARGV + 1] = {NULL};
    struct arena a = {0};
    struct text out = {0};
    enum serin_status rc = SERIN_OK;
    for (size_t i = 0; i < n && rc == SERIN_OK; i++) {
        argv[i] = fill(&e->order, &a, command[i]);
        if (argv[i] == NULL)
            rc = fault_set(f, SERIN_ENOMEM, "out of memory for a command");
    }
    if (rc == SERIN_OK)
        rc = run_program(argv, e->order.env, (int)e->s->timeout_ms, &out, NULL, f);
    if (rc == SERIN_OK) rc = weight_in(argv[0], out.p != NULL ? out.p : "", bp, f);
    text_free(&out);
    arena_free(&a);
    return rc;
}

static enum serin_status apply(void *own, const struct driver_order *o, struct fault *f)
{
    struct exec *e = own;
    e->told_bp = UINT32_MAX;
    e->ordered = order_of(o, &e->order);
    if (!e->ordered) return fault_set(f, SERIN_ENOMEM, "out of memory for an order");
    return run(e, e->s->command, e->s->n_command, &e->told_bp, f);
}

static enum serin_status read_(void *own, uint32_t expected, uint32_t *bp,
                               struct fault *f)
{
    struct exec *e = own;
    (void)expected;
    if (!e->ordered)
        return fault_set(f, SERIN_ENOENT, "%.200s was not run yet", e->s->command[0]);
    if (e->s->n_read != 0) return run(e, e->s->read, e->s->n_read, bp, f);
    if (e->told_bp == UINT32_MAX) return run(e, e->s->command, e->s->n_command, bp, f);
    *bp = e->told_bp;
    e->told_bp = UINT32_MAX;
    return SERIN_OK;
}

static void describe(void *own, const struct driver_order *o, char out[DRIVER_TEXT])
{
    const struct exec *e = own;
    struct order order = {.arena = {0}};
    size_t at = 0;
    if (!order_of(o, &order)) return;
    out[0] = '\0';
    for (size_t i = 0; i < e->s->n_command && at < DRIVER_TEXT - 1; i++) {
        const char *word = fill(&order, &order.arena, e->s->command[i]);
        int n = snprintf(out + at, DRIVER_TEXT - at, "%s%s", i != 0 ? " " : "run ",
                         word != NULL ? word : "?");
        at += n > 0 ? (size_t)n : 0;
    }
    arena_free(&order.arena);
}

extern const struct driver exec_driver;
const struct driver exec_driver = {"exec", &table, true,     open_, close_,
                                   apply,  read_,  describe, NULL};
