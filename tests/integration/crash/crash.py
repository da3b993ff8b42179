#!/usr/bin/env python3
"""Kill the engine, or a broker, again and again under load; then compare.

  crash.py --serin PATH [--mode kill|rebalance|broker|outage] [--rounds N] [--rollouts N]
           [--seed N] [--kafka DIR] [--keep]

A real broker (tests/support/kafka.sh), rollouts with short plans, a load of JSON lines.
When all rollouts have ended: a read_committed reader of serin.verdicts must see exactly
the verdicts (same bytes, none lost, none twice) that one uninterrupted fold over the same
inbox gives (serin record --inbox, serin replay on 1, 2 and 4 threads, and in three
pieces); so must what the engine recorded itself meanwhile, segment by segment. The
partials in the inbox must add up exactly to what was produced. kcat reads and writes;
nothing here shares code with serin but the binary under test.

  kill       SIGKILL of the only process at random moments, started again at once
  rebalance  a second process comes and goes, by SIGTERM and by SIGKILL in turn
  broker     one of three brokers is killed and started again
  outage     the only broker is killed and started again
"""
import argparse
import glob
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from wire import (ABORT, APPLY, HOLD, RESUME, command, fields, first,  # noqa: E402
                  partition, verdict)

PARTITIONS = 4


def say(*words):
    print(f"[{time.strftime('%H:%M:%S')}]", *words, flush=True)


