/* tests/unit/replay/test_mask.c -- what becomes of each field; users keep their place
 */
#include "engine/replay/mask/mask.h"
#include "proto/decode.h"
#include "proto/encode.h"
#include "tests/support/check.h"

static struct mask mask_of(const char *key)
{
    struct mask m;
    mask_start(&m, key, strlen(key));
    return m;
}

Test(mask, the_same_text_is_the_same_name_under_a_key)
{
    struct mask m = mask_of("a key of sixteen"), other = mask_of("another sixteen.");
    char a[MASK_NAME], b[MASK_NAME];
    mask_name(&m, strview_of("checkout"), a);
    mask_name(&m, strview_of("checkout"), b);
    cr_assert(eq(str, a, b));
    cr_assert(eq(sz, strlen(a), MASK_NAME - 1));
    mask_name(&other, strview_of("checkout"), b);
    cr_assert(ne(str, a, b));
    mask_name(&m, strview_of("checkouu"), b);
    cr_assert(ne(str, a, b));
    mask_name(&m, strview_of(""), b);
    cr_assert(eq(str, b, (char *)""));
}

Test(mask, users_keep_flags_and_whether_a_thinned_cell_has_them)
{
    struct mask m = mask_of("a key of sixteen");
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 10000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint64_t user = x >> (i % 40), got = mask_user(&m, user);
        cr_assert(eq(u64, got & 3, user & 3));
        cr_assert(eq(int, __builtin_clzll(got), __builtin_clzll(user)), "%d", i);
        cr_assert(eq(u64, mask_user(&m, user ^ 1), got ^ 1), "the same with an error");
        if (user > 1 << 20) cr_assert(ne(u64, got, user));
    }
}

/* ---------------------------------------------------------------- every field */

/* Texts that may stay: names of metrics, checks, gates and states. */
static bool stays(const char *message, const char *field)
{
    static const char *const fields[][2] = {{"Cell", "metric"},
                                            {"Command", "gate"},
                                            {"CheckResult", "check"},
                                            {"CheckResult", "outcome"},
                                            {"Signal", "state"}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(message, fields[i][0]) == 0 && strcmp(field, fields[i][1]) == 0)
            return true;
    return false;
}

static char secret[] = "secret";

static void *place(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return (char *)m + f->offset;
}

static ProtobufCMessage *filled(struct arena *a, const ProtobufCMessageDescriptor *d);

/* One value in every field that holds texts or messages, but for members of a oneof. */
static void fill(struct arena *a, ProtobufCMessage *m,
                 const ProtobufCFieldDescriptor *f)
{
    bool message = f->type == PROTOBUF_C_TYPE_MESSAGE;
    if (!message && f->type != PROTOBUF_C_TYPE_STRING) return;
    const char *text = strcmp(f->name, "plan") == 0 ? "id: secret" : secret;
    void *value = message ? (void *)filled(a, f->descriptor) : (void *)(uintptr_t)text;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        void **list = arena_alloc(a, sizeof *list);
        list[0] = value;
        *(size_t *)(void *)((char *)m + f->quantifier_offset) = 1;
        memcpy(place(m, f), &list, sizeof list);
    } else {
        memcpy(place(m, f), &value, sizeof value);
    }
}

static ProtobufCMessage *filled(struct arena *a, const ProtobufCMessageDescriptor *d)
{
    ProtobufCMessage *m = arena_alloc(a, d->sizeof_message);
    d->message_init(m);
    for (unsigned i = 0; i < d->n_fields; i++)
        if ((d->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
            fill(a, m, &d->fields[i]);
    return m;
}

static unsigned looked;

static void look(const ProtobufCMessage *m);

static void look_at(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                    const void *value)
{
    const char *name = m->descriptor->short_name;
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        cr_assert(value != NULL, "%s.%s is lost", name, f->name);
        look(value);
        return;
    }
    const char *text = value;
    cr_assert(text != NULL && text[0] != '\0', "%s.%s is lost", name, f->name);
    bool open = strstr(text, secret) != NULL;
    cr_assert(eq(int, open, stays(name, f->name)), "%s.%s is %s", name, f->name, text);
    looked++;
}

static void look(const ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        const char *at = (const char *)m + f->offset;
        void *value;
        if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) continue;
        if (f->type != PROTOBUF_C_TYPE_MESSAGE && f->type != PROTOBUF_C_TYPE_STRING)
            continue;
        memcpy(&value, at, sizeof value);
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n;
            memcpy(&n, (const char *)m + f->quantifier_offset, sizeof n);
            cr_assert(eq(sz, n, 1), "%s.%s is lost", d->short_name, f->name);
            memcpy(&value, value, sizeof value);
        }
        look_at(m, f, value);
    }
}

