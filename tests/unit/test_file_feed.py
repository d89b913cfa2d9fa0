"""What is told of files: late ones once they are due, totals that a rule asks for, refusals in few words."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.core.vocabulary import FileState
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.codec import encode
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_masking import Masking
from headrace.schemas.contract_store import shipped_contract
from headrace.schemas.ledger import FileEntry
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.settings import Settings
from headrace.stream_processors.background import HOLD_SECS
from headrace.stream_processors.file_feed import Due, FileFeed, _Found, _told, refusals, totals_asked, totals_of
from headrace.stream_processors.refused_rows import frames
from headrace.stream_processors.window_files import MOST_TOLD, Told

PUBLISHED = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = RecordSchema("orders", (RecordField("item", FieldType.STRING),))


def flights(*checks: CheckRule) -> Contract:
    text = shipped_contract("flights")
    assert text is not None
    return replace(parse_contract(text, "flights.odcs.yaml"), checks=checks)


def entry(number: int) -> FileEntry:
    return FileEntry(
        dataset="flights",
        sha256=f"{number:064x}",
        file=f"{number:016x}",
        name=f"{number}.csv",
        path="",
        bytes=1,
        modified_at=PUBLISHED,
        state=FileState.PUBLISHED,
        rows_read=3,
        rows_published=3,
        updated_at=PUBLISHED,
    )


def test_late_file_of_a_busy_dataset_is_told_though_many_later_files_were() -> None:
    late_secs, start = 120.0, PUBLISHED.timestamp()
    feed = FileFeed(Settings(home=Path("/nowhere")), late_secs=late_secs)
    told = Told(None)
    for number in range(2 * MOST_TOLD):
        told.add(int((start + 1 + number / 2) * 1e6), f"later-{number}")
    lost = feed._telling("flights/lost", entry(1), start + late_secs + 1)
    feed.close()
    assert lost is not None
    assert not told.has(lost.moment, lost.id)
    told.add(lost.moment, lost.id)
    assert told.has(lost.moment, lost.id)


@pytest.mark.parametrize(
    ("text", "totals"),
    [
        ('{"rows": 3, "distance": 12.5, "other": 1}', {"rows": 3.0, "distance": 12.5}),
        ('{"rows": 1' + "0" * 320 + "}", {}),
        ('{"rows": 1' + "0" * 5_000 + "}", {}),
        ('{"rows": 1e999, "distance": NaN}', {}),
        ('{"rows": true, "distance": "7"}', {}),
        ("[" * 60_000, {}),
    ],
    ids=["asked for", "too great", "too long", "not finite", "no numbers", "too deep"],
)
def test_totals_are_those_asked_for_that_are_finite_numbers(
    tmp_path: Path, text: str, totals: dict[str, float]
) -> None:
    (tmp_path / "a.csv.json").write_text(text)
    asked = totals_asked(
        [CheckRule("sum", "control_total", ("distance",)), CheckRule("nulls", "null_rate", ("other",))]
    )
    assert totals_of(tmp_path, "a.csv", asked) == totals


def test_refusals_are_short_and_say_nothing_of_a_personal_field() -> None:
    rules = (CheckRule("plain", "duplicate_key", ("flight",)), CheckRule("hidden", "duplicate_key", ("tailnum",)))
    contract = flights(*rules)
    fields = tuple(replace(one, masking=Masking.HIDE) if one.name == "tailnum" else one for one in contract.fields)
    told = refusals(replace(contract, fields=fields), dict.fromkeys(["plain", "hidden"], "cannot parse N14228 " * 99))
    assert len(told["plain"]) == 200
    assert told["hidden"] == "the warehouse refuses its figures"


def test_refused_rows_come_in_frames_of_bounded_bytes_as_they_are_read() -> None:
    values = pl.DataFrame({"item": ["x" * 90] * 50, "_file": ["f" * 16] * 50, "_row": range(50)})
    read = []

    def rows() -> Iterator[dict[str, Any]]:
        for number, message in enumerate(encode(values, SCHEMA, 1)):
            read.append(number)
            yield {"schema_id": 1, "at": number, "data": base64.b64encode(message).decode()}

    found = frames(rows(), lambda _: SCHEMA, most_held=1_000)
    first = next(found)
    assert len(read) == first.height < 15
    whole = pl.concat([first, *found])
    assert whole["_row"].to_list() == list(range(50))
    assert whole["_ingested_at"].dt.epoch("ms").to_list() == list(range(50))


def test_facts_of_files_wait_until_nothing_is_on_its_way_but_not_for_long() -> None:
    feed, at = FileFeed(Settings(home=Path("/nowhere"))), PUBLISHED.timestamp()
    proved = replace(entry(1), state=FileState.BALANCED, balanced=True)
    feed._entries = {"flights": {"flights/1": proved}}
    due = feed._due("flights", Told(None), at)
    assert not feed._held(due, at + 1)
    feed._entries["orders"] = {"orders/2": replace(entry(2), dataset="orders", state=FileState.PUBLISHING)}
    assert feed._held(due, at + 1)
    assert not feed._held(due, at + HOLD_SECS)
    feed.close()


def test_a_copy_that_is_told_together_with_its_first_file_has_no_rows_of_that() -> None:
    first = replace(entry(1), state=FileState.BALANCED, balanced=True)
    copy = replace(
        first, state=FileState.SKIPPED, balanced=False, name="copy.csv", first_name="1.csv", rows_published=0
    )
    found = _Found(stored=3, refused=0, figures={}, missing={})
    assert _told(Due("a", 0, first), found, {}).stages == {"consumed": 3, "quarantined": 0, "inserted": 3}
    told = _told(Due("b", 0, copy), found, {})
    assert (told.first_name, told.rows, told.stages) == ("1.csv", 0, {})
