"""Thresholds of a contract: ODCS's comparison operators, and the five keys of a check of engine headrace."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from headrace.schemas.check_rules import Bounds
from headrace.schemas.contract_findings import Findings
from headrace.schemas.problems import Place

THRESHOLDS: Mapping[str, Callable[[float], Bounds]] = {
    "atLeast": lambda value: Bounds(lower=value),
    "moreThan": lambda value: Bounds(lower=value, above=True),
    "atMost": lambda value: Bounds(upper=value),
    "lessThan": lambda value: Bounds(upper=value, below=True),
    "exactly": lambda value: Bounds(lower=value, upper=value),
}
"""The keys that bound what a check of engine headrace observes: one lower, one upper, or `exactly`."""

_LOWER = frozenset({"atLeast", "moreThan"})
_OPERATORS: Mapping[str, Callable[[Any], Bounds]] = {
    "mustBe": lambda value: Bounds(lower=value, upper=value),
    "mustNotBe": lambda value: Bounds(lower=value, upper=value, inside=False),
    "mustBeGreaterThan": lambda value: Bounds(lower=value, above=True),
    "mustBeGreaterOrEqualTo": lambda value: Bounds(lower=value),
    "mustBeLessThan": lambda value: Bounds(upper=value, below=True),
    "mustBeLessOrEqualTo": lambda value: Bounds(upper=value),
    "mustBeBetween": lambda value: Bounds(lower=value[0], upper=value[1]),
    "mustNotBeBetween": lambda value: Bounds(lower=value[0], upper=value[1], inside=False),
}


def operator_bounds(operators: Mapping[str, Any], place: Place, findings: Findings) -> Bounds | None:
    """Return the bounds of the one comparison operator of a quality entry, None when it cannot be followed."""
    if len(operators) != 1:
        return None
    name, value = next(iter(operators.items()))
    parts = value if isinstance(value, list) else [value]
    if not all(_is_number(part) for part in parts):
        findings.refuse((*place, name), "is not a number", value, "write a number; a metric is counted")
        return None
    if len(parts) == 2 and parts[0] > parts[1]:
        findings.refuse((*place, name), "the first bound is above the second", str(value), "exchange them")
        return None
    return _OPERATORS[name]([float(part) for part in parts] if len(parts) == 2 else float(parts[0]))


def threshold_bounds(values: Mapping[str, object], place: Place, findings: Findings) -> Bounds | None:
    """Return the bounds that the threshold keys give together, None without any or when they cannot be followed."""
    wrong = [name for name, value in values.items() if not _is_number(value)]
    for name in wrong:
        findings.refuse((*place, name), "is not a number", values[name], "write a number")
    if wrong or not values:
        return None
    names = sorted(values)
    if len(values) > 2 or ("exactly" in values and len(values) > 1) or len(_LOWER & values.keys()) == 2:
        findings.refuse(place, f"has {' and '.join(names)}", None, "leave one lower and one upper bound, or exactly")
        return None
    if len(values) == 2 and not _LOWER & values.keys():
        findings.refuse(place, f"has {' and '.join(names)}", None, "leave one of the two")
        return None
    parts = [THRESHOLDS[name](float(str(value))) for name, value in values.items()]
    low = next((part for part in parts if part.lower is not None), Bounds())
    high = next((part for part in parts if part.upper is not None), Bounds())
    if low.lower is not None and high.upper is not None and low.lower > high.upper:
        findings.refuse(place, "the lower bound is above the upper", low.lower, "exchange them")
        return None
    return Bounds(low.lower, high.upper, above=low.above, below=high.below)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
