#!/usr/bin/env python3
"""Every kind of metric through the program, JSON and the packed format in turn: of each kind one
healthy canary is promoted and one bad one aborted, and every unit is counted, exactly. Then bad
records of every sort: they are quarantined or poison, which is counted, and a rollout that got
them decides as its twin that did not.

kinds.py SERIN, with SERIN_TEST_BOOTSTRAP. Event time runs ahead of the clock: minutes of traffic
are sent at once.
"""

import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import live  # noqa: E402
import wire  # noqa: E402

PLAN = """\
id: {id}
cohorts:
  canary: {{service: {service}, version: "2"}}
  baseline: {{service: {service}, version: "1"}}
window: 1s
calibrate: skip
steps:
  - {{weight: 50%, worse_than: 2, bake: {bake}, warmup: 0s}}
  - {{weight: 100%, watch: 0s, warmup: 0s}}
metrics:
"""
ERRORS = "  - {name: errors, kind: ratio, phi: 1}\n"
METRICS = {
    "ratio": ERRORS,
    "latency": "  - {name: time, kind: latency, phi: 1, protect: [p50, p90]}\n",
    "events": ERRORS + "  - {name: crashes, kind: events, exposure: errors, phi: 1}\n",
    "pods": "  - {name: restarts, kind: events, exposure: {canary: 4, baseline: 4}, phi: 1}\n",
    "gauge": "  - {name: cpu, kind: gauge, batch: 2s}\n",
    "saturation": "  - {name: queue, kind: saturation, batch: 2s, bound: 900, phi: 1}\n",
    "users": "  - {name: failed, kind: ratio, per: user, phi: 1}\n",
}
TWIN = "".join(METRICS[kind] for kind in ("events", "latency", "gauge", "saturation"))
NEVER = "  - {name: never, kind: ratio, phi: 1}\n"  # without data nothing is decided
SECONDS, PODS = 160, 12
CLOSED = SECONDS - 3  # windows; the watermark stays 2 s behind
BATCH_S = 2


def buckets(values, scale):
    """An exponential histogram of some values, its bucket i up to 2^((i + 1) / 2^scale)."""
    at = {}
    for value in values:
        i = math.ceil(math.log2(value) * 2 ** scale) - 1
        at[i] = at.get(i, 0) + 1
    first = min(at)
    return {"scale": scale, "offset": first,
            "counts": [at.get(i, 0) for i in range(first, max(at) + 1)]}


class Service:
    """What the two versions of a service tell of each second."""

    def __init__(self, name, kinds, bad, seed):
        self.name, self.kinds, self.bad, self.rng = name, kinds, bad, random.Random(seed)
        self.sent = {}  # (cohort, metric): (second, n, bad) of each sample

    def count(self, cohort, metric, second, n, bad=0):
        self.sent.setdefault((cohort, metric), []).append((second, n, bad))

    def chance(self, of, share):
        return sum(self.rng.random() < share for _ in range(of))

    def second(self, s):
        samples = []
        for version, cohort in (("2", "c"), ("1", "b")):
            for kind in self.kinds:
                for sample in getattr(self, kind)(s, cohort, self.bad and cohort == "c"):
                    sample["attributes"] = {"service": self.name, "version": version}
                    samples.append(sample)
        return samples

    def ratio(self, s, cohort, bad):
        errors = self.chance(400, 0.15 if bad and self.kinds == ["ratio"] else 0.03)
        self.count(cohort, "errors", s, 400, errors)
        return [{"metric": "errors", "n": 400, "bad": errors}]

    def latency(self, s, cohort, bad):
        values = [self.rng.lognormvariate(4, 0.5) * (1.3 if bad else 1) for _ in range(100)]
        self.count(cohort, "time", s, 100)
        if s % 4 < 2:
            return [{"metric": "time", "values": values}]
        # Other scales are no other metric; the coarsest one lasts.
        return [{"metric": "time", "hist": buckets(values, 6 if cohort == "c" else 5)}]

    def events(self, s, cohort, bad):
        n = self.chance(100, 0.09 if bad else 0.03)
        self.count(cohort, "crashes", s, 400, n)
        return self.ratio(s, cohort, False) + [{"metric": "crashes", "n": n}]

    def pods(self, s, cohort, bad):
        n = self.chance(100, 0.09 if bad else 0.03)
        self.count(cohort, "restarts", s, 4, n)
        return [{"metric": "restarts", "n": n}]

    def levels(self, s, cohort, metric, level, spread):
        self.count(cohort, metric, s, PODS)
        return [{"metric": metric, "gauge": self.rng.gauss(level, spread), "unit": f"{cohort}{i}"}
                for i in range(PODS)]

    def gauge(self, s, cohort, bad):
        return self.levels(s, cohort, "cpu", 0.6 if bad else 0.4, 0.05)

    def saturation(self, s, cohort, bad):
        return self.levels(s, cohort, "queue", 960 if bad else 830, 100)

    def users(self, s, cohort, bad):
        out = [{"metric": "failed", "n": 1, "bad": int(self.rng.random() < (0.4 if bad else 0.1)),
                "user": f"{self.name} {cohort} {s} {i}"} for i in range(30)]
        self.count(cohort, "failed", s, 30, sum(o["bad"] for o in out))
        return out


