#!/usr/bin/env python3
"""Copying workers that are killed, joined and left, stopped, and deprived of brokers.

bus_faults.py --program bus_real --mode kill|rebalance|stop|broker|freeze [--brokers 1|3]
              [--rounds N] [--each N] [--rate N] [--seed N]

Input runs all the while; at the end every number must be in the output once and in order.
"""
import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LONG = os.environ.get("SERIN_LONG") == "1"
KAFKA = os.path.join(HERE, "../../support/kafka.sh")


class Brokers:
    def __init__(self, n):
        self.dir = tempfile.mkdtemp(prefix="serin-bus-kafka-")
        os.rmdir(self.dir)
        self.bootstrap = self.run("start", "--port", "0", "--brokers", str(n)).strip()

    def run(self, *words):
        return subprocess.run([KAFKA, *words, "--dir", self.dir], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def pid(self, i):
        with open(f"{self.dir}/broker{i}.pid") as f:
            return int(f.read())


class Worker:
    def __init__(self, a, instance):
        self.log = open(f"{a.out}/{instance}.log", "a")
        self.p = subprocess.Popen([a.program, "worker", a.prefix, instance], env=a.env,
                                  stderr=self.log)
        a.all.append(self)

    def end(self, how=signal.SIGTERM):
        self.p.send_signal(how)
        self.p.wait(60)


def kill(a, rng):
    workers = {name: Worker(a, name) for name in ("w1", "w2")}
    for _ in range(a.rounds):
        time.sleep(0.3 + 2 * rng.random())
        name = rng.choice(list(workers))
        workers[name].end(signal.SIGKILL)
        workers[name] = Worker(a, name)
    return list(workers.values())


def rebalance(a, rng):
    """A second member comes and goes; each leave is noticed at the session time-out."""
    stay = Worker(a, "w1")
    for i in range(a.rounds):
        guest = Worker(a, f"guest{i}")
        time.sleep(2 + 2 * rng.random())
        guest.end()
        time.sleep(2.5 + 2 * rng.random())
    return [stay]


def stop(a, rng):
    """A zombie: halted past its session time-out while another takes over, then woken."""
    workers = [Worker(a, "w1"), Worker(a, "w2")]
    for _ in range(a.rounds):
        time.sleep(3 + rng.random())
        victim = rng.choice(workers)
        victim.p.send_signal(signal.SIGSTOP)
        time.sleep(4 + 8 * rng.random())
        victim.p.send_signal(signal.SIGCONT)
    return workers


def broker(a, rng):
    workers = [Worker(a, "w1"), Worker(a, "w2")]
    for _ in range(a.rounds):
        time.sleep(2 + 2 * rng.random())
        i = str(rng.randint(1, a.brokers))
        a.kafka.run("kill", i)
        time.sleep(2 * rng.random())
        a.kafka.run("restart", i)
    return workers


def freeze(a, rng):
    """The broker halts in the midst of commits: answers get lost, the producer is replaced."""
    workers = [Worker(a, "w1")]
    for _ in range(a.rounds):
        time.sleep(2 + rng.random())
        os.kill(a.kafka.pid(1), signal.SIGSTOP)
        time.sleep(11 + 2 * rng.random())
        os.kill(a.kafka.pid(1), signal.SIGCONT)
    return workers


MODES = {f.__name__: f for f in (kill, rebalance, stop, broker, freeze)}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--program", required=True)
    p.add_argument("--mode", choices=MODES, required=True)
    p.add_argument("--brokers", type=int, default=1)
    p.add_argument("--rounds", type=int, default=20 if LONG else 2)
    p.add_argument("--each", type=int, default=300000 if LONG else 15000)
    p.add_argument("--rate", type=int, default=1500, help="a second and partition")
    p.add_argument("--seed", type=int, default=2385)
    a = p.parse_args()
    a.all = []
    a.out = tempfile.mkdtemp(prefix="serin-bus-")
    a.kafka = Brokers(a.brokers)
    a.env = dict(os.environ, SERIN_TEST_BOOTSTRAP=a.kafka.bootstrap,
                 SERIN_TEST_SESSION_MS="3000" if a.mode in ("rebalance", "stop") else "6000")
    a.prefix = f"{a.mode}."
    workers, feed = [], None
    try:
        feed = subprocess.Popen([a.program, "feed", a.prefix, str(a.each), str(a.rate)], env=a.env)
        workers = MODES[a.mode](a, random.Random(a.seed))
        if feed.wait(300) != 0:
            sys.exit("the feed failed")
        ok = subprocess.run([a.program, "verify", a.prefix, str(a.each)], env=a.env).returncode
        for w in workers:
            ok |= w.p.poll() is not None  # none may have died by itself
        if ok != 0:
            for name in sorted(os.listdir(a.out)):
                print(f"--- {name}")
                with open(f"{a.out}/{name}") as f:
                    print("".join(f.readlines()[-40:]))
        for w in workers:
            w.end()
        sys.exit(ok)
    finally:
        for w in a.all:
            if w.p.poll() is None:
                w.end(signal.SIGKILL)
        if feed is not None and feed.poll() is None:
            feed.kill()
        a.kafka.run("stop")


main()
