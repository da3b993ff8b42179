#!/usr/bin/env python3
"""Compute the project's own test vectors: python3 tests/vectors/make_vectors.py

Needs mpmath. Everything is computed from the definitions with 50 digits (mpmath) or exactly
(fractions), by sums over the whole support, sharing no code with stats/; inputs are the
doubles written down. Random inputs come from a fixed seed: the files do not change.
"""
import itertools
import json
import math
import os
import random
from fractions import Fraction

import mpmath
from mpmath import exp, expm1, fsum, inf, log, log1p, loggamma, mp, mpf, sinh, sqrt

mp.dps = 50
HERE = os.path.dirname(os.path.abspath(__file__))
LEVELS = {"alpha": 0.01, "beta": 0.05}


def num(x):
    """The nearest double, or a word for an infinity."""
    if x in (inf, -inf):
        return "inf" if x > 0 else "-inf"
    return float(x)


def lse(values):
    values = [v for v in values if v != -inf]
    if not values:
        return -inf
    top = max(values)
    return top + log(fsum(exp(v - top) for v in values))


# ---------------------------------------------------------------- counts
def support(n, m, k):
    return range(max(0, k - m), min(n, k) + 1)


def terms(n, m, k):
    return {x: mpf(math.comb(n, x) * math.comb(m, k - x)) for x in support(n, m, k)}


def log_p(n, m, k, theta, c=None):
    c = c or terms(n, m, k)
    return log(fsum(v * exp(theta * x) for x, v in c.items()))


def increments(grid, n, x, m, y):
    k = x + y
    if n == 0 or m == 0 or k == 0 or k == n + m:
        return [mpf(0)] * len(grid)
    c = terms(n, m, k)
    base = log_p(n, m, k, 0, c)
    return [x * theta - (log_p(n, m, k, theta, c) - base) for theta in grid]


def event_increments(grid, exposure_c, exposure_b, x, y):
    k = x + y
    if exposure_c == 0 or exposure_b == 0 or k == 0:
        return [mpf(0)] * len(grid)
    f = mpf(exposure_c) / (mpf(exposure_c) + mpf(exposure_b))
    return [x * theta - k * log1p(f * expm1(theta)) for theta in grid]


def make_fnch():
    tables = [(37, 411, 29), (250, 250, 180), (1500, 9000, 700), (60, 40, 75),
              (3, 100000, 900), (4000, 4000, 3000)]
    edges = [(0, 12, 5), (12, 0, 5), (9, 14, 0), (9, 14, 23), (1, 1, 1), (1, 3, 3)]
    cases = []
    for n, m, k in tables:
        c = terms(n, m, k)
        for theta in (-1.35, 0.05, 0.55, 1.7, 4.6):
            t = mpf(theta)
            p = {x: v * exp(t * x) for x, v in c.items()}
            total = fsum(p.values())
            mean = fsum(x * v for x, v in p.items()) / total
            var = fsum((x - mean) ** 2 * v for x, v in p.items()) / total
            cases.append({"n": n, "m": m, "K": k, "theta": theta, "log_P": num(log(total)),
                          "log_P_ratio": num(log(total) - log(fsum(c.values()))),
                          "mean": num(mean), "var": num(var)})
    for n, m, k in edges:
        for theta in (-0.6, 2.25):
            cases.append({"n": n, "m": m, "K": k, "theta": theta, "edge": True,
                          "log_P_ratio": num(log_p(n, m, k, mpf(theta)) - log_p(n, m, k, 0))})
    return {"doc": "log_P = log sum_x C(n,x) C(m,K-x) e^(theta x); ratio to theta = 0",
            "cases": cases}


def make_fnch_window():
    cases = []
    for n, x, m, y, t0, t1 in [(311, 4, 2900, 21, 0.0, 0.4), (311, 0, 2900, 21, 0.25, 0.9),
                               (90, 31, 110, 30, 0.1, -0.45), (7, 7, 5, 5, 0.0, 1.0),
                               (0, 0, 9, 4, 0.0, 1.0), (2000, 77, 3000, 61, 0.4, -0.2)]:
        d = increments([mpf(t0), mpf(t1)], n, x, m, y)
        cases.append({"n": n, "m": m, "X": x, "Y": y, "theta0": t0, "theta1": t1,
                      "log_e": num(d[1] - d[0])})
    means = []
    for (n, m, k), (w0, w1), w in itertools.product(
            [(5, 7, 4), (8, 3, 6), (2, 11, 9)],
            [("6/5", "2"), ("2", "6/5"), ("1", "5/2")], ["4/5", "6/5", "2"]):
        f0, f1, fw = Fraction(w0), Fraction(w1), Fraction(w)
        c = {x: Fraction(math.comb(n, x) * math.comb(m, k - x)) for x in support(n, m, k)}

        def law(v):
            total = sum(p * v**x for x, p in c.items())
            return {x: p * v**x / total for x, p in c.items()}
        p0, p1, pw = law(f0), law(f1), law(fw)
        e = sum(pw[x] * p1[x] / p0[x] for x in c)
        means.append({"n": n, "m": m, "K": k, "w0": w0, "w1": w1, "true_w": w,
                      "E": float(e), "in_null": fw <= f0 if f1 > f0 else fw >= f0})
    return {"doc": "log f(X;theta1)/f(X;theta0); exact expectation under true_w",
            "cases": cases, "expectation": means}