def column(sample, t_ms):
    """The same sample in the packed format."""
    body = b"".join(wire.put(2, wire.put(1, k) + wire.put(2, v))
                    for k, v in sample.get("attributes", {}).items())
    body += wire.put(1, sample.get("rollout", "")) + wire.put(3, sample.get("cohort", ""))
    body += wire.put(5, sample["metric"]) + wire.put(6, t_ms)
    if "n" in sample:
        body += wire.put(8, wire.put_varint(sample["n"]))
        if "bad" in sample:
            body += wire.put(9, wire.put_varint(sample["bad"]))
    for name, number in (("values", 10), ("gauges", 12)):
        if name in sample:
            body += wire.put(number, struct.pack(f"<{len(sample[name])}d", *sample[name]))
            body += wire.put(7, b"\0" * len(sample[name]))  # all at base_ms
    if "gauge" in sample:
        body += wire.put(12, struct.pack("<d", sample["gauge"]))
    if "hist" in sample:
        h = sample["hist"]
        body += wire.put(11, wire.put(1, zigzag(h["scale"])) + wire.put(3, zigzag(h["offset"])) +
                         wire.put(4, b"".join(map(wire.put_varint, h["counts"]))))
    body += wire.put(13, sample.get("unit", ""))
    if "user" in sample:
        body += wire.put(14, struct.pack("<Q", random.Random(sample["user"]).getrandbits(64)))
    return wire.put(2, body)


def zigzag(value):
    return value * 2 if value >= 0 else -value * 2 - 1


def message(samples, t_ms, packed):
    if packed:
        return wire.put(1, 1) + b"".join(column(s, t_ms) for s in samples)
    return "\n".join(json.dumps({"t_ms": t_ms, **s}) for s in samples).encode()


def send(bootstrap, topic, messages):
    """One message a file, since any byte may be in them; in this order."""
    with tempfile.TemporaryDirectory(prefix="serin-kinds-") as folder:
        names = []
        for i, content in enumerate(messages):
            names.append(os.path.join(folder, str(i)))
            with open(names[-1], "wb") as file:
                file.write(content)
        subprocess.run(["kcat", "-P", "-b", bootstrap, "-t", topic, "-p", "0", *names], check=True)


BIG = 2 ** 53


