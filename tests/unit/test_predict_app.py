"""The service of predictions over real snapshots: what it answers, what it refuses, and what it goes on serving."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from headrace.embedded.predict.app import MOST_RECORDS, Fence, PredictApp
from headrace.embedded.predict.openapi import document
from headrace.embedded.predict.rack import Rack, Shelf
from headrace.embedded.predict.stocker import Stocker
from headrace.schemas.learner_store import learner_path, shipped_learners
from headrace.stream_processors.steps.prequential import likeliest
from headrace.testing.html import Page
from headrace.testing.learners import SnapshotTopic, home_with, law, shipped_spec, some_records, taught

ADDRESS = "http://127.0.0.1:8090"


class Service:
    """The app over a topic of the test's own; `look` is the look that the thread takes each second."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.learners = {name: taught(shipped_spec(name)) for name in names}
        self.topic = SnapshotTopic()
        self.settings = home_with(folder, *(one.spec for one in self.learners.values()))
        self.rack = Rack()
        self._stocker = Stocker(self.settings.paths(), law)
        self.client = TestClient(Fence(PredictApp(self.rack)), base_url=ADDRESS)

    def write(self, name: str, **changed: Any) -> str:
        return self.topic.write(self.learners[name], **changed).name

    def look(self) -> None:
        self.rack.shelf = self._stocker.stock(self.rack.shelf, self.topic.snapshots, 1.0)

    def predict(self, name: str, given: Any, status: int = 200) -> Any:
        reply = self.client.post(f"/predict/{name}", json=given)
        assert reply.status_code == status, reply.text
        return reply.json()


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """All learners that come with headrace, each with one snapshot. Read only."""
    service = Service(tmp_path_factory.mktemp("every"), *shipped_learners())
    for name in service.learners:
        service.write(name)
    service.look()
    assert sorted(service.rack.shelf.served) == sorted(shipped_learners())
    return service


@pytest.fixture
def one(tmp_path: Path) -> Service:
    return Service(tmp_path, "flights_delay")


def as_json(record: dict[str, Any]) -> dict[str, Any]:
    return {name: one.isoformat() if hasattr(one, "isoformat") else one for name, one in record.items()}


def test_answer_is_the_champions_own_for_every_record_of_a_list(every: Service) -> None:
    learner = every.learners["flights_delay"]
    records = some_records(learner.spec, 50, seed=7)
    found = every.predict("flights_delay", [as_json(one) for one in records])
    expected = [learner.champion.estimator.predict(one) for one in records]
    assert [one["value"] for one in found["predictions"]] == expected
    reasons = [learner.champion.estimator.explain(one, learner.spec.explain) for one in records]
    assert [[tuple(why.values()) for why in one["reasons"]] for one in found["predictions"]] == [
        [tuple(why) for why in one] for one in reasons
    ]
    assert len(set(expected)) > 40
    head = {name: found[name] for name in ("learner", "version", "model", "rows_learned")}
    assert head == {
        "learner": "flights_delay",
        "version": learner.spec.version,
        "model": "linear_regression",
        "rows_learned": 2_048,
    }


def test_class_is_told_with_the_probability_of_every_class(every: Service) -> None:
    learner = every.learners["flights_late"]
    (record,) = some_records(learner.spec, 1, seed=9)
    (found,) = every.predict("flights_late", as_json(record))["predictions"]
    expected = learner.champion.estimator.predict(record)
    assert isinstance(expected, dict)
    assert found["label"] == str(likeliest(expected))
    assert found["probabilities"] == {str(label): share for label, share in expected.items()}
    assert found["probability"] == max(expected.values())


def test_anomaly_is_told_by_score_and_whether_it_is_beyond_the_threshold(every: Service) -> None:
    learner = every.learners["weather_anomalies"]
    records = some_records(learner.spec, 5, seed=3)
    found = every.predict("weather_anomalies", [as_json(one) for one in records])["predictions"]
    scores = [learner.champion.estimator.predict(one) for one in records]
    assert [one["score"] for one in found] == scores
    assert [one["anomalous"] for one in found] == [learner.champion.anomalous(score) for score in scores]


def test_forecast_tells_the_windows_that_it_is_about_and_looks_at_no_record(every: Service) -> None:
    found = every.predict("flights_volume", {})["predictions"]
    assert [one["step"] for one in found] == list(range(1, 8))
    assert [one["about"][:10] for one in found] == [f"2013-01-{day:02}" for day in range(2, 9)]
    assert all(isinstance(one["value"], float) for one in found)
    assert "looks at no record" in every.predict("flights_volume", {"carrier": "UA"}, 422)["error"]


