#!/usr/bin/env python3
"""Kill ingest workers with SIGKILL at random moments under load, on a real broker: the
partials in the inbox add up exactly to the messages produced.

kill.py --tool INGEST_TOOL --loadgen LOADGEN [--rounds N] [--workers N] [--threads N]
        [--seed S]
The broker's address comes in SERIN_TEST_BOOTSTRAP. SERIN_LONG=1: ten times the rounds."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time

MESSAGES, SAMPLES = 40000, 3


class Fleet:
    """The workers of one group; every one has a name of its own and keeps it."""

    def __init__(self, tool, base, topic, n, threads):
        self.command = [tool, *base, "run"]
        self.arguments = [topic, str(threads)]
        self.running = {f"w{i}": None for i in range(n)}

    def start(self):
        for name, process in self.running.items():
            if process is None or process.poll() is not None:
                self.running[name] = subprocess.Popen(
                    [*self.command, name, *self.arguments], stdout=subprocess.PIPE, text=True,
                    env=os.environ | {"SERIN_DEBUG": "1"},  # read when a run fails
                )

    def kill(self, name):
        self.running[name].kill()
        self.running[name].wait()

    def stop(self):
        """Clean stop; the exit codes, None for one that had to be killed."""
        codes = []
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            try:
                codes.append(process.wait(timeout=30))
            except subprocess.TimeoutExpired:
                process.kill()
                codes.append(None)
        return codes


def call(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout) if done.stdout else None


def settled(tool, base, expected, seconds):
    """Wait until the inbox holds what was produced; what it holds then."""
    end = time.monotonic() + seconds
    while True:
        found = call(tool, *base, "sum")
        if found["units"] >= expected["units"] or time.monotonic() > end:
            return found
        time.sleep(1)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tool", required=True)
    p.add_argument("--loadgen", required=True)
    p.add_argument("--rounds", type=int, default=10)
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--threads", type=int, default=1, help="of each worker process")
    p.add_argument("--seed", type=int, default=1)
    o = p.parse_args()
    rounds = o.rounds * (10 if os.environ.get("SERIN_LONG") else 1)
    dice = random.Random(o.seed)
    bootstrap = os.environ["SERIN_TEST_BOOTSTRAP"]
    prefix = f"kill-{os.getpid()}."
    base, topic = (bootstrap, prefix), prefix + "input"
    call(o.tool, *base, "setup")
    load = [o.loadgen, "--bootstrap", bootstrap, "--topic", topic, "--partitions", "4",
            "--rollouts", "10", "--samples", str(SAMPLES), "--messages", str(MESSAGES)]
    expected = {"units": 0, "bad": 0, "samples": 0, "poison": 0}
    call(*load[:-1], "0")  # the topic exists before anybody reads it
    fleet = Fleet(o.tool, base, topic, o.workers, o.threads)
    for _ in range(rounds):
        fleet.start()
        writer = subprocess.Popen(load, stdout=subprocess.PIPE, text=True)
        time.sleep(dice.uniform(0.2, 2.5))
        fleet.kill(dice.choice(list(fleet.running)))
        wrote = json.loads(writer.communicate()[0])
        for key in ("units", "bad"):
            expected[key] += wrote[key]
        expected["samples"] += MESSAGES * SAMPLES
    fleet.start()
    found = settled(o.tool, base, expected, 90)
    codes = fleet.stop()
    found = call(o.tool, *base, "sum")  # nothing may come after it either
    print(json.dumps({"kills": rounds, "workers": o.workers, "found": found}))
    wrong = [f"{k}: {found[k]}, expected {v}" for k, v in expected.items() if found[k] != v]
    if any(code != 0 for code in codes):
        wrong.append(f"workers ended with {codes}")
    if wrong:
        sys.exit("kill.py: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
