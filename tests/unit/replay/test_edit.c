/* A plan's text changed in place. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "engine/replay/tune/edit.h"

static const char plan[] = "id: a # é first\n"
                           "risk: {false_abort: 1%} # of all\n"
                           "steps:\n"
                           "  - {weight: 5%, worse_than: 2.5, bake: 2m}\n"
                           "  - weight: 100%\n"
                           "    watch: '15m' # then it is over\n"
                           "metrics:\n"
                           "  - name: \"errors\"\n"
                           "    kind: ratio # by request\n"
                           "    from: {metric: x, bad: \"a = '}'\"}\n"
                           "  - {name: latency, kind: latency }\n";

/* The text with `from` replaced by `to`, which must be what the edit gives. */
static void expect(const char *path, const char *value, const char *from,
                   const char *to)
{
    char want[2 * sizeof plan];
    struct arena a = {0};
    struct fault f = {0};
    const char *out = NULL, *at = strstr(plan, from);
    cr_assert_not_null(at);
    snprintf(want, sizeof want, "%.*s%s%s", (int)(at - plan), plan, to,
             at + strlen(from));
    enum serin_status rc = edit_set(&a, plan, path, value, &out, &f);
    cr_assert_eq(rc, SERIN_OK, "%s: %s", path, f.text);
    cr_assert_str_eq(out, want, "%s", path);
    arena_free(&a);
}

Test(edit, values_are_replaced_where_they_stand)
{
    expect("risk.false_abort", "0.001", "1%}", "0.001}");
    expect("steps[1].worse_than", "1.5", "2.5", "1.5");
    expect("steps[2].watch", "1h", "'15m'", "1h");
    expect("metrics[errors].kind", "events", "kind: ratio", "kind: events");
    expect("metrics[errors].from", "{metric: y}", "{metric: x, bad: \"a = '}'\"}",
           "{metric: y}");
}

Test(edit, what_is_not_there_is_added)
{
    expect("metrics[latency].phi", "1.3", "kind: latency }",
           "kind: latency, phi: 1.3 }");
    expect("metrics[errors].phi", "1.3", "\"errors\"\n", "\"errors\"\n    phi: 1.3\n");
    expect("metrics[1].pods.spread", "0.2", "\"errors\"\n",
           "\"errors\"\n    pods: {spread: 0.2}\n");
    expect("risk.false_promote", "5%", "1%}", "1%, false_promote: 5%}");
    expect("window", "5s", "# é first\n", "# é first\nwindow: 5s\n");
    expect("steps[2].warmup", "1s", "100%\n", "100%\n    warmup: 1s\n");
}

static void refused(const char *path, enum serin_status want, const char *says)
{
    struct arena a = {0};
    struct fault f = {0};
    const char *out = NULL;
    enum serin_status rc = edit_set(&a, plan, path, "1", &out, &f);
    cr_assert_eq(rc, want, "%s: %d", path, rc);
    cr_assert_null(out);
    cr_assert_not_null(strstr(f.text, says), "%s: %s", path, f.text);
    arena_free(&a);
}

Test(edit, what_cannot_be_done_is_said)
{
    refused("steps[3].bake", SERIN_ENOENT, "no item \"3\"");
    refused("metrics[other].phi", SERIN_ENOENT, "no item \"other\"");
    refused("gates[1].quorum", SERIN_ENOENT, "no such list");
    refused("metrics", SERIN_EDOM, "on one line");
    refused("id.x", SERIN_EDOM, "on one line");
}

Test(edit, no_yaml_is_refused)
{
    struct arena a = {0};
    struct fault f = {0};
    const char *out = NULL;
    cr_assert_eq(edit_set(&a, "a: [", "a", "1", &out, &f), SERIN_EPARSE);
    cr_assert_neq(f.text[0], '\0');
    arena_free(&a);
}
