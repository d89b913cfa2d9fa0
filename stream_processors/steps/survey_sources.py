"""What tells one source from the others in the stored rows: hours of arrival, whole-hour offsets, units, repeats. Pure.

Each rule compares sources (values of a text or whole-number field, or files) with the rest of the same dataset, and is
silent without evidence. Figures come from `survey_sources_sql.py`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from headrace.stream_processors.checks.unit_shift import FACTORS
from headrace.stream_processors.steps.advice import Advice

LEAST_ROWS: Final = 50
_BURST_SHARE, _BURST_DAYS = 0.5, 3
_HOUR, _NEAR_HOUR, _STEADY = 3_600.0, 300.0, 1_800.0
_MOST_HOURS: Final = 14
_NEAR_FACTOR, _LEAST_FACTOR, _ALIKE, _AGREE = 0.04, 2.0, 0.25, 0.9
_SHOWN: Final = 5
_TEMPERATURES: Final = (
    ("1.8x + 32 (Celsius to Fahrenheit)", 1.8, 32.0),
    ("(x - 32) / 1.8 (Fahrenheit to Celsius)", 1 / 1.8, -32 / 1.8),
)
_VERSION = re.compile(r"(?:^|[^0-9a-zA-Z])[vV]\.?(\d+(?:\.\d+)*)(?![0-9])")


@dataclass(frozen=True)
class Source:
    """Three quantiles of a figure over a source's rows. `column` and `value` name the source."""

    column: str
    value: str
    rows: int
    low: float
    middle: float
    high: float

    @property
    def name(self) -> str:
        """Return the source as a segment is called."""
        return f"{self.column.lstrip('_')}={self.value}"


def bursts(dataset: str, hours: Sequence[tuple[int, int, int]], query: str) -> list[Advice]:
    """Return the advice on late rows that arrive at one hour of the day; `hours` are (hour, late rows, days)."""
    late = sum(rows for _, rows, _ in hours)
    hour, rows, days = max(hours, key=lambda one: (one[1], -one[0]), default=(0, 0, 0))
    if late < LEAST_ROWS or rows < _BURST_SHARE * late or days < _BURST_DAYS:
        return []
    told = f"{rows:,} of {late:,} late rows arrived from {hour:02}:00 to {(hour + 1) % 24:02}:00 UTC, on {days} days."
    return [
        Advice(
            "late_bursts", dataset, "", f"hour_of_arrival={hour}", (told,),
            "Records are kept back and uploaded by a schedule at that hour.",
            "Upload more often than once a day, or raise allowedLateness to what the schedule needs.",
            rows, 0.0, query=query,
        )
    ]  # fmt: skip


def hour_offsets(dataset: str, field: str, sources: Sequence[Source], query: str) -> list[Advice]:
    """Return the advice on sources whose delay is steadily whole hours from that of the others; figures in seconds."""
    found = []
    for column, mine in _by_column(sources):
        for one in mine:
            others = [other.middle for other in mine if other is not one and other.rows >= LEAST_ROWS]
            if one.rows < LEAST_ROWS or not others or one.high - one.low > _STEADY:
                continue
            off = one.middle - median(others)
            hours = round(off / _HOUR)
            if hours and abs(hours) <= _MOST_HOURS and abs(off - hours * _HOUR) <= _NEAR_HOUR:
                found.append((one, -hours))
        if found:
            return [_of_offsets(dataset, field, column, found, query)]
    return []


def _of_offsets(dataset: str, field: str, column: str, found: Sequence[tuple[Source, int]], query: str) -> Advice:
    listed = ", ".join(f"{one.value} by {hours:+d} h ({one.rows:,} rows)" for one, hours in found[:_SHOWN])
    return Advice(
        "time_zone", dataset, field, "; ".join(one.name for one, _ in found[:_SHOWN]),
        (f"{field} of {column.lstrip('_')} is off by whole hours against the others: {listed}.",),
        "A local time is written without its zone there.",
        "Send UTC with its offset; correct the time-zone setting of the sources named.",
        sum(one.rows for one, _ in found), 0.0, query=query,
    )  # fmt: skip