def test_what_is_wrong_with_a_list_is_told_by_record_field_value_and_kind(every: Service) -> None:
    found = every.predict("flights_delay", [{}, {"distance": "far"}, {"carrrier": "UA"}], 422)
    assert found["problems"] == [
        {
            "row": 1,
            "field": "distance",
            "value": "far",
            "kind": "whole number",
            "problem": "is no whole number",
        },
        {
            "row": 2,
            "field": "carrrier",
            "value": "UA",
            "kind": "",
            "problem": 'is no field of this learner: did you mean "carrier"?',
        },
    ]
    assert found["hint"].startswith("GET /models/flights_delay")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"distance": NaN}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"7", "application/json", 422),
        (b"[[]]", "application/json", 422),
        (b'{"distance": 1}', "text/plain", 415),
        (b'{"distance": 1}', "", 415),
        (json.dumps([{}] * (MOST_RECORDS + 1)).encode(), "application/json", 413),
        (b'{"carrier": "' + b"x" * (4 * 2**20) + b'"}', "application/json", 413),
        (b'{"distance": 1e999}', "application/json", 422),
        (b'{"\\ud800": 1}', "application/json", 422),
    ],
)
def test_body_that_is_no_record_is_refused_with_a_reason(
    every: Service, body: bytes, content_type: str, status: int
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    reply = every.client.post("/predict/flights_delay", content=body, headers=headers)
    assert reply.status_code == status
    assert reply.json()["error"]


def test_most_records_at_once_are_answered(every: Service) -> None:
    found = every.predict("weather_anomalies", [{}] * MOST_RECORDS)
    assert len(found["predictions"]) == MOST_RECORDS


def test_unknown_learner_and_path_and_method_say_what_there_is(every: Service) -> None:
    names = ", ".join(sorted(shipped_learners()))
    assert every.predict("flights", {}, 404) == {
        "error": 'there is no learner "flights"',
        "hint": f"learners: {names}",
    }
    assert every.client.get("/models/flights").status_code == 404
    assert every.client.get("/predict").status_code == 404
    refused = every.client.get("/predict/flights_delay")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")


def test_models_are_listed_and_one_tells_its_fields_and_which_every_record_has(every: Service) -> None:
    assert [one["learner"] for one in every.client.get("/models").json()] == sorted(shipped_learners())
    found = every.client.get("/models/flights_delay").json()
    fields = {one["name"]: (one["kind"], one["required"]) for one in found["fields"]}
    assert fields["dep_delay"] == ("whole number", False)
    assert fields["carrier"] == ("text", True)
    assert list(fields) == list(every.learners["flights_delay"].spec.features)
    assert (found["task"], found["predicts"]) == ("regression", "arr_delay")


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example:8090"}],
)
def test_no_web_page_asks_through_a_visitors_browser(every: Service, headers: dict[str, str]) -> None:
    assert every.client.get("/models", headers=headers).status_code == 403
    assert every.client.post("/predict/flights_delay", json={}, headers=headers).status_code == 403


def test_openapi_has_a_path_with_its_own_fields_for_each_learner_and_no_reference_leads_nowhere(every: Service) -> None:
    found = every.client.get("/openapi.json").json()
    assert found["openapi"] == "3.1.0"
    assert {path for path in found["paths"] if path.startswith("/predict/")} == {
        f"/predict/{name}" for name in shipped_learners()
    }
    schemas = found["components"]["schemas"]
    record = schemas["flights_delay.record"]
    assert list(record["properties"]) == list(every.learners["flights_delay"].spec.features)
    assert record["properties"]["time_hour"]["format"] == "date-time"
    assert record["additionalProperties"] is False
    referred = {one for one in texts_under(found, "$ref")}
    assert len(referred) > 10
    assert {one.removeprefix("#/components/schemas/") for one in referred} <= set(schemas)


