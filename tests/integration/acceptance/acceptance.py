#!/usr/bin/env python3
"""serin on a real broker, seen from outside: metrics in and verdicts out by kcat.

acceptance.py SERIN KAFKA_SH starts a broker of its own and one `serin run`, applies seven
plans and plays their traffic, which follows the verdicts like a proxy would:

  healthy     promoted through 1, 5, 25, 50, 100 %
  tenfold     0.1 % -> 1 % errors: aborted at 1 %
  silent      its canary sends nothing: held, never promoted
  typo        the plan's metric does not exist: held with no_data
  measured    calibrates first, as plans do by default, and only then starts
  wins        an experiment whose canary has twice the share: RESULT win
  even        an experiment without a difference: RESULT no_difference at its end

Verdicts are decoded by protoc, so that no code of ours stands between topic and test.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from live import Engine, check, wait_for  # noqa: E402

INPUT = "shop.metrics"
CONFIG = f"inputs: [{{topic: {INPUT}, format: json}}]\nfleet: {{level: 5%}}\n"

PLAN = """\
apiVersion: serin/v1
kind: Rollout
id: {id}
cohorts:
  canary: {{service.name: {id}, service.version: "2"}}
  baseline: {{service.name: {id}, service.version: "1"}}
window: 1s
calibrate: {calibrate}
steps:
  - {{weight: 1%, worse_than: 4.0, bake: 3s, warmup: 1s}}
  - {{weight: 5%, worse_than: 3.0, bake: 3s, warmup: 1s}}
  - {{weight: 25%, worse_than: 2.0, bake: 3s, warmup: 1s}}
  - {{weight: 50%, worse_than: 1.5, bake: 3s, warmup: 1s}}
  - {{weight: 100%, watch: 3s, warmup: 1s}}
metrics:
  - {{name: {metric}, kind: ratio, abort_over: 1.2{phi}}}
"""
EXPERIMENT = """\
id: {id}
strategy: experiment
cohorts:
  canary: {{service.name: {id}, service.version: "2"}}
  baseline: {{service.name: {id}, service.version: "1"}}
