"""The views as files and as Grafana's dashboards."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.dashboard_files import CLICKHOUSE, FOLDER, PROMETHEUS, TITLES, dashboards, grafana_sql
from headrace.errors import WrongUse
from headrace.sinks.views import view, views
from headrace.testing.commands import run_command

BOARDS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in dashboards().items()}
PANELS = [panel for board in BOARDS.values() for panel in board["panels"]]


def test_dashboards_are_what_the_views_make() -> None:
    folder = Path(__file__).parents[2] / FOLDER
    assert {path.name: path.read_text() for path in folder.glob("*.json")} == dashboards(), (
        "python -m headrace.cli.dashboard_files writes them"
    )


def test_every_view_is_one_panel_of_a_dashboard_that_there_is() -> None:
    shown = [panel["targets"][0]["rawSql"] for panel in PANELS if panel["datasource"] == CLICKHOUSE]
    assert sorted(shown) == sorted(grafana_sql(one) for one in views().values())
    assert {one.dashboard for one in views().values()} == set(TITLES)
    assert len(shown) >= 16


def test_panels_have_the_form_that_the_data_sources_ask_for() -> None:
    for panel in PANELS:
        target = panel["targets"][0]
        assert target["datasource"] == panel["datasource"]
        if panel["datasource"] == PROMETHEUS:
            assert target["expr"]
            continue
        timed = panel["type"] == "timeseries"
        assert (target["format"], target["queryType"]) == ((0, "timeseries") if timed else (1, "table"))
        assert target["editorType"] == "sql"
        assert timed == (" AS time" in target["rawSql"])


def test_dashboards_have_stable_uids_and_panels_that_do_not_overlap() -> None:
    uids = {board["uid"] for board in BOARDS.values()}
    assert uids == {f"headrace-{name}" for name in TITLES}
    for board in BOARDS.values():
        places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]}
        assert len(places) == len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        assert all(x + 12 <= 24 for x, _ in places)
        declared = {variable["name"] for variable in board["templating"]["list"]}
        used = set(re.findall(r"\$\{(\w+):sqlstring\}", json.dumps(board["panels"])))
        assert used == declared


def test_all_datasets_are_asked_for_by_an_empty_text_in_quotes() -> None:
    lists = [board["templating"]["list"] for board in BOARDS.values()]
    chosen = [variable for variables in lists for variable in variables if variable["name"] == "dataset"]
    assert len(chosen) >= 4
    for variable in chosen:
        assert (variable["includeAll"], variable["allValue"]) == (True, "''")
        assert variable["current"]["value"] == "$__all"


def test_parameter_is_bound_and_never_spliced() -> None:
    for one in views().values():
        assert re.findall(r"\{(\w+):(\w+)\}", one.query) == [
            (name, "String") for name in re.findall(r"\{(\w+):", one.query)
        ]
    found = view("file_receipts").bound({"dataset": "x' OR 1 = 1"})
    assert found == {"dataset": "x' OR 1 = 1"}
    assert view("one_trace").bound({}) == {"trace": ""}


def test_unknown_view_or_parameter_is_told_with_what_there_is() -> None:
    with pytest.raises(WrongUse, match='no view "reciepts"') as told:
        view("reciepts")
    assert "file_receipts" in told.value.hint
    with pytest.raises(WrongUse, match="no parameter file") as told:
        view("one_trace").bound({"file": "x"})
    assert "trace" in told.value.hint


@pytest.mark.parametrize(
    "arguments",
    [
        ("sql",),
        ("sql", "SELECT 1", "--view", "file_states"),
        ("sql", "SELECT 1", "--param", "dataset=x"),
        ("sql", "--view", "file_states", "--param", "dataset"),
    ],
)
def test_wrong_use_of_sql_is_told(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = run_command(arguments, {"HEADRACE_HOME": str(tmp_path)})
    assert done.returncode == 2
    assert "next:" in done.stderr


def test_views_are_listed_with_what_they_show(tmp_path: Path) -> None:
    listed = run_command(("sql", "--views"), {"HEADRACE_HOME": str(tmp_path)}).stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(views())
