/* tests/unit/stage/test_commit.c -- what one transaction holds: signatures, and what
 * goes out while the audit topic takes nothing. The producer is a list in this file. */
#include <sodium.h>
#include <unistd.h>

#include "engine/base/sign.h"
#include "engine/core/fold.h"
#include "engine/stage/commit.h"
#include "proto/decode.h"
#include "proto/encode.h"
#include "tests/support/check.h"

struct sent {
    char topic[16], key[16];
    uint8_t value[512];
    size_t n;
};
static struct sent sent[32];
static size_t n_sent, n_offsets;
static int64_t offset;

static const char *const names[] = {"inbox", "verdicts", "rollouts", "audit", "state"};

const char *bus_topic_name(const struct bus *b, enum bus_topic t)
{
    (void)b;
    return names[t];
}

enum serin_status producer_begin(struct producer *p, struct fault *f)
{
    (void)p, (void)f;
    n_sent = 0;
    return SERIN_OK;
}

enum serin_status producer_abort(struct producer *p, struct fault *f)
{
    (void)p, (void)f;
    return SERIN_OK;
}

enum serin_status producer_send(struct producer *p, const char *topic,
                                int32_t partition, const void *key, size_t key_len,
                                const void *value, size_t value_len, struct fault *f)
{
    (void)p, (void)partition, (void)f;
    struct sent *s = &sent[n_sent++];
    snprintf(s->topic, sizeof s->topic, "%s", topic);
    snprintf(s->key, sizeof s->key, "%.*s", (int)key_len, (const char *)key);
    memcpy(s->value, value, value_len);
    s->n = value_len;
    return SERIN_OK;
}

enum serin_status producer_commit(struct producer *p, struct consumer *c,
                                  const struct bus_partition *offsets, size_t n,
                                  struct fault *f)
{
    (void)p, (void)c, (void)f;
    n_offsets = n;
    offset = n > 0 ? offsets[0].offset : -1;
    return SERIN_OK;
}

static struct part part;
static struct effect items[16];

static void add(enum effect_kind kind, const char *key, struct bytes value,
                enum effect_move move)
{
    items[part.fx.n++] =
        (struct effect){.kind = kind, .key = key, .value = value, .move = move};
}

static struct bytes verdict(struct arena *a, const char *id, Serin__V1__Kind kind,
                            uint8_t hash[HASH_DIGEST])
{
    struct bytes out;
    pb_verdict v = SERIN__V1__VERDICT__INIT;
    v.schema = SERIN_SCHEMA;
    v.id = (char *)(uintptr_t)id;
    v.kind = kind;
    cr_assert(eq(int, encode_verdict(a, &v, &out), SERIN_OK));
    hash_digest(out.p, out.n, hash);
    v.hash = (ProtobufCBinaryData){HASH_DIGEST, hash};
    cr_assert(eq(int, encode_verdict(a, &v, &out), SERIN_OK));
    return out;
}

static struct bytes audit(struct arena *a, const char *rollout,
                          uint8_t hash[HASH_DIGEST])
{
    struct bytes out;
    pb_audit m = SERIN__V1__AUDIT_ENTRY__INIT;
    m.schema = SERIN_SCHEMA;
    m.rollout = (char *)(uintptr_t)rollout;
    m.seq = 1;
    memset(hash, 7, HASH_DIGEST);
    m.hash = (ProtobufCBinaryData){HASH_DIGEST, hash};
    cr_assert(eq(int, encode_audit(a, &m, &out), SERIN_OK));
    return out;
}

static struct commit begin(struct part **parts, const struct sign_key *key)
{
    part =
        (struct part){.state = PART_LIVE, .next = 9, .committed = 4, .claimed = true};
    part.fx.items = items;
    part.fx.room = sizeof items / sizeof *items;
    parts[0] = &part;
    return (struct commit){.parts = parts, .n = 1, .tick_ms = -1, .key = key};
}

static void make_key(struct sign_key *k)
{
    uint8_t seed[32] = {1, 2, 3};
    crypto_sign_seed_keypair(k->public.point, k->secret, seed);
}

