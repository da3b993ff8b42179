#!/usr/bin/env python3
"""Points encoded by InfluxDB's own client, sent by kcat as Telegraf's Kafka output does: one
rollout is promoted, one aborted, and every request that was sent is counted, once.

influx.py SERIN, with SERIN_TEST_BOOTSTRAP.
"""

import os
import random
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import live  # noqa: E402

live.run_with("influxdb-client==1.50.0")
from influxdb_client import Point, WritePrecision  # noqa: E402

PLAN = """\
id: {id}
cohorts:
  canary: {{service: "{service}, eu=1", version: "2"}}
  baseline: {{service: "{service}, eu=1", version: "1"}}
window: 1s
calibrate: skip
steps:
  - {{weight: 50%, worse_than: 2, bake: {bake}, warmup: 1s}}
  - {{weight: 100%, watch: 2s, warmup: 1s}}
metrics:
  - {{name: errors, kind: ratio, phi: 1.2, mode: {mode}, from: {{metric: http_requests_count, bad: "status >= 500"}}}}
  - {{name: latency, kind: latency, phi: 1.2, mode: warn, from: {{metric: http_duration, unit: s}}}}
"""
NEVER = "  - {name: never, kind: ratio, phi: 1.2}\n"  # without data nothing is decided
INPUT = f"telegraf-{os.getpid()}"
TICK_S, REQUESTS = 0.2, 4000
ERRORS = {"good": {"1": 0.01, "2": 0.01}, "worse": {"1": 0.01, "2": 0.05}}


class Telegraf:
    """Writes one message a point, and keeps count."""

    def __init__(self, bootstrap):
        self.kcat = subprocess.Popen(
            ["kcat", "-P", "-b", bootstrap, "-t", INPUT, "-X", "linger.ms=5"],
            stdin=subprocess.PIPE, text=True)
        self.rng, self.sent, self.points = random.Random(7), {}, 0

    def count(self, rollout, version, metric, n, bad=0):
        total = self.sent.setdefault((rollout, "c" if version == "2" else "b", metric), [0, 0])
        total[0] += n
        total[1] += bad

    def point(self, measurement, rollout, version):
        return (Point(measurement).tag("service", f"{rollout}, eu=1").tag("version", version)
                .tag("host", "web \\1").field("note", "said \"no\", n=5").time(
                    time.time_ns(), WritePrecision.NS))

    def send(self, point):
        self.points += 1
        self.kcat.stdin.write(point.to_line_protocol() + "\n")

    def requests(self, rollout, version, n):
        rate = ERRORS[rollout][version]
        bad = sum(self.rng.random() < rate for _ in range(n))
        for status, count in (("200", n - bad), ("503", bad)):
            self.send(self.point("http_requests", rollout, version).tag("status", status)
                      .field("count", count))
        self.count(rollout, version, "errors", n, bad)
        for _ in range(5):
            self.send(self.point("http", rollout, version)
                      .field("duration", self.rng.lognormvariate(-3, 0.5)))
        self.count(rollout, version, "latency", 5)

    def close(self):
        self.kcat.stdin.close()
        live.check(self.kcat.wait(30) == 0, "kcat could not produce")


def play(engine, telegraf):
    """Traffic by the weights that the verdicts command, until both have ended."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        finals = 0
        for rollout in ERRORS:
            weight, final = engine.weight_bp(rollout)
            finals += final
            canary = REQUESTS * weight // 10000
            if canary:
                telegraf.requests(rollout, "2", canary)
            if canary < REQUESTS:
                telegraf.requests(rollout, "1", REQUESTS - canary)
        telegraf.kcat.stdin.flush()
        if finals == len(ERRORS):
            return
        time.sleep(TICK_S)
    raise AssertionError("no final verdicts within 90 s: " +
                         str([engine.verdicts(r) for r in ERRORS]))


def main():
    program = os.path.abspath(sys.argv[1])
    bootstrap = os.environ["SERIN_TEST_BOOTSTRAP"]
    with tempfile.TemporaryDirectory(prefix="serin-influx-") as folder:
        live.create_topic(bootstrap, INPUT)
        telegraf = Telegraf(bootstrap)
        engine = live.Engine(program, folder, bootstrap, f"influx-{os.getpid()}.",
                             f"inputs: [{{topic: {INPUT}, format: influx}}]\n")
        try:
            for rollout in ERRORS:
                engine("apply", "-", text=PLAN.format(id=rollout, service=rollout, bake="2s",
                                                      mode="gate"))
                # Routes end with their rollouts; this one outlives the test, and counts all.
                engine("apply", "-", text=PLAN.format(id=f"all-{rollout}", service=rollout,
                                                      bake="10m", mode="warn") + NEVER)
            live.wait_for("the routes", lambda: engine.metric("serin_ingest_rollouts") == 4)
            play(engine, telegraf)
            good = [v["verdict"] for v in engine.verdicts("good")]
            worse = engine.verdicts("worse")
            live.check(good[0] == good[-1] == "PROMOTE" and "ABORT" not in good, good)
            live.check(worse[-1]["verdict"] == "ABORT" and
                       worse[-1]["metrics"][0]["name"] == "errors", worse)
            telegraf.close()
            check_counts(engine, telegraf)
        finally:
            engine.kill()
            telegraf.kcat.kill()


def check_counts(engine, telegraf):
    """All points were read, the engine stops, every request is in a cell."""
    live.wait_for("all points", lambda: (
        engine.metric("serin_ingest_messages_total") == telegraf.points))
    live.check(engine.metric("serin_ingest_quarantined_total") == 0,
               engine("quarantine").stdout)
    engine.stop()
    engine.check_counts(telegraf.sent, "all-")


if __name__ == "__main__":
    main()
