#!/usr/bin/env python3
"""Metrics and spans of OpenTelemetry's own SDK and encoders, sent by kcat: delta and cumulative,
explicit and exponential histograms, protobuf and JSON. One rollout is promoted, one aborted, and
every request that was recorded is counted, once: also over a kill -9 of serin, for the values that
cumulative streams stood at are read again.

otlp.py SERIN, with SERIN_TEST_BOOTSTRAP.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import live  # noqa: E402

live.run_with("opentelemetry-sdk==1.39.0", "opentelemetry-exporter-otlp-proto-common==1.39.0")
from google.protobuf.json_format import MessageToDict  # noqa: E402
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics  # noqa: E402
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans  # noqa: E402
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider  # noqa: E402
from opentelemetry.sdk.metrics.export import (  # noqa: E402
    AggregationTemporality, InMemoryMetricReader)
from opentelemetry.sdk.metrics.view import (  # noqa: E402
    ExponentialBucketHistogramAggregation, View)
from opentelemetry.sdk.resources import Resource  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402
from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: E402

DURATION = "http.server.request.duration"
PLAN = """\
id: {id}
cohorts:
  canary: {{service.name: {service}, service.version: "2"}}
  baseline: {{service.name: {service}, service.version: "1"}}
window: 1s
calibrate: skip
concurrent: true
steps:
  - {{weight: 50%, worse_than: 2, bake: {bake}, warmup: 1s}}
  - {{weight: 100%, watch: 2s, warmup: 1s}}
metrics:
  - {{name: errors, kind: ratio, phi: 1.2, mode: {mode}, from: {{metric: http.server.request.duration, bad: "http.response.status_code >= 500"}}}}
  - {{name: latency, kind: latency, phi: 1.2, mode: warn, from: {{metric: http.server.request.duration, unit: s}}}}
  - {{name: jobs, kind: ratio, phi: 1.2, mode: warn, from: {{metric: jobs, bad: "outcome = failed"}}}}
  - {{name: spans, kind: ratio, phi: 1.2, mode: warn, from: {{metric: span.duration, bad: "otel.status_code = ERROR"}}}}
  - {{name: took, kind: latency, phi: 1.2, mode: warn, from: {{metric: span.duration}}}}
