/* engine/base/sign.c */
#include "engine/base/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE = 160 };
static const char secret_word[] = "serin-ed25519-secret ";
static const char public_word[] = "serin-ed25519-public ";

static enum serin_status write_line(const char *path, mode_t mode, const char *word,
                                    const uint8_t bytes[32], struct fault *f)
{
    char line[LINE],
        code[sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_ORIGINAL)];
    sodium_bin2base64(code, sizeof code, bytes, 32, sodium_base64_VARIANT_ORIGINAL);
    int n = snprintf(line, sizeof line, "%s%s\n", word, code);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return fault_set(f, SERIN_EIO, "%s: %s%s", path, strerror(errno),
                         errno == EEXIST
                             ? "; a key is never written over: give another "
                               "name, or move the old one away"
                             : "");
    bool good = write(fd, line, (size_t)n) == n && fsync(fd) == 0;
    int why = errno;
    good = close(fd) == 0 && good;
    sodium_memzero(line, sizeof line);
    sodium_memzero(code, sizeof code);
    if (good) return SERIN_OK;
    unlink(path);
    return fault_set(f, SERIN_EIO, "%s: cannot be written: %s", path, strerror(why));
}

enum serin_status sign_create(const char *path, struct fault *f)
{
    char public_path[4096];
    uint8_t seed[32];
    struct sign_key k;
    if (snprintf(public_path, sizeof public_path, "%s.pub", path) >=
        (int)sizeof public_path)
        return fault_set(f, SERIN_EDOM, "the key's path is longer than %zu bytes",
                         sizeof public_path - 5);
    if (sodium_init() < 0)
        return fault_set(f, SERIN_EIO, "no source of random numbers for a key");
    randombytes_buf(seed, sizeof seed);
    crypto_sign_seed_keypair(k.public.point, k.secret, seed);
    enum serin_status rc = write_line(path, 0600, secret_word, seed, f);
    if (rc == SERIN_OK) {
        rc = write_line(public_path, 0644, public_word, k.public.point, f);
        if (rc != SERIN_OK) unlink(path);
    }
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(&k, sizeof k);
    return rc;
}

static enum serin_status read_line(const char *path, char line[LINE], mode_t *mode,
                                   struct fault *f)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fault_set(f, SERIN_EIO, "%s: %s; 'serin audit keygen' makes a key", path,
                         strerror(errno));
    ssize_t n = read(fd, line, LINE - 1);
    bool good = n >= 0 && fstat(fd, &st) == 0;
    close(fd);
    if (!good)
        return fault_set(f, SERIN_EIO, "%s: cannot be read: %s", path, strerror(errno));
    line[n] = '\0';
    *mode = st.st_mode;
    return SERIN_OK;
}

static bool parse(const char *line, const char *word, uint8_t out[32])
{
    size_t lead = strlen(word), n;
    const char *end;
    if (strncmp(line, word, lead) != 0) return false;
    if (sodium_base642bin(out, 32, line + lead, strlen(line + lead), " \r\n", &n, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    return n == 32 && *end == '\0';
}

enum serin_status sign_load(const char *path, struct sign_key *k, struct fault *f)
{
    char line[LINE];
    uint8_t seed[32];
    mode_t mode = 0;
    enum serin_status rc = read_line(path, line, &mode, f);
    if (rc != SERIN_OK) return rc;
    bool good = parse(line, secret_word, seed);
    sodium_memzero(line, sizeof line);
    if (!good)
        return fault_set(
            f, SERIN_EDOM,
            "%s is no signing key: expected a line \"%sBASE64\", as 'serin "
            "audit keygen' writes it",
            path, secret_word);
    if ((mode & 077) != 0) {
        sodium_memzero(seed, sizeof seed);
        return fault_set(f, SERIN_EDOM,
                         "%s may be read by others (mode %03o): chmod 600 it, and make "
                         "a new key if it may have been read",
                         path, (unsigned)(mode & 0777));
    }
    crypto_sign_seed_keypair(k->public.point, k->secret, seed);
    sodium_memzero(seed, sizeof seed);
    return SERIN_OK;
}

enum serin_status sign_load_public(const char *path, struct sign_public *k,
                                   struct fault *f)
{
    char line[LINE];
    uint8_t bytes[32], secret[SIGN_SECRET];
    mode_t mode = 0;
    enum serin_status rc = read_line(path, line, &mode, f);
    if (rc != SERIN_OK) return rc;
    if (parse(line, public_word, bytes)) {
        memcpy(k->point, bytes, sizeof bytes);
    } else if (parse(line, secret_word, bytes)) {
        crypto_sign_seed_keypair(k->point, secret, bytes);
        sodium_memzero(secret, sizeof secret);
    } else {
        rc = fault_set(f, SERIN_EDOM,
                       "%s is no key: expected a line \"%sBASE64\", as 'serin audit "
                       "keygen' writes it",
                       path, public_word);
    }
    sodium_memzero(line, sizeof line);
    sodium_memzero(bytes, sizeof bytes);
    return rc;
}

void sign_name(const struct sign_public *k, char out[SIGN_NAME])
{
    uint8_t digest[HASH_DIGEST];
    hash_digest(k->point, sizeof k->point, digest);
    hash_hex(digest, (SIGN_NAME - 1) / 2, out);
}

enum serin_status sign_digest(const struct sign_key *k,
                              const uint8_t digest[HASH_DIGEST],
                              uint8_t out[SIGN_BYTES])
{
    return crypto_sign_detached(out, NULL, digest, HASH_DIGEST, k->secret) == 0
               ? SERIN_OK
               : SERIN_EDOM;
}

bool sign_holds(const struct sign_public *k, const uint8_t digest[HASH_DIGEST],
                const uint8_t *sig, size_t n)
{
    return n == SIGN_BYTES &&
           crypto_sign_verify_detached(sig, digest, HASH_DIGEST, k->point) == 0;
}
