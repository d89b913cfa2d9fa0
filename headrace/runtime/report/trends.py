"""Charts over time: score, rows, and missing values by field."""

from collections.abc import Sequence

from headrace.runtime.report.charts import Point, bar_chart, columns, heat_legend, heat_map, line_chart
from headrace.runtime.report.data import ReportData, share_by_field
from headrace.runtime.report.markup import Markup, element, folded, number, percent, table

_MOST_FIELDS, _MOST_ROWS = 40, 100


def trends(data: ReportData) -> Markup:
    """Return the charts, each with its numbers behind it."""
    return element("section", element("h2", "Over time"), _scores(data), _volumes(data), _missing(data), id="trends")


def _scores(data: ReportData) -> Markup:
    points: list[Point] = [(data.label(one), one["score"]) for one in data.windows]
    known = [value for _, value in points if value is not None]
    low = max(0.0, min([*known, 100.0]) // 10 * 10 - 10) if known else 0.0
    span = f"{points[0][0]} to {points[-1][0]}" if points else ""
    title = f"Score by window, {span}: least {number(min(known))}, greatest {number(max(known))}" if known else "Score"
    return element(
        "div", element("h3", "Score (100 is best)"), line_chart(points, title, low, 100.0), _numbers("score", points)
    )


def _volumes(data: ReportData) -> Markup:
    points: list[Point] = [(data.label(one), float(one["rows"])) for one in data.windows]
    title = f"Rows by window, {number(sum(value or 0 for _, value in points))} in all"
    return element("div", element("h3", "Rows"), bar_chart(points, title), _numbers("rows", points))


def _numbers(name: str, points: Sequence[Point]) -> Markup:
    shown = points[::-1][:_MOST_ROWS]
    caption = f"The newest {len(shown)} windows" if len(shown) < len(points) else "All windows"
    return folded(
        f"The numbers: {name}", table(("window", name), ((label, number(value)) for label, value in shown), caption)
    )


def _missing(data: ReportData) -> Markup:
    size = columns(len(data.windows))
    groups = [data.windows[at : at + size] for at in range(0, len(data.windows), size)]
    names = [one["name"] for one in data.fields]
    sums = [_sums(group) for group in groups]
    rows = [(name, [_share(found.get(name)) for found in sums]) for name in names]
    rows.sort(key=lambda row: (-max((share or 0.0 for share in row[1]), default=0.0), row[0]))
    complete = sum(not any(row[1]) for row in rows)
    gaps = [row for row in rows if any(row[1])]
    shown = gaps[:_MOST_FIELDS]
    labels = [data.label(group[0]) for group in groups]
    notes = [
        f"{complete} of {len(rows)} fields were never missing a value. Each other one is a row; time goes to the right."
    ]
    if size > 1:
        notes.append(f"A column takes {size} windows together.")
    if len(gaps) > len(shown):
        notes.append(f"The {len(shown)} fields with the most missing values are shown.")
    worst = [
        (name, percent(max(share or 0.0 for share in shares)), percent(shares[-1] or 0.0)) for name, shares in shown
    ]
    numbers = folded("The numbers: missing values", table(("field", "most in a column", "newest"), worst))
    title = f"Share of missing values by field and time; {rows[0][0]} has most" if rows else "Missing values"
    drawn = [heat_map(labels, shown, title), heat_legend(), numbers] if shown else []
    told = element("p", " ".join(notes if shown else notes[:1]), class_="soft")
    return element("div", element("h3", "Missing values by field"), told, *drawn)


def _sums(group: Sequence[object]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for window in group:
        for name, (nulls, rows) in share_by_field(window).items():  # type: ignore[arg-type]
            before = found.get(name, (0, 0))
            found[name] = before[0] + nulls, before[1] + rows
    return found


def _share(found: tuple[int, int] | None) -> float | None:
    return found[0] / found[1] if found and found[1] else None