"""
NEVER = "  - {name: never, kind: ratio, phi: 1.2}\n"  # without data nothing is decided
REQUESTS = 2000
ERRORS = {"good": {"1": 0.01, "2": 0.01}, "worse": {"1": 0.01, "2": 0.05}}
# Of each rollout's versions: temporality, exponential histograms, JSON.
STYLES = {("good", "1"): (AggregationTemporality.DELTA, False, False),
          ("good", "2"): (AggregationTemporality.CUMULATIVE, True, True),
          ("worse", "1"): (AggregationTemporality.CUMULATIVE, False, False),
          ("worse", "2"): (AggregationTemporality.DELTA, True, False)}


class Kcat:
    """Sends files, each as one message: any byte may be in them."""

    def __init__(self, bootstrap, topic):
        self.command = ["kcat", "-P", "-b", bootstrap, "-t", topic, "-p", "0"]
        self.folder = tempfile.TemporaryDirectory(prefix="serin-otlp-")

    def send(self, messages):
        names = []
        for i, message in enumerate(messages):
            names.append(os.path.join(self.folder.name, str(i)))
            with open(names[-1], "wb") as file:
                file.write(message)
        subprocess.run([*self.command, *names], check=True)


def as_json(message):
    return json.dumps(MessageToDict(message)).encode()


class Service:
    """A version of a service: what it does, and what it tells of it."""

    def __init__(self, name, version, rng):
        self.temporality, self.exponential, self.json = STYLES[name, version]
        self.resource = Resource({"service.name": name, "service.version": version})
        self.key, self.rng, self.error_rate = (name, version), rng, ERRORS[name][version]
        self.sent = {}
        self.start()

    def start(self):
        """A process, the first or another: its counters begin at zero."""
        self.reader = InMemoryMetricReader(
            preferred_temporality={Counter: self.temporality, Histogram: self.temporality})
        views = [View(instrument_name=DURATION,
                      aggregation=ExponentialBucketHistogramAggregation())]
        provider = MeterProvider(resource=self.resource, metric_readers=[self.reader],
                                 views=views if self.exponential else [])
        meter = provider.get_meter("test", "1.0")
        self.duration = meter.create_histogram(
            DURATION, unit="s", explicit_bucket_boundaries_advisory=[0.02, 0.05, 0.1, 0.2])
        self.jobs = meter.create_counter("jobs")
        self.finished = InMemorySpanExporter()
        tracing = TracerProvider(resource=self.resource)
        tracing.add_span_processor(SimpleSpanProcessor(self.finished))
        self.tracer = tracing.get_tracer("test", "1.0")

    def count(self, metric, n, bad=0):
        cohort = "c" if self.key[1] == "2" else "b"
        total = self.sent.setdefault((self.key[0], cohort, metric), [0, 0])
        total[0] += n
        total[1] += bad

    def work(self, n):
        for _ in range(n):
            bad = self.rng.random() < self.error_rate
            self.duration.record(self.rng.lognormvariate(-3, 0.5),
                                 {"http.response.status_code": 503 if bad else 200})
            self.count("errors", 1, bad)
            self.count("latency", 1)
        self.jobs.add(n // 2, {"outcome": "done"})
        self.jobs.add(n // 100, {"outcome": "failed"})
        self.count("jobs", n // 2 + n // 100, n // 100)
        now = time.time_ns()
        for i in range(20):
            bad = self.rng.random() < self.error_rate
            for kind in (SpanKind.SERVER, SpanKind.CLIENT):
                span = self.tracer.start_span("GET /", kind=kind, start_time=now - 10 ** 7 * i,
                                              attributes={"http.route": "/", "tries": [1, 2]})
                if bad:
                    span.set_status(Status(StatusCode.ERROR))
                span.end(now)
            self.count("spans", 1, bad)
            self.count("took", 1)

    def told(self):
        """The messages since the last time."""
        messages = []
        data = self.reader.get_metrics_data()
        if data is not None:
            messages.append(encode_metrics(data))
        messages.append(encode_spans(self.finished.get_finished_spans()))
        self.finished.clear()
        encoded = [as_json(m) if self.json else m.SerializeToString() for m in messages]
        return encoded + encoded[:1]  # the metrics once more: a producer that tried again


def play(engine, services, kcat):
    """Traffic by the weights that the verdicts command, until both have ended."""
    end = time.monotonic() + 120
    ticks = 0
    while time.monotonic() < end:
        finals, messages = 0, []
        for rollout in ERRORS:
            weight, final = engine.weight_bp(rollout)
            finals += final
            canary = REQUESTS * weight // 10000
            for version, n in (("2", canary), ("1", REQUESTS - canary)):
                if n:
                    services[rollout, version].work(n)
        # Far from a window's end: a second with one cohort only would be an odd split.
        time.sleep((0.1 - time.time()) % 1 if time.time() % 1 > 0.4 else 0.1)
        for service in services.values():
            messages += service.told()
            if ticks % 8 == 7:
                service.start()
        kcat.send(messages)
        ticks += 1
        if finals == len(ERRORS):
            return
    raise AssertionError("no final verdicts within 120 s: " +
                         str([(v["id"], v["verdict"], v["reason"], v["message"])
                              for r in ERRORS for v in engine.verdicts(r)]))


def check_counts(engine, services):
    """Every committed cell adds up to what was recorded."""
    sent = {}
    for service in services.values():
        sent.update(service.sent)

    def counted():
        sums, poison = engine.ingested()
        live.check(poison == 0, f"{poison} poisoned samples")
        return {(rollout.removeprefix("all-"), cohort, metric): total
                for (rollout, cohort, metric), total in sums.items() if "all-" in rollout}
    try:
        live.wait_for("the counts", lambda: counted() == sent, 20)
    except AssertionError:
        raise AssertionError(f"sent {sent}, counted {counted()}") from None
    live.check(engine.metric("serin_ingest_quarantined_total") == 0,
               engine("quarantine").stdout)
    live.check(engine.metric("serin_ingest_duplicate_total") > 0, "no duplicates were seen")
    live.check(engine.metric("serin_ingest_begun_total") == 0,
               f"{engine.metric('serin_ingest_begun_total')} counters of unknown beginning")
    print("counted as sent:", sent)


def kill_and_go_on(engine, services, kcat):
    """Cumulative streams rise on while serin is killed; nothing is lost or counted twice."""
    def tick():
        for service in services.values():
            service.work(1000)
        kcat.send([m for s in services.values() for m in s.told()])
    tick()
    check_counts(engine, services)
    engine.restart()
    tick()
    # Those that outlive the test; after an abort a rollout is followed for some time, too.
    live.wait_for("the routes", lambda: (engine.metric("serin_ingest_rollouts") or 0) >= 2)
    tick()
    check_counts(engine, services)


def main():
    program = os.path.abspath(sys.argv[1])
    bootstrap = os.environ["SERIN_TEST_BOOTSTRAP"]
    topic = f"otlp-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="serin-otlp-") as folder:
        live.create_topic(bootstrap, topic)
        kcat, rng = Kcat(bootstrap, topic), random.Random(7)
        engine = live.Engine(program, folder, bootstrap, f"otlp-{os.getpid()}.",
                             f"inputs: [{{topic: {topic}, format: otlp_proto}}]\n")
        try:
            for rollout in ERRORS:
                engine("apply", "-", text=PLAN.format(id=rollout, service=rollout, bake="2s",
                                                      mode="gate"))
                # Routes end with their rollouts; this one outlives the test, and counts all.
                engine("apply", "-", text=PLAN.format(id=f"all-{rollout}", service=rollout,
                                                      bake="10m", mode="warn") + NEVER)
            live.wait_for("the routes", lambda: engine.metric("serin_ingest_rollouts") == 4)
            time.sleep(1.5)  # counters that begin from now on are known from their beginning
            services = {key: Service(*key, rng) for key in STYLES}
            play(engine, services, kcat)
            good = [v["verdict"] for v in engine.verdicts("good")]
            worse = engine.verdicts("worse")
            live.check(good[0] == good[-1] == "PROMOTE" and "ABORT" not in good, good)
            live.check(worse[-1]["verdict"] == "ABORT" and
                       worse[-1]["metrics"][0]["name"] == "errors", worse)
            check_counts(engine, services)
            kill_and_go_on(engine, services, kcat)
            engine.stop()
        finally:
            engine.kill()


if __name__ == "__main__":
    main()
