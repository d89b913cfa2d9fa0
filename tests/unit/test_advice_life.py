"""The life of an advice: a person's decision stays, and dismissed advice keeps still."""

from typing import Any

import pytest

from headrace.stream_processors.steps.advice import Advice, advice_record
from headrace.stream_processors.steps.advice_life import again, fold, shown


def record(rows: int = 100, **changes: Any) -> dict[str, Any]:
    advice = Advice("sentinels", "d", "x", "", ("seen",), "cause", "action", rows, 1.0)
    return advice_record(advice, owner="o", contract_version="1", alert_ids=[], raised_at=5) | changes


@pytest.mark.parametrize("state", ["accepted", "done", "moved", "not_moved"])
def test_advice_given_again_keeps_the_decision_and_tells_new_figures(state: str) -> None:
    known = record(state=state, decided_by="ana", decided_at=9, why="agreed")
    told = again(known, record(rows=150, raised_at=77))
    assert told is not None
    kept = (told["state"], told["decided_by"], told["decided_at"], told["why"], told["raised_at"])
    assert kept == (state, "ana", 9, "agreed", 5)
    assert told["rows_at_risk"] == 150


def test_advice_that_says_nothing_new_is_not_told_again() -> None:
    assert again(None, record()) == record()
    assert again(record(), record(raised_at=77)) is None


def test_dismissed_advice_comes_back_only_when_its_rows_have_doubled() -> None:
    known = record(state="dismissed", decided_by="ana", decided_at=9)
    assert again(known, record(rows=199)) is None
    assert not shown(known, record(rows=199))
    back = again(known, record(rows=200))
    assert back is not None
    assert (back["state"], back["decided_by"], shown(known, record(rows=200))) == ("proposed", "ana", True)
    assert fold([known, back])[known["advice_id"]]["state"] == "proposed"


def test_message_without_the_decision_does_not_undo_it() -> None:
    decision = record(state="done", decided_by="ana", decided_at=9)
    [found] = fold([record(), decision, record(rows=130)]).values()
    assert (found["state"], found["decided_by"], found["rows_at_risk"]) == ("done", "ana", 130)
    [later] = fold([decision, record(state="dismissed", decided_by="raj", decided_at=12)]).values()
    assert later["state"] == "dismissed"
