"""On the streams that river brings along, a learner's figures are those of river's `progressive_val_score`."""

import pytest

from headrace.testing.learner_streams import STREAMS, Case, Compared, Stream, compare

_SLOW = {"adaptive_forest": 400}
_CASES = [(stream, case) for stream in STREAMS for case in stream.cases]


@pytest.mark.parametrize(("stream", "case"), _CASES, ids=[f"{stream.name}-{case.kind}" for stream, case in _CASES])
def test_a_learner_earns_rivers_own_prequential_figures(stream: Stream, case: Case) -> None:
    # To twelve digits: both add the same numbers up, in another order.
    for one in compare(stream, case, rows=_SLOW.get(case.kind)):
        assert one.ours == pytest.approx(one.rivers, rel=1e-12), one


def test_classes_numbers_and_forecasts_are_all_compared() -> None:
    assert {stream.name for stream in STREAMS} == {"Phishing", "ImageSegments", "TrumpApproval", "AirlinePassengers"}


def test_figures_tell_another_model_apart() -> None:
    numbers = next(stream for stream in STREAMS if stream.name == "TrumpApproval")
    ours, other = numbers.cases[0], numbers.cases[1]
    mixed: list[Compared] = compare(numbers, Case(ours.kind, other.river, ours.options), rows=200)
    assert all(one.apart > 1e-6 for one in mixed)
