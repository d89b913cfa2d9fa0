"""Small batches for tests of checks: rows of one window, with the columns that the engine adds."""

from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import Bounds, CheckRule, Unit
from headrace.schemas.record import FieldType
from headrace.stream_processors.checks.base import ARRIVED, EVENT, WINDOW, Check, Verdict, View
from headrace.testing.check_views import views_of

NOON: Final = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp())
TYPES: Final = {
    "name": FieldType.STRING,
    "count": FieldType.LONG,
    "price": FieldType.DOUBLE,
    "day": FieldType.DATE,
    "at": FieldType.TIMESTAMP,
    "ready": FieldType.BOOLEAN,
}


def check_rule(
    check: str, *fields: str, unit: Unit | None = None, bounds: Bounds | None = None, **parameters: Any
) -> CheckRule:
    """Return a rule on fields of TYPES, in the check's own unit unless told."""
    return CheckRule(check, check, fields, parameters, bounds, unit or check_named(check).unit, types=TYPES)


def frame(
    delay: float | list[float] = 1.0, file: str | list[str] = "f1", window: int = NOON, **columns: Any
) -> pl.DataFrame:
    """Return rows of one window; `at` is in seconds after noon, and event time unless there is none."""
    rows = max((len(values) for values in columns.values()), default=1)
    seconds = columns.get("at", [float(place) for place in range(rows)])
    micros = [None if second is None else int((NOON + second) * 1_000_000) for second in seconds]
    delays = delay if isinstance(delay, list) else [delay] * rows
    made = {name: pl.Series(name, values, strict=True) for name, values in columns.items() if name != "at"}
    return pl.DataFrame({"_row": pl.Series(range(rows), dtype=pl.Int64), **made}).with_columns(
        pl.Series("at", micros, pl.Int64).cast(pl.Datetime("us")),
        pl.Series(EVENT, micros, pl.Int64).cast(pl.Datetime("us")),
        pl.Series(
            ARRIVED, [(micro or NOON * 10**6) + round(own * 10**6) for micro, own in zip(micros, delays, strict=True)]
        ),
        pl.Series(WINDOW, [window] * rows),
        pl.Series("_file", [file] * rows if isinstance(file, str) else file),
    )


def judged(demand: CheckRule, batch: pl.DataFrame, **known: Any) -> Verdict:
    """Return the verdict on a batch of one window; `known` are further parts of its view."""
    check: Check = check_named(demand.check)
    (view,) = views_of(check, demand, batch, **known).values()
    return check.verdict(demand, view)


def empty(demand: CheckRule, **known: Any) -> Verdict:
    """Return the verdict on a window without rows."""
    check: Check = check_named(demand.check)
    return check.verdict(demand, View(NOON, NOON + 3600, 0, **known))
