#!/usr/bin/env python3
"""What only the whole process shows: start-up time, memory a rollout, `status` latency.

engine.py SERIN BOOTSTRAP [--quick] prints one JSON object. The broker must create topics
by itself (tests/bench/run.sh starts it so).
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

PLAN = """\
apiVersion: serin/v1
kind: Rollout
id: {id}
cohorts:
  canary: {{service.name: {id}, service.version: "2"}}
  baseline: {{service.name: {id}, service.version: "1"}}
window: 1s
calibrate: skip
steps:
  - {{weight: 50%, worse_than: 1.5, bake: 1h, timeout: 12h}}
  - {{weight: 100%, watch: 1h}}
metrics:
{metrics}"""
METRIC = "  - {{name: m{}, kind: ratio, abort_over: 1.2, phi: 1.2}}\n"
METRICS, SECONDS = 5, 15


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Engine:
    def __init__(self, program, bootstrap, folder):
        self.socket = os.path.join(folder, "serin.sock")
        config = os.path.join(folder, "serin.yaml")
        prefix = f"bench{os.getpid()}."
        self.input = f"bench-input-{os.getpid()}"
        self.log = os.path.join(folder, "log")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'kafka: {{bootstrap.servers: "{bootstrap}"}}\n'
                       f"topics: {{prefix: {prefix}, partitions: 4}}\n"
                       f"inputs: [{{topic: {self.input}, format: json}}]\n"
                       f'http: {{listen: "unix:{self.socket}"}}\n')
        self.arguments = [program, "run", "--config", config]
        self.process = None

    def start(self):
        """Seconds from exec to the line that says ready."""
        with open(self.log, "wb") as log:
            begun = time.monotonic()
            self.process = subprocess.Popen(self.arguments, stderr=log)
        while self.process.poll() is None:
            with open(self.log, "rb") as log:
                if b'msg="ready' in log.read():
                    return time.monotonic() - begun
            time.sleep(0.002)
        with open(self.log, encoding="utf-8") as log:
            raise RuntimeError(f"serin run ended before it was ready: {log.read()}")

    def stop(self):
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        return time.monotonic() - begun

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentiles(seconds):
    ordered = sorted(seconds)
    return {"p50_ms": round(1000 * ordered[len(ordered) // 2], 3),
            "p99_ms": round(1000 * ordered[int(len(ordered) * 0.99)], 3)}


def apply(connection, name):
    plan = PLAN.format(id=name, metrics="".join(METRIC.format(m) for m in range(METRICS)))
    connection.request("POST", "/v1/rollouts", plan, {"Content-Type": "application/yaml"})
    reply = connection.getresponse()
    body = reply.read()
    if reply.status >= 300:
        raise RuntimeError(f"apply {name}: {reply.status} {body[:300]}")


def second_of_traffic(names, t_ms):
    for name in names:
        for version, n in (("1", 1000), ("2", 1000)):
            for m in range(METRICS):
                yield json.dumps({
                    "t_ms": t_ms, "metric": f"m{m}", "n": n, "bad": 5,
                    "attributes": {"service.name": name, "service.version": version}})


def feed(bootstrap, topic, names, seconds):
    kcat = subprocess.Popen(["kcat", "-P", "-b", bootstrap, "-t", topic],
                            stdin=subprocess.PIPE, text=True)
    for _ in range(seconds):
        due = time.monotonic() + 1
        kcat.stdin.write("\n".join(second_of_traffic(names, round(time.time() * 1000))))
        kcat.stdin.write("\n")
        kcat.stdin.flush()
        time.sleep(max(0, due - time.monotonic()))
    kcat.stdin.close()
    kcat.wait()


def status_latency(connection, names, calls):
    took = []
    for i in range(calls):
        begun = time.monotonic()
        connection.request("GET", f"/v1/rollouts/{names[i % len(names)]}")
        reply = connection.getresponse()
        reply.read()
        if reply.status != 200:
            raise RuntimeError(f"status: {reply.status}")
        took.append(time.monotonic() - begun)
    return took


def main():
    program, bootstrap = sys.argv[1:3]
    rollouts = 100 if "--quick" in sys.argv else 1000
    with tempfile.TemporaryDirectory(prefix="serin-bench-") as folder:
        engine = Engine(os.path.abspath(program), bootstrap, folder)
        subprocess.run(["kcat", "-P", "-b", bootstrap, "-t", engine.input], input=b"{}\n",
                       check=True)
        result = {"first_start_s": round(engine.start(), 3)}
        result["stop_s"] = round(engine.stop(), 3)
        result["start_s"] = round(engine.start(), 3)
        connection = UnixConnection(engine.socket)
        names = [f"bench-{i}" for i in range(rollouts)]
        before = engine.rss_kib()
        begun = time.monotonic()
        for name in names:
            apply(connection, name)
        result["apply_per_s"] = round(rollouts / (time.monotonic() - begun), 1)
        cpu, begun = engine.cpu_s(), time.monotonic()
        feed(bootstrap, engine.input, names, SECONDS)
        busy = (engine.cpu_s() - cpu) / (time.monotonic() - begun)
        result.update({
            "rollouts": rollouts, "metrics_each": METRICS, "rss_before_kib": before,
            "rss_after_kib": engine.rss_kib(),
            "rss_per_rollout_kib": round((engine.rss_kib() - before) / rollouts, 1),
            "rss_per_metric_kib": round((engine.rss_kib() - before) / rollouts / METRICS, 1),
            "cores_busy_at_1s_windows": round(busy, 3),
            "status": percentiles(status_latency(connection, names, 2000))})
        engine.stop()
        result["restart_with_rollouts_s"] = round(engine.start(), 3)
        engine.stop()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
