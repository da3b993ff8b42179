#!/usr/bin/env python3
"""make_recording.py healthy|regression [--seconds N] [--seed N] -- a made-up service's
metrics as JSON lines on standard output: 10 % canary, errors and latencies by the second.

Traffic drifts with the hour and comes in waves; both cohorts see them alike. In
`regression` the canary's error rate is tripled and its slowest tenth takes half as long
again from the second minute on. deploy/recordings was made by this, packed by zstd -19."""

import argparse
import json
import math
import random

T0 = 1_760_000_000_000
SCALE = 5


def poisson(rng, mean):
    """By Knuth for small means; for large ones a rounded normal is close enough."""
    if mean > 50:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, k, p = math.exp(-mean), 0, rng.random()
    while p > limit:
        k += 1
        p *= rng.random()
    return k


def histogram(values):
    """OpenTelemetry base-2 exponential buckets of positive values."""
    index = [math.ceil(math.log2(v) * 2 ** SCALE) - 1 for v in values]
    low = min(index)
    counts = [0] * (max(index) - low + 1)
    for i in index:
        counts[i - low] += 1
    return {"scale": SCALE, "zero_count": 0, "offset": low, "counts": counts}


def latency(rng, slow, late):
    v = rng.lognormvariate(math.log(40 * slow), 0.5)
    return v * 1.5 if late and rng.random() < 0.1 else v


def second(rng, s, broken, name):
    wave = 1 + 0.3 * math.sin(s / 37) + 0.2 * math.sin(s / 211)
    for cohort, share in (("canary", 0.1), ("baseline", 0.9)):
        n = poisson(rng, 120 * wave * share)
        bad_now = broken and cohort == "canary" and s >= 60
        rate = 0.01 * wave * (3 if bad_now else 1)
        bad = sum(rng.random() < rate for _ in range(n))
        head = {"t_ms": T0 + 1000 * s, "rollout": name, "cohort": cohort}
        yield {**head, "metric": "errors", "n": n, "bad": bad}
        if n > 0:
            values = [latency(rng, wave, bad_now) for _ in range(n)]
            yield {**head, "metric": "latency", "hist": histogram(values)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("healthy", "regression"))
    parser.add_argument("--seconds", type=int, default=420)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    rng = random.Random(a.seed)
    for s in range(a.seconds):
        for line in second(rng, s, a.kind == "regression", "shop-" + a.kind):
            print(json.dumps(line, separators=(",", ":")))


if __name__ == "__main__":
    main()
