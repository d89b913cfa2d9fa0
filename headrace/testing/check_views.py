"""What a check sees, worked out in the plainest way: for tests of checks, without streams or windows kept anywhere."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from headrace.schemas.check_rules import CheckRule
from headrace.stream_processors.checks.base import WINDOW, Check, FieldFigure, View
from headrace.stream_processors.sketches.base import Cell, merge_states
from headrace.stream_processors.sketches.distinct import Distinct
from headrace.stream_processors.sketches.moments import Moments
from headrace.stream_processors.sketches.quantiles import Quantiles
from headrace.stream_processors.sketches.top import Top

PROFILED: dict[FieldFigure, Any] = {
    FieldFigure.MOMENTS: Moments,
    FieldFigure.QUANTILES: Quantiles,
    FieldFigure.DISTINCT: Distinct,
    FieldFigure.TOP: Top,
}


def views_of(check: Check, rule: CheckRule, batch: pl.DataFrame, *, size: int = 3600, **known: Any) -> dict[int, View]:
    """Return the view of each window of a batch; `known` are further parts of the views, e.g. facts."""
    rows = batch.filter(pl.col(WINDOW).is_not_null())
    figures = [value.alias(name) for name, value in check.figures(rule).items()]
    found = rows.group_by(WINDOW).agg(pl.len().alias(" rows"), *figures)
    cells, fields = check.cells(rule, batch), _profile(check, rule, batch)
    return {
        row[WINDOW]: View(
            start=row[WINDOW],
            end=row[WINDOW] + size,
            rows=row[" rows"],
            counts={name: int(row[name] or 0) for name in check.figures(rule)},
            cells=cells.get(row[WINDOW], {}),
            fields={name: own[row[WINDOW]] for name, own in fields.items()},
            **known,
        )
        for row in found.iter_rows(named=True)
    }


def _profile(check: Check, rule: CheckRule, batch: pl.DataFrame) -> dict[str, dict[int, dict[str, Cell]]]:
    """Return what the check reads of the profile, by field and window."""
    found: dict[str, dict[int, dict[str, Cell]]] = {}
    for name, figures in check.reads(rule).items():
        own = found.setdefault(name, defaultdict(dict))
        for figure in figures & PROFILED.keys():
            for start, cell in PROFILED[figure].by_window(batch, name).items():
                own[start][figure] = cell
    return found


def merged_views(parts: Sequence[dict[int, View]]) -> dict[int, View]:
    """Return the views of several batches together."""
    whole: dict[int, View] = {}
    for part in parts:
        for start, view in part.items():
            whole[start] = _merged(whole[start], view) if start in whole else view
    return whole


def _merged(left: View, right: View) -> View:
    counts = {name: left.counts.get(name, 0) + right.counts.get(name, 0) for name in {**left.counts, **right.counts}}
    cells = merge_states(left.cells, right.cells)
    fields = {name: merge_states(found, right.fields.get(name, {})) for name, found in left.fields.items()}
    return replace(left, rows=left.rows + right.rows, counts=counts, cells=cells, fields=fields)
