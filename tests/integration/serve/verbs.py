#!/usr/bin/env python3
"""The client verbs against a running API: what they print, where, and how they end."""
import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

PLAN = """\
apiVersion: serin/v1
kind: Rollout
id: {id}
cohorts: {{canary: {{v: "2"}}, baseline: {{v: "1"}}}}
metrics: [{{name: errors, kind: ratio, from: {{metric: m}}, abort_over: 1.2}}]
"""


class World:
    def __init__(self, args, folder, stage, wait_ms):
        self.serin, self.folder = args.serin, folder
        self.socket = os.path.join(folder, f"{'stage' if stage else 'none'}.sock")
        self.address = "unix:" + self.socket
        command = [args.world, self.address, str(wait_ms)] + (["stage"] if stage else [])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE)
        self.wait_ready()

    def wait_ready(self):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.process.poll() is not None:
                sys.exit(f"the world ended with {self.process.returncode}")
            try:
                if self.http("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        sys.exit("the world did not become ready: " + str(self.http("GET", "/readyz")))

    def http(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(30)
        connection.sock.connect(self.socket)
        connection.request(method, path, body, headers or {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text)

    def run(self, *words, code=0, stdin=None, env=None, address=True):
        more = {"SERIN_ADDR": self.address} if address else {}
        done = subprocess.run([self.serin, *words], input=stdin, text=True, capture_output=True,
                              timeout=60, env={**os.environ, "USER": "tester", **more,
                                               **(env or {})})
        if done.returncode != code:
            sys.exit(f"serin {' '.join(words)}: exit {done.returncode}, expected {code}\n"
                     f"stdout: {done.stdout}\nstderr: {done.stderr}")
        return done

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=30)
        assert code == 0, f"the world ended with {code}"
        assert not os.path.exists(self.socket), "the socket file was left behind"


def holds(condition, text):
    if not condition:
        sys.exit("verbs.py: " + text)


def plan_file(world, id):
    path = os.path.join(world.folder, id + ".yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(PLAN.format(id=id))
    return path


def until(world, id, state):
    """The process knows the rollout, and in this state (None: in any)."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        status, j = world.http("GET", "/v1/rollouts/" + id)
        if status == 200 and state in (None, j["state"]):
            return
        time.sleep(0.05)
    sys.exit(f"{id} did not become {state}: {world.http('GET', '/v1/rollouts/' + id)}")


def check_apply(world):
    done = world.run("list")
    holds(done.stdout == "" and "serin apply" in done.stderr, "an empty list says what to do")
    done = world.run("apply", plan_file(world, "one"))
    holds(done.stdout.startswith("one: applied"), done.stdout)
    holds("Next: the baseline alone is measured" in done.stderr, done.stderr)
    done = world.run("apply", "-", stdin="id: [\n", code=2)
    holds(done.stdout == "" and "^" in done.stderr, "errors carry a caret: " + done.stderr)
    world.run("apply", "/nonexistent.yaml", code=2)
    status, j = world.http("POST", "/v1/rollouts?actor=ann", "id: x\nnope: 1\n",
                           {"Content-Type": "application/yaml"})
    holds(status == 422 and len(j["errors"]) >= 3, "all errors at once: " + str(j))
    holds(all(e["line"] >= 1 and e["message"] for e in j["errors"]), str(j))


def check_looks(world):
    done = world.run("list")
    holds(done.stdout.splitlines()[0].split() ==
          ["ROLLOUT", "STATE", "STEP", "WEIGHT", "FOR", "WHY"], done.stdout)
    holds("one" in done.stdout and "\033" not in done.stdout, "no colour in a pipe")
    lines = [json.loads(x) for x in world.run("list", "-o", "jsonl").stdout.splitlines()]
    holds([x["rollout"] for x in lines] == ["one"], str(lines))
    j = json.loads(world.run("status", "one", "-o", "json").stdout)
    holds(list(j)[:15] == ["schema", "rollout", "state", "reason", "message", "step", "steps",
                           "weight_bp", "observed_bp", "seq", "since_ms", "eta_ms", "metrics",
                           "gates", "plan_hash"], "field order: " + str(list(j)))
    holds(j["schema"] == "serin.status/1" and len(j["plan_hash"]) == 64, str(j))
    holds('rollout: "one"' in world.run("status", "one", "-o", "yaml").stdout, "yaml")
    holds("one  " in world.run("status", "one").stdout, "a table for people")
    holds(world.run("get", "one", "--plan").stdout == PLAN.format(id="one"), "the plan's bytes")
    holds("log e" in world.run("explain", "one").stdout
          or "step" in world.run("explain", "one").stdout, "explain")
    done = world.run("quarantine")
    holds("metrics/3@77" in done.stdout and "\033" not in done.stdout, done.stdout)
    done = world.run("status", "oen", code=2)
    holds('did you mean "one"?' in done.stderr and done.stdout == "", done.stderr)


def check_acts(world):
    holds("--reason" in world.run("promote", "one", code=2).stderr, "promote wants a reason")
    holds("percent" in world.run("set-weight", "one", "500%", "-r", "x", code=2).stderr, "weight")
    holds("refused" in world.run("resume", "one", code=2).stderr, "nothing to resume")
    done = world.run("hold", "one", "--reason", "lunch", "--actor", "ann")
    holds("one: HELD" in done.stdout and "hold: held" in done.stderr, done.stdout + done.stderr)
    world.run("wait", "one", "--for", "held", code=4)
    world.run("wait", "one", "--timeout", "1s", code=4) # an operator's hold wants a person
    j = json.loads(world.run("history", "one", "-o", "jsonl").stdout.splitlines()[-1])
    holds(j["verdict"] == "HOLD" and j["actor"] == "ann" and j["id"].startswith("one/"), str(j))
    done = world.run("explain", j["id"])
    holds("ordered by ann" in done.stdout.lower(), done.stdout)
    done = world.run("abort", "one", "-o", "json")
    holds(json.loads(done.stdout)["accepted"] is True, done.stdout)
    world.run("wait", "one", code=1)
    world.run("wait", "one", "--for", "held", code=1)
    world.run("get", "one", "--watch", code=1)
    holds("refused" in world.run("hold", "one", code=2).stderr, "final states absorb")


def check_repeat(world):
    """The same Idempotency-Key twice is one command, and has one answer."""
    world.run("apply", plan_file(world, "two"))
    headers = {"Content-Type": "application/json", "Idempotency-Key": "key-12345678"}
    first = world.http("POST", "/v1/rollouts/two/hold", "{}", headers)
    again = world.http("POST", "/v1/rollouts/two/hold", "{}", headers)
    holds(first[0] == again[0] == 200, f"{first} {again}")
    holds(first[1]["command_id"] == again[1]["command_id"] == "key-12345678", str(again))
    holds(first[1]["message"] == again[1]["message"] == "held", f"{first} {again}")
    verdict = json.loads(world.run("history", "two", "-o", "jsonl").stdout.splitlines()[-1])
    holds(verdict["actor"].startswith("uid:"), "the socket's peer acts: " + str(verdict))
    world.run("cancel", "two")
    until(world, "two", "CANCELLED")
    world.run("wait", "two", code=1)


def check_fleet(world):
    """Who has traffic gets an index in the order of the starts, and keeps it at its end."""
    known = len(world.http("GET", "/v1/fleet")[1]["rollouts"])
    for name in ("fleet-a", "fleet-b"):
        plan = PLAN.format(id=name).replace("kind: ratio", "kind: ratio, phi: 1")
        world.run("apply", "-", stdin=plan + "calibrate: skip\n")
        end = time.monotonic() + 30
        while world.http("GET", "/v1/rollouts/" + name)[1]["weight_bp"] == 0:
            holds(time.monotonic() < end, name + " got no weight")
            time.sleep(0.05)
    world.run("abort", "fleet-a")
    until(world, "fleet-a", "ABORTED")
    j = json.loads(world.run("fleet", "-o", "json").stdout)
    holds(j["schema"] == "serin.fleet/1" and j["level"] == 0.05, str(j))
    last = j["rollouts"][known:]
    holds([(e["index"], e["rollout"]) for e in last] ==
          [(known + 1, "fleet-a"), (known + 2, "fleet-b")], str(j))
    holds(last[0]["ended_ms"] >= last[0]["started_ms"] > 0 and last[1]["ended_ms"] is None, str(j))
    holds(last[1]["threshold"] > last[0]["threshold"] > 2.99, "levels fall: " + str(j))
    holds(j["discoveries"] == 0 and not any(e["discovery"] for e in j["rollouts"]), str(j))
    shown = {r["rollout"]: r["fleet"] for r in world.http("GET", "/v1/rollouts")[1]["rollouts"]}
    holds(shown["fleet-b"]["index"] == known + 2 and shown["one"] is None, str(shown))
    holds("FLEET" in world.run("list").stdout, "a column of the list")
    holds("0 of 2 rollouts are bad" in world.run("fleet").stdout, "a table for people")


def check_many(world):
    """Commands at once: each gets its own answer."""
    names = [f"many-{i}" for i in range(12)]
    answers = {}

    def one(name):
        answers[name] = world.http("POST", "/v1/rollouts?actor=ann", PLAN.format(id=name),
                                   {"Content-Type": "application/yaml"})

    threads = [threading.Thread(target=one, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names:
        status, j = answers[name]
        holds(status == 200 and j["rollout"] == name, f"{name}: {status} {j}")
    listed = world.http("GET", "/v1/rollouts")[1]["rollouts"]
    holds([r["rollout"] for r in listed if r["rollout"] in names] == sorted(names), "sorted")


def check_undecided(world):
    """Without a stage a command is written but not decided; nobody else waits for it."""
    result = {}

    def slow():
        start = time.monotonic()
        result["answer"] = world.http("POST", "/v1/rollouts?actor=a", PLAN.format(id="slow"),
                                      {"Content-Type": "application/yaml"})
        result["end"] = time.monotonic() - start

    thread = threading.Thread(target=slow)
    thread.start()
    looks = 0
    while thread.is_alive():
        holds(world.http("GET", "/livez")[0] == 200, "livez")
        looks += 1
    thread.join()
    status, j = result["answer"]
    holds(status == 202 and j["accepted"] is None and len(j["command_id"]) == 32, str(j))
    holds(looks >= 2, "a look had to wait for the command")
    done = world.run("apply", plan_file(world, "slow"), code=3)
    holds("not decided yet" in done.stderr, done.stderr)


def check_stream(world):
    """Server-sent events: what stands, then the verdict that a command brings."""
    connection = http.client.HTTPConnection("localhost", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(30)
    connection.sock.connect(world.socket)
    connection.request("GET", "/v1/rollouts/many-1/events")
    answer = connection.getresponse()
    holds(answer.getheader("Content-Type") == "text/event-stream", str(answer.headers))
    holds(answer.readline() == b"event: status\n", "status")
    world.run("hold", "many-1")
    for line in iter(answer.readline, b""):
        if line == b"event: verdict\n":
            break
    holds(answer.readline().startswith(b"id: many-1/"), "the verdict's id")
    connection.close()


def check_unreachable(world):
    done = world.run("list", "--addr", "unix:/nonexistent/serin.sock", code=5)
    holds("serin run" in done.stderr and done.stdout == "", done.stderr)
    world.run("list", "--addr", "nonsense", code=2)
    world.run("list", "-o", "xml", code=2)
    world.run("wait", "one", "--for", "lunch", code=2)
    world.run("wait", "one", "--timeout", "soon", code=2)
    world.run("explain", "one/x", code=2)
    world.run("status", "a/../b", code=2)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serin", required=True)
    parser.add_argument("--world", required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="serin-verbs-") as folder:
        world = World(args, folder, True, 20000)
        for check in (check_apply, check_looks, check_acts, check_repeat, check_fleet,
                      check_many, check_stream, check_unreachable):
            check(world)
            print("ok", check.__name__, flush=True)
        world.close()
        world = World(args, folder, False, 1500)
        check_undecided(world)
        holds("fleet: {level: 5%}" in world.run("fleet", code=2).stderr, "no level, no fleet")
        world.close()
        print("ok check_undecided")


if __name__ == "__main__":
    main()
