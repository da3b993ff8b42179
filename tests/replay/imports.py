#!/usr/bin/env python3
"""serin replay --from: the same requests in every form give the same verdicts.

imports.py --serin PATH. Tables, answers of Prometheus, interval logs (written by PyPI's
hdrhistogram), recorded input topics; what is said of each that is broken; --between and
--speed. Runs itself in a venv that has hdrhistogram.
"""
import argparse
import json
import math
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
import live  # noqa: E402
from wire import raw_recording, put  # noqa: E402

T0 = 1_760_000_000_000
SECONDS = 120
failures = []


def check(ok, what):
    print("ok  " if ok else "FAIL", what)
    if not ok:
        failures.append(what)


def run(*args, data=None):
    done = subprocess.run([SERIN, "replay", "--plan", PLAN, *args], input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def says(data, *words, args=()):
    code, _, err = run("--from", "-", *args, data=data)
    check(code == 2 and all(w in err for w in words), f"said: {err.strip()[:200]}")


def told(out):
    """What a verdict says; the windows that a metric was judged on, too."""
    return [(v["verdict"], v["reason"], v["t_ms"], v["metrics"])
            for v in map(json.loads, out.splitlines())]


def same(what, want, *args, data=None):
    code, out, err = run("--from", "-", "-o", "jsonl", *args, data=data)
    check(told(out) == want, f"{what}: the same verdicts ({code} {err.strip()[:200]})")


# ---------------------------------------------------------------- one stretch of traffic

def traffic(worse_from=60):
    """(second, cohort, n, bad, latencies in us)"""
    rng = random.Random(5)
    for s in range(SECONDS):
        for cohort, n in (("canary", 200), ("baseline", 1800)):
            rate = 0.06 if cohort == "canary" and s >= worse_from else 0.01
            bad = sum(rng.random() < rate for _ in range(n))
            yield s, cohort, n, bad, [int(rng.lognormvariate(10, 0.4)) + 1
                                      for _ in range(n // 20)]


def plan(metrics, cohorts="canary: {version: \"2\"}, baseline: {version: \"1\"}"):
    with open(PLAN, "w", encoding="utf-8") as file:
        file.write(f"""id: web
cohorts: {{{cohorts}}}
window: 1s
calibrate: skip
steps: [{{weight: 10%, worse_than: 3, bake: 80s, warmup: 0s}}, {{weight: 100%, watch: 10s}}]
metrics: [{metrics}]
""")


ERRORS = "{name: errors, kind: ratio, phi: 1}"
REQUESTS = ('{name: errors, kind: ratio, phi: 1, from: {metric: requests_total, '
            'bad: "code = 500"}}')
LATENCY = "{name: latency, kind: latency, phi: 1, from: {unit: us}}"
SECOND = "{name: latency, kind: latency, phi: 1, from: {metric: took_seconds, unit: s}}"
BOUNDS = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, math.inf)


def json_lines(rows):
    return b"".join(json.dumps(
        {"t_ms": T0 + 1000 * s, "rollout": "web", "cohort": c, "metric": "errors", "n": n,
         "bad": bad}).encode() + b"\n" for s, c, n, bad, _ in rows)


def tables(rows, want):
    def table(head, line, ending="\n"):
        return ending.join([head, *(line(*r) for r in rows), ""]).encode()

    def iso(s):
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(T0 / 1000 + s))
    columns = ["--columns", "time=ts,rollout=:web,cohort=arm,metric=:errors,n=requests,bad=errors"]
    text = table("ts,arm,requests,errors", lambda s, c, n, b, _: f"{T0 + 1000 * s},{c},{n},{b}")
    same("csv", want, *columns, data=text)
    packed = subprocess.run(["zstd", "-q"], input=text, stdout=subprocess.PIPE, check=True)
    same("csv.zst", want, *columns, data=packed.stdout)
    for name, unit in (("seconds", 1000), ("microseconds", 1e-3), ("nanoseconds", 1e-6)):
        same(f"csv in {name}", want, *columns, data=table(
            "ts,arm,requests,errors",
            lambda s, c, n, b, _: f"{int((T0 + 1000 * s) / unit)},{c},{n},{b}"))
    for name, zone in (("without a zone", ""), ("UTC", "Z"), ("elsewhere", "+00:00")):
        same(f"csv, times {name}", want, *columns, data=table(
            "ts,arm,requests,errors", lambda s, c, n, b, _: f"{iso(s)}{zone},{c},{n},{b}"))
    same("csv by the names of the fields, quoted, with CRLF and a mark", want, data=table(
        '\ufeff"t_ms";"n";"bad";"cohort";"rollout";"metric";"attributes.zone"',
        lambda s, c, n, b, _: f'{T0 + 1000 * s};"{n}";{b};"{c}";web;errors;"a ""b"";\nc"',
        "\r\n"))
    attributes = ["--columns", "time=ts,metric=:errors,n=n,bad=bad,attributes=*"]
    _, out, _ = run("--from", "-", "-o", "jsonl", *attributes, data=table(
        "ts,version,dc,n,bad",
        lambda s, c, n, b, _: f"{T0 + 1000 * s},{2 if c == 'canary' else 1},x,{n},{b}"))
    check(told(out) == want, "csv with attributes: the same verdicts")


def wide(rows):
    """Two samples a row: errors and a value, where it is filled."""
    plan(ERRORS + ", " + LATENCY)
    lines = b"".join(json.dumps({"t_ms": T0 + 1000 * s, "rollout": "web", "cohort": c, **x}
                                ).encode() + b"\n" for s, c, n, bad, took in rows
                     for x in ({"metric": "errors", "n": n, "bad": bad},
                               {"metric": "latency", "value": took[0]}))
    _, out, _ = run("--from", "-", "-o", "jsonl", data=lines)
    text = "ts,arm,n,bad,us\n" + "".join(
        f"{T0 + 1000 * s},{c},{n},{bad},{took[0]}\n{T0 + 1000 * s},{c},,,\n"
        for s, c, n, bad, took in rows)
    names = "time=ts,rollout=:web,cohort=arm"
    code, got, err = run("--from", "-", "-o", "jsonl", "--columns",
                         f"{names},metric=:errors,n=n,bad=bad", "--columns",
                         f"{names},metric=:latency,value=us", data=text.encode())
    check(told(got) == told(out) and "240 records refused" in err and "line 3" in err,
          f"csv, two samples a row ({code} {err.strip()[:160]})")


def prometheus(rows, want):
    """Counters by code that restart once, and classic histograms."""
    def answer(name, series):
        return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [
            {"metric": {"__name__": name, **dict(labels)},
             "values": [[t / 1000, str(v)] for t, v in values]}
            for labels, values in series.items()]}}).encode()

    def series(restart):
        counts, buckets, total = {}, {}, {}
        for s, c, n, bad, took in [(-1, "canary", 0, 0, []), (-1, "baseline", 0, 0, []), *rows]:
            version = ("version", "2" if c == "canary" else "1")
            for code, k in (("200", n - bad), ("500", bad)):
                key = (version, ("code", code))
                total[key] = (0 if s == restart else total.get(key, 0)) + k
                counts.setdefault(key, []).append((T0 + 1000 * s, total[key]))
            for le in BOUNDS:
                key = (version, ("le", "+Inf" if le == math.inf else str(le)))
                total[key] = total.get(key, 0) + sum(x <= le * 1e6 for x in took)
                buckets.setdefault(key, []).append((T0 + 1000 * s, total[key]))
        return counts, buckets
    counts, buckets = series(40)
    plan(REQUESTS)
    data = answer("requests_total", counts)
    code, out, err = run("--from", "-", "-o", "jsonl", data=data)
    check([x[:3] for x in told(out)] == [x[:3] for x in want] and told(out)[-1][3] == want[-1][3],
          f"prometheus' counters, one restart: the same verdicts ({code} {err.strip()[:200]})")
    plan(REQUESTS.replace("requests_total", "sum"))
    code, again, err = run("--from", "-", "-o", "jsonl", "--columns", "metric=:sum",
                           data=data.replace(b'"__name__": "requests_total", ', b""))
    check(told(again) == told(out), f"series without a name get one ({code} {err.strip()[:200]})")
    plan(REQUESTS + ", " + SECOND)
    code, out, err = run("--from", "-", "-o", "jsonl",
                         data=answer("took_seconds_bucket", buckets) + b"\n" + data)
    sent = sum(len(r[4]) for r in rows if r[1] == "canary")
    metrics = {m["name"]: m for m in told(out)[-1][3]}
    check(code == 1 and 0 < metrics["latency"]["canary"]["n"] <= sent and
          abs(metrics["latency"]["canary"]["p50"] - 22) < 5,
          f"two answers in one file: counters and a histogram ({code} {err.strip()[:200]})")