# ---------------------------------------------------------------- walk
def bump(delta):
    return (mpf("0.5") / mpf("0.3") * exp(-((delta - log(2)) / mpf("0.3")) ** 2 / 2)
            + 1 / mpf("1.2") * exp(-(delta / mpf("1.2")) ** 2 / 2))


def gammas(h):
    a = [1 / (mpf(t + 10) * log(mpf(t + 10)) ** 2) for t in range(h)]
    return [v / fsum(a) / 2 + (mpf(1) / 2 if t == 0 else 0) for t, v in enumerate(a)]


def make_grid(w_a, w_s):
    edges = {log(mpf(w)) for w in [w_a, *w_s]}
    points = [mpf((i - 40) / 20) for i in range(133)]
    kept = [p for p in points if all(abs(p - e) >= mpf("1e-9") for e in edges)]
    grid = sorted(edges | set(kept))
    last = len(grid) - 1
    width = [(grid[min(j + 1, last)] - grid[max(j - 1, 0)]) / (2 if 0 < j < last else 1)
             for j in range(last + 1)]
    return grid, width


class Walk:
    def __init__(self, w_a, w_s, h):
        self.grid, self.width = make_grid(w_a, w_s)
        self.ja = self.grid.index(log(mpf(w_a)))
        self.js = [self.grid.index(log(mpf(w))) for w in w_s]
        self.gamma = gammas(h)
        self.l = [mpf(0)] * len(self.grid)
        self.lw = [-inf] * len(self.grid)
        self.used = mpf(0)
        self.t = 0

    def fold(self, strata_increments, eta):
        d = [eta * fsum(v) for v in zip(*strata_increments)]
        g = self.gamma[self.t] if self.t < len(self.gamma) else mpf(0)
        self.used += g
        self.t += 1
        started = [lse([w, log(g)]) if g > 0 else w for w in self.lw]
        self.lw = [w + v - d[self.ja] for w, v in zip(started, d)]
        self.l = [a + b for a, b in zip(self.l, d)]

    def prior_above(self, i):
        u = {j: self.width[j] * bump(self.grid[j] - self.grid[i])
             for j in range(i + 1, len(self.grid))}
        total = fsum(u.values())
        return {j: v / total for j, v in u.items()}

    def above(self, i, values):
        return lse([log(p) + values[j] for j, p in self.prior_above(i).items()])

    def below(self, i):
        u = [self.width[j] * exp(-abs(self.grid[j]) * 4) for j in range(i)]
        return lse([log(v / fsum(u)) + self.l[j] for j, v in enumerate(u)]) - self.l[i]

    def abort(self):
        rest = 1 - self.used
        return lse([self.above(self.ja, self.lw), log(rest) if rest > mpf("1e-14") else -inf])

    def limits(self):
        last = len(self.grid) - 1
        up = [i for i in range(1, last + 1)
              if self.below(i) < log(1 / mpf(LEVELS["beta"]))]
        lo = [i for i in range(last)
              if self.above(i, self.l) - self.l[i] < log(1 / mpf(LEVELS["alpha"]))]
        upper = self.grid[1] if not up else inf if up[-1] == last else self.grid[up[-1] + 1]
        lower = self.grid[last - 1] if not lo else -inf if lo[0] == 0 else self.grid[lo[0] - 1]
        return upper, lower


