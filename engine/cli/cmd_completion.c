/* engine/cli/cmd_completion.c -- completion scripts, generated from the table of verbs
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "engine/cli/cli.h"

/* Print s for use between single quotes; `special` characters get a backslash. */
static void quoted(const char *s, const char *special, const char *quote)
{
    for (; *s != '\0'; s++) {
        if (*s == '\'')
            fputs(quote, stdout);
        else if (strchr(special, *s) != NULL)
            printf("\\%c", *s);
        else
            putchar(*s);
    }
}

/* The words that a positional argument may be: "bash|zsh|fish" gives "bash zsh fish".
 * Placeholders ("FILE...", "R") are none. Returns whether there are any. */
static bool words(const struct cli_verb *v, char *out, size_t room)
{
    size_t n = 0;
    for (const char *p = v->arguments; *p != '\0' && n + 2 < room; p++) {
        if (strncmp(p, "[options]", 9) == 0) p += 9;
        if (islower((unsigned char)*p) || (*p == '-' && n > 0))
            out[n++] = *p;
        else if (*p == '|')
            out[n++] = ' ';
        if (*p == '\0') break;
    }
    out[n] = '\0';
    return n > 0 && strchr(v->arguments, '|') != NULL;
}

static bool takes_file(const struct cli_verb *v)
{
    return strstr(v->arguments, "FILE") != NULL;
}

static void bash(void)
{
    puts("# bash completion of serin: eval \"$(serin completion bash)\"\n"
         "_serin() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} options= words=\n"
         "    COMPREPLY=()\n"
         "    if ((COMP_CWORD == 1)); then");
    printf("        words='--help --version");
    for (const struct cli_verb *const *v = cli_verbs; *v != NULL; v++)
        printf(" %s", (*v)->name);
    puts("'\n"
         "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
         "        return\n"
         "    fi\n"
         "    case ${COMP_WORDS[1]} in");
    for (const struct cli_verb *const *v = cli_verbs; *v != NULL; v++) {
        char all[128];
        printf("    %s)\n        options='--help", (*v)->name);
        for (const struct cli_option *o = (*v)->options; o != NULL && o->name != NULL;
             o++)
            printf(" --%s", o->name);
        puts("'");
        if (words(*v, all, sizeof all)) printf("        words='%s'\n", all);
        puts("        ;;");
    }
    puts("    esac\n"
         "    if [[ $cur == -* ]]; then words=$options; fi\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
         "}\n"
         "complete -o default -F _serin serin");
}

static void zsh_option(const struct cli_option *o)
{
    const char *value = o->value != NULL ? "=" : "";
    if (o->letter != 0)
        printf(" \\\n            '(-%c --%s)'{-%c%s,--%s%s}'[", o->letter, o->name,
               o->letter, o->value != NULL ? "+" : "", o->name, value);
    else
        printf(" \\\n            '*--%s%s[", o->name, value);
    quoted(o->help, "[]:\\", "'\\''");
    printf("]");
    if (o->value != NULL)
        printf(":%s:%s", o->value, strcmp(o->value, "FILE") == 0 ? "_files" : " ");
    printf("'");
}

static void zsh(void)
{
    puts("#compdef serin\n"
         "# zsh completion of serin: eval \"$(serin completion zsh)\", or a file "
         "_serin in $fpath\n"
         "_serin() {\n"
         "    local -a verbs\n"
         "    verbs=(");
    for (const struct cli_verb *const *v = cli_verbs; *v != NULL; v++) {
        printf("        '%s:", (*v)->name);
        quoted((*v)->summary, "\\", "'\\''");
        puts("'");
    }
    puts("    )\n"
         "    if ((CURRENT == 2)); then\n"
         "        _describe -t verbs verb verbs\n"
         "        return\n"
         "    fi\n"
         "    local verb=${words[2]}\n"
         "    shift words\n"
         "    ((CURRENT--))\n"
         "    case $verb in");
    for (const struct cli_verb *const *v = cli_verbs; *v != NULL; v++) {
        char all[128];
        printf("    %s)\n        _arguments -s '--help[show the options]'", (*v)->name);
        for (const struct cli_option *o = (*v)->options; o != NULL && o->name != NULL;
             o++)
            zsh_option(o);
        if (words(*v, all, sizeof all)) printf(" \\\n            '1:word:(%s)'", all);
        if (takes_file(*v)) printf(" \\\n            '*:file:_files'");
        puts("\n        ;;");
    }
    puts("    esac\n"
         "}\n"
         "if [[ ${funcstack[1]} == _serin ]]; then\n"
         "    _serin \"$@\"\n"
         "else\n"
         "    compdef _serin serin\n"
         "fi");
}

static void fish_option(const char *verb, const struct cli_option *o)
{
    printf("complete -c serin -n '__fish_seen_subcommand_from %s' -l %s", verb,
           o->name);
    if (o->letter != 0) printf(" -s %c", o->letter);
    if (o->value != NULL) printf(" -r");
    printf(" -d '");
    quoted(o->help, "\\", "\\'");
    puts("'");
}

static void fish(void)
{
    puts("# fish completion of serin: serin completion fish | source");
    for (const struct cli_verb *const *v = cli_verbs; *v != NULL; v++) {
        char all[128];
        const char *name = (*v)->name;
        printf("complete -c serin -n __fish_use_subcommand -f -a %s -d '", name);
        quoted((*v)->summary, "\\", "\\'");
        puts("'");
        printf("complete -c serin -n '__fish_seen_subcommand_from %s' -l help -d 'show "
               "the "
               "options'\n",
               name);
        for (const struct cli_option *o = (*v)->options; o != NULL && o->name != NULL;
             o++)
            fish_option(name, o);
        if (words(*v, all, sizeof all))
            printf("complete -c serin -n '__fish_seen_subcommand_from %s' -f -a '%s'\n",
                   name, all);
        else if (!takes_file(*v))
            printf("complete -c serin -n '__fish_seen_subcommand_from %s' -f\n", name);
    }
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    (void)n_args;
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(shells[i].name, args[0]) != 0) continue;
        shells[i].print();
        return CLI_OK;
    }
    return cli_usage(v, "no completion for \"%s\"; there are bash, zsh and fish",
                     args[0]);
}

const struct cli_verb cmd_completion = {
    "completion", "bash|zsh|fish", "Print a completion script for a shell.", NULL, 1, 1,
    run};
