#!/usr/bin/env python3
"""Debian's Prometheus scrapes two small exporters and writes what it scraped to serin over
HTTP: classic histograms and counters become one promotion, one abort, and exact counts.

prometheus.py SERIN, with SERIN_TEST_BOOTSTRAP. Nobody here knows Kafka but serin.
"""

import http.server
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import live  # noqa: E402

PLAN = """\
id: {id}
cohorts:
  canary: {{job: {service}, service_version: "2"}}
  baseline: {{job: {service}, service_version: "1"}}
window: 1s
calibrate: skip
steps:
  - {{weight: 50%, worse_than: 2, bake: 2s, warmup: 3s}}
  - {{weight: 100%, watch: 2s, warmup: 3s}}
metrics:
  - {{name: errors, kind: ratio, phi: 1.2, mode: {mode}, from: {{metric: http_requests_total, bad: "code >= 500"}}}}
  - {{name: latency, kind: latency, phi: 1.2, mode: warn, from: {{metric: http_duration_seconds, unit: s}}}}
"""
NEVER = "  - {name: never, kind: ratio, phi: 1.2}\n"  # without data nothing is decided
ERRORS = {"good": {"1": 0.01, "2": 0.01}, "worse": {"1": 0.01, "2": 0.06}}
LE = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
REQUESTS, TICK_S = 1000, 0.2