def run_walk(name, kind, eta, h, w_a, w_s, windows):
    walk = Walk(w_a, w_s, h)
    steps = []
    for strata in windows:
        if kind == "binomial":
            inc = [increments(walk.grid, n, x, m, y) for n, m, x, y in strata]
        else:
            inc = [event_increments(walk.grid, a, b, x, y) for a, b, x, y in strata]
        walk.fold(inc, mpf(eta))
        upper, lower = walk.limits()
        steps.append({"strata": strata, "U_theta": num(upper), "L_theta": num(lower),
                      "log_E_abort_plain": num(walk.above(walk.ja, walk.l) - walk.l[walk.ja]),
                      "log_E_abort_cp": num(walk.abort()),
                      "log_E_promote": [num(walk.below(i)) for i in walk.js]})
    probe = [{"theta": num(walk.grid[j]), "l": num(walk.l[j]), "log_W": num(walk.lw[j])}
             for j in (0, walk.ja, walk.js[-1], 70, len(walk.grid) - 1)]
    return {"name": name, "kind": kind, "eta": eta, "H": h, **LEVELS, "w_a": w_a,
            "tolerances": w_s, "G": len(walk.grid), "steps": steps,
            "final_profile_probe": probe}


def make_walk():
    bad = [[[300, 2700, 3, 13]], [[290, 2710, 5, 11]], [[310, 2690, 9, 14]],
           [[305, 2695, 8, 12]], [[300, 2700, 11, 13]]]
    strata = [[[40, 360, 1, 9], [55, 45, 9, 8]], [[0, 400, 0, 7], [60, 40, 7, 5]],
              [[40, 360, 0, 0], [60, 40, 60, 40]], [[41, 359, 2, 8], [60, 40, 5, 3]]]
    events = [[[1.5, 7.25, 1, 4]], [[0, 7.25, 0, 3]], [[1.5, 7, 3, 5], [2.5, 2, 1, 0]]]
    return {"doc": "whole runs; strata rows [n,m,X,Y] or [exposure_c,exposure_b,X,Y]",
            "walks": [run_walk("bad canary, boundary 1, odd tolerances", "binomial", 1.0, 40,
                               1.0, [3.3, 1.7], bad),
                      run_walk("strata, one cohort, no errors, all errors", "binomial", 0.5, 3,
                               1.1, [2.2, 2.2, 1.6], strata),
                      run_walk("event counts", "poisson", 1.0, 2160, 1.25, [2.75], events)]}


# ---------------------------------------------------------------- floor, event counts, srm
def make_floor():
    cases = []
    for d, h, rows in [(0.002, 5, [(400, 1), (390, 3), (0, 0), (410, 4), (800, 9), (5, 0)]),
                       (0.25, 100, [(40, 21), (44, 19)])]:
        p, gamma = mpf(d), gammas(h)
        prior = [bump(mpf(k) / 10) for k in range(1, 36)]
        total, l, lw, used = fsum(prior), [mpf(0)] * 35, [-inf] * 35, mpf(0)
        steps = []
        for t, (n, x) in enumerate(rows):
            inc = [x * mpf(k) / 10 - n * log1p(p * expm1(mpf(k) / 10)) for k in range(1, 36)]
            g = gamma[t] if t < h else mpf(0)
            used += g
            l = [a + b for a, b in zip(l, inc)]
            lw = [(lse([a, log(g)]) if g > 0 else a) + b for a, b in zip(lw, inc)]
            rest = log(1 - used) if 1 - used > mpf("1e-14") else -inf
            steps.append({"n": n, "X": x,
                          "log_E_plain": num(lse([log(q / total) + v
                                                  for q, v in zip(prior, l)])),
                          "log_E_cp": num(lse([lse([log(q / total) + v for q, v
                                                    in zip(prior, lw)]), rest]))})
        cases.append({"d": d, "H": h, "steps": steps})
    return {"doc": "absolute floor: binomial ratios at logit d + 0.1 k, k = 1..35",
            "cases": cases}


def make_poisson():
    cases = []
    for a, b, x, y, t0, t1 in [(3.5, 11.0, 2, 9, 0.0, 0.7), (0.125, 900.0, 4, 30, 0.2, 3.1),
                               (8.0, 8.0, 0, 40, 0.5, -0.5), (0.0, 8.0, 0, 4, 0.0, 1.0)]:
        d = event_increments([mpf(t0), mpf(t1)], a, b, x, y)
        cases.append({"exposure_c": a, "exposure_b": b, "X": x, "Y": y, "theta0": t0,
                      "theta1": t1, "log_e": num(d[1] - d[0])})
    return {"doc": "X|K binomial with the canary's share of the exposure", "cases": cases}


