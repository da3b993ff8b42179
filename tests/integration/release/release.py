#!/usr/bin/env python3
"""What a release waits for, on a real broker: external checks, other rollouts of its service.

Two engines, so two runners, one of which is killed while a webhook hangs. The webhook
verifies the signature by Python's hmac. Nothing is promoted before every check has passed, an
unreachable webhook holds with its reason, and of one service one rollout at a time has traffic.
"""
import hashlib
import hmac
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import live  # noqa: E402

PREFIX, INPUT, SECRET = "release.", "release-metrics", "a-shared-secret"
HEAD = """\
id: {id}
service: {service}
cohorts: {{canary: {{v: {id}}}, baseline: {{v: old}}}}
calibrate: skip
window: 1s
steps:
  - {{weight: 20%, worse_than: 3, bake: 2s, warmup: 1s, timeout: 1h}}
  - {{weight: 50%, worse_than: 2, bake: 1h, warmup: 1s, timeout: 2h}}
  - {{weight: 100%}}
metrics: [{{name: errors, phi: 1}}]
sample_ratio: {{check: false}}
"""
CHECKS = """\
checks:
  load: {{kind: webhook, url: "http://127.0.0.1:{port}/hook/load", secret_file: load.key,
         timeout: 1s, retries: 0, every: 1s, valid: 10s}}
  smoke: {{kind: exec, target: smoke, timeout: 5s, retries: 0, every: 1s, valid: 10s}}
criteria: {{all_of: [errors, load, smoke]}}
"""


class Hook(http.server.BaseHTTPRequestHandler):
    """Answers as `mode` says: pass, fail, hang, nonsense. Notes every wrong signature."""
    mode, wrong, asked = "fail", [], []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        said = dict(part.split("=") for part in self.headers["X-Serin-Signature"].split(","))
        mac = hmac.new(SECRET.encode(), said["t"].encode() + b"." + body, hashlib.sha256)
        if not hmac.compare_digest(mac.hexdigest(), said["v1"]):
            Hook.wrong.append(body)
        Hook.asked.append(json.loads(body))
        mode = Hook.mode
        if mode == "hang":
            time.sleep(5)
        answer = (b"fine" if mode == "nonsense" else
                  json.dumps({"pass": mode == "pass", "message": f"p99 of {mode}"}).encode())
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except OSError:
            pass  # it was given up

    def log_message(self, format, *args):
        pass


