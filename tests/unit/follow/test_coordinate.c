#include "engine/follow/coordinate.h"
#include "tests/support/check.h"

/* A world of rows, and what was told in one round. */
struct told {
    char text[2048];
};

static void tell(void *ctx, const char *to, const char *about, const char *state,
                 bool queue)
{
    struct told *t = ctx;
    size_t n = strlen(t->text);
    snprintf(t->text + n, sizeof t->text - n, "%s:%s=%s%s ", to, about, state,
             queue ? "!" : "");
}

struct row {
    const char *id, *state, *scope, *about, *known;
    int64_t created_ms;
    bool after, concurrent;
};

static void put(struct coordinate *c, struct row r)
{
    pb_rollout m = SERIN__V1__ROLLOUT__INIT;
    pb_status s = SERIN__V1__STATUS__INIT;
    pb_wait w = SERIN__V1__WAIT__INIT, *waits[] = {&w};
    m.rollout = (char *)(uintptr_t)r.id;
    m.status = &s;
    s.state = (char *)(uintptr_t)r.state;
    s.final = strcmp(r.state, "PROMOTED") == 0 || strcmp(r.state, "ABORTED") == 0;
    s.scope = (char *)(uintptr_t)(r.scope != NULL ? r.scope : "");
    s.created_ms = r.created_ms;
    s.alone = !r.concurrent;
    if (r.about != NULL) {
        w.about = (char *)(uintptr_t)r.about;
        w.state = (char *)(uintptr_t)(r.known != NULL ? r.known : "");
        w.after = r.after;
        w.queue = !r.after;
        s.waits = waits, s.n_waits = 1;
    }
    cr_assert(eq(int, coordinate_take(c, r.id, &m), SERIN_OK));
}

static void round_is(struct coordinate *c, int64_t now, const char *expected)
{
    struct told t = {{0}};
    coordinate_all(c, now, tell, &t);
    cr_assert(eq(str, t.text, (char *)(uintptr_t)expected), "at %lld", (long long)now);
}

Test(coordinate, news_is_told_until_the_row_shows_it)
{
    struct coordinate c = {0};
    put(&c, (struct row){"b", "PENDING", .about = "a", .after = true});
    round_is(&c, 1000, ""); /* nobody has heard of a */
    put(&c, (struct row){.id = "a", .state = "OBSERVING"});
    round_is(&c, 1500, "b:a=OBSERVING ");
    round_is(&c, 1600, ""); /* it needs time to arrive */
    put(&c, (struct row){"b", "PENDING", .about = "a", .after = true});
    round_is(&c, 1700, "");               /* a refresh of the row is no news */
    round_is(&c, 6600, "b:a=OBSERVING "); /* lost: again */
    put(&c, (struct row){"b", "PENDING", .about = "a", .known = "OBSERVING",
                         .after = true});
    round_is(&c, 20000, "");
    put(&c, (struct row){.id = "a", .state = "PROMOTED"});
    round_is(&c, 20100, "b:a=PROMOTED ");
    put(&c, (struct row){"b", "ABORTED", .about = "a", .after = true});
    round_is(&c, 40000, ""); /* whoever has ended need not know */
    cr_assert(eq(int, coordinate_take(&c, "a", NULL), SERIN_OK));
    cr_assert(eq(int, coordinate_take(&c, "a", NULL), SERIN_OK));
    coordinate_free(&c);
}

Test(coordinate, the_later_of_two_is_told)
{
    struct coordinate c = {0};
    put(&c, (struct row){"z", "SETTLING", "web/", .created_ms = 5});
    put(&c, (struct row){"y", "OBSERVING", "web/", .created_ms = 6});
    put(&c, (struct row){"x", "OBSERVING", "web/prod", .created_ms = 7});
    put(&c,
        (struct row){"w", "OBSERVING", "web/", .created_ms = 8, .concurrent = true});
    put(&c, (struct row){"v", "ABORTED", "web/", .created_ms = 1});
    put(&c, (struct row){"u", "PENDING", .created_ms = 9});
    round_is(&c, 1000, "y:z=SETTLING! ");
    round_is(&c, 2000, "");
    put(&c, (struct row){"y", "HELD", "web/", "z", "SETTLING", .created_ms = 6});
    round_is(&c, 9000, "");
    put(&c, (struct row){"a", "PENDING", "web/", .created_ms = 6});
    round_is(&c, 9500, "a:z=SETTLING! y:a=PENDING! ");
    coordinate_free(&c);
}

Test(coordinate, a_circle_is_told_as_such)
{
    struct coordinate c = {0};
    put(&c, (struct row){"a", "PENDING", .about = "b", .after = true});
    put(&c, (struct row){"b", "PENDING", .about = "c", .after = true});
    put(&c, (struct row){"outside", "PENDING", .about = "a", .after = true});
    round_is(&c, 1000, "a:b=PENDING outside:a=PENDING ");
    put(&c, (struct row){"c", "PENDING", .about = "a", .after = true});
    round_is(&c, 9000, "a:b=CIRCULAR b:c=CIRCULAR outside:a=PENDING c:a=CIRCULAR ");
    coordinate_free(&c);
}

Test(coordinate, every_allocation_may_fail)
{
    for (long k = 1; k < 12; k++) {
        struct coordinate c = {0};
        struct told t = {{0}};
        pb_rollout m = SERIN__V1__ROLLOUT__INIT;
        pb_status s = SERIN__V1__STATUS__INIT;
        pb_wait w = SERIN__V1__WAIT__INIT, *waits[] = {&w};
        m.status = &s;
        s.waits = waits, s.n_waits = 1;
        mem_fail_at(k);
        int rc = coordinate_take(&c, "a", &m);
        coordinate_all(&c, 1, tell, &t);
        mem_fail_at(0);
        cr_assert(rc == SERIN_OK || rc == SERIN_ENOMEM);
        coordinate_free(&c);
    }
}
