"""What fields become before a model sees them: by kind, by encoding, bounded, and without the target of the record."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from river import compose, linear_model, preprocessing

from headrace.errors import WrongUse
from headrace.schemas.expression import Kind
from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import Inputs
from headrace.stream_processors.models.catalog import make_model, options_of
from headrace.stream_processors.models.encoders import Cyclic, Hashed, OneHot, Share
from headrace.stream_processors.models.features import FieldEncoder, FieldOptions, encoder_for, field_of
from headrace.testing.model_cases import FIELDS, cases

AT = datetime(2013, 12, 31, 23, 59)  # noqa: DTZ001
NUMBERS = {case.name: case for case in cases(300)}["numbers"]


def encoder(task: Task = Task.REGRESSION, fields: dict[str, Kind] | None = None, **options: Any) -> FieldEncoder:
    return encoder_for(Inputs(task, fields or dict(FIELDS)), FieldOptions(**options), 1, texts="one_hot")


def learned(made: FieldEncoder, rows: Iterable[tuple[dict[str, Any], Any]]) -> FieldEncoder:
    for x, y in rows:
        made.learn_one(x)
        made.transform_one(x)
        made.learn_target(x, y)
    return made


def test_fields_become_columns_by_their_kind() -> None:
    x = {"distance": 900.0, "seats": 180, "carrier": "UA", "heavy": True, "at": AT, "day": AT}
    found = learned(encoder(), [(x, 1.0)]).transform_one(x)
    assert {field_of(column) for column in found} == set(FIELDS)
    assert found["heavy"] == found["carrier=UA"] == 1.0
    assert {"at=hour_sin", "at=weekday_cos", "at=month_sin"} <= set(found)
    assert "day=hour_sin" not in found, "a date has no hour"


def test_a_missing_value_has_no_column_and_a_record_without_values_none_at_all() -> None:
    made = learned(encoder(encoding={"seats": "target"}), NUMBERS.rows)
    assert made.transform_one({}) == {}
    assert set(made.transform_one({"seats": 180})) == {"seats=target"}


def test_numbers_are_scaled_as_rivers_pipeline_scales_them() -> None:
    fields = {"distance": Kind.NUMBER, "seats": Kind.WHOLE}
    model = make_model("linear_regression", {}, Inputs(Task.REGRESSION, fields), 1)
    river = compose.Select("distance", "seats") | preprocessing.StandardScaler() | linear_model.LinearRegression()
    for x, y in NUMBERS.rows:
        assert model.predict(x) == river.predict_one(x)
        model.learn(x, y)
        river.learn_one(x, y)


def test_numbers_stay_as_they_are_when_scaling_is_off() -> None:
    made = learned(encoder(scale=False), NUMBERS.rows)
    assert made.transform_one({"distance": 900.0}) == {"distance": 900.0}


def test_one_hot_keeps_no_more_values_than_it_may() -> None:
    made = OneHot("tail", 3, Hashed("tail", 4, 1))
    for number in range(50):
        made.learn_one({"tail": f"N{number}"})
    assert list(made.columns) == ["N0", "N1", "N2"]
    columns = {next(iter(made.transform_one({"tail": f"N{number}"}))) for number in range(50)}
    assert columns == {"tail=N0", "tail=N1", "tail=N2"} | {f"tail=={bucket}" for bucket in range(4)}


def test_a_whole_number_may_stand_for_a_category() -> None:
    made = learned(encoder(encoding={"seats": "one_hot", "carrier": "hash"}, buckets=8), NUMBERS.rows[:3])
    x = NUMBERS.rows[0][0]
    columns = set(made.transform_one(x))
    assert f"seats={x['seats']}" in columns
    assert "seats" not in columns
    assert [column for column in columns if column.startswith("carrier==")] != []


def test_target_encoding_does_not_know_the_target_of_the_record_that_it_encodes() -> None:
    told = []
    made = encoder(fields={"carrier": Kind.TEXT}, encoding={"carrier": "target"}, scale=False, smoothing=1e-9)
    for y in (10.0, 20.0, 60.0):
        x = {"carrier": "UA"}
        made.learn_one(x)
        told.append(made.transform_one(x)["carrier=target"])
        made.learn_target(x, y)
    assert told == pytest.approx([0.0, 10.0, 15.0])


def test_target_encoding_of_classes_has_a_column_for_each_class_but_the_first() -> None:
    made = encoder(Task.CLASSIFICATION, {"carrier": Kind.TEXT}, encoding={"carrier": "target"}, scale=False)
    assert made.transform_one({"carrier": "UA"}) == {"carrier=target": 0.0}
    learned(made, [({"carrier": "UA"}, name) for name in ("early", "due", "late", "late")])
    found = made.transform_one({"carrier": "UA"})
    assert found == pytest.approx({"carrier=target": 0.25, "carrier=target:late": 0.5})


def test_target_encoding_is_bounded_in_values_and_classes() -> None:
    made = encoder(Task.CLASSIFICATION, {"carrier": Kind.TEXT}, encoding={"carrier": "target"}, most_values=5)
    learned(made, [({"carrier": f"C{n}"}, f"class {n}") for n in range(100)])
    (part,) = made.targets
    assert len(part.values) == 6, "five and one for all others"
    assert len(made.transform_one({"carrier": "C0"})) <= 8


def test_shares_of_later_values_count_together() -> None:
    made = Share("carrier", 2)
    for value in ("UA", "AA", "DL", "B6"):
        made.learn_one({"carrier": value})
    assert made.transform_one({"carrier": "UA"}) == {"carrier=share": 0.25}
    assert made.transform_one({"carrier": "new"}) == {"carrier=share": 0.5}


def test_the_last_minute_of_a_year_is_beside_the_first() -> None:
    made = Cyclic("at", ("hour", "month"))
    last, first = (made.transform_one({"at": moment}) for moment in (AT, AT + timedelta(minutes=1)))
    assert last == pytest.approx(first, abs=0.02)
    noon = made.transform_one({"at": AT - timedelta(hours=12)})
    assert abs(noon["at=hour_cos"] - first["at=hour_cos"]) > 1.9


@pytest.mark.parametrize(
    ("options", "task", "told"),
    [
        ({"encoding": {"tail": "hash"}}, Task.REGRESSION, 'the field "tail"'),
        ({"encoding": {"at": "hash"}}, Task.REGRESSION, 'field "at": it is of kind "timestamp"'),
        ({"encoding": {"carrier": "target"}}, Task.ANOMALY, "anomaly has no target"),
    ],
)
def test_an_encoding_that_does_not_fit_is_refused(options: dict[str, Any], task: Task, told: str) -> None:
    with pytest.raises(WrongUse, match=told):
        encoder(task, **options)


def test_a_field_that_no_model_learns_from_is_refused() -> None:
    with pytest.raises(WrongUse, match='field "photo" is of kind "bytes"'):
        encoder(fields={"photo": Kind.BYTES})


def test_an_option_that_a_model_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(WrongUse, match=r"speed \(3\)") as refused:
        options_of("linear_regression", {"speed": 3, "learning_rate": 0.1})
    assert "learning_rate" in refused.value.hint
    with pytest.raises(WrongUse, match=r"encoding\.carrier"):
        options_of("linear_regression", {"encoding": {"carrier": "guess"}})
