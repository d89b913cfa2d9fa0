"""What a batch adds to the windows of its dataset: the figures of all checks and the profile of all fields. Pure.

One pass each: the figures of all checks are one grouped aggregation, and each column's values are counted once, by
window, for all figures of its profile. Both clocks are served by the same pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule, WindowSpec
from headrace.schemas.codec import polars_schema
from headrace.schemas.record import RecordField, RecordSchema
from headrace.stream_processors.checks.base import ABSENT, ARRIVED, EVENT, SCHEMA_ID, WINDOW, Check, FieldFigure
from headrace.stream_processors.sketches.grouped import Counted, Windows, coded_columns, counted
from headrace.stream_processors.sketches.registry import pack_cell
from headrace.stream_processors.steps.field_profile import field_cells
from headrace.stream_processors.steps.seen_times import Cells as SeenCells
from headrace.stream_processors.steps.seen_times import SeenTimes
from headrace.stream_processors.steps.windows import event_times, starts_of

EVENT_CLOCK, ARRIVAL_CLOCK = "event", "arrival"
NOT_RUN = "not_run"
"""The figure that counts rows on which a check could not run, because it raised an error."""
MOST_FIELD_WINDOWS = 6_000
_ARRIVAL, _REJECTED, _ROWS = "_arrival_window", "_rejected", "_rows"


@dataclass
class WindowDelta:
    """What one batch adds to one window of one clock. Deltas of a window add up in any order and any split.

    `counts` are the figures of checks by rule id and figure; `cells` packed cells by rule id and name; `fields` packed
    cells by field and `FieldFigure`. `rejected` of the `rows` went to quarantine.
    """

    clock: str
    start: int
    rows: int = 0
    rejected: int = 0
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    cells: dict[str, dict[str, bytes]] = field(default_factory=dict)
    fields: dict[str, dict[str, bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """What is known of a batch's records from outside.

    `arrived` is when the broker took each, in microseconds since 1970; `schema_id` the registry's id of their schema;
    `rejected` marks those that go to quarantine, None for none of them. `event_shown` False: event time is personal, so
    no profile tells when a field was seen by it.
    """

    arrived: pl.Series
    schema_id: int | None = None
    rejected: pl.Series | None = None
    event_shown: bool = True


_Found = dict[tuple[str, int], WindowDelta]


def window_deltas(
    frame: pl.DataFrame, fields: Sequence[RecordField], rules: Sequence[CheckRule], spec: WindowSpec, origin: Origin
) -> list[WindowDelta]:
    """Return what the records of a frame add to their windows: first those of event time, then those of arrival.

    Every record is in a window of arrival, and in one of event time if it has one. A field that the frame does not have
    is null in all its records. A check that raises an error has counted `not_run` rows, and nothing else.

    A batch of very many small windows of event time (windows x fields above 6,000: its profile would cost more than its
    records) has there the profile of those fields alone that checks read; the others are profiled by arrival. The
    `counts` of a field say of how many rows its cells speak.
    """
    if not frame.height:
        return []
    batch = _prepared(frame, fields, spec, origin)
    clocks = {EVENT_CLOCK: Windows.of(batch[WINDOW]), ARRIVAL_CLOCK: Windows.of(batch[_ARRIVAL])}
    deltas = [WindowDelta(clock, start) for clock, windows in clocks.items() for start in windows.starts.tolist()]
    found = {(delta.clock, delta.start): delta for delta in deltas}
    checks = [(rule, check_named(rule.check)) for rule in rules]
    broken = _add_counts(found, batch, checks)
    broken |= _add_cells(found, batch, [(rule, check) for rule, check in checks if rule.id not in broken])
    events, arrivals = clocks.values()
    times = {FieldFigure.SEEN_EVENT: batch[EVENT]} if origin.event_shown else {}
    times |= {FieldFigure.SEEN_ARRIVAL: batch[ARRIVED]}
    seen = [SeenTimes(windows, times) for windows in clocks.values()]
    few = len(events) * len(fields) <= MOST_FIELD_WINDOWS
    read = set() if few else _fields_read(checks)
    by_name = {known.name: known for known in fields}
    for name, coded in coded_columns(batch, by_name):
        both = few or name in read
        shown = clocks.values() if both else (arrivals,)
        mine = deltas if both else deltas[len(events) :]
        _add_profile(mine, by_name[name], counted(coded, *shown))
        _add_seen(mine, name, [one.of(batch[name]) for one in (seen if both else seen[1:])])
    for delta in deltas:
        _mark_not_run(delta, broken)
    return deltas


def _fields_read(checks: Sequence[tuple[CheckRule, Check]]) -> set[str]:
    read: set[str] = set()
    for rule, check in checks:
        try:
            read.update(check.reads(rule))
        except Exception:  # see _add_counts; its verdict raises the same error, and tells it
            read.update(rule.fields)
    return read


def _add_profile(deltas: Sequence[WindowDelta], known: RecordField, found: Counted) -> None:
    """Add the cells of one field to its windows, which are those of `found` in order."""
    for delta in deltas:
        delta.fields[known.name] = {}
    for figure, cells in field_cells(found, known.type).items():
        name = figure.value
        for delta, cell in zip(deltas, cells, strict=True):
            delta.fields[known.name][name] = cell


def _add_seen(deltas: Sequence[WindowDelta], name: str, seen: Sequence[SeenCells]) -> None:
    """Add when a field was seen to its windows; `seen` is by clock, those of the deltas in order."""
    by_clock = dict(zip((ARRIVAL_CLOCK, EVENT_CLOCK), reversed(seen), strict=False))
    for delta in deltas:
        delta.fields[name].update(by_clock[delta.clock].get(delta.start, {}))


def _prepared(frame: pl.DataFrame, fields: Sequence[RecordField], spec: WindowSpec, origin: Origin) -> pl.DataFrame:
    """Return the frame with every field, and the columns that checks see beside them."""
    event = event_times(frame, spec)
    arrived = origin.arrived.cast(pl.Int64).alias(ARRIVED)
    wanted = polars_schema(RecordSchema("batch", tuple(fields)))
    rejected = pl.lit(value=False) if origin.rejected is None else origin.rejected.alias(_REJECTED)
    absent = [known.name for known in fields if known.name not in frame.columns]
    return frame.with_columns(
        *(pl.lit(None, wanted[name]).alias(name) for name in absent),
        pl.lit(" ".join(absent)).alias(ABSENT),
        event,
        arrived,
        starts_of(event.to_physical(), spec),
        starts_of(arrived, spec).alias(_ARRIVAL),
        pl.lit(origin.schema_id, pl.Int64).alias(SCHEMA_ID),
        rejected.alias(_REJECTED),
    )


def _add_counts(found: _Found, batch: pl.DataFrame, checks: Sequence[tuple[CheckRule, Check]]) -> set[str]:
    """Add rows, rejected rows and the figures of all checks; return the ids of rules whose check raised an error."""
    names: dict[str, tuple[str, str]] = {}
    plans: dict[str, list[pl.Expr]] = {}
    broken = set()
    for rule, check in checks:
        try:
            figures = check.figures(rule)
        except Exception:  # a check may be anybody's code: what it raises is counted, and told by its verdict
            broken.add(rule.id)
            continue
        for name, figure in figures.items():
            column = f"{len(names)} {rule.id}"
            names[column] = (rule.id, name)
            plans.setdefault(rule.id, []).append(figure.cast(pl.Int64).alias(column))
    own = [pl.len().alias(_ROWS), pl.col(_REJECTED).sum()]
    try:
        rows = _aggregated(batch, [*own, *(figure for plan in plans.values() for figure in plan)])
    except Exception:  # which of them it was is found one by one
        broken |= {rule for rule, plan in plans.items() if _raises(batch, plan)}
        kept = [figure for rule, plan in plans.items() if rule not in broken for figure in plan]
        rows = _aggregated(batch, [*own, *kept])
    for row in rows:
        for clock, column in ((EVENT_CLOCK, WINDOW), (ARRIVAL_CLOCK, _ARRIVAL)):
            if row[column] is not None:
                _add_row(found[clock, row[column]], row, names)
    return broken


def _aggregated(batch: pl.DataFrame, figures: Sequence[pl.Expr]) -> list[dict[str, Any]]:
    return batch.lazy().group_by(WINDOW, _ARRIVAL).agg(figures).collect().to_dicts()


def _raises(batch: pl.DataFrame, figures: Sequence[pl.Expr]) -> bool:
    try:
        _aggregated(batch, figures)
    except Exception:  # see _add_counts
        return True
    return False


def _add_row(delta: WindowDelta, row: Mapping[str, Any], names: Mapping[str, tuple[str, str]]) -> None:
    delta.rows += row[_ROWS]
    delta.rejected += row[_REJECTED]
    for column, (rule, name) in names.items():
        if column in row:
            counts = delta.counts.setdefault(rule, {})
            counts[name] = counts.get(name, 0) + (row[column] or 0)


def _add_cells(found: _Found, batch: pl.DataFrame, checks: Sequence[tuple[CheckRule, Check]]) -> set[str]:
    """Add the cells of checks on both clocks; return the ids of rules whose check raised an error."""
    broken: set[str] = set()
    by_clock = {EVENT_CLOCK: batch, ARRIVAL_CLOCK: batch.with_columns(pl.col(_ARRIVAL).alias(WINDOW))}
    for rule, check in checks:
        if type(check).cells is Check.cells:
            continue
        try:
            cells = {clock: check.cells(rule, rows) for clock, rows in by_clock.items()}
            packed = {
                (clock, start): {name: pack_cell(cell) for name, cell in named.items()}
                for clock, windows in cells.items()
                for start, named in windows.items()
            }
        except Exception:  # see _add_counts
            broken.add(rule.id)
            continue
        for window, named in packed.items():
            found[window].cells[rule.id] = named
    return broken


def _mark_not_run(delta: WindowDelta, broken: set[str]) -> None:
    for rule in broken:
        delta.cells.pop(rule, None)
        delta.counts[rule] = {NOT_RUN: delta.rows}
