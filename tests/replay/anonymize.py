#!/usr/bin/env python3
"""serin recording anonymize: nobody is named any more, and a replay decides the same.

anonymize.py --serin PATH. An inbox with strata, units, users, gates, people, reasons,
acknowledgements and checks, and recorded topics in every format of ingest: the same traffic,
masked, gives the same decisions to the last number, and no frame of the file holds a name.
"""
import argparse
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from wire import (APPLY, BASELINE, CANARY, HOLD, RESUME, ingest_tick, put, put_varint,  # noqa: E402
                  raw_recording, recording, stage_tick)

T0 = 1_760_000_000_000
APPROVE = 8
SECRETS = [b"acme", b"alice", b"bob", b"mallory", b"pod-", b"eu-central", b"wiki",
           b"worker-1", b"vip-topic", b"because", b"user-17", b"2.4.0"]
failures = []


def check(ok, what):
    print("ok  " if ok else "FAIL", what)
    if not ok:
        failures.append(what)


def serin(*args):
    done = subprocess.run([SERIN, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def at(name):
    return os.path.join(DIR, name)


def write(name, data):
    with open(at(name), "wb") as file:
        file.write(data)
    return at(name)


def frames(path):
    """All that is in a recording, unpacked."""
    with open(path, "rb") as file:
        data = file.read()
    out, i = [], 16
    while i < len(data):
        codec, stored = data[i + 5], struct.unpack_from("<I", data, i + 8)[0]
        payload = data[i + 56:i + 56 + stored]
        if codec == 1:
            payload = subprocess.run(["zstd", "-dcq"], input=payload, check=True,
                                     stdout=subprocess.PIPE).stdout
        out.append(payload)
        i += 56 + stored
    return out


def decisions(text):
    """A verdict without names: numbers, times, states, reasons, metrics."""
    out = []
    for v in map(json.loads, text.splitlines()):
        told = {k: v[k] for k in ("seq", "verdict", "reason", "from_bp", "to_bp", "final", "t_ms",
                                  "state", "windows", "sample_ratio", "metrics", "lag_ms", "late",
                                  "poison")}
        out.append(json.dumps(told, sort_keys=True))
    return sorted(out)


def nameless(path, what):
    found = [s for s in SECRETS if any(s in payload for payload in frames(path))]
    check(not found, f"{what}: no name is left {found}")


# ---------------------------------------------------------------- an inbox

PLAN = """apiVersion: serin/v1
kind: Rollout
id: acme-shop
service: acme
owner: alice@acme.example
release_notes: https://wiki.acme.example/1
rollback_plan: https://wiki.acme.example/2
strict: true
cohorts: {canary: {service.name: acme, service.version: "2.4.0"}, baseline: {service.name: acme, service.version: [1.9, "1.8"]}}
strata: [region, zone]
window: 1s
calibrate: skip
sample_ratio: {check: false}
steps:
  - {weight: 10%, worse_than: 4, bake: 5s, warmup: 0s}
  - {weight: 50%, worse_than: 3, bake: 8s, warmup: 0s, gate: sre}
  - {weight: 100%, watch: 5s, warmup: 0s}
gates: {sre: {approvers: [alice, bob], quorum: 2, expires: 2h, reason: because of acme}}
checks: {smoke: {kind: webhook, url: "https://acme.example/smoke"}}
criteria: {all_of: [errors, smoke]}
actuate: {target: acme-proxy}
schedule: {freeze: [{from: 2025-12-24, to: 2026-01-02, reason: because of acme}]}
metrics:
  - {name: errors, kind: ratio, phi: 1, from: {metric: requests, bad: "code >= 500"}}
  - {name: people, kind: ratio, per: user, phi: 1, mode: warn}
  - {name: cpu, kind: gauge, from: {unit_key: pod}, mode: warn}
"""


def packed_users(users):
    return b"".join(struct.pack("<Q", u) for u in sorted(users))


def cells(rng, t, bad):
    body = b""
    for cohort, n in ((CANARY, 500), (BASELINE, 5000)):
        for stratum in ("eu-central,a", "eu-central,b", "other"):
            wrong = sum(rng.random() < (bad if cohort == CANARY else 0.01) for _ in range(n // 10))
            body += put(3, put(1, cohort) + put(2, stratum) + put(3, "errors") + put(4, t) +
                        put(5, n // 10) + put(6, wrong))
            users = {rng.getrandbits(50) << 2 | (rng.random() < bad) for _ in range(12)}
            body += put(3, put(1, cohort) + put(2, stratum) + put(3, "people") + put(4, t) +
                        put(5, len(users)) + put(6, sum(u & 1 for u in users)) +
                        put(10, packed_users(users)))
            units = b"".join(put(8, put(1, f"pod-{cohort}-{i}") + put(2, 1) + put_varint(3 << 3 | 1) +
                                 struct.pack("<d", rng.gauss(0.5, 0.1)) + put_varint(4 << 3 | 1) +
                                 struct.pack("<d", 0.3)) for i in range(5))
            body += put(3, put(1, cohort) + put(2, stratum) + put(3, "cpu") + put(4, t) + units)
    return put(1, 1) + put(2, put(1, "acme-shop") + put(2, "worker-1") + body + put(4, 2000))


def order(verb, actor, t, **more):
    body = (put(1, f"acme-{verb}-{actor}-{t}") + put(2, "acme-shop") + put(3, verb) + put(4, actor) +
            put(5, "because of user-17") + put(6, t))
    return put(1, 1) + put(3, body + put(7, more.get("plan", "")) + put(9, more.get("gate", "")))


def acknowledge(seq, bp, t):
    return put(1, 1) + put(4, put(1, "acme-shop") + put(2, f"acme-shop/{seq}") + put(3, "acme-proxy") +
                           put(4, bp) + put(5, t) + put(7, "acme-proxy"))


def answer(seq, t):
    return put(1, 1) + put(10, put(1, "acme-shop") + put(2, "smoke") + put(3, seq) + put(4, t) +
                           put(5, "pass") + put(6, "acme says yes") + put(7, "worker-1"))


def inbox(bad):
    """Applied by mallory, held and resumed by bob, approved by alice and bob, not mallory."""
    rng, out = random.Random(3), []

    def add(t_ms, key, value):
        out.append((0, 3 * len(out) + 1, t_ms, key, value))
    add(T0, "@stage", stage_tick(T0))
    add(T0, "acme-shop", order(APPLY, "mallory", T0, plan=PLAN))
    for i in range(90):
        t = T0 + 1000 * i
        add(t + 900, "acme-shop", cells(rng, t, bad if i > 30 else 0.01))
        for seq in range(1, 12):
            add(t + 910, "acme-shop", acknowledge(seq, 1000 if i < 32 else 5000, t + 910))
            add(t + 920, "acme-shop", answer(seq, t + 920))
        for when, verb, who in ((8, HOLD, "bob"), (11, RESUME, "bob"), (20, APPROVE, "mallory"),
                                (22, APPROVE, "alice"), (27, APPROVE, "bob")):
            if i == when:
                add(t + 950, "acme-shop", order(verb, who, t + 950, gate="sre"))
        add(t + 1000, "worker-1", ingest_tick(t + 1000, t + 1000))
        add(t + 1000, "@stage", stage_tick(t + 1000))
    return recording(out)


def inboxes():
    kinds = set()
    for name, bad in (("good", 0.01), ("bad", 0.15)):
        path = write(name, inbox(bad))
        code, _, err = serin("recording", "anonymize", path, "--out", at("masked"))
        check(code == 0 and "not hidden" in err, f"{name}: {err.strip()[:200]}")
        exit_code, want, _ = serin("replay", "--inbox", path, "-o", "jsonl")
        same_code, got, err = serin("replay", "--inbox", at("masked"), "-o", "jsonl")
        kinds |= {(v["verdict"], v["reason"]) for v in map(json.loads, want.splitlines())}
        check(len(want.splitlines()) > 4 and decisions(got) == decisions(want) and
              exit_code == same_code, f"{name}: the same decisions, {len(want.splitlines())} ({err})")
        check(got != want, "under other names")
        nameless(at("masked"), name)
    check({("HOLD", "operator"), ("ABORT", "harm")} <= kinds and len(kinds) > 4,
          f"all this was decided: {sorted(kinds)}")
    _, before, _ = serin("recording", "info", path, "-o", "json")
    _, after, _ = serin("recording", "info", at("masked"), "-o", "json")
    check(json.loads(before)["records"] == json.loads(after)["records"], "no record is lost")


def keys():
    key = write("key", bytes(range(32)))
    path = at("bad")
    outs = []
    for name, args in (("a", ["--key-file", key]), ("b", ["--key-file", key]), ("c", []), ("d", [])):
        serin("recording", "anonymize", path, "--out", at(name), *args)
        outs.append(b"".join(frames(at(name))[1:]))
    check(outs[0] == outs[1] and len(set(outs)) == 3, "the same names by a key; else others each time")
    code, _, err = serin("recording", "anonymize", path, "--out", at("x"), "--key-file",
                         write("short", b"short"))
    check(code == 2 and "16 or more" in err, f"a short key ({err.strip()})")
    code, _, err = serin("recording", "anonymize", write("no", b"hello"), "--out", at("x"))
    check(code == 2 and "no serin recording" in err, f"another file ({err.strip()})")
    code, _, err = serin("recording", "anonymize", path, "--out", at("x"), "--plan", at("x"))
    check(code == 2 and "give both" in err, f"half of a plan ({err.strip()[:80]})")


# ---------------------------------------------------------------- recorded topics

RAW = """id: acme-shop
service: acme
owner: alice
cohorts: {canary: {service.name: acme, service.version: "2.4.0"}, baseline: {service.name: acme, service.version: "1"}}
strata: [region]
window: 1s
calibrate: skip
steps: [{weight: 10%, worse_than: 3, bake: 60s, warmup: 0s}, {weight: 100%, watch: 10s}]
metrics: [{name: errors, kind: ratio, phi: 1, from: {metric: requests, bad: "tier = gold"}}]
"""


def traffic():
    rng = random.Random(8)
    for s in range(100):
        for version, n in (("2.4.0", 400), ("1", 3600)):
            bad = sum(rng.random() < (0.05 if version != "1" and s > 50 else 0.01) for _ in range(n))
            for tier, k in (("gold", bad), ("tin", n - bad)):
                yield s, version, tier, k


def names(version, tier):
    return {"service.name": "acme", "service.version": version, "tier": tier,
            "region": "eu-central", "customer": "user-17"}


def as_json(s, version, tier, k):
    return json.dumps({"t_ms": T0 + 1000 * s, "attributes": names(version, tier), "user": "user-17",
                       "metric": "requests", "n": k}).encode()


def as_serin(s, version, tier, k):
    attributes = b"".join(put(2, put(1, a) + put(2, b)) for a, b in names(version, tier).items())
    return put(1, 1) + put(2, attributes + put(5, "requests") + put(6, T0 + 1000 * s) +
                           put(8, put_varint(k)) + put(14, struct.pack("<Q", 17)))


def as_influx(s, version, tier, k):
    tags = "".join(f",{a}={b}" for a, b in names(version, tier).items())
    return f'requests{tags} value={k}i,note="acme says, \\"yes\\" k=1" {T0 + 1000 * s}000000\n'.encode()


def as_otlp_json(s, version, tier, k):
    point = {"attributes": [{"key": a, "value": {"stringValue": b}} for a, b in
                            names(version, tier).items()],
             "timeUnixNano": str((T0 + 1000 * s) * 1000000), "asInt": str(k),
             "exemplars": [{"filteredAttributes": [], "traceId": "acme"}]}
    total = {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point]}
    return json.dumps({"resourceMetrics": [{"resource": {"attributes": [
        {"key": "host", "value": {"intValue": "17"}}]}, "scopeMetrics": [
            {"scope": {"name": "acme"}, "metrics": [
                {"name": "requests", "description": "acme", "sum": total}]}]}]}).encode()


def as_otlp_proto(s, version, tier, k):
    def attribute(number, key, value):
        return put(number, put(1, key) + put(2, put(1, value)))
    point = (b"".join(attribute(7, a, b) for a, b in names(version, tier).items()) +
             put_varint(3 << 3 | 1) + struct.pack("<Q", (T0 + 1000 * s) * 1000000) +
             put_varint(6 << 3 | 1) + struct.pack("<q", k) + put(5, b"acme"))
    total = put(1, point) + put(2, 1) + put(3, 1)
    metric = put(1, "requests") + put(2, "acme") + put(7, total)
    return put(1, put(1, attribute(1, "host", "acme")) +
               put(2, put(1, put(1, "acme")) + put(2, metric)))


def as_prometheus(totals, s, version, tier, k):
    """Remote write of a counter; snappy without any copies."""
    totals[version, tier] = totals.get((version, tier), 0) + k
    labels = {"__name__": "requests", **names(version, tier)}
    series = b"".join(put(1, put(1, a) + put(2, b)) for a, b in labels.items())
    series += put(2, b"\x09" + struct.pack("<d", totals[version, tier]) + put(2, T0 + 1000 * s))
    request = put(1, series)
    return put_varint(len(request)) + b"\xf4" + struct.pack("<H", len(request) - 1) + request


def topics():
    plan = write("plan.yaml", RAW.encode())
    first, totals = None, {}
    for name, line in (("prometheus_rw", lambda *r: as_prometheus(totals, *r)), ("json", as_json), ("serin", as_serin), ("influx", as_influx),
                       ("otlp_json", as_otlp_json), ("otlp_proto", as_otlp_proto)):
        inputs = [{"topic": "vip-topic", "format": name, "defaults": {"attributes": {"owner": "alice"}}}]
        records = [(0, 0, i, T0 + 1000 * r[0], line(*r)) for i, r in enumerate(traffic())]
        path = write("raw", raw_recording(inputs, records))
        code, _, err = serin("recording", "anonymize", path, "--out", at("masked"), "--plan", plan,
                             "--plan-out", at("masked.yaml"))
        check(code == 0, f"{name}: {err.strip()[:200]}")
        exit_code, want, err = serin("replay", "--plan", plan, "--from", path, "-o", "jsonl")
        check(exit_code == 1 and len(want.splitlines()) == 2, f"{name}: aborts ({err.strip()[:200]})")
        same_code, got, err = serin("replay", "--plan", at("masked.yaml"), "--from", at("masked"), "-o",
                                    "jsonl")
        check(decisions(got) == decisions(want) and same_code == exit_code,
              f"{name}: the same decisions ({err.strip()[:200]})")
        if name != "prometheus_rw":  # its first values are bases
            first = first or decisions(want)
            check(decisions(want) == first, f"{name}: those of json")
        nameless(at("masked"), name)
        with open(at("masked.yaml"), "rb") as file:
            text = file.read()
        check(not [s for s in SECRETS if s in text] and b"tier = gold" in text, f"{name}: the plan")
    code, _, err = serin("recording", "anonymize", path, "--out", at("x"), "--plan", write(
        "pattern.yaml", re.sub(rb'service.version: "1"', rb'service.version: {regex: "1.*"}',
                               RAW.encode())), "--plan-out", at("y"))
    check(code == 2 and "--keep service.version" in err, f"a pattern is refused ({err.strip()[:200]})")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--serin", required=True)
SERIN = os.path.abspath(parser.parse_args().serin)
with tempfile.TemporaryDirectory() as DIR:
    inboxes()
    keys()
    topics()
print(f"{len(failures)} failed")
sys.exit(1 if failures else 0)
