#!/usr/bin/env python3
"""The windows of bench_stats by other libraries: windows.py PATH-OF-bench_stats

scipy's nchypergeom_fisher at every odds ratio of serin's grid (and how far its log likelihood
ratio of 2.5 to 1 is from serin's), and confseq's betting martingale over the window's requests for
one mean. Best of three, microseconds. One JSON object; null: over ten seconds, not run, or no number."""
import json
import subprocess
import sys
import time

import numpy as np
from confseq.betting import betting_mart
from scipy.stats import nchypergeom_fisher

LARGEST = 200_000  # requests of a window that confseq is given one by one


def best_us(f, times=3):
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        f()
        spent.append(time.perf_counter() - start)
        if spent[-1] > 3:
            break
    return round(1e6 * min(spent), 1)


def scipy_window(w, grid):
    total, k = w["n"] + w["m"], w["k"]

    def log_p(odds):
        return nchypergeom_fisher.logpmf(w["x"], total, k, w["n"], odds)
    start = time.perf_counter()
    ratio = float(log_p(2.5) - log_p(1.0))
    one = (time.perf_counter() - start) / 2
    spent = None
    if one * len(grid) < 10:
        spent = best_us(lambda: [log_p(odds) for odds in grid])
    off = abs(ratio - w["log_ratio"]) / max(1, abs(w["log_ratio"]))
    return spent, off if np.isfinite(off) else None  # none: scipy underflows


def confseq_window(w):
    n = w["n"] + w["m"]
    if n > LARGEST:
        return None
    bits = np.zeros(n)
    bits[:w["k"]] = 1
    np.random.default_rng(1).shuffle(bits)
    return best_us(lambda: betting_mart(bits, w["k"] / n))


def main():
    bench = json.loads(subprocess.run([sys.argv[1]], stdout=subprocess.PIPE, check=True).stdout)
    grid = np.exp(np.linspace(-2, 4.6, bench["points"]))
    rows = []
    for w in bench["windows"]:
        row = {key: w[key] for key in ("n", "m", "k", "window_us")}
        if w["n"] + w["m"] <= 10 ** 7:  # beyond, scipy's recursion takes minutes a point
            row["scipy_us"], row["scipy_off"] = scipy_window(w, grid)
        row["confseq_us"] = confseq_window(w)
        rows.append(row)
    print(json.dumps({"points": bench["points"], "windows": rows}))


if __name__ == "__main__":
    main()
