"""Other judges. Each looks at every window and gives the time at which it calls the canary
worse, or None; a judge that has nothing to say about such a recording raises Unfit."""
import collections
import warnings

import numpy as np
from confseq.predmix import predmix_empbern_lower_cs
from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
from gbstats.models.statistics import ProportionStatistic, SampleMeanStatistic
from savvi.multinomial import Multinomial
from scipy.stats import fisher_exact, mannwhitneyu, norm

from recording import merged

warnings.simplefilter("ignore")


class Unfit(Exception):
    pass


def metrics_of(recording):
    return sorted({c.metric for _, cells in recording for c in cells})


def split(cells, metric):
    a = [c for c in cells if c.metric == metric and c.cohort]
    b = [c for c in cells if c.metric == metric and not c.cohort]
    return a, b


def kind(recording, metric):
    for _, cells in recording:
        for c in cells:
            if c.metric == metric:
                return "ratio" if c.n is not None else "latency" if c.hist else "gauge"
    raise Unfit


def first(times):
    times = [t for t in times if t is not None]
    return min(times) if times else None


def bits(recording, metric, rng):
    """Every window's requests as zeros and ones, shuffled inside it, by cohort; of a latency
    whether it is beyond the 90th percentile of the first three windows' baseline."""
    limit, past = None, []
    for t, cells in recording:
        a, b = split(cells, metric)
        if kind(recording, metric) == "latency":
            (va, na), (vb, nb) = merged(a), merged(b)
            if limit is None:
                past += b
                if len({c.t for c in past}) < 3:
                    continue
                v, n = merged(past)
                order = np.argsort(v)
                limit = v[order][np.searchsorted(np.cumsum(n[order]), 0.9 * n.sum())]
                continue
            pair = ((na.sum(), na[va > limit].sum()), (nb.sum(), nb[vb > limit].sum()))
        else:
            pair = tuple((sum(c.n for c in g), sum(c.bad for c in g)) for g in (a, b))
        out = []
        for n, bad in pair:
            x = np.zeros(int(n))
            x[:int(bad)] = 1
            rng.shuffle(x)
            out.append(x)
        yield t, out


def confseq(recording, alpha, entry):
    """Empirical-Bernstein confidence sequences of both rates; worse when they part."""
    names = [m for m in metrics_of(recording) if kind(recording, m) != "gauge"]
    if not names:
        raise Unfit
    rng = np.random.default_rng(1)
    return first(_confseq(recording, m, alpha / len(names), rng) for m in names)


def _confseq(recording, metric, alpha, rng):
    looks = list(bits(recording, metric, rng))
    if not looks:
        return None
    bound = []
    for side in (0, 1):
        x = np.concatenate([pair[side] for _, pair in looks])
        if len(x) == 0:
            return None
        bound.append(predmix_empbern_lower_cs(x if side == 0 else 1 - x, alpha=alpha / 2))
    n = m = 0
    for t, (a, b) in looks:
        n, m = n + len(a), m + len(b)
        if n > 0 and m > 0 and bound[0][n - 1] > 1 - bound[1][m - 1]:
            return t
    return None


class Sums:
    """Running n, sum and sum of squares."""

    def __init__(self):
        self.n, self.s, self.q = 0, 0.0, 0.0

    def add(self, v, n):
        self.n += int(n.sum())
        self.s += float((v * n).sum())
        self.q += float((v * v * n).sum())


def gbstats(recording, alpha, entry):
    """Sequential two-sided t test of means (proportions of errors)."""
    names = metrics_of(recording)
    sign = -1 if entry.get("worse") == "lower" else 1
    return first(_gbstats(recording, m, alpha / len(names), sign) for m in names)


def _gbstats(recording, metric, alpha, sign):
    what = kind(recording, metric)
    a, b = Sums(), Sums()
    for t, cells in recording:
        for side, group in zip((a, b), split(cells, metric)):
            if what == "ratio":
                bad = np.array([c.bad for c in group], dtype=float)
                side.add(np.ones(len(bad)), bad)
                side.n += int(sum(c.n for c in group) - bad.sum())
            elif what == "latency":
                side.add(*merged(group))
            else:
                side.add(sign * np.array([c.gauge for c in group]), np.ones(len(group)))
        if min(a.n, b.n) < 10:
            continue
        if what == "ratio":
            stats = [ProportionStatistic(n=x.n, sum=x.s) for x in (b, a)]
        else:
            stats = [SampleMeanStatistic(n=x.n, sum=x.s, sum_squares=x.q) for x in (b, a)]
        config = SequentialConfig(alpha=alpha, difference_type="absolute")
        low, _ = SequentialTwoSidedTTest(*stats, config).confidence_interval
        if stats[0].variance + stats[1].variance > 0 and low > 0:
            return t
    return None


