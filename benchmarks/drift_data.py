"""Windows of real columns: resampled with replacement, so that a stable window differs from another by chance alone."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.runtime.samples import FLIGHTS, sample_csv
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.grouped import Counted
from headrace.stream_processors.sketches.quantiles import Quantiles
from headrace.stream_processors.sketches.top import Top

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """A column as its different values with their shares: windows of it are multinomial counts."""

    values: pl.Series
    shares: NDArray[np.float64]

    def moved(self, deviations: float) -> "Source":
        """Return it with every value moved by so many standard deviations."""
        return Source(self.values + deviations * self.spread, self.shares)

    def scaled(self, factor: float) -> "Source":
        """Return it with every distance from the mean multiplied."""
        return Source(self.mean + factor * (self.values - self.mean), self.shares)

    def linear(self, slope: float, shift: float = 0.0) -> "Source":
        """Return it in another unit."""
        return Source(self.values * slope + shift, self.shares)

    def with_new(self, share: float) -> "Source":
        """Return it with this share of the rows in one value that was never there."""
        return Source(pl.concat([self.values, pl.Series(["??"])]), np.append(self.shares * (1 - share), share))

    def swapped(self, share: float) -> "Source":
        """Return it with this share of all rows moved from the most frequent value to the least frequent one."""
        shares = self.shares.copy()
        shares[shares.argmax()] -= share
        shares[self.shares.argmin()] += share
        return Source(self.values, shares)

    @property
    def mean(self) -> float:
        """Return the mean."""
        return float(self.shares @ self.values.to_numpy())

    @property
    def spread(self) -> float:
        """Return the standard deviation."""
        return float(np.sqrt(self.shares @ (self.values.to_numpy() - self.mean) ** 2))

    def windows(self, rng: np.random.Generator, rows: int, count: int) -> list[Cell]:
        """Return the profile cells of so many windows: quantiles of numbers, top values of texts."""
        drawn = rng.multinomial(rows, self.shares, size=count)
        window, value = np.nonzero(drawn)
        sizes, none = np.full(count, rows), np.zeros(count, np.int64)
        found = Counted(np.arange(count), sizes, none, self.values, window, value, drawn[window, value])
        cells: Sequence[Cell] = list(
            (Quantiles if self.values.dtype.is_numeric() else Top).from_counted(found).values()
        )
        return list(cells)


@cache
def sources() -> dict[str, Source]:
    """Return the real columns by name: of flights, and the weather's temperature in Fahrenheit turned to Celsius."""
    wanted = ["dep_delay", "air_time", "distance", "carrier", "origin"]
    flights = pl.read_csv(io.BytesIO(sample_csv(FLIGHTS)), null_values=["NA"], columns=wanted)
    found = {name: _source(flights[name]) for name in wanted}
    weather = pl.read_csv(io.BytesIO(sample_csv("weather")), null_values=["NA"], columns=["temp"])
    return found | {"temp": _source(((weather["temp"] - 32) / 1.8).round(1))}


def _source(column: pl.Series) -> Source:
    found = column.drop_nulls()
    table = (found.cast(pl.Float64) if found.dtype.is_numeric() else found).alias("value").value_counts().sort("value")
    counts = table["count"].to_numpy()
    return Source(table["value"], counts / counts.sum())
