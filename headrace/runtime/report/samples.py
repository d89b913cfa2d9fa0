"""Rows to look at beside a finding, masked as the contract says before anything else sees them.

A column that is hidden is not even asked for. A token is keyed anew for each report: equal values have equal tokens in
one report, and nobody can compute one from a guess.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headrace.errors import WarehouseRefused
from headrace.runtime.quality_store import QualityStore
from headrace.schemas.contract import Contract
from headrace.schemas.contract_masking import Masking

MOST_COLUMNS: Final = 8
MOST_ROWS: Final = 5
_TOKEN_DIGITS, _TEXT, _LEAST_PARTIAL = 6, 40, 5
HIDDEN_VALUE: Final = "hidden"


@dataclass(frozen=True)
class SampleRows:
    """Rows as text; `marked` are the columns that the finding is about. A place is (file id, row in it)."""

    columns: Sequence[str]
    marked: frozenset[str]
    rows: Sequence[tuple[tuple[str, int], Sequence[str]]]
    masked: bool = False
    problem: str = ""


def sample_rows(
    store: QualityStore, contract: Contract | None, alert: Mapping[str, Any], key: bytes
) -> SampleRows | None:
    """Return the rows that an alert names, None where it names none, they are gone, or no contract says what to hide.

    Blocks for one query. `key` is random and forgotten with the report.
    """
    places = [(str(file), int(row)) for one in alert["samples"][:MOST_ROWS] for file, row in [_place(one)]]
    if contract is None or not places:
        return None
    about = [name.strip() for name in alert["field"].split(",") if name.strip()]
    masking = chosen(contract, about, [str(one["name"]) for one in alert["segments"]])
    asked = [name for name, how in masking.items() if how is not Masking.HIDE]
    try:
        found = store.rows_at(contract.dataset, places, asked)
    except WarehouseRefused as error:  # e.g. a column that the contract has and the table has not yet
        return SampleRows((), frozenset(), (), problem=f"the rows could not be read: {error}")
    if not found:
        return None
    rows = [
        (place, [masked_value(values.get(name), how, key) for name, how in masking.items()])
        for place, values in sorted(found.items())
    ]
    covered = any(how is not Masking.SHOW for how in masking.values())
    return SampleRows(tuple(masking), frozenset(about), rows, covered)


def _place(found: Any) -> tuple[Any, Any]:
    return (found["file"], found["row"]) if isinstance(found, Mapping) else tuple(found)


def chosen(contract: Contract, about: Sequence[str], segments: Sequence[str]) -> dict[str, Masking]:
    """Return the columns to show with their masking: of the finding, of when and where, then the contract's first."""
    known = {one.name: one.masking for one in contract.fields}
    named = [part.partition("=")[0].strip() for text in segments for part in text.split(",")]
    wanted = dict.fromkeys([*about, contract.window.time_field, *named, *known])
    return {name: known[name] for name in [name for name in wanted if name in known][:MOST_COLUMNS]}


def masked_value(value: Any, masking: Masking, key: bytes) -> str:
    """Return a value as text for a person; a missing one is told as missing, unless nothing is told.

    >>> masked_value("ann@example.org", Masking.PARTIAL, b"k"), masked_value(None, Masking.HASH, b"k")
    ('a…', 'missing')
    >>> masked_value("ann", Masking.HIDE, b"k"), masked_value(517, Masking.SHOW, b"k")
    ('hidden', '517')
    """
    if masking is Masking.HIDE:
        return HIDDEN_VALUE
    if value is None:
        return "missing"
    text = str(value).removesuffix(".000000")
    if masking is Masking.SHOW:
        return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"
    if masking is Masking.PARTIAL:
        return f"{text[0]}…" if len(text) >= _LEAST_PARTIAL else HIDDEN_VALUE
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=16).hexdigest()
    return f"#{digest[:_TOKEN_DIGITS]}"
