#include "engine/base/mem.h"
#include "proto/decode.h"
#include "proto/encode.h"
#include "tests/support/check.h"

static struct arena arena;

static void clean(void)
{
    arena_free(&arena);
}

static struct bytes tick_bytes(uint32_t schema)
{
    Serin__V1__Source source = SERIN__V1__SOURCE__INIT;
    source.topic = (char *)"metrics";
    source.partition = 7;
    source.known = 1;
    source.watermark_ms = 1793000000123;
    pb_source *sources[] = {&source};
    pb_tick tick = SERIN__V1__TICK__INIT;
    tick.worker = (char *)"w-1";
    tick.wall_ms = 1793000002123;
    tick.n_sources = 1;
    tick.sources = sources;
    pb_inbox in = SERIN__V1__INBOX__INIT;
    in.schema = schema;
    in.body_case = SERIN__V1__INBOX__BODY_TICK;
    in.tick = &tick;
    struct bytes b;
    cr_assert(eq(int, encode_inbox(&arena, &in, &b), SERIN_OK));
    return b;
}

Test(codec, a_message_survives_the_trip, .fini = clean)
{
    struct bytes b = tick_bytes(SERIN_SCHEMA);
    pb_inbox *in;
    cr_assert(eq(int, decode_inbox(&arena, b.p, b.n, &in), SERIN_OK));
    cr_assert(eq(int, (int)in->body_case, SERIN__V1__INBOX__BODY_TICK));
    cr_assert(eq(i64, in->tick->sources[0]->watermark_ms, 1793000000123));
    cr_assert(eq(str, in->tick->worker, (char *)"w-1"));
}

Test(codec, unknown_fields_are_harmless, .fini = clean)
{
    struct bytes b = tick_bytes(SERIN_SCHEMA);
    uint8_t longer[512];
    memcpy(longer, b.p, b.n);
    /* field 1000, wire type 2, three bytes: what a later version may add */
    const uint8_t extra[] = {0xc2, 0x3e, 3, 'n', 'e', 'w'};
    memcpy(longer + b.n, extra, sizeof extra);
    pb_inbox *in;
    cr_assert(eq(int, decode_inbox(&arena, longer, b.n + sizeof extra, &in), SERIN_OK));
    cr_assert(eq(i64, in->tick->wall_ms, 1793000002123));
}

Test(codec, a_later_schema_is_refused, .fini = clean)
{
    struct bytes b = tick_bytes(SERIN_SCHEMA + 1);
    pb_inbox *in = NULL;
    cr_assert(eq(int, decode_inbox(&arena, b.p, b.n, &in), SERIN_EPARSE));
    cr_assert(eq(ptr, in, NULL));
}

Test(codec, no_prefix_of_a_message_crashes, .fini = clean)
{
    struct bytes b = tick_bytes(SERIN_SCHEMA);
    for (size_t n = 0; n < b.n; n++) {
        struct arena a = {0};
        pb_inbox *in;
        /* A shorter message may be valid; it must not be read past its end. */
        uint8_t *copy = mem_calloc(n, 1);
        memcpy(copy, b.p, n);
        if (decode_inbox(&a, copy, n, &in) == SERIN_OK)
            cr_assert(le(u32, in->schema, 1));
        mem_free(copy);
        arena_free(&a);
    }
}

Test(codec, memory_limits_hold, .fini = clean)
{
    struct bytes b = tick_bytes(SERIN_SCHEMA);
    struct arena small = {.max = 64};
    pb_inbox *in = NULL;
    cr_assert(ne(int, decode_inbox(&small, b.p, b.n, &in), SERIN_OK));
    cr_assert(eq(ptr, in, NULL));
    arena_free(&small);
}
