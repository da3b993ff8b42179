#!/usr/bin/env python3
"""Real recordings judged: shared.py --serin PATH --data DIR

DIR as tests/bench/peers/stats describes it (truth.json says what is right). On the requests of
the Nezha data set, by one plan for all: harmless canaries stay, labelled faults are found. The
dispersion is written into the plan, larger than any that compare.py measures there."""
import argparse
import concurrent.futures
import json
import math
import os
import subprocess
import sys
import tempfile

ALPHA, LEAST_FOUND = 0.05, 45
PHI = {"requests": 1.3, "calls": 3}


def plan(kind, share):
    calls = kind == "A/A-clustered"
    phi = PHI["calls" if calls else "requests"]
    names = [("latency", "latency")] + ([] if calls else [("errors", "ratio")])
    return json.dumps({
        "id": "judged", "cohorts": {"canary": {"v": "2"}, "baseline": {"v": "1"}},
        "window": "10s", "calibrate": "skip", "risk": {"false_abort": ALPHA},
        "silence": "1d",
        "steps": [{"weight": f"{round(100 * share)}%", "worse_than": 1.5, "bake": "1d",
                   "warmup": "0s", "timeout": "2d"}, {"weight": "100%"}],
        "metrics": [{"name": n, "kind": k, "phi": phi} for n, k in names]})


def aborted_at(entry):
    """ms, or None."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(plan(entry["kind"], entry["share"]))
        file.flush()
        done = subprocess.run([args.serin, "replay", "--plan", file.name, "--max-lag", "10m",
                               "--from", os.path.join(args.data, entry["file"]), "-o", "jsonl"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode not in (1, 4):
        raise SystemExit(f"{entry['file']}: exit {done.returncode}: {done.stderr.decode()}")
    for v in map(json.loads, done.stdout.splitlines()):
        if v["verdict"] == "ABORT":
            return v["t_ms"]
    return None


def tail(k, n, p):
    """P(at least k of n)."""
    return sum(math.comb(n, i) * p ** i * (1 - p) ** (n - i) for i in range(k, n + 1))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--serin", required=True)
parser.add_argument("--data", required=True)
args = parser.parse_args()
with open(os.path.join(args.data, "truth.json")) as listed:
    entries = [e for e in json.load(listed) if e["file"].startswith("nezha/") and e["strict"] and
               "share" in e]
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    told = list(zip(entries, pool.map(aborted_at, entries)))
good = [(e, t) for e, t in told if e["verdict"] == "promote"]
bad = [(e, t) for e, t in told if e["verdict"] == "abort"]
# Recordings of one group share their requests: one of each is counted.
groups = {}
for e, t in sorted(good, key=lambda x: x[0]["id"]):
    groups.setdefault(e["group"], t is not None)
wrong = sum(groups.values())
found = sum(t is not None and t >= e["onset_ms"] for e, t in bad)
early = sum(t is not None and t < e["onset_ms"] for e, t in bad)
print(f"harmless: {sum(t is not None for _, t in good)} of {len(good)} recordings aborted, "
      f"{wrong} of {len(groups)} groups; faults: {found} of {len(bad)} found, {early} early")
ok = (len(groups) >= 6 and tail(wrong, len(groups), ALPHA) > 1e-3 and
      tail(sum(t is not None for _, t in good), len(good), ALPHA) > 1e-6 and
      found >= LEAST_FOUND and tail(early, len(bad), ALPHA) > 1e-6)
sys.exit(0 if ok else 1)
