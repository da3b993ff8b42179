/* engine/cli/cmd_audit.c -- keys for the audit trail; export it; is it whole? */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/cli/audit_log.h"
#include "engine/cli/cli.h"
#include "engine/cli/output.h"
#include "engine/core/trail.h"
#include "proto/decode.h"

enum { MAX_KEYS = 32, SHOWN = 100 };

static const struct cli_option options[] = {
    {"key", 'k', "FILE",
     "verify: a public key that may have signed; several may be given"},
    {"against", 0, "FILE", "verify: an earlier export; nothing of it may be missing"},
    {"out", 0, "FILE", "export: the file; by default standard output"},
    OUTPUT_OPTIONS,
    {"config", 'c', "FILE", "the engine's serin.yaml"},
    {"brokers", 'b', "LIST", "HOST:PORT,... instead of the file's bootstrap.servers"},
    {0}};

static int keygen(const struct cli_verb *v, const char *path)
{
    struct fault f = {0};
    struct sign_public p;
    char name[SIGN_NAME];
    if (path == NULL) return cli_usage(v, "keygen needs the name of a file");
    if (sign_create(path, &f) != SERIN_OK || sign_load_public(path, &p, &f) != SERIN_OK)
        return cli_fail(CLI_USAGE, "%s", f.text);
    sign_name(&p, name);
    printf("%s\n", name);
    fprintf(stderr,
            "serin: the secret key is in %s (mode 0600): name it as audit.key_file in "
            "serin.yaml.\nThe public one is in %s.pub: keep it where the engine cannot "
            "write, and verify with it.\n",
            path, path);
    return CLI_OK;
}

/* From a file when one is named, else from the topic. */
static enum serin_status read_log(const char *path, audit_taker *take, void *ctx,
                                  struct fault *f)
{
    struct config c = {0};
    struct config_overrides over = {.brokers = cli_get("brokers")};
    if (path != NULL) return audit_log_file(path, take, ctx, f);
    enum serin_status rc = config_load(cli_get("config"), &c, stderr);
    if (rc != SERIN_OK) fault_set(f, rc, "serin.yaml is not understood");
    if (rc == SERIN_OK) rc = config_apply(&c, &over, f);
    if (rc == SERIN_OK) rc = config_check(&c, false, f);
    if (rc == SERIN_OK) {
        config_log(&c);
        rc = audit_log_topic(&c, take, ctx, f);
    }
    config_free(&c);
    return rc;
}

static int exit_of(enum serin_status rc, const struct fault *f)
{
    return cli_fail(rc == SERIN_EIO ? CLI_UNREACHABLE : CLI_USAGE, "%s", f->text);
}

/* ---- export */
static enum serin_status write_one(void *ctx, const struct audit_record *r,
                                   struct fault *f)
{
    return audit_log_line(ctx, r, f);
}

static int export(void)
{
    struct fault f = {0};
    const char *path = cli_get("out");
    FILE *out = path != NULL ? fopen(path, "we") : stdout;
    if (out == NULL)
        return cli_fail(CLI_USAGE, "%s: cannot be written: %s", path, strerror(errno));
    enum serin_status rc = read_log(NULL, write_one, out, &f);
    bool whole = fflush(out) == 0;
    if (path != NULL) whole = fclose(out) == 0 && whole;
    if (rc == SERIN_OK && !whole)
        rc = fault_set(&f, SERIN_EIO, "%s: cannot be written",
                       path != NULL ? path : "-");
    return rc == SERIN_OK ? CLI_OK : exit_of(rc, &f);
}

/* ---- verify */
struct report {
    struct trail *trail;
    json_t *found; /* a list of {index, partition, offset, what, text} */
    uint64_t faults;
};

static enum serin_status note(struct report *r, const struct audit_record *at,
                              const char *what, const char *text, struct fault *f)
{
    r->faults++;
    if (json_array_size(r->found) >= SHOWN) return SERIN_OK;
    json_t *one = json_pack("{s:s, s:s}", "what", what, "text", text);
    if (one != NULL && at != NULL) {
        json_object_set_new(one, "index", json_integer((json_int_t)at->index));
        json_object_set_new(one, "partition", json_integer(at->partition));
        json_object_set_new(one, "offset", json_integer(at->offset));
    }
    if (one == NULL || json_array_append_new(r->found, one) != 0)
        return fault_set(f, SERIN_ENOMEM, "out of memory for the report");
    return SERIN_OK;
}

static enum serin_status check_one(void *ctx, const struct audit_record *r,
                                   struct fault *f)
{
    struct report *to = ctx;
    struct arena a = {0};
    struct fault text = {0};
    enum trail_fault found;
    if (r->trouble != NULL)
        return note(to, r, trail_fault_text(TRAIL_UNREADABLE), r->trouble, f);
    enum serin_status rc = trail_add(to->trail, &a, r->key, r->key_len, r->value, r->n,
                                     &found, &text, NULL);
    if (rc != SERIN_OK) fault_set(f, rc, "entry %" PRIu64 ": out of memory", r->index);
    if (rc == SERIN_OK && found != TRAIL_GOOD)
        rc = note(to, r, trail_fault_text(found), text.text, f);
    arena_free(&a);
    return rc;
}

