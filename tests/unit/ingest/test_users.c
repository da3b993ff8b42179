/* tests/unit/ingest/test_users.c -- users of a cell: once each, thinned alike however
 * they were spread; and on their way from a record to a partial */
#include "engine/base/hash.h"
#include "ingest/partial.h"
#include "proto/decode.h"
#include "tests/support/check.h"
#include "tests/support/ingest_world.h"

Test(users, are_counted_once_and_an_error_stays)
{
    struct arena a = {0};
    struct users u = {0};
    uint64_t out[8];
    for (int i = 0; i < 300; i++)
        cr_assert(users_add(&u, &a, users_of_hash((uint64_t)i % 3), i == 7));
    cr_assert(eq(u32, u.n, 3));
    users_list(&u, out);
    unsigned bad = 0;
    for (int i = 0; i < 3; i++) {
        cr_assert(i == 0 || out[i] > out[i - 1]);
        if ((out[i] & USERS_BAD) == 0) continue;
        bad++;
        cr_assert(eq(u64, out[i], users_of_hash(1) | USERS_BAD));
    }
    cr_assert(eq(uint, bad, 1));
    cr_assert(eq(u64, users_of_name(strview_of("ann")),
                 users_of_hash(hash_bytes("ann", 3, 0))));
    arena_free(&a);
}

/* Serial numbers as hashes: thinning must still take half of them. */
Test(users, past_the_bound_the_kept_ones_do_not_depend_on_order_or_partition)
{
    enum { USERS = 50000, PARTS = 3 };
    struct arena a = {0};
    struct users all = {0}, part[PARTS] = {{0}};
    gsl_rng *g = check_rng(5);
    for (uint64_t i = 0; i < USERS; i++)
        cr_assert(users_add(&all, &a, users_of_hash(i), i % 7 == 0));
    for (uint64_t i = USERS; i-- > 0;)
        cr_assert(users_add(&part[gsl_rng_uniform_int(g, PARTS)], &a, users_of_hash(i),
                            i % 7 == 0));
    cr_assert(eq(u32, all.thin, 4), "50 000 / 2^4 < 4096");
    cr_assert(all.n > 2800 && all.n < 3500, "%u", all.n);
    uint32_t n = 0;
    for (int p = 0; p < PARTS; p++) {
        static uint64_t list[USERS_MAX];
        cr_assert(le(u32, part[p].thin, all.thin));
        users_list(&part[p], list);
        for (uint32_t i = 0; i < part[p].n; i++)
            n += list[i] >> (64 - all.thin) == 0;
    }
    cr_assert(eq(u32, n, all.n), "the union of the parts, thinned as the whole");
    gsl_rng_free(g);
    arena_free(&a);
}

Test(users, no_memory_is_said)
{
    struct arena a = {.max = 2048};
    struct users u = {0};
    uint64_t i = 0;
    while (users_add(&u, &a, users_of_hash(i), false))
        cr_assert(lt(u64, ++i, 1000));
    cr_assert(eq(u32, u.n, i));
    arena_free(&a);
}

/* Rollout "r": people (ratio per user, of "req"), plain (ratio, of "req"), clients (per
 * user by the attribute user.id, of "span", bad by status). */
static struct world open_world(void)
{
    struct world w = {0};
    struct aggregate_options none = {0};
    pb_route_metric m[] = {world_metric("people", "ratio", "req", ""),
                           world_metric("plain", "ratio", "req", ""),
                           world_metric("clients", "ratio", "span", "status >= 500")};
    m[0].per_user = m[2].per_user = true;
    m[2].user_key = (char *)(uintptr_t) "user.id";
    pb_route_metric *metrics[] = {&m[0], &m[1], &m[2]};
    pb_route route = SERIN__V1__ROUTE__INIT;
    route.live = true;
    route.metrics = metrics;
    route.n_metrics = 3;
    pb_rollout row = SERIN__V1__ROLLOUT__INIT;
    row.schema = SERIN_SCHEMA;
    row.rollout = (char *)(uintptr_t) "r";
    row.route = &route;
    if (route_table_open(&w.routes) != SERIN_OK) abort();
    if (aggregate_open(&w.a, w.routes, &none) != SERIN_OK) abort();
    world_put(&w, &row);
    return w;
}

static void decode(struct world *w, enum format f, const void *p, size_t n)
{
    int rc = world_decode(w, f, p, n);
    cr_assert(eq(int, rc, SERIN_OK), "%s", w->why.detail);
}

static const struct aggregate_cell *cell(const struct world *w, const char *metric)
{
    return world_cell(w, "r", ROUTE_CANARY, "", metric, WORLD_NOW);
}

#define HEAD "{\"t_ms\":1700000000000,\"rollout\":\"r\",\"cohort\":\"canary\","

