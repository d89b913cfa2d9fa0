"""A learner on a running line: what the commands say of it, what a person may ask of it, and its answers over HTTP."""

import json
import random
import urllib.error
import urllib.request
from typing import Any

import pytest

from headrace.core.child import wait_until
from headrace.runtime.learners import declared, every_learner
from headrace.runtime.quality_store import QualityStore
from headrace.runtime.report.collect import learners_of
from headrace.runtime.report.models import standing, verdict
from headrace.schemas.learner_store import learner_path
from headrace.testing.line import RunningLine
from headrace.transport.warehouse import Warehouse

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
DATASET = "learned"
LEARNER = "learned_weight"
ROWS = 6_000
CONTRACT = f"""
apiVersion: v3.1.0
kind: DataContract
id: {DATASET}
version: 1.0.0
status: active
schema:
  - name: {DATASET}
    properties:
      - name: length
        logicalType: number
        required: true
        customProperties: [{{property: headrace.knownAtPrediction, value: true}}]
      - name: shop
        logicalType: string
        customProperties: [{{property: headrace.knownAtPrediction, value: true}}]
      - name: weight
        logicalType: number
"""
YAML = f"""
name: {LEARNER}
version: "1.0.0"
dataset: {DATASET}
task: regression
target: weight
budget: {{rowsPerSecond: 0}}
models:
  - model: linear_regression
  - model: hoeffding_tree
"""
LIMIT_SECS = 90.0


@pytest.fixture(scope="module")
def learned(line: RunningLine) -> RunningLine:
    """The learner has learned a file, and rests."""
    paths = line.settings.paths()
    for path, text in (
        (paths.contracts / f"{DATASET}.odcs.yaml", CONTRACT),
        (learner_path(paths, LEARNER), YAML),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    chosen = random.Random(5)
    rows = []
    for _ in range(ROWS):
        length, shop = chosen.uniform(0, 10), chosen.choice(("north", "south"))
        rows.append(f"{length:.3f},{shop},{2 * length + 5 * (shop == 'north') + chosen.gauss(0, 0.5):.3f}")
    line.drop(DATASET, "first.csv", "\n".join(["length,shop,weight", *rows, ""]).encode())
    line.final_receipts(DATASET, 1)
    assert wait_until(lambda: at_rest(line), LIMIT_SECS, every_secs=0.5), line.output()
    # What is served follows the newest snapshot within a second or, on a busy machine, later.
    assert wait_until(lambda: served(line).get("rows_learned") == ROWS, LIMIT_SECS, every_secs=0.5), line.output()
    return line


def at_rest(line: RunningLine) -> bool:
    """Say whether all is learned and told, without a process for each look."""
    specs = [spec for spec in declared(line.settings.paths()).specs if spec.name == LEARNER]
    (one,) = every_learner(line.settings, specs)
    return bool(one.snapshot and one.snapshot.rows == ROWS and one.lag == 0 and one.figures)


def status(line: RunningLine) -> dict[str, Any]:
    found = json.loads(line.headrace("learn", "status", "--json", check=False).stdout)
    (one,) = (one for one in found["learners"] if one["learner"] == LEARNER)
    return dict(one)


def ask(line: RunningLine, path: str, given: Any = None) -> tuple[int, Any]:
    url = f"{line.status()['services']['predict']['address']}{path}"
    body = None if given is None else json.dumps(given).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())
    except urllib.error.URLError:  # it is not there yet, or again
        return 0, {}


def served(line: RunningLine) -> dict[str, Any]:
    return dict(ask(line, f"/predict/{LEARNER}", {"length": 4.0, "shop": "north"})[1])


def history(line: RunningLine) -> list[tuple[str, str]]:
    shown = json.loads(line.headrace("learn", "show", LEARNER, "--json").stdout)
    return [(event["kind"], event["model"]) for event in shown["events"]]


