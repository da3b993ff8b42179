/* tests/unit/bus/test_fault.c -- what the caller does after an error of the client */
#include "engine/bus/client.h"
#include "tests/support/check.h"

static struct fault of(rd_kafka_resp_err_t code)
{
    struct fault f = {0};
    cr_assert(
        eq(int, producer_fault(rd_kafka_error_new(code, "because"), &f), SERIN_EIO));
    cr_assert(strstr(f.text, "because") != NULL, "%s", f.text);
    cr_assert(eq(int, f.retriable + f.rewind + f.fatal, 1), "one way on, not several");
    return f;
}

Test(producer_fault, no_error_leaves_the_fault_alone)
{
    struct fault f = {.code = SERIN_EDOM};
    cr_assert(eq(int, producer_fault(NULL, &f), SERIN_OK));
    cr_assert(eq(int, f.code, SERIN_EDOM));
}

/* A fenced producer is dead; so is one with an error that nothing else is known to
 * help. */
Test(producer_fault, fenced_and_unknown_are_fatal)
{
    cr_assert(of(RD_KAFKA_RESP_ERR__FENCED).fatal);
    cr_assert(of(RD_KAFKA_RESP_ERR__STATE).fatal);
    cr_assert(of(RD_KAFKA_RESP_ERR__INVALID_ARG).fatal);
}

/* An error known to be passing is told apart from the rest. */
Test(client_fault, broker_trouble_is_retriable_refusals_are_not)
{
    struct client c = {.what = "table x"};
    struct fault f = {0};
    atomic_store(&c.up, 1);
    cr_assert(eq(int, client_fault(&c, &f, "reading", RD_KAFKA_RESP_ERR__TIMED_OUT),
                 SERIN_EIO));
    cr_assert(f.retriable && strstr(f.text, "table x: reading") != NULL, "%s", f.text);
    cr_assert(eq(
        int,
        client_fault(&c, &f, "reading", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED),
        SERIN_EIO));
    cr_assert(f.retriable == false);
}