def make_srm():
    points = []
    for k, rho, n_c, n_b in [(100, 0.02, 7, 301), (100, 0.5, 1200, 1100), (40, 0.3, 0, 12),
                             (100, 0.01, 1030000, 98970000)]:
        r = mpf(rho)
        logb = (loggamma_beta(k * r + n_c, k * (1 - r) + n_b) - loggamma_beta(k * r, k * (1 - r))
                - n_c * log(r) - n_b * log(1 - r))
        points.append({"k": k, "rho": rho, "S_c": n_c, "S_b": n_b, "log_BF": num(logb)})
    interval = []
    for eps, rows in [(0.01, [(0.01, 130, 9870), (0.05, 702, 9300), (0.5, 5100, 4900)]),
                      (0.0, [(0.25, 2444, 7601)])]:
        up, down, steps = [mpf(0)] * 14, [mpf(0)] * 14, []
        deltas = [mpf("0.01") * sqrt(mpf(2)) ** j for j in range(14)]
        for rho, n_c, n_b in rows:
            hi, lo = mpf(rho) * (1 + mpf(eps)), mpf(rho) * (1 - mpf(eps))
            n = n_c + n_b
            up = [u + n_c * d - n * log1p(hi * expm1(d)) for u, d in zip(up, deltas)]
            down = [u - n_c * d - n * log1p(lo * expm1(-d)) for u, d in zip(down, deltas)]
            e_up, e_down = lse(up) - log(14), lse(down) - log(14)
            steps.append({"rho": rho, "S_c": n_c, "S_b": n_b, "log_E_up": num(e_up),
                          "log_E_down": num(e_down),
                          "log_E": num(lse([e_up, e_down]) - log(2))})
        interval.append({"epsilon": eps, "steps": steps})
    return {"doc": "sample ratio: Beta-binomial point null, interval null", "point": points,
            "interval": interval}


def make_quantile():
    """The whole set of edges is tested one by one, on every side, at 50 digits."""
    def log_e(below, n, p, eta):
        k, p, eta = 10 / min(mpf(p), 1 - mpf(p)), mpf(p), mpf(eta)
        a, b = eta * below, eta * (n - below)
        return (loggamma_beta(k * p + a, k * (1 - p) + b) - loggamma_beta(k * p, k * (1 - p))
                - a * log(p) - b * log(1 - p))

    values = []
    for below, n, p, eta in [(0, 0, 0.5, 1), (0, 40, 0.5, 1), (40, 40, 0.9, 1),
                             (877, 1000, 0.9, 1), (877, 1000, 0.9, 0.37), (991, 1000, 0.99, 1),
                             (998765, 1000000, 0.999, 0.5), (500123456, 10**9, 0.5, 1),
                             (3, 12, 0.001, 1)]:
        values.append({"below": below, "n": n, "p": p, "eta": eta,
                       "log_e": num(log_e(below, n, p, eta))})
    rng, limits = random.Random(31), []
    for scale, zero, size, p, level, eta in [
            (5, 0, 20000, 0.5, 0.01, 1), (5, 0, 20000, 0.99, 0.01, 1), (5, 3, 900, 0.9, 0.05, 0.5),
            (3, 700, 1000, 0.5, 0.01, 1), (5, 0, 25, 0.99, 0.01, 1), (0, 12, 3000, 0.75, 0.1, 1)]:
        counts = [0] * 40
        for _ in range(size - zero):
            counts[min(39, max(0, int(rng.gauss(18, 5))))] += 1
        offset, n, below = -7, size, zero
        edges = [(offset - 1, below)]
        for i, c in enumerate(counts):
            below += c
            edges.append((offset + i, below))
        threshold = log(2 / mpf(level))
        bad = [(i, b) for i, b in edges if log_e(b, n, p, eta) >= threshold]
        low = [i for i, b in bad if b < p * n]
        high = [i for i, b in bad if b > p * n]
        edge = lambda i: mpf(2) ** (mpf(i + 1) / 2 ** scale)
        first = num(edge(min(high))) if high else "inf"
        limits.append({"scale": scale, "offset": offset, "zero": zero, "counts": counts, "p": p,
                       "level": level, "eta": eta,
                       "lower": num(edge(max(low))) if low else 0,
                       "upper": 0 if high and min(high) == offset - 1 else first})
    return {"doc": "F(edge) = p by a beta mixture with 10 values on the rarer side; limits are "
                   "the outermost edges not rejected at level / 2", "values": values,
            "limits": limits}


def loggamma_beta(a, b):
    return loggamma(a) + loggamma(b) - loggamma(a + b)


