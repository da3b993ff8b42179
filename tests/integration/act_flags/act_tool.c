/* tests/integration/act_flags/act_tool.c -- one driver, told what to do line by line
 *
 *     act_tool '{kind: flagd, file: /x, flag: shop}'
 *     apply 500 shop/3 [stopped] [copy=3000] [SEGMENT ...]
 *     read 500
 *     mirror 0
 *     describe 500 shop/3
 * Each answer is a line of JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/act/section.h"
#include "engine/base/text.h"

enum { WORDS = 24 };

static void answer(enum serin_status rc, const struct fault *f, uint32_t bp,
                   const char *said)
{
    struct text t = {0};
    text_add(&t, "{\"ok\":%s,\"code\":", rc == SERIN_OK ? "true" : "false");
    text_json(&t, status_text(rc));
    text_add(&t, ",\"weight_bp\":%" PRId64 ",\"text\":",
             bp == UINT32_MAX ? -1 : (int64_t)bp);
    text_json(&t, rc == SERIN_OK ? said : f->text);
    puts(t.failed ? "{}" : (text_add(&t, "}"), t.p));
    fflush(stdout);
    text_free(&t);
}

static void obey(const struct driver *d, void *own, char **word, size_t n)
{
    char said[DRIVER_TEXT] = "";
    struct fault f = {0};
    uint32_t bp = UINT32_MAX;
    enum serin_status rc = SERIN_OK;
    struct driver_order o = {.rollout = "shop",
                             .verdict_id = n > 2 ? word[2] : "shop/0",
                             .weight_bp = (uint32_t)strtoul(word[1], NULL, 10)};
    size_t from = n > 3 && strcmp(word[3], "stopped") == 0 ? 4 : 3;
    o.stopped = from == 4;
    if (n > from && strncmp(word[from], "copy=", 5) == 0)
        o.mirror_bp = (uint32_t)strtoul(word[from++] + 5, NULL, 10);
    o.audience = (const char *const *)(word + from);
    o.n_audience = n > from ? n - from : 0;
    if (strcmp(word[0], "apply") == 0)
        rc = d->apply(own, &o, &f);
    else if (strcmp(word[0], "read") == 0)
        rc = d->read(own, o.weight_bp, &bp, &f);
    else if (strcmp(word[0], "mirror") == 0)
        rc = d->mirror(own, &bp, &f);
    else
        d->describe(own, &o, said);
    answer(rc, &f, bp, said);
}

int main(int argc, char **argv)
{
    static struct arena a;
    struct doc_node *map = NULL;
    struct doc_errors errors = {.arena = &a};
    struct section s;
    void *own = NULL;
    char place[DRIVER_PLACE] = "", line[4096];
    struct fault f = {0};
    if (argc != 2) return 2;
    enum serin_status rc = doc_parse(&a, argv[1], strlen(argv[1]), &map, &errors);
    if (rc == SERIN_OK) rc = section_read(&a, map, &s, &errors);
    if (rc != SERIN_OK || errors.total != 0) {
        fputs(doc_errors_format(&errors, "target", argv[1], strlen(argv[1])), stderr);
        arena_free(&a);
        return 2;
    }
    rc = s.driver->open(s.settings, "shop", &own, place, &f);
    answer(rc, &f, UINT32_MAX, place);
    while (rc == SERIN_OK && fgets(line, sizeof line, stdin) != NULL) {
        char *word[WORDS] = {NULL}, *rest = line;
        size_t n = 0;
        for (char *w; n < WORDS && (w = strsep(&rest, " \n")) != NULL;)
            if (*w != '\0') word[n++] = w;
        if (n >= 2) obey(s.driver, own, word, n);
    }
    if (own != NULL) s.driver->close(own);
    arena_free(&a);
    return rc == SERIN_OK ? 0 : 1;
}
