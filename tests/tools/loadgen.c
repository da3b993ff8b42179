/* tests/tools/loadgen.c -- fill a topic with serin batches as fast as one thread can */
#include <getopt.h>

#include "tests/support/load.h"

static int usage(void)
{
    fputs("usage: loadgen --bootstrap HOST:PORT --topic NAME [--messages N] [--samples "
          "S]\n"
          "               [--rollouts R] [--partitions P] [--compression none|lz4]\n"
          "               [--per-second M]\n"
          "Creates the topic when --partitions is given; writes N (1000000) messages "
          "of S\n"
          "(1) samples for R (100) rollouts load-0, load-1, … (metric errors);\n"
          "M (100000) of them make a second of event time.\n",
          stderr);
    return 2;
}

static bool take_options(int argc, char **argv, struct load *l)
{
    static const struct option options[] = {
        {"bootstrap", required_argument, NULL, 'b'},
        {"topic", required_argument, NULL, 't'},
        {"messages", required_argument, NULL, 'n'},
        {"samples", required_argument, NULL, 's'},
        {"rollouts", required_argument, NULL, 'r'},
        {"partitions", required_argument, NULL, 'p'},
        {"compression", required_argument, NULL, 'c'},
        {"per-second", required_argument, NULL, 'e'},
        {NULL, 0, NULL, 0}};
    int o;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'b':
            l->bootstrap = optarg;
            break;
        case 't':
            l->topic = optarg;
            break;
        case 'c':
            l->compression = optarg;
            break;
        case 'n':
            l->messages = strtoull(optarg, NULL, 10);
            break;
        case 's':
            l->samples = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            l->rollouts = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'p':
            l->partitions = (int)strtol(optarg, NULL, 10);
            break;
        case 'e':
            l->per_second = strtoull(optarg, NULL, 10);
            break;
        default:
            return false;
        }
    }
    return l->bootstrap != NULL && l->topic != NULL && l->rollouts != 0 &&
           l->samples != 0 && l->per_second != 0 && l->samples <= LOAD_MAX_SAMPLES;
}

int main(int argc, char **argv)
{
    struct load l = {.compression = "lz4",
                     .messages = 1000000,
                     .samples = 1,
                     .rollouts = 100,
                     .per_second = 100000};
    if (!take_options(argc, argv, &l)) return usage();
    l.start_ms = clock_wall_ms() - 60000;
    int64_t began = clock_mono_ms();
    if (!load_fill(&l)) return 1;
    double seconds = (double)(clock_mono_ms() - began) / 1000;
    uint64_t units, bad;
    load_sum(&l, &units, &bad);
    printf("{\"messages\":%llu,\"samples\":%u,\"units\":%llu,\"bad\":%llu,"
           "\"seconds\":%.3f,\"messages_per_s\":%.0f}\n",
           (unsigned long long)l.messages, l.samples, (unsigned long long)units,
           (unsigned long long)bad, seconds, (double)l.messages / seconds);
    return 0;
}
