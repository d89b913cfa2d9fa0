"""How learners are told to people: the dummy beside every figure, and what is not known said as such."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from headrace.cli.learn_json import model_of, shown_of, status_of
from headrace.cli.learn_views import (
    curve_lines,
    event_line,
    model_table,
    rule_of,
    show_lines,
    spark,
    status_lines,
    verdict,
)
from headrace.runtime.learners import History, Known, Point
from headrace.stream_processors.snapshots import Snapshot
from headrace.testing.learners import SnapshotTopic, shipped_spec, taught

SPEC = shipped_spec("flights_delay")


def figures(model: str, **changed: Any) -> dict[str, Any]:
    """Return what the warehouse holds of a model."""
    found = {
        "learner": SPEC.name,
        "model": model,
        "version": SPEC.version,
        "champion": False,
        "dummy": False,
        "generation": 0,
        "rows": 327_346,
        "loss": 11.234,
        "error": 0.0312,
        "metrics": {"mae": 11.234, "r2": 0.8},
        "recent_rows": 4_096,
        "recent_loss": 10.0,
        "recent_error": 0.25,
        "recent_metrics": {"mae": 10.0, "r2": 0.75},
        "best_dummy": "mean",
        "dummy_loss": 25.0,
        "beats_dummy": True,
        "sampling": 0.25,
        "anomalous": None,
    }
    return found | changed


CHAMPION = figures("linear_regression", champion=True)
CHALLENGER = figures("hoeffding_tree", recent_loss=26.0, beats_dummy=False, generation=2)
DUMMY = figures("mean", dummy=True, loss=23.5, recent_loss=25.0, beats_dummy=None)
SNAPSHOT: Snapshot = SnapshotTopic().write(taught(SPEC, rows=512))
KNOWN = Known(SPEC, [CHAMPION, CHALLENGER, DUMMY], replace(SNAPSHOT, rows=327_346), lag=12)


def test_status_shows_the_best_dummys_loss_beside_the_champions_over_all_and_lately() -> None:
    text = "\n".join(status_lines(status_of(KNOWN)))
    assert "loss over all 11.23 ± 0.031; last 4,096 rows 10 ± 0.25" in text
    assert "mean (best dummy) over all 23.5; last 4,096 rows 25" in text
    assert "beats mean by 15 a row (60 % less loss)" in text
    assert "25 % of all records sampled" in text
    assert "327,346 labelled rows" in text
    assert "lag 12" in text
    assert f"snapshot {SNAPSHOT.name}" in text


def test_model_that_does_not_beat_its_dummy_says_so() -> None:
    assert verdict(CHALLENGER) == "does not beat its dummy (mean)"
    assert "does not beat its dummy (mean)" in "\n".join(model_table(KNOWN.figures))


def test_verdict_on_few_records_is_that_nothing_can_be_told() -> None:
    assert verdict(figures("x", beats_dummy=None)) == "too few records to tell whether it beats mean"
    assert verdict(None).startswith("no figures yet")


def test_anomalies_have_nothing_to_beat_and_tell_their_share() -> None:
    none = {"loss": None, "error": None, "recent_loss": None, "dummy_loss": None, "best_dummy": "", "beats_dummy": None}
    one = figures("robust_z", champion=True, anomalous=0.0123, **none)
    text = "\n".join(status_lines(status_of(replace(KNOWN, figures=[one]))))
    assert "beyond its threshold 1.23 % of the last records" in text
    assert "nothing to beat" in text
    assert "loss over all" not in text


def test_learner_that_has_not_begun_says_so() -> None:
    lines = list(status_lines(status_of(Known(SPEC, [], None, lag=336_776))))
    assert lines[1:] == ["  it has not begun; lag 336,776"]


def test_learner_with_a_snapshot_and_no_figures_yet_tells_what_it_has_learned() -> None:
    text = "\n".join(status_lines(status_of(Known(SPEC, [], SNAPSHOT, lag=0))))
    assert "512 labelled rows" in text
    assert "no figures yet: they are told every 1,024 labelled records" in text


def test_models_stand_side_by_side_with_their_roles_and_metrics() -> None:
    head, *lines = model_table(KNOWN.figures)
    assert "loss of the last 4,096" in head
    assert "r2" in head
    assert [line.split()[:3] for line in lines] == [
        ["champion", "linear_regression", "0"],
        ["challenger", "hoeffding_tree", "2"],
        ["dummy", "mean", "0"],
    ]
    assert [model_of(one)["role"] for one in KNOWN.figures] == ["champion", "challenger", "dummy"]


def test_curve_draws_champion_and_dummy_on_one_scale() -> None:
    points = [Point(1_024 * n, n, loss, 20.0) for n, loss in enumerate((20.0, 15.0, 10.0), start=1)]
    told, mine, theirs = curve_lines(points)
    assert told == "rolling loss from row 1,024 to 3,072, between 10 and 20"
    assert mine == "  champion    █▅▁  now 10"
    assert theirs == "  best dummy  ███  now 20"
    assert list(curve_lines(points[:1])) == []


def test_spark_of_equal_values_and_of_what_is_no_number_is_drawn_too() -> None:
    assert spark([3.0, 3.0], 3.0, 3.0) == "▁▁"
    assert spark([None, float("nan"), 1.0], 0.0, 1.0) == "  █"


def test_history_and_snapshots_are_shown_with_what_a_rollback_needs() -> None:
    event = {
        "kind": "promotion",
        "model": "hoeffding_tree",
        "detail": "asked for by ann: to\x1b[31m see",
        "at": datetime(2026, 1, 31, 8, tzinfo=UTC),
        "rows": 4_096,
        "snapshot": SNAPSHOT.name,
    }
    found = History([event], [SNAPSHOT, replace(SNAPSHOT, name="1.0.0+older.7", kept=True)], ())
    text = "\n".join(show_lines(SPEC, "learners/flights_delay.yaml", found))
    assert SNAPSHOT.name in text
    assert SNAPSHOT.sha256[:12] in text
    assert "kept" in text
    assert "2026-01-31 08:00:00  row 4,096  promotion hoeffding_tree: asked for by ann" in text
    assert "\x1b" not in text, "what a person wrote cannot steer the terminal"
    assert "dep_delay (whole number)" in text
    assert rule_of(SPEC) in text
    assert event_line(event).endswith(f"(snapshot {SNAPSHOT.name})")
    shown = shown_of(SPEC, "file", found)
    assert shown["snapshots"][0]["sha256"] == SNAPSHOT.sha256
    assert [one["name"] for one in shown["features"]] == list(SPEC.features)


def test_history_of_a_learner_of_which_nothing_is_there_says_so() -> None:
    text = "\n".join(show_lines(SPEC, "file", History()))
    assert "snapshots: none" in text
    assert "history: nothing yet" in text
