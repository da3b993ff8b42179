/* tests/unit/act/test_section.c -- what plans ask for and what this machine allows */
#include "engine/act/section.h"

#include "tests/support/check.h"

static struct arena memory;

static struct doc_node *doc(const char *text)
{
    struct doc_errors e = {0};
    struct doc_node *root = NULL;
    cr_assert(eq(int, doc_parse(&memory, text, strlen(text), &root, &e), SERIN_OK));
    return root;
}

static struct section read_(const char *text, struct doc_errors *e)
{
    struct section s;
    *e = (struct doc_errors){.arena = &memory};
    cr_assert(eq(int, section_read(&memory, doc(text), &s, e), SERIN_OK));
    return s;
}

static void refused(const char *text, unsigned column, const char *why)
{
    struct doc_errors e;
    read_(text, &e);
    cr_assert(eq(sz, e.total, 1), "%s: %zu problems", text, e.total);
    cr_assert(eq(uint, e.items[0].column, column), "%s: %s", text, e.items[0].text);
    cr_assert(strstr(e.items[0].text, why) != NULL, "%s", e.items[0].text);
}

Test(section, every_mistake_is_shown_at_its_place)
{
    refused("[haproxy]", 1, "expected {target: NAME}");
    refused("{socket: /x}", 1, "or {kind: KIND");
    refused("{target: a, kind: haproxy}", 1, "expected");
    refused("{target: a, map: b}", 10, "nothing else");
    refused("{target: []}", 10, "is a name");
    refused("{targets: a}", 11, "list of 1 to 8");
    refused("{targets: []}", 11, "list of 1 to 8");
    refused("{targets: [a, b, a]}", 18, "named twice");
    char longest[160];
    snprintf(longest, sizeof longest, "{targets: [%0128d, b]}", 0);
    refused(longest, 12, "at most 127 bytes, not 128");
    refused("{targets: [a], kind: haproxy}", 1, "expected");
    refused("{kind: [haproxy]}", 8, "a word");
    refused("{kind: haprxy}", 8, "did you mean \"haproxy\"?");
    refused("{kind: haproxy, mapp: /x}", 17, "mapp");
}

Test(section, a_plan_gets_what_the_owner_allows_and_nothing_else)
{
    struct doc_errors e = {.arena = &memory};
    struct section_policy p;
    struct fault f = {0};
    const struct driver *d = NULL;
    const void *settings = NULL;
    cr_assert(
        eq(int,
           section_policy(&memory,
                          doc("{targets: {edge: {kind: haproxy, map: /m}}, lease: "
                              "10s}"),
                          &p, &e),
           SERIN_OK));
    cr_assert(eq(sz, e.total, 0));
    cr_assert(eq(i64, p.lease_ms, 10000));
    struct section named = read_("{target: edge}", &e),
                   other = read_("{target: egde}", &e),
                   own = read_("{kind: haproxy, map: /n}", &e);
    cr_assert(eq(int, section_resolve(&p, &named, 0, &d, &settings, &f), SERIN_OK));
    cr_assert(eq(str, (char *)(uintptr_t)d->name, (char *)"haproxy"));
    cr_assert(eq(int, section_resolve(&p, &other, 0, &d, &settings, &f), SERIN_ENOENT));
    cr_assert(strstr(f.text, "actuate.targets") != NULL, "%s", f.text);
    cr_assert(eq(int, section_resolve(&p, &own, 0, &d, &settings, &f), SERIN_EDOM));
    cr_assert(strstr(f.text, "actuate.inline") != NULL, "%s", f.text);
    cr_assert(
        eq(int, section_policy(&memory, doc("{inline: haproxy}"), &p, &e), SERIN_OK));
    cr_assert(eq(int, section_resolve(&p, &own, 0, &d, &settings, &f), SERIN_OK));
    cr_assert(settings == own.settings);
}

Test(section, the_owners_own_mistakes_are_shown_too)
{
    struct doc_errors e = {.arena = &memory};
    struct section_policy p;
    cr_assert(
        eq(int,
           section_policy(&memory,
                          doc("{targets: {a: {target: b}, c: {kind: none}}, inline: "
                              "[nobody], lease: 1s}"),
                          &p, &e),
           SERIN_OK));
    cr_assert(eq(sz, e.total, 4));
}

Test(section, a_kind_that_cannot_copy_requests_is_no_mirror)
{
    static const char *const plans[] = {
        "id: a\ncohorts: {canary: {v: 2}, baseline: {v: 1}}\nstrategy: blue_green\n"
        "steps: [{kind: mirror, share: 5%}, {weight: 100%}]\nmetrics: [{name: e}]\n"
        "actuate: {kind: haproxy, map: /m}\n",
        "id: a\ncohorts: {canary: {v: 2}, baseline: {v: 1}}\nstrategy: blue_green\n"
        "steps: [{kind: preview}, {weight: 100%}]\nmetrics: [{name: e}]\n"
        "actuate: {kind: haproxy, map: /m}\n"};
    for (size_t i = 0; i < 2; i++) {
        struct doc_errors e = {0};
        struct plan *p = NULL;
        enum serin_status rc =
            section_plan(&memory, plans[i], strlen(plans[i]), &p, &e);
        cr_assert(eq(int, rc, i == 0 ? SERIN_EPARSE : SERIN_OK));
        if (i != 0) continue;
        cr_assert(eq(uint, e.items[0].line, 6u));
        cr_assert(eq(uint, e.items[0].column, 17u));
        cr_assert(strstr(e.items[0].text,
                         "haproxy cannot copy requests, as the step in "
                         "line 4 wants") != NULL,
                  "%s", e.items[0].text);
    }
}