static enum serin_status expect_one(void *ctx, const struct audit_record *r,
                                    struct fault *f)
{
    struct report *to = ctx;
    struct arena a = {0};
    pb_audit *e;
    enum serin_status rc = SERIN_EPARSE;
    if (r->trouble == NULL) rc = decode_audit(&a, r->value, r->n, &e);
    if (rc == SERIN_OK && e->hash.len == HASH_DIGEST)
        rc = trail_expect(to->trail, e->rollout, e->seq, e->hash.data);
    if (rc != SERIN_OK)
        fault_set(f, rc, "line %" PRIu64 " of the earlier export is no audit entry",
                  r->index);
    arena_free(&a);
    return rc;
}

static void print_report(const struct report *r, const struct trail_counts *c,
                         size_t n_keys)
{
    size_t i;
    json_t *one;
    json_array_foreach(r->found, i, one)
    {
        if (json_object_get(one, "index") != NULL)
            printf("%lld (partition %lld, offset %lld): ",
                   (long long)output_int(one, "index"),
                   (long long)output_int(one, "partition"),
                   (long long)output_int(one, "offset"));
        printf("%s: ", output_text(one, "what"));
        output_clean(stdout, output_text(one, "text"));
        putchar('\n');
    }
    if (r->faults > SHOWN) printf("... and %" PRIu64 " more\n", r->faults - SHOWN);
    printf("%" PRIu64 " entries of %" PRIu64 " rollouts, %" PRIu64
           " checkpoints, %" PRIu64 " signed%s: %s\n",
           c->entries, c->rollouts, c->checkpoints, c->signed_,
           n_keys == 0 ? " (no --key: signatures not looked at)" : "",
           r->faults == 0 ? "whole" : "NOT whole");
}

static int tell(const struct report *r, enum output_format form, size_t n_keys)
{
    struct trail_counts c = trail_counts(r->trail);
    int code = r->faults == 0 ? CLI_OK : CLI_ABORTED;
    if (form == OUTPUT_TABLE) {
        print_report(r, &c, n_keys);
        return code;
    }
    json_t *j = json_pack(
        "{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:O}", "schema", "serin.audit/1", "whole",
        r->faults == 0, "entries", (json_int_t)c.entries, "rollouts",
        (json_int_t)c.rollouts, "checkpoints", (json_int_t)c.checkpoints, "signed",
        (json_int_t)c.signed_, "faults", (json_int_t)r->faults, "found", r->found);
    if (j == NULL) return cli_fail(CLI_USAGE, "out of memory for the report");
    int printed = output_json(form, j, "found");
    return printed == CLI_OK ? code : printed;
}

static enum serin_status check(struct report *r, const char *path, struct fault *f)
{
    struct fault text = {0};
    const char *earlier = cli_get("against");
    enum serin_status rc = SERIN_OK;
    if (earlier != NULL) rc = audit_log_file(earlier, expect_one, r, f);
    if (rc == SERIN_OK) rc = read_log(path, check_one, r, f);
    while (rc == SERIN_OK && trail_end(r->trail, &text))
        rc = note(r, NULL, trail_fault_text(TRAIL_CUT), text.text, f);
    return rc;
}

static int verify(const struct cli_verb *v, const char *path)
{
    enum output_format form;
    const char *names[MAX_KEYS];
    struct sign_public keys[MAX_KEYS];
    struct fault f = {0};
    struct report r = {.found = json_array()};
    size_t n = cli_get_all("key", names, MAX_KEYS);
    int bad = output_format(v, &form);
    if (bad != CLI_OK) return bad;
    for (size_t i = 0; i < n; i++)
        if (sign_load_public(names[i], &keys[i], &f) != SERIN_OK)
            return cli_fail(CLI_USAGE, "%s", f.text);
    if (r.found == NULL || trail_open(&r.trail, keys, n) != SERIN_OK)
        return cli_fail(CLI_USAGE, "out of memory");
    enum serin_status rc = check(&r, path, &f);
    int code = rc == SERIN_OK ? tell(&r, form, n) : exit_of(rc, &f);
    trail_close(r.trail);
    json_decref(r.found);
    return code;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    const char *path = n_args > 1 ? args[1] : NULL;
    if (strcmp(args[0], "keygen") == 0) return keygen(v, path);
    if (strcmp(args[0], "verify") == 0) return verify(v, path);
    if (strcmp(args[0], "export") != 0)
        return cli_usage(v, "\"%s\": expected keygen, export or verify", args[0]);
    if (path != NULL) return cli_usage(v, "export takes no file; give --out FILE");
    return export();
}

const struct cli_verb cmd_audit = {
    "audit",
    "keygen FILE | export [options] | verify [FILE] [options]",
    "Make a signing key; export the audit trail; show that nothing in it was changed.",
    options,
    1,
    2,
    run};