/* Whoever adds a field to the inbox finds out here that the tables have to know it. */
Test(mask, every_text_of_every_inbox_record_has_another_name)
{
    struct mask m = mask_of("a key of sixteen");
    const ProtobufCMessageDescriptor *d = &serin__v1__inbox__descriptor;
    unsigned bodies = 0;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        struct arena a = {0};
        struct text out = {0};
        struct bytes bytes;
        pb_inbox *in, *got;
        if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0) continue;
        in = (pb_inbox *)(void *)filled(&a, d);
        ProtobufCMessage *body = filled(&a, f->descriptor);
        in->schema = 1;
        in->body_case = (Serin__V1__Inbox__BodyCase)f->id;
        memcpy(place(&in->base, f), &body, sizeof body);
        cr_assert(eq(int, encode_inbox(&a, in, &bytes), SERIN_OK));
        struct strview record = {(const char *)bytes.p, bytes.n};
        cr_assert(eq(int, mask_inbox(&m, record, &out), SERIN_OK), "%s", f->name);
        cr_assert(eq(int, decode_inbox(&a, out.p, out.n, &got), SERIN_OK));
        memcpy(&body, place(&got->base, f), sizeof body);
        looked = 0;
        look(body);
        cr_assert(gt(uint, looked, 0), "%s", f->name);
        bodies++;
        text_free(&out);
        arena_free(&a);
    }
    cr_assert(ge(uint, bodies, 6));
}

Test(mask, a_span_says_nothing_but_its_times)
{
    struct mask m = mask_of("a key of sixteen");
    const char *json =
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\","
        "\"value\":{\"stringValue\":\"secret\"}}]},\"scopeSpans\":[{\"spans\":[{"
        "\"traceId\":\"secret\",\"spanId\":\"secret\",\"name\":\"secret\",\"kind\":2,"
        "\"startTimeUnixNano\":\"17\",\"status\":{\"code\":2,\"message\":\"secret\"},"
        "\"events\":[{\"name\":\"secret\"}],\"attributes\":[{\"key\":\"a\",\"value\":{"
        "\"arrayValue\":{\"values\":[{\"stringValue\":\"secret\"}]}}}]}]}]}]}";
    struct text out = {0};
    cr_assert(eq(int, mask_record(&m, FORMAT_AUTO, strview_of(json), &out), SERIN_OK));
    cr_assert(strstr(out.p, "secret") == NULL, "%s", out.p);
    cr_assert(strstr(out.p, "\"17\"") != NULL && strstr(out.p, "\"code\":2") != NULL);
    text_free(&out);
}

/* What ingest does not read could be anything. */
Test(mask, members_that_are_not_read_go)
{
    struct mask m = mask_of("a key of sixteen");
    static const struct {
        const char *json, *still;
    } all[] = {
        {"{\"t_ms\":17,\"metric\":\"errors\",\"n\":3,\"bad\":0,\"cohort\":\"canary\","
         "\"note\":\"secret\",\"deep\":{\"a\":[\"secret\"]}}",
         "{\"t_ms\":17,\"metric\":\"errors\",\"n\":3,\"bad\":0,\"cohort\":\"canary\"}"},
        {"{\"t_ms\":17,\"n\":3,\"attributes\":{\"a\":{\"b\":\"secret\"},\"c\":true},"
         "\"stratum\":[\"secret\"],\"user\":{\"b\":\"secret\"}}",
         "{\"t_ms\":17,\"n\":3,\"attributes\":{\"a\":[],\"c\":true},"
         "\"stratum\":true,\"user\":true}"},
        {"{\"t_ms\":17,\"hist\":{\"scale\":1,\"counts\":[1],\"x\":\"secret\"},"
         "\"values\":[1,\"secret\"]}",
         "{\"t_ms\":17,\"hist\":{\"scale\":1,\"counts\":[1]},\"values\":true}"},
        {"{\"resourceMetrics\":[{\"resource\":{\"note\":\"secret\",\"attributes\":["
         "{\"key\":\"a\",\"value\":{\"boolValue\":true,\"x\":\"secret\"},\"x\":"
         "\"secret\"}]},\"scopeMetrics\":[{\"metrics\":[{\"name\":\"errors\",\"sum\":{"
         "\"aggregationTemporality\":\"AGGREGATION_TEMPORALITY_DELTA\",\"dataPoints\":["
         "{"
         "\"asInt\":\"3\",\"x\":[\"secret\"]}]}}]}]}]}",
         "\"dataPoints\":[{\"asInt\":\"3\",\"x\":[null]}]"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct text out = {0};
        struct strview record = strview_of(all[i].json);
        cr_assert(eq(int, mask_record(&m, FORMAT_AUTO, record, &out), SERIN_OK));
        cr_assert(strstr(out.p, "secret") == NULL, "%s", out.p);
        cr_assert(strstr(out.p, all[i].still) != NULL, "%s", out.p);
        text_free(&out);
    }
}

Test(mask, what_is_no_record_is_refused)
{
    struct mask m = mask_of("a key of sixteen");
    struct text out = {0};
    const struct strview cut = {"\x0a\x7f", 2};
    cr_assert(eq(int, mask_inbox(&m, cut, &out), SERIN_EPARSE));
    cr_assert(eq(int, mask_record(&m, FORMAT_SERIN, cut, &out), SERIN_EPARSE));
    cr_assert(eq(int, mask_record(&m, FORMAT_PROMETHEUS, cut, &out), SERIN_EPARSE));
    cr_assert(
        eq(int, mask_record(&m, FORMAT_JSON, strview_of("{"), &out), SERIN_EPARSE));
    cr_assert(eq(int, mask_record(&m, FORMAT_JSON, strview_of("[\"secret\"]"), &out),
                 SERIN_EPARSE));
    cr_assert(eq(int, mask_plan(&m, strview_of("a: [b"), &out), SERIN_EPARSE));
    text_free(&out);
}
