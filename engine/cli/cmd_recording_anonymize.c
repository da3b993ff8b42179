/* engine/cli/cmd_recording_anonymize.c */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "engine/cli/cmd_recording.h"
#include "engine/cli/file.h"
#include "engine/replay/mask/anonymize.h"

enum { KEEP = 32, KEY_MIN = 16, KEY_MAX = 65536 };

static int failed(enum serin_status rc, const struct fault *f)
{
    return cli_fail(rc == SERIN_ENOMEM || rc == SERIN_EIO ? CLI_UNREACHABLE : CLI_USAGE,
                    "%s", f->text);
}

/* The key, and what stays. */
static int start(const struct cli_verb *v, struct arena *a, struct mask *m)
{
    struct fault f = {0};
    uint8_t random[HASH_DIGEST];
    const char *path = cli_get("key-file"), *keep[KEEP], *key = (const char *)random;
    size_t n = sizeof random, kept = cli_get_all("keep", keep, KEEP);
    if (path != NULL && file_load(a, path, KEY_MAX, &key, &n, &f) != SERIN_OK)
        return cli_fail(CLI_USAGE, "--key-file: %s", f.text);
    if (path == NULL && getrandom(random, sizeof random, 0) != sizeof random)
        return cli_fail(CLI_UNREACHABLE, "no random numbers: %s", strerror(errno));
    if (n < KEY_MIN)
        return cli_fail(CLI_USAGE, "--key-file %s: %zu bytes, expected %d or more",
                        path, n, KEY_MIN);
    mask_start(m, key, n);
    for (size_t i = 0; i < kept; i++)
        if (!mask_keep(m, strview_of(keep[i])))
            return cli_usage(v, "--keep: too many attributes");
    return CLI_OK;
}

static int write_plan(const struct mask *m, struct strview plan, const char *path)
{
    struct text t = {0};
    enum serin_status rc = mask_plan(m, plan, &t);
    FILE *file = rc == SERIN_OK ? fopen(path, "w") : NULL;
    bool good = file != NULL && fwrite(t.p, 1, t.n, file) == t.n;
    if (file != NULL) good &= fclose(file) == 0;
    text_free(&t);
    if (good) return CLI_OK;
    return cli_fail(CLI_UNREACHABLE, "cannot write %s: %s", path,
                    rc != SERIN_OK ? status_text(rc) : strerror(errno));
}

/* The plan that judges these metrics says what has to stay, and is masked, too. */
static int plan(const struct cli_verb *v, struct arena *a, struct mask *m)
{
    struct fault f = {0};
    struct doc_errors errors = {.arena = a};
    struct plan *p;
    const char *path = cli_get("plan"), *to = cli_get("plan-out"), *text;
    size_t n;
    if (path == NULL && to == NULL) return CLI_OK;
    if (path == NULL || to == NULL)
        return cli_usage(v, "--plan and --plan-out: give both");
    if (file_load(a, path, DOC_MAX_BYTES, &text, &n, &f) != SERIN_OK)
        return cli_fail(CLI_USAGE, "%s", f.text);
    if (plan_parse(a, text, n, &p, &errors) != SERIN_OK) {
        fputs(doc_errors_format(&errors, path, text, n), stderr);
        return CLI_USAGE;
    }
    if (mask_fit(m, p, &f) != SERIN_OK) return cli_fail(CLI_USAGE, "%s", f.text);
    return write_plan(m, (struct strview){text, n}, to);
}

int cmd_recording_anonymize(const struct cli_verb *v, const char *path, const char *out)
{
    struct fault f = {0};
    struct arena a = {0};
    struct mask m;
    struct anonymize_report report = {0};
    struct recording_reader *r;
    int code = start(v, &a, &m);
    if (code == CLI_OK) code = plan(v, &a, &m);
    enum serin_status rc = code == CLI_OK ? recording_open(&r, path, &f) : SERIN_ESTATE;
    if (rc == SERIN_OK) {
        rc = anonymize(r, &m, out, &report, &f);
        recording_close(r);
    }
    if (code == CLI_OK && (rc == SERIN_OK || report.written > 0)) {
        fprintf(stderr, "serin: %" PRIu64 " records into %s", report.written, out);
        if (report.unreadable > 0)
            fprintf(stderr, "; %" PRIu64 " that cannot be read are left out",
                    report.unreadable);
        fputs("; what is not hidden: how much traffic there was, and when\n", stderr);
    }
    if (code == CLI_OK && rc != SERIN_OK) code = failed(rc, &f);
    explicit_bzero(&m, sizeof m);
    arena_free(&a);
    return code;
}