Test(commit, signs_verdicts_and_audit_entries_and_changes_nothing_else)
{
    struct arena a = {0};
    struct sign_key key;
    struct part *parts[1];
    struct fault f = {0};
    uint8_t h[2][HASH_DIGEST];
    pb_verdict *v;
    pb_audit *e;
    make_key(&key);
    struct commit c = begin(parts, &key);
    struct bytes plain = verdict(&a, "r/1", SERIN__V1__KIND__KIND_HOLD, h[0]);
    add(EFFECT_VERDICT, "r", plain, EFFECT_STAYS);
    add(EFFECT_AUDIT, "r", audit(&a, "r", h[1]), EFFECT_STAYS);
    add(EFFECT_SNAPSHOT, "r", plain, EFFECT_STAYS);
    cr_assert(eq(int, commit_run(&c, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(sz, n_sent, 3));
    cr_assert(eq(int, memcmp(sent[0].value, plain.p, plain.n), 0));
    cr_assert(eq(int, decode_verdict(&a, sent[0].value, sent[0].n, &v), SERIN_OK));
    cr_assert(sign_holds(&key.public, h[0], v->sig.data, v->sig.len));
    cr_assert(not(sign_holds(&key.public, h[1], v->sig.data, v->sig.len)));
    cr_assert(eq(int, decode_audit(&a, sent[1].value, sent[1].n, &e), SERIN_OK));
    cr_assert(sign_holds(&key.public, h[1], e->sig.data, e->sig.len));
    cr_assert(eq(sz, sent[2].n, plain.n), "a snapshot is not signed");
    cr_assert(eq(i64, offset, 9));
    cr_assert(eq(i64, part.committed, 9));
    arena_free(&a);
}

Test(commit, ahead_tells_what_lowers_once_and_moves_no_offset)
{
    struct arena a = {0};
    struct part *parts[1];
    struct fault f = {0};
    uint8_t h[HASH_DIGEST];
    struct commit c = begin(parts, NULL);
    struct bytes up = verdict(&a, "up/1", SERIN__V1__KIND__KIND_PROMOTE, h),
                 down = verdict(&a, "down/2", SERIN__V1__KIND__KIND_ABORT, h);
    add(EFFECT_VERDICT, "up", up, EFFECT_RAISES);
    add(EFFECT_ROLLOUT, "up", up, EFFECT_STAYS);
    add(EFFECT_AUDIT, "up", audit(&a, "up", h), EFFECT_STAYS);
    add(EFFECT_VERDICT, "down", down, EFFECT_LOWERS);
    add(EFFECT_ROLLOUT, "down", down, EFFECT_STAYS);
    cr_assert(eq(int, commit_ahead(&c, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(sz, n_sent, 2));
    for (size_t i = 0; i < 2; i++)
        cr_assert(eq(str, sent[i].key, (char *)"down"), "a promotion went out");
    cr_assert(eq(sz, n_offsets, 1));
    cr_assert(eq(i64, offset, 4), "offsets stay where they are");
    cr_assert(eq(int, commit_ahead(&c, &f), SERIN_OK));
    cr_assert(eq(sz, n_sent, 0), "and it is said once");
    cr_assert(eq(sz, part.fx.n, 5), "all of it is still to be committed");
    cr_assert(eq(int, commit_run(&c, &f), SERIN_OK));
    cr_assert(eq(sz, n_sent, 5));
    arena_free(&a);
}

/* A record without a hash where it belongs is never signed, nor sent. */
Test(commit, refuses_to_sign_what_has_no_hash)
{
    struct sign_key key;
    struct part *parts[1];
    struct fault f = {0};
    make_key(&key);
    struct commit c = begin(parts, &key);
    add(EFFECT_VERDICT, "r", (struct bytes){(const uint8_t *)"short", 5}, EFFECT_STAYS);
    cr_assert(ne(int, commit_run(&c, &f), SERIN_OK));
    cr_assert(f.rewind);
}
