/* engine/cli/audit_log.c */
#include "engine/cli/audit_log.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/bus/table.h"
#include "proto/decode.h"

enum { POLL_MS = 200, PATIENCE_MS = 30000 };

/* ---- the topic */
struct reading {
    audit_taker *take;
    void *ctx;
    uint64_t n;
    enum serin_status rc;
    struct fault fault;
};

static void on_record(void *ctx, const struct bus_record *m)
{
    struct reading *r = ctx;
    struct audit_record one = {.index = ++r->n,
                               .partition = m->partition,
                               .offset = m->offset,
                               .key = m->key,
                               .key_len = m->key_len,
                               .value = m->value,
                               .n = m->value_len};
    if (r->rc == SERIN_OK) r->rc = r->take(r->ctx, &one, &r->fault);
}

static enum serin_status read_all(struct reading *r, struct table *t, struct fault *f)
{
    int64_t heard = clock_mono_ms();
    uint64_t seen = 0;
    while (r->rc == SERIN_OK && !table_caught_up(t)) {
        enum serin_status rc = table_poll(t, POLL_MS, f);
        if (rc != SERIN_OK && !f->retriable) return rc;
        int64_t now = clock_mono_ms();
        if (r->n != seen) heard = now;
        seen = r->n;
        if (now - heard > PATIENCE_MS && !table_caught_up(t))
            return fault_set(f, SERIN_EIO,
                             "no audit entry from the brokers for %d s; are they up?",
                             PATIENCE_MS / 1000);
    }
    if (r->rc != SERIN_OK) *f = r->fault;
    return r->rc;
}

enum serin_status audit_log_topic(const struct config *c, audit_taker *take, void *ctx,
                                  struct fault *f)
{
    struct bus *b;
    struct table *t = NULL;
    struct bus_options o = config_bus(c);
    struct reading r = {.take = take, .ctx = ctx};
    enum serin_status rc = bus_open(&b, &o, f);
    if (rc != SERIN_OK) return rc;
    struct table_options to = {.topic = bus_topic_name(b, BUS_AUDIT),
                               .start = BUS_OFFSET_NONE,
                               .on_record = on_record,
                               .ctx = &r};
    rc = table_open(&t, b, &to, f);
    if (rc == SERIN_OK) rc = read_all(&r, t, f);
    table_close(t);
    bus_close(b);
    return rc;
}

/* ---- a line of an export */
static char *base64(const uint8_t *p, size_t n)
{
    size_t room = sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL);
    char *text = mem_calloc(room, 1);
    if (text != NULL)
        sodium_bin2base64(text, room, p, n, sodium_base64_VARIANT_ORIGINAL);
    return text;
}

/* What people read of an entry; {} of a record that is none. */
static json_t *words(const struct audit_record *r)
{
    struct arena a = {0};
    pb_audit *e;
    json_t *j = json_object();
    if (decode_audit(&a, r->value, r->n, &e) == SERIN_OK) {
        json_t *more = json_pack("{s:s, s:I, s:I, s:s, s:s, s:s, s:s}", "rollout",
                                 e->rollout, "seq", (json_int_t)e->seq, "t_ms",
                                 (json_int_t)e->t_ms, "kind", e->kind, "actor",
                                 e->actor, "reason", e->reason, "subject", e->subject);
        if (more != NULL) json_object_update(j, more);
        json_decref(more);
    }
    arena_free(&a);
    return j;
}

enum serin_status audit_log_line(FILE *out, const struct audit_record *r,
                                 struct fault *f)
{
    char *value = base64(r->value, r->n), *text = NULL;
    json_t *j = words(r);
    bool good =
        value != NULL && j != NULL &&
        json_object_set_new(j, "partition", json_integer(r->partition)) == 0 &&
        json_object_set_new(j, "offset", json_integer(r->offset)) == 0 &&
        json_object_set_new(j, "key", json_stringn_nocheck(r->key, r->key_len)) == 0 &&
        json_object_set_new(j, "value", json_string(value)) == 0;
    if (good) text = json_dumps(j, JSON_COMPACT | JSON_PRESERVE_ORDER);
    enum serin_status rc = SERIN_OK;
    if (text == NULL)
        rc = fault_set(f, SERIN_ENOMEM, "out of memory for an entry");
    else if (fprintf(out, "%s\n", text) < 0)
        rc = fault_set(f, SERIN_EIO, "cannot write: %s", strerror(errno));
    free(text);
    json_decref(j);
    mem_free(value);
    return rc;
}

/* The words of a line must be those of its record. */
static bool truthful(json_t *line, const struct audit_record *r)
{
    const char *key;
    json_t *said, *own = words(r);
    bool good = own != NULL;
    json_object_foreach(own, key, said)
    {
        good = good && json_equal(json_object_get(line, key), said);
    }
    json_decref(own);
    return good;
}

/* The record in a line; false when there is none. room for strlen(line) bytes in p. */
static bool record_of(json_t *line, uint8_t *p, struct audit_record *r)
{
    json_t *key = json_object_get(line, "key"), *value = json_object_get(line, "value");
    if (!json_is_string(key) || !json_is_string(value)) return false;
    if (sodium_base642bin(p, json_string_length(value), json_string_value(value),
                          json_string_length(value), NULL, &r->n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    r->partition = (int32_t)json_integer_value(json_object_get(line, "partition"));
    r->offset = json_integer_value(json_object_get(line, "offset"));
    r->key = json_string_value(key);
    r->key_len = json_string_length(key);
    r->value = p;
    return true;
}

static enum serin_status take_line(const char *text, size_t n, uint64_t number,
                                   audit_taker *take, void *ctx, struct fault *f)
{
    json_error_t why;
    struct audit_record r = {.index = number, .key = ""};
    json_t *j = json_loadb(text, n, 0, &why);
    uint8_t *bytes = mem_calloc(n + 1, 1);
    enum serin_status rc = SERIN_OK;
    if (bytes == NULL)
        rc = fault_set(f, SERIN_ENOMEM, "out of memory for line %" PRIu64, number);
    else if (j == NULL)
        r.trouble = why.text;
    else if (!record_of(j, bytes, &r))
        r.trouble = "no key and base64 value, as 'serin audit export' writes them";
    else if (!truthful(j, &r))
        r.trouble = "the line says something else than the record in it";
    if (rc == SERIN_OK) rc = take(ctx, &r, f);
    mem_free(bytes);
    json_decref(j);
    return rc;
}

enum serin_status audit_log_file(const char *path, audit_taker *take, void *ctx,
                                 struct fault *f)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    uint64_t number = 0;
    enum serin_status rc = SERIN_OK;
    bool standard = strcmp(path, "-") == 0;
    FILE *in = standard ? stdin : fopen(path, "re");
    if (in == NULL)
        return fault_set(f, SERIN_EIO, "%s: cannot be opened: %s", path,
                         strerror(errno));
    while (rc == SERIN_OK && (n = getline(&line, &room, in)) >= 0)
        rc = take_line(line, (size_t)n, ++number, take, ctx, f);
    if (rc == SERIN_OK && ferror(in) != 0)
        rc = fault_set(f, SERIN_EIO, "%s: cannot be read: %s", path, strerror(errno));
    free(line);
    if (!standard) fclose(in);
    return rc;
}
