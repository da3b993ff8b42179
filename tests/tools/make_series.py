#!/usr/bin/env python3
"""Print the Chebyshev series that stats/mann_whitney.c uses, as C initialisers.

Needs mpmath. h(y) = log(sinh(y/2)/(y/2)); each function is divided by its leading power of y
and expanded in y^2 over [0, 36.5]. Coefficients are computed with 40 digits.
"""
from mpmath import bernoulli, cos, coth, factorial, fsum, log, mp, mpf, pi, quad, sinh

mp.dps = 40
TERMS, SPAN = 22, mpf("36.5")


def h(y):
    return log(sinh(y / 2) / (y / 2))


def power_series(terms=40):
    """h(y) = sum a_k y^(2k): from log(sinh(x)/x)' = coth x - 1/x and Bernoulli numbers."""
    return [bernoulli(2 * k) / (2 * k * factorial(2 * k)) for k in range(1, terms + 1)]


SMALL = power_series()


def near_zero(s, power, scale):
    """sum over k of SMALL[k-1] * scale(2k) * s^(k - power)."""
    return fsum(a * scale(2 * k) * s ** (k - power)
                for k, a in enumerate(SMALL, 1) if scale(2 * k) != 0)


def ratio_h(s):
    y = s ** mpf("0.5")
    return near_zero(s, 1, lambda d: mpf(1)) if s < 4 else h(y) / s


def ratio_integral(s):
    y = s ** mpf("0.5")
    if s < 4:
        return near_zero(s, 1, lambda d: mpf(1) / (d + 1))
    return (near_zero(mpf(3), 1, lambda d: mpf(1) / (d + 1)) * mpf(3) ** mpf("1.5")
            + quad(h, [mpf(3) ** mpf("0.5"), y])) / y ** 3


def ratio_first(s):
    y = s ** mpf("0.5")
    if s < 4:
        return near_zero(s, 1, lambda d: mpf(d))
    return (coth(y / 2) / 2 - 1 / y) / y


def ratio_third(s):
    y = s ** mpf("0.5")
    if s < 4:
        return near_zero(s, 2, lambda d: mpf(d * (d - 1) * (d - 2)))
    return (coth(y / 2) / (4 * sinh(y / 2) ** 2) - 2 / y ** 3) / y


def coefficients(f):
    points = 64
    at = [cos(pi * (j + mpf(1) / 2) / points) for j in range(points)]
    values = [f((x + 1) / 2 * SPAN) for x in at]
    return [fsum(v * cos(k * pi * (j + mpf(1) / 2) / points) for j, v in enumerate(values))
            * 2 / points / (2 if k == 0 else 1) for k in range(TERMS)]


def main():
    names = [("integral", ratio_integral), ("value", ratio_h), ("first", ratio_first),
             ("third", ratio_third)]
    for name, f in names:
        print(f"    .{name} = {{")
        for c in coefficients(f):
            print(f"        {float(c).hex()},")
        print("    },")


if __name__ == "__main__":
    main()
