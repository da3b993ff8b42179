/* tests/unit/notify/test_message.c -- templates, and that an abort says first how to go
 * back */
#include "engine/notify/message.h"

#include "tests/support/check.h"

static struct incident_event sample(void)
{
    struct incident_event e = {.what = {.key = "shop-2:abort",
                                        .rollout = "shop-2",
                                        .service = "shop",
                                        .verdict = "ABORT",
                                        .reason = "harm",
                                        .state = "ABORTED",
                                        .id = "shop-2/7",
                                        .message = "errors: 3 times as bad",
                                        .rollback_plan = "flip back",
                                        .severity = SEVERITY_CRITICAL,
                                        .abort = true,
                                        .weight_bp = 50,
                                        .t_ms = 1795556115007},
                               .firing = true};
    return e;
}

static void text(const struct incident_event *e, const char *template_,
                 const char *wanted)
{
    struct text t = {0};
    message_text(e, template_, &t);
    cr_assert(eq(str, t.p, (char *)(uintptr_t)wanted));
    text_free(&t);
}

Test(message, a_template_is_filled)
{
    struct incident_event e = sample();
    text(&e, "{severity} {rollout} {weight} {time} {{x} {rollback_plan}",
         "critical shop-2 0.5 % 2026-11-24T21:35:15.007Z {x} flip back");
    text(&e, "{title}|{status}",
         "Rollback plan: flip back\n"
         "ABORT shop-2 (harm): errors: 3 times as bad|firing");
    e.firing = false;
    e.ended_ms = 1795556116000;
    snprintf(e.how, sizeof e.how, "RESUME: fine");
    e.what.abort = false;
    text(&e, "{title} {time}",
         "resolved: ABORT shop-2 (harm): RESUME: fine 2026-11-24T21:35:16.000Z");
}

Test(message, the_usual_text_of_an_abort_begins_with_the_rollback_plan)
{
    struct incident_event e = sample();
    text(&e, NULL,
         "Rollback plan: flip back\nerrors: 3 times as bad\nVerdict: shop-2/7\n"
         "Severity: critical\nService: shop\nCanary: 0.5 %, ABORTED\n"
         "Since: 2026-11-24T21:35:15.007Z\n");
}

Test(message, words_in_braces_are_no_placeholders_twice)
{
    struct incident_event e = sample();
    snprintf(e.what.message, sizeof e.what.message, "{owner} %%s {");
    text(&e, "{rollback_plan}: {message}", "flip back: {owner} %s {");
}

Test(message, a_wrong_template_is_refused_with_advice)
{
    char why[MESSAGE_WHY];
    cr_assert(message_template_ok("{title} {{ {how} }", why));
    cr_assert(not(message_template_ok("{rolout}", why)));
    cr_assert(
        eq(str, why, (char *)"no placeholder {rolout}; did you mean \"rollout\"?"));
    cr_assert(not(message_template_ok("{title", why)));
    cr_assert(eq(str, why, (char *)"\"{title\" is not closed; write {{ for a brace"));
    cr_assert(not(message_template_ok("{}", why)));
}