def interval_logs(rows):
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogWriter
    plan(LATENCY)
    values = b"".join(json.dumps(
        {"t_ms": T0 + 1000 * s, "rollout": "web", "cohort": c, "metric": "latency",
         "values": took}).encode() + b"\n" for s, c, _, _, took in rows)
    _, out, _ = run("--from", "-", "-o", "jsonl", data=values)
    path = os.path.join(DIR, "x.hlog")

    def log(relative, tagged=True, only=None):
        with open(path, "w", encoding="utf-8") as file:
            writer = HistogramLogWriter(file)
            writer.output_comment("made by a test")
            writer.output_log_format_version()
            if relative:
                file.write(f"#[StartTime: {T0 / 1000:f} (seconds since epoch), Oct 9]\n")
            writer.output_legend()
            for s, c, _, _, took in rows:
                if only is not None and c != only:
                    continue
                h = HdrHistogram(1, 3_600_000_000, 3)
                for v in took:
                    h.record_value(v)
                if tagged:
                    file.write(f"Tag={c},")
                at = (0 if relative else T0 / 1000) + s
                # 0 s is "not said" to this writer
                writer.output_interval_histogram(h, at or 1e-9, at + 1)
        with open(path, "rb") as file:
            return file.read()
    for relative in (False, True):
        code, got, err = run("--from", "-", "-o", "jsonl", "--columns",
                             "rollout=:web,cohort=tag,metric=:latency", data=log(relative))
        check(interval_close(told(got), told(out)),
              f"hlog, relative {relative}: the same within its resolution ({err.strip()[:200]})")
    two = log(False)
    code, got, err = run("--from", "-", "-o", "jsonl", "--rollout", "web", data=two)
    check(code == 2 and "latency" in err, f"hlog without a rollout is for none ({err.strip()[:200]})")
    hurt = two.replace(b"HISTFA", b"HISTXA", 1)
    _, _, err = run("--from", "-", "--columns", "rollout=:web,cohort=tag", data=hurt)
    check("1 records refused" in err and "HISTFA" in err, f"a broken histogram ({err.strip()[:200]})")


