#!/usr/bin/env python3
"""serin replay --plan --from: recorded metrics judged by a plan: metrics.py --serin PATH

On the recordings of deploy/recordings and lines made here. Checked: verdicts and exit codes,
that packing, pipes and the order inside a second do not matter, calibration on other files,
the recorded split, several rollouts in one file, damage, and what is said about wrong input.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from wire import recording  # noqa: E402

OWN = os.path.join(ROOT, "deploy/recordings")
T0 = 1_760_000_000_000
failures = []


def check(ok, what):
    print("ok  " if ok else "FAIL", what)
    if not ok:
        failures.append(what)


def run(*args, data=None):
    done = subprocess.run([SERIN, "replay", *args], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def own(name):
    return os.path.join(OWN, name)


def unpacked(name):
    return subprocess.run(["zstd", "-dcq", own(name)], check=True,
                          stdout=subprocess.PIPE).stdout


def plan(dir, text="", calibrate="calibrate: skip", phi=", phi: 1"):
    path = os.path.join(dir, "plan.yaml")
    with open(path, "w") as file:
        file.write(f"""id: web
cohorts: {{canary: {{version: "2"}}, baseline: {{version: "1"}}}}
window: 1s
{calibrate}
steps: [{{weight: 10%, worse_than: 3, bake: 20s, warmup: 0s}}, {{weight: 100%, watch: 10s}}]
metrics: [{{name: errors, kind: ratio{phi}}}]
{text}""")
    return path


def lines(rollout, seconds=120, canary=0.01, share=0.1, attributes=False, seed=1):
    """Errors of both cohorts by the second."""
    rng = random.Random(seed)
    out = []
    for s in range(seconds):
        for cohort, part, rate in (("canary", share, canary), ("baseline", 1 - share, 0.01)):
            n = int(2000 * part)
            name = ({"attributes": {"version": "2" if cohort == "canary" else "1"}}
                    if attributes else {"rollout": rollout, "cohort": cohort})
            bad = sum(rng.random() < rate for _ in range(n))
            out.append({"t_ms": T0 + 1000 * s, **name, "metric": "errors", "n": n, "bad": bad})
    return out


def packed(records):
    return "".join(json.dumps(r) + "\n" for r in records).encode()


def verdicts(out):
    return [(v["verdict"], v["reason"]) for v in map(json.loads, out.splitlines())]


def our_recordings():
    p = own("plan.yaml")
    code, out, err = run("--plan", p, "--from", own("healthy.jsonl.zst"), "-o", "jsonl")
    check(code == 0 and json.loads(out.splitlines()[-1])["final"], f"healthy: 0 ({code} {err})")
    code, out, _ = run("--plan", p, "--from", own("regression.jsonl.zst"), "-o", "jsonl")
    last = json.loads(out.splitlines()[-1])
    check(code == 1 and last["verdict"] == "ABORT" and T0 + 60000 < last["t_ms"] < T0 + 240000,
          "regression: 1, after it began")
    plain = unpacked("regression.jsonl.zst")
    _, raw, _ = run("--plan", p, "--from", own("regression.jsonl.zst"), "--raw")
    _, same, _ = run("--plan", p, "--from", "-", "--raw", data=plain)
    check(len(raw) > 100 and raw == same, "plain from a pipe: the same bytes as packed")
    shuffled = plain.splitlines(True)
    for i in range(0, len(shuffled), 4):
        shuffled[i:i + 4] = reversed(shuffled[i:i + 4])
    _, same, _ = run("--plan", p, "--from", "-", "--raw", data=b"".join(shuffled))
    check(raw == same, "the order inside a second does not matter")
    made = subprocess.run([os.path.join(ROOT, "tests/tools/make_recording.py"), "regression",
                           "--seed", "2"], stdout=subprocess.PIPE, check=True).stdout
    check(made == plain, "make_recording.py makes these bytes")


def calibration(dir):
    p = plan(dir, calibrate="calibrate: 1m", phi="")
    good = packed(lines("web"))
    code, out, err = run("--plan", p, "--from", "-", "-o", "jsonl", data=good)
    first = json.loads(out.splitlines()[0])
    check(code in (0, 4) and first["reason"] == "start" and first["t_ms"] >= T0 + 60000,
          f"the recording's own baseline calibrates first ({code} {err})")
    path = os.path.join(dir, "other.jsonl")
    with open(path, "wb") as file:
        file.write(packed(lines("elsewhere", seed=9)))
    code, out, err = run("--plan", p, "--calibrate-from", path, "--calibrate-from", path,
                         "--from", "-", "-o", "jsonl", data=good)
    first = json.loads(out.splitlines()[0])
    check(code == 0 and first["t_ms"] < T0 + 3000 and "errors phi 1" in err,
          f"another baseline calibrates instead ({code} {err})")
    with open(path, "wb") as file:
        file.write(packed(lines("elsewhere", 20)))
    code, _, err = run("--plan", p, "--calibrate-from", path, "--from", "-", data=good)
    check(code == 2 and "60 windows" in err, f"too little to calibrate on is said ({err})")


def traffic(dir):
    p = plan(dir)
    half = packed(lines("web", share=0.5))
    code, _, err = run("--plan", p, "--from", "-", data=half)
    check(code == 0 and "as recorded" in err, "as recorded: any split is taken, and said")
    code, out, err = run("--plan", p, "--at-weight", "commanded", "--from", "-", "-o", "jsonl",
                         data=half)
    last = json.loads(out.splitlines()[-2])
    split = last["metrics"][0]
    share = split["canary"]["n"] / (split["canary"]["n"] + split["baseline"]["n"])
    check(code == 0 and 0.09 < share < 0.11 and "not simulated" in err,
          f"commanded: half becomes the plan's 10 % ({code} {share:.3f} {err})")
    code, out, _ = run("--plan", p, "--at-weight", "commanded", "--inject",
                       "sample_ratio=x0.5@5s", "--from", "-", "-o", "jsonl", data=half)
    check(code == 4 and ("HOLD", "sample_ratio") in verdicts(out), "a wrong split is seen")
    code, out, _ = run("--plan", plan(dir, "require_ack: true\n"), "--from", "-", data=half)
    check(code == 0, "weights that want an acknowledgement get one")


def scenes(dir):
    """Injected faults and another split: what comes of them, and that it is always the same."""
    p, healthy = own("plan.yaml"), own("healthy.jsonl.zst")
    plain = unpacked("healthy.jsonl.zst")
    faults = ["--at-weight", "commanded", "--inject", "errors=x3@2m;latency=+30%/20%@08:55,ramp=1m"]
    base = ["--plan", p, "--raw", *faults]
    code, raw, err = run(*base, "--from", healthy)
    check(code == 1 and len(raw) > 100 and "injected errors=x3@2m: " in err and
          "not simulated" in err, f"injected harm is found ({code} {err})")
    _, same, _ = run(*base, "--seed", "1", "--from", healthy)
    _, other, _ = run(*base, "--seed", "2", "--from", healthy)
    check(raw == same and raw != other, "the seed decides, and 1 is the default")
    # A line of 2 n requests instead of two of n each, and any order inside a second.
    halves = []
    for r in map(json.loads, plain.splitlines()):
        if "n" in r:
            n, bad = r["n"] // 3, r["bad"] // 2
            halves += [{**r, "n": n, "bad": min(n, bad)},
                       {**r, "n": r["n"] - n, "bad": r["bad"] - min(n, bad)}]
        else:
            halves.append(r)
    for i in range(0, len(halves), 6):
        halves[i:i + 6] = reversed(halves[i:i + 6])
    _, same, _ = run(*base, "--from", "-", data=packed(halves))
    check(raw == same, "how lines fall, and pipes, change nothing")

    def comes(want, inject, *more):
        code, out, err = run("--plan", p, "--from", healthy, "-o", "jsonl", "--inject", inject,
                             *more)
        check(code == want[0] and (len(want) == 1 or want[1:] in verdicts(out)),
              f"{inject}: {code} {verdicts(out)} {err[:200] if code == 2 else ''}")
    comes((1, "ABORT", "harm"), "latency=+500ms/5%@1m")
    comes((0, "HOLD", "baseline_silent"), "silence=baseline@2m..150s")
    comes((0, "HOLD", "canary_silent"), "silence=canary@2m..150s")
    comes((1, "HOLD", "bad_data"), "skew=canary:-30s@2m")
    comes((0, "PROMOTE", "watched"), "errors=x3@2m,both")
    comes((4, "HOLD", "sample_ratio"), "sample_ratio=x0.5@1m", "--at-weight", "commanded")

    def says(inject, *words, args=(), data=None):
        code, out, err = run("--plan", p, "--from", "-" if data else healthy, "--inject", inject,
                             *args, data=data)
        check(code == 2 and all(w in err for w in words), f"said: {err.strip()[-200:]}")
    says("erors=x2", "column 1", "did you mean errors?")
    says("errors=x2@1h", "column 11", "2025-10-09T08:53:20Z to 2025-10-09T09:00:19Z")
    says("errors=x2;errors=x3@2m", "column 11", "same time")
    says("sample_ratio=x0.5", "--at-weight commanded")
    says("errors=x2@1h", "after the recording's end", data=plain)
    says("errors=x2@08:00", "outside the recording", data=plain)
    says("errors=x2", "whole number", args=["--seed", "-1"])
    stretch = ["--between", "+1m..+6m"]
    says("errors=x2@5m", "2025-10-09T08:54:20Z to 2025-10-09T08:59:19Z", args=stretch)
    for source, data in ((healthy, None), ("-", plain)):
        code, out, _ = run("--plan", p, "--from", source, *stretch, "--raw", "--inject",
                           "errors=x3@1m", data=data)
        if source == healthy:
            raw = out
    check(len(raw) > 100 and out == raw, "a stretch has a start of its own, in a pipe as well")


def rollouts(dir):
    p = plan(dir)
    records = lines("a") + lines("b", canary=0.05, seed=2) + lines("c", 10)
    both = packed(sorted(records, key=lambda r: r["t_ms"]))
    code, out, err = run("--plan", p, "--from", "-", "-o", "jsonl", data=both)
    names = {json.loads(v)["rollout"] for v in out.splitlines()}
    check(code == 1 and names == {"a", "b", "c"}, f"each is judged, one aborts: 1 ({code})")
    code, only, _ = run("--plan", p, "--rollout", "a", "--from", "-", "-o", "jsonl", data=both)
    alone = [v for v in out.splitlines() if json.loads(v)["rollout"] == "a"]
    check(code == 0 and only.splitlines() == alone, "one is picked; alone the same bytes")
    code, _, err = run("--plan", p, "--rollout", "c", "--from", "-", data=both)
    check(code == 4 and "c: " in err, f"undecided: 4 ({code} {err})")
    code, _, err = run("--plan", p, "--rollout", "z", "--from", "-", data=both)
    check(code == 2 and "a, b, c" in err, f"one that is not there: those that are ({err})")
    code, out, _ = run("--plan", p, "--from", "-", "-o", "json",
                       data=packed(lines("", attributes=True)))
    check(code == 0 and {v["rollout"] for v in json.loads(out)} == {"web"}, "by attributes")
    gap = lines("a", 10) + [{**r, "t_ms": r["t_ms"] + 600000} for r in lines("a", 10)]
    _, out, _ = run("--plan", p, "--from", "-", "-o", "jsonl", data=packed(gap))
    check(("HOLD", "blind") in verdicts(out), f"a silence in it is one {verdicts(out)}")


def bad_input(dir):
    p = plan(dir)
    good = packed(lines("web", 60))

    def says(data, *words, args=()):
        code, _, err = run("--plan", p, "--from", "-", *args, data=data)
        check(code == 2 and all(w in err for w in words), f"said: {err.strip()[:140]}")
    says(b"", "empty")
    says(b"hello\nworld\n", "begins with \"hello\"", "expected a recording")
    says(b"[1]\n[2]\n", "line 1", "expected such as")
    says(good.replace(b"errors", b"faults"), "faults", "errors", "web")
    says(b"[" * (17 << 20), "longer than")
    says(recording([]), "--inbox")
    says(b"SERINREC" + good, "version")
    says(good, "expected auto", args=["--format", "xml"])
    says(good, "expected as-recorded", args=["--at-weight", "5"])
    zst = open(own("healthy.jsonl.zst"), "rb").read()
    for data, word in ((zst[:-9000], "cut short"),
                       (zst[:20000] + bytes([zst[20000] ^ 255]) + zst[20001:], "damaged")):
        code, out, err = run("--plan", own("plan.yaml"), "--from", "-", data=data)
        check(code == 2 and word in err and "start" in out, f"{word}: said, the rest is used")
    code, _, err = run("--plan", p, "--from", "-", data=good + b"{\n")
    check(code in (0, 4) and "1 records refused" in err and "line 121" in err, "one bad line")
    code, _, err = run("--plan", p, "--from", os.path.join(dir, "none"))
    check(code == 2 and "no such file" in err, "a missing file")
    code, _, err = run("--plan", p, "--from", "-", data=good[:100])
    check(code == 2, "half a line")
    with open(p, "a") as file:
        file.write("colour: red\n")
    says(good, "colour", "plan.yaml:7")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--serin", required=True)
SERIN = os.path.abspath(parser.parse_args().serin)
our_recordings()
with tempfile.TemporaryDirectory() as scratch:
    calibration(scratch)
    traffic(scratch)
    scenes(scratch)
    rollouts(scratch)
    bad_input(scratch)
print(f"{len(failures)} failed")
sys.exit(1 if failures else 0)
