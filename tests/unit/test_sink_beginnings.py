"""Where the sink begins: every combination of intent, table, recorded offset and what Kafka still holds."""

from dataclasses import replace

import pytest

from headrace.errors import PositionLost
from headrace.sinks.base import Target
from headrace.sinks.beginnings import Beginning, Known, find_beginning
from headrace.sinks.intents import Intent
from headrace.transport.partition_reader import Place

PLACE = Place("orders.valid", 0)
INTENT = Intent("orders.valid", 0, first=100, last=199, schema_id=7, rows=90, token="t", slot=0)
LEDGER_TARGET = Target("file_entries", "file_entry", overwriting=True)


def known(**changes: object) -> Known:
    nothing = Known(
        place=PLACE,
        target=Target("orders"),
        low=0,
        high=0,
        recorded=None,
        intent=None,
        table_exists=False,
        stored=lambda _first, _last: 0,
    )
    return replace(nothing, **changes)  # type: ignore[arg-type]


def intended(**changes: object) -> Known:
    given: dict[str, object] = {"intent": INTENT, "table_exists": True, "high": 300}
    return known(**given | changes)


def test_new_partition_begins_at_0() -> None:
    assert find_beginning(known(high=50)) == Beginning(0)


def test_partition_without_intent_is_refused_when_its_log_lost_its_start() -> None:
    with pytest.raises(PositionLost, match="holds it from 10 only"):
        find_beginning(known(low=10, high=50))


def test_partition_without_intent_is_refused_when_the_table_holds_rows_of_it() -> None:
    with pytest.raises(PositionLost, match=r"no entry in sink\.blocks"):
        find_beginning(known(high=50, table_exists=True, stored=lambda _first, _last: 1))


def test_partition_read_to_its_end_while_empty_goes_on_there_after_retention() -> None:
    assert find_beginning(known(low=10, high=10, recorded=10)) == Beginning(10)


def test_intended_range_is_repeated_when_it_is_not_in_the_table() -> None:
    assert find_beginning(intended()) == Beginning(100, INTENT)


def test_intended_range_is_not_repeated_when_it_is_in_the_table() -> None:
    assert find_beginning(intended(stored=lambda _first, _last: 90)) == Beginning(200)


def test_intended_range_is_known_to_be_stored_when_a_later_offset_was_recorded() -> None:
    assert find_beginning(intended(recorded=250)) == Beginning(250)


def test_older_recorded_offset_of_a_former_owner_changes_nothing() -> None:
    assert find_beginning(intended(recorded=50)) == Beginning(100, INTENT)


def test_stored_range_may_be_deleted_by_retention() -> None:
    assert find_beginning(intended(low=200, stored=lambda _first, _last: 90)) == Beginning(200)


def test_gap_after_the_stored_range_is_refused() -> None:
    with pytest.raises(PositionLost, match="holds it from 210 only"):
        find_beginning(intended(low=210, stored=lambda _first, _last: 90))


def test_range_that_retention_deleted_before_it_was_stored_is_refused() -> None:
    with pytest.raises(PositionLost, match="should be read from offset 100"):
        find_beginning(intended(low=150))


def test_half_a_block_in_the_table_is_refused() -> None:
    with pytest.raises(PositionLost, match="has 40 of the 90 rows"):
        find_beginning(intended(stored=lambda _first, _last: 40))


def test_dropped_table_is_refused() -> None:
    with pytest.raises(PositionLost, match="is gone"):
        find_beginning(intended(table_exists=False))


def test_topic_that_was_made_anew_is_refused() -> None:
    with pytest.raises(PositionLost, match="another topic"):
        find_beginning(intended(high=150))


def test_overwriting_table_reads_its_last_range_again_from_what_compaction_left() -> None:
    assert find_beginning(intended(target=LEDGER_TARGET)) == Beginning(100)
    assert find_beginning(intended(target=LEDGER_TARGET, low=150)) == Beginning(150)
    assert find_beginning(known(target=LEDGER_TARGET, low=10, high=20)) == Beginning(10)
