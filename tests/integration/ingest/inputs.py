#!/usr/bin/env python3
"""Two inputs and two ingest threads on a real broker: defaults, a limit of its own, a record's
content type, what `serin top` shows of every partition, and what `serin input check` finds.

inputs.py SERIN, with SERIN_TEST_BOOTSTRAP."""

import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import live  # noqa: E402

PLAN = """\
id: {id}
cohorts: {{canary: {{version: "2"}}, baseline: {{version: "1"}}}}
calibrate: skip
steps: [{{weight: 5%, worse_than: 3, bake: 10m}}, {{weight: 100%}}]
metrics: [{{name: {metric}, phi: 1}}]
"""
RECORDS = 60


def produce(bootstrap, topic, lines, *options):
    subprocess.run(["kcat", "-P", "-b", bootstrap, "-t", topic, *options],
                   input="\n".join(lines), text=True, check=True)


def line(version, **more):
    return json.dumps({"t_ms": int(time.time() * 1000), "n": 10, "bad": 1,
                       "attributes": {"version": version}, **more})


def plan(folder, name, metric):
    path = os.path.join(folder, f"{name}.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(PLAN.format(id=name, metric=metric))
    return path


def top(engine, *options):
    return json.loads(engine("top", "--once", "-o", "json", *options).stdout)


def total(rows, topic, field):
    return sum(row.get(field, 0) for row in rows if row["topic"] == topic)


def main():
    bootstrap, prefix = os.environ["SERIN_TEST_BOOTSTRAP"], f"inputs-{os.getpid()}."
    plain, raw = "plain-" + prefix + "in", "raw-" + prefix + "in"
    folder = tempfile.mkdtemp(prefix="serin-inputs-")
    for topic in (plain, raw):
        live.create_topic(bootstrap, topic)
    engine = live.Engine(
        sys.argv[1], folder, bootstrap, prefix,
        f"inputs:\n  - {{topic: {plain}, max_message: 1KiB}}\n"
        f"  - {{topic: {raw}, format: influx, defaults: {{metric: errors}}}}\n"
        "ingest_threads: 2\nlimits: {memory: 64MiB}\n")
    try:
        look(engine, folder, bootstrap, prefix, plain, raw)
        engine.stop()
    finally:
        engine.kill()


def look(engine, folder, bootstrap, prefix, plain, raw):
    engine("apply", plan(folder, "shop-2", "errors"))
    produce(bootstrap, plain, [line(str(1 + i % 2), metric="errors") for i in range(RECORDS)])
    produce(bootstrap, plain, [line("2", metric="errors", note="x" * 2000), '{"t_ms"'])
    # This topic's format is another one: the header wins, and the metric is the default's.
    produce(bootstrap, raw, [line("2") for _ in range(RECORDS)],
            "-H", "content-type=application/x-serin-json")
    produce(bootstrap, raw, ["no format at all"])

    def settled():
        rows = top(engine)["partitions"]
        done = total(rows, plain, "messages") + total(rows, raw, "messages")
        return rows if done == 2 * RECORDS + 3 else None
    rows = live.wait_for("all records", settled)
    live.check(total(rows, plain, "samples") == RECORDS == total(rows, raw, "samples"),
               f"samples: {rows}")
    live.check(total(rows, plain, "decoded") == RECORDS, f"decoded: {rows}")
    reasons = [r["quarantined_by"] for r in rows if r["quarantined"]]
    found = {}
    for one in reasons:
        for reason, n in one.items():
            found[reason] = found.get(reason, 0) + n
    live.check(found.get("oversize") == 1 and found.get("bad_json") == 1 and
               sum(found.values()) == 3, f"quarantined: {found}")
    for name in ("messages", "samples", "routed", "unrouted"):
        told = engine.metric(f"serin_ingest_{name}_total")
        live.check(told == sum(row[name] for row in rows), f"{name}: {told}, not {rows}")
    workers = live.wait_for("both threads to have partitions", lambda: [
        w for w in [top(engine)["workers"]] if all(one["partitions"] == 4 for one in w)])[0]
    live.check(len(workers) == 2 and all(
        w["memory_bytes"] <= w["memory_limit_bytes"] == 32 << 20 for w in workers),
               f"workers: {workers}")
    order = [r["messages"] for r in top(engine, "--sort", "messages")["partitions"]]
    live.check(order == sorted(order, reverse=True), f"not sorted: {order}")
    check_input(engine, folder, bootstrap, prefix, plain)


def check_input(engine, folder, bootstrap, prefix, topic):
    config = os.path.join(folder, "serin.yaml")
    told = json.loads(engine("input", "check", topic, "-c", config, "-o", "json").stdout)
    rollout = told["rollouts"][0]
    live.check(rollout["rollout"] == "shop-2" and rollout["missing"] == [] and
               told["samples"] == RECORDS, f"check: {told}")
    wrong = plan(folder, "shop-3", "erors")
    told = engine("input", "check", topic, "-c", config, "--plan", wrong, code=4).stdout
    live.check('metric erors asks for erors; seen: errors; did you mean "errors"?' in told,
               f"check: {told}")
    few = json.loads(engine("input", "check", topic, "-c", config, "--last", "2", "-o",
                            "json").stdout)
    live.check(0 < few["records"] <= 8, f"--last 2 of 4 partitions: {few['records']}")


if __name__ == "__main__":
    main()