# ---------------------------------------------------------------- kcat
class Kafka:
    def __init__(self, dir, brokers):
        self.dir, self.brokers = dir, brokers
        self.script = os.path.join(ROOT, "tests/support/kafka.sh")
        self.bootstrap = self.run("start", "--brokers", str(brokers), "--port", "0").strip()

    def run(self, *args):
        return subprocess.run([self.script, *args, "--dir", self.dir], check=True,
                              stdout=subprocess.PIPE, text=True).stdout

    def send(self, topic, key, value):
        part = partition(key, PARTITIONS)
        with tempfile.NamedTemporaryFile() as file:
            file.write(value)
            file.flush()
            subprocess.run(["kcat", "-E", "-P", "-b", self.bootstrap, "-t", topic, "-p", str(part),
                            "-k", key, "-X", "enable.idempotence=true", file.name],
                           check=True, stderr=subprocess.DEVNULL)

    def read(self, topic):
        """All committed records of a topic: (partition, offset, key, value)."""
        out = subprocess.run(["kcat", "-C", "-b", self.bootstrap, "-t", topic, "-e", "-q",
                              "-o", "beginning", "-X", "isolation.level=read_committed",
                              "-f", "%p %o %K %S\n%k%s\n"], check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        at, records = 0, []
        while at < len(out):
            end = out.index(b"\n", at)
            part, offset, klen, vlen = map(int, out[at:end].split())
            klen, vlen, at = max(klen, 0), max(vlen, 0), end + 1
            records.append((part, offset, out[at:at + klen].decode(),
                            out[at + klen:at + klen + vlen]))
            at += klen + vlen + 1
        return records


# ---------------------------------------------------------------- what is judged
def plan(rollout):
    # Ingest drops what arrives for a rollout that has ended; so the sums are taken from
    # rollouts that bake on until they are aborted at the end.
    bake = "24h" if rollout.startswith("sum") else "2s"
    return f"""apiVersion: serin/v1
kind: Rollout
id: {rollout}
cohorts: {{canary: {{v: c}}, baseline: {{v: b}}}}
window: 1s
calibrate: skip
sample_ratio: {{check: false}}
steps:
  - {{weight: 10%, worse_than: 4, bake: {bake}, timeout: 48h, warmup: 0s}}
  - {{weight: 50%, worse_than: 3, bake: 2s, warmup: 0s}}
  - {{weight: 100%, watch: 3s, warmup: 0s}}
metrics:
  - {{name: errors, kind: ratio, phi: 1, abort_over: 1.2}}
"""


class Load(threading.Thread):
    """JSON lines through kcat; the sums of what was written are the truth."""

    def __init__(self, kafka, rollouts, seed):
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.rollouts = list(rollouts)
        self.sums = {}
        self.lines = 0
        self.stop = False
        self.kcat = subprocess.Popen(
            ["kcat", "-E", "-P", "-b", kafka.bootstrap, "-t", "load.inbox", "-X",
             "enable.idempotence=true", "-X", "linger.ms=10", "-X",
             "message.timeout.ms=300000", "-X", "reconnect.backoff.max.ms=1000", "-X",
             "topic.metadata.refresh.interval.ms=5000"],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE)

    def line(self, rollout, i, cohort):
        # Every third canary is bad, the others are fine.
        harm = i % 3 == 1 and cohort == "canary" and not rollout.startswith("sum")
        rate = 0.2 if harm else 0.02
        n = self.random.randint(20, 60)
        bad = sum(self.random.random() < rate for _ in range(n))
        key = (rollout, cohort)
        total = self.sums.setdefault(key, [0, 0])
        total[0] += n
        total[1] += bad
        return json.dumps({"t_ms": int(time.time() * 1000), "rollout": rollout,
                           "cohort": cohort, "metric": "errors", "n": n, "bad": bad})

    def run(self):
        while not self.stop:
            lines = [self.line(r, i, c) for i, r in enumerate(list(self.rollouts))
                     for c in ("canary", "baseline")]
            self.lines += len(lines)
            self.kcat.stdin.write(("\n".join(lines) + "\n").encode())
            self.kcat.stdin.flush()
            time.sleep(0.05)

    def finish(self):
        self.stop = True
        self.join()
        self.kcat.stdin.close()
        errors = self.kcat.stderr.read().decode()
        if self.kcat.wait() != 0 or "Delivery failed" in errors:
            raise SystemExit(f"kcat could not write the load: {errors}")


class Operator(threading.Thread):
    """Applies one rollout after the other, holds and resumes: verdicts at all times."""

    def __init__(self, kafka, load, rollouts, counted, seed):
        super().__init__(daemon=True)
        self.kafka, self.load, self.random = kafka, load, random.Random(seed)
        self.rollouts, self.counted = list(rollouts), counted
        self.stop = False
        self.sent, self.held = 0, {}

    def apply_next(self):
        rollout = self.rollouts.pop(0)
        self.kafka.send("serin.inbox", rollout, command(rollout, APPLY, plan(rollout)))
        self.load.rollouts.append(rollout)

    def act(self):
        """Hold or resume one of them; returns when Kafka has it."""
        rollout = self.random.choice(self.counted)
        self.held[rollout] = not self.held.get(rollout, False)
        self.kafka.send("serin.inbox", rollout,
                        command(rollout, HOLD if self.held[rollout] else RESUME))
        self.sent += 1

    def run(self):
        while not self.stop:
            self.act()
            if self.rollouts and self.sent % 5 == 0:
                self.apply_next()
            time.sleep(self.random.uniform(0.05, 0.4))

    def finish(self):
        self.stop = True
        self.join()
        while self.rollouts:
            self.apply_next()


class Engine:
    def __init__(self, serin, dir, name, kafka, session_ms):
        self.name, self.log = name, os.path.join(dir, name + ".log")
        self.config = os.path.join(dir, name + ".yaml")
        self.serin, self.process, self.starts = serin, None, 0
        with open(self.config, "w") as file:
            # A member that is gone shall not be waited for long: many rebalances in a
            # short time are the point here.
            file.write(f"""kafka: {{bootstrap.servers: "{kafka.bootstrap}", session.timeout.ms: {session_ms}}}
instance: {name}
inputs: [{{topic: load.inbox, format: json}}]
topics: {{partitions: {PARTITIONS}}}
http: {{listen: "unix:{dir}/{name}.sock"}}
record: {{dir: "{dir}/{name}.ring", what: both, segment_age: 4s}}
""")

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.serin, "run", "--config", self.config],
                                            stdout=log, stderr=log)
        self.starts += 1

    def alive(self):
        if self.process is not None and self.process.poll() is not None:
            raise SystemExit(f"{self.name} ended by itself with {self.process.returncode}; "
                             f"its last words:\n{self.tail()}")

    def tail(self):
        with open(self.log, "rb") as log:
            return log.read()[-3000:].decode(errors="replace")

    def end(self, sig=signal.SIGTERM):
        self.alive()
        self.process.send_signal(sig)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit(f"{self.name} did not stop within 60 s:\n{self.tail()}")
        if sig == signal.SIGTERM and code != 0:
            raise SystemExit(f"{self.name} ended with {code}:\n{self.tail()}")
        self.process = None