def rubbish(t_ms):
    """(message, poison samples, other samples that are no evidence, quarantined)."""
    def one(cohort="canary", **what):
        return {"t_ms": t_ms, "rollout": "twin-bad", "cohort": cohort, **what}
    poison = [one(metric="errors", n=-5, bad=0), one(metric="errors", n=10, bad=-1),
              one(metric="errors", n=10, bad=11), one(metric="errors", n=BIG + 1, bad=0),
              one(metric="time", value=-3), one(metric="time", values=[-1.5, -2]),
              one(metric="time", hist={"scale": 21, "offset": 0, "counts": [5]}),
              one(metric="time", hist={"scale": 5, "offset": 0, "counts": [5, -5]}),
              one(metric="time", hist={"scale": 5, "offset": 0, "counts": [BIG, BIG]}),
              {**one(metric="errors", n=10, bad=1), "t_ms": t_ms + 3600 * 1000},
              {**one(metric="errors", n=10, bad=1), "t_ms": -5}]
    # A metric that is another kind all of a sudden; nothing of nothing.
    other = [one(metric="errors", gauge=0.5, unit="c1"), one(metric="errors", value=12.5),
             one(metric="time", n=7, bad=1), one(metric="cpu", n=7, bad=1),
             one(metric="queue", hist={"scale": 5, "offset": 0, "counts": [5]})]
    yield "\n".join(map(json.dumps, poison)).encode(), len(poison) + 1, 0, 0
    yield "\n".join(map(json.dumps, other)).encode(), 0, len(other), 0
    yield json.dumps(one(metric="errors", n=0, bad=0)).encode(), 0, 0, 0
    nan = [math.nan, math.inf, -math.inf]
    yield message([one(metric="time", values=nan), one(metric="cpu", gauges=nan, unit="c1")],
                  t_ms, True), 6, 0, 0
    for text in ('"n":1e400', '"n":NaN', '"n":2.5', '"n":"7"', '"value":Infinity',
                 '"n":1,"value":3', '"hist":{"scale":5,"counts":[0.5]}'):
        yield ('{"t_ms":%d,"rollout":"twin-bad","cohort":"canary","metric":"errors",%s}'
               % (t_ms, text)).encode(), 0, 0, 1
    yield wire.put(1, 1) + wire.put(2, b"\x0a\xff"), 0, 0, 1  # a length beyond its end


