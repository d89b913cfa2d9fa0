"""What a learner predicts and remembers does not depend on where batches are cut, nor on where it was killed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schemas.learner_spec import Task
from headrace.stream_processors.learner_models import make_learner
from headrace.stream_processors.steps.learn import Rows, State
from headrace.stream_processors.steps.model_state import pack, unpack
from headrace.testing.learner_rows import learned, spec_of, stream

ROWS = 1_500
SHIFTING = stream(ROWS, lambda n, x: (2 * x["a"] + x["b"]) * (1 if n < 900 else -1))
HOLED = Rows(SHIFTING.xs, [y if n % 3 else None for n, y in enumerate(SHIFTING.ys)], SHIFTING.weights)
YES = Rows(SHIFTING.xs, [x["a"] > 0 for x in SHIFTING.xs], SHIFTING.weights)
CASES = {
    "regression": (spec_of(Task.REGRESSION, "linear_regression"), SHIFTING),
    "explained": (spec_of(Task.REGRESSION, "linear_regression", explain=2), SHIFTING),
    "holes": (spec_of(Task.REGRESSION, "linear_regression"), HOLED),
    "classes": (spec_of(Task.CLASSIFICATION, "logistic_regression"), YES),
    "anomalies": (spec_of(Task.ANOMALY, "robust_z"), SHIFTING),
}
CUTS = st.lists(st.integers(0, ROWS), max_size=8).map(sorted)


@given(st.sampled_from(sorted(CASES)), CUTS)
@settings(max_examples=30)
def test_predictions_turns_and_state_are_the_same_wherever_batches_end(case: str, cuts: list[int]) -> None:
    spec, rows = CASES[case]
    whole, parts, turns = learned(spec, rows)
    cut, cut_parts, cut_turns = learned(spec, rows, cuts)
    for what in ("predictions", "learned", "reasons", "flags"):
        mine, theirs = ([one for part in found for one in getattr(part, what)] for found in (parts, cut_parts))
        assert mine == theirs
    assert turns == cut_turns
    assert pack(whole.state) == pack(cut.state)
    assert whole.tellings == cut.tellings


@given(st.sampled_from(sorted(CASES)), st.integers(0, ROWS))
@settings(max_examples=30)
def test_a_state_that_was_kept_anywhere_goes_on_to_the_same_state(case: str, cut: int) -> None:
    spec, rows = CASES[case]
    whole, _, _ = learned(spec, rows)
    killed, _, _ = learned(spec, rows[:cut])
    state = unpack(pack(killed.state))
    assert isinstance(state, State)
    later = make_learner(spec, state)
    later.take(rows[cut:])
    assert pack(later.state) == pack(whole.state)
