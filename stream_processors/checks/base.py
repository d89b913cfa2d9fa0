"""What a check is: figures of a batch, a verdict on the merged figures, and words for people."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict

from headrace.core.vocabulary import Reason
from headrace.schemas.check_rules import Bounds, CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.sketches import base as sketches_base
from headrace.stream_processors.sketches.base import Cell

WINDOW = sketches_base.WINDOW
"""The batch column that holds each row's window start: whole seconds since 1970, null without event time."""
ARRIVED = "_arrived"
"""The batch column of arrival: microseconds since 1970 at which the broker took the record, Int64. In the warehouse it
is `_ingested_at`."""
EVENT = "_event"
"""The batch column of event time by the contract's window: Datetime in microseconds, null where a record has none.

The stored rows do not have it: whoever runs a check's SQL that names it defines it first, e.g. `WITH time_hour AS
_event`."""
SCHEMA_ID = "_schema"
"""The batch column with the registry's id of the schema that each record was decoded with, Int64."""
ABSENT = "_absent"
"""The batch column of fields that the records do not have (the batch has them, as null): names with spaces between."""


class Outcome(StrEnum):
    """How a check ended. `not_checked` is never a pass: it is counted and shown."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    NOT_CHECKED = "not_checked"


class Scope(StrEnum):
    """What a verdict of a check speaks of.

    `window`: the rows of a window, on both clocks. `arrival`: what only windows of arrival know. `file`: whole files,
    told in the window of arrival in which their receipts came. `both`: the rows of a window, and whole files, exactly.
    `learner`: what a learner found of a window's records, or told in a window of arrival (`checks.learned`).
    """

    WINDOW = "window"
    ARRIVAL = "arrival"
    FILE = "file"
    BOTH = "both"
    LEARNER = "learner"


class FieldFigure(StrEnum):
    """What the profile of a field holds, for checks that need no figures of their own.

    The last two are when the field was first and last there, by event time and by arrival, in microseconds since 1970.
    """

    COUNTS = "counts"
    EXTREMES = "extremes"
    MOMENTS = "moments"
    QUANTILES = "quantiles"
    DISTINCT = "distinct"
    TOP = "top"
    LENGTHS = "lengths"
    SHAPES = "shapes"
    SEEN_EVENT = "seen_event"
    SEEN_ARRIVAL = "seen_arrival"


class Parameters(BaseModel):
    """The parameters of a check, as the contract may write them; an unknown key is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Given = TypeVar("Given", bound=Parameters)


def given(model: type[Given], rule: CheckRule) -> Given:
    """Return the rule's parameters as the check's model has them; raises ValidationError for what it refuses."""
    return model.model_validate(dict(rule.parameters))


@dataclass(frozen=True)
class Verdict:
    """What a check says of one window or file.

    `observed` and its `error` (half the width of the error bar, 0 where it is exact) are in the rule's unit;
    `detail` is one plain sentence about what was seen, or why it was not checked.
    """

    outcome: Outcome
    observed: float | None = None
    error: float = 0.0
    bounds: Bounds | None = None
    rows: int = 0
    rows_at_risk: int = 0
    detail: str = ""


