"""Counters by name. Whoever counts needs no more than OpenTelemetry's API; `counter_export` says where values go."""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from opentelemetry import metrics

SCOPE = "headrace"


class Keeper(NamedTuple):
    """Who keeps this process's counters, and tells their values."""

    meter: metrics.Meter
    values: Callable[[], dict[str, int]]


_keepers: list[Keeper] = []


def count(name: str, quantity: int, labels: Mapping[str, str]) -> None:
    """Let a counter grow. Without a keeper that is left to the program's own meter provider."""
    _counter(name).add(quantity, labels)


def current_values() -> dict[str, int]:
    """Return the values of this process's counters; empty where nobody keeps them."""
    return _keepers[-1].values() if _keepers else {}


def keep(keeper: Keeper) -> None:
    """Count with this keeper from now on."""
    _keepers.append(keeper)
    _counter.cache_clear()


def release(keeper: Keeper) -> None:
    """Count with it no more."""
    _keepers.remove(keeper)
    _counter.cache_clear()


@functools.cache
def _counter(name: str) -> metrics.Counter:
    return (_keepers[-1].meter if _keepers else metrics.get_meter(SCOPE)).create_counter(name)
