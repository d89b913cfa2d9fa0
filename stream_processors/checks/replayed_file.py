"""Files whose content came in before."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
from pydantic import Field

from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import (
    WINDOW,
    Check,
    Parameters,
    Verdict,
    View,
    against_bounds,
    given,
    not_checked,
)
from headrace.stream_processors.checks.common import demand
from headrace.stream_processors.checks.timing import names_problem
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.hashing import Hashes, combined, hash_values
from headrace.stream_processors.sketches.tally import Tally

_HALF: Final = 0xFFFFFFFF


class ReplayedFile(Check):
    """How many files have the records of another file, in whatever order, or the very bytes (fact `skipped_files`).

    The content of a file in a window is known by its number of records and two sums over their hashes: the digest
    `rows-sum-sum` that the fact `known_content` has of earlier windows.
    """

    name = "replayed_file"
    dimension = Dimension.UNIQUENESS
    unit = Unit.VALUE
    summary = "files with the records of another file"

    class Model(Parameters):
        """Its parameters."""

        least_rows: int = Field(
            default=10, ge=1, description="Records that a file must have in the window to be compared."
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that a field is unknown."""
        return names_problem(rule.fields, kinds)

    def cells(self, rule: CheckRule, batch: pl.DataFrame) -> Mapping[int, Mapping[str, Cell]]:
        """Return the sums of each window and file."""
        names = sorted(rule.fields or (name for name in batch.columns if not name.startswith("_")))
        hashes = combined([_hashes(batch[name]) for name in names])
        halves = {
            "low": (hashes & np.uint64(_HALF)).astype(np.int64),
            "high": (hashes >> np.uint64(32)).astype(np.int64),
        }
        rows = batch.select(WINDOW, pl.col("_file").alias("file")).with_columns(
            **{k: pl.Series(v) for k, v in halves.items()}
        )
        found = rows.drop_nulls().group_by(WINDOW, "file").agg(pl.len().alias("rows"), pl.col("low", "high").sum())
        cells: dict[int, dict[str, int]] = {}
        for start, file, count, low, high in found.iter_rows():
            sums = {f"{file} rows": count, f"{file} low": low, f"{file} high": high}
            cells.setdefault(start, {}).update(sums)
        return {start: {"files": Tally(sums)} for start, sums in cells.items()}

    def digests(self, cells: Mapping[str, Cell]) -> Mapping[str, str]:
        """Return the digest of each file of a window, for the fact `known_content` of later ones."""
        sums = cells.get("files")
        found = rows_by_content(sums) if isinstance(sums, Tally) else {}
        return {file: digest for file, (digest, _) in found.items()}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        return f"{demand(rule)} files may repeat the content of another file"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the number of repeated files."""
        sums, skipped = view.cells.get("files"), view.facts.get(facts.SKIPPED_FILES, {})
        rows = rows_by_content(sums) if isinstance(sums, Tally) else {}
        least = given(self.Model, rule).least_rows
        large = {file: found for file, found in sorted(rows.items()) if found[1] >= least}
        if not large and not skipped:
            return not_checked(f"no file has {least} records here" if view.rows else "no rows", view.rows)
        first: dict[str, str] = dict(view.facts.get(facts.KNOWN_CONTENT, {}))
        repeated = {
            file: first[digest] for file, (digest, _) in large.items() if first.setdefault(digest, file) != file
        }
        listed = [f"{file} repeats {other}" for file, other in {**repeated, **skipped}.items()]
        detail = f"{len(listed)} files repeat another" + (f": {'; '.join(listed[:5])}" if listed else "")
        at_risk = sum(large[file][1] for file in repeated)
        return against_bounds(rule, float(len(listed)), rows=view.rows, at_risk=at_risk, detail=detail)


def rows_by_content(sums: Tally) -> dict[str, tuple[str, int]]:
    """Return the digest and the number of records of each file."""
    files = [name.removesuffix(" rows") for name in sums.counts if name.endswith(" rows")]
    found = {file: [sums.counts.get(f"{file} {part}", 0) for part in ("rows", "low", "high")] for file in files}
    return {file: ("-".join(f"{number:x}" for number in numbers), numbers[0]) for file, numbers in found.items()}


def _hashes(values: pl.Series) -> Hashes:
    known = values.is_not_null().to_numpy()
    found = np.zeros(len(values), np.uint64)
    found[known] = hash_values(values.drop_nulls())
    return found
