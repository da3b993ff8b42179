/* tests/threads/log.c -- lines of many threads stay whole and none is lost */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/log.h"

enum { THREADS = 8, LINES = 500 };

static void *writer(void *name)
{
    for (int i = 0; i < LINES; i++)
        log_info("threads", "%s line %d of one writer, long enough to be torn apart",
                 (const char *)name, i);
    return NULL;
}

int main(void)
{
    static const char *const names[THREADS] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    pthread_t threads[THREADS];
    char line[512];
    int counts[THREADS] = {0};
    FILE *file = tmpfile();
    if (file == NULL || dup2(fileno(file), STDERR_FILENO) < 0) return 1;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, writer, (void *)names[i]) != 0) return 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL) {
        int number;
        char name;
        const char *message = strstr(line, "msg=\"");
        if (message == NULL ||
            sscanf(message, "msg=\"%c line %d of one", &name, &number) != 2 ||
            name < 'a' || name >= 'a' + THREADS || number != counts[name - 'a']++ ||
            strstr(line, "torn apart\"\n") == NULL) {
            printf("threads-log: torn or out of order: %s", line);
            return 1;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        if (counts[i] == LINES) continue;
        printf("threads-log: %d of %d lines of %s\n", counts[i], LINES, names[i]);
        return 1;
    }
    puts("threads-log: every line whole");
    return 0;
}
