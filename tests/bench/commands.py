#!/usr/bin/env python3
"""A person's word until it is in force: HTTP POST -> verdict readable -> 0 % at HAProxy.

commands.py SERIN BOOTSTRAP [--quick] prints one JSON object. Load, servers, HAProxy, engine and
actuator are those of tests/integration/act; a verdict is readable when a consumer of committed
records has it, and in force when HAProxy's own answer about its map says so (looked at every
millisecond or so).
"""
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path[:0] = [os.path.join(ROOT, "support"), os.path.join(ROOT, "integration", "act")]
import live  # noqa: E402
import proxy  # noqa: E402

NAME = "bench"


class Verdicts(threading.Thread):
    """When each verdict came, as somebody else's consumer sees it."""

    def __init__(self, bootstrap):
        super().__init__(daemon=True)
        self.came = []
        self.kcat = subprocess.Popen(
            ["kcat", "-C", "-u", "-q", "-b", bootstrap, "-t", f"act.{NAME}.verdicts", "-o", "end",
             "-X", "isolation.level=read_committed", "-X", "fetch.wait.max.ms=20", "-f", "%k\n"],
            stdout=subprocess.PIPE)

    def run(self):
        while self.kcat.stdout.readline():
            self.came.append(time.monotonic())


def post(world, verb, **body):
    status, text, _ = world.engine.request(
        "POST", f"/v1/rollouts/{NAME}/{verb}",
        json.dumps({"actor": "bench", "reason": "to be timed", **body}),
        {"Content-Type": "application/json"})
    live.check(status in (200, 202), f"{verb}: {status} {text}")


def ask(world, verb, **body):
    """The same, in a thread of its own: the answer waits for the outcome."""
    began = time.monotonic()
    thread = threading.Thread(target=post, args=(world, verb), kwargs=body)
    thread.start()
    return began, thread


def until(test, what, seconds=30):
    end = time.monotonic() + seconds
    while not test():
        live.check(time.monotonic() < end, f"waited in vain for {what}")
        time.sleep(0.001)
    return time.monotonic()


def once(world, verdicts, verb, **body):
    """Milliseconds until the verdict can be read, and until nobody gets the canary."""
    seen = len(verdicts.came)
    began, thread = ask(world, verb, **body)
    off = until(lambda: world.weight() == 0, "0 %") if verb != "hold" else None
    until(lambda: len(verdicts.came) > seen, "the verdict")
    thread.join()
    return (1e3 * (verdicts.came[seen] - began),
            None if off is None else 1e3 * (off - began))


def sample(world, verdicts, rounds):
    readable, off = [], []
    for _ in range(rounds):
        one = once(world, verdicts, "set-weight", weight="0%")
        readable.append(one[0])
        off.append(one[1])
        post(world, "set-weight", weight="20%")
        until(lambda: world.weight() == 2000, "20 %")
        live.wait_for("traffic", lambda: world.status()["state"] in ("OBSERVING", "SETTLING"))
        readable.append(once(world, verdicts, "hold")[0])
        post(world, "resume")
        live.wait_for("RESUME", lambda: world.status()["state"] != "HELD")
    last = once(world, verdicts, "abort")
    return readable + [last[0]], off + [last[1]]


def at(values, share):
    values = sorted(values)
    return round(values[min(len(values) - 1, int(share * len(values)))], 1)


def main():
    program, bootstrap = os.path.abspath(sys.argv[1]), sys.argv[2]
    rounds = 40 if "--quick" in sys.argv else 200
    live.create_topic(bootstrap, proxy.INPUT)
    with tempfile.TemporaryDirectory(prefix="serin-bench-") as folder:
        world = proxy.World(program, folder, bootstrap, NAME)
        verdicts = None
        try:
            world.start()
            verdicts = Verdicts(bootstrap)
            verdicts.start()
            world.begin()
            live.wait_for("the first verdict", lambda: verdicts.came)
            readable, off = sample(world, verdicts, rounds)
        finally:
            if verdicts is not None:
                verdicts.kcat.kill()
            world.stop()
    print(json.dumps({
        "commands": len(readable), "post_to_readable_ms": {"p50": at(readable, .5),
                                                           "p99": at(readable, .99)},
        "taken_off": len(off), "post_to_0_percent_ms": {"p50": at(off, .5),
                                                        "p99": at(off, .99)}}))


if __name__ == "__main__":
    main()
