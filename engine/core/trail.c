/* engine/core/trail.c */
#include "engine/core/trail.h"

#include <inttypes.h>
#include <string.h>

#include "engine/base/mem.h"
#include "proto/decode.h"
#include "proto/encode.h"

#define HASH_NONFATAL_OOM 1
#define uthash_malloc(n) mem_calloc(1, n)
#define uthash_free(p, n) mem_free(p)
#include <uthash.h>

typedef uint8_t digest[HASH_DIGEST];

/* One rollout's chain. */
struct chain {
    UT_hash_handle hh;
    char *rollout;
    digest *hashes; /* of entries 1..n; zeros where one is missing */
    uint64_t n;
    size_t room;
};

struct expected {
    char *rollout;
    uint64_t seq;
    digest hash;
};

struct trail {
    const struct sign_public *keys;
    size_t n_keys;
    struct chain *chains;
    digest *alone; /* hashes of entries of seq 0 and of checkpoints */
    size_t n_alone, room_alone;
    struct expected *expected;
    size_t n_expected, room_expected, told;
    struct trail_counts c;
};

static const char *const texts[] = {"good",     "unreadable", "changed",   "misplaced",
                                    "repeated", "missing",    "unchained", "unsigned",
                                    "forged",   "cut"};

const char *trail_fault_text(enum trail_fault f)
{
    return f <= TRAIL_CUT ? texts[f] : "unknown";
}

enum serin_status trail_open(struct trail **out, const struct sign_public *keys,
                             size_t n_keys)
{
    struct trail *t = mem_calloc(1, sizeof *t);
    if (t == NULL) return SERIN_ENOMEM;
    t->keys = keys;
    t->n_keys = n_keys;
    *out = t;
    return SERIN_OK;
}

void trail_close(struct trail *t)
{
    struct chain *c, *next;
    if (t == NULL) return;
    HASH_ITER(hh, t->chains, c, next)
    {
        HASH_DEL(t->chains, c);
        mem_free(c->rollout);
        mem_free(c->hashes);
        mem_free(c);
    }
    for (size_t i = 0; i < t->n_expected; i++)
        mem_free(t->expected[i].rollout);
    mem_free(t->expected);
    mem_free(t->alone);
    mem_free(t);
}

/* Room for one more item; NULL when memory is out, the old list stays. */
static void *grown(void *items, size_t n, size_t *room, size_t size)
{
    if (n < *room) return items;
    size_t more = *room != 0 ? 2 * *room : 16;
    void *p = mem_realloc(items, more, size);
    if (p != NULL) *room = more;
    return p;
}

static struct chain *chain_of(struct trail *t, const char *rollout)
{
    struct chain *c;
    HASH_FIND_STR(t->chains, rollout, c);
    if (c != NULL) return c;
    c = mem_calloc(1, sizeof *c);
    if (c == NULL || (c->rollout = mem_strdup(rollout)) == NULL) {
        mem_free(c);
        return NULL;
    }
    HASH_ADD_KEYPTR(hh, t->chains, c->rollout, strlen(c->rollout), c);
    if (c->hh.tbl == NULL) {
        mem_free(c->rollout);
        mem_free(c);
        return NULL;
    }
    t->c.rollouts++;
    return c;
}

static enum serin_status keep(struct chain *c, uint64_t seq, const uint8_t *hash)
{
    while (c->n < seq) {
        digest *more = grown(c->hashes, c->n, &c->room, sizeof *c->hashes);
        if (more == NULL) return SERIN_ENOMEM;
        c->hashes = more;
        memset(c->hashes[c->n++], 0, HASH_DIGEST);
    }
    memcpy(c->hashes[seq - 1], hash, HASH_DIGEST);
    return SERIN_OK;
}

static enum serin_status keep_alone(struct trail *t, const uint8_t *hash)
{
    digest *more = grown(t->alone, t->n_alone, &t->room_alone, sizeof *t->alone);
    if (more == NULL) return SERIN_ENOMEM;
    t->alone = more;
    memcpy(t->alone[t->n_alone++], hash, HASH_DIGEST);
    return SERIN_OK;
}

static bool seen_alone(const struct trail *t, const uint8_t *hash)
{
    for (size_t i = 0; i < t->n_alone; i++)
        if (memcmp(t->alone[i], hash, HASH_DIGEST) == 0) return true;
    return false;
}

/* ---- one entry by itself */
static bool is_digest(const ProtobufCBinaryData *b)
{
    return b->len == HASH_DIGEST;
}

