"""A learner whose model cannot be kept rests, and says so; the others on the same process go on."""

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headrace.core.child import wait_until
from headrace.observability.status import StageStatus
from headrace.observability.tracing import FileTracer
from headrace.schemas.learner_spec import LearnerSpec
from headrace.stream_processors import learner_process
from headrace.stream_processors.learner_models import make_learner
from headrace.stream_processors.steps.learn import Learner, State
from headrace.testing.learner import LIMIT_SECS, LearnerHome
from headrace.testing.stack import EmbeddedStack

pytestmark = pytest.mark.stack
ROWS = 500
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: rested
version: 1.0.0
status: active
schema:
  - name: rested
    properties:
      - name: a
        logicalType: number
        customProperties: [{property: headrace.knownAtPrediction, value: true}]
      - {name: y, logicalType: number}
"""
LEARNER = """
name: {name}
version: "1.0.0"
dataset: rested
task: regression
target: y
models: [{{model: linear_regression}}]
budget: {{rowsPerSecond: 0}}
"""


class Foreign:
    """What a careless plug-in may hold: of a module that no state may have anything of."""


def made(spec: LearnerSpec, state: State | None = None) -> Learner:
    learner = make_learner(spec, state)
    if spec.name == "rested_badly":
        learner.state.contenders["linear_regression"].estimator.extra = Foreign()  # type: ignore[attr-defined]
    return learner


def test_learner_whose_state_cannot_be_kept_rests_and_the_others_go_on(
    stack: EmbeddedStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learner_process, "make_learner", made)
    with LearnerHome(stack.settings, tmp_path / "home") as home:
        contract = home.dataset(CONTRACT)
        for name in ("rested_badly", "rested_well"):
            home.learner(name, LEARNER.format(name=name))
        numbers = [float(number % 10) for number in range(ROWS)]
        home.publish(contract, "00000000000000bb", {"a": numbers, "y": [2 * one for one in numbers]})
        stop, failed = threading.Event(), list[Exception]()
        status = StageStatus(home.settings.paths(), "learner")
        tracer = FileTracer(lambda _span: None)
        with closing(learner_process.LearnerProcess(home.settings, tracer, status, stop)) as process:

            def run() -> None:
                try:
                    process.run()
                except Exception as error:  # shown by the test
                    failed.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            try:
                assert home.wait_for_rows("rested_well", ROWS).rows == ROWS
                assert wait_until(lambda: bool(refusals(home)), LIMIT_SECS)
            finally:
                stop.set()
                thread.join(LIMIT_SECS)
        assert failed == []
        (told,) = refusals(home)
        assert "state cannot be kept" in told["detail"]
        assert "Foreign" in told["detail"]
        assert home.snapshots("rested_badly") == []
        assert home.predictions("rested_badly") == []


def refusals(home: LearnerHome) -> list[dict[str, Any]]:
    return [event for event in home.events("rested_badly") if event["kind"] == "refused"]
