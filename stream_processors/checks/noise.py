"""How far chance alone carries the figures of stable data: what every noise floor is made of. Pure, no tables.

`chance` is always the share of stable windows in which the floor may be passed.
"""

import math
from statistics import NormalDist
from typing import Final

from headrace.schemas.contract_budget import LEAST_CHANCE

__all__ = ["CHANCE", "LEAST_CHANCE", "binomial_above", "chi_square_above", "deviations", "poisson_above"]

CHANCE: Final = 1e-4
"""What a rule is given where the contract names no budget: one stable window in ten thousand."""
_NORMAL = NormalDist()
_MOST_SUMMED = 1_000.0


def chi_square_above(freedom: int, chance: float) -> float:
    """Return what a chi-square figure passes with this chance ; beyond two degrees by Wilson and Hilferty.

    >>> [round(chi_square_above(freedom, 1e-4), 1) for freedom in (1, 2, 10)]
    [15.1, 18.4, 36.0]
    """
    if freedom == 1:
        return _NORMAL.inv_cdf(chance / 2) ** 2
    if freedom == 2:
        return -2 * math.log(chance)
    spread = 2 / (9 * freedom)
    return float(freedom * (1 - spread + _NORMAL.inv_cdf(1 - chance) * math.sqrt(spread)) ** 3)


def poisson_above(mean: float, chance: float) -> int:
    """Return the count that independent events with this mean number pass with at most this chance.

    >>> poisson_above(0.01, 1e-4), poisson_above(100.0, 1e-4)
    (1, 139)
    """
    if mean > _MOST_SUMMED:
        return math.ceil(mean + _NORMAL.inv_cdf(1 - chance) * math.sqrt(mean) + 3)
    left, term, count = 1.0 - math.exp(-mean), math.exp(-mean), 0
    while left > chance and count < _MOST_SUMMED * 2:
        count += 1
        term *= mean / count
        left -= term
    return count


def binomial_above(rows: int, share: float, chance: float) -> int:
    """Return the count that independent rows, each hit with this share, pass with at most this chance.

    >>> binomial_above(72, 0.5, 1e-4), binomial_above(10, 0.05, 1e-4), binomial_above(5, 1.0, 1e-4)
    (52, 4, 5)
    """
    if not 0.0 < share < 1.0:
        return rows if share >= 1.0 else 0
    if rows > _MOST_SUMMED:
        spread = math.sqrt(rows * share * (1.0 - share))
        return min(rows, math.ceil(rows * share + _NORMAL.inv_cdf(1 - chance) * spread + 3))
    term, odds = rows * math.log1p(-share), math.log(share) - math.log1p(-share)
    left, count = 1.0 - math.exp(term), 0
    while left > chance and count < rows:
        term += math.log((rows - count) / (count + 1)) + odds
        count += 1
        left -= math.exp(term)
    return count


def deviations(chance: float, windows: int) -> float:
    """Return the standard deviations from the median of so many windows that are passed, up or down, with this chance.

    The median of few windows is itself off by 1.25 / sqrt(windows) deviations.

    >>> round(deviations(1e-4, 24), 2)
    4.02
    """
    return -_NORMAL.inv_cdf(chance / 2) * math.sqrt(1 + math.pi / 2 / max(windows, 1))
