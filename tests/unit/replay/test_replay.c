/* tests/unit/replay/test_replay.c -- a digest without the signature */
#include "engine/replay/replay.h"

#include "proto/encode.h"
#include "tests/support/check.h"

static void digest_of(const char *sig, const char *message, uint8_t out[HASH_DIGEST])
{
    struct arena a = {0};
    struct bytes bytes;
    char id[] = "r/1", rollout[] = "r", text[64];
    pb_verdict v = SERIN__V1__VERDICT__INIT;
    snprintf(text, sizeof text, "%s", message);
    v.schema = SERIN_SCHEMA;
    v.id = id;
    v.rollout = rollout;
    v.seq = 1;
    v.message = text;
    v.sig.data = (uint8_t *)arena_copy(&a, sig, strlen(sig));
    v.sig.len = strlen(sig);
    cr_assert(eq(int, encode_verdict(&a, &v, &bytes), SERIN_OK));
    cr_assert(eq(int, replay_digest(bytes.p, bytes.n, out), SERIN_OK));
    arena_free(&a);
}

Test(replay, a_signature_does_not_change_the_digest_and_all_else_does)
{
    uint8_t plain[HASH_DIGEST], with[HASH_DIGEST], other[HASH_DIGEST];
    digest_of("", "promoted", plain);
    digest_of("signed by somebody", "promoted", with);
    digest_of("signed by somebody", "promoter", other);
    cr_assert(memcmp(plain, with, sizeof plain) == 0);
    cr_assert(memcmp(plain, other, sizeof plain) != 0);
    cr_assert(eq(int, replay_digest("\x0a\xff", 2, plain), SERIN_EPARSE));
}
