"""Values by metric. Whoever tells one needs no more than OpenTelemetry's API; `counter_export` says where values go."""

import functools
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from headrace.observability.metrics import CAPPED, Kind, Measure

SCOPE = "headrace"
# Datasets, rules and reasons are few; what a client can make many of must not fill the memory of each reader.
MOST_SERIES = 1_000
OTHER = "other"

_Series = tuple[tuple[str, str], ...]
Reading = Callable[[], float | None]


class Totals:
    """What each counter has grown to, its labels added up. Safe from any thread.

    Status files hold it, and are written twice a second: collecting every metric for them took as long as the writing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, float] = {}

    def grow(self, name: str, value: float) -> None:
        """Add to a counter."""
        with self._lock:
            self._values[name] = self._values.get(name, 0.0) + value

    def values(self) -> dict[str, int]:
        """Return each counter's value; those that never grew are not there."""
        with self._lock:
            return {name: int(value) for name, value in self._values.items() if value}


class Keeper(NamedTuple):
    """Who keeps this process's metrics, and what its counters have grown to. `stage` is the process's name."""

    meter: metrics.Meter
    totals: Totals
    stage: str


class Board:
    """The last values of gauges and totals, which exporters look up when they want them. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: dict[str, dict[_Series, float | Reading]] = {}

    def put(self, measure: Measure, value: float | Reading, labels: Mapping[str, str]) -> None:
        """Note a value, or what gives it when it is asked for (None: there is none any more)."""
        series = tuple(labels.items())
        with self._lock:
            readings = self._readings.setdefault(measure.name, {})
            if measure.one_of:
                rest = [pair for pair in series if pair[0] != measure.one_of]
                for other in readings:
                    if [pair for pair in other if pair[0] != measure.one_of] == rest:
                        readings[other] = 0.0
            readings[series] = value

    def observe(self, name: str, _options: CallbackOptions) -> Iterable[Observation]:
        """Return what OpenTelemetry is told of a metric."""
        with self._lock:
            readings = list(self._readings.get(name, {}).items())
        found = [(series, value() if callable(value) else value) for series, value in readings]
        return [Observation(float(value), dict(series)) for series, value in found if value is not None]


_keepers: list[Keeper] = []
_board = Board()
_series: dict[str, set[_Series]] = {}
_making = threading.Lock()


def tell(measure: Measure, value: float | Reading, labels: Mapping[str, str]) -> None:
    """Let a metric have a value. Without a keeper that is left to the program's own meter provider."""
    if not _is_known(measure, labels):
        tell(CAPPED, 1, {"metric": measure.name})
        labels = {name: text if name == "stage" else OTHER for name, text in labels.items()}
    if measure.kind in {Kind.GAUGE, Kind.TOTAL}:
        _board.put(measure, value, labels)
    elif measure.kind is Kind.COUNTER and _keepers and not callable(value):
        _keepers[-1].totals.grow(measure.name, value)
    with _making:
        grow = _grower(measure)
    grow(value, labels)


def current_values() -> dict[str, int]:
    """Return the values of this process's counters, labels added up; empty where nobody keeps them."""
    return _keepers[-1].totals.values() if _keepers else {}


def this_stage() -> str:
    """Return the name of this process as metrics tell it; empty where nobody keeps them."""
    return _keepers[-1].stage if _keepers else ""


def keep(keeper: Keeper) -> None:
    """Count with this keeper from now on."""
    global _board  # noqa: PLW0603 - the values of one keeper are not those of the next
    _keepers.append(keeper)
    _board = Board()
    _forget_instruments()


def release(keeper: Keeper) -> None:
    """Count with it no more."""
    _keepers.remove(keeper)
    _forget_instruments()


def _is_known(measure: Measure, labels: Mapping[str, str]) -> bool:
    known = _series.setdefault(measure.name, set())
    series = tuple(labels.items())
    if series not in known:
        if len(known) >= MOST_SERIES:
            return False
        known.add(series)
    return True


def _forget_instruments() -> None:
    _series.clear()
    _grower.cache_clear()


def _meter() -> metrics.Meter:
    return _keepers[-1].meter if _keepers else metrics.get_meter(SCOPE)


@functools.cache
def _grower(measure: Measure) -> Callable[[Any, Mapping[str, str]], None]:
    """Return what takes a metric's values: its instrument, or nothing where the instrument reads the board."""
    make, named = _meter(), {"unit": measure.unit, "description": measure.about}
    if measure.kind is Kind.COUNTER:
        return make.create_counter(measure.name, **named).add
    if measure.kind is Kind.HISTOGRAM:
        bounds = list(measure.bounds)
        return make.create_histogram(measure.name, **named, explicit_bucket_boundaries_advisory=bounds).record
    read = [functools.partial(_board.observe, measure.name)]
    if measure.kind is Kind.GAUGE:
        make.create_observable_gauge(measure.name, read, **named)
    else:
        make.create_observable_counter(measure.name, read, **named)
    return lambda _value, _labels: None