class Traffic(threading.Thread):
    """Every rollout that was named, with and without traffic: what is not routed is dropped."""

    def __init__(self, bootstrap, rollouts):
        super().__init__(daemon=True)
        self.rollouts, self.stopping = rollouts, threading.Event()
        self.kcat = subprocess.Popen(["kcat", "-P", "-b", bootstrap, "-t", INPUT, "-X",
                                      "linger.ms=5"], stdin=subprocess.PIPE, text=True)

    def run(self):
        while not self.stopping.wait(0.2):
            for rollout in self.rollouts:
                for cohort, n in (("canary", 2000), ("baseline", 8000)):
                    self.kcat.stdin.write(json.dumps({
                        "t_ms": round(time.time() * 1000), "rollout": rollout,
                        "cohort": cohort, "metric": "errors", "n": n, "bad": n // 100}) + "\n")
            self.kcat.stdin.flush()

    def stop(self):
        self.stopping.set()
        self.join()
        self.kcat.stdin.close()
        live.check(self.kcat.wait(30) == 0, "kcat could not produce")


def status(engine, rollout):
    return json.loads(engine("status", rollout, "-o", "json").stdout)


def reaches(engine, rollout, state, reason, text=""):
    def there():
        s = status(engine, rollout)
        return (s["state"], s["reason"]) == (state, reason) and text in s["message"] and s
    try:
        return live.wait_for(f"{rollout}: {state}({reason}) {text}", there, 40)
    except AssertionError as e:
        raise AssertionError(f"{e}; it is {status(engine, rollout)}") from e


def check_of(engine, name):
    return next(c for c in status(engine, "web-1")["checks"] if c["name"] == name)


def checks(engine, port):
    """Unreachable, failing, hanging while a runner is killed, nonsense; then it passes."""
    engine("apply", "-", text=HEAD.format(id="web-1", service="web") + CHECKS.format(port=port))
    reaches(engine, "web-1", "HELD", "check", "check load gave no answer")
    message = check_of(engine, "load")["message"]
    live.check(f"127.0.0.1:{port}" in message, f"unreachable: {message}")
    live.wait_for("the program", lambda: check_of(engine, "smoke")["state"] == "passed")
    live.check(check_of(engine, "smoke")["message"] == "smoke web-1 at 2000",
               f"the program's words: {check_of(engine, 'smoke')}")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    live.wait_for("the failure", lambda: check_of(engine, "load")["message"] == "p99 of fail")
    Hook.mode = "hang"
    live.wait_for("the time-out", lambda: check_of(engine, "load")["state"] == "error")
    engine.restart()
    Hook.mode = "nonsense"
    live.wait_for("no answer", lambda: "without" in check_of(engine, "load")["message"])
    live.check(engine.weight_bp("web-1")[0] == 2000, "promoted without its checks")
    Hook.mode = "pass"
    live.wait_for("the promotion", lambda: engine.weight_bp("web-1")[0] == 5000, 40)
    live.check(not Hook.wrong, f"wrongly signed: {Hook.wrong}")
    live.check({a["rollout"] for a in Hook.asked} == {"web-1"}, "asked about another")
    return server


def others(engine):
    """A queue in the order of apply; after; a circle."""
    engine("apply", "-", text=HEAD.format(id="web-2", service="web"))
    reaches(engine, "web-2", "PENDING", "queue", "waits until web-1 has ended")
    engine("apply", "-", text=HEAD.format(id="web-3", service="web"))
    engine("apply", "-", text=HEAD.format(id="dep-1", service="dep") + "after: web-2\n")
    reaches(engine, "dep-1", "PENDING", "after", "waits until web-2 is promoted")
    plans = [HEAD.format(id=f"ring-{a}", service=f"r{a}") + f"after: ring-{b}\n"
             for a, b in ((1, 2), (2, 1))]
    # At the same moment, by two clients: neither knows of the other.
    plans += [HEAD.format(id=f"twin-{a}", service="twin") for a in (1, 2)]
    threads = [threading.Thread(target=engine, args=("apply", "-"), kwargs={"text": plan})
               for plan in plans]
    for thread in threads:
        thread.start()
    engine("abort", "web-1", "--reason", "seen enough")
    live.wait_for("web-2 to start", lambda: engine.weight_bp("web-2")[0] == 2000, 40)
    reaches(engine, "web-3", "PENDING", "queue", "waits until web-2 has ended")
    engine("abort", "web-2", "--reason", "for the test")
    reaches(engine, "dep-1", "HELD", "after", "web-2, which is ABORTED")
    live.wait_for("web-3 to start", lambda: engine.weight_bp("web-3")[0] == 2000, 40)
    for thread in threads:
        thread.join()
    for ring in ("ring-1", "ring-2"):
        reaches(engine, ring, "HELD", "after", "waits for this one in the end")
    live.wait_for("one of the twins to wait", lambda: sorted(
        status(engine, f"twin-{i}")["reason"] == "queue" for i in (1, 2)) == [False, True], 40)


def main():
    program, bootstrap = sys.argv[1], os.environ["SERIN_TEST_BOOTSTRAP"]
    port = live.free_port()
    live.create_topic(bootstrap, INPUT)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("one", "two"):
            os.mkdir(os.path.join(folder, name))
        with open(os.path.join(folder, "load.key"), "w", encoding="ascii") as file:
            file.write(SECRET + "\n")
        config = (f"inputs: [{{topic: {INPUT}, format: json}}]\n"
                  f"checks: {{urls: [\"http://127.0.0.1:{port}/hook/\"], secrets: {folder}, "
                  "exec: {smoke: {command: [/bin/sh, -c, "
                  "\"echo smoke $SERIN_ROLLOUT at $SERIN_WEIGHT_BP\"]}}}\n")
        engines = []
        traffic = Traffic(bootstrap, ["web-1", "web-2", "web-3", "dep-1", "ring-1", "ring-2",
                                      "twin-1", "twin-2"])
        try:
            for name in ("one", "two"):
                engines.append(live.Engine(program, os.path.join(folder, name), bootstrap,
                                           PREFIX, config + f"instance: {name}\n"))
            traffic.start()
            server = checks(engines[0], port)
            others(engines[0])
            traffic.stop()
            server.shutdown()
            for engine in engines:
                engine.stop()
        finally:
            for engine in engines:
                engine.kill()
    print(f"checks, queue, after, circle: as promised; the webhook was asked "
          f"{len(Hook.asked)} times")


if __name__ == "__main__":
    main()
