#!/usr/bin/env python3
"""How much of the cores a sweep uses: tune.py SERIN [--quick]

One JSON object: rehearsals a second, and user + system time over wall time times threads, for one
thread and for every core. On a busy machine the share says more about its neighbours."""
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
cores = len(os.sched_getaffinity(0))
result = {"cores": cores, "load_before": os.getloadavg()[0]}
for threads in sorted({1, cores}):
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([serin, "tune", "--plan", f"{OWN}/plan.yaml", f"{OWN}/healthy.jsonl.zst",
                    "--runs", str(runs), "--inject", "errors=x3@1m", "--threads", str(threads),
                    "--sweep", "risk.false_abort=0.01,0.05;window=1s,5s", "-o", "json"],
                   check=True, stdout=subprocess.DEVNULL)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    result[f"threads_{threads}"] = {
        "rehearsals_a_second": round(3 * runs * combinations / wall, 1),
        "cpu_ms_a_rehearsal": round(1000 * spent / (3 * runs * combinations), 3),
        "busy": round(spent / (threads * wall), 3)}
print(json.dumps(result))
