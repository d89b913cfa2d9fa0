"""Grafana's dashboards, made from the views: python -m headrace.cli.dashboard_files writes them; a test compares."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headrace.sinks.views import View, views

FOLDER = Path("observability/grafana/dashboards")
CLICKHOUSE = {"type": "grafana-clickhouse-datasource", "uid": "headrace-clickhouse"}
PROMETHEUS = {"type": "prometheus", "uid": "headrace-prometheus"}
TITLES = {
    "line-health": "Line health",
    "dataset-quality": "Dataset quality",
    "files": "File receipts",
    "alerts": "Alerts",
    "learners": "Learners",
    "one-trace": "One trace",
}
# Dashboard -> (title, query, unit, legend) of panels that Prometheus answers.
MEASURED: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "line-health": (
        ("Lag", "max by (stage) (headrace_stage_lag)", "short", "{{stage}}"),
        ("Rows a second", "max by (stage) (headrace_stage_rows_per_second)", "short", "{{stage}}"),
        ("Processes that answer", 'min by (process) (up{job="headrace"})', "bool_on_off", "{{process}}"),
        ("Memory", "max by (stage) (headrace_process_memory_bytes)", "bytes", "{{stage}}"),
        ("CPU", "sum by (stage) (rate(headrace_process_cpu_seconds_total[5m]))", "percentunit", "{{stage}}"),
        ("Open files", "max by (stage) (headrace_process_open_files)", "short", "{{stage}}"),
        ("Restarts", "sum by (name) (headrace_process_restarts_total)", "short", "{{name}}"),
        (
            "A batch, 95 of 100 within",
            "histogram_quantile(0.95, sum by (stage, le) (rate(headrace_batch_seconds_bucket[5m])))",
            "s",
            "{{stage}}",
        ),
        ("Stored", "sum by (table) (rate(headrace_stored_rows_total[5m]))", "short", "{{table}}"),
        ("Events by level", "sum by (level) (rate(headrace_log_events_total[5m]))", "short", "{{level}}"),
    ),
    "files": (
        (
            "File closed until rows visible, 95 of 100 within",
            "histogram_quantile(0.95, sum by (dataset, le) (rate(headrace_file_visible_seconds_bucket[30m])))",
            "s",
            "{{dataset}}",
        ),
        ("Files by state", "sum by (state) (headrace_files_total)", "short", "{{state}}"),
    ),
    "alerts": (("Raised", "sum by (dataset, severity) (headrace_alerts_total)", "short", "{{dataset}} {{severity}}"),),
}
_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 2


def dashboards() -> dict[str, str]:
    """Return each dashboard's JSON by its file's name."""
    return {f"{board}.json": json.dumps(_dashboard(board), indent=2) + "\n" for board in TITLES}


def grafana_sql(view: View) -> str:
    """Return a view's query with Grafana's variables, each quoted by Grafana, in the place of bound parameters."""
    query = view.query
    for name in view.parameters:
        query = query.replace(f"{{{name}:String}}", f"${{{name}:sqlstring}}")
    return query


def _dashboard(board: str) -> dict[str, Any]:
    shown = [view for view in views().values() if view.dashboard == board]
    panels = [*_measured(board), *(_stored(view) for view in shown)]
    for at, panel in enumerate(panels):
        place = {"x": at % _COLUMNS * _WIDTH, "y": at // _COLUMNS * _HEIGHT}
        panel |= {"id": at + 1, "gridPos": {"h": _HEIGHT, "w": _WIDTH, **place}}
    return {
        "uid": f"headrace-{board}",
        "title": TITLES[board],
        "tags": ["headrace"],
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "timezone": "utc",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_variable(name) for name in sorted({n for view in shown for n in view.parameters})]},
        "annotations": {"list": []},
        "panels": panels,
    }


def _variable(name: str) -> dict[str, Any]:
    if name != "dataset":
        return {"name": name, "label": name, "type": "textbox", "query": "", "current": {"text": "", "value": ""}}
    return {
        "name": name,
        "label": name,
        "type": "query",
        "datasource": CLICKHOUSE,
        "query": "SELECT DISTINCT dataset FROM headrace.files ORDER BY dataset",
        "refresh": 2,
        "includeAll": True,
        # Grafana inserts it as it is, without the format; an empty one counts as none, and "All" would be a list.
        "allValue": "''",
        "current": {"text": "All", "value": "$__all"},
    }


def _stored(view: View) -> dict[str, Any]:
    timed = view.panel == "timeseries"
    target = {
        "refId": "A",
        "datasource": CLICKHOUSE,
        "editorType": "sql",
        "rawSql": grafana_sql(view),
        "format": 0 if timed else 1,
        "queryType": "timeseries" if timed else "table",
    }
    title, about = view.name.replace("_", " ").capitalize(), f"{view.shows} The same: headrace sql --view {view.name}"
    return _panel(view.panel, title, about, CLICKHOUSE, target, view.unit)


def _measured(board: str) -> Iterator[dict[str, Any]]:
    for title, query, unit, legend in MEASURED.get(board, ()):
        target = {"refId": "A", "datasource": PROMETHEUS, "expr": query, "legendFormat": legend}
        yield _panel("timeseries", title, f"Prometheus: {query}", PROMETHEUS, target, unit)


def _panel(
    kind: str, title: str, about: str, source: dict[str, str], target: dict[str, Any], unit: str
) -> dict[str, Any]:
    defaults = {"unit": unit} if unit else {}
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": source,
        "targets": [target],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {},
    }


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in dashboards().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
