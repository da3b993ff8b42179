/* engine/cli/main.c -- find the verb, read its options, run it */
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/strview.h"
#include "engine/cli/cli.h"

const struct cli_verb *const cli_verbs[] = {
#define X(name) &cmd_##name,
    CLI_VERBS(X)
#undef X
        NULL};

enum { MAX_GIVEN = 128, MAX_OPTIONS = 48 };

static struct {
    const struct cli_verb *verb;
    struct {
        const char *name, *value;
    } given[MAX_GIVEN];
    size_t n;
} line;

const char *cli_get(const char *option)
{
    const char *value = NULL;
    for (size_t i = 0; i < line.n; i++)
        if (strcmp(line.given[i].name, option) == 0) value = line.given[i].value;
    return value;
}

size_t cli_get_all(const char *option, const char **out, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < line.n && n < room; i++)
        if (strcmp(line.given[i].name, option) == 0) out[n++] = line.given[i].value;
    return n;
}

int cli_usage(const struct cli_verb *v, const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "serin %s: ", v->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nTry 'serin %s --help'.\n", v->name);
    return CLI_USAGE;
}

int cli_fail(enum cli_exit code, const char *fmt, ...)
{
    va_list ap;
    fputs("serin: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return (int)code;
}

bool cli_colour(void)
{
    const char *no = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && (no == NULL || *no == '\0');
}

static void help_verb(const struct cli_verb *v)
{
    printf("Usage: serin %s%s%s\n\n%s\n", v->name, *v->arguments != '\0' ? " " : "",
           v->arguments, v->summary);
    if (v->options == NULL) return;
    puts("\nOptions:");
    for (const struct cli_option *o = v->options; o->name != NULL; o++) {
        char left[64];
        char letter[8] = "    ";
        if (o->letter != 0) snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name,
                 o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
        printf("  %-32s %s\n", left, o->help);
    }
}

static void help_all(void)
{
    puts(
        "serin judges releases: canary against baseline, by exact sequential tests.\n\n"
        "Usage: serin VERB [options]      serin VERB --help for its options\n\nVerbs:");
    for (const struct cli_verb *const *v = cli_verbs; *v != NULL; v++)
        printf("  %-12s %s\n", (*v)->name, (*v)->summary);
    puts("\nExit codes: 0 done, promoted or won, 1 aborted or lost, 2 usage or bad\n"
         "input, 3 time-out, 4 held, 5 engine or broker unreachable, 6 no difference.\n"
         "The engine is found by --addr, then SERIN_ADDR, then\n"
         "unix:/run/serin/serin.sock.");
}

static const struct cli_verb *find(const char *name)
{
    const struct cli_verb *near = NULL;
    unsigned best = 3;
    for (const struct cli_verb *const *v = cli_verbs; *v != NULL; v++) {
        unsigned d = strview_distance(strview_of(name), strview_of((*v)->name));
        if (d == 0) return *v;
        if (d < best) {
            best = d;
            near = *v;
        }
    }
    fprintf(stderr, "serin: no verb \"%s\"", name);
    if (near != NULL) fprintf(stderr, "; did you mean \"%s\"?", near->name);
    fputs("\nTry 'serin --help'.\n", stderr);
    return NULL;
}

/* The verb's options as getopt wants them; index i + 256 names option i. */
static void describe(const struct cli_verb *v, struct option *longs, char *shorts)
{
    size_t n = 0;
    *shorts++ = ':';
    for (const struct cli_option *o = v->options; o != NULL && o->name != NULL; o++) {
        if (n + 2 >= MAX_OPTIONS) abort();
        longs[n] = (struct option){o->name, o->value != NULL ? required_argument : 0,
                                   NULL, (int)n + 256};
        if (o->letter != 0) {
            *shorts++ = o->letter;
            if (o->value != NULL) *shorts++ = ':';
        }
        n++;
    }
    longs[n] = (struct option){"help", no_argument, NULL, 'h'};
    *shorts++ = 'h';
    *shorts = '\0';
}

static const struct cli_option *chosen(const struct cli_verb *v, int c)
{
    if (v->options == NULL) return NULL;
    if (c >= 256) return &v->options[c - 256];
    for (const struct cli_option *o = v->options; o->name != NULL; o++)
        if (o->letter == c) return o;
    return NULL;
}

/* -1: go on with the arguments from optind; else the exit code. */
static int read_options(const struct cli_verb *v, int argc, char **argv)
{
    struct option longs[MAX_OPTIONS] = {0};
    char shorts[3 * MAX_OPTIONS];
    describe(v, longs, shorts);
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        if (c == 'h') {
            help_verb(v);
            return CLI_OK;
        }
        const struct cli_option *o = chosen(v, c);
        if (c == ':') return cli_usage(v, "%s needs a value", argv[optind - 1]);
        if (o == NULL) return cli_usage(v, "unknown option %s", argv[optind - 1]);
        if (line.n == MAX_GIVEN) return cli_usage(v, "too many options");
        line.given[line.n].name = o->name;
        line.given[line.n++].value = o->value != NULL ? optarg : "";
    }
    return -1;
}

int main(int argc, char **argv)
{
    setlocale(LC_ALL, "C"); /* numbers look the same everywhere */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        help_all();
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help_all();
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) argv[1] = (char *)"version";
    const struct cli_verb *v = find(argv[1]);
    if (v == NULL) return CLI_USAGE;
    line.verb = v;
    int code = read_options(v, argc - 1, argv + 1);
    if (code >= 0) return code;
    char **args = argv + 1 + optind;
    int n = argc - 1 - optind;
    if (n < v->min_args)
        return cli_usage(v, "an argument is missing: %s", v->arguments);
    if (v->max_args >= 0 && n > v->max_args)
        return cli_usage(v, "unexpected argument \"%s\"", args[v->max_args]);
    code = v->run(v, args, n);
    if (fflush(stdout) != 0 && code == CLI_OK)
        return cli_fail(CLI_UNREACHABLE, "cannot write to standard output");
    return code;
}