Test(users, come_by_json)
{
    static const char text[] =
        HEAD "\"metric\":\"req\",\"user\":\"ann\",\"n\":3,\"bad\":0}\n" HEAD
             "\"metric\":\"req\",\"user\":\"ann\",\"bad\":1}\n" HEAD
             "\"metric\":\"req\",\"user\":\"bob\",\"n\":2,\"bad\":0}\n" HEAD
             "\"metric\":\"req\",\"n\":5,\"bad\":1}\n";
    struct world w = open_world();
    decode(&w, FORMAT_JSON, text, strlen(text));
    const struct aggregate_cell *c = cell(&w, "people");
    cr_assert(eq(u64, c->n, 6), "the nameless five count for nobody");
    cr_assert(eq(u64, cell(&w, "plain")->n, 11));
    cr_assert(cell(&w, "plain")->users == NULL);
    uint64_t list[2], want[2] = {users_of_name(strview_of("ann")) | USERS_BAD,
                                 users_of_name(strview_of("bob"))};
    cr_assert(eq(u32, c->users->n, 2));
    users_list(c->users, list);
    cr_assert(eq(u64, list[0], want[0] < want[1] ? want[0] : want[1]));
    cr_assert(eq(u64, list[1], want[0] < want[1] ? want[1] : want[0]));
    world_close(&w);
}

Test(users, are_taken_from_an_attribute)
{
    static const char text[] =
        HEAD "\"metric\":\"span\",\"value\":4,\"attributes\":{\"user.id\":\"ann\","
             "\"status\":200}}\n" HEAD "\"metric\":\"span\",\"value\":4,\"attributes\":"
             "{\"user.id\":\"ann\",\"status\":503}}\n" HEAD
             "\"metric\":\"span\",\"value\":4,\"attributes\":{\"enduser.id\":\"bob\","
             "\"status\":200}}\n" HEAD
             "\"metric\":\"span\",\"value\":4,\"attributes\":{\"status\":200}}\n";
    struct world w = open_world();
    decode(&w, FORMAT_JSON, text, strlen(text));
    const struct aggregate_cell *c = cell(&w, "clients");
    uint64_t list[2];
    cr_assert(eq(u32, c->users->n, 2));
    users_list(c->users, list);
    uint64_t ann = users_of_name(strview_of("ann")) | USERS_BAD,
             bob = users_of_name(strview_of("bob"));
    cr_assert(eq(u64, list[0], ann < bob ? ann : bob));
    cr_assert(eq(u64, list[1], ann < bob ? bob : ann));
    cr_assert(eq(u64, aggregate_counts(w.a).unrouted, 1));
    world_close(&w);
}

static enum serin_status keep_cells(void *ctx, struct strview id, struct bytes value)
{
    struct arena *a = ctx;
    pb_inbox *in;
    (void)id;
    cr_assert(eq(int, decode_inbox(a, value.p, value.n, &in), SERIN_OK));
    for (size_t i = 0; i < in->partial->n_cells; i++) {
        const pb_cell *c = in->partial->cells[i];
        if (strcmp(c->metric, "people") != 0) continue;
        cr_assert(eq(sz, c->n_users, 2));
        cr_assert(lt(u64, c->users[0], c->users[1]));
        cr_assert(eq(u64, (c->users[0] | c->users[1]) & 3, 1));
        cr_assert(eq(u32, c->user_thin, 0));
        return SERIN_OK;
    }
    return SERIN_EDOM;
}

Test(users, come_packed_and_go_into_the_partial)
{
    struct world w = open_world();
    struct arena a = {0}, scratch = {0};
    uint64_t n[] = {1, 1, 1}, bad[] = {0, 1, 0}, users[] = {8, 9, 8};
    pb_column c = SERIN__V1__COLUMN__INIT, *list[] = {&c};
    pb_batch m = SERIN__V1__BATCH__INIT;
    struct bytes out;
    c.rollout = (char *)(uintptr_t) "r";
    c.cohort = (char *)(uintptr_t) "canary";
    c.metric = (char *)(uintptr_t) "req";
    c.base_ms = WORLD_NOW;
    c.n = n, c.bad = bad, c.users = users;
    c.n_n = c.n_bad = c.n_users = 3;
    m.schema = SERIN_SCHEMA;
    m.columns = list;
    m.n_columns = 1;
    cr_assert(eq(int, encode_batch(&a, &m, &out), SERIN_OK));
    decode(&w, FORMAT_SERIN, out.p, out.n);
    cr_assert(eq(u32, cell(&w, "people")->users->n, 2));
    cr_assert(eq(int, partial_each(w.a, "w", &scratch, keep_cells, &a), SERIN_OK));
    c.n_users = 2;
    cr_assert(eq(int, encode_batch(&a, &m, &out), SERIN_OK));
    cr_assert(eq(int, world_decode(&w, FORMAT_SERIN, out.p, out.n), SERIN_EPARSE));
    cr_assert(eq(str, w.why.detail, "column: 2 users for 3 counts"));
    world_close(&w);
    arena_free(&a);
    arena_free(&scratch);
}
