/* tests/fuzz/fuzz_main.c -- a fuzz target without libFuzzer: replay, then mutate
 *
 * PROGRAM [-n EXECUTIONS] [-s SEED] PATH...
 * Every file of the PATHs (folders are read one level deep) runs as it is, then cut at
 * every length and with every bit flipped (short files), then EXECUTIONS random
 * mutations of them. The same seed does the same. An input that breaks a promise is
 * left in
 * ./crash-input. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/fuzz.h"

enum { MAX_FILES = 4096, LONGEST = 1 << 16, MAX_EXHAUSTIVE = 512 };

static struct {
    uint8_t *p;
    size_t n;
} files[MAX_FILES];
static size_t n_files;
static uint64_t executions, state = 1;
static const uint8_t *current;
static size_t current_n;

static void on_abort(int signal)
{
    int fd = open("crash-input", O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (fd >= 0 && write(fd, current, current_n) < 0) _exit(1);
    (void)signal;
    static const char text[] = "input left in ./crash-input\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(1);
    _exit(77);
}

/* In memory of exactly its size, so that a read past its end shows under ASan. */
static void run(const uint8_t *p, size_t n)
{
    uint8_t *exact = malloc(n);
    if (n != 0) memcpy(exact, p, n);
    current = exact;
    current_n = n;
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    executions++;
}

static uint64_t roll(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static void load_file(const char *path)
{
    struct stat s;
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        exit(2);
    }
    bool keep = fstat(fileno(f), &s) == 0 && S_ISREG(s.st_mode) && n_files < MAX_FILES;
    if (keep && s.st_size <= LONGEST) {
        files[n_files].p = malloc((size_t)s.st_size + 1);
        files[n_files].n = fread(files[n_files].p, 1, (size_t)s.st_size, f);
        n_files++;
    }
    fclose(f);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_path(const char *path)
{
    struct dirent **list;
    char name[4096];
    int n = scandir(path, &list, NULL, by_name); /* sorted: the same everywhere */
    if (n < 0) load_file(path);
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%s/%s", path, list[i]->d_name);
        if (list[i]->d_name[0] != '.') load_file(name);
        free(list[i]);
    }
    if (n >= 0) free(list);
}

static void exhaust(const uint8_t *p, size_t n)
{
    static uint8_t copy[MAX_EXHAUSTIVE];
    for (size_t k = 0; k < n; k++)
        run(p, k);
    for (size_t bit = 0; n <= MAX_EXHAUSTIVE && bit < 8 * n; bit++) {
        memcpy(copy, p, n);
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
        run(copy, n);
    }
}

static size_t paste(uint8_t *p, size_t n)
{
    size_t other = roll(n_files), from = 0, at = n != 0 ? roll(n) : 0;
    if (files[other].n != 0) from = roll(files[other].n);
    size_t k = files[other].n - from, room = LONGEST - at;
    k = k < room ? k : room;
    memcpy(p + at, files[other].p + from, k);
    return at + k;
}

static size_t mutate(uint8_t *p, size_t n)
{
    static const uint8_t odd[] = {0,   1,   0x7f, 0x80, 0xff, '"',
                                  '{', '[', ',',  '9',  0x12, 0x42};
    size_t at = n != 0 ? roll(n) : 0, k;
    switch (roll(7)) {
    case 0:
        if (n != 0) p[at] ^= (uint8_t)(1U << roll(8));
        return n;
    case 1:
        if (n != 0) p[at] = odd[roll(sizeof odd)];
        return n;
    case 2:
        return at; /* cut */
    case 3:        /* drop some */
        k = n != 0 ? roll(n - at) + 1 : 0;
        memmove(p + at, p + at + k, n - at - k);
        return n - k;
    case 4: /* repeat some */
        k = n != 0 ? roll(n - at) + 1 : 0;
        if (n + k > LONGEST) return n;
        memmove(p + at + k, p + at, n - at);
        return n + k;
    case 5:
        return paste(p, n);
    default:
        if (n != 0) p[at] = (uint8_t)roll(256);
        return n;
    }
}

static void random_inputs(uint64_t n)
{
    static uint8_t input[LONGEST];
    for (uint64_t i = 0; i < n; i++) {
        size_t from = roll(n_files), len = files[from].n;
        memcpy(input, files[from].p, len);
        for (uint64_t k = 1 + roll(6); k > 0; k--)
            len = mutate(input, len);
        run(input, len);
    }
}

int main(int argc, char **argv)
{
    uint64_t n = 100000;
    int o;
    while ((o = getopt(argc, argv, "n:s:")) != -1) {
        if (o == 'n')
            n = strtoull(optarg, NULL, 10);
        else if (o == 's')
            state = strtoull(optarg, NULL, 10) | 1;
        else
            return 2;
    }
    signal(SIGABRT, on_abort);
    for (int i = optind; i < argc; i++)
        load_path(argv[i]);
    if (n_files == 0) {
        fprintf(stderr, "%s: no corpus; give its folder\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < n_files; i++) {
        run(files[i].p, files[i].n);
        exhaust(files[i].p, files[i].n);
    }
    random_inputs(n);
    for (size_t i = 0; i < n_files; i++)
        free(files[i].p);
    printf("%zu files, %llu executions\n", n_files, (unsigned long long)executions);
    return 0;
}