# ---------------------------------------------------------------- rules
def make_combine():
    rng = random.Random(20240917)
    lists = [[round(rng.uniform(-4, 9), 3) for _ in range(n)] for n in (1, 2, 4, 7)]
    average, closed, ebh = [], [], []
    for values in lists:
        weights = [rng.randint(1, 9) for _ in values]
        share = [w / sum(weights) for w in weights]
        total = fsum(mpf(s) for s in share)
        average.append({"log_E": values, "weights": share,
                        "log_E_combined": num(log(fsum(mpf(s) * exp(mpf(v)) for s, v
                                                       in zip(share, values)) / total))})
        e = [exp(mpf(v)) for v in values]
        adjusted = [min(fsum(e[i] for i in s) / len(s)
                        for r in range(1, len(e) + 1)
                        for s in itertools.combinations(range(len(e)), r) if k in s)
                    for k in range(len(e))]
        closed.append({"log_E": values, "log_E_adjusted": [num(log(a)) for a in adjusted],
                       "flag_at_alpha_0_01": [bool(a >= 100) for a in adjusted],
                       "flag_at_alpha_0_05": [bool(a >= 20) for a in adjusted]})
        order = sorted(range(len(e)), key=lambda i: -e[i])
        k_star = max([k for k in range(1, len(e) + 1)
                      if e[order[k - 1]] >= len(e) / (mpf("0.1") * k)], default=0)
        ebh.append({"log_E": values, "alpha": 0.1, "k_star": k_star,
                    "rejected": sorted(order[:k_star])})
    gamma = [mpf("0.07720838") * log(mpf(max(j, 2))) / (j * exp(sqrt(log(mpf(j)))))
             for j in range(1, 21)]
    sequence, found = [], 0
    for t in range(1, 21):
        v = round(rng.uniform(-2, 11), 3)
        threshold = -log(mpf("0.1") * gamma[t - 1] * (found + 1))
        sequence.append({"log_E": v, "discoveries_before": found,
                         "log_threshold": num(threshold), "reject": bool(v >= threshold)})
        found += v >= threshold
    return {"doc": "average, closed averaging (all subsets), e-BH, e-LOND",
            "average": average, "closed": closed, "ebh": ebh,
            "elond": [{"alpha": 0.1, "sequence": sequence}],
            "elond_gamma": [num(v) for v in gamma]}


def make_forecast():
    cases = []
    for p, rho, w_s, w, w_a in [(0.002, 0.03, 1.7, 3.0, 1.1), (0.0004, 0.4, 1.3, 1.6, 1.25)]:
        q, r = mpf(p), mpf(rho)

        def abort(a):
            up, base = r * mpf(w) + 1 - r, r * a + 1 - r
            return q * (r * mpf(w) * log(mpf(w) / a) - up * log(up / base))
        cases.append({"p": p, "rho": rho, "w_s": w_s, "w": w, "w_a": w_a,
                      "D_promote": num(q * (log(r * mpf(w_s) + 1 - r) - r * log(mpf(w_s)))),
                      "D_abort": num(abort(mpf(1))), "D_abort_vs_wa": num(abort(mpf(w_a)))})
    return {"doc": "nats per pooled request, rare events", "cases": cases}


def exact(fraction):
    return mpf(fraction.numerator) / fraction.denominator


def f_tail(x, d1, d2):
    """Chance of more than x of an F variable."""
    x = exact(x)
    return mpmath.betainc(mpf(d2) / 2, mpf(d1) / 2, 0, d2 / (d2 + d1 * x), regularized=True)