def texts_under(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, one in value.items():
            if name == key:
                yield one
            yield from texts_under(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from texts_under(one, key)


def test_example_of_the_openapi_document_is_a_record_that_is_answered(every: Service) -> None:
    paths = document(every.rack.shelf)["paths"]
    for name in shipped_learners():
        example = paths[f"/predict/{name}"]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert every.predict(name, example)["predictions"]


def test_answers_have_exactly_the_keys_that_the_openapi_document_tells(every: Service) -> None:
    schemas = document(every.rack.shelf)["components"]["schemas"]
    for name in shipped_learners():
        answer = every.predict(name, {})
        told = schemas[f"{name}.answer"]["properties"]
        assert set(answer) == set(told)
        prediction = answer["predictions"][0]
        extra = {"label", "probability", "probabilities"} if name == "weather_wind_gust" else set()
        assert set(prediction) == set(told["predictions"]["items"]["properties"]) - extra, name
    model = every.client.get("/models/flights_delay").json()
    assert set(model) == set(schemas["Model"]["properties"])


def test_page_is_sound_html_without_a_script_or_anything_from_elsewhere(every: Service) -> None:
    reply = every.client.get("/")
    page = Page(reply.text)
    assert page.problems == ["link /openapi.json leads nowhere"], "a page of its own: the service has it"
    assert "script" not in page.tags
    assert not [value for name, value in page.attributes if name in {"src", "style"}]
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert "prefers-color-scheme:dark" in reply.text
    assert all(f"<h2>{name}</h2>" in reply.text for name in shipped_learners())


def test_learner_without_a_snapshot_answers_503_until_it_has_one(one: Service) -> None:
    assert "nothing is served yet" in one.predict("flights_delay", {}, 503)["error"]
    assert one.client.get("/health").json()["status"] == "starting"
    one.look()
    assert "it has no snapshot yet" in one.predict("flights_delay", {}, 503)["error"]
    assert one.client.post("/predict/flights_delay", json={}).headers["Retry-After"] == "1"
    one.write("flights_delay")
    one.look()
    assert one.predict("flights_delay", {})["predictions"]


def test_newer_snapshot_takes_over_and_the_same_one_is_not_loaded_again(one: Service) -> None:
    first = one.write("flights_delay")
    one.look()
    before = one.rack.shelf.served["flights_delay"]
    one.look()
    assert one.rack.shelf.served["flights_delay"] is before
    learner = one.learners["flights_delay"]
    learner.state.predicted += 1
    learner.promote("hoeffding_tree", "asked for")
    second = one.write("flights_delay")
    one.look()
    found = one.predict("flights_delay", {})
    assert (found["model"], found["snapshot"]) == ("hoeffding_tree", second)
    assert first != second


def test_snapshot_rewritten_under_its_name_takes_over(one: Service) -> None:
    first = one.write("flights_delay")
    one.look()
    one.learners["flights_delay"].promote("hoeffding_tree", "a rollback before any new record has the same name")
    assert one.write("flights_delay") == first
    one.look()
    assert one.predict("flights_delay", {})["model"] == "hoeffding_tree"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"sha256": "0" * 64}, "its digest is not"),
        ({"format": 99}, "it was written by format 99"),
        ({"libraries": {"river": "0.0.1", "numpy": "1.0"}}, "river 0.0.1"),
        ({"version": "9.9.9+00000000"}, "under another contract"),
        ({"text": "name: nothing"}, "dataset is missing"),
    ],
)
def test_refused_snapshot_leaves_the_old_one_and_health_says_why(
    one: Service, changed: dict[str, Any], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = one.write("flights_delay")
    one.look()
    assert one.client.get("/health").json()["status"] == "ok"
    one.learners["flights_delay"].state.predicted += 100
    one.write("flights_delay", **changed)
    for _ in range(3):
        one.look()
    assert one.predict("flights_delay", {})["snapshot"] == good
    health = one.client.get("/health").json()
    assert health["status"] == "degraded"
    assert told in health["learners"]["flights_delay"]["problem"]
    assert health["learners"]["flights_delay"]["snapshot"] == good
    assert [record.message for record in caplog.records].count("snapshot not served") == 1, "told once"


def test_service_that_starts_on_a_refused_snapshot_serves_the_one_before(one: Service) -> None:
    good = one.write("flights_delay")
    one.learners["flights_delay"].state.predicted += 100
    one.write("flights_delay", sha256="0" * 64)
    one.look()
    assert one.predict("flights_delay", {})["snapshot"] == good
    assert one.client.get("/health").json()["status"] == "degraded"


def test_state_that_names_what_may_not_be_made_is_never_made(one: Service, tmp_path: Path) -> None:
    mark = tmp_path / "made"
    one.topic.forge(one.learners["flights_delay"], ["r", "os:mkdir", [str(mark)], None, [], []])
    one.look()
    assert '"os:mkdir" may not be part' in one.predict("flights_delay", {}, 503)["error"]
    assert not mark.exists()


def test_state_of_a_module_that_is_not_there_leaves_the_one_before_and_stops_no_other_learner(tmp_path: Path) -> None:
    service = Service(tmp_path, "flights_delay", "flights_late")
    good = service.write("flights_delay")
    service.learners["flights_delay"].state.predicted += 100
    service.topic.forge(service.learners["flights_delay"], ["o", "river.nowhere:Model", [], None, [], []])
    service.write("flights_late")
    service.look()
    assert service.predict("flights_delay", {})["snapshot"] == good
    assert "river.nowhere" in service.rack.shelf.problems["flights_delay"]
    assert service.predict("flights_late", {})["predictions"]


def test_learner_whose_file_is_gone_is_served_no_more(one: Service) -> None:
    one.write("flights_delay")
    one.look()
    learner_path(one.settings.paths(), "flights_delay").unlink()
    one.look()
    assert one.predict("flights_delay", {}, 404)["hint"] == "learners: none"


def test_model_that_breaks_gives_500_and_the_log_has_the_reason(one: Service, caplog: pytest.LogCaptureFixture) -> None:
    one.write("flights_delay")
    one.look()

    class Broken:
        def explain(self, _x: Any, _most: int) -> Any:
            raise ZeroDivisionError

    one.rack.shelf.served["flights_delay"].champion.estimator = Broken()  # type: ignore[assignment]
    assert one.predict("flights_delay", {}, 500)["error"] == "the prediction failed"
    assert "ZeroDivisionError" in str([vars(record) for record in caplog.records])


def test_shelf_of_a_home_without_learners_is_ready_and_empty() -> None:
    rack = Rack(Shelf())
    rack.idle()
    client = TestClient(Fence(PredictApp(rack)), base_url=ADDRESS)
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/models").json() == []
    assert client.post("/predict/any", json={}).status_code == 404
