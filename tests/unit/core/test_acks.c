/* tests/unit/core/test_acks.c -- one actuator or several: when a weight counts as
 * applied, and what is said until then */
#include "tests/support/play.h"

#define RESUME SERIN__V1__KIND__KIND_RESUME
#define HOLD SERIN__V1__KIND__KIND_HOLD

static const char both[] =
    PLAY_HEAD "window: 1s\ncalibrate: skip\nack_timeout: 10s\n"
              "actuate: {targets: [eu, us]}\n" PLAY_STEPS PLAY_METRIC;
static const char one[] = PLAY_HEAD "window: 1s\ncalibrate: skip\nack_timeout: 10s\n"
                                    "actuate: {target: edge}\n" PLAY_STEPS PLAY_METRIC;

static void says(struct play *p, const char *state, const char *part)
{
    pb_rollout *row = foldrun_row(&p->run, PLAY_ID);
    cr_assert(eq(str, row->status->state, (char *)(uintptr_t)state));
    cr_assert(strstr(row->status->message, part) != NULL, "\"%s\" is not in \"%s\"",
              part, row->status->message);
}

static void speaks(struct play *p, const char *target, uint64_t seq, uint32_t bp,
                   const char *error)
{
    inbox_ack_of(&p->inbox, target, PLAY_ID, seq, bp, error);
    play_second(p, play_traffic());
}

Test(acks, a_weight_counts_when_every_target_has_confirmed_it)
{
    struct play p;
    play_start(&p, both);
    play_second(&p, play_traffic());
    says(&p, "SETTLING", "waits until actuator eu, actuator us confirms 10 %, since ");
    speaks(&p, "us", 1, 1000, "");
    speaks(&p, "us", 1, 1000, "");
    says(&p, "SETTLING", "waits until actuator eu confirms 10 %");
    speaks(&p, "asia", 1, 1000, ""); /* nobody asked it */
    speaks(&p, "", 1, 1000, "");
    says(&p, "SETTLING", "waits until actuator eu confirms 10 %");
    speaks(&p, "eu", 1, 1000, "");
    says(&p, "SETTLING", "10 % is confirmed");
    play_for(&p, 3, play_traffic());
    cr_assert(eq(str, (char *)play_state(&p), "OBSERVING"));
    play_end(&p);
}

Test(acks, each_target_holds_and_is_named)
{
    struct play p;
    play_start(&p, both);
    speaks(&p, "eu", 1, 1000, "");
    play_for(&p, 11, play_traffic());
    says(&p, "HELD", "actuator us did not confirm 10 % within 10 s");
    speaks(&p, "us", 1, 1000, "");
    cr_assert(play_find(&p, 0, RESUME, "actuator") != NULL);
    speaks(&p, "eu", 1, 0,
           ""); /* its proxy was restarted; the other's word is no help */
    says(&p, "HELD", "actuator eu reads back 0 % instead of 10 %");
    speaks(&p, "us", 1, 1000, "");
    says(&p, "HELD", "actuator eu");
    speaks(&p, "eu", 1, 1000, "the socket is gone");
    cr_assert(eq(str, (char *)play_state(&p), "HELD"));
    speaks(&p, "eu", 1, 1000, "");
    cr_assert(eq(str, (char *)play_state(&p), "SETTLING"));
    play_end(&p);
}

/* At the next weight all of them have to speak anew. */
Test(acks, an_old_confirmation_is_none_of_the_next_weight)
{
    struct play p;
    play_start(&p, both);
    speaks(&p, "eu", 1, 1000, "");
    speaks(&p, "us", 1, 1000, "");
    for (int i = 0; i < 300 && play_weight(&p) == 1000; i++)
        play_second(&p, play_traffic());
    uint64_t seq = foldrun_last(&p.run)->seq;
    cr_assert(eq(u32, play_weight(&p), 5000u));
    speaks(&p, "eu", 1, 1000, ""); /* late news of the weight before */
    speaks(&p, "us", seq, 5000, "");
    says(&p, "SETTLING", "waits until actuator eu confirms 50 %");
    play_end(&p);
}

Test(acks, a_target_that_is_named_twice_confirms_once)
{
    struct play p;
    play_start(&p,
               PLAY_HEAD "window: 1s\ncalibrate: skip\nack_timeout: 10s\n"
                         "actuate: {targets: [eu, us, eu]}\n" PLAY_STEPS PLAY_METRIC);
    speaks(&p, "eu", 1, 1000, "");
    speaks(&p, "us", 1, 1000, "");
    says(&p, "SETTLING", "10 % is confirmed");
    play_end(&p);
}

Test(acks, a_single_target_is_confirmed_by_whoever_speaks)
{
    struct play p;
    play_start(&p, one);
    play_second(&p, play_traffic());
    says(&p, "SETTLING", "waits until actuator edge confirms 10 %");
    speaks(&p, "", 1, 1000, "");
    says(&p, "SETTLING", "10 % is confirmed");
    speaks(&p, "edge", 1, 900, "");
    cr_assert(play_find(&p, 0, HOLD, "actuator") != NULL);
    says(&p, "HELD", "actuator edge reads back 9 % instead of 10 %");
    play_end(&p);
}
