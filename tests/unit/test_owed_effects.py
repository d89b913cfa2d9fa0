"""Alerts of drifts wait for their learners, half an hour at most; and what a drift cost decides their order."""

from typing import Any

import pytest

from headrace.runtime.report.data import by_urgency
from headrace.schemas.contract import parse_contract
from headrace.stream_processors.owed_effects import OWED_SECS, OwedEffects

CONTRACT = parse_contract("""
apiVersion: v3.1.0
kind: DataContract
id: kilns
version: 1.0.0
status: active
schema:
  - name: kilns
    quality: [{type: custom, engine: headrace, id: heat_drift, implementation: {check: psi_drift, fields: [heat]}}]
    properties:
      - {name: fired_at, logicalType: timestamp}
      - {name: heat, logicalType: number}
    customProperties: [{property: headrace.timeField, value: fired_at}]
""")
RAISED = 1_000_000.0


class Learners:
    """Says whether learners are behind, in place of the investigator that asks the warehouse."""

    behind = True

    def waits_for_learners(self, *_asked: object) -> bool:
        return self.behind


@pytest.fixture
def learners() -> Learners:
    return Learners()


def alert(name: str = "a" * 32, **changed: Any) -> dict[str, Any]:
    return {
        "alert_id": name, "class": "quality", "rule": "heat_drift", "state": "open", "clock": "event",
        "window_start": int(RAISED - 7_200) * 1_000_000, "window_end": int(RAISED - 3_600) * 1_000_000,
        "raised_at": int(RAISED) * 1_000_000, "model_effect": 0.0,
    } | changed  # fmt: skip


def owed(learners: Learners, after_secs: float = 60.0) -> OwedEffects:
    return OwedEffects(learners, clock=lambda: RAISED + after_secs)  # type: ignore[arg-type]


def test_alert_is_ready_once_when_its_learners_are_through(learners: Learners) -> None:
    waiting = owed(learners)
    waiting.note(CONTRACT, alert(), 3)
    assert waiting.ready() == []
    learners.behind = False
    assert [(one.alert["alert_id"], one.partition) for one in waiting.ready()] == [("a" * 32, 3)]
    assert waiting.ready() == []


def test_process_that_starts_again_owes_what_it_reads_of_the_last_half_hour(learners: Learners) -> None:
    before = owed(learners)
    before.note(CONTRACT, alert(), 0)
    again = owed(learners, OWED_SECS - 1)
    again.note(CONTRACT, alert(), 0)
    learners.behind = False
    assert [one.alert["alert_id"] for one in again.ready()] == ["a" * 32]
    late = owed(learners, OWED_SECS + 1)
    learners.behind = True
    late.note(CONTRACT, alert(), 0)
    learners.behind = False
    assert late.ready() == []


@pytest.mark.parametrize(
    "changed", [{"model_effect": 0.4}, {"state": "resolved"}, {"window_start": None}, {"class": "platform"}]
)
def test_alert_that_has_its_effect_or_can_have_none_is_not_waited_for(
    learners: Learners, changed: dict[str, Any]
) -> None:
    waiting = owed(learners)
    waiting.note(CONTRACT, alert(**changed), 0)
    learners.behind = False
    assert waiting.ready() == []


def test_alert_that_waited_too_long_is_forgotten_unsaid(learners: Learners) -> None:
    now = [RAISED]
    waiting = OwedEffects(learners, clock=lambda: now[0])  # type: ignore[arg-type]
    waiting.note(CONTRACT, alert(), 0)
    now[0] += OWED_SECS + 1
    assert waiting.ready() == []
    now[0] = RAISED
    learners.behind = False
    assert waiting.ready() == []


def test_at_most_a_thousand_wait_and_the_oldest_go_first(learners: Learners) -> None:
    waiting = owed(learners)
    for number in range(1_001):
        waiting.note(CONTRACT, alert(f"{number:032x}"), 0)
    learners.behind = False
    assert [one.alert["alert_id"] for one in waiting.ready()][:1] == [f"{1:032x}"]


def test_drifts_come_in_the_order_of_what_they_cost_the_models() -> None:
    found = by_urgency(
        {"alert_id": name, "silenced": False, "severity": severity, "model_effect": effect, "rows_at_risk": rows}
        for name, severity, effect, rows in [
            ("many rows", "warning", 0.0, 9_000),
            ("dear", "warning", 2.5, 10),
            ("dearer", "warning", 3.5, 5),
            ("critical", "critical", 0.0, 1),
        ]
    )
    assert [one["alert_id"] for one in found] == ["critical", "dearer", "dear", "many rows"]