def interval_close(got, want):
    """Counts are equal, quantiles within a bucket of the log, or of ours."""
    if [x[:3] for x in got] != [x[:3] for x in want]:
        return False
    for a, b in zip(got, want):
        for m, n in zip(a[3], b[3]):
            if m["canary"]["n"] != n["canary"]["n"] or m["baseline"]["n"] != n["baseline"]["n"]:
                return False
            for q in ("p50", "p90", "p99"):
                if abs(m["canary"].get(q, 0) - n["canary"].get(q, 0)) > 0.025 * n["canary"].get(q, 1):
                    return False
    return True


# ---------------------------------------------------------------- recorded topics

def batch(s, cohort, n, bad):
    """A serin.v1.Batch of one sample."""
    column = (put(1, b"web") + put(3, cohort.encode()) + put(5, b"errors") +
              put(6, T0 + 1000 * s) + put(8, bytes_of(n)) + put(9, bytes_of(bad)))
    return put(1, 1) + put(2, column)


def bytes_of(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


def topics(rows, want):
    """Two topics of two formats, the second partition written behind the first one."""
    inputs = [{"topic": "a", "format": "json", "defaults": {"metric": "errors"}},
              {"topic": "b", "format": "serin"}]
    records = []
    for s, c, n, bad, _ in rows:
        t = T0 + 1000 * s
        if c == "canary":
            records.append((1, 0, s, t + 300, batch(s, c, n, bad)))
        else:
            text = json.dumps({"t_ms": t, "rollout": "web", "cohort": c, "n": n, "bad": bad})
            records.append((0, s % 2, s // 2, t + 300, text.encode()))
    records.sort(key=lambda r: (r[0], r[1], r[2]))
    data = raw_recording(inputs, records)
    plan(ERRORS)
    same("recorded topics, partition by partition", want, data=data)
    path = os.path.join(DIR, "x.rec")
    with open(path, "wb") as file:
        file.write(data)
    code, out, err = run("--from", path, "-o", "jsonl", "--format", "serin")
    check(told(out) == want and code == 1, f"the same from a file ({err.strip()[:200]})")
    early = [(0, 0, i, T0 - 3_600_000 + i, b"{}") for i in range(100)]
    with open(path, "wb") as file:
        hurt = bytearray(raw_recording(inputs, early + records))
        hurt[hurt.index(b"SFRM", 100) + 60] ^= 1  # within the first frame of records
        file.write(hurt)
    code, out, err = run("--from", path, "-o", "jsonl", "--between", f"{T0}..")
    check(told(out) == want and code == 1, f"an hour before is not even read ({err.strip()[:200]})")
    code, _, err = run("--from", path)
    check(code == 2 and "checksum" in err, "but would have been damaged")
    says(data[:-50], "cut short")
    says(b"hello", "expected a recording", args=["--format", "serin"])
    says(raw_recording([], []), "inbox")
    limited = raw_recording([{**i, "max_message": 10} for i in inputs], records)
    says(limited, "limit 10")


# ---------------------------------------------------------------- ranges, speed

def stretches(rows):
    plan(ERRORS)
    data = json_lines(rows)
    last = T0 + 1000 * (SECONDS - 1)
    code, out, _ = run("--from", "-", "--between", "..+50s", "-o", "jsonl", data=data)
    check(code == 4 and len(told(out)) == 1, f"before it became worse: no abort ({code})")
    later = b"".join(data.splitlines(True)[140:])
    _, cut, _ = run("--from", "-", "-o", "jsonl", data=later)
    code, out, err = run("--from", "-", "--between", f"{T0 + 70000}..", "-o", "jsonl", data=data)
    check(code == 1 and out == cut, f"from a time on: as if it began there ({code} {err.strip()[:200]})")
    iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(T0 / 1000 + 70))
    _, out, _ = run("--from", "-", "--between", iso + "..", "-o", "jsonl", data=data)
    check(out == cut, "the same in ISO 8601")
    for span in ("+3h..+4h", f"{last + 5000}..", f"..{T0}"):
        says(data, "nothing for this plan", str(T0), args=["--between", span])
    for span, word in (("5m", "FROM..TO"), ("+5m..+5m", "empty"), ("+5m..2026-01-01", "both"),
                       ("x..y", "FROM..TO")):
        says(data, word, args=["--between", span])


def speed(rows):
    data = json_lines(rows)
    began = time.monotonic()
    code, out, _ = run("--from", "-", "--speed", "100x", "-o", "jsonl", data=data)
    took = time.monotonic() - began
    _, want, _ = run("--from", "-", "-o", "jsonl", data=data)
    span = (told(want)[-1][2] - T0) / 100_000
    check(code == 1 and out == want and took >= span, f"100x takes at least {span:.2f} s: {took:.2f}")
    says(data, "--speed fast", "1x", args=["--speed", "fast"])
    slow = subprocess.Popen([SERIN, "replay", "--plan", PLAN, "--from", "-", "--speed", "1x", "-o",
                             "jsonl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    slow.stdin.write(data)
    slow.stdin.close()
    first = slow.stdout.readline()
    slow.send_signal(signal.SIGINT)
    err, code = slow.stderr.read().decode(), slow.wait()
    slow.stdout.close()
    check(code == 4 and json.loads(first)["reason"] == "start" and "stopped" in err and
          "web: " in err, f"Ctrl-C: what came is judged ({code} {err.strip()[:200]})")


# ---------------------------------------------------------------- what is wrong

def bad_input(rows):
    plan(ERRORS)
    good = b"ts,arm,n,bad\n" + b"".join(
        f"{T0 + 1000 * s},{c},{n},{b}\n".encode() for s, c, n, b, _ in rows)
    base = "time=ts,rollout=:web,cohort=arm,metric=:errors,n=n,bad=bad"

    def table(data, *words, columns=base):
        says(data, *words, args=["--columns", columns])

    def one(data, *words):
        code, _, err = run("--from", "-", "--columns", base, data=data)
        check(code in (1, 4) and "1 records refused" in err and all(w in err for w in words),
              f"said: {err.strip()[:240]}")
    lines = good.split(b"\n")

    def line(i, text):
        return b"\n".join([*lines[:i], text, *lines[i + 1:]])
    one(line(6, b"yesterday,canary,1,1"), "line 7", "column 1 (ts)", "yesterday", "epoch")
    one(line(6, lines[6].replace(b",baseline,1800,", b",baseline,many,")), "line 7",
        "column 3 (n)", '"many"', "whole number")
    one(line(6, b"1,2,3"), "3 cells where the header has 4")
    one(line(6, b'1,"a"b,3,4'), "line 7", "quote")
    one(line(6, b"1,\xff,3,4"), "line 7", "column 2 (arm)", "UTF-8")
    table(good + b'1,"never closed\n2,3\n', "line 242", "none closes it")
    table(good, "no column cohorts", "ts, arm, n, bad", columns=base.replace("=arm", "=cohorts"))
    table(good, "character 1", "no such field", "tme", columns="tme=ts")
    table(good, "character 9", "twice", columns="time=ts,time=arm")
    table(good, "no column says the time", columns="n=n")
    table(good, "n, bad, a value or a gauge", columns="time=ts")
    table(good, "name no rollout", "rollout=:", columns=base.replace("rollout=:web,", ""))
    says(good, "--columns", "lines", args=["--columns", base, "--format", "json"])
    says(b"{\"status\":\"error\",\"errorType\":\"x\",\"error\":\"too many points\"}",
         "too many points")
    says(b'{"status":"success","data":{"resultType":"vector","result":[]}}', "vector",
         "query_range")
    says(b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{}}]}}',
         "without")
    says(b'{"status":"success","data":', "no JSON at byte")
    says(b"\x00\x01\x02", "begins with", "csv", "hlog", "prometheus")
    says(b"#[StartTime: 1.0]\nTag=a,1,2,3,HISTFAAA\n", "line 2", "StartTime")
    says(b"Tag=a,1,2,3,HISTFAAA\n", "columns", args=["--format", "hlog", "--columns", "time=ts"])
    says(good, "expected auto, serin, json, csv, hlog", args=["--format", "xls"])


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--serin", required=True)
SERIN = os.path.abspath(parser.parse_args().serin)
live.run_with("hdrhistogram==0.10.8")
with tempfile.TemporaryDirectory() as DIR:
    PLAN = os.path.join(DIR, "plan.yaml")
    ROWS = list(traffic())
    plan(ERRORS)
    CODE, OUT, ERR = run("--from", "-", "-o", "jsonl", data=json_lines(ROWS))
    WANT = told(OUT)
    check(CODE == 1 and WANT[-1][0] == "ABORT" and WANT[-1][2] > T0 + 60000, f"json: {ERR}")
    tables(ROWS, WANT)
    topics(ROWS, WANT)
    stretches(ROWS)
    speed(ROWS)
    bad_input(ROWS)
    wide(ROWS)
    prometheus(ROWS, WANT)
    interval_logs(ROWS)
print(f"{len(failures)} failed")
sys.exit(1 if failures else 0)