def test_status_tells_the_loss_with_its_error_and_the_best_dummys_beside_it(learned: RunningLine) -> None:
    one = status(learned)
    assert one["champion"] == "linear_regression"
    assert one["beats_dummy"] is True
    assert one["loss"] < one["dummy_loss"]
    assert one["recent_loss"] < one["recent_dummy_loss"]
    assert 0 < one["error"] < one["loss"]
    assert one["sampling"] == pytest.approx(1.0)
    text = learned.headrace("learn", "status").stdout
    assert f"{LEARNER}: regression of weight on {DATASET}" in text
    assert "(best dummy) over all" in text
    assert f"beats {one['best_dummy']} by" in text
    assert "nothing learns" not in text


def test_models_are_shown_side_by_side_with_the_dummies(learned: RunningLine) -> None:
    found = json.loads(learned.headrace("learn", "models", LEARNER, "--json").stdout)
    assert [(one["model"], one["role"]) for one in found] == [
        ("linear_regression", "champion"),
        ("hoeffding_tree", "challenger"),
        ("last_value", "dummy"),
        ("mean", "dummy"),
    ]
    assert all(one["rows"] == ROWS // 1_024 * 1_024 for one in found)
    lines = learned.headrace("learn", "models", LEARNER).stdout.splitlines()
    assert [line.split()[:2] for line in lines[2:]] == [[one["role"], one["model"]] for one in found]


def test_report_reads_the_same_figures(learned: RunningLine) -> None:
    one = status(learned)
    with Warehouse(learned.settings) as warehouse:
        (found,) = learners_of(QualityStore(warehouse), learned.settings, DATASET)
    assert (found.name, found.task, found.about) == (LEARNER, "regression", "weight")
    assert found.champion is not None
    assert found.champion["recent_loss"] == pytest.approx(one["recent_loss"])
    assert standing(found).startswith("linear_regression loses ")
    assert verdict(found) == "It beats its dummy."
    assert [rows for rows, _, _ in found.curve] == list(range(1_024, ROWS, 1_024))
    assert found.curve[-1][2] == pytest.approx(one["recent_dummy_loss"])


def test_champion_answers_over_http_and_its_address_is_in_status(learned: RunningLine) -> None:
    code, found = ask(learned, f"/predict/{LEARNER}", [{"length": 4.0, "shop": "north"}, {"length": 4.0}])
    assert code == 200
    assert (found["learner"], found["model"]) == (LEARNER, "linear_regression")
    assert found["rows_learned"] == ROWS
    assert found["snapshot"] == status(learned)["snapshot"]
    assert found["predictions"][0]["value"] == pytest.approx(13.0, abs=1.0)
    assert {one["field"] for one in found["predictions"][0]["reasons"]} == {"length", "shop"}
    code, refused = ask(learned, f"/predict/{LEARNER}", {"length": "long"})
    assert (code, refused["problems"][0]["field"]) == (422, "length")
    assert ask(learned, "/health")[1]["learners"][LEARNER]["served"] is True
    addresses = json.loads(learned.settings.paths().stack_file.read_text())
    assert learned.status()["services"]["predict"]["address"] == f"http://{addresses['predict']}"


def test_asked_promotion_and_rollback_are_followed_served_and_in_the_history(learned: RunningLine) -> None:
    before = status(learned)["snapshot"]
    value = served(learned)["predictions"][0]["value"]
    said = learned.headrace("learn", "promote", LEARNER, "hoeffding_tree", "--why", "to see")
    assert "promotion hoeffding_tree: asked for by" in said.stdout
    assert "to see" in said.stdout
    assert wait_until(lambda: served(learned)["model"] == "hoeffding_tree", LIMIT_SECS)
    assert served(learned)["predictions"][0]["value"] != value

    # Not the oldest that is listed: on a slow machine that one was made before anything was learned.
    said = learned.headrace("learn", "rollback", LEARNER, before, "--why", "it was better")
    assert f"rollback linear_regression: to {before}" in said.stdout
    assert wait_until(lambda: served(learned)["model"] == "linear_regression", LIMIT_SECS)
    assert served(learned)["predictions"][0]["value"] == value
    assert status(learned)["champion"] == "linear_regression"
    kinds = history(learned)
    assert kinds[0] == ("created", "")
    asked = [one for one in kinds if one[0] in {"promotion", "rollback"}]
    assert asked[-2:] == [("promotion", "hoeffding_tree"), ("rollback", "linear_regression")]
    shown = learned.headrace("learn", "show", LEARNER).stdout
    assert "a challenger is promoted if" in shown
    assert "length (number), shop (text)" in shown
    assert "rolling loss from row 1,024" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("promote", LEARNER, "mean"), "the learner has no contender mean"),
        (("promote", LEARNER, "forest"), "the learner has no contender forest"),
        (("rollback", LEARNER, "9.9.9+00000000.7"), "there is no snapshot 9.9.9+00000000.7"),
    ],
)
def test_what_the_learner_refuses_ends_with_1_and_is_in_the_history(
    learned: RunningLine, arguments: tuple[str, ...], told: str
) -> None:
    refused = len([one for one in history(learned) if one[0] == "refused"])
    for _ in range(2):
        done = learned.headrace("learn", *arguments, "--why", "a test", check=False)
        assert done.returncode == 1
        assert told in done.stdout
    assert len([one for one in history(learned) if one[0] == "refused"]) == refused + 2, "each asking has its answer"