# ---------------------------------------------------------------- chaos
def kill(engines, kafka, operator, rng, rounds):
    for i in range(rounds):
        if i % 2:
            time.sleep(rng.choice([rng.uniform(0.02, 0.6), rng.uniform(0.5, 3)]))
        else:  # while a verdict is on its way
            time.sleep(rng.uniform(0.6, 2))
            operator.act()
            time.sleep(rng.uniform(0, 0.04))
        engines[0].end(signal.SIGKILL)
        engines[0].start()
        if i % 10 == 9:
            say(f"{i + 1} kills")


def rebalance(engines, kafka, operator, rng, rounds):
    for i in range(rounds):
        engines[1].start()
        time.sleep(rng.uniform(0.5, 5))
        engines[1].end(signal.SIGKILL if i % 2 else signal.SIGTERM)
        engines[0].alive()
        # Sometimes it is back before its session ends, more often after.
        time.sleep(rng.choice([rng.uniform(0.1, 2), rng.uniform(3, 6)]))
    with open(engines[0].log) as log:
        moves = sum(" partitions came" in line or " partitions went" in line for line in log)
    say(f"a second process came and went {rounds} times; {moves} rebalances seen")
    if moves < rounds:
        raise SystemExit("too few rebalances: nothing was tested")


def broker(engines, kafka, operator, rng, rounds):
    for i in range(rounds):
        which = str(rng.randint(1, kafka.brokers))
        time.sleep(rng.uniform(0.5, 4))
        kafka.run("kill", which)
        time.sleep(rng.uniform(0.5, 6))
        kafka.run("restart", which)
        engines[0].alive()
        say(f"broker {which} killed and started again")


def inbox_sums(kafka, rollouts):
    sums, names = {}, {1: "canary", 2: "baseline"}
    for _, _, _, value in kafka.read("serin.inbox"):
        partial = first(value, 2)
        if partial is None:
            continue
        rollout = first(partial, 1, b"").decode()
        if rollout not in rollouts:
            continue
        for n, cell, _, _ in fields(partial):
            if n == 3:
                total = sums.setdefault((rollout, names[first(cell, 1)]), [0, 0])
                total[0] += first(cell, 5, 0)
                total[1] += first(cell, 6, 0)
    return sums


def wait_for(what, seconds, engines, check):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for engine in engines:
            engine.alive()
        if check():
            return True
        time.sleep(1)
    say(f"gave up waiting for {what} after {seconds} s")
    return False


def other_ways(engine, recording, replay):
    """The same verdicts on any number of threads, and after cut and merge."""
    def run(*args):
        return subprocess.run([engine.serin, *args], stdout=subprocess.PIPE, text=True,
                              check=True).stdout
    problems = []
    for threads in ("1", "2", "4"):
        if run("replay", "--inbox", recording, "--raw", "--threads", threads) != replay:
            problems.append(f"{threads} threads give other verdicts")
    info = json.loads(run("recording", "info", recording, "-o", "json"))
    third = (info["last_ms"] - info["first_ms"]) // 3
    ends = [info["first_ms"] + third, info["first_ms"] + 2 * third]
    pieces = [f"{recording}.{i}" for i in range(3)]
    for piece, start, end in zip(pieces, [None, *ends], [*ends, None]):
        run("recording", "cut", recording, "--out", piece,
            *(["--from", str(start)] if start else []), *(["--to", str(end)] if end else []))
    run("recording", "merge", *reversed(pieces), "--out", recording + ".merged")
    if run("replay", "--inbox", recording + ".merged", "--raw") != replay:
        problems.append("cut and merged it gives other verdicts")
    say(f"{len(replay.splitlines())} verdicts from {info['records']} records, hash "
        f"{hashlib.blake2b(replay.encode(), digest_size=8).hexdigest()} on 1, 2, 4 threads and in "
        f"three pieces")
    return problems


