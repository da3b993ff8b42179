/* tests/unit/notify/test_receiver.c -- alerts of serin.yaml: filters, and every mistake
 * at its place */
#include "engine/notify/receiver.h"

#include "tests/support/check.h"

static const char *read_(struct arena *a, const char *yaml, struct receiver_list *l)
{
    struct doc_errors errors = {.arena = a};
    struct doc_node *root;
    cr_assert(eq(int, doc_parse(a, yaml, strlen(yaml), &root, &errors), SERIN_OK));
    cr_assert(eq(int, receiver_read(a, root, l, &errors), SERIN_OK));
    return errors.total != 0 ? errors.items[0].text : "";
}

Test(receiver, defaults_and_filters)
{
    struct arena a = {0};
    struct receiver_list l;
    const char *why = read_(&a,
                            "receivers: [{name: chat, kind: slack, url_file: /u, "
                            "rollouts: [\"shop-*\", x], services: [shop]}]",
                            &l);
    cr_assert(eq(str, (char *)(uintptr_t)why, (char *)""));
    cr_assert(eq(i64, l.silence_ms, (int64_t)30000));
    const struct receiver *r = receiver_find(&l, "chat");
    cr_assert(r != NULL && receiver_find(&l, "cha") == NULL);
    cr_assert(eq(i64, r->timeout_ms, (int64_t)10000));
    cr_assert(receiver_wants(r, SEVERITY_WARNING, "shop-2", "shop"));
    cr_assert(receiver_wants(r, SEVERITY_CRITICAL, "x", "shop"));
    cr_assert(not(receiver_wants(r, SEVERITY_INFO, "shop-2", "shop")));
    cr_assert(not(receiver_wants(r, SEVERITY_ERROR, "xy", "shop")));
    cr_assert(not(receiver_wants(r, SEVERITY_ERROR, "shop-2", "")));
    arena_free(&a);
}

Test(receiver, no_section_tells_nobody)
{
    struct arena a = {0};
    struct receiver_list l;
    struct doc_errors errors = {.arena = &a};
    cr_assert(eq(int, receiver_read(&a, NULL, &l, &errors), SERIN_OK));
    cr_assert(eq(sz, l.n, 0));
}

Test(receiver, mistakes_say_what_to_do)
{
    static const struct {
        const char *entry, *why;
    } all[] = {
        {"kind: slack", "kind slack needs url, or url_file"},
        {"kind: slack, url: \"http://h/\", url_file: /u",
         "url and url_file: give one of them"},
        {"kind: slack, url: \"http://h/\", secret_file: /s",
         "secret_file: kind slack has none"},
        {"kind: pagerduty", "kind pagerduty needs secret_file"},
        {"kind: webhook, url: \"ftp://h\"",
         "url: expected http://host… or https://host…"},
        {"kind: email, url: \"smtp://h\", from: a@b", "kind email needs from and to"},
        {"kind: email, url: \"http://h\", from: a@b, to: c@d",
         "url: expected smtp://host… or smtps://host…"},
        {"kind: email, url: \"smtp://h\", from: a@b, to: \"c@d>,e\"",
         "to: \"c@d>,e\": expected name@host"},
        {"kind: email, url: \"smtp://h\", from: a@b, to: c@d, user: u",
         "user and secret_file go together"},
        {"kind: webhook, url: \"http://h\", to: c@d", "to: kind webhook has none"},
        {"kind: webhook, url: \"http://h\", template: \"{nme}\"",
         "template: no placeholder {nme}"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct arena a = {0};
        struct receiver_list l;
        char yaml[300];
        snprintf(yaml, sizeof yaml, "receivers: [{name: a, %s}]", all[i].entry);
        const char *why = read_(&a, yaml, &l);
        cr_assert(eq(int, strncmp(why, all[i].why, strlen(all[i].why)), 0), "%s: %s",
                  all[i].entry, why);
        arena_free(&a);
    }
}

Test(receiver, a_name_is_used_once)
{
    struct arena a = {0};
    struct receiver_list l;
    const char *why = read_(&a,
                            "receivers:\n  - {name: a, kind: webhook, url: "
                            "\"http://h\"}\n  - {name: a, kind: slack, url: "
                            "\"http://h\"}\n",
                            &l);
    cr_assert(eq(str, (char *)(uintptr_t)why, (char *)"name \"a\" is used twice"));
    arena_free(&a);
}
