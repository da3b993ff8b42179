/* engine/replay/mask/mask.c */
#include "engine/replay/mask/mask.h"

#include <string.h>

void mask_start(struct mask *m, const void *key, size_t n)
{
    static const char *const always[] = {"le",          "quantile",
                                         "status",      "status_code",
                                         "code",        "http.response.status_code",
                                         "http_status", "http.status_code",
                                         "__name__",    "http_response_status_code",
                                         "grpc_code",   "rpc.grpc.status_code",
                                         "grpc_status", "otel.status_code"};
    *m = (struct mask){0};
    hash_digest(key, n, m->key);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        (void)mask_keep(m, strview_of(always[i]));
}

bool mask_keep(struct mask *m, struct strview attribute)
{
    if (m->n_keep == MASK_KEPT) return false;
    m->keep[m->n_keep++] = attribute;
    return true;
}

bool mask_kept(const struct mask *m, struct strview attribute)
{
    for (size_t i = 0; i < m->n_keep; i++)
        if (strview_eq(attribute, m->keep[i])) return true;
    return false;
}

void mask_name(const struct mask *m, struct strview name, char out[MASK_NAME])
{
    uint8_t digest[HASH_DIGEST];
    out[0] = '\0';
    if (name.n == 0) return;
    hash_hmac(m->key, sizeof m->key, name.p, name.n, digest);
    out[0] = 'x';
    hash_hex(digest, 6, out + 1);
}

void mask_stratum(const struct mask *m, struct strview stratum, struct text *out)
{
    char name[MASK_NAME];
    while (stratum.n != 0) {
        const char *comma = memchr(stratum.p, ',', stratum.n);
        size_t n = comma != NULL ? (size_t)(comma - stratum.p) : stratum.n;
        struct strview one = {stratum.p, n};
        mask_name(m, one, name);
        bool other = strview_eq(one, strview_of("other"));
        text_add(out, "%s%s", other ? "other" : name, comma != NULL ? "," : "");
        stratum.p += n + (comma != NULL);
        stratum.n -= n + (comma != NULL);
    }
}

/* The highest bit, by which cells are thinned, and the two of flags stay. */
uint64_t mask_user(const struct mask *m, uint64_t user)
{
    uint8_t digest[HASH_DIGEST];
    uint64_t flags = user & 3, who = user ^ flags, other;
    if (who < 16) return user;
    uint64_t top = UINT64_C(1) << (63 - __builtin_clzll(who));
    hash_hmac(m->key, sizeof m->key, &who, sizeof who, digest);
    memcpy(&other, digest, sizeof other);
    return top | (other & (top - 1) & ~UINT64_C(3)) | flags;
}
