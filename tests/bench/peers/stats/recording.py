"""Recordings of two cohorts: read, and what is measured of them."""
import collections
import io
import json

import numpy as np
import zstandard

Cell = collections.namedtuple("Cell", "t cohort stratum metric n bad hist gauge unit")


def lines(path):
    with open(path, "rb") as file:
        text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
        for line in text:
            r = json.loads(line)
            yield Cell(r["t_ms"], r["cohort"] == "canary", r.get("stratum", ""), r["metric"],
                       r.get("n"), r.get("bad"), r.get("hist"), r.get("gauge"), r.get("unit"))


def windows(path):
    """[(t, [cells])] in the order of time."""
    out = []
    for c in lines(path):
        if not out or out[-1][0] != c.t:
            out.append((c.t, []))
        out[-1][1].append(c)
    return out


def values(hist):
    """Bucket middles (ms) and counts."""
    base = 2.0 ** (2.0 ** -hist["scale"])
    counts = np.array(hist["counts"], dtype=np.int64)
    used = np.nonzero(counts)[0]
    v = np.array([base ** (hist["offset"] + int(k) + 0.5) for k in used])
    if hist.get("zero_count", 0) > 0:
        return np.append(0.0, v), np.append(hist["zero_count"], counts[used])
    return v, counts[used]


def merged(cells):
    """Values and counts of several histograms."""
    pairs = [values(c.hist) for c in cells]
    if not pairs:
        return np.array([]), np.array([], dtype=np.int64)
    return np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])


def tables(recording):
    """Per metric the 2 x 2 counts of every window and stratum whose margins inform:
    (canary n, canary bad, baseline n, baseline bad); a latency gives one metric a level."""
    out = collections.defaultdict(list)
    for _, cells in recording:
        groups = collections.defaultdict(lambda: ([], []))
        for c in cells:
            groups[c.metric, c.stratum][0 if c.cohort else 1].append(c)
        for (metric, _), (a, b) in groups.items():
            if a and b and a[0].n is not None:
                out[metric].append([sum(c.n for c in a), sum(c.bad for c in a),
                                    sum(c.n for c in b), sum(c.bad for c in b)])
            elif a and b and a[0].hist is not None:
                (va, na), (vb, nb) = merged(a), merged(b)
                v, n = np.concatenate([va, vb]), np.concatenate([na, nb])
                order = np.argsort(v)
                cumulated = np.cumsum(n[order])
                for q in (0.5, 0.9, 0.99):
                    at = v[order][np.searchsorted(cumulated, q * cumulated[-1])]
                    out[f"{metric} {q}"].append([na.sum(), na[va > at].sum(), nb.sum(),
                                                 nb[vb > at].sum()])
    return out


def dispersion(several):
    """phi of each metric: squared deviation of the canary's count from its expectation
    given both margins, over the hypergeometric variance; at least 1."""
    sums = collections.defaultdict(lambda: [0.0, 0.0])
    for recording in several:
        for metric, rows in tables(recording).items():
            for n, x, m, y in rows:
                total, k = n + m, x + y
                if total < 2:
                    continue
                sums[metric][0] += (x - k * n / total) ** 2
                sums[metric][1] += k * n * m * (total - k) / (total ** 2 * (total - 1))
    phi = collections.defaultdict(lambda: 1.0)
    for metric, (square, variance) in sums.items():
        if variance > 0:
            name = metric.split(" ")[0]
            phi[name] = max(phi[name], square / variance)
    return phi


def tolerance(several):
    """Of gauges: the largest ratio of the cohorts' means, either way, in A/A recordings."""
    worst = 1.0
    for recording in several:
        sums = collections.defaultdict(lambda: [0.0, 0, 0.0, 0])
        for _, cells in recording:
            for c in cells:
                if c.gauge is not None:
                    at = 0 if c.cohort else 2
                    sums[c.metric][at] += c.gauge
                    sums[c.metric][at + 1] += 1
        for a, n, b, m in sums.values():
            if n > 0 and m > 0 and a > 0 and b > 0:
                worst = max(worst, a * m / (b * n), b * n / (a * m))
    return worst


def clopper_pearson(k, n, level=0.95):
    from scipy.stats import beta
    if n == 0:
        return 0.0, 1.0
    lower = beta.ppf((1 - level) / 2, k, n - k + 1) if k > 0 else 0.0
    upper = beta.ppf(1 - (1 - level) / 2, k + 1, n - k) if k < n else 1.0
    return lower, upper
