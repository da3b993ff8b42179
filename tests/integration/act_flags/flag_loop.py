#!/usr/bin/env python3
"""A feature flag end to end: users ask flagd's own core for their variant, what they meet goes
to Kafka, serin judges, `serin actuate` writes the flag file, and the users ask again.

Once the new variant is as good as the old one and goes to everybody; once it is worse and the
kill switch is thrown. Never does a user leave the canary while the share grows.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
import time

import flagd
from driver import check, live

INPUT, USERS, RATE = "flag-metrics", 3000, 1500
PLAN = """\
id: {id}
cohorts:
  canary: {{feature_flag.result.variant: "on", rollout: {id}}}
  baseline: {{feature_flag.result.variant: "off", rollout: {id}}}
strategy: flag
flag: {id}
strata: [segment]
calibrate: skip
window: 1s
steps:
  - {{audience: [internal], bake: 2s, warmup: 1s}}
  - {{weight: 10%, worse_than: 4, bake: 2s, warmup: 1s}}
  - {{weight: 40%, worse_than: 4, bake: 2s, warmup: 1s}}
  - {{weight: 100%}}
metrics: [{{name: errors, phi: 1, limit: 20%}}]
sample_ratio: {{tolerance: 50%}}
actuate: {{target: {id}}}
"""


def segment(user):
    return "internal" if user % 10 == 0 else "public"


class Users:
    """Each asks for the flag again with every request."""

    def __init__(self, evaluator, bootstrap, flag, on_rate):
        self.evaluator, self.flag, self.on_rate = evaluator, flag, on_rate
        self.random, self.ever, self.left = random.Random(11), set(), 0
        self.served = set()  # which segments got the canary at one time
        self.kcat = subprocess.Popen(["kcat", "-P", "-b", bootstrap, "-t", INPUT, "-X",
                                      "linger.ms=5"], stdin=subprocess.PIPE, text=True)

    def send(self, variant, part, rate, n):
        bad = sum(self.random.random() < rate for _ in range(n))
        if n:
            self.kcat.stdin.write(json.dumps({
                "t_ms": int(time.time() * 1000), "metric": "errors", "n": n, "bad": bad,
                "attributes": {"feature_flag.result.variant": variant, "segment": part,
                               "rollout": self.flag}}) + "\n")

    def second(self, growing):
        """A second of requests, in ten parts; how many got the canary."""
        canary = 0
        for _ in range(10):
            began = time.monotonic()
            who = [self.random.randrange(USERS) for _ in range(RATE // 10)]
            got = self.evaluator.variants([{"targetingKey": f"u{i}", "segment": segment(i)}
                                           for i in who], self.flag)
            on = {i for i, variant in zip(who, got) if variant == "on"}
            if growing and on:
                self.served.add(frozenset(map(segment, on)))
            if growing:
                self.left += len((set(who) - on) & self.ever)
            self.ever |= on
            for variant, rate in (("on", self.on_rate), ("off", 0.03)):
                canary += got.count(variant) if variant == "on" else 0
                for part in ("internal", "public"):
                    self.send(variant, part, rate, sum(
                        v == variant and segment(i) == part for i, v in zip(who, got)))
            self.kcat.stdin.flush()
            time.sleep(max(0, 0.1 - (time.monotonic() - began)))
        return canary

    def until(self, engine, states):
        """Go on until the rollout is in one of these states."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            self.second(growing=True)
            state = json.loads(engine("status", self.flag, "-o", "json").stdout)["state"]
            if state in states:
                return state
        raise AssertionError(f"{self.flag} is not {states} after 120 s")


def rollout(engine, evaluator, bootstrap, flag, on_rate):
    engine("apply", "-", text=PLAN.format(id=flag))
    users = Users(evaluator, bootstrap, flag, on_rate)
    try:
        live.wait_for("the flag", lambda: flag in open(evaluator.path, encoding="utf-8").read())
        state = users.until(engine, ("PROMOTED", "WATCHING", "ABORTED"))
        live.wait_for("the last verdict in the file", lambda: evaluator.variants(
            [{"targetingKey": "u1"}], flag) == ["on" if state != "ABORTED" else "off"])
        canary = users.second(growing=False)
        check(frozenset({"internal"}) in users.served, "the segment was not served alone")
        return state, canary, users.left
    finally:
        users.kcat.kill()


def main():
    program, bootstrap = sys.argv[1], os.environ["SERIN_TEST_BOOTSTRAP"]
    live.create_topic(bootstrap, INPUT)
    with tempfile.TemporaryDirectory(prefix="serin-flag-") as folder:
        path = os.path.join(folder, "flags.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(flagd.OTHERS, file)
        targets = ", ".join(f"{name}: {{kind: flagd, file: {path}, flag: {name}}}"
                            for name in ("good", "bad"))
        engine = live.Engine(program, folder, bootstrap, f"act.flag.{os.getpid()}.", f"""\
inputs: [{{topic: {INPUT}, start: latest}}]
instance: act
lateness: 500ms
actuate: {{lease: 10s, check: 1s, targets: {{{targets}}}}}
""")
        actuator = subprocess.Popen([program, "actuate", "-c", folder + "/serin.yaml"])
        evaluator = flagd.Evaluator(path)
        try:
            state, canary, left = rollout(engine, evaluator, bootstrap, "good", 0.03)
            check(state != "ABORTED" and canary == RATE and left == 0,
                  f"good: {state}, {canary} of {RATE} requests, {left} left the canary")
            state, canary, _ = rollout(engine, evaluator, bootstrap, "bad", 0.15)
            check(state == "ABORTED" and canary == 0,
                  f"bad: {state}, {canary} requests after the kill switch")
        finally:
            actuator.kill()
            actuator.wait()
            engine.kill()
            evaluator.stop()
    print("flag: promoted to everybody, killed for everybody, nobody left in between")


main()