def make_dispersion():
    rng = random.Random(7)
    cases = []
    for count, burst, gap in [(64, 1, 1), (97, 3, 1), (131, 4, 5), (17, 2, 1), (20, 1, 10),
                              (75, 0, 1)]:  # 0: calmer than independent events
        windows = []
        for t in range(count * gap):
            m = 0 if t % gap else 900 + rng.randint(0, 200)
            events = 6 if burst == 0 else rng.randint(0, 6) if m else 0
            y = sum(rng.randint(burst > 0, max(burst, 1)) for _ in range(events))
            windows.append([y, m])
        data = [w for w in windows if w[1] > 0]
        ratios, counts = [], []
        for s in (1, 2, 4):
            blocks = [(sum(y for y, _ in data[i:i + s]), sum(m for _, m in data[i:i + s]))
                      for i in range(0, len(data) - s + 1, s)]
            excess = expected = Fraction(0)
            pairs = 0
            for (ya, ma), (yb, mb) in zip(blocks[0::2], blocks[1::2]):
                k, r = ya + yb, Fraction(ma, ma + mb)
                if k == 0:
                    continue
                pairs += 1
                excess += (ya - k * r) ** 2
                expected += k * r * (1 - r)
            ratios.append(excess / expected)
            counts.append(pairs)
        pool, known = ratios[0], counts[0]
        for ratio, pairs in zip(ratios[1:], counts[1:]):
            if f_tail(ratio / pool, pairs, known) < mpf("0.01"):
                pool, known = ratio, pairs
            else:
                pool = (known * pool + pairs * ratio) / (known + pairs)
                known += pairs
        bursty = mpmath.gammainc(mpf(known) / 2, exact(known * pool) / 2, mpmath.inf,
                                 regularized=True) < mpf("0.1")
        phi = exact(pool) * (1 + mpf("1.5") * mpmath.sqrt(mpf(2) / known)) if bursty else mpf(1)
        cases.append({"windows": windows, "with_data": len(data), "phi": num(max(phi, mpf(1))),
                      "pool": float(pool), "pool_pairs": known,
                      "phi_by_scale": [float(r) for r in ratios]})
    return {"doc": "rows [bad, units] of one cohort; pairs of disjoint neighbouring blocks of "
                   "1, 2 and 4 windows with data, pooled",
            "cases": cases}


# ---------------------------------------------------------------- latency
def bucket(value, scale):
    """Largest i with base^i < value: exact for powers of two, else by 50 digits."""
    position = log(mpf(value)) / log(mpf(2)) * mpf(2) ** scale
    near = int(mpmath.nint(position))
    if abs(position - near) < mpf("1e-30"):  # an edge: the bucket below
        return near - 1
    return int(mpmath.floor(position))


def make_exp_histogram():
    rng = random.Random(99)
    index = []
    for scale in (-10, -1, 0, 2, 5, 7, 13, 20):
        values = [1.0, 2.0, 0.25, 3.0, 4096.0, math.nextafter(2.0, 3), math.nextafter(2.0, 1),
                  5e-324, 1.7976931348623157e308, 2.2250738585072014e-308]
        values += [math.exp(rng.uniform(-30, 30)) for _ in range(6)]
        # The doubles on both sides of an irrational edge: a rounded log2 fails here.
        for k in (1, 3, 11):
            edge = float(mpf(2) ** (mpf(k) / mpf(2) ** max(scale, 1)))
            values += [math.nextafter(edge, 0), edge, math.nextafter(edge, 10)]
        index += [{"value": v, "scale": scale, "index": bucket(v, scale)} for v in values]

    def sample(scale, n, low, high):
        return {"scale": scale, "zero": rng.randint(0, 5),
                "buckets": {str(i): rng.randint(1, 50)
                            for i in sorted(rng.sample(range(low, high), n))}}

    def coarser(h, scale):
        out = {}
        for i, count in h["buckets"].items():
            key = str(int(i) >> (h["scale"] - scale))
            out[key] = out.get(key, 0) + count
        return out
    downscale = []
    for by in (1, 4):
        h = sample(6, 30, -70, 90)
        downscale.append({**h, "by": by, "result": {"scale": 6 - by, "zero": h["zero"],
                                                    "buckets": coarser(h, 6 - by)}})
    merge = []
    for sa, sb in ((5, 5), (7, 2), (-1, 3)):
        a, b = sample(sa, 20, -40, 40), sample(sb, 20, -60, 20)
        scale = min(sa, sb)
        both = coarser(a, scale)
        for i, count in coarser(b, scale).items():
            both[i] = both.get(i, 0) + count
        merge.append({"a": a, "b": b, "merged": {"scale": scale, "zero": a["zero"] + b["zero"],
                                                 "buckets": both}})
    shift = []
    for scale in (0, 5):
        for delta in (0.0, 0.02, 0.3, 3.0):
            k = log(1 + mpf(delta)) / log(mpf(2)) * 2**scale
            near = mpmath.nint(k)
            k = near if abs(k - near) < mpf("1e-13") else k
            up, down = int(mpmath.ceil(k)), int(mpmath.floor(k))
            shift.append({"scale": scale, "delta": delta, "k_abort": up, "k_promote": down,
                          "effective_abort": num(mpf(2) ** (mpf(up) / 2**scale) - 1),
                          "effective_promote": num(mpf(2) ** (mpf(down) / 2**scale) - 1)})
    return {"doc": "bucket i holds (base^i, base^(i+1)]; downscale, merge, shift",
            "index": index, "downscale": downscale, "merge": merge, "shift": shift}


