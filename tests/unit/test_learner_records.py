"""What learners publish is what the messages' schemas say, with the rate of the sample and the dummy beside it."""

import json

from headrace.schemas.codec import encode
from headrace.schemas.learner_spec import Task
from headrace.schemas.system import read_system, system_schema_text
from headrace.stream_processors.steps.learner_records import PREDICTION, metric_values, predictions_frame
from headrace.testing.learner_rows import learned, spec_of, stream


def test_predictions_travel_in_columns_as_their_schema_says() -> None:
    schema = json.loads(system_schema_text("prediction"))
    assert [(one["name"], one["type"]) for one in schema["fields"]] == [
        (field["name"], field["type"]) for field in json.loads(PREDICTION.text())["fields"]
    ]
    rows = stream(3, lambda _n, x: x["a"])
    spec = spec_of(Task.REGRESSION, "linear_regression", explain=2)
    _, parts, _ = learned(spec, rows)
    frame = predictions_frame(spec, parts, ["f"] * 3, [0, 1, 2], [1.0, 0.5, 0.25])
    found = [read_system("prediction", message) for message in encode(frame, PREDICTION, 7)]
    assert [(one["learner"], one["_file"], one["_row"], one["chance"]) for one in found] == [
        ("tried", "f", 0, 1.0),
        ("tried", "f", 1, 0.5),
        ("tried", "f", 2, 0.25),
    ]
    assert [field for field, _ in json.loads(found[2]["reasons"])]


def test_standings_have_the_rate_of_the_sample_and_the_best_dummy_beside_every_model() -> None:
    spec = spec_of(Task.REGRESSION, "linear_regression")
    learner, _, _ = learned(spec, stream(4_096, lambda _n, x: 2 * x["a"]))
    learner.state.sampler.seen, learner.state.sampler.taken = 8_192, 4_096
    found = {one["model"]: one for one in metric_values(spec, learner.state, 4_096, learner.standings(), 5, None)}
    assert {one["sampling"] for one in found.values()} == {0.5}
    assert {one["best_dummy"] for one in found.values()} == {"mean"}
    assert found["linear_regression"]["beats_dummy"] is True
    assert found["mean"]["beats_dummy"] is None
    assert found["linear_regression"]["dummy_loss"] == found["mean"]["recent_loss"]