def test_command_for_no_learner_is_wrong_use_that_names_those_there_are(learned: RunningLine) -> None:
    done = learned.headrace("learn", "promote", "nobody", "mean", "--why", "a test", check=False)
    assert done.returncode == 2
    assert 'there is no learner "nobody"' in done.stderr
    assert LEARNER in done.stderr


def test_file_that_cannot_be_followed_is_told_by_status_and_lint(learned: RunningLine) -> None:
    path = learner_path(learned.settings.paths(), "learned_wrong")
    path.write_text(YAML.replace(LEARNER, "learned_wrong").replace("target: weight", "target: wieght"))
    try:
        done = learned.headrace("learn", "status", check=False)
        assert done.returncode == 1
        assert "learned_wrong.yaml cannot be followed\n" in done.stdout
        assert 'did you mean "weight"?' in done.stdout
        linted = learned.headrace("learn", "lint", str(path), check=False)
        assert linted.returncode == 1
        assert 'did you mean "weight"?' in linted.stdout
        done = learned.headrace("learn", "promote", "learned_wrong", "mean", "--why", "a test", check=False)
        assert done.returncode == 2
        assert "rests" in done.stderr
    finally:
        path.unlink()
    assert learned.headrace("learn", "lint", str(learner_path(learned.settings.paths(), LEARNER))).returncode == 0


def test_file_that_cannot_be_followed_any_more_leaves_the_learner_as_it_was(learned: RunningLine) -> None:
    path, version = learner_path(learned.settings.paths(), LEARNER), status(learned)["version"]
    told = len([one for one in history(learned) if one[0] == "refused"])
    path.write_text(YAML.replace("target: weight", "target: wieght"))
    try:
        assert wait_until(lambda: len([one for one in history(learned) if one[0] == "refused"]) > told, LIMIT_SECS)
        done = learned.headrace("learn", "status", check=False)
        assert done.returncode == 1
        assert f"{LEARNER}.yaml cannot be followed; the learner goes on as it was" in done.stdout
        assert 'did you mean "weight"?' in done.stdout
        assert status(learned)["version"] == version
    finally:
        path.write_text(YAML)
    assert learned.headrace("learn", "status").returncode == 0


def test_learner_goes_on_where_it_was_and_is_served_again_after_both_are_killed(learned: RunningLine) -> None:
    before = status(learned)
    learned.kill("learner", "predict")
    assert wait_until(lambda: learned.ready("learner", "predict"), LIMIT_SECS)
    assert wait_until(lambda: "predictions" in served(learned), LIMIT_SECS)
    after = status(learned)
    assert (after["rows"], after["champion"]) == (before["rows"], before["champion"])
    assert served(learned)["snapshot"] == after["snapshot"]
