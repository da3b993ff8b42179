#!/usr/bin/env python3
"""The receivers as their senders see them: statuses, back-pressure, brokers that go away.

receive.py SERIN KAFKA_SH; a broker of its own, because it is killed.
"""

import gzip
import json
import os
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import live  # noqa: E402
import wire  # noqa: E402
from live import check  # noqa: E402

PROTO, JSON = "application/x-protobuf", "application/json"


def post(engine, path, body, kind=JSON, **headers):
    return engine.request("POST", path, body, {"Content-Type": kind, **headers})


def topic(bootstrap, name):
    out = subprocess.run(["kcat", "-C", "-e", "-q", "-b", bootstrap, "-t", name, "-f",
                          "%k %h %s\n"], capture_output=True, check=True, timeout=60)
    return sorted(out.stdout.decode().splitlines())


def decoded(engine):
    """The same point as JSON and as protobuf, both into the one topic."""
    now = time.time_ns()
    point = {"asInt": "3", "timeUnixNano": str(now), "startTimeUnixNano": str(now - 10 ** 9)}
    metric = {"name": "x", "sum": {"dataPoints": [point], "aggregationTemporality": 1,
                                   "isMonotonic": True}}
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    check(post(engine, "/v1/metrics", json.dumps(body))[0] == 200, "JSON")
    point = struct.pack("<BqBqBq", 2 << 3 | 1, now - 10 ** 9, 3 << 3 | 1, now, 6 << 3 | 1, 3)
    metric = wire.put(1, "x") + wire.put(7, wire.put(1, point) + wire.put(2, 1) +
                                         wire.put(3, 1))
    body = wire.put(1, wire.put(2, wire.put(2, metric)))
    check(post(engine, "/v1/metrics", body, PROTO)[0] == 200, "protobuf")
    live.wait_for("both", lambda: engine.metric("serin_ingest_samples_total") == 2)
    check(engine.metric("serin_ingest_quarantined_total") == 0,
          engine("quarantine").stdout)


def answers(engine, bootstrap):
    body = b'{"resourceMetrics":[]}'
    status, text, _ = post(engine, "/v1/metrics", body)
    check((status, text) == (200, b"{}"), (status, text))
    status, text, _ = post(engine, "/v1/traces", gzip.compress(b'{"resourceSpans":[]}'),
                           **{"Content-Encoding": "gzip"})
    check((status, text) == (200, b"{}"), (status, text))
    check(topic(bootstrap, "otlp") ==
          ["local content-type=application/x-otlp-json " + body.decode(),
           'local content-type=application/x-otlp-json {"resourceSpans":[]}'],
          topic(bootstrap, "otlp"))
    decoded(engine)
    for expected, path, sent, kind, headers in (
            (400, "/v1/metrics", b"{", JSON, {}),
            (415, "/v1/metrics", b"{}", "text/plain", {}),
            (400, "/v1/metrics", b"{}", PROTO, {}),
            (413, "/v1/metrics", b" " * 70000, JSON, {}),
            (413, "/v1/metrics", gzip.compress(b" " * 70000), JSON,
             {"Content-Encoding": "gzip"}),
            (415, "/api/v1/write", b"", PROTO, {}),
            (400, "/api/v1/write", b"\xff", PROTO, {"Content-Encoding": "snappy"}),
            (404, "/v1/metric", b"{}", JSON, {}),
            (403, "/v1/metrics", b"{}", JSON, {"Origin": "http://evil.example"})):
        status, text, _ = post(engine, path, sent, kind, **headers)
        check(status == expected, f"{path} {kind}: {status}, expected {expected}: {text}")
    check(engine.request("GET", "/v1/metrics")[0] == 405, "GET")
    paths = engine.request("GET", "/openapi.json")[1].decode()
    check('"/api/v1/write"' in paths and '"/v1/traces"' in paths, "openapi")


def back_pressure(engine, kafka, store):
    """Without a broker: 503 after the time-out; while bodies wait, 429 at once."""
    subprocess.run([kafka, "kill", "1", "--dir", store], check=True)
    large = b'{"resourceMetrics":[]}' + b" " * 60000
    waiting = live.Unix(engine.address.removeprefix("unix:"))
    waiting.request("POST", "/v1/metrics", large, {"Content-Type": JSON})
    live.wait_for("it waits", lambda: engine.metric("serin_receive_pending_bytes") > 60000)
    status, text, headers = post(engine, "/v1/metrics", large)
    check(status == 429 and int(headers["Retry-After"]) > 0, (status, text))
    check(b'"code"' in text, text)
    answer = waiting.getresponse()
    check(answer.status == 503 and int(answer.headers["Retry-After"]) > 0, answer.status)
    check(engine.request("GET", "/livez")[0] == 200, "everything else answers")
    subprocess.run([kafka, "restart", "1", "--dir", store], check=True)
    live.wait_for("it is taken again", lambda: post(
        engine, "/v1/metrics", b'{"resourceMetrics":[]}')[0] == 200)
    check(engine.metric("serin_receive_refused_total") == 1, "one was refused")
    check(engine.metric("serin_receive_pending_bytes") == 0, "room was given back")


def main():
    program, kafka = map(os.path.abspath, sys.argv[1:3])
    with tempfile.TemporaryDirectory(prefix="serin-receive-") as folder:
        store, engine = os.path.join(folder, "kafka"), None
        bootstrap = subprocess.run([kafka, "start", "--port", "0", "--dir", store],
                                   stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        try:
            engine = live.Engine(
                program, folder, bootstrap, "receive.",
                "limits: {message: 65536}\n"
                "receive: {otlp_metrics: otlp, otlp_traces: otlp, prometheus: prom,\n"
                "          queue: 100000}\n")
            answers(engine, bootstrap)
            back_pressure(engine, kafka, store)
            engine.stop()
        finally:
            if engine:
                engine.kill()
            subprocess.run([kafka, "stop", "--dir", store], check=False)
    print("receive: all as promised")


if __name__ == "__main__":
    main()