def play(engine, topic, services):
    """All that was sent, in order; and what the counters must say of the rubbish."""
    start = (int(time.time()) // BATCH_S * BATCH_S + 20) * 1000
    messages, count, expected = [], 0, [0, 0, 0]
    for s in range(SECONDS):
        samples = [sample for service in services for sample in service.second(s)]
        messages.append(message(samples, start + s * 1000 + 300, s % 2 == 1))
        for content, *counts in rubbish(start + s * 1000 + 400) if s in (15, 40) else ():
            messages.append(content)
            expected = [a + b for a, b in zip(expected, counts)]
        if s % 10 != 9:
            continue
        send(engine.bootstrap, topic, messages)  # not more than open windows have room for
        count += len(messages)
        live.wait_for("all messages", lambda c=count: (
            engine.metric("serin_ingest_messages_total") == c))
        messages = []
    return expected


def check_verdicts(engine, kind, bad):
    name = f"{kind}-{'bad' if bad else 'good'}"
    try:
        live.wait_for("the end", lambda: engine.verdicts(name)[-1]["final"], 30)
    except AssertionError:
        raise AssertionError(f"{name} goes on: " + engine("explain", name).stdout) from None
    told = engine.verdicts(name)
    ways = [v["verdict"] for v in told]
    print(name, [(v["verdict"], v["reason"]) for v in told], told[-1]["message"])
    if bad:
        live.check(ways == ["PROMOTE", "ABORT"] and told[-1]["reason"] == "harm", told)
        live.check(told[-1]["metric"] in METRICS[kind], told[-1])
    else:
        live.check(set(ways) == {"PROMOTE"} and told[-1]["to_bp"] == 10000, told)


def shown_wrong(engine, service):
    """Counts of closed windows that people are told otherwise."""
    wrong = []
    shown = json.loads(engine("status", f"all-{service.name}", "-o", "json").stdout)
    for metric in shown["metrics"]:
        saturation = metric["kind"] == "saturation"  # a pod counts once a batch
        closed = CLOSED // BATCH_S * BATCH_S if saturation else CLOSED
        for cohort, side in (("c", "canary"), ("b", "baseline")):
            sent = [x for x in service.sent.get((cohort, metric["name"]), []) if x[0] < closed]
            totals = [sum(x[1] for x in sent), sum(x[2] for x in sent)]
            told = [metric[side]["n"], metric[side]["bad"]]
            if saturation:
                told = [told[0] * BATCH_S, 0]
            if told != totals:
                wrong.append((service.name, metric["name"], side, told, totals))
    return wrong


def check_status(engine, services):
    """Soon: the last windows may still be on their way."""
    wrong = []

    def right():
        wrong[:] = [x for service in services for x in shown_wrong(engine, service)]
        return not wrong
    try:
        live.wait_for("the counts", right, 30)
    except AssertionError:
        raise AssertionError(f"status says otherwise than was sent: {wrong}") from None


def check_cells(engine, services):
    """All that was sent is in the inbox, once; a gauge's readings stand with their pods."""
    sums, _ = engine.ingested()
    for service in services:
        for (cohort, metric), sent in service.sent.items():
            totals = [sum(x[1] for x in sent), sum(x[2] for x in sent)]
            if metric in ("crashes", "restarts"):
                totals = [totals[1], 0]  # an exposure is no record
            if metric in ("cpu", "queue"):
                continue
            live.check(sums[f"all-{service.name}", cohort, metric] == totals,
                       f"{service.name} {cohort} {metric}: sent {totals}, {sums}")


def essence(verdict):
    """All but what names the rollout and counts the rubbish."""
    return {k: v for k, v in verdict.items() if k not in
            ("id", "rollout", "plan_hash", "prev_hash", "hash", "sig", "poison")}


def check_twins(engine, expected):
    poison, other, quarantined = expected
    for name, count in (("poison", poison), ("quarantined", quarantined)):
        told = engine.metric(f"serin_ingest_{name}_total")
        live.check(told == count, f"{told} {name}, expected {count}")
    live.check(engine.metric("serin_ingest_unrouted_total") >= other, "all were routed")
    clean, bad = (engine.verdicts(r) for r in ("twin", "twin-bad"))
    live.check([clean[-1]["poison"], bad[-1]["poison"]] == [0, poison], f"{poison}: {bad}")
    live.check(len(json.loads(engine("quarantine", "-o", "json").stdout)["records"]) ==
               quarantined, engine("quarantine").stdout)
    live.check(len(clean) == len(bad) > 1, f"{clean}\n{bad}")
    for one, two in zip(map(essence, clean), map(essence, bad)):
        other = {k: (v, two[k]) for k, v in one.items() if v != two[k]}
        live.check(not other, f"{one['verdict']} differs in {other}")


def main():
    program = os.path.abspath(sys.argv[1])
    bootstrap = os.environ["SERIN_TEST_BOOTSTRAP"]
    topic = f"kinds-{os.getpid()}"
    services = [Service(f"{kind}-{way}", [kind], way == "bad", 7)
                for kind in METRICS for way in ("good", "bad")]
    twin = Service("twin", ["events", "latency", "gauge", "saturation"], False, 8)
    with tempfile.TemporaryDirectory(prefix="serin-kinds-") as folder:
        live.create_topic(bootstrap, topic, 1)
        engine = live.Engine(program, folder, bootstrap, f"{topic}.",
                             f"inputs: [{{topic: {topic}, format: auto}}]\n")
        try:
            for service in services:
                plan = METRICS[service.kinds[0]]
                engine("apply", "-", text=PLAN.format(id=service.name, service=service.name,
                                                      bake="10s") + plan)
                engine("apply", "-", text=PLAN.format(id=f"all-{service.name}", bake="10m",
                                                      service=service.name) +
                       plan.replace("}\n", ", mode: warn}\n") + NEVER)
            for name in ("twin", "twin-bad"):
                engine("apply", "-", text=PLAN.format(id=name, service="twin", bake="1m") + TWIN)
            live.wait_for("the routes", lambda: (
                engine.metric("serin_ingest_rollouts") == 2 * len(services) + 2))
            expected = play(engine, topic, [*services, twin])
            for kind in METRICS:
                check_verdicts(engine, kind, False)
                check_verdicts(engine, kind, True)
            check_status(engine, services)
            check_twins(engine, expected)
            engine.stop()
            check_cells(engine, services)
        finally:
            engine.kill()


if __name__ == "__main__":
    main()
