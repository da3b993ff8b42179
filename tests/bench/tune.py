#!/usr/bin/env python3
"""How much of the cores a sweep uses: tune.py SERIN [--quick]

One JSON object, for one thread and for every core: rehearsals a second; `busy`, user + system time over
wall time times threads, which on a shared machine says more about its neighbours; and `ready`, the
same with the time that threads waited for a core: what it would be on a machine of its own."""
import glob
import json
import os
import resource
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OWN = os.path.join(ROOT, "deploy/recordings")
serin, quick = sys.argv[1], "--quick" in sys.argv
runs, combinations = (100 if quick else 400), 4


def scheduled(child):
    """Seconds that its threads ran or waited for a core, while it lived."""
    seen = {}
    while child.poll() is None:
        for task in glob.glob(f"/proc/{child.pid}/task/*/schedstat"):
            try:
                with open(task) as file:
                    ran, waited, _ = map(int, file.read().split())
                seen[task] = (ran + waited) / 1e9
            except (OSError, ValueError):
                pass
        time.sleep(0.02)
    return sum(seen.values())


cores = len(os.sched_getaffinity(0))
result = {"cores": cores, "load_before": os.getloadavg()[0]}
for threads in sorted({1, cores}):
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    child = subprocess.Popen(
        [serin, "tune", "--plan", f"{OWN}/plan.yaml", f"{OWN}/healthy.jsonl.zst", "--runs",
         str(runs), "--inject", "errors=x3@1m", "--threads", str(threads), "--sweep",
         "risk.false_abort=0.01,0.05;window=1s,5s", "-o", "json"], stdout=subprocess.DEVNULL)
    ready = scheduled(child)
    if child.wait() != 0:
        sys.exit(f"{serin} tune: exit {child.returncode}")
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    result[f"threads_{threads}"] = {
        "rehearsals_a_second": round(3 * runs * combinations / wall, 1),
        "cpu_ms_a_rehearsal": round(1000 * spent / (3 * runs * combinations), 3),
        "busy": round(spent / (threads * wall), 3),
        "ready": round(ready / (threads * wall), 3)}
print(json.dumps(result))