def savvi(recording, alpha, entry):
    """Errors by cohort against the share of traffic: sequential multinomial test."""
    share = entry.get("share")
    if share is None or "errors" not in metrics_of(recording):
        raise Unfit
    theta = np.array([share, 1 - share])
    test = Multinomial(alpha, theta)
    for t, cells in recording:
        a, b = split(cells, "errors")
        counts = np.array([sum(c.bad for c in a), sum(c.bad for c in b)])
        if counts.sum() == 0:
            continue
        test.update(counts)
        if test.calculate_p_value() < alpha and test.counts[0] > share * test.counts.sum():
            return t
    return None


def rank_test(va, na, vb, nb):
    """One-sided p of Mann-Whitney from counted values, normal with ties."""
    v = np.unique(np.concatenate([va, vb]))
    a = np.zeros(len(v))
    b = np.zeros(len(v))
    np.add.at(a, np.searchsorted(v, va), na)
    np.add.at(b, np.searchsorted(v, vb), nb)
    n, m, ties = a.sum(), b.sum(), a + b
    total = n + m
    below = np.cumsum(b) - b
    u = float((a * (below + b / 2)).sum())
    variance = n * m / 12 * (total + 1 - (ties ** 3 - ties).sum() / (total * (total - 1)))
    return 1.0 if variance <= 0 else float(norm.sf((u - n * m / 2 - 0.5) / variance ** 0.5))


def mann_whitney(recording, alpha, entry):
    """Mann-Whitney of all values so far (Fisher of the errors), anew at every look."""
    names = metrics_of(recording)
    sign = -1 if entry.get("worse") == "lower" else 1
    return first(_mann_whitney(recording, m, alpha / len(names), sign) for m in names)


def _mann_whitney(recording, metric, alpha, sign):
    what = kind(recording, metric)
    seen, sums = (collections.Counter(), collections.Counter()), [[0, 0], [0, 0]]
    for t, cells in recording:
        for i, group in enumerate(split(cells, metric)):
            if what == "ratio":
                sums[i][0] += sum(c.bad for c in group)
                sums[i][1] += sum(c.n - c.bad for c in group)
            elif what == "latency":
                for v, n in zip(*merged(group)):
                    seen[i][float(v)] += int(n)
            else:
                seen[i].update(sign * c.gauge for c in group)
        if what == "ratio":
            p = fisher_exact(sums, alternative="greater")[1]
        elif seen[0] and seen[1]:
            p = rank_test(*counted(seen[0]), *counted(seen[1]))
        else:
            continue
        if p < alpha:
            return t
    return None


def counted(seen):
    return np.array(list(seen)), np.array(list(seen.values()))


def threshold(recording, alpha, entry):
    """Over twice the baseline for three minutes in a row: error rate, or 90th percentile."""
    names = [m for m in metrics_of(recording) if kind(recording, m) != "gauge"]
    if not names:
        raise Unfit
    return first(_threshold(recording, m) for m in names)


def _threshold(recording, metric):
    minutes = collections.OrderedDict()
    for t, cells in recording:
        a, b = split(cells, metric)
        minute = minutes.setdefault(t // 60000, ([], []))
        minute[0].extend(a)
        minute[1].extend(b)
    streak = 0
    for minute, (a, b) in minutes.items():
        streak = streak + 1 if _over_twice(a, b) else 0
        if streak == 3:
            return minute * 60000 + 59999
    return None


def _over_twice(a, b):
    if not a or not b:
        return False
    if a[0].n is not None:
        n, m = sum(c.n for c in a), sum(c.n for c in b)
        x, y = sum(c.bad for c in a), sum(c.bad for c in b)
        return n > 0 and m > 0 and x > 0 and x / n > 2 * y / m
    q = []
    for group in (a, b):
        v, n = merged(group)
        order = np.argsort(v)
        q.append(v[order][np.searchsorted(np.cumsum(n[order]), 0.9 * n.sum())])
    return q[0] > 2 * q[1]


def kayenta(recording, alpha, entry):
    """As Kayenta's judge, once, at the end: Mann-Whitney between the windows' levels (98 %);
    worse when the smallest shift in its limits is above zero."""
    sign = -1 if entry.get("worse") == "lower" else 1
    for metric in metrics_of(recording):
        series = ([], [])
        for _, cells in recording:
            for i, group in enumerate(split(cells, metric)):
                if group:
                    series[i].append(sign * _level(group))
        if min(map(len, series)) < 3:
            continue
        if np.std(series[0] + series[1]) > 0 and \
                mannwhitneyu(*series, alternative="greater")[1] < 0.01:
            return recording[-1][0]
    return None


def _level(group):
    if group[0].n is not None:
        return sum(c.bad for c in group) / max(1, sum(c.n for c in group))
    if group[0].gauge is not None:
        return float(np.mean([c.gauge for c in group]))
    v, n = merged(group)
    return float((v * n).sum() / n.sum())


JUDGES = {"confseq": confseq, "gbstats": gbstats, "savvi": savvi,
          "Mann-Whitney each look": mann_whitney, "2x for 3 min": threshold,
          "Kayenta-like": kayenta}