def ring(engine, dir, replay):
    """What the engine recorded itself through all of this: one whole, without holes."""
    files = sorted(glob.glob(os.path.join(dir, engine.name + ".ring", "*")))
    merged, inputs = os.path.join(dir, "ring.rec"), os.path.join(dir, "inputs.rec")
    for args in (["recording", "merge", *files, "--out", merged],
                 ["record", "--inputs", "--config", engine.config, "-o", inputs]):
        subprocess.run([engine.serin, *args], check=True)
    counts = [json.loads(subprocess.run(
        [engine.serin, "recording", "info", file, "-o", "json"], stdout=subprocess.PIPE, text=True,
        check=True).stdout)["records_of"]["load.inbox"] for file in (merged, inputs)]
    problems = []
    if not all(file.endswith(".rec") for file in files) or len(files) < 3 + engine.starts // 3:
        problems.append(f"{engine.starts} starts left the segments {files}")
    if counts[0] != counts[1]:
        problems.append(f"{counts[0]} inputs are in the ring, {counts[1]} in the topic")
    out = subprocess.run([engine.serin, "replay", "--inbox", merged, "--raw"],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    if out != replay:
        problems.append("the ring gives other verdicts than the inbox")
    say(f"{len(files)} segments of {engine.starts} starts hold {counts[0]} inputs and all verdicts")
    return problems


def compare(kafka, engine, dir):
    """Live verdicts against one uninterrupted fold over the same inbox."""
    recording = os.path.join(dir, "inbox.rec")
    subprocess.run([engine.serin, "record", "--inbox", "--config", engine.config, "-o",
                    recording], check=True)
    replay = subprocess.run([engine.serin, "replay", "--inbox", recording, "--raw"],
                            stdout=subprocess.PIPE, text=True, check=True).stdout
    piped = subprocess.run(
        f"'{engine.serin}' record --inbox --config '{engine.config}' -o - |"
        f" '{engine.serin}' replay --inbox - --raw", shell=True, stdout=subprocess.PIPE,
        text=True, check=True).stdout
    problems = other_ways(engine, recording, replay) + ring(engine, dir, replay)
    want = dict(line.split() for line in replay.splitlines())
    live = [verdict(value) for _, _, _, value in kafka.read("serin.verdicts")]
    got, order = {}, {}
    if piped != replay:
        problems.append("a recording through a pipe gives other verdicts")
    for id, rollout, _, digest in live:
        seq = int(id.rsplit("/", 1)[1])
        if id in got:
            problems.append(f"{id} stands twice in serin.verdicts")
        if seq != order.get(rollout, 0) + 1:
            problems.append(f"{id} follows {rollout}/{order.get(rollout, 0)}")
        got[id], order[rollout] = digest, seq
        if id not in want:
            problems.append(f"{id} is not what an uninterrupted fold says")
        elif want[id] != digest:
            problems.append(f"{id} has other bytes than in an uninterrupted fold")
    problems += [f"{id} was lost" for id in want if id not in got]
    return len(got), problems


def test(args, dir, cleanup):
    rng = random.Random(args.seed)
    kafka = Kafka(os.path.join(dir, "kafka"), 3 if args.mode == "broker" else 1)
    cleanup.append(lambda: kafka.run("stop"))
    session_ms = 3000 if args.mode == "rebalance" else 10000
    engines = [Engine(args.serin, dir, f"engine{i}", kafka, session_ms) for i in (1, 2)]
    cleanup.append(lambda: [e.process.kill() for e in engines if e.process])
    rollouts = [f"crash-{i}" for i in range(args.rollouts)]
    counted = [f"sum-{i}" for i in range(2)]
    # kcat cannot create topics; serin's own of another prefix serve as input.
    load_config = os.path.join(dir, "load.yaml")
    with open(load_config, "w") as file:
        file.write(f"""kafka: {{bootstrap.servers: "{kafka.bootstrap}"}}
topics: {{prefix: load., partitions: 3}}
""")
    for config in (load_config, engines[0].config):
        subprocess.run([args.serin, "topics", "create", "--config", config], check=True,
                       stdout=subprocess.DEVNULL)
    time.sleep(2)  # until every broker knows them
    engines[0].start()
    for rollout in counted:
        kafka.send("serin.inbox", rollout, command(rollout, APPLY, plan(rollout)))
    # An ingest worker must know a rollout before its samples: only then sums can agree.
    wait_for("rows", 60, engines[:1], lambda: {k for _, _, k, _ in kafka.read(
        "serin.rollouts")} >= set(counted))
    time.sleep(1.5)
    load = Load(kafka, counted, args.seed)
    cleanup.append(load.kcat.kill)
    load.start()
    operator = Operator(kafka, load, rollouts, counted, args.seed)
    operator.start()
    begin = time.monotonic()
    say(f"{args.mode}: {args.rounds} rounds, {args.rollouts} rollouts, seed {args.seed}")
    {"kill": kill, "rebalance": rebalance, "broker": broker, "outage": broker}[args.mode](
        engines, kafka, operator, rng, args.rounds)
    operator.finish()

    def finals():
        return {v[1] for v in (verdict(r[3]) for r in kafka.read("serin.verdicts")) if v[2]}
    wait_for("all rollouts to end", 60, engines[:1], lambda: finals() >= set(rollouts))
    load.finish()
    seconds = time.monotonic() - begin
    truth = {k: v for k, v in load.sums.items() if k[0] in counted}
    summed = wait_for("the inbox", 60, engines[:1], lambda: inbox_sums(kafka, counted) == truth)
    rollouts += counted
    for rollout in sorted(set(rollouts) - finals()):
        if rollout not in counted:
            say(f"{rollout} did not end by itself; aborting it")
        kafka.send("serin.inbox", rollout, command(rollout, ABORT))
    ended = wait_for("the aborts", 60, engines[:1], lambda: finals() >= set(rollouts))
    time.sleep(2)  # for the recorder, which reads by itself
    engines[0].end()
    n, problems = compare(kafka, engines[0], dir)
    if not ended:
        problems.append(f"no end for {sorted(set(rollouts) - finals())}")
    if not summed:
        problems.append(f"produced {truth}, in the inbox {inbox_sums(kafka, counted)}")
    if n < 3 * args.rollouts + operator.sent // 2:
        problems.append(f"only {n} verdicts: nothing was tested")
    say(f"{n} verdicts, {load.lines} lines of load in {seconds:.0f} s, "
        f"{engines[0].starts + engines[1].starts} starts, {len(problems)} problems")
    return problems


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--serin", required=True)
    p.add_argument("--mode", choices=["kill", "rebalance", "broker", "outage"], default="kill")
    p.add_argument("--rounds", type=int, default=10)
    p.add_argument("--rollouts", type=int, default=6)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--keep", action="store_true", help="keep logs and the recording")
    args = p.parse_args()
    if os.environ.get("SERIN_LONG"):
        args.rounds *= 10 if args.mode == "kill" else 5
        args.rollouts *= 5
    args.serin = os.path.abspath(args.serin)
    dir = tempfile.mkdtemp(prefix="serin-crash-")
    cleanup, problems = [], ["did not get to its end"]
    try:
        problems = test(args, dir, cleanup)
    finally:
        for act in reversed(cleanup):
            try:
                act()
            except Exception as error:  # the other ones must run all the same
                say(f"cleaning up: {error}")
        if problems or args.keep:
            say(f"logs in {dir}")
        else:
            shutil.rmtree(dir, ignore_errors=True)
    for problem in problems[:20]:
        print("FAILED:", problem)
    sys.exit(1 if problems else 0)


main()
