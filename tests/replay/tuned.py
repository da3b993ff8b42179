#!/usr/bin/env python3
"""Plans tuned on real recordings, judged on others: tuned.py --serin PATH --data DIR

DIR as tests/bench/peers/stats describes it. For every group of Nezha's requests (and of its
calls, which come five to a trace) a plan is tuned on the harmless recordings and faults of the
*other* groups of the same kind, from one that knows no dispersion: `serin tune` measures phi, sweeps
the level, and suggests. The suggestion then judges the group that it has never seen. Prints a
table; exit 1 when harmless canaries are aborted more often than alpha allows, or too few faults found."""
import argparse
import collections
import concurrent.futures
import json
import math
import os
import subprocess
import sys
import tempfile

ALPHA, LEAST_FOUND = 0.05, 45
METRICS = {"requests": ("errors: ratio", "latency: latency"), "calls": ("latency: latency",)}


def base(family):
    metrics = ", ".join("{name: %s, kind: %s, phi: 1}" % tuple(m.split(": "))
                        for m in METRICS[family])
    return f"""id: judged # tuned by tests/replay/tuned.py
cohorts: {{canary: {{v: "2"}}, baseline: {{v: "1"}}}}
window: 10s
calibrate: skip
silence: 1d
risk: {{false_abort: {ALPHA}}}
steps: [{{weight: 25%, worse_than: 1.5, bake: 1d, warmup: 0s, timeout: 2d}}, {{weight: 100%}}]
metrics: [{metrics}]
"""


def run(*words):
    return subprocess.run([args.serin, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)


def path(entry):
    return os.path.join(args.data, entry["file"])


def tune(family, group):
    """The suggested plan's text and its changes, from all groups but this one."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(base(family))
        file.flush()
        words = ["tune", "--plan", file.name, "--max-lag", "10m", "--runs", str(args.runs),
                 "--sweep", "risk.false_abort=0.01,0.05", "--threads", "1", "-o", "json"]
        for e in entries:
            if e["group"] == group or e["family"] != family:
                continue
            words += ([path(e)] if e["verdict"] == "promote" else
                      ["--fault", f"{path(e)}@{e['onset_ms']}"])
        done = run(*words)
    if done.returncode != 0:
        raise SystemExit(f"{family} without {group}: exit {done.returncode}: {done.stderr}")
    told = json.loads(done.stdout)
    return told["suggested_plan"], told["measured"][0]["changes"]


def aborted_at(text, entry):
    """ms, or None."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        done = run("replay", "--plan", file.name, "--max-lag", "10m", "--from", path(entry),
                   "-o", "jsonl")
    if done.returncode not in (1, 4):
        raise SystemExit(f"{entry['file']}: exit {done.returncode}: {done.stderr}")
    return next((v["t_ms"] for v in map(json.loads, done.stdout.splitlines())
                 if v["verdict"] == "ABORT"), None)


def judge(family, group):
    text, changes = tune(family, group)
    mine = [e for e in entries if e["group"] == group and e["family"] == family]
    phi = {k.split("[")[1].split("]")[0]: float(v) for k, v in changes.items() if ".phi" in k}
    return phi, [(e, aborted_at(text, e), aborted_at(base(family), e)) for e in mine]


def tail(k, n, p):
    """P(at least k of n)."""
    return sum(math.comb(n, i) * p ** i * (1 - p) ** (n - i) for i in range(k, n + 1))


def row(name, told):
    """Of [(entry, time)]: one line; what the bounds are about."""
    good = [(e, t) for e, t in told if e["verdict"] == "promote"]
    bad = [(e, t) for e, t in told if e["verdict"] == "abort"]
    groups = {}
    for e, t in sorted(good, key=lambda x: x[0]["id"]):
        groups.setdefault(e["group"], t is not None)
    wrong = sum(t is not None for _, t in good)
    found = sum(t is not None and t >= e["onset_ms"] for e, t in bad)
    early = sum(t is not None and t < e["onset_ms"] for e, t in bad)
    print(f"  {name:24} {wrong:3} of {len(good):3}   {sum(groups.values())} of {len(groups)}   "
          f"{found:3} of {len(bad):3}   {early}")
    return wrong, len(good), sum(groups.values()), len(groups), found, early, len(bad)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--serin", required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--runs", type=int, default=20)
args = parser.parse_args()
with open(os.path.join(args.data, "truth.json")) as listed:
    entries = [e for e in json.load(listed) if e["file"].startswith("nezha/") and e["strict"] and
               "share" in e]
for e in entries:
    e["family"] = "calls" if "cluster" in e["kind"] else "requests"
pairs = sorted({(e["family"], e["group"]) for e in entries})
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    results = list(pool.map(lambda p: judge(*p), pairs))
measured = collections.defaultdict(list)
for (family, _), (phi, _) in zip(pairs, results):
    for name, value in phi.items():
        measured[f"{name} of {family}"].append(value)
told = [x for _, group in results for x in group]
print(f"Nezha, every group judged by a plan tuned on the others, alpha {ALPHA}")
print("  phi: " + ", ".join(f"{k} {min(v)} to {max(v)}" for k, v in sorted(measured.items())))
print("  plan                     harmless aborted  groups   faults found   before")
row("as it was (phi 1)", [(e, before) for e, _, before in told])
wrong, good, wrong_groups, groups, found, early, bad = row("tuned",
                                                           [(e, t) for e, t, _ in told])
ok = (groups >= 6 and tail(wrong_groups, groups, ALPHA) > 1e-3 and
      tail(wrong, good, ALPHA) > 1e-6 and found >= LEAST_FOUND and
      tail(early, bad, ALPHA) > 1e-6)
sys.exit(0 if ok else 1)