def omega(theta, n, m):
    if n == 0 or m == 0:
        return mpf(0)

    def h(y):
        return log(sinh(y / 2) / (y / 2))
    c, most, least = mpf(theta) / (n + m), max(n, m), min(n, m)
    return fsum(h(c * (most + i)) - h(c * i) for i in range(1, least + 1))


def ranks(x, y):
    below = t = 0
    for a, b in zip(x, y):
        t += a * (2 * below + b)
        below += b
    return t - sum(x) * sum(y)


def make_mann_whitney():
    theta = [mpf(j + 1) / 20 for j in range(19)] + [1 + mpf(j) / 4 for j in range(21)]
    s = [t / 2 for t in theta]
    width = [s[min(j + 1, 39)] - s[max(j - 1, 0)] for j in range(40)]
    width = [w if j in (0, 39) else w / 2 for j, w in enumerate(width)]
    prior = [w * (mpf("2.5") * exp(-(v / mpf("0.2")) ** 2 / 2) + exp(-v ** 2 / 2) / 2)
             for w, v in zip(width, s)]
    prior = [p / fsum(prior) for p in prior]
    norm = []
    for n, m in [(1, 4), (16, 16), (17, 17), (19, 10**9), (30, 700), (900, 350), (0, 3)]:
        for t in (0.05, 0.75, 6.0):
            w = omega(t, n, m)
            z = w + (mpf(t) * n * m / (2 * (n + m)) if n + m else 0)
            norm.append({"n": n, "m": m, "theta": t, "omega": num(w), "log_Z": num(z)})
    ties = []
    for n, m, p, q, t in [(2, 5, ["1/3", "1/3", "1/3"], ["1/3", "1/3", "1/3"], 1.25),
                          (4, 2, ["3/5", "1/5", "1/5"], ["1/2", "1/4", "1/4"], 3.0),
                          (3, 3, ["1/5", "1/5", "3/5"], ["2/5", "2/5", "1/5"], 2.0)]:
        fp, fq, total = [Fraction(v) for v in p], [Fraction(v) for v in q], mpf(0)
        for x in itertools.product(range(3), repeat=n):
            for y in itertools.product(range(3), repeat=m):
                weight = math.prod([fp[i] for i in x] + [fq[i] for i in y])
                u = ranks([x.count(b) for b in range(3)], [y.count(b) for b in range(3)])
                total += (mpf(weight.numerator) / weight.denominator
                          * exp(mpf(t) * u / (2 * (n + m))))
        ties.append({"n": n, "m": m, "p_canary": p, "p_baseline": q, "theta": t,
                     "E": num(total * exp(-omega(t, n, m)))})
    rng, windows = random.Random(5), []
    for shift in (0, 1, -1):
        l, steps = [mpf(0)] * 40, []
        for _ in range(3):
            x = [rng.randint(0, 9) for _ in range(10)]
            y = [rng.randint(0, 60) for _ in range(10)]
            x = x[-shift:] + x[:-shift] if shift else x
            x = [v * (1 + (b if shift > 0 else 9 - b if shift < 0 else 4)) // 4
                 for b, v in enumerate(x)]
            u, n, m = ranks(x, y), sum(x), sum(y)
            l = [a + t * u / (2 * (n + m)) - omega(t, n, m) for a, t in zip(l, theta)]
            steps.append({"canary": x, "baseline": y, "two_U_minus_nm": u,
                          "log_E": num(lse([log(p) + a for p, a in zip(prior, l)]))})
        windows.append({"shift": shift, "steps": steps})
    x, y = [7 * 10**8, 10**8, 3], [10**9, 1, 6 * 10**8]
    return {"doc": "omega by direct sums; ties by enumeration; windows: plain mixture",
            "theta_grid": [num(t) for t in theta], "prior": [num(p) for p in prior],
            "norm": norm, "ties": ties, "windows": windows,
            "integer_U": {"canary": x, "baseline": y, "two_U_minus_nm": str(ranks(x, y))}}