/* Exactly the bytes that serin writes for this entry, and the hash over them. */
static enum trail_fault own_bytes(struct arena *a, const pb_audit *e, const void *value,
                                  size_t n)
{
    struct bytes out;
    digest hash;
    pb_audit bare = *e;
    if (encode_audit(a, e, &out) != SERIN_OK || out.n != n ||
        memcmp(out.p, value, n) != 0)
        return TRAIL_UNREADABLE;
    bare.hash = bare.sig = (ProtobufCBinaryData){0, NULL};
    if (encode_audit(a, &bare, &out) != SERIN_OK) return TRAIL_UNREADABLE;
    hash_digest(out.p, out.n, hash);
    return memcmp(hash, e->hash.data, HASH_DIGEST) == 0 ? TRAIL_GOOD : TRAIL_CHANGED;
}

static enum trail_fault signature(struct trail *t, const pb_audit *e)
{
    if (e->sig.len != 0) t->c.signed_++;
    if (t->n_keys == 0) return TRAIL_GOOD;
    if (e->sig.len == 0) return TRAIL_UNSIGNED;
    for (size_t i = 0; i < t->n_keys; i++)
        if (sign_holds(&t->keys[i], e->hash.data, e->sig.data, e->sig.len))
            return TRAIL_GOOD;
    return TRAIL_FORGED;
}

/* ---- its place in the chain */
static enum trail_fault linked(const struct chain *c, const pb_audit *e)
{
    static const digest none = {0};
    bool again =
        e->seq <= c->n && memcmp(c->hashes[e->seq - 1], none, HASH_DIGEST) != 0;
    if (again) return TRAIL_REPEATED;
    if (e->seq != c->n + 1) return TRAIL_MISSING;
    if (e->seq == 1) return e->prev_hash.len == 0 ? TRAIL_GOOD : TRAIL_UNCHAINED;
    if (!is_digest(&e->prev_hash) ||
        memcmp(e->prev_hash.data, c->hashes[c->n - 1], HASH_DIGEST) != 0)
        return TRAIL_UNCHAINED;
    return TRAIL_GOOD;
}

static enum serin_status place(struct trail *t, const pb_audit *e,
                               enum trail_fault *found, struct fault *text)
{
    if (e->seq == 0) {
        if (seen_alone(t, e->hash.data)) {
            *found = TRAIL_REPEATED;
            fault_set(text, SERIN_EDOM, "%s: the same entry was there before",
                      e->rollout);
        }
        return keep_alone(t, e->hash.data);
    }
    struct chain *c = chain_of(t, e->rollout);
    if (c == NULL) return SERIN_ENOMEM;
    *found = linked(c, e);
    if (*found == TRAIL_REPEATED)
        fault_set(text, SERIN_EDOM, "%s/%" PRIu64 ": there was an entry of this number",
                  e->rollout, e->seq);
    else if (*found == TRAIL_MISSING)
        fault_set(text, SERIN_EDOM, "%s: entry %" PRIu64 " follows %" PRIu64 ": %s",
                  e->rollout, e->seq, c->n,
                  e->seq > c->n ? "those between are missing" : "out of order");
    else if (*found == TRAIL_UNCHAINED)
        fault_set(text, SERIN_EDOM,
                  "%s/%" PRIu64 ": prev_hash is not the hash of the entry before",
                  e->rollout, e->seq);
    if (*found == TRAIL_REPEATED) return SERIN_OK;
    return keep(c, e->seq, e->hash.data);
}

/* The heads that a checkpoint lists have to turn up. */
static enum serin_status checkpoint(struct trail *t, struct arena *a, const pb_audit *e,
                                    enum trail_fault *found, struct fault *text)
{
    pb_checkpoint *m;
    enum serin_status rc = decode_checkpoint(a, e->payload.data, e->payload.len, &m);
    for (size_t i = 0; rc == SERIN_OK && i < m->n_heads; i++)
        rc = is_digest(&m->heads[i]->hash)
                 ? trail_expect(t, m->heads[i]->rollout, m->heads[i]->seq,
                                m->heads[i]->hash.data)
                 : SERIN_EPARSE;
    t->c.checkpoints++;
    if (rc != SERIN_EPARSE) return rc;
    *found = TRAIL_UNREADABLE;
    fault_set(text, SERIN_EDOM, "its list of heads cannot be read");
    return SERIN_OK;
}

