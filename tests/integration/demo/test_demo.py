#!/usr/bin/env python3
"""`serin demo`: ends by itself, and shows what happened.

test_demo.py SERIN: without a terminal the good release is promoted, the bad ones are aborted,
the verdicts come as lines, the last table agrees with them; one of them goes through HAProxy.
The same without HAProxy. On a terminal, with another seed, the same is drawn live.
"""

import os
import pty
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

LIMIT_S = 90  # the promise of `serin demo`: it ends by itself within this
VERDICT = re.compile(r"^ *[\d.]+ s  ([\w.-]+)/(\d+) +(\w+) +(\w+)(?: ([\d.]+) % -> ([\d.]+) %)?")
ROW = re.compile(r"^([\w.-]+-\d[\w.]*) +.*?  +([A-Z]+) +([\d.]+) % +(\d+)", re.MULTILINE)
GOOD, BAD = "checkout-2.4.0", ("search-7.1.0", "payments-1.9.2", "catalog-3.2.0")


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def check_proxy(out, proxied):
    """Real requests, of which the verdicts gave the canary its share and then nothing."""
    told = re.search(r"search went through HAProxy: (\d+) requests, (\d+) of them to the canary, "
                     r"(\d+) of those failed; .* after the abort", out)
    check(bool(told) == proxied, f"proxied {proxied}: {out[-800:]}")
    if told:
        total, canary, failed = (int(x) for x in told.groups())
        check(total > 2000, f"only {total} requests")
        check(0.005 < canary / total < 0.25, f"{canary} of {total} at the canary")
        check(0 < failed < canary / 2, f"{failed} of {canary} failed")


def check_run(out):
    verdicts = {}
    for match in filter(None, map(VERDICT.match, out.splitlines())):
        verdicts.setdefault(match[1], []).append(match)
    for rollout, seen in verdicts.items():
        numbers = [int(m[2]) for m in seen]
        check(numbers == list(range(1, len(seen) + 1)), f"{rollout}: verdicts {numbers}")
    weights = [float(m[6]) for m in verdicts.get(GOOD, ()) if m[4] == "PROMOTE" and m[6]]
    check(weights == [1, 5, 25, 50, 100], f"{GOOD} was promoted through {weights}")
    for rollout in BAD:
        last = verdicts[rollout][-1]
        check(last[4] == "ABORT" and float(last[6] or 0) == 0, f"{rollout} ended {last[0]}")
    slow = [float(m[6]) for m in verdicts[BAD[0]] if m[4] == "PROMOTE" and m[6]]
    check(max(slow) >= 25, f"{BAD[0]} was aborted before it could turn bad: {slow}")
    failing = [float(m[6]) for m in verdicts[BAD[1]] if m[4] == "PROMOTE" and m[6]]
    check(not any(failing), f"{BAD[1]} saw more than its preview: {failing}")
    check(re.search(BAD[1] + r"/\d+ +harm +ABORT: errors at preview traffic", out),
          f"{BAD[1]} was not found by its preview: {out}")
    check(re.search(r"catalog-3.2.0/\d+ +harm +ABORT .*latency at", out),
          f"catalog was not aborted for its latency: {out}")
    rows = {m[1]: m for m in ROW.finditer(out)}
    check(rows[GOOD][2] == "PROMOTED" and float(rows[GOOD][3]) == 100, f"table: {out}")
    for rollout in BAD:
        check(rows[rollout][2] == "ABORTED" and float(rows[rollout][3]) == 0, f"table: {out}")
        check(int(rows[rollout][4]) == len(verdicts[rollout]), f"table counts: {out}")
    check("\033" not in out, "escape codes without a terminal")


def run(serin, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run([serin, "demo", *arguments], cwd=folder, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=LIMIT_S, check=False)


def run_on_terminal(serin, *arguments):
    """Exit code and all that was drawn."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(serin, [serin, "demo", *arguments], {**os.environ, "TERM": "xterm"})
    drawn, end = b"", time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        drawn += piece
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), drawn.decode()


def check_terminal(code, drawn):
    check(code == 0, f"exit code {code} on a terminal: {drawn[-3000:]}")
    frames = drawn.split("\033[H")[1:]
    check(len(frames) > 40, f"drawn only {len(frames)} times")
    seen = [set(re.findall(r"(OBSERVING|SETTLING|PROMOTED|ABORTED)", f)) for f in frames]
    check(any({"OBSERVING", "ABORTED"} <= states for states in seen), "no frame in between")
    check(any(re.search(r"; HAProxy: \d\d.* % of \d+/s", f) for f in frames), "no share shown")
    check({"PROMOTED", "ABORTED"} <= seen[-1], f"the last frame: {frames[-1]}")
    check(any("abort [####" in f for f in frames), "no evidence bar grew")
    check(drawn.rindex("\033[?25h") > drawn.rindex("\033[?25l"), "the cursor stays hidden")


def main():
    serin = os.path.abspath(sys.argv[1])
    with ThreadPoolExecutor(3) as pool:  # they wait for their clock most of the time
        plain = [pool.submit(run, serin), pool.submit(run, serin, "--no-proxy")]
        drawn = pool.submit(run_on_terminal, serin, "--seed", "2")
        for i, result in enumerate(p.result() for p in plain):
            print(result.stdout, result.stderr, sep="\n", flush=True)
            check(result.returncode == 0, f"exit code {result.returncode}")
            check_run(result.stdout)
            check_proxy(result.stdout, i == 0)
        check_terminal(*drawn.result())
    # Too little time is no success: the exit code says so.
    result = run(serin, "--seconds", "1")
    check(result.returncode == 3, f"exit code {result.returncode} after one second: "
          f"{result.stdout}{result.stderr}")
    for wrong in (["--seed", "x"], ["--seconds", "0"], ["--seconds", "1e3"], ["more"]):
        result = run(serin, *wrong)
        check(result.returncode == 2 and result.stderr, f"{wrong}: {result.returncode}")
    print("demo: as promised")


if __name__ == "__main__":
    main()