def make_exceedance():
    levels = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999]
    rng, cases = random.Random(11), []
    for size, most in ((8, 90), (40, 500)):
        past, seen, steps = [Fraction(0)] * size, 0, []
        for t in range(8):
            x = [rng.randint(0, 30) for _ in range(size)]
            y = [0] * size if t in (1, 5) else [rng.randint(0, most) >> (b // 6)
                                                for b in range(size)]
            tables = None
            if seen >= 3:
                tables = []
                for q in levels:
                    cumulated = [sum(past[:b + 1]) / sum(past) for b in range(size)]
                    b = min(range(size), key=lambda i: (abs(cumulated[i] - Fraction(str(q))), i))
                    tables.append({"threshold_bucket": b, "n": sum(x), "m": sum(y),
                                   "X": sum(x[b + 1:]), "Y": sum(y[b + 1:])})
            steps.append({"canary": x, "baseline": y, "tables": tables})
            if sum(y) > 0:
                past = [Fraction(9, 10) * a + b for a, b in zip(past, y)]
                seen += 1
        cases.append({"buckets": size, "steps": steps})
    return {"doc": "thresholds from the past baseline, decayed by .9 a window with data",
            "levels": levels, "cases": cases}


def normal_cdf(x):
    return mpmath.erfc(-x / sqrt(mpf(2))) / 2


def mixture(s, t, v, rho2):
    z = t * rho2 + 1
    return (log(2) - log(z) / 2 + s * s * rho2 / (2 * v * z)
            + log(normal_cdf(s * sqrt(rho2) / sqrt(v * z))))


def make_gauge():
    rng, cases = random.Random(13), []
    for alpha, t_opt, tol, mean in [(0.01, 100, 0.1, 0.5), (0.05, 30, 0.0, -0.2)]:
        a = mpf(alpha)
        rho2 = (-2 * log(a) + log(1 - 2 * log(a))) / t_opt
        data, steps = [round(rng.gauss(mean, 0.7), 6) for _ in range(30)], []
        for t in (8, 9, 30):
            d = [mpf(v) for v in data[:t]]
            m = fsum(d) / t
            v = fsum((x - m) ** 2 for x in d) / (t - 1)
            s, z = fsum(d) - t * mpf(tol), t * rho2 + 1
            steps.append({"t": t, "mean": num(m), "var": num(v),
                          "two_sided_half_width": num(sqrt(v) * sqrt(2 * z / (t * t * rho2)
                                                                     * log(sqrt(z) / a))),
                          "log_E_abort": num(mixture(s, t, v, rho2)),
                          "log_E_promote": num(mixture(-s, t, v, rho2))})
        cases.append({"alpha": alpha, "t_opt": t_opt, "tolerance": tol, "rho2": num(rho2),
                      "batch_means": data, "steps": steps})
    direct = [{"S": s, "t": t, "var": v, "rho2": r,
               "log_E": num(mixture(mpf(s), mpf(t), mpf(v), mpf(r)))}
              for s, t, v, r in [(0.0, 9, 2.5, 0.1), (-400.0, 90, 0.5, 0.1), (17.0, 20, 1.5, 0.3),
                                 (-2.0, 12, 1.0, 0.2), (-9.0, 12, 1.0, 0.2)]]
    return {"doc": "one-sided normal mixture of batch means", "cases": cases, "mixture": direct}


def make_random_effect():
    cases = []
    for w_a, tau, rows in [(1.1, 0.1, [(700, 9000, 9, 70), (800, 8900, 17, 66)]),
                           (1.5, 0.3, [(5000, 5000, 40, 21)])]:
        walk, steps = Walk(w_a, [], 4), []
        for n, m, x, y in rows:
            walk.fold([increments(walk.grid, n, x, m, y)], mpf(1))
            at = walk.grid[walk.ja]
            nu = [w * exp(-((v - at) / mpf(tau)) ** 2 / 2)
                  for w, v in zip(walk.width, walk.grid)]
            total = fsum(nu)
            null = lse([log(v / total) + a for v, a in zip(nu, walk.l)])
            steps.append({"n": n, "m": m, "X": x, "Y": y,
                          "log_E": num(walk.above(walk.ja, walk.l) - null)})
        cases.append({"w_a": w_a, "tau": tau, "steps": steps})
    return {"doc": "random-effect null, grid with boundary w_a only", "cases": cases}


def main():
    made = {"fnch": make_fnch, "fnch_window": make_fnch_window, "walk": make_walk,
            "floor": make_floor, "poisson": make_poisson, "srm": make_srm,
            "combine": make_combine, "forecast": make_forecast,
            "dispersion": make_dispersion, "exp_histogram": make_exp_histogram,
            "mann_whitney": make_mann_whitney, "exceedance": make_exceedance,
            "gauge": make_gauge, "random_effect": make_random_effect,
            "quantile": make_quantile}
    for family, make in made.items():
        data = {"family": family, "version": 1, "method": "make_vectors.py, 50 digits"}
        data.update(make())
        with open(os.path.join(HERE, family + ".json"), "w", encoding="utf-8") as out:
            json.dump(data, out, separators=(",", ":"))
            out.write("\n")


if __name__ == "__main__":
    main()
