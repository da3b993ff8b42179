#!/usr/bin/env python3
"""serin and other judges on the same real recordings, side by side.

DIR holds *.jsonl.zst and truth.json. serin runs through `serin replay`. Its remedies are measured
on the A/A recordings of the other groups of the same source and kind, never on the group that is
judged: dispersion (phi), and of gauges the tolerance (abort_over), the largest ratio between
cohorts that were alike. `20 % on gauges` has the plan's default tolerance instead, `no remedy`
neither phi nor tolerance. Printed: false aborts on A/A, faults found, requests until then. Recordings
of one group share their source, so an error rate's interval is that of one a group."""
import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peers
from recording import clopper_pearson, dispersion, tolerance, windows


NO_REMEDY = collections.defaultdict(lambda: 1.0)
SERIN = ("serin", "serin, 20 % on gauges", "serin, no remedy")


def family(entry):
    """Recordings whose requests depend on each other in the same way."""
    if "cluster" in entry["kind"]:
        how = "calls"
    else:
        how = "units" if entry["kind"] == "A/A-units" else "apart"
    return entry["file"].split("/")[0], how


def plan(entry, recording, phi, over, alpha):
    weight = min(99, max(1, round(100 * entry.get("share", 0.5))))
    metrics = []
    for name in peers.metrics_of(recording):
        what = peers.kind(recording, name)
        m = {"name": name, "kind": what}
        if what == "gauge":
            m["batch"] = "60s"
            if over is not None:
                m["abort_over"] = round(over, 4)
            if entry.get("worse") == "lower":
                m["direction"] = "down"
        else:
            m["phi"] = round(phi[name], 3)
        metrics.append(m)
    return {"id": "judged", "cohorts": {"canary": {"v": "2"}, "baseline": {"v": "1"}},
            "window": "10s", "calibrate": "skip", "risk": {"false_abort": alpha},
            "silence": "1d",
            "steps": [{"weight": f"{weight}%", "worse_than": 1.5, "bake": "7d", "warmup": "0s",
                       "timeout": "8d"}, {"weight": "100%", "watch": "1h"}],
            "metrics": metrics}


def serin(binary, path, text):
    """Time of an abort by evidence, or None; what it said last."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(text, file)
        file.flush()
        done = subprocess.run([binary, "replay", "--plan", file.name, "--from", path, "-o",
                               "jsonl", "--max-lag", "10m"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode not in (0, 1, 4):
        raise SystemExit(f"{path}: {done.stderr.decode()}")
    said = done.stderr.decode().strip().splitlines()[-1]
    for v in map(json.loads, done.stdout.splitlines()):
        if v["verdict"] == "ABORT":
            return v["t_ms"], v["message"]
    return None, said


def requests(recording, from_ms, to_ms):
    """Of the canary: the largest count among the metrics."""
    n = collections.Counter()
    for t, cells in recording:
        if from_ms <= t <= to_ms:
            for c in cells:
                if c.cohort:
                    n[c.metric] += (c.n if c.n is not None else
                                    sum(c.hist["counts"]) if c.hist else 1)
    return max(n.values(), default=0)


def judge(args, entry, recording, remedy):
    """{judge: (time or None)}; judges that are unfit are left out."""
    out, path = {}, os.path.join(args.data, entry["file"])
    measured, tolerated = remedy
    for name, phi, over in zip(SERIN, (measured, measured, NO_REMEDY), (tolerated, None, 1.0)):
        text = plan(entry, recording, phi, over, args.alpha)
        out[name], said = serin(args.serin, path, text)
        if args.verbose:
            print(entry["id"], entry["kind"], name, dict(phi), over, out[name], said,
                  file=sys.stderr)
    for name, look in peers.JUDGES.items():
        if args.only and name not in args.only:
            continue
        try:
            out[name] = look(recording, args.alpha, entry)
        except peers.Unfit:
            pass
    return out


def report(rows, alpha):
    """rows: (entry, recording, {judge: time}). Three tables."""
    names = [*SERIN, *peers.JUDGES]
    print(f"false aborts on A/A (strict), alpha {alpha}: recordings; groups with any; one of "
          "each group, with its exact 95 % limits")
    for source in sorted({e["file"].split("/")[0] for e, _, _ in rows}):
        mine = [r for r in rows if r[0]["verdict"] == "promote" and r[0]["strict"] and
                r[0]["file"].startswith(source + "/")]
        for name in names:
            told = [(e, t[name]) for e, _, t in mine if name in t]
            if not told:
                continue
            groups = collections.defaultdict(list)
            for e, t in sorted(told, key=lambda x: x[0]["id"]):
                groups[e["group"]].append(t is not None)
            one = [g[0] for g in groups.values()]
            low, high = clopper_pearson(sum(one), len(one))
            print(f"  {source:7} {name:24} {sum(t is not None for _, t in told):3} of "
                  f"{len(told):3}   {sum(any(g) for g in groups.values()):2} of "
                  f"{len(groups):2}   {sum(one)} of {len(one)} ({100 * low:.0f} to "
                  f"{100 * high:.0f} %)")
    print("faults found (strict), after their onset; before it; the canary's requests or "
          "readings from onset on, median of those found")
    for source in sorted({e["file"].split("/")[0] for e, _, _ in rows}):
        mine = [r for r in rows if r[0]["verdict"] == "abort" and r[0]["strict"] and
                r[0]["file"].startswith(source + "/")]
        for name in names:
            told = [(e, rec, t[name]) for e, rec, t in mine if name in t]
            if not told:
                continue
            found = sorted(requests(rec, e["onset_ms"], t) for e, rec, t in told
                           if t is not None and t >= e["onset_ms"])
            early = sum(t is not None and t < e["onset_ms"] for e, _, t in told)
            median = found[len(found) // 2] if found else "-"
            print(f"  {source:7} {name:24} {len(found):3} of {len(told):3}   {early:2}   "
                  f"{median}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serin", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--source", action="append", help="nezha, azure, nab; default all")
    parser.add_argument("--only", action="append", help="a judge beside serin; default all")
    parser.add_argument("--serin-only", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    if args.serin_only:
        args.only = ["none"]
    with open(os.path.join(args.data, "truth.json")) as file:
        truth = [e for e in json.load(file) if e["strict"] and
                 (not args.source or e["file"].split("/")[0] in args.source)]
    recordings = {e["id"]: windows(os.path.join(args.data, e["file"])) for e in truth}
    measured = {}

    def remedy(entry):
        key = (family(entry), entry["group"])
        if key not in measured:
            others = [recordings[e["id"]] for e in truth if e["verdict"] == "promote" and
                      family(e) == family(entry) and e["group"] != entry["group"]]
            measured[key] = dispersion(others), tolerance(others)
        return measured[key]

    for e in truth:
        remedy(e)
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda e: judge(args, e, recordings[e["id"]], remedy(e)), truth))
    report([(e, recordings[e["id"]], t) for e, t in zip(truth, told)], args.alpha)


if __name__ == "__main__":
    main()
