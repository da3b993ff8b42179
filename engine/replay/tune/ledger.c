/* engine/replay/tune/ledger.c */
#include "engine/replay/tune/ledger.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"

#define HEAD "serin tune 1 " SERIN_VERSION " "
enum { LINE = 256 };

struct entry {
    uint64_t number;
    struct rehearsed result;
    uint64_t check; /* of the bytes before it */
};

struct ledger {
    FILE *file;
    pthread_mutex_t lock;
};

static uint64_t check_of(const struct entry *e)
{
    return hash_bytes(e, offsetof(struct entry, check), 0);
}

static enum serin_status begin(struct ledger *l, const char *path, const char *key,
                               struct fault *f)
{
    if (fprintf(l->file, HEAD "%s\n", key) > 0 && fflush(l->file) == 0) return SERIN_OK;
    return fault_set(f, SERIN_EIO, "%s: %s", path, strerror(errno));
}

static void read_entries(struct ledger *l, struct rehearsed *results, bool *done,
                         size_t n)
{
    struct entry e;
    long good = ftell(l->file);
    while (fread(&e, sizeof e, 1, l->file) == 1 && e.check == check_of(&e) &&
           e.number < n) {
        e.result.reason[sizeof e.result.reason - 1] = '\0';
        results[e.number] = e.result;
        done[e.number] = true;
        good = ftell(l->file);
    }
    /* What comes next is written over the rest. */
    fseek(l->file, good, SEEK_SET);
}

static enum serin_status read_all(struct ledger *l, const char *path, const char *key,
                                  struct rehearsed *results, bool *done, size_t n,
                                  struct fault *f)
{
    char line[LINE], want[LINE];
    snprintf(want, sizeof want, HEAD "%s\n", key);
    if (fgets(line, sizeof line, l->file) == NULL) {
        rewind(l->file);
        return begin(l, path, key, f);
    }
    if (strcmp(line, want) == 0) {
        read_entries(l, results, done, n);
        return SERIN_OK;
    }
    bool ours = strncmp(line, "serin tune ", 11) == 0;
    return fault_set(f, SERIN_EDOM,
                     ours ? "%s is of another run (other plan, recordings, options or "
                            "version): remove it, or name another file"
                          : "%s is no state of 'serin tune': name another file",
                     path);
}

enum serin_status ledger_open(struct ledger **out, const char *path, const char *key,
                              struct rehearsed *results, bool *done, size_t n,
                              struct fault *f)
{
    struct ledger *l = mem_calloc(1, sizeof *l);
    if (l == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    pthread_mutex_init(&l->lock, NULL);
    l->file = fopen(path, "r+b");
    if (l->file == NULL && errno == ENOENT) l->file = fopen(path, "w+b");
    enum serin_status rc =
        l->file != NULL ? read_all(l, path, key, results, done, n, f)
                        : fault_set(f, SERIN_EIO, "%s: %s", path, strerror(errno));
    if (rc == SERIN_OK) {
        *out = l;
        return rc;
    }
    enum serin_status closed = ledger_close(l);
    (void)closed; /* it failed already */
    return rc;
}

enum serin_status ledger_put(struct ledger *l, size_t i, const struct rehearsed *r)
{
    struct entry e;
    memset(&e, 0, sizeof e); /* padding is checked, too */
    e.number = i;
    e.result = *r;
    e.check = check_of(&e);
    pthread_mutex_lock(&l->lock);
    /* At once: a rehearsal takes longer, and a kill must not cost any. */
    bool ok = fwrite(&e, sizeof e, 1, l->file) == 1 && fflush(l->file) == 0;
    pthread_mutex_unlock(&l->lock);
    return ok ? SERIN_OK : SERIN_EIO;
}

enum serin_status ledger_close(struct ledger *l)
{
    bool ok = true;
    if (l == NULL) return SERIN_OK;
    if (l->file != NULL) ok = fclose(l->file) == 0;
    pthread_mutex_destroy(&l->lock);
    mem_free(l);
    return ok ? SERIN_OK : SERIN_EIO;
}