@dataclass(frozen=True)
class View:
    """Everything known of one window (or file) when a verdict is asked for.

    `counts` and `cells` are this rule's own merged figures; `fields` the profile cells by field and `FieldFigure`;
    `rows` all rows of the window; `history` earlier closed windows of this rule, oldest first, as (window start in
    seconds, observed); `reference` the view of the reference (pinned, trailing or same hour of week), where one is set;
    `facts` what is known of files and the stream from elsewhere (see docs/guide/checks.md), e.g. file row counts.
    """

    start: int
    end: int
    rows: int
    counts: Mapping[str, int] = field(default_factory=dict)
    cells: Mapping[str, Cell] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, Cell]] = field(default_factory=dict)
    history: Sequence[tuple[int, float]] = ()
    reference: "View | None" = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Check(ABC):
    """One check. Stateless; everything that varies comes with the rule.

    Class attributes: `name` as contracts write it, `dimension` and `unit` when the contract says none, `summary` one
    line for the catalogue, `Model` the strict parameters, `needs_fields` the least number of fields it must be given,
    `order_bound` True where the figures depend on the order of rows within a file, `reason` the reason code of rows
    that it judges, None where it judges no rows, `reads_history` True where the verdict reads `View.history`: what the
    others observed in earlier windows is not kept, `scope` what a verdict speaks of, `sees_silence` True where a window
    without any record can fail: then such windows are closed too.
    """

    name: ClassVar[str]
    dimension: ClassVar[Dimension]
    summary: ClassVar[str]
    unit: ClassVar[Unit] = Unit.VALUE
    Model: ClassVar[type[Parameters]] = Parameters
    needs_fields: ClassVar[int] = 0
    order_bound: ClassVar[bool] = False
    reason: ClassVar[Reason | None] = None
    reads_history: ClassVar[bool] = False
    scope: ClassVar[Scope] = Scope.WINDOW
    sees_silence: ClassVar[bool] = False

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return why the rule cannot be followed on fields of these kinds, "" if it can; asked at reading."""
        return ""

    def broken(self, rule: CheckRule) -> pl.Expr | None:
        """Return the expression that is true for each row that breaks the rule, where the check judges rows."""
        return None

    def figures(self, rule: CheckRule) -> Mapping[str, pl.Expr]:
        """Return aggregated whole-number expressions by name; they are computed per window and added up.

        By default a check that judges rows counts those that break it, as `failed`.
        """
        broken = self.broken(rule)
        return {} if broken is None else {"failed": broken.fill_null(value=False).sum()}

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        """Return the cells of a batch by window start, for figures that are no sums. `batch` has the column WINDOW."""
        return {}

    def owner(self, rule: CheckRule) -> str:
        """Return whose figures and cells the verdict reads: the rule's own, by default."""
        return rule.id

    def reads(self, rule: CheckRule) -> Mapping[str, frozenset[FieldFigure]]:
        """Return the profile figures that the verdict reads, by field."""
        return {}

    def sql(self, rule: CheckRule) -> Mapping[str, str] | None:
        """Return `figures` as aggregate expressions of ClickHouse over the dataset's table, None where it has none."""
        return None

    @abstractmethod
    def sentence(self, rule: CheckRule) -> str:
        """Return the demand in one plain sentence, for reports: `at most 2 % of temperature_c may be missing`."""

    @abstractmethod
    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on merged figures."""


def not_checked(why: str, rows: int = 0) -> Verdict:
    """Return the verdict of a check that could not look; never a pass."""
    return Verdict(Outcome.NOT_CHECKED, rows=rows, detail=why)


def against_bounds(
    rule: CheckRule,
    observed: float,
    *,
    rows: int,
    at_risk: int,
    detail: str,
    error: float = 0.0,
    unless: Bounds | None = None,
) -> Verdict:
    """Return the verdict of a value against the rule's bounds: it fails only beyond the error of the estimate.

    A rule without bounds has those of `unless`, by default at most 0.
    """
    bounds = rule.bounds or unless or Bounds(upper=0.0)
    excess = bounds.excess(observed)
    failed = excess > 0 and (error == 0 or excess > error)
    return Verdict(Outcome.FAIL if failed else Outcome.PASS, observed, error, bounds, rows, at_risk, detail)


def beyond_doubt(found: Verdict) -> Verdict:
    """Return a verdict on an estimate as not checked where its error reaches over the bound: it cannot be told then.

    For checks where what the error may hide is what is looked for: a key that comes twice among many.

    >>> within = Verdict(Outcome.PASS, observed=0.0, error=0.5, bounds=Bounds(upper=0.0), detail="none")
    >>> beyond_doubt(within).outcome.value, beyond_doubt(within).detail
    ('not_checked', 'none; the error reaches over the bound: it cannot be told')
    """
    if found.outcome is not Outcome.PASS or not found.error or found.bounds is None or found.observed is None:
        return found
    ends = (found.observed - found.error, found.observed + found.error)
    if not any(found.bounds.excess(end) for end in ends):
        return found
    detail = f"{found.detail}; the error reaches over the bound: it cannot be told"
    return replace(found, outcome=Outcome.NOT_CHECKED, rows_at_risk=0, detail=detail)


def share_verdict(rule: CheckRule, failed: int, rows: int, what: str) -> Verdict:
    """Return the verdict on `failed` of `rows`, counted in rows or percent as the rule's unit says.

    >>> from headrace.schemas.check_rules import CheckRule, Unit, Bounds
    >>> rule = CheckRule("r", "null_rate", ("x",), bounds=Bounds(upper=2.0), unit=Unit.PERCENT)
    >>> share_verdict(rule, 3, 100, "missing").outcome.value, share_verdict(rule, 0, 0, "missing").outcome.value
    ('fail', 'not_checked')
    """
    if rows == 0:
        return not_checked("no rows")
    share = 100.0 * failed / rows
    observed = share if rule.unit is Unit.PERCENT else float(failed)
    detail = f"{failed:,} of {rows:,} {what} ({share:.3g} %)"
    return against_bounds(rule, observed, rows=rows, at_risk=failed, detail=detail)


def finite(value: float | None) -> bool:
    """Return True for a number that can be compared."""
    return value is not None and math.isfinite(value)