class Exporter:
    """What a proxy counts for one version of a service."""
    lock = threading.Lock()  # one for all: a scrape sees every version at the same time

    def __init__(self):
        self.codes = {"200": 0, "503": 0}
        self.buckets, self.count, self.sum = [0] * len(LE), 0, 0.0

    def serve(self, rng, n, rate):
        with self.lock:
            bad = sum(rng.random() < rate for _ in range(n))
            self.codes["200"] += n - bad
            self.codes["503"] += bad
            for _ in range(n // 20):
                took = rng.lognormvariate(-3, 0.5)
                self.count += 1
                self.sum += took
                for i, le in enumerate(LE):
                    self.buckets[i] += took <= le

    def lines(self, version):
        """The text format's samples: counters, then a histogram."""
        label = f'service_version="{version}"'
        counters = [f'http_requests_total{{{label},code="{c}"}} {n}'
                    for c, n in self.codes.items()]
        name = "http_duration_seconds"
        buckets = [f'{name}_bucket{{{label},le="{le}"}} {n}'
                   for le, n in zip((*LE, "+Inf"), (*self.buckets, self.count))]
        return counters, [*buckets, f"{name}_sum{{{label}}} {self.sum}",
                          f"{name}_count{{{label}}} {self.count}"]

    def totals(self):
        with self.lock:
            return {"errors": [sum(self.codes.values()), self.codes["503"]],
                    "latency": [self.count, 0]}


EXPORTERS = {(r, v): Exporter() for r in ERRORS for v in ("1", "2")}


def page(rollout):
    """Both versions at one moment, as a proxy in front of them counts."""
    with Exporter.lock:
        one, two = (EXPORTERS[rollout, v].lines(v) for v in ("1", "2"))
    return "\n".join(["# TYPE http_requests_total counter", *one[0], *two[0],
                      "# TYPE http_duration_seconds histogram", *one[1], *two[1]]) + "\n"


class Page(http.server.BaseHTTPRequestHandler):
    """/ROLLOUT"""

    def do_GET(self):
        body = page(self.path[1:]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def scrapes(port):
    return "".join(f"- {{job_name: {rollout}, metrics_path: /{rollout}, static_configs: "
                   f"[{{targets: ['127.0.0.1:{port}']}}]}}\n" for rollout in ERRORS)


def start_prometheus(folder, exporters, serin, port):
    path = os.path.join(folder, "prometheus.yml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("global: {scrape_interval: 500ms, scrape_timeout: 400ms}\n"
                   "remote_write:\n"
                   f"- url: http://{serin}/api/v1/write\n"
                   "  queue_config: {min_shards: 3, max_samples_per_send: 25,\n"
                   "                 batch_send_deadline: 200ms}\n"
                   "scrape_configs:\n" + scrapes(exporters))
    return subprocess.Popen(
        ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/tsdb",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"])


def play(engine, rng):
    """Traffic by the weights that the verdicts command, until both have ended."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        finals = 0
        for rollout, rates in ERRORS.items():
            weight, final = engine.weight_bp(rollout)
            finals += final
            canary = REQUESTS * weight // 10000
            EXPORTERS[rollout, "2"].serve(rng, canary, rates["2"])
            EXPORTERS[rollout, "1"].serve(rng, REQUESTS - canary, rates["1"])
        if finals == len(ERRORS):
            return
        time.sleep(TICK_S)
    raise AssertionError("no final verdicts: " + str([engine.verdicts(r) for r in ERRORS]))


def ask(port, query, began):
    """What Prometheus answers to a range query, since then."""
    asked = urllib.parse.urlencode({"query": query, "start": began, "end": time.time(),
                                    "step": "500ms"})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query_range?{asked}") as answer:
        return answer.read()


def replay_ranges(program, folder, port, began):
    """The same traffic, asked for afterwards, is judged alike."""
    codes = {}
    for rollout in ERRORS:
        plan, data = os.path.join(folder, "again.yaml"), os.path.join(folder, "again.json")
        with open(plan, "w", encoding="utf-8") as file:
            file.write(PLAN.format(id=rollout, service=rollout, mode="gate"))
        with open(data, "wb") as file:
            for name in ("http_requests_total", "http_duration_seconds_bucket"):
                file.write(ask(port, f'{name}{{job="{rollout}"}}', began))
        done = subprocess.run([program, "replay", "--plan", plan, "--from", data, "-o", "jsonl"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        codes[rollout] = done.returncode
        verdicts = [json.loads(line) for line in done.stdout.splitlines()]
        live.check(len(verdicts) > 1 and b" 0 poison" in done.stderr, (done.stderr, verdicts))
        live.check(any(all(m[c]["n"] > 20 for m in v["metrics"] for c in ("canary", "baseline"))
                       for v in verdicts), verdicts)
        if rollout == "worse":
            live.check(verdicts[-1]["verdict"] == "ABORT" and
                       verdicts[-1]["metrics"][0]["name"] == "errors", verdicts)
    live.check(codes["worse"] == 1 and codes["good"] != 1, codes)


def check_counts(engine):
    """The last scrapes arrive, the engine stops, every request is in a cell."""
    expected = {(r, "c" if v == "2" else "b", metric): total
                for (r, v), exporter in EXPORTERS.items()
                for metric, total in exporter.totals().items()}
    seen = engine.metric("serin_ingest_samples_total")
    live.wait_for("some more scrapes", lambda: (
        engine.metric("serin_ingest_samples_total") > seen + 200))
    live.check(engine.metric("serin_ingest_quarantined_total") == 0,
               engine("quarantine").stdout)
    live.check(engine.metric("serin_receive_records_total") > 10, "records")
    engine.stop()
    engine.check_counts(expected, "all-")


def main():
    program = os.path.abspath(sys.argv[1])
    bootstrap = os.environ["SERIN_TEST_BOOTSTRAP"]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    prometheus = engine = None
    with tempfile.TemporaryDirectory(prefix="serin-prometheus-") as folder:
        try:
            tcp = f"127.0.0.1:{live.free_port()}"
            name = f"prometheus-{os.getpid()}"
            engine = live.Engine(program, folder, bootstrap, name + ".",
                                 f"receive: {{prometheus: from-{name}}}\n",
                                 listen=[tcp])
            for rollout in ERRORS:
                engine("apply", "-", text=PLAN.format(id=rollout, service=rollout, mode="gate"))
                # Routes end with their rollouts; this one outlives the test, and counts all.
                engine("apply", "-", text=PLAN.format(
                    id=f"all-{rollout}", service=rollout, mode="warn") + NEVER)
            live.wait_for("the routes", lambda: engine.metric("serin_ingest_rollouts") == 4)
            asked, began = live.free_port(), time.time()
            prometheus = start_prometheus(folder, server.server_port, tcp, asked)
            # All series were seen at zero: from there on every request counts.
            live.wait_for("some scrapes", lambda: (
                engine.metric("serin_ingest_routed_total") or 0) > 60)
            play(engine, random.Random(11))
            good = [v["verdict"] for v in engine.verdicts("good")]
            worse = engine.verdicts("worse")
            live.check(good[0] == good[-1] == "PROMOTE" and "ABORT" not in good, good)
            live.check(worse[-1]["verdict"] == "ABORT" and
                       worse[-1]["metrics"][0]["name"] == "errors", worse)
            replay_ranges(program, folder, asked, began)
            check_counts(engine)
        finally:
            if prometheus:
                prometheus.kill()  # asked nicely it waits a minute for serin
                prometheus.wait()
            if engine:
                engine.kill()
            server.shutdown()


if __name__ == "__main__":
    main()
