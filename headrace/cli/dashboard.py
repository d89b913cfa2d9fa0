"""headrace dashboard: the views as one page, for people without Grafana."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from headrace.cli.dashboard_files import TITLES
from headrace.cli.pages import write_page
from headrace.cli.warehouse import named_values
from headrace.runtime.reach import require_services
from headrace.runtime.report.charts import Point, line_chart, share_bars
from headrace.runtime.report.markup import Markup, element, folded, joined, number, table
from headrace.runtime.report.page import whole
from headrace.settings import Settings
from headrace.sinks.views import View, views
from headrace.transport.warehouse import Warehouse

_MOST_LINES, _MOST_ROWS = 6, 12
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+")
Row = Mapping[str, Any]


@click.command()
@click.option("--html", "file", type=click.Path(path_type=Path), required=True, help="Where the page is written.")
@click.option("--param", "given", multiple=True, metavar="NAME=VALUE", help="A parameter of the views that have it.")
def dashboard(file: Path, given: tuple[str, ...]) -> None:
    """Write every view (`headrace sql --views`) as one page with charts: it needs no Grafana and asks no other host."""
    settings, values = Settings(), named_values(given)
    require_services(settings, "warehouse")
    with Warehouse(settings, person=True) as warehouse:
        found = {name: rows_of(warehouse, one, values) for name, one in views().items()}
    write_page(file, dashboard_page(found).encode())
    click.echo(f"{file}: {len(found)} views")


def rows_of(warehouse: Warehouse, one: View, values: Mapping[str, str]) -> list[Row]:
    """Return a view's rows; parameters that it does not have are left out."""
    parameters = one.bound({name: value for name, value in values.items() if name in one.parameters})
    text = b"".join(warehouse.stream(one.query, "JSONEachRow", parameters)).decode("utf-8", "replace")
    return [json.loads(line, strict=False) for line in text.split("\n") if line]


def dashboard_page(found: Mapping[str, Sequence[Row]]) -> str:
    """Return the page: a section for each dashboard, in it what its views gave."""
    sections = [
        element(
            "section",
            element("h2", title),
            *(_panel(one, found[name]) for name, one in views().items() if one.dashboard == board),
        )
        for board, title in TITLES.items()
    ]
    return whole("headrace", element("body", element("header", element("h1", "The line")), element("main", *sections)))


def _panel(one: View, rows: Sequence[Row]) -> Markup:
    title = one.name.replace("_", " ").capitalize()
    if not rows:
        drawn = element("p", "No rows.")
    elif one.panel == "timeseries":
        drawn = joined([*_lines(one, rows), folded("The numbers", _table(rows))])
    elif one.panel == "barchart":
        first, value = list(rows[0])[:2]
        drawn = joined([_bars({str(row[first]): float(row[value]) for row in rows}), _table(rows)])
    else:
        drawn = _table(rows)
    return element(
        "div", element("h3", title), element("p", one.shows, class_="soft"), drawn, class_="card", id=one.name
    )


def _lines(one: View, rows: Sequence[Row]) -> list[Markup]:
    """Return a chart for each series, the first few; the others are in the numbers."""
    time, name, value = list(rows[0])
    series: dict[str, list[Point]] = defaultdict(list)
    for row in rows:
        series[str(row[name])].append((str(row[time])[:16], None if row[value] is None else float(row[value])))
    if all(len(points) == 1 for points in series.values()):
        return [_bars({label: points[0][1] or 0.0 for label, points in series.items()})]
    charts = []
    for label in list(series)[:_MOST_LINES]:
        points = series[label]
        most = max((point[1] or 0.0 for point in points), default=0.0)
        chart = line_chart(points, f"{one.shows} {label}", 0.0, most or 1.0)
        charts.append(element("figure", element("figcaption", label), chart))
    rest = len(series) - len(charts)
    return [*charts, *([element("p", f"{rest} more: headrace sql --view {one.name}")] if rest > 0 else [])]


def _bars(values: Mapping[str, float]) -> Markup:
    most = max(values.values()) or 1.0
    return share_bars([(label, value / most, number(value)) for label, value in values.items()])


def _table(rows: Sequence[Row]) -> Markup:
    shown = table(
        list(rows[0]), ([_cell(value) for value in row.values()] for row in rows[:_MOST_ROWS]), wide=len(rows[0]) > 7
    )
    more = f"{len(rows) - _MOST_ROWS} more rows" if len(rows) > _MOST_ROWS else ""
    return joined([shown, element("p", more, class_="soft") if more else ""])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str) and _TIME.fullmatch(value):
        return value[:19]
    return f"{value:.4g}" if isinstance(value, float) else str(value)