static enum trail_fault judge(struct trail *t, struct arena *a, const pb_audit *e,
                              const char *key, size_t key_len, const void *value,
                              size_t n, struct fault *text)
{
    enum trail_fault found =
        is_digest(&e->hash) ? own_bytes(a, e, value, n) : TRAIL_UNREADABLE;
    if (found == TRAIL_UNREADABLE)
        fault_set(text, SERIN_EDOM, "%s/%" PRIu64 ": not the bytes that serin writes",
                  e->rollout, e->seq);
    if (found == TRAIL_CHANGED)
        fault_set(text, SERIN_EDOM,
                  "%s/%" PRIu64 ": its hash is not that of its content", e->rollout,
                  e->seq);
    if (found != TRAIL_GOOD) return found;
    if (strlen(e->rollout) != key_len || memcmp(e->rollout, key, key_len) != 0) {
        fault_set(text, SERIN_EDOM, "%s/%" PRIu64 ": the record's key is \"%.*s\"",
                  e->rollout, e->seq, key_len < 128 ? (int)key_len : 128, key);
        return TRAIL_MISPLACED;
    }
    found = signature(t, e);
    if (found != TRAIL_GOOD)
        fault_set(text, SERIN_EDOM, "%s/%" PRIu64 ": %s", e->rollout, e->seq,
                  found == TRAIL_UNSIGNED ? "it has no signature"
                                          : "no key given here made its signature");
    return found;
}

enum serin_status trail_add(struct trail *t, struct arena *a, const char *key,
                            size_t key_len, const void *value, size_t n,
                            enum trail_fault *found, struct fault *text,
                            pb_audit **entry)
{
    pb_audit *e;
    struct fault in_place = {0};
    enum trail_fault where = TRAIL_GOOD;
    enum serin_status rc = decode_audit(a, value, n, &e);
    if (entry != NULL) *entry = NULL;
    *found = TRAIL_GOOD;
    t->c.entries++;
    if (rc == SERIN_ENOMEM) return rc;
    if (rc != SERIN_OK) {
        *found = TRAIL_UNREADABLE;
        fault_set(text, SERIN_EDOM, "the record is no audit entry");
        return SERIN_OK;
    }
    if (entry != NULL) *entry = e;
    *found = judge(t, a, e, key, key_len, value, n, text);
    if (!is_digest(&e->hash) || *found == TRAIL_MISPLACED) return SERIN_OK;
    t->c.alone += e->seq == 0;
    rc = place(t, e, &where, &in_place);
    if (*found == TRAIL_GOOD && where != TRAIL_GOOD) {
        *found = where;
        *text = in_place;
    }
    if (rc == SERIN_OK && *found == TRAIL_GOOD && strcmp(e->kind, "checkpoint") == 0)
        rc = checkpoint(t, a, e, found, text);
    return rc;
}

enum serin_status trail_expect(struct trail *t, const char *rollout, uint64_t seq,
                               const uint8_t hash[HASH_DIGEST])
{
    struct expected *more =
        grown(t->expected, t->n_expected, &t->room_expected, sizeof *t->expected);
    if (more == NULL) return SERIN_ENOMEM;
    t->expected = more;
    struct expected *x = &t->expected[t->n_expected];
    if ((x->rollout = mem_strdup(rollout)) == NULL) return SERIN_ENOMEM;
    x->seq = seq;
    memcpy(x->hash, hash, HASH_DIGEST);
    t->n_expected++;
    return SERIN_OK;
}

bool trail_end(struct trail *t, struct fault *text)
{
    while (t->told < t->n_expected) {
        const struct expected *x = &t->expected[t->told++];
        struct chain *c;
        if (x->seq == 0) {
            if (seen_alone(t, x->hash)) continue;
            fault_set(text, SERIN_EDOM, "%s: an entry without number is missing",
                      x->rollout);
            return true;
        }
        HASH_FIND_STR(t->chains, x->rollout, c);
        if (c == NULL || c->n < x->seq) {
            fault_set(text, SERIN_EDOM,
                      "%s: entry %" PRIu64 " was there once; the log ends at %" PRIu64,
                      x->rollout, x->seq, c != NULL ? c->n : 0);
            return true;
        }
        if (memcmp(c->hashes[x->seq - 1], x->hash, HASH_DIGEST) == 0) continue;
        fault_set(text, SERIN_EDOM,
                  "%s: entry %" PRIu64 " is not the one that was there once",
                  x->rollout, x->seq);
        return true;
    }
    return false;
}

struct trail_counts trail_counts(const struct trail *t)
{
    return t->c;
}
