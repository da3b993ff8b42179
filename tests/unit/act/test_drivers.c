/* tests/unit/act/test_drivers.c -- what holds for every kind: it opens without calling
 * anybody, says what it would do, tells trouble in words; and memory that runs out
 * leaves a file as it was */
#include <unistd.h>

#include "engine/act/section.h"
#include "engine/base/mem.h"
#include "tests/support/check.h"

static struct arena memory;
static char folder[] = "/tmp/serin-drivers-XXXXXX";

struct opened {
    const struct driver *driver;
    void *own;
    char place[DRIVER_PLACE];
};

static struct opened open_(const char *text)
{
    struct doc_errors e = {.arena = &memory};
    struct doc_node *root = NULL;
    struct section s;
    struct opened o = {0};
    struct fault f = {0};
    cr_assert(eq(int, doc_parse(&memory, text, strlen(text), &root, &e), SERIN_OK));
    cr_assert(eq(int, section_read(&memory, root, &s, &e), SERIN_OK));
    cr_assert(eq(sz, e.total, 0), "%s: %s", text, e.n != 0 ? e.items[0].text : "");
    o.driver = s.driver;
    int rc = s.driver->open(s.settings, "shop", &o.own, o.place, &f);
    cr_assert(eq(int, rc, SERIN_OK), "%s", f.text);
    return o;
}

static struct driver_order order(uint32_t bp)
{
    return (struct driver_order){
        .rollout = "shop", .verdict_id = "shop/7", .weight_bp = bp};
}

/* Nothing listens there, and nothing lies there. */
static const char *const nobody[] = {
    "{kind: haproxy, socket: /nonexistent/s, map: /m}",
    "{kind: nginx, include: /nonexistent/split.conf, pid_file: /nonexistent/pid}",
    "{kind: flagd, file: /nonexistent/flags.json, flag: shop}",
    "{kind: webhook, url: 'http://127.0.0.1:1/x'}",
    "{kind: exec, command: [/nonexistent/program]}",
    "{kind: envoy, admin: 'http://127.0.0.1:1', key: k}",
    "{kind: gateway, server: 'http://127.0.0.1:1', token_file: /nonexistent/token, "
    "route: r, canary: a, baseline: b}",
};

Test(drivers, each_says_what_it_would_do_and_what_is_in_the_way)
{
    size_t n = 0;
    while (driver_all[n] != NULL)
        n++;
    cr_assert(eq(sz, n, sizeof nobody / sizeof *nobody), "a kind has no line here");
    for (size_t i = 0; i < n; i++) {
        struct opened o = open_(nobody[i]);
        struct driver_order five = order(500);
        struct fault f = {0};
        char said[DRIVER_TEXT] = "";
        uint32_t bp = 12345;
        cr_assert(o.driver == driver_all[i]);
        cr_assert(eq(str, (char *)o.driver->keys->keys[0].name, "kind"));
        cr_assert(eq(int, o.driver->privileged, i != 0),
                  "only haproxy's socket is nobody's program, file or address");
        o.driver->describe(o.own, &five, said);
        cr_assert(strstr(said, i == 1   ? "5.00%"
                               : i == 4 ? "/program"
                                        : "500") != NULL,
                  "%s", said);
        cr_assert(ne(int, o.driver->read(o.own, 500, &bp, &f), SERIN_OK));
        cr_assert(eq(u32, bp, 12345u), "%s: read without success", o.place);
        cr_assert(ne(int, o.driver->apply(o.own, &five, &f), SERIN_OK));
        cr_assert(strlen(f.text) > 20 && strlen(o.place) > 8, "%s", f.text);
        o.driver->close(o.own);
    }
    arena_free(&memory);
}

static size_t read_file(const char *path, char out[8192])
{
    FILE *file = fopen(path, "r");
    cr_assert(file != NULL);
    size_t n = fread(out, 1, 8191, file);
    out[n] = '\0';
    fclose(file);
    return n;
}

Test(drivers, without_memory_a_flag_file_stays_as_it_was)
{
    char text[512], path[128], before[8192], after[8192];
    cr_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/flags.json", folder);
    snprintf(text, sizeof text, "{kind: flagd, file: %s, flag: shop}", path);
    struct opened o = open_(text);
    struct driver_order first = order(500), second = order(2500);
    struct fault f = {0};
    cr_assert(eq(int, o.driver->apply(o.own, &first, &f), SERIN_OK), "%s", f.text);
    read_file(path, before);
    unsigned failed = 0;
    for (uint64_t k = 1;; k++) {
        mem_fail_at(k);
        enum serin_status rc = o.driver->apply(o.own, &second, &f);
        mem_fail_at(0);
        read_file(path, after);
        if (rc == SERIN_OK) break;
        failed++;
        cr_assert(eq(int, rc, SERIN_ENOMEM), "%s", f.text);
        cr_assert(eq(str, after, before));
        cr_assert(lt(u64, k, UINT64_C(1000)));
    }
    cr_assert(gt(uint, failed, 0u));
    cr_assert(strcmp(after, before) != 0);
    o.driver->close(o.own);
    unlink(path);
    rmdir(folder);
    arena_free(&memory);
}

Test(drivers, without_memory_nobody_is_called_by_halves)
{
    static const char *const texts[] = {
        "{kind: exec, command: [/bin/echo, '{weight_bp}']}",
        "{kind: webhook, url: 'http://127.0.0.1:1/x'}"};
    for (size_t i = 0; i < 2; i++) {
        struct opened o = open_(texts[i]);
        struct driver_order five = order(500);
        enum serin_status rc = SERIN_ENOMEM;
        struct fault f = {0};
        uint64_t k = 1;
        for (; rc == SERIN_ENOMEM; k++) {
            cr_assert(lt(u64, k, UINT64_C(1000)));
            mem_fail_at(k);
            rc = o.driver->apply(o.own, &five, &f);
            mem_fail_at(0);
        }
        cr_assert(eq(int, rc, i == 0 ? SERIN_OK : SERIN_EIO), "%s", f.text);
        cr_assert(gt(u64, k, UINT64_C(2)), "no allocation failed");
        o.driver->close(o.own);
    }
    arena_free(&memory);
}
