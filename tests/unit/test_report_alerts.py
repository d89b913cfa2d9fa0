"""What `headrace alerts` says of an alert, and the list of silences that it keeps."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from headrace.cli.alerts import alerts, end_of, open_ones, sentence, told_at
from headrace.errors import WrongUse
from headrace.schemas.silences import read_silences

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def alert(**changed: Any) -> dict[str, Any]:
    plain: dict[str, Any] = dict.fromkeys(("observed", "bound", "window_start", "window_end"))
    texts = dict.fromkeys(("trace_id", "owner", "unit", "field", "subject", "file", "file_name", "advice_id"), "")
    lists: dict[str, Any] = {"segments": [], "samples": [], "rows": 684, "rows_at_risk": 0, "dataset": "flights"}
    told = {"alert_id": "a", "severity": "warning", "state": "open", "silenced": False, "error": 0.0, "clock": "event"}
    return plain | texts | lists | told | {"message": "too many", "hint": "look", "raised_at": NOW} | changed


def test_alert_tells_state_window_field_and_error_bar() -> None:
    window = {"window_start": NOW, "window_end": NOW + timedelta(hours=1), "field": "dep_time"}
    text = sentence(alert(observed=14.25, bound=5.0, error=0.31, unit="percent", state="still", **window))
    assert "still: too many" in text
    assert "window 2026-11-23 08:00 to 2026-11-23 09:00 (event time); field dep_time" in text
    assert "seen 14.25 % ± 0.31, allowed 5 %" in text


def test_alert_tells_rows_at_risk_where_they_are_and_its_advice() -> None:
    segments = [{"name": "date=2013-02-09", "rows": 393, "share": 0.75, "lift": 23.4}]
    found = {"segments": segments, "samples": [{"file": "02" * 8, "row": 7}], "advice_id": "abcdef0123456789"}
    lines = sentence(alert(rows_at_risk=393, file_name="flights-02.csv", **found)).splitlines()
    assert [line.strip() for line in lines[1:-1]] == [
        "rows at risk 393 of 684; file flights-02.csv",
        "where date=2013-02-09 (75% of them, 23.4 times its share)",
        "look at 0202020202020202:7",
        "advice abcdef012345: headrace advice flights",
    ]


def test_silenced_alert_says_so_and_a_file_alert_has_no_line_of_figures() -> None:
    assert sentence(alert(silenced=True, owner="ann")).splitlines()[0].endswith("open, silenced: too many")
    assert len(sentence(alert()).splitlines()) == 2


def test_newest_window_has_the_last_word_of_those_that_closed_at_one_moment() -> None:
    days = [NOW - timedelta(days=4), NOW - timedelta(days=2)]
    told = [alert(subject="s", state="resolved", window_start=days[1]), alert(subject="s", window_start=days[0])]
    assert [one["state"] for one in sorted(told, key=told_at)] == ["open", "resolved"]
    assert open_ones(iter(sorted(told, key=told_at))) == []


def test_only_what_is_not_resolved_is_open() -> None:
    told = [alert(subject="s", state="open"), alert(subject="s", state="resolved"), alert(subject="t")]
    assert [one["subject"] for one in open_ones(iter(told))] == ["t"]


@pytest.mark.parametrize(
    ("lasting", "hours"), [("2h", 2), ("90m", 1.5), ("3d", 72), ("PT2H", 2), ("1 hour", 1), ("pt30m", 0.5)]
)
def test_silence_lasts_as_long_as_it_says(lasting: str, hours: float) -> None:
    assert end_of(NOW, "", lasting) == NOW + timedelta(hours=hours)


@pytest.mark.parametrize(
    ("until", "lasting"), [("", ""), ("2027-01-01", "2h"), ("soon", ""), ("2020-01-01", ""), ("", "2 h x"), ("", "0h")]
)
def test_silence_without_one_end_to_come_is_refused(until: str, lasting: str) -> None:
    with pytest.raises(WrongUse):
        end_of(NOW, until, lasting)


def test_silence_goes_into_the_file_that_the_quality_app_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    run = CliRunner()
    for why in ("first", "second"):
        done = run.invoke(alerts, ["silence", "late", "--dataset", "orders", "--for", "2h", "--why", why])
        assert done.exit_code == 0, done.output
    (one,) = read_silences((tmp_path / "silences.yaml").read_text())
    assert (one.rule, one.dataset, one.why) == ("late", "orders", "second")
    shown = json.loads(run.invoke(alerts, ["silences", "--json"]).output)
    assert shown[0]["why"] == "second"
    assert "orders" in run.invoke(alerts, ["silences"]).output


def test_list_that_cannot_be_followed_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    (tmp_path / "silences.yaml").write_text("a: [")
    done = CliRunner().invoke(alerts, ["silence", "late", "--dataset", "orders", "--for", "2h"])
    assert isinstance(done.exception, WrongUse)
    assert (tmp_path / "silences.yaml").read_text() == "a: ["
