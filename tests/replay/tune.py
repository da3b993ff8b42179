#!/usr/bin/env python3
"""serin selftest and serin tune, as people use them: tune.py --serin PATH

On the recordings of deploy/recordings and lines made here: exit codes, JSON, what is suggested
and written, that threads and an interruption change nothing, and what is said about wrong input."""
import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OWN = os.path.join(ROOT, "deploy/recordings")
T0 = 1_760_000_000_000
failures = []


def check(ok, what):
    print("ok  " if ok else "FAIL", what)
    if not ok:
        failures.append(what)


def run(*args, data=None):
    done = subprocess.run([SERIN, *args], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stdout, done.stderr


def write(dir, name, text):
    path = os.path.join(dir, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def plan(dir, phi=", phi: 1"):
    return write(dir, "plan.yaml", f"""id: web # a service
cohorts: {{canary: {{version: "2"}}, baseline: {{version: "1"}}}}
window: 1s
calibrate: skip # no waiting
risk: {{false_abort: 5%}}
steps:
  - {{weight: 10%, worse_than: 3, bake: 20s, warmup: 0s}} # the only one
  - {{weight: 100%, watch: 5s}}
metrics: [{{name: errors, kind: ratio{phi}, abort_over: 1}}]
""")


def lines(seconds=150, lump=1, share=0.2, seed=1, metric="errors", rollout="web"):
    """Errors of both cohorts by the second, `lump` of them at a time."""
    rng = random.Random(seed)
    out = []
    for s in range(seconds):
        for cohort, part in (("canary", share), ("baseline", 1 - share)):
            n = int(1000 * part)
            bad = lump * sum(rng.random() < 0.02 for _ in range(n // lump))
            out.append(json.dumps({"t_ms": T0 + 1000 * s, "rollout": rollout, "cohort": cohort,
                                   "metric": metric, "n": n, "bad": bad}))
    return "\n".join(out) + "\n"


def selftest(dir):
    p = plan(dir)
    calm = write(dir, "calm.jsonl", lines())
    burst = write(dir, "burst.jsonl", lines(lump=4))
    code, out, err = run("selftest", "--plan", p, "--from", calm, "-n", "100")
    check(code == 0 and "MORE THAN ALPHA" not in out, f"calm traffic: 0 ({code} {err})")
    code, out, _ = run("selftest", "--plan", p, burst, "-n", "100")
    check(code == 1 and "WARNING" in out and "metrics[errors].phi" in out,
          "bursts: 1, a warning and the remedy")
    one = run("selftest", "--plan", p, burst, "-n", "100", "-o", "json", "--threads", "1")
    two = run("selftest", "--plan", p, burst, "-n", "100", "-o", "json", "--threads", "3")
    check(one == two, "the same on any number of threads")
    told = json.loads(one[1])
    check([c["split"] for c in told["cases"]] == ["requests", "windows"] and
          told["cases"][0]["holds"] and not told["cases"][1]["holds"] and
          told["cases"][1]["remedies"][-1]["holds"], "the same as JSON")
    check(run("selftest", "--plan", p, burst, "-n", "100", "-o", "json", "--seed", "2") != one,
          "another seed, other splits")


def tune(dir):
    p = plan(dir)
    burst = write(dir, "burst.jsonl", lines(lump=4))
    fault = write(dir, "fault.jsonl", "".join(
        x.replace('"bad": ', '"bad": 2') + "\n" if '"canary"' in x and i > 20 else x + "\n"
        for i, x in enumerate(lines(seed=3).splitlines())))
    state, to = os.path.join(dir, "state"), os.path.join(dir, "tuned.yaml")
    words = ["tune", "--plan", p, burst, "-n", "30", "--sweep",
             "risk.false_abort=0.01,0.05; steps[*].worse_than=2.5,4", "--inject",
             "errors=x4@10s", "--fault", fault + "@+10s"]
    code, out, err = run(*words, "--out", to)
    check(code == 0 and "Suggested" in out and "Pareto" in out, f"tuned: 0 ({code} {err})")
    with open(to) as file:
        text = file.read()
    check("# a service" in text and "# the only one" in text and "# no waiting" in text,
          "the suggestion keeps comments")
    check(run("lint", to)[0] == 0, "the suggestion is a plan")
    code, found, err = run("selftest", "--plan", to, burst, "-n", "100")
    check(code == 0, f"the suggestion passes the self-test ({found})")
    check(f"--- {p}" in out and f"+++ {to}" in out and "\n-metrics" in out, "the diff is shown")
    whole = run(*words, "-o", "json")
    told = json.loads(whole[1])
    best = told["combinations"][told["suggested"] - 1]
    check(len(told["combinations"]) == 4 and best["admissible"] and best["front"] and
          best["injected"][0]["found"]["k"] >= 27 and best["faults"]["k"] == 1,
          f"injected faults and the recorded one are found ({best})")
    phi = told["measured"][0]["metrics"][0]
    check(2.5 < phi["phi_between"] < 6, f"phi of lumps of 4 is about 4 ({phi})")
    for kill in (signal.SIGKILL, signal.SIGINT):
        enough = 1000 + (os.path.getsize(state) if os.path.exists(state) else 0)
        proc = subprocess.Popen([SERIN, *words, "-o", "json", "--state", state, "--threads", "1"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while proc.poll() is None and not (os.path.exists(state) and os.path.getsize(state) > enough):
            time.sleep(0.01)
        proc.send_signal(kill)
        out, err = proc.communicate()
        with open(state, "rb") as file:
            head, results = file.read().split(b"\n", 1)
        check(head.startswith(b"serin tune 1 ") and len(results) % 88 == 0,
              f"every result is in the file at once ({kill.name}, {len(results)} bytes)")
    check(proc.returncode in (0, 3) and (proc.returncode == 0 or "goes on from" in err),
          f"interrupted: 3 ({proc.returncode} {err})")
    check(run(*words, "-o", "json", "--state", state) == whole,
          "continued, on other threads: the same table")
    code, _, err = run(*words, "--seed", "5", "--state", state)
    check(code == 2 and "another run" in err, f"a state of another run is refused ({err})")
    code, out, err = run("tune", "--plan", p, burst, "-n", "40", "--as-given", "--out", to)
    check(code in (0, 4), f"as given ({code})")


def units(dir):
    """Pods that differ by more than `pods` can say: both verbs say so."""
    rng, out = random.Random(4), []
    rates = [0.02 * math.exp(rng.gauss(0, 0.6)) for _ in range(12)]
    for s in range(60):
        for pod, rate in enumerate(rates):
            bad = sum(rng.random() < rate for _ in range(150))
            out.append(json.dumps({"t_ms": T0 + 1000 * s, "attributes": {
                "version": "1", "pod": f"pod-{pod}"}, "metric": "errors", "n": 150, "bad": bad}))
    path = write(dir, "pods.jsonl", "\n".join(out) + "\n")
    p = plan(dir)
    code, out, _ = run("selftest", "--plan", p, path, "--by", "pod", "-n", "40")
    check(code == 1 and "12 units" in out and "No remedy that is known" in out,
          "units that differ much: no remedy is said to have been tried")
    code, out, _ = run("tune", "--plan", p, path, "--by", "pod", "-n", "10")
    check(code == 0 and "errors differs between values of pod" in out,
          "tune, which splits no units, warns of them")


def common(dir):
    """What hits both cohorts alike is no dispersion."""
    rng, out = random.Random(4), []
    for s in range(150):
        rate = 0.08 if rng.random() < 0.15 else 0.02
        for cohort, n in (("canary", 300), ("baseline", 700)):
            bad = sum(rng.random() < rate for _ in range(n))
            out.append(json.dumps({"t_ms": T0 + 1000 * s, "rollout": "web", "cohort": cohort,
                                   "metric": "errors", "n": n, "bad": bad}))
    path = write(dir, "common.jsonl", "\n".join(out) + "\n")
    _, told, _ = run("tune", "--plan", plan(dir), path, "-n", "10", "-o", "json")
    phi = json.loads(told)["measured"][0]["metrics"][0]
    check(phi["phi_between"] < 1.6 < 4 < phi["phi_over_time"],
          f"common bursts: phi between cohorts stays, over time it does not ({phi})")


def wrong_input(dir):
    p, calm = plan(dir), write(dir, "calm.jsonl", lines(60))
    other = write(dir, "other.jsonl", lines(10, metric="faults", rollout="shop"))
    short = write(dir, "short.jsonl", lines(30))
    nothing = write(dir, "nothing.jsonl", "")
    waits = write(dir, "waits.yaml", open(p).read().replace("skip", "2m").replace(", phi: 1", ""))
    healthy = os.path.join(OWN, "healthy.jsonl.zst")
    for words, says in (
            ([], "--plan"),
            (["--plan", p], "--from"),
            (["--plan", p, "/no/such/file"], "/no/such/file"),
            (["--plan", p, nothing], "empty"),
            (["--plan", p, other], "metrics faults, rollouts shop"),
            (["--plan", p, calm, "--rollout", "x"], "rollouts web"),
            (["--plan", waits, short], "first weight"),
            (["--plan", p, calm, "-n", "3"], "whole number"),
            (["--plan", p, calm, "--threads", "0"], "whole number"),
            (["--plan", p, calm, "--share", "120%"], "--share"),
            (["--plan", p, calm, "--between", "+10m..+20m"], "")):
        for verb in ("selftest", "tune"):
            code, _, err = run(verb, *words)
            check(code == 2 and says in err, f"{verb} {words[1:]}: {err.strip()}")
    good = ["tune", "--plan", p, calm]
    for words, says in (
            (["--sweep", "risk.false_abrot=0.1"], "false_abort"),
            (["--sweep", "window=1s;risk.false_abort=0.1,3"], "column 32"),
            (["--sweep", "window=1s,2s,3s,4s,5s,6s,7s,8s,9s,10s,11s;metrics[1].phi="
              "1,2,3,4,5,6,7,8,9,10;steps[1].bake=1s,2s,3s,4s,5s,6s,7s,8s,9s,10s"], "1100"),
            (["-n", "100000", "--sweep", "window=1s,2s,3s,4s,5s,6s"], "at most 1000000"),
            (["--inject", "faults=x2@10s"], "faults"),
            (["--inject", "errors=x2@10m"], "outside"),
            (["--inject", "errors=x2@10s;errors=x3@20s"], ""),
            (["--fault", calm + "@+10m"], "outside"),
            (["--fault", calm + "@soon"], "expected FILE@WHEN"),
            (["--state", p], "no state")):
        code, _, err = run(*good, *words)
        check(code == 2 and says in err, f"tune {words}: {err.strip()}")
    check(run("selftest", "--plan", p, healthy, "--by", "pod", "-n", "20")[0] == 2,
          "an attribute that is not there")


parser = argparse.ArgumentParser()
parser.add_argument("--serin", required=True)
SERIN = parser.parse_args().serin
with tempfile.TemporaryDirectory() as dir:
    selftest(dir)
    tune(dir)
    common(dir)
    units(dir)
    wrong_input(dir)
print(f"{len(failures)} failed")
sys.exit(1 if failures else 0)
