#!/usr/bin/env python3
"""A real broker goes away and comes back: the API goes on answering what it knows, refuses
commands in bounded time without keeping others waiting, and needs no restart. A second
process without a stage answers for the same rollouts."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from verbs import PLAN, World, holds, plan_file, until  # noqa: E402

KAFKA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support/kafka.sh")


def kafka(*words):
    done = subprocess.run([KAFKA, *words], text=True, stdout=subprocess.PIPE, check=True)
    return done.stdout.strip()


def post(world, path, timeout_s):
    """Status and answer of a command; the rest of the API must answer meanwhile."""
    result = {}

    def act():
        start = time.monotonic()
        result["answer"] = world.http("POST", path, "{}")
        result["took"] = time.monotonic() - start

    thread = threading.Thread(target=act)
    thread.start()
    while thread.is_alive():
        holds(world.http("GET", "/v1/rollouts/one")[0] == 200, "a look during the outage")
        time.sleep(0.2)
    thread.join()
    holds(result["took"] < timeout_s, f"{path} took {result['took']:.1f} s")
    return result["answer"]


def accepted_again(world, path):
    """The first try that is accepted after the broker's return."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        status, answer = post(world, path, 28)
        if status == 200:
            return answer
        time.sleep(0.2)
    sys.exit(f"{path} is still refused: {status} {answer}")


def check(args, folder, port):
    with_stage = World(args, folder, True, 5000)
    other = World(args, folder, False, 5000)
    with_stage.run("apply", plan_file(with_stage, "one"))
    until(other, "one", None)
    status, answer = other.http("POST", "/v1/rollouts/one/hold", "{}")
    holds(status == 200, f"another process' command: {status} {answer}")
    until(with_stage, "one", "HELD")
    print("ok two processes", flush=True)
    kafka("kill", "1", "--port", port)
    time.sleep(1)
    status, answer = post(with_stage, "/v1/rollouts/one/abort", 20)
    holds(status == 503 and "may still take effect" in answer["message"], f"{status} {answer}")
    with_stage.run("status", "one")
    done = with_stage.run("abort", "one", code=5)
    holds("abort of one" in done.stderr, done.stderr)
    print("ok outage", flush=True)
    kafka("restart", "1", "--port", port)
    accepted_again(other, "/v1/rollouts/one/resume")
    for name in ("three", "four"):
        status, answer = with_stage.http("POST", "/v1/rollouts?actor=a", PLAN.format(id=name),
                                         {"Content-Type": "application/yaml"})
        holds(status == 200, f"{status} {answer}")
        until(other, name, None)
    with_stage.close()
    other.close()
    print("ok return", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serin", required=True)
    parser.add_argument("--world", required=True)
    args = parser.parse_args()
    bootstrap = kafka("start", "--port", "0")
    port = bootstrap.rsplit(":", 1)[1]
    os.environ["SERIN_TEST_BOOTSTRAP"] = bootstrap
    try:
        with tempfile.TemporaryDirectory(prefix="serin-outage-") as folder:
            check(args, folder, port)
    finally:
        kafka("stop", "--port", port)


main()
