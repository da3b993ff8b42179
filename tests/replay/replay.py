#!/usr/bin/env python3
"""serin replay on recordings made by hand: replay.py --serin PATH

The recordings come from tests/support/wire.py, an own writer of the format. Checked: what
is printed in each format, exit codes as of `wait`, order, pipes, damage, and that nothing
depends on how the partitions' records are interleaved.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from wire import (APPLY, BASELINE, CANARY, HOLD, command, ingest_tick, partial,  # noqa: E402
                  recording, stage_tick)

T0 = 1_760_000_000_000
failures = []


def check(ok, what):
    print("ok  " if ok else "FAIL", what)
    if not ok:
        failures.append(what)


def plan(rollout):
    return f"""apiVersion: serin/v1
kind: Rollout
id: {rollout}
cohorts: {{canary: {{v: c}}, baseline: {{v: b}}}}
window: 1s
calibrate: skip
sample_ratio: {{check: false}}
steps:
  - {{weight: 10%, worse_than: 4, bake: 5s, warmup: 0s}}
  - {{weight: 50%, worse_than: 3, bake: 5s, warmup: 0s}}
  - {{weight: 100%, watch: 5s, warmup: 0s}}
metrics: [{{name: errors, kind: ratio, phi: 1, abort_over: 1.2}}]
"""


def story(part, rollouts, seconds, hold_at=None):
    """One inbox partition: (rollout, canary's bad of 500) lives through some seconds."""
    out = []

    def add(t_ms, key, value):
        # Transaction markers take offsets: they are not consecutive.
        out.append((part, 3 * len(out) + 1, t_ms, key, value))
    add(T0, "@stage", stage_tick(T0))
    for rollout, _ in rollouts:
        add(T0, rollout, command(rollout, APPLY, plan(rollout), f"apply-{rollout}", T0))
    for i in range(seconds):
        t = T0 + 1000 * i
        for rollout, bad in rollouts:
            add(t + 900, rollout, partial(rollout, [(CANARY, "errors", t, 500, bad),
                                                    (BASELINE, "errors", t, 5000, 100)]))
            if i == hold_at:
                add(t + 950, rollout, command(rollout, HOLD, "", f"hold-{rollout}", t + 950))
        add(t + 1000, "worker-1", ingest_tick(t + 1000, t + 1000))
        add(t + 1000, "@stage", stage_tick(t + 1000))
    return out


def serin(args, data=None):
    done = subprocess.run([SERIN, "replay", *args], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def outcomes():
    good, bad = story(0, [("good", 10)], 60), story(0, [("bad", 60)], 60)
    code, out, err = serin(["--inbox", "-", "-o", "jsonl"], recording(good))
    lines = [json.loads(line) for line in out.splitlines()]
    check(code == 0 and lines and lines[-1]["final"], f"promoted: exit 0 ({code} {err})")
    check([v["id"] for v in lines] == [f"good/{i + 1}" for i in range(len(lines))],
          "verdicts are numbered from 1")
    check(all(v["schema"] == "serin.verdict/1" for v in lines), "schema of a verdict")
    code, out, _ = serin(["--inbox", "-", "-o", "json"], recording(bad))
    check(code == 1 and json.loads(out)[-1]["verdict"] == "ABORT", "aborted: exit 1")
    code, out, _ = serin(["--inbox", "-"], recording(story(0, [("good", 10)], 8, 2)))
    check(code == 4 and "HOLD" in out.splitlines()[-1], f"held: exit 4 ({code})")
    code, out, _ = serin(["--inbox", "-"], recording(good[:8]))
    check(code == 3, f"neither: exit 3 ({code})")
    code, out, _ = serin(["--inbox", "-"], recording([]))
    check(code == 0 and len(out.splitlines()) == 1, "nothing recorded: a table's head")


def interleaving():
    a = story(0, [("good", 10), ("bad", 60)], 60)
    b = story(1, [("other", 12), ("worse", 80)], 60)
    _, raw, _ = serin(["--inbox", "-", "--raw"], recording(a + b))
    mixed = [r for pair in zip(b, a) for r in pair]
    _, same, _ = serin(["--inbox", "-", "--raw"], recording(mixed, 7))
    check(len(raw.splitlines()) >= 10 and raw == same, "the same however interleaved")
    code, twice, _ = serin(["--inbox", "-", "--raw"], recording(a + b + a))
    check(twice == raw, "records that come again are skipped")
    code, out, _ = serin(["--inbox", "-", "-o", "jsonl"], recording(a + b))
    order = [(v["t_ms"], v["rollout"], v["seq"]) for v in map(json.loads, out.splitlines())]
    check(order == sorted(order) and code == 0, "by time, rollout, number; exit 0")
    changed = [list(r) for r in a]
    at = next(i for i, r in enumerate(changed) if r[3] == "good" and i > 40)
    changed[at][4] = partial("good", [(CANARY, "errors", changed[at][2] - 900, 500, 11),
                                      (BASELINE, "errors", changed[at][2] - 900, 5000, 100)])
    _, other, _ = serin(["--inbox", "-", "--raw"], recording(changed + b))
    check(other != raw, "one more error changes the bytes")


def damage():
    records = story(0, [("bad", 60)], 60)
    whole = recording(records, 10)
    with tempfile.TemporaryDirectory() as dir:
        path = os.path.join(dir, "x.rec")

        def run(data):
            with open(path, "wb") as file:
                file.write(data)
            return serin(["--inbox", path, "--raw"])
        _, all_lines, _ = run(whole)
        code, out, err = run(whole[:-60])
        check(code == 2 and "cut short" in err and out == all_lines, "a cut end is said")
        hurt = bytearray(whole)
        hurt[len(whole) // 2] ^= 1
        code, out, err = run(bytes(hurt))
        check(code == 2 and "checksum" in err and all_lines.startswith(out),
              f"damage is said, the prefix is used ({err.strip()})")
        code, out, err = run(b"hello")
        check(code == 2 and "no serin recording" in err, "another file is refused")
        code, out, err = serin(["--inbox", os.path.join(dir, "none")])
        check(code == 2 and "no such file" in err, "a missing file is named")
        code, out, err = serin(["--inbox", path, "-o", "xml"])
        check(code == 2 and "table, jsonl or json" in err, "a wrong format is named")


def stretches():
    data = recording(story(0, [("good", 10), ("bad", 60)], 60))
    _, out, _ = serin(["--inbox", "-", "-o", "jsonl"], data)
    want = [x for x in out.splitlines() if T0 + 5000 <= json.loads(x)["t_ms"] < T0 + 15000]
    _, out, _ = serin(["--inbox", "-", "-o", "jsonl", "--between", f"{T0 + 5000}..{T0 + 15000}"], data)
    check(out.splitlines() == want and len(want) > 1, "verdicts of a stretch, the same bytes")
    for args, word in ((["--between", "+5s.."], "expected times"), (["--speed", "1x"], "for --from")):
        code, _, err = serin(["--inbox", "-", *args], data)
        check(code == 2 and word in err, f"said: {err.strip()[:80]}")


def recording_verb(*args):
    done = subprocess.run([SERIN, "recording", *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def pieces():
    """cut and merge give the same verdicts; what merge refuses; export is judged again."""
    records = story(0, [("good", 10), ("bad", 60)], 60) + story(1, [("other", 12)], 60)
    records.sort(key=lambda r: r[2])
    with tempfile.TemporaryDirectory() as dir:
        def at(name):
            return os.path.join(dir, name)

        with open(at("whole"), "wb") as file:
            file.write(recording(records, 10))
        _, want, _ = serin(["--inbox", at("whole"), "--raw"])
        for name, span in (("a", ["--to", "+17s"]), ("b", ["--from", "+17s", "--to", "+40s"]),
                           ("c", ["--from", "+40s"])):
            code, _, err = recording_verb("cut", at("whole"), "--out", at(name), *span)
            check(code == 0, f"cut {name} {err.strip()}")
        code, _, err = recording_verb("merge", at("c"), at("a"), at("b"), "--out", at("m"))
        _, got, _ = serin(["--inbox", at("m"), "--raw"])
        check(code == 0 and len(want) > 500 and got == want, f"cut and merged: the same {err}")
        code, _, err = recording_verb("merge", at("a"), at("a"), at("b"), "--out", at("m"))
        check(code == 0 and "came again" in err, f"records in two files come once {err}")
        late = T0 + 10_000_000
        with open(at("anew"), "wb") as file:
            file.write(recording([(1, 10_000, late, "@stage", stage_tick(late)),
                                  (0, 2, late + 1, "@stage", stage_tick(late + 1))]))
        code, _, err = recording_verb("merge", at("whole"), at("anew"), "--out", at("m"))
        check(code == 2 and "made anew" in err and "records into" not in err,
              f"offsets that go back are refused ({err.strip()})")
        code, out, _ = recording_verb("info", at("whole"), "-o", "json")
        told = json.loads(out)
        check(code == 0 and told["records"] == len(records) and told["whole"] and
              told["first_ms"] == T0, "info counts")
        code, _, err = recording_verb("cut", at("whole"), "--out", at("x"), "--from", "+3h")
        check(code == 2 and "it holds" in err, f"an empty range is refused ({err.strip()})")
        code, _, err = recording_verb("cut", at("whole"), "--out", at("whole"))
        check(code == 2 and "at once" in err, "not onto itself")
        os.symlink("whole", at("link"))
        with open(at("whole"), "rb") as file:
            before = file.read()
        for other in (os.path.join(dir, ".", "whole"), at("link")):
            code, _, err = recording_verb("cut", at("whole"), "--out", other)
            with open(at("whole"), "rb") as file:
                check(code == 2 and "at once" in err and file.read() == before,
                      f"nor by another name of it ({err.strip()[:80]})")
        code, out, err = recording_verb("info", at("plan.none"))
        check(code == 2 and "no such file" in err and out == "", "nothing to tell of no file")
        with open(at("text"), "w") as file:
            file.write("hello")
        code, out, err = recording_verb("info", at("text"))
        check(code == 2 and "no serin recording" in err and out == "", "nor of another one")
        with open(at("whole"), "rb") as file:
            data = file.read()
        hurt = bytearray(data)
        hurt[700] ^= 1  # within the first frame of records
        with open(at("hurt"), "wb") as file:
            file.write(hurt)
        code, _, err = recording_verb("cut", at("hurt"), "--out", at("x"), "--from", "+40s")
        with open(at("x"), "rb") as got, open(at("c"), "rb") as want_c:
            check(code == 0 and got.read() == want_c.read(), f"damage outside is no matter {err}")
        code, _, err = recording_verb("cut", at("hurt"), "--out", at("x"), "--to", "+40s")
        check(code == 2 and "checksum" in err, f"damage inside is said ({err.strip()})")
        with open(at("hurt"), "wb") as file:
            file.write(data[:-200])
        code, out, err = recording_verb("info", at("hurt"), "-o", "json")
        check(code == 2 and not json.loads(out)["whole"] and "good" in err, "damage is said")
        code, _, err = recording_verb("cut", at("hurt"), "--out", at("rest"))
        again, out, _ = recording_verb("info", at("rest"), "-o", "json")
        check(code == 2 and again == 0 and json.loads(out)["records"] > 100,
              "what was before the damage is made whole")
        code, lines, _ = recording_verb("export", at("whole"))
        good = "".join(x + "\n" for x in lines.splitlines() if json.loads(x)["rollout"] == "bad")
        with open(at("plan"), "w") as file:
            file.write(plan("bad"))
        done = subprocess.run([SERIN, "replay", "--plan", at("plan"), "--from", "-"],
                              input=good.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        check(code == 0 and done.returncode == 1, "exported lines are judged by a plan")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--serin", required=True)
SERIN = os.path.abspath(parser.parse_args().serin)
outcomes()
interleaving()
damage()
stretches()
pieces()
print(f"{len(failures)} failed")
sys.exit(1 if failures else 0)
