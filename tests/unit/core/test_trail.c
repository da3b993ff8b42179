/* tests/unit/core/test_trail.c -- every way to tamper with one entry of a trail of 1
 * 000 is found, at that entry */
#include "engine/core/trail.h"

#include <sodium.h>

#include "proto/decode.h"
#include "proto/encode.h"
#include "tests/support/check.h"

enum { ENTRIES = 1000, ROLLOUTS = 7 };

struct record {
    char key[16];
    uint8_t *p;
    size_t n;
};

static struct record trail[ENTRIES];
static struct sign_key key;
static struct arena memory;

static void sign_entry(pb_audit *e, struct record *to)
{
    struct bytes out;
    uint8_t *hash = arena_alloc(&memory, HASH_DIGEST),
            *sig = arena_alloc(&memory, SIGN_BYTES);
    cr_assert(eq(int, encode_audit(&memory, e, &out), SERIN_OK));
    hash_digest(out.p, out.n, hash);
    e->hash = (ProtobufCBinaryData){HASH_DIGEST, hash};
    cr_assert(eq(int, sign_digest(&key, hash, sig), SERIN_OK));
    e->sig = (ProtobufCBinaryData){SIGN_BYTES, sig};
    cr_assert(eq(int, encode_audit(&memory, e, &out), SERIN_OK));
    to->p = (uint8_t *)arena_copy(&memory, out.p, out.n);
    to->n = out.n;
    snprintf(to->key, sizeof to->key, "%s", e->rollout);
}

/* The last entry is a checkpoint of all chains. */
static void add_checkpoint(const uint64_t *seq, uint8_t (*hash)[HASH_DIGEST])
{
    char rollout[] = TRAIL_CHECKPOINT, kind[] = "checkpoint", names[ROLLOUTS][8];
    Serin__V1__Head heads[ROLLOUTS], *list[ROLLOUTS];
    pb_checkpoint m = SERIN__V1__CHECKPOINT__INIT;
    pb_audit e = SERIN__V1__AUDIT_ENTRY__INIT;
    struct bytes payload;
    for (int i = 0; i < ROLLOUTS; i++) {
        serin__v1__head__init(list[i] = &heads[i]);
        snprintf(names[i], sizeof names[i], "r%d", i);
        heads[i].rollout = names[i];
        heads[i].seq = seq[i];
        heads[i].hash = (ProtobufCBinaryData){HASH_DIGEST, hash[i]};
    }
    m.schema = e.schema = SERIN_SCHEMA;
    m.heads = list;
    m.n_heads = ROLLOUTS;
    cr_assert(eq(int, encode_checkpoint(&memory, &m, &payload), SERIN_OK));
    e.rollout = rollout;
    e.kind = kind;
    e.payload = (ProtobufCBinaryData){payload.n, (uint8_t *)(uintptr_t)payload.p};
    sign_entry(&e, &trail[ENTRIES - 1]);
}

static void make_trail(void)
{
    uint64_t seq[ROLLOUTS] = {0};
    uint8_t last[ROLLOUTS][HASH_DIGEST], seed[32] = {9};
    crypto_sign_seed_keypair(key.public.point, key.secret, seed);
    for (int i = 0; i < ENTRIES - 1; i++) {
        char rollout[16], kind[] = "state", actor[] = "alice", subject[] = "A -> B",
                          reason[32];
        int r = i < ROLLOUTS ? i : i * i % ROLLOUTS;
        pb_audit e = SERIN__V1__AUDIT_ENTRY__INIT, *kept;
        snprintf(rollout, sizeof rollout, "r%d", r);
        snprintf(reason, sizeof reason, "because of %d", i);
        e.schema = SERIN_SCHEMA;
        e.rollout = rollout;
        e.seq = ++seq[r];
        e.t_ms = 1760000000000 + i;
        e.kind = kind;
        e.actor = actor;
        e.reason = reason;
        e.subject = subject;
        if (seq[r] > 1) e.prev_hash = (ProtobufCBinaryData){HASH_DIGEST, last[r]};
        sign_entry(&e, &trail[i]);
        cr_assert(
            eq(int, decode_audit(&memory, trail[i].p, trail[i].n, &kept), SERIN_OK));
        memcpy(last[r], kept->hash.data, HASH_DIGEST);
    }
    add_checkpoint(seq, last);
}

/* Index of the first entry that is found to be wrong; -1: the end says so; -2: whole.
 */
static int first_fault(const struct record *r, size_t n, const struct sign_public *keys,
                       size_t n_keys, enum trail_fault *what)
{
    struct trail *t;
    struct arena a = {0};
    struct fault text = {0};
    int at = -2;
    cr_assert(eq(int, trail_open(&t, keys, n_keys), SERIN_OK));
    for (size_t i = 0; i < n && at == -2; i++) {
        arena_reset(&a);
        cr_assert(eq(int,
                     trail_add(t, &a, r[i].key, strlen(r[i].key), r[i].p, r[i].n, what,
                               &text, NULL),
                     SERIN_OK));
        if (*what == TRAIL_GOOD) continue;
        cr_assert(ne(int, text.text[0], 0));
        at = (int)i;
    }
    if (at == -2 && trail_end(t, &text)) {
        *what = TRAIL_CUT;
        at = -1;
    }
    trail_close(t);
    arena_free(&a);
    return at;
}

static int fault_of(const struct record *r, size_t n, enum trail_fault *what)
{
    return first_fault(r, n, &key.public, 1, what);
}

/* The chain alone, signatures not looked at: quick. */
static int chain_fault(const struct record *r, size_t n, enum trail_fault *what)
{
    return first_fault(r, n, NULL, 0, what);
}

TestSuite(trail, .init = make_trail);