def other_units(dataset: str, field: str, sources: Sequence[Source], query: str) -> list[Advice]:
    """Return the advice on sources whose quartiles are a unit's factor from those of the others, which agree."""
    for column, mine in _by_column(sources):
        sound = [one for one in mine if one.rows >= LEAST_ROWS]
        found = []
        for one in sound:
            words = _unit(one, [other for other in sound if other is not one])
            found += [(one, words)] if words else []
        # Where not far more sources agree, nobody can say which of them are off; kinds of things differ as they are.
        rest = [one.middle for one in sound if one not in {source for source, _ in found}]
        if found and 3 * len(found) <= len(sound) and _alike(rest) >= _AGREE:
            listed = ", ".join(f"{one.value} ({one.rows:,} rows, near {words})" for one, words in found[:_SHOWN])
            usual = median(rest)
            said = (
                f"The middle value of {field} is {found[0][0].middle:.4g} at {found[0][0].name} and {usual:.4g} at "
                f"the others; near a unit's factor: {listed}."
            )
            return [
                Advice(
                    "unit_shift", dataset, field, "; ".join(one.name for one, _ in found[:_SHOWN]), (said,),
                    f"These sources of {column.lstrip('_')} send {field} in another unit.",
                    f"Put the unit of {field} into the contract and convert where the file is written.",
                    sum(one.rows for one, _ in found), 0.0, query=query,
                )
            ]  # fmt: skip
    return []


def _unit(one: Source, others: Sequence[Source]) -> str:
    """Return the unit's words if a source is off by it from the middle of the others, "" if not."""
    if len(others) < 2:
        return ""
    usual = tuple(median(getattr(other, name) for other in others) for name in ("low", "middle", "high"))
    if not usual[1]:
        return ""
    mine = (one.low, one.middle, one.high)
    for factor, words in FACTORS.items():
        for by in (factor, 1 / factor):
            off = [abs(new - old * by) / abs(old * by) for new, old in zip(mine, usual, strict=True) if old]
            if factor >= _LEAST_FACTOR and off and max(off) <= _NEAR_FACTOR:
                return words
    for words, slope, shift in _TEMPERATURES:
        wanted = [slope * old + shift for old in usual]
        moved = min(abs(want - old) for want, old in zip(wanted, usual, strict=True))
        off = [abs(want - new) for want, new in zip(wanted, mine, strict=True)]
        if max(off) <= 0.1 * moved and moved > abs(usual[2] - usual[0]):
            return words
    return ""


def _alike(values: Sequence[float]) -> float:
    """Return the share of values within a quarter of their median."""
    usual = median(values)
    return sum(abs(value - usual) <= _ALIKE * abs(usual) for value in values) / len(values)


def _by_column(sources: Sequence[Source]) -> Iterator[tuple[str, list[Source]]]:
    columns: dict[str, list[Source]] = {}
    for one in sources:
        columns.setdefault(one.column, []).append(one)
    yield from columns.items()


def twins(dataset: str, keys: Sequence[str], found: Sequence[tuple[str, str, int]], query: str) -> list[Advice]:
    """Return the advice on files with the same keys, though other bytes; `found` are (name, other name, rows)."""
    if not found:
        return []
    listed = "; ".join(f"{name} has the {rows:,} keys of {first}" for first, name, rows in found[:_SHOWN])
    return [
        Advice(
            "replayed_keys", dataset, ", ".join(keys), f"file={found[0][1]}",
            (f"Files with the same set of {', '.join(keys)}, though other bytes: {listed}.",),
            "The same records were delivered again in another file.",
            "Give files names that follow from their content or period, and send a manifest with each delivery.",
            sum(rows for *_, rows in found), 0.0, query=query,
        )
    ]  # fmt: skip


def by_version(found: Sequence[tuple[str, int, int]]) -> tuple[str, str]:
    """Return (segment, sentence) of the producer's version that unreadable rows begin with, by the files' names.

    `found` are (file name, unreadable rows, rows). A version is what follows a v in a name, as in `tills-v2.1-03.csv`.

    >>> by_version([("tills-v2.1-03.csv", 40, 50), ("tills-v2.1-04.csv", 45, 50), ("tills-v2.0-02.csv", 1, 50)])
    ('version=2.1', 'Version 2.1 in the names: 85 of 100 rows; other versions 1 of 50.')
    """
    counts: dict[str, list[int]] = {}
    for name, bad, rows in found:
        if match := _VERSION.search(name):
            known = counts.setdefault(match[1], [0, 0])
            known[0], known[1] = known[0] + bad, known[1] + rows
    if not counts:
        return "", ""
    worst = max(counts, key=lambda version: (counts[version][0], version))
    bad, rows = counts[worst]
    rest = [sum(figures[n] for version, figures in counts.items() if version != worst) for n in (0, 1)]
    if rest[1] and bad / max(rows, 1) <= 2 * rest[0] / rest[1]:
        return "", ""
    others = f"; other versions {rest[0]:,} of {rest[1]:,}" if rest[1] else ""
    return f"version={worst}", f"Version {worst} in the names: {bad:,} of {rows:,} rows{others}."
