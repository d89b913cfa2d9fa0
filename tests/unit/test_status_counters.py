"""Counters in a stage's status file: the same values as at /metrics, without collecting them."""

from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from headrace.observability.counter_export import Counters
from headrace.observability.counters import current_values
from headrace.observability.events import RowsJudged, RowsRejected, emit

TOLD = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.integers(0, 9)), max_size=12)


def scraped(counters: Counters) -> dict[str, int]:
    """Return what a scraper is told of counters, labels added up and zeros left out."""
    found: dict[str, int] = {}
    for family in text_string_to_metric_families(counters.text("")[0].decode()):
        for sample in family.samples if family.type == "counter" else ():
            if sample.value and not sample.name.endswith("_seconds_total"):
                found[sample.name] = found.get(sample.name, 0) + int(sample.value)
    return found


@given(TOLD)
def test_they_are_what_a_scraper_is_told_with_labels_added_up(told: list[tuple[str, int, int]]) -> None:
    with closing(Counters("judge")) as counters:
        for dataset, rows, rejected in told:
            emit(RowsJudged(dataset=dataset, file="f", rows=rows, rejected=rejected))
            emit(RowsRejected(dataset=dataset, file="f", reason="null_in_required", count=rejected))
        assert current_values() == scraped(counters)


def test_they_begin_anew_with_each_keeper_and_are_none_without() -> None:
    with closing(Counters("judge")):
        emit(RowsJudged(dataset="a", file="f", rows=3, rejected=0))
    assert current_values() == {}
    with closing(Counters("judge")):
        assert current_values() == {}


def test_they_are_told_where_opentelemetrys_sdk_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with closing(Counters("judge")):
        emit(RowsJudged(dataset="a", file="f", rows=3, rejected=0))
        assert current_values()[RowsJudged.metric] == 3