Test(trail, an_honest_one_is_whole)
{
    enum trail_fault what;
    cr_assert(eq(int, fault_of(trail, ENTRIES, &what), -2), "%s",
              trail_fault_text(what));
}

Test(trail, every_changed_byte_is_found_at_its_entry)
{
    enum trail_fault what;
    uint8_t changed[4096];
    static const size_t at[] = {0, 1, 36, 111, ENTRIES - 1};
    for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
        size_t i = at[k];
        struct record kept = trail[i];
        memcpy(changed, kept.p, kept.n);
        trail[i].p = changed;
        /* Of the checkpoint, which is long and far behind, every 16th. */
        for (size_t b = 0; b < kept.n; b += k + 1 < sizeof at / sizeof *at ? 1 : 16) {
            changed[b] ^= (uint8_t)(1u << (b % 8));
            cr_assert(eq(int, fault_of(trail, i + 1, &what), (int)i), "byte %zu", b);
            changed[b] ^= (uint8_t)(1u << (b % 8));
        }
        trail[i] = kept;
    }
}

Test(trail, every_dropped_doubled_or_swapped_entry_is_found_at_its_place)
{
    static struct record other[ENTRIES + 1];
    enum trail_fault what;
    for (int i = 0; i < ENTRIES - 1; i++) {
        bool last = true; /* of its rollout: then only the checkpoint misses it */
        int next = -1;
        for (int k = i + 1; k < ENTRIES - 1 && last; k++)
            if (strcmp(trail[k].key, trail[i].key) == 0) last = false, next = k;
        memcpy(other, trail, (size_t)i * sizeof *trail);
        memcpy(other + i, trail + i + 1, (size_t)(ENTRIES - 1 - i) * sizeof *trail);
        int at = chain_fault(other, ENTRIES - 1, &what);
        cr_assert(eq(int, at, last ? -1 : next - 1), "dropped %d", i);
        cr_assert(eq(int, (int)what, last ? (int)TRAIL_CUT : (int)TRAIL_MISSING));
        memcpy(other, trail, (size_t)(i + 1) * sizeof *trail);
        other[i + 1] = trail[i];
        cr_assert(eq(int, chain_fault(other, (size_t)i + 2, &what), i + 1),
                  "doubled %d", i);
        cr_assert(eq(int, (int)what, (int)TRAIL_REPEATED));
        if (last) continue;
        memcpy(other, trail, sizeof trail);
        other[i] = trail[next];
        other[next] = trail[i];
        cr_assert(eq(int, chain_fault(other, ENTRIES, &what), i), "swapped %d", i);
    }
}

Test(trail, a_truncated_one_is_found_when_a_later_head_is_known)
{
    enum trail_fault what;
    struct trail *t;
    struct arena a = {0};
    struct fault text = {0};
    pb_audit *e;
    /* By itself an older prefix is valid: that is what checkpoints are for. */
    cr_assert(eq(int, fault_of(trail, ENTRIES / 2, &what), -2));
    cr_assert(eq(int, trail_open(&t, &key.public, 1), SERIN_OK));
    cr_assert(eq(int,
                 decode_audit(&memory, trail[ENTRIES - 2].p, trail[ENTRIES - 2].n, &e),
                 SERIN_OK));
    cr_assert(eq(int, trail_expect(t, e->rollout, e->seq, e->hash.data), SERIN_OK));
    for (size_t i = 0; i < ENTRIES / 2; i++)
        cr_assert(eq(int,
                     trail_add(t, &a, trail[i].key, strlen(trail[i].key), trail[i].p,
                               trail[i].n, &what, &text, NULL),
                     SERIN_OK));
    cr_assert(trail_end(t, &text));
    cr_assert(strstr(text.text, "was there once") != NULL, "%s", text.text);
    cr_assert(not(trail_end(t, &text)));
    trail_close(t);
    arena_free(&a);
}

Test(trail, an_entry_made_anew_without_the_key_is_forged_or_unsigned)
{
    enum trail_fault what;
    struct sign_key mine = key;
    struct record kept = trail[500];
    pb_audit *e;
    uint8_t seed[32] = {77};
    char reason[] = "nothing happened here";
    cr_assert(eq(int, decode_audit(&memory, kept.p, kept.n, &e), SERIN_OK));
    e->reason = reason;
    e->hash = e->sig = (ProtobufCBinaryData){0, NULL};
    crypto_sign_seed_keypair(key.public.point, key.secret, seed);
    sign_entry(e, &trail[500]);
    key = mine;
    cr_assert(eq(int, fault_of(trail, ENTRIES, &what), 500));
    cr_assert(eq(int, (int)what, (int)TRAIL_FORGED));
    /* Without a key to compare with, the chain still breaks behind it. */
    cr_assert(gt(int, first_fault(trail, ENTRIES, NULL, 0, &what), 500));
    cr_assert(eq(int, (int)what, (int)TRAIL_UNCHAINED));
    struct bytes out;
    e->sig = (ProtobufCBinaryData){0, NULL};
    cr_assert(eq(int, encode_audit(&memory, e, &out), SERIN_OK));
    trail[500].p = (uint8_t *)arena_copy(&memory, out.p, out.n);
    trail[500].n = out.n;
    cr_assert(eq(int, fault_of(trail, ENTRIES, &what), 500));
    cr_assert(eq(int, (int)what, (int)TRAIL_UNSIGNED));
    trail[500] = kept;
}

Test(trail, an_entry_under_another_rollouts_key_is_misplaced)
{
    enum trail_fault what;
    struct record kept = trail[3];
    snprintf(trail[3].key, sizeof trail[3].key, "r6");
    cr_assert(eq(int, fault_of(trail, ENTRIES, &what), 3));
    cr_assert(eq(int, (int)what, (int)TRAIL_MISPLACED));
    trail[3] = kept;
}