window: 1s
calibrate: skip
experiment: {{better: up, {experiment}}}
metrics: [{{name: errors, kind: ratio, phi: 1.2}}]
"""
RATE, ERRORS, TICK_S = 200000, 0.001, 0.2
ROLLOUTS = {
    "healthy": {"odds": 1},
    "tenfold": {"odds": 10},
    "silent": {"odds": 1, "canary": False},
    "typo": {"odds": 1, "metric": "erors"},
    "measured": {"odds": 1, "calibrate": "60s", "phi": ""},
    "wins": {"odds": 2, "experiment": "duration: 1h"},
    "even": {"odds": 1, "experiment": "duration: 20s, keep: true, weight: 20%"},
}


def poisson_like(rng, mean):
    """A binomial of many rare events, by its normal or its exact Poisson form."""
    if mean > 50:
        return max(0, round(rng.gauss(mean, mean ** 0.5)))
    n, bound, product = 0, 2.718281828459045 ** -mean, rng.random()
    while product > bound:
        n, product = n + 1, product * rng.random()
    return n


class Traffic(threading.Thread):
    """JSON lines into one long-lived kcat; shares follow .weight (basis points)."""

    def __init__(self, bootstrap):
        super().__init__(daemon=True)
        self.weight = {name: 0 for name in ROLLOUTS}
        self.stopping = threading.Event()
        self.messages = 0
        self.kcat = subprocess.Popen(
            ["kcat", "-P", "-b", bootstrap, "-t", INPUT, "-X", "linger.ms=5"],
            stdin=subprocess.PIPE, text=True)
        self.rng = random.Random(20261124)

    def line(self, name, version, n, odds):
        rate = ERRORS * odds / (1 - ERRORS + ERRORS * odds)
        bad = min(n, poisson_like(self.rng, n * rate))
        self.messages += 1
        self.kcat.stdin.write(json.dumps({
            "t_ms": round(time.time() * 1000),
            "attributes": {"service.name": name, "service.version": version},
            "metric": "errors", "n": n, "bad": bad}) + "\n")

    def run(self):
        due = time.monotonic()
        while not self.stopping.is_set():
            for name, rollout in ROLLOUTS.items():
                canary = round(RATE * TICK_S * self.weight[name] / 10000)
                total = round(RATE * TICK_S)
                if canary > 0 and rollout.get("canary", True):
                    self.line(name, "2", canary, rollout["odds"])
                if total > canary:
                    self.line(name, "1", total - canary, 1)
            self.kcat.stdin.flush()
            due += TICK_S
            time.sleep(max(0, due - time.monotonic()))

    def stop(self):
        self.stopping.set()
        self.join()
        self.kcat.stdin.close()
        check(self.kcat.wait(30) == 0, "kcat could not produce")


def decode(payload):
    out = subprocess.run(
        ["protoc", f"--proto_path={ROOT}", "--decode=serin.v1.Verdict",
         "proto/serin/v1/serin.proto"], input=payload, capture_output=True, check=True)
    text = out.stdout.decode()

    def field(name, default=""):
        match = re.search(rf'^{name}: "?([^"\n]*)"?$', text, re.MULTILINE)
        return match[1] if match else default
    return {"id": field("id"), "rollout": field("rollout"), "seq": int(field("seq", "0")),
            "kind": field("kind").removeprefix("KIND_"), "reason": field("reason"),
            "from_bp": int(field("from_bp", "0")), "to_bp": int(field("to_bp", "0")),
            "final": field("final") == "true", "result": field("result"), "message": field("message")}


class Verdicts(threading.Thread):
    """Follows serin.verdicts with kcat (read_committed) and sets the weights."""

    def __init__(self, bootstrap, traffic):
        super().__init__(daemon=True)
        self.traffic, self.seen, self.failure = traffic, [], None
        self.kcat = subprocess.Popen(
            ["kcat", "-C", "-q", "-u", "-b", bootstrap, "-t", "serin.verdicts", "-o",
             "beginning", "-X", "isolation.level=read_committed", "-f", "%k %S\n%s"],
            stdout=subprocess.PIPE)

    def run(self):
        try:
            while head := self.kcat.stdout.readline():
                key, size = head.split()
                verdict = decode(self.kcat.stdout.read(int(size)))
                check(verdict["rollout"] == key.decode(), f"key {key} of {verdict}")
                print("verdict", verdict, flush=True)
                if verdict["kind"] in ("PROMOTE", "ABORT", "RESULT"):
                    self.traffic.weight[verdict["rollout"]] = verdict["to_bp"]
                self.seen.append(verdict)
        except Exception as error:  # the main thread reports it
            self.failure = error

    def of(self, name):
        if self.failure:
            raise self.failure
        return [v for v in self.seen if v["rollout"] == name]

    def stop(self):
        self.kcat.terminate()
        self.join()


def wait_codes(serin):
    """What each of them ended with, as scripts see it."""
    serin("wait", "healthy", code=0)
    serin("wait", "tenfold", code=1)
    serin("wait", "wins", code=0)
    serin("wait", "even", code=6)
    serin("wait", "silent", "--held-for", "1s", code=4)
    serin("wait", "measured", "--timeout", "1s", code=3)
    serin("status", "nobody", code=2)
    serin("status", code=2)
    serin("frobnicate", code=2)
    serin("lint", "-", code=2, text="id: x\nsteeps: []\n")
    serin("list", "--addr", serin.address + ".gone", code=5)


def compare_history(serin, verdicts):
    """The CLI tells of each rollout what kcat read."""
    for name in ROLLOUTS:
        theirs = [(v["id"], v["kind"], v["from_bp"], v["to_bp"], v["reason"])
                  for v in verdicts.of(name)]
        ours = [(v["id"], v["verdict"], v["from_bp"], v["to_bp"], v["reason"]) for v in serin.verdicts(name)]
        check(ours == theirs, f"history of {name}: {ours}, kcat read {theirs}")
        check([v["seq"] for v in verdicts.of(name)] ==
              list(range(1, len(theirs) + 1)), f"{name}: numbers with gaps: {theirs}")


def ended(verdicts, name):
    seen = verdicts.of(name)
    return seen and seen[-1]["final"]


def judge(serin, verdicts):
    wait_for("tenfold aborted", lambda: ended(verdicts, "tenfold"))
    tenfold = [(v["kind"], v["from_bp"], v["to_bp"]) for v in verdicts.of("tenfold")]
    check(tenfold == [("PROMOTE", 0, 100), ("ABORT", 100, 0)], f"tenfold: {tenfold}")

    wait_for("healthy promoted", lambda: ended(verdicts, "healthy"))
    steps = [v["to_bp"] for v in verdicts.of("healthy")
             if v["kind"] == "PROMOTE" and v["to_bp"] != v["from_bp"]]
    check(steps == [100, 500, 2500, 5000, 10000], f"healthy went through {steps}")
    check(not [v for v in verdicts.of("healthy") if v["kind"] == "ABORT"], "healthy aborted")

    wait_for("typo held", lambda: [v for v in verdicts.of("typo")
                                   if v["kind"] == "HOLD" and v["reason"] == "no_data"])
    wait_for("silent held", lambda: [v for v in verdicts.of("silent")
                                     if v["kind"] == "HOLD"])
    for name in ("typo", "silent"):
        raised = [v for v in verdicts.of(name) if v["to_bp"] > 100]
        check(not raised, f"{name} was promoted without evidence: {raised}")
        check(serin.json("status", name)["weight_bp"] <= 100, f"{name} has more than 1 %")
    silent = [v["reason"] for v in verdicts.of("silent") if v["kind"] == "HOLD"]
    # A canary without requests is silent, and the split is not the commanded one either.
    check(set(silent) <= {"canary_silent", "no_data", "sample_ratio"},
          f"silent is held for {silent}")

    wait_for("wins ended", lambda: ended(verdicts, "wins"))
    wait_for("even ended", lambda: ended(verdicts, "even"))
    for name, result, reason, to_bp in (("wins", "win", "better", 0),
                                        ("even", "no_difference", "inconclusive", 2000)):
        last = verdicts.of(name)[-1]
        check((last["kind"], last["result"], last["reason"], last["to_bp"]) ==
              ("RESULT", result, reason, to_bp), f"{name} ended by {last}")
        shown = serin.json("status", name)
        check((shown["state"], shown["result"]) == ("CONCLUDED", result), f"{name}: {shown}")
    fleet = serin.json("fleet")
    check(fleet["started"] >= 5 and not [r for r in fleet["rollouts"]
                                         if r["rollout"] != "tenfold" and r["discovery"]],
          f"the fleet: {fleet}")

    wait_for("measured started", lambda: verdicts.of("measured"))
    first = verdicts.of("measured")[0]
    check((first["kind"], first["to_bp"]) == ("PROMOTE", 100), f"measured began by {first}")
    phi = wait_for("phi shown", lambda: serin.json("status", "measured")["metrics"])
    # Of 60 windows of independent errors it comes out as 1 in nine of ten runs, as 3 or more
    # once in a hundred, as 8 never.
    check(1 <= phi[0]["dispersion"] < 8, f"measured dispersion {phi}")


def stop_without_broker(serin, kafka, store):
    """SIGTERM ends it though its broker is gone; the half minute of librdkafka's time-outs
    is not waited for."""
    serin.start()
    subprocess.run([kafka, "kill", "1", "--dir", store], check=True)
    time.sleep(3)  # transactions are open now, and nobody answers
    serin.process.send_signal(signal.SIGTERM)
    code = serin.process.wait(60)
    check(code in (0, 3), f"serin run ended with {code} without its broker")


def main():
    program, kafka = map(os.path.abspath, sys.argv[1:3])
    with tempfile.TemporaryDirectory(prefix="serin-acceptance-") as folder:
        store = os.path.join(folder, "kafka")
        bootstrap = subprocess.run(
            [kafka, "start", "--port", "0", "--dir", store, "--set",
             "auto.create.topics.enable=true", "--set", "num.partitions=4"],
            stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        serin, traffic, verdicts = None, Traffic(bootstrap), None
        try:
            traffic.start()
            wait_for("the input topic", lambda: INPUT in subprocess.run(
                ["kcat", "-L", "-b", bootstrap], capture_output=True, text=True,
                check=False).stdout)
            serin = Engine(program, folder, bootstrap, "serin.", CONFIG)
            verdicts = Verdicts(bootstrap, traffic)
            verdicts.start()
            for name, rollout in ROLLOUTS.items():
                form = EXPERIMENT if "experiment" in rollout else PLAN
                plan = form.format(id=name, experiment=rollout.get("experiment"), metric=rollout.get("metric", "errors"),
                                   calibrate=rollout.get("calibrate", "skip"),
                                   phi=rollout.get("phi", ", phi: 1.2"))
                serin("apply", "-", text=plan)
            judge(serin, verdicts)
            wait_codes(serin)
            compare_history(serin, verdicts)
            traffic.stop()
            serin.stop()
            stop_without_broker(serin, kafka, store)
        finally:
            if verdicts:
                verdicts.stop()
            traffic.kcat.kill()
            if serin:
                serin.kill()
            subprocess.run([kafka, "stop", "--dir", store], check=False)
    print("acceptance: all as promised")


if __name__ == "__main__":
    main()
